"""Sigmoids: bounded on both sides, or the logarithm of such a function."""

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.pointwise import pointwise

__all__ = ["hard_sigmoid", "hard_tanh", "log_sigmoid", "sigmoid", "soft_sign", "sparse_sigmoid", "tanh"]

_sigmoid = pointwise("sigmoid", numerics.sigmoid, numerics.sigmoid_slope, curvature=numerics.sigmoid_curvature)


@activation(
    module="Sigmoid",
    kind="pointwise",
    range=(0.0, 1.0),
    limits=(0.0, 1.0),
    slope_limits=(0.0, 0.0),
    lipschitz=0.25,
    elsewhere={
        "torch": {"sigmoid": {}, "Sigmoid": {}},
        "keras": {"sigmoid": {}},
        "transformers": {"sigmoid": {}},
    },
)
def sigmoid(x: ArrayLike) -> Array:
    """Logistic sigmoid: 1 / (1 + exp(-x)).

    f'(x) = f(x) f(-x), which is right in both tails. f(-inf) = 0, f(inf) = 1, and f' is 0 at both.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: jax.nn.sigmoid.

    >>> print(jaxact.sigmoid(jnp.array([-jnp.inf, 0.0, jnp.inf])))
    [0.  0.5 1. ]
    """
    return _sigmoid(x)


_log_sigmoid = pointwise(
    "log_sigmoid",
    lambda x: -numerics.softplus(-x),
    lambda x: numerics.sigmoid(-x),
    curvature=lambda x: -numerics.sigmoid_slope(x),
)


@activation(
    module="LogSigmoid",
    kind="pointwise",
    range=(-math.inf, 0.0),
    limits=(-math.inf, 0.0),
    slope_limits=(1.0, 0.0),
    elsewhere={"torch": {"logsigmoid": {}, "LogSigmoid": {}}, "keras": {"log_sigmoid": {}}},
)
def log_sigmoid(x: ArrayLike) -> Array:
    """Logarithm of the sigmoid: -log(1 + exp(-x)).

    f'(x) = sigmoid(-x). f(-inf) = -inf, f(inf) = 0.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: jax.nn.log_sigmoid.

    >>> print(jaxact.log_sigmoid(jnp.array([-jnp.inf, 0.0])))
    [      -inf -0.6931472]
    """
    return _log_sigmoid(x)


# y = 1 for an x just under 3 too, so y does not tell the slope; the mask, a byte an entry, does.
_hard_sigmoid = pointwise(
    "hard_sigmoid",
    lambda x: jnp.clip(x + 3, 0, 6) / 6,
    lambda inside: jnp.where(inside, 1 / 6, 0.0),
    keep=lambda x, y: jnp.abs(x) < 3,
)


@activation(
    module="Hardsigmoid",
    kind="pointwise",
    range=(0.0, 1.0),
    limits=(0.0, 1.0),
    slope_limits=(0.0, 0.0),
    kinks={-3.0: 0.0, 3.0: 0.0},
    smoothness=0,
    lipschitz=1 / 6,
    keeps=0.25,
    elsewhere={"torch": {"hardsigmoid": {}, "Hardsigmoid": {}}, "keras": {"hard_sigmoid": {}}},
)
def hard_sigmoid(x: ArrayLike) -> Array:
    """Hard sigmoid: min(max(x + 3, 0), 6) / 6.

    f'(x) = 1/6 for |x| < 3, else 0, and f'(-3) = f'(3) = 0. f(-inf) = 0, f(inf) = 1. The backward pass keeps a mask.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Howard et al. 2019, arXiv:1905.02244. (Keras 2 had the slope 0.2.)

    >>> print(jaxact.hard_sigmoid(jnp.array([-4.0, 0.0, 4.0])))
    [0.  0.5 1. ]
    """
    return _hard_sigmoid(x)


_sparse_sigmoid = pointwise(
    "sparse_sigmoid",
    lambda x: jnp.clip((x + 1) / 2, 0, 1),
    lambda inside: jnp.where(inside > 0, 0.5, jnp.where(inside == 0, 0.25, 0.0)),
    keep=lambda x, y: jnp.sign(1 - jnp.abs(x)).astype(jnp.int8),
)


