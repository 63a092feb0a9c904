"""The slope at each kink is the row's, and jax.nn's."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact.verify.cases import DEFAULTS

pytestmark = pytest.mark.quickly_compiled

_KINKED = [case for case in DEFAULTS if case.row.kinks]


@pytest.mark.parametrize("case", _KINKED, ids=lambda case: case.name)
def test_slope_at_kinks(case):
    """In every type, in both modes, of jax.nn's function too; and at -0.0 as at 0.0."""
    kinks = {**case.row.kinks, **({-0.0: case.row.kinks[0.0]} if 0.0 in case.row.kinks else {})}
    peer = getattr(jax.nn, case.row.name, None)

    @jax.jit
    def slopes(arrays):
        reverse = lambda f, x: jax.grad(lambda x: f(x).sum())(x)  # noqa: E731
        both = [(reverse(case, x), jax.jvp(case, (x,), (jnp.ones_like(x),))[1]) for x in arrays]
        return both, reverse(peer, arrays[-1]) if peer else None

    x, wanted = (np.array(list(numbers)) for numbers in (kinks, kinks.values()))
    dtypes = jnp.dtype("bfloat16"), jnp.dtype("float16"), jnp.dtype("float32")
    ours, theirs = slopes([x.astype(dtype) for dtype in dtypes])
    for dtype, (reverse, forward) in zip(dtypes, ours, strict=True):
        chex.assert_trees_all_equal(reverse, forward, wanted.astype(dtype))
    if peer:
        np.testing.assert_allclose(theirs, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "flat"),
    [("relu", -1), ("relu6", 9), ("hard_tanh", 9), ("hard_shrink", 0), ("soft_shrink", 0), ("threshold", -1)],
)
def test_nothing_comes_back_from_where_it_is_flat(name, flat):
    """Not even of what is infinite or NaN, which times 0 would be NaN."""
    case = next(case for case in DEFAULTS if case.row.name == name)
    functions = case, jaxact.compact(functools.partial(case.row.function, **case.parameters))
    back = jax.jit(lambda x, t: [jax.vjp(function, x)[1](t)[0] for function in functions])
    for gradient in back(np.full(3, flat, np.float32), np.array([np.inf, -np.inf, np.nan], np.float32)):
        np.testing.assert_array_equal(gradient, np.zeros(3))


def test_squareplus_of_nothing_is_relu():
    """At b = 0 its curve becomes a kink, where the slope is the mean of both sides."""
    squareplus = jax.jit(jax.vmap(jax.value_and_grad(lambda x: jaxact.squareplus(x, 0.0))))
    chex.assert_trees_all_equal(squareplus(np.float32([-2, 0, 2])), (np.float32([0, 0, 2]), np.float32([0, 0.5, 1])))
