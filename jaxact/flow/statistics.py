"""The measurements at a site, forward and backward, and the record that is made from them."""

import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array, lax
from jax import numpy as jnp

from jaxact.flow import jaxprs
from jaxact.flow.jaxprs import Combine
from jaxact.flow.programs import Visit
from jaxact.flow.ranges import FLAT, flat_ranges, turning_points
from jaxact.flow.sites import Site
from jaxact.flow.sums import (
    COTANGENT_SCALE,
    MOMENTS,
    STARTS,
    counts,
    finished,
    folded,
    kurtosis,
    moments,
    ratio,
    shape,
    wide,
)

SLOPES = ("flat", "below", "above")

_PROBABILITIES = ("softmax", "softmin", "log_softmax", "gumbel_softmax", "sparsemax", "entmax15", "entmax")
"""Activations whose rows have an entropy."""

_LOGARITHMS = ("log_softmax", "logsumexp")
"""Activations along an axis whose output is -inf, too, where a mask before them is."""


def forward(
    site: Site, flat: Callable[[Array], Array], x: Array, y: Array, magnitudes: bool = False
) -> dict[str, Array]:
    """Statistics of the values at a site.

    Args:
      site: the site.
      flat: says of each entry of an elementwise activation whether |f'| is below 1e-3.
      x: its input.
      y: its output.
      magnitudes: whether to count entries by powers of two.

    Returns:
      "x" and "y" are their moments, and counts if wanted. "powers" are sums of the third and fourth powers of x, and
      of y. "largest" are the largest |x| and |y|, and along an axis also the largest x. For probabilities, "entropy"
      are the sums of -p log p and of p. For elementwise activations, "slope" says how many |f'(x)| are below 1e-3, how
      many x lie left of the first kink, and how many right of the last one (or of the minimum, or else of 0). There
      "fired" says for each unit, an entry of the unit axis, how many |f'(x)| are 1e-3 or more.
    """
    along = site.kind == "axis"
    logarithms = site.name in _LOGARITHMS
    of_x, powers_x, largest_x = shape(x, along)
    of_y, powers_y, largest_y = shape(y, logarithms)
    if magnitudes:
        of_x = jnp.concatenate([of_x, counts(x, along)])
        of_y = jnp.concatenate([of_y, counts(y, logarithms).astype(of_y.dtype)])
    statistics = {"x": of_x, "y": of_y, "powers": jnp.concatenate([powers_x, powers_y])}
    statistics["largest"] = jnp.stack([largest_x[0], largest_y[0], *largest_x[1:]])
    if _has_entropy(site):
        statistics["entropy"] = _entropy(site, y, of_y[MOMENTS.index("sum")])
    if site.kind == "pointwise":
        fires = ~flat(x)
        low, high = turning_points(site.name)
        if fires.ndim and site.unit_axis % fires.ndim != fires.ndim - 1:
            fires = jnp.moveaxis(fires, site.unit_axis, -1)
        if x.shape == fires.shape == site.shape:
            fired, below, above = folded([fires, x < low, x > high], -2, 16)
        else:  # the units are not last, x is transposed on the way, or a parameter is larger than x
            (fired,) = folded([fires], -2, 16)
            below, above = folded([x < low, x > high], -2, 16)
        fired = jnp.sum(fired, axis=range(fired.ndim - 1))
        dtype = wide(x.dtype)
        statistics["slope"] = jnp.stack([fires.size - jnp.sum(fired), jnp.sum(below), jnp.sum(above)]).astype(dtype)
        statistics["fired"] = fired.astype(dtype)
    return statistics


def _has_entropy(site: Site) -> bool:
    return site.kind == "axis" and site.name in _PROBABILITIES


