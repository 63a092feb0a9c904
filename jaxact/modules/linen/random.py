"""The Linen modules of functions that draw random numbers. In training they need a key, as `linen.Dropout` does."""

from flax.linen.kw_only_dataclasses import field
from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.linen.base import Module
from jaxact.modules.settings import check

__all__ = ["GumbelSoftmax", "RReLU"]


class Random(Module):
    """A module that is given a key or draws one from the named collection, unless it is deterministic."""

    deterministic: bool = field(default=False, kw_only=True)
    rng_collection: str = field(default="dropout", kw_only=True)

    def _key(self, deterministic: bool | None, key: Array | None) -> Array | None:
        """A key for this call; None if it is deterministic."""
        if self.deterministic if deterministic is None else deterministic:
            return None
        return self.make_rng(self.rng_collection) if key is None else key


class RReLU(Random):
    """Randomized leaky rectified linear unit: x if x >= 0, else s x with s uniform between lower and upper.

    When the module is deterministic, s is the mean of lower and upper, and the result is the expectation. The function
    is `jaxact.rrelu`.

    Args:
      lower: the least slope.
      upper: the largest slope.
      deterministic: whether to take the mean slope; the call's argument takes precedence.
      rng_collection: the rng that the key is made from, `apply(..., rngs={"dropout": key})`; a key given at the
        call takes precedence.
    """

    lower: float = 1 / 8
    upper: float = 1 / 3

    def __post_init__(self) -> None:
        check(jaxact.rrelu, key=None, lower=self.lower, upper=self.upper)
        super().__post_init__()

    def __call__(self, x: ArrayLike, *, deterministic: bool | None = None, key: Array | None = None) -> Array:
        return jaxact.rrelu(x, self._key(deterministic, key), self.lower, self.upper)


class GumbelSoftmax(Random):
    """Gumbel softmax: softmax((logits + g) / tau), g from the standard Gumbel distribution.

    When the module is deterministic, the result is softmax(logits), the expectation of a hard sample. The function is
    `jaxact.gumbel_softmax`.

    Args:
      tau: the temperature, a positive number, or array with one value per row (the row's axis has size 1).
      hard: whether a sample is the one-hot vector of its largest entry.
      axis: the axis that sums to 1.
      deterministic: whether to take softmax(logits); the call's argument takes precedence.
      rng_collection: the rng that the key is made from, `apply(..., rngs={"dropout": key})`; a key given at the
        call takes precedence.
    """

    tau: ArrayLike = 1.0
    hard: bool = False
    axis: int = -1

    def __post_init__(self) -> None:
        check(jaxact.gumbel_softmax, scalar=False, key=None, tau=self.tau, hard=self.hard, axis=self.axis)
        super().__post_init__()

    def __call__(self, logits: ArrayLike, *, deterministic: bool | None = None, key: Array | None = None) -> Array:
        return jaxact.gumbel_softmax(logits, self._key(deterministic, key), self.tau, self.hard, self.axis)
