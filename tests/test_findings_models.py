"""Models of others, written as their frameworks' users write them, have no finding; with a fault planted, that one."""

import functools

import chex
import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxact import flow as jf
from tests import faults
from tests.faults import Model

pytestmark = pytest.mark.quickly_compiled

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(16, 8, 8, 3)).astype(np.float32)
SEQUENCES = RNG.normal(size=(16, 16, 8)).astype(np.float32)
TOKENS = RNG.integers(0, 32, size=(8, 12))
POINTS = RNG.normal(size=(64, 2)).astype(np.float32)


class ResNetBlock(nn.Module):
    """As in Flax's ImageNet example: the last scale starts at zero."""

    @nn.compact
    def __call__(self, x):
        y = nn.relu(nn.BatchNorm(use_running_average=False)(nn.Conv(x.shape[-1], (3, 3), use_bias=False)(x)))
        y = nn.Conv(x.shape[-1], (3, 3), use_bias=False)(y)
        y = nn.BatchNorm(use_running_average=False, scale_init=nn.initializers.zeros)(y)
        return nn.relu(x + y)


class ResNet(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.BatchNorm(use_running_average=False)(nn.Conv(16, (3, 3), use_bias=False)(x)))
        for _ in range(2):
            x = ResNetBlock()(x)
        return nn.Dense(4)(x.mean((1, 2)))


def resnet():
    model = ResNet()
    variables = faults.initial(model.init, jax.random.key(0), IMAGES)

    def logits(params):
        return model.apply({**variables, "params": params}, IMAGES, mutable=["batch_stats"])[0]

    return Model(lambda p: -jnp.mean(jax.nn.log_softmax(logits(p))[:, 0]), variables["params"], logits)


def recurrent():
    model = nn.RNN(nn.OptimizedLSTMCell(16))
    params = faults.initial(model.init, jax.random.key(0), SEQUENCES)
    steps = np.arange(16) < 10  # the rest is padding
    return faults.squared(lambda p: model.apply(p, SEQUENCES)[:, steps], params)


class Gpt(nnx.Module):
    """With a mask of its own in each layer: each way in which users write one."""

    masked = (-np.inf, -1e30, float(np.finfo(np.float32).min))

    def __init__(self, rngs):
        self.embed = nnx.Embed(32, 16, rngs=rngs)
        self.qkv = nnx.List([nnx.Linear(16, 48, rngs=rngs) for _ in self.masked])
        self.up = nnx.List([nnx.Linear(16, 64, rngs=rngs) for _ in self.masked])
        self.down = nnx.List([nnx.Linear(64, 16, rngs=rngs) for _ in self.masked])
        self.norm = nnx.LayerNorm(16, rngs=rngs)

    def __call__(self, tokens):
        x = self.embed(tokens)
        causal = jnp.tril(jnp.ones((tokens.shape[1],) * 2, bool))
        for masked, qkv, up, down in zip(self.masked, self.qkv, self.up, self.down, strict=True):
            q, k, v = jnp.split(qkv(self.norm(x)), 3, -1)
            scores = jnp.where(causal, q @ k.swapaxes(1, 2) / 4, masked)
            x = x + jax.nn.softmax(scores) @ v
            x = x + down(jax.nn.gelu(up(self.norm(x))))
        return self.embed.attend(self.norm(x))


def gpt():
    model = jax.tree.map(np.asarray, nnx.jit(lambda: Gpt(nnx.Rngs(0)))())
    return Model(lambda m: -jnp.mean(jax.nn.log_softmax(m(TOKENS))[..., 0]), model, lambda m: m(TOKENS))


class UNet(eqx.Module):
    """Channels first; vmapped over the batch."""

    down: list[eqx.nn.Conv2d]
    up: list[eqx.nn.ConvTranspose2d]
    last: eqx.nn.Conv2d

    def __init__(self, key):
        keys = jax.random.split(key, 5)
        self.down = [eqx.nn.Conv2d(i, o, 3, 2, 1, key=k) for i, o, k in zip((3, 16), (16, 16), keys[:2], strict=True)]
        self.up = [eqx.nn.ConvTranspose2d(i, 16, 2, 2, key=k) for i, k in zip((16, 32), keys[2:4], strict=True)]
        self.last = eqx.nn.Conv2d(19, 3, 1, key=keys[4])

    def __call__(self, x):
        a = jax.nn.relu(self.down[0](x))
        b = jax.nn.relu(self.down[1](a))
        h = jnp.concatenate([jax.nn.relu(self.up[0](b)), a])
        return self.last(jnp.concatenate([jax.nn.relu(self.up[1](h)), x]))


