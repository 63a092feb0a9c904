"""Additive statistics of the arrays at a site, and what is derived from them.

Everything that is computed on the device is a sum over entries, so that it stays exact when microbatches, steps, scans,
`vmap` or devices are added up. Means, shares and norms are finished on the host, in float64.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax import Array, lax
from jax import numpy as jnp

from jaxact.flow.sites import Site, catalog_row

MOMENTS = ("count", "sum", "square", "zeros", "nonfinite")
SLOPES = ("flat", "below", "above")
FLAT = 1e-3
"""|f'| under which a unit passes on no gradient worth the name."""

# Squares of cotangents leave float32 at the bottom first: 1e-23 squared is 0, and a vanished gradient is what one looks
# for. Scaled by 2^32 before squaring, anything between 1e-28 and 1e9 has an exact rms.
_COTANGENT_SCALE = 2.0**32


def wide(dtype: Any) -> Any:
    """The type to add up in: float32, or float64 for float64."""
    return jnp.promote_types(dtype, jnp.float32)


def moments(x: Array, scale: float = 1.0) -> Array:
    """Count, sum, sum of (scale x)^2, zeros and non-finite entries of x; the sums leave the non-finite ones out."""
    x = x.astype(wide(x.dtype))
    finite = jnp.isfinite(x)
    values = jnp.where(finite, x, 0)
    return jnp.stack(
        [
            jnp.full_like(x, x.size, shape=()),
            jnp.sum(values),
            jnp.sum(jnp.square(scale * values)),
            _count(x == 0, x.dtype),
            _count(~finite, x.dtype),
        ]
    )


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
      unit, an entry of the last axis, how many |f'(x)| >= 1e-3.
    """
    statistics = {"x": moments(x), "y": moments(y)}
    if site.kind == "pointwise":
        _, slope = jax.jvp(function, (x,), (jnp.ones_like(x),))
        flat = jnp.abs(slope) < FLAT
        low, high = turning_points(site.name)
        dtype = wide(x.dtype)
        statistics["slope"] = jnp.stack([_count(flat, dtype), _count(x < low, dtype), _count(x > high, dtype)])
        fired = (~flat).reshape(-1, x.shape[-1] if x.ndim else 1)
        statistics["fired"] = jnp.sum(fired, axis=0, dtype=jnp.int32).astype(dtype)
    return statistics


def forward_zeros(site: Site) -> dict[str, Array]:
    """The statistics of a site that is not run."""
    dtype = wide(site.dtype)
    statistics = {"x": jnp.zeros(len(MOMENTS), dtype), "y": jnp.zeros(len(MOMENTS), dtype)}
    if site.kind == "pointwise":
        statistics["slope"] = jnp.zeros(len(SLOPES), dtype)
        statistics["fired"] = jnp.zeros(site.shape[-1:] or (1,), dtype)
    return statistics


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
    return _at_once(cotangent, moments(cotangent, _COTANGENT_SCALE))


tap.defvjp(lambda x, slot: (x, None), _tap_backward)


def visit(site: Site, function: Callable[[Array], Array], x: Array, slot: Any) -> tuple[Array, dict[str, Array]]:
    """Run an activation, with a tap on each side of it if it has a slot.

    Returns:
      Its output and the statistics of the forward pass.
    """
    if slot is None:
        y = function(x)
    else:
        x = tap(x, slot["dx"])
        y = tap(function(x), slot["dy"])
    statistics = forward(site, function, lax.stop_gradient(x), lax.stop_gradient(y))
    return _at_once(y, lax.stop_gradient(statistics))


def _at_once(x: Array, statistics: Any) -> tuple[Array, Any]:
    """Let nobody have x before its statistics are there.

    XLA would be free to compute them at the end of the step, and to keep x and what they are made of until then: the
    gradient of a 4-layer MLP holds 6 arrays, 10 with statistics and 7 with this (XLA's memory-minimising scheduler).
    """
    return lax.optimization_barrier((x, statistics))


@functools.cache
def turning_points(name: str) -> tuple[float, float]:
    """Where left ends and right begins: an activation's first and last kink; else its minimum if it has one, else 0."""
    row = catalog_row(name)
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


def _count(condition: Array, dtype: Any) -> Array:
    """In int32 and not in float32, which stops counting at 2^24."""
    return jnp.sum(condition, dtype=jnp.int32).astype(dtype)