@activation(
    module="SparseSigmoid",
    kind="pointwise",
    range=(0.0, 1.0),
    limits=(0.0, 1.0),
    slope_limits=(0.0, 0.0),
    kinks={-1.0: 0.25, 1.0: 0.25},
    smoothness=0,
    lipschitz=0.5,
    keeps=0.25,
    elsewhere={"keras": {"sparse_sigmoid": {}}},
)
def sparse_sigmoid(x: ArrayLike) -> Array:
    """Sparse sigmoid: min(max((x + 1) / 2, 0), 1).

    f'(x) = 1/2 for |x| < 1, else 0, and f'(-1) = f'(1) = 1/4 as in jax.nn. f(-inf) = 0, f(inf) = 1. The backward pass
    keeps a byte an entry.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: jax.nn.sparse_sigmoid, keras.activations.sparse_sigmoid.

    >>> print(jaxact.sparse_sigmoid(jnp.array([-2.0, 0.0, 2.0])))
    [0.  0.5 1. ]
    """
    return _sparse_sigmoid(x)


_tanh = pointwise(
    "tanh",
    numerics.tanh,
    lambda x: 4 * numerics.sigmoid_slope(2 * x),
    curvature=lambda x: -8 * numerics.tanh(x) * numerics.sigmoid_slope(2 * x),
)


@activation(
    module="Tanh",
    kind="pointwise",
    range=(-1.0, 1.0),
    limits=(-1.0, 1.0),
    slope_limits=(0.0, 0.0),
    odd=True,
    elsewhere={"torch": {"tanh": {}, "Tanh": {}}, "keras": {"tanh": {}}, "transformers": {"tanh": {}}},
)
def tanh(x: ArrayLike) -> Array:
    """Hyperbolic tangent: (exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    f'(x) = 1 / cosh(x)^2, right in both tails. f(-inf) = -1, f(inf) = 1, and f' is 0 at both.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: jax.nn.tanh.

    >>> print(jaxact.tanh(jnp.array([-jnp.inf, 0.0, jnp.inf])))
    [-1.  0.  1.]
    """
    return _tanh(x)


# y = 1 for x = 1, where the slope is 1, and for x > 1, where it is 0: a mask, a byte an entry, tells them apart.
_hard_tanh = pointwise(
    "hard_tanh",
    lambda x: jnp.clip(x, -1, 1),
    lambda inside: jnp.where(inside, 1.0, 0.0),
    keep=lambda x, y: jnp.abs(x) <= 1,
)


@activation(
    module="Hardtanh",
    kind="pointwise",
    range=(-1.0, 1.0),
    limits=(-1.0, 1.0),
    slope_limits=(0.0, 0.0),
    kinks={-1.0: 1.0, 1.0: 1.0},
    smoothness=0,
    odd=True,
    keeps=0.25,
    elsewhere={"torch": {"hardtanh": {}, "Hardtanh": {}}, "keras": {"hard_tanh": {}}},
)
def hard_tanh(x: ArrayLike) -> Array:
    """Hard tanh: min(max(x, -1), 1).

    f'(x) = 1 for |x| <= 1, else 0, and f'(-1) = f'(1) = 1 as in jax.nn. f(-inf) = -1, f(inf) = 1. The backward pass
    keeps a mask.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Collobert 2004, "Large scale machine learning".

    >>> print(jaxact.hard_tanh(jnp.array([-2.0, 0.5, 2.0])))
    [-1.   0.5  1. ]
    """
    return _hard_tanh(x)


_soft_sign = pointwise(
    "soft_sign",
    lambda x: numerics.finite(x) / (1 + jnp.abs(numerics.finite(x))),
    lambda x: jnp.square(1 / (1 + jnp.abs(x))),
    curvature=lambda x: -2 * jnp.sign(x) * (1 / (1 + jnp.abs(x))) ** 3,
)


@activation(
    module="Softsign",
    kind="pointwise",
    range=(-1.0, 1.0),
    limits=(-1.0, 1.0),
    slope_limits=(0.0, 0.0),
    smoothness=1,
    odd=True,
    elsewhere={"torch": {"softsign": {}, "Softsign": {}}, "keras": {"softsign": {}}},
)
def soft_sign(x: ArrayLike) -> Array:
    """Soft sign: x / (1 + |x|).

    f'(x) = 1 / (1 + |x|)^2; f''(0) = 0, between its one-sided limits 2 and -2. f(-inf) = -1, f(inf) = 1.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Bergstra et al. 2009, "Quadratic polynomials learn better image features".

    >>> print(jaxact.soft_sign(jnp.array([-jnp.inf, 1.0, jnp.inf])))
    [-1.   0.5  1. ]
    """
    return _soft_sign(x)
