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
from jaxact.core.rows import Axes, centred
from jaxact.core.rule import along_axis, by_autodiff, derivative_rule

__all__ = ["gaussian_topk", "softpick"]


def _softpick_shares(axes: Axes, x: Array, where: Array | None, epsilon: Array) -> tuple[Array, Array, Array]:
    """The shares of positive logits; those of negative ones, which are not returned; and epsilon's."""
    valid = x != -jnp.inf if where is None else (x != -jnp.inf) & where
    wide = jnp.where(valid, finite(widen(x)), 0)  # whose share is 0, too
    positive = jnp.where(wide > 0, wide, 0)
    m = axes.max(positive)
    size = jnp.exp(positive - m) * -expm1(-jnp.minimum(jnp.abs(wide), 100))  # |exp(x) - 1| / exp(m)
    constant = epsilon * jnp.exp(-m)
    total = axes.sum(size) + constant
    total = jnp.where(total == 0, 1, total)
    y, rest = (jnp.where(side, 0, size) / total for side in (wide <= 0, wide > 0))
    return y.astype(x.dtype), rest, constant / total


def _softpick_tangent(axes: Axes, kept: Any, tangents: Sequence[Array | None]) -> tuple[Array, ...]:
    """A softmax's, whose sink is epsilon: a share changes by itself times exp(x) / (exp(x) - 1) t less the mean."""
    x, where, epsilon = kept
    t, _, t_epsilon = tangents
    y, rest, constant = _softpick_kernel(axes, widen(x), where, epsilon)
    if t is None:
        change = jnp.zeros_like(y)
    else:
        change = jnp.where(y + rest == 0, 0, widen(t) / jnp.where(y + rest == 0, 1, -jnp.expm1(-finite(widen(x)))))
    unit = jnp.where(epsilon == 0, 1, epsilon)
    moved = jnp.zeros_like(constant) if t_epsilon is None else t_epsilon / unit
    change, moved = centred(axes, (y + rest, constant), (change, moved))
    return (y * change).astype(x.dtype), rest * change, constant * moved


_softpick_kernel = derivative_rule("softpick", _softpick_shares, _softpick_tangent, statics=1)
_softpick = along_axis("softpick", _softpick_shares, _softpick_tangent, parameters=("epsilon",))


@activation(module="Softpick", kind="axis", range=(0.0, 1.0))
def softpick(
    x: ArrayLike, axis: int | Sequence[int] = -1, where: ArrayLike | None = None, *, epsilon: ArrayLike = 1e-6
) -> Array:
    """Softpick: max(exp(x_i) - 1, 0) / (sum_j |exp(x_j) - 1| + epsilon).

    A row need not sum to 1: negative logits give exactly 0 and still count in the sum, so that a head of attention can
    attend to nothing. The derivative at the kink 0 is 0; the backward pass keeps x. -inf logits and entries left out
    by `where` count as if they were not there. +inf logits share their row equally. 16-bit input is computed in
    float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, of a row.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.
      epsilon: number of 0 or more, or array of one value a row (the row's axis of size 1), which decides rows of zeros.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` not bool.
      ValueError: axis is out of range or repeated, epsilon is negative, or a shape does not broadcast.

    Reference: Zuhri et al. 2025, arXiv:2504.20966.

    >>> round(float(jaxact.softpick(jnp.array([1.0, 0.0, -1.0]))[0]), 4)
    0.7311
    """
    check_parameter("softpick", ">= 0", epsilon=epsilon)
    return _softpick(x, where, epsilon, axis=axis)


def _gaussian_topk_value(axes: Axes, x: Array, where: None, sparsity: Array) -> Array:
    wide = finite(widen(x))
    count = math.prod(x.shape[i] for i in axes.numbers)
    apart = wide - axes.sum(wide / count)
    scale = axes.max(jnp.abs(apart))
    scale = jnp.where(scale == 0, 1, scale)  # squares would overflow
    variance = axes.sum(jnp.square(apart / scale)) / count
    deviation = jnp.where(variance == 0, 0, scale * jnp.sqrt(jnp.where(variance == 0, 1, variance)))
    above = apart - deviation * ndtri(sparsity)
    return jnp.where(above <= 0, 0, above).astype(x.dtype)  # keeps NaN


_gaussian_topk = along_axis(
    "gaussian_topk", _gaussian_topk_value, by_autodiff(_gaussian_topk_value), parameters=("sparsity",)
)


@activation(module="GaussianTopK", kind="axis", range=(0.0, math.inf))
def gaussian_topk(x: ArrayLike, sparsity: ArrayLike = 0.95, axis: int | Sequence[int] = -1) -> Array:
    """Gaussian top-k: max(x_i - (mean + std * PhiInverse(sparsity)), 0), with mean and standard deviation of the row.

    Were the row Gaussian, a share `sparsity` of it would become 0: the top k without sorting. Phi is the normal
    distribution function, and std the population's. Gradients flow through both statistics; a row of equal entries has
    std 0 and takes no gradient through it. The derivative at the kink is 0, and the backward pass keeps x. +-inf count
    as the largest finite numbers. 16-bit input is computed in float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      sparsity: number in (0, 1), or array of one value a row (the row's axis of size 1); traced and differentiable.
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
