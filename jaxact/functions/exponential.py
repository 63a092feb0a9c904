"""Exponential units: an exponential left of 0, and the exponential itself."""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.checks import check_parameter
from jaxact.core.elementwise import elementwise
from jaxact.core.pair import difference, product

__all__ = ["celu", "elu", "exponential", "selu", "xielu"]

_elu = elementwise(
    "elu",
    lambda x, alpha=1.0: jnp.where(x > 0, x, alpha * numerics.expm1(jnp.minimum(x, 0))),
    lambda x, alpha: jnp.where(x > 0, jnp.ones_like(x), alpha * numerics.exp(jnp.minimum(x, 0))),
    parameters={"alpha": lambda x, alpha: jnp.where(x > 0, jnp.zeros_like(x), numerics.expm1(jnp.minimum(x, 0)))},
    curvature=lambda x, alpha: jnp.where(x > 0, jnp.zeros_like(x), alpha * numerics.exp(jnp.minimum(x, 0))),
)


@activation(
    module="ELU",
    kind="pointwise",
    range=(-1.0, math.inf),
    limits=(-1.0, math.inf),
    smoothness=1,
    variants=({"alpha": 0.3}, {"alpha": 2.5}),
    elsewhere={"torch": {"elu": {}, "ELU": {}}, "keras": {"elu": {}}},
)
def elu(x: ArrayLike, alpha: ArrayLike = 1.0) -> Array:
    """Exponential linear unit: x if x > 0, else alpha * (exp(x) - 1).

    f'(x) = 1 for x > 0, else alpha * exp(x), and f'(0) = alpha. f(-inf) = -alpha, f(inf) = inf.

    Args:
      x: real array of any shape; bool and int become the default float.
      alpha: number, or array that broadcasts against x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: Clevert et al. 2015, arXiv:1511.07289.

    >>> print(jaxact.elu(jnp.array([-jnp.inf, 0.0, 2.0])))
    [-1.  0.  2.]
    """
    return _elu(x, alpha)


_celu = elementwise(
    "celu",
    lambda x, alpha=1.0: jnp.where(x > 0, x, alpha * numerics.expm1(jnp.minimum(x, 0) / alpha)),
    lambda x, alpha: numerics.exp_of_quotient(jnp.minimum(x, 0), alpha),
    parameters={"alpha": lambda x, alpha: numerics.expm1_less_slope(jnp.minimum(x, 0) / alpha)},
    curvature=lambda x, alpha: jnp.where(
        x > 0, jnp.zeros_like(x), numerics.exp_of_quotient(jnp.minimum(x, 0), alpha) / alpha
    ),
)


@activation(
    module="CELU",
    kind="pointwise",
    range=(-1.0, math.inf),
    limits=(-1.0, math.inf),
    smoothness=1,
    variants=({"alpha": 0.5}, {"alpha": 3.0}),
    elsewhere={"torch": {"celu": {}, "CELU": {}}, "keras": {"celu": {}}},
)
def celu(x: ArrayLike, alpha: ArrayLike = 1.0) -> Array:
    """Continuously differentiable exponential linear unit: max(x, 0) + min(0, alpha * (exp(x / alpha) - 1)).

    f'(x) = 1 for x > 0, else exp(x / alpha), and f'(0) = 1. f(-inf) = -alpha, f(inf) = inf.

    Args:
      x: real array of any shape; bool and int become the default float.
      alpha: positive number, or array that broadcasts against x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: alpha is not positive, or the shapes do not broadcast.

    Reference: Barron 2017, arXiv:1704.07483.

    >>> print(jaxact.celu(jnp.array([-jnp.inf, 0.0, 2.0]), alpha=0.5))
    [-0.5  0.   2. ]
    """
    check_parameter("celu", "> 0", alpha=alpha)
    return _celu(x, alpha)


_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805

_selu = elementwise(
    "selu",
    lambda x: jnp.where(x > 0, _SELU_SCALE * x, _SELU_SCALE * _SELU_ALPHA * numerics.expm1(jnp.minimum(x, 0))),
    lambda x: _SELU_SCALE * jnp.where(x > 0, jnp.ones_like(x), _SELU_ALPHA * numerics.exp(jnp.minimum(x, 0))),
    curvature=lambda x: jnp.where(
        x > 0, jnp.zeros_like(x), _SELU_SCALE * _SELU_ALPHA * numerics.exp(jnp.minimum(x, 0))
    ),
)


@activation(
    module="SELU",
    kind="pointwise",
    range=(-_SELU_SCALE * _SELU_ALPHA, math.inf),
    limits=(-_SELU_SCALE * _SELU_ALPHA, math.inf),
    slope_limits=(0.0, _SELU_SCALE),
    kinks={0.0: _SELU_SCALE * _SELU_ALPHA},
    smoothness=0,
    lipschitz=_SELU_SCALE * _SELU_ALPHA,
    elsewhere={"torch": {"selu": {}, "SELU": {}}, "keras": {"selu": {}}},
)
def selu(x: ArrayLike) -> Array:
    """Scaled exponential linear unit: 1.0507 * elu(x, alpha=1.6733).

    The two constants make mean 0 and variance 1 a stable fixed point for standard normal input. f'(x) = 1.0507 for
    x > 0, else 1.7581 exp(x), and f'(0) = 1.7581. f(-inf) = -1.7581, f(inf) = inf.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Klambauer et al. 2017, arXiv:1706.02515.

    >>> print(jaxact.selu(jnp.array([-jnp.inf, 0.0, 1.0])))
    [-1.7580993  0.         1.050701 ]
    """
    return _selu(x)


