"""Where an activation is flat, and where its left and its right are."""

import functools
from typing import Any

import jax
import numpy as np
from jax import Array
from jax import numpy as jnp
from jax.core import eval_context

from jaxact.core import catalog

FLAT = 1e-3
"""The |f'| below which a unit passes on practically no gradient."""
_GAPS = 8
"""Periodic functions have more flat ranges than this, without end."""


@functools.cache
def turning_points(name: str) -> tuple[float, float]:
    """Where left ends and right begins: the activation's first and last kink, or else its minimum, or else 0."""
    row = catalog.find(name)
    if row is not None and row.kinks:
        return min(row.kinks), max(row.kinks)
    if row is None or row.monotone:
        return 0.0, 0.0
    center, width = 0.0, 4.0
    with eval_context():  # also inside of shard_map, where ensure_compile_time_eval traces
        for _ in range(3):
            x = np.linspace(center - width, center + width, 2001, dtype=np.float32)
            center, width = float(x[np.argmin(np.asarray(row.function(x)))]), width / 500
    return center, center


@functools.cache
def flat_ranges(name: str, parameters: tuple[tuple[str, Any], ...]) -> list[tuple[float, float]] | None:
    """The ranges of x, with their ends, where |f'| < `FLAT`; None if they are not known or without end.

    To compare x with them takes a fourth of the time of computing slopes. They are found among all numbers of
    bfloat16, and then among all of float32 between two of these that differ.

    >>> print([[round(x, 4) for x in ends] for ends in flat_ranges("gelu", (("approximate", False),))])
    [[-inf, -3.8104], [-0.7541, -0.7495]]
    """
    row, given = catalog.find(name), dict(parameters)
    if row is None or row.kind != "pointwise" or None in given.values() or not given.keys() <= row.parameters.keys():
        return None
    # Of an argument that is not given, a number has its default. A flag was not recognised.
    if any(type(row.parameters[p]) not in (int, float) for p in row.parameters.keys() - given.keys()):
        return None
    function = functools.partial(row.function, **given)

    @jax.jit
    def sides(x: Array) -> Array:
        slope = jax.jvp(function, (x,), (jnp.ones_like(x),))[1]
        return jnp.where(jnp.abs(slope) < FLAT, 0, jnp.where(slope > 0, 1, -1))

    def floats(first: int, step: int) -> np.ndarray:  # as many each time, so that JAX compiles once
        return (first + step * np.arange(2**16 + 1)).astype(np.uint32).view(np.float32)

    with eval_context(), jax.debug_nans(False), jax.debug_infs(False):
        x = np.sort(floats(0, 2**16))  # NaN last
        side = np.asarray(sides(x))
        gaps = np.flatnonzero((side[1:] != side[:-1]) & (x[1:] > x[:-1]))
        if len(gaps) > _GAPS:
            return None
        for gap in gaps:
            between = floats(int(x[gap : gap + 2].view(np.uint32).min()), 1)
            x, side = np.append(x, between), np.append(side, sides(between))
    x, first = np.unique(x, return_index=True)
    flat = (side[first] == 0) & ~np.isnan(x)
    ends = np.flatnonzero(np.diff(flat.astype(int), prepend=0, append=0))
    return [(float(x[low]), float(x[after - 1])) for low, after in zip(ends[::2], ends[1::2], strict=True)]
