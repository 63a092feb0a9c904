"""`observe` inside and around JAX's transformations and control flow, and what it says to bad input."""

import functools
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxact
from jaxact import flow as jf
from jaxact.flow.sums import MOMENTS
from tests import forked

X = np.linspace(-2.0, 3.0, 12, dtype=np.float32).reshape(4, 3)
W = np.array([[0.5, -1.0, 0.2], [0.1, 0.7, -0.3], [1.0, 0.4, -0.6]], np.float32)


@functools.cache
def compiled(fun):
    return jax.jit(jf.observe(fun)), jax.jit(jax.value_and_grad(fun))


def check_unchanged(fun, *args):
    """Loss and gradients are value_and_grad's. Returns the Flow."""
    observed, plain = compiled(fun)
    got, flow = observed(*args)
    chex.assert_trees_all_equal(got, plain(*args))
    return flow


def only(flow, **want):
    """The one record with these entries."""
    (record,) = [r for r in flow.to_records() if all(r[key] == value for key, value in want.items())]
    return record


def branches(w, x, shift):
    z = x @ w
    return jnp.sum(lax.cond(jnp.sum(z) + shift > 0, jax.nn.silu, lambda z: jnp.tanh(jax.nn.relu(z)), z))


@pytest.mark.parametrize("shift", [-100.0, 100.0])
def test_cond_shows_the_branch_that_ran(shift):
    flow = check_unchanged(branches, W, X, shift)
    ran, other = ("silu", "relu") if shift > 0 else ("relu", "silu")
    assert only(flow, name=ran)["x_count"] == X.size == only(flow, name=ran)["dx_count"]
    assert only(flow, name=other)["x_count"] == 0 == only(flow, name=other)["dx_count"]


def test_while_shows_the_forward_pass_summed_over_iterations():
    def loss(w, x):
        total = lax.while_loop(lambda s: s[0] < 5, lambda s: (s[0] + 1, jax.nn.silu(s[1])), (0, lax.stop_gradient(x)))[
            1
        ]
        return jnp.sum(jax.nn.relu(x @ w) * total)

    flow = check_unchanged(loss, W, X)
    assert only(flow, name="silu")["x_count"] == 5 * X.size
    assert not next(site for site in flow.sites if site.name == "silu").tapped
    assert only(flow, name="relu")["dx_count"] == X.size


def test_static_loop_has_one_record_an_iteration():
    flow = check_unchanged(lambda w, x: jnp.sum(lax.fori_loop(0, 4, lambda i, h: jaxact.gelu(h @ w), x)), W, X)
    assert [r["iteration"] for r in flow.to_records()] == [(0,), (1,), (2,), (3,)]
    assert [r["depth"] for r in flow.to_records()] == [0, 1, 2, 3]


def test_nested_scans_are_in_order_of_execution():
    def inner(h, w):
        h = jnp.tanh(h @ w)
        return h, None

    def outer(h, ws):
        h, _ = lax.scan(inner, jax.nn.relu(h), ws)
        return h, None

    flow = check_unchanged(lambda w, x: jnp.sum(lax.scan(outer, x, w)[0]), np.stack([np.stack([W] * 3)] * 2), X)
    records = flow.to_records()
    assert [r["name"] for r in records] == ["relu", "tanh", "tanh", "tanh"] * 2
    assert [r["iteration"] for r in records] == [(0,), (0, 0), (0, 1), (0, 2), (1,), (1, 0), (1, 1), (1, 2)]


def custom_rules():
    @jax.custom_vjp
    def clipped(z):
        return jax.nn.silu(z)

    clipped.defvjp(lambda z: (jax.nn.silu(z), z), lambda z, t: (jnp.clip(t * z, -0.1, 0.1),))

    @jax.custom_jvp
    def halved(z):
        return jax.nn.silu(z)

    halved.defjvp(lambda z, t: (halved(*z), 0.5 * t[0]))
    return clipped, halved


@pytest.mark.parametrize("rule", custom_rules(), ids=["custom_vjp", "custom_jvp"])
def test_a_custom_rule_is_left_alone_and_said_to_be_unseen(rule):
    flow = check_unchanged(lambda w, x: jnp.sum(rule(x @ w)), W, X)
    assert flow.sites == ()
    (unseen,) = flow.unseen
    assert "its own derivative rule" in unseen.what
    assert unseen.file == __file__


