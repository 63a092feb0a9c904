"""`compact`: f's own values, a derivative as exact as the rounded output allows, at every shape and in every mode."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
import jaxact.flow
from jaxact.verify.cases import POINTWISE
from jaxact.verify.unit import inputs, smallest

WITH_A_MINIMUM = ("gelu", "silu", "quick_gelu", "mish", "golu")
FROM_OUTPUT = ("sigmoid", "tanh")
TWO_SLOPES = ("relu", "relu6", "leaky_relu", "hard_tanh", "hard_sigmoid", "threshold", "hard_shrink", "soft_shrink")
CASES = {case.name: case for case in POINTWISE if case.row.name in WITH_A_MINIMUM + FROM_OUTPUT + TWO_SLOPES}

# Beside the minimum a value rounded by half an ulp hides sqrt(f'' ulp(y*)) of the slope: for these functions up to
# 0.013 in bf16, 0.005 in f16. Of float32 values one or two ulps are not sure; in float64 the polynomials' 1e-6 is more.
AT_MINIMUM = {"bfloat16": 0.015, "float16": 0.005, "float32": 1.5e-4, "float64": 2e-6}


def of(case):
    return jaxact.compact(functools.partial(case.row.function, **case.parameters))


def _results(case, dtype):
    """x, the value and the derivative of `compact`, and the function's own value."""
    x = inputs(dtype, case.oracle.joints)
    with jax.enable_x64(dtype == "float64"):
        y, slope, own = jax.jit(lambda x: (*_with_slope(of(case), x), case(x)))(x)
        return x, *map(np.asarray, (y, slope, own))


def _with_slope(function, x):
    y, pull = jax.vjp(function, x)
    return y, pull(jnp.ones_like(x))[0]


def _expected(case, form, x):
    with np.errstate(all="ignore"):
        return getattr(case.oracle, form)(x.astype(np.float64), **case.settings(x.dtype))


# The polynomials are the same for each type, so that the deepest minimum and a scaled one show what a type does.
@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, "float32") for name, case in CASES.items() if case.row.name in WITH_A_MINIMUM]
    + [(name, dtype) for name in ("mish", "silu(beta=1.702)") for dtype in ("bfloat16", "float16", "float64")],
)
def test_from_output_and_bit(name, dtype):
    case = CASES[name]
    x, y, slope, own = _results(case, dtype)
    np.testing.assert_array_equal(y, own)
    expected, values = _expected(case, "slope", x), _expected(case, "value", x)
    error, eps = np.abs(slope.astype(np.float64) - expected), float(jnp.finfo(dtype).eps)
    assert error.max() <= AT_MINIMUM[dtype]
    assert error[np.abs(expected) > 0.1].max() <= 3e-6 + 4 * eps  # the polynomials, the slope's rounding and y's
    # Where f and f' vanish on the left, the derivative is as right in proportion, as far as a float32 y goes.
    vanishing = (values / case.row.range[0] > 0) & (values / case.row.range[0] < 0.01)
    vanishing &= np.abs(values) > max(smallest(dtype), smallest("float32"))
    assert (error[vanishing] / np.abs(expected[vanishing])).max() <= 2e-5 + 4 * eps


@pytest.mark.parametrize("dtype", AT_MINIMUM)
@pytest.mark.parametrize("name", FROM_OUTPUT)
def test_from_output(name, dtype):
    case = CASES[name]
    x, y, slope, own = _results(case, dtype)
    np.testing.assert_array_equal(y, own)
    ulps = 1 if y.dtype.itemsize == 2 else 5  # an ulp of y near 1 moves 1 - y^2 by two, and XLA's tanh is off by four
    assert np.abs(slope.astype(np.float64) - _expected(case, "slope", x)).max() <= ulps * float(jnp.finfo(dtype).eps)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "float32") for name in TWO_SLOPES), ("leaky_relu", "bfloat16"), ("hard_sigmoid", "bfloat16")],
)
def test_from_a_bit(name, dtype):
    """Value and derivative are the function's own, with each setting; other slopes than 0 and 1 are rounded too."""
    cases = [case for case in CASES.values() if case.row.name == name]
    x = inputs(dtype, cases[0].oracle.joints)
    results = jax.jit(lambda x: {c.name: [_with_slope(f, x) for f in (of(c), c)] for c in cases})(x)
    for setting, (compact, exact) in results.items():
        for got, wanted in zip(compact, exact, strict=True):
            np.testing.assert_array_equal(got, wanted, err_msg=setting)


