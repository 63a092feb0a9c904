"""Every function and its gradient exports for every platform, with the batch left open, and runs on this one."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from tests.cases import CASES

_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_export(case):
    def value_and_grad(x):
        return case(x), jax.grad(lambda x: jnp.sum(case(x) ** 2))(x)

    shape = export.symbolic_shape("batch, 4")
    for dtype in (jnp.float32, jnp.bfloat16):
        exported = export.export(jax.jit(value_and_grad), platforms=_PLATFORMS)(jax.ShapeDtypeStruct(shape, dtype))
        assert exported.platforms == _PLATFORMS
        x = jnp.asarray(np.linspace(-4, 4, 8).reshape(2, 4), dtype)
        # The exported program has other fusions, and so rounds differently in places.
        chex.assert_trees_all_close_ulp(exported.call(x), jax.jit(value_and_grad)(x), maxulp=8)
