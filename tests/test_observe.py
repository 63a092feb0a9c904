"""`observe` changes neither loss nor gradients, and its statistics are those of explicit perturbations."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxact
from jaxact.flow import observe
from jaxact.flow.sums import MOMENTS, moments
from jaxact.flow.sums import shape as sums_of
from tests.compiling import QUICKLY

# Every model is written once. `at` is a site: it returns f(x) and shows x and y; with perturbations p, of zeros, it
# adds one before and one after f, so that the gradients by them are the cotangents of x and of y.


def at(f, x, p):
    x = x if p is None else x + p["dx"]
    y = f(x) if p is None else f(x) + p["dy"]
    return y, (x, y)


def mlp(params, batch, p=None, activations=(jax.nn.relu, jaxact.mish)):
    h, seen = batch, {}
    for i, ((w, b), f) in enumerate(zip(params[:-1], activations, strict=True)):
        h, seen[i] = at(f, h @ w + b, p and p[i])
    return jnp.mean((h @ params[-1][0]) ** 2), seen


def cnn(params, batch, p=None):
    kernels, w = params
    h, seen = batch, {}
    for i, k in enumerate(kernels):
        h = lax.conv_general_dilated(h, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        h, seen[i] = at(jaxact.silu, h, p and p[i])
    h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return jnp.mean((h.mean((1, 2)) @ w) ** 2), seen


def transformer(params, batch, p=None):
    """Attention after a norm, and GELU, scanned over layers, each layer rematerialised."""

    @functools.partial(jax.checkpoint, policy=jax.checkpoint_policies.dots_saveable)
    def layer(h, scanned):
        (qkv, up, down), q = scanned
        query, key, value = jnp.split(jax.nn.standardize(h) @ qkv, 3, axis=-1)
        scores = jnp.einsum("bqd,bkd->bqk", query, key) / 4.0
        weights, soft = at(jax.nn.softmax, scores, q and q[0])
        h = h + jnp.einsum("bqk,bkd->bqd", weights, value)
        g, gelu = at(jax.nn.gelu, h @ up, q and q[1])
        return h + g @ down, {0: soft, 1: gelu}

    h, seen = lax.scan(layer, batch, (params, p))
    return jnp.mean(h**2), seen


def ensemble(params, batch, p=None):
    losses, seen = jax.vmap(mlp, in_axes=(0, None, None if p is None else 0))(params, batch, p)
    return jnp.sum(losses), seen


def normal(key, *shapes):
    """Weights, or a batch; by NumPy, since jax.random compiles for each shape, here when tests are collected."""
    rng = np.random.default_rng(key)
    return [(rng.normal(size=s) / np.sqrt(s[-2] if len(s) > 1 else 1)).astype(np.float32) for s in shapes]


def mlp_parameters(key=0, leading=()):
    w = normal(key, *[(*leading, *s) for s in [(8, 16), (16, 16), (16, 3)]])
    return [(a, np.full((*leading, a.shape[-1]), 0.1, np.float32)) for a in w]


def cases():
    x = normal(1, (32, 8))[0]
    nameless = [jax.nn.gelu, functools.partial(jax.nn.gelu, approximate=False), jax.nn.sigmoid, jnp.tanh]
    deep = [mlp_parameters()[0], *mlp_parameters()[1:2] * 3, mlp_parameters()[2]]
    yield "mlp", functools.partial(mlp, activations=nameless), deep, x
    yield "cnn", cnn, (normal(2, (3, 3, 3, 8), (3, 3, 8, 8)), normal(3, (8, 2))[0]), normal(4, (2, 8, 8, 3))[0]
    layers = tuple(np.stack([m, 2 * m, 3 * m]) for m in normal(5, (16, 48), (16, 32), (32, 16)))
    yield "transformer", transformer, layers, normal(6, (2, 5, 16))[0]
    yield "ensemble", ensemble, mlp_parameters(7, (4,)), x


CASES = [pytest.param(*case[1:], id=case[0]) for case in cases()]


@pytest.mark.parametrize(("model", "params", "batch"), CASES)
def test_changes_nothing_and_sees_what_explicit_perturbations_see(model, params, batch):
    fun = lambda params, batch: model(params, batch)[0]  # noqa: E731
    got, flow = jax.jit(observe(fun))(params, batch)
    chex.assert_trees_all_equal(got, jax.jit(jax.value_and_grad(fun))(params, batch))

    seen = jax.eval_shape(model, params, batch)[1]
    zeros = {i: {"dx": np.zeros(x.shape, x.dtype), "dy": np.zeros(y.shape, y.dtype)} for i, (x, y) in seen.items()}
    perturbed = jax.jit(jax.grad(lambda p: model(params, batch, p), has_aux=True), compiler_options=QUICKLY)
    cotangents, seen = perturbed(zeros)
    assert len(flow.sites) == len(seen)
    for number, (site, statistics) in enumerate(zip(flow.sites, flow.statistics, strict=True)):
        arrays = {"x": seen[number][0], "y": seen[number][1], **cotangents[number]}
        for name, array in arrays.items():
            check_moments(statistics[name], array, len(site.loops), name)


def check_moments(got, array, loops, name):
    """Against float64 on the host, one record an iteration. The sums are float32 sums of a few thousand entries."""
    rows = np.asarray(array, np.float64).reshape(*array.shape[:loops], -1)
    assert got.shape == (*rows.shape[:-1], len(MOMENTS))
    squares = (rows**2).sum(-1)
    scale = 2.0**64 if name.startswith("d") else 1.0
    np.testing.assert_array_equal(got[..., 0], rows.shape[-1])
    np.testing.assert_allclose(got[..., 1], rows.sum(-1), atol=1e-6 * np.sqrt(squares.max() * rows.shape[-1]))
    np.testing.assert_allclose(got[..., 2] / scale, squares, rtol=1e-5)
    np.testing.assert_array_equal(got[..., 3], (rows == 0).sum(-1))
    np.testing.assert_array_equal(got[..., 4], 0)


def test_a_sum_of_an_outputs_squares_may_be_added_up_in_another_order():
    """XLA fuses the sum with the activation, if nothing else reads its terms. No gradient depends on that order."""
    (x,) = normal(0, (64, 8))
    fun = lambda w: jnp.mean(jax.nn.relu(x @ w) ** 2)  # noqa: E731
    w = np.asarray(x[:8])
    (got, gradient), _ = jax.jit(observe(fun))(w)
    want, same = jax.jit(jax.value_and_grad(fun))(w)
    np.testing.assert_array_max_ulp(np.asarray(got), np.asarray(want), maxulp=4)  # 512 terms of one size
    np.testing.assert_array_equal(gradient, same)


def test_keeps_no_array():
    """Temporary memory of the compiled step; benchmarks/observe.py has the time too."""
    params = [(w, jnp.zeros(w.shape[1])) for w in normal(0, *[(256, 256)] * 4, (256, 8))]
    fun = lambda params, batch: mlp(params, batch, None, [jax.nn.relu] * 4)[0]  # noqa: E731
    observed, plain = (
        jax.jit(f).lower(params, jnp.ones((256, 256))).compile().memory_analysis().temp_size_in_bytes
        for f in (observe(fun), jax.value_and_grad(fun))
    )
    assert observed <= 1.05 * plain


@pytest.mark.parametrize("shape", [(2**20,), (2**10, 2**10), (2**17, 8)])
def test_sums_of_many_entries(shape):
    """Added up one after the other in float32, a million equal entries are 1 % off; here 16, 64 or 256 are."""
    x, exact = jnp.full(shape, 0.1), float(np.float32(0.1))
    for sums, tolerance in ((jax.jit(moments)(x), 1e-6), (jax.jit(sums_of)(x)[0], 3e-6)):
        count, total, square, _, _ = np.asarray(sums, np.float64)
        np.testing.assert_allclose([total / count, square / count], [exact, exact**2], rtol=tolerance)
