"""softmax, log_softmax, logsumexp and glu: rows, masks, infinities, ties, temperature, and gradients that sum to 0."""

import functools

import chex
import hypothesis
import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

import jaxact
from jaxact.verify.oracles import rows as row_oracles

_SHAPES = st.sampled_from([(1,), (3, 4), (2, 1, 3)])  # few: each compiles
_LOGITS = st.floats(-50, 50, width=32) | st.sampled_from([-np.inf, -1e38, 1e38, 0.0])
both = pytest.mark.parametrize("name", ["softmax", "log_softmax"])


@st.composite
def _rows(draw):
    """Logits with -inf and huge numbers among them, an axis or two, and perhaps a mask, down to fully masked rows."""
    shape = draw(_SHAPES)
    x = draw(hnp.arrays(np.float32, shape, elements=_LOGITS))
    axis = draw(st.integers(-len(shape), len(shape) - 1) | st.just(tuple(range(len(shape)))))
    mask = draw(hnp.arrays(bool, shape))
    return x, axis, mask if draw(st.booleans()) else np.ones_like(mask)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _value_and_gradient(function, axis, x, mask, cotangent):
    y, pull = jax.vjp(lambda x: function(x, axis, mask), x)
    return y, pull(cotangent)[0]


@both
@hypothesis.given(_rows())
def test_values_and_gradients(name, rows):
    """Against float64: values to 5 of the error unit (logits spread over up to 104 count), and 0 where masked."""
    x, axis, mask = rows
    expected = getattr(row_oracles, name)(x.astype(np.float64), mask, axis)
    cotangent = np.cos(np.arange(x.size, dtype=np.float32)).reshape(x.shape)
    y, gradient = _value_and_gradient(getattr(jaxact, name), axis, x, mask, cotangent)
    chex.assert_trees_all_close(y, expected.astype(np.float32), rtol=5 * 2**-23 * 104 / 8, atol=1e-37)
    chex.assert_tree_all_finite(gradient)
    expected_gradient = getattr(row_oracles, f"{name}_gradient")(expected, cotangent, axis)
    chex.assert_trees_all_close(gradient, expected_gradient, rtol=1e-5, atol=2e-6)
    left_out = ~mask | np.isneginf(x)
    assert np.all(np.asarray(gradient)[left_out] == 0)
    assert np.all(np.asarray(y)[left_out] == (0 if name == "softmax" else -np.inf))


@hypothesis.given(_rows())
def test_logsumexp(rows):
    x, axis, mask = rows
    expected = row_oracles.logsumexp(x.astype(np.float64), mask, axis)
    y = jaxact.logsumexp(x, axis, keepdims=True, where=mask)
    chex.assert_trees_all_close(y, expected.astype(np.float32), rtol=1e-6, atol=1e-6)
    gradient = jax.grad(lambda x: jnp.sum(jaxact.logsumexp(x, axis, where=mask)))(x)
    probabilities = row_oracles.softmax(x.astype(np.float64), mask, axis)
    chex.assert_trees_all_close(gradient, probabilities.astype(np.float32), rtol=1e-5, atol=1e-37)


@hypothesis.given(hnp.arrays(np.float32, (2, 4, 6), elements=st.floats(-90, 90, width=32)), st.integers(-2, 2))
def test_glu(x, axis):
    axis = axis if axis != 1 else -2
    y, pull = jax.vjp(lambda x: jaxact.glu(x, axis), x)
    wide = x.astype(np.float64)
    chex.assert_trees_all_close(y, row_oracles.glu(wide, axis).astype(np.float32), rtol=1e-6, atol=1e-35)
    expected = row_oracles.glu_gradient(wide, np.ones(y.shape), axis)
    chex.assert_trees_all_close(pull(jnp.ones_like(y))[0], expected.astype(np.float32), rtol=2e-6, atol=1e-35)


@pytest.mark.parametrize("scale", [0.43, 1.0, -2.0])
def test_ssmax(scale):
    """In float64 against its definition n^(scale x), by autodiff too; n counts neither what is masked nor -inf."""
    x = np.random.default_rng(0).normal(size=(3, 40))
    x[0, 3] = -np.inf
    mask = np.arange(40) < np.array([[39], [7], [1]])

    def definition(x, scale):
        seen = mask & (x > -jnp.inf)
        n = seen.sum(-1, keepdims=True)
        powers = jnp.where(seen, n ** (scale * jnp.where(seen, x, 0)), 0)
        return powers / powers.sum(-1, keepdims=True)

    def derivatives(f):
        total = lambda x, scale: jnp.sin(f(x, scale) * np.arange(40)).sum()  # noqa: E731
        gradients = jax.grad(total, (0, 1))
        in_scale = jax.jvp(lambda scale: f(x, scale), (scale,), (1.0,))[1]
        return f(x, scale), in_scale, gradients(x, scale), jax.jacfwd(gradients, 1)(x, scale)

    with jax.enable_x64(True):
        ours = jax.jit(lambda: derivatives(lambda x, scale: jaxact.ssmax(x, scale, where=mask)))()
        chex.assert_trees_all_close(ours, derivatives(definition), rtol=1e-10, atol=1e-12)
    half = jaxact.ssmax(x.astype(jnp.bfloat16), scale, where=mask)
    exact = jaxact.ssmax(np.asarray(x.astype(jnp.bfloat16), np.float32), scale, where=mask)
    chex.assert_trees_all_equal(half, exact.astype(jnp.bfloat16))  # rounded once


