"""Third to sixth derivatives of every elementwise function against its textbook definition; no NaN in any of them."""

import functools
import inspect

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from jaxact.verify.cases import POINTWISE, Case
from jaxact.verify.oracles.differences import derivatives
from tests.compiling import QUICKLY
from tests.shapes import RULES

pytestmark = pytest.mark.quickly_compiled  # the bound is a hundred times a rounding

ORDERS = (3, 4, 5, 6)
# The meeting points of formulas and of pieces are among them (0, 1/2, 1, 3, 6), and points close to 0.
WITHIN = np.concatenate([np.linspace(-6, 6, 49), [-5.3, -2.51, -1e-3, -1e-6, 1e-6, 1e-3, 2.51, 5.3]]).astype(np.float32)
FAR = np.float32([-np.inf, -3e38, -1e20, -1e4, -200, -90, -30, -1e-37, -0.0, 1e-37, 30, 90, 200, 1e4, 1e20, np.inf])


def _one_more(functions):
    """The derivative of the last of several functions, beside them."""

    def more(x):
        values, changes = jax.jvp(functions, (x,), (jnp.ones_like(x),))
        return *values, changes[-1]

    return more


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICKLY)
def _derivatives(function, x, parameters):
    """Those of ORDERS, from one program."""
    functions = lambda x: (function(x, **parameters),)  # noqa: E731
    for _ in range(max(ORDERS)):
        functions = _one_more(functions)
    return jnp.stack(functions(x)[min(ORDERS) :])


def _results(case: Case, function, x, given):
    """The derivatives; a number that is given is an array, so that one program serves a function and its variants."""
    constants = {name: value for name, value in case.parameters.items() if name not in case.numbers}
    arrays = {name: jnp.full(x.shape, case.numbers[name], jnp.float32) for name in given}
    return np.asarray(_derivatives(_bound(function, tuple(constants.items())), x, arrays)).astype(np.float64)


def _given(case: Case):
    """The numbers among the parameters; of a function of each rule, none at its defaults, a program of its own."""
    return [] if case in RULES else [*case.numbers]


def _expected(case: Case):
    """The derivatives at WITHIN, NaN where pieces of the definition meet."""
    settings = case.settings(np.float32)
    result = np.full((len(ORDERS), WITHIN.size), np.nan)
    for i, x in enumerate(WITHIN.tolist()):
        if x not in case.oracle.joints:
            every = derivatives(lambda z: [case.oracle.definition(mpmath.mp, z[0], **settings)], [x], max(ORDERS))
            result[:, i] = [d.item() for d in every[min(ORDERS) :]]
    return result


@functools.cache
def _bound(function, constants):
    return functools.partial(function, **dict(constants))


def _jax_nn(case: Case):
    """jax.nn's function, if it has the case's parameters."""
    function = getattr(jax.nn, case.row.name, None)
    known = function is not None and {*case.parameters} <= {*inspect.signature(function).parameters}
    return function if known else None


@pytest.mark.parametrize("case", POINTWISE, ids=lambda case: case.name)
def test_third_to_sixth_derivative(case):
    """Within 1e-5 of the derivative's largest value, or 4 times jax.nn's error where that is more; never NaN."""
    points = np.concatenate([WITHIN, FAR])
    got, expected = _results(case, case.row.function, jnp.asarray(points), _given(case)), _expected(case)
    nans = {k: points[np.isnan(d)].tolist() for k, d in zip(ORDERS, got, strict=True) if np.isnan(d).any()}
    assert not nans, f"NaN by order: {nans}"
    largest = np.nanmax(np.abs(expected), -1)
    error, bound = np.abs(got[:, : WITHIN.size] - expected), 1e-5 * largest
    if (np.nanmax(error, -1) > bound).any() and (peer := _jax_nn(case)) is not None:
        given = [name for name in case.parameters if name in case.numbers]
        theirs = np.abs(_results(case, peer, jnp.asarray(points), given)[:, : WITHIN.size] - expected)
        bound = np.maximum(bound, 4 * np.nanmax(theirs, -1))
    worst = [int(np.nanargmax(each)) for each in error]
    wrong = [
        f"order {k} at x = {WITHIN[at]}: got {got[i, at]:.6g}, right is {expected[i, at]:.6g}, largest {largest[i]:.3g}"
        for i, (k, at) in enumerate(zip(ORDERS, worst, strict=True))
        if error[i, at] > bound[i]
    ]
    assert not wrong, "; ".join(wrong)
