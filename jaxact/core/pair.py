"""A number in two parts: its rounding, and the rest that rounding took off.

The derivative of a pair is the number's. `high` has all of that derivative and `low` has none, whatever operations made
the two. So no repair of a rounding is ever differentiated, and derivatives of every order are right.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxact.core.derivative import by_rule


class Pair(NamedTuple):
    """The number high + low, where |low| is at most half an ulp of high or little more."""

    high: Array
    low: Array


def _of(number: Callable[..., Array]) -> Callable[[Callable[..., Pair]], Callable[..., Pair]]:
    """Give arithmetic on pairs the derivative of the number that it computes."""

    def decorate(parts: Callable[..., Pair]) -> Callable[..., Pair]:
        def differentiate(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Pair, Pair]:
            pair = exact(*primals)
            t = jax.jvp(number, primals, tangents)[1]
            return pair, Pair(t, jnp.zeros_like(t))

        exact = by_rule(parts, differentiate)
        return exact

    return decorate


@_of(lambda a, b: a - b)
def difference(a: Array, b: Array) -> Pair:
    """Return a - b, exactly. Where that is infinite or NaN, low is 0."""
    high = a - b
    part = high - a
    low = (a - (high - part)) - (b + part)
    return Pair(high, jnp.where(jnp.abs(low) < jnp.inf, low, 0))


@_of(lambda high, low: high + low)
def normalized(high: Array, low: Array) -> Pair:
    """Return high + low for |low| < |high| as a pair whose low is less than an ulp of its high."""
    total = high + low
    return Pair(total, low - (total - high))


def product(a: Array, b: Array | float) -> Pair:
    """Return a b, exactly, for a of moderate size. b may be a Python float with more digits than a has."""
    if not isinstance(b, float):
        return _product(a, b, leading_bits(b))
    factor = np.asarray(b, a.dtype)
    high, low = _product(a, factor, leading_bits(factor))
    return Pair(high, low + (b - float(factor)) * a)


@_of(lambda a, b, b_high: a * b)
def _product(a: Array, b: Array | np.ndarray, b_high: Array | np.ndarray) -> Pair:
    high, a_high = a * b, leading_bits(a)
    return Pair(high, ((a_high * b_high - high) + a_high * (b - b_high)) + (a - a_high) * b)


@_of(lambda high, low, divisor: (high + low) / divisor)
def quotient(high: Array, low: Array, divisor: Array) -> Pair:
    """(high + low) / divisor, to the square of an ulp. Where that is infinite or NaN, low is 0."""
    q = high / divisor
    p, rest = _product(q, divisor, leading_bits(divisor))
    low = (((high - p) - rest) + low) / divisor
    return Pair(q, jnp.where(jnp.abs(low) < jnp.inf, low, 0))


def leading_bits(x: Any, count: int | None = None) -> Any:
    """Truncate x to half of its significant bits, or to `count`, so that products of such numbers are exact.

    The result is a constant to autodiff, so that x - leading_bits(x) has the derivative of x. A NumPy array gives a
    NumPy array, since Triton cannot take the bits of a literal.
    """
    kind, bits = (np.int32, 24) if x.dtype == jnp.float32 else (np.int64, 53)
    mask = np.asarray(-(1 << (bits - (bits // 2 if count is None else count))), kind)
    if isinstance(x, np.ndarray):
        return (x.view(kind) & mask).view(x.dtype)
    return lax.bitcast_convert_type(lax.bitcast_convert_type(x, kind) & mask, x.dtype)


LOG_2 = (0.693359375, -2.1219444005469057e-4)  # 355 / 512, whose product with a whole n is exact, and the rest


def whole(x: Array) -> tuple[Array, Array]:
    """Return x rounded to a whole n from -127 to 127 (in float64 -1023 to 1023), and 2^n, which is 0 for the least n.

    Adding a power of two rounds x, and n is in the last bits of the sum. Integer arithmetic extracts them, since a
    compiler may cancel an added constant against a subtracted one.
    """
    kind, mantissa, bias = (jnp.int32, 23, 127) if x.dtype == jnp.float32 else (jnp.int64, 52, 1023)
    offset = 1.5 * 2.0**mantissa + bias
    bits = lax.bitcast_convert_type(x + offset, kind)
    n = (bits - np.asarray(offset, x.dtype).view(kind).item()).astype(x.dtype)
    power = lax.bitcast_convert_type(bits << mantissa, x.dtype)
    return (_weakly(n), _weakly(power)) if x.weak_type else (n, power)


def _weakly(x: Array) -> Array:
    """Make the result weakly typed if x is, as in jax.nn; a number that was made from bits is not."""
    return lax.convert_element_type_p.bind(x, new_dtype=x.dtype, weak_type=True, sharding=None)
