"""How an elementwise activation is made: value and slope in, a jitted function with exact derivatives out."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from jaxact.core.checks import as_array, as_float, widen, working_dtype

Formula = Callable[..., Array]
_NUMBERS = {int, float}


def keep_input(x: Array, y: Array, *parameters: Array) -> Array:
    """Keep x for the backward pass: what most activations do."""
    return x


def keep_output(x: Array, y: Array, *parameters: Array) -> Array:
    """Keep y, for a slope that is exact from it: the next layer keeps y anyway, so it costs nothing."""
    return y


def pointwise(
    name: str,
    value: Formula,
    slope: Formula,
    *parameter_slopes: Formula,
    curvature: Formula | None = None,
    keep: Formula = keep_input,
    rounds: bool = True,
) -> Callable[..., Array]:
    """Make an elementwise function of `(x, *parameters)` whose derivatives are given, not traced.

    All formulas are written in working precision (float32 for 16-bit input) and broadcast like jax.numpy:
    parameters arrive in that precision with the rank of x, or as scalars.

    Args:
      name: the public name. It shows in jaxprs, HLO and profiles, and `jaxact.flow.observe` finds the function by it.
      value: `value(x, *parameters)`, whose signature gives the parameters' names and, where there are any, defaults.
      slope: d value / dx as `slope(kept, *parameters)`, where kept is what `keep` chose. Where it is 1 or 0 it may be
        bool: then a tangent is chosen and not multiplied, which in bf16 takes up to three times as long on a CPU, and
        makes NaN of what is infinite where the slope is 0.
      *parameter_slopes: d value / d parameter as `(x, *parameters)`, one for each parameter; bool likewise.
      curvature: d slope / dx as `(x, *parameters)`, where autodiff of `slope` would lose digits or make a NaN.
      keep: of `(x, y, *parameters)`, the one array that the backward pass keeps.
      rounds: False where value and slope only choose, and so need no more precision than x has: in 16 bits a compiler
        for GPUs makes that a part of the matrix product before it, and with a cast does not. They get x as it is, and
        parameters cast to its type.

    Returns:
      A function of `(x, *parameters)`. Parameters are traced (a new value compiles nothing), broadcast against x, and
      cast to x's working precision; the result has x's dtype.
    """
    exact_slope = slope if curvature is None else _with_curvature(slope, curvature)
    declared = list(inspect.signature(value).parameters.values())[1:]
    parameter_names = [p.name for p in declared]
    defaults = tuple(p.default for p in declared)

    def evaluate(x: Array, *parameters: Array) -> Array:
        wide = widen(x) if rounds else x
        return _cast(value(wide, *_like(wide, parameters)), x.dtype)

    def differentiate(primals: tuple[Array, ...], tangents: tuple[Array | SymbolicZero, ...]) -> tuple[Array, Array]:
        x, *parameters = primals
        y = kernel(*primals)
        live = [i for i, t in enumerate(tangents) if not isinstance(t, SymbolicZero)]
        # What parameters get is a sum over entries, for which 16 bits are never enough.
        precise, kind = (widen, working_dtype(y.dtype)) if rounds or live != [0] else (lambda x: x, y.dtype)

        # The checkpoint decides what the backward pass keeps: its arguments, from which it computes the slope again,
        # and not the half dozen arrays inside it. prevent_cse=False lets XLA share them where that costs no memory.
        # A parameter that is not differentiated has a symbolic zero for a tangent and asks for nothing.
        @functools.partial(jax.checkpoint, prevent_cse=False)
        def tangent(kept: Any, x: Any, parameters: list[Array], live_tangents: list[Array]) -> Array:
            total = 0
            for i, t in zip(live, live_tangents, strict=True):
                formula, at = (exact_slope, kept) if i == 0 else (parameter_slopes[i - 1], x)
                t = _cast(t, kind)
                derivative = formula(precise(at), *_like(t, parameters))
                total += jnp.where(derivative, t, 0) if derivative.dtype == bool else t * derivative
            return _cast(jnp.broadcast_to(total, y.shape), y.dtype)

        return y, tangent(
            keep(x, y, *parameters) if 0 in live else None,
            x if live != [0] else None,
            parameters,
            [t for t in tangents if not isinstance(t, SymbolicZero)],
        )

    evaluate.__name__ = evaluate.__qualname__ = name
    kernel = jax.custom_jvp(evaluate)
    kernel.defjvp(differentiate, symbolic_zeros=True)

    def traced(x: ArrayLike, *parameters: ArrayLike) -> Array:
        x = as_float(name, x)
        if not declared:
            return kernel(x)
        parameters = parameters or defaults
        arrays = [as_float(name, p, n) for p, n in zip(parameters, parameter_names, strict=True)]
        try:
            shape = jnp.broadcast_shapes(x.shape, *(p.shape for p in arrays))
        except ValueError:
            shapes = ", ".join(str(p.shape) for p in arrays)
            raise ValueError(
                f"jaxact.{name}: expected parameters that broadcast against x, got x of shape {x.shape} and {shapes}; "
                "for one value a channel, give a parameter the shape (channels, 1, ..., 1) that lines up with x"
            ) from None
        return kernel(jnp.broadcast_to(x, shape), *(_lift(p, len(shape)) for p in arrays))

    traced.__name__ = traced.__qualname__ = name
    # jit outside and custom_jvp inside: an eager call costs 6 us; the other order costs 170.
    jitted = jax.jit(traced)

    def call(x: ArrayLike, *parameters: ArrayLike) -> Array:
        try:
            # A scalar argument costs an eager call 6 us, so the defaults are constants of a program of their own.
            if parameters and _NUMBERS.issuperset(map(type, parameters)) and parameters == defaults:
                return jitted(x)
            return jitted(x, *parameters)
        except TypeError:
            # Looked into only now: the check takes as long as the call. What it converts can be tried again.
            arrays = [as_array(name, a, n) for a, n in zip((x, *parameters), ("x", *parameter_names), strict=True)]
            if all(a is b for a, b in zip(arrays, (x, *parameters), strict=True)):
                raise
            return jitted(*arrays)

    call.__name__ = call.__qualname__ = name
    return call


def _with_curvature(slope: Formula, curvature: Formula) -> Formula:
    """Give `slope(x, *parameters)` the derivative `curvature` in x; in the parameters autodiff serves."""

    def differentiate(primals: tuple[Array, ...], tangents: tuple[Array | SymbolicZero, ...]) -> tuple[Array, Array]:
        x, *parameters = primals
        t, *parameter_tangents = tangents
        y = exact(*primals)
        total = jnp.zeros_like(y) if isinstance(t, SymbolicZero) else t * curvature(x, *parameters)
        if any(not isinstance(p, SymbolicZero) for p in parameter_tangents):
            dense = tuple(
                jnp.zeros_like(p) if isinstance(t, SymbolicZero) else t
                for p, t in zip(parameters, parameter_tangents, strict=True)
            )
            total += jax.jvp(lambda *p: slope(x, *p), tuple(parameters), dense)[1]
        return y, total

    exact = jax.custom_jvp(slope)
    exact.defjvp(differentiate, symbolic_zeros=True)
    return exact


def _like(x: Array, arrays: Iterable[Array]) -> list[Array]:
    return [_cast(a, x.dtype) for a in arrays]


def _cast(x: Array, dtype: jnp.dtype) -> Array:
    """Cast, but leave an array of that dtype alone, so that a weak type stays weak."""
    return x if x.dtype == dtype else x.astype(dtype)


def _lift(parameter: Array, ndim: int) -> Array:
    """Add leading axes of size 1, so that no formula needs rank promotion; a scalar needs none."""
    return lax.expand_dims(parameter, range(ndim - parameter.ndim)) if parameter.ndim else parameter
