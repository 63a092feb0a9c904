"""Smooth functions with a linear right half: the softplus kind, and x times a smooth or hard gate."""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.checks import check_parameter
from jaxact.core.pointwise import pointwise

__all__ = ["gelu", "hard_silu", "hard_swish", "mish", "silu", "softplus", "squareplus", "swish"]

_softplus = pointwise("softplus", numerics.softplus, numerics.sigmoid, curvature=numerics.sigmoid_slope)


@activation(
    module="Softplus",
    kind="pointwise",
    range=(0.0, math.inf),
    limits=(0.0, math.inf),
    elsewhere={"torch": {"softplus": {}, "Softplus": {}}, "keras": {"softplus": {}}},
)
def softplus(x: ArrayLike) -> Array:
    """Softplus: log(1 + exp(x)).

    f'(x) = sigmoid(x). f(-inf) = 0, f(inf) = inf.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Dugas et al. 2000, "Incorporating second-order functional knowledge for better option pricing".

    >>> print(jaxact.softplus(jnp.array([-jnp.inf, 0.0, 100.0])))
    [  0.          0.6931472 100.       ]
    """
    return _softplus(x)


# (x + h) / 2 cancels for x << 0 and x * x overflows. In the left half the conjugate b / (2 (h - x)), split into two
# factors that neither overflow nor underflow; h = hypot(x, sqrt(b)).
def _squareplus_factors(x: Array, b: Array) -> tuple[Array, Array, Array]:
    root = jnp.sqrt(b)
    h = numerics.hypot(jnp.abs(x), root)
    safe = jnp.where(h > 0, h, 1)  # h = 0 where x = b = 0: both factors become 1, which makes the slope 1/2
    return (
        h,
        jnp.where(h > 0, root / safe, 1),
        jnp.where(h > 0, root / jnp.where(h > 0, h + jnp.abs(x), 1), 1),
    )


def _squareplus_value(x: Array, b: Any = 4.0) -> Array:
    _, _, factor = _squareplus_factors(x, b)
    left = jnp.sqrt(b) * factor / 2
    return jnp.maximum(x, 0) + left


def _squareplus_slope(x: Array, b: Array) -> Array:
    _, cosine, factor = _squareplus_factors(x, b)
    left = cosine * factor / 2
    return jnp.where(x > 0, 1 - left, left)


def _squareplus_curvature(x: Array, b: Array) -> Array:
    h, cosine, _ = _squareplus_factors(x, b)
    return jnp.square(cosine) / (2 * h)


def _squareplus_b_slope(x: Array, b: Array) -> Array:
    h, _, _ = _squareplus_factors(x, b)
    return 1 / (4 * h)


_squareplus = pointwise(
    "squareplus", _squareplus_value, _squareplus_slope, _squareplus_b_slope, curvature=_squareplus_curvature
)


@activation(
    module="Squareplus",
    kind="pointwise",
    range=(0.0, math.inf),
    limits=(0.0, math.inf),
    variants=({"b": 0.5}, {"b": 100.0}),
    elsewhere={"keras": {"squareplus": {}}},
)
def squareplus(x: ArrayLike, b: ArrayLike = 4) -> Array:
    """Squareplus: (x + sqrt(x^2 + b)) / 2.

    f'(x) = (1 + x / sqrt(x^2 + b)) / 2. f(-inf) = 0, f(inf) = inf. At b = 0 it is relu, with f'(0) = 1/2.

    Args:
      x: real array of any shape; bool and int become the default float.
      b: non-negative number, or array that broadcasts against x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: b is negative, or the shapes do not broadcast.

    Reference: Barron 2021, arXiv:2112.11687.

    >>> print(jaxact.squareplus(jnp.array([-jnp.inf, 0.0, 1e30])))
    [0.e+00 1.e+00 1.e+30]
    """
    check_parameter("squareplus", ">= 0", b=b)
    return _squareplus(x, b)


# With e = exp(-|x|), f'(x) is e (1 + x + e) / (1 + e)^2 on the left and (1 + e + x e) / (1 + e)^2 on the right. At the
# minimum, x = -1.278, 1 + x is exact and the error is e's alone, where s(x) (1 + x s(-x)) is off by 10 units.
def _silu_value(x: Array) -> Array:
    return jnp.maximum(x, jnp.finfo(x.dtype).min) * numerics.sigmoid(x)


