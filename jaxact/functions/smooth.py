"""Self-gated functions: x times a gate that rises from 0 to 1."""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.elementwise import elementwise
from jaxact.core.pair import product

__all__ = ["golu", "hard_silu", "hard_swish", "mish", "quick_gelu", "silu", "swish"]


def silu_fraction(x: Array) -> tuple[Array, Array]:
    """Return numerator and denominator of silu(x)."""
    numerator, denominator = numerics.sigmoid_fraction(x)
    return numerics.above_minus_inf(x) * numerator, denominator


def _silu_value(x: Array) -> Array:
    numerator, denominator = silu_fraction(x)
    return numerator / denominator


# With e = exp(-|x|), f'(x) is e (1 + x + e) / (1 + e)^2 on the left and (1 + e + x e) / (1 + e)^2 on the right. At the
# minimum, x = -1.278, 1 + x is exact and only e has an error; s(x) (1 + x s(-x)) is off by 10 units there.
def _silu_slope(x: Array) -> Array:
    e = numerics.exp(-jnp.abs(x))
    x = jnp.clip(x, -1000, 1000)  # e is 0 from there on, and inf * 0 is NaN
    return jnp.where(x > 0, 1 + (e + x * e), (1 + x + e) * e) / jnp.square(1 + e)


def _silu_textbook(x: Array) -> Array:
    return numerics.finite(x) * numerics.sigmoid(x)


def _silu_curvature(x: Array) -> Array:
    size = jnp.minimum(jnp.abs(x), 1000)
    return _curvature(size, numerics.exp(-size))


def _curvature(size: Array, e: Array) -> Array:
    # 2 (1 + e) - size (1 - e) is computed as (2 - size) + e (2 + size) with the product's rest: without it the result
    # would be 0 beside its root, 2.399.
    high, low = product(e, 2 + size)
    return e * (((2 - size) + high) + low) / (1 + e) ** 3


_silu = elementwise("silu", _silu_value, _silu_slope, curvature=_silu_curvature, textbook=_silu_textbook)


@activation(
    module="SiLU",
    kind="pointwise",
    aliases=("swish",),
    range=(-0.2784645427610738, math.inf),
    limits=(0.0, math.inf),
    monotone=False,
    lipschitz=1.099839320128867,
    variants=({"beta": 1.702}, {"beta": 0.3}),
    elsewhere={
        "torch": {"silu": {}, "SiLU": {}},
        "keras": {"silu": {}, "swish": {}},
        "transformers": {"silu": {}, "swish": {}},
    },
)
def silu(x: ArrayLike, *, beta: ArrayLike = 1.0) -> Array:
    """Sigmoid linear unit (swish): x * sigmoid(beta x).

    f'(x) = s (1 + beta x (1 - s)), s = sigmoid(beta x). For beta = 1 the minimum is -0.2785 at x = -1.2785. f(-inf) =
    0, f(inf) = inf; f' is 0 and 1 there.

    Args:
      x: real array of any shape; bool and int become the default float.
      beta: number, or array that broadcasts against x; traced and differentiable. 0 halves x; the limit is relu.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: Hendrycks & Gimpel 2016, arXiv:1606.08415; Elfwing et al. 2017, arXiv:1702.03118.

    >>> print(jaxact.silu(jnp.array([-jnp.inf, 0.0, jnp.inf])))
    [-0.  0. inf]
    """
    if isinstance(beta, int | float) and beta == 1:
        return _silu(x)
    return _scaled_silu(x, beta)


swish = silu

