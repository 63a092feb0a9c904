"""The logarithm of a sum of exponentials, which may have weights."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core.checks import as_float, canonical_axes, hashable_axis, widen
from jaxact.core.rows import Axes, as_mask, exponents, log_sum, logits
from jaxact.core.rule import derivative_rule, jitted, may_be_differentiated, public

__all__ = ["logsumexp"]


def _seen(b: Array | None, where: Array | None) -> Array | None:
    """Where an entry takes part. An entry of weight 0 does not, and may be anything."""
    if b is None:
        return where
    return b != 0 if where is None else (b != 0) & where


def _value(axes: Axes, a: Array, b: Array | None, where: Array | None) -> tuple[Array, Array]:
    """The logarithm, and the sum's sign."""
    h, _, m = exponents(axes, logits(a, _seen(b, where)))
    shifted = jnp.isfinite(m)  # the result of a row of -inf is -inf, that of a row with inf or NaN is inf or NaN
    if b is None:
        log, sign = log_sum(axes, h), jnp.where(m == -jnp.inf, 0.0, jnp.where(m == m, 1.0, m))
    else:
        total = axes.sum(jnp.where(b == 0, 0, widen(b) * jnp.exp(h)))
        log, sign = jnp.log(jnp.abs(total)), jnp.where(m == -jnp.inf, 0, jnp.sign(total))
    return jnp.where(shifted, m + log, m).astype(a.dtype), sign.astype(a.dtype)


def _tangent(axes: Axes, kept: Any, tangents: Sequence[Array | None]) -> tuple[Array, Array]:
    a, b, where = kept
    t_a, t_b, _ = tangents
    seen = logits(a, _seen(b, where))
    h, _, m = exponents(axes, seen)
    if b is not None:  # an entry of weight 0 may get another one, so it has a derivative, unless it is NaN
        seen = jnp.where((b == 0) & (a == a), logits(a, where), seen)
        h = jnp.minimum(seen - m, math.floor(math.log(jnp.finfo(h.dtype).max)))
    e = jnp.where(seen == -jnp.inf, 0, jnp.exp(h))  # in a row of -inf alone, h is NaN
    weighted = e if b is None else widen(b) * e
    change: Any = 0
    if t_a is not None:
        change += weighted * jnp.where(seen == -jnp.inf, 0, widen(t_a))
    if t_b is not None:
        change += e * widen(t_b)
    nothing = m == -jnp.inf
    log = axes.sum(change) / jnp.where(nothing, 1, axes.sum(weighted))
    log = jnp.where(nothing, 0, log).astype(a.dtype)
    return log, jnp.zeros_like(log)


def _program(live: int | None) -> Any:
    kernel = derivative_rule("logsumexp", _value, _tangent, statics=1, live=live)

    def traced(
        a: ArrayLike, b: ArrayLike | None, where: ArrayLike | None, axis: Any, keepdims: bool, signed: bool
    ) -> Any:
        given, a = a, as_float("logsumexp", a, "a")
        if b is not None:
            weights = as_float("logsumexp", b, "b")
            # As given, since a weakly typed b leaves a's type; and integers are promoted together, as strict modes ask.
            together = jnp.result_type(given, b)
            dtype, b = together if jnp.issubdtype(together, jnp.floating) else a.dtype, weights
            try:
                shape = jnp.broadcast_shapes(a.shape, b.shape)
            except ValueError:
                raise ValueError(
                    f"jaxact.logsumexp: expected b to broadcast against a, got a of shape {a.shape} and b of shape "
                    f"{b.shape}; give b a's axes"
                ) from None
            a, b = jnp.broadcast_to(a.astype(dtype), shape), jnp.broadcast_to(b.astype(dtype), shape)
        axes = Axes(canonical_axes("logsumexp", axis, a.ndim))
        value, sign = kernel(axes, a, b, None if where is None else as_mask("logsumexp", where, a))
        if not keepdims:
            value, sign = jnp.squeeze(value, axes.numbers), jnp.squeeze(sign, axes.numbers)
        if signed:
            return value, sign
        return value if b is None else jnp.where(sign < 0, jnp.nan, value)

    return jitted("logsumexp", traced, static_argnums=(3, 4, 5))


_constant, _learned = _program(1), _program(None)


def _run(
    a: ArrayLike, b: ArrayLike | None, where: ArrayLike | None, *, axis: Any, keepdims: bool, return_sign: bool
) -> Any:
    program = _learned if b is not None and may_be_differentiated(b) else _constant
    return program(a, b, where, hashable_axis("logsumexp", axis), keepdims, return_sign)


_logsumexp = public(
    "logsumexp",
    _run,
    ("a", "b", "where"),
    lambda a, b, where, **settings: jax.nn.logsumexp(a, b=b, where=where, **settings),
    needed=1,
)


def logsumexp(
    a: ArrayLike,
    axis: int | Sequence[int] | None = None,
    b: ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: ArrayLike | None = None,
) -> Array | tuple[Array, Array]:
    """Logarithm of a sum of exponentials: log(sum_i b_i exp(a_i)).

    The derivative in a is b_i exp(a_i) / sum, and the derivative in b is exp(a_i) / sum. A row of -inf, or one with
    every entry left out, gives -inf with gradient 0; a +inf gives +inf. 16-bit input is computed in float32. The
    backward pass keeps a and b.

    Args:
      a: real array; bool and int become the default float.
      axis: the axis or axes to sum over; None sums over all.
      b: weights that broadcast against a; default 1. An entry of weight 0 takes no part and may be anything.
      keepdims: whether to keep the summed axes with size 1.
      return_sign: whether to return the logarithm of the sum's absolute value, and its sign too.
      where: bool array that broadcasts to a's shape; entries where it is False are left out.

    Returns:
      The logarithm, which is NaN for a negative sum, or, with `return_sign`, the pair (logarithm, sign).

    Raises:
      TypeError: a or b is not a real array, or `where` is not bool.
      ValueError: axis is out of range or repeated, or a shape does not broadcast.

    Reference: jax.nn.logsumexp.

    >>> print(jaxact.logsumexp(jnp.array([1000.0, 1000.0])))
    1000.6932
    """
    return _logsumexp(a, b, where, axis=axis, keepdims=keepdims, return_sign=return_sign)
