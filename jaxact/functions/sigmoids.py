"""Sigmoids: bounded on both sides, or the logarithm of such a function."""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.checks import check_parameter, widen
from jaxact.core.pointwise import pointwise

__all__ = [
    "hard_sigmoid",
    "hard_tanh",
    "laplace",
    "log_sigmoid",
    "sigmoid",
    "soft_cap",
    "soft_sign",
    "sparse_sigmoid",
    "tanh",
]

_sigmoid = pointwise("sigmoid", numerics.sigmoid, numerics.sigmoid_slope, curvature=numerics.sigmoid_curvature)


@activation(
    module="Sigmoid",
    kind="pointwise",
    range=(0.0, 1.0),
    limits=(0.0, 1.0),
    slope_limits=(0.0, 0.0),
    lipschitz=0.25,
    elsewhere={
        "torch": {"sigmoid": {}, "Sigmoid": {}},
        "keras": {"sigmoid": {}},
        "transformers": {"sigmoid": {}},
    },
)
def sigmoid(x: ArrayLike) -> Array:
    """Logistic sigmoid: 1 / (1 + exp(-x)).

    f'(x) = f(x) f(-x), which is right in both tails. f(-inf) = 0, f(inf) = 1, and f' is 0 at both.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: jax.nn.sigmoid.

    >>> print(jaxact.sigmoid(jnp.array([-jnp.inf, 0.0, jnp.inf])))
    [0.  0.5 1. ]
    """
    return _sigmoid(x)


_log_sigmoid = pointwise(
    "log_sigmoid",
    lambda x: -numerics.softplus(-x),
    lambda x: numerics.sigmoid(-x),
    curvature=lambda x: -numerics.sigmoid_slope(x),
)


@activation(
    module="LogSigmoid",
    kind="pointwise",
    range=(-math.inf, 0.0),
    limits=(-math.inf, 0.0),
    slope_limits=(1.0, 0.0),
    elsewhere={"torch": {"logsigmoid": {}, "LogSigmoid": {}}, "keras": {"log_sigmoid": {}}},
)
def log_sigmoid(x: ArrayLike) -> Array:
    """Logarithm of the sigmoid: -log(1 + exp(-x)).

    f'(x) = sigmoid(-x). f(-inf) = -inf, f(inf) = 0.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: jax.nn.log_sigmoid.

    >>> print(jaxact.log_sigmoid(jnp.array([-jnp.inf, 0.0])))
    [      -inf -0.6931472]
    """
    return _log_sigmoid(x)


# y = 1 for an x just under 3 too, so y does not tell the slope; the mask, a byte an entry, does.
_hard_sigmoid = pointwise(
    "hard_sigmoid",
    lambda x: jnp.clip(x + 3, 0, 6) / 6,
    lambda inside: jnp.where(inside, 1 / 6, 0.0),
    keep=lambda x, y: jnp.abs(x) < 3,
)


@activation(
    module="Hardsigmoid",
    kind="pointwise",
    range=(0.0, 1.0),
    limits=(0.0, 1.0),
    slope_limits=(0.0, 0.0),
    kinks={-3.0: 0.0, 3.0: 0.0},
    smoothness=0,
    lipschitz=1 / 6,
    keeps=0.25,
    elsewhere={"torch": {"hardsigmoid": {}, "Hardsigmoid": {}}, "keras": {"hard_sigmoid": {}}},
)
def hard_sigmoid(x: ArrayLike) -> Array:
    """Hard sigmoid: min(max(x + 3, 0), 6) / 6.

    f'(x) = 1/6 for |x| < 3, else 0, and f'(-3) = f'(3) = 0. f(-inf) = 0, f(inf) = 1. The backward pass keeps a mask.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Howard et al. 2019, arXiv:1905.02244. (Keras 2 had the slope 0.2.)

    >>> print(jaxact.hard_sigmoid(jnp.array([-4.0, 0.0, 4.0])))
    [0.  0.5 1. ]
    """
    return _hard_sigmoid(x)


