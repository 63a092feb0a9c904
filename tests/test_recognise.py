"""Which equations are an activation: all of jax.nn and jaxact, common ones written by hand, and nothing else."""

import functools
import math

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax, nn

import jaxact
import jaxact.equinox
import jaxact.nnx
from jaxact import flow as jf
from jaxact.flow import ranges
from jaxact.verify.cases import CASES

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


def sites(functions, *arrays):
    """The sites of a function, or of several in turn, traced alone, and without gradients, which take most time."""
    functions = functions if isinstance(functions, list) else [functions]
    loss = lambda *a: sum(jnp.sum(jnp.asarray(f(*lax.stop_gradient(a)), jnp.float32)) for f in functions)  # noqa: E731
    return jax.eval_shape(jf.observe(loss), *(arrays or (X,)))[1].sites


def names(functions, *arrays):
    return [site.name for site in sites(functions, *arrays)]


OF_JAX = {
    **{
        name: getattr(nn, name)
        for name in (
            "relu", "relu6", "softplus", "sparse_plus", "soft_sign", "silu", "mish", "log_sigmoid", "hard_tanh", "selu",
            "hard_sigmoid", "hard_silu", "sparse_sigmoid", "sigmoid", "glu", "softmax", "log_softmax", "logsumexp",
        )
    },
    "tanh": jnp.tanh,
    "gelu approximate=True": nn.gelu,
    "gelu approximate=False": functools.partial(nn.gelu, approximate=False),
    "elu alpha=1.0": nn.elu,
    "elu alpha=0.5": lambda x: nn.elu(x, 0.5),
    "celu alpha=1.5": lambda x: nn.celu(x, 1.5),
    "leaky_relu negative_slope=0.01": nn.leaky_relu,
    "leaky_relu negative_slope=0.25": lambda x: nn.leaky_relu(x, 0.25),
    "squareplus b=4.0": nn.squareplus,
    "leaky_relu negative_slope=None": lambda x: nn.leaky_relu(x, jnp.arange(x.shape[-1]) / x.shape[-1]),
}  # fmt: skip
AROUND = {
    "plain": lambda f: f,
    "bfloat16": lambda f: lambda x: f(x.astype(jnp.bfloat16)),
    "vmap": jax.vmap,
    "vmap, axis 1 to 0": lambda f: jax.vmap(f, in_axes=1, out_axes=0),
    "vmap, axis 0 to 1": lambda f: lambda x: jax.vmap(f, in_axes=0, out_axes=-1)(x),
    "vmap twice": lambda f: lambda x: jax.vmap(jax.vmap(f, in_axes=1, out_axes=0), in_axes=1)(x.reshape(2, 2, 6)),
    "jit and checkpoint": lambda f: jax.jit(jax.checkpoint(f)),
}  # fmt: skip


@pytest.mark.parametrize("around", AROUND)
def test_every_function_of_jax(around):
    found = sites([AROUND[around](f) for f in OF_JAX.values()])
    assert [site.name for site in found] == [wanted.partition(" ")[0] for wanted in OF_JAX]
    if around != "bfloat16":  # 0.01 is another number there
        shown = [" ".join([site.name, *(f"{key}={value}" for key, value in site.parameters)]) for site in found]
        assert shown == list(OF_JAX)


