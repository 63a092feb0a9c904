"""Functions of a row against their oracles, entry by entry: rows of 3 to 100,000 entries, masked, tied or one-hot."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from jaxact.core import catalog
from jaxact.verify import row_unit
from jaxact.verify.facts import Facts, facts
from jaxact.verify.results import Device, Result
from jaxact.verify.row_unit import Expected
from jaxact.verify.unit import BOUNDS

ALPHAS = {"softmax": 1.0, "softmin": 1.0, "log_softmax": 1.0, "sparsemax": 2.0, "entmax15": 1.5, "entmax": 1.5}
"""The alpha with which each function is entmax."""
LENGTHS = (3, 100, 100_000)
SHARES = 12
"""Units for softmax's and softmin's value in float32: rounding x - max alone costs 8. The slope is a multiple of it."""
FROM_ROUNDED = 4
"""Units for a slope from a 16-bit y: half an ulp of y is up to one ulp of the slope, and moves the mean of t."""


def expected(name: str, x: Any, mask: NDArray[np.bool_], t: Any, alpha: float) -> tuple[Expected, Expected, Expected]:
    """The value of one row, and its forward and reverse derivatives along t."""
    sign = -1 if name == "softmin" else 1
    settled = row_unit.settled(sign * x, mask)
    if name == "log_softmax":
        return row_unit.of_logarithms(settled, t, ~mask | np.isneginf(x))
    p = row_unit.softmax(settled) if alpha == 1 else row_unit.entmax(settled, alpha)
    value, slope = row_unit.of_shares(settled, p, alpha, sign * t)
    return value, slope, slope


def bounds(name: str, dtype: str, n: int) -> tuple[float, float]:
    """The bounds of the value and of the first derivative, for rows of n entries."""
    value, slope = BOUNDS[dtype][:2]
    if dtype == "float32":
        if name not in ("softmax", "softmin"):
            return value, slope
        return SHARES, SHARES if n == LENGTHS[-1] else slope
    return value, slope if name in ("log_softmax", "sparsemax") else FROM_ROUNDED  # these slopes do not come from y


@functools.partial(jax.jit, static_argnums=0)
def _results(function: Callable[..., Any], x: Any, masks: Any, t: Any) -> tuple[Any, Any, Any]:
    y, push = jax.linearize(lambda x: function(x, where=masks), x)
    return y, push(t), jax.linear_transpose(push, x)(t)[0]


def verify(name: str, dtype: str, device: Device) -> Iterator[Result]:
    """Judge value and first derivative of one function in one type, and jax.nn's function of the same name."""
    providers = {"jaxact": catalog.info(name).function, "jax.nn": getattr(jax.nn, name, None)}
    for n in LENGTHS:
        x, masks = row_unit.rows(n, dtype)
        keep = ~np.isposinf(x.astype(np.float32)).any(-1)  # for +inf jax.nn gives NaN, and jaxact may give it too
        x, masks = x[keep], masks[keep]
        t = row_unit.tangents(x.shape, dtype)
        wanted = [
            expected(name, row.astype(np.float64), mask, along.astype(np.float64), ALPHAS[name])
            for row, mask, along in zip(x, masks, t, strict=True)
        ]
        for by, function in providers.items():
            if function is None:
                continue
            got = [np.asarray(y) for y in _results(function, *jax.device_put((x, masks, t), device))]
            # Shares below float16's smallest number are lost, also to the mean of t; there are 100,000.
            lost = dtype == "float16" and n == LENGTHS[-1]
            for order, ways in enumerate(([0], [1, 2])):
                every = [_facts(x, got[i], [w[i] for w in wanted]) for i in ways]
                bound = bounds(name, dtype, n)[order] if by == "jaxact" and not (lost and order) else None
                yield Result(name, by, dtype, order, f"rows of {n:,}", sum(every[1:], every[0]), bound)


def _facts(x: Any, got: Any, wanted: list[Expected]) -> Facts:
    judged = [
        facts(row, y, w.reference.astype(np.float64), w.sensitivity.astype(np.float64))
        for row, y, w in zip(x, got, wanted, strict=True)
    ]
    return sum(judged[1:], judged[0])
