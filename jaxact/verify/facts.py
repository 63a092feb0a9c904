"""The facts about results: worst error in two units, how many are not correctly rounded, wrong zeros and NaNs."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from jaxact.verify.unit import smallest, units

EDGES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
"""Upper ends of the histogram's bins, in ulp; one more bin is above them."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """The facts about some results, against what they should be."""

    inputs: int
    """How many were judged."""
    worst: float
    """Largest error in the error unit (jaxact.verify.unit), among the results that are not NaN."""
    at: float
    """The input of that."""
    ulp: float
    """Largest error in ulp of the right result, among the normal results."""
    normal: int
    """How many right results are normal numbers that can be computed without flushing anything on the way."""
    misrounded: int
    """How many of the results in `normal` are not the nearest number of the type."""
    tail: int
    """How many smaller normal results are misrounded; there float32, which computes the 16-bit types, flushes."""
    zeros: int
    """How many are 0 where the right result is normal."""
    nans: int
    """How many are NaN."""
    nan_at: float | None
    """The first input whose result is NaN and should not be."""
    histogram: tuple[int, ...]
    """How many normal results have which error in ulp, in the bins of EDGES."""

    def __add__(self, other: "Facts") -> "Facts":
        """The facts about both sets of results together."""
        worse = self if self.worst >= other.worst else other
        added = {
            name: getattr(self, name) + getattr(other, name)
            for name in ("inputs", "normal", "misrounded", "tail", "zeros", "nans")
        }
        return Facts(
            **added,
            worst=worse.worst,
            at=worse.at,
            ulp=max(self.ulp, other.ulp),
            nan_at=other.nan_at if self.nan_at is None else self.nan_at,
            histogram=tuple(a + b for a, b in zip(self.histogram, other.histogram, strict=True)),
        )


def rounded(reference: NDArray[np.float64], dtype: Any) -> NDArray[np.float64]:
    """The nearest numbers of a type, ties to even. They are rounded once; a cast to bfloat16 would round twice."""
    info = jnp.finfo(dtype)
    step = _ulp(reference, dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        nearest = np.rint(reference / step) * step
    limit = float(info.max)
    return np.where(np.isfinite(nearest) & (np.abs(nearest) > limit), np.copysign(np.inf, nearest), nearest)


def _ulp(reference: NDArray[np.float64], dtype: Any) -> NDArray[np.float64]:
    """The distance between numbers of a type around the reference."""
    info = jnp.finfo(dtype)
    size = np.clip(np.abs(reference), float(info.tiny), float(info.max))
    _, exponent = np.frexp(size)  # size = m 2^exponent with m in [1/2, 1)
    return np.ldexp(float(info.eps), np.minimum(exponent, info.maxexp) - 1)


def facts(
    x: NDArray[Any], got: NDArray[Any], reference: NDArray[np.float64], sensitivity: NDArray[np.float64]
) -> Facts:
    """Judge results.

    Args:
      x: the inputs.
      got: the results, in the type that they are judged in.
      reference: what they should be; where it is NaN nothing is judged.
      sensitivity: x * d reference / dx.
    """
    defined = ~np.isnan(reference)
    x, got, reference, sensitivity = x[defined], got[defined], reference[defined], sensitivity[defined]
    wide = got.astype(np.float64)
    nan = np.isnan(wide)
    error = np.where(nan, 0, units(got, reference, sensitivity))
    right, tiny = rounded(reference, got.dtype), float(jnp.finfo(got.dtype).tiny)
    is_normal, off = np.abs(right) >= tiny, (wide != right) & ~nan
    small = is_normal & (np.abs(reference) < smallest(got.dtype))
    normal = is_normal & ~small
    limit = float(jnp.finfo(got.dtype).max) * (1 + float(jnp.finfo(got.dtype).eps) / 4)
    distance = np.abs(np.clip(wide, -limit, limit) - np.clip(reference, -limit, limit)) / _ulp(reference, got.dtype)
    distance = np.where(off, distance, np.minimum(distance, 0.5))[normal & ~nan]
    worst = int(np.argmax(error)) if error.size else 0
    bins = np.searchsorted(EDGES, distance)
    return Facts(
        inputs=int(x.size),
        worst=float(error[worst]) if error.size else 0.0,
        at=float(x[worst]) if error.size else 0.0,
        ulp=float(distance.max()) if distance.size else 0.0,
        normal=int(normal.sum()),
        misrounded=int((off & normal).sum()),
        tail=int((off & small).sum()),
        zeros=int(((wide == 0) & normal).sum()),
        nans=int(nan.sum()),
        nan_at=float(x[nan][0]) if nan.any() else None,
        histogram=tuple(np.bincount(bins, minlength=len(EDGES) + 1).tolist()),
    )
