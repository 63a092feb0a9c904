"""The exponentials that the elementwise functions are made of, against float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxact.core import numerics

_RNG = np.random.default_rng(0)
_X = np.concatenate([np.linspace(-87, 88, 200_001), _RNG.uniform(-1, 1, 1000) * 2.0 ** -_RNG.uniform(0, 120, 1000)])
_X = _X.astype(np.float32)


def ulps(got, x, base=np.e):
    reference = np.power(base, x)
    return np.max(np.abs(np.asarray(got, np.float64) - reference) / np.spacing(reference.astype(np.float32)))


# Measured: 0.9 ulp where XLA fuses products with sums, as it does on a CPU that can, and 1.2 where each is rounded.
@pytest.mark.parametrize("jit", [jax.jit, lambda f: f], ids=["compiled", "op by op"])
def test_an_exponential_is_right_to_an_ulp(jit):
    assert ulps(jit(numerics.exp)(_X), _X.astype(np.float64)) <= 1.2


@pytest.mark.parametrize(("function", "base"), [(numerics.exp, np.e), (numerics.exp2, 2.0)], ids=["exp", "exp2"])
@pytest.mark.parametrize("share", [2.0**-24, 2.0**-10, -0.3])
def test_of_a_sum_nothing_is_rounded_away(function, base, share):
    """exp of the rounded sum would be off by up to 32 ulp."""
    rest = (_X * share * _RNG.uniform(0.5, 1, _X.shape)).astype(np.float32)
    x = _X * np.float32(1 / (1 + max(share, 0)))
    assert ulps(jax.jit(function)(x, rest), x.astype(np.float64) + rest.astype(np.float64), base) <= 1.2


def test_far_left_it_is_zero():
    x = jnp.array([-jnp.inf, -1e30, -200.0, -88.0])
    np.testing.assert_array_equal(numerics.exp(x), 0)
    np.testing.assert_array_equal(numerics.exp(x, jnp.zeros_like(x)), 0)
    np.testing.assert_array_equal(numerics.exp2(jnp.array([-1e5, -127.0]), jnp.zeros(2)), 0)


def test_what_must_be_exact_is():
    """1 at 0, on which the slope of an ELU at its joint rests, and powers of two; NaN stays."""
    assert numerics.exp(jnp.zeros(())) == numerics.exp2(jnp.zeros(()), jnp.zeros(())) == 1
    assert jnp.isnan(numerics.exp(jnp.full((), jnp.nan)))
    n = jnp.arange(-126.0, 128)
    np.testing.assert_array_equal(numerics.exp2(n, jnp.zeros_like(n)), np.exp2(np.arange(-126.0, 128)))
