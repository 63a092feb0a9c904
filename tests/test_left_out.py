"""What is masked or unused does not count, and what is NaN shows: in values and in gradients of every function.

(Of elementwise functions tests/test_derivatives.py shows NaN.)
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxact
from jaxact.core import catalog
from jaxact.verify.cases import DEFAULTS
from tests.shapes import RULES, SHAPES

pytestmark = pytest.mark.quickly_compiled

KEY = jax.random.key(0)
ROWS = [row for row in catalog.rows() if row.kind == "axis"]
X = np.float32([[0.3, -0.7, 1.2, 0.5], [1.0, -2.0, 0.0, 3.0]])


def _of_x(row, **parameters):
    """A function of x alone, with a key where it takes one."""
    keyed = {"key": KEY} if "key" in row.parameters else {}
    return lambda x: row.function(x, **keyed, **parameters)


def _with_gradient(function):
    """Value and gradient of a loss in which every entry of a row has a weight of its own."""

    @jax.jit
    def both(x):
        y, pull = jax.vjp(function, x)
        weights = jnp.cos(jnp.arange(y.shape[-1], dtype=y.dtype))
        return y, pull(jnp.broadcast_to(weights, y.shape))[0]

    return lambda x: map(np.asarray, both(x))


def _value_and_gradient(function, x):
    return _with_gradient(function)(x)


@pytest.mark.parametrize("row", [r for r in ROWS if "where" in r.parameters], ids=lambda row: row.name)
def test_a_row_without_entries_is_zero(row):
    """By a mask or by infinities, with gradient 0, beside a row that is computed as ever."""
    parameters = {"alpha": 1.3} if row.name == "entmax" else {}
    out = np.array([[False], [True]]) | np.zeros(X.shape, bool)
    infinite = np.where(out, np.float32(np.inf if row.name == "softmin" else -np.inf), X)
    masks = np.stack([~out, out | True, out | True])
    y, gradient = _value_and_gradient(_of_x(row, **parameters, where=masks), np.stack([X, infinite, X]))
    for i in range(2):
        np.testing.assert_array_equal(y[i, 1], np.float32(-np.inf if row.name == "log_softmax" else 0))
        np.testing.assert_array_equal(gradient[i, 1], 0)
        np.testing.assert_allclose(y[i, 0], y[2, 0], rtol=3e-7)
        np.testing.assert_allclose(gradient[i, 0], gradient[2, 0], rtol=1e-6, atol=1e-7)


def test_entmax_of_nothing_is_zero():
    alphas = np.float32([[1.0625], [1.3], [1.5], [2.0], [3.0], [12.0]])
    x = np.full((len(alphas), 3), -np.inf, np.float32)
    y, gradient = _value_and_gradient(lambda x: jaxact.entmax(x, alphas), x)
    np.testing.assert_array_equal([y, gradient], np.zeros((2, *x.shape)))


@pytest.mark.parametrize("name", ["gumbel_softmax", "softmax", "log_softmax"])
def test_one_row_of_minus_infinity(name):
    y, gradient = _value_and_gradient(_of_x(jaxact.info(name)), np.full(3, -np.inf, np.float32))
    np.testing.assert_array_equal(y, -np.inf if name == "log_softmax" else 0)
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("row", [r for r in ROWS if "where" in r.parameters], ids=lambda row: row.name)
def test_what_is_masked_is_not_seen(row):
    """Not even NaN: values and gradients are those of the row without it."""
    mask = np.array([True, False, True, True])
    results = _with_gradient(_of_x(row, where=mask))
    plain, plain_gradient = results(X)
    for hidden in (np.nan, np.inf, 1e30):
        y, gradient = results(np.where(mask, X, np.float32(hidden)))
        np.testing.assert_array_equal(y, plain, err_msg=str(hidden))
        np.testing.assert_array_equal(gradient, plain_gradient, err_msg=str(hidden))
        np.testing.assert_array_equal(gradient[:, 1], 0)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_nan_in_a_row_shows(row):
    """In every value and every gradient of the row, and in no other row."""
    x = X.copy()
    x[0, 2] = np.nan
    y, gradient = _value_and_gradient(lambda x: _call(row, {}, x), x)
    assert np.isnan(y[0]).all(), y
    assert np.isnan(gradient[0]).all(), gradient
    assert np.isfinite([*y[1], *gradient[1]]).all()


def test_nan_in_a_gated_unit_shows():
    """In the value, and in the derivative in the other argument."""
    units = {row.name: row.function for row in catalog.rows() if row.kind == "gated"}
    units["glu"] = lambda gate, value: jaxact.glu(jnp.stack([gate, value]))[0]
    derivatives = jax.jit(lambda *pair: {name: jax.value_and_grad(f, (0, 1))(*pair) for name, f in units.items()})
    for position, arguments in enumerate(np.float32([[np.nan, 0.7], [0.3, np.nan]])):
        for name, (value, slopes) in derivatives(*arguments).items():
            assert np.isnan([value, slopes[1 - position]]).all(), (name, position)


def test_a_loss_that_diverged_does_not_look_healthy():
    loss, gradient = jax.value_and_grad(lambda x: -jnp.log(jaxact.softmax(x)[0]))(jnp.array([1.0, 2.0, jnp.nan, 3.0]))
    assert np.isnan(loss)
    assert np.isnan(gradient).all()


def test_logsumexp_leaves_out_entries_of_weight_zero():
    for infinite in (-2.0, 1e4, np.inf, np.nan):
        a, b = jnp.array([-1000.0, infinite]), jnp.array([1.0, 0.0])
        value, gradient = jax.value_and_grad(lambda a, b=b: jaxact.logsumexp(a, b=b))(a)
        if np.isfinite(infinite):
            assert value == -1000
            np.testing.assert_array_equal(gradient, [1, 0])
    assert jaxact.logsumexp(jnp.array([1.0, 2.0]), b=jnp.zeros(2)) == -np.inf
    assert jaxact.logsumexp(jnp.ones(3, jnp.float16), b=2.0).dtype == jnp.float16


class Wrapped:
    """An array in an object, as keras.Variable is one."""

    def __init__(self, value):
        self.value = jnp.asarray(value, jnp.float32)

    def __jax_array__(self):
        return self.value


_MORE = {"softmax": {"temperature": 0.7, "sink": 0.3}, "log_softmax": {"temperature": 0.7, "sink": 0.3}}
_PARAMETERS = [
    (case.row, name, value)
    for case in RULES
    for name, value in {**case.row.parameters, **case.parameters, **_MORE.get(case.row.name, {})}.items()
    if isinstance(value, int | float) and not isinstance(value, bool) and name != "axis"
]


def _call(row, others, x):
    """A row of the catalog at its defaults, but for what is given, of one array."""
    bound = next((c.parameters for c in DEFAULTS if c.row is row), {})
    if row.kind == "gated" and row.name != "glu":
        return row.function(x, x, **{**bound, **others})
    return _of_x(row, **{**bound, **others})(x)


def test_parameters_of_any_kind():
    """Numbers, tracers, nnx.Params inside transformations and out, objects with __jax_array__: all the same."""
    values = {f"{row.name} {name}": value for row, name, value in _PARAMETERS}
    calls = {f"{row.name} {name}": functools.partial(_of_parameter, row, name) for row, name, _ in _PARAMETERS}
    numbers = {what: jnp.float32(value) for what, value in values.items() if np.isfinite(value)}

    def total(parameters, x):
        found = {what: calls[what](x, parameters[what]) for what in numbers}
        return sum(map(jnp.sum, found.values())), found

    @nnx.jit
    def in_transformations(numbers, parameters, x):
        ways = jax.value_and_grad(total, has_aux=True), nnx.value_and_grad(total, has_aux=True)
        return [way(p, x) for way, p in zip(ways, (numbers, parameters), strict=True)]

    parameters = nnx.Dict({what: nnx.Param(number) for what, number in numbers.items()})
    ((_, traced), slopes), ((_, of_params), of_params_slopes) = in_transformations(numbers, parameters, X)
    for what, value in values.items():
        expected = np.asarray(calls[what](X, value))
        kinds = [calls[what](X, kind(jnp.float32(value))) for kind in (jnp.asarray, nnx.Param, Wrapped)]
        for got in [*kinds, *([traced[what], of_params[what]] if what in traced else [])]:
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6, err_msg=what)
        if what in numbers:
            np.testing.assert_allclose(of_params_slopes[what][...], slopes[what], rtol=1e-5, atol=1e-5, err_msg=what)


def _of_parameter(row, name, x, p):
    return _call(row, {name: p}, x)


def test_objects_with_an_array():
    pairs = jax.jit(lambda x: {case.name: (case(Wrapped(x)), case(x)) for case in SHAPES})(X)
    for name, (of_object, of_array) in pairs.items():
        assert np.array_equal(of_object, of_array), name


@pytest.mark.parametrize("name", ["rrelu", "gumbel_softmax"])
def test_objects_with_an_array_beside_a_key(name):
    function = _of_x(jaxact.info(name))
    assert np.array_equal(function(Wrapped(X)), function(X))


def test_complex_input_is_that_of_jax_nn():
    """Where jax.nn has the function and takes complex numbers: values and derivatives, bit for bit."""

    def pair(z, row):
        """Ours and jax.nn's; nothing where jax.nn takes no complex number, and ours then neither."""
        ours, peer = functools.partial(_call, row, {}), getattr(jax.nn, row.name, None)
        bound = next((c.parameters for c in DEFAULTS if c.row is row), {})
        try:
            expected = None if peer is None else peer(z, **bound)
        except (TypeError, ValueError):
            expected = None
        if expected is None:
            with pytest.raises((TypeError, ValueError), match=f"{row.name}|complex"):
                ours(z)
            return None
        if row.name in ("celu", "softmax", "log_softmax"):  # jax.nn's own derivative compares complex numbers, an error
            return [ours(z), expected]
        return [jax.jvp(f, (z,), (jnp.ones_like(z),)) for f in (ours, lambda z: peer(z, **bound))]

    z = (X + 0.3j * X[::-1]).astype(np.complex64)
    pairs = jax.jit(lambda z: {row.name: both for row in catalog.rows() if (both := pair(z, row))})(z)
    for name, both in pairs.items():
        for ours, theirs in zip(*map(jax.tree.leaves, both), strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=name)
    assert {"silu", "tanh", "softmax"} <= set(pairs)


