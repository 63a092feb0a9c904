"""Sums over the entries of one array, and the numbers that are derived from them.

The device computes only sums and maxima over entries, which stay exact when microbatches, steps, scans, `vmap` or
devices are combined. Means, shares and norms are finished on the host, in float64.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import Array, jit, lax
from jax import numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

MOMENTS = ("count", "sum", "square", "zeros", "nonfinite")

# Masks are -inf, the least finite number or part of it, -1e30, -1e9, or -1e4 added to a logit.
_MASKED = -5e3

# Rounding is to nearest, ties to even: |x| up to half of the smallest number becomes 0, and |x| from half a spacing
# over the largest number on overflows (e4m3fn's tie goes to the largest number, whose mantissa is even).
FORMATS = {
    "f16": (2.0**-25, 65520.0),
    "bf16": (2.0**-134, (2.0 - 2.0**-8) * 2.0**127),
    "e4m3": (2.0**-10, float(np.nextafter(np.float32(464), np.float32(465)))),
    "e5m2": (2.0**-17, 61440.0),
}
"""For each narrow type, the |x| up to which x becomes 0, and the |x| from which on it overflows."""
_EDGES = sorted([float(np.nextafter(np.float32(2.0**-134), np.float32(1.0))), *(top for _, top in FORMATS.values())])
STARTS = np.sort([*(2.0 ** np.arange(-127, 128)), *_EDGES])
"""The starts of the bins in which entries are counted: the powers of two, and the ends of the types. A power of two
itself is in the bin below it, so that a type flushes whole bins."""
COTANGENT_SCALE = 2.0**32
"""The factor of cotangents before they are squared, since 1e-23 squared is 0 in float32, and users look for vanished
gradients. With it, the rms is exact for anything between 1e-28 and 1e9."""


def wide(dtype: Any) -> Any:
    """The type to add up in: float32, or float64 for float64."""
    return jnp.promote_types(dtype, jnp.float32)


@functools.partial(jit, static_argnums=(1, 2, 3))  # traced once for every shape, of which a model has few
def moments(x: Array, scale: float = 1.0, masked: bool = False, fold: int = 16) -> Array:
    """Count, sum, sum of (scale x)^2, zeros and non-finite entries of x; the sums leave out non-finite entries.

    `fold` is how many entries are added up first; see `folded`. With `masked`, entries that a mask before a softmax
    has made -inf or very negative are not counted at all.
    """
    x = _widened(x)
    values = jnp.where(_counted(x, masked), x, 0)
    counted, _ = _integers(x, masked)
    return _stacked(x, _sums([values, jnp.square(scale * values)], fold), counted)


@functools.partial(jit, static_argnums=1)
def shape(x: Array, masked: bool = False) -> tuple[Array, Array, Array]:
    """The moments, the sums of third and fourth powers, the largest |x|, and if `masked` the largest x."""
    x = _widened(x)
    values = jnp.where(_counted(x, masked), x, 0)
    square = jnp.square(values)
    signed = [jnp.where(_counted(x, masked), x, -jnp.inf)] if masked else []
    sums = _sums([values, square, values * square, jnp.square(square)])
    counted, largest = _integers(x, masked, [jnp.abs(values), *signed])
    return _stacked(x, sums[:2], counted), jnp.stack(sums[2:]), jnp.stack(largest)


@functools.partial(jit, static_argnums=1)
def counts(x: Array, masked: bool = False) -> Array:
    """How many |x| there are in each bin of `STARTS`. Entries that are 0, not finite or masked are in no bin."""
    x = _widened(x)
    size = jnp.where(_counted(x, masked), jnp.abs(x), 0)
    size = jnp.minimum(size, np.finfo(np.float32).max).astype(jnp.float32)
    bits = lax.bitcast_convert_type(size, jnp.int32)  # in the order of the numbers, and no subnormal number is flushed
    number = ((bits - 1) >> 23) + 1  # by the exponent of the number before; 0 of 0
    number += sum((bits >= edge).astype(jnp.int32) for edge in np.array(_EDGES, np.float32).view(np.int32))
    bins = len(STARTS) + 1
    if x.size > 4 * bins**2 and x.shape[-1] % 2 == 0:
        # Neighbours are counted together, in less time: a histogram of pairs has those of either in its margins.
        number = lax.optimization_barrier(number.astype(jnp.uint16)).reshape(*x.shape[:-1], -1, 2)
        pair = lax.bitcast_convert_type(number, jnp.uint32)
        pair = bins * (pair & 0xFFFF) + (pair >> 16)
        of_pairs = _histogram(pair, bins**2).reshape(bins, bins)
        total = of_pairs.sum(0) + of_pairs.sum(1)
    else:
        # Sixteen histograms in turn, since entries of one size wait for each other on a GPU.
        turn = lax.broadcasted_iota(jnp.int32, x.shape, x.ndim - 1) % 16 if x.ndim else 0
        total = _histogram(number + bins * turn, 16 * bins).reshape(16, bins).sum(0)
    return total[1:].astype(x.dtype)


def _histogram(numbers: Array, bins: int) -> Array:
    """How often each number under `bins` occurs; on an explicit mesh every device has the counts of all."""
    mesh = jax.typeof(numbers).sharding.mesh
    everywhere = NamedSharding(mesh, PartitionSpec()) if AxisType.Explicit in mesh.axis_types else None
    return jnp.zeros(bins, jnp.int32).at[numbers].add(1, mode="promise_in_bounds", out_sharding=everywhere)


def _widened(x: Array) -> Array:
    return lax.stop_gradient(x).astype(wide(x.dtype))


def _counted(x: Array, masked: bool) -> Array:
    """Which entries are finite and not masked."""
    return jnp.isfinite(x) & (x > _MASKED) if masked else jnp.isfinite(x)


def _sums(arrays: Sequence[Array], fold: int = 16) -> list[Array]:
    return [jnp.sum(parts) for parts in folded(arrays, -1, fold)]


def _integers(x: Array, masked: bool, maxima: Sequence[Array] = ()) -> tuple[list[Array], list[Array]]:
    """How many entries are 0, how many are not finite, and if `masked` how many are not masked; and the maxima.

    All are reduced as integers: XLA's CPU backend vectorises that, since their order doesn't matter.
    """
    flags = [x == 0, ~jnp.isfinite(x)]
    if masked:
        seen = ~(x <= _MASKED)
        flags = [flags[0], flags[1] & seen, seen]
    integer = jnp.int64 if x.dtype == jnp.float64 else jnp.int32
    parts = folded(flags, -1, 256, [_in_order(lax.bitcast_convert_type(m, integer)) for m in maxima])
    counted = [jnp.sum(p) for p in parts[: len(flags)]]
    least = jnp.iinfo(integer).min  # x may be empty
    largest = [_in_order(jnp.max(p, initial=least)) for p in parts[len(flags) :]]
    return counted, [lax.bitcast_convert_type(bits, x.dtype) for bits in largest]


def _in_order(bits: Array) -> Array:
    """Make the bits of floats integers in the order of the numbers, or make these bits again."""
    return jnp.where(bits < 0, bits ^ jnp.iinfo(bits.dtype).max, bits)


def _stacked(x: Array, sums: Sequence[Array], counted: Sequence[Array]) -> Array:
    zeros, nonfinite, *seen = counted
    count = seen[0] if seen else jnp.full_like(x, x.size, shape=())
    return jnp.stack([s.astype(x.dtype) for s in (count, *sums, zeros, nonfinite)])


def folded(sums: Sequence[Array], axis: int, count: int, maxima: Sequence[Array] = ()) -> list[Array]:
    """Add up several arrays of one shape along an axis, `count` entries to one if that divides it; or take maxima.

    `jnp.sum` does the rest.

    This is one reduction, since XLA's CPU backend fuses it with the code that makes the arrays. For a separate
    reduction XLA would store the operand first: the gradient of a 4-layer MLP would hold 15 arrays in place of 5.
    The reduction stops after `count` entries, since XLA adds one entry after the other: the sum of a million equal
    entries would be 1% off in float32. XLA vectorises a fold of 16 of up to four arrays of floats, which takes less
    than half of the time of a fold of 64, and integers whatever the fold is. Booleans are counted in int32, since
    float32 stops at 2^24, or in uint8, which takes less memory.
    """
    arrays = [jnp.atleast_2d(a) for a in (*sums, *maxima)]
    shape = arrays[0].shape
    axis %= len(shape)
    count = count if shape[axis] % count == 0 else shape[axis]
    small = jnp.uint8 if count < 256 else jnp.int32
    arrays = [a.astype(small) if a.dtype == bool else a for a in arrays]
    parts = [a.reshape(*shape[:axis], count, shape[axis] // count, *shape[axis + 1 :]) for a in arrays]
    reducers = [lax.add] * len(sums) + [lax.max] * len(maxima)
    starts = [
        jnp.full((), jnp.iinfo(a.dtype).min if f is lax.max else 0, a.dtype)
        for f, a in zip(reducers, arrays, strict=True)
    ]

    def both(a: tuple[Array, ...], b: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple(f(x, y) for f, x, y in zip(reducers, a, b, strict=True))

    return lax.reduce(tuple(parts), tuple(starts), both, [axis])


def finished(sums: np.ndarray, is_cotangent: bool) -> dict[str, Any]:
    """Numbers from one array's sums: those of `moments`, and those of `counts` if they follow."""
    count, total, square, zeros, nonfinite = (float(s) for s in sums[: len(MOMENTS)])
    if is_cotangent:
        square /= COTANGENT_SCALE**2
    finite = count - nonfinite
    mean, mean_square = ratio(total, finite), ratio(square, finite)
    numbers: dict[str, Any] = {
        "count": count,
        "mean": mean,
        "std": math.sqrt(max(mean_square - mean * mean, 0.0)) if finite else math.nan,
        "rms": math.sqrt(mean_square),
        "zeros": ratio(zeros, count),
        "nonfinite": nonfinite,
    }
    if len(sums) > len(MOMENTS):
        bins = sums[len(MOMENTS) :]
        for name, (low, top) in FORMATS.items():
            numbers[f"flushed_{name}"] = ratio(bins[low > STARTS].sum(), count)
            numbers[f"overflow_{name}"] = ratio(bins[top <= STARTS].sum(), count)
        exponents = np.maximum(np.floor(np.log2(STARTS)), -127).astype(int)
        numbers["magnitudes"] = {int(e): int(n) for e in np.unique(exponents) if (n := bins[exponents == e].sum())}
    return numbers


def kurtosis(sums: np.ndarray, powers: np.ndarray) -> float:
    """The fourth central moment over the variance squared: 3 for a normal distribution.

    It is NaN where float32 sums do not determine it: if the mean is over ten standard deviations, or all is under 1e-8.
    """
    count, total, square, _, nonfinite = (float(s) for s in sums[: len(MOMENTS)])
    n = count - nonfinite
    mean, second, third, fourth = (ratio(s, n) for s in (total, square, *map(float, powers)))
    variance = second - mean * mean
    if not (variance > max(1e-16, second / 100)):
        return math.nan
    return (fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4) / variance**2


def ratio(a: float, b: float) -> float:
    """Divide; NaN where there is nothing to divide by."""
    return float(a / b) if b else math.nan
