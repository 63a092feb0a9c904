"""Equinox modules of `jaxact.functions.softplus`, written by `python -m jaxact.modules.generate`; do not edit."""

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.equinox.base import Module
from jaxact.modules.settings import check

__all__ = ["Softplus", "SparsePlus", "SqrtSoftplus", "Squareplus"]


class Softplus(Module):
    """Softplus: log(1 + exp(beta x)) / beta.

    See the function `jaxact.softplus`.

    Args:
      beta: positive number, or array that broadcasts against x; traced and differentiable.
    """

    beta: ArrayLike = 1.0

    def __check_init__(self) -> None:
        check(jaxact.softplus, beta=self.beta)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.softplus(x, beta=self.beta)


class Squareplus(Module):
    """Squareplus: (x + sqrt(x^2 + b)) / 2.

    See the function `jaxact.squareplus`.

    Args:
      b: non-negative number, or array that broadcasts against x; traced and differentiable.
    """

    b: ArrayLike = 4

    def __check_init__(self) -> None:
        check(jaxact.squareplus, b=self.b)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.squareplus(x, b=self.b)


class SparsePlus(Module):
    """Sparse softplus: 0 if x <= -1, (x + 1)^2 / 4 if -1 < x < 1, else x. See the function `jaxact.sparse_plus`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.sparse_plus(x)


class SqrtSoftplus(Module):
    """Square root of softplus: sqrt(log(1 + exp(x))). See the function `jaxact.sqrt_softplus`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.sqrt_softplus(x)
