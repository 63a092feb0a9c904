"""A model of Linen, NNX or Equinox, swapped, is a model of the same kind with the same parameters."""

import copy
import functools
import operator
import pickle

import chex
import equinox as eqx
import flax.linen as linen
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx, serialization
from jax import nn

import jaxact
from jaxact import flow as jf

pytestmark = pytest.mark.quickly_compiled

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
KEY = jax.random.key(0)
close = functools.partial(chex.assert_trees_all_close, rtol=1e-5, atol=1e-6)


def is_swapped(f, *args):
    """Whether what runs is jaxact's."""
    return {e.why for e in jf.swaps(f)(*args).exchanges} == {"jaxact's already"}


class Linen(linen.Module):
    width: int = 8

    @linen.compact
    def __call__(self, x, train=True):
        x = nn.gelu(linen.BatchNorm(use_running_average=not train)(linen.Dense(self.width)(x)))
        self.sow("intermediates", "hidden", x)
        return linen.Dropout(0.5, deterministic=not train)(x)

    def encode(self, x):
        return nn.silu(x)


def test_linen():
    model, lean = Linen(), jf.swap(Linen())
    keys = {"params": KEY, "dropout": KEY}
    variables, own = jax.jit(lambda keys, x: (model.init(keys, x), lean.init(keys, x)))(keys, X)
    chex.assert_trees_all_equal(own, variables)

    @jax.jit
    def results(variables, x):
        found = []
        for m in (lean, model):
            trained = m.apply(variables, x, rngs={"dropout": KEY}, mutable=["batch_stats", "intermediates"])
            found.append((trained, m.apply(variables, x, False)))
        return found

    close(*results(variables, X))
    assert is_swapped(lambda v: lean.apply(v, X, False), variables)
    for method in ("encode", lean.encode, Linen.encode):
        assert is_swapped(lambda v, method=method: lean.apply(v, X, method=method), variables)
    assert (type(lean).__name__, repr(lean), lean.width, isinstance(lean, Linen)) == ("Linen", repr(model), 8, True)
    assert lean.copy(width=3).width == 3
    loaded = serialization.from_bytes(variables, serialization.to_bytes(variables))
    close(lean.apply(loaded, X, False), results(variables, X)[1][1])
    assert [e.to for e in jf.swaps(model)(variables, X, False).exchanges] == ["jaxact.gelu"]


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.linear, self.norm = nnx.Linear(6, 6, rngs=rngs), nnx.BatchNorm(6, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x, rngs=None):
        x = nnx.gelu(self.norm(self.linear(x)))
        self.sow(nnx.Intermediate, "hidden", x)
        return self.dropout(x, rngs=rngs)


class Outer(nnx.Module):
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, x):
        return 2 * self.inner(x)


def twice_with_one_rngs(model):
    rngs = nnx.Rngs(3)
    return model(X, rngs=rngs), model(X, rngs=rngs)


USES = {
    "a call": lambda m: (m(X), m(X)),
    "nnx.jit": lambda m: [nnx.jit(lambda m, x: m(x))(m, X) for _ in range(2)],
    "nnx.grad": lambda m: jax.tree.leaves(nnx.grad(lambda m, x: m(x).sum())(m, X)),
    "nnx.remat": lambda m: nnx.remat(lambda m, x: m(x))(m, X),
    "a part of another": lambda m: Outer(m)(X),
    "an Rngs of its own": twice_with_one_rngs,
}


@functools.cache
def made():
    return nnx.jit(lambda: Nnx(nnx.Rngs(0)))()


@pytest.mark.filterwarnings("ignore:Using 'Module.sow:DeprecationWarning")
def test_nnx():
    """Statistics, counts of random keys and what is sown change as they do without: eagerly, and all in one program."""
    models = {use: [jf.swap(nnx.clone(made())), nnx.clone(made())] for use in [*USES, "eagerly"]}
    eager = models.pop("eagerly")
    results = nnx.jit(lambda models: {use: [USES[use](m) for m in pair] for use, pair in models.items()})(models)
    models["eagerly"], results["eagerly"] = eager, [USES["a call"](m) for m in eager]
    of = lambda m: jax.tree.map(lambda a: a if a.dtype != KEY.dtype else jax.random.key_data(a), nnx.state(m))  # noqa: E731
    for use, pair in models.items():
        close(*results[use], atol=1e-5, custom_message=use)  # a bias before a norm has no gradient but rounding
        close(*map(of, pair), custom_message=use)


@pytest.mark.filterwarnings("ignore:Using 'Module.sow:DeprecationWarning")
def test_nnx_shares_its_parameters():
    model = nnx.clone(made())
    lean = jf.swap(model)
    assert (type(lean).__name__, isinstance(lean, Nnx), lean.linear is model.linear) == ("Nnx", True, True)
    optimizer = nnx.Optimizer(lean, optax.sgd(0.1), wrt=nnx.Param)
    before = model.linear.kernel[...]
    optimizer.update(lean, nnx.jit(nnx.grad(lambda m: m(X).sum()))(lean))
    assert np.any(model.linear.kernel[...] != before)
    assert [e.to for e in jf.swaps(model)(X).exchanges] == ["jaxact.gelu"]


