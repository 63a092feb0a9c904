"""The slope at each kink is the row's, and jax.nn's."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact.verify.cases import DEFAULTS

_KINKED = [case for case in DEFAULTS if case.row.kinks]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("case", _KINKED, ids=lambda case: case.name)
def test_slope_at_kinks(case, dtype):
    x, slopes = (jnp.asarray(list(numbers), dtype) for numbers in (case.row.kinks, case.row.kinks.values()))
    both = jax.jit(lambda x: (jax.vmap(jax.grad(case))(x), jax.jvp(case, (x,), (jnp.ones_like(x),))[1]))
    reverse, forward = both(x)
    chex.assert_trees_all_equal(reverse, forward, slopes)


@pytest.mark.parametrize(
    "case", [case for case in _KINKED if hasattr(jax.nn, case.row.name)], ids=lambda case: case.name
)
def test_kinks_are_those_of_jax_nn(case):
    for x, slope in case.row.kinks.items():
        np.testing.assert_allclose(jax.grad(getattr(jax.nn, case.row.name))(x), slope, rtol=1e-6, err_msg=f"at {x}")


@pytest.mark.parametrize("case", [case for case in DEFAULTS if 0.0 in case.row.kinks], ids=lambda case: case.name)
def test_negative_zero_is_zero(case):
    assert jax.grad(case)(-0.0) == jax.grad(case)(0.0)


@pytest.mark.parametrize(
    ("name", "flat"),
    [("relu", -1), ("relu6", 9), ("hard_tanh", 9), ("hard_shrink", 0), ("soft_shrink", 0), ("threshold", -1)],
)
def test_nothing_comes_back_from_where_it_is_flat(name, flat):
    """Not even of what is infinite or NaN, which times 0 would be NaN."""
    case = next(case for case in DEFAULTS if case.row.name == name)
    for function in (case, jaxact.compact(functools.partial(case.row.function, **case.parameters))):
        _, pull = jax.vjp(function, jnp.full(3, float(flat)))
        chex.assert_trees_all_equal(pull(jnp.array([jnp.inf, -jnp.inf, jnp.nan])), (jnp.zeros(3),))


def test_squareplus_of_nothing_is_relu():
    """At b = 0 its curve becomes a kink, where the slope is the mean of both sides."""
    squareplus = jax.vmap(jax.value_and_grad(lambda x: jaxact.squareplus(x, 0.0)))
    chex.assert_trees_all_equal(
        squareplus(jnp.array([-2.0, 0.0, 2.0])), (jnp.array([0.0, 0.0, 2.0]), jnp.array([0, 0.5, 1.0]))
    )
