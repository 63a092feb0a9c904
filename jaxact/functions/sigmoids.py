"""Sigmoids: bounded on both sides, or the logarithm of such a function."""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.checks import check_parameter
from jaxact.core.derivative import with_slopes
from jaxact.core.elementwise import elementwise
from jaxact.core.pair import Pair, difference, quotient

__all__ = [
    "laplace",
    "log_sigmoid",
    "sigmoid",
    "soft_cap",
    "soft_sign",
    "tanh",
]

_sigmoid = elementwise("sigmoid", numerics.sigmoid, numerics.sigmoid_slope, curvature=numerics.sigmoid_curvature)


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


_log_sigmoid = elementwise(
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


_tanh = elementwise(
    "tanh",
    numerics.tanh,
    numerics.tanh_slope,
    curvature=lambda x: -2 * numerics.tanh(x) * numerics.tanh_slope(x),
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


_soft_sign = elementwise(
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


def _standardized(x: Array, mu: Array, sigma: Array) -> Pair:
    """(x - mu) / sigma with its rest, since rounding it would cost z^2 ulp in the tail."""
    z, low = quotient(*difference(numerics.finite(x), mu), sigma)
    return Pair(jnp.clip(z, -40, 40), jnp.where(jnp.abs(z) < 1000, low, 0))


def _laplace_density(x: Array, mu: Array, sigma: Array) -> tuple[Array, Array]:
    """Return phi(z) / sigma and z."""
    z, low = _standardized(x, mu, sigma)
    return numerics.exp_of_half_square(z) * (1 - z * low) * (numerics.SQRT_HALF_OVER_PI / sigma), z


def _laplace_textbook(x: Array, mu: Array, sigma: Array) -> Array:
    z = jnp.clip((numerics.finite(x) - mu) / sigma, -40, 40)
    return (1 + lax.erf(z * math.sqrt(0.5))) / 2


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


_laplace = elementwise(
    "laplace",
    _laplace_value,
    lambda x, mu, sigma: _laplace_density(x, mu, sigma)[0],
    parameters={"mu": lambda x, mu, sigma: -_laplace_density(x, mu, sigma)[0], "sigma": _laplace_sigma_slope},
    curvature=_laplace_curvature,
    textbook=_laplace_textbook,
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

    It approximates `relu2` with a bounded range and slope. f'(x) is the normal density with mean mu and standard
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


def _ratio(x: Array, cap: Array) -> Array:
    return jnp.clip(numerics.finite(x) / cap, -400, 400)


@with_slopes(
    lambda x, cap: numerics.tanh_slope(_ratio(x, cap)), lambda x, cap: numerics.tanh_less_slope(_ratio(x, cap))
)
def soft_cap_textbook(x: Array, cap: Array) -> Array:
    return cap * numerics.tanh(_ratio(x, cap))


def soft_cap_slope(x: Array, cap: Array) -> Array:
    e = numerics.exp_of_quotient(-jnp.abs(numerics.finite(x)), cap / 2)
    return 4 * e / jnp.square(1 + e)


def soft_cap_cap_slope(x: Array, cap: Array) -> Array:
    # It is about (2/3) v^3, v = x / cap, which triples the error of a rounded v: 10 units. With the rest of v it is 7.
    v, rest = quotient(x, jnp.zeros_like(x), cap)
    near = jnp.clip(v, -2.5, 2.5)
    rest = jnp.where(v == near, rest, 0)
    return numerics.tanh_less_slope(v) + rest * (2 * near * jnp.tanh(near)) * soft_cap_slope(x, cap)


def soft_cap_value(x: Array, cap: Array) -> Array:
    """Return cap tanh(x / cap)."""
    return jnp.where(jnp.abs(x / cap) < 2.5, x * numerics.tanh_ratio(x / cap), cap * jnp.tanh(x / cap))


_soft_cap = elementwise(
    "soft_cap",
    soft_cap_value,
    soft_cap_slope,
    parameters={"cap": soft_cap_cap_slope},
    curvature=lambda x, cap: -2 * jnp.tanh(x / cap) * soft_cap_slope(x, cap) / cap,
    textbook=soft_cap_textbook,
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

    It keeps logits within +-cap and is nearly the identity around 0. f'(x) = 1 - tanh(x / cap)^2. f(-inf) = -cap,
    f(inf) = cap, and f' is 0 at both.

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
