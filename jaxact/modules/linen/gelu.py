"""Linen modules of `jaxact.functions.gelu`, written by `python -m jaxact.modules.generate`; do not edit."""

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.linen.base import Module
from jaxact.modules.settings import check

__all__ = ["GELU", "GELU10"]


class GELU(Module):
    """Gaussian error linear unit: x * Phi(x), or x * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    See the function `jaxact.gelu`.

    Args:
      approximate: True for the form with tanh (jax.nn's default), False for the exact one (PyTorch's default).
    """

    approximate: bool = True

    def __post_init__(self) -> None:
        check(jaxact.gelu, approximate=self.approximate)
        super().__post_init__()

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.gelu(x, approximate=self.approximate)


class GELU10(Module):
    """Clipped GELU: min(x Phi(x), 10). See the function `jaxact.gelu_10`."""

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.gelu_10(x)