def test_nested_jit_keeps_its_name():
    @jax.jit
    def block(w, x):
        return jax.nn.relu(x @ w)

    jaxpr = str(jax.make_jaxpr(jf.observe(lambda w, x: jnp.sum(block(w, block(w, x)))))(W, X))
    assert "name=block" in jaxpr
    assert len(check_unchanged(lambda w, x: jnp.sum(block(w, block(w, x))), W, X).sites) == 2


def test_two_calls_of_gelu_in_a_row_are_two_sites():
    flow = check_unchanged(lambda w, x: jnp.sum(jax.nn.gelu(jax.nn.gelu(jax.nn.gelu(x @ w)))), W, X)
    assert [site.name for site in flow.sites] == ["gelu"] * 3
    first, second, _ = flow.to_records()
    assert first["y_mean"] == second["x_mean"]


def test_no_tap_where_no_gradient_comes():
    """On data, and behind a stop_gradient; a tap there would make a backward pass of its own."""
    flow = check_unchanged(lambda w, x: jnp.sum(jax.nn.silu(x) @ w * jax.nn.relu(lax.stop_gradient(x @ w))), W, X)
    assert not any(site.tapped for site in flow.sites)
    assert all(r["x_count"] == X.size and r["dx_count"] == 0 for r in flow.to_records())


def test_sites_have_scope_file_line_and_function():
    def layer(x):
        with jax.named_scope("block"), jax.named_scope("mlp"):
            return jax.nn.gelu(x)

    flow = check_unchanged(lambda w, x: jnp.sum(jax.checkpoint(layer)(x @ w)), W, X)
    (site,) = flow.sites
    assert (site.path, site.function, site.file) == ("block/mlp", "layer", __file__)
    assert "jax.nn.gelu(x)" in Path(site.file).read_text().splitlines()[site.line - 1]


def test_tap_is_an_identity_and_a_site():
    fun = lambda w, x: jnp.sum(jf.tap(x @ w, "logits") ** 2)  # noqa: E731
    flow = check_unchanged(fun, W, X)
    record = only(flow, name="logits")
    np.testing.assert_allclose(record["dx_rms"], 2 * np.sqrt(np.mean((X @ W) ** 2)), rtol=1e-6)
    assert record["gain"] == 1.0
    outside = jax.jit(lambda x: jax.jvp(jax.vmap(lambda x: jf.tap(x, "a")), (x,), (x,)))(X)
    chex.assert_trees_all_equal(outside, (X, X))


def test_select_chooses_sites():
    fun = lambda w, x: jnp.sum(jnp.tanh(jax.nn.relu(x @ w) @ w))  # noqa: E731
    (_, flow) = jax.eval_shape(jf.observe(fun, select=lambda site: site.name == "tanh"), W, X)
    assert [site.name for site in flow.sites] == ["tanh"]


def test_flows_add_up_to_the_flow_of_the_whole_batch():
    observed = jax.jit(jf.observe(lambda w, x: jnp.sum(jaxact.silu(x @ w))))
    halves = sum(observed(W, half)[1] for half in (X[:2], X[2:4]))
    whole = observed(W, X)[1]
    chex.assert_trees_all_close(halves.statistics, whole.statistics, rtol=1e-5)
    with pytest.raises(ValueError, match="expected two Flows of the same function"):
        _ = whole + jax.eval_shape(jf.observe(lambda w: jnp.sum(jnp.tanh(w))), W)[1]


def test_vmap_around_keeps_flows_apart():
    loss = lambda w, x: jnp.sum(jnp.tanh(x @ w))  # noqa: E731
    ws = np.stack([W, 2 * W])
    observed = jax.jit(jf.observe(loss))
    _, flow = jax.jit(jax.vmap(observed, in_axes=(0, None)))(ws, X)
    for i, w in enumerate(ws):
        alone = observed(w, X)[1].to_records()[0]
        np.testing.assert_allclose(only(flow, step=(i,))["dx_rms"], alone["dx_rms"], rtol=1e-5)


