"""Linen modules of `jaxact.functions.periodic`, written by `python -m jaxact.modules.generate`; do not edit."""

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.linen.base import Module
from jaxact.modules.settings import check

__all__ = ["Sine"]


class Sine(Module):
    """Sine (SIREN): sin(frequency * x).

    See the function `jaxact.sine`.

    Args:
      frequency: number, or array that broadcasts against x, in radians per unit of x; traced and differentiable.
    """

    frequency: ArrayLike = 30.0

    def __post_init__(self) -> None:
        check(jaxact.sine, frequency=self.frequency)
        super().__post_init__()

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.sine(x, frequency=self.frequency)
