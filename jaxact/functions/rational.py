"""Rational functions with free coefficients."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.checks import as_float, of_numbers, widen
from jaxact.core.derivative import by_rule
from jaxact.core.rule import by_autodiff, derivative_rule, jitted, public

__all__ = ["rational"]

# Coefficients of 1, x, ..., x^5 and of x, ..., x^4. The largest difference from leaky_relu on [-3, 3] is 0.031, and
# from gelu on [-5, 5] 0.0043; Q >= 0 in both, so that they start without kinks. Computed by
# `python -m benchmarks.coefficients`.
APPROXIMATIONS = {
    "leaky_relu": ((0.0, 0.505, 2.173103, 2.919583, 1.419854, 0.238424), (0.0, 5.781352, 0.0, 0.472127)),
    "gelu": ((0.0, 0.5, 0.410758, 0.113585, 0.011194, 0.000172), (0.0, 0.227171, 0.0, 0.000344)),
}


@activation(
    module="Rational",
    kind="pointwise",
    range=(-2.0, 2.0),
    limits=(-2.0, 2.0),
    slope_limits=(0.0, 0.0),
    kinks={0.0: 1.0},
    smoothness=0,
    lipschitz=1.25,
    variants=({"numerator": (0.5, 1.0), "denominator": (0.5,)},),
)
def rational(x: ArrayLike, numerator: ArrayLike | Sequence[float], denominator: ArrayLike | Sequence[float]) -> Array:
    """Safe Pade unit: P(x) / (1 + |Q(x)|), P(x) = sum_i numerator[i] x^i, Q(x) = sum_j denominator[j] x^(j + 1).

    The function has no pole. It has a kink where Q changes its sign, and the slope there is that of P. As in the paper,
    the absolute value is that of the whole of Q. The package rational_activations calls this version B; its version A
    has the absolute value of each term instead. The backward pass keeps x alone. +-inf counts as the largest finite
    number. In float32 on [-6, 6], for four sets of coefficients (tests/test_rational.py), the value was off by up to
    4.3 units, the slope by 8.0 (10.3 where it was vectorised on JAX 0.10) and the second derivative by 14.

    Args:
      x: real array of any shape; bool and int become the default float.
      numerator: array of shape (m + 1,), or a list of numbers, lowest power first; traced and differentiable.
      denominator: array of shape (n,), or a list of numbers, lowest power first, n >= 1; traced and differentiable.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: an argument is not a real array.
      ValueError: the coefficients are not arrays of rank 1, or there are none.

    Reference: Molina et al. 2019, arXiv:1907.06732.

    >>> print(jaxact.rational(jnp.array([0.0, 1.0, 2.0]), jnp.array([1.0, 0.0, 1.0]), jnp.array([0.0, 1.0])))
    [1. 1. 1.]
    """
    return _rational(x, of_numbers(numerator), of_numbers(denominator))


def _value(x: Array, numerator: Array, denominator: Array) -> Array:
    wide = numerics.finite(widen(x))
    p, q = (tuple(c.astype(wide.dtype)) for c in (numerator, denominator))
    return _quotient(1)(wide, (p, ()), q).astype(x.dtype)


_Coefficients = tuple[Any, ...]  # the lowest power first


@functools.cache
def _quotient(power: int) -> Callable[..., Array]:
    """N / D^power, where D = 1 + |Q|, as a function of x, of the coefficients of N and of those of Q from x on.

    N = E + sign(Q) O is a pair of polynomials, and so is N' D - power N D', the numerator of the derivative, whose
    coefficients are sums of products of those of N and D. Autodiff would subtract two polynomials of the size of D^2
    instead, and lose five times as many units of the slope and twenty times as many of the second derivative.
    """

    def evaluate(x: Array, top: tuple[_Coefficients, _Coefficients], q: _Coefficients) -> Array:
        n, degree = len(q), max(map(len, top)) - 1
        by_x = _horner(q[::-1], x)
        near = jnp.abs(x * by_x)
        # Powers of |x| > 1 overflow. There all are polynomials in 1 / x, with their coefficients the other way round.
        # Not so where D is small, as it is for a Q of 0, since there D in powers of 1 / x would underflow.
        far = (jnp.abs(x) > 1) & ~(near < 2 ** (16 / power))
        far_x = jnp.where(far, x, 1)
        u = jnp.where(far, 1 / far_x, x)
        by_u = _horner(q, u)
        d = jnp.where(far, jnp.abs(u) ** n + jnp.abs(by_u), 1 + near)
        sign = jnp.where(far, jnp.sign(by_u) * jnp.sign(far_x) ** n, jnp.sign(by_x) * jnp.sign(x))
        value = jnp.zeros_like(x)
        for k in range(degree + 1):
            even, odd = (jnp.where(far, _at(p, k), _at(p, degree - k)) if p else 0.0 for p in top)
            value = value * u + (even + sign * odd if top[1] else even)
        value = value * jnp.sign(far_x) ** (power * n) / jnp.maximum(d**power, jnp.finfo(d.dtype).tiny)
        # What is left is a power of x, in two factors that are finite, since 0 times infinity would be NaN.
        left = degree - power * n
        return value * numerics.finite(far_x ** (left // 2)) * numerics.finite(far_x ** (left - left // 2))

    def differentiate(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
        x, top, q = primals
        t_x, (t_even, t_odd), t_q = tangents
        even, odd = _product(top, (1.0, *q), lambda i, j: i - power * j)
        ways = [([t_x], lambda _: _quotient(power + 1)(x, (even[1:], odd[1:]), q))]
        ways += [(t_even, lambda i: over(x, (_unit(i), ()), q)), (t_odd, lambda i: over(x, ((), _unit(i)), q))]
        ways += [(t_q, lambda j: _quotient(power + 1)(x, _product(top, _unit(j + 1), lambda i, j: -power), q))]
        moved = []
        for tangents_of, slope in ways:
            if not all(isinstance(t, SymbolicZero) for t in tangents_of):
                slopes = _between(slope(0), slope(len(tangents_of) - 1), x, len(tangents_of))
                moved += [t * s for t, s in zip(tangents_of, slopes, strict=True) if not isinstance(t, SymbolicZero)]
        return over(*primals), functools.reduce(jnp.add, moved)

    over = by_rule(evaluate, differentiate, symbolic_zeros=True)
    return over


def _product(
    top: tuple[_Coefficients, _Coefficients], d: _Coefficients, weight: Callable[[int, int], int]
) -> tuple[_Coefficients, ...]:
    """The sum of weight(i, j) n_i d_j x^(i + j), for a pair n and D = d_0 + sign(Q) (d_1 x + ...)."""

    def part(of_constant: _Coefficients, of_others: _Coefficients) -> _Coefficients:
        total = [0.0] * (max(map(len, top)) + len(d) - 1)
        for i in range(max(map(len, top))):
            for j, b in enumerate(d):
                if weight(i, j):
                    total[i + j] += weight(i, j) * (_at(of_others if j else of_constant, i) * b)
        return tuple(total)

    return part(*top), part(*top[::-1])


def _between(first: Array, last: Array, x: Array, count: int) -> list[Array]:
    """All functions, each x times the one before, from the first one, or where |x| > 1 from the last one."""
    far, last = jnp.abs(x) > 1, numerics.finite(last)
    step = jnp.where(far, 1 / jnp.where(far, x, 1), x)
    return [jnp.where(far, last * step ** (count - 1 - k), first * step**k) for k in range(count)]


def _unit(k: int) -> _Coefficients:
    return (*[0.0] * k, 1.0)


def _at(p: _Coefficients, k: int) -> Any:
    return p[k] if k < len(p) else 0.0


def _horner(coefficients: _Coefficients, x: Array) -> Array:
    """The polynomial with these coefficients, the highest power first."""
    total = jnp.zeros_like(x)
    for c in coefficients:
        total = total * x + c
    return total


_kernel = derivative_rule("rational", _value, by_autodiff(_value))


def _traced(x: ArrayLike, numerator: ArrayLike, denominator: ArrayLike) -> Array:
    arrays = [as_float("rational", a, n) for a, n in ((numerator, "numerator"), (denominator, "denominator"))]
    for name, array in zip(("numerator", "denominator"), arrays, strict=True):
        if array.ndim != 1 or not array.size:
            raise ValueError(
                f"jaxact.rational: expected {name} to be of rank 1 and not empty, got shape {array.shape}; give one "
                "coefficient a power"
            )
    return _kernel(as_float("rational", x), *arrays)


_rational = public("rational", jitted("rational", _traced), ("x", "numerator", "denominator"))
