"""Exponentials along a row, as softmax and its kin need them: of exact differences from the maximum, and their sum."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxact.core.checks import widen
from jaxact.core.numerics import difference, quotient
from jaxact.core.rowwise import Axes


def exponent(x: Array, maximum: Array, temperature: Array | None) -> tuple[Array, Array | None]:
    """Return (x - maximum) / temperature as its rounding, which alone would cost exp(-80) up to 64 ulp, and the rest.

    Of 16-bit x there is no rest: 64 ulp of float32 are none of theirs.
    """
    wide = widen(x)
    if x.dtype != wide.dtype:
        high = jnp.where(wide == maximum, 0, wide - maximum)
        return high if temperature is None else high / temperature, None
    high, low = difference(wide, maximum)
    return (high, low) if temperature is None else quotient(high, low, temperature)


def exponential(high: Array, low: Array | None) -> Array:
    """Return the exponential of high + low."""
    e = jnp.exp(high)
    return e if low is None else e + e * low


def count_and_rest(axes: Axes, e: Array, e_sink: Array | None = None) -> tuple[Array, Array]:
    """Sum exponentials of a row whose largest is 1, and the sink's, as the count of ones and the sum of the others.

    In one sum, others that are each less than an ulp of 1 would all be lost.
    """
    ones = jnp.floor(e)
    count, others = axes.sum(ones), axes.sum(e - ones)
    if e_sink is not None:
        count += jnp.floor(e_sink)
        others += e_sink - jnp.floor(e_sink)
    return count, others


def seen(x: Array, where: Array | None) -> Array:
    """Return the logits, -inf where they are left out."""
    return x if where is None else jnp.where(where, x, -jnp.inf)


def largest(axes: Axes, x: Array, sink: Array | None) -> Array:
    """Return the largest logit, or 0 where all are -inf, so that their exponentials are 0."""
    m = axes.max(widen(x))
    m = m if sink is None else jnp.maximum(m, jax.lax.stop_gradient(sink))
    return jnp.where(m == -jnp.inf, 0, m)
