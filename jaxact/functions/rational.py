"""Rational functions with free coefficients."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax
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
    number. In float32 on [-6, 6], for four sets of coefficients (tests/test_rational.py), the slope was off by up to 42
    units and the second derivative by up to 320, where other functions have 8 and 32: the derivative of a quotient
    cancels. Where |x| is large and the function nearly a line, the second derivative loses digits as |x| grows.

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
    p, q = [c.astype(wide.dtype) for c in numerator], [c.astype(wide.dtype) for c in denominator]
    # Powers of |x| > 1 overflow, so there P and 1 + |Q| are divided by x^m and |x|^n and taken as polynomials in 1 / x.
    far = jnp.abs(wide) > 1
    near_x, far_x = jnp.where(far, 0, wide), jnp.where(far, wide, 1)
    near = _ratio(_horner(p[::-1], near_x), 1 + _size(near_x) * _size(_horner(q[::-1], near_x)))
    # Where 1 / x is below max^(-3/4) it does not matter, but its derivative times x^m would be 0 times infinity.
    inverted = jnp.abs(far_x) < float(jnp.finfo(wide.dtype).max) ** 0.75
    t = jnp.where(inverted, 1 / jnp.where(inverted, far_x, 1), 0)
    below = jnp.abs(t) ** len(q) + _size(_horner(q, t))
    power = lax.integer_pow(far_x, len(p) - 1 - len(q)) * jnp.sign(far_x) ** len(q)
    ratio = _ratio(_horner(p, t), jnp.maximum(below, jnp.finfo(below.dtype).tiny))
    return jnp.where(far, power * ratio, near).astype(x.dtype)


def _slope_of_ratio(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    """(p' - p d' / d) / d, to second order a quarter closer than JAX's p' / d - p d' / d^2 (tests/test_rational.py).

    The product comes before the division: XLA would keep p / d for it, which the value has too.
    """
    (p, d), (dp, dd) = primals, tangents
    return _ratio(p, d), _ratio(dp - _ratio(p * dd, d), d)


_ratio = by_rule(jnp.divide, _slope_of_ratio)


def _size(q: Array) -> Array:
    """|q|, with slope 0 at 0, where that of JAX's depends on its release."""
    return q * jnp.sign(q)


def _horner(coefficients: list[Array], x: Array) -> Array:
    """The polynomial with these coefficients, highest power first."""
    result = jnp.zeros_like(x)
    for c in coefficients:
        result = result * x + c
    return result


_kernel = derivative_rule("rational", _value, by_autodiff(_value))  # keeps x, not the steps of Horner's rule


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
