"""How the rule makes elementwise functions of arrays and parameters."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from jaxact.core.checks import as_float, widen, working_dtype
from jaxact.core.derivative import Formula, by_rule, derivative, with_derivative
from jaxact.core.rule import checkpoints_wholly, derivative_rule, jitted, may_be_differentiated, public

_NUMBERS = {int, float}


class Pieces(NamedTuple):
    """A slope with few values. A tangent is then chosen, not multiplied, so that flat pieces give 0 for infinity too.

    In bf16 that takes a third of the time on a CPU.
    """

    number: Formula
    """A function of x (or of y) and the parameters: the number of its piece, a bool or a small int. NaN is on none."""
    slopes: Callable[..., Sequence[Any]]
    """A function of the parameters: the slope on each piece. The slopes 0 and 1 cost nothing."""
    of_output: bool = False
    """Whether `number` takes y. Then y is kept, which the next layer keeps anyway; otherwise one byte per entry is."""

    def numbers(self, at: Array, *parameters: Array) -> Array:
        """The number of each entry's piece, as a byte; -1 for NaN."""
        return jnp.where(at == at, self.number(at, *parameters).astype(jnp.int8), jnp.int8(-1))

    def along(self, numbers: Array, t: Array, *parameters: Array) -> Array:
        """The tangent times the slope."""
        # The factor is 1 where there is no NaN, since NaN times a cotangent of 0 would be NaN.
        passed = t * jnp.where(numbers < 0, jnp.array(jnp.nan, t.dtype), jnp.array(1, t.dtype))
        total = passed
        for number, slope in enumerate(self.slopes(*parameters)):
            known = isinstance(slope, int)
            total = jnp.where(numbers == number, (passed if slope else 0) if known else t * slope, total)
        return total


def elementwise(
    name: str,
    value: Formula,
    slope: Formula | Pieces | Mapping[str, Formula],
    *,
    parameters: Mapping[str, Formula] | None = None,
    curvature: Formula | None = None,
    textbook: Formula | None = None,
    keeps_output: bool = False,
    rounds: bool = True,
    complex_form: Callable[..., Any] | None = None,
) -> Callable[..., Array]:
    """Make an elementwise function of one array (or of several with one shape) and of parameters.

    All formulas are written in working precision (float32 for 16-bit input) and broadcast like jax.numpy: parameters
    arrive in that precision with the rank of x, or as scalars.

    Args:
      name: the public name.
      value: `value(x, *parameters)`, whose signature gives the parameters' names and, where there are any, defaults.
      slope: d value / dx as `slope(x, *parameters)`, or `Pieces`. For a function of several arrays, a mapping from
        their names.
      parameters: d value / d parameter as formulas of the same arguments, by the parameters' names.
      curvature: d slope / dx, where autodiff of `slope` would lose digits or make a NaN.
      textbook: the value in a form that autodiff gets right to any order. The derivatives that are not given come from
        it, since autodiff of formulas in |x| would be wrong where the two sides meet.
      keeps_output: whether `slope` takes y, so that y is kept.
      rounds: False where value and slope only choose, and so need no more precision than x has. They get x as it is,
        and parameters cast to its type. In 16 bits a compiler for GPUs then fuses them with the matrix product before
        them, which it does not do with a cast.
      complex_form: the function of the same arguments for complex input, if it is not jax.nn's function of that name.

    Returns:
      A function of `(x, *parameters)`. Parameters are traced (a new value compiles nothing), broadcast against x, and
      cast to x's working precision; the result has x's dtype.
    """
    declared = list(inspect.signature(value).parameters.values())
    slopes: dict[str, Any] = dict(slope) if isinstance(slope, Mapping) else {declared[0].name: slope}
    arrays = len(slopes)
    slopes |= parameters or {}
    names = [p.name for p in declared]
    defaults = tuple(p.default for p in declared[arrays:])
    if textbook is not None:
        for i, n in enumerate(names[arrays:], arrays):
            slopes[n] = with_derivative(derivative(textbook, of=i))(slopes[n])
    pieces = slope if isinstance(slope, Pieces) else None

    def evaluate(x: Array, *others: Array) -> Array:
        wide = widen(x) if rounds else x
        return cast(value(wide, *(cast(a, wide.dtype) for a in others)), x.dtype)

    def keep(primals: Sequence[Array], y: Array, asked: Sequence[bool]) -> Any:
        x, *others = primals
        own: Any = y if asked[0] else None
        if pieces is not None and asked[0] and not (pieces.of_output and not checkpoints_wholly()):
            own = pieces.numbers(*_widened(y if pieces.of_output else x, *others))
        return own, (x if any(asked[1:]) else None, *others)

    def tangent(slopes: Mapping[str, Any], kept: Any, tangents: Sequence[Array | None]) -> Array:
        own: Any
        own, (x, *others) = kept if keeps else (None, kept)
        asked = [t is not None for t in tangents]
        like = next(a for a in (x, *tangents) if a is not None)
        # A parameter's derivative is a sum over entries, for which 16 bits are never enough.
        kind = working_dtype(like.dtype) if rounds or any(asked[arrays:]) else like.dtype
        total: Any = 0
        for name, t in zip(names, tangents, strict=True):
            if t is None:
                continue
            t = cast(t, kind)
            at, *rest = _widened(own if keeps and name == names[0] else x, *others)
            if pieces is not None and name == names[0]:
                numbers = own if own.dtype == jnp.int8 else pieces.numbers(at if rounds else own, *rest)
                total += pieces.along(numbers, t, *(cast(p, kind) for p in rest))
            else:
                derivative = slopes[name](at, *rest)
                total += jnp.where(derivative, t, 0) if derivative.dtype == bool else t * derivative
        return cast(jnp.broadcast_to(total, like.shape), like.dtype)

    keeps = keeps_output or pieces is not None

    def program(live: int | None) -> Callable[..., Array]:
        first = slopes[names[0]]
        own = first if curvature is None else _with_curvature(first, curvature, textbook, live)
        along = functools.partial(tangent, {**slopes, names[0]: own})
        kernel = derivative_rule(name, evaluate, along, keep if keeps else None, live=live)

        def traced(*arguments: ArrayLike) -> Array:
            given = arguments if len(arguments) > arrays else (*arguments, *defaults)
            return kernel(
                *_lined_up(name, arrays, names, [as_float(name, a, n) for a, n in zip(given, names, strict=True)])
            )

        return jitted(name, traced)

    constant, learned = program(arrays), program(None)

    def run(*arguments: ArrayLike) -> Array:
        given = arguments[arrays:]
        # A scalar argument costs an eager call 6 us, so the defaults are constants in a separate program.
        if not given or (_NUMBERS.issuperset(map(type, given)) and given == defaults):
            return constant(*arguments[:arrays])
        return (learned if may_be_differentiated(*given) else constant)(*arguments)

    def of_complex(*arguments: Any) -> Any:
        given = arguments[arrays:]
        plain = _NUMBERS.issuperset(map(type, given)) and given == defaults
        return (complex_form or getattr(jax.nn, name))(*(arguments[:arrays] if plain else arguments))

    return public(name, run, names, of_complex if complex_form or hasattr(jax.nn, name) else None)


