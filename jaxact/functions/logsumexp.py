"""The logarithm of a sum of exponentials, weighted if wished."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from jaxact.core.checks import as_array, as_float, canonical_axes, widen
from jaxact.core.exponentials import count_and_rest, exponent, exponential, largest, seen
from jaxact.core.rowwise import Axes, as_mask

__all__ = ["logsumexp"]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _logsumexp_kernel(axes: Axes, a: Array, b: Array | None, where: Array | None) -> tuple[Array, Array]:
    e, m = _exponentials(axes, a, where)
    if b is None:
        count, others = count_and_rest(axes, e)
        log, sign = jnp.log1p((count - 1) + others), jnp.sign(count + others)  # of nothing -inf and 0
    else:
        total = axes.sum(jnp.where(e == 0, 0, widen(b) * e))
        log, sign = jnp.log(jnp.abs(total)), jnp.sign(total)
    return (m + log).astype(a.dtype), sign.astype(a.dtype)


def _exponentials(axes: Axes, x: Array, where: Array | None) -> tuple[Array, Array]:
    """exp(x - m) with 0 for what is left out, and the row's maximum m (0 for -inf)."""
    x = seen(x, where)
    m = largest(axes, x, None)
    return exponential(*exponent(x, m, None)), m


@functools.partial(_logsumexp_kernel.defjvp, symbolic_zeros=True)
def _logsumexp_jvp(
    axes: Axes, primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    a, b, where = primals
    t_a, t_b, _ = tangents
    value, sign = _logsumexp_kernel(axes, *primals)
    live_a, live_b = (None if isinstance(t, SymbolicZero) else t for t in (t_a, t_b))

    @functools.partial(jax.checkpoint, prevent_cse=False)  # keeps a and b
    def tangent(a: Array, b: Array | None, where: Array | None, t_a: Array | None, t_b: Array | None) -> Array:
        e, _ = _exponentials(axes, a, where)
        weighted = e if b is None else jnp.where(e == 0, 0, widen(b) * e)
        total = axes.sum(weighted)
        total = jnp.where(total == 0, 1, total)
        terms = jnp.zeros_like(e)
        if t_a is not None:
            terms += jnp.where(e == 0, 0, weighted * widen(t_a))
        if t_b is not None:
            terms += e * widen(t_b)
        return (axes.sum(terms) / total).astype(a.dtype)

    return (value, sign), (tangent(a, b, where, live_a, live_b), jnp.zeros_like(sign))


@functools.partial(jax.jit, static_argnames=("axis", "keepdims", "return_sign"))
def _logsumexp(
    a: ArrayLike,
    axis: int | Sequence[int] | None,
    b: ArrayLike | None,
    keepdims: bool,
    return_sign: bool,
    where: ArrayLike | None,
) -> Array | tuple[Array, Array]:
    a = as_float("logsumexp", a, "a")
    if b is not None:
        b = as_float("logsumexp", b, "b")
        dtype = jnp.promote_types(a.dtype, b.dtype)
        shape = jnp.broadcast_shapes(a.shape, b.shape)
        a, b = jnp.broadcast_to(a.astype(dtype), shape), jnp.broadcast_to(b.astype(dtype), shape)
    axes = Axes(canonical_axes("logsumexp", axis, a.ndim))
    value, sign = _logsumexp_kernel(axes, a, b, None if where is None else as_mask("logsumexp", where, a))
    if not keepdims:
        value, sign = jnp.squeeze(value, axes.numbers), jnp.squeeze(sign, axes.numbers)
    if return_sign:
        return value, sign
    return value if b is None else jnp.where(sign < 0, jnp.nan, value)


def logsumexp(
    a: ArrayLike,
    axis: int | Sequence[int] | None = None,
    b: ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: ArrayLike | None = None,
) -> Array | tuple[Array, Array]:
    """Logarithm of a sum of exponentials: log(sum_i b_i exp(a_i)).

    The derivative in a is b_i exp(a_i) / sum, in b exp(a_i) / sum. A row of -inf, or with every entry left out,
    gives -inf with gradient 0; a +inf gives +inf. 16-bit input is computed in float32; the backward pass keeps a and b.

    Args:
      a: real array; bool and int become the default float.
      axis: the axis or axes to sum over; None sums over all.
      b: weights that broadcast against a; default 1.
      keepdims: whether to keep the summed axes with size 1.
      return_sign: whether to return the sign of the sum too, and the logarithm of its absolute value.
      where: bool array that broadcasts to a's shape; entries where it is False are left out.

    Returns:
      The logarithm (NaN for a negative sum), or with `return_sign` the pair (logarithm, sign).

    Raises:
      TypeError: a or b is not a real array, or `where` not bool.
      ValueError: axis is out of range or repeated, or a shape does not broadcast.

    Reference: jax.nn.logsumexp.

    >>> print(jaxact.logsumexp(jnp.array([1000.0, 1000.0])))
    1000.6932
    """
    return _logsumexp(
        as_array("logsumexp", a, "a"), tuple(axis) if isinstance(axis, list) else axis, b, keepdims, return_sign, where
    )