def _silu_slope(x: Array) -> Array:
    x = jnp.clip(x, -1000, 1000)  # e is 0 from there on, and inf * 0 is NaN
    e = jnp.exp(-jnp.abs(x))
    return jnp.where(x > 0, 1 + (e + x * e), (1 + x + e) * e) / jnp.square(1 + e)


def _silu_curvature(x: Array) -> Array:
    size = jnp.minimum(jnp.abs(x), 1000)
    e = jnp.exp(-size)
    return e * (2 * (1 + e) - size * (1 - e)) / (1 + e) ** 3


_silu = pointwise("silu", _silu_value, _silu_slope, curvature=_silu_curvature)


@activation(
    module="SiLU",
    kind="pointwise",
    aliases=("swish",),
    range=(-0.2784645427610738, math.inf),
    limits=(0.0, math.inf),
    monotone=False,
    lipschitz=1.0998393201,
    elsewhere={
        "torch": {"silu": {}, "SiLU": {}},
        "keras": {"silu": {}, "swish": {}},
        "transformers": {"silu": {}, "swish": {}},
    },
)
def silu(x: ArrayLike) -> Array:
    """Sigmoid linear unit (swish): x * sigmoid(x).

    f'(x) = s(x) (1 + x s(-x)) with s = sigmoid. Minimum -0.2785 at x = -1.2785. f(-inf) = 0, f(inf) = inf; f' is 0
    and 1 there.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Hendrycks & Gimpel 2016, arXiv:1606.08415; Elfwing et al. 2017, arXiv:1702.03118.

    >>> print(jaxact.silu(jnp.array([-jnp.inf, 0.0, jnp.inf])))
    [-0.  0. inf]
    """
    return _silu(x)


swish = silu

_hard_silu = pointwise(
    "hard_silu",
    lambda x: jnp.where(x > -3, x, 0) * (jnp.clip(x + 3, 0, 6) / 6),
    lambda x: jnp.where(x >= 3, 1, jnp.where(x > -3, x / 3 + 0.5, 0)),
    curvature=lambda x: jnp.where(jnp.abs(x) < 3, jnp.full_like(x, 1 / 3), 0),
)


@activation(
    module="Hardswish",
    kind="pointwise",
    aliases=("hard_swish",),
    range=(-0.375, math.inf),
    limits=(0.0, math.inf),
    kinks={-3.0: 0.0, 3.0: 1.0},
    smoothness=0,
    monotone=False,
    lipschitz=1.5,
    elsewhere={
        "torch": {"hardswish": {}, "Hardswish": {}},
        "keras": {"hard_silu": {}, "hard_swish": {}},
        "transformers": {"hardswish": {}},
    },
)
def hard_silu(x: ArrayLike) -> Array:
    """Hard SiLU (hard swish): x * min(max(x + 3, 0), 6) / 6.

    f'(x) = 0 for x <= -3, x / 3 + 1/2 for -3 < x < 3, 1 for x >= 3; so f'(-3) = 0 and f'(3) = 1. Minimum -3/8 at
    x = -3/2. f(-inf) = 0, f(inf) = inf.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Howard et al. 2019, arXiv:1905.02244.

    >>> print(jaxact.hard_silu(jnp.array([-jnp.inf, -1.5, 4.0])))
    [ 0.    -0.375  4.   ]
    """
    return _hard_silu(x)


hard_swish = hard_silu


