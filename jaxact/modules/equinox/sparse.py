"""Equinox modules of `jaxact.functions.sparse`, written by `python -m jaxact.modules.generate`; do not edit."""

from collections.abc import Sequence

import equinox
from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.equinox.base import Module
from jaxact.modules.settings import check

__all__ = ["GaussianTopK", "Softpick"]


class Softpick(Module):
    """Softpick: max(exp(x_i) - 1, 0) / (sum_j |exp(x_j) - 1| + epsilon).

    See the function `jaxact.softpick`.

    Args:
      axis: the axis, or axes, of a row.
      epsilon: number >= 0, or array with one value per row (the row's axis has size 1), which decides rows of zeros.
    """

    axis: int | Sequence[int] = equinox.field(default=-1, static=True)
    epsilon: ArrayLike = 1e-06

    def __check_init__(self) -> None:
        check(jaxact.softpick, scalar=False, axis=self.axis, epsilon=self.epsilon)

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None, key: Array | None = None) -> Array:
        return jaxact.softpick(x, axis=self.axis, epsilon=self.epsilon, where=where)


class GaussianTopK(Module):
    """Gaussian top-k: max(x_i - (mean + std * PhiInverse(sparsity)), 0), with mean and standard deviation of the row.

    See the function `jaxact.gaussian_topk`.

    Args:
      sparsity: number in (0, 1), or array with one value per row (the row's axis has size 1); traced and
        differentiable.
      axis: the axis, or axes, of a row.
    """

    sparsity: ArrayLike = 0.95
    axis: int | Sequence[int] = equinox.field(default=-1, static=True)

    def __check_init__(self) -> None:
        check(jaxact.gaussian_topk, scalar=False, sparsity=self.sparsity, axis=self.axis)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.gaussian_topk(x, sparsity=self.sparsity, axis=self.axis)
