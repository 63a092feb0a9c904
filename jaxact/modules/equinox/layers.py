"""Equinox modules that are no function's own."""

from jax import Array
from jax.typing import ArrayLike

from jaxact.modules.equinox.base import Module
from jaxact.modules.images import softmax2d

__all__ = ["Softmax2d"]


class Softmax2d(Module):
    """Softmax over the channels of an image: at each pixel of (N, C, H, W) or (C, H, W) input they sum to 1.

    With channels last, `Softmax()` does the same. The function is `jaxact.softmax` with axis=-3.

    Raises:
      ValueError: the input has neither 3 nor 4 axes, or `where` does not broadcast.

    Reference: torch.nn.Softmax2d.
    """

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None, key: Array | None = None) -> Array:
        return softmax2d(x, where)
