"""The few careful building blocks that the families share. All take and return float32 or float64.

Each is right to about 2 ulp, at +-inf too: they are written in e = exp(-|x|), which never overflows, or in tanh, and
never as 1 - f, which cancels.
"""

import math

import jax.numpy as jnp
from jax import Array, lax


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    e = jnp.exp(-jnp.abs(x))
    return jnp.where(x >= 0, 1, e) / (1 + e)


def sigmoid_slope(x: Array) -> Array:
    """sigmoid(x) sigmoid(-x), an even function."""
    e = jnp.exp(-jnp.abs(x))
    return e / jnp.square(1 + e)


def sigmoid_curvature(x: Array) -> Array:
    """The second derivative of sigmoid: -sigmoid'(x) tanh(x / 2), since 1 - 2 sigmoid(x) cancels at 0."""
    return -sigmoid_slope(x) * jnp.tanh(x / 2)


def softplus(x: Array) -> Array:
    """log(1 + exp(x))."""
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


def expm1(x: Array) -> Array:
    """exp(x) - 1 for x <= 0."""
    return jnp.expm1(x)


def expm1_less_slope(x: Array) -> Array:
    """exp(x) - 1 - x exp(x) for x <= 0, whose terms cancel near 0."""
    x = finite(x)
    series = jnp.zeros_like(x)
    for k in reversed(range(14)):  # enough for 1 ulp of float64 at |x| < 1/2
        series = series * x + (k + 1) / math.factorial(k + 2)
    return jnp.where(x > -0.5, -x * x * series, jnp.expm1(x) - x * jnp.exp(x))


def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return jnp.tanh(x)


def finite(x: Array) -> Array:
    """Clip +-inf to the largest finite numbers, so that inf / inf becomes the limit 1; keep NaN."""
    largest = jnp.finfo(x.dtype).max
    return lax.clamp(jnp.asarray(-largest, x.dtype), x, jnp.asarray(largest, x.dtype))


def hypot(a: Array, b: Array) -> Array:
    """sqrt(a^2 + b^2) of non-negative a and b without overflow or underflow."""
    large, small = jnp.maximum(a, b), jnp.minimum(a, b)
    ratio = small / jnp.where(large > 0, large, 1)
    return jnp.where(jnp.isinf(large), large, large * jnp.sqrt(1 + ratio * ratio))


def normal_cdf(x: Array) -> Array:
    """The normal distribution function."""
    return lax.erfc(-x * 0.7071067811865476) / 2
