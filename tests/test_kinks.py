"""The slope at each kink is the row's, and jax.nn's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import DEFAULTS

_KINKED = [case for case in DEFAULTS if case.row.kinks]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("case", _KINKED, ids=lambda case: case.name)
def test_slope_at_kinks(case, dtype):
    for x, slope in case.row.kinks.items():
        at = jnp.asarray(x, dtype)
        forward = jax.jvp(case, (at,), (jnp.ones_like(at),))[1]
        assert jax.grad(case)(at) == forward == jnp.asarray(slope, dtype), f"at {x}"


@pytest.mark.parametrize(
    "case", [case for case in _KINKED if hasattr(jax.nn, case.row.name)], ids=lambda case: case.name
)
def test_kinks_are_those_of_jax_nn(case):
    for x, slope in case.row.kinks.items():
        np.testing.assert_allclose(jax.grad(getattr(jax.nn, case.row.name))(x), slope, rtol=1e-6, err_msg=f"at {x}")


@pytest.mark.parametrize("case", [case for case in DEFAULTS if 0.0 in case.row.kinks], ids=lambda case: case.name)
def test_negative_zero_is_zero(case):
    assert jax.grad(case)(-0.0) == jax.grad(case)(0.0)
