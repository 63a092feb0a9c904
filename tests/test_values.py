"""Values within the error unit's bounds, over the whole range of every float type."""

import chex
import jax
from absl.testing import parameterized

from tests.cases import POINTWISE
from tests.error_unit import check

_CASES = [(f"_{case.name}", case) for case in POINTWISE]


class TestValues(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(_CASES)
    def test_float32(self, case):
        check(case, self.variant(case.__call__), "float32", 0)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(_CASES)
    def test_bfloat16(self, case):
        check(case, self.variant(case.__call__), "bfloat16", 0)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(_CASES)
    def test_float16(self, case):
        check(case, self.variant(case.__call__), "float16", 0)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(_CASES)
    def test_float64(self, case):
        with jax.enable_x64(True):
            check(case, self.variant(case.__call__), "float64", 0)