def test_ssmax_does_not_flatten():
    """The largest of ever more logits keeps its share where the scale times its lead is over 1."""
    rows = [jaxact.ssmax(jnp.zeros(n).at[0].set(2.0)) for n in (10, 1000, 100_000)]
    assert float(rows[0][0]) < float(rows[1][0]) < float(rows[2][0])
    assert float(jaxact.softmax(jnp.zeros(100_000).at[0].set(2.0))[0]) < 1e-4


def test_the_issues_example():
    y = jaxact.softmax(np.array([1000.0, 1001.0, 1002.0]))
    chex.assert_trees_all_close(y, np.array([0.0900, 0.2447, 0.6652], np.float32), atol=5e-5)


@both
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_rows_with_nothing_in_them(name, dtype):
    """Fully masked, or all -inf: zeros (-inf for the logarithm), with zero gradients of the first and second order."""
    function = getattr(jaxact, name)
    for x, mask in ((np.ones((2, 3)), np.zeros((2, 3), bool)), (np.full((2, 3), -np.inf), None)):
        x = jnp.asarray(x, dtype)

        def total(x, mask=mask):
            y = function(x, where=mask)
            return jnp.sum(jnp.exp(y)), y

        def twice(x, total=total):
            gradient, y = jax.grad(total, has_aux=True)(x)
            return gradient.sum(), (y, gradient)

        second, (y, first) = jax.jit(jax.grad(twice, has_aux=True))(x)
        chex.assert_trees_all_equal(y, jnp.full_like(x, 0 if name == "softmax" else -jnp.inf))
        chex.assert_trees_all_equal(first, second, jnp.zeros_like(x))


