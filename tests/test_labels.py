"""How sites are called: by the attributes that lead to a module, apart on one line, and by the user's line."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from IPython.core.interactiveshell import InteractiveShell
from jax import lax
from traitlets.config import Config

import jaxact
import jaxact.nnx
from jaxact import flow as jf

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def labels(loss, *args):
    return [site.label for site in jax.eval_shape(jf.observe(loss), *args)[1].sites]


def mean(model, x):
    return jnp.mean(model(x) ** 2)


class Mlp(nnx.Module):
    def __init__(self, rngs):
        self.up, self.down = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 4, rngs=rngs)

    def __call__(self, x):
        return self.down(nnx.gelu(self.up(x)))


class Block(nnx.Module):
    def __init__(self, rngs):
        self.mlp, self.act = Mlp(rngs), jaxact.nnx.SiLU()

    @nnx.remat
    def __call__(self, x):
        with jax.named_scope("residual"):
            return self.act(x + self.mlp(x))


class Net(nnx.Module):
    def __init__(self, rngs):
        self.blocks = nnx.List([Block(rngs) for _ in range(2)])
        self.head = nnx.Sequential(nnx.Linear(4, 4, rngs=rngs), nnx.relu)

    def encode(self, x):
        for block in self.blocks:
            x = block(x)
        return nnx.relu(x)

    def __call__(self, x):
        return self.head(self.encode(x))


NET = [
    "blocks[0]/residual/mlp/gelu",
    "blocks[0]/residual/act/silu",
    "blocks[1]/residual/mlp/gelu",
    "blocks[1]/residual/act/silu",
    "Net.encode/relu",
    "head/relu",
]


def test_nnx():
    net, other = nnx.eval_shape(lambda: (Net(nnx.Rngs(0)), Mlp(nnx.Rngs(1))))
    assert labels(mean, net, X) == NET
    assert labels(lambda net, x: jnp.mean(net.blocks[1].mlp(x)), net, X) == ["blocks[1].mlp/gelu"]
    graph, params = nnx.split(net)
    inside = ["relu" if label == "Net.encode/relu" else label for label in NET]
    assert labels(lambda p, x: mean(nnx.merge(graph, p), x), params, X) == [f"Net/{label}" for label in inside]
    both = lambda g, d, x: jnp.mean(d["a"](g(x)))  # noqa: E731
    assert labels(both, net, {"a": other}, X) == [
        *(f"g{'/' if i == 4 else '.'}{a}" for i, a in enumerate(inside)),
        "d['a']/gelu",
    ]


class EquinoxBlock(eqx.Module):
    up: eqx.nn.Linear
    mlp: eqx.nn.MLP

    def __init__(self, key):
        self.up, self.mlp = eqx.nn.Linear(4, 4, key=key), eqx.nn.MLP(4, 4, 8, 1, key=key)

    def __call__(self, x):
        return jax.nn.silu(self.up(self.mlp(x)))


class EquinoxNet(eqx.Module):
    blocks: list
    head: eqx.nn.Sequential
    scanned: eqx.nn.MLP

    def __init__(self, key):
        self.blocks = [EquinoxBlock(key), EquinoxBlock(key)]
        self.head = eqx.nn.Sequential([eqx.nn.Linear(4, 4, key=key), eqx.nn.Lambda(jax.nn.gelu)])
        self.scanned = eqx.filter_vmap(lambda key: eqx.nn.Linear(4, 4, key=key))(jax.random.split(key, 3))

    def __call__(self, x):
        for block in self.blocks:
            x = eqx.filter_checkpoint(block)(x)
        return self.head(x)


@pytest.mark.parametrize("around", [jax.vmap, eqx.filter_vmap, lambda model: lambda x: eqx.filter_jit(model)(x[0])])
def test_equinox(around):
    net = eqx.filter_eval_shape(EquinoxNet, jax.random.key(0))
    params, static = eqx.partition(net, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    wanted = [f"blocks[{i}]{at}" for i in (0, 1) for at in (".mlp/relu", "/silu")]
    assert labels(lambda p, x: mean(around(eqx.combine(p, static)), x), params, X) == [*wanted, "head.layers[1]/gelu"]


def test_nothing_stays_patched_and_threads_are_left_alone():
    before = {kind: vars(kind)["__call__"] for kind in (Net, Block, nnx.Linear, EquinoxNet, eqx.nn.Linear)}
    seen = []

    def failing(net, x):
        seen.append(vars(Net)["__call__"])
        net(x)
        raise ZeroDivisionError

    net = nnx.eval_shape(lambda: Net(nnx.Rngs(0)))
    with pytest.raises(ZeroDivisionError):
        jax.eval_shape(jf.observe(failing), net, X)
    assert seen[0] is not before[Net]
    assert {kind: vars(kind)["__call__"] for kind in before} == before
    jax.eval_shape(lambda net: jf.observe(lambda w: jf.observe(mean)(net, w * X)[0][0])(1.0), net)
    assert {kind: vars(kind)["__call__"] for kind in before} == before


def test_sites_on_one_line_are_told_apart():
    two = lambda w, x: jnp.sum(jax.nn.relu(jax.nn.relu(x @ w) @ w) + jnp.tanh(x @ w))  # noqa: E731
    flow = jax.jit(jf.observe(two))(np.eye(4, dtype=np.float32), X)[1]
    assert {site.label for site in flow.sites} == {"<lambda>/relu", "<lambda>/relu #2", "<lambda>/tanh"}
    first, second = (r for r in flow.to_records() if r["name"] == "relu")
    assert (first["site"], second["site"]) == ("<lambda>/relu", "<lambda>/relu #2")
    assert first["y_mean"] == second["x_mean"]


def step(h, _):
    return h, None


def test_what_a_library_calls_has_the_line_around_it():
    def loss(w):
        a = jax.checkpoint(jax.nn.silu)(w)
        b = jax.checkpoint(jax.nn.silu)(a)
        c = lax.map(jax.nn.relu, b)
        d = jax.jit(jax.checkpoint(jnp.tanh))(c)
        return jnp.sum(d)

    first = loss.__code__.co_firstlineno
    flow = jax.eval_shape(jf.observe(loss), X)[1]
    assert [(s.name, s.line - first, s.function, s.file) for s in flow.sites] == [
        (name, line, "loss", __file__) for line, name in enumerate(("silu", "silu", "relu", "tanh"), 1)
    ]

    def doubtful(w):
        h = jax.nn.softmax(X @ w)
        return -jnp.sum(jax.checkpoint(jax.nn.log_softmax)(h))

    (finding,) = jf.lint(doubtful)(jnp.ones((4, 4)))
    assert (finding.rule, finding.file, finding.line) == (
        "softmax twice",
        __file__,
        doubtful.__code__.co_firstlineno + 2,
    )


def test_a_notebook_says_which_cell():
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    try:
        shell.run_cell("import jax, jax.numpy as jnp\nfrom jaxact import flow", store_history=True)
        shell.run_cell("def loss(w):\n    return jnp.sum(jax.nn.relu(w - 9))", store_history=True)
        shell.run_cell("_, seen = jax.jit(flow.observe(loss))(jnp.ones((128, 4)))", store_history=True)
        flow = shell.user_ns["seen"]
        assert flow.sites[0].source == "Cell In[2], line 2"
        assert "Cell In[2], line 2" in str(flow)
        assert "(Cell In[2], line 2)" in str(flow.findings()[0])
    finally:
        InteractiveShell.clear_instance()
