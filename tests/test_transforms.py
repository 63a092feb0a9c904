"""Functions of every shape under every transformation of JAX; and every one under its strict modes."""

import contextlib
import functools
import gc

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import jaxact
from jaxact.verify.cases import DEFAULTS
from tests import forked
from tests.compiling import QUICKLY
from tests.shapes import RULES, SHAPES

pytestmark = pytest.mark.quickly_compiled

_X = jax.ShapeDtypeStruct((3, 4), jnp.float32)
every = pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.name)
shapes = pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.name)
along_rows = [case for case in SHAPES if case.row.kind == "axis" and case not in RULES]
rules = pytest.mark.parametrize("case", RULES, ids=lambda case: case.name)


def _x(seed=0):
    return 2 * np.random.default_rng(seed).normal(size=_X.shape).astype(np.float32)


def _loss(case):
    """A scalar whose gradient is not the same in each entry."""
    return lambda x: jnp.sum(jnp.square(case(x)))


@pytest.mark.parametrize("case", [*RULES, *along_rows], ids=lambda case: case.name)
def test_jit_and_vmap_change_nothing(case):
    """For each rule, and of rows, which look at axes, for each shape."""
    ways = [lambda f: f, jax.vmap]
    functions = case.__call__, jax.value_and_grad(_loss(case))
    compiled = jax.jit(lambda x: [[transform(f)(x) for transform in ways] for f in functions])
    x = _x()
    (value, values), ((total, gradient), (totals, gradients)) = compiled(x)
    chex.assert_trees_all_close(case(x), value, values, rtol=1e-6, atol=1e-7)
    chex.assert_trees_all_close((total, gradient), (totals.sum(), gradients), rtol=1e-5, atol=1e-6)


@shapes
def test_a_second_call_compiles_nothing(case, caplog):
    x = _x()
    case(x)
    caplog.clear()
    with jax.log_compiles():
        case(x)
    assert not [r.getMessage() for r in caplog.records if "Compiling" in r.getMessage()]


@contextlib.contextmanager
def _strictly():
    """No hidden promotion and no NaN on the way."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"), jax.debug_nans(True):
        yield


@rules
def test_modes_agree(case):
    """The gradient in both modes, and the Hessian along a direction in all four: symmetric, and strictly."""
    loss = _loss(case)

    def along(f, u):
        return lambda x: jax.jvp(f, (x,), (u,))[1]

    def every_way(x, u, v):
        gradient = jax.grad(loss)
        slope, of_slope = jax.value_and_grad(lambda x: gradient(x) @ u)(x)
        slope_forward, of_slope_forward = jax.value_and_grad(along(loss, u))(x)
        return (
            (slope, slope_forward),
            (of_slope, of_slope_forward, along(gradient, u)(x)),
            (of_slope @ v, along(along(loss, u), v)(x)),
        )

    with _strictly():
        first, second, of_both = jax.jit(every_way, compiler_options=QUICKLY)(*_x())
    chex.assert_tree_all_finite(second)
    chex.assert_trees_all_close(*first, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(*second, rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_close(*of_both, rtol=1e-4, atol=1e-5)


@rules
def test_scan_and_remat(case):
    """Two applications in a scan, with and without remat, are two calls: values and gradients."""

    def looped(wrap):
        def run(x):
            def step(h, _):
                h = wrap(case)(h)
                return jnp.concatenate([h] * (x.shape[-1] // h.shape[-1]), -1), None  # glu halves

            return jnp.sum(jax.lax.scan(step, x, length=2)[0] ** 2)

        return run

    def unrolled(x):
        h = x
        for _ in range(2):
            h = case(h)
            h = jnp.concatenate([h] * (x.shape[-1] // h.shape[-1]), -1)
        return jnp.sum(h**2)

    ways = unrolled, looped(lambda f: f.__call__), looped(lambda f: jax.checkpoint(f.__call__))
    every = jax.jit(lambda x: [jax.value_and_grad(f)(x) for f in ways], compiler_options=QUICKLY)
    chex.assert_trees_all_close(*every(_x()), rtol=2e-5, atol=1e-6)


@every
def test_strict_modes_trace(case):
    """Nothing is promoted and JAX's checks pass: in 16 bits; for each shape in 32, and with a weakly typed input."""

    def total(x):
        return case(x).sum()

    with _strictly(), jax.enable_checks(True):
        for dtype in (jnp.bfloat16, jnp.float32) if case in SHAPES else (jnp.bfloat16,):
            jax.eval_shape(jax.hessian(total), jax.ShapeDtypeStruct((4,), dtype))  # which traces value and gradient
        if case.row.kind == "pointwise" and case in SHAPES:
            jax.eval_shape(jax.grad(case.__call__), 1.0)