@activation(
    module="GELU",
    kind="pointwise",
    range=(-0.17004075057125405, math.inf),
    limits=(0.0, math.inf),
    monotone=False,
    lipschitz=1.1290,
    variants=({"approximate": False},),
    elsewhere={
        "torch": {"gelu": {"approximate": False}, "GELU": {"approximate": False}},
        "keras": {"gelu": {"approximate": False}},
        "transformers": {
            "gelu": {"approximate": False},
            "gelu_python": {"approximate": False},
            "gelu_new": {},
            "gelu_fast": {},
            "gelu_accurate": {},
            "gelu_pytorch_tanh": {},
            "gelu_python_tanh": {},
        },
    },
)
def gelu(x: ArrayLike, approximate: bool = True) -> Array:
    """Gaussian error linear unit: x * Phi(x), or x * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    Phi is the normal distribution function. Minimum -0.1700 at x = -0.752 in both forms. f(-inf) = 0, f(inf) = inf; f'
    is 0 and 1 there.

    Args:
      x: real array of any shape; bool and int become the default float.
      approximate: True for the form with tanh (jax.nn's default), False for the exact one (PyTorch's default).

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or approximate not a bool.

    Reference: Hendrycks & Gimpel 2016, arXiv:1606.08415.

    >>> print(jaxact.gelu(jnp.array([-jnp.inf, 0.0, jnp.inf]), approximate=False))
    [ 0.  0. inf]
    """
    if not isinstance(approximate, bool):
        raise TypeError(
            f"jaxact.gelu: expected approximate to be True (the form with tanh) or False (the exact one), "
            f"got {approximate!r}; PyTorch's 'none' is False and its 'tanh' is True"
        )
    return _gelu_tanh(x) if approximate else _gelu_exact(x)


# With e = exp(-|x|): tanh(softplus(x)) is n / (n + 2) with n = e (e + 2) on the left and (1 + 2 e) / (1 + 2 e +
# 2 e^2) on the right: one exponential, no cancellation. The numerators of f' and f'' are polynomials in e and x; at
# the minimum, x = -1.192, the terms of f' are small enough that their rounding stays under 3 units.
def _mish_value(x: Array) -> Array:
    e = jnp.exp(-jnp.abs(x))
    n = e * (e + 2)
    right = 1 + 2 * e
    ratio = jnp.where(x > 0, right, n) / jnp.where(x > 0, right + 2 * e * e, n + 2)
    return jnp.maximum(x, jnp.finfo(x.dtype).min) * ratio


def _mish_slope(x: Array) -> Array:
    x = jnp.clip(x, -1000, 1000)  # e is 0 from there on, and inf * 0 is NaN
    e = jnp.exp(-jnp.abs(x))
    left = e * (4 * (x + 1) + e * (4 * x + 6 + e * (4 + e)))
    right = 1 + e * (4 + e * ((4 * x + 6) + e * (4 * (x + 1))))
    return jnp.where(x > 0, right, left) / jnp.square(jnp.where(x > 0, 1 + e * (2 + 2 * e), 2 + e * (2 + e)))


def _mish_curvature(x: Array) -> Array:
    x = jnp.clip(x, -1000, 1000)  # e is 0 from there on, and inf * 0 is NaN
    e = jnp.exp(-jnp.abs(x))
    left = 4 + 2 * x + e * ((8 + 2 * x) + e * ((6 - 3 * x) + e * (2 - 2 * x)))
    right = e * ((2 - 2 * x) + e * ((6 - 3 * x) + e * ((8 + 2 * x) + e * (4 + 2 * x))))
    return 4 * e * jnp.where(x > 0, right, left) / jnp.where(x > 0, 1 + e * (2 + 2 * e), 2 + e * (2 + e)) ** 3


_mish = pointwise("mish", _mish_value, _mish_slope, curvature=_mish_curvature)


@activation(
    module="Mish",
    kind="pointwise",
    range=(-0.30884341301725042, math.inf),
    limits=(0.0, math.inf),
    monotone=False,
    lipschitz=1.0890,
    elsewhere={"torch": {"mish": {}, "Mish": {}}, "keras": {"mish": {}}, "transformers": {"mish": {}}},
)
def mish(x: ArrayLike) -> Array:
    """Mish: x * tanh(log(1 + exp(x))).

    Minimum -0.3088 at x = -1.1924. f(-inf) = 0, f(inf) = inf; f' is 0 and 1 there.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Misra 2019, arXiv:1908.08681.

    >>> print(jaxact.mish(jnp.array([-jnp.inf, 0.0, jnp.inf])))
    [-0.  0. inf]
    """
    return _mish(x)