def unet():
    params, static = eqx.partition(eqx.filter_jit(UNet)(jax.random.key(0)), eqx.is_inexact_array)
    x = IMAGES.transpose(0, 3, 1, 2)
    output = lambda p: jax.vmap(eqx.combine(p, static))(x)  # noqa: E731
    return Model(lambda p: jnp.mean((output(p) - x) ** 2), jax.tree.map(np.asarray, params), output)


def wgan_gp():
    def critic(x):
        for _ in range(3):
            x = jax.nn.relu(hk.Linear(32)(x))
        return hk.Linear(1)(x)[..., 0]

    model = hk.without_apply_rng(hk.transform(critic))

    def loss(params):
        value = lambda x: model.apply(params, x)  # noqa: E731
        slopes = jax.vmap(jax.grad(value))(0.5 * POINTS)
        penalty = jnp.mean((jnp.linalg.norm(slopes, axis=-1) - 1) ** 2)
        return jnp.mean(value(POINTS)) - jnp.mean(value(2 * POINTS)) + 10 * penalty

    params = faults.initial(model.init, jax.random.key(0), POINTS)
    return Model(loss, params, lambda p: model.apply(p, POINTS))


def physics_informed():
    make = lambda key: eqx.nn.MLP(2, "scalar", 16, 3, activation=jnp.tanh, key=key)  # noqa: E731
    params, static = eqx.partition(eqx.filter_jit(make)(jax.random.key(0)), eqx.is_inexact_array)
    params = jax.tree.map(np.asarray, params)

    def loss(params):
        u = eqx.combine(params, static)
        laplacian = jax.vmap(lambda x: jnp.trace(jax.hessian(u)(x)))(POINTS)
        return jnp.mean((laplacian + jax.vmap(u)(POINTS)) ** 2)

    # JAX adds a parameter's cotangents up in another order where a gradient in the loss is traced first, as jit does.
    return Model(jax.jit(loss), params, lambda p: jax.vmap(eqx.combine(p, static))(POINTS))


def exactly(which):
    """Whether loss and gradients are bit for bit those of jax.value_and_grad: of all but an LSTM on JAX 0.10.

    It is JAX that differs there, not XLA. Up to 0.10 it orders what it transposes by the graph, in which taps are, so
    that the cotangent of the state, a sum over four gates, is added up in another order. Of one step, which has no such
    sum, all is exact: see below.
    """
    return "LSTM" not in which or jax.__version_info__ >= (0, 11)


def at(*texts):
    return faults.lines(__file__, *texts)


# The model; the lines of its first activation and of its last; what is planted, and where it is found.
_CELL = ("model.apply(p, SEQUENCES)[:, steps]",) * 2
_GPT = ("x = x + jax.nn.softmax(scores) @ v", "lambda m: -jnp.mean(jax.nn.log_softmax(m(TOKENS))")
_UNET = ("a = jax.nn.relu(", "b = jax.nn.relu(", "h = jnp.concatenate([jax.nn.relu(", "self.last(jnp.concatenate(")
_CRITIC, _PINN = "x = jax.nn.relu(hk.Linear(32)(x))", "return jnp.mean((laplacian + jax.vmap(u)(POINTS)) ** 2)"
MODELS = {
    "ResNet": (
        resnet,
        ("x = nn.relu(nn.BatchNorm(", "jax.nn.log_softmax(logits(p))"),
        {
            "dead units": (
                faults.bias(-100),
                ("x = nn.relu(nn.BatchNorm(", "y = nn.relu(nn.BatchNorm(", "return nn.relu(x + y)"),
            )
        },
    ),
    "LSTM": (recurrent, _CELL, {"saturation": (faults.weights(100), _CELL[:1])}),
    "GPT": (gpt, _GPT, {"dead units": (faults.bias(-100), ("x = x + down(jax.nn.gelu(up(self.norm(x))))",))}),
    "UNet": (
        unet,
        (_UNET[0], _UNET[3]),
        {
            "dead units": (faults.bias(-100), _UNET),
            "vanishing gradients": (faults.weights(1e-4), _UNET[:1]),
        },
    ),
    "WGAN-GP": (
        wgan_gp,
        (_CRITIC, _CRITIC),
        {
            "dead units": (faults.bias(-100), (_CRITIC,)),
            "vanishing gradients": (faults.weights(1e-4), (_CRITIC,)),
            "exploding gradients": (faults.weights(1e3), (_CRITIC,)),
        },
    ),
    "PINN": (
        physics_informed,
        (_PINN, _PINN),
        {
            "saturation": (faults.weights(30), (_PINN,)),
            "vanishing gradients": (faults.weights(1e-2), (_PINN,)),
        },
    ),
}


