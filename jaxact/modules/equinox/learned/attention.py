"""Softmax with a learned parameter, for heads of attention, as Equinox modules."""

import equinox
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxact.modules import learned
from jaxact.modules.equinox.learned.base import Parametric


class SoftmaxSink(learned.SoftmaxSink, Parametric):
    """Softmax with a learned sink: exp(x_i) / (exp(sink) + sum_j exp(x_j)).

    Its arguments are documented in `jaxact.modules.learned.SoftmaxSink`.
    """

    sink: Array
    num_heads: int = equinox.field(default=1, static=True)
    sink_init: float = equinox.field(default=0.0, static=True)
    axis: int = equinox.field(default=-1, kw_only=True, static=True)
    head_axis: int = equinox.field(default=-3, kw_only=True, static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(
        self,
        num_heads: int = 1,
        sink_init: float = 0.0,
        *,
        axis: int = -1,
        head_axis: int = -3,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.num_heads = num_heads
        self.sink_init = sink_init
        self.axis = axis
        self.head_axis = head_axis
        self.param_dtype = param_dtype
        self._check()
        self.sink = self._learn("sink")

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None, key: Array | None = None) -> Array:
        return self._evaluate(x, self.sink, where=where)


class SSMax(learned.SSMax, Parametric):
    """Scalable softmax with a learned scale: n^(scale x_i) / sum_j n^(scale x_j) of n entries.

    Its arguments are documented in `jaxact.modules.learned.SSMax`.
    """

    scale: Array
    num_heads: int = equinox.field(default=1, static=True)
    scale_init: float = equinox.field(default=1.0, static=True)
    axis: int = equinox.field(default=-1, kw_only=True, static=True)
    head_axis: int = equinox.field(default=-3, kw_only=True, static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(
        self,
        num_heads: int = 1,
        scale_init: float = 1.0,
        *,
        axis: int = -1,
        head_axis: int = -3,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.num_heads = num_heads
        self.scale_init = scale_init
        self.axis = axis
        self.head_axis = head_axis
        self.param_dtype = param_dtype
        self._check()
        self.scale = self._learn("scale")

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None, key: Array | None = None) -> Array:
        return self._evaluate(x, self.scale, where=where)
