"""Initialisers give the variance that theory asks for, in Flax's layers too; AlphaDropout and LSUV keep theirs."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jaxact
from jaxact.propagation import alpha_dropout, gain, init_for, siren_init
from jaxact.propagation import linen as for_linen
from jaxact.propagation import nnx as for_nnx

pytestmark = pytest.mark.quickly_compiled

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)


DISTRIBUTIONS = ["truncated_normal", "normal", "uniform", "orthogonal"]


@pytest.mark.parametrize("shape", [(400, 300), (300, 400), (3, 3, 40, 60)])
def test_the_variance_is_the_squared_gain_over_fan_in(shape):
    initializers = {d: init_for(jaxact.gelu, distribution=d) for d in DISTRIBUTIONS}
    weights = jax.jit(lambda key: {d: init(key, shape) for d, init in initializers.items()})(KEY)
    expected = gain(jaxact.gelu) ** 2 / math.prod(shape[:-1])
    for distribution, w in weights.items():
        # The mean square of n normal numbers has the relative deviation sqrt(2 / n), 0.01 here; 4 of them.
        assert np.mean(np.square(w)) == pytest.approx(expected, rel=0.04), distribution


def test_well_known_initialisers_come_out():
    backward = init_for(jaxact.relu, "fan_out", kind="backward", distribution="uniform")
    pairs = [
        (init_for(jaxact.relu), jax.nn.initializers.he_normal()),
        (init_for(jaxact.selu), jax.nn.initializers.lecun_normal()),
        (backward, jax.nn.initializers.variance_scaling(2.0, "fan_out", "uniform")),
    ]
    for got, expected in jax.jit(lambda key: [[init(key, (64, 32)) for init in pair] for pair in pairs])(KEY):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_it_drops_into_flax_inside_jit():
    init = init_for(jaxact.silu, distribution="orthogonal")

    @nnx.jit
    def create():
        rngs = nnx.Rngs(0)
        return nnx.Linear(16, 32, kernel_init=init, rngs=rngs), nnx.Conv(4, 8, (3, 3), kernel_init=init, rngs=rngs)

    linear, conv = create()
    assert (linear.kernel.shape, conv.kernel.shape) == ((16, 32), (3, 3, 4, 8))
    dense = nn.Dense(32, kernel_init=init, param_dtype=jnp.bfloat16)
    assert jax.tree.leaves(jax.jit(dense.init)(KEY, X))[1].dtype == jnp.bfloat16


def test_a_siren_keeps_its_distribution():
    @jax.jit
    def network(key):
        x = jax.random.uniform(key, (512, 2), minval=-1, maxval=1)
        first = siren_init(first=True)(key, (2, 256))
        h = jnp.sin(30 * x @ first)
        for hidden in jax.random.split(key, 6):
            argument = 30 * h @ siren_init(30.0)(hidden, (256, 256))
            h = jnp.sin(argument)
        return first, argument, h

    first, argument, h = map(np.asarray, network(KEY))
    assert np.abs(first).max() <= 1 / 2
    # The paper: N(0, 1) into the sine, whose variance is then (1 - exp(-2)) / 2 (and near 1/2 for its arcsine law).
    assert argument.std() == pytest.approx(0.95, abs=0.1)
    assert h.std() == pytest.approx(0.66, abs=0.06)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(rate, dtype):
    z = np.random.default_rng(0).standard_normal(500_000, np.float32)
    y = jax.jit(lambda key, z: alpha_dropout(key, jaxact.selu(z).astype(dtype), rate))(KEY, z)
    assert y.dtype == dtype
    y = np.asarray(y, np.float32)
    # 500,000 values: deviations of 0.0014 and 0.002, and bfloat16 rounds by 0.002; 4 of them.
    assert y.mean() == pytest.approx(0, abs=0.008)
    assert y.var() == pytest.approx(1, abs=0.015)
    assert np.mean(np.abs(y - y.min()) < 0.02) >= rate * 0.95


def test_alpha_dropout_modules():
    x = X
    module = for_nnx.AlphaDropout(0.5, rngs=nnx.Rngs(0))
    first, second = module(x), module(x)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(module(x, rngs=nnx.Rngs(dropout=3)), module(x, rngs=nnx.Rngs(dropout=3)))
    np.testing.assert_array_equal(module(x, rngs=KEY), alpha_dropout(KEY, x, 0.5))
    module.eval()
    np.testing.assert_array_equal(module(x), x)
    with pytest.raises(ValueError, match="rngs"):
        for_nnx.AlphaDropout(0.5)(x)
    linen = for_linen.AlphaDropout(0.5)
    np.testing.assert_array_equal(linen.apply({}, x, True), x)
    assert not np.array_equal(np.asarray(linen.apply({}, x, False, rngs={"dropout": KEY})), x)
    np.testing.assert_array_equal(linen.apply({}, x, False, KEY), alpha_dropout(KEY, x, 0.5))


class Inherited(nnx.Linear):
    """A class without a `__call__` of its own."""


class NnxModel(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Conv(1, 4, (3, 3), rngs=rngs)
        self.shared = Inherited(4 * 36, 4 * 36, bias_init=nnx.initializers.normal(0.5), rngs=rngs)
        self.last = nnx.Linear(4 * 36, 3, param_dtype=jnp.bfloat16, rngs=rngs)

    def __call__(self, x):
        x = jaxact.relu(self.first(x)).reshape(x.shape[0], -1)
        x = jaxact.relu(self.shared(jaxact.relu(self.shared(x))))
        return self.last(x)


class LinenModel(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = jaxact.relu(nn.Conv(4, (3, 3))(x)).reshape(x.shape[0], -1)
        shared = nn.Dense(32, bias_init=nn.initializers.normal(0.5))
        x = jaxact.relu(shared(jaxact.relu(nn.Dense(32)(x))))
        return nn.Dense(3)(jaxact.relu(shared(x)))


BATCH = np.random.default_rng(0).normal(size=(128, 6, 6, 1)).astype(np.float32)


def test_lsuv_of_an_nnx_model():
    model = nnx.jit(lambda: NnxModel(nnx.Rngs(0)))()
    call, own = nnx.Linear.__call__, "__call__" in vars(Inherited)
    before = for_nnx.lsuv(model, BATCH, KEY)
    assert list(before) == ["first", "shared", "last"]
    assert nnx.Linear.__call__ is call
    assert ("__call__" in vars(Inherited)) == own

    @nnx.jit
    def deviations(model):
        h = model.first(BATCH)
        return h.std(), model.shared(jaxact.relu(h).reshape(128, -1)).std(), model(BATCH).std()

    *inner, last = deviations(model)
    np.testing.assert_allclose(inner, 1, atol=1e-3)
    assert last == pytest.approx(1, abs=1e-2)  # the last kernel is bfloat16
    assert model.last.kernel.dtype == jnp.bfloat16
    kernel = np.asarray(model.first.kernel[...]).reshape(9, 4)
    gram = kernel.T @ kernel
    np.testing.assert_allclose(gram / gram[0, 0], np.eye(4), atol=1e-5)


def test_lsuv_of_a_linen_model():
    model = LinenModel()
    variables = jax.jit(model.init)(jax.random.key(1), BATCH)
    kept = jax.tree.map(np.array, variables)
    new, before = for_linen.lsuv(model, variables, BATCH, KEY)
    jax.tree.map(np.testing.assert_array_equal, variables, kept)
    assert jax.tree.structure(new) == jax.tree.structure(variables)
    assert len(before) == 4
    assert np.asarray(jax.jit(model.apply)(new, BATCH)).std() == pytest.approx(1, abs=1e-3)


def test_lsuv_says_what_is_wrong():
    with pytest.raises(ValueError, match="vary on the batch"):
        for_nnx.lsuv(nnx.jit(lambda: nnx.Linear(6, 6, rngs=nnx.Rngs(0)))(), np.zeros((8, 6)), KEY)
    with pytest.raises(ValueError, match="outside jit"):
        jax.eval_shape(lambda x: for_nnx.lsuv(NnxModel(nnx.Rngs(0)), x, KEY), BATCH)
    with pytest.raises(ValueError, match="kernels"):
        for_nnx.lsuv(nnx.BatchNorm(3, rngs=nnx.Rngs(0)), BATCH, KEY)
    with pytest.raises(ValueError, match="kernels"):
        for_linen.lsuv(nn.LayerNorm(), jax.jit(nn.LayerNorm().init)(KEY, BATCH), BATCH, KEY)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: init_for(jaxact.relu, "fan"), "mode"),  # pyright: ignore[reportArgumentType]
    (lambda: init_for(jaxact.relu, distribution="cauchy"), "distribution"),  # pyright: ignore[reportArgumentType]
    (functools.partial(init_for, jaxact.relu, "fan_out", distribution="orthogonal"), "orthogonal"),
    (functools.partial(siren_init, 0.0), "omega > 0"),
    (functools.partial(alpha_dropout, KEY, jnp.ones(2), 1.0), "rate"),
    (functools.partial(alpha_dropout, KEY, jnp.ones(2), -0.1), "rate"),
])  # fmt: skip
def test_bad_input_says_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()
