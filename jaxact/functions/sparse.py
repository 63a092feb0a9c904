"""Functions along an axis that give exact zeros, and whose rows do not sum to 1."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.custom_derivatives import SymbolicZero
from jax.scipy.special import ndtri
from jax.typing import ArrayLike

from jaxact.core.catalog import activation
from jaxact.core.checks import as_array, check_parameter, widen
from jaxact.core.numerics import difference, expm1, finite
from jaxact.core.rowwise import Axes, along_axis

__all__ = ["gaussian_topk", "softpick"]


def _keep_input(name: str, formula: Callable[..., Array]) -> Callable[..., Array]:
    """Make a function along an axis of a formula that autodiff gets right, but which shall keep x alone."""

    def value(axes: Axes, x: Array, where: Array | None, parameter: Array) -> Array:
        return formula(axes, widen(x), where, parameter).astype(x.dtype)

    def differentiate(axes: Axes, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
        x, where, parameter = primals
        t, t_parameter = (
            jnp.zeros(p.shape, p.dtype) if isinstance(t, SymbolicZero) else t
            for p, t in ((x, tangents[0]), (parameter, tangents[2]))
        )

        @functools.partial(jax.checkpoint, prevent_cse=False)
        def tangent(x: Array, where: Array | None, parameter: Array, t: Array, t_parameter: Array) -> Array:
            return jax.jvp(lambda x, p: value(axes, x, where, p), (x, parameter), (t, t_parameter))[1]

        return kernel(axes, *primals), tangent(x, where, parameter, t, t_parameter)

    value.__name__ = value.__qualname__ = name
    kernel = jax.custom_jvp(value, nondiff_argnums=(0,))
    kernel.defjvp(differentiate, symbolic_zeros=True)
    return along_axis(name, lambda axes, x, where, **parameter: kernel(axes, x, where, *parameter.values()))


def _softpick_formula(axes: Axes, x: Array, where: Array | None, epsilon: Array) -> Array:
    valid = x != -jnp.inf if where is None else (x != -jnp.inf) & where
    x = jnp.where(valid, finite(x), 0)  # whose share is 0, too
    positive = jnp.where(x > 0, x, 0)
    m = axes.max(positive)
    high, low = difference(positive, m)
    e = jnp.exp(high)
    magnitude = jnp.minimum(jnp.sign(x) * x, 100)  # with slope 0 at 0, where abs has slope 1
    size = (e + e * low) * -expm1(-magnitude)  # |exp(x) - 1| / exp(m)
    total = axes.sum(size) + epsilon * jnp.exp(-m)
    return jnp.where(x > 0, size, 0) / jnp.where(total == 0, 1, total)


_softpick = _keep_input("softpick", _softpick_formula)


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
    return _softpick(x, axis, where, epsilon=epsilon)


def _gaussian_topk_formula(axes: Axes, x: Array, where: None, sparsity: Array) -> Array:
    x = finite(x)
    count = math.prod(x.shape[i] for i in axes.numbers)
    centred = x - axes.sum(x / count)
    scale = axes.max(jnp.abs(centred))
    scale = jnp.where(scale > 0, scale, 1)  # squares would overflow
    variance = axes.sum(jnp.square(centred / scale)) / count
    deviation = jnp.where(variance > 0, scale * jnp.sqrt(jnp.where(variance > 0, variance, 1)), 0)
    above = centred - deviation * ndtri(sparsity)
    return jnp.where(above <= 0, 0, above)  # keeps NaN


_gaussian_topk = _keep_input("gaussian_topk", _gaussian_topk_formula)


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
    if not isinstance(sparsity, Tracer):
        value = np.asarray(as_array("gaussian_topk", sparsity, "sparsity"))
        if not ((value > 0) & (value < 1)).all():
            raise ValueError(
                f"jaxact.gaussian_topk: expected sparsity in (0, 1), got {sparsity}; 0.95 leaves about a twentieth"
            )
    return _gaussian_topk(x, axis, sparsity=sparsity)
