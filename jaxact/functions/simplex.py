"""Sparse alternatives to softmax: projections onto the simplex, where small logits have exactly no share.

All are entmax, p_i = max(u + q (x_i - m), 0)^(1 / q) with q = alpha - 1, m the row's maximum and u in (0, 1] such that
they sum to 1. Like softmax they are computed in float32 for 16-bit input, -inf logits and entries left out by `where`
have no share and gradient 0, and +inf logits share their row equally.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import Tracer
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from jaxact.core.catalog import activation
from jaxact.core.checks import as_array, widen
from jaxact.core.exponentials import seen
from jaxact.core.numerics import difference, expm1_less_slope, log_pair, product, quotient
from jaxact.core.rowwise import Axes, Weights, along_axis

__all__ = ["entmax", "entmax15", "sparsemax"]

_Alpha = Any
"""A float, 2 or 1.5, as part of the program, or an array of one value a row."""


def _root(w: Array, rest: Array, q: _Alpha) -> Array:
    """(w + rest)^(1 / q) for w >= 0 and |rest| << w, to 2 ulp for any q."""
    if isinstance(q, float):
        n = round(1 / q)
        return lax.integer_pow(w, n) + n * lax.integer_pow(w, n - 1) * rest
    high, low = product(1 / q, q)
    rest = jnp.where(w > 0, rest / w / q + jnp.log(w) * (((1 - high) - low) / q), 0)
    return jnp.power(w, 1 / q) * jnp.exp(rest)


def _excess(axes: Axes, p: Array) -> Array:
    """sum(p) - 1. Multiples of 2^-20 add up to 1 without rounding, and what is left is too small to matter."""
    coarse = jnp.round(p * 2**20) / 2**20
    return (axes.sum(coarse) - 1) + axes.sum(p - coarse)


def _from_the_largest(axes: Axes, x: Array, top: Array, q: _Alpha) -> tuple[Array, Array]:
    """Solve sum(p) = 1 for u, where q <= 1, and return p^q as its rounding and the rest."""
    s, s_rest = difference(x, top)
    valid = s > -2 / q
    qs, qs_rest = product(jnp.where(valid, s, -2 / q), q)  # -2 leaves no share, whatever u is
    qs_rest += jnp.where(valid, q * s_rest, 0)

    def powers(u: Array, u_rest: Array) -> tuple[Array, Array]:
        """A small one is a difference of large numbers, hence all the rests."""
        w, w_rest = difference(u, -qs)
        w_rest += qs_rest + u_rest
        total = jnp.maximum(w + w_rest, 0)
        return total, jnp.where(total > 0, w_rest - (total - w), 0)

    def improve(state: Any) -> Any:
        below, above, u, u_rest, step, moved, count = state  # the solution lies between u + below and u + above
        large = (jnp.abs(step) > tolerance * q * u) | (count == 0)
        u, u_rest = difference(u, -(u_rest + step))
        w, w_rest = powers(u, u_rest)
        p = _root(w, w_rest, q)
        excess = _excess(axes, p)
        off = jnp.abs(excess) > 2 * tolerance
        margin = jnp.where(off, 0, tolerance / 4 * u)  # the sign of less may be rounding
        below = jnp.where(excess <= 0, -margin, below - step)
        above = jnp.where(excess >= 0, margin, above - step)
        # Newton's step for sum(p)^q = 1, which is linear in u where all logits are equal, and convex.
        slope = axes.sum(jnp.where(w > 0, p / jnp.where(w > 0, w, 1), 0))
        newton = (1 + excess) * jnp.expm1(-q * jnp.log1p(excess)) / slope
        step = jnp.where((below <= newton) & (newton <= above), newton, (below + above) / 2)
        return below, above, u, u_rest, step, moved & (large | off), count + 1

    tolerance = 8 * jnp.finfo(x.dtype).eps
    zero = 0 * axes.sum(qs)  # in shard_map it varies over devices as x does; jnp.zeros would not
    state: Any = (zero - 1, zero, zero + 1, zero, zero, (zero + q <= 1) & jnp.isfinite(top), 0)
    state = lax.while_loop(lambda state: jnp.any(state[5]) & (state[6] < 100), improve, state)
    _, _, u, u_rest, step, _, _ = state
    return powers(u, u_rest + step)


def _above(x: Array, base: Array, z: Array, q: Array) -> tuple[Array, Array]:
    """z^q + q (x - base) for x >= base, as its rounding and the rest."""
    d, d_rest = difference(jnp.maximum(x, base), base)
    high, low = product(d, q)
    w, w_rest = difference(high, -jnp.power(z, q))
    w_rest += low + q * d_rest
    total = w + w_rest
    return total, w_rest - (total - w)


def _rest_of_root(w: Array, rest: Array, q: Array, p: Array) -> Array:
    """(w + rest)^(1 / q) - p, where p is that root to a few ulp."""
    valid = (w > 0) & (p > 0)
    (log, log_rest), (root, root_rest) = (log_pair(jnp.where(valid, v, 1)) for v in (w, p))
    high, low = product(root, q)
    gap, gap_rest = difference(log, high)
    change = ((gap - low) + gap_rest) + (log_rest - q * root_rest)
    return jnp.where(valid, p * (change + rest / jnp.where(valid, w, 1)) / q, 0)


def _from_the_smallest(axes: Axes, x: Array, top: Array, q: Array) -> tuple[Array, Array]:
    """Solve sum(p) = 1 for the smallest share z, where q > 1, and return its logit b and z.

    p_i = (z^q + q (x_i - b))^(1 / q), where nothing cancels: at alpha 12, z = 0.03 is 1e-17 of u, which no float and
    its rest hold. The sum is convex in z. First b is found, the smallest logit where the sum at z = 0 is under 1.
    """

    def improve(state: Any) -> Any:
        # Logits up to `outer` have no share, those from `inner` on have one; the largest share is from least to most.
        outer, inner, least, most, z, moved, count = state
        reach = jnp.power(most, q) / q * (1 + 2 * q * tolerance)
        unknown = (x > outer) & (x < inner) & (top - x < reach)
        middle = top - jnp.power(jnp.sqrt(least * most), q) / q
        below = axes.max(jnp.where(unknown & (x <= middle), x, -jnp.inf))
        above = -axes.max(jnp.where(unknown & (x > middle), -x, -jnp.inf))
        base = jnp.where(below > -jnp.inf, below, jnp.minimum(above, inner))
        search = base < inner
        at = jnp.where(search, 0, z)
        w, w_rest = _above(x, base, at, q)
        p = jnp.where(x > base, _root(w, w_rest, q), jnp.where(x == base, at, 0))
        # What rounding took from the other shares is up to 100 ulp of a small z.
        excess = _excess(axes, p) + axes.sum(jnp.where(x > base, _rest_of_root(w, w_rest, q, p), 0))
        slopes = jnp.power(at, q) / jnp.where(x > base, w, 1) * (p / jnp.maximum(at, jnp.finfo(x.dtype).tiny))
        slope = axes.sum(jnp.where(x > base, slopes, jnp.where(x == base, 1, 0)))
        newton = jnp.maximum(at - excess / jnp.maximum(slope, 1), 0)
        has_share = search & (excess < 0)
        largest = jnp.power(q * (top - base), 1 / q)
        other = largest / (1 + excess)  # the solution is between the two, since sum(p) / u^(1 / q) falls with u
        least = jnp.where(search, jnp.maximum(least, jnp.minimum(largest, other)), least)
        most = jnp.where(search, jnp.minimum(most, jnp.maximum(largest, other)), most)
        outer = jnp.where(search & ~has_share, base, outer)
        inner = jnp.where(has_share, base, inner)
        z = jnp.where(search & ~has_share, z, newton)
        return outer, inner, least, most, z, moved & (search | (jnp.abs(excess) > 2 * tolerance)), count + 1

    tolerance = 8 * jnp.finfo(x.dtype).eps
    full = jnp.isfinite(top)
    top = jnp.where(full, top, 0)
    zero = 0 * top * q
    most = zero + 1 / jnp.maximum(axes.sum(jnp.where(x == top, 1, 0 * top)), 1)
    least = zero + 1 / jnp.maximum(axes.sum(jnp.where(x > -jnp.inf, 1, 0 * top)), 1)
    state: Any = (zero - jnp.inf, zero + top, least, most, most, (zero + q > 1) & full, 0)
    state = lax.while_loop(lambda state: jnp.any(state[5]) & (state[6] < 100), improve, state)
    return state[1], state[4]


def _entmax(axes: Axes, x: Array, where: Array | None, alpha: _Alpha) -> Array:
    """Solve sum(p) = 1 by Newton's method: no sort, and about 5 to 15 passes over x."""
    q = alpha - 1
    x = widen(seen(x, where))
    top = axes.max(x)
    if isinstance(q, float):
        p = _root(*_from_the_largest(axes, x, top, q), q)
    else:
        x = jnp.where(top == jnp.inf, jnp.where(x == top, 0, -jnp.inf), x)
        top = jnp.where(top == jnp.inf, 0, top)
        w, w_rest = _from_the_largest(axes, x, top, q)
        base, z = _from_the_smallest(axes, x, top, q)
        from_base = _above(x, base, z, q)
        p = _root(jnp.where(q > 1, from_base[0], w), jnp.where(q > 1, from_base[1], w_rest), q)
        p = jnp.where((q <= 1) | (x > base), p, jnp.where(x == base, z, 0))
    return jnp.where(jnp.isnan(top), top, p)


