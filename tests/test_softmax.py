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

_LOGITS = st.floats(-50, 50, width=32) | st.sampled_from([-np.inf, -1e38, 1e38, 0.0])
both = pytest.mark.parametrize("name", ["softmax", "log_softmax"])


@st.composite
def _rows(draw):
    """Logits with -inf and huge numbers among them, an axis or two, and perhaps a mask, down to fully masked rows."""
    shape = draw(st.sampled_from([(1,), (2, 4, 3)]))  # few, and few axes: each compiles
    x = draw(hnp.arrays(np.float32, shape, elements=_LOGITS))
    axis = draw(st.sampled_from([-1, 0, (0, -1)] if len(shape) > 1 else [-1]))
    mask = draw(hnp.arrays(bool, shape))
    return x, axis, mask if draw(st.booleans()) else np.ones_like(mask)


@functools.partial(jax.jit, static_argnums=0)
def _values_and_gradients(axis, x, mask, cotangent):
    """Of softmax and log_softmax along the cotangent, and of logsumexp the gradient of its sum."""
    results = {}
    for name in ("softmax", "log_softmax"):
        y, pull = jax.vjp(lambda x, name=name: getattr(jaxact, name)(x, axis, mask), x)
        results[name] = y, pull(cotangent)[0]
    of_sum = jax.grad(lambda x: jnp.sum(jaxact.logsumexp(x, axis, where=mask)))
    return {**results, "logsumexp": (jaxact.logsumexp(x, axis, keepdims=True, where=mask), of_sum(x))}


@hypothesis.given(_rows())
def test_values_and_gradients(rows):
    """Against float64: values to 5 of the error unit (logits spread over up to 104 count), and 0 where masked."""
    x, axis, mask = rows
    wide = x.astype(np.float64)
    cotangent = np.cos(np.arange(x.size, dtype=np.float32)).reshape(x.shape)
    results = jax.tree.map(np.asarray, _values_and_gradients(axis, x, mask, cotangent))
    left_out = ~mask | np.isneginf(x)
    for name in ("softmax", "log_softmax"):
        y, gradient = results[name]
        expected = getattr(row_oracles, name)(wide, mask, axis)
        np.testing.assert_allclose(y, expected.astype(np.float32), rtol=5 * 2**-23 * 104 / 8, atol=1e-37, err_msg=name)
        expected_gradient = getattr(row_oracles, f"{name}_gradient")(expected, cotangent, axis)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-5, atol=2e-6, err_msg=name)
        assert np.all(gradient[left_out] == 0)
        assert np.all(y[left_out] == (0 if name == "softmax" else -np.inf))
    y, gradient = results["logsumexp"]
    np.testing.assert_allclose(y, row_oracles.logsumexp(wide, mask, axis).astype(np.float32), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        gradient, row_oracles.softmax(wide, mask, axis).astype(np.float32), rtol=1e-5, atol=1e-37
    )


@functools.partial(jax.jit, static_argnums=0)
def _glu(axis, x):
    y, pull = jax.vjp(lambda x: jaxact.glu(x, axis), x)
    return y, pull(jnp.ones_like(y))[0]


@hypothesis.given(hnp.arrays(np.float32, (2, 4, 6), elements=st.floats(-90, 90, width=32)), st.sampled_from([-2, 0, 2]))
def test_glu(x, axis):
    y, gradient = _glu(axis, x)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(y, row_oracles.glu(wide, axis).astype(np.float32), rtol=1e-6, atol=1e-35)
    expected = row_oracles.glu_gradient(wide, np.ones(y.shape), axis)
    np.testing.assert_allclose(gradient, expected.astype(np.float32), rtol=2e-6, atol=1e-35)


