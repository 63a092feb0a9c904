"""Every function on a mesh of eight devices with explicit axes: types carry the sharding, so each step must say it.

Types are known when a function is traced, which is done for all. Values and gradients are those without a mesh: for one
function of each shape, and for functions along an axis with masks, parameters and several layouts.
"""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.usefixtures("quickly_compiled")

_START = """
import functools, sys
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8)
import jaxact
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from jaxact.verify.cases import DEFAULTS
from tests.shapes import SHAPES

mesh = jax.make_mesh((4, 2), ("a", "b"), axis_types=(AxisType.Explicit,) * 2)
x = 2 * np.random.default_rng(0).normal(size=(8, 24)).astype(np.float32)
key = jax.random.key(0)

def with_gradient(f, x):
    y, back = jax.vjp(f, x)
    return y, back(jnp.where(jnp.isfinite(y), jnp.cos(y), 0))[0]

def hold_types(name, f):
    traced = lambda x: jax.eval_shape(functools.partial(with_gradient, f), x)
    expected = traced(jax.ShapeDtypeStruct(x.shape, x.dtype))
    with jax.set_mesh(mesh):
        got = traced(jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=NamedSharding(mesh, P("a", "b"))))
    for a, b in zip(got, expected, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), name
        assert a.shape != x.shape or a.sharding.spec == P("a", "b"), (name, a.sharding)

def hold(name, functions, x=x, layouts=(P("a", "b"),)):
    results = jax.jit(lambda x: [with_gradient(f, x) for f in functions])
    expected = results(x)
    for layout in layouts:
        with jax.set_mesh(mesh):
            got = results(jax.device_put(x, NamedSharding(mesh, layout)))
        assert all(layout == y.sharding.spec for y, _ in got if y.shape == x.shape), (name, layout)
        for i, (a, b) in enumerate(zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True)):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=f"{name}, {layout}, {i}")
"""

_EVERY = """
for case in DEFAULTS:
    hold_types(case.name, case)
for case in SHAPES:
    hold(case.name, [case])
for name in ("rrelu", "gumbel_softmax"):
    hold(name, [lambda x: getattr(jaxact, name)(x, key)])
for f in (jaxact.gelu, jaxact.relu, jaxact.tanh):
    # A bit an entry is packed into bytes: 12 entries a shard are none, 24 are three.
    hold(f"compact({f.__name__})", [jaxact.compact(f)], layouts=(P("a", "b"), P("a", None)))
hold("compact", [jaxact.compact(jaxact.gelu)], x[:, :16])
"""

_ROWS = """
masks = (lambda x: None, lambda x: x > -1, lambda x: np.arange(24) % 3 > 0)
every = [(axis, mask) for axis in (-1, 0, (0, 1)) for mask in masks]
for name in ("softmax", "softmin", "log_softmax", "logsumexp", "softpick", "sparsemax", "entmax15", "entmax"):
    f = getattr(jaxact, name)
    calls = [lambda x, axis=axis, mask=mask: f(x, axis=axis, where=mask(x)) for axis, mask in every]
    for call in calls:
        hold_types(name, call)
    hold(name, calls[::4])  # each mask and each axis once
    hold(name, [f], layouts=(P(None, ("a", "b")),))
for f in (jaxact.softmax, jaxact.log_softmax):
    of_row = lambda v: lambda x: jnp.exp(v * jnp.max(x, -1, keepdims=True))
    hold(f.__name__, [lambda x: f(x, temperature=of_row(0.1)(x), sink=of_row(0.2)(x)), lambda x: f(x, temperature=0.7)])
alpha = lambda x: 1.2 + jnp.square(jnp.mean(x, -1, keepdims=True))
hold("entmax", [lambda x: jaxact.entmax(x, alpha(x)), lambda x: jaxact.entmax(x, 3.0)])
"""


@pytest.mark.parametrize("programs", [_EVERY, _ROWS], ids=["every function", "rows"])
def test_explicit_mesh(programs):
    done = subprocess.run(
        [sys.executable, "-c", _START + programs], capture_output=True, text=True, timeout=600, env=os.environ
    )
    assert done.returncode == 0, done.stderr[-3000:]