def _scaled(axes: Axes, p: Array, smallest: Array, alpha: Array) -> tuple[Array, Array, Array]:
    """Return weights w and factors a and b such that a b w = p^(2 - alpha), or does for the derivative.

    A greatest power 2^32 times the next (in float64 2^256) is no less the mean than one that overflows. Where the next
    may overflow too, it becomes 1; a goes before the subtraction of the mean, which would be inf - inf, and b after it,
    in either mode. What is beyond the largest number becomes +-inf last.
    """
    limit, half = jnp.finfo(p.dtype).maxexp // 4, jnp.finfo(p.dtype).maxexp * 5 // 8
    larger = -axes.max(jnp.where(p > smallest, -p, -1))
    second = jnp.where(axes.sum(jnp.where(p == smallest, 1, 0 * p)) > 1, smallest, larger)
    over = jnp.where(alpha > 2, alpha - 2, 1)
    floor = jnp.where(alpha > 2, second * jnp.exp2(-limit / over), 0)
    bits = -jnp.log2(second)
    whole = jnp.round(bits * (alpha - 2))
    whole, up = (jnp.where(whole > limit, v, 0) for v in (whole, jnp.round(bits)))
    first = jnp.minimum(jnp.floor(whole / 2), half)
    last = jnp.minimum(whole - first, half)
    divisor = jnp.where(whole > 0, second, 1)
    floor, whole, up = (lax.stop_gradient(v) for v in (floor, whole, up))
    one = jnp.ones_like(whole)
    before, after, scale = (lax.stop_gradient(jnp.ldexp(one, e.astype(jnp.int32))) for e in (first, last, up))
    high, low = product(alpha - 2, up)
    rest = jnp.power(divisor * scale, 2 - alpha) * jnp.exp2((high - whole) + low)
    ratio, low = quotient(jnp.maximum(p, floor), jnp.zeros_like(p), divisor)
    rounding = lax.stop_gradient(1 + (2 - alpha) * (low / ratio))  # of the ratio, which the power multiplies
    return jnp.power(ratio, 2 - alpha) * rounding, before, after * jnp.where(whole > 2 * half, 1, rest)


