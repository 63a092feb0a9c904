"""Softplus and other smooth forms of max(x, 0)."""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.checks import check_parameter
from jaxact.core.derivative import with_slopes
from jaxact.core.elementwise import elementwise

__all__ = ["softplus", "sparse_plus", "sqrt_softplus", "squareplus"]

_softplus = elementwise("softplus", numerics.softplus, numerics.sigmoid, curvature=numerics.sigmoid_slope)


def _clipped(x: Array, beta: Array) -> Array:
    """The product beta x, whose slope is 0 beyond 1000, where it does not matter."""
    return jnp.clip(beta * numerics.finite(x), -1000, 1000)


@with_slopes(
    lambda x, beta: numerics.sigmoid(_clipped(x, beta)),
    lambda x, beta: numerics.softplus_less_slope(_clipped(x, beta)) / (beta * beta),
)
def _scaled_textbook(x: Array, beta: Array) -> Array:
    return numerics.softplus(_clipped(x, beta)) / beta


def _scaled_value(x: Array, beta: Array) -> Array:
    _, e = numerics.scaled_decay(x, beta)
    return jnp.maximum(x, 0) + numerics.log1p(e) / beta


def _scaled_slope(x: Array, beta: Array) -> Array:
    _, e = numerics.scaled_decay(x, beta)
    return jnp.where(x > 0, 1, e) / (1 + e)


def _scaled_curvature(x: Array, beta: Array) -> Array:
    _, e = numerics.scaled_decay(x, beta)
    return beta * (e / jnp.square(1 + e))


def _scaled_beta_slope(x: Array, beta: Array) -> Array:
    # e / beta^2 may be a normal number where e is not, so it is the square of exp(-|beta x| / 2) / beta.
    size, low = numerics.scaled(x, beta)
    root = numerics.exp(size / -2, low / -2)
    e = jnp.maximum(jnp.square(root), 1e-30)
    return -jnp.square(root / beta) * (size / (1 + e) + numerics.log1p(e) / e)


_scaled_softplus = elementwise(
    "softplus",
    _scaled_value,
    _scaled_slope,
    parameters={"beta": _scaled_beta_slope},
    curvature=_scaled_curvature,
    textbook=_scaled_textbook,
)


@activation(
    module="Softplus",
    kind="pointwise",
    range=(0.0, math.inf),
    limits=(0.0, math.inf),
    variants=({"beta": 3.0}, {"beta": 0.25}),
    elsewhere={"torch": {"softplus": {}, "Softplus": {}}, "keras": {"softplus": {}}},
)
def softplus(x: ArrayLike, *, beta: ArrayLike = 1.0) -> Array:
    """Softplus: log(1 + exp(beta x)) / beta.

    f'(x) = sigmoid(beta x). f(-inf) = 0, f(inf) = inf. PyTorch's threshold is not needed, since nothing overflows.

    Args:
      x: real array of any shape; bool and int become the default float.
      beta: positive number, or array that broadcasts against x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: beta is not positive, or the shapes do not broadcast.

    Reference: Dugas et al. 2000, "Incorporating second-order functional knowledge for better option pricing".

    >>> print(jaxact.softplus(jnp.array([-jnp.inf, 0.0, 100.0])))
    [  0.          0.6931472 100.       ]
    """
    if isinstance(beta, int | float) and beta == 1:
        return _softplus(x)
    check_parameter("softplus", "> 0", beta=beta)
    return _scaled_softplus(x, beta)


# (x + h) / 2, h = sqrt(x^2 + b), cancels for x << 0; there it is b / (2 (h + |x|)).
def _squareplus_unit(x: Array, b: Array) -> Array:
    """sqrt(b), but at least 4 times the smallest normal number, since XLA flushes smaller numbers to 0."""
    return jnp.maximum(jnp.sqrt(b), 4 * float(jnp.finfo(x.dtype).tiny))


def _squareplus_root(x: Array, b: Array) -> Array:
    """The root h, in units of sqrt(b). A square that would overflow is capped where b does not change h."""
    size, unit = jnp.abs(x), _squareplus_unit(x, b)
    capped = jnp.minimum(size / unit, 2.0**40)
    return jnp.maximum(size, unit * jnp.sqrt(1 + capped * capped))


def _squareplus_value(x: Array, b: Any = 4.0) -> Array:
    h = _squareplus_root(x, b)
    return jnp.maximum(x, 0) + (b / 8) / (h / 4 + jnp.abs(x) / 4)


def _squareplus_slope(x: Array, b: Array) -> Array:
    # On the left it is b / (2 h (h + |x|)), in the same units: at the cap the product is inf and the slope 0.
    size = jnp.minimum(jnp.abs(x) / _squareplus_unit(x, b), 2.0 ** (float(jnp.finfo(x.dtype).maxexp) / 2 - 0.25))
    h = jnp.sqrt(1 + size * size)
    left = jnp.where(b > 0, 0.5 / (h * (h + size)), 0.5 * (x == 0).astype(x.dtype))
    return jnp.where(x > 0, 1 - left, left)


def _squareplus_textbook(x: Array, b: Array) -> Array:
    x = jnp.clip(x, -1e15, 1e15)  # so that the square does not overflow
    square = x * x + b
    return (x + jnp.sqrt(jnp.where(square == 0, 1, square))) / 2


def _squareplus_curvature(x: Array, b: Array) -> Array:
    h = _squareplus_root(x, b)
    return jnp.square(jnp.sqrt(b) / h) / (2 * h)