def test_flags_are_not_truth_values():
    g, v = jnp.float32([1.0, -2.0]), jnp.float32([1.0, 1.0])
    with pytest.raises((TypeError, ValueError), match="approximate"):
        jaxact.geglu(g, v, approximate="none")  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="approximate"):
        jaxact.compact(functools.partial(jaxact.gelu, approximate=0))(g)  # equal to False, and cached beside it
    exact = jaxact.compact(functools.partial(jaxact.gelu, approximate=False))
    np.testing.assert_array_equal(exact(g), jaxact.gelu(g, approximate=False))


def test_strict_promotion_takes_integer_weights():
    """Which are promoted together with integers, as in jax.nn."""
    a = np.arange(4)
    with jax.numpy_dtype_promotion("strict"):
        got = jaxact.logsumexp(a, b=a + 1)
    np.testing.assert_allclose(got, np.log(np.sum((a + 1) * np.exp(a))), rtol=1e-6)


def test_strict_promotion_takes_16_bit_parameters():
    x, p = jnp.ones(3, jnp.bfloat16), jnp.bfloat16(0.5)
    with jax.numpy_dtype_promotion("strict"):
        jaxact.hard_tanh(x, min_val=-p, max_val=p)
        jaxact.threshold(x, p, p)


def test_an_infinite_cap_is_none():
    value, slope = jax.vmap(jax.value_and_grad(lambda x: jaxact.soft_cap(x, jnp.inf)))(jnp.float32([-2.0, 0.0, 3.0]))
    np.testing.assert_array_equal(value, [-2, 0, 3])
    np.testing.assert_array_equal(slope, 1)


def test_a_calibrated_loss_far_off():
    """-log(softmax(z, temperature=t)) overflows where -log_softmax does not, whose slope in t is right."""
    z = jnp.float32([0.0, 200.0, 0.0])
    loss, slope = jax.value_and_grad(lambda t: -jaxact.log_softmax(z, temperature=t)[0])(1.0)
    assert (loss, slope) == (200, -200)
