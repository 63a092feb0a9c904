"""The error unit, its bounds, and the inputs at which they are checked."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from jaxact.verify.cases import Case

BOUNDS = {"float32": (5, 8, 32), "float64": (16, 32, 128), "bfloat16": (1, 1, 2), "float16": (1, 1, 2)}
"""Units for the value, the first and the second derivative, on XLA's CPU backend."""


def smallest(dtype: Any) -> float:
    """The size below which XLA may flush a result, or something on the way to it, so that no precision is required."""
    tiny = float(jnp.finfo(dtype).tiny)
    return tiny if jnp.dtype(dtype) == jnp.float16 else tiny * 2**10


def units(got: NDArray[Any], reference: NDArray[Any], sensitivity: NDArray[Any]) -> NDArray[np.float64]:
    """|got - reference| in ulps, of got's type, of max(|reference|, |sensitivity| / 8).

    `sensitivity` is x * d reference / dx, the effect of a relative change of x. Where the reference is below
    `smallest`, a result that is small too counts as right. NaN is infinitely wrong.
    """
    info = jnp.finfo(got.dtype)
    size = np.maximum(np.abs(reference), np.abs(sensitivity) / 8)
    threshold = smallest(got.dtype)
    # Beyond half an ulp over the largest number, infinity is the right result.
    limit = float(info.max) * (1 + float(info.eps) / 4)
    wide = np.clip(got.astype(np.float64), -limit, limit)
    exponent = np.minimum(np.floor(np.log2(np.clip(size, threshold, limit))), info.maxexp - 1)
    ulp = np.exp2(exponent) * float(info.eps)
    error = np.abs(wide - np.clip(reference, -limit, limit)) / ulp
    error = np.where(np.abs(reference) < threshold, np.where(np.abs(wide) < 2 * threshold, 0, error), error)
    return np.where(np.isnan(wide), np.inf, error)


@functools.cache
def inputs(dtype: str, joints: tuple[float, ...] = ()) -> NDArray[Any]:
    """Every number of a 16-bit type, or a sample of a wider type: some of each binade, more around 1 and joints.

    +-0, +-inf and the largest numbers are among them; subnormal numbers are not.
    """
    kind = jnp.dtype(dtype)
    if kind.itemsize == 2:
        x = np.arange(2**16, dtype=np.uint16).view(kind)
        size = np.abs(x.astype(np.float32))  # NaN compares false
        return x[(size >= float(jnp.finfo(kind).tiny)) | (size == 0)]
    rng = np.random.default_rng(0)
    low, high, sparse, dense = (-126, 128, 2**15, 2**17) if kind == np.float32 else (-1000, 150, 12, 48)
    exponents = np.concatenate([rng.uniform(low, high, sparse), rng.uniform(-12, 7.3, dense)])
    points = [s * np.exp2(exponents) for s in (-1, 1)]
    around = [np.array([*joints, 0.0], kind)]
    for direction in (-np.inf, np.inf):
        near = around[0]
        for _ in range(64 if kind == np.float32 else 2):
            near = np.nextafter(near, kind.type(direction))
            around.append(near)
    ends = [-np.inf, np.inf] if kind == np.float32 else []
    largest = float(jnp.finfo(kind).max) if kind == np.float32 else 1e45
    x = np.concatenate([*points, *around, ends, [-largest, largest, -0.0]])
    x = x.astype(kind)
    x = x[(np.abs(x) >= jnp.finfo(kind).tiny) | (x == 0)]
    if kind == np.float64:
        return x
    # Neighbours of 1 fill it up to one length, whatever the number of joints, so that eager calls compile only once.
    return np.concatenate([x, 1 + jnp.finfo(kind).eps * np.arange(-x.size % 4096, dtype=kind)])


def expected(
    case: Case, points: NDArray[Any], order: int, wrt: str | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a case should give at points of the type that it is computed in, and the sensitivity of that.

    Args:
      case: an elementwise function and its parameters.
      points: the inputs.
      order: the order of the derivative.
      wrt: the parameter to differentiate in, instead of x.

    Returns:
      The reference and the sensitivity; the reference is NaN where it is a convention.
    """
    oracle, settings = case.oracle, case.settings(points.dtype)
    x = points.astype(np.float64)
    form = oracle.derivative(order) if wrt is None else oracle.parameter_slope[wrt]
    with np.errstate(all="ignore"):
        step = np.abs(x) * 2.0**-30
        change = (
            oracle.derivative(order + 1)(x, **settings)
            if wrt is None
            else (form(x + step, **settings) - form(x - step, **settings)) / (2 * step)
        )
        sensitivity = np.where(np.isfinite(x * change), x * change, 0)  # undefined at +-inf, and next to where f is
        reference = form(x, **settings)
    undefined = np.isin(x, oracle.joints) & (order == 2)
    if points.dtype == np.float64:  # the float64 forms are no better than the results that they would judge
        orders = (order, wrt) if wrt is None else (1, wrt)
        reference = np.array(
            [0 if skip else oracle.exact(t, *orders, **settings) for t, skip in zip(x, undefined, strict=True)]
        )
    return np.where(undefined, np.nan, reference.astype(np.float64)), sensitivity


@functools.lru_cache(maxsize=8)
def _at_inputs(case: Case, dtype: str, order: int, wrt: str | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return expected(case, inputs(dtype, case.oracle.joints), order, wrt)


def check(
    case: Case, function: Callable[[Array], Sequence[Array]], dtype: str, order: int, wrt: str | None = None
) -> None:
    """Check the results of `function`, which are several ways to one derivative of the case, at every input.

    NaN, and a zero where the true result is a normal number, have errors that exceed every bound.
    """
    x = inputs(dtype, case.oracle.joints)
    reference, sensitivity = _at_inputs(case, dtype, order, wrt)
    ways = [np.asarray(result) for result in function(jnp.asarray(x))]
    assert all(got.dtype == x.dtype for got in ways), f"{case.name}: {[str(got.dtype) for got in ways]} from {dtype}"
    for got in {got.tobytes(): got for got in ways}.values():  # most ways give the same bits
        error = np.where(np.isnan(reference) & ~np.isnan(got.astype(np.float64)), 0, units(got, reference, sensitivity))
        _hold(case, x, got, reference, error, dtype, order, wrt)


def _hold(
    case: Case,
    x: NDArray[Any],
    got: NDArray[Any],
    reference: NDArray[Any],
    error: NDArray[np.float64],
    dtype: str,
    order: int,
    wrt: str | None,
) -> None:
    bound = BOUNDS[dtype][order]
    worst = int(np.argmax(error))
    assert error[worst] <= bound, (
        f"{case.name}, {f'd/d{wrt}' if wrt else f'derivative {order}'} in {dtype}: {error[worst]:.2f} units, over"
        f" {bound}, at x = {x[worst]!r}: got {got[worst]!r}, expected {reference[worst]!r};"
        f" {np.sum(error > bound)} of {x.size}"
        f" inputs are out of bounds, from {x[error > bound].min()} to {x[error > bound].max()}"
    )
