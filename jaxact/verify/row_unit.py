"""The error unit for functions of a row, the rows at which they are checked, and what they should give there.

The unit of entry i is an ulp of max(|ref_i|, sum_j |x_j d ref_i / d x_j| / 8): one ulp of the result or, where that is
more, the change of the result when every input of the row changes by up to 1/8 of its own ulp. The inputs of a
derivative are the logits and the tangent (or cotangent).
"""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]
"""float64, or np.longdouble, whose 64 bits of mantissa judge float64."""


@dataclasses.dataclass(frozen=True)
class Expected:
    """A result of a row, and the sensitivity sum_j |x_j d ref_i / d x_j| of each entry."""

    reference: Values
    sensitivity: Values


def tangents(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Numbers of either sign that are not small, so that a product y t that XLA flushes does not matter."""
    rng = np.random.default_rng(1)
    return (rng.choice([-1, 1], shape) * rng.uniform(0.5, 2, shape)).astype(jnp.dtype(dtype))


def rows(n: int, dtype: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Rows of n entries and their masks.

    They are ordinary, wide, spread over 1e4, tied, nearly one-hot, small, far from 0, masked, with -inf, and with +inf.
    """
    rng = np.random.default_rng(n)
    normal = rng.normal(size=n)
    at = np.arange(n)
    made = np.stack(
        [
            normal,
            30 * normal,
            rng.uniform(-5000, 5000, n),
            np.round(normal),
            np.where(at == n // 2, 0, -18 + normal),
            normal / 100,
            100 + normal,
            normal,
            np.where(at % 3 == 1, -np.inf, 3 * normal),
            np.where(at % 3 == 1, np.inf, normal),
        ]
    )
    masks = np.ones(made.shape, bool)
    masks[7] = at % 3 != 2
    return made.astype(jnp.dtype(dtype)), masks


def settled(x: Values, mask: NDArray[np.bool_]) -> Values:
    """The row as the functions see it: -inf where an entry is left out; any infinite logits are alone, and equal."""
    x = np.where(mask, x, -np.inf)
    return np.where(x == np.inf, 0, -np.inf) if np.any(x == np.inf) else x


def _total(x: Values) -> Any:
    """The exact sum, rounded once. For long doubles it is the pairwise sum, which is good to a few of their ulp."""
    return math.fsum(x) if x.dtype == np.float64 else np.sum(x)


def softmax(x: Values) -> Values:
    """In the order of the textbook."""
    e = np.exp(x - x.max())
    return e / _total(e)


def entmax(x: Values, alpha: float) -> Values:
    """(z^q + q (x - b))^(1 / q) with the smallest share z, whose logit is b, by bisection of log z; q = alpha - 1.

    The form with the largest logit, (u + q (x - max(x)))^(1 / q), will not do: at alpha 12 no float64 u sums to 1.
    """
    q = x.dtype.type(alpha) - 1
    near = x[q * (x - x.max()) > -1]

    def shares(x: Values, base: Any, z: Any) -> Values:
        return np.where(x == base, z, np.maximum(z**q + q * (x - base), 0) ** (1 / q))  # z^q may underflow

    bases = np.unique(near)
    first, last = 0, bases.size - 1
    while first < last:
        at = (first + last) // 2
        first, last = (first, at) if np.sum(shares(near, bases[at], 0 * q)) < 1 else (at + 1, last)
    base = bases[last]
    low, high = x.dtype.type(1e-300), x.dtype.type(1)
    while (middle := np.sqrt(low) * np.sqrt(high)) not in (low, high):
        low, high = (low, middle) if np.sum(shares(near, base, middle)) > 1 else (middle, high)
    return np.where(x >= base, shares(np.maximum(x, base), base, low), 0)


def _without(values: Values) -> Values:
    """The sum of all other values, for values >= 0. The difference sum - value loses digits where one dominates."""
    result = _total(values) - values
    largest = np.argmax(values)
    result[largest] = _total(np.delete(values, largest))
    return result


def _centred(weights: Values, t: Values) -> Values:
    """Return t - sum(weights t), where the t of the heaviest entry is subtracted first, so that it does not cancel."""
    t = t - t[np.argmax(weights)]
    return t - _total(weights * t)


def _sums_of_distances(weights: Values, at: Values, points: Values) -> Values:
    """sum_k weights_k |points_i - at_k| for each i, in n log n."""
    order = np.argsort(at)
    w, wa = (np.concatenate([np.zeros(1, v.dtype), np.cumsum(v[order])]) for v in (weights, weights * at))
    i = np.searchsorted(at[order], points)
    return points * (2 * w[i] - w[-1]) - (2 * wa[i] - wa[-1])


def of_shares(x: Values, p: Values, alpha: float, t: Values) -> tuple[Expected, Expected]:
    """The value p of entmax at a settled row x, and its derivative along t, forward or reverse.

    By the implicit function theorem the Jacobian is diag(d) - d w^T, d = p^(2 - alpha) on the support and
    w = d / sum(d); alpha = 1 is softmax.
    """
    on = p > 0
    size = np.where(on & np.isfinite(x), np.abs(np.where(on, x, 0)), 0)
    d = np.where(on, np.where(on, p, 1) ** (2 - alpha), 0)
    w = d / _total(d)
    others = _without(w)
    value = Expected(p, d * (size * others + _without(w * size)))
    a = _centred(w, np.where(on, t, 0))
    # d (t - sum(w t)) changes with x_k by d_i (b_i (i = k) - w_k (b_i + b_k - sum(w b))), where b = a d'(p).
    b = np.where(on, (2 - alpha) * np.where(on, p, 1) ** (1 - alpha) * a, 0)
    less = np.where(on, _centred(w, b), 0)
    in_x = _sums_of_distances(w * size, less, -b) - w * size * np.abs(b + less)
    heaviest = np.argmax(w)
    in_x[heaviest] = _total(np.delete(w * size * np.abs(b[heaviest] + less), heaviest))
    in_x += size * np.abs(b * others - w * less)
    in_t = np.abs(t) * others + _without(w * np.abs(t))
    return value, Expected(d * a, d * (in_x + in_t))


def of_logarithms(x: Values, t: Values, left_out: NDArray[np.bool_]) -> tuple[Expected, Expected, Expected]:
    """The value of log_softmax at a settled row x, and its derivatives along t in forward and in reverse mode."""
    p, t = softmax(x), np.where(left_out, 0, t)
    others = _without(p)
    size = np.where(np.isfinite(x), np.abs(x), 0)
    shifted = x - x.max()
    log = np.log1p(_total(np.exp(np.delete(shifted, np.argmax(x)))))
    in_x = size * others + _total(p * size) - p * size
    a = np.where(left_out, 0, _centred(p, t))
    in_t = np.abs(t) * others + _total(p * np.abs(t)) - p * np.abs(t)
    total = _total(t)
    in_cotangent = np.abs(t) * others + p * (_total(np.abs(t)) - np.abs(t))
    return (
        Expected(shifted - log, in_x),
        Expected(a, in_t + _total(p * np.abs(a) * size)),
        Expected(t * others - p * (total - t), in_cotangent + np.abs(total) * p * in_x),
    )