def in_shard_map(f):
    """On one device; constants become values that vary over the mesh there."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
    return jax.shard_map(f, mesh=mesh, in_specs=jax.P("data"), out_specs=jax.P("data"))


def test_every_function_of_jax_in_a_shard_map():
    """By what `swaps` says, for which nothing is differentiated: JAX 0.12 has no derivative of an exact GELU there."""
    every = lambda x: [in_shard_map(lambda x, f=f: jnp.atleast_1d(f(x)))(x) for f in OF_JAX.values()]  # noqa: E731
    found = [exchange.site.name for exchange in jf.swaps(every)(X).exchanges]
    assert found == [wanted.partition(" ")[0] for wanted in OF_JAX]


def test_ranges_are_computed_inside_of_a_shard_map():
    """What runs there is traced when it is differentiated, also without jit."""
    found = []

    def look(x):
        for look_up in (
            ranges.turning_points.__wrapped__,
            functools.partial(ranges.flat_ranges.__wrapped__, parameters=()),
        ):
            found.append(look_up("silu"))
        return x

    jax.grad(lambda x: jnp.sum(in_shard_map(look)(x)))(X)
    turning, flat = found
    # Found once under the settings of another test, perhaps: around a minimum float32 has many least values.
    np.testing.assert_allclose(turning, ranges.turning_points("silu"), atol=2e-3)
    np.testing.assert_allclose(flat, ranges.flat_ranges("silu", ()), rtol=1e-6)


def test_every_function_of_jaxact():
    cases = [case for case in CASES if case.row.name != "identity"]
    keys = [{"key": jax.random.key(0)} if "key" in case.row.parameters else {} for case in cases]
    functions = [functools.partial(case, **key) for case, key in zip(cases, keys, strict=True)]
    assert names(functions) == [case.row.name for case in cases]


MODULES = ("rational", "derf", "dyt", "poly_norm", "prelu", "rrelu")


@pytest.mark.parametrize("name", MODULES)
def test_learned_and_random_modules(name):
    kind = {"dyt": "DyT", "poly_norm": "PolyNorm", "prelu": "PReLU", "rrelu": "RReLU"}.get(name, name.title())
    module = getattr(jaxact.nnx, kind)
    sized = (6,) if name in ("derf", "dyt") else ()
    model = module(*sized, **({"rngs": nnx.Rngs(0)} if name == "rrelu" else {}))
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    assert names(lambda x: nnx.merge(graph, params, rest, copy=True)(x)) == [name]
    key = {"key": jax.random.key(0)} if name == "rrelu" else {}
    model = getattr(jaxact.equinox, kind)(*sized)
    assert names(lambda x: model(x, **key)) == [name]


BY_HAND = {
    "relu": [
        lambda x: jnp.maximum(x, 0),
        lambda x: jnp.maximum(0.0, x),
        lambda x: jnp.where(x > 0, x, 0),
        lambda x: jnp.where(x > 0, x, 0.0),
        lambda x: x * (x > 0),
        lambda x: jnp.clip(x, 0),
        lambda x: lax.max(x, 0.0),
    ],
    "leaky_relu": [
        lambda x: jnp.where(x > 0, x, 0.1 * x),
        lambda x: jnp.where(x >= 0, x, x * 0.1),
        lambda x: jnp.where(x < 0, 0.1 * x, x),
        lambda x: jnp.where(x > 0, x, jnp.arange(6.0) * x),
    ],
    "silu": [
        lambda x: x * nn.sigmoid(x),
        lambda x: nn.sigmoid(1.3 * x) * x,
        lambda x: x * nn.sigmoid(x * 1.3),
        lambda x: x / (1 + jnp.exp(-x)),
    ],
    "quick_gelu": [lambda x: x * nn.sigmoid(1.702 * x)],
    "mish": [lambda x: x * jnp.tanh(nn.softplus(x)), lambda x: x * jnp.tanh(jnp.log1p(jnp.exp(x)))],
    "gelu": [
        lambda x: 0.5 * x * (1 + jnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        lambda x: 0.5 * x * (1.0 + jnp.tanh(jnp.sqrt(2 / jnp.pi) * (x + 0.044715 * jnp.power(x, 3)))),
        lambda x: 0.5 * x * (1 + lax.erf(x / jnp.sqrt(2.0))),
        lambda x: x * 0.5 * (1.0 + lax.erf(x / math.sqrt(2))),
    ],
    "sigmoid": [lambda x: 1 / (1 + jnp.exp(-x))],
    "softplus": [lambda x: jnp.log(1 + jnp.exp(x)), lambda x: jnp.logaddexp(x, 0.0), lambda x: jnp.log1p(jnp.exp(x))],
    "softmax": [
        lambda x: jnp.exp(x) / jnp.sum(jnp.exp(x), -1, keepdims=True),
        lambda x: jnp.exp(x - x.max(0)) / jnp.exp(x - x.max(0)).sum(0),
    ],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_common_ones_written_by_hand(name):
    functions = BY_HAND[name]
    assert names(functions) == [name] * len(functions)
    if name != "softmax":
        assert names([jax.vmap(f) for f in functions]) == [name] * len(functions)


NOT_ONE = {
    "maximum with 1": lambda x: jnp.maximum(x, 1.0),
    "where of two arrays": lambda x: jnp.where(x > 0, x, x * x),
    "a variance clipped by a library": lambda x: linen.LayerNorm(use_fast_variance=True).apply(
        {"params": {"scale": jnp.ones(6), "bias": jnp.zeros(6)}}, x
    ),
    "jax.nn.standardize": nn.standardize,
    "gradient": jax.grad(lambda x: jnp.sum(nn.silu(jnp.tanh(nn.relu(x))))),
    "gradient of jaxact's": jax.grad(lambda x: jnp.sum(jaxact.silu(jaxact.softmax(x)))),
    "gradient of a jitted function": jax.grad(lambda x: jnp.sum(jax.jit(lambda x: nn.softmax(nn.gelu(x)))(x) ** 2)),
    "gradient under checkpoint": jax.grad(lambda x: jnp.sum(jax.checkpoint(nn.gelu)(x))),
    "Hessian": lambda x: jax.vmap(jax.hessian(lambda x: jnp.sum(jnp.tanh(x) ** 2)))(x),
    "forward mode": lambda x: jax.jvp(nn.gelu, (x,), (x,))[1],
    "linearised": lambda x: jax.linearize(lambda x: jnp.sin(jnp.tanh(x)), x)[1](x),
}


@pytest.mark.parametrize("which", NOT_ONE)
def test_what_is_none(which):
    assert names(NOT_ONE[which]) == []


def test_derivative_code_is_said_to_be_unseen():
    def loss(w):
        return jnp.sum(jax.grad(lambda x: jnp.sum(nn.silu(x @ w)))(X) ** 2) + jnp.sum(nn.relu(X @ w))

    _, flow = jax.jit(jf.observe(loss))(np.eye(6, dtype=np.float32))
    assert [site.name for site in flow.sites] == ["relu"]
    assert {unseen.what for unseen in flow.unseen} == {"derivative code"}
    assert "not looked into" in str(flow)


def test_a_value_inside_that_is_used_elsewhere():
    """sigmoid(x) is needed by itself too, so that there is a sigmoid, and no silu."""

    def f(x):
        gate = nn.sigmoid(x)
        return x * gate + gate

    assert names(f) == ["sigmoid"]


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal):
    attend = lambda q: nn.dot_product_attention(q, q, q, is_causal=causal)  # noqa: E731
    assert names(attend, np.ones((2, 5, 2, 4), np.float32)) == ["softmax"]


def test_the_axis_of_a_row():
    assert sites(lambda x: nn.softmax(x, axis=0))[0].rows == (0,)
    assert sites(jax.vmap(nn.softmax, in_axes=1, out_axes=0))[0].rows == (0,)
    assert sites(lambda x: nn.logsumexp(x, axis=(0, 1)))[0].rows == (0, 1)
    assert sites(lambda x: nn.softmax(x, where=x > 0))[0].parameters == (("where", None),)


def test_a_function_of_ones_own():
    act = jf.site(lambda x: x * jnp.exp(-jnp.square(x)), "bump")
    (_, flow) = jax.jit(jf.observe(lambda w: jnp.sum(act(X @ w))))(jnp.eye(6))
    (record,) = flow.to_records()
    assert (record["name"], record["units"], record["dead"]) == ("bump", 6, 0)
    slope = np.exp(-(X.astype(np.float64) ** 2)) * (1 - 2 * X.astype(np.float64) ** 2)
    assert record["flat"] == np.mean(np.abs(slope) < 1e-3)
    np.testing.assert_array_equal(act(X), X * jnp.exp(-jnp.square(X)))
    assert names(jax.vmap(jax.checkpoint(act))) == ["bump"]
    with pytest.raises(ValueError, match="expected a name for a function that has none"):
        jf.site(lambda x: x)
    with pytest.raises(TypeError, match="expected a function, got int"):
        jf.site(3)