def _from_the_heaviest(axes: Axes, weights: Array, t: Array) -> Array:
    """Measure t from an entry with more than 5/8 of the weight, which may be 1e38 times the next: there it is 0."""
    total = axes.sum(weights)
    heavy = jnp.floor(weights * (1.6 / jnp.where(total == 0, 1, total)))  # 1 or 0
    return (1 - heavy) * (t - axes.sum(heavy * t))


def _kernel(name: str, fixed: float | None = None) -> Callable[..., Array]:
    """Entmax with its derivative, for a fixed alpha or an array."""

    def value(axes: Axes, x: Array, where: Array | None, alpha: Any) -> Array:
        return _entmax(axes, x, where, alpha if fixed is None else fixed).astype(x.dtype)

    def differentiate(axes: Axes, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
        t, _, t_alpha = tangents
        y = kernel(axes, *primals)
        t = jnp.zeros_like(y) if isinstance(t, SymbolicZero) else t
        live = fixed is None and not isinstance(t_alpha, SymbolicZero)

        @functools.partial(jax.checkpoint, prevent_cse=False)  # keeps y
        def tangent(y: Array, alpha: Any, t: Array, t_alpha: Any) -> Array:
            support = y > 0
            p, t = jnp.where(support, widen(y), 1), widen(t)
            after = 1
            if fixed is None:
                smallest = -axes.max(jnp.where(support, -p, -1))
                weights, before, after = _scaled(axes, p, smallest, alpha)
                t = t * before
                if live:  # less the smallest share's, it is 0 where all shares are equal
                    q = alpha - 1
                    in_alpha, origin = (expm1_less_slope(q * jnp.log(v)) / (q * q) for v in (p, smallest))
                    t = t + (in_alpha - origin) * before * t_alpha
            else:
                weights = jnp.sqrt(p) if fixed == 1.5 else jnp.ones_like(p)
            weights = jnp.where(support, weights, 0)
            if fixed is None:
                t = _from_the_heaviest(axes, weights, jnp.where(support, t, 0))
            return (Weights(axes, support, (weights,)).weigh(t)[0] * after).astype(y.dtype)

        return y, tangent(y, primals[2], t, t_alpha if live else None)

    value.__name__ = value.__qualname__ = name
    kernel = jax.custom_jvp(value, nondiff_argnums=(0,))
    kernel.defjvp(differentiate, symbolic_zeros=True)
    return kernel


def _along_axis(name: str, fixed: float | None = None) -> Callable[..., Array]:
    kernel = _kernel(name, fixed)
    return along_axis(name, lambda axes, x, where, alpha=None: kernel(axes, x, where, alpha))


_sparsemax = _along_axis("sparsemax", 2.0)
_entmax15 = _along_axis("entmax15", 1.5)
_entmax_alpha = _along_axis("entmax")


@activation(
    module="Sparsemax",
    kind="axis",
    range=(0.0, 1.0),
    keeps=0.0,
    elsewhere={"keras": {"sparsemax": {}}},
)
def sparsemax(x: ArrayLike, axis: int | Sequence[int] = -1, where: ArrayLike | None = None) -> Array:
    """Sparsemax: max(x_i - tau, 0), with tau such that they sum to 1.

    The nearest point of the simplex to x; small logits give exactly 0. The derivative along a tangent t is t minus its
    mean over the entries that are not 0, and 0 elsewhere; the backward pass keeps y alone. -inf logits and entries
    left out by `where` give 0 with gradient 0. +inf logits share their row equally. 16-bit input is computed in
    float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, that sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` not bool.
      ValueError: axis is out of range or repeated, or `where` does not broadcast.

    Reference: Martins and Astudillo 2016, arXiv:1602.02068.

    >>> print(jaxact.sparsemax(jnp.array([2.0, 1.5, 0.0])))
    [0.75 0.25 0.  ]
    """
    return _sparsemax(x, axis, where)


@activation(module="Entmax15", kind="axis", range=(0.0, 1.0), keeps=0.0)
def entmax15(x: ArrayLike, axis: int | Sequence[int] = -1, where: ArrayLike | None = None) -> Array:
    """1.5-entmax: max(x_i / 2 - tau, 0)^2, with tau such that they sum to 1.

    Half way between softmax and sparsemax; small logits give exactly 0. The derivative along a tangent t is
    s (t - sum(s t) / sum(s)) with s = sqrt(y); the backward pass keeps y alone. -inf logits and entries left out by
    `where` give 0 with gradient 0. +inf logits share their row equally. 16-bit input is computed in float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, that sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` not bool.
      ValueError: axis is out of range or repeated, or `where` does not broadcast.

    Reference: Peters et al. 2019, arXiv:1905.05702.

    >>> print(jaxact.entmax15(jnp.array([0.0, 0.0, -2.0])))
    [0.5 0.5 0. ]
    """
    return _entmax15(x, axis, where)


@activation(module="Entmax", kind="axis", range=(0.0, 1.0), keeps=0.0, variants=({"alpha": 1.25}, {"alpha": 3.0}))
def entmax(
    x: ArrayLike, alpha: ArrayLike = 1.5, axis: int | Sequence[int] = -1, where: ArrayLike | None = None
) -> Array:
    """Alpha-entmax: max((alpha - 1) x_i - tau, 0)^(1 / (alpha - 1)), with tau such that they sum to 1.

    Softmax in the limit alpha = 1, sparsemax at 2; the greater alpha, the sparser. The derivative along a tangent t is
    s (t - sum(s t) / sum(s)) with s = y^(2 - alpha) where y > 0; the one in alpha follows from the implicit function
    theorem. The backward pass keeps y alone. -inf logits and entries left out by `where` give 0 with gradient 0. +inf
    logits share their row equally. 16-bit input is computed in float32.

    For every alpha the shares sum to 1 to their rounding. The rounding of y counts |alpha - 2| times in the derivative;
    what of that is beyond the largest number is +-inf, and smaller ones of the same row may then be 0.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      alpha: number over 1, or array of one value a row (the row's axis of size 1); traced and differentiable.
      axis: the axis, or axes, that sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` not bool.
      ValueError: alpha is not over 1, axis is out of range or repeated, or a shape does not broadcast.

    Reference: Peters et al. 2019, arXiv:1905.05702; derivative in alpha: Correia et al. 2019, arXiv:1909.00015.

    >>> print(jaxact.entmax(jnp.array([2.0, 1.5, 0.0]), 2.0))
    [0.75 0.25 0.  ]
    """
    if not isinstance(alpha, Tracer) and not (np.asarray(as_array("entmax", alpha, "alpha")) > 1).all():
        raise ValueError(f"jaxact.entmax: expected alpha > 1, got {alpha}; the limit 1 is jaxact.softmax")
    return _entmax_alpha(x, axis, where, alpha=alpha)
