"""What XLA leaves of the functions on this machine: error-free transforms stay, and nothing asks it to approximate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from benchmarks import compilers

CPU = jax.devices("cpu")[0]
RNG = np.random.default_rng(0)


def numbers(n=4096):
    """Floats of either sign and of sizes within 2^-12 and 2^12 of each other."""
    return (RNG.choice([-1, 1], n) * RNG.uniform(1, 2, n) * np.exp2(RNG.integers(-6, 6, n))).astype(np.float32)


@pytest.mark.parametrize("name", compilers.TRANSFORMS)
def test_no_operation_of_an_error_free_transform_is_gone(name):
    for before, after in compilers.of_transform(name, CPU).values():
        assert before == after


AROUND = {
    "alone": jax.jit,
    "a matrix product": lambda f: jax.jit(lambda a, b: f(a.reshape(64, 64) @ jnp.eye(64), b.reshape(64, 64))),
    "vmap in scan": lambda f: jax.jit(
        lambda a, b: lax.scan(lambda _, ab: (None, jax.vmap(f)(*ab)), None, (a.reshape(8, 64, 8), b.reshape(8, 64, 8)))[
            1
        ]
    ),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", ["difference", "product"])
def test_the_two_parts_are_the_exact_result(name, around):
    """In float64, which holds the exact difference and the exact product of such numbers of float32."""
    a, b = numbers(), numbers()
    high, low = (np.asarray(part, np.float64).ravel() for part in AROUND[around](compilers.TRANSFORMS[name][0])(a, b))
    wide = a.astype(np.float64), b.astype(np.float64)
    exact = wide[0] - wide[1] if name == "difference" else wide[0] * wide[1]
    np.testing.assert_array_equal(high, exact.astype(np.float32))
    assert np.count_nonzero(low) > 3000
    np.testing.assert_array_equal(high + low, exact)


def test_what_is_simplified_is_seen():
    """XLA makes one product of two that are equal: the counts would tell of a transform that has lost one."""
    lowered = jax.jit(lambda x: x * x - jnp.sin(x * x)).lower(numbers())
    texts = lowered.as_text("hlo"), lowered.compile().as_text()
    assert [compilers.operations(text)["products"] for text in texts] == [2, 1]


@pytest.mark.parametrize("name", compilers.FUNCTIONS)
def test_nothing_asks_for_an_approximation(name):
    """In the optimised program; what is lowered for other platforms is in test_export."""
    assert compilers.of_function(name, "float32", CPU) == []


def test_an_approximation_is_seen():
    loose = jax.jit(lambda x: lax.exp(x, accuracy=lax.Tolerance(ulps=8)))
    assert compilers.asks(loose.lower(numbers()).as_text()) == ["tolerance"]
