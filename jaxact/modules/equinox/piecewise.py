"""Equinox modules of `jaxact.functions.piecewise`, written by `python -m jaxact.modules.generate`; do not edit."""

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.equinox.base import Module
from jaxact.modules.settings import check

__all__ = ["Hardsigmoid", "Hardtanh", "ReLU6", "SparseSigmoid"]


class ReLU6(Module):
    """Rectified linear unit 6: min(max(x, 0), 6). See the function `jaxact.relu6`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.relu6(x)


class Hardsigmoid(Module):
    """Hard sigmoid: min(max(x + 3, 0), 6) / 6. See the function `jaxact.hard_sigmoid`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.hard_sigmoid(x)


class SparseSigmoid(Module):
    """Sparse sigmoid: min(max((x + 1) / 2, 0), 1). See the function `jaxact.sparse_sigmoid`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.sparse_sigmoid(x)


class Hardtanh(Module):
    """Hard tanh: min(max(x, min_val), max_val).

    See the function `jaxact.hard_tanh`.

    Args:
      min_val: number, or array that broadcasts against x; traced and differentiable.
      max_val: number, or array that broadcasts against x, at least min_val; traced and differentiable.
    """

    min_val: ArrayLike = -1.0
    max_val: ArrayLike = 1.0

    def __check_init__(self) -> None:
        check(jaxact.hard_tanh, min_val=self.min_val, max_val=self.max_val)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.hard_tanh(x, min_val=self.min_val, max_val=self.max_val)
