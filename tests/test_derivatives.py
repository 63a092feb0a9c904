"""Values, first and second derivatives, forward and reverse, within the error unit's bounds in every float type.

And at the ends, in the same programs: the limits at +-inf, no NaN from any number, and NaN from NaN.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from jaxact.verify.cases import POINTWISE
from jaxact.verify.unit import check, inputs


def _cases(*dtypes):
    return [(f"_{dtype}_{case.name}", case, dtype) for dtype in dtypes for case in POINTWISE]


def _reverse(function):
    """The derivative of an elementwise function, by jax.grad."""
    return jax.grad(lambda x: jnp.sum(function(x)))


def _both(function):
    """The derivative of an elementwise function, in reverse and in forward mode."""
    return lambda x: [_reverse(function)(x), jax.jvp(function, (x,), (jnp.ones_like(x),))[1]]


def _with_ends(case, dtype):
    """The inputs; behind them the largest, subnormal and infinite numbers, joints, NaN. And where the inputs are."""
    info = jnp.finfo(dtype)
    largest = float(info.max)
    sizes = np.array([np.inf, largest, np.sqrt(largest), 1, info.tiny, info.smallest_subnormal, 0], np.float64)
    ends = np.concatenate([-sizes, sizes, np.array(case.oracle.joints), [np.nan]])
    within = inputs(dtype, case.oracle.joints)
    return np.concatenate([within, ends.astype(within.dtype)]), slice(within.size)


def _hold_at_the_ends(x, within, result, what):
    """No NaN from a number, and one from NaN."""
    x, y = x[within.stop :], np.asarray(result)[within.stop :]
    assert not np.any(np.isnan(y[:-1])), f"{what} at {x[:-1][np.isnan(y[:-1])]}"
    assert np.isnan(y[-1]) or not what.startswith("value"), f"{what}: {y[-1]} from NaN"


class TestDerivatives(chex.TestCase):
    @chex.variants(with_jit=True)
    @parameterized.named_parameters(_cases("float32", "bfloat16", "float16", "float64"))
    def test_all_orders(self, case, dtype):
        with jax.enable_x64(dtype == "float64"):
            together = self.variant(lambda x: ([case(x)], _both(case)(x), _both(_reverse(case))(x)))
            x, within = _with_ends(case, dtype)
            results = jax.tree.map(np.asarray, together(jnp.asarray(x)))
            for order, ways in enumerate(results):
                for way in ways:
                    _hold_at_the_ends(x, within, way, ("value", "first derivative", "second derivative")[order])
                check(case, lambda x, ways=ways: [way[within] for way in ways], dtype, order)
        if dtype == "float32":
            # Eagerly it is the same program in pieces: values and first derivatives in one type are enough for that.
            check(case, lambda x: [case(x)], dtype, 0)
            check(case, _both(case), dtype, 1)
        if not case.parameters and dtype == "float32":
            (value,), slopes, _ = results
            ends = within.stop + np.array([0, 7])
            chex.assert_trees_all_equal(value[ends], np.array(case.row.limits, dtype))
            chex.assert_trees_all_equal(*(slope[ends] for slope in slopes), np.array(case.row.slope_limits, dtype))

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
            x, within = _with_ends(case, dtype)
            for name, ways in jax.tree.map(np.asarray, together(jnp.asarray(x))).items():
                for way in ways:
                    _hold_at_the_ends(x, within, way, f"d/d{name}")
                check(case, lambda x, ways=ways: [way[within] for way in ways], dtype, 1, name)

    @parameterized.parameters(("silu", 2, 2.3993573), ("quick_gelu", 1, -0.7511647))
    def test_no_zero_beside_a_root(self, name, order, root):
        """No number around it is the root itself, so no derivative is 0: its terms must not cancel to that."""
        function = next(case for case in POINTWISE if case.name == name)
        for _ in range(order):
            function = _reverse(function)
        steps = np.arange(-(2**14), 2**14, dtype=np.int32)
        x = (np.float32(root).view(np.int32) + steps).view(np.float32)
        slope = np.asarray(jax.jit(function)(x))
        assert slope.min() < 0 < slope.max()  # the root is among them
        assert np.all(slope != 0), x[slope == 0]