_sparse_sigmoid = pointwise(
    "sparse_sigmoid",
    lambda x: jnp.clip((x + 1) / 2, 0, 1),
    lambda inside: jnp.where(inside > 0, 0.5, jnp.where(inside == 0, 0.25, 0.0)),
    keep=lambda x, y: jnp.sign(1 - jnp.abs(x)).astype(jnp.int8),
)


@activation(
    module="SparseSigmoid",
    kind="pointwise",
    range=(0.0, 1.0),
    limits=(0.0, 1.0),
    slope_limits=(0.0, 0.0),
    kinks={-1.0: 0.25, 1.0: 0.25},
    smoothness=0,
    lipschitz=0.5,
    keeps=0.25,
    elsewhere={"keras": {"sparse_sigmoid": {}}},
)
def sparse_sigmoid(x: ArrayLike) -> Array:
    """Sparse sigmoid: min(max((x + 1) / 2, 0), 1).

    f'(x) = 1/2 for |x| < 1, else 0, and f'(-1) = f'(1) = 1/4 as in jax.nn. f(-inf) = 0, f(inf) = 1. The backward pass
    keeps a byte an entry.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: jax.nn.sparse_sigmoid, keras.activations.sparse_sigmoid.

    >>> print(jaxact.sparse_sigmoid(jnp.array([-2.0, 0.0, 2.0])))
    [0.  0.5 1. ]
    """
    return _sparse_sigmoid(x)


_tanh = pointwise(
    "tanh",
    numerics.tanh,
    lambda x: 4 * numerics.sigmoid_slope(2 * x),
    curvature=lambda x: -8 * numerics.tanh(x) * numerics.sigmoid_slope(2 * x),
)


@activation(
    module="Tanh",
    kind="pointwise",
    range=(-1.0, 1.0),
    limits=(-1.0, 1.0),
    slope_limits=(0.0, 0.0),
    odd=True,
    elsewhere={"torch": {"tanh": {}, "Tanh": {}}, "keras": {"tanh": {}}, "transformers": {"tanh": {}}},
)
def tanh(x: ArrayLike) -> Array:
    """Hyperbolic tangent: (exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    f'(x) = 1 / cosh(x)^2, right in both tails. f(-inf) = -1, f(inf) = 1, and f' is 0 at both.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: jax.nn.tanh.

    >>> print(jaxact.tanh(jnp.array([-jnp.inf, 0.0, jnp.inf])))
    [-1.  0.  1.]
    """
    return _tanh(x)


# y = 1 for x = 1, where the slope is 1, and for x > 1, where it is 0: a mask, a byte an entry, tells them apart.
_hard_tanh = pointwise(
    "hard_tanh",
    lambda x, min_val=-1.0, max_val=1.0: jnp.clip(x, min_val, max_val),
    lambda inside, min_val, max_val: jnp.where(inside, 1.0, 0.0),
    lambda x, min_val, max_val: jnp.where(x < min_val, jnp.ones_like(x), 0),
    lambda x, min_val, max_val: jnp.where(x > max_val, jnp.ones_like(x), 0),
    keep=lambda x, y, min_val, max_val: (widen(x) >= min_val) & (widen(x) <= max_val),
)


