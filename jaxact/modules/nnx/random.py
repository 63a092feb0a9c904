"""The NNX modules of functions that draw random numbers. In training they need a key, as `nnx.Dropout` does."""

import dataclasses

import jax
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.nnx.base import Module
from jaxact.modules.settings import check

__all__ = ["GumbelSoftmax", "RReLU"]

Keys = nnx.Rngs | nnx.RngStream | jax.Array


@dataclasses.dataclass(eq=False, repr=False)
class Random(Module):
    """A module that draws from its own `rngs`, or from those given at the call, unless it is deterministic."""

    deterministic: bool = dataclasses.field(default=False, kw_only=True)
    rng_collection: str = dataclasses.field(default="dropout", kw_only=True)
    rngs: nnx.Rngs | nnx.RngStream | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        own = self.rngs[self.rng_collection] if isinstance(self.rngs, nnx.Rngs) else self.rngs
        self.rngs = nnx.data(None) if own is None else own.fork()

    def _key(self, deterministic: bool | None, rngs: Keys | None) -> Array | None:
        """A key for this call; None if it is deterministic."""
        if self.deterministic if deterministic is None else deterministic:
            return None
        source = self.rngs if rngs is None else rngs
        if source is None:
            raise ValueError(
                f"jaxact.nnx.{type(self).__name__}: expected rngs, in the constructor or at the call, got none; give "
                "rngs=nnx.Rngs(0), a key, or deterministic=True"
            )
        if isinstance(source, nnx.Rngs):
            source = source[self.rng_collection]
        return source() if isinstance(source, nnx.RngStream) else source


@dataclasses.dataclass(eq=False, repr=False)
class RReLU(Random):
    """Randomized leaky rectified linear unit: x if x >= 0, else s x with s uniform between lower and upper.

    When the module is deterministic, as after `model.eval()`, s is the mean of lower and upper, and the result is the
    expectation. The function is `jaxact.rrelu`.

    Args:
      lower: the least slope.
      upper: the largest slope.
      deterministic: whether to take the mean slope.
      rng_collection: the stream of `rngs` to draw from; "dropout" is the one that models have for noise in training.
      rngs: where keys come from; a key or other rngs given at the call take precedence.
    """

    lower: float = 1 / 8
    upper: float = 1 / 3

    def __post_init__(self) -> None:
        check(jaxact.rrelu, key=None, lower=self.lower, upper=self.upper)
        super().__post_init__()

    def __call__(self, x: ArrayLike, *, deterministic: bool | None = None, rngs: Keys | None = None) -> Array:
        return jaxact.rrelu(x, self._key(deterministic, rngs), self.lower, self.upper)


@dataclasses.dataclass(eq=False, repr=False)
class GumbelSoftmax(Random):
    """Gumbel softmax: softmax((logits + g) / tau), g from the standard Gumbel distribution.

    When the module is deterministic, as after `model.eval()`, the result is softmax(logits), the expectation of a hard
    sample. The function is `jaxact.gumbel_softmax`.

    Args:
      tau: the temperature, a positive number, or array with one value per row (the row's axis has size 1).
      hard: whether a sample is the one-hot vector of its largest entry.
      axis: the axis that sums to 1.
      deterministic: whether to take softmax(logits).
      rng_collection: the stream of `rngs` to draw from; "dropout" is the one that models have for noise in training.
      rngs: where keys come from; a key or other rngs given at the call take precedence.
    """

    tau: ArrayLike = 1.0
    hard: bool = False
    axis: int = -1

    def __post_init__(self) -> None:
        check(jaxact.gumbel_softmax, scalar=False, key=None, tau=self.tau, hard=self.hard, axis=self.axis)
        super().__post_init__()

    def __call__(self, logits: ArrayLike, *, deterministic: bool | None = None, rngs: Keys | None = None) -> Array:
        key = self._key(deterministic, rngs)
        return jaxact.gumbel_softmax(logits, key, self.tau, self.hard, self.axis)