def _lined_up(name: str, count: int, names: Sequence[str], arrays: Sequence[Array]) -> list[Array]:
    """Give the first arrays one type, and all arrays one rank."""
    first, others = arrays[:count], arrays[count:]
    if len({a.shape for a in first}) > 1:
        raise ValueError(
            f"jaxact.{name}: expected {' and '.join(names[:count])} of one shape, got "
            f"{' and '.join(str(a.shape) for a in first)}; jaxact.split makes both from one packed array"
        )
    if len({a.dtype for a in first}) > 1:
        dtype = jnp.result_type(*first)
        first = [a.astype(dtype) for a in first]
    try:
        shape = jnp.broadcast_shapes(first[0].shape, *(p.shape for p in others))
    except ValueError:
        shapes = ", ".join(str(p.shape) for p in others)
        raise ValueError(
            f"jaxact.{name}: expected parameters that broadcast against {names[0]}, got {names[0]} of shape "
            f"{first[0].shape} and {shapes}; for one value per channel, give a parameter the shape "
            f"(channels, 1, ..., 1) that lines up with {names[0]}"
        ) from None
    return [*(jnp.broadcast_to(a, shape) for a in first), *(_lifted(p, len(shape)) for p in others)]


def _lifted(parameter: Array, ndim: int) -> Array:
    """Add leading axes of size 1. Then no formula needs rank promotion, and Triton sees no operation on a literal."""
    return lax.expand_dims(parameter, range(ndim - parameter.ndim))


def _widened(x: Array | None, *parameters: Array) -> list[Any]:
    """X in working precision, unless it is the number of a piece, and the parameters in working precision."""
    if x is None or not jnp.issubdtype(x.dtype, jnp.floating):
        return [x, *map(widen, parameters)]
    wide = widen(x)
    return [wide, *(cast(p, wide.dtype) for p in parameters)]


def cast(x: Array, dtype: Any) -> Array:
    """Cast, but leave an array of that dtype alone, so that a weak type stays weak."""
    return x if x.dtype == dtype else x.astype(dtype)


def _with_curvature(slope: Formula, curvature: Formula, textbook: Formula | None, live: int | None) -> Formula:
    """Give `slope(x, *parameters)` the derivative `curvature` in x; the others come from the textbook or autodiff."""
    same = slope if textbook is None else derivative(textbook)
    second = curvature if textbook is None else with_derivative(derivative(same))(curvature)

    def differentiate(primals: tuple[Array, ...], tangents: tuple[Array | SymbolicZero, ...]) -> tuple[Array, Array]:
        x, *parameters = primals
        t, *others = tangents if live is None else tangents[:live]
        y = exact(*primals)
        total = jnp.zeros_like(y) if isinstance(t, SymbolicZero) else t * second(x, *parameters)
        if any(not isinstance(p, SymbolicZero) for p in others):
            dense = tuple(
                jnp.zeros_like(p) if isinstance(t, SymbolicZero) else t for p, t in zip(parameters, others, strict=True)
            )
            total += jax.jvp(lambda *p: same(x, *p), tuple(parameters), dense)[1]
        return y, total

    exact = by_rule(slope, differentiate, symbolic_zeros=live is None)
    return exact
