"""`observe` on models of Flax Linen, Flax NNX, Equinox and Haiku, as their users write them."""

import chex
import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxact
from jaxact.flow import observe
from tests.test_observe import check_moments, mlp

pytestmark = pytest.mark.quickly_compiled

X = np.random.default_rng(1).normal(size=(16, 8)).astype(np.float32)
SIZES = (16, 12, 3)


class LinenMlp(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(SIZES[0], name="first")(x))
        x = jaxact.gelu(nn.Dense(SIZES[1], name="second")(x))
        return nn.Dense(SIZES[2], use_bias=False, name="last")(x)


class NnxMlp(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(8, SIZES[0], rngs=rngs)
        self.second = nnx.Linear(SIZES[0], SIZES[1], rngs=rngs)
        self.last = nnx.Linear(SIZES[1], SIZES[2], use_bias=False, rngs=rngs)

    def __call__(self, x):
        return self.last(jaxact.gelu(self.second(nnx.relu(self.first(x)))))


def drawn(init, *args):
    """What `init` returns, drawn by NumPy: libraries compile a program for each operation of their initialisation."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: np.float32(0.3) * rng.standard_normal(leaf.shape, np.float32), eqx.filter_eval_shape(init, *args)
    )


def linen():
    model = LinenMlp()
    params = drawn(model.init, jax.random.key(0), X)["params"]
    layers = [(params[n]["kernel"], params[n].get("bias")) for n in ("first", "second", "last")]
    return lambda params, x: jnp.mean(model.apply({"params": params}, x) ** 2), params, layers


def nnx_model():
    """NNX modules are pytrees: of parameters alone, they are given as they are."""
    model = drawn(lambda: NnxMlp(nnx.Rngs(0)))
    layers = [(m.kernel[...], m.bias and m.bias[...]) for m in (model.first, model.second, model.last)]
    return lambda model, x: jnp.mean(model(x) ** 2), model, layers


def nnx_split():
    graph, params = nnx.split(drawn(lambda: NnxMlp(nnx.Rngs(0))))
    layers = [
        (params[n]["kernel"][...], params[n]["bias"][...] if n != "last" else None) for n in ("first", "second", "last")
    ]
    return lambda params, x: jnp.mean(nnx.merge(graph, params)(x) ** 2), params, layers


def equinox():
    def make(key):
        return eqx.nn.Sequential(
            [
                eqx.nn.Linear(8, SIZES[0], key=key),
                eqx.nn.Lambda(jax.nn.relu),
                eqx.nn.Linear(SIZES[0], SIZES[1], key=key),
                eqx.nn.Lambda(jaxact.gelu),
                eqx.nn.Linear(SIZES[1], SIZES[2], use_bias=False, key=key),
            ]
        )

    static = eqx.filter_eval_shape(make, jax.random.key(0))
    params = drawn(lambda key: eqx.filter(make(key), eqx.is_inexact_array), jax.random.key(0))
    layers = [(params[i].weight.T, params[i].bias) for i in (0, 2, 4)]
    return lambda params, x: jnp.mean(jax.vmap(eqx.combine(params, static))(x) ** 2), params, layers


def haiku():
    def forward(x):
        x = jax.nn.relu(hk.Linear(SIZES[0], name="first")(x))
        x = jaxact.gelu(hk.Linear(SIZES[1], name="second")(x))
        return hk.Linear(SIZES[2], with_bias=False, name="last")(x)

    model = hk.without_apply_rng(hk.transform(forward))
    params = drawn(model.init, jax.random.key(0), X)
    layers = [(params[n]["w"], params[n].get("b")) for n in ("first", "second", "last")]
    return lambda params, x: jnp.mean(model.apply(params, x) ** 2), params, layers


@jax.jit
def rewritten(layers):
    """The cotangents, and what is seen."""
    zeros = {i: {d: jnp.zeros((16, SIZES[i])) for d in ("dx", "dy")} for i in (0, 1)}
    return jax.grad(lambda p: mlp(layers, X, p, (jax.nn.relu, jaxact.gelu)), has_aux=True)(zeros)


@pytest.mark.parametrize("make", [linen, nnx_model, nnx_split, equinox, haiku])
def test_changes_nothing_and_sees_what_explicit_perturbations_see(make):
    fun, params, layers = make()
    got, flow = jax.jit(observe(fun))(params, X)
    chex.assert_trees_all_equal(got, jax.jit(jax.value_and_grad(fun))(params, X))

    assert [site.name for site in flow.sites] == ["relu", "gelu"]
    cotangents, seen = rewritten(layers)
    for i, statistics in enumerate(flow.statistics):
        for name, array in {"x": seen[i][0], "y": seen[i][1], **cotangents[i]}.items():
            check_moments(statistics[name], array, 0, name)


def test_sites_are_called_after_linen_modules():
    class Block(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.gelu(nn.Dense(4)(x))

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = Block()(x)
            return jnp.sum(Block()(x))

    model = Model()
    _, flow = jax.eval_shape(observe(model.apply), jax.eval_shape(model.init, jax.random.key(0), X), X)
    assert [site.path.split("/")[-1] for site in flow.sites] == ["Block_0", "Block_1"]
    assert {(site.function, site.file) for site in flow.sites} == {("Block.__call__", __file__)}


def test_linen_scan_and_remat_over_layers():
    class Layer(nn.Module):
        @nn.compact
        def __call__(self, x, _):
            return nn.silu(nn.Dense(8)(x)), None

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x):
            layers = nn.scan(nn.remat(Layer), variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
            return jnp.mean(layers()(x, None)[0] ** 2)

    model = Model()
    params = drawn(model.init, jax.random.key(0), X)
    got, flow = jax.jit(observe(model.apply))(params, X)
    chex.assert_trees_all_equal(got, jax.jit(jax.value_and_grad(model.apply))(params, X))
    assert [r["iteration"] for r in flow.to_records()] == [(0,), (1,), (2,)]


class Trained(nnx.Module):
    def __init__(self, rngs):
        self.linear = nnx.Linear(8, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.dropout(nnx.silu(self.norm(self.linear(x))))


def test_nnx_keeps_what_a_module_changes():
    """Statistics of BatchNorm and counts of Dropout's keys, as `nnx.value_and_grad` does."""

    def loss(model, x, scale):
        y = scale * model(x)
        return jnp.mean(y**2), y

    ours, theirs = Trained(nnx.Rngs(0)), Trained(nnx.Rngs(0))
    observed = nnx.jit(jaxact.flow.nnx.observe(loss, has_aux=True))
    plain = nnx.jit(nnx.value_and_grad(loss, has_aux=True))
    for _ in range(2):
        got, flow = observed(ours, X, scale=2.0)
        chex.assert_trees_all_equal(got, plain(theirs, X, scale=2.0))
        chex.assert_trees_all_equal(nnx.state(ours), nnx.state(theirs))
    assert ours.dropout.rngs.count[...] == 2
    assert [site.label for site in flow.sites] == ["Trained.__call__/silu"]


def test_nnx_other_arguments_and_other_variables():
    model, x = Trained(nnx.Rngs(0)), jnp.asarray(X)
    loss = lambda x, model: jnp.mean(model(x) ** 2)  # noqa: E731
    only_norm = nnx.DiffState(1, nnx.PathContains("norm"))
    (_, (by_x, by_norm)), _ = nnx.jit(jaxact.flow.nnx.observe(loss, argnums=(0, only_norm)))(x, model)
    want = nnx.jit(nnx.grad(loss, argnums=(0, only_norm)))(x, Trained(nnx.Rngs(0)))
    chex.assert_trees_all_equal((by_x, by_norm), want)
    with pytest.raises(TypeError, match=r"jaxact.flow.nnx.observe: expected a function that returns \(value, aux\)"):
        jaxact.flow.nnx.observe(lambda m: jnp.sum(m(x)), has_aux=True)(model)
    with pytest.raises(TypeError, match=r"split the parameters from the rest"):
        observe(lambda model, x: jnp.mean(model(x) ** 2))(model, X)
