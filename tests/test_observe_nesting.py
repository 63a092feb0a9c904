"""`observe` in every nesting of JAX's transformations and control flow, generated; the oracle is the model written out.

Each wrapper is given as JAX has it, and, if it does not run its function just once, in plain Python, with a record of
what goes through and a perturbation before and after each activation. Nests of three are run, in which each wrapper is
right inside each other one.
"""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, Mesh, PartitionSpec

from jaxact.flow import observe

pytestmark = pytest.mark.quickly_compiled

X = np.random.default_rng(0).normal(size=(2, 2, 2, 3)).astype(np.float32)
W = (np.random.default_rng(1).normal(size=(3, 3)) / 2).astype(np.float32)
AXES = ("a", "b", "c")


def while_(f):
    """JAX has no reverse mode through it, so that it is beside what is differentiated."""

    def g(w, x):
        w, start = lax.stop_gradient((w, x))
        return x + lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, f(w, s[1])), (0, start))[1]

    return g


def custom_vjp(f):
    """With an argument that is not differentiated, and called with a number of Python's."""

    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def g(flag, w, x, scale):
        return scale * f(w, x)

    def forward(flag, w, x, scale):
        return scale * f(w, x), w

    g.defvjp(forward, lambda flag, w, t: (jnp.ones_like(w), 0.5 * t, jnp.zeros(())))
    return lambda w, x: g("flag", w, x, 2.0)


def custom_jvp(f):
    @jax.custom_jvp
    def g(w, x, scale):
        return scale * f(w, x)

    g.defjvp(lambda p, t: (g(*p), 0.5 * t[1]))
    return lambda w, x: g(w, x, 2.0)


def shard_map(f, depth):
    mesh = Mesh(np.array(jax.devices()[:1]).reshape(1, 1, 1), AXES, axis_types=(AxisType.Auto,) * 3)
    spec = PartitionSpec()
    return jax.shard_map(f, mesh=mesh, in_specs=spec, out_specs=spec, axis_names={AXES[depth]})


def scan(f):
    return lambda w, x: lax.scan(lambda h, _: (f(w, h), None), x, length=2)[0]


def switch(f):
    return lambda w, x: lax.switch(1, [lambda w, x: f(w, 2.0 * x), f, lambda w, x: -x], w, x)


TRANSFORMED = {
    "jit": lambda f, _: jax.jit(f),
    "scan": lambda f, _: scan(f),
    "while": lambda f, _: while_(f),
    "cond": lambda f, _: lambda w, x: lax.cond(jnp.sum(x) < 1e9, f, lambda w, x: 0.5 * x, w, x),
    "switch": lambda f, _: switch(f),
    "remat": lambda f, _: jax.checkpoint(f),
    "vmap": lambda f, _: jax.vmap(f, in_axes=(None, 1), out_axes=1),
    "shard_map": shard_map,
    "custom_jvp": lambda f, _: custom_jvp(f),
    "custom_vjp": lambda f, _: custom_vjp(f),
}
WRITTEN = {
    "scan": lambda f: lambda x: f(f(x)),
    "while": lambda f: lambda x: x + lax.stop_gradient(f(f(lax.stop_gradient(x)))),
}
CUSTOM = ("custom_jvp", "custom_vjp")


def nested(names):
    """A model: the activation in these wrappers, the first one outermost."""

    def model(w, x):
        f = lambda w, h: jax.nn.silu(h @ w)  # noqa: E731
        for depth, name in reversed(list(enumerate(names))):
            f = TRANSFORMED[name](f, depth)
        with jax.named_scope("-".join(names)):
            return jnp.sum(f(w, x) ** 2)

    return model


def written(perturbations, names):
    """The same in plain Python. Returns the loss, and x and y of each run of the activation."""
    seen = []

    def activation(h):
        p = perturbations[len(seen)] if perturbations else {"dx": 0.0, "dy": 0.0}
        before = h @ W + p["dx"]
        after = jax.nn.silu(before) + p["dy"]
        seen.append({"x": before, "y": after})
        return after

    f = activation
    for name in reversed(names):
        f = WRITTEN[name](f)
    return jnp.sum(f(X) ** 2), seen


@functools.cache
def runs(names):
    """x and y of each run of the activation in what is written out, and the cotangents of both."""
    count = len(jax.eval_shape(lambda: written(None, names)[1]))
    zeros = [{"dx": np.zeros_like(X), "dy": np.zeros_like(X)}] * count
    cotangents, seen = jax.jit(jax.grad(functools.partial(written, names=names), has_aux=True))(zeros)
    return [{**s, **c} for s, c in zip(seen, cotangents, strict=True)]


def all_of(nests):
    return lambda w, x: sum(nested(names)(w, x) for names in nests)


def check(nests):
    got, flow = jax.jit(observe(all_of(nests)))(W, X)
    chex.assert_trees_all_equal(got, jax.jit(jax.value_and_grad(all_of(nests)))(W, X))
    by_nest = {}
    for site, statistics in zip(flow.sites, flow.statistics, strict=True):
        by_nest.setdefault(site.path.split("/")[0], []).append(statistics)
    for names in nests:
        statistics = by_nest.pop("-".join(names), None)
        if set(names) & set(CUSTOM):
            assert statistics is None
            continue
        seen = runs(tuple(name for name in names if name in WRITTEN))
        for key in ("x", "y", "dx", "dy"):
            arrays = np.asarray([run[key] for run in seen], np.float64)
            if key.startswith("d") and "while" in names:
                assert not any(key in s for s in statistics)
                continue
            total = np.sum([np.asarray(s[key], np.float64).reshape(-1, s[key].shape[-1]).sum(0) for s in statistics], 0)
            scale = 2.0**64 if key.startswith("d") else 1.0
            assert total[0] == arrays.size, (names, key)
            np.testing.assert_allclose(total[2] / scale, (arrays**2).sum(), rtol=1e-5, err_msg=f"{names} {key}")
    assert not by_nest


def nests():
    """Nests of three with every pair, one right inside the other; no site that is seen is beside a custom rule."""
    custom = lambda *pair: bool({*pair} & {*CUSTOM})  # noqa: E731
    pairs = [pair for pair in itertools.product(TRANSFORMED, repeat=2) if pair != ("shard_map",) * 2]  # JAX has none
    while pairs:
        a, b = pairs.pop(0)
        c = next((d for x, d in pairs if x == b and d != a and custom(b, d) == custom(a, b)), "jit")
        pairs = [pair for pair in pairs if pair != (b, c)]
        yield a, b, c


@pytest.mark.parametrize("outer", TRANSFORMED)
def test_each_right_inside_each(outer):
    check([names for names in nests() if names[0] == outer])


@pytest.mark.skipif(jax.__version_info__ < (0, 11), reason="JAX has the new rematerialisation since 0.11")
@pytest.mark.parametrize("inner", ["jit", "scan", "cond", "remat", "vmap"])
def test_the_new_rematerialisation(inner):
    jax.config.update("jax_remat3", True)
    try:
        check([("remat", inner, "remat"), ("scan", "remat", inner)])
    finally:
        jax.config.update("jax_remat3", False)
