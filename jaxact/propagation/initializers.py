"""Initialisers made from gains, SIREN's initialiser, and the dropout that keeps SELU's mean and variance."""

import math
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer
from jax.typing import ArrayLike

from jaxact.core.checks import as_array, as_float, widen, working_dtype
from jaxact.propagation.gaussian import Function
from jaxact.propagation.signal import Kind, gain

Mode = Literal["fan_in", "fan_out", "fan_avg", "fan_geo_avg"]
Distribution = Literal["truncated_normal", "normal", "uniform", "orthogonal"]

# SELU's value at -inf, -lambda alpha (Klambauer et al. 2017, arXiv 1706.02515).
_SELU_FLOOR = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717


def init_for(
    f: Function,
    mode: Mode = "fan_in",
    *,
    kind: Kind = "second_moment",
    distribution: Distribution = "truncated_normal",
    in_axis: int | Sequence[int] = -2,
    out_axis: int | Sequence[int] = -1,
    batch_axis: int | Sequence[int] = (),
    kinks: Sequence[float] | None = None,
) -> Initializer:
    """An initialiser for the weights that multiply f's output: their variance is gain(f, kind)^2 / fan.

    It is `jax.nn.initializers.variance_scaling` with the exact gain, so that init_for(relu) is he_normal and
    init_for(selu) is lecun_normal. The gain is computed once, by this call. For a first layer, whose input is data,
    take lecun_normal.

    Args:
      f: any elementwise function of one array.
      mode: "fan_in" keeps the forward signal, and "fan_out" with kind="backward" keeps the gradient; "fan_avg" and
        "fan_geo_avg" are compromises.
      kind: as in `gain`.
      distribution: "truncated_normal", "normal", "uniform" or "orthogonal". The last is an orthogonal matrix times
        gain max(sqrt(fan_out / fan_in), 1), with which DKS and TAT train best; mode is then "fan_in".
      in_axis: input axes of the weight, as in variance_scaling.
      out_axis: output axes of the weight.
      batch_axis: axes over which independent weights are stacked.
      kinks: as in `gain`.

    Returns:
      A function of (key, shape, dtype), for nnx.Linear(kernel_init=...), nn.Dense(kernel_init=...) and similar layers.

    Raises:
      TypeError: as for `gain`.
      ValueError: as for `gain`; or mode or distribution is unknown, or "orthogonal" comes with other axes or another
        mode.

    >>> weights = jaxact.propagation.init_for(jaxact.gelu)(jax.random.key(0), (256, 512))
    >>> weights.shape, round(float(weights.std() * 16), 1)
    ((256, 512), 1.5)
    """
    modes = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
    distributions = ("truncated_normal", "normal", "uniform", "orthogonal")
    if mode not in modes:
        raise ValueError(f"jaxact.init_for: expected mode to be one of {', '.join(modes)}, got {mode!r}")
    if distribution not in distributions:
        raise ValueError(
            f"jaxact.init_for: expected distribution to be one of {', '.join(distributions)}, got {distribution!r}"
        )
    scale = gain(f, kind, kinks=kinks)
    if distribution != "orthogonal":
        return jax.nn.initializers.variance_scaling(scale**2, mode, distribution, in_axis, out_axis, batch_axis)
    if mode != "fan_in" or (in_axis, out_axis, batch_axis) != (-2, -1, ()):
        raise ValueError(
            'jaxact.init_for: expected mode="fan_in" and the default axes with distribution="orthogonal", got '
            f"mode={mode!r}, axes {(in_axis, out_axis, batch_axis)}; take another distribution for them"
        )

    def init(
        key: jax.Array,
        shape: Sequence[int],
        dtype: jax.typing.DTypeLike | None = None,
        out_sharding: jax.sharding.NamedSharding | jax.sharding.PartitionSpec | None = None,
    ) -> jax.Array:
        # A wide orthogonal matrix keeps the norm of a vector, so that each of its more numerous outputs is smaller.
        widening = max(math.sqrt(shape[-1] / math.prod(shape[:-1])), 1.0)
        dtype = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
        # QR takes no 16-bit floats.
        orthogonal = jax.nn.initializers.orthogonal(scale * widening)
        return orthogonal(key, shape, working_dtype(dtype), out_sharding).astype(dtype)

    return init


def siren_init(omega: float = 30.0, *, first: bool = False) -> Initializer:
    """SIREN's initialiser, for layers that are followed by sin(omega x).

    Weights are uniform in +-sqrt(6 / fan_in) / omega, so that the sine's argument has variance 1. Those of the first
    layer, whose inputs are coordinates in [-1, 1], are uniform in +-1 / fan_in. Source: Sitzmann et al. 2020, arXiv
    2006.09661.

    Args:
      omega: the factor inside the sine, > 0.
      first: whether it is the network's first layer.

    Raises:
      ValueError: omega is not positive.

    >>> weights = jaxact.propagation.siren_init(omega=30.0)(jax.random.key(0), (64, 64))
    >>> bool(jnp.abs(weights).max() <= (6 / 64) ** 0.5 / 30)
    True
    """
    if not (math.isfinite(omega) and omega > 0):
        raise ValueError(f"jaxact.siren_init: expected omega > 0 and finite, got {omega!r}; the paper takes 30")

    def init(
        key: jax.Array,
        shape: Sequence[int],
        dtype: jax.typing.DTypeLike | None = None,
        out_sharding: jax.sharding.NamedSharding | jax.sharding.PartitionSpec | None = None,
    ) -> jax.Array:
        fan_in = math.prod(shape[:-1])
        # A uniform distribution of variance scale / fan_in reaches sqrt(3 scale / fan_in).
        scale = 1 / (3 * fan_in) if first else 2 / omega**2
        uniform = jax.nn.initializers.variance_scaling(scale, "fan_in", "uniform")
        return uniform(key, shape, jnp.result_type(float) if dtype is None else dtype, out_sharding)

    return init


def alpha_dropout(key: jax.Array, x: ArrayLike, rate: float) -> jax.Array:
    """Dropout that keeps SELU's mean 0 and variance 1: a dropped unit takes SELU's value at -inf, alpha' = -1.7581.

    The result is a x + b where a unit is kept and a alpha' + b where it is dropped, with
    a = ((1 - rate) (1 + rate alpha'^2))^-1/2 and b = -a rate alpha'. Source: Klambauer et al. 2017, arXiv 1706.02515.

    Args:
      key: a PRNG key.
      x: an array of any float dtype, computed in float32 if it has 16 bits; the result has x's dtype.
      rate: the share of units to drop, a float in [0, 1).

    Raises:
      TypeError: x is not real.
      ValueError: rate is not in [0, 1).

    >>> jaxact.propagation.alpha_dropout(jax.random.key(0), jnp.ones(3), rate=0.0)
    Array([1., 1., 1.], dtype=float32)
    """
    if not 0 <= rate < 1:
        raise ValueError(
            f"jaxact.alpha_dropout: expected rate in [0, 1), got {rate!r}; it is the share of units to drop"
        )
    array = as_float("alpha_dropout", as_array("alpha_dropout", x))
    if rate == 0:
        return array
    a = ((1 - rate) * (1 + rate * _SELU_FLOOR**2)) ** -0.5
    kept = jax.random.bernoulli(key, 1 - rate, array.shape)
    return (a * jnp.where(kept, widen(array), _SELU_FLOOR) - a * rate * _SELU_FLOOR).astype(array.dtype)
