"""A number in two parts: its rounding, and the rest that rounding took off.

The derivative of a pair is that of the number: `high` has all of it and `low` none, whatever operations made the two.
So no repair of a rounding is ever differentiated, and derivatives of every order are right.
"""

from collections.abc import Callable
from typing import NamedTuple

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
    """Give arithmetic on pairs the derivative of the number it computes."""

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
    """A - b, exactly; where that is infinite or NaN, low is 0."""
    high = a - b
    part = high - a
    low = (a - (high - part)) - (b + part)
    return Pair(high, jnp.where(jnp.abs(low) < jnp.inf, low, 0))


@_of(lambda high, low: high + low)
def normalized(high: Array, low: Array) -> Pair:
    """High + low for |low| < |high|, so that low is less than an ulp of high."""
    total = high + low
    return Pair(total, low - (total - high))


def product(a: Array, b: Array | float) -> Pair:
    """A b for a of moderate size, exactly; b may be a Python float with more digits than a has."""
    factor = jnp.asarray(b, a.dtype)
    high, low = _product(a, factor)
    return Pair(high, low + (b - float(np.asarray(b, a.dtype))) * a) if isinstance(b, float) else Pair(high, low)


@_of(lambda a, b: a * b)
def _product(a: Array, b: Array) -> Pair:
    high = a * b
    a_high, b_high = leading_bits(a), leading_bits(b)
    return Pair(high, ((a_high * b_high - high) + a_high * (b - b_high)) + (a - a_high) * b)


@_of(lambda high, low, divisor: (high + low) / divisor)
def quotient(high: Array, low: Array, divisor: Array) -> Pair:
    """(high + low) / divisor, to the square of an ulp; where that is infinite or NaN, low is 0."""
    q = high / divisor
    p, rest = _product(q, divisor)
    low = (((high - p) - rest) + low) / divisor
    return Pair(q, jnp.where(jnp.abs(low) < jnp.inf, low, 0))


def leading_bits(x: Array, count: int | None = None) -> Array:
    """Truncate x to half of its significant bits, or `count`, so that products of what is left are exact.

    A constant to autodiff, so that x - leading_bits(x) has the derivative of x.
    """
    kind, bits = (jnp.int32, 24) if x.dtype == jnp.float32 else (jnp.int64, 53)
    mask = jnp.asarray(-(1 << (bits - (bits // 2 if count is None else count))), kind)
    return lax.bitcast_convert_type(lax.bitcast_convert_type(x, kind) & mask, x.dtype)


LOG_2 = (0.693359375, -2.1219444005469057e-4)  # 355 / 512, of which a whole n makes an exact product, and the rest


def whole(x: Array) -> tuple[Array, Array]:
    """Return x rounded to a whole n from -127 to 127 (in float64 -1023 to 1023), and 2^n, which is 0 for the least n.

    Added to a power of two, x rounds itself, and n shows in the last bits. They are taken off as integers: a compiler
    may cancel an added constant against a subtracted one.
    """
    kind, mantissa, bias = (jnp.int32, 23, 127) if x.dtype == jnp.float32 else (jnp.int64, 52, 1023)
    offset = 1.5 * 2.0**mantissa + bias
    bits = lax.bitcast_convert_type(x + offset, kind)
    n = (bits - np.asarray(offset, x.dtype).view(kind).item()).astype(x.dtype)
    power = lax.bitcast_convert_type(bits << mantissa, x.dtype)
    return (_weakly(n), _weakly(power)) if x.weak_type else (n, power)


def _weakly(x: Array) -> Array:
    """What comes from bits is not weakly typed, but functions of a Python number are, as in jax.nn."""
    return lax.convert_element_type_p.bind(x, new_dtype=x.dtype, weak_type=True, sharding=None)
