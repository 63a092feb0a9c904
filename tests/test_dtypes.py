"""The dtype policy: float types stay, bool and int become the default float, weak types as in jax.nn."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import DEFAULTS

_FLOATS = ("bfloat16", "float16", "float32")
every = pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.name)
in_jax_nn = pytest.mark.parametrize(
    "case", [case for case in DEFAULTS if hasattr(jax.nn, case.row.name)], ids=lambda case: case.name
)


@every
def test_float_types_stay(case):
    """Also the gradient's, and whatever the type of a parameter: a float32 alpha does not widen bfloat16."""
    for dtype in _FLOATS:
        x = jnp.ones((2, 4), dtype)
        assert jax.eval_shape(case.__call__, x).dtype == dtype
        assert jax.eval_shape(jax.grad(lambda x: case(x).sum()), x).dtype == dtype
        if case.row.kind == "pointwise":
            wide = {name: jnp.asarray(value, jnp.float32) for name, value in case.numbers.items()}
            assert jax.eval_shape(lambda x, p: case(x, **p), x, wide).dtype == dtype


@every
def test_bool_and_int_become_the_default_float(case):
    """jax.nn keeps or refuses some of them; here every function does the same."""
    arrays = [np.array([0, 1]), np.array([False, True]), np.array([0, 1], np.uint8)]
    *ours, floats = jax.jit(lambda xs: [case(x) for x in xs])([*arrays, np.array([0, 1], np.float32)])
    for x, y in zip(arrays, ours, strict=True):
        chex.assert_type(y, jnp.float32)
        chex.assert_trees_all_equal(y, floats)
        with jax.enable_x64(True):
            assert jax.eval_shape(case, x).dtype == jnp.float64


@every
def test_float64_stays_under_x64(case):
    with jax.enable_x64(True):
        chex.assert_type(case(np.ones(4)), jnp.float64)
        chex.assert_type(case(np.ones(4, np.float32)), jnp.float32)


@in_jax_nn
def test_types_and_shapes_are_those_of_jax_nn(case):
    """For floats: dtype, weak type and shape, of arrays, NumPy scalars and Python numbers."""
    peer = getattr(jax.nn, case.row.name)
    parameters = case.parameters
    inputs = [np.ones((2, 4), dtype) for dtype in map(jnp.dtype, _FLOATS)]
    if case.row.kind == "pointwise":
        inputs += [1.0, np.float32(1), jnp.asarray(1.0)]
    for x in inputs:
        ours, theirs = case(x), peer(x, **parameters)
        assert (ours.aval.dtype, ours.aval.weak_type, ours.shape) == (
            theirs.aval.dtype,
            theirs.aval.weak_type,
            theirs.shape,
        )


@in_jax_nn
def test_a_drop_in_for_jax_nn(case):
    """jax.nn's signature is the beginning of ours, and what ours adds is keyword-only."""
    ours = list(inspect.signature(case.row.function).parameters.values())
    theirs = list(inspect.signature(getattr(jax.nn, case.row.name)).parameters.values())
    assert [(p.name, p.default) for p in ours[1 : len(theirs)]] == [(p.name, p.default) for p in theirs[1:]]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in ours[len(theirs) :])


@pytest.mark.parametrize("case", [c for c in DEFAULTS if c.row.kind == "pointwise" and c.numbers], ids=lambda c: c.name)
def test_parameters_per_channel(case):
    """A parameter of shape (channels,), or (channels, 1, 1), is one value a channel, and is differentiated so."""
    x = jax.random.normal(jax.random.key(0), (5, 3, 2, 3))
    for name, value in case.numbers.items():
        values = value * jnp.array([0.5, 1.0, 2.0])

        @jax.jit
        def value_and_gradient(p, x, name=name):
            return case(x, **{name: p}), jax.grad(lambda p: case(x, **{name: p}).sum())(p)

        for axis, parameter in ((-1, values), (1, values[:, None, None])):
            one_by_one = [value_and_gradient(v, jnp.take(x, i, axis)) for i, v in enumerate(values)]
            columns, single = zip(*one_by_one, strict=True)
            y, gradient = value_and_gradient(parameter, x)
            chex.assert_trees_all_close(y, jnp.stack(columns, axis), rtol=1e-6)
            chex.assert_trees_all_close(gradient, jnp.stack(single).reshape(parameter.shape), rtol=1e-5, atol=1e-5)
