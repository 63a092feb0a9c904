"""Functions of every shape under every transformation of JAX; and every one under its strict modes."""

import contextlib
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxact.verify.cases import DEFAULTS
from tests.shapes import RULES, SHAPES

pytestmark = pytest.mark.usefixtures("quickly_compiled")

_X = jax.ShapeDtypeStruct((3, 4), jnp.float32)
every = pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.name)
shapes = pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.name)
rules = pytest.mark.parametrize("case", RULES, ids=lambda case: case.name)


def _x(seed=0):
    return 2 * np.random.default_rng(seed).normal(size=_X.shape).astype(np.float32)


def _loss(case):
    """A scalar whose gradient is not the same in each entry."""
    return lambda x: jnp.sum(jnp.sin(case(x)))


@shapes
def test_jit_and_vmap_change_nothing(case, caplog):
    """A call without them compiles once."""
    ways = [lambda f: f, jax.vmap]
    functions = case.__call__, jax.value_and_grad(_loss(case))
    compiled = jax.jit(lambda x: [[transform(f)(x) for transform in ways] for f in functions])
    x = _x()
    (value, values), ((total, gradient), (totals, gradients)) = compiled(x)
    chex.assert_trees_all_close(case(x), value, values, rtol=1e-6, atol=1e-7)
    chex.assert_trees_all_close((total, gradient), (totals.sum(), gradients), rtol=1e-5, atol=1e-6)
    caplog.clear()
    with jax.log_compiles():
        case(_x(1))
    assert not [r.getMessage() for r in caplog.records if "Compiling" in r.getMessage()]


@contextlib.contextmanager
def _strictly():
    """No hidden promotion and no NaN on the way."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"), jax.debug_nans(True):
        yield


@rules
def test_modes_agree(case):
    """Forward and reverse gradients, the four ways to a Hessian, and a Hessian's symmetry; strictly."""
    modes = (jax.jacfwd, jax.jacrev)

    def twice(outer, inner):
        """The Hessian, and the gradient on the way to it."""

        def gradients(x):
            gradient = inner(_loss(case))(x)
            return gradient, gradient

        return outer(gradients, has_aux=True)

    with _strictly():
        pairs = jax.jit(lambda x: [twice(outer, inner)(x) for outer in modes for inner in modes])(_x()[0])
    hessians, gradients = zip(*pairs, strict=True)
    chex.assert_tree_all_finite(hessians)
    chex.assert_trees_all_close(*gradients, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(*hessians, hessians[0].T, rtol=1e-4, atol=1e-5)


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
    chex.assert_trees_all_close(
        *jax.jit(lambda x: [jax.value_and_grad(f)(x) for f in ways])(_x()), rtol=2e-5, atol=1e-6
    )


@every
def test_strict_modes_trace(case):
    """In 16 and 32 bits, and with a weakly typed input, nothing is promoted on the way."""

    def total(x):
        return case(x).sum()

    with _strictly():
        for dtype in (jnp.bfloat16, jnp.float32):
            jax.eval_shape(jax.hessian(total), jax.ShapeDtypeStruct((4,), dtype))  # which traces value and gradient
        if case.row.kind == "pointwise":
            jax.eval_shape(jax.grad(case.__call__), 1.0)


_LEAKS = """
import gc, jax, jax.numpy as jnp
from tests.shapes import SHAPES
x = jax.random.normal(jax.random.key(0), (3, 4))
with jax.checking_leaks():
    for case in SHAPES:
        gc.freeze()
        jax.jit(jax.grad(lambda x: jnp.sum(case(x)))).trace(x)
print(len(SHAPES))
"""


def test_no_tracer_leaks():
    """In a process of its own, frozen: the check collects garbage at every trace, among all that came before it."""
    assert _run(_LEAKS) == [str(len(SHAPES))]


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


_EIGHT_DEVICES = "import jax; jax.config.update('jax_platforms', 'cpu'); jax.config.update('jax_num_cpu_devices', 8)\n"
_SHARDED = """
import jax, jax.numpy as jnp, numpy as np, jaxact
from jax.sharding import PartitionSpec as P
from tests.shapes import RULES
mesh = jax.make_mesh((8,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
x = 2 * jax.random.normal(jax.random.key(0), (8, 4))
def results(case, x):
    parameters = {n: jnp.float32(v) for n, v in case.numbers.items()} if case.row.kind == "pointwise" else {}
    loss = lambda p, x: jnp.sum(jnp.sin(case(x, **p)))
    one = lambda x: (case(x), jax.jvp(case, (x,), (x,))[1])
    total = lambda p, x: jax.lax.psum(loss(p, x), "d")
    sharded = jax.shard_map(one, mesh=mesh, in_specs=P("d"), out_specs=P("d"))
    sharded_total = jax.shard_map(total, mesh=mesh, in_specs=(P(), P("d")), out_specs=P())
    ours = (sharded(x), jax.grad(sharded_total, (0, 1))(parameters, x))
    return ours, (one(x), jax.grad(loss, (0, 1))(parameters, x))
ours, expected = jax.jit(lambda x: list(zip(*(results(case, x) for case in RULES))))(x)
for case, mine, wanted in zip(RULES, ours, expected, strict=True):
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=case.name)
"""


_SPLIT_ROW = """
x, weights = 3 * jax.random.normal(jax.random.key(0), (2, 3, 64))
x = x.at[0, 5].set(-jnp.inf).at[1, 7:9].set(jnp.inf)
where = jax.random.bernoulli(jax.random.key(1), 0.7, x.shape).at[0, :8].set(False).at[1, 7:9].set(True)
sink, temperature = jnp.array([[0.5], [-1.0], [2.0]]), jnp.array([[0.5], [1.0], [3.0]])
parameters = {"sink": jnp.array([[0.5], [-1.0], [2.0]]), "temperature": jnp.array([[0.5], [1.0], [3.0]])}
for function in (jaxact.softmax, jaxact.log_softmax):
    for mask, given in ((jnp.ones_like(where), {}), (where, parameters)):
        def results(x, where, weights, given, **named):
            y = function(x, where=where, **given, **named)
            total = jnp.sum(jnp.where(y > -jnp.inf, weights * y, 0))
            return (jax.lax.psum(total, "d") if named else total), y

        def part(*arguments):
            return results(*arguments, axis_name="d")

        row = P(None, "d")
        split = jax.shard_map(part, mesh=mesh, in_specs=(row, row, row, P()), out_specs=(P(), row))
        ours, expected = (
            jax.jit(jax.value_and_grad(f, (0, 3), has_aux=True))(x, mask, weights, given) for f in (split, results)
        )
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-6, err_msg=function.__name__)
print(len(jax.devices()))
"""


def test_shard_map_over_eight_devices():
    """Each function, its tangent, its gradient, and the gradients of a parameter that every device shares.

    And rows that are split (axis_name): values, and the gradients of x, sink and temperature, are those of a whole row.
    """
    assert _run(_EIGHT_DEVICES + _SHARDED + _SPLIT_ROW) == ["8"]


def _run(code):
    """What a program prints, in words."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()
