"""Every other fact that a row claims: range, kinks, smoothness, monotone, odd, lipschitz, and its documentation."""

import functools
import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from jaxact.core import catalog
from jaxact.verify.cases import DEFAULTS
from jaxact.verify.unit import BOUNDS

pytestmark = pytest.mark.quickly_compiled

_POINTWISE = [case for case in DEFAULTS if case.row.kind == "pointwise"]
# Dense where things happen, with the joints of every function here and their neighbours, ascending. Without subnormal
# numbers: XLA compares them as zeros, and may return one that is outside of a range by 1e-45.
_JOINTS = np.array([-6, -3, -1, 0, 1, 3, 6], np.float32)
_GRID = np.unique(
    np.concatenate(
        [np.linspace(-32, 32, 2**16 + 1, dtype=np.float32)]
        + [s * np.logspace(-30, 30, 601, dtype=np.float32) for s in (-1, 1)]
        + [np.nextafter(_JOINTS, np.float32(s)) for s in (-100, 100)]
    )
)
_GRID = _GRID[(np.abs(_GRID) >= np.finfo(np.float32).tiny) | (_GRID == 0)]

_ROWS = [case for case in DEFAULTS if case.row.kind != "pointwise"]
pointwise = pytest.mark.parametrize("case", _POINTWISE, ids=lambda case: case.name)


@functools.cache
def _curves():
    """Values and slopes of every elementwise function at the grid, by name."""
    slope = lambda f, x: jax.grad(lambda x: jnp.sum(f(x)))(x)  # noqa: E731
    of_all = jax.jit(lambda x: {case.name: (case(x), slope(case, x)) for case in _POINTWISE})
    return jax.tree.map(np.asarray, of_all(_GRID))


@pointwise
def test_range(case):
    """Nothing is outside, and both ends are reached or approached."""
    y = _curves()[case.name][0].astype(np.float64)
    low, high = case.row.range
    slack = 1e-6
    assert y.min() >= low - slack * abs(low) if math.isfinite(low) else y.min() < -100
    assert y.max() <= high + slack * abs(high) if math.isfinite(high) else y.max() > 100
    assert not math.isfinite(low) or y.min() - low < 1e-6
    assert not math.isfinite(high) or high - y.max() < 1e-6


@pointwise
def test_the_extreme_is_the_range(case):
    """The infimum of a function with a minimum is right to all digits of float64."""
    oracle, low = case.oracle, case.row.range[0]
    if case.row.monotone:
        assert low == case.row.limits[0]
        return
    settings = case.settings(np.float64)
    grid = np.linspace(-3, -0.01, 300)
    at = int(np.argmin(oracle.value(grid, **settings)))
    slope = lambda x: float(oracle.slope(np.float64(x), **settings))  # noqa: E731
    minimum = optimize.brentq(slope, grid[at - 1], grid[at + 1], xtol=1e-14)
    assert float(oracle.value(np.float64(minimum), **settings)) == pytest.approx(low, rel=1e-14)


@pointwise
def test_monotone(case):
    """Up to the rounding that the bound on values allows."""
    y = _curves()[case.name][0]
    y = y[np.isfinite(y)]  # where it overflows there is nothing to compare
    # dyt meets points at which XLA's tanh errs to both sides, by up to the bound at each of two neighbours.
    both = 2 if case.row.name == "dyt" else 1
    rounding = both * BOUNDS["float32"][0] * np.spacing(np.abs(y[1:]))
    assert bool(np.all(np.diff(y) >= -rounding)) is case.row.monotone


@pointwise
def test_odd(case):
    y = _curves()[case.name][0]
    assert np.array_equal(_GRID, -_GRID[::-1])
    assert np.array_equal(y, -y[::-1]) is case.row.odd


@pointwise
def test_lipschitz(case):
    """To seven digits: the constant bounds |f'| and |f'| comes up to it."""
    steepest = float(np.max(np.abs(_curves()[case.name][1])))
    if case.row.smoothness < 0:  # it jumps
        assert case.row.lipschitz == math.inf
    elif case.row.lipschitz == math.inf:
        assert steepest > 1e20
    else:
        assert steepest == pytest.approx(case.row.lipschitz, rel=1e-6)


@pointwise
def test_kinks_and_smoothness(case):
    """The row's kinks are the jumps of the oracle's slope, and its smoothness is the order of what is continuous."""
    oracle, settings = case.oracle, case.settings(np.float64)
    at = np.array(oracle.joints)
    jumps = [
        np.abs(oracle.derivative(order)(at + 1e-9, **settings) - oracle.derivative(order)(at - 1e-9, **settings)) > 1e-6
        for order in range(3)
    ]
    assert set(case.row.kinks) == set(at[jumps[1]].tolist())
    broken = [order for order in range(3) if np.any(jumps[order])]
    assert case.row.smoothness == (broken[0] - 1 if broken else math.inf)


@pytest.mark.parametrize("row", list(catalog.rows()), ids=lambda row: row.name)
def test_documentation(row):
    """The docstring is complete, and gives the row its formula and reference."""
    text = inspect.getdoc(row.function)
    assert text is not None
    assert row.formula
    assert row.reference
    for part in ("Args:", "Returns:", "Raises:", "Reference:", ">>> "):
        assert part in text, part
    for name in row.parameters:
        assert f"  {name}: " in text, f"{name} is not documented"
    assert row.module.isidentifier()
    assert row.family == row.function.__module__.rpartition(".")[2]
    signature = inspect.signature(row.function)
    assert signature.return_annotation is jax.Array
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())


@functools.cache
def _beside_nan():
    """Values of every other function at rows of which one has a NaN, by name."""
    x = np.array([[0.5, np.nan, -1, 2], [0.1, 0.2, 0.3, 0.5]], np.float32)
    return jax.tree.map(np.asarray, jax.jit(lambda x: {case.name: case(x) for case in _ROWS})(x))


@pytest.mark.parametrize("case", _ROWS, ids=lambda case: case.name)
def test_nan_stays_nan(case):
    """In its whole row, or in its own entry of a gated unit; no other row is touched. test_derivatives has the rest."""
    y = _beside_nan()[case.name]
    assert np.isnan(y[0] if case.row.kind == "axis" else y[0, 1]).all()
    assert not np.isnan(y[1]).any()


@pytest.mark.parametrize("row", list(catalog.rows()), ids=lambda row: row.name)
def test_every_parameter_is_varied(row):
    """A row with numeric parameters has variants, so that the tests see more than the defaults."""
    if row.kind == "pointwise":
        assert {name for settings in row.variants for name in settings} == set(row.parameters)
