"""Every function on a mesh of eight devices with explicit axes: types carry the sharding, so each step must say it.

Types are known when a function is traced, which is done for all. Values and gradients are those without a mesh: for one
function of each rule, and for functions along an axis with masks, parameters and several layouts.
"""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.usefixtures("quickly_compiled")

_PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8)
import jaxact
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from jaxact.verify.cases import DEFAULTS
from tests.shapes import RULES

mesh = jax.make_mesh((4, 2), ("a", "b"), axis_types=(AxisType.Explicit,) * 2)
x = 2 * np.random.default_rng(0).normal(size=(8, 24)).astype(np.float32)
key = jax.random.key(0)

def results(functions):
    def with_gradient(f, x):
        y, back = jax.vjp(f, x)
        return y, back(jnp.where(jnp.isfinite(y), jnp.cos(y), 0))[0]

    return jax.jit(lambda x: {name: with_gradient(f, x) for name, f in functions.items()})

def hold_specs(got, layout):
    for path, y in jax.tree.leaves_with_path(got):
        assert y.shape != x.shape or y.sharding.spec == layout, (path, y.sharding)

def hold_types(functions):
    expected = jax.eval_shape(results(functions), x)
    with jax.set_mesh(mesh):
        sharded = jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=NamedSharding(mesh, P("a", "b")))
        got = jax.eval_shape(results(functions), sharded)
    hold_specs(got, P("a", "b"))
    types = [jax.tree.map(lambda y: (y.shape, y.dtype), tree) for tree in (got, expected)]
    assert types[0] == types[1]

def hold(functions, x=x, layouts=(P("a", "b"),)):
    expected = results(functions)(x)
    for layout in layouts:
        with jax.set_mesh(mesh):
            got = results(functions)(jax.device_put(x, NamedSharding(mesh, layout)))
        hold_specs(got, layout)
        for (path, a), b in zip(jax.tree.leaves_with_path(got), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=f"{path}, {layout}")

hold_types({case.name: case for case in DEFAULTS})
hold({case.name: case for case in RULES})
hold({name: lambda x, name=name: getattr(jaxact, name)(x, key) for name in ("rrelu", "gumbel_softmax")})

compact = {f.__name__: jaxact.compact(f) for f in (jaxact.gelu, jaxact.relu, jaxact.tanh)}
# A bit an entry is packed into bytes: 12 entries a shard are none, 24 are three.
hold(compact, layouts=(P("a", "b"), P("a", None)))
hold({"gelu": compact["gelu"]}, x[:, :16])

rows = ("softmax", "softmin", "log_softmax", "logsumexp", "softpick", "sparsemax", "entmax15", "entmax")
along = {
    f"{name}, {axis}": lambda x, f=getattr(jaxact, name), axis=axis, mask=mask: f(x, axis=axis, where=mask(x))
    for name in rows
    for axis, mask in ((-1, lambda x: None), (0, lambda x: np.arange(24) % 3 > 0), ((0, 1), lambda x: x > -1))
}
hold_types(along)
hold({name: along[name] for name in ("softmax, 0", "logsumexp, (0, 1)", "entmax15, -1")})
hold({name: getattr(jaxact, name) for name in ("softmax", "logsumexp", "entmax")}, layouts=(P(None, ("a", "b")),))

of_row = lambda v, x: jnp.exp(v * jnp.max(x, -1, keepdims=True))
alpha = lambda x: 1.2 + jnp.square(jnp.mean(x, -1, keepdims=True))
parameters = {
    "entmax, one a row": lambda x: jaxact.entmax(x, alpha(x)),
    "entmax, one": lambda x: jaxact.entmax(x, 3.0),
    "log_softmax, one a row": lambda x: jaxact.log_softmax(x, temperature=of_row(0.1, x), sink=of_row(0.2, x)),
}
hold_types(parameters)
parameters = {
    "softmax, one a row": lambda x: jaxact.softmax(x, temperature=of_row(0.1, x), sink=of_row(0.2, x)),
    "softmax, one": lambda x: jaxact.softmax(x, temperature=0.7),
}
hold(parameters)
"""


def test_explicit_mesh():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=600, env=os.environ)
    assert done.returncode == 0, done.stderr[-3000:]