_hard_silu = elementwise(
    "hard_silu",
    lambda x: jnp.where(x > -3, x, 0) * (jnp.clip(x + 3, 0, 6) / 6),
    lambda x: jnp.where(x >= 3, 1, jnp.where(x <= -3, 0, x / 3 + 0.5)),
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

    f'(x) = 0 for x <= -3, x / 3 + 1/2 for -3 < x < 3, 1 for x >= 3; so f'(-3) = 0 and f'(3) = 1. The minimum is -3/8
    at x = -3/2. f(-inf) = 0, f(inf) = inf.

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


# With e = exp(-|x|), tanh(softplus(x)) is n / (n + 2) with n = e (e + 2) on the left and (1 + 2 e) / (1 + 2 e +
# 2 e^2) on the right, which takes one exponential and cancels nowhere. The numerators of f' and f'' are polynomials in
# e and x; at the minimum, x = -1.192, the terms of f' are small enough that their rounding stays under 3 units.
def _mish_value(x: Array) -> Array:
    e = numerics.exp(-jnp.abs(x))
    n = e * (e + 2)
    right = 1 + 2 * e
    ratio = jnp.where(x > 0, right, n) / jnp.where(x > 0, right + 2 * e * e, n + 2)
    return numerics.above_minus_inf(x) * ratio


def _mish_slope(x: Array) -> Array:
    e = numerics.exp(-jnp.abs(x))
    x = jnp.clip(x, -1000, 1000)  # as in SiLU
    left = e * (4 * (x + 1) + e * (4 * x + 6 + e * (4 + e)))
    right = 1 + e * (4 + e * ((4 * x + 6) + e * (4 * (x + 1))))
    return jnp.where(x > 0, right, left) / jnp.square(jnp.where(x > 0, 1 + e * (2 + 2 * e), 2 + e * (2 + e)))


def _mish_textbook(x: Array) -> Array:
    """Return x tanh(softplus(x)), with s = 1 / (1 + exp(x))."""
    square = jnp.square(numerics.sigmoid(-x))
    return numerics.finite(x) * ((1 - square) / (1 + square))


def _mish_curvature(x: Array) -> Array:
    x = jnp.clip(x, -1000, 1000)  # e is 0 from there on, and inf * 0 is NaN
    e = numerics.exp(-jnp.abs(x))
    left = 4 + 2 * x + e * ((8 + 2 * x) + e * ((6 - 3 * x) + e * (2 - 2 * x)))
    right = e * ((2 - 2 * x) + e * ((6 - 3 * x) + e * ((8 + 2 * x) + e * (4 + 2 * x))))
    return 4 * e * jnp.where(x > 0, right, left) / jnp.where(x > 0, 1 + e * (2 + 2 * e), 2 + e * (2 + e)) ** 3


_mish = elementwise("mish", _mish_value, _mish_slope, curvature=_mish_curvature, textbook=_mish_textbook)


@activation(
    module="Mish",
    kind="pointwise",
    range=(-0.30884341301725042, math.inf),
    limits=(0.0, math.inf),
    monotone=False,
    lipschitz=1.0884981612517279,
    elsewhere={"torch": {"mish": {}, "Mish": {}}, "keras": {"mish": {}}, "transformers": {"mish": {}}},
)
def mish(x: ArrayLike) -> Array:
    """Mish: x * tanh(log(1 + exp(x))).

    The minimum is -0.3088 at x = -1.1924. f(-inf) = 0, f(inf) = inf; f' is 0 and 1 there.

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


def scaled_silu_fraction(x: Array, beta: Array | float) -> tuple[Array, Array]:
    """Return numerator and denominator of silu(x, beta=beta)."""
    _, e = numerics.scaled_decay(x, beta)
    return jnp.where(x * beta >= 0, x, numerics.finite(x) * e), 1 + e


def _scaled_silu_value(x: Array, beta: Any = 1.0) -> Array:
    numerator, denominator = scaled_silu_fraction(x, beta)
    return numerator / denominator


def _scaled_silu_slope(x: Array, beta: Array | float) -> Array:
    size, low = numerics.scaled(x, beta)
    e = numerics.exp(-size, -low)
    near = e - low
    rest = (e - near) - low  # without it the result would be 0 beside its root
    return jnp.where(x * beta > 0, 1 + (e + size * e), e * (((1 - size) + near) + rest)) / jnp.square(1 + e)


def _scaled_silu_textbook(x: Array, beta: Array | float) -> Array:
    x = numerics.finite(x)
    return x * numerics.sigmoid(jnp.clip(beta * x, -1000, 1000))


def _scaled_silu_curvature(x: Array, beta: Array | float) -> Array:
    return beta * _curvature(*numerics.scaled_decay(x, beta))


def _scaled_silu_beta_slope(x: Array, beta: Array) -> Array:
    # x^2 e can be a normal number where e is not, so e is the square of exp(-|beta x| / 2).
    size, low = numerics.scaled(x, beta)
    root = numerics.exp(size / -2, low / -2)
    return jnp.square(numerics.finite(x) * root) / jnp.square(1 + root * root)


_scaled_silu = elementwise(
    "silu",
    _scaled_silu_value,
    _scaled_silu_slope,
    parameters={"beta": _scaled_silu_beta_slope},
    curvature=_scaled_silu_curvature,
    textbook=_scaled_silu_textbook,
)
_quick_gelu = elementwise(
    "quick_gelu",
    lambda x: _scaled_silu_value(x, 1.702),
    lambda x: _scaled_silu_slope(x, 1.702),
    curvature=lambda x: _scaled_silu_curvature(x, 1.702),
    textbook=lambda x: _scaled_silu_textbook(x, 1.702),
)


@activation(
    module="QuickGELU",
    kind="pointwise",
    range=(-0.16361018963635358, math.inf),
    limits=(0.0, math.inf),
    monotone=False,
    lipschitz=1.099839320128867,
    elsewhere={"transformers": {"quick_gelu": {}}},
)
def quick_gelu(x: ArrayLike) -> Array:
    """Quick GELU: x * sigmoid(1.702 x).

    f'(x) = s (1 + 1.702 x (1 - s)), s = sigmoid(1.702 x). The minimum is -0.1636 at x = -0.7512. f(-inf) = 0, f(inf) =
    inf; f' is 0 and 1 there.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and x's float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Hendrycks & Gimpel 2016, arXiv:1606.08415; transformers.activations (quick_gelu).

    >>> print(jaxact.quick_gelu(jnp.array([-jnp.inf, 0.0, jnp.inf])))
    [-0.  0. inf]
    """
    return _quick_gelu(x)


# On the left exp(-u), u = exp(-x), magnifies the error of u by u, so u comes with its rest there. Below -8 it is 0.
def _gompertz(x: Array, shift: float = 0.0) -> tuple[Array, Array]:
    """Return u and exp(shift - u) for x clipped to [-8, 1000]."""
    high, low = numerics.exp_pair(jnp.clip(-x, 0, 8))
    left = numerics.exp(shift - high, -low)
    u = numerics.exp(-jnp.clip(x, 0, 1000))
    return jnp.where(x < 0, high, u), jnp.where(x < 0, left, numerics.exp(shift - u))


def _golu_value(x: Array) -> Array:
    return numerics.above_minus_inf(x) * _gompertz(x)[1]


def _golu_slope(x: Array) -> Array:
    u, gate = _gompertz(x)
    return gate * (1 + jnp.clip(x, -8, 1000) * u)


def _golu_textbook(x: Array) -> Array:
    x = jnp.clip(x, -6, 1000)  # where powers of exp(-x) times exp(-exp(-x)) are no more than 1e-150
    return x * jnp.exp(-jnp.exp(-x))


def _golu_curvature(x: Array) -> Array:
    u, gate = _gompertz(x, shift=16)  # exp(-u) can underflow where its product with x u^2 does not
    return gate * u * (2 + jnp.clip(x, -8, 1000) * (u - 1)) * math.exp(-16)


_golu = elementwise("golu", _golu_value, _golu_slope, curvature=_golu_curvature, textbook=_golu_textbook)


@activation(
    module="GoLU",
    kind="pointwise",
    range=(-0.0972601312276394, math.inf),
    limits=(0.0, math.inf),
    monotone=False,
    lipschitz=1.1133972752756767,
)
def golu(x: ArrayLike) -> Array:
    """Gompertz linear unit: x * exp(-exp(-x)).

    f'(x) = exp(-u) (1 + x u), u = exp(-x). The minimum is -0.0973 at x = -0.5671. f(-inf) = 0, f(inf) = inf; f' is 0
    and 1 there.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and x's float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Das et al. 2025, arXiv:2502.03654.

    >>> print(jaxact.golu(jnp.array([-jnp.inf, 0.0, jnp.inf])))
    [-0.  0. inf]
    """
    return _golu(x)
