"""What a function accepts: one dtype policy, and one style of error (who, what was expected, what came, what to do)."""

import operator
from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

_HALF = (jnp.dtype(jnp.bfloat16), jnp.dtype(jnp.float16))
FLOATS = (*_HALF, jnp.dtype(jnp.float32), jnp.dtype(jnp.float64))
_NUMBERS = (np.ndarray, np.generic, bool, int, float, complex)


def as_array(who: str, x: ArrayLike, argument: str = "x") -> ArrayLike:
    """Return `x` if JAX can take it as an array of numbers, or say what is wrong with it.

    It runs before `jax.jit` sees the argument, because jit's own message names neither function nor argument.
    """
    if isinstance(x, jax.Array):
        return x
    if callable(convert := getattr(x, "__jax_array__", None)):  # for example a flax.nnx.Param
        return cast(jax.Array, convert())
    if not isinstance(x, _NUMBERS) or (isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "OSUMm"):
        raise TypeError(
            f"jaxact.{who}: expected {argument} to be a real number or array, got {type(x).__name__} "
            f"({_shortened(x)}); convert it first, for example with jax.numpy.asarray"
        )
    if isinstance(x, np.ndarray | np.generic) and x.dtype.char in "gG":  # long doubles, which JAX does not have
        raise _no_float(who, x.dtype, argument)
    return x


def of_numbers(x: ArrayLike | Sequence[float]) -> ArrayLike:
    """An array of several numbers, which a config has as a list; anything else as it is."""
    return jnp.asarray(x) if isinstance(x, list | tuple) else cast(ArrayLike, x)


def as_float(who: str, x: ArrayLike, argument: str = "x") -> jax.Array:
    """Apply the dtype policy: bool and int become the default float, the four floats stay, the rest is an error."""
    if not isinstance(x, jax.Array):  # for an array, jnp.asarray would take as long as the whole call
        x = jnp.asarray(as_array(who, x, argument))
    if x.dtype in FLOATS:
        return x
    if jnp.issubdtype(x.dtype, jnp.integer) or x.dtype == jnp.bool_:
        return x.astype(jnp.result_type(float))
    raise _no_float(who, x.dtype, argument)


def _no_float(who: str, dtype: Any, argument: str) -> TypeError:
    return TypeError(
        f"jaxact.{who}: expected {argument} to be bfloat16, float16, float32, float64, an integer or a bool, "
        f"got {dtype}; cast it with {argument}.astype(jax.numpy.float32)"
        + (" or take its real part" if jnp.issubdtype(dtype, jnp.complexfloating) else "")
    )


def working_dtype(dtype: jax.typing.DTypeLike) -> jnp.dtype:
    """The type to compute in: float32 for the 16-bit floats, and the type itself for float32 and float64."""
    dtype = jnp.dtype(dtype)
    return jnp.dtype(jnp.float32) if dtype in _HALF else dtype


def widen(x: jax.Array) -> jax.Array:
    """Cast a 16-bit float array to float32; return anything else (masks too) as it is, weak types included."""
    return x.astype(jnp.float32) if x.dtype in _HALF else x


_DOMAINS: dict[str, Callable[[Any], Any]] = {
    "> 0": lambda v: v > 0,
    ">= 0": lambda v: v >= 0,
    "> 1": lambda v: v > 1,
    "in (0, 1)": lambda v: (v > 0) & (v < 1),
}


def check_parameter(who: str, domain: str, **parameters: object) -> None:
    """Raise a `ValueError` for a concrete parameter outside its domain.

    Args:
      who: the function's public name.
      domain: one of `_DOMAINS`.
      **parameters: the values by name. Tracers pass, since their values are not known while a program is traced.
    """
    for name, value in parameters.items():
        array: Any = value if isinstance(value, int | float) else as_array(who, value, name)  # pyright: ignore[reportArgumentType]
        # NumPy does the comparison, since JAX's comparison of constants is a tracer during tracing.
        if not isinstance(array, Tracer) and not np.all(_DOMAINS[domain](np.asarray(array))):
            raise ValueError(f"jaxact.{who}: expected {name} {domain}, got {_shortened(value)}; choose another {name}")


def check_key(who: str, key: object) -> None:
    """Raise an error if `key` is not one random key of JAX, new style or old."""
    dtype = getattr(key, "dtype", None)
    if dtype is None or not (jnp.issubdtype(dtype, jax.dtypes.prng_key) or dtype == jnp.uint32):
        raise TypeError(
            f"jaxact.{who}: expected key to be a key, got {_shortened(key)}; make one with jax.random.key(0)"
        )
    if np.ndim(cast(Any, key)) != (dtype == jnp.uint32):  # an old one has a row of numbers
        raise ValueError(
            f"jaxact.{who}: expected one key, got an array of shape {np.shape(cast(Any, key))}; use jax.vmap for one "
            "key per row"
        )


def canonical_axes(who: str, axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Return `axis` as a tuple of non-negative axes of an array of rank `ndim`; None means all of them."""
    if axis is None:
        return tuple(range(ndim))
    try:
        axes = tuple(map(operator.index, axis)) if isinstance(axis, Sequence) else (operator.index(axis),)
    except TypeError:
        raise _no_axis(who, axis) from None
    for a in axes:
        if not -ndim <= a < ndim:
            raise ValueError(
                f"jaxact.{who}: expected axis in [{-ndim}, {ndim}) for an array of rank {ndim}, got {a}; "
                + ("give x at least one axis" if ndim == 0 else "count its axes again")
            )
    if len({a % ndim for a in axes}) < len(axes):
        raise ValueError(f"jaxact.{who}: expected each axis once, got {axis!r}; drop the repeated one")
    return tuple(a % ndim for a in axes)


def hashable_axis(who: str, axis: Any) -> Any:
    """Return `axis` as `jax.jit` takes a static argument: a list as a tuple. An array or a tracer is an error."""
    if isinstance(axis, list):
        return tuple(axis)
    try:
        hash(axis)
    except (TypeError, ValueError):
        raise _no_axis(who, axis) from None
    return axis


def _no_axis(who: str, axis: object) -> TypeError:
    return TypeError(
        f"jaxact.{who}: expected axis to be an int or a tuple of ints, got {_shortened(axis)}; name the axis by its "
        "number"
    )


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
