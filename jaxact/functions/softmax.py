"""Softmax and its kin: functions of a whole row, along one axis or several.

All accumulate in float32 for 16-bit input. -inf logits and entries left out by `where` have probability 0 and gradient
0, also where a row has nothing else; +inf logits share their row equally.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from jaxact.core.catalog import activation
from jaxact.core.checks import as_array, as_float, canonical_axes, check_parameter, widen, working_dtype

__all__ = ["log_softmax", "logsumexp", "softmax"]

_sum = functools.partial(jnp.sum, keepdims=True)


def _divided(x: Array, temperature: Array | None) -> Array:
    """X / temperature in working precision."""
    x = widen(x)
    return x if temperature is None else x / temperature.astype(x.dtype)


def _exponentials(z: Array, where: Array | None, axes: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Return exp(z - m) with 0 for what is left out, z - m, and the row's maximum m."""
    valid = z != -jnp.inf if where is None else (z != -jnp.inf) & where
    m = jnp.max(jnp.where(valid, z, -jnp.inf), axes, keepdims=True)
    shifted = jnp.where(z == m, 0, z - m)  # inf - inf is NaN
    return jnp.where(valid, jnp.exp(shifted), 0), jnp.where(valid, shifted, -jnp.inf), m


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _softmax_kernel(axes: tuple[int, ...], x: Array, temperature: Array | None, where: Array | None) -> Array:
    e, _, _ = _exponentials(_divided(x, temperature), where, axes)
    total = _sum(e, axes)
    return (e / jnp.where(total == 0, 1, total)).astype(x.dtype)


