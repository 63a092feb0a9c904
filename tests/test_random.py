"""Modules of random functions: a key from where the framework has its keys, and the expectation without one."""

import equinox
import jax
import numpy as np
import pytest
from flax import linen, nnx

import jaxact
import jaxact.equinox
import jaxact.linen
import jaxact.nnx

pytestmark = pytest.mark.quickly_compiled

X = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
KEY = jax.random.key(7)
NAMES = ["RReLU", "GumbelSoftmax"]
FUNCTIONS = {"RReLU": jaxact.rrelu, "GumbelSoftmax": jaxact.gumbel_softmax}

every = pytest.mark.parametrize("name", NAMES)


def test_without_a_key_a_function_is_the_expectation():
    """Of the slope, which is uniform; and of a hard sample, whose shares are softmax's."""
    rrelu, gumbel = jaxact.rrelu, lambda x, key: jaxact.gumbel_softmax(x, key, 0.3, True)

    @jax.jit
    def results(key, x):
        means = [jax.vmap(lambda key: f(x, key))(jax.random.split(key, 4000)).mean(0) for f in (gumbel, rrelu)]  # noqa: B023
        return gumbel(x, None), rrelu(x, None), means

    hard, slopes, (mean_hard, mean_slopes) = results(KEY, X)
    np.testing.assert_allclose(slopes, np.where(X < 0, np.float32(11 / 48) * X, X), rtol=1e-6)
    np.testing.assert_allclose(hard, mean_hard, atol=0.03)  # 4 / sqrt(4 * 4000)
    np.testing.assert_allclose(slopes, mean_slopes, atol=0.02)  # 4 * 3 * 0.06 / sqrt(4000) = 0.011


@every
def test_nnx(name):
    made, function = getattr(jaxact.nnx, name), FUNCTIONS[name]
    module = made(rngs=nnx.Rngs(0))
    assert not np.array_equal(module(X), module(X))
    np.testing.assert_array_equal(module(X, rngs=KEY), function(X, KEY))
    np.testing.assert_array_equal(module(X, deterministic=True), function(X, None))
    model = nnx.Sequential(jaxact.nnx.Identity(), made())  # as Dropout: no keys of its own
    assert not np.array_equal(model(X, rngs=nnx.Rngs(0)), model(X, rngs=nnx.Rngs(1)))
    np.testing.assert_array_equal(model(X, rngs=nnx.Rngs(dropout=0)), model(X, rngs=nnx.Rngs(dropout=0)))
    with pytest.raises(ValueError, match=rf"^jaxact\.nnx\.{name}: expected rngs, .* got none; give"):
        model(X)
    model.eval()
    np.testing.assert_array_equal(model(X), function(X, None))
    model.train()
    jitted = nnx.jit(lambda model, x: model(x))
    assert not np.array_equal(jitted(module, X), jitted(module, X))  # the state of the stream moves on
    two = made(rngs=nnx.Rngs(0)), made(rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(two[0](X), two[1](X))


@every
def test_linen(name):
    made, function = getattr(jaxact.linen, name), FUNCTIONS[name]
    model = linen.Sequential([linen.Dense(4), made()])
    variables = model.init(jax.random.key(0), X)
    assert list(variables["params"]) == ["layers_0"]
    one, two = (model.apply(variables, X, rngs={"dropout": jax.random.key(i)}) for i in (1, 2))
    assert not np.array_equal(one, two)
    with pytest.raises(Exception, match="dropout"):
        model.apply(variables, X)
    np.testing.assert_array_equal(made().apply({}, X, key=KEY), function(X, KEY))
    np.testing.assert_array_equal(made().apply({}, X, deterministic=True), function(X, None))
    np.testing.assert_array_equal(made(deterministic=True).apply({}, X), function(X, None))
    other = made(rng_collection="noise").apply({}, X, rngs={"noise": KEY})
    assert not np.array_equal(other, function(X, None))


@every
def test_equinox(name):
    made, function = getattr(jaxact.equinox, name), FUNCTIONS[name]
    model = equinox.nn.Sequential([jaxact.equinox.ReLU(), made()])
    x = X[0] + 4
    assert not np.array_equal(model(x - 6, key=KEY), 0 * x) or name == "RReLU"
    np.testing.assert_array_equal(made()(x, key=KEY), function(x, KEY))
    np.testing.assert_array_equal(equinox.nn.inference_mode(model)(x), function(x, None))
    np.testing.assert_array_equal(made()(x, inference=True), function(x, None))
    with pytest.raises(ValueError, match=rf"^jaxact\.equinox\.{name}: expected a key at the call, got none; give"):
        model(x)


@every
def test_settings(name):
    setting = {"lower": 0.5, "upper": 0.5} if name == "RReLU" else {"tau": 2.0, "hard": True, "axis": 0}
    expected = FUNCTIONS[name](X, KEY, **setting)
    np.testing.assert_array_equal(getattr(jaxact.nnx, name)(**setting)(X, rngs=KEY), expected)
    np.testing.assert_array_equal(getattr(jaxact.linen, name)(**setting).apply({}, X, key=KEY), expected)
    np.testing.assert_array_equal(getattr(jaxact.equinox, name)(**setting)(X, key=KEY), expected)
