"""Sparse alternatives to softmax: projections onto the simplex, where small logits get a share of exactly 0.

All are entmax, p_i = max(u + q (x_i - m), 0)^(1 / q) with q = alpha - 1, m the row's maximum and u in (0, 1] such that
the shares sum to 1. Like softmax they are computed in float32 for 16-bit input. Logits of -inf, and entries that
`where` leaves out, have share 0 and gradient 0. Logits of +inf share their row equally.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.core.catalog import activation
from jaxact.core.checks import check_parameter, widen
from jaxact.core.numerics import expm1_less_slope
from jaxact.core.pair import Pair, difference, normalized, product
from jaxact.core.rows import Axes, along_axis, centred, logits

__all__ = ["entmax", "entmax15", "sparsemax"]

_Alpha = Any
"""The float 2 or 1.5, which is then part of the program, or an array with one value per row."""


def _root(w: Pair, q: _Alpha) -> Array:
    """w^(1 / q) for w >= 0, to 2 ulp for any q."""
    high, low = w
    if isinstance(q, float):
        n = round(1 / q)
        return lax.integer_pow(high, n) + n * lax.integer_pow(high, n - 1) * low
    p, p_low = product(1 / q, q)
    rest = jnp.where(high > 0, low / high / q + jnp.log(high) * (((1 - p) - p_low) / q), 0)
    return jnp.power(high, 1 / q) * jnp.exp(rest)


def _excess(axes: Axes, p: Array) -> Array:
    """sum(p) - 1. Multiples of 2^-20 add up to 1 without rounding, and the rest is too small to matter."""
    coarse = jnp.round(p * 2**20) / 2**20
    return (axes.sum(coarse) - 1) + axes.sum(p - coarse)


def _from_the_largest(axes: Axes, x: Array, top: Array, q: _Alpha) -> Pair:
    """Solve sum(p) = 1 for u, where q <= 1, by Newton's method, and return p^q.

    It takes 5 to 15 passes over x and no sort. A small p^q is a difference of large numbers, so all are pairs.
    """
    s = difference(x, top)
    valid = s.high > -2 / q  # q s <= -2 gives share 0 for every u
    qs, qs_low = product(jnp.where(valid, s.high, -2 / q), q)
    qs_low += jnp.where(valid, q * s.low, 0)

    def powers(u: Pair) -> Pair:
        w, w_low = difference(u.high, -qs)
        total, low = normalized(w, w_low + qs_low + u.low)
        return Pair(jnp.maximum(total, 0), jnp.where(total > 0, low, 0))

    def improve(state: Any) -> Any:
        below, above, u, step, moved, count = state  # the solution lies between u + below and u + above
        large = (jnp.abs(step) > tolerance * q * u.high) | (count == 0)
        u = difference(u.high, -(u.low + step))
        w = powers(u)
        p = _root(w, q)
        excess = _excess(axes, p)
        off = jnp.abs(excess) > 2 * tolerance
        margin = jnp.where(off, 0, tolerance / 4 * u.high)  # a smaller excess may have the wrong sign from rounding
        below = jnp.where(excess <= 0, -margin, below - step)
        above = jnp.where(excess >= 0, margin, above - step)
        # This is Newton's step for sum(p)^q = 1, which is convex in u, and linear where all logits are equal.
        slope = axes.sum(jnp.where(w.high > 0, p / jnp.where(w.high > 0, w.high, 1), 0))
        newton = (1 + excess) * jnp.expm1(-q * jnp.log1p(excess)) / slope
        step = jnp.where((below <= newton) & (newton <= above), newton, (below + above) / 2)
        return below, above, u, step, moved & (large | off), count + 1

    tolerance = 8 * jnp.finfo(x.dtype).eps
    zero = 0 * axes.sum(qs)  # in shard_map it varies over devices as x does; jnp.zeros would not
    state: Any = (zero - 1, zero, Pair(zero + 1, zero), zero, (zero + q <= 1) & jnp.isfinite(top), 0)
    _, _, u, step, _, _ = lax.while_loop(lambda state: jnp.any(state[4]) & (state[5] < 100), improve, state)
    return powers(Pair(u.high, u.low + step))


def _above(x: Array, base: Array, z: Array, q: Array) -> Pair:
    """z^q + q (x - base) for x >= base."""
    d, d_low = difference(jnp.maximum(x, base), base)
    high, low = product(d, q)
    w, w_low = difference(high, -jnp.power(z, q))
    return normalized(w, w_low + (low + q * d_low))


def _from_the_smallest(axes: Axes, x: Array, top: Array, q: Array) -> tuple[Array, Array]:
    """Solve sum(p) = 1 for the smallest share z, where q > 1, and return its logit b and z.

    p_i = (z^q + q (x_i - b))^(1 / q), where nothing cancels. A pair would not do: at alpha 12, z = 0.03 is 1e-17 of u,
    and with the other solver alone some rows of alpha 3 have the sum 2. The rounding errors of the other shares, up to
    100 ulp of a small z, become the error of z. The sum is convex in z. The first step finds b, the smallest logit
    where the sum at z = 0 is under 1.
    """

    def improve(state: Any) -> Any:
        # Logits up to `outer` have no share, and logits from `inner` on have one. The largest share is between `least`
        # and `most`.
        outer, inner, least, most, z, moved, count = state
        reach = jnp.power(most, q) / q * (1 + 2 * q * tolerance)
        unknown = (x > outer) & (x < inner) & (top - x < reach)
        middle = top - jnp.power(jnp.sqrt(least * most), q) / q
        below = axes.max(jnp.where(unknown & (x <= middle), x, -jnp.inf))
        above = -axes.max(jnp.where(unknown & (x > middle), -x, -jnp.inf))
        base = jnp.where(below > -jnp.inf, below, jnp.minimum(above, inner))
        search = base < inner
        at = jnp.where(search, 0, z)
        w = _above(x, base, at, q)
        p = jnp.where(x > base, _root(w, q), jnp.where(x == base, at, 0))
        excess = _excess(axes, p)
        slopes = jnp.power(at, q) / jnp.where(x > base, w.high, 1) * (p / jnp.maximum(at, jnp.finfo(x.dtype).tiny))
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


def _shares(axes: Axes, x: Array, where: Array | None, alpha: _Alpha) -> Array:
    wide, q = logits(x, where), alpha - 1
    top = axes.max(wide)
    wide = jnp.where(top == jnp.inf, jnp.where(wide == top, 0, -jnp.inf), wide)
    highest = jnp.where(top == jnp.inf, 0, top)
    w = _from_the_largest(axes, wide, highest, q)
    if isinstance(q, float):
        p = _root(w, q)
    else:
        base, z = _from_the_smallest(axes, wide, highest, q)
        high, low = (jnp.where(q > 1, a, b) for a, b in zip(_above(wide, base, z, q), w, strict=True))
        p = _root(Pair(high, low), q)
        p = jnp.where((q <= 1) | (wide > base), p, jnp.where(wide == base, z, 0))
    return jnp.where(jnp.isnan(top), top, jnp.where(top == -jnp.inf, 0, p)).astype(x.dtype)


def _keep_shares(axes: Axes, primals: Sequence[Any], y: Array, asked: Sequence[bool]) -> Any:
    return y, primals[2:]


def _tangent_at(alpha: float) -> Any:
    """The tangent for alpha 2 or 1.5."""

    def tangent(axes: Axes, kept: Any, tangents: Sequence[Array | None]) -> Array:
        y, _ = kept
        p = jnp.where(y == 0, 1, widen(y))
        weights = jnp.sqrt(p) if alpha == 1.5 else jnp.where(p == p, 1, p)  # NaN stays
        return _weighted(axes, y, jnp.where(y == 0, 0, weights), *tangents[:1])

    return tangent


def _weighted(axes: Axes, y: Array, weights: Array, t: Any) -> Array:
    """Return w (t - sum(w t) / sum(w)), and 0 where y is 0.

    Where one entry has more than 5/8 of the weight, its t is first subtracted from all t. That weight may be 1e38 times
    the next one; in reverse mode the cotangent of the heavy entry then comes from those of the other entries alone.
    """
    total = axes.sum(weights)
    total = jnp.where(total == 0, 1, total)
    t = jnp.where(y == 0, 0, widen(t))
    heavy = jnp.floor(weights * (1.6 / total))  # 1 or 0
    t = (1 - heavy) * (t - axes.sum(heavy * t))
    (t,) = centred(axes, (weights,), (t,), total)
    return jnp.where(y == 0, 0, weights * t).astype(y.dtype)


def _keep_logits_too(axes: Axes, primals: Sequence[Any], y: Array, asked: Sequence[bool]) -> Any:
    """Keep the shares, and x where alpha is differentiated, since differences of shares have lost digits."""
    x, where, alpha = primals
    return (y, x, where, alpha) if asked[2] else (y, None, None, alpha)


def _tangent(axes: Axes, kept: Any, tangents: Sequence[Array | None]) -> Array:
    """The weights are p^(2 - alpha), as multiples of the largest one, which may overflow."""
    y, x, where, alpha = kept
    t, _, t_alpha = tangents
    p = jnp.where(y == 0, 1, widen(y))
    least = -axes.max(jnp.where(y == 0, -1, -p))
    unit = jnp.where(alpha > 2, least, 1)
    weights = jnp.where(y == 0, 0, jnp.power(p / unit, 2 - alpha))
    change: Any = 0 if t is None else widen(t)
    if t_alpha is not None:
        seen = jnp.where(y == 0, 0, logits(x, where))
        change = change + jnp.where(y == 0, 0, _in_alpha(axes, p, seen, y != 0, alpha)) * t_alpha
    change = _weighted(axes, jnp.where(y == 0, 0, p), weights, change)
    return (change * jnp.power(unit, 2 - alpha)).astype(y.dtype)


def _in_alpha(axes: Axes, p: Array, x: Array, seen: Array, alpha: Array) -> Array:
    """g(log p^q) / q^2 for g(v) = exp(v) - 1 - v exp(v), less its value at the share with the most weight.

    For nearly equal shares that is a difference of large numbers. So it is computed as heavy^q g(d) - q away
    log(heavy^q), in which nothing cancels; d = log(p / heavy)^q and `away` come from differences of logits.
    """
    q = alpha - 1
    at = lax.stop_gradient(p)
    heavy = jnp.where(alpha > 2, -axes.max(jnp.where(seen, -at, -jnp.inf)), axes.max(jnp.where(seen, at, -jnp.inf)))
    heavy = jnp.where(jnp.isfinite(heavy), heavy, 1)
    chosen = seen & (at == heavy)
    count = jnp.maximum(axes.sum(chosen.astype(p.dtype)), 1)
    # Several shares may be the heaviest. The mean of their x, and of their p^q, which is linear in x, stands for them:
    # that makes derivatives of every order agree.
    origin_x = axes.max(jnp.where(chosen, x, -jnp.inf))
    origin_x = jnp.where(jnp.isfinite(origin_x), origin_x, 0)
    origin_x += axes.sum(jnp.where(chosen, x - origin_x, 0)) / count
    origin = q * jnp.log(heavy)
    ones = axes.sum(jnp.where(chosen, jnp.exp(q * (jnp.log(p) - jnp.log(heavy))), 0)) / count
    origin += jnp.log(jnp.where(ones == 0, 1, ones))
    away = jnp.where(seen, q * (x - origin_x), 0)
    d = jnp.log1p(away * jnp.exp(-origin))
    small = jnp.clip(d, -0.5, 0.5)
    near = jnp.exp(origin) * expm1_less_slope(small) - origin * away
    far = expm1_less_slope(q * jnp.log(p)) - expm1_less_slope(origin)
    return jnp.where(d == small, near, far) / (q * q)


_sparsemax, _entmax15 = (
    along_axis(
        name, lambda axes, x, where, alpha=alpha: _shares(axes, x, where, alpha), _tangent_at(alpha), _keep_shares
    )
    for name, alpha in (("sparsemax", 2.0), ("entmax15", 1.5))
)
_entmax = along_axis("entmax", _shares, _tangent, _keep_logits_too, parameters=("alpha",))


@activation(
    module="Sparsemax",
    kind="axis",
    range=(0.0, 1.0),
    keeps=0.0,
    elsewhere={"keras": {"sparsemax": {}}},
)
def sparsemax(x: ArrayLike, axis: int | Sequence[int] = -1, where: ArrayLike | None = None) -> Array:
    """Sparsemax: max(x_i - tau, 0), with tau such that the row sums to 1.

    The result is the point of the simplex nearest to x; small logits give exactly 0. The derivative along a tangent t
    is, where y is not 0, t minus its mean over these entries, and 0 elsewhere; the backward pass keeps y alone. Logits
    of -inf, and entries that `where` leaves out, give 0 with gradient 0. Logits of +inf share their row equally. 16-bit
    input is computed in float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, that sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` is not bool.
      ValueError: axis is out of range or repeated, or `where` does not broadcast.

    Reference: Martins and Astudillo 2016, arXiv:1602.02068.

    >>> print(jaxact.sparsemax(jnp.array([2.0, 1.5, 0.0])))
    [0.75 0.25 0.  ]
    """
    return _sparsemax(x, where, axis=axis)


@activation(module="Entmax15", kind="axis", range=(0.0, 1.0), keeps=0.0)
def entmax15(x: ArrayLike, axis: int | Sequence[int] = -1, where: ArrayLike | None = None) -> Array:
    """1.5-entmax: max(x_i / 2 - tau, 0)^2, with tau such that the row sums to 1.

    It lies halfway between softmax and sparsemax; small logits give exactly 0. The derivative along a tangent t is
    s (t - sum(s t) / sum(s)) with s = sqrt(y); the backward pass keeps y alone. Logits of -inf, and entries that
    `where` leaves out, give 0 with gradient 0. Logits of +inf share their row equally. 16-bit input is computed in
    float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, that sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` is not bool.
      ValueError: axis is out of range or repeated, or `where` does not broadcast.

    Reference: Peters et al. 2019, arXiv:1905.05702.

    >>> print(jaxact.entmax15(jnp.array([0.0, 0.0, -2.0])))
    [0.5 0.5 0. ]
    """
    return _entmax15(x, where, axis=axis)


@activation(module="Entmax", kind="axis", range=(0.0, 1.0), keeps=0.0, variants=({"alpha": 1.25}, {"alpha": 3.0}))
def entmax(
    x: ArrayLike, alpha: ArrayLike = 1.5, axis: int | Sequence[int] = -1, where: ArrayLike | None = None
) -> Array:
    """Alpha-entmax: max((alpha - 1) x_i - tau, 0)^(1 / (alpha - 1)), with tau such that the row sums to 1.

    Its limit at alpha = 1 is softmax, and at 2 it is sparsemax; a greater alpha gives sparser rows. The derivative
    along a tangent t is s (t - sum(s t) / sum(s)) with s = y^(2 - alpha) where y > 0; the derivative in alpha follows
    from the implicit function theorem. The backward pass keeps y alone. Logits of -inf, and entries that `where` leaves
    out, give 0 with gradient 0. Logits of +inf share their row equally. 16-bit input is computed in float32.

    For every alpha the shares sum to 1 within rounding. For alpha > 2 small shares are less exact, and so are their
    derivatives, which grow without bound beside a share of 0.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      alpha: number over 1, or array with one value per row (the row's axis has size 1); traced and differentiable.
      axis: the axis, or axes, that sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` is not bool.
      ValueError: alpha is not over 1, axis is out of range or repeated, or a shape does not broadcast.

    Reference: Peters et al. 2019, arXiv:1905.05702; derivative in alpha: Correia et al. 2019, arXiv:1909.00015.

    >>> print(jaxact.entmax(jnp.array([2.0, 1.5, 0.0]), 2.0))
    [0.75 0.25 0.  ]
    """
    check_parameter("entmax", "> 1", alpha=alpha)
    return _entmax(x, where, alpha, axis=axis)
