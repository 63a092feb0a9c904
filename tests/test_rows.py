"""Functions of a row within the error unit's bounds, entry by entry: values, and derivatives in both modes."""

import functools

import jax
import numpy as np
import pytest

import jaxact
from jaxact.verify import row_unit
from jaxact.verify.unit import BOUNDS, units

ALPHAS = {"softmax": (1.0,), "softmin": (1.0,), "log_softmax": (1.0,), "sparsemax": (2.0,), "entmax15": (1.5,)}
ALPHAS["entmax"] = (1.0625, 1.75, 1.90625, 3.0)
"""What each function is entmax of, in float32 numbers; entmax itself is given one a row."""

# What is kept for the derivative is y, which 16 bits round: half an ulp of y is up to a whole one of the derivative,
# and moves the mean of t, from which the t of an entry may be not far. Up to 3.7 in 6000 random rows, there with n = 3.
FROM_ROUNDED = 4

# softmin is softmax of -x; sparsemax, entmax15 and entmax have one solver, and the first two one derivative.
CASES = [(name, "float32", 100) for name in ALPHAS]
CASES += [(name, "float32", 100_000) for name in ("softmax", "log_softmax", "sparsemax", "entmax")]
CASES += [(name, d, 100) for name in ("softmax", "log_softmax", "entmax15", "entmax") for d in ("bfloat16", "float64")]
CASES += [("softmax", "float16", n) for n in (100, 100_000)]


@functools.partial(jax.jit, static_argnums=0)
def _results(function, x, masks, t, *alphas):
    y, push = jax.linearize(lambda x: function(x, *alphas, where=masks), x)
    return y, push(t), jax.linear_transpose(push, x)(t)[0]


def _rows(name, dtype, n):
    """Rows, masks, and an alpha a row. Rows of 3 are in rows of 100, whose other entries are left out.

    Each row is there with each alpha. Of 100,000 entries there are, with one of them, those rows in which many entries
    have a share: in the others the length makes no difference.
    """
    x, masks = row_unit.rows(n, dtype)
    if n > 100:
        x, masks = (a[[0, 3, 4, 5, 6, 7]] for a in (x, masks))  # neither the wide ones nor those with infinities
        return x, masks, np.resize(ALPHAS[name], len(x))
    few, seen = row_unit.rows(3, dtype)
    x = np.concatenate([x, np.concatenate([few, x[:, 3:]], 1)])
    masks = np.concatenate([masks, np.pad(seen, ((0, 0), (0, n - 3)))])
    alphas = np.repeat(ALPHAS[name], len(x))
    return *(np.resize(a, (len(alphas), n)) for a in (x, masks)), alphas


def _expected(name, x, mask, alpha, t, y=None):
    """Value, forward and reverse derivative of one row; and the derivative of y, where it is given."""
    sign = -1 if name == "softmin" else 1
    settled = row_unit.settled(sign * x, mask)
    if name == "log_softmax":
        return *row_unit.of_logarithms(settled, t, ~mask | np.isneginf(x)), None
    p = row_unit.softmax(settled) if alpha == 1 else row_unit.entmax(settled, alpha)
    value, slope = row_unit.of_shares(settled, p, alpha, sign * t)
    return value, slope, slope, None if y is None else row_unit.of_shares(settled, y, alpha, sign * t)[1]


