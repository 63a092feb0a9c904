"""What functions of a row should give: float64 NumPy forms, with masks and along any axes.

jaxact/verify/row_unit.py has the forms for the error unit, which take one row and have sensitivities.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Values = NDArray[np.float64]


def glu(x: Values, axis: int = -1) -> Values:
    """The first half times the sigmoid of the second."""
    a, b = np.split(x, 2, axis)
    return a * special.expit(b)


def glu_gradient(x: Values, cotangent: Values, axis: int = -1) -> Values:
    """Cotangent times d glu / dx."""
    a, b = np.split(x, 2, axis)
    return np.concatenate([cotangent * special.expit(b), cotangent * a * special.expit(b) * special.expit(-b)], axis)


def logsumexp(x: Values, where: Any = True, axis: int | tuple[int, ...] | None = None) -> Values:
    """Log of the sum of exp(x) over the unmasked entries, keeping the axes; -inf where there are none."""
    x = np.where(where, x, -np.inf)
    largest = np.max(x, axis=axis, keepdims=True)
    shift = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(divide="ignore", over="ignore"):
        return shift + np.log(np.sum(np.exp(x - shift), axis=axis, keepdims=True))


def _shifted(x: Values, where: Any, axis: Any, temperature: float) -> Values:
    """Return x / temperature less the row's maximum; -inf where masked. Beside an infinite logit, it is 0 or -inf."""
    x = np.where(where, x, -np.inf) / temperature
    infinite = x == np.inf
    x = np.where(np.any(infinite, axis=axis, keepdims=True), np.where(infinite, 0.0, -np.inf), x)
    largest = np.max(x, axis=axis, keepdims=True)
    return x - np.where(np.isfinite(largest), largest, 0)


def softmax(x: Values, where: Any = True, axis: int | tuple[int, ...] = -1, temperature: float = 1.0) -> Values:
    """exp(x / temperature) over its sum. A row without entries is all 0, and infinite logits share their row."""
    e = np.exp(_shifted(x, where, axis, temperature))
    total = np.sum(e, axis=axis, keepdims=True)
    return e / np.where(total > 0, total, 1)


def log_softmax(x: Values, where: Any = True, axis: int | tuple[int, ...] = -1, temperature: float = 1.0) -> Values:
    """The logarithm of softmax: the shifted row less log1p of the sum of exponentials minus 1."""
    z = _shifted(x, where, axis, temperature)
    others = np.sum(np.where(z < 0, np.exp(z), 0), axis=axis, keepdims=True)
    ties = np.sum(z == 0, axis=axis, keepdims=True)
    return z - np.log1p(np.maximum(ties - 1, 0) + others)


def softmax_gradient(y: Values, cotangent: Values, axis: int | tuple[int, ...] = -1) -> Values:
    """Cotangent times d softmax / dx at temperature 1, for rows y that sum to 1.

    It is y_i sum_j y_j (c_i - c_j), the pairwise form, which is quadratic in the row's length and cancels nowhere.
    """
    axes = np.atleast_1d(axis)
    target = range(-len(axes), 0)
    rows, c = (np.moveaxis(a, axes, target).reshape(-1, math.prod(y.shape[i] for i in axes)) for a in (y, cotangent))
    g = rows * np.einsum("rj,rij->ri", rows, c[:, :, None] - c[:, None, :])
    return np.moveaxis(g.reshape(np.moveaxis(y, axes, target).shape), target, axes)


def log_softmax_gradient(log_y: Values, cotangent: Values, axis: int | tuple[int, ...] = -1) -> Values:
    """Cotangent times d log_softmax / dx at temperature 1, where log_y is log_softmax; -inf has no gradient."""
    c = np.where(np.isneginf(log_y), 0, cotangent)
    return np.where(np.isneginf(log_y), 0, c - np.exp(log_y) * np.sum(c, axis=axis, keepdims=True))
