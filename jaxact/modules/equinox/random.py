"""The Equinox modules of functions that draw random numbers. In training they need a key, as Equinox's Dropout does."""

import equinox
from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.equinox.base import Module
from jaxact.modules.settings import check

__all__ = ["GumbelSoftmax", "RReLU"]


class Random(Module):
    """A module that needs a key at the call, unless it is in inference mode."""

    inference: bool = equinox.field(default=False, kw_only=True)

    def _key(self, inference: bool | None, key: Array | None) -> Array | None:
        """The key of this call; None in inference mode."""
        if self.inference if inference is None else inference:
            return None
        if key is None:
            raise ValueError(
                f"jaxact.equinox.{type(self).__name__}: expected a key at the call, got none; give key=..., or "
                "inference=True"
            )
        return key


class RReLU(Random):
    """Randomized leaky rectified linear unit: x if x >= 0, else s x with s uniform between lower and upper.

    In inference mode (see `equinox.nn.inference_mode`) s is the mean of lower and upper, and the result is the
    expectation. The function is `jaxact.rrelu`.

    Args:
      lower: the least slope.
      upper: the largest slope.
      inference: whether to take the mean slope; the call's argument takes precedence.
    """

    lower: float = 1 / 8
    upper: float = 1 / 3

    def __check_init__(self) -> None:
        check(jaxact.rrelu, key=None, lower=self.lower, upper=self.upper)

    def __call__(self, x: ArrayLike, *, key: Array | None = None, inference: bool | None = None) -> Array:
        return jaxact.rrelu(x, self._key(inference, key), self.lower, self.upper)


class GumbelSoftmax(Random):
    """Gumbel softmax: softmax((logits + g) / tau), g from the standard Gumbel distribution.

    In inference mode (see `equinox.nn.inference_mode`) the result is softmax(logits), the expectation of a hard sample.
    The function is `jaxact.gumbel_softmax`.

    Args:
      tau: the temperature, a positive number, or array with one value per row (the row's axis has size 1).
      hard: whether a sample is the one-hot vector of its largest entry.
      axis: the axis that sums to 1.
      inference: whether to take softmax(logits); the call's argument takes precedence.
    """

    tau: ArrayLike = 1.0
    hard: bool = equinox.field(default=False, static=True)
    axis: int = equinox.field(default=-1, static=True)

    def __check_init__(self) -> None:
        check(jaxact.gumbel_softmax, scalar=False, key=None, tau=self.tau, hard=self.hard, axis=self.axis)

    def __call__(self, logits: ArrayLike, *, key: Array | None = None, inference: bool | None = None) -> Array:
        return jaxact.gumbel_softmax(logits, self._key(inference, key), self.tau, self.hard, self.axis)
