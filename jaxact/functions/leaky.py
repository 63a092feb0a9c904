"""Leaky rectifiers: linear on either side of 0, with a slope on the left that is given, learned or drawn."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxact.core.catalog import activation
from jaxact.core.checks import as_array, as_float, check_key, working_dtype
from jaxact.core.elementwise import Pieces, elementwise

__all__ = ["leaky_relu", "prelu", "rrelu"]


def _leaky_value(x: Array, negative_slope: Any = 0.01) -> Array:
    left = jnp.where((negative_slope == 0) & (x < 0), -0.0, negative_slope * x)  # 0 * -inf is NaN
    return jnp.where(x >= 0, jnp.abs(x), left)


# With negative_slope >= 0 the sign bit of y tells the side of x, also where y is -0 or underflows to it: x = -0 gives
# +0, so that it counts to the right side.
_leaky_relu = elementwise(
    "leaky_relu",
    _leaky_value,
    Pieces(lambda y, negative_slope: jnp.signbit(y), lambda negative_slope: (1, negative_slope), of_output=True),
    parameters={"negative_slope": lambda x, negative_slope: jnp.minimum(x, 0)},
)


@activation(
    module="LeakyReLU",
    kind="pointwise",
    slope_limits=(0.01, 1.0),
    kinks={0.0: 1.0},
    smoothness=0,
    variants=({"negative_slope": 0.2}, {"negative_slope": 0.0}, {"negative_slope": -0.5}, {"negative_slope": 3.0}),
    keeps=0.0,
    elsewhere={
        "torch": {"leaky_relu": {}, "LeakyReLU": {}},
        "keras": {"leaky_relu": {"negative_slope": 0.2}},
        "transformers": {"leaky_relu": {}},
    },
)
def leaky_relu(x: ArrayLike, negative_slope: ArrayLike = 1e-2) -> Array:
    """Leaky rectified linear unit: x if x >= 0, else negative_slope * x.

    f'(x) = 1 for x >= 0, else negative_slope, and f'(0) = 1. f(-inf) = -inf for a positive slope, f(inf) = inf. The
    backward pass keeps only the output where the slope is a Python number >= 0, and otherwise x.

    Args:
      x: real array of any shape; bool and int become the default float.
      negative_slope: number, or array that broadcasts against x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: Maas et al. 2013, "Rectifier nonlinearities improve neural network acoustic models".

    >>> print(jaxact.leaky_relu(jnp.array([-1.0, 0.0, 2.0]), 0.1))
    [-0.1  0.   2. ]
    """
    if isinstance(negative_slope, int | float) and negative_slope >= 0:
        return _leaky_relu(x, negative_slope)
    return _leaky_relu_of_any_slope(x, negative_slope)


_leaky_relu_of_any_slope, _prelu = (
    elementwise(
        name,
        _leaky_value,
        lambda x, negative_slope: jnp.where(x >= 0, jnp.ones_like(x), jnp.where(x < 0, negative_slope, x)),
        parameters={"negative_slope": lambda x, negative_slope: jnp.minimum(x, 0)},
    )
    for name in ("leaky_relu", "prelu")
)


@activation(
    module="PReLU",
    kind="pointwise",
    slope_limits=(0.25, 1.0),
    kinks={0.0: 1.0},
    smoothness=0,
    variants=({"negative_slope": 0.25}, {"negative_slope": -0.5}),
    elsewhere={
        "torch": {"prelu": {}, "PReLU": {"negative_slope": 0.25}},
        "transformers": {"prelu": {"negative_slope": 0.25}},
    },
)
def prelu(x: ArrayLike, negative_slope: ArrayLike) -> Array:
    """Parametric rectified linear unit: x if x >= 0, else negative_slope * x.

    This is `leaky_relu` for a learned slope of any sign. f'(x) = 1 for x >= 0, else negative_slope, and f'(0) = 1; the
    derivative in negative_slope is min(x, 0). The backward pass keeps x.

    Args:
      x: real array of any shape; bool and int become the default float.
      negative_slope: number, or array that broadcasts against x (one slope per channel); traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: He et al. 2015, arXiv:1502.01852.

    >>> print(jaxact.prelu(jnp.array([[-1.0, -1.0], [2.0, 2.0]]), jnp.array([0.1, 0.5])))
    [[-0.1 -0.5]
     [ 2.   2. ]]
    """
    return _prelu(x, negative_slope)


@activation(
    module="RReLU",
    kind="random",
    slope_limits=(11 / 48, 1.0),
    kinks={0.0: 1.0},
    smoothness=0,
    elsewhere={"torch": {"rrelu": {}, "RReLU": {}}},
)
def rrelu(x: ArrayLike, key: Array | None, lower: ArrayLike = 1 / 8, upper: ArrayLike = 1 / 3) -> Array:
    """Randomized leaky rectified linear unit: x if x >= 0, else s x with s uniform between lower and upper.

    f'(x) = 1 for x >= 0, else s, and f'(0) = 1. Every entry draws its own s. The backward pass keeps x and s.

    Args:
      x: real array of any shape; bool and int become the default float.
      key: a key from `jax.random.key`; or None at evaluation, where s is the mean of lower and upper.
      lower: number, the least slope; traced and differentiable.
      upper: number, the largest slope; traced and differentiable.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or key is not a key.
      ValueError: lower > upper, or key is more than one.

    Reference: Xu et al. 2015, arXiv:1505.00853.

    >>> print(jaxact.rrelu(jnp.array([-48.0, 1.0]), None))
    [-11.   1.]
    """
    low: Any = as_array("rrelu", lower, "lower")
    high: Any = as_array("rrelu", upper, "upper")
    if not isinstance(low, Tracer) and not isinstance(high, Tracer) and np.any(np.asarray(low) > np.asarray(high)):
        raise ValueError(f"jaxact.rrelu: expected lower <= upper, got {lower} and {upper}; exchange them")
    if key is None:
        return leaky_relu(x, (low + high) / 2)
    x = as_float("rrelu", x)
    check_key("rrelu", key)
    kind = working_dtype(x.dtype)
    drawn = jax.random.uniform(key, x.shape, kind) + jnp.zeros_like(x, kind)  # sharded as x is
    return prelu(x, low + (high - low) * drawn)
