"""NNX modules of `jaxact.functions.leaky`, written by `python -m jaxact.modules.generate`; do not edit."""

import dataclasses

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.nnx.base import Module
from jaxact.modules.settings import check

__all__ = ["LeakyReLU"]


@dataclasses.dataclass(eq=False, repr=False)
class LeakyReLU(Module):
    """Leaky rectified linear unit: x if x >= 0, else negative_slope * x.

    See the function `jaxact.leaky_relu`.

    Args:
      negative_slope: number, or array that broadcasts against x; traced and differentiable.
    """

    negative_slope: ArrayLike = 0.01

    def __post_init__(self) -> None:
        check(jaxact.leaky_relu, negative_slope=self.negative_slope)

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.leaky_relu(x, negative_slope=self.negative_slope)