@pytest.mark.parametrize("name", ["gelu", "gelu(approximate=False)", "silu(beta=1.702)", "mish", "golu"])
def test_second_derivative(name):
    """It divides by the slope and multiplies by it again, so that even at the minimum it is no worse than the first."""
    case = CASES[name]
    x = inputs("float32", case.oracle.joints)
    x = x[np.abs(x) > 2.0**-100]
    slope = jax.grad(lambda x: of(case)(x).sum())
    got = jax.jit(lambda x: jax.grad(lambda x: slope(x).sum())(x))(x)
    expected = case.oracle.curvature(x.astype(np.float64), **case.settings("float32"))
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_any_shape():
    """A packed bit is an eighth of a byte: the last axis is filled up to whole bytes."""
    rng = np.random.default_rng(0)
    every = [rng.normal(size=shape).astype(np.float32) for shape in ((), (0,), (3, 0), (0, 5), (8,), (2, 3, 17))]
    functions = {name: jaxact.compact(getattr(jaxact, name)) for name in ("gelu", "relu")}
    slopes = jax.jit(lambda every: {name: [_with_slope(f, x)[1] for x in every] for name, f in functions.items()})
    for name, results in slopes(every).items():
        for x, slope in zip(every, results, strict=True):
            expected = _expected(CASES[name], "slope", x)
            np.testing.assert_allclose(slope, expected, atol=AT_MINIMUM["float32"], err_msg=f"{name}, {x.shape}")


def test_scan_of_vmap():
    """Gradients of a scanned network, batched by vmap, are those of the function itself."""

    def loss(function, weights, x):
        step = lambda h, w: (h + jax.vmap(lambda row: function(row @ w))(h), None)  # noqa: E731
        return jnp.sum(jnp.square(jax.lax.scan(step, x, weights)[0]))

    rng = np.random.default_rng(0)
    weights, x = (scale * rng.normal(size=s).astype(np.float32) for scale, s in ((0.3, (3, 5, 5)), (1, (4, 5))))
    functions = jaxact.compact(jaxact.silu), jaxact.silu
    gradients = jax.jit(lambda w: [jax.grad(functools.partial(loss, f))(w, x) for f in functions])(weights)
    np.testing.assert_allclose(*gradients, rtol=2e-4, atol=2e-4)


def test_compiles_once_and_takes_numbers():
    function = jaxact.compact(jaxact.gelu)
    traced = jax.jit(chex.assert_max_traces(function, 1))
    assert traced(1.0) == traced(1.5) - (jaxact.gelu(1.5) - jaxact.gelu(1.0))
    assert function(np.array([1], np.int32)).dtype == jnp.float32
    assert function.__name__ == "gelu"
    assert jaxact.compact(jaxact.gelu) is function
    exact, sharp = (functools.partial(jaxact.silu, beta=beta) for beta in (1.0, 2.0))
    assert jaxact.compact(exact) is not jaxact.compact(sharp)
    with pytest.raises(TypeError, match=r"jaxact\.gelu: expected x to be a real number"):
        function("x")


def test_observe_sees_one_site():
    function = jaxact.compact(jaxact.gelu)
    _, flow = jax.jit(jaxact.flow.observe(lambda x: jnp.sum(function(x))))(np.linspace(-2, 2, 8, dtype=np.float32))
    assert [site.name for site in flow.sites] == ["gelu"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (jaxact.elu, "expected one of gelu, golu.* got elu; its derivative needs x"),
        (jaxact.softmax, "got softmax"),
        (lambda x: x, "expected a function of the catalog"),
        (functools.partial(jaxact.silu, beta=0), "expected beta of silu to be finite and not 0, got 0"),
        (functools.partial(jaxact.silu, beta=jnp.ones(3)), "whose parameters are numbers"),
        (functools.partial(jaxact.silu, beta=[1.0]), r"whose parameters are numbers; beta is \[1\.0\]"),
        ("gelu", "expected a function of the catalog"),
    ],
)
def test_what_cannot_be_compact(function, message):
    with pytest.raises(ValueError, match=rf"^jaxact\.compact: .*{message}"):
        jaxact.compact(function)
