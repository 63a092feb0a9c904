"""GELU: x times the normal distribution function, in its several forms."""

import functools
import math

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.elementwise import elementwise
from jaxact.core.pair import leading_bits

__all__ = ["gelu", "gelu_10"]

# x Phi(x) = max(x, 0) - |x| Phi(-|x|), and Phi(-t) has full relative precision. The derivative has it too: it is 1 - D
# on the right and D on the left, where D(t) = Phi(-t) - t phi(t) is computed with its zero as a factor.
_DENSITY = 1 / math.sqrt(2 * math.pi)


def _gelu_exact_value(x: Array) -> Array:
    t = jnp.minimum(jnp.abs(x), 40)
    return jnp.maximum(x, 0) - t * numerics.normal_tail(t, 0.0)


def _gelu_exact_slope(x: Array) -> Array:
    left = numerics.normal_tail_slope(jnp.abs(x))
    return jnp.where(x > 0, 1 - left, left)


def _gelu_exact_textbook(x: Array) -> Array:
    x = jnp.clip(x, -40, 40)
    return x * (1 + lax.erf(x * math.sqrt(0.5))) / 2


def _gelu_exact_curvature(x: Array) -> Array:
    x = jnp.clip(x, -40, 40)
    return _DENSITY * numerics.exp_of_half_square(x) * (2 - x * x)


_gelu_exact = elementwise(
    "gelu",
    _gelu_exact_value,
    _gelu_exact_slope,
    curvature=_gelu_exact_curvature,
    textbook=_gelu_exact_textbook,
    complex_form=functools.partial(jax.nn.gelu, approximate=False),
)

# The tanh form is x sigmoid(z), z = A x + B x^3, which does not cancel where 1 + tanh does. Rounding z costs |z| ulp,
# 14 of them at x = -2.8, so exp(-z) is a power of two whose exponent is a sum. With h and p the leading bits of x and
# of z / (x log 2), h p is exact, and the rest of z is small.
_GELU_A = 2 * math.sqrt(2 / math.pi)
_GELU_B = 0.044715 * _GELU_A
_PER_DOUBLING = 1 / math.log(2)
_SHORT_A = 147 / 64  # the leading bits of A / log 2, so that subtracting p is exact


def _gelu_exponent(t: Array) -> tuple[Array, Array]:
    """Return z(t) / log 2 for |t| <= 22 as a sum of two, to half an ulp of float32 at t = 3."""
    bits = 12 if t.dtype == jnp.float32 else 26
    a, b = _GELU_A * _PER_DOUBLING, _GELU_B * _PER_DOUBLING
    h = leading_bits(t, bits)
    d, square = t - h, h * h
    p = leading_bits(a + b * square, bits)
    rest = (b * square + (_SHORT_A - p)) + (b * (d * (t + h)) + (a - _SHORT_A))
    return h * p, t * rest + d * p


def gelu_tanh_fraction(x: Array) -> tuple[Array, Array]:
    """Return numerator and denominator of gelu(x), the tanh form."""
    end = 10 if x.dtype == jnp.float32 else 21.1  # further left the result is 0, or so little that XLA may flush it
    e = numerics.exp2(*_gelu_exponent(jnp.clip(-x, -end, end)))
    # This is a product, since the zeros of a `where` would be an array that a scan carries.
    return jnp.maximum(x, -1e3) * (x >= -end).astype(x.dtype), 1 + e


def _gelu_tanh_value(x: Array) -> Array:
    numerator, denominator = gelu_tanh_fraction(x)
    return numerator / denominator


def _gelu_tanh_slope(x: Array) -> Array:
    x = jnp.clip(x, -22, 22)  # exp(-z) is 0 there
    e = numerics.exp2(*_gelu_exponent(-jnp.abs(x)))
    scaled = (1 + 2 * x) + x * ((_GELU_A - 2) + 3 * _GELU_B * (x * x))  # 1 + x z'(x), exact near the minimum, -0.752
    return jnp.where(x > 0, 1 + e * scaled, e * (scaled + e)) / jnp.square(1 + e)


