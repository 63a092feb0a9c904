"""Every function and its gradient exports for every platform, with the batch left open, and runs on this one."""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jaxact.verify.cases import DEFAULTS

pytestmark = pytest.mark.usefixtures("quickly_compiled")

_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


@pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.name)
def test_export(case):
    @jax.jit
    def value_and_gradient(x):
        return case(x), jax.grad(lambda x: jnp.sum(case(x) ** 2))(x)

    (batch,) = export.symbolic_shape("batch")
    exported = export.export(value_and_gradient, platforms=_PLATFORMS)(jax.ShapeDtypeStruct((batch, 4), jnp.float32))
    assert exported.platforms == _PLATFORMS
    # Nowhere is a compiler allowed to reorder sums or to approximate.
    assert not re.search("fastmath|reassoc|TOLERANCE", exported.mlir_module())
    x = jnp.asarray(np.linspace(-4, 4, 8).reshape(2, 4), jnp.float32)
    # The exported program has other fusions, and so rounds differently in places.
    chex.assert_trees_all_close_ulp(exported.call(x), value_and_gradient(x), maxulp=8)