def _squareplus_b_slope(x: Array, b: Array) -> Array:
    return 1 / (4 * _squareplus_root(x, b))


_squareplus = elementwise(
    "squareplus",
    _squareplus_value,
    _squareplus_slope,
    parameters={"b": _squareplus_b_slope},
    curvature=_squareplus_curvature,
    textbook=_squareplus_textbook,
)


@activation(
    module="Squareplus",
    kind="pointwise",
    range=(0.0, math.inf),
    limits=(0.0, math.inf),
    variants=({"b": 0.5}, {"b": 100.0}),
    elsewhere={"keras": {"squareplus": {}}},
)
def squareplus(x: ArrayLike, b: ArrayLike = 4) -> Array:
    """Squareplus: (x + sqrt(x^2 + b)) / 2.

    f'(x) = (1 + x / sqrt(x^2 + b)) / 2. f(-inf) = 0, f(inf) = inf. At b = 0 it is relu, with f'(0) = 1/2.

    Args:
      x: real array of any shape; bool and int become the default float.
      b: non-negative number, or array that broadcasts against x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: b is negative, or the shapes do not broadcast.

    Reference: Barron 2021, arXiv:2112.11687.

    >>> print(jaxact.squareplus(jnp.array([-jnp.inf, 0.0, 1e30])))
    [0.e+00 1.e+00 1.e+30]
    """
    check_parameter("squareplus", ">= 0", b=b)
    return _squareplus(x, b)


_sparse_plus = elementwise(
    "sparse_plus",
    lambda x: jnp.where(x < 1, jnp.square(jnp.maximum(x + 1, 0)) / 4, x),
    lambda x: jnp.clip((x + 1) / 2, 0, 1),
    curvature=lambda x: jnp.where(jnp.abs(x) < 1, jnp.full_like(x, 0.5), 0),
)


@activation(
    module="SparsePlus",
    kind="pointwise",
    range=(0.0, math.inf),
    limits=(0.0, math.inf),
    smoothness=1,
    elsewhere={"keras": {"sparse_plus": {}}},
)
def sparse_plus(x: ArrayLike) -> Array:
    """Sparse softplus: 0 if x <= -1, (x + 1)^2 / 4 if -1 < x < 1, else x.

    f' is `sparse_sigmoid`, so f'(-1) = 0 and f'(1) = 1. f(-inf) = 0, f(inf) = inf.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: jax.nn.sparse_plus, keras.activations.sparse_plus.

    >>> print(jaxact.sparse_plus(jnp.array([-2.0, 0.0, 2.0])))
    [0.   0.25 2.  ]
    """
    return _sparse_plus(x)


# Below -40 sqrt(softplus(x)) is exp(x / 2) to 1e-17, which can be a normal number where exp(x) is not.
def _sqrt_softplus_value(x: Array) -> Array:
    return jnp.where(x < -40, numerics.exp(x / 2), jnp.sqrt(numerics.softplus(jnp.maximum(x, -40))))


def _sqrt_softplus_slope(x: Array) -> Array:
    right = jnp.maximum(x, -40)
    return jnp.where(x < -40, numerics.exp(x / 2), numerics.sigmoid(right) / jnp.sqrt(numerics.softplus(right))) / 2


def _sqrt_softplus_textbook(x: Array) -> Array:
    right = jnp.where(x < -10, 0, x)  # further left powers of softplus overflow, and exp(x / 2) is as good
    return jnp.where(x < -10, jnp.exp(x / 2), jnp.sqrt(numerics.softplus(numerics.finite(right))))


def _sqrt_softplus_curvature(x: Array) -> Array:
    # sigmoid(x) / (2 sqrt(s)) times sigmoid(-x) - sigmoid(x) / (2 s), s = softplus(x), over one denominator.
    right = numerics.finite(jnp.maximum(x, -40))
    s, e = numerics.softplus(right), numerics.exp(-jnp.abs(right))
    difference = jnp.where(x > 0, 2 * e * s - 1, 2 * s - e) / (2 * s * (1 + e))
    return jnp.where(x < -40, numerics.exp(x / 2) / 4, numerics.sigmoid(right) / (2 * jnp.sqrt(s)) * difference)


_sqrt_softplus = elementwise(
    "sqrt_softplus",
    _sqrt_softplus_value,
    _sqrt_softplus_slope,
    curvature=_sqrt_softplus_curvature,
    textbook=_sqrt_softplus_textbook,
)


@activation(
    module="SqrtSoftplus",
    kind="pointwise",
    range=(0.0, math.inf),
    limits=(0.0, math.inf),
    slope_limits=(0.0, 0.0),
    lipschitz=0.31908634316947574,
    elsewhere={"transformers": {"sqrtsoftplus": {}}},
)
def sqrt_softplus(x: ArrayLike) -> Array:
    """Square root of softplus: sqrt(log(1 + exp(x))).

    f'(x) = sigmoid(x) / (2 f(x)). f(-inf) = 0, f(inf) = inf, and f' is 0 at both.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and x's float type.

    Raises:
      TypeError: x is not a real array.

    Reference: transformers.activations (sqrtsoftplus), the router scores of DeepSeek-V4.

    >>> print(jaxact.sqrt_softplus(jnp.array([-jnp.inf, 100.0])))
    [ 0. 10.]
    """
    return _sqrt_softplus(x)
