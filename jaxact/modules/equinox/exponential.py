"""Equinox modules of `jaxact.functions.exponential`, written by `python -m jaxact.modules.generate`; do not edit."""

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.equinox.base import Module
from jaxact.modules.settings import check

__all__ = ["CELU", "ELU", "SELU", "Exponential"]


class ELU(Module):
    """Exponential linear unit: x if x > 0, else alpha * (exp(x) - 1).

    See the function `jaxact.elu`.

    Args:
      alpha: number, or array that broadcasts against x; traced and differentiable.
    """

    alpha: ArrayLike = 1.0

    def __check_init__(self) -> None:
        check(jaxact.elu, alpha=self.alpha)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.elu(x, alpha=self.alpha)


class CELU(Module):
    """Continuously differentiable exponential linear unit: max(x, 0) + min(0, alpha * (exp(x / alpha) - 1)).

    See the function `jaxact.celu`.

    Args:
      alpha: positive number, or array that broadcasts against x; traced and differentiable.
    """

    alpha: ArrayLike = 1.0

    def __check_init__(self) -> None:
        check(jaxact.celu, alpha=self.alpha)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.celu(x, alpha=self.alpha)


class SELU(Module):
    """Scaled exponential linear unit: 1.0507 * elu(x, alpha=1.6733). See the function `jaxact.selu`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.selu(x)


class Exponential(Module):
    """Exponential: exp(x). See the function `jaxact.exponential`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.exponential(x)