def test_ssmax():
    """In float64 against its definition n^(scale x), by autodiff too; n counts neither what is masked nor -inf."""
    x = np.random.default_rng(0).normal(size=(3, 40))
    x[0, 3] = -np.inf
    mask = np.arange(40) < np.array([[39], [7], [1]])

    def definition(x, scale):
        seen = mask & (x > -jnp.inf)
        n = seen.sum(-1, keepdims=True)
        powers = jnp.where(seen, n ** (scale * jnp.where(seen, x, 0)), 0)
        return powers / powers.sum(-1, keepdims=True)

    def derivatives(f, x, scale):
        total = lambda x, scale: jnp.sin(f(x, scale) * np.arange(40)).sum()  # noqa: E731
        gradients = jax.grad(total, (0, 1))
        in_scale = jax.jvp(lambda scale: f(x, scale), (scale,), (1.0,))[1]
        return f(x, scale), in_scale, gradients(x, scale), jax.jacfwd(gradients, 1)(x, scale)

    ours = functools.partial(jaxact.ssmax, where=mask)
    of_both = jax.jit(lambda x, scale: [derivatives(f, x, scale) for f in (ours, definition)])
    half = x.astype(jnp.bfloat16)
    rounded = jax.jit(lambda x, scale: [ours(x, scale), ours(x.astype(jnp.float32), scale).astype(x.dtype)])
    for scale in (0.43, 1.0, -2.0, 0.0):
        with jax.enable_x64(True):
            chex.assert_trees_all_close(*of_both(x, scale), rtol=1e-10, atol=1e-12)
        chex.assert_trees_all_equal(*rounded(half, scale))  # rounded once


def test_the_issues_example():
    y = jaxact.softmax(np.array([1000.0, 1001.0, 1002.0]))
    chex.assert_trees_all_close(y, np.array([0.0900, 0.2447, 0.6652], np.float32), atol=5e-5)


@both
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_rows_with_nothing_in_them(name, dtype):
    """Fully masked, or all -inf: zeros (-inf for the logarithm), with zero gradients of the first and second order."""

    def total(x, mask):
        y = getattr(jaxact, name)(x, where=mask)
        return jnp.sum(jnp.exp(y)), y

    def twice(x, mask):
        gradient, y = jax.grad(total, has_aux=True)(x, mask)
        return gradient.sum(), (y, gradient)

    second = jax.grad(twice, has_aux=True)
    ones, infinite = np.ones((2, 3), dtype), np.full((2, 3), -np.inf, dtype)
    nothing = jax.jit(lambda ones, mask, infinite: [second(ones, mask), second(infinite, None)])
    for second_gradient, (y, gradient) in nothing(ones, np.zeros((2, 3), bool), infinite):
        np.testing.assert_array_equal(y, 0 if name == "softmax" else -np.inf)
        np.testing.assert_array_equal(gradient, 0)
        np.testing.assert_array_equal(second_gradient, 0)


def test_logsumexp_at_infinities():
    assert jaxact.logsumexp(np.array([-np.inf, -np.inf])) == -np.inf
    assert jaxact.logsumexp(np.array([np.inf, 0.0])) == np.inf
    chex.assert_trees_all_equal(jax.grad(jaxact.logsumexp)(np.array([-np.inf, -np.inf], np.float32)), jnp.zeros(2))
    value, sign = jaxact.logsumexp(np.array([1.0, 2.0]), b=np.array([1.0, -1.0]), return_sign=True)
    chex.assert_trees_all_close((value, sign), (np.float32(np.log(np.e**2 - np.e)), np.float32(-1)), rtol=1e-6)


def test_long_rows_of_equal_float16_entries():
    """jax.nn gives -inf, 0 and NaN here: the sum of exponentials overflows float16."""
    n = 100_000

    @jax.jit
    def results(x):
        first = lambda x: jaxact.log_softmax(x)[0]  # noqa: E731
        functions = jaxact.softmax, jaxact.log_softmax, jaxact.logsumexp, jax.grad(first), jax.grad(jaxact.logsumexp)
        return [f(x) for f in functions]

    shares, logarithms, total, gradient, of_total = results(np.full(n, 3.0, np.float16))
    np.testing.assert_array_equal(shares, np.float16(1 / n))
    np.testing.assert_array_equal(logarithms, np.float16(-np.log(n)))
    assert total == np.float16(3 + np.log(n))
    np.testing.assert_array_equal(gradient[:2], np.array([1 - 1 / n, -1 / n], np.float16))
    np.testing.assert_array_equal(of_total, np.float16(1 / n))


