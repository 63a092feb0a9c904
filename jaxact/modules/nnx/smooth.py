"""NNX modules of `jaxact.functions.smooth`, written by `python -m jaxact.modules.generate`; do not edit."""

import dataclasses

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.nnx.base import Module
from jaxact.modules.settings import check

__all__ = ["GoLU", "Hardswish", "Mish", "QuickGELU", "SiLU"]


@dataclasses.dataclass(eq=False, repr=False)
class SiLU(Module):
    """Sigmoid linear unit (swish): x * sigmoid(beta x).

    See the function `jaxact.silu`.

    Args:
      beta: number, or array that broadcasts against x; traced and differentiable. 0 halves x; the limit is relu.
    """

    beta: ArrayLike = 1.0

    def __post_init__(self) -> None:
        check(jaxact.silu, beta=self.beta)

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.silu(x, beta=self.beta)


@dataclasses.dataclass(eq=False, repr=False)
class Hardswish(Module):
    """Hard SiLU (hard swish): x * min(max(x + 3, 0), 6) / 6. See the function `jaxact.hard_silu`."""

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.hard_silu(x)


@dataclasses.dataclass(eq=False, repr=False)
class Mish(Module):
    """Mish: x * tanh(log(1 + exp(x))). See the function `jaxact.mish`."""

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.mish(x)


@dataclasses.dataclass(eq=False, repr=False)
class QuickGELU(Module):
    """Quick GELU: x * sigmoid(1.702 x). See the function `jaxact.quick_gelu`."""

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.quick_gelu(x)


@dataclasses.dataclass(eq=False, repr=False)
class GoLU(Module):
    """Gompertz linear unit: x * exp(-exp(-x)). See the function `jaxact.golu`."""

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.golu(x)