def test_scan_over_training_steps_stacks_flows():
    observed = jf.observe(lambda w, x: jnp.mean(jnp.tanh(x @ w) ** 2))

    def step(w, _):
        (loss, grads), flow = observed(w, X)
        return w - 0.1 * grads, (loss, flow)

    _, (losses, flow) = jax.jit(lambda w: lax.scan(step, w, length=3))(W)
    assert losses[2] < losses[0]
    assert [r["step"] for r in flow.to_records()] == [(0,), (1,), (2,)]


def test_forward_mode_over_observe_is_hessian_times_vector():
    """Forward over reverse: the taps' rules are gone before the outer derivative is taken."""
    fun = lambda w, x: jnp.sum(jax.nn.gelu(x @ w) ** 2)  # noqa: E731
    functions = (lambda w: jf.observe(fun)(w, X)[0], lambda w: jax.value_and_grad(fun)(w, X))
    got, want = jax.jit(lambda w: [jax.jvp(f, (w,), (jnp.ones_like(w),)) for f in functions])(W)
    chex.assert_trees_all_close(got, want, rtol=1e-5)


def test_gradient_of_a_gradient_inside():
    """A penalty on the input gradient: equations that are already differentiated are left alone."""

    def loss(w, x):
        return jnp.sum(jax.grad(lambda x: jnp.sum(jaxact.silu(jax.nn.gelu(x @ w))))(x) ** 2)

    check_unchanged(loss, W, X)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_narrow_types_are_added_up_in_float32(dtype):
    w, x = W.astype(dtype), X.astype(dtype)
    flow = check_unchanged(lambda w, x: jnp.sum(jaxact.silu(x @ w).astype(jnp.float32)), w, x)
    assert flow.statistics[0]["x"].dtype == jnp.float32
    want = x.astype(np.float64) @ w.astype(np.float64)
    np.testing.assert_allclose(flow.to_records()[0]["x_mean"], want.mean(), rtol=1e-2)


def test_argnums_aux_and_keywords():
    def fun(scale, w, *, x, name):
        y = jax.nn.relu(scale * x @ w)
        return jnp.sum(y), {"y": y}

    def both(*args, x):
        return [
            f(fun, argnums=(1, 0), has_aux=True)(*args, x=x, name="unused") for f in (jf.observe, jax.value_and_grad)
        ]

    (got, flow), want = jax.jit(both)(2.0, W, x=X)
    chex.assert_trees_all_close(got, want, rtol=1e-6)
    assert len(flow.sites) == 1


def test_non_finite_entries_are_counted_and_left_out_of_the_sums():
    x = np.array([1.0, np.inf, 3.0, np.nan], np.float32)
    _, flow = jax.jit(jf.observe(lambda w: jnp.sum(jf.tap(w * x, "a"))))(1.0)
    record = flow.to_records()[0]
    assert (record["x_nonfinite"], record["x_mean"], record["dx_nonfinite"]) == (2, 2.0, 0)


def test_vanished_cotangents_have_a_norm():
    """(1e-25)^2 is 0 in float32; the sums are scaled so that what vanished can still be measured."""
    _, flow = jax.jit(jf.observe(lambda w: 1e-25 * jnp.sum(jnp.tanh(w))))(np.zeros(7, np.float32))
    np.testing.assert_allclose(flow.to_records()[0]["dx_rms"], 1e-25, rtol=1e-5)


def test_slopes_and_dead_units():
    x = np.array([[-1.0, 2.0, 0.0], [-3.0, -1.0, -2.0]], np.float32)
    _, flow = jax.jit(jf.observe(lambda b: jnp.sum(jax.nn.relu(x + b))))(np.zeros(3, np.float32))
    record = flow.to_records()[0]
    assert (record["dead"], record["units"]) == (2, 3)
    np.testing.assert_allclose([record[k] for k in ("flat", "below", "above")], [5 / 6, 4 / 6, 1 / 6])


@pytest.mark.parametrize(("name", "minimum"), [("silu", -1.27846), ("gelu", -0.75246), ("mish", -1.19243)])
def test_left_of_the_minimum(name, minimum):
    from jaxact.flow.ranges import turning_points

    np.testing.assert_allclose(turning_points(name), (minimum, minimum), atol=2e-3)
    assert turning_points("hard_tanh") == (-1.0, 1.0)
    assert turning_points("tanh") == (0.0, 0.0)


