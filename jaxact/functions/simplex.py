"""Sparse alternatives to softmax: projections onto the simplex, where small logits have exactly no share.

All are entmax, p_i = max(u + q (x_i - m), 0)^(1 / q) with q = alpha - 1, m the row's maximum and u in (0, 1] such that
they sum to 1. Like softmax they are computed in float32 for
16-bit input, -inf logits and entries left out by `where` have no share and gradient 0, and +inf logits share their row
equally.
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
from jaxact.core.numerics import expm1_less_slope, product
from jaxact.core.rowwise import Axes, Weights, along_axis, difference

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


def _entmax(axes: Axes, x: Array, where: Array | None, alpha: _Alpha) -> Array:
    """Solve sum(p) = 1 for u by Newton's method: no sort, and about 5 to 10 passes over x."""
    q = alpha - 1
    valid = x != -jnp.inf if where is None else (x != -jnp.inf) & where
    x = jnp.where(valid, widen(x), -jnp.inf)
    s, s_rest = difference(x, axes.max(x))
    valid &= s > -2 / q
    qs, qs_rest = product(jnp.where(valid, s, -2 / q), q)  # -2 leaves no share, whatever u is
    qs_rest += jnp.where(valid, q * s_rest, 0)

    def shares(u: Array, u_rest: Array) -> tuple[Array, Array]:
        """Return p, and w = p^q. A small p is a difference of large numbers, hence all the rests."""
        w, w_rest = difference(u, -qs)
        w_rest += qs_rest + u_rest
        total = jnp.maximum(w + w_rest, 0)
        return _root(total, jnp.where(total > 0, w_rest - (total - w), 0), q), total

    def improve(state: Any) -> Any:
        below, above, u, u_rest, step, _, count = state  # the solution lies between u + below and u + above
        moved = (jnp.abs(step) > tolerance * q * u) | (count == 0)
        u, u_rest = difference(u, -(u_rest + step))
        p, w = shares(u, u_rest)
        # Multiples of 2^-20 add up to 1 without rounding, and what is left is too small to matter.
        coarse = jnp.round(p * 2**20) / 2**20
        excess = (axes.sum(coarse) - 1) + axes.sum(p - coarse)
        moved |= jnp.abs(excess) > 2 * tolerance
        margin = jnp.where(jnp.abs(excess) > 2 * tolerance, 0, tolerance / 4 * u)  # the sign of less may be rounding
        below = jnp.where(excess <= 0, -margin, below - step)
        above = jnp.where(excess >= 0, margin, above - step)
        # Newton's step for sum(p)^q = 1, which is linear in u where all logits are equal, and convex for q <= 1. For
        # q > 1 it can jump to and fro over a u where an entry gets a share: one that turns back must at least halve.
        slope = axes.sum(jnp.where(w > 0, p / jnp.where(w > 0, w, 1), 0))
        newton = (1 + excess) * jnp.expm1(-q * jnp.log1p(excess)) / slope
        nearer = (newton * step >= 0) | (jnp.abs(newton) < jnp.maximum(jnp.abs(step) / 2, tolerance * q * u))
        step = jnp.where((below <= newton) & (newton <= above) & nearer, newton, (below + above) / 2)
        return below, above, u, u_rest, step, moved, count + 1

    tolerance = 8 * jnp.finfo(x.dtype).eps
    zero = 0 * axes.sum(qs)  # in shard_map it varies over devices as x does; jnp.zeros would not
    state: Any = (zero - 1, zero, zero + 1, zero, zero, zero == 0, 0)
    state = lax.while_loop(lambda state: jnp.any(state[5]) & (state[6] < 100), improve, state)
    _, _, u, u_rest, step, _, _ = state
    return shares(u, u_rest + step)[0]


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
            weights = jnp.power(p, 2 - alpha) if fixed is None else jnp.sqrt(p) if fixed == 1.5 else jnp.ones_like(p)
            weights = jnp.where(support, weights, 0)
            if live:
                q = alpha - 1
                t = t + expm1_less_slope(q * jnp.log(p)) / (q * q) * t_alpha
            return Weights(axes, support, (weights,)).weigh(t)[0].astype(y.dtype)

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
    logits share their row equally. 16-bit input is computed in float32. From alpha = 8 on, float32 is too coarse for
    the (alpha - 1)-th powers of many equal shares: at 12 the sum of 100 of them is off by percents.

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
