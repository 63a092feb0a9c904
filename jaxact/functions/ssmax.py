"""Scalable softmax: as sharp in a long row as in a short one."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core.catalog import activation
from jaxact.core.checks import as_array, widen
from jaxact.core.rows import Axes, along_axis, exponents, logits
from jaxact.functions.softmax import shares_tangent

__all__ = ["ssmax"]


def _ssmax_shares(axes: Axes, x: Array, where: Array | None, scale: Array) -> tuple[Array, Array]:
    """The probabilities, and the factor of each row's logits.

    The factor multiplies differences from the largest logit, since two rounded products would cost their difference an
    ulp of each: 8 units of the slope. A factor of 0 counts as the smallest number, since -inf times 0 is NaN.
    """
    wide = logits(x, where)
    seen = wide != -jnp.inf
    factor = scale * jnp.log(jnp.maximum(axes.sum(seen, wide.dtype), 1))
    turned = jnp.where(seen, jnp.sign(factor) * wide, -jnp.inf)
    h, _, _ = exponents(axes, turned)
    e = jnp.exp(h * jnp.maximum(jnp.abs(factor), jnp.finfo(h.dtype).tiny))
    return jnp.where(seen, e / axes.sum(e), 0).astype(x.dtype), factor


def _keep_ssmax(axes: Axes, primals: Sequence[Any], outputs: tuple[Array, ...], asked: Sequence[bool]) -> Any:
    """Keep the probabilities and the factor, and x too where the scale is differentiated."""
    return outputs, (primals[:2] if any(asked[2:]) else None)


def _ssmax_tangent(axes: Axes, kept: Any, tangents: Sequence[Array | None]) -> tuple[Array, Array]:
    """Softmax's tangent, along the tangent of the multiplied logits."""
    (y, factor), row = kept
    t, _, t_scale = tangents
    change = jnp.zeros(y.shape, factor.dtype) if t is None else factor * widen(t)
    moved = jnp.zeros_like(factor)
    if t_scale is not None:
        wide = logits(*row)
        seen = wide != -jnp.inf
        moved = t_scale * jnp.log(jnp.maximum(axes.sum(seen, wide.dtype), 1))
        change += jnp.where(seen, wide, 0) * moved
    (along,) = shares_tangent(axes, ((y,), (None, None)), (change,))
    return along, moved


_ssmax = along_axis("ssmax", _ssmax_shares, _ssmax_tangent, _keep_ssmax, parameters=("scale",))


@activation(module="SSMax", kind="axis", range=(0.0, 1.0), keeps=0.0, variants=({"scale": 0.43},))
def ssmax(
    x: ArrayLike, scale: ArrayLike = 1.0, axis: int | Sequence[int] = -1, where: ArrayLike | None = None
) -> Array:
    """Scalable softmax: n^(scale x_i) / sum_j n^(scale x_j) of n entries, the softmax of scale log(n) x.

    Softmax, and attention with it, gets flatter as a row gets longer; this function does not. n is the number of
    entries that are not -inf and that `where` does not leave out, so that under a causal mask it is each query's number
    of keys. The derivative along a tangent t is scale log(n) y (t - sum(y t)); the backward pass keeps y, and x too
    where the scale is differentiated. Logits of -inf, and entries that `where` leaves out, give 0 with gradient 0; a
    row without other entries is all 0. A logit of +inf makes its row NaN. 16-bit input is computed in float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      scale: number, or array with one value per row (the row's axis has size 1), such as one learned number per head;
        traced and differentiable.
      axis: the axis, or axes, that sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` is not bool.
      ValueError: axis is out of range or repeated, or a shape does not broadcast.

    Reference: Nakanishi 2025, arXiv:2501.19399.

    >>> print(jaxact.ssmax(jnp.array([0.0, 1.0, 2.0, 3.0])).round(4))
    [0.0118 0.0471 0.1882 0.7529]
    """
    return _ssmax(x, where, as_array("ssmax", scale, "scale"), axis=axis)