@activation(
    module="Hardtanh",
    kind="pointwise",
    range=(-1.0, 1.0),
    limits=(-1.0, 1.0),
    slope_limits=(0.0, 0.0),
    kinks={-1.0: 1.0, 1.0: 1.0},
    smoothness=0,
    odd=True,
    variants=({"min_val": -0.5, "max_val": 3.0},),
    keeps=0.25,
    elsewhere={"torch": {"hardtanh": {}, "Hardtanh": {}}, "keras": {"hard_tanh": {}}},
)
def hard_tanh(x: ArrayLike, *, min_val: ArrayLike = -1.0, max_val: ArrayLike = 1.0) -> Array:
    """Hard tanh: min(max(x, min_val), max_val).

    f'(x) = 1 for min_val <= x <= max_val, else 0; at both ends it is 1 as in jax.nn. f(-inf) = min_val, f(inf) =
    max_val. The backward pass keeps a mask.

    Args:
      x: real array of any shape; bool and int become the default float.
      min_val: number, or array that broadcasts against x; traced and differentiable.
      max_val: number, or array that broadcasts against x, not under min_val; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: min_val > max_val, or the shapes do not broadcast.

    Reference: Collobert 2004, "Large scale machine learning".

    >>> print(jaxact.hard_tanh(jnp.array([-2.0, 0.5, 2.0])))
    [-1.   0.5  1. ]
    """
    if isinstance(min_val, int | float) and isinstance(max_val, int | float) and min_val > max_val:
        raise ValueError(f"jaxact.hard_tanh: expected min_val <= max_val, got {min_val} and {max_val}; exchange them")
    return _hard_tanh(x, min_val, max_val)


_soft_sign = pointwise(
    "soft_sign",
    lambda x: numerics.finite(x) / (1 + jnp.abs(numerics.finite(x))),
    lambda x: jnp.square(1 / (1 + jnp.abs(x))),
    curvature=lambda x: -2 * jnp.sign(x) * (1 / (1 + jnp.abs(x))) ** 3,
)


@activation(
    module="Softsign",
    kind="pointwise",
    range=(-1.0, 1.0),
    limits=(-1.0, 1.0),
    slope_limits=(0.0, 0.0),
    smoothness=1,
    odd=True,
    elsewhere={"torch": {"softsign": {}, "Softsign": {}}, "keras": {"softsign": {}}},
)
def soft_sign(x: ArrayLike) -> Array:
    """Soft sign: x / (1 + |x|).

    f'(x) = 1 / (1 + |x|)^2; f''(0) = 0, between its one-sided limits 2 and -2. f(-inf) = -1, f(inf) = 1.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Bergstra et al. 2009, "Quadratic polynomials learn better image features".

    >>> print(jaxact.soft_sign(jnp.array([-jnp.inf, 1.0, jnp.inf])))
    [-1.   0.5  1. ]
    """
    return _soft_sign(x)


def _standardized(x: Array, mu: Array, sigma: Array) -> tuple[Array, Array]:
    """Return (x - mu) / sigma as a sum: rounding it would cost z^2 ulp in the tail."""
    half = 12 if x.dtype == jnp.float32 else 26
    x = numerics.finite(x)
    difference = x - mu
    back = x - difference
    rest = (x - (difference + back)) + (back - mu)
    z = difference / sigma
    z_high, s_high = numerics.leading_bits(z, half), numerics.leading_bits(sigma, half)
    remainder = ((difference - z_high * s_high) - z_high * (sigma - s_high)) - (z - z_high) * sigma
    low = jnp.where(jnp.abs(z) < 1000, (remainder + rest) / sigma, 0)
    return jnp.clip(z, -40, 40), low


def _laplace_density(x: Array, mu: Array, sigma: Array) -> tuple[Array, Array]:
    """Return phi(z) / sigma and z."""
    z, low = _standardized(x, mu, sigma)
    return numerics.exp_of_half_square(z) * (1 - z * low) * (numerics.SQRT_HALF_OVER_PI / sigma), z


def _laplace_value(x: Array, mu: Any = 0.707107, sigma: Any = 0.282095) -> Array:
    mu, sigma = jnp.asarray(mu, x.dtype), jnp.asarray(sigma, x.dtype)
    z, low = _standardized(x, mu, sigma)
    t = jnp.abs(z)
    tail = numerics.normal_tail(t, jnp.where(z < 0, -low, low))
    return jnp.where(z > 0, 1 - tail, tail)


def _laplace_curvature(x: Array, mu: Array, sigma: Array) -> Array:
    density, z = _laplace_density(x, mu, sigma)
    return -density * z / sigma


