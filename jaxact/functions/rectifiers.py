"""Rectifiers: piecewise linear or quadratic, and the identity or a power for large x."""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core.catalog import activation
from jaxact.core.elementwise import Pieces, elementwise
from jaxact.core.pair import product

__all__ = [
    "identity",
    "linear",
    "relu",
    "relu2",
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

    This is the "linear" activation of an output layer. f'(x) = 1.

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

    This is Keras's relu. f'(x) is 1 for threshold < x < max_value, 0 above and negative_slope below; f'(threshold) =
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
