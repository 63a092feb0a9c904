"""Equinox modules of `jaxact.functions.simplex`, written by `python -m jaxact.modules.generate`; do not edit."""

from collections.abc import Sequence

import equinox
from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.equinox.base import Module
from jaxact.modules.settings import check

__all__ = ["Entmax", "Entmax15", "Sparsemax"]


class Sparsemax(Module):
    """Sparsemax: max(x_i - tau, 0), with tau such that the row sums to 1.

    See the function `jaxact.sparsemax`.

    Args:
      axis: the axis, or axes, that sum to 1.
    """

    axis: int | Sequence[int] = equinox.field(default=-1, static=True)

    def __check_init__(self) -> None:
        check(jaxact.sparsemax, scalar=False, axis=self.axis)

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None, key: Array | None = None) -> Array:
        return jaxact.sparsemax(x, axis=self.axis, where=where)


class Entmax15(Module):
    """1.5-entmax: max(x_i / 2 - tau, 0)^2, with tau such that the row sums to 1.

    See the function `jaxact.entmax15`.

    Args:
      axis: the axis, or axes, that sum to 1.
    """

    axis: int | Sequence[int] = equinox.field(default=-1, static=True)

    def __check_init__(self) -> None:
        check(jaxact.entmax15, scalar=False, axis=self.axis)

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None, key: Array | None = None) -> Array:
        return jaxact.entmax15(x, axis=self.axis, where=where)


class Entmax(Module):
    """Alpha-entmax: max((alpha - 1) x_i - tau, 0)^(1 / (alpha - 1)), with tau such that the row sums to 1.

    See the function `jaxact.entmax`.

    Args:
      alpha: number over 1, or array with one value per row (the row's axis has size 1); traced and differentiable.
      axis: the axis, or axes, that sum to 1.
    """

    alpha: ArrayLike = 1.5
    axis: int | Sequence[int] = equinox.field(default=-1, static=True)

    def __check_init__(self) -> None:
        check(jaxact.entmax, scalar=False, alpha=self.alpha, axis=self.axis)

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None, key: Array | None = None) -> Array:
        return jaxact.entmax(x, alpha=self.alpha, axis=self.axis, where=where)
