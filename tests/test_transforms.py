"""Every function under every transformation of JAX, and under its strict modes."""

import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import CASES, DEFAULTS

_X = jax.ShapeDtypeStruct((3, 4), jnp.float32)
every = pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.name)


def _x(seed=0):
    return 2 * np.asarray(jax.random.normal(jax.random.key(seed), _X.shape))


def _loss(case):
    """A scalar whose gradient is not the same in each entry."""
    return lambda x: jnp.sum(jnp.sin(case(x)))


@every
def test_jit_and_vmap_change_nothing(case):
    x = _x()
    chex.assert_trees_all_equal(case(x), jax.jit(case.__call__)(x))
    chex.assert_trees_all_close(case(x), jax.vmap(case)(x), rtol=1e-6, atol=1e-7)
    gradient = jax.grad(_loss(case))(x)
    chex.assert_trees_all_close(gradient, jax.vmap(jax.grad(_loss(case)))(x), rtol=1e-5, atol=1e-6)


@every
def test_modes_agree(case):
    """Forward and reverse Jacobians, the four ways to a Hessian, and a Hessian's symmetry."""
    modes = (jax.jacfwd, jax.jacrev)

    @jax.jit
    def derivatives(x):
        return [mode(case)(x) for mode in modes], [outer(inner(_loss(case)))(x) for outer in modes for inner in modes]

    (forward, reverse), hessians = derivatives(_x()[0])
    chex.assert_tree_all_finite(hessians)
    chex.assert_trees_all_close(forward, reverse, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(*hessians, hessians[0].T, rtol=1e-4, atol=1e-5)


@every
def test_scan_and_remat(case):
    """Three applications in a scan, with and without remat, are three calls: values and gradients."""

    def looped(wrap):
        def run(x):
            def step(h, _):
                h = wrap(case)(h)
                return jnp.concatenate([h] * (x.shape[-1] // h.shape[-1]), -1), None  # glu halves

            return jnp.sum(jax.lax.scan(step, x, length=3)[0] ** 2)

        return run

    def unrolled(x):
        h = x
        for _ in range(3):
            h = case(h)
            h = jnp.concatenate([h] * (x.shape[-1] // h.shape[-1]), -1)
        return jnp.sum(h**2)

    expected = jax.value_and_grad(unrolled)(_x())
    for wrap in (lambda f: f.__call__, lambda f: jax.checkpoint(f.__call__)):
        chex.assert_trees_all_close(jax.value_and_grad(looped(wrap))(_x()), expected, rtol=2e-5, atol=1e-6)


@every
def test_strict_modes(case):
    """No hidden promotion, no NaN on the way, no leaked tracer; also in 16 bits and with a weakly typed input."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"), jax.debug_nans(True):
        for dtype in (jnp.float32, jnp.bfloat16):
            total = lambda x: case(x).sum()  # noqa: E731
            results = jax.jit(lambda x, f=total: (case(x), jax.grad(f)(x), jax.hessian(f)(x)))
            chex.assert_tree_all_finite(results(jnp.asarray(_x(), dtype)))
    with jax.checking_leaks():
        chex.assert_tree_all_finite(jax.jit(jax.grad(_loss(case)))(_x()))
    if case.row.kind == "pointwise":
        chex.assert_tree_all_finite(jax.grad(case)(1.0))


@every
def test_float64(case):
    """Under x64 float64 is computed in float64: nearer to itself than float32 can be."""
    with jax.enable_x64(True):
        x = _x().astype(np.float64)
        step = np.zeros_like(x)
        step[0, 0] = 1e-6
        difference = (_loss(case)(x + step) - _loss(case)(x - step)) / 2e-6
        chex.assert_trees_all_close(jax.grad(_loss(case))(x)[0, 0], difference, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.row.kind == "pointwise" and c.numbers], ids=lambda case: case.name
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


@every
def test_one_trace_serves_every_call(case):
    chex.clear_trace_counter()
    function = jax.jit(chex.assert_max_traces(case.__call__, n=1))
    for seed in range(3):
        function(jnp.asarray(_x(seed)))


_SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import PartitionSpec as P
from tests.cases import DEFAULTS
mesh = jax.make_mesh((8,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
x = 2 * jax.random.normal(jax.random.key(0), (8, 4))
for case in DEFAULTS:
    loss = lambda x: jnp.sum(jnp.sin(case(x)))
    value_and_grad = lambda x: (case(x), jax.grad(loss)(x), jax.jvp(case, (x,), (x,))[1])
    sharded = jax.jit(jax.shard_map(value_and_grad, mesh=mesh, in_specs=P("d"), out_specs=P("d")))
    for ours, expected in zip(sharded(x), value_and_grad(x), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6, err_msg=case.name)
    total = jax.shard_map(lambda x: jax.lax.psum(loss(x), "d"), mesh=mesh, in_specs=P("d"), out_specs=P())
    np.testing.assert_allclose(jax.jit(jax.grad(total))(x), jax.grad(loss)(x), rtol=1e-5, atol=1e-6, err_msg=case.name)
    for name in case.numbers if case.row.kind == "pointwise" else ():
        in_parameter = lambda p, x: jnp.sum(case(x, **{name: p}))
        sum_over_devices = lambda p, x: jax.lax.psum(in_parameter(p, x), "d")
        total = jax.shard_map(sum_over_devices, mesh=mesh, in_specs=(P(), P("d")), out_specs=P())
        ours, expected = (jax.jit(jax.grad(f))(jnp.float32(case.numbers[name]), x) for f in (total, in_parameter))
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6, err_msg=f"{case.name}, {name}")
print(len(jax.devices()), len(DEFAULTS))
"""


def test_shard_map_over_eight_devices():
    """Each function, its gradient, its tangent, and the gradients of a parameter that every device shares."""
    set_up = "import jax; jax.config.update('jax_platforms', 'cpu'); jax.config.update('jax_num_cpu_devices', 8)\n"
    code = set_up + _SHARDED
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["8", str(len(DEFAULTS))]
