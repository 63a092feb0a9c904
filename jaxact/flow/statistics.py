"""Additive statistics of the arrays at a site, and what is derived from them.

Everything that is computed on the device is a sum over entries, so that it stays exact when microbatches, steps, scans,
`vmap` or devices are added up. Means, shares and norms are finished on the host, in float64.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array, lax
from jax import numpy as jnp

from jaxact.core import catalog
from jaxact.flow.jaxprs import Combine
from jaxact.flow.programs import Visit
from jaxact.flow.sites import Site

MOMENTS = ("count", "sum", "square", "zeros", "nonfinite")
SLOPES = ("flat", "below", "above")
FLAT = 1e-3
"""|f'| under which a unit passes on no gradient worth the name."""

# Masks are -inf, the least finite number or part of it, -1e30, -1e9, or -1e4 added to a logit.
_MASKED = -5e3

# Squares of cotangents leave float32 at the bottom first: 1e-23 squared is 0, and a vanished gradient is what one looks
# for. Scaled by 2^32 before squaring, anything between 1e-28 and 1e9 has an exact rms.
_COTANGENT_SCALE = 2.0**32


def wide(dtype: Any) -> Any:
    """The type to add up in: float32, or float64 for float64."""
    return jnp.promote_types(dtype, jnp.float32)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))  # traced once for every shape, of which a model has few
def moments(x: Array, scale: float = 1.0, fold: int = 64, masked: bool = False) -> Array:
    """Count, sum, sum of (scale x)^2, zeros and non-finite entries of x; the sums leave the non-finite ones out.

    `fold` is how many entries are added up first; see `_folded`. With `masked`, entries that a mask before a softmax
    has made -inf or very negative are not counted at all.
    """
    x = lax.stop_gradient(x).astype(wide(x.dtype))
    finite = jnp.isfinite(x)
    if not masked:
        values = jnp.where(finite, x, 0)
        sums = map(jnp.sum, _folded([values, jnp.square(scale * values), x == 0, ~finite], -1, fold))
        return jnp.stack([jnp.full_like(x, x.size, shape=()), *(s.astype(x.dtype) for s in sums)])
    seen = ~(x <= _MASKED)
    values = jnp.where(finite & seen, x, 0)
    arrays = [seen, values, jnp.square(scale * values), (x == 0) & seen, ~finite & seen]
    return jnp.stack([jnp.sum(s).astype(x.dtype) for s in _folded(arrays, -1, fold)])


def forward(site: Site, function: Callable[[Array], Array], x: Array, y: Array) -> dict[str, Array]:
    """Statistics of what goes through a site.

    Args:
      site: where.
      function: the activation.
      x: its input.
      y: its output.

    Returns:
      "x" and "y": their moments. For elementwise activations also "slope": how many |f'(x)| < 1e-3, how many x lie left
      of the first and how many right of the last of its kinks (or of its minimum; else of 0); and "fired": for each
      unit, an entry of the unit axis, how many |f'(x)| >= 1e-3.
    """
    along = site.kind == "axis"
    statistics = {"x": moments(x, masked=along), "y": moments(y, masked=along)}
    if site.kind == "pointwise":
        _, slope = jax.jvp(function, (x,), (jnp.ones_like(x),))
        if slope.ndim and site.unit_axis % slope.ndim != slope.ndim - 1:
            slope = jnp.moveaxis(slope, site.unit_axis, -1)
        low, high = turning_points(site.name)
        if x.shape == slope.shape == site.shape:
            fired, below, above = _folded([~(jnp.abs(slope) < FLAT), x < low, x > high], -2, 16)
        else:  # the units are not last, x is transposed on the way, or a parameter is larger than x
            (fired,) = _folded([~(jnp.abs(slope) < FLAT)], -2, 16)
            below, above = _folded([x < low, x > high], -2, 16)
        fired = jnp.sum(fired, axis=range(fired.ndim - 1))
        dtype = wide(x.dtype)
        statistics["slope"] = jnp.stack([slope.size - jnp.sum(fired), jnp.sum(below), jnp.sum(above)]).astype(dtype)
        statistics["fired"] = fired.astype(dtype)
    return statistics


def forward_zeros(site: Site, loops: tuple[int, ...]) -> dict[str, Array]:
    """The statistics of a site that is not run, within loops of some lengths."""
    dtype = wide(site.dtype)
    statistics = {"x": jnp.zeros((*loops, len(MOMENTS)), dtype), "y": jnp.zeros((*loops, len(MOMENTS)), dtype)}
    if site.kind == "pointwise":
        statistics["slope"] = jnp.zeros((*loops, len(SLOPES)), dtype)
        statistics["fired"] = jnp.zeros((*loops, site.shape[site.unit_axis] if site.shape else 1), dtype)
    return statistics


def _both(a: Any, b: Any) -> Any:
    return jax.tree.map(jnp.add, a, b)


def _across(statistics: Any, over: Callable[[Array], tuple[str, ...]]) -> Any:
    return jax.tree.map(lambda s: lax.psum(s, over(s)) if over(s) else s, statistics)


COMBINE = Combine(_both, _across)