def _hold(name, dtype, n, tangents):
    """Each row with each alpha within DESIGN's bounds.

    A slope that is made of y is to DESIGN's bound that of the y that is returned, and to a wider one that of x: in 16
    bits, and in float32 in rows of 100,000 entries, whose shares are wrong by up to 11 units.
    """
    rows, masks, alphas = _rows(name, dtype, n)
    t = tangents(rows.shape, dtype)
    given = [np.asarray(alphas[:, None], np.float32)] if name == "entmax" else []
    with jax.enable_x64(dtype == "float64"):
        results = [np.asarray(y) for y in _results(getattr(jaxact, name), rows, masks, t, *given)]
    assert all(y.dtype == rows.dtype for y in results)
    wide = np.longdouble if dtype == "float64" else np.float64
    value_bound, slope_bound = BOUNDS[dtype][:2]
    shares = name in ("softmax", "softmin")
    made_of_y = shares or (rows.dtype.itemsize == 2 and "entmax" in name)
    if shares and dtype == "float32":
        value_bound = 12  # rounding x - max alone is 8 of them; docs/design.md, "The error unit"
    for i, (y, *slopes) in enumerate(zip(*results, strict=True)):
        if "soft" in name and np.isposinf(-rows[i] if name == "softmin" else rows[i])[masks[i]].any():
            assert np.isnan(y).any()  # inf - inf, as in jax.nn
            continue
        row = name, rows[i].astype(wide), masks[i], alphas[i], t[i].astype(wide)
        where = f"{name}, alpha {alphas[i]}, row {i}"
        value, *expected, of_y = _expected(*row, y.astype(wide) if made_of_y else None)
        _within(value_bound, [y], [value], f"{where}, value")
        if made_of_y:
            _within(slope_bound, slopes, [of_y] * 2, f"{where}, derivative of y")
        bound = slope_bound
        if made_of_y and rows.dtype.itemsize == 2:  # entmax's weights, y^(2 - alpha), multiply the rounding of y
            bound = max(FROM_ROUNDED, alphas[i] - 2)
        elif made_of_y and (dtype, n) == ("float32", 100_000):
            bound = value_bound
        # Of 100,000 shares, those under float16's smallest number are lost, also to the mean of t.
        if (name, dtype, n) != ("softmax", "float16", 100_000):
            _within(bound, slopes, expected, f"{where}, derivative of x")


def _within(bound, got, expected, where):
    for result, wanted in zip(got, expected, strict=True):
        error = units(result, wanted.reference, wanted.sensitivity)
        worst = np.argmax(error)
        assert error[worst] <= bound, (
            f"{where}, entry {worst}: {error[worst]:.2f} units, over {bound}: "
            f"got {result[worst]}, expected {wanted.reference[worst]}"
        )


@pytest.mark.parametrize(("name", "dtype", "n"), CASES)
def test_within_the_unit(name, dtype, n):
    _hold(name, dtype, n, row_unit.tangents)


@pytest.mark.parametrize(
    "name", ["softmax", "log_softmax", "sparsemax", "entmax15"]
)  # entmax is as slow as all of these
def test_tangents_that_are_nearly_alike(name):
    """What their mean leaves of them is a thousandth, in forward and in reverse mode."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        _hold(name, "float32", 100, lambda shape, dtype, rng=rng: (rng.normal(size=shape) / 100 - 7).astype(dtype))


def _entmax_of_few(x, alpha, t):
    """Results at 80 rows of a few entries, in rows of 100 whose others are left out: in the program that is above."""
    wide, along = (np.pad(a, ((0, 0), (0, 100 - a.shape[1]))) for a in (x, t))
    masks = np.broadcast_to(np.arange(100) < x.shape[1], wide.shape)
    results = _results(jaxact.entmax, wide, masks, along, np.full((80, 1), alpha, np.float32))
    return [np.asarray(y)[:, : x.shape[1]] for y in results]


@pytest.mark.parametrize("seed", range(3))
def test_entmax_of_few_entries(seed):
    """Where two entries share a row, and with them a cotangent that hardly differs, rounding it by a weight shows."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 0.9, (80, 2)).astype(np.float32)
    t = (0.6 + 0.05 * rng.normal(size=x.shape)).astype(np.float32)
    seen, alpha = np.ones(2, bool), 1.90625
    for i, got in enumerate(_entmax_of_few(x, alpha, t)[2]):
        wanted = _expected("entmax", x[i].astype(float), seen, alpha, t[i].astype(float))[2]
        assert units(got, wanted.reference, wanted.sensitivity).max() <= BOUNDS["float32"][1], f"row {i}"


@pytest.mark.parametrize("alpha", [4.0, 8.0, 12.0])
def test_entmax_of_large_alpha(alpha):
    """Shares still sum to 1, those over a twentieth to 1e-5; smaller ones have fewer digits, as the docstring says."""
    rng = np.random.default_rng(4)
    x = (rng.normal(size=(80, 4)) * 10 ** rng.uniform(-3, 0.5, (80, 1))).astype(np.float32)
    y = _entmax_of_few(x, alpha, np.ones_like(x))[0].astype(np.float64)
    expected = np.stack([row_unit.entmax(row_unit.settled(row.astype(float), np.ones(4, bool)), alpha) for row in x])
    np.testing.assert_allclose(y.sum(-1), 1, rtol=0, atol=2**-20)
    large = expected > 0.05
    np.testing.assert_allclose(y[large], expected[large], rtol=1e-5)
