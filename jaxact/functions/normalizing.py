"""Functions that replace a normalisation in some models."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.checks import as_float, canonical_axes, check_parameter, of_numbers, widen
from jaxact.core.derivative import Formula, by_rule
from jaxact.core.elementwise import elementwise
from jaxact.core.pair import Pair, difference, leading_bits, product
from jaxact.core.rule import by_autodiff, derivative_rule, jitted, public

__all__ = ["derf", "dyt", "poly_norm"]


def _dyt_value(x: Array, alpha: Any = 0.5, gamma: Any = 1.0, beta: Any = 0.0) -> Array:
    return gamma * numerics.tanh(alpha * x) + beta


def _dyt_textbook(x: Array, alpha: Array, gamma: Array, beta: Array) -> Array:
    return gamma * numerics.tanh(jnp.clip(alpha * numerics.finite(x), -400, 400)) + beta


def _tanh_slope(x: Array, alpha: Array) -> Array:
    """1 / cosh(alpha x)^2, without the |alpha x| ulp that rounding the product would cost."""
    high, low = product(-jnp.abs(numerics.finite(x)), jnp.abs(2 * alpha))
    e = numerics.exp(jnp.maximum(high, -1000), jnp.where(high > -1000, low, 0))
    return 4 * e / jnp.square(1 + e)


def _dyt_curvature(x: Array, alpha: Array, gamma: Array, beta: Array) -> Array:
    return -2 * gamma * alpha * (alpha * numerics.tanh(alpha * x) * _tanh_slope(x, alpha))


_dyt = elementwise(
    "dyt",
    _dyt_value,
    lambda x, alpha, gamma, beta: gamma * (alpha * _tanh_slope(x, alpha)),
    parameters={
        "alpha": lambda x, alpha, gamma, beta: gamma * (numerics.finite(x) * _tanh_slope(x, alpha)),
        "gamma": lambda x, alpha, gamma, beta: numerics.tanh(alpha * x),
        "beta": lambda x, alpha, gamma, beta: jnp.ones_like(x),
    },
    curvature=_dyt_curvature,
    textbook=_dyt_textbook,
)


@activation(
    module="DyT",
    kind="pointwise",
    range=(-1.0, 1.0),
    limits=(-1.0, 1.0),
    slope_limits=(0.0, 0.0),
    odd=True,
    lipschitz=0.5,
    variants=({"alpha": 1.5, "gamma": -0.5, "beta": 0.75},),
)
def dyt(x: ArrayLike, alpha: ArrayLike = 0.5, gamma: ArrayLike = 1.0, beta: ArrayLike = 0.0) -> Array:
    """Dynamic tanh: gamma * tanh(alpha * x) + beta.

    It replaces a normalisation. Then alpha is one learned number, and gamma and beta are one per channel. f'(x) =
    gamma alpha (1 - tanh(alpha x)^2), and f(+-inf) = +-gamma + beta for a positive alpha. The backward pass keeps x.

    Args:
      x: real array of any shape; bool and int become the default float.
      alpha: number, or array that broadcasts against x; traced and differentiable, as are the others.
      gamma: number, or array that broadcasts against x.
      beta: number, or array that broadcasts against x.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: Zhu et al. 2025, arXiv:2503.10622.

    >>> print(jaxact.dyt(jnp.array([-1.0, 0.0, 1.0])).round(1))
    [-0.5  0.   0.5]
    """
    return _dyt(x, alpha, gamma, beta)


# Rounding alpha x + shift would cost its derivative the square of that in ulps, 14 units where z is 2: so z is a pair.
def _argument(x: Array, alpha: Any, shift: Any) -> Pair:
    """Alpha x + shift, from -40 to 40, where all that is made of it has its limits."""
    high, low = product(numerics.finite(x), alpha)
    z, rest = difference(high, -shift)
    return Pair(jnp.clip(z, -40, 40), jnp.where(jnp.abs(z) < 40, low + rest, 0))


def _bell(z: Pair) -> Array:
    """The derivative of erf."""
    h = leading_bits(z.high)
    rest = (z.high - h) * (z.high + h) + 2 * z.high * z.low
    return 2 / math.sqrt(math.pi) * numerics.exp(-h * h, -rest)


def _erf(z: Pair) -> Array:
    return lax.erf(z.high) + _bell(z) * z.low


def _derf_value(x: Array, alpha: Any = 0.5, shift: Any = 0.0, gamma: Any = 1.0, beta: Any = 0.0) -> Array:
    return gamma * _erf(_argument(x, alpha, shift)) + beta


def _derf_textbook(x: Array, alpha: Array, shift: Array, gamma: Array, beta: Array) -> Array:
    return gamma * lax.erf(jnp.clip(alpha * numerics.finite(x) + shift, -40, 40)) + beta


def _derf_curvature(x: Array, alpha: Array, shift: Array, gamma: Array, beta: Array) -> Array:
    z = _argument(x, alpha, shift)
    return -2 * gamma * alpha * (alpha * z.high * _bell(z))


_derf = elementwise(
    "derf",
    _derf_value,
    lambda x, alpha, shift, gamma, beta: gamma * (alpha * _bell(_argument(x, alpha, shift))),
    parameters={
        "alpha": lambda x, alpha, shift, gamma, beta: gamma * (numerics.finite(x) * _bell(_argument(x, alpha, shift))),
        "shift": lambda x, alpha, shift, gamma, beta: gamma * _bell(_argument(x, alpha, shift)),
        "gamma": lambda x, alpha, shift, gamma, beta: _erf(_argument(x, alpha, shift)),
        "beta": lambda x, alpha, shift, gamma, beta: jnp.ones_like(x),
    },
    textbook=_derf_textbook,
    curvature=_derf_curvature,
)


@activation(
    module="Derf",
    kind="pointwise",
    range=(-1.0, 1.0),
    limits=(-1.0, 1.0),
    slope_limits=(0.0, 0.0),
    odd=True,
    lipschitz=1 / math.sqrt(math.pi),
    variants=({"alpha": 1.5, "shift": 0.25, "gamma": -0.5, "beta": 0.75},),
)
def derf(
    x: ArrayLike, alpha: ArrayLike = 0.5, shift: ArrayLike = 0.0, gamma: ArrayLike = 1.0, beta: ArrayLike = 0.0
) -> Array:
    """Dynamic erf: gamma * erf(alpha * x + shift) + beta.

    It replaces a normalisation. Then alpha and shift are one learned number each, and gamma and beta are one per
    channel. f'(x) = 2 / sqrt(pi) gamma alpha exp(-(alpha x + shift)^2), and f(+-inf) = +-gamma + beta for a positive
    alpha. The backward pass keeps x.

    Args:
      x: real array of any shape; bool and int become the default float.
      alpha: number, or array that broadcasts against x; traced and differentiable, as are the others.
      shift: number, or array that broadcasts against x.
      gamma: number, or array that broadcasts against x.
      beta: number, or array that broadcasts against x.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: Chen et al. 2025, arXiv:2512.10938.

    >>> print(jaxact.derf(jnp.array([-1.0, 0.0, 1.0])).round(2))
    [-0.52  0.    0.52]
    """
    return _derf(x, alpha, shift, gamma, beta)


def _poly_norm_value(axis: int, x: Array, weight: Array, bias: Array, eps: Array) -> Array:
    wide, weight, bias = widen(x), widen(weight), widen(bias)
    # x^6 overflows where the quotient would not, and that does not depend on the scale of x.
    largest = jnp.max(jnp.abs(wide), axis, keepdims=True, initial=None if wide.shape[axis] else 1)
    scale = lax.stop_gradient(jnp.maximum(largest, 1))
    y = bias
    for i in (1, 2, 3):
        y += weight[i - 1] * _normalized(axis)((wide / scale) ** i, widen(eps) / scale ** (2 * i))
    return y.astype(x.dtype)


@functools.cache
def _normalized(axis: int) -> Formula:
    """Make the function of a power and eps that divides the power by its root mean square."""

    def mean(a: Array) -> Array:
        return jnp.mean(a, axis, keepdims=True)

    def value(power: Array, eps: Array) -> Array:
        return power * lax.rsqrt(mean(jnp.square(power)) + eps)

    def differentiate(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
        # Where one entry is nearly all of the row, a hundredth of its tangent is left, and rounding the rest costs 27
        # units. The mean of the power times the result is `along` times eps, so what it is off by is taken off as well.
        (power, eps), (t, t_eps) = primals, tangents
        total = mean(jnp.square(power)) + eps
        along = mean(power * t) / total
        kept = t - along * power
        kept -= ((mean(power * kept) - along * eps) / total + t_eps / (2 * total)) * power
        return exact(power, eps), kept * lax.rsqrt(total)

    exact = by_rule(value, differentiate)
    return exact


_poly_norm_kernel = derivative_rule("poly_norm", _poly_norm_value, by_autodiff(_poly_norm_value), statics=1)


def _poly_norm_traced(x: ArrayLike, weight: ArrayLike, bias: ArrayLike, eps: ArrayLike, *, axis: int) -> Array:
    names = ("x", "weight", "bias", "eps")
    x, weight, bias, eps = (as_float("poly_norm", a, n) for a, n in zip((x, weight, bias, eps), names, strict=True))
    if weight.shape != (3,):
        raise ValueError(
            f"jaxact.poly_norm: expected weight of shape (3,), got {weight.shape}; give one for x, x^2 and x^3"
        )
    (axis,) = canonical_axes("poly_norm", (axis,), x.ndim)
    for name, array in (("bias", bias), ("eps", eps)):
        try:
            jnp.broadcast_to(array, x.shape)
        except ValueError:
            raise ValueError(
                f"jaxact.poly_norm: expected {name} to broadcast to x's shape {x.shape}, got {array.shape}; give it "
                "x's axes"
            ) from None
    return _poly_norm_kernel(axis, x, weight, bias, eps)


_poly_norm = public(
    "poly_norm", jitted("poly_norm", _poly_norm_traced, static_argnames="axis"), ("x", "weight", "bias", "eps")
)


@activation(module="PolyNorm", kind="axis", variants=({"weight": (0.5, 0.25, 0.25)},))
def poly_norm(
    x: ArrayLike,
    weight: ArrayLike | Sequence[float],
    bias: ArrayLike = 0.0,
    eps: ArrayLike = 1e-6,
    axis: int = -1,
) -> Array:
    """Polynomial of normalised powers: sum_i weight[i - 1] x^i / sqrt(mean(x^(2 i)) + eps) + bias, i = 1, 2, 3.

    The mean is along `axis`. 16-bit input is computed in float32. The backward pass keeps x.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      weight: array of shape (3,), or a list of numbers, lowest power first (the paper's code stores the highest first);
        traced and differentiable.
      bias: number, or array that broadcasts against x; traced and differentiable.
      eps: positive number that keeps the root from 0.
      axis: the axis of the means.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x, weight or bias is not a real array, or axis is not an int.
      ValueError: weight has another shape, axis is out of range, or eps is not positive.

    Reference: Zhuo et al. 2024, arXiv:2411.03884.

    >>> print(jaxact.poly_norm(jnp.array([1.0, -1.0]), jnp.array([0.5, 0.25, 0.25])).round(3))
    [ 1.  -0.5]
    """
    check_parameter("poly_norm", "> 0", eps=eps)
    return _poly_norm(x, of_numbers(weight), bias, eps, axis=axis)
