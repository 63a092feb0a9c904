"""First and second derivatives, forward and reverse, within the error unit's bounds in every float type."""

import chex
import jax
import jax.numpy as jnp
from absl.testing import parameterized

from tests.cases import POINTWISE
from tests.error_unit import check

_DTYPES = ("float32", "bfloat16", "float16", "float64")
_CASES = [(f"_{dtype}_{case.name}", case, dtype) for dtype in _DTYPES for case in POINTWISE]
_PARAMETERS = [
    (f"_{dtype}_{case.name}_{name}", case, name, dtype)
    for dtype in _DTYPES
    for case in POINTWISE
    for name in case.numbers
]


def reverse(function):
    """The derivative of an elementwise function, by jax.grad."""
    return jax.grad(lambda x: jnp.sum(function(x)))


def forward(function):
    """The derivative of an elementwise function, by jax.jvp."""
    return lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),))[1]


class TestDerivatives(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(_CASES)
    def test_first(self, case, dtype):
        with jax.enable_x64(dtype == "float64"):
            for derivative in (reverse, forward):
                check(case, self.variant(derivative(case)), dtype, 1)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(_CASES)
    def test_second(self, case, dtype):
        with jax.enable_x64(dtype == "float64"):
            check(case, self.variant(reverse(reverse(case))), dtype, 2)
            check(case, self.variant(forward(reverse(case))), dtype, 2)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(_PARAMETERS)
    def test_in_a_parameter(self, case, name, dtype):
        """One parameter an entry, so that its gradient is not a sum; its own rounding is float32's in 16-bit x."""
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
