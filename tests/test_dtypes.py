"""The dtype policy: float types stay, bool and int become the default float, weak types as in jax.nn."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxact.verify.cases import DEFAULTS
from tests.shapes import SHAPES

pytestmark = pytest.mark.usefixtures("quickly_compiled")

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


@pytest.mark.parametrize(
    "case", [c for c in DEFAULTS if c.name in ("identity", "relu", "relu6")], ids=lambda case: case.name
)
def test_what_only_chooses_casts_nothing(case):
    """A cast would keep it out of the matrix product before it on an H100."""
    x = jnp.ones(4, "bfloat16")
    assert "f32" not in str(jax.make_jaxpr(lambda x, t: jax.vjp(case, x)[1](t))(x, x))


@every
def test_bool_and_int_become_the_default_float(case):
    """jax.nn keeps or refuses some of them; here every function does the same."""
    arrays = [np.array([0, 1]), np.array([False, True]), np.array([0, 1], np.uint8)]
    for x in arrays:
        assert jax.eval_shape(case, x).dtype == jnp.float32
        with jax.enable_x64(True):
            assert jax.eval_shape(case, x).dtype == jnp.float64


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.name)
def test_bool_and_int_are_the_same_numbers(case):
    arrays = [np.array([0, 1]), np.array([False, True]), np.array([0, 1], np.uint8)]
    with jax.disable_jit():  # operation by operation: nothing to compile for each function
        *ours, floats = [case(x) for x in [*arrays, np.array([0, 1], np.float32)]]
    for y in ours:
        chex.assert_trees_all_equal(y, floats)


@every
def test_float64_stays_under_x64(case):
    with jax.enable_x64(True):
        for dtype in (jnp.float64, jnp.float32):
            assert jax.eval_shape(case.__call__, jax.ShapeDtypeStruct((4,), dtype)).dtype == dtype


@in_jax_nn
def test_types_and_shapes_are_those_of_jax_nn(case):
    """For floats: dtype, weak type and shape, of arrays, NumPy scalars and Python numbers."""
    peer = getattr(jax.nn, case.row.name)
    parameters = case.parameters
    inputs = [np.ones((2, 4), dtype) for dtype in map(jnp.dtype, _FLOATS)]
    if case.row.kind == "pointwise":
        inputs += [1.0, np.float32(1), jnp.asarray(1.0)]
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
    """A parameter of shape (channels,), or (channels, 1, 1), is one a channel, also where JAX lifts no ranks."""
    x = np.random.default_rng(0).normal(size=(5, 3, 2, 3)).astype(np.float32)

    @jax.jit
    def both_ways(x, parameters):
        """For each parameter and axis of channels: value and gradient at once, and channel by channel."""
        results = {}
        for name, p in parameters.items():

            def total(p, x, name=name):
                y = case(x, **{name: p})
                return y.sum(), y

            value_and_gradient = jax.grad(total, has_aux=True)
            for axis, shape in ((-1, (3,)), (1, (3, 1, 1))):
                gradient, y = value_and_gradient(p.reshape(shape), x)
                one_by_one = [value_and_gradient(p[i], jnp.take(x, i, axis)) for i in range(3)]
                gradients, columns = map(jnp.stack, zip(*one_by_one, strict=True))
                results[name, axis] = (y, jnp.moveaxis(columns, 0, axis)), (gradient, gradients.reshape(shape))
        return list(results.values())

    parameters = {name: value * jnp.array([0.5, 1.0, 2.0]) for name, value in case.numbers.items()}
    with jax.numpy_rank_promotion("raise"):
        results = both_ways(x, parameters)
    for values, gradients in results:
        chex.assert_trees_all_close(*values, rtol=1e-6)
        chex.assert_trees_all_close(*gradients, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "case", [case for case in DEFAULTS if case.row.kind == "pointwise"], ids=lambda case: case.name
)
def test_no_entries_and_no_axes(case):
    """Such arrays keep their shape, as does their gradient."""
    assert case(jnp.zeros((3, 0))).shape == (3, 0)
    for shape in ((), (0,), (3, 0)):
        x = jax.ShapeDtypeStruct(shape, jnp.float32)
        chex.assert_shape(jax.eval_shape(lambda x: (case(x), jax.grad(lambda x: case(x).sum())(x)), x), shape)
