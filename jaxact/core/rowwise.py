"""How a function along an axis is made: exact differences, sums over a row, and the check of its arguments."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.core.checks import as_array, as_float, canonical_axes, working_dtype
from jaxact.core.numerics import product

AxisName = str | Sequence[str]


class Axes(NamedTuple):
    """Where a row lies: some axes of an array, and the mapped axes, if any, that it is split over too."""

    numbers: tuple[int, ...]
    names: tuple[str, ...] = ()

    def sum(self, x: Array, dtype: Any = None) -> Array:
        """Sum the row, keeping its axes with size 1."""
        total = jnp.sum(x, self.numbers, dtype, keepdims=True)
        return lax.psum(total, self.names) if self.names else total

    def max(self, x: Array) -> Array:
        """Return the row's maximum, keeping its axes with size 1. It serves as a shift: no derivative."""
        largest = jnp.max(lax.stop_gradient(x), self.numbers, keepdims=True, initial=-jnp.inf)
        return lax.pmax(largest, self.names) if self.names else largest


def difference(a: Array, b: Array) -> tuple[Array, Array]:
    """Return a - b as its rounding and the exact rest (0 where that overflows); inf - inf counts as 0."""
    high = jnp.where(a == b, 0, a - b)
    part = high - a
    rest = (a - (high - part)) - (b + part)
    return high, jnp.where(jnp.abs(rest) < jnp.inf, rest, 0)


def quotient(high: Array, low: Array, divisor: Array) -> tuple[Array, Array]:
    """Return (high + low) / divisor as its rounding and the rest, for |low| << |high|."""
    q = high / divisor
    p, rest = product(q, divisor)
    rest = (((high - p) - rest) + low) / divisor
    return q, jnp.where(jnp.abs(rest) < jnp.inf, rest, 0)


def centred(
    axes: Axes,
    weights: Array,
    valid: Array,
    t: Array,
    other_weight: Array | None = None,
    other: Array | None = None,
) -> tuple[Array, Array | None]:
    """Subtract from t its weighted mean over the row; the weights need not sum to 1.

    The difference cancels where one entry has nearly all of the weight. After a first subtraction, the rest is measured
    from that entry, whose own difference is then a sum of small ones, here and in the transpose.

    Args:
      axes: the row.
      weights: 0 or more; all 0 in a row counts as a mean of 0.
      valid: where t is to be seen; the result is 0 elsewhere.
      t: what is averaged.
      other_weight: the weight of one more entry of the row that is not in the arrays, if any.
      other: that entry of t.

    Returns:
      t without its mean, and `other` without it.
    """

    def row_sum(x: Array, of_other: Array | None) -> Array:
        return axes.sum(x) if of_other is None else axes.sum(x) + of_other

    def less_mean(t: Array, other: Array | None) -> tuple[Array, Array | None]:
        mean = row_sum(weights * t, None if other is None or other_weight is None else other_weight * other) / total
        return jnp.where(valid, t - mean, 0), None if other is None else other - mean

    total = row_sum(weights, other_weight)
    total = jnp.where(total == 0, 1, total)
    t, other = less_mean(jnp.where(valid, t, 0), other)
    heavy = 2 * weights > total
    other_heavy = None if other_weight is None else 2 * other_weight > total
    origin = row_sum(
        jnp.where(heavy, t, 0), None if other is None or other_heavy is None else jnp.where(other_heavy, other, 0)
    )
    t = jnp.where(heavy | ~valid, 0, t - origin)
    other = None if other is None or other_heavy is None else jnp.where(other_heavy, 0, other - origin)
    return less_mean(t, other)


def along_axis(name: str, evaluate: Callable[..., Array]) -> Callable[..., Array]:
    """Make a jitted function along an axis, which checks its arguments.

    Args:
      name: the public name. It shows in jaxprs, HLO and profiles, and `jaxact.flow.observe` finds the function by it.
      evaluate: `evaluate(axes, x, where, **parameters)`, `where` and each parameter being None or an array of x's rank,
        a parameter of size 1 along the row and in x's working precision.

    Returns:
      A function `(x, axis, where, axis_name=None, **parameters)`.
    """

    def traced(
        x: ArrayLike,
        axis: int | Sequence[int] | None,
        where: ArrayLike | None,
        names: tuple[str, ...],
        parameters: dict[str, ArrayLike],
    ) -> Array:
        x = as_float(name, x)
        axes = Axes(canonical_axes(name, axis, x.ndim), names)
        mask = None if where is None else as_mask(name, where, x)
        return evaluate(
            axes, x, mask, **{key: one_a_row(name, key, value, x, axes) for key, value in parameters.items()}
        )

    traced.__name__ = traced.__qualname__ = name
    jitted = jax.jit(traced, static_argnums=(1, 3))

    def call(
        x: ArrayLike,
        axis: int | Sequence[int] | None,
        where: ArrayLike | None = None,
        axis_name: AxisName | None = None,
        **parameters: ArrayLike | None,
    ) -> Array:
        given = {key: value for key, value in parameters.items() if value is not None}
        names = () if axis_name is None else (axis_name,) if isinstance(axis_name, str) else tuple(axis_name)
        axis = tuple(axis) if isinstance(axis, list) else axis
        try:
            return jitted(x, axis, where, names, given)
        except TypeError:
            # As in pointwise: looked into only now, and what is converted can be tried again.
            arrays = {key: as_array(name, value, key) for key, value in {"x": x, **given}.items()}
            if all(arrays[key] is value for key, value in {"x": x, **given}.items()):
                raise
            return jitted(arrays.pop("x"), axis, where, names, arrays)

    call.__name__ = call.__qualname__ = name
    return call


def as_mask(who: str, where: ArrayLike, x: Array) -> Array:
    """Return `where` as a bool array of x's shape."""
    mask = jnp.asarray(where)
    if mask.dtype != jnp.bool_:
        raise TypeError(
            f"jaxact.{who}: expected where to be a bool array, got {mask.dtype}; compare it, as in where > 0"
        )
    try:
        return jnp.broadcast_to(mask, x.shape)
    except ValueError:
        raise ValueError(
            f"jaxact.{who}: expected where to broadcast to x's shape {x.shape}, got {mask.shape}; give it x's axes"
        ) from None


def one_a_row(who: str, argument: str, value: ArrayLike, x: Array, axes: Axes) -> Array:
    """Return a parameter with x's rank and working precision, or say that it has no single value a row."""
    array = as_float(who, value, argument)
    row = tuple(1 if i in axes.numbers else size for i, size in enumerate(x.shape))
    shape = (1,) * (x.ndim - array.ndim) + array.shape
    if len(shape) != x.ndim or any(size not in (1, most) for size, most in zip(shape, row, strict=True)):
        raise ValueError(
            f"jaxact.{who}: expected {argument} to have one value a row and so to broadcast to {row}, got shape "
            f"{array.shape}; keep the row's axis with size 1"
        )
    return jnp.reshape(array, shape).astype(working_dtype(x.dtype))
