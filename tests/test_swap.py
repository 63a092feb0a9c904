"""`swap` puts jaxact's function in place of each activation, with its parameters, and touches nothing else."""

import functools
import re
import time
from pathlib import Path

import chex
import equinox as eqx
import flax.linen as linen
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax, nn
from jax.experimental import pallas as pl
from jax.extend.core import jaxpr_as_fun
from jax.sharding import Mesh, PartitionSpec

import jaxact
from jaxact import flow as jf
from tests.test_recognise import AROUND, X

pytestmark = pytest.mark.quickly_compiled

W = (np.random.default_rng(1).normal(size=(6, 6)) / 2).astype(np.float32)
SLOPES = np.arange(6, dtype=np.float32) / 6
WEIGHTS = np.random.default_rng(3).uniform(-0.2, 2, (4, 6)).astype(np.float32)
MASK = np.random.default_rng(2).random((4, 6)) < 0.8

SAME = {
    **{
        name: (getattr(nn, name), getattr(jaxact, name))
        for name in (
            "relu", "relu6", "softplus", "sparse_plus", "soft_sign", "silu", "mish", "log_sigmoid", "hard_tanh", "selu",
            "hard_sigmoid", "hard_silu", "sparse_sigmoid", "sigmoid", "glu", "softmax", "log_softmax", "logsumexp",
            "gelu", "elu", "celu", "leaky_relu", "squareplus", "tanh",
        )
    },
    "gelu, exact": (functools.partial(nn.gelu, approximate=False), functools.partial(jaxact.gelu, approximate=False)),
    "elu, alpha": (lambda x: nn.elu(x, 0.5), lambda x: jaxact.elu(x, 0.5)),
    "celu, alpha": (lambda x: nn.celu(x, 1.5), lambda x: jaxact.celu(x, 1.5)),
    "leaky_relu, slope": (lambda x: nn.leaky_relu(x, 0.25), lambda x: jaxact.leaky_relu(x, 0.25)),
    "squareplus, b": (lambda x: nn.squareplus(x, 2.0), lambda x: jaxact.squareplus(x, 2.0)),
}  # fmt: skip
ON_MATRICES = {
    "leaky_relu, a slope a channel": (lambda x: nn.leaky_relu(x, SLOPES), lambda x: jaxact.leaky_relu(x, SLOPES)),
    "softmax, axis 0": (lambda x: nn.softmax(x, 0), lambda x: jaxact.softmax(x, 0)),
    "softmax, where": (lambda x: nn.softmax(x, where=MASK), lambda x: jaxact.softmax(x, where=MASK)),
    "log_softmax, where": (lambda x: nn.log_softmax(x, where=MASK), lambda x: jaxact.log_softmax(x, where=MASK)),
    "logsumexp, an axis": (lambda x: nn.logsumexp(x, 1), lambda x: jaxact.logsumexp(x, 1)),
    "logsumexp, keepdims": (
        lambda x: nn.logsumexp(x, 0, keepdims=True),
        lambda x: jaxact.logsumexp(x, 0, keepdims=True),
    ),
    "log_softmax, where of a row": (
        lambda x: nn.log_softmax(x, where=MASK[0]),
        lambda x: jaxact.log_softmax(x, where=MASK[0]),
    ),
    "celu, an alpha a channel": (lambda x: nn.celu(x, 1 + SLOPES), lambda x: jaxact.celu(x, 1 + SLOPES)),
    "elu, an alpha a channel": (lambda x: nn.elu(x, SLOPES), lambda x: jaxact.elu(x, SLOPES)),
    "logsumexp, weights": (lambda x: nn.logsumexp(x, 1, b=WEIGHTS), lambda x: jaxact.logsumexp(x, 1, b=WEIGHTS)),
    "logsumexp, weights of a row, masked": (
        lambda x: nn.logsumexp(x, 1, b=WEIGHTS[0], where=MASK),
        lambda x: jaxact.logsumexp(x, 1, b=WEIGHTS[0], where=MASK),
    ),
    "logsumexp, a weight": (lambda x: nn.logsumexp(x, 0, b=0.5), lambda x: jaxact.logsumexp(x, 0, b=0.5)),
    "swiglu": (lambda x: nn.silu(x) * (x @ W), lambda x: jaxact.swiglu(x, x @ W)),
    "geglu": (lambda x: (x @ W) * nn.gelu(x), lambda x: jaxact.geglu(x, x @ W)),
    "geglu, exact": (lambda x: (x @ W) * nn.gelu(x, False), lambda x: jaxact.geglu(x, x @ W, False)),
    "reglu": (lambda x: nn.relu(x) * (x @ W), lambda x: jaxact.reglu(x, x @ W)),
    "sigmoid_gate": (lambda x: (x @ W) * nn.sigmoid(x), lambda x: jaxact.sigmoid_gate(x, x @ W)),
    "silu, scaled": (lambda x: nn.silu(x) * SLOPES, lambda x: jaxact.silu(x) * SLOPES),
    "swiglu, turned": (lambda x: nn.silu(x @ x.T).T * (x @ x.T + 1), lambda x: jaxact.swiglu((x @ x.T).T, x @ x.T + 1)),
    "relu2": (lambda x: jnp.square(nn.relu(x)), jaxact.relu2),
    "relu2, a power": (lambda x: nn.relu(x) ** 2, jaxact.relu2),
    "relu2, a product": (lambda x: (lambda y: y * y)(nn.relu(x)), jaxact.relu2),
    "silu by hand": (lambda x: x * nn.sigmoid(x), jaxact.silu),
    "silu with beta by hand": (lambda x: x * nn.sigmoid(1.3 * x), lambda x: jaxact.silu(x, beta=1.3)),
}