def _entropy(site: Site, y: Array, total: Array) -> Array:
    """The sums of -p log p and of p, where `total` is the sum of y, which is p except for log_softmax.

    The sum of p is 1 for each row, or 0 for one that is masked entirely.
    """
    y = y.astype(wide(y.dtype))
    if site.name == "log_softmax":
        p = jnp.where(jnp.isfinite(y), jnp.exp(y), 0)
        return jnp.stack([-jnp.sum(jnp.where(p > 0, p * y, 0)), jnp.sum(p)])
    p = jnp.where(y > 0, y, 1)  # 0 and NaN add nothing
    return jnp.stack([-jnp.sum(p * jnp.log(p)), total])


def forward_zeros(site: Site, loops: tuple[int, ...], magnitudes: bool = False) -> dict[str, Array]:
    """The statistics of a site that does not run, within loops of some lengths."""

    def zeros(*shape: int) -> Array:
        return jnp.zeros((*loops, *shape), wide(site.dtype))

    size = len(MOMENTS) + magnitudes * len(STARTS)
    statistics = {"x": zeros(size), "y": zeros(size), "powers": zeros(4), "largest": zeros(2)}
    if site.kind == "axis":
        statistics["largest"] = zeros(3).at[..., 2].set(-jnp.inf)
        if _has_entropy(site):
            statistics["entropy"] = zeros(2)
    if site.kind == "pointwise":
        statistics["slope"] = zeros(len(SLOPES))
        statistics["fired"] = zeros(site.shape[site.unit_axis] if site.shape else 1)
    return statistics


def both(a: Any, b: Any) -> Any:
    """Combine two pytrees of statistics: sums are added, and the larger of the largest values is taken."""
    return jax.tree.map_with_path(lambda path, a, b: jnp.maximum(a, b) if _largest(path) else a + b, a, b)


def _across(statistics: Any, over: Callable[[Array], tuple[str, ...]]) -> Any:
    def one(path: Any, s: Array) -> Array:
        return (lax.pmax if _largest(path) else lax.psum)(s, over(s)) if over(s) else s

    return jax.tree.map_with_path(one, statistics)


def _largest(path: tuple[Any, ...]) -> bool:
    return getattr(path[-1], "key", None) == "largest"


COMBINE = Combine(both, _across)


def slots(site: Site, magnitudes: bool = False) -> dict[str, Array] | None:
    """The slots of a site: one for its input and one for its output, for each iteration. Their gradients are read."""
    if not site.tapped:
        return None
    zero = jnp.zeros((*site.loops, len(MOMENTS) + magnitudes * len(STARTS)), wide(site.dtype))
    return {"dx": zero, "dy": zero}


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def tap(x: Array, slot: Array, magnitudes: bool, fold: int) -> Array:
    """Return x. The "gradient" by `slot` is the moments of x's cotangent: nothing is kept for the backward pass."""
    return x


def _tap_backward(magnitudes: bool, fold: int, _: None, cotangent: Array) -> tuple[Array, Array]:
    sums = moments(cotangent, COTANGENT_SCALE, fold=fold)
    return cotangent, jnp.concatenate([sums, counts(cotangent)]) if magnitudes else sums


tap.defvjp(lambda x, slot, magnitudes, fold: (x, None), _tap_backward)


def visit(step: Visit, inputs: Sequence[Any], slot: Any, magnitudes: bool = False) -> tuple[Array, dict[str, Array]]:
    """Run an activation, with a tap on each side of it if it has a slot.

    Returns:
      Its output and the statistics of the forward pass.
    """
    function = step.of_x(inputs)
    x: Any = inputs[step.argument]
    y: Any
    if slot is None:
        y = function(x)
    else:
        # An MLP's memory has its peak at the parts of dy and dx. Attention keeps several arrays of its logits' size.
        x = tap(x, slot["dx"], magnitudes, 16)
        y = tap(function(x), slot["dy"], magnitudes, 16 if step.site.kind == "axis" else 64)
    seen = forward(step.site, _flatness(step, inputs), lax.stop_gradient(x), lax.stop_gradient(y), magnitudes)
    return y, lax.stop_gradient(seen)


