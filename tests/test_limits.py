"""At the ends: the limits at +-inf, no NaN from any number, and NaN from NaN."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import POINTWISE


def _all_of(case):
    """Value, first derivatives in reverse and forward mode, second derivatives; and the parameters' slopes, by name."""
    first = jax.grad(case)
    forward = lambda x: jax.jvp(case, (x,), (jnp.ones_like(x),))[1]  # noqa: E731

    def of_one(x, parameters):
        derivatives = case(x), first(x), forward(x), jax.grad(first)(x), jax.grad(forward)(x)
        return derivatives, jax.grad(lambda p: case(x, **p))(parameters)

    return jax.jit(jax.vmap(of_one, (0, None)))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("case", POINTWISE, ids=lambda case: case.name)
def test_at_the_ends(case, dtype):
    """The largest, the subnormal and the infinite numbers, NaN, and where its pieces meet.

    (16 bits: error_unit.check has every bit pattern.)
    """
    with jax.enable_x64(dtype == jnp.float64):
        info = jnp.finfo(dtype)
        sizes = np.array([np.inf, float(info.max), np.sqrt(float(info.max)), 1, info.tiny, info.smallest_subnormal, 0])
        x = jnp.asarray(np.concatenate([-sizes, sizes, np.array(case.oracle.joints), [np.nan]]), dtype)
        parameters = {name: jnp.asarray(value, dtype) for name, value in case.numbers.items()}
        derivatives, slopes = _all_of(case)(x, parameters)
        for order, y in zip((0, 1, 1, 2, 2), derivatives, strict=True):
            assert not np.any(np.isnan(y[:-1])), f"derivative {order} at {x[:-1][np.isnan(y[:-1])]}"
        for name, y in slopes.items():
            assert not np.any(np.isnan(y[:-1])), f"d/d{name} at {x[:-1][np.isnan(y[:-1])]}"
        value, reverse, forward, *_ = derivatives
        assert np.isnan(value[-1])
        if not case.parameters and dtype == jnp.float32:
            ends = np.array([0, sizes.size])
            chex.assert_trees_all_equal(value[ends], jnp.array(case.row.limits, dtype))
            chex.assert_trees_all_equal(reverse[ends], forward[ends], jnp.array(case.row.slope_limits, dtype))


@pytest.mark.parametrize("case", POINTWISE, ids=lambda case: case.name)
def test_nan_empty_and_scalar(case):
    """NaN gives NaN in 16 bits too; arrays of no entries and of no axes keep their shape, as does their gradient."""

    nans = [jnp.asarray(jnp.nan, dtype) for dtype in (jnp.bfloat16, jnp.float16)]
    assert all(np.isnan(y) for y in jax.jit(lambda xs: [case(x) for x in xs])(nans))
    assert case(jnp.zeros((3, 0))).shape == (3, 0)
    for shape in ((), (0,), (3, 0)):
        x = jax.ShapeDtypeStruct(shape, jnp.float32)
        chex.assert_shape(jax.eval_shape(lambda x: (case(x), jax.grad(lambda x: case(x).sum())(x)), x), shape)
