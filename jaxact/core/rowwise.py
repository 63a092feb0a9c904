"""How a function along an axis is made: sums and means over a row, and the check of its arguments."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.core.checks import as_array, as_float, canonical_axes, working_dtype

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


class Weights(NamedTuple):
    """Weights along a row, of which the mean is taken; they need not sum to 1, and all 0 counts as a mean of 0.

    The mean is subtracted twice: where one entry has nearly all of the weight, or all values are alike, the rounding of
    the mean shows in what is left.
    """

    axes: Axes
    valid: Array
    """Where values are to be seen: elsewhere they may be NaN, and the result is 0."""
    parts: tuple[Array, ...]
    """Of the entries of an array and, where a row has one more that is not in it, as a sink, of that; so are values."""

    def centre(self, *values: Array) -> list[Array]:
        """Subtract from values their weighted mean."""
        return self._seen(self._less_mean(self._less_mean(self._seen(list(values)))))

    def weigh(self, *values: Array) -> list[Array]:
        """Subtract from values their weighted mean and multiply them by the weights: symmetric, and sums to 0."""
        centred = self._less_mean(self._seen(list(values)))
        change = [weight * value for weight, value in zip(self.parts, centred, strict=True)]
        # In reverse mode this comes first, and centres values before the weights round them.
        rest = self._sum(change) / self._total()
        return self._seen([value - weight * rest for weight, value in zip(self.parts, change, strict=True)])

    def _seen(self, values: list[Array]) -> list[Array]:
        return [jnp.where(self.valid, values[0], 0), *values[1:]]

    def _sum(self, values: Sequence[Array]) -> Array:
        return sum(values[1:], start=self.axes.sum(values[0]))

    def _total(self) -> Array:
        total = self._sum(self.parts)
        return jnp.where(total == 0, 1, total)

    def _less_mean(self, values: list[Array]) -> list[Array]:
        mean = self._sum([weight * value for weight, value in zip(self.parts, values, strict=True)]) / self._total()
        return [value - mean for value in values]


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