def slots(site: Site) -> dict[str, Array] | None:
    """What the taps of a site are differentiated by: one for its input and one for its output, for each iteration."""
    if not site.tapped:
        return None
    zero = jnp.zeros((*site.loops, len(MOMENTS)), wide(site.dtype))
    return {"dx": zero, "dy": zero}


@jax.custom_vjp
def tap(x: Array, slot: Array) -> Array:
    """Return x. The "gradient" by `slot` is the moments of x's cotangent: nothing is kept for the backward pass."""
    return x


def _tap_backward(_: None, cotangent: Array) -> tuple[Array, Array]:
    return cotangent, moments(cotangent, _COTANGENT_SCALE, 16)


tap.defvjp(lambda x, slot: (x, None), _tap_backward)


def visit(step: Visit, inputs: Sequence[Any], slot: Any) -> tuple[Array, dict[str, Array]]:
    """Run an activation, with a tap on each side of it if it has a slot.

    Returns:
      Its output and the statistics of the forward pass.
    """
    function, x = step.of_x(inputs), inputs[step.argument]
    if slot is None:
        y = function(x)
    else:
        x = tap(x, slot["dx"])
        y = tap(function(x), slot["dy"])
    return y, lax.stop_gradient(forward(step.site, function, lax.stop_gradient(x), lax.stop_gradient(y)))


@functools.cache
def turning_points(name: str) -> tuple[float, float]:
    """Where left ends and right begins: an activation's first and last kink; else its minimum if it has one, else 0."""
    row = catalog.find(name)
    if row is not None and row.kinks:
        return min(row.kinks), max(row.kinks)
    if row is None or row.monotone:
        return 0.0, 0.0
    center, width = 0.0, 4.0
    with jax.ensure_compile_time_eval():
        for _ in range(3):
            x = np.linspace(center - width, center + width, 2001, dtype=np.float32)
            center, width = float(x[np.argmin(np.asarray(row.function(x)))]), width / 500
    return center, center


def finish(statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Derive a record's numbers from the statistics of one site, iteration and step.

    Args:
      statistics: sums, of one dimension each.

    Returns:
      Mean, standard deviation, root mean square, share of zeros and count of non-finite entries of "x", "y", "dx", "dy"
      (under "x_mean", ...), "flat", "below", "above" (shares), "units", "dead" (units that never fired), and "gain",
      rms(dx) / rms(dy). NaN where there is nothing to divide by.
    """
    record: dict[str, float] = {}
    for array in ("x", "y", "dx", "dy"):
        sums = statistics.get(array, np.zeros(len(MOMENTS)))
        record |= {f"{array}_{key}": value for key, value in _finished(sums, array.startswith("d")).items()}
    shares = statistics.get("slope", np.full(len(SLOPES), math.nan))
    record |= {key: _ratio(float(n), record["x_count"]) for key, n in zip(SLOPES, shares, strict=True)}
    fired = statistics.get("fired")
    record["units"] = math.nan if fired is None else fired.size
    record["dead"] = math.nan if fired is None or not record["x_count"] else int((fired == 0).sum())
    record["gain"] = _ratio(record["dx_rms"], record["dy_rms"])
    return record


def _finished(sums: np.ndarray, is_cotangent: bool) -> dict[str, float]:
    count, total, square, zeros, nonfinite = (float(s) for s in sums)
    if is_cotangent:
        square /= _COTANGENT_SCALE**2
    finite = count - nonfinite
    mean, mean_square = _ratio(total, finite), _ratio(square, finite)
    return {
        "count": count,
        "mean": mean,
        "std": math.sqrt(max(mean_square - mean * mean, 0.0)) if finite else math.nan,
        "rms": math.sqrt(mean_square),
        "zeros": _ratio(zeros, count),
        "nonfinite": nonfinite,
    }


def _ratio(a: float, b: float) -> float:
    return a / b if b else math.nan


def _folded(arrays: Sequence[Array], axis: int, count: int) -> list[Array]:
    """Add up several arrays of one shape along an axis, `count` entries to one if that divides it.

    `jnp.sum` does the rest.

    In one reduction, since XLA's CPU backend fuses that with what makes the arrays; of one that stands alone it stores
    the operand first: the gradient of a 4-layer MLP would hold 15 arrays in place of 5. And no further than that, since
    it adds one entry after the other: the sum of a million equal entries would be 1 % off in float32. It vectorises a
    fold of 16, which takes half the time of one of 64; where the parts of 16 would be the peak of the memory, while
    the forward pass keeps all for the backward one, it is 64. Booleans are counted in int32: float32 stops at 2^24.
    """
    arrays = [a.astype(jnp.int32) if a.dtype == bool else a for a in map(jnp.atleast_2d, arrays)]
    shape = arrays[0].shape
    axis %= len(shape)
    count = count if shape[axis] % count == 0 else shape[axis]
    parts = [a.reshape(*shape[:axis], count, shape[axis] // count, *shape[axis + 1 :]) for a in arrays]
    zeros = [jnp.zeros((), a.dtype) for a in arrays]
    return lax.reduce(tuple(parts), tuple(zeros), lambda a, b: tuple(map(jnp.add, a, b)), [axis])
