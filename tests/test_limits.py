"""At the ends: the limits at +-inf, and no NaN from any number."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import DEFAULTS, POINTWISE


def _derivatives(function):
    """The value, the first derivatives in reverse and in forward mode, and the second, of an array of numbers."""
    first = jax.grad(function)
    forward = lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),))[1]  # noqa: E731
    return jax.jit(jax.vmap(lambda x: (function(x), first(x), forward(x), jax.grad(first)(x), jax.grad(forward)(x))))


@pytest.mark.parametrize("case", [c for c in DEFAULTS if c.row.kind == "pointwise"], ids=lambda case: case.name)
def test_limits_are_those_of_the_row(case):
    """(16 bits: error_unit.check, whose inputs hold +-inf.)"""
    value, reverse, forward, *_ = _derivatives(case)(jnp.array([-jnp.inf, jnp.inf]))
    chex.assert_trees_all_equal(value, jnp.array(case.row.limits))
    chex.assert_trees_all_equal(reverse, forward, jnp.array(case.row.slope_limits))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("case", POINTWISE, ids=lambda case: case.name)
def test_no_nan_from_numbers(case, dtype):
    """Not at the largest, the subnormal and the infinite, nor where its pieces meet. (16 bits: error_unit.check.)"""
    with jax.enable_x64(dtype == jnp.float64):
        info = jnp.finfo(dtype)
        sizes = np.array([0, info.smallest_subnormal, info.tiny, 1, np.sqrt(float(info.max)), float(info.max), np.inf])
        x = jnp.asarray(np.concatenate([sizes, -sizes, np.array(case.oracle.joints)]), dtype)
        for order, y in zip((0, 1, 1, 2, 2), _derivatives(case)(x), strict=True):
            assert not jnp.any(jnp.isnan(y)), f"derivative {order} at {x[jnp.isnan(y)]}"
        for name, value in case.numbers.items():
            slope = jax.vmap(jax.grad(lambda p, t, name=name: case(t, **{name: p})), (None, 0))
            y = jax.jit(slope)(jnp.asarray(value, dtype), x)
            assert not jnp.any(jnp.isnan(y)), f"d/d{name} at {x[jnp.isnan(y)]}"


@pytest.mark.parametrize("case", POINTWISE, ids=lambda case: case.name)
def test_nan_gives_nan(case):
    nan = [jnp.asarray(jnp.nan, dtype) for dtype in (jnp.bfloat16, jnp.float16, jnp.float32)]
    assert all(np.isnan(y) for y in jax.jit(lambda xs: [case(x) for x in xs])(nan))


@pytest.mark.parametrize("case", POINTWISE, ids=lambda case: case.name)
def test_empty_and_scalar(case):
    both = jax.jit(lambda x: (case(x), jax.grad(lambda x: case(x).sum())(x)))
    for shape in ((), (0,), (3, 0)):
        chex.assert_shape(both(jnp.zeros(shape)), shape)