def with_gradient(f):
    return jax.value_and_grad(lambda x: jnp.sum(jnp.sin(f(x).astype(jnp.float32))))


# Around the other ways, whose layouts are among those of these, a few functions are enough: some along an axis, and
# selu, of which vmap transposes a part.
FOR_ALL = ("plain", "bfloat16", "vmap, axis 0 to 1", "vmap twice")
A_FEW = ("gelu", "relu", "leaky_relu, slope", "selu", "glu", "softmax", "logsumexp")


@pytest.mark.parametrize("around", AROUND)
def test_every_activation_of_jax_becomes_jaxact_s(around):
    """jaxact's function with the same parameters, whose derivatives other tests check; all in one program."""
    same = {name: pair for name, pair in SAME.items() if around in FOR_ALL or name in A_FEW}
    programs = {name: jax.make_jaxpr(jf.swap(AROUND[around](old)))(X) for name, (old, _) in same.items()}
    swapped = {name: lambda x, p=p: jaxpr_as_fun(p)(x)[0] for name, p in programs.items()}
    written = {name: AROUND[around](new) for name, (_, new) in same.items()}
    got, want = jax.jit(lambda x: jax.tree.map(lambda f: f(x), (swapped, written)))(X)
    for name, program in programs.items():
        # What is traced in bfloat16 has leaky_relu's slope and elu's alpha rounded to it.
        rtol = 1e-2 if around == "bfloat16" and "lu" in name else 1e-6
        chex.assert_trees_all_close(got[name], want[name], rtol=rtol, atol=1e-7, custom_message=name)
        assert re.search(f"jit\\[\\s*name=_?{name.partition(',')[0]}\\b", str(program)), name


