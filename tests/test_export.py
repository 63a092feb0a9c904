"""Every function and its gradient exports for every platform, with the batch left open.

One of each kind runs on this platform too: JAX's export makes all alike.
"""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jaxact.verify.cases import DEFAULTS

pytestmark = pytest.mark.quickly_compiled

KINDS = sorted({case.row.kind for case in DEFAULTS})
_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def _exported(cases):
    @jax.jit
    def values_and_gradients(x):
        found = {}
        for case in cases:
            y, pull = jax.vjp(case, x)
            found[case.name] = y, *pull(2 * y)
        return found

    (batch,) = export.symbolic_shape("batch")
    shape = jax.ShapeDtypeStruct((batch, 4), jnp.float32)
    return values_and_gradients, export.export(values_and_gradients, platforms=_PLATFORMS)(shape)


@pytest.mark.parametrize("kind", KINDS)
def test_export(kind):
    """All of a kind in one program."""
    _, exported = _exported([case for case in DEFAULTS if case.row.kind == kind])
    assert exported.platforms == _PLATFORMS
    # Nowhere is a compiler allowed to reorder sums or to approximate.
    assert not re.search("fastmath|reassoc|TOLERANCE", exported.mlir_module())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_exported_runs(kind):
    function, exported = _exported([next(case for case in DEFAULTS if case.row.kind == kind)])
    x = np.linspace(-4, 4, 8, dtype=np.float32).reshape(2, 4)
    # The exported program has other fusions, and so rounds differently in places.
    chex.assert_trees_all_close_ulp(*jax.jit(lambda x: (exported.call(x), function(x)))(x), maxulp=8)
