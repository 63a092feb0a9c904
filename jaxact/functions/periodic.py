"""Periodic functions: sines, and the identity with a sine on it."""

import math

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.checks import check_parameter
from jaxact.core.elementwise import elementwise
from jaxact.core.pair import leading_bits, product

__all__ = ["sine", "snake", "snake_beta"]


# Rounding rate * x costs |rate x| ulp / 2, up to 8 units, and where the sine is 1 no derivative makes up for it. So the
# product is a sum of two, which is exact at any size. XLA's own sine is within 0.56 ulp for every float32 on a CPU.
def _angle(x: Array, rate: Array) -> tuple[Array, Array]:
    """Return rate x as its rounding and the rest; 0 where `_far`."""
    high, low = product(jnp.where(_far(x, rate), 0, x), rate)
    return high, jnp.where(jnp.abs(high) > 0.125, low, 0)  # below 0.125 low does not matter and may underflow


def _far(x: Array, rate: Array) -> Array:
    """Where the angle is infinite, or all but overflows."""
    return jnp.isinf(x) | (jnp.abs(rate * x) > jnp.finfo(x.dtype).max / 4)


def _sine(high: Array, low: Array) -> Array:
    """sin(high + low)."""
    return jnp.sin(high) * jnp.cos(low) + jnp.cos(high) * jnp.sin(low)


def _cosine(high: Array, low: Array) -> Array:
    """cos(high + low)."""
    return jnp.cos(high) * jnp.cos(low) - jnp.sin(high) * jnp.sin(low)


def _sine_textbook(x: Array, frequency: Array) -> Array:
    return jnp.sin(frequency * jnp.where(_far(x, frequency), 0, x))


def _sine_value(x: Array, frequency: Array) -> Array:
    return _sine(*_angle(x, frequency))


def _sine_slope(x: Array, frequency: Array) -> Array:
    return jnp.where(_far(x, frequency), 0, frequency * _cosine(*_angle(x, frequency)))


def _sine_curvature(x: Array, frequency: Array) -> Array:
    return -frequency * (frequency * _sine_value(x, frequency))


def _sine_frequency_slope(x: Array, frequency: Array) -> Array:
    return jnp.where(_far(x, frequency), 0, x * _cosine(*_angle(x, frequency)))


_sine_kernel = elementwise(
    "sine",
    _sine_value,
    _sine_slope,
    parameters={"frequency": _sine_frequency_slope},
    curvature=_sine_curvature,
    textbook=_sine_textbook,
)


@activation(
    module="Sine",
    kind="pointwise",
    range=(-1.0, 1.0),
    limits=(0.0, 0.0),
    slope_limits=(0.0, 0.0),
    monotone=False,
    odd=True,
    lipschitz=30.0,
    variants=({"frequency": 1.0}, {"frequency": 0.375}),
)
def sine(x: ArrayLike, frequency: ArrayLike = 30.0) -> Array:
    """Sine (SIREN): sin(frequency * x).

    f'(x) = frequency cos(frequency x). At +-inf there is no limit, so f and its derivatives are 0 there, their mean
    over a period. A network with it needs the initialiser `jaxact.propagation.siren_init`.

    Args:
      x: real array of any shape; bool and int become the default float.
      frequency: number, or array that broadcasts against x, in radians per unit of x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: Sitzmann et al. 2020, arXiv:2006.09661.

    >>> print(jaxact.sine(jnp.array([0.0, jnp.pi / 60, jnp.inf])))
    [0. 1. 0.]
    """
    return _sine_kernel(x, frequency)


# x + s^2 / beta, s = sin(alpha x), loses two of its bits at alpha x = -1.17. Around that point it is computed as
# ((beta - alpha) x + alpha x + s^2) / beta, with s^2 as the exact square of its leading bits and the rest. The error is
# 4.3 units, that of XLA's sine; the plain form has 7.1.
def _snake_beta_value(x: Array, alpha: Array, beta: Array) -> Array:
    high, low = _angle(x, alpha)
    s = jnp.sin(high)
    h = leading_bits(s)
    rest = (s - h) * (s + h) + low * (1 + 2 * s * jnp.cos(high))
    near = (beta - alpha) / beta * x + ((high + h * h) + rest) / beta
    far = x + jnp.square(_sine(high, low)) / beta
    return jnp.where((jnp.abs(high) > 0.125) & (jnp.abs(high) < 2), near, far)


def _snake_beta_textbook(x: Array, alpha: Array, beta: Array) -> Array:
    x = jnp.where(_far(x, alpha), 0, x)
    return x + jnp.square(jnp.sin(alpha * x)) / beta


# 1 + sin(2 z) cancels around its zeros, which 2 sin(z + pi / 4)^2 does not.
def _snake_beta_slope(x: Array, alpha: Array, beta: Array) -> Array:
    high, low = _angle(x, alpha)
    quarter = jnp.asarray(math.pi / 4, x.dtype)
    total = high + quarter
    rounded = total - high
    low += (high - (total - rounded)) + (quarter - rounded) + _QUARTER_REST[x.dtype.name]
    growth = 2 * jnp.square(_sine(total, low))
    return jnp.where(_far(x, alpha), 1, (beta - alpha) / beta + alpha / beta * growth)


def _snake_beta_curvature(x: Array, alpha: Array, beta: Array) -> Array:
    high, low = _angle(x, alpha)
    return jnp.where(_far(x, alpha), 0, 2 * alpha * (alpha / beta) * _cosine(2 * high, 2 * low))