@functools.partial(jax.jit, static_argnums=0)
def _pulled(name, x, cotangents, mask=None):
    """The gradient along each cotangent."""
    pull = jax.vjp(lambda x: getattr(jaxact, name)(x, where=mask), x)[1]
    return jax.vmap(pull)(cotangents)[0]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_gradients_sum_to_zero(dtype):
    """With ties, a mask and rounded y: the sum is rounding of its terms, not a bias that moves every logit."""
    kind = jnp.dtype(dtype)
    x = np.random.default_rng(0).normal(size=(8, 4096)).round(1).astype(kind)
    cotangent = (np.random.default_rng(1).normal(size=x.shape) + 3).astype(kind)
    gradient = np.asarray(_pulled("softmax", x, cotangent[None], np.arange(4096) % 7 != 0)[0], np.float64)
    rounding = float(jnp.finfo(dtype).eps) / 2
    # Independent roundings of n terms grow like sqrt(n); a bias like n. Six standard deviations.
    assert np.all(np.abs(gradient.sum(-1)) <= 6 * rounding * np.sqrt((gradient**2).sum(-1)))


@both
def test_the_tail_of_a_one_hot_cotangent(name):
    """The small entries of a gradient are right too: y (t - sum(y t)) cancels there."""
    for row in ((0.0, -20.0), (-20.0, 0.0), (0.0, -40.0, -60.0), (5.0, 4.0, -30.0)):
        x = np.array(row, np.float32)
        y = row_oracles.softmax(x.astype(np.float64))
        one_hots = np.eye(x.size, dtype=np.float32)
        for i, gradient in enumerate(_pulled(name, x, one_hots)):
            expected = row_oracles.softmax_gradient(y, one_hots[i])
            if name == "log_softmax":  # 1 - y_i is the sum of the others
                expected = np.where(one_hots[i] == 1, np.sum(y * (1 - one_hots[i])), -y)
            np.testing.assert_allclose(gradient, expected, rtol=2e-6, atol=1e-37, err_msg=f"{row}, {i}")


@both
def test_one_temperature_a_row(name):
    """Values, and derivatives in the temperatures, of rows of float64."""
    x, weights = np.random.default_rng(0).normal(size=(2, 2, 5)).astype(np.float32)
    temperatures = np.array([[0.5], [2.0]], np.float32)

    @jax.jit
    def results(x, temperatures):
        y, pull = jax.vjp(lambda t: getattr(jaxact, name)(x, temperature=t), temperatures)
        return y, pull(weights)[0]

    y, gradient = results(x, temperatures)
    oracle, t = functools.partial(getattr(row_oracles, name), x.astype(np.float64)), temperatures.astype(np.float64)
    np.testing.assert_allclose(y, oracle(temperature=t), rtol=5e-6)
    step = 1e-6 * t
    difference = oracle(temperature=t + step) - oracle(temperature=t - step)
    np.testing.assert_allclose(
        gradient, (weights * difference / (2 * step)).sum(-1, keepdims=True), rtol=1e-4, atol=1e-5
    )


def test_temperatures_of_rows_with_masks():
    """The derivative in the temperature, where a sink is off, and where a mask is the lowest number."""
    rows = np.float32([[0.5, -1.0, 2.0, mask] for mask in (-np.inf, np.finfo(np.float32).min)])

    @jax.jit
    def slopes(rows):
        def slope(function, x, **sink):
            return jax.grad(lambda t: function(x, temperature=t, **sink)[0])(0.5)

        functions = jaxact.softmax, jaxact.log_softmax
        return [[*(slope(f, x) for x in (rows[0, :3], *rows)), slope(f, rows[0, :3], sink=-jnp.inf)] for f in functions]

    for plain, *masked in slopes(rows):
        np.testing.assert_allclose(masked, plain, rtol=1e-6)