def _laplace_sigma_slope(x: Array, mu: Array, sigma: Array) -> Array:
    density, z = _laplace_density(x, mu, sigma)
    return -density * z


_laplace = pointwise(
    "laplace",
    _laplace_value,
    lambda x, mu, sigma: _laplace_density(x, mu, sigma)[0],
    lambda x, mu, sigma: -_laplace_density(x, mu, sigma)[0],
    _laplace_sigma_slope,
    curvature=_laplace_curvature,
)


@activation(
    module="Laplace",
    kind="pointwise",
    range=(0.0, 1.0),
    limits=(0.0, 1.0),
    slope_limits=(0.0, 0.0),
    lipschitz=1.4142125184828965,
    variants=({"mu": 0.0, "sigma": 1.0},),
    elsewhere={"transformers": {"laplace": {}}},
)
def laplace(x: ArrayLike, mu: ArrayLike = 0.707107, sigma: ArrayLike = 0.282095) -> Array:
    """Laplace attention function: (1 + erf((x - mu) / (sigma sqrt(2)))) / 2.

    It approximates `relu2` with bounded range and slope. f'(x) is the normal density of mean mu and standard
    deviation sigma. f(-inf) = 0, f(inf) = 1, and f' is 0 at both.

    Args:
      x: real array of any shape; bool and int become the default float.
      mu: number, or array that broadcasts against x; traced and differentiable.
      sigma: positive number, or array that broadcasts against x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: sigma is not positive, or the shapes do not broadcast.

    Reference: Ma et al. 2022 (Mega), arXiv:2209.10655.

    >>> print(jaxact.laplace(jnp.array([-jnp.inf, 0.707107, jnp.inf])))
    [0.  0.5 1. ]
    """
    check_parameter("laplace", "> 0", sigma=sigma)
    return _laplace(x, mu, sigma)


def _soft_cap_slope(x: Array, cap: Array) -> Array:
    e = numerics.exp_of_quotient(-jnp.abs(numerics.finite(x)), cap / 2)
    return 4 * e / jnp.square(1 + e)


def _soft_cap_cap_slope(x: Array, cap: Array) -> Array:
    # With v = x / cap, tanh(v) - v (1 - tanh(v)^2) = v tanh(v)^2 - (v - tanh(v)), whose terms hardly cancel.
    v = numerics.finite(x) / cap
    t = numerics.tanh(v)
    return jnp.where(jnp.abs(v) < 1, v * t * t - numerics.tanh_shrink(v), t - v * _soft_cap_slope(x, cap))


_soft_cap = pointwise(
    "soft_cap",
    lambda x, cap: cap * numerics.tanh(x / cap),
    _soft_cap_slope,
    _soft_cap_cap_slope,
    curvature=lambda x, cap: -2 * numerics.tanh(x / cap) * _soft_cap_slope(x, cap) / cap,
)


@activation(
    module="SoftCap",
    kind="pointwise",
    range=(-30.0, 30.0),
    limits=(-30.0, 30.0),
    slope_limits=(0.0, 0.0),
    odd=True,
    variants=({"cap": 30.0}, {"cap": 1.5}),
)
def soft_cap(x: ArrayLike, cap: ArrayLike) -> Array:
    """Soft cap: cap * tanh(x / cap).

    Keeps logits within +-cap, nearly the identity near 0. f'(x) = 1 - tanh(x / cap)^2. f(-inf) = -cap, f(inf) = cap,
    and f' is 0 at both.

    Args:
      x: real array of any shape; bool and int become the default float.
      cap: positive number, or array that broadcasts against x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: cap is not positive, or the shapes do not broadcast.

    Reference: Gemma Team 2024 (Gemma 2), arXiv:2408.00118.

    >>> print(jaxact.soft_cap(jnp.array([0.0, 1e9]), 30.0))
    [ 0. 30.]
    """
    check_parameter("soft_cap", "> 0", cap=cap)
    return _soft_cap(x, cap)