def _snake_beta_alpha_slope(x: Array, alpha: Array, beta: Array) -> Array:
    high, low = _angle(x, alpha)
    return jnp.where(_far(x, alpha), 0, x * (_sine(2 * high, 2 * low) / beta))


def _snake_beta_beta_slope(x: Array, alpha: Array, beta: Array) -> Array:
    return -jnp.square(jnp.where(_far(x, alpha), math.sqrt(0.5), _sine(*_angle(x, alpha))) / beta)


def _snake_textbook(x: Array, alpha: Array) -> Array:
    """Return x + x g(alpha x) with g(z) = sin(z)^2 / z. Near 0, g is a series, or derivatives in alpha cancel."""
    x = jnp.where(_far(x, alpha), 0, x)
    z = alpha * x
    near = jnp.abs(z) < 1
    small, large = jnp.where(near, z, 0), jnp.where(near, 1, z)
    coefficients = [(-1) ** (k + 1) * 2.0 ** (2 * k - 1) / math.factorial(2 * k) for k in reversed(range(1, 14))]
    series = small * numerics.horner(coefficients, small * small)
    return x + x * jnp.where(near, series, jnp.square(jnp.sin(large)) / large)


def _snake_value(x: Array, alpha: Array) -> Array:
    return _snake_beta_value(x, alpha, _divisor(alpha))


def _snake_slope(x: Array, alpha: Array) -> Array:
    return _snake_beta_slope(x, alpha, _divisor(alpha))


def _snake_curvature(x: Array, alpha: Array) -> Array:
    return _snake_beta_curvature(x, alpha, _divisor(alpha))


def _snake_alpha_slope(x: Array, alpha: Array) -> Array:
    # x sin(2 z) / alpha - (sin(z) / alpha)^2, z = alpha x, is x^2 q (2 cos(z) - q) with q = sin(z) / z, 1 at alpha = 0.
    high, low = _angle(x, alpha)
    s, c, low_s, low_c, z = jnp.sin(high), jnp.cos(high), jnp.sin(low), jnp.cos(low), _divisor(high)
    factor = low_c * (2 * c - s / z) + (s / z * (low / z) - low_s * (2 * s + c / z))
    slope = jnp.where(high == 0, x * x, x * ((s * low_c + c * low_s) * (x / z) * factor))
    return jnp.where(_far(x, alpha), -0.5 / jnp.square(_divisor(alpha)), slope)


def _divisor(a: Array) -> Array:
    return jnp.where(a == 0, 1, a)


_QUARTER_REST = {"float32": math.pi / 4 - float(np.float32(math.pi / 4)), "float64": 3.061616997868383e-17}
_snake = elementwise(
    "snake",
    _snake_value,
    _snake_slope,
    parameters={"alpha": _snake_alpha_slope},
    curvature=_snake_curvature,
    textbook=_snake_textbook,
)


@activation(
    module="Snake",
    kind="pointwise",
    slope_limits=(1.0, 1.0),
    lipschitz=2.0,
    variants=({"alpha": 0.375}, {"alpha": 11.0}),
)
def snake(x: ArrayLike, alpha: ArrayLike = 1.0) -> Array:
    """Snake: x + sin(alpha * x)^2 / alpha.

    f'(x) = 1 + sin(2 alpha x), so f never decreases. For alpha = 0, f(x) is its limit, x. f(-inf) = -inf, f(inf) = inf.
    The derivatives have no limit there, so they are their mean over a period: f' = 1, f'' = 0.

    Args:
      x: real array of any shape; bool and int become the default float.
      alpha: number, or array that broadcasts against x; in radians per unit of x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: Ziyin et al. 2020, arXiv:2006.08195.

    >>> print(jaxact.snake(jnp.array([-jnp.inf, 0.0, jnp.pi / 2])).round(3))
    [ -inf 0.    2.571]
    """
    return _snake(x, alpha)


_snake_beta = elementwise(
    "snake_beta",
    _snake_beta_value,
    _snake_beta_slope,
    parameters={"alpha": _snake_beta_alpha_slope, "beta": _snake_beta_beta_slope},
    curvature=_snake_beta_curvature,
    textbook=_snake_beta_textbook,
)


@activation(
    module="SnakeBeta",
    kind="pointwise",
    slope_limits=(1.0, 1.0),
    lipschitz=2.0,
    variants=({"alpha": 0.5, "beta": 2.0},),
)
def snake_beta(x: ArrayLike, alpha: ArrayLike = 1.0, beta: ArrayLike = 1.0) -> Array:
    """Snake with an amplitude of its own: x + sin(alpha * x)^2 / beta.

    f'(x) = 1 + alpha / beta sin(2 alpha x). At +-inf, f and its derivatives are those of `jaxact.snake`. For alpha >
    beta, f decreases in places. That gives f and f' zeros, near which their errors are a few ulp of x and of 1.

    Args:
      x: real array of any shape; bool and int become the default float.
      alpha: number, or array that broadcasts against x; in radians per unit of x; traced and differentiable.
      beta: positive number, or array that broadcasts against x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: beta is not positive, or the shapes do not broadcast.

    Reference: Lee et al. 2022, arXiv:2206.04658 (BigVGAN).

    >>> print(jaxact.snake_beta(jnp.array([0.0, jnp.pi / 2]), beta=2.0).round(3))
    [0.    2.071]
    """
    check_parameter("snake_beta", "> 0", beta=beta)
    return _snake_beta(x, alpha, beta)
