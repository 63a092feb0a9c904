"""Equinox modules of `jaxact.functions.shrinkage`, written by `python -m jaxact.modules.generate`; do not edit."""

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.equinox.base import Module
from jaxact.modules.settings import check

__all__ = ["Hardshrink", "Softshrink", "Tanhshrink", "Threshold"]


class Hardshrink(Module):
    """Hard shrinkage: x if |x| > lambd, else 0.

    See the function `jaxact.hard_shrink`.

    Args:
      lambd: non-negative number, or array that broadcasts against x; traced.
    """

    lambd: ArrayLike = 0.5

    def __check_init__(self) -> None:
        check(jaxact.hard_shrink, lambd=self.lambd)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.hard_shrink(x, lambd=self.lambd)


class Softshrink(Module):
    """Soft shrinkage: x - lambd if x > lambd, x + lambd if x < -lambd, else 0.

    See the function `jaxact.soft_shrink`.

    Args:
      lambd: non-negative number, or array that broadcasts against x; traced and differentiable.
    """

    lambd: ArrayLike = 0.5

    def __check_init__(self) -> None:
        check(jaxact.soft_shrink, lambd=self.lambd)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.soft_shrink(x, lambd=self.lambd)


class Tanhshrink(Module):
    """Tanh shrinkage: x - tanh(x). See the function `jaxact.tanh_shrink`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.tanh_shrink(x)


class Threshold(Module):
    """Threshold: x if x > threshold, else value.

    See the function `jaxact.threshold`.

    Args:
      threshold: number, or array that broadcasts against x; traced.
      value: number, or array that broadcasts against x; traced and differentiable.
    """

    threshold: ArrayLike
    value: ArrayLike

    def __check_init__(self) -> None:
        check(jaxact.threshold, threshold=self.threshold, value=self.value)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.threshold(x, threshold=self.threshold, value=self.value)
