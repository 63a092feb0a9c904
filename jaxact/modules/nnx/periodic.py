"""NNX modules of `jaxact.functions.periodic`, written by `python -m jaxact.modules.generate`; do not edit."""

import dataclasses

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.nnx.base import Module
from jaxact.modules.settings import check

__all__ = ["Sine"]


@dataclasses.dataclass(eq=False, repr=False)
class Sine(Module):
    """Sine (SIREN): sin(frequency * x).

    See the function `jaxact.sine`.

    Args:
      frequency: number, or array that broadcasts against x, in radians per unit of x; traced and differentiable.
    """

    frequency: ArrayLike = 30.0

    def __post_init__(self) -> None:
        check(jaxact.sine, frequency=self.frequency)

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.sine(x, frequency=self.frequency)