def _gelu_tanh_textbook(x: Array) -> Array:
    x = jnp.clip(x, -22, 22)
    z = _GELU_A * x + _GELU_B * (x * x * x)
    return x * numerics.sigmoid(z)


def _gelu_tanh_curvature(x: Array) -> Array:
    t = jnp.minimum(jnp.abs(x), 22)
    high, low = _gelu_exponent(-t)
    root = numerics.exp2(high / 2, low / 2)  # exp(-z) underflows where its product with t z'^2 does not yet
    e = root * root
    square = t * t
    slope = _GELU_A + 3 * _GELU_B * square
    numerator = (2 * slope + 6 * _GELU_B * square) * (1 + e) - t * slope * slope * (1 - e)
    return root * numerator * root / (1 + e) ** 3


_gelu_tanh = elementwise(
    "gelu", _gelu_tanh_value, _gelu_tanh_slope, curvature=_gelu_tanh_curvature, textbook=_gelu_tanh_textbook
)


@activation(
    module="GELU",
    kind="pointwise",
    range=(-0.17004075057125405, math.inf),
    limits=(0.0, math.inf),
    monotone=False,
    lipschitz=1.1289930686587718,
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

    Phi is the normal distribution function. The minimum of both forms is -0.1700 at x = -0.752. f(-inf) = 0, f(inf) =
    inf; f' is 0 and 1 there.

    Args:
      x: real array of any shape; bool and int become the default float.
      approximate: True for the form with tanh (jax.nn's default), False for the exact one (PyTorch's default).

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or approximate is not a bool.

    Reference: Hendrycks & Gimpel 2016, arXiv:1606.08415.

    >>> print(jaxact.gelu(jnp.array([-jnp.inf, 0.0, jnp.inf]), approximate=False))
    [ 0.  0. inf]
    """
    return (_gelu_tanh if is_approximate("gelu", approximate) else _gelu_exact)(x)


def is_approximate(who: str, approximate: object) -> bool:
    """Return `approximate` if it is a bool: PyTorch's "none" would count as True."""
    if not isinstance(approximate, bool):
        raise TypeError(
            f"jaxact.{who}: expected approximate to be True (the form with tanh) or False (the exact one), "
            f"got {approximate!r}; PyTorch's 'none' is False and its 'tanh' is True"
        )
    return approximate


_gelu_10 = elementwise(
    "gelu_10",
    lambda x: jnp.minimum(_gelu_exact_value(x), 10),
    lambda x: jnp.where(x > 10, 0, _gelu_exact_slope(x)),
    curvature=lambda x: jnp.where(x > 10, 0, _gelu_exact_curvature(x)),
    textbook=lambda x: jnp.where(x > 10, 10, _gelu_exact_textbook(x)),
)


@activation(
    module="GELU10",
    kind="pointwise",
    range=(-0.16997120747990366, 10.0),
    limits=(0.0, 10.0),
    slope_limits=(0.0, 0.0),
    kinks={10.0: 1.0},
    smoothness=0,
    monotone=False,
    lipschitz=1.1289041451851548,
    elsewhere={"transformers": {"gelu_10": {}}},
)
def gelu_10(x: ArrayLike) -> Array:
    """Clipped GELU: min(x Phi(x), 10).

    f' is the derivative of the exact `gelu` for x <= 10, else 0, and f'(10) = 1. f(-inf) = 0, f(inf) = 10.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and x's float type.

    Raises:
      TypeError: x is not a real array.

    Reference: transformers.activations (gelu_10), for quantisation: arXiv:2004.09602.

    >>> print(jaxact.gelu_10(jnp.array([-jnp.inf, 0.0, 20.0])))
    [ 0.  0. 10.]
    """
    return _gelu_10(x)