def test_an_infinite_temperature_evens_out_what_is_not_masked():
    """And one from 1e38 on, whose inverse XLA would flush to 0: -inf times 0 is NaN."""
    x = jnp.float32([0.5, -jnp.inf, 2.0, -1.0])

    @jax.jit
    def results(t):
        functions = jaxact.softmax, lambda x, **parameters: jnp.exp(jaxact.log_softmax(x, **parameters))
        return [(f(x, temperature=t), jax.grad(lambda t, f=f: f(x, temperature=t)[0])(t)) for f in functions]

    for temperature in (1e38, np.inf):
        for shares, slope in results(temperature):
            np.testing.assert_allclose(shares, [1 / 3, 0, 1 / 3, 1 / 3], rtol=1e-6)
            assert slope == 0


def test_logsumexp_of_weights():
    """All second derivatives, also in weights of 0, against differences; and a derivative that float32 cannot hold."""
    a, b = np.array([[0.3, -0.7, 1.2], [1.0, 0.0, -2.0]])
    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(lambda ab: jaxact.logsumexp(ab[0], b=ab[1])))
        hessian = jax.jit(jax.jacrev(gradient))(np.stack([a, b]))
        for index in np.ndindex(2, 3):
            step = np.zeros((2, 3))
            step[index] = 1e-6
            difference = (gradient(np.stack([a, b]) + step) - gradient(np.stack([a, b]) - step)) / 2e-6
            np.testing.assert_allclose(hessian[(..., *index)], difference, rtol=1e-7, atol=1e-7)
        slope = jax.grad(lambda b: jaxact.logsumexp(np.array([700.0, 0.0]), b=b))(np.array([0.0, 1.0]))
        np.testing.assert_allclose(slope, [np.exp(700.0), 1.0], rtol=1e-12)


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax", "ssmax", "gaussian_topk"])
def test_infinite_entries(name):
    """What the docstrings say of them."""
    x = np.float32([1.0, np.inf, np.inf, -np.inf])
    y = np.asarray(getattr(jaxact, name)(x))
    says = "makes its row NaN" in " ".join(jaxact.info(name).function.__doc__.split())
    assert says == np.isnan(y[:3]).any() == (name != "gaussian_topk")


def test_axes_in_any_order():
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(jaxact.softmax(x, axis=(0, -1)), jaxact.softmax(x, axis=[2, 0]))


@both
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bits_are_rounded_once(name, dtype):
    """Within 1 ulp of the float64 result of the same 16-bit logits."""
    x = (np.random.default_rng(0).normal(size=(16, 1000)) * 3).astype(jnp.dtype(dtype))
    expected = getattr(row_oracles, name)(x.astype(np.float64))
    y = np.asarray(getattr(jaxact, name)(x))
    ulp = float(jnp.finfo(dtype).eps) * np.exp2(np.floor(np.log2(np.abs(expected))))
    normal = np.abs(expected) >= float(jnp.finfo(dtype).tiny)
    assert np.all(np.abs(y.astype(np.float64) - expected)[normal] <= ulp[normal])


@both
def test_ties_share_the_gradient(name):
    """Equal logits get equal gradients for equal cotangents: no entry is the maximum."""
    x = np.array([2.0, 2.0, 2.0, -1.0], np.float32)
    ((first, *others, _),) = _pulled(name, x, np.array([[1, 1, 1, 0]], np.float32))
    assert all(first == other for other in others)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_as_jax_nn_where_that_is_right(name):
    """Masks, axes and keyword names mean what they mean there, with b, keepdims and return_sign too."""
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    settings = [{}, {"axis": 0}, {"axis": -1, "where": x > -0.5}]
    if name == "logsumexp":
        settings += [{"b": np.abs(x)}, {"axis": 1, "keepdims": True}, {"axis": 0, "b": x, "return_sign": True}]
    both = [getattr(library, name) for library in (jaxact, jax.nn)]
    for ours, theirs in jax.jit(lambda x: [[f(x, **arguments) for f in both] for arguments in settings])(x):
        chex.assert_trees_all_close(ours, theirs, rtol=2e-6, atol=1e-6)