def _trace_looking_for_leaks():
    x = np.ones((3, 4), np.float32)
    with jax.checking_leaks():
        for case in SHAPES:
            gc.freeze()
            jax.jit(jax.grad(lambda x: jnp.sum(case(x)))).trace(x)  # noqa: B023


def test_no_tracer_leaks(tmp_path):
    """In a process of its own, frozen: the check collects garbage at every trace, among all that came before it."""
    _holds_in_a_process(tmp_path, _trace_looking_for_leaks)


@pytest.mark.parametrize(
    "case", [c for c in SHAPES if c.row.kind == "pointwise" and c.numbers], ids=lambda case: case.name
)
def test_a_new_parameter_compiles_nothing(case, caplog):
    """Eagerly and under jit, values and gradients. (The defaults are a program of their own, of x alone.)"""
    chex.clear_trace_counter()
    x = jnp.asarray(_x())
    traced = jax.jit(chex.assert_max_traces(lambda x, p: jax.grad(lambda x: case(x, **p).sum())(x), n=1))
    first, *others = [{name: value * factor for name, value in case.numbers.items()} for factor in (1.25, 1.5, 2.5)]
    case(x, **first), traced(x, first)
    caplog.clear()
    with jax.log_compiles():
        for changed in others:
            case(x, **changed), traced(x, changed)
    assert not [r.getMessage() for r in caplog.records if "Compiling" in r.getMessage()]


def _hold_on_every_shard():
    mesh = jax.make_mesh((8,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))

    def results(case, x):
        parameters = {n: jnp.float32(v) for n, v in case.numbers.items()} if case.row.kind == "pointwise" else {}

        def loss(p, x):
            return jnp.sum(jnp.sin(case(x, **p)))

        def one(x):
            return case(x), jax.jvp(case, (x,), (x,))[1]

        sharded = jax.shard_map(one, mesh=mesh, in_specs=P("d"), out_specs=P("d"))
        total = lambda p, x: jax.lax.psum(loss(p, x), "d")  # noqa: E731
        sharded_total = jax.shard_map(total, mesh=mesh, in_specs=(P(), P("d")), out_specs=P())
        ours = (sharded(x), jax.grad(sharded_total, (0, 1))(parameters, x))
        return ours, (one(x), jax.grad(loss, (0, 1))(parameters, x))

    x = 2 * np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    for name, pair in jax.jit(lambda x: {case.name: results(case, x) for case in RULES})(x).items():
        chex.assert_trees_all_close(*pair, rtol=1e-5, atol=1e-6, custom_message=name)


def _hold_in_split_rows():
    mesh = jax.make_mesh((8,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    rng, row = np.random.default_rng(0), P(None, "d")
    x, weights = 3 * rng.normal(size=(2, 3, 64)).astype(np.float32)
    x[0, 5], x[1, 7:9] = -np.inf, np.inf
    where = rng.random(x.shape) < 0.7
    where[0, :8], where[1, 7:9] = False, True
    parameters = {
        "sink": np.array([[0.5], [-1], [2]], np.float32),
        "temperature": np.array([[0.5], [1], [3]], np.float32),
    }

    @jax.jit
    def pairs(x, where, weights, parameters):
        found = {}
        for function in (jaxact.softmax, jaxact.log_softmax):
            for mask, given in ((jnp.ones_like(where), {}), (where, parameters)):

                def whole(x, where, weights, given, function=function, **named):
                    y = function(x, where=where, **given, **named)
                    total = jnp.sum(jnp.where(y > -jnp.inf, weights * y, 0))
                    return (jax.lax.psum(total, "d") if named else total), y

                part = functools.partial(whole, axis_name="d")
                split = jax.shard_map(part, mesh=mesh, in_specs=(row, row, row, P()), out_specs=(P(), row))
                found[function.__name__, len(given)] = [
                    jax.value_and_grad(f, (0, 3), has_aux=True)(x, mask, weights, given) for f in (split, whole)
                ]
        return found

    for name, pair in pairs(x, where, weights, parameters).items():
        chex.assert_trees_all_close(*pair, rtol=2e-6, atol=2e-6, custom_message=str(name))


def test_shard_map_over_eight_devices(tmp_path):
    """Each function, its tangent, its gradient, and the gradients of a parameter that every device shares.

    And rows that are split (axis_name): values, and the gradients of x, sink and temperature, are those of a whole row.
    """
    _holds_in_a_process(tmp_path, _hold_on_every_shard, _hold_in_split_rows)


def _call_all(*calls):
    assert len(jax.devices()) == 8
    for call in calls:
        call()


def _holds_in_a_process(directory, *calls):
    """Of eight devices."""
    said = directory / "said"
    [code] = forked.end([forked.start(said, _call_all, *calls, devices=8)], within=300)
    assert code == 0, said.read_text()[-2000:]