@functools.partial(_softmax_kernel.defjvp, symbolic_zeros=True)
def _softmax_jvp(axes: tuple[int, ...], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    x, temperature, _ = primals
    y = _softmax_kernel(axes, *primals)

    @functools.partial(jax.checkpoint, prevent_cse=False)  # keeps y alone
    def tangent(y: Array, t: Array) -> Array:
        wide = widen(y)
        total = _sum(wide, axes)
        total = jnp.where(total == 0, 1, total)
        t = jnp.where(y == 0, 0, t)
        # t - sum(y t) cancels where one entry has nearly all of the row. Subtracting the mean first and what is left
        # of it then gives the small difference to full precision. The division makes the result sum to 0 also
        # when y was rounded to 16 bits.
        centred = t - _sum(wide * t, axes) / total
        return (wide * (centred - _sum(wide * centred, axes) / total)).astype(y.dtype)

    return y, tangent(y, _tangent_of_quotient(x, temperature, tangents))


def _tangent_of_quotient(x: Array, temperature: Array | None, tangents: tuple[Any, ...]) -> Array:
    """The tangent of x / temperature, with 0 at infinite x in the part that comes from the temperature."""
    t, t_temperature, _ = tangents
    result = jnp.zeros(x.shape, working_dtype(x.dtype)) if isinstance(t, SymbolicZero) else _divided(t, temperature)
    if temperature is not None and not isinstance(t_temperature, SymbolicZero):
        z = _divided(jnp.where(jnp.isinf(x), 0, x), temperature)
        result -= z * _divided(jnp.broadcast_to(t_temperature, z.shape).astype(z.dtype), temperature)
    return result


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_softmax_kernel(axes: tuple[int, ...], x: Array, temperature: Array | None, where: Array | None) -> Array:
    return _log_softmax_parts(axes, x, temperature, where)[0]


def _log_softmax_parts(
    axes: tuple[int, ...], x: Array, temperature: Array | None, where: Array | None
) -> tuple[Array, Array, Array]:
    """Return the value and, for the backward pass, the row's maximum and sum of exponentials."""
    e, shifted, m = _exponentials(_divided(x, temperature), where, axes)
    # log(sum(e)) is 0 where the largest entry leaves less than an ulp to the others, but log1p of the others is not.
    largest = shifted == 0
    count = _sum(largest, axes, dtype=e.dtype)
    others = _sum(jnp.where(largest, 0, e), axes)
    return (shifted - jnp.log1p((count - 1) + others)).astype(x.dtype), m, count + others


@functools.partial(_log_softmax_kernel.defjvp, symbolic_zeros=True)
def _log_softmax_jvp(axes: tuple[int, ...], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    x, temperature, where = primals
    out, m, total = _log_softmax_parts(axes, *primals)

    @functools.partial(jax.checkpoint, prevent_cse=False)  # keeps x, and two numbers a row
    def tangent(x: Array, m: Array, total: Array, temperature: Array | None, where: Array | None, t: Array) -> Array:
        z = _divided(x, temperature)
        valid = z != -jnp.inf if where is None else (z != -jnp.inf) & where
        y = jnp.where(valid, jnp.exp(jnp.where(z == m, 0, z - m)) / jnp.where(total == 0, 1, total), 0)
        t = jnp.where(valid, t, 0)
        centred = jnp.where(valid, t - _sum(y * t, axes), 0)  # twice, as in softmax
        return jnp.where(valid, centred - _sum(y * centred, axes), 0).astype(x.dtype)

    return out, tangent(x, m, total, temperature, where, _tangent_of_quotient(x, temperature, tangents))


def _along_axis(name: str, kernel: Callable[..., Array]) -> Callable[..., Array]:
    """Make the jitted function `(x, axis, where, temperature)` that checks its arguments and calls `kernel`."""

    def traced(
        x: ArrayLike, axis: int | Sequence[int], where: ArrayLike | None, temperature: ArrayLike | None
    ) -> Array:
        x = as_float(name, x)
        axes = canonical_axes(name, axis, x.ndim)
        mask = None if where is None else _mask(name, where, x)
        if temperature is not None:
            temperature = as_float(name, temperature, "temperature")
            if jnp.broadcast_shapes(x.shape, temperature.shape) != x.shape:
                raise ValueError(
                    f"jaxact.{name}: expected temperature to broadcast to x's {x.shape}, got {temperature.shape}; "
                    "for one temperature a row, keep the row's axis with size 1"
                )
            temperature = jnp.reshape(temperature, (1,) * (x.ndim - temperature.ndim) + temperature.shape)
        return kernel(axes, x, temperature, mask)

    traced.__name__ = traced.__qualname__ = name
    jitted = jax.jit(traced, static_argnums=1)

    def call(x: ArrayLike, axis: int | Sequence[int], where: ArrayLike | None, temperature: ArrayLike | None) -> Array:
        if temperature is not None:
            check_parameter(name, "> 0", temperature=temperature)
        return jitted(as_array(name, x), tuple(axis) if isinstance(axis, list) else axis, where, temperature)

    return call


def _mask(who: str, where: ArrayLike, x: Array) -> Array:
    """Return `where` as a bool array with the rank of x."""
    mask = jnp.asarray(where)
    if mask.dtype != jnp.bool_:
        raise TypeError(
            f"jaxact.{who}: expected where to be a bool array, got {mask.dtype}; compare it, as in where > 0"
        )
    try:
        return jnp.broadcast_to(mask, x.shape)
    except ValueError:
        raise ValueError(
            f"jaxact.{who}: expected where to broadcast to x's shape {x.shape}, got {mask.shape}; give it x's axes"
        ) from None


_softmax = _along_axis("softmax", _softmax_kernel)
_log_softmax = _along_axis("log_softmax", _log_softmax_kernel)


@activation(
    module="Softmax",
    kind="axis",
    range=(0.0, 1.0),
    elsewhere={"torch": {"softmax": {}, "Softmax": {}}, "keras": {"softmax": {}}},
)
def softmax(
    x: ArrayLike,
    axis: int | Sequence[int] = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike | None = None,
) -> Array:
    """Softmax: exp(x_i / T) / sum_j exp(x_j / T).

    The derivative of y along a tangent t is y (t - sum(y t) / sum(y)) / T; the backward pass keeps y alone. -inf
    logits and entries left out by `where` give 0 with gradient 0, so a row of nothing else is all 0. +inf logits
    share their row equally. 16-bit input is computed in float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, that sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.
      temperature: positive number, or array that broadcasts to x's shape; traced and differentiable. More than 1
        flattens, less sharpens.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` not bool.
      ValueError: axis is out of range or repeated, temperature is not positive, or a shape does not broadcast.

    Reference: jax.nn.softmax; temperature: Guo et al. 2017, arXiv:1706.04599.

    >>> print(jaxact.softmax(jnp.array([1000.0, 1001.0, 1002.0])).round(4))
    [0.09   0.2447 0.6652]
    """
    return _softmax(x, axis, where, temperature)


@activation(
    module="LogSoftmax",
    kind="axis",
    range=(-float("inf"), 0.0),
    elsewhere={"torch": {"log_softmax": {}, "LogSoftmax": {}}, "keras": {"log_softmax": {}}},
)
def log_softmax(
    x: ArrayLike,
    axis: int | Sequence[int] = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike | None = None,
) -> Array:
    """Logarithm of softmax: x_i / T - log(sum_j exp(x_j / T)).

    The derivative along a tangent t is (t - sum(softmax(x) t)) / T; the backward pass keeps x. -inf logits and entries
    left out by `where` give -inf with gradient 0. +inf logits share their row equally. 16-bit input is computed in
    float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, over which probabilities sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.
      temperature: positive number, or array that broadcasts to x's shape; traced and differentiable.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` not bool.
      ValueError: axis is out of range or repeated, temperature is not positive, or a shape does not broadcast.

    Reference: jax.nn.log_softmax.

    >>> print(jaxact.log_softmax(jnp.array([0.0, 0.0])))
    [-0.6931472 -0.6931472]
    """
    return _log_softmax(x, axis, where, temperature)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _logsumexp_kernel(axes: tuple[int, ...], a: Array, b: Array | None, where: Array | None) -> tuple[Array, Array]:
    e, shifted, m = _exponentials(widen(a), where, axes)
    if b is None:
        largest = shifted == 0
        count = _sum(largest, axes, dtype=e.dtype)
        others = _sum(jnp.where(largest, 0, e), axes)
        log, sign = jnp.log1p((count - 1) + others), jnp.sign(count + others)
    else:
        total = _sum(jnp.where(e == 0, 0, widen(b) * e), axes)
        log, sign = jnp.log(jnp.abs(total)), jnp.sign(total)
    return jnp.where(m == -jnp.inf, m, m + log).astype(a.dtype), sign.astype(a.dtype)


@functools.partial(_logsumexp_kernel.defjvp, symbolic_zeros=True)
def _logsumexp_jvp(
    axes: tuple[int, ...], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    a, b, where = primals
    t_a, t_b, _ = tangents
    value, sign = _logsumexp_kernel(axes, *primals)
    live_a, live_b = (None if isinstance(t, SymbolicZero) else t for t in (t_a, t_b))

    @functools.partial(jax.checkpoint, prevent_cse=False)  # keeps a and b
    def tangent(a: Array, b: Array | None, where: Array | None, t_a: Array | None, t_b: Array | None) -> Array:
        e, _, _ = _exponentials(widen(a), where, axes)
        weighted = e if b is None else jnp.where(e == 0, 0, widen(b) * e)
        total = _sum(weighted, axes)
        total = jnp.where(total == 0, 1, total)
        terms = jnp.zeros_like(e)
        if t_a is not None:
            terms += jnp.where(e == 0, 0, weighted * widen(t_a))
        if t_b is not None:
            terms += e * widen(t_b)
        return (_sum(terms, axes) / total).astype(a.dtype)

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
    axes = canonical_axes("logsumexp", axis, a.ndim)
    value, sign = _logsumexp_kernel(axes, a, b, None if where is None else _mask("logsumexp", where, a))
    if not keepdims:
        value, sign = jnp.squeeze(value, axes), jnp.squeeze(sign, axes)
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
