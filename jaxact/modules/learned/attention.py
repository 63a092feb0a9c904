"""Softmax with a learned parameter, for heads of attention."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.learned.base import Learned


class _Headwise(Learned):
    """A parameter with one number, or one number per head of attention."""

    num_heads: int
    axis: int
    head_axis: int

    def _full(self, value: float) -> Array:
        return jnp.full(() if self.num_heads == 1 else (self.num_heads,), value, self.param_dtype)

    def _lift(self, x: ArrayLike, parameter: Array) -> Array:
        return parameter if self.num_heads == 1 else self._lifted(x, self.head_axis, parameter)[0]


class SoftmaxSink(_Headwise):
    """Softmax with a learned sink: exp(x_i) / (exp(sink) + sum_j exp(x_j)).

    The learned parameter is called `sink` and has the shape () or (num_heads,). It is one more logit, whose share is
    not returned, so that a row can sum to less than 1. A sink of 0 is "softmax off by one".

    Args:
      num_heads: 1 for one sink, or the number of heads for one sink per head.
      sink_init: the sink before training.
      axis: the axis that is summed over.
      head_axis: the axis of the heads; -3 for attention logits of shape (..., heads, queries, keys).
      param_dtype: the type of the sink.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_heads is under 1, or sink_init is not finite; at the call, x has another number of heads, or no
        such axis.

    Reference: OpenAI 2025, arXiv:2508.10925 (gpt-oss); Miller 2023, "Attention is off by one".

    The function is `jaxact.softmax`.
    """

    sink_init: float

    def _start(self) -> dict[str, Array]:
        return {"sink": self._full(self.sink_init)}

    def _evaluate(self, x: ArrayLike, sink: Array, *, where: ArrayLike | None = None) -> Array:
        return jaxact.softmax(x, self.axis, where, sink=self._lift(x, sink))


class SSMax(_Headwise):
    """Scalable softmax with a learned scale: n^(scale x_i) / sum_j n^(scale x_j) of n entries.

    The learned parameter is called `scale` and has the shape () or (num_heads,).

    Args:
      num_heads: 1 for one scale, or the number of heads for one scale per head.
      scale_init: the scale before training.
      axis: the axis that is summed over.
      head_axis: the axis of the heads; -3 for attention logits of shape (..., heads, queries, keys).
      param_dtype: the type of the scale.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_heads is under 1, or scale_init is not finite; at the call, x has another number of heads, or no
        such axis.

    Reference: Nakanishi 2025, arXiv:2501.19399.

    The function is `jaxact.ssmax`.
    """

    scale_init: float

    def _start(self) -> dict[str, Array]:
        return {"scale": self._full(self.scale_init)}

    def _evaluate(self, x: ArrayLike, scale: Array, *, where: ArrayLike | None = None) -> Array:
        return jaxact.ssmax(x, self._lift(x, scale), self.axis, where)