# The slope is the output, so only the output is kept.
_exponential = elementwise("exponential", jnp.exp, lambda y: y, keeps_output=True)


@activation(
    module="Exponential",
    kind="pointwise",
    range=(0.0, math.inf),
    limits=(0.0, math.inf),
    slope_limits=(0.0, math.inf),
    lipschitz=math.inf,
    keeps=0.0,
    elsewhere={"keras": {"exponential": {}}},
)
def exponential(x: ArrayLike) -> Array:
    """Exponential: exp(x).

    f'(x) = exp(x). f(-inf) = 0, f(inf) = inf. The backward pass keeps only the output.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and x's float type.

    Raises:
      TypeError: x is not a real array.

    Reference: keras.activations.exponential.

    >>> print(jaxact.exponential(0.0))
    1.0
    """
    return _exponential(x)


# The slope has a zero where alpha_n exp(x) = alpha_n - beta; the product and the difference are kept with their rests.
# Near 0 the difference cancels alpha_n exp(x), of which beta remains; there it is formed from exp(x) - 1.
def _xielu_slope(x: Array, alpha_p: Array, alpha_n: Array, beta: Array) -> Array:
    left = jnp.minimum(x, 0)
    high, low = product(numerics.exp(left), alpha_n)
    shift, rest = difference(beta, alpha_n)
    below = jnp.where(x > -0.5, alpha_n * numerics.expm1(left) + beta, (high + shift) + (low + rest))
    return jnp.where(x > 0, 2 * alpha_p * x + beta, below)


def _xielu_value(x: Array, alpha_p: Any = 0.8, alpha_n: Any = 0.8, beta: Any = 0.5) -> Array:
    alpha_n, beta = jnp.asarray(alpha_n, x.dtype), jnp.asarray(beta, x.dtype)
    left = jnp.minimum(x, 0)
    shift, shift_low = difference(beta, alpha_n)
    # At the root on the left alpha_n exp(x) is small, so the number that it cancels against is kept with its rest.
    high, low = product(jnp.maximum(left, -1e30), shift)
    far = ((high - alpha_n) + alpha_n * numerics.exp(left)) + jnp.where(left > -1e6, low + shift_low * left, 0)
    far = jnp.where(left < -1e6, shift * left - alpha_n, far)
    near = alpha_n * numerics.expm1_less_x(left) + beta * left
    right = jnp.maximum(x, 0)
    return jnp.where(x > 0, right * (alpha_p * right + beta), jnp.where(x < -1, far, near))


def _xielu_textbook(x: Array, alpha_p: Array, alpha_n: Array, beta: Array) -> Array:
    left = numerics.expm1_less_x(jnp.minimum(x, 0))
    return alpha_p * jnp.square(jnp.maximum(x, 0)) + alpha_n * left + beta * x


_xielu = elementwise(
    "xielu",
    _xielu_value,
    _xielu_slope,
    parameters={
        "alpha_p": lambda x, alpha_p, alpha_n, beta: jnp.square(jnp.maximum(x, 0)),
        "alpha_n": lambda x, alpha_p, alpha_n, beta: numerics.expm1_less_x(jnp.minimum(x, 0)),
        "beta": lambda x, alpha_p, alpha_n, beta: x,
    },
    curvature=lambda x, alpha_p, alpha_n, beta: jnp.where(
        x > 0, 2 * alpha_p, alpha_n * numerics.exp(jnp.minimum(x, 0))
    ),
    textbook=_xielu_textbook,
)


@activation(
    module="XIELU",
    kind="pointwise",
    range=(-0.20575122409648213, math.inf),
    limits=(math.inf, math.inf),
    slope_limits=(-0.3, math.inf),
    smoothness=1,
    monotone=False,
    lipschitz=math.inf,
    variants=({"alpha_p": 0.3, "alpha_n": 0.4, "beta": 1.0},),
    elsewhere={"transformers": {"xielu": {}}},
)
def xielu(x: ArrayLike, alpha_p: ArrayLike = 0.8, alpha_n: ArrayLike = 0.8, beta: ArrayLike = 0.5) -> Array:
    """Expanded integral of ELU: alpha_p x^2 + beta x if x > 0, else alpha_n (exp(x) - 1 - x) + beta x.

    f'(x) = 2 alpha_p x + beta for x > 0, else alpha_n (exp(x) - 1) + beta, and f'(0) = beta; f'' jumps at 0, where it
    is alpha_n. f(inf) = inf; f(-inf) = inf for alpha_n > beta. The guard `min(x, -1e-6)` that transformers has is not
    needed here, since exp(x) - 1 is right near 0.

    Args:
      x: real array of any shape; bool and int become the default float.
      alpha_p: number, or array that broadcasts against x; traced and differentiable, as are the others.
      alpha_n: number, or array that broadcasts against x.
      beta: number, or array that broadcasts against x.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: Huang & Schlag 2024, arXiv:2411.13010.

    >>> print(jaxact.xielu(jnp.array([-jnp.inf, 0.0, 1.0])))
    [inf 0.  1.3]
    """
    return _xielu(x, alpha_p, alpha_n, beta)
