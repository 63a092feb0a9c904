"""Rectifiers: piecewise linear or quadratic, and the identity or a power for large x."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxact.core.catalog import activation
from jaxact.core.checks import as_array, as_float, check_key, working_dtype
from jaxact.core.pair import product
from jaxact.core.rule import Pieces, elementwise

__all__ = [
    "identity",
    "leaky_relu",
    "linear",
    "prelu",
    "relu",
    "relu2",
    "rrelu",
    "star_relu",
    "thresholded_relu",
]

_identity = elementwise(
    "identity", value=lambda x: x, slope=Pieces(jnp.zeros_like, lambda: (1,), of_output=True), rounds=False
)


@activation(
    module="Identity",
    kind="pointwise",
    aliases=("linear",),
    slope_limits=(1.0, 1.0),
    odd=True,
    keeps=0.0,
    elsewhere={"torch": {"Identity": {}}, "keras": {"linear": {}}, "transformers": {"linear": {}}},
)
def identity(x: ArrayLike) -> Array:
    """Identity: x.

    The "linear" activation of an output layer. f'(x) = 1.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: jax.nn.identity, keras.activations.linear.

    >>> print(jaxact.identity(-2.0))
    -2.0
    """
    return _identity(x)


linear = identity

_relu = elementwise(
    "relu",
    value=lambda x: jnp.maximum(x, 0),
    slope=Pieces(lambda y: y > 0, lambda: (0, 1), of_output=True),
    rounds=False,
)


@activation(
    module="ReLU",
    kind="pointwise",
    range=(0.0, math.inf),
    limits=(0.0, math.inf),
    kinks={0.0: 0.0},
    smoothness=0,
    keeps=0.0,
    elsewhere={"torch": {"relu": {}, "ReLU": {}}, "keras": {"relu": {}}, "transformers": {"relu": {}}},
)
def relu(x: ArrayLike) -> Array:
    """Rectified linear unit: max(x, 0).

    f'(x) = 1 for x > 0, else 0, and f'(0) = 0. f(-inf) = 0, f(inf) = inf. The backward pass keeps only the output.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Nair & Hinton 2010; on f'(0) = 0, Bertoin et al. 2021, arXiv:2106.12915.

    >>> print(jaxact.relu(jnp.array([-1.0, 0.0, 2.0])))
    [0. 0. 2.]
    """
    return _relu(x)


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

    `leaky_relu` for a slope that is learned, of any sign. f'(x) = 1 for x >= 0, else negative_slope, and f'(0) = 1;
    the derivative in negative_slope is min(x, 0). The backward pass keeps x.

    Args:
      x: real array of any shape; bool and int become the default float.
      negative_slope: number, or array that broadcasts against x (one slope a channel); traced and differentiable.

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


_relu2 = elementwise(
    "relu2",
    lambda x: jnp.square(jnp.maximum(x, 0)),
    lambda x: 2 * jnp.maximum(x, 0),
    curvature=lambda x: jnp.where(x > 0, jnp.full_like(x, 2), 0),
)


@activation(
    module="ReLU2",
    kind="pointwise",
    range=(0.0, math.inf),
    limits=(0.0, math.inf),
    slope_limits=(0.0, math.inf),
    smoothness=1,
    lipschitz=math.inf,
    elsewhere={"transformers": {"relu2": {}}},
)
def relu2(x: ArrayLike) -> Array:
    """Squared rectified linear unit: max(x, 0)^2.

    f'(x) = 2 max(x, 0), and f''(0) = 0. f(-inf) = 0, f(inf) = inf.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and x's float type.

    Raises:
      TypeError: x is not a real array.

    Reference: So et al. 2021 (Primer), arXiv:2109.08668.

    >>> print(jaxact.relu2(jnp.array([-1.0, 0.0, 3.0])))
    [0. 0. 9.]
    """
    return _relu2(x)


def _star_relu_value(x: Array, scale: Any = 0.8944271909999159, bias: Any = -0.4472135954999579) -> Array:
    # Near the root of scale x^2 + bias the rounding of x^2 alone would cost 4 units; past 2^60 it does not matter.
    r = jnp.maximum(x, 0)
    high, low = product(jnp.minimum(r, 2.0**60), jnp.minimum(r, 2.0**60))
    return jnp.where(r < 2.0**60, (scale * high + bias) + scale * low, (scale * r) * r + bias)


_star_relu = elementwise(
    "star_relu",
    _star_relu_value,
    lambda x, scale, bias: 2 * scale * jnp.maximum(x, 0),
    parameters={
        "scale": lambda x, scale, bias: jnp.square(jnp.maximum(x, 0)),
        "bias": lambda x, scale, bias: jnp.ones_like(x),
    },
    curvature=lambda x, scale, bias: jnp.where(x > 0, 2 * scale, 0),
)


@activation(
    module="StarReLU",
    kind="pointwise",
    range=(-0.4472135954999579, math.inf),
    limits=(-0.4472135954999579, math.inf),
    slope_limits=(0.0, math.inf),
    smoothness=1,
    lipschitz=math.inf,
    variants=({"scale": 1.0, "bias": 0.5},),
)
def star_relu(x: ArrayLike, scale: ArrayLike = 0.8944271909999159, bias: ArrayLike = -0.4472135954999579) -> Array:
    """StarReLU: scale * max(x, 0)^2 + bias.

    The defaults give mean 0 and variance 1 for standard normal input. f'(x) = 2 scale max(x, 0), and f''(0) = 0.
    f(-inf) = bias, f(inf) = inf for a positive scale.

    Args:
      x: real array of any shape; bool and int become the default float.
      scale: number, or array that broadcasts against x; traced and differentiable.
      bias: number, or array that broadcasts against x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: Yu et al. 2022 (MetaFormer), arXiv:2210.13452.

    >>> print(jaxact.star_relu(jnp.array([-1.0, 2.0]), 1.0, 0.5))
    [0.5 4.5]
    """
    return _star_relu(x, scale, bias)


def _capped(x: Array, max_value: Array, threshold: Array) -> Array:
    """Where max_value is taken."""
    return (x > threshold) & (x >= max_value) & (max_value < math.inf)


_thresholded_relu = elementwise(
    "thresholded_relu",
    lambda x, negative_slope=0.0, max_value=math.inf, threshold=0.0: jnp.where(
        x > threshold,
        jnp.minimum(x, max_value),
        jnp.where(negative_slope == 0, 0 * jnp.clip(x, -1, 1), negative_slope * (x - threshold)),
    ),
    Pieces(
        lambda x, negative_slope, max_value, threshold: (
            (x > threshold).astype(jnp.int8) + _capped(x, max_value, threshold).astype(jnp.int8)
        ),
        lambda negative_slope, max_value, threshold: (negative_slope, 1, 0),
    ),
    parameters={
        "negative_slope": lambda x, negative_slope, max_value, threshold: jnp.where(x > threshold, 0, x - threshold),
        "max_value": lambda x, negative_slope, max_value, threshold: _capped(x, max_value, threshold),
        "threshold": lambda x, negative_slope, max_value, threshold: jnp.where(
            x > threshold, jnp.zeros_like(x), -negative_slope
        ),
    },
)


@activation(
    module="ThresholdedReLU",
    kind="pointwise",
    range=(0.0, math.inf),
    limits=(0.0, math.inf),
    kinks={0.0: 0.0},
    smoothness=0,
    variants=({"negative_slope": 0.1, "max_value": 4.0, "threshold": 0.5}, {"max_value": 6.0}),
    keeps=0.25,
    elsewhere={"keras": {"relu": {}}},
)
def thresholded_relu(
    x: ArrayLike,
    negative_slope: ArrayLike = 0.0,
    max_value: ArrayLike = math.inf,
    threshold: ArrayLike = 0.0,
) -> Array:
    """Rectified linear unit with threshold: min(x, max_value) if x > threshold, else negative_slope * (x - threshold).

    Keras's relu. f'(x) = 1 for threshold < x < max_value, 0 above, negative_slope below; f'(threshold) =
    negative_slope and f'(max_value) = 0. f(-inf) = -inf or 0, f(inf) = max_value.

    Args:
      x: real array of any shape; bool and int become the default float.
      negative_slope: number, or array that broadcasts against x; traced and differentiable, as are the others.
      max_value: number, or array that broadcasts against x; inf for none.
      threshold: number, or array that broadcasts against x.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: keras.activations.relu.

    >>> print(jaxact.thresholded_relu(jnp.array([-1.0, 0.5, 9.0]), max_value=6.0, threshold=1.0))
    [-0.  0.  6.]
    """
    return _thresholded_relu(x, negative_slope, max_value, threshold)


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
      TypeError: x is not a real array, or key not a key.
      ValueError: lower > upper.

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
