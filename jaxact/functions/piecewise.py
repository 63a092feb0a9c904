"""Piecewise linear functions that are bounded on both sides."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core.catalog import activation
from jaxact.core.elementwise import Pieces, elementwise

__all__ = ["hard_sigmoid", "hard_tanh", "relu6", "sparse_sigmoid"]


def _between(x: Array, low: ArrayLike, high: ArrayLike) -> Array:
    """min(max(x, low), high): XLA's loops for CPUs choose among 16-bit numbers in a fourth of minimum's time."""
    return jnp.where(x < low, low, jnp.where(x > high, high, x))


_relu6 = elementwise(
    "relu6",
    value=lambda x: _between(x, 0, 6),
    slope=Pieces(lambda y: (y > 0) & (y < 6), lambda: (0, 1), of_output=True),
    rounds=False,
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


# y = 1 for an x just under 3 too, so y does not tell the slope; the piece, one byte per entry, does.
_hard_sigmoid = elementwise(
    "hard_sigmoid",
    lambda x: jnp.clip(x + 3, 0, 6) / 6,
    Pieces(lambda x: jnp.abs(x) < 3, lambda: (0, 1 / 6)),
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


def _slope_in_quarters(x: Array) -> Array:
    """4 f'(x) as a byte, by comparisons, since converting floats to bytes would double the time on a CPU."""
    size = jnp.abs(x)
    return (size < 1).astype(jnp.int8) + (size <= 1).astype(jnp.int8)


_sparse_sigmoid = elementwise(
    "sparse_sigmoid",
    lambda x: jnp.clip((x + 1) / 2, 0, 1),
    Pieces(_slope_in_quarters, lambda: (0, 0.25, 0.5)),
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
    keeps one byte per entry.

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


# y = 1 for x = 1, where the slope is 1, and for x > 1, where it is 0. The piece, one byte per entry, tells them apart.
# It belongs to the parameters as they are, and the value to the parameters rounded to x's type. The two agree, since no
# x lies between a parameter and its rounding.
_hard_tanh = elementwise(
    "hard_tanh",
    lambda x, min_val=-1.0, max_val=1.0: _between(x, min_val, max_val),
    Pieces(lambda x, min_val, max_val: (x >= min_val) & (x <= max_val), lambda min_val, max_val: (0, 1)),
    parameters={"min_val": lambda x, min_val, max_val: x < min_val, "max_val": lambda x, min_val, max_val: x > max_val},
    rounds=False,
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
    variants=({"min_val": -0.3, "max_val": 3.0},),
    keeps=0.25,
    elsewhere={"torch": {"hardtanh": {}, "Hardtanh": {}}, "keras": {"hard_tanh": {}}},
)
def hard_tanh(x: ArrayLike, *, min_val: ArrayLike = -1.0, max_val: ArrayLike = 1.0) -> Array:
    """Hard tanh: min(max(x, min_val), max_val).

    f'(x) = 1 for min_val <= x <= max_val, else 0; at both ends it is 1 as in jax.nn. f(-inf) = min_val, f(inf) =
    max_val. The backward pass keeps a mask.

    Args:
      x: real array of any shape; bool and int become the default float.
      min_val: number, or array that broadcasts against x; traced and differentiable.
      max_val: number, or array that broadcasts against x, at least min_val; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: min_val > max_val, or the shapes do not broadcast.

    Reference: Collobert 2004, "Large scale machine learning".

    >>> print(jaxact.hard_tanh(jnp.array([-2.0, 0.5, 2.0])))
    [-1.   0.5  1. ]
    """
    if isinstance(min_val, int | float) and isinstance(max_val, int | float) and min_val > max_val:
        raise ValueError(f"jaxact.hard_tanh: expected min_val <= max_val, got {min_val} and {max_val}; exchange them")
    return _hard_tanh(x, min_val, max_val)
