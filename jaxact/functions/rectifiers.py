"""Rectifiers: the identity for large x, and zero or bounded below."""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.checks import check_parameter
from jaxact.core.pointwise import keep_output, pointwise

__all__ = ["celu", "elu", "identity", "leaky_relu", "linear", "prelu", "relu", "relu6", "selu", "sparse_plus"]

_identity = pointwise("identity", value=lambda x: x, slope=jnp.ones_like)


@activation(
    module="Identity",
    kind="pointwise",
    aliases=("linear",),
    slope_limits=(1.0, 1.0),
    odd=True,
    keeps=0.0,
    elsewhere={"torch": {"Identity": {}}, "keras": {"linear": {}}, "transformers": {"linear": {}}},
)
def identity(x: ArrayLike) -> Array:
    """Identity: x.

    The "linear" activation of an output layer. f'(x) = 1.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: jax.nn.identity, keras.activations.linear.

    >>> print(jaxact.identity(-2.0))
    -2.0
    """
    return _identity(x)


linear = identity

_relu = pointwise(
    "relu",
    value=lambda x: jnp.maximum(x, 0),
    slope=lambda y: jnp.where(y > 0, 1, jnp.zeros_like(y)),
    keep=keep_output,
)


@activation(
    module="ReLU",
    kind="pointwise",
    range=(0.0, math.inf),
    limits=(0.0, math.inf),
    kinks={0.0: 0.0},
    smoothness=0,
    keeps=0.0,
    elsewhere={"torch": {"relu": {}, "ReLU": {}}, "keras": {"relu": {}}, "transformers": {"relu": {}}},
)
def relu(x: ArrayLike) -> Array:
    """Rectified linear unit: max(x, 0).

    f'(x) = 1 for x > 0, else 0, and f'(0) = 0. f(-inf) = 0, f(inf) = inf. The backward pass keeps only the output.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Nair & Hinton 2010; on f'(0) = 0, Bertoin et al. 2021, arXiv:2106.12915.

    >>> print(jaxact.relu(jnp.array([-1.0, 0.0, 2.0])))
    [0. 0. 2.]
    """
    return _relu(x)


_relu6 = pointwise(
    "relu6",
    value=lambda x: jnp.clip(x, 0, 6),
    slope=lambda y: jnp.where((y > 0) & (y < 6), 1, jnp.zeros_like(y)),
    keep=keep_output,
)


@activation(
    module="ReLU6",
    kind="pointwise",
    range=(0.0, 6.0),
    limits=(0.0, 6.0),
    slope_limits=(0.0, 0.0),
    kinks={0.0: 0.0, 6.0: 0.0},
    smoothness=0,
    keeps=0.0,
    elsewhere={"torch": {"relu6": {}, "ReLU6": {}}, "keras": {"relu6": {}}, "transformers": {"relu6": {}}},
)
def relu6(x: ArrayLike) -> Array:
    """Rectified linear unit 6: min(max(x, 0), 6).

    f'(x) = 1 for 0 < x < 6, else 0, and f'(0) = f'(6) = 0. f(-inf) = 0, f(inf) = 6. The backward pass keeps only the
    output.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10".

    >>> print(jaxact.relu6(jnp.array([-1.0, 3.0, 8.0])))
    [0. 3. 6.]
    """
    return _relu6(x)


def _leaky_value(x: Array, negative_slope: Any = 0.01) -> Array:
    left = jnp.where(negative_slope == 0, -0.0, negative_slope * x)  # 0 * -inf is NaN
    return jnp.where(x >= 0, jnp.abs(x), left)


# With negative_slope >= 0 the sign bit of y tells the side of x, also where y is -0 or underflows to it: x = -0 gives
# +0, so that it counts to the right side.
_leaky_relu = pointwise(
    "leaky_relu",
    _leaky_value,
    lambda y, negative_slope: jnp.where(jnp.signbit(y), negative_slope, jnp.ones_like(y)),
    lambda x, negative_slope: jnp.minimum(x, 0),
    keep=keep_output,
)


@activation(
    module="LeakyReLU",
    kind="pointwise",
    slope_limits=(0.01, 1.0),
    kinks={0.0: 1.0},
    smoothness=0,
    variants=({"negative_slope": 0.2}, {"negative_slope": 0.0}, {"negative_slope": -0.5}, {"negative_slope": 3.0}),
    keeps=0.0,
    elsewhere={
        "torch": {"leaky_relu": {}, "LeakyReLU": {}},
        "keras": {"leaky_relu": {"negative_slope": 0.2}},
        "transformers": {"leaky_relu": {}},
    },
)
def leaky_relu(x: ArrayLike, negative_slope: ArrayLike = 1e-2) -> Array:
    """Leaky rectified linear unit: x if x >= 0, else negative_slope * x.

    f'(x) = 1 for x >= 0, else negative_slope, and f'(0) = 1. f(-inf) = -inf for a positive slope, f(inf) = inf. The
    backward pass keeps only the output where the slope is a Python number >= 0, and otherwise x.

    Args:
      x: real array of any shape; bool and int become the default float.
      negative_slope: number, or array that broadcasts against x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: Maas et al. 2013, "Rectifier nonlinearities improve neural network acoustic models".

    >>> print(jaxact.leaky_relu(jnp.array([-1.0, 0.0, 2.0]), 0.1))
    [-0.1  0.   2. ]
    """
    if isinstance(negative_slope, int | float) and negative_slope >= 0:
        return _leaky_relu(x, negative_slope)
    return _prelu(x, negative_slope)


