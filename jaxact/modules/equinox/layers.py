"""Equinox modules that are no function's own."""

from collections.abc import Callable
from typing import Any

import equinox
from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.equinox.base import Module
from jaxact.modules.images import softmax2d

__all__ = ["Activation", "Softmax2d"]


class Activation(Module):
    """Any function as a module: one that has no class here, such as a registered, a compact or a transformed one.

    Args:
      function: a function of one array, or of gate and value. It is no data: functions from `jaxact.get` are equal
        where their configs are.
    """

    function: Callable[..., Array] = equinox.field(static=True)

    @property
    def config(self) -> dict[str, Any]:
        """What `jaxact.config` says of the function."""
        return jaxact.config(self.function)

    def __call__(self, *arrays: ArrayLike, key: Array | None = None, **arguments: Any) -> Array:
        return self.function(*arrays, **arguments)


class Softmax2d(Module):
    """Softmax over the channels of an image: at each pixel of (N, C, H, W) or (C, H, W) input they sum to 1.

    With channels last, `Softmax()` does the same. The function is `jaxact.softmax` with axis=-3.

    Raises:
      ValueError: the input has neither 3 nor 4 axes, or `where` does not broadcast.

    Reference: torch.nn.Softmax2d.
    """

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None, key: Array | None = None) -> Array:
        return softmax2d(x, where)
