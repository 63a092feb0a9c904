"""Functions of a row within the error unit's bounds, entry by entry: values, and derivatives in both modes."""

import functools

import jax
import numpy as np
import pytest

import jaxact
from tests import row_unit
from tests.error_unit import BOUNDS, units

ALPHAS = {"softmax": (1.0,), "softmin": (1.0,), "log_softmax": (1.0,), "sparsemax": (2.0,), "entmax15": (1.5,)}
ALPHAS["entmax"] = (1.0625, 1.75, 1.90625, 3.0)
"""What each function is entmax of, in float32 numbers; entmax itself is given one a row."""

# What is kept for the derivative is y, which 16 bits round: half an ulp of y is up to a whole one of the derivative,
# and moves the mean of t, from which the t of an entry may be not far. Up to 3.7 in 6000 random rows, there with n = 3.
FROM_ROUNDED = 4

CASES = [(name, "float32", n) for name in ALPHAS for n in (3, 100, 100_000)]
CASES += [(name, "bfloat16", 100) for name in ALPHAS] + [("softmax", "bfloat16", n) for n in (3, 100_000)]
CASES += [("softmax", "float16", n) for n in (3, 100, 100_000)]
CASES += [(name, "float64", n) for name in ALPHAS for n in (3, 100)] + [("softmax", "float64", 100_000)]


@functools.partial(jax.jit, static_argnums=0)
def _results(function, x, masks, t):
    y, push = jax.linearize(lambda x: function(x, where=masks), x)
    return y, push(t), jax.linear_transpose(push, x)(t)[0]


def _expected(name, x, mask, alpha, t):
    """Value, forward and reverse derivative of one row."""
    sign = -1 if name == "softmin" else 1
    settled = row_unit.settled(sign * x, mask)
    if name == "log_softmax":
        return row_unit.of_logarithms(settled, t, ~mask | np.isneginf(x))
    p = row_unit.softmax(settled) if alpha == 1 else row_unit.entmax(settled, alpha)
    value, slope = row_unit.of_shares(settled, p, alpha, sign * t)
    return value, slope, slope


@pytest.mark.parametrize(("name", "dtype", "n"), CASES)
def test_within_the_unit(name, dtype, n):
    rows, masks = (np.concatenate([a] * len(ALPHAS[name])) for a in row_unit.rows(n, dtype))
    alphas = np.repeat(ALPHAS[name], len(rows) // len(ALPHAS[name]))
    t = row_unit.tangents(rows.shape, dtype)
    function = getattr(jaxact, name)
    if name == "entmax":
        function = functools.partial(function, alpha=np.asarray(alphas[:, None], np.float32))
    value, *slopes = BOUNDS[dtype][0], *[BOUNDS[dtype][1]] * 2
    if rows.dtype.itemsize == 2 and name not in ("log_softmax", "sparsemax"):  # theirs is from x, and from the support
        slopes = [FROM_ROUNDED] * 2
    if dtype == "float16" and n == 100_000:  # shares under its smallest number are lost, also to the mean of t
        slopes = [np.inf] * 2
    with jax.enable_x64(dtype == "float64"):
        results = map(np.asarray, _results(function, rows, masks, t))
    wide = np.longdouble if dtype == "float64" else np.float64
    for i, got in enumerate(zip(*results, strict=True)):
        assert all(y.dtype == rows.dtype for y in got)
        x, tangent = rows[i].astype(wide), t[i].astype(wide)
        expected = _expected(name, x, masks[i], alphas[i], tangent)
        for order, result, wanted, bound in zip((0, "jvp", "vjp"), got, expected, (value, *slopes), strict=True):
            error = units(result, wanted.reference, wanted.sensitivity)
            worst = np.argmax(error)
            assert error[worst] <= bound, (
                f"{name}, alpha {alphas[i]}, derivative {order}, row {i}, entry {worst}: {error[worst]:.2f} units, over"
                f" {bound}: got {result[worst]}, expected {wanted.reference[worst]}"
            )


def test_entmax_of_few_entries():
    """Where two entries share a row, and with them a cotangent that hardly differs, rounding it by a weight shows."""
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 0.9, (200, 2)).astype(np.float32)
    t = (0.6 + 0.05 * rng.normal(size=x.shape)).astype(np.float32)
    masks, alpha = np.ones(x.shape, bool), 1.90625
    function = functools.partial(jaxact.entmax, alpha=alpha)
    *_, gradient = map(np.asarray, _results(function, x, masks, t))
    for i, got in enumerate(gradient):
        wanted = _expected("entmax", x[i].astype(float), masks[i], alpha, t[i].astype(float))[2]
        assert units(got, wanted.reference, wanted.sensitivity).max() <= BOUNDS["float32"][1], f"row {i}"
