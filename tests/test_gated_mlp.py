"""The gated feed-forward layer: one formula in three frameworks, any gate, and less kept with remat."""

import copy

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import jaxact
import jaxact.equinox
import jaxact.linen
import jaxact.nnx

pytestmark = pytest.mark.quickly_compiled

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 6)).astype(np.float32)
SHAPES = {"gate_proj": (6, 16), "up_proj": (6, 16), "down_proj": (16, 6)}
KERNELS = {name: RNG.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
FRAMEWORKS = ["nnx", "linen", "equinox"]


def layer(framework, **settings):
    """The layer with KERNELS, as a function of them and x."""
    if framework == "linen":
        module = jaxact.linen.GatedMLP(**settings)
        return lambda kernels, x: module.apply({"params": {n: {"kernel": k} for n, k in kernels.items()}}, x)
    if framework == "nnx":
        graph, state = nnx.split(nnx.eval_shape(lambda: jaxact.nnx.GatedMLP(6, **settings, rngs=nnx.Rngs(0))))

        def apply(kernels, x):
            placed = copy.copy(state)
            nnx.replace_by_pure_dict(placed, {name: {"kernel": kernel} for name, kernel in kernels.items()})
            return nnx.merge(graph, placed)(x)

        return apply
    module = equinox.filter_eval_shape(lambda: jaxact.equinox.GatedMLP(6, **settings, key=jax.random.key(0)))

    def place(kernels, x):
        where = lambda m: [getattr(m, name).weight for name in kernels]  # noqa: E731
        return jax.vmap(equinox.tree_at(where, module, [k.T for k in kernels.values()]))(x)

    return place


def formula(unit, kernels, x):
    return unit(x @ kernels["gate_proj"], x @ kernels["up_proj"]) @ kernels["down_proj"]


GATES = {
    "unit": ("swiglu", jaxact.swiglu),
    "gate": ("gelu", jaxact.geglu),
    "glu": ("glu", jaxact.sigmoid_gate),
    "config": ({"name": "swiglu_oai", "limit": 2.0}, lambda g, u: jaxact.swiglu_oai(g, u, limit=2.0)),
    "function": (jaxact.mish, lambda g, u: jaxact.mish(g) * u),
    "Unit": (jaxact.from_config({"model_type": "llama", "hidden_act": "silu"}), jaxact.swiglu),
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("remat", [False, True])
def test_is_the_formula(framework, remat):
    """Values and gradients in x and the kernels."""
    apply = layer(framework, remat=remat)

    @jax.jit
    def both(kernels, x):
        functions = apply, lambda kernels, x: formula(jaxact.swiglu, kernels, x)
        pairs = [jax.vjp(function, kernels, x) for function in functions]
        return [(value, pull(x)) for value, pull in pairs]

    (got, gradients), (expected, wanted) = both(KERNELS, X)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    for one, two in zip(jax.tree.leaves(gradients), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)  # sums of 80 products in another order


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("gate", GATES)
def test_any_gate(framework, gate):
    activation, unit = GATES[gate]
    got = layer(framework, activation=activation)(KERNELS, X)
    np.testing.assert_allclose(got, formula(unit, KERNELS, X), rtol=1e-5, atol=1e-5)


def test_a_config_names_the_unit():
    made = jaxact.nnx.GatedMLP(6, activation=jaxact.gelu, rngs=nnx.Rngs(0))
    assert jaxact.config(made)["activation"] == {"name": "geglu"}
    made = jaxact.linen.GatedMLP(activation=jaxact.mish, dtype=jnp.bfloat16)
    assert jaxact.config(made) == {"name": "GatedMLP", "activation": {"name": "mish"}, "dtype": "bfloat16"}
    assert jaxact.config(jaxact.get(jaxact.config(made), kind="linen")) == jaxact.config(made)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_widths_and_biases(framework):
    shapes = {}
    if framework == "linen":
        init = jaxact.linen.GatedMLP(20, 4, use_bias=True).init
        params = jax.eval_shape(init, jax.random.key(0), X)["params"]
        shapes = {name: (p["kernel"].shape, p["bias"].shape) for name, p in params.items()}
    else:
        made = (
            nnx.eval_shape(lambda: jaxact.nnx.GatedMLP(6, 20, 4, use_bias=True, rngs=nnx.Rngs(0)))
            if framework == "nnx"
            else jaxact.equinox.GatedMLP(6, 20, 4, use_bias=True, key=jax.random.key(0))
        )
        for name in ("gate_proj", "up_proj", "down_proj"):
            linear = getattr(made, name)
            kernel = linear.kernel if framework == "nnx" else linear.weight.T
            shapes[name] = (kernel.shape, linear.bias.shape)
    assert shapes == {"gate_proj": ((6, 20), (20,)), "up_proj": ((6, 20), (20,)), "down_proj": ((20, 4), (4,))}


def test_the_default_width_is_two_thirds():
    for features, hidden in ((6, 16), (768, 2048), (1000, 2672), (4096, 10928)):
        abstract = nnx.eval_shape(lambda features=features: jaxact.nnx.GatedMLP(features, rngs=nnx.Rngs(0)))
        assert abstract.hidden_features == hidden


def kept(remat):
    """Arrays of the hidden width that each of 32 scanned layers keeps."""
    apply = layer("nnx", remat=remat, hidden_features=64)

    def loss(kernels, x):
        return jnp.sum(jax.lax.scan(lambda h, k: (h + apply(k, h), None), x, kernels)[0] ** 2)

    shapes = {"gate_proj": (32, 6, 64), "up_proj": (32, 6, 64), "down_proj": (32, 64, 6)}
    kernels = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}
    x = jax.ShapeDtypeStruct((512, 6), jnp.float32)
    return jax.jit(jax.grad(loss)).lower(kernels, x).compile().memory_analysis().temp_size_in_bytes / (
        32 * 512 * 64 * 4
    )


def test_remat_keeps_gate_and_value_alone():
    """Of the three arrays of the hidden width a layer then keeps two, beside h, which is narrow here."""
    assert kept(False) - kept(True) == pytest.approx(1, abs=0.1)


def test_in_a_model_and_jitted():
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(6, 6, rngs=rngs), jaxact.nnx.GatedMLP(6, remat=True, rngs=rngs))
    gradients = nnx.jit(nnx.grad(lambda model, x: model(x).sum()))(model, X)
    assert len(jax.tree.leaves(gradients)) == 5
    stack = linen.Sequential([linen.Dense(6), jaxact.linen.GatedMLP(remat=True)])
    variables = stack.init(jax.random.key(0), X)
    assert set(variables["params"]["layers_1"]) == {"gate_proj", "up_proj", "down_proj"}
    assert jax.jit(stack.apply)(variables, X).shape == X.shape
    assert "GatedMLP" in repr(model)
