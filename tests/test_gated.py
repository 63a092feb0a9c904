"""Gated units of a gate and a value: values, derivatives, layouts, types, and wrong input."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import jaxact
from jaxact.core import catalog
from jaxact.verify.unit import units

_SILU = (
    lambda x: x * special.expit(x),
    lambda x: special.expit(x) * (1 + x * special.expit(-x)),
    lambda x: special.expit(x) * special.expit(-x) * (2 - x * np.tanh(x / 2)),
)
_DENSITY = lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi)  # noqa: E731
_GELU = (
    lambda x: x * special.ndtr(x),
    lambda x: special.ndtr(x) + x * _DENSITY(x),
    lambda x: _DENSITY(x) * (2 - x * x),
)


def _tanh_gelu(order):
    def form(x):
        c, d = 2 * np.sqrt(2 / np.pi), 0.044715
        v, dv, ddv = c * x * (1 + d * x * x), c * (1 + 3 * d * x * x), 6 * c * d * x
        s, b = special.expit(v), special.expit(v) * special.expit(-v)
        return (x * s, s + x * b * dv, b * (2 * dv + x * ddv - x * np.tanh(v / 2) * dv * dv))[order]

    return form


def _scaled_silu(alpha):
    return [lambda x, f=f, k=k: f(alpha * x) * alpha ** (k - 1) for k, f in enumerate(_SILU)]


def _clamped(forms, limit):
    value, slope, curvature = forms
    return (
        lambda x: value(np.minimum(x, limit)),
        lambda x: np.where(x <= limit, slope(np.minimum(x, limit)), 0),
        lambda x: np.where(x <= limit, curvature(np.minimum(x, limit)), 0),
    )


def _clamped_behind(forms, limit):
    value, slope, curvature = forms
    return (
        lambda x: np.minimum(value(x), limit),
        lambda x: np.where(value(x) <= limit, slope(x), 0),
        lambda x: np.where(value(x) <= limit, curvature(x), 0),
    )


def _within(limit, shift=0.0):
    return lambda u: np.clip(u, -limit, limit) + shift, lambda u: np.where(np.abs(u) <= limit, 1.0, 0.0)


def _situ(beta):
    """beta tanh(x / beta) sigmoid(x): a product, whose derivatives are by the product rule."""
    tanh = lambda x: np.tanh(x / beta)  # noqa: E731
    sech2 = lambda x: 1 / np.cosh(np.clip(x / beta, -300, 300)) ** 2  # noqa: E731
    s, b = special.expit, lambda x: special.expit(x) * special.expit(-x)
    return (
        lambda x: beta * tanh(x) * s(x),
        lambda x: sech2(x) * s(x) + beta * tanh(x) * b(x),
        lambda x: b(x) * (2 * sech2(x) - beta * tanh(x) * np.tanh(x / 2)) - 2 / beta * tanh(x) * sech2(x) * s(x),
    )


def _cut_off(threshold):
    above = lambda x: np.where(x > np.float32(threshold), 1.0, 0.0)  # noqa: E731
    return lambda x: x * above(x), above, np.zeros_like


def _capped(cap):
    return lambda u: cap * np.tanh(u / cap), lambda u: 1 / np.cosh(u / cap) ** 2


_RELU2 = (lambda x: np.maximum(x, 0) ** 2, lambda x: 2 * np.maximum(x, 0), lambda x: np.where(x > 0, 2.0, 0.0))
_SIGMOID = (
    special.expit,
    lambda x: special.expit(x) * special.expit(-x),
    lambda x: -special.expit(x) * special.expit(-x) * np.tanh(x / 2),
)
_RELU = (lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, 1.0, 0.0), np.zeros_like)
_ALL = (lambda u: u, np.ones_like)
ALPHA, LIMIT = float(np.float32(1.702)), 7.0
# name and parameters: the activation of the gate with its first two derivatives, and what is made of the value.
CASES = {
    ("swiglu",): (_SILU, _ALL),
    ("geglu",): ([_tanh_gelu(k) for k in range(3)], _ALL),
    ("geglu", ("approximate", False)): (_GELU, _ALL),
    ("reglu",): (_RELU, _ALL),
    ("sreglu",): (_RELU2, _ALL),
    ("dreglu",): (_RELU, _RELU[:2]),
    ("fatreglu",): (_cut_off(0.01), _ALL),
    ("fatreglu", ("threshold", 0.5)): (_cut_off(0.5), _ALL),
    ("qgeglu",): (_scaled_silu(ALPHA), _ALL),
    ("sigmoid_gate",): (_SIGMOID, _ALL),
    ("situ_glu",): (_situ(4.0), _capped(25.0)),
    ("situ_glu", ("beta", 1.0), ("linear_beta", 2.0)): (_situ(1.0), _capped(2.0)),
    ("bilinear",): ((lambda x: x, np.ones_like, np.zeros_like), _ALL),
    ("swiglu_clamped",): (_clamped(_SILU, 10.0), _within(10.0)),
    ("swiglu_clamped", ("limit", 2.0)): (_clamped(_SILU, 2.0), _within(2.0)),
    ("swiglu_step",): (_clamped_behind(_SILU, LIMIT), _within(LIMIT)),
    ("swiglu_oai",): (_clamped(_scaled_silu(ALPHA), LIMIT), _within(LIMIT, 1.0)),
    ("swiglu_oai", ("alpha", 1.0), ("limit", 2.0)): (_clamped(_SILU, 2.0), _within(2.0, 1.0)),
}
_TWO_ARRAYS = [
    row for row in catalog.rows() if row.kind == "gated" and row.function.__code__.co_varnames[:2] == ("gate", "value")
]
# One more than DESIGN's, for the product with the value.
_BOUNDS = {"float32": (6, 9, 33), "bfloat16": (1, 1, 2), "float16": (1, 1, 2)}
# With caps as small as 1 and 2, products of three rounded functions; at a gate of -0.87, where the slope changes sign,
# tanh and its slope cancel. Worst of 400,000 random points: 6.7 and 16.0, where caps of 4 and 25 have 5.4 and 7.4.
_OF_SMALL_CAPS = {**_BOUNDS, "float32": (7, 16, 33)}


def _function(key):
    return lambda gate, value: getattr(jaxact, key[0])(gate, value, **dict(key[1:]))


def _points(dtype):
    """Every gate of a 16-bit type from 1e-4 to 64, or a sample of float32, with values on both sides of the limits.

    Where an activation may underflow the value is under 1, so that a product within the numbers has factors that are.
    """
    kind = jnp.dtype(dtype)
    if kind.itemsize == 2:
        gate = np.arange(2**16, dtype=np.uint16).view(kind)
        wide = np.abs(gate.astype(np.float32))
        gate = gate[(wide <= 64) & ((wide >= 1e-4) | (wide == 0))]
    else:
        rng = np.random.default_rng(0)
        gate = np.concatenate([s * np.exp2(rng.uniform(-12, 6, 2**14)) for s in (-1, 1)] + [[0, 2, 7, 10]]).astype(kind)
    rng = np.random.default_rng(1)
    size = np.exp2(rng.uniform(-4, np.where(np.abs(gate.astype(np.float32)) < 9, 5, 0)))
    return gate, (rng.choice([-1, 1], gate.size) * size).astype(kind)


def _within_bound(got, reference, sensitivity, bound):
    error = units(np.asarray(got), reference, sensitivity)
    worst = int(np.argmax(error))
    assert error[worst] <= bound, (error[worst], np.asarray(got)[worst], reference[worst])


def test_every_gated_row_has_an_oracle_here():
    assert {row.name for row in _TWO_ARRAYS} == {key[0] for key in CASES}
    assert all(row.keeps == 2 for row in _TWO_ARRAYS)


# One mechanism rounds all units to 16 bits, so that a few show it: a plain one, one that chooses, one with parameters.
IN_16_BITS = [(key, dtype) for key in (("swiglu",), ("reglu",), ("swiglu_oai",)) for dtype in ("bfloat16", "float16")]


@pytest.mark.parametrize(
    ("key", "dtype"),
    [pytest.param(*each, id=f"{each}") for each in [*((key, "float32") for key in CASES), *IN_16_BITS]],
)
def test_values_and_derivatives(key, dtype):
    (act, slope, curvature), (made, inside) = CASES[key]
    gate, value = _points(dtype)
    g, u = gate.astype(np.float64), value.astype(np.float64)
    function, one = _function(key), jnp.ones_like(gate)

    @jax.jit
    def derivatives(gate, value):
        def with_gradients(gate, value):
            y, pull = jax.vjp(function, gate, value)
            return y, pull(one)

        (y, (of_gate, of_value)), (along_gate, (twice, both)) = jax.jvp(
            lambda gate: with_gradients(gate, value), (gate,), (one,)
        )
        _, (along_value, (also_both, _)) = jax.jvp(lambda value: with_gradients(gate, value), (value,), (one,))
        return y, {
            "gate": [of_gate, along_gate],
            "gate twice": [twice],
            "value": [of_value, along_value],
            "both": [both, also_both],
        }

    step = np.abs(g) * 2.0**-30
    jerk = np.where(g == 0, 0, (curvature(g + step) - curvature(g - step)) / np.where(g == 0, 1, 2 * step))
    y, slopes = derivatives(gate, value)
    bounds = (_OF_SMALL_CAPS if key[:2] == ("situ_glu", ("beta", 1.0)) else _BOUNDS)[dtype]
    _within_bound(y, act(g) * made(u), g * slope(g) * made(u), bounds[0])
    expected = {
        "gate": (slope(g) * made(u), g * curvature(g) * made(u), 1),
        "gate twice": (curvature(g) * made(u), g * jerk * made(u), 2),
        "value": (act(g) * inside(u), g * slope(g) * inside(u), 1),
        "both": (slope(g) * inside(u), g * curvature(g) * inside(u), 2),
    }
    for name, ways in slopes.items():
        *wanted, order = expected[name]
        for got in ways:
            _within_bound(got, *wanted, bounds[order])


@pytest.mark.parametrize("name", ["swiglu_clamped", "swiglu_oai"])
def test_slope_at_the_limit_is_the_one_from_inside(name):
    limit = np.float32(jaxact.info(name).parameters["limit"])
    above = np.nextafter(limit, np.float32(np.inf))
    gates = np.array([limit, above, *[1] * 5], np.float32)
    values = np.array([2, 2, 0, limit, -limit, above, -above], np.float32)
    in_gate, in_value = jax.jit(jax.vmap(jax.grad(getattr(jaxact, name), (0, 1))))(gates, values)
    assert in_gate[0] > 1 > in_gate[1] == 0
    np.testing.assert_array_equal(in_value[2:], in_value[2] * np.array([1, 1, 1, 0, 0]))
    assert in_value[2] > 0.7


def test_glu_second_derivative_near_zero():
    """sigmoid''(b) is -b / 8 there, which autodiff of exp(-|b|) loses."""
    second = jax.jit(jax.grad(jax.grad(lambda b: jaxact.glu(jnp.stack([jnp.ones_like(b), b]))[0])))(np.float32(1e-4))
    np.testing.assert_allclose(second, -1e-4 / 8, rtol=1e-6)


_PACKED = np.arange(24.0, dtype=np.float32).reshape(2, 4, 3)


@pytest.mark.parametrize(
    ("layout", "gate", "value"),
    [
        ("gate_first", _PACKED[:, :2], _PACKED[:, 2:]),
        ("gate_last", _PACKED[:, 2:], _PACKED[:, :2]),
        ("interleaved", _PACKED[:, ::2], _PACKED[:, 1::2]),
    ],
)
def test_split(layout, gate, value):
    for axis in (1, -2):
        got = jax.jit(lambda x, axis=axis: jaxact.split(x, layout, axis))(_PACKED)
        np.testing.assert_array_equal(got[0], gate)
        np.testing.assert_array_equal(got[1], value)


def test_split_is_what_glu_does():
    x = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
    gate, value = jaxact.split(x, "gate_last")
    np.testing.assert_allclose(jaxact.glu(x), jaxact.sigmoid(gate) * value, rtol=3e-7)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: jaxact.split(_PACKED, "gate"), ValueError, '"gate_first", "gate_last" or "interleaved", got \'gate\''),
        (lambda: jaxact.split(_PACKED, "gate_first"), ValueError, "an even size along axis 2, got 3"),
        (lambda: jaxact.split(_PACKED, "gate_first", 3), ValueError, "expected axis in [-3, 3)"),
        (lambda: jaxact.split(_PACKED, "gate_first", "a"), TypeError, "expected axis to be an int"),  # pyright: ignore[reportArgumentType]
        (lambda: jaxact.swiglu(jnp.ones(3), jnp.ones(4)), ValueError, "one shape, got (3,) and (4,)"),
        (lambda: jaxact.swiglu(jnp.ones((2, 3)), jnp.ones(3)), ValueError, "one shape, got (2, 3) and (3,)"),
        (lambda: jaxact.swiglu(jnp.ones(3), "a"), TypeError, "expected value to be a real number or array"),  # pyright: ignore[reportArgumentType]
        (lambda: jaxact.geglu(1j, 1.0), TypeError, "expected gate to be"),
        (lambda: jaxact.swiglu_oai(1.0, 1.0, limit=0.0), ValueError, "expected limit > 0, got 0.0"),
        (lambda: jaxact.swiglu_step(1.0, 1.0, limit=-1.0), ValueError, "expected limit > 0, got -1.0"),
        (lambda: jaxact.swiglu(1.0), TypeError, "value"),  # pyright: ignore[reportCallIssue]
    ],
)
def test_wrong_input(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.parametrize("row", _TWO_ARRAYS, ids=lambda row: row.name)
def test_two_arrays_of_any_float_type(row):
    half, single, whole, flags = (jax.ShapeDtypeStruct((3,), t) for t in ("bfloat16", "float32", "int32", "bool"))
    of = lambda *arrays: jax.eval_shape(row.function, *arrays).dtype  # noqa: E731
    assert of(half, half) == jnp.bfloat16
    assert of(half, single) == of(single, half) == of(whole, flags) == jnp.float32
    with pytest.raises(TypeError):
        jaxact.get(row.name)(np.ones(3, np.float32))