def _flatness(step: Visit, inputs: Sequence[Any]) -> Callable[[Array], Array]:
    """Make the function that says of each entry of x whether an elementwise activation is flat there.

    Where the parameters are known numbers and x keeps its axes, it compares x with the ends of ranges. Elsewhere it
    computes the slopes.
    """
    match = step.match
    here = match.axes == tuple(range(len(step.site.shape))) or (
        not match.axes  # a function of jaxact
        and not any("transpose" in jaxprs.primitives(inner) for inner in jaxprs.jaxprs_in(step.equation.params))
    )
    same = match.form is None or match.form.same_slope
    ranges = flat_ranges(step.site.name, step.site.parameters) if same and here else None

    def by_ranges(x: Array, ranges: Sequence[tuple[float, float]]) -> Array:
        x = x.astype(wide(x.dtype))
        inside = [(x <= high) if low == -math.inf else (x >= low) & (x <= high) for low, high in ranges]
        return functools.reduce(operator.or_, inside, jnp.zeros(x.shape, bool))

    def by_slopes(x: Array) -> Array:
        return jnp.abs(jax.jvp(step.of_x(inputs), (x,), (jnp.ones_like(x),))[1]) < FLAT

    return by_slopes if ranges is None else functools.partial(by_ranges, ranges=ranges)


def finish(statistics: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Derive a record's numbers from the statistics of one site, iteration and step.

    Args:
      statistics: sums, of one dimension each.

    Returns:
      A record. For each of "x", "y", "dx" and "dy" it has mean, standard deviation, root mean square, share of zeros
      and count of non-finite entries ("x_mean", "x_std", "x_rms", "x_zeros", "x_nonfinite", among "x_count" entries).
      It has the shares "flat", "below" and "above"; "fired" (how often each unit did), "units", and "dead" (how many
      units never did); and "gain", which is rms(dx) / rms(dy). It has "x_largest" and "y_largest" (the largest |x| and
      |y|), and "x_kurtosis" and "y_kurtosis" (3 for a normal distribution). For a softmax it has "largest_logit", and
      "entropy", the mean over rows, in nats. With counts it also has, for each array, the shares that a type would
      flush to 0 and that would overflow there ("dx_flushed_f16", "y_overflow_e4m3"), for "f16", "bf16", "e4m3" and
      "e5m2"; and "dx_magnitudes", which says by e how many entries have 2^e < |dx| <= 2^(e+1). A number is NaN where
      there is nothing to divide by.
    """
    record: dict[str, Any] = {}
    for array in ("x", "y", "dx", "dy"):
        sums = statistics.get(array, np.zeros(len(MOMENTS)))
        record |= {f"{array}_{key}": value for key, value in finished(sums, array.startswith("d")).items()}
    for i, array in enumerate(("x", "y")):
        record[f"{array}_largest"] = float(statistics["largest"][i]) if record[f"{array}_count"] else math.nan
        record[f"{array}_kurtosis"] = kurtosis(statistics[array], statistics["powers"][2 * i : 2 * i + 2])
    logit = statistics["largest"][2] if len(statistics["largest"]) > 2 else math.nan
    record["largest_logit"] = float(logit) if math.isfinite(logit) else math.nan
    record["entropy"] = ratio(*statistics.get("entropy", (math.nan, 1.0)))
    shares = statistics.get("slope", np.full(len(SLOPES), math.nan))
    record |= {key: ratio(float(n), record["x_count"]) for key, n in zip(SLOPES, shares, strict=True)}
    fired = statistics.get("fired")
    record["fired"] = fired
    record["units"] = math.nan if fired is None else fired.size
    record["dead"] = math.nan if fired is None or not record["x_count"] else int((fired == 0).sum())
    record["gain"] = ratio(record["dx_rms"], record["dy_rms"])
    return record
