"""Every function and its gradient exports for every platform, with the batch left open, and runs on this one."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from tests.cases import DEFAULTS

_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


@pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.name)
def test_export(case):
    @jax.jit
    def values_and_gradients(*arrays):
        return [(case(x), jax.grad(lambda x: jnp.sum(case(x) ** 2))(x)) for x in arrays]

    shape, dtypes = export.symbolic_shape("batch, 4"), (jnp.float32, jnp.bfloat16)
    exported = export.export(values_and_gradients, platforms=_PLATFORMS)(
        *(jax.ShapeDtypeStruct(shape, dtype) for dtype in dtypes)
    )
    assert exported.platforms == _PLATFORMS
    arrays = [jnp.asarray(np.linspace(-4, 4, 8).reshape(2, 4), dtype) for dtype in dtypes]
    # The exported program has other fusions, and so rounds differently in places.
    chex.assert_trees_all_close_ulp(exported.call(*arrays), values_and_gradients(*arrays), maxulp=8)
