"""Values, derivatives in x and in parameters, forward and reverse, within the error unit's bounds in every float type.

And at the ends, in the same programs: the limits at +-inf, no NaN from any number, and NaN from NaN.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from jaxact.core.rule import checkpoints_wholly
from jaxact.verify.cases import POINTWISE
from jaxact.verify.unit import check, inputs, units
from tests.shapes import SHAPES

# In 16 bits the formulas get float32, but for those that only choose: what bfloat16 shows of each row is float16's too,
# and derivatives in parameters are shown for a function of each shape.
WIDE = ("float32", "float64")
FLOAT16 = [case for case in POINTWISE if case in SHAPES or case.row.name in ("identity", "relu", "relu6", "hard_tanh")]


def _cases(*dtypes):
    cases = [(dtype, case) for dtype in dtypes for case in (FLOAT16 if dtype == "float16" else POINTWISE)]
    return [(f"_{dtype}_{case.name}", case, dtype) for dtype, case in cases]


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


def _hold_at_the_ends(x, within, result, what, nan_shows=False):
    """No NaN from a number, and one from NaN."""
    x, y = x[within.stop :], np.asarray(result)[within.stop :]
    assert not np.any(np.isnan(y[:-1])), f"{what} at {x[:-1][np.isnan(y[:-1])]}"
    assert np.isnan(y[-1]) or not nan_shows, f"{what}: {y[-1]} from NaN"


def _chooses_slopes(case):
    """Whether the slope only chooses among constants, as jax.nn's does, and so says nothing of NaN."""
    return not np.any(case.oracle.curvature(np.linspace(-9, 9, 49), **case.settings(np.float32)))


class TestDerivatives(chex.TestCase):
    @chex.variants(with_jit=True)
    @parameterized.named_parameters(_cases("float32", "bfloat16", "float16", "float64"))
    def test_all_orders(self, case, dtype):
        """In x to second order, in each parameter to first, from one program. (Eagerly: tests/test_transforms.py.)"""
        with jax.enable_x64(dtype == "float64"):
            settings = case.settings(dtype)

            def in_one(name, x):
                """One parameter an entry, so that its gradient is not a sum; for 16-bit x it is itself float32."""
                parameter = jnp.full(x.shape, settings[name], jnp.promote_types(x.dtype, jnp.float32))
                function = lambda p: case(x, **{name: p})  # noqa: E731
                reverse = jax.grad(lambda p: jnp.sum(function(p)))(parameter)
                return [reverse.astype(x.dtype), jax.jvp(function, (parameter,), (jnp.ones_like(parameter),))[1]]

            def every(x):
                in_parameters = {name: in_one(name, x) for name in case.numbers if dtype in WIDE or case in SHAPES}
                return [[case(x)], _both(case)(x), _both(_reverse(case))(x)], in_parameters

            x, within = _with_ends(case, dtype)
            orders, in_parameters = jax.tree.map(np.asarray, self.variant(every)(jnp.asarray(x)))
            nan_shows = True, not _chooses_slopes(case), False
            for order, ways in enumerate(orders):
                for way in ways:
                    _hold_at_the_ends(x, within, way, f"derivative {order}", nan_shows[order])
                check(case, lambda x, ways=ways: [way[within] for way in ways], dtype, order)
            for name, both in in_parameters.items():
                ways = both[:1] if checkpoints_wholly() else both  # in forward mode it may be NaN: core/rule.py
                for way in ways:
                    _hold_at_the_ends(x, within, way, f"d/d{name}")
                check(case, lambda x, ways=ways: [way[within] for way in ways], dtype, 1, name)
        if not case.parameters and dtype == "float32":
            (value,), slopes, _ = orders
            ends = within.stop + np.array([0, 7])
            chex.assert_trees_all_equal(value[ends], np.array(case.row.limits, dtype))
            chex.assert_trees_all_equal(*(slope[ends] for slope in slopes), np.array(case.row.slope_limits, dtype))

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


def test_xielu_where_alpha_n_is_far_from_beta():
    """Near 0 their difference cancels, so that beta is what remains."""
    case = next(case for case in POINTWISE if case.name == "xielu")
    x = -np.exp2(np.linspace(-20, 7, 55, dtype=np.float32))
    both = jax.jit(
        lambda x, *given: [
            case(x, alpha_n=given[0], beta=given[1]),
            _reverse(lambda x: case(x, alpha_n=given[0], beta=given[1]))(x),
        ]
    )
    for given in np.float32([(0.8, 1e-6), (1e6, 0.5), (5.0, 0.0)]):
        settings = {"alpha_p": 0.8, "alpha_n": float(given[0]), "beta": float(given[1])}
        exact = [np.array([float(case.oracle.exact(t, order, **settings)) for t in x.tolist()]) for order in range(3)]
        for order, got in enumerate(both(x, *given)):
            assert units(np.asarray(got), exact[order], x * exact[order + 1]).max() <= 16, (given, order)
