"""The dtype policy: float types stay, bool and int become the default float, weak types as in jax.nn."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxact.verify.cases import DEFAULTS
from tests.shapes import RULES, SHAPES

pytestmark = pytest.mark.quickly_compiled

_FLOATS = ("bfloat16", "float16", "float32")


def _array(dtype):
    """Without entries, which nothing may stumble over either."""
    return jax.ShapeDtypeStruct((0, 4), dtype)


every = pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.name)
shapes = pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.name)
in_jax_nn = pytest.mark.parametrize(
    "case", [case for case in DEFAULTS if hasattr(jax.nn, case.row.name)], ids=lambda case: case.name
)


@every
def test_float_types_stay(case):
    """Also the gradient's, and whatever the type of a parameter: a float32 alpha does not widen bfloat16."""

    def value_and_gradient(x, parameters):
        y, pull = jax.vjp(lambda x: case(x, **parameters), x)
        return y, *pull(y)

    wide = {name: np.float32(value) for name, value in case.numbers.items() if case.row.kind == "pointwise"}
    for dtype in _FLOATS if case in SHAPES else _FLOATS[:1]:
        for parameters in ({}, wide) if wide else ({},):
            results = jax.eval_shape(value_and_gradient, _array(dtype), parameters)
            assert [y.dtype for y in results] == [dtype] * 2


@pytest.mark.parametrize(
    "case", [c for c in DEFAULTS if c.name in ("identity", "relu", "relu6")], ids=lambda case: case.name
)
def test_what_only_chooses_casts_nothing(case):
    """A cast would keep it out of the matrix product before it on an H100."""
    x = jnp.ones(4, "bfloat16")
    assert "f32" not in str(jax.make_jaxpr(lambda x, t: jax.vjp(case, x)[1](t))(x, x))


_INTEGERS = [np.array([False, True]), np.array([0, 1]), np.array([0, 1], np.uint8)]


@every
def test_bool_and_int_become_the_default_float(case):
    """jax.nn keeps or refuses some of them; here every function does the same."""
    for x in _INTEGERS if case in SHAPES else _INTEGERS[:1]:
        assert jax.eval_shape(case, x).dtype == jnp.float32
        with jax.enable_x64(True):
            assert jax.eval_shape(case, x).dtype == jnp.float64


def test_bool_and_int_are_the_same_numbers():
    """All in one program, where each is beside the function of the same numbers, cast before it."""

    @jax.jit
    def results(arrays):
        return {case.name: [(case(x), case(x.astype(jnp.float32))) for x in arrays] for case in RULES}

    for name, pairs in results(_INTEGERS).items():
        for y, of_floats in pairs:
            chex.assert_trees_all_equal(y, of_floats, custom_message=name)


@shapes
def test_float64_stays_under_x64(case):
    with jax.enable_x64(True):
        for dtype in (jnp.float64, jnp.float32):
            assert jax.eval_shape(case.__call__, _array(dtype)).dtype == dtype


@in_jax_nn
def test_types_and_shapes_are_those_of_jax_nn(case):
    """For floats: dtype, weak type and shape, of arrays, NumPy scalars and Python numbers."""
    peer = getattr(jax.nn, case.row.name)
    parameters = case.parameters
    inputs = [np.ones((2, 4), dtype) for dtype in map(jnp.dtype, _FLOATS)]
    if case.row.kind == "pointwise":
        inputs += [1.0, np.float32(1), np.ones((), np.float32)]
    for x in inputs:
        ours, theirs = jax.eval_shape(lambda x: (case(x), peer(x, **parameters)), x)
        assert (ours.dtype, ours.weak_type, ours.shape) == (theirs.dtype, theirs.weak_type, theirs.shape)


@in_jax_nn
def test_a_drop_in_for_jax_nn(case):
    """jax.nn's signature is the beginning of ours, and what ours adds is keyword-only."""
    ours = list(inspect.signature(case.row.function).parameters.values())
    theirs = list(inspect.signature(getattr(jax.nn, case.row.name)).parameters.values())
    assert [(p.name, p.default) for p in ours[1 : len(theirs)]] == [(p.name, p.default) for p in theirs[1:]]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in ours[len(theirs) :])


@pytest.mark.parametrize("case", [c for c in SHAPES if c.row.kind == "pointwise" and c.numbers], ids=lambda c: c.name)
def test_parameters_per_channel(case):
    """A parameter of shape (channels, 1, 1), and (channels,), is one a channel, also where JAX lifts no ranks."""
    x = np.random.default_rng(0).normal(size=(5, 3, 2, 3)).astype(np.float32)

    @jax.jit
    def both_ways(x, parameters):
        """For each parameter and axis of channels: value and gradient at once, and one channel at a time."""
        results = {}
        for name, p in parameters.items():

            def total(p, x, name=name):
                y = case(x, **{name: p})
                return y.sum(), y

            value_and_gradient = jax.grad(total, has_aux=True)
            for axis, shape in [(1, (3, 1, 1)), *([(-1, (3,))] if case.row.name == "leaky_relu" else [])]:
                gradient, y = value_and_gradient(p.reshape(shape), x)
                gradients, columns = jax.vmap(value_and_gradient, (0, axis), (0, axis))(p, x)
                results[name, axis] = (y, columns), (gradient, gradients.reshape(shape))
        return list(results.values())

    parameters = {name: value * np.array([0.5, 1, 2], np.float32) for name, value in case.numbers.items()}
    with jax.numpy_rank_promotion("raise"):
        results = both_ways(x, parameters)
    for values, gradients in results:
        chex.assert_trees_all_close(*values, rtol=1e-6)
        chex.assert_trees_all_close(*gradients, rtol=1e-5, atol=1e-5)


def test_no_entries_and_no_axes():
    """Such arrays keep their shape, as does their gradient."""
    for case in SHAPES:
        for shape in {"pointwise": ((), (3, 0)), "axis": ((3, 0), (0, 4))}.get(case.row.kind, ()):
            x = jax.ShapeDtypeStruct(shape, jnp.float32)
            chex.assert_shape(jax.eval_shape(lambda x: (case(x), jax.grad(lambda x: case(x).sum())(x)), x), shape)  # noqa: B023