@pytest.mark.parametrize("name", ["sparsemax", "entmax15", "entmax"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_infinite_logits_share_their_row(name, dtype):
    """Of softmax and log_softmax they make the row NaN, as in jax.nn: anything else costs a pass over memory."""
    x = jnp.array([[1, jnp.inf, -jnp.inf, jnp.inf], [jnp.inf, 0, 1, 2]], dtype)
    y = jnp.array([[0, 0.5, 0, 0.5], [1, 0, 0, 0]], dtype)
    chex.assert_trees_all_equal(getattr(jaxact, name)(x), y)
    chex.assert_tree_all_finite(jax.grad(lambda x: jnp.sum(getattr(jaxact, name)(x)[0, 1]))(x))


def test_logsumexp_at_infinities():
    assert jaxact.logsumexp(np.array([-np.inf, -np.inf])) == -np.inf
    assert jaxact.logsumexp(np.array([np.inf, 0.0])) == np.inf
    chex.assert_trees_all_equal(jax.grad(jaxact.logsumexp)(np.array([-np.inf, -np.inf], np.float32)), jnp.zeros(2))
    value, sign = jaxact.logsumexp(np.array([1.0, 2.0]), b=np.array([1.0, -1.0]), return_sign=True)
    chex.assert_trees_all_close((value, sign), (np.float32(np.log(np.e**2 - np.e)), np.float32(-1)), rtol=1e-6)


@pytest.mark.parametrize("n", [65_536, 100_000])
def test_long_rows_of_equal_float16_entries(n):
    """jax.nn gives -inf, 0 and NaN here: the sum of exponentials overflows float16."""
    x = jnp.full(n, 3.0, jnp.float16)
    chex.assert_trees_all_equal(jaxact.softmax(x), jnp.full(n, 1 / n, jnp.float16))
    chex.assert_trees_all_equal(jaxact.log_softmax(x), jnp.full(n, -np.log(n), jnp.float16))
    assert jaxact.logsumexp(x) == jnp.asarray(3 + np.log(n), jnp.float16)
    gradient = jax.grad(lambda x: jaxact.log_softmax(x)[0])(x)
    chex.assert_trees_all_equal(gradient[:2], jnp.array([1 - 1 / n, -1 / n], jnp.float16))
    chex.assert_trees_all_equal(jax.grad(lambda x: jaxact.logsumexp(x))(x), jnp.full(n, 1 / n, jnp.float16))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_gradients_sum_to_zero(dtype):
    """With ties, a mask and rounded y: the sum is rounding of its terms, not a bias that moves every logit."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(8, 4096)).round(1), dtype)
    mask = np.arange(4096) % 7 != 0
    cotangent = jnp.asarray(np.random.default_rng(1).normal(size=x.shape) + 3, dtype)
    gradient = np.asarray(jax.vjp(lambda x: jaxact.softmax(x, where=mask), x)[1](cotangent)[0], np.float64)
    rounding = float(jnp.finfo(dtype).eps) / 2
    # Independent roundings of n terms grow like sqrt(n); a bias like n. Six standard deviations.
    assert np.all(np.abs(gradient.sum(-1)) <= 6 * rounding * np.sqrt((gradient**2).sum(-1)))


@both
def test_the_tail_of_a_one_hot_cotangent(name):
    """The small entries of a gradient are right too: y (t - sum(y t)) cancels there."""
    for row in ((0.0, -20.0), (-20.0, 0.0), (0.0, -40.0, -60.0), (5.0, 4.0, -30.0)):
        x = np.array(row, np.float32)
        y = row_oracles.softmax(x.astype(np.float64))
        for i in range(x.size):
            one_hot = np.eye(x.size, dtype=np.float32)[i]
            gradient = jax.vjp(getattr(jaxact, name), x)[1](jnp.asarray(one_hot))[0]
            expected = row_oracles.softmax_gradient(y, one_hot)
            if name == "log_softmax":  # 1 - y_i is the sum of the others
                expected = np.where(one_hot == 1, np.sum(y * (1 - one_hot)), -y)
            np.testing.assert_allclose(gradient, expected, rtol=2e-6, atol=1e-37, err_msg=f"{row}, {i}")
    gradient = jax.grad(lambda x: jaxact.softmax(x)[0])(np.array([0.0, -20.0], np.float32))
    np.testing.assert_allclose(gradient, [2.0611536e-09, -2.0611536e-09], rtol=2e-6)


@both
def test_temperature(name):
    """Softmax of x / T, its derivative in T, and one temperature a row."""
    x = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    function, oracle = getattr(jaxact, name), getattr(row_oracles, name)
    for temperature in (0.1, 1.0, 7.0):
        t = float(np.float32(temperature))
        expected = oracle(x.astype(np.float64), temperature=t)
        chex.assert_trees_all_close(function(x, temperature=temperature), expected.astype(np.float32), rtol=5e-6)
        step = 1e-6 * t
        difference = oracle(x.astype(np.float64), temperature=t + step) - oracle(
            x.astype(np.float64), temperature=t - step
        )
        for jacobian in (jax.jacfwd, jax.jacrev):
            derivative = jacobian(lambda t: function(x, temperature=t))(jnp.float32(t))
            chex.assert_trees_all_close(derivative, (difference / (2 * step)).astype(np.float32), rtol=1e-4, atol=1e-5)
    rows = np.array([[0.5], [2.0]], np.float32)
    expected = jnp.stack([function(x[i], temperature=rows[i, 0]) for i in range(2)])
    chex.assert_trees_all_close(function(x, temperature=rows), expected, rtol=1e-6)


@both
def test_several_axes_are_one_long_axis(name):
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    function = getattr(jaxact, name)
    flat = function(np.moveaxis(x, 1, 0).reshape(3, 8)).reshape(3, 2, 4)
    chex.assert_trees_all_close(function(x, axis=(0, 2)), np.moveaxis(np.asarray(flat), 0, 1), rtol=1e-6)
    chex.assert_trees_all_equal(function(x, axis=(0, -1)), function(x, axis=[2, 0]))


@both
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bits_are_rounded_once(name, dtype):
    """Within 1 ulp of the float64 result of the same 16-bit logits."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(16, 1000)) * 3, dtype)
    expected = getattr(row_oracles, name)(np.asarray(x, np.float64))
    y = np.asarray(getattr(jaxact, name)(x))
    ulp = float(jnp.finfo(dtype).eps) * np.exp2(np.floor(np.log2(np.abs(expected))))
    normal = np.abs(expected) >= float(jnp.finfo(dtype).tiny)
    assert np.all(np.abs(y.astype(np.float64) - expected)[normal] <= ulp[normal])


@both
def test_ties_share_the_gradient(name):
    """Equal logits get equal gradients for equal cotangents: no entry is the maximum."""
    x = np.array([2.0, 2.0, 2.0, -1.0], np.float32)
    gradient = jax.vjp(getattr(jaxact, name), x)[1](jnp.array([1.0, 1.0, 1.0, 0.0]))[0]
    chex.assert_trees_all_equal(gradient[0], gradient[1], gradient[2])


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_as_jax_nn_where_that_is_right(name):
    """Masks, axes and keyword names mean what they mean there, with b, keepdims and return_sign too."""
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    mask = x > -0.5
    ours, theirs = getattr(jaxact, name), getattr(jax.nn, name)
    settings = [{}, {"axis": 0}, {"axis": -1, "where": mask}]
    if name == "logsumexp":
        settings += [{"b": np.abs(x)}, {"axis": 1, "keepdims": True}, {"axis": 0, "b": x, "return_sign": True}]
    for arguments in settings:
        chex.assert_trees_all_close(ours(x, **arguments), theirs(x, **arguments), rtol=2e-6, atol=1e-6)