def test_axes_masks_and_pairs():
    # logsumexp has a program for weights that may be differentiated, another last bit and all.
    swapped, written = ({name: pair[i] for name, pair in ON_MATRICES.items()} for i in range(2))
    both = jax.tree.map(with_gradient, (jax.tree.map(jf.swap, swapped), written))
    got, want = jax.jit(lambda x: jax.tree.map(lambda f: f(x), both))(X)
    for name, old in swapped.items():
        chex.assert_trees_all_close(got[name], want[name], rtol=1e-6, atol=1e-7, custom_message=name)
        assert jf.swaps(old)(X).exchanges[-1].to == f"jaxact.{name.partition(',')[0].partition(' ')[0]}", name


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(linen.silu(linen.Dense(8)(linen.gelu(linen.Dense(8)(x)))))


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.a, self.b = nnx.Linear(6, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.b(nnx.silu(nnx.gelu(self.a(x))))


def filled(shapes):
    """Parameters of these shapes, by NumPy."""
    rng = np.random.default_rng(4)
    return jax.tree.map(lambda a: (rng.normal(size=a.shape) / 3).astype(a.dtype), shapes)


def models():
    model, key = Linen(), jax.eval_shape(lambda: jax.random.key(0))
    yield "linen", lambda p, x: jnp.sum(model.apply(p, x) ** 2), jax.eval_shape(model.init, key, X)
    graph, state = nnx.split(nnx.eval_shape(lambda: Nnx(nnx.Rngs(0))))
    yield "nnx", lambda p, x: jnp.sum(nnx.merge(graph, p)(x) ** 2), state
    mlp = functools.partial(eqx.nn.MLP, 6, 3, 8, 2, activation=nn.gelu, final_activation=nn.silu)
    params, static = eqx.partition(
        eqx.filter_eval_shape(lambda: mlp(key=jax.random.key(0))), lambda a: isinstance(a, jax.ShapeDtypeStruct)
    )
    yield "equinox", lambda p, x: jnp.sum(jax.vmap(eqx.combine(p, static))(x) ** 2), params
    haiku = hk.without_apply_rng(hk.transform(lambda x: nn.silu(nn.gelu(hk.Linear(8)(x)))))
    yield "haiku", lambda p, x: jnp.sum(haiku.apply(p, x) ** 2), jax.eval_shape(haiku.init, key, X)


@pytest.mark.parametrize(("loss", "shapes"), [pytest.param(*m[1:], id=m[0]) for m in models()])
def test_models_of_frameworks(loss, shapes):
    swapped, params = jf.swap(loss), filled(shapes)
    got, want = jax.jit(lambda *args: [jax.value_and_grad(f)(*args) for f in (swapped, loss)])(params, X)
    chex.assert_trees_all_close(got, want, rtol=1e-4, atol=1e-5)
    assert {e.to for e in jf.swaps(loss)(params, X).exchanges} == {"jaxact.gelu", "jaxact.silu"}
    assert {site.name for site in jax.eval_shape(jf.observe(swapped), params, X)[1].sites} == {"gelu", "silu"}


def block(x):
    return nn.gelu(x @ W)


SHARDED = {
    "mesh": Mesh(np.array(jax.devices()[:1]), "d"), "in_specs": PartitionSpec("d"), "out_specs": PartitionSpec("d"),
}  # fmt: skip
TRANSFORMS = {
    "jit": jax.jit,
    "scan": lambda f: lambda x: lax.scan(lambda h, _: (f(h), h.sum()), x, length=3)[0],
    "checkpoint": functools.partial(jax.checkpoint, prevent_cse=False),
    "shard_map": lambda f: jax.shard_map(f, **SHARDED),
    "pmap": lambda f: lambda x: jax.pmap(f)(x[None])[0],
    "nnx.jit": nnx.jit,
    "vmap": jax.vmap,
    "cond": lambda f: lambda x: lax.cond(x.sum() > 0, f, nn.silu, x),
    "while": lambda f: lambda x: x + lax.while_loop(
        lambda s: s[0] < 2, lambda s: (s[0] + 1, f(s[1])), (0, lax.stop_gradient(x)))[1],
}  # fmt: skip


def test_inside_and_around_transformations():
    """Values and gradients, and values under vmap; all in one program."""

    @jax.jit
    def results(x):
        found = {}
        for name, transform in TRANSFORMS.items():
            ways = transform(block), jf.swap(transform(block)), transform(jf.swap(block))
            found[name] = [(with_gradient(f)(x), jax.vmap(f)(jnp.stack([x, 2 * x]))) for f in ways]
        return found

    for name, (want, *ways) in results(X).items():
        for got in ways:
            chex.assert_trees_all_close(got, want, rtol=1e-4, atol=1e-5, custom_message=name)
        assert "custom_jvp_call" in str(jax.make_jaxpr(jf.swap(TRANSFORMS[name](block)))(X)), name


@pytest.mark.parametrize("new", [False, True] if jax.__version_info__ >= (0, 11) else [False])
def test_both_rematerialisations(new):
    """A checkpoint inside, around a scanned layer, and around the swap."""
    kept = jax.checkpoint(block, prevent_cse=False)
    scanned = lambda x: lax.scan(lambda h, _: (kept(h), None), x, length=3)[0]  # noqa: E731
    before = jax.config.values.get("jax_remat3")
    if new:
        jax.config.update("jax_remat3", True)
    try:
        ways = jf.swap(scanned), jax.checkpoint(jf.swap(scanned)), jf.swap(jax.checkpoint(scanned))
        want, *results = jax.jit(lambda x: [with_gradient(f)(x) for f in (scanned, *ways)])(X)
        for f, got in zip(ways, results, strict=True):
            assert [e.why for e in jf.swaps(f)(X).exchanges] == ["jaxact's already"]
            chex.assert_trees_all_close(got, want, rtol=1e-4, atol=1e-5)
    finally:
        if new:
            jax.config.update("jax_remat3", before)


def test_tracing_costs_at_most_twice():
    """Of a transformer's loss and gradient: processor time, in medians of traces in turns; measured 1.3 times."""
    width, layers = 8, 4
    weights = {
        "qkv": np.ones((width, 3 * width)),
        "up": np.ones((width, 4 * width)),
        "down": np.ones((4 * width, width)),
    }

    def loss(weights, h):
        for w in weights:
            q, k, v = jnp.split(nn.standardize(h) @ w["qkv"], 3, -1)
            h = h + nn.dot_product_attention(*(a[:, :, None] for a in (q, k, v)))[:, :, 0]
            h = h + nn.gelu(nn.standardize(h) @ w["up"]) @ w["down"]
        return jnp.mean(jnp.square(h))

    def cost(f):
        start = time.process_time()
        jax.make_jaxpr(lambda *arguments: f(*arguments))([weights] * layers, np.ones((2, 8, width)))  # anew each time
        return time.process_time() - start

    costs = [[cost(jax.value_and_grad(f)) for f in (loss, jf.swap(loss))] for _ in range(6)][1:]
    before, after = np.median(costs, axis=0)
    assert after <= 2 * before


def test_changes_no_bit_of_a_function_without_activations():
    f = lambda x, flag, *, n: {"a": jnp.sin(x @ W) if flag == "sin" else x, "n": x[0] * n}  # noqa: E731
    got, want = (jax.jit(functools.partial(g, flag="sin"))(X, n=2) for g in (jf.swap(f), f))
    chex.assert_trees_all_equal(got, want)
    chex.assert_trees_all_close(jf.swap(f)(X, "sin", n=2), f(X, "sin", n=2), rtol=1e-6)  # one by one rounded otherwise
    assert jf.swaps(f)(X, "sin", n=2).exchanges == ()


def critic(w, x):
    return jnp.sum(nn.silu(nn.gelu(x @ w) @ w), -1)


def wgan(w):
    penalty = jax.vmap(jax.grad(critic, argnums=1), (None, 0))(w, X)
    return jnp.mean((jnp.linalg.norm(penalty, axis=-1) - 1) ** 2) + jnp.mean(critic(w, X))


def maml(w):
    inner = w - 0.1 * jax.grad(lambda w: jnp.mean(critic(w, X)))(w)
    return jnp.mean(critic(inner, X))


def pinn(w):
    u = lambda x: jnp.sum(jnp.tanh(x * w[0]) @ nn.silu(w))  # noqa: E731
    second = jax.vmap(jax.grad(jax.grad(u)))(X[0])
    return jnp.mean((second + jax.vmap(u)(X[0])) ** 2)


@pytest.mark.parametrize("loss", [wgan, maml, pinn])
def test_gradients_inside(loss):
    got, want = jax.jit(lambda w: [jax.value_and_grad(f)(w) for f in (jf.swap(loss), loss)])(W)
    chex.assert_trees_all_close(got, want, rtol=1e-4, atol=1e-5)
    swaps = jf.swaps(loss)(W)
    assert any(e.to for e in swaps.exchanges)
    assert {u.what for u in swaps.unseen} == {"derivative code"}


def test_custom_rules_are_left_alone():
    @jax.custom_vjp
    def clipped(x):
        return nn.silu(x)

    clipped.defvjp(lambda x: (nn.silu(x), x), lambda x, t: (jnp.clip(t * x, -0.1, 0.1),))
    f = lambda x: jnp.sum(clipped(nn.gelu(x)))  # noqa: E731
    assert [e.to for e in jf.swaps(f)(X).exchanges] == ["jaxact.gelu"]
    assert "left: not looked into" in str(jf.swaps(f)(X))


def test_pallas_kernels_are_left_alone():
    def kernel(x, y):
        y[...] = nn.gelu(x[...])

    f = lambda x: nn.silu(pl.pallas_call(kernel, out_shape=jax.typeof(x), interpret=True)(x))  # noqa: E731
    swaps = jf.swaps(f)(X)
    assert [e.to for e in swaps.exchanges] == ["jaxact.silu"]
    assert {u.what for u in swaps.unseen} == {"Pallas kernel"}
    chex.assert_trees_all_equal(jf.swap(f)(X), jaxact.silu(nn.gelu(X)))


def model(x):
    return nn.leaky_relu(jaxact.silu(nn.gelu(x @ W) @ W), 0.2)


REPLACED = {
    "a name": ({"gelu": "relu"}, lambda x: nn.leaky_relu(jaxact.silu(nn.relu(x @ W) @ W), 0.2)),
    "an alias": ({"swish": "mish"}, lambda x: nn.leaky_relu(jaxact.mish(nn.gelu(x @ W) @ W), 0.2)),
    "a config": (
        {"leaky_relu": {"name": "leaky_relu", "negative_slope": 0.1}},
        lambda x: nn.leaky_relu(jaxact.silu(nn.gelu(x @ W) @ W), 0.1),
    ),
    "a function": ({"gelu": jnp.sin}, lambda x: nn.leaky_relu(jaxact.silu(jnp.sin(x @ W) @ W), 0.2)),
    "a function of the site": (
        lambda site: jnp.sin if dict(site.parameters).get("negative_slope") == 0.2 else None,
        lambda x: jnp.sin(jaxact.silu(nn.gelu(x @ W) @ W)),
    ),
}


@pytest.mark.parametrize("which", REPLACED)
def test_replace(which):
    replace, written = REPLACED[which]
    got, want = jax.jit(lambda x: (jf.swap(model, replace)(x), written(x)))(X)
    chex.assert_trees_all_close(got, want, rtol=1e-5, atol=1e-6)


def test_replace_of_other_kinds():
    first = lambda x: nn.softmax(x, axis=0)  # noqa: E731
    mine = jf.site(lambda x: x * jnp.cos(x), "mine")

    @jax.jit
    def pairs(x):
        return [
            (jf.swap(nn.softmax, {"softmax": "sparsemax"})(x), jaxact.sparsemax(x)),
            (jf.swap(first, {"softmax": "sparsemax"})(x), jaxact.sparsemax(x, axis=0)),
            (jf.swap(nn.glu, {"glu": "swiglu"})(x), jaxact.swiglu(x[:, 3:], x[:, :3])),
            (jf.swap(mine, {"mine": "relu"})(x), jaxact.relu(x)),
        ]

    for got, want in pairs(X):
        np.testing.assert_array_equal(got, want)


def test_select():
    chosen = jf.swap(model, select=lambda site: site.name == "gelu")
    assert str(jax.make_jaxpr(chosen)(X)).count("name=leaky_relu") == str(jax.make_jaxpr(model)(X)).count("leaky_relu")
    written = lambda x: nn.leaky_relu(jaxact.silu(jaxact.gelu(x @ W) @ W), 0.2)  # noqa: E731
    np.testing.assert_array_equal(jax.jit(chosen)(X), jax.jit(written)(X))


def test_swaps_says_what_and_where():
    def f(x):
        h = nn.gelu(x, approximate=False)  # the gelu
        return jaxact.relu(jnp.maximum(h, 0))

    table = jf.swaps(f)(jax.ShapeDtypeStruct((3, 4), jnp.float32))
    first, second, third = table.exchanges
    assert (first.to, first.site.file) == ("jaxact.gelu", __file__)
    assert "# the gelu" in Path(__file__).read_text().splitlines()[first.site.line - 1]
    assert second.why.startswith("written by hand")
    assert third.why == "jaxact's already"
    assert "gelu(approximate=False)" in str(table)
    assert table._repr_html_().count("<tr>") == 4


@pytest.mark.parametrize(
    ("replace", "error", "message"),
    [
        ({"gelu": "gleu"}, ValueError, "did you mean"),
        ({"mish": "relu"}, ValueError, "no activation of the function is 'mish'; there are: gelu, silu, leaky_relu"),
        ({"gelu": "softmax"}, ValueError, "is elementwise, and jaxact.softmax is not"),
        ({"gelu": lambda x: x[:1]}, ValueError, "expected <lambda> to keep the shape"),
        ({"gelu": lambda x: x / jnp.sum(x)}, ValueError, "is elementwise, and <lambda> is not: it has reduce_sum"),
        ({"gelu": "prelu"}, ValueError, "needs a value for"),
        ({"gelu": lambda x, slope: x * slope}, ValueError, "expected <lambda> to be called as .x. at"),
        (3, TypeError, "expected replace to be a mapping"),
        ({3: "relu"}, TypeError, "expected names for keys of replace"),
    ],
)
def test_bad_replacements(replace, error, message):
    with pytest.raises(error, match=message):
        jf.swap(model, replace)(X)


def test_bad_functions():
    with pytest.raises(TypeError, match="expected a function, got int"):
        jf.swap(3)
    with pytest.raises(TypeError, match="expected a function that returns arrays, got str"):
        jf.swap(lambda x: "no array")(X)
