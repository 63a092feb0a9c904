"""Every function on a mesh of eight devices with explicit axes: types carry the sharding, so each step must say it.

Types are known when a function is traced, which is done for all. Values and gradients are those without a mesh: for one
function of each rule, and for functions along an axis with masks, parameters and several layouts.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxact
from jaxact.verify.cases import DEFAULTS
from tests import forked
from tests.shapes import RULES

pytestmark = pytest.mark.quickly_compiled

LAYOUT = P("a", "b")
X = 2 * np.random.default_rng(0).normal(size=(8, 24)).astype(np.float32)


def _mesh():
    return jax.make_mesh((4, 2), ("a", "b"), axis_types=(AxisType.Explicit,) * 2)


def _results(functions):
    def with_gradient(f, x):
        y, back = jax.vjp(f, x)
        return y, back(jnp.where(jnp.isfinite(y), jnp.cos(y), 0))[0]

    return jax.jit(lambda x: {name: with_gradient(f, x) for name, f in functions.items()})


def _hold_specs(got, x, layout):
    for path, y in jax.tree.leaves_with_path(got):
        assert y.shape != x.shape or y.sharding.spec == layout, (path, y.sharding)


def _hold_types(functions):
    mesh = _mesh()
    expected = jax.eval_shape(_results(functions), X)
    with jax.set_mesh(mesh):
        sharded = jax.ShapeDtypeStruct(X.shape, X.dtype, sharding=NamedSharding(mesh, LAYOUT))
        got = jax.eval_shape(_results(functions), sharded)
    _hold_specs(got, X, LAYOUT)
    types = [jax.tree.map(lambda y: (y.shape, y.dtype), tree) for tree in (got, expected)]
    assert types[0] == types[1]


def _hold(functions, x=X, layouts=(LAYOUT,)):
    mesh, results = _mesh(), _results(functions)
    expected = results(x)
    for layout in layouts:
        with jax.set_mesh(mesh):
            got = results(jax.device_put(x, NamedSharding(mesh, layout)))
        _hold_specs(got, x, layout)
        chex.assert_trees_all_close(jax.device_get(got), expected, rtol=1e-5, atol=1e-6, custom_message=str(layout))


def _hold_types_of_all():
    _hold_types({case.name: case for case in DEFAULTS})


def _hold_for_each_rule():
    keyed = {f.__name__: lambda x, f=f: f(x, jax.random.key(0)) for f in (jaxact.rrelu, jaxact.gumbel_softmax)}
    _hold({case.name: case for case in RULES} | keyed)


def _hold_compact():
    """A bit an entry is packed into bytes: 12 entries a shard are none, 24 are three."""
    compact = {f.__name__: jaxact.compact(f) for f in (jaxact.gelu, jaxact.relu, jaxact.tanh)}
    _hold(compact, layouts=(LAYOUT, P("a", None)))
    _hold({"gelu": compact["gelu"]}, X[:, :16])


def _hold_along_axes():
    rows = jaxact.softmax, jaxact.softmin, jaxact.log_softmax, jaxact.logsumexp, jaxact.softpick
    rows += jaxact.sparsemax, jaxact.entmax15, jaxact.entmax
    masks = {-1: lambda x: None, 0: lambda x: np.arange(24) % 3 > 0, (0, 1): lambda x: x > -1}
    along = {
        f"{f.__name__}, {axis}": lambda x, f=f, axis=axis, mask=mask: f(x, axis=axis, where=mask(x))
        for f in rows
        for axis, mask in masks.items()
    }
    _hold_types(along)
    _hold({name: along[name] for name in ("softmax, 0", "logsumexp, (0, 1)", "entmax15, -1")})
    _hold({name: getattr(jaxact, name) for name in ("softmax", "logsumexp", "entmax")}, layouts=[P(None, ("a", "b"))])


def _hold_with_parameters():
    def of_row(v, x):
        return jnp.exp(v * jnp.max(x, -1, keepdims=True))

    def alpha(x):
        return 1.2 + jnp.square(jnp.mean(x, -1, keepdims=True))

    _hold_types(
        {
            "entmax, one a row": lambda x: jaxact.entmax(x, alpha(x)),
            "entmax, one": lambda x: jaxact.entmax(x, 3.0),
            "log_softmax, one a row": lambda x: jaxact.log_softmax(x, temperature=of_row(0.1, x), sink=of_row(0.2, x)),
        }
    )
    _hold(
        {
            "softmax, one a row": lambda x: jaxact.softmax(x, temperature=of_row(0.1, x), sink=of_row(0.2, x)),
            "softmax, one": lambda x: jaxact.softmax(x, temperature=0.7),
        }
    )


def _hold_all():
    assert len(jax.devices()) == 8
    for holds in (_hold_types_of_all, _hold_for_each_rule, _hold_compact, _hold_along_axes, _hold_with_parameters):
        holds()


def test_explicit_mesh(tmp_path):
    said = tmp_path / "said"
    [code] = forked.end([forked.start(said, _hold_all, devices=8)], within=600)
    assert code == 0, said.read_text()[-3000:]