# x Phi(x) = max(x, 0) - |x| Phi(-|x|), and Phi(-t) has full relative precision; so has the derivative, 1 - D on the
# right and D on the left, where D(t) = Phi(-t) - t phi(t) is computed with its zero as a factor.
_DENSITY = 1 / math.sqrt(2 * math.pi)


def _gelu_exact_value(x: Array) -> Array:
    t = jnp.minimum(jnp.abs(x), 40)
    return jnp.maximum(x, 0) - t * numerics.normal_tail(t)


def _gelu_exact_slope(x: Array) -> Array:
    left = numerics.normal_tail_slope(jnp.abs(x))
    return jnp.where(x > 0, 1 - left, left)


def _gelu_exact_curvature(x: Array) -> Array:
    x = jnp.clip(x, -40, 40)
    return _DENSITY * numerics.exp_of_half_square(x) * (2 - x * x)


_gelu_exact = pointwise("gelu", _gelu_exact_value, _gelu_exact_slope, curvature=_gelu_exact_curvature)

# The tanh form is x sigmoid(z), z = A x + B x^3, which does not cancel where 1 + tanh does. Rounding z costs |z| ulp,
# 14 of them at x = -2.8, so z comes as a sum: with h the leading bits of x, A h and B h^3 are exact but for the small
# rests of A and B, and z(x) - z(h) is small.
_GELU_A = 2 * math.sqrt(2 / math.pi)
_GELU_B = 0.044715 * _GELU_A


def _gelu_exponent(t: Array) -> tuple[Array, Array]:
    """Return z(t) for t >= 0 as a sum of two, to a quarter ulp in float32."""
    bits, total = (6, 24) if t.dtype == jnp.float32 else (13, 53)
    a, b = _leading_bits_of(_GELU_A, total - bits), _leading_bits_of(_GELU_B, total - 3 * bits)
    h = numerics.leading_bits(t, bits)
    square = h * h
    first, second = a * h, b * (h * square)
    high = first + second
    rounded = high - first
    low = (first - (high - rounded)) + (second - rounded)
    rest = (_GELU_A - a) * h + (_GELU_B - b) * (h * square)
    return high, low + (rest + (t - h) * (_GELU_A + _GELU_B * (t * (t + h) + square)))


def _leading_bits_of(constant: float, count: int) -> float:
    fraction, exponent = math.frexp(constant)
    return math.ldexp(math.floor(math.ldexp(fraction, count)), exponent - count)


def _gelu_tanh_value(x: Array) -> Array:
    high, low = _gelu_exponent(jnp.minimum(jnp.abs(x), 22))  # exp(-z) is 0 there
    e = numerics.exp_of_sum(-high, -low)
    return jnp.where(x > 0, x, jnp.maximum(x, -22) * e) / (1 + e)


def _gelu_tanh_slope(x: Array) -> Array:
    t = jnp.minimum(jnp.abs(x), 22)
    high, low = _gelu_exponent(t)
    e = numerics.exp_of_sum(-high, -low)
    cubic = 2 * _GELU_B * (t * t * t)  # t z'(t) = z + 2 B t^3
    left = e * (((1 - high) + e) - (low + cubic))  # 1 - z is exact near the minimum, x = -0.752
    right = 1 + e * (1 + (high + (low + cubic)))
    return jnp.where(x > 0, right, left) / jnp.square(1 + e)


def _gelu_tanh_curvature(x: Array) -> Array:
    t = jnp.minimum(jnp.abs(x), 22)
    high, low = _gelu_exponent(t)
    scaled = numerics.exp_of_sum(16 - high, -low)  # exp(-z) underflows where its product with t z'^2 does not yet
    e = scaled * _EXP_MINUS_16
    square = t * t
    slope = _GELU_A + 3 * _GELU_B * square
    numerator = (2 * slope + 6 * _GELU_B * square) * (1 + e) - t * slope * slope * (1 - e)
    return scaled * numerator * _EXP_MINUS_16 / (1 + e) ** 3


_EXP_MINUS_16 = math.exp(-16)
_gelu_tanh = pointwise("gelu", _gelu_tanh_value, _gelu_tanh_slope, curvature=_gelu_tanh_curvature)