def test_nnx_is_closed_over_by_other_transformations():
    """A model that changes nothing in itself, as JAX's own transformations take it."""
    model = nnx.Sequential(made().linear, nnx.gelu)
    lean = jf.swap(model)
    close(*jax.jit(lambda x: (jax.vmap(lambda x: lean(x))(x), model(x)))(X))
    assert is_swapped(lambda x: lean(x), X)
    assert [e.to for e in jf.swaps(model)(jax.ShapeDtypeStruct(X.shape, X.dtype)).exchanges] == ["jaxact.gelu"]


class Equinox(eqx.Module):
    mlp: eqx.nn.MLP
    norm: eqx.nn.BatchNorm
    name: str = eqx.field(static=True)

    def __init__(self, key):
        self.mlp = eqx.nn.MLP(6, 6, 6, 2, activation=nn.gelu, key=key)
        self.norm, self.name = eqx.nn.BatchNorm(6, "batch", mode="batch"), "mine"

    def __call__(self, x, state):
        y, state = self.norm(self.mlp(x), state)
        return nn.silu(y), state

    def encode(self, x):
        return nn.relu(x)


def test_equinox(tmp_path):
    model, state = eqx.nn.make_with_state(Equinox)(KEY)
    lean = jf.swap(model)
    of_batch = functools.partial(jax.vmap, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    run = eqx.filter_jit(lambda m: of_batch(m)(X, state)[0])
    loss = eqx.filter_value_and_grad(lambda m: jnp.sum(of_batch(m)(X, state)[0] ** 2))
    got, want = eqx.filter_jit(lambda *models: [loss(m) for m in models])(lean, model)
    close(jax.tree.leaves(got), jax.tree.leaves(want), atol=1e-4)  # a bias before a norm has none but rounding
    assert is_swapped(lambda x: jax.vmap(lean, axis_name="batch", in_axes=(0, None))(x, state)[0], X)
    assert (repr(lean), lean.name, isinstance(lean, Equinox)) == (repr(model), "mine", True)
    assert all(map(operator.is_, jax.tree.leaves(lean), jax.tree.leaves(model)))
    eqx.tree_serialise_leaves(tmp_path / "model", model)
    blank = jax.tree.map(lambda a: jnp.zeros_like(a) if eqx.is_array(a) else a, lean)
    close(run(eqx.tree_deserialise_leaves(tmp_path / "model", blank)), run(model))
    assert is_swapped(jf.swap(model.encode), X)
    assert [e.to for e in jf.swaps(model.mlp)(X[0]).exchanges] == ["jaxact.gelu"] * 2


def test_haiku():
    model = hk.without_apply_rng(hk.transform(lambda x: nn.silu(hk.Linear(8)(x))))
    lean = model._replace(apply=jf.swap(model.apply))
    parameters = lean.init(KEY, X)
    close(lean.apply(parameters, X), model.apply(parameters, X))
    assert is_swapped(lean.apply, parameters, X)


def test_replace_in_a_model():
    tried = jf.swap(eqx.nn.Lambda(lambda x: nn.gelu(x) + nn.silu(x)), {"gelu": "relu"}, select=lambda s: s.line > 0)
    close(tried(X), jaxact.relu(X) + nn.silu(X))


class PlainNnx(nnx.Module):
    def __init__(self, rngs):
        self.linear = nnx.Linear(6, 6, rngs=rngs)

    def __call__(self, x):
        return nnx.gelu(self.linear(x))


class PlainEquinox(eqx.Module):
    linear: eqx.nn.Linear

    def __call__(self, x):
        return nn.gelu(self.linear(x))


@functools.cache
def variables():
    return jax.jit(Linen().init)({"params": KEY, "dropout": KEY}, X)


COPIES = {"pickle": lambda m: pickle.loads(pickle.dumps(m)), "copy": copy.copy, "deepcopy": copy.deepcopy}
COPIED = {
    "linen": (Linen, lambda m: functools.partial(m.apply, variables(), train=False)),
    "nnx": (nnx.jit(lambda: PlainNnx(nnx.Rngs(0))), lambda m: m),
    "equinox": (lambda: PlainEquinox(eqx.nn.Linear(6, 6, key=KEY)), jax.vmap),
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("framework", COPIED)
def test_copies(framework, way):
    """They are swapped as what they are copies of, and keep its parameters as copies of the model itself do."""
    make, call = COPIED[framework]
    model = make()
    lean, tried = (COPIES[way](jf.swap(model, replace)) for replace in (None, {"gelu": "relu"}))
    assert (type(lean).__name__, isinstance(lean, type(model))) == (type(model).__name__, True)
    assert is_swapped(call(lean), X)
    close(call(lean)(X), call(model)(X))
    np.testing.assert_array_equal(call(tried)(X), call(jf.swap(model, {"gelu": "relu"}))(X))
    same = all(map(operator.is_, jax.tree.leaves(lean), jax.tree.leaves(model)))
    assert framework == "linen" or same == (way == "copy")


def test_a_model_without_a_call():
    class Mute(eqx.Module):
        weight: jax.Array

    with pytest.raises(TypeError, match="expected a model with __call__, got Mute, which has none"):
        jf.swap(Mute(X))
