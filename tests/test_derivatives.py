"""Values, first and second derivatives, forward and reverse, within the error unit's bounds in every float type."""

import chex
import jax
import jax.numpy as jnp
from absl.testing import parameterized

from tests.cases import POINTWISE
from tests.error_unit import check, inputs


def _cases(*dtypes):
    return [(f"_{dtype}_{case.name}", case, dtype) for dtype in dtypes for case in POINTWISE]


def _reverse(function):
    """The derivative of an elementwise function, by jax.grad."""
    return jax.grad(lambda x: jnp.sum(function(x)))


def _both(function):
    """The derivative of an elementwise function, in reverse and in forward mode."""
    return lambda x: [_reverse(function)(x), jax.jvp(function, (x,), (jnp.ones_like(x),))[1]]


class TestDerivatives(chex.TestCase):
    # Without jit it is the same program in pieces: values and first derivatives in one type are enough for that.
    @chex.variants(without_jit=True)
    @parameterized.named_parameters(_cases("float32"))
    def test_value_and_first(self, case, dtype):
        check(case, self.variant(lambda x: [case(x)]), dtype, 0)
        check(case, self.variant(_both(case)), dtype, 1)

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(_cases("float32", "bfloat16", "float16", "float64"))
    def test_all_orders(self, case, dtype):
        with jax.enable_x64(dtype == "float64"):
            together = self.variant(lambda x: ([case(x)], _both(case)(x), _both(_reverse(case))(x)))
            results = together(jnp.asarray(inputs(dtype, case.oracle.joints)))
            for order, ways in enumerate(results):
                check(case, lambda x, ways=ways: ways, dtype, order)

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(
        [each for each in _cases("float32", "bfloat16", "float16", "float64") if each[1].numbers]
    )
    def test_in_the_parameters(self, case, dtype):
        """One parameter an entry, so that its gradient is not a sum; for 16-bit x it is itself float32."""
        with jax.enable_x64(dtype == "float64"):
            settings = case.settings(dtype)

            def in_one(name, x):
                parameter = jnp.full(x.shape, settings[name], jnp.promote_types(x.dtype, jnp.float32))
                function = lambda p: case(x, **{name: p})  # noqa: E731
                reverse = jax.grad(lambda p: jnp.sum(function(p)))(parameter)
                return [reverse.astype(x.dtype), jax.jvp(function, (parameter,), (jnp.ones_like(parameter),))[1]]

            together = self.variant(lambda x: {name: in_one(name, x) for name in case.numbers})
            for name, ways in together(jnp.asarray(inputs(dtype, case.oracle.joints))).items():
                check(case, lambda x, ways=ways: ways, dtype, 1, name)