@pytest.mark.parametrize(
    ("fun", "args", "options", "message"),
    [
        (lambda w: jnp.tanh(w), (W,), {}, r"a function that returns a real scalar, got float32\[3, 3\]"),
        (lambda w: (jnp.sum(w), w), (W,), {}, "got tuple; pass has_aux=True"),
        (lambda w: jnp.sum(w), (W,), {"has_aux": True}, r"returns \(value, aux\)"),
        (lambda w: jnp.sum(w).astype(int), (W,), {}, "a real scalar, got int32"),
        (
            lambda n, w: jnp.sum(n * w),
            (np.arange(3, dtype=np.int32), W),
            {},
            "argnums=0 to name arrays of floats, got int32",
        ),
        (lambda m: 0.0, ({"f": jax.nn.relu},), {}, "arrays of floats, got custom_jvp"),
    ],
)
def test_bad_input_is_a_type_error(fun, args, options, message):
    with pytest.raises(TypeError, match=f"jaxact.flow.observe: expected .*{message}"):
        jf.observe(fun, **options)(*args)


def test_further_bad_input():
    with pytest.raises(ValueError, match="got 1 of them"):
        jf.observe(lambda w: jnp.sum(w), argnums=1)(W)
    with pytest.raises(TypeError, match=r"jaxact.flow.tap: expected an array of floats, got int32"):
        jf.tap(jnp.arange(3), "a")
    with pytest.raises(ValueError, match="expected a name"):
        jf.tap(W, "")
    with pytest.raises(TypeError, match="return the Flow from the jitted function"):
        jax.jit(lambda w: jf.observe(lambda w: jnp.sum(jnp.tanh(w)))(w)[1].to_records())(W)


def test_a_model_without_activations_still_gets_loss_and_gradients():
    flow = check_unchanged(lambda w, x: jnp.sum((x @ w) ** 2), W, X)
    assert flow.sites == ()
    assert flow.to_records() == []
    assert flow.findings() == []
    assert "no activation" in str(flow)


def sharded():
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    rng = np.random.default_rng(0)
    ws, x = (rng.normal(size=s).astype(np.float32) for s in ((3, 16, 16), (8, 16)))

    # Rows of x over "data", columns of w over "model"; tanh on what is whole along "model", gelu on what is split.
    def local(ws, x):
        def layer(h, w):
            part = jaxact.gelu(h @ w)
            return lax.psum(part @ w.T, "model") / 4, None

        h, _ = lax.scan(jax.checkpoint(layer), x, ws)
        return jnp.sum(lax.psum(jnp.tanh(h) ** 2, "data"))

    split = jax.shard_map(local, mesh=mesh, in_specs=(P(None, None, "model"), P("data")), out_specs=P())

    def plain(ws, x):
        h, _ = lax.scan(lambda h, w: (jaxact.gelu(h @ w) @ w.T / 4, None), x, ws)
        return jnp.sum(jnp.tanh(h) ** 2)

    def shown(flow):  # without counts of magnitudes
        return [{k: np.asarray(v)[..., : len(MOMENTS)] for k, v in s.items() if k != "fired"} for s in flow.statistics]

    flow = check_unchanged(split, ws, x)
    observed = jax.jit(jf.observe(plain, magnitudes=True))
    _, want = observed(ws, x)
    chex.assert_trees_all_close(shown(flow), shown(want), rtol=1e-4, atol=1e-4)
    gelu, tanh = (site.varying for site in flow.sites)
    assert gelu == (("data", "model"),) * 2
    assert tanh == (("data",),) * 2

    # On an explicit mesh, whose axes are in the types of arrays.
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        _, flow = observed(ws, jax.device_put(x, NamedSharding(mesh, P("data"))))
    # A gradient is a sum over devices, whose rounding may move an entry to the next bin.
    forward = lambda flow: [{k: s[k] for k in ("x", "y")} for s in flow.statistics]  # noqa: E731
    chex.assert_trees_all_close(forward(flow), forward(want), rtol=1e-4, atol=1e-4)


def test_shard_map_over_eight_devices_sees_what_one_device_sees(tmp_path):
    [code] = forked.end([forked.start(tmp_path / "said", sharded, devices=8)], within=120)
    assert code == 0, (tmp_path / "said").read_text()
