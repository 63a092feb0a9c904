"""Functions along an axis that give exact zeros, and whose rows do not sum to 1."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import ndtri
from jax.typing import ArrayLike

from jaxact.core.catalog import activation
from jaxact.core.checks import check_parameter, widen
from jaxact.core.numerics import expm1, finite
from jaxact.core.rows import Axes, along_axis
from jaxact.core.rule import by_autodiff, derivative_rule

__all__ = ["gaussian_topk", "softpick"]


def _softpick_shares(axes: Axes, x: Array, where: Array | None, epsilon: Array) -> tuple[Array, ...]:
    """The shares of positive logits, and three others that the derivative needs.

    These are the shares of negative logits, and the shares of all with two other numerators: +-exp(x), which is the
    derivative of |exp(x) - 1|, and 1.
    """
    valid = x != -jnp.inf if where is None else (x != -jnp.inf) & where
    wide = jnp.where(valid, finite(widen(x)), 0)  # a logit of 0 has share 0 too
    positive = jnp.where(wide > 0, wide, 0)
    m = axes.max(positive)
    e, one = jnp.exp(positive - m), jnp.exp(-m)
    size = e * -expm1(-jnp.minimum(jnp.abs(wide), 100))  # |exp(x) - 1| / exp(m)
    total = axes.sum(size) + epsilon * one
    total = jnp.where(total == 0, 1, total)
    y, rest = (jnp.where(side, 0, size) / total for side in (wide <= 0, wide > 0))
    slope = jnp.sign(wide) * e * jnp.exp(jnp.minimum(wide, 0)) / total
    return y.astype(x.dtype), rest, slope, one / total


def _softpick_tangent(axes: Axes, kept: Any, tangents: Sequence[Array | None]) -> tuple[Array, ...]:
    """Each share is a numerator over the total, so its tangent has two terms: the numerator's, and the total's.

    The two cancel in a share near 1, so there the sum of the other shares stands for 1 less the share.
    """
    x, where, epsilon = kept
    t, _, t_epsilon = tangents
    y, rest, slope, one = _softpick_kernel(axes, widen(x), where, epsilon)
    share = y + rest
    heavy = share > 0.5
    t = jnp.zeros_like(share) if t is None else jnp.where(share == 0, 0, widen(t))
    moved = slope * t
    others = axes.sum(jnp.where(heavy, 0, moved))
    others = others if t_epsilon is None else others + one * t_epsilon
    total = others + axes.sum(jnp.where(heavy, moved, 0))
    left = axes.sum(jnp.where(heavy, 0, share)) + epsilon * one
    change = jnp.where(heavy, left * moved - share * others, moved - share * total)
    slope_change = slope * jnp.where(heavy & (slope > 0), (left - one) * t - others, t - total)
    y_change, rest_change = (jnp.where(part == 0, 0, change) for part in (y, rest))
    return y_change.astype(x.dtype), rest_change, slope_change, -one * total


_softpick_kernel = derivative_rule("softpick", _softpick_shares, _softpick_tangent, statics=1)
_softpick = along_axis("softpick", _softpick_shares, _softpick_tangent, parameters=("epsilon",))


@activation(module="Softpick", kind="axis", range=(0.0, 1.0))
def softpick(
    x: ArrayLike, axis: int | Sequence[int] = -1, where: ArrayLike | None = None, *, epsilon: ArrayLike = 1e-6
) -> Array:
    """Softpick: max(exp(x_i) - 1, 0) / (sum_j |exp(x_j) - 1| + epsilon).

    A row need not sum to 1: negative logits give exactly 0 and still count in the sum, so that a head of attention can
    attend to nothing. The derivative at the kink 0 is 0, and the backward pass keeps x. Logits of -inf, and entries
    that `where` leaves out, count as if they were not there. Logits of +inf share their row equally. 16-bit input is
    computed in float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, of a row.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.
      epsilon: number >= 0, or array with one value per row (the row's axis has size 1), which decides rows of zeros.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` is not bool.
      ValueError: axis is out of range or repeated, epsilon is negative, or a shape does not broadcast.

    Reference: Zuhri et al. 2025, arXiv:2504.20966.

    >>> round(float(jaxact.softpick(jnp.array([1.0, 0.0, -1.0]))[0]), 4)
    0.7311
    """
    check_parameter("softpick", ">= 0", epsilon=epsilon)
    return _softpick(x, where, epsilon, axis=axis)


def _gaussian_topk_value(axes: Axes, x: Array, where: None, sparsity: Array) -> Array:
    wide = finite(widen(x)) / 4  # so that no difference overflows
    count = math.prod(x.shape[i] for i in axes.numbers)
    apart = wide - axes.sum(wide / count)
    scale = axes.max(jnp.abs(apart))
    scale = jnp.where(scale == 0, 1, scale)  # squares would overflow
    variance = axes.sum(jnp.square(apart / scale)) / count
    deviation = jnp.where(variance == 0, 0, scale * jnp.sqrt(jnp.where(variance == 0, 1, variance)))
    above = 4 * (apart - deviation * ndtri(sparsity))
    return jnp.where(above <= 0, 0, above).astype(x.dtype)  # keeps NaN


_gaussian_topk = along_axis(
    "gaussian_topk", _gaussian_topk_value, by_autodiff(_gaussian_topk_value), parameters=("sparsity",)
)


@activation(module="GaussianTopK", kind="axis", range=(0.0, math.inf))
def gaussian_topk(x: ArrayLike, sparsity: ArrayLike = 0.95, axis: int | Sequence[int] = -1) -> Array:
    """Gaussian top-k: max(x_i - (mean + std * PhiInverse(sparsity)), 0), with mean and standard deviation of the row.

    If the row is Gaussian, the share `sparsity` of it becomes 0, so this finds the top k without sorting. Phi is the
    normal distribution function, and std is the population's. Gradients flow through both statistics, but a row of
    equal entries has std 0 and passes no gradient through it. The derivative at the kink is 0, and the backward pass
    keeps x. +-inf count as the largest finite numbers. 16-bit input is computed in float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      sparsity: number in (0, 1), or array with one value per row (the row's axis has size 1); traced and
        differentiable.
      axis: the axis, or axes, of a row.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: axis is out of range or repeated, or sparsity is not in (0, 1) or does not broadcast.

    Reference: Gemma 3n in transformers, `activation_sparsity_pattern`; You et al. 2025, arXiv:2506.06644.

    >>> print(jaxact.gaussian_topk(jnp.array([0.0, 1.0, 2.0, 7.0])).round(3))
    [0.    0.    0.    0.071]
    """
    check_parameter("gaussian_topk", "in (0, 1)", sparsity=sparsity)
    return _gaussian_topk(x, None, sparsity, axis=axis)