_prelu = pointwise(
    "prelu",
    _leaky_value,
    lambda x, negative_slope: jnp.where(x >= 0, jnp.ones_like(x), negative_slope),
    lambda x, negative_slope: jnp.minimum(x, 0),
)


@activation(
    module="PReLU",
    kind="pointwise",
    slope_limits=(0.25, 1.0),
    kinks={0.0: 1.0},
    smoothness=0,
    variants=({"negative_slope": 0.25}, {"negative_slope": -0.5}),
    elsewhere={"torch": {"prelu": {}}, "transformers": {"prelu": {"negative_slope": 0.25}}},
)
def prelu(x: ArrayLike, negative_slope: ArrayLike) -> Array:
    """Parametric rectified linear unit: x if x >= 0, else negative_slope * x.

    `leaky_relu` for a slope that is learned, of any sign. f'(x) = 1 for x >= 0, else negative_slope, and f'(0) = 1;
    the derivative in negative_slope is min(x, 0). The backward pass keeps x.

    Args:
      x: real array of any shape; bool and int become the default float.
      negative_slope: number, or array that broadcasts against x (one slope a channel); traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: He et al. 2015, arXiv:1502.01852.

    >>> print(jaxact.prelu(jnp.array([[-1.0, -1.0], [2.0, 2.0]]), jnp.array([0.1, 0.5])))
    [[-0.1 -0.5]
     [ 2.   2. ]]
    """
    return _prelu(x, negative_slope)


_elu = pointwise(
    "elu",
    lambda x, alpha=1.0: jnp.where(x > 0, x, alpha * numerics.expm1(jnp.minimum(x, 0))),
    lambda x, alpha: jnp.where(x > 0, jnp.ones_like(x), alpha * jnp.exp(jnp.minimum(x, 0))),
    lambda x, alpha: jnp.where(x > 0, jnp.zeros_like(x), numerics.expm1(jnp.minimum(x, 0))),
    curvature=lambda x, alpha: jnp.where(x > 0, jnp.zeros_like(x), alpha * jnp.exp(jnp.minimum(x, 0))),
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


_celu = pointwise(
    "celu",
    lambda x, alpha=1.0: jnp.where(x > 0, x, alpha * numerics.expm1(jnp.minimum(x, 0) / alpha)),
    lambda x, alpha: numerics.exp_of_quotient(jnp.minimum(x, 0), alpha),
    lambda x, alpha: numerics.expm1_less_slope(jnp.minimum(x, 0) / alpha),
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

_selu = pointwise(
    "selu",
    lambda x: jnp.where(x > 0, _SELU_SCALE * x, _SELU_SCALE * _SELU_ALPHA * numerics.expm1(jnp.minimum(x, 0))),
    lambda x: _SELU_SCALE * jnp.where(x > 0, jnp.ones_like(x), _SELU_ALPHA * jnp.exp(jnp.minimum(x, 0))),
    curvature=lambda x: jnp.where(x > 0, jnp.zeros_like(x), _SELU_SCALE * _SELU_ALPHA * jnp.exp(jnp.minimum(x, 0))),
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


_sparse_plus = pointwise(
    "sparse_plus",
    lambda x: jnp.where(x < 1, jnp.square(jnp.maximum(x + 1, 0)) / 4, x),
    lambda x: jnp.clip((x + 1) / 2, 0, 1),
    curvature=lambda x: jnp.where(jnp.abs(x) < 1, jnp.full_like(x, 0.5), 0),
)


@activation(
    module="SparsePlus",
    kind="pointwise",
    range=(0.0, math.inf),
    limits=(0.0, math.inf),
    smoothness=1,
    elsewhere={"keras": {"sparse_plus": {}}},
)
def sparse_plus(x: ArrayLike) -> Array:
    """Sparse softplus: 0 if x <= -1, (x + 1)^2 / 4 if -1 < x < 1, else x.

    f'(x) = `sparse_sigmoid`, so f'(-1) = 0 and f'(1) = 1. f(-inf) = 0, f(inf) = inf.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: jax.nn.sparse_plus, keras.activations.sparse_plus.

    >>> print(jaxact.sparse_plus(jnp.array([-2.0, 0.0, 2.0])))
    [0.   0.25 2.  ]
    """
    return _sparse_plus(x)
