"""First and second derivatives, forward and reverse, within the error unit's bounds in every float type."""

import chex
import jax
import jax.numpy as jnp
from absl.testing import parameterized

from tests.cases import POINTWISE
from tests.error_unit import check


def _cases(*dtypes):
    return [(f"_{dtype}_{case.name}", case, dtype) for dtype in dtypes for case in POINTWISE]


def _parameters(*dtypes):
    return [
        (f"_{dtype}_{case.name}_{name}", case, name, dtype)
        for dtype in dtypes
        for case in POINTWISE
        for name in case.numbers
    ]


def _reverse(function):
    """The derivative of an elementwise function, by jax.grad."""
    return jax.grad(lambda x: jnp.sum(function(x)))


def _forward(function):
    """The derivative of an elementwise function, by jax.jvp."""
    return lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),))[1]


class TestDerivatives(chex.TestCase):
    # float16 and float64 take the same path as bfloat16 and float32: with jit is enough.
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(_cases("float32", "bfloat16"))
    def test_first(self, case, dtype):
        for derivative in (_reverse, _forward):
            check(case, self.variant(derivative(case)), dtype, 1)

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(_cases("float16", "float64"))
    def test_other_first(self, case, dtype):
        with jax.enable_x64(dtype == "float64"):
            for derivative in (_reverse, _forward):
                check(case, self.variant(derivative(case)), dtype, 1)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(_cases("float32", "bfloat16"))
    def test_second(self, case, dtype):
        for derivative in (_reverse, _forward):
            check(case, self.variant(derivative(_reverse(case))), dtype, 2)

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(_cases("float16", "float64"))
    def test_other_second(self, case, dtype):
        with jax.enable_x64(dtype == "float64"):
            for derivative in (_reverse, _forward):
                check(case, self.variant(derivative(_reverse(case))), dtype, 2)

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(_parameters("float32", "bfloat16", "float16", "float64"))
    def test_in_a_parameter(self, case, name, dtype):
        """One parameter an entry, so that its gradient is not a sum; for 16-bit x it is itself float32."""
        with jax.enable_x64(dtype == "float64"):
            value = case.settings(dtype)[name]

            def forward_in(x):
                parameter = jnp.full(x.shape, value, jnp.promote_types(x.dtype, jnp.float32))
                function = lambda p: case(x, **{name: p})  # noqa: E731
                return jax.jvp(function, (parameter,), (jnp.ones_like(parameter),))[1]

            def reverse_in(x):
                parameter = jnp.full(x.shape, value, jnp.promote_types(x.dtype, jnp.float32))
                return jax.grad(lambda p: jnp.sum(case(x, **{name: p})))(parameter).astype(x.dtype)

            check(case, self.variant(forward_in), dtype, 1, name)
            check(case, self.variant(reverse_in), dtype, 1, name)