@functools.cache
def model(which):
    return MODELS[which][0]()


@pytest.mark.parametrize("which", MODELS)
def test_findings_are_those_that_are_planted(which):
    _, (first, last), planted = MODELS[which]
    planted = {rule: (change, at(*texts)) for rule, (change, texts) in planted.items()}
    flow = faults.check(model(which), (at(first), at(last)), planted, exact=exactly(which))
    if which == "LSTM":
        assert sorted(site.name for site in flow.sites if site.repeated) == [*["sigmoid"] * 3, *["tanh"] * 2]
    if which in ("WGAN-GP", "PINN"):
        assert {unseen.what for unseen in flow.unseen} == {"derivative code"}
    if which == "GPT":
        records = [r for r in flow.to_records() if r["name"] == "softmax"]
        assert [r["x_count"] for r in records] == [8 * 12 * 13 / 2] * len(Gpt.masked)
        assert all(abs(r["x_mean"]) < 5 for r in records)


def test_a_step_of_an_lstm_is_exact():
    """Every gate's share is, on any JAX: only the order of a sum over them differs, which takes a second step."""
    loss = lambda p: jnp.mean(nn.RNN(nn.OptimizedLSTMCell(16)).apply(p, SEQUENCES[:, :1]) ** 2)  # noqa: E731
    params = model("LSTM").params
    got, _ = jax.jit(jf.observe(loss))(params)
    chex.assert_trees_all_equal(got, jax.jit(jax.value_and_grad(loss))(params))


@pytest.mark.parametrize("which", MODELS)
def test_mistakes_in_what_is_made_of_the_output(which):
    faults.check_lint(model(which), ends_linear=which != "LSTM")


def test_dead_channels_of_a_convolution_with_channels_first():
    x = IMAGES.transpose(0, 3, 1, 2)
    kernel = np.random.default_rng(1).normal(size=(16, 3, 3, 3)).astype(np.float32)
    dead = 100 * (np.arange(16) < 6)[:, None, None]
    loss = lambda kernel: jnp.mean(jax.nn.relu(jax.lax.conv(x, kernel, (2, 2), "SAME") - dead))  # noqa: E731
    flow, by_columns = jax.jit(lambda kernel: [jf.observe(loss, unit_axis=axis)(kernel)[1] for axis in (-3, -1)])(
        kernel
    )
    (finding,) = flow.findings()
    assert (finding.rule, finding.file) == ("dead units", __file__)
    assert "6 of 16 units" in finding.evidence
    assert by_columns.findings() == [], "by the last axis, a column of pixels is a unit"


def test_a_value_that_is_not_finite_hides_no_finding_of_another_site():
    def loss(w):
        h = jax.nn.relu(POINTS @ w - jnp.where(jnp.arange(8) < 4, 100.0, 0.0))
        return jnp.mean(jax.nn.silu(jnp.log(h - 1.0)))

    flow = jax.jit(jf.observe(loss))(jnp.ones((2, 8)))[1]
    assert [finding.rule for finding in flow.findings()] == ["non-finite values", "dead units"]


def test_advice_and_step():
    def step(w, _):
        (_, g), flow = jf.observe(lambda w: jnp.mean(jax.nn.relu(POINTS @ w - 100.0) ** 2))(w)
        return w - g, flow

    _, flow = jax.lax.scan(step, jnp.ones((2, 8)), length=2)
    (finding,) = flow.findings()
    assert finding.step == (1,)
    assert finding.advice.startswith("lower the learning rate")
    (finding,) = jax.tree.map(lambda a: np.asarray(a)[0], flow).findings()
    assert "learning rate" not in finding.advice
