"""How the rule makes functions along an axis; sums and largest entries of a row; the checks of arguments."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.core.checks import as_float, canonical_axes, hashable_axis, widen, working_dtype
from jaxact.core.rule import derivative_rule, jitted, may_be_differentiated, public

AxisName = str | Sequence[str]


class Axes(NamedTuple):
    """Where a row lies: on some axes of an array and, if it is split over mapped axes, on these too."""

    numbers: tuple[int, ...]
    names: tuple[str, ...] = ()

    def sum(self, x: Array, dtype: Any = None) -> Array:
        """Sum the row, keeping its axes with size 1."""
        total = jnp.sum(x, self.numbers, dtype, keepdims=True)
        return lax.psum(total, self.names) if self.names else total

    def max(self, x: Array) -> Array:
        """Return the row's maximum, keeping its axes with size 1. It has no derivative, since it serves as a shift."""
        # The maximum of an empty row is -inf. Other rows do without `initial`, which jax2onnx does not know.
        initial = None if math.prod(x.shape[i] for i in self.numbers) else -jnp.inf
        largest = jnp.max(lax.stop_gradient(x), self.numbers, keepdims=True, initial=initial)
        return lax.pmax(largest, self.names) if self.names else largest


def masked(x: Array, where: Array | None) -> Array:
    """The logits in x's own type, -inf where they are left out."""
    return x if where is None else jnp.where(where, x, -jnp.inf)


def logits(x: Array, where: Array | None) -> Array:
    """The logits in working precision, -inf where they are left out."""
    return widen(masked(x, where))


def exponents(
    axes: Axes, x: Array, temperature: Array | None = None, sink: Array | None = None
) -> tuple[Array, Array | None, Array]:
    """Return (x - m) / temperature for logits x, the same for the sink, and m, the largest of them.

    The maximum is that of x's own type, which a CPU finds sooner in 16 bits; the rest is in working precision.

    A row of -inf alone gives NaN, which the caller replaces after the last sum, where that costs nothing: XLA fuses a
    row function into one kernel only if nothing stands between its maximum, difference, exponential and sum.
    """
    m = widen(axes.max(x))
    m = m if sink is None else jnp.maximum(m, lax.stop_gradient(sink))
    h, h_sink = widen(x) - m, None if sink is None else sink - m
    if temperature is not None:
        temperature = bounded(temperature)
        h, h_sink = h / temperature, None if h_sink is None else h_sink / temperature
    return h, h_sink, m


def bounded(temperature: Array) -> Array:
    """The temperature where its inverse is a normal number, or the largest such one.

    Beside an infinite temperature a logit of -inf would be NaN. XLA multiplies by the inverse and flushes a subnormal
    one to 0, so that the same would happen from 1e38 on.
    """
    return jnp.minimum(temperature, 1 / float(jnp.finfo(temperature.dtype).tiny))


def log_sum(axes: Axes, h: Array, h_sink: Array | None = None) -> Array:
    """log(sum(exp(h))) of exponents whose largest is 0.

    The ones are counted apart. In one sum all terms that are less than an ulp of 1 would be lost, and with them a loss
    (of training) of 1e-8.
    """
    count = axes.sum((h == 0).astype(h.dtype))
    others = axes.sum(jnp.where(h == 0, 0, jnp.exp(h)))
    if h_sink is not None:
        count, others = count + (h_sink == 0), others + jnp.where(h_sink == 0, 0, jnp.exp(h_sink))
    return jnp.log1p((count - 1) + others)


def centred(axes: Axes, weights: Sequence[Array], values: Sequence[Array], total: Array | None = None) -> list[Array]:
    """Subtract the weighted mean of a row, and of its sink if it has one, from its values.

    The weights sum to 1, or to `total`. The subtraction happens twice: where one entry has nearly all of the weight,
    the first leaves the rounding error of the mean there.
    """
    values = list(values)
    for _ in range(2):
        mean = axes.sum(weights[0] * values[0]) + sum(w * v for w, v in zip(weights[1:], values[1:], strict=True))
        mean = mean if total is None else mean / total
        values = [v - mean for v in values]
    return values


def along_axis(
    name: str,
    value: Callable[..., Any],
    tangent: Callable[..., Any],
    keep: Callable[..., Any] | None = None,
    *,
    parameters: Sequence[str] = (),
    complex_form: Callable[..., Any] | None = None,
) -> Callable[..., Array]:
    """Make a function along an axis.

    Args:
      name: the public name.
      value: `value(axes, x, where, *parameters)`, which returns an array, or a tuple that begins with it. `where` and
        each parameter are None or an array of x's rank; a parameter has size 1 along the row and x's working precision.
      tangent: as in `derivative_rule`, with `axes` as the static argument.
      keep: as in `derivative_rule`, with `axes` as the static argument.
      parameters: the names of the parameters.
      complex_form: the function of the same arguments for complex input.

    Returns:
      A function `(x, where, *parameters, axis=..., axis_name=...)`.
    """

    def program(live: int | None) -> Callable[..., Array]:
        kernel = derivative_rule(name, value, tangent, keep, statics=1, live=live)

        def traced(x: ArrayLike, where: ArrayLike | None, given: Any, axis: Any, axis_name: Any) -> Array:
            x = as_float(name, x)
            axes = Axes(canonical_axes(name, axis, x.ndim), axis_name)
            mask = None if where is None else as_mask(name, where, x)
            rows = (
                None if p is None else one_a_row(name, n, p, x, axes) for n, p in zip(parameters, given, strict=True)
            )
            y = kernel(axes, x, mask, *rows)
            return y[0] if isinstance(y, tuple) else y

        return jitted(name, traced, static_argnums=(3, 4))

    constant, learned = program(1), program(None)

    def run(
        x: ArrayLike,
        where: ArrayLike | None,
        *given: ArrayLike | None,
        axis: int | Sequence[int] | None,
        axis_name: AxisName | None = None,
    ) -> Array:
        live = may_be_differentiated(*(p for p in given if p is not None))
        names = () if axis_name is None else (axis_name,) if isinstance(axis_name, str) else tuple(axis_name)
        return (learned if live else constant)(x, where, given, hashable_axis(name, axis), names)

    return public(name, run, ("x", "where", *parameters), complex_form, needed=1)


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
    """Return a parameter with x's rank and working precision. It is an error if it has more than one value per row."""
    array = as_float(who, value, argument)
    row = tuple(1 if i in axes.numbers else size for i, size in enumerate(x.shape))
    shape = (1,) * (x.ndim - array.ndim) + array.shape
    if len(shape) != x.ndim or any(size not in (1, most) for size, most in zip(shape, row, strict=True)):
        raise ValueError(
            f"jaxact.{who}: expected {argument} to have one value per row and so to broadcast to {row}, got shape "
            f"{array.shape}; keep the row's axis with size 1"
        )
    return jnp.reshape(array, shape).astype(working_dtype(x.dtype))
