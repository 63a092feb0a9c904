"""The curves of an activation: its values and two derivatives along one line, as plain numbers."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxact.core.catalog import Row

ORDERS = ("f", "f'", "f''")
_POINTS = 201
_HALF_WIDTHS = (4.0, 6.0, 10.0, 15.0, 25.0, 50.0, 100.0)


class Curve(NamedTuple):
    """An activation along a line."""

    setting: str
    """What f(x) is."""
    x: np.ndarray
    """Ascending numbers. At each kink there is one just left of it and one just right of it, and none between."""
    orders: np.ndarray
    """(3, points): f, f' and f'' at x."""
    piece: np.ndarray
    """The number of the piece between kinks that each x is on."""
    kinks: np.ndarray
    """(kinks, 3): x, f and the f' that is returned there."""


def settings(row: Row) -> dict[str, Any]:
    """The parameters to draw an activation with: none, or those of its first variant where a default is missing."""
    needed = {name for name, default in row.parameters.items() if default is inspect.Parameter.empty} - {"key"}
    return dict(row.variants[0]) if needed else {}


def curve(row: Row, bound: Mapping[str, Any] | None = None) -> Curve:
    """Compute the curves.

    Args:
      row: the activation.
      bound: its parameters; by default those of `settings`.
    """
    claimed = settings(row)
    bound = claimed if bound is None else bound
    function, setting = _along_a_line(row, bound)
    compute = _with_derivatives(function if row.kind == "pointwise" else jax.vmap(function))

    kinks = np.array(sorted(row.kinks) if bound == claimed else [], np.float32)
    half = _half_width(row, compute, kinks)
    x = np.linspace(-half, half, _POINTS, dtype=np.float32)
    beside = np.float32(1e-6 * half)
    x = x[(np.abs(x[:, None] - kinks) > beside).all(1)]
    x = np.sort(np.concatenate([x, kinks - beside, kinks + beside]))
    piece = (x[:, None] > kinks).sum(1)
    return Curve(setting, x, compute(x), piece, np.stack([kinks, *compute(kinks)[:2]], axis=1))


def _along_a_line(row: Row, bound: Mapping[str, Any]) -> tuple[Callable[[Array], Array], str]:
    """The activation as a function of one number, and the text of that call."""
    name, function = row.name, row.function
    given = "".join(f", {k}={v:g}" if isinstance(v, float) else f", {k}={v}" for k, v in bound.items())
    if row.kind == "random":
        return lambda t: function(t, None, **bound), f"{name}(x, key=None{given}), as at evaluation"
    if row.kind == "axis":
        if "key" in row.parameters:
            bound, given = {**bound, "key": jax.random.key(0)}, f", jax.random.key(0){given}"
        return lambda t: function(jnp.stack([t, jnp.zeros_like(t)]), **bound)[0], f"{name}([x, 0]{given})[0]"
    if row.kind == "gated" and "value" in inspect.signature(function).parameters:
        return lambda t: function(t, jnp.ones_like(t), **bound), f"{name}(x, 1{given}): x is the gate, 1 the value"
    if row.kind == "gated":
        return lambda t: function(jnp.stack([jnp.ones_like(t), t]), **bound)[0], f"{name}([1, x]{given}): x is the gate"
    return lambda t: function(t, **bound), f"{name}(x{given})"


def _with_derivatives(function: Callable[[Array], Array]) -> Callable[[np.ndarray], np.ndarray]:
    """Map x to f, f' and f'' of an elementwise f. Every call has the same shape, so that it compiles once."""

    def derivative(f: Callable[[Array], Array]) -> Callable[[Array], tuple[Array, Array]]:
        return lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))

    @jax.jit
    def evaluate(x: Array) -> Array:
        (value, slope), (_, curvature) = jax.jvp(derivative(function), (x,), (jnp.ones_like(x),))
        return jnp.stack([value, slope, curvature])

    def compute(x: np.ndarray) -> np.ndarray:
        return np.asarray(evaluate(jnp.asarray(np.resize(x, 256) if x.size else np.zeros(256, np.float32))))[
            :, : x.size
        ]

    return compute


def _half_width(row: Row, compute: Callable[[np.ndarray], np.ndarray], kinks: np.ndarray) -> float:
    """Half the width of a window that shows all kinks and, for an elementwise function, the slopes at both ends."""
    low, high = row.range
    if row.lipschitz < math.inf and row.lipschitz > 10 * (high - low):
        return 10 / row.lipschitz  # a fast oscillation: a few periods
    candidates = np.array([w for w in _HALF_WIDTHS if w >= 1.25 * np.max(np.abs(kinks), initial=0)], np.float32)
    if row.kind != "pointwise":
        return float(candidates[0])
    slopes = [compute(side * candidates)[1] for side in (-1, 1)]
    ended = [
        np.abs(slope - limit) < 0.2 if math.isfinite(limit) else np.ones_like(candidates, bool)
        for slope, limit in zip(slopes, row.slope_limits, strict=True)
    ]
    return float(candidates[np.argmax(ended[0] & ended[1])])
