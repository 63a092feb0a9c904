"""Values within the error unit's bounds, over the whole range of every float type."""

import chex
import jax
from absl.testing import parameterized

from tests.cases import POINTWISE
from tests.error_unit import check


def _cases(*dtypes):
    return [(f"_{dtype}_{case.name}", case, dtype) for dtype in dtypes for case in POINTWISE]


class TestValues(chex.TestCase):
    # Without jit it is the same program in pieces: once a function is enough, and so is jit for the other types.
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(_cases("float32"))
    def test_value(self, case, dtype):
        check(case, self.variant(lambda x: [case(x)]), dtype, 0)

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(_cases("bfloat16", "float16", "float64"))
    def test_other_value(self, case, dtype):
        with jax.enable_x64(dtype == "float64"):
            check(case, self.variant(lambda x: [case(x)]), dtype, 0)
