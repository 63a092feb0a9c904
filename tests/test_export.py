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

pytestmark = pytest.mark.usefixtures("quickly_compiled")

RUN = {case.row.kind: case for case in DEFAULTS}.values()
_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


@pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.name)
def test_export(case):
    @jax.jit
    def value_and_gradient(x):
        y, pull = jax.vjp(case, x)
        return y, *pull(2 * y)

    (batch,) = export.symbolic_shape("batch")
    exported = export.export(value_and_gradient, platforms=_PLATFORMS)(jax.ShapeDtypeStruct((batch, 4), jnp.float32))
    assert exported.platforms == _PLATFORMS
    # Nowhere is a compiler allowed to reorder sums or to approximate.
    assert not re.search("fastmath|reassoc|TOLERANCE", exported.mlir_module())
    if case in RUN:
        x = np.linspace(-4, 4, 8, dtype=np.float32).reshape(2, 4)
        # The exported program has other fusions, and so rounds differently in places.
        chex.assert_trees_all_close_ulp(*jax.jit(lambda x: (exported.call(x), value_and_gradient(x)))(x), maxulp=8)
