"""Shrinkage: functions that are constant near 0 or below a threshold."""

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.checks import check_parameter
from jaxact.core.elementwise import Pieces, elementwise

__all__ = ["hard_shrink", "soft_shrink", "tanh_shrink", "threshold"]

_hard_shrink = elementwise(
    "hard_shrink",
    lambda x, lambd=0.5: jnp.where(jnp.abs(x) <= lambd, 0, x),
    Pieces(lambda x, lambd: jnp.abs(x) > lambd, lambda lambd: (0, 1)),
    parameters={"lambd": lambda x, lambd: jnp.zeros_like(x)},
)


@activation(
    module="Hardshrink",
    kind="pointwise",
    slope_limits=(1.0, 1.0),
    kinks={-0.5: 0.0, 0.5: 0.0},
    smoothness=-1,
    odd=True,
    lipschitz=math.inf,
    variants=({"lambd": 0.0}, {"lambd": 2.0}),
    keeps=0.25,
    elsewhere={"torch": {"hardshrink": {}, "Hardshrink": {}}, "keras": {"hard_shrink": {}}},
)
def hard_shrink(x: ArrayLike, lambd: ArrayLike = 0.5) -> Array:
    """Hard shrinkage: x if |x| > lambd, else 0.

    f'(x) = 1 for |x| > lambd, else 0, and f'(-lambd) = f'(lambd) = 0, where f jumps. f(-inf) = -inf, f(inf) = inf. The
    derivative in lambd is 0. The backward pass keeps a mask.

    Args:
      x: real array of any shape; bool and int become the default float.
      lambd: non-negative number, or array that broadcasts against x; traced.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: lambd is negative, or the shapes do not broadcast.

    Reference: Donoho & Johnstone 1994, "Ideal spatial adaptation by wavelet shrinkage"; torch.nn.functional.hardshrink.

    >>> print(jaxact.hard_shrink(jnp.array([-1.0, 0.3, 2.0])))
    [-1.  0.  2.]
    """
    check_parameter("hard_shrink", ">= 0", lambd=lambd)
    return _hard_shrink(x, lambd)


_soft_shrink = elementwise(
    "soft_shrink",
    lambda x, lambd=0.5: jnp.where(x > lambd, x - lambd, jnp.where(x < -lambd, x + lambd, jnp.where(x == x, 0, x))),
    Pieces(lambda y, lambd: y != 0, lambda lambd: (0, 1), of_output=True),
    parameters={"lambd": lambda x, lambd: jnp.where(jnp.abs(x) > lambd, -jnp.sign(x), 0)},
)


@activation(
    module="Softshrink",
    kind="pointwise",
    slope_limits=(1.0, 1.0),
    kinks={-0.5: 0.0, 0.5: 0.0},
    smoothness=0,
    odd=True,
    variants=({"lambd": 0.0}, {"lambd": 2.0}),
    keeps=0.0,
    elsewhere={"torch": {"softshrink": {}, "Softshrink": {}}, "keras": {"soft_shrink": {}}},
)
def soft_shrink(x: ArrayLike, lambd: ArrayLike = 0.5) -> Array:
    """Soft shrinkage: x - lambd if x > lambd, x + lambd if x < -lambd, else 0.

    f'(x) = 1 for |x| > lambd, else 0, and f'(-lambd) = f'(lambd) = 0. f(-inf) = -inf, f(inf) = inf. The backward pass
    keeps only the output.

    Args:
      x: real array of any shape; bool and int become the default float.
      lambd: non-negative number, or array that broadcasts against x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: lambd is negative, or the shapes do not broadcast.

    Reference: Donoho 1995, "De-noising by soft-thresholding"; torch.nn.functional.softshrink.

    >>> print(jaxact.soft_shrink(jnp.array([-1.0, 0.3, 2.0])))
    [-0.5  0.   1.5]
    """
    check_parameter("soft_shrink", ">= 0", lambd=lambd)
    return _soft_shrink(x, lambd)


_tanh_shrink = elementwise(
    "tanh_shrink",
    numerics.tanh_shrink,
    numerics.tanh_squared,
    curvature=lambda x: 2 * numerics.tanh(x) * numerics.tanh_slope(x),
)


@activation(
    module="Tanhshrink",
    kind="pointwise",
    slope_limits=(1.0, 1.0),
    odd=True,
    elsewhere={"torch": {"tanhshrink": {}, "Tanhshrink": {}}, "keras": {"tanh_shrink": {}}},
)
def tanh_shrink(x: ArrayLike) -> Array:
    """Tanh shrinkage: x - tanh(x).

    f'(x) = tanh(x)^2. f(-inf) = -inf, f(inf) = inf.

    Args:
      x: real array of any shape; bool and int become the default float.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array.

    Reference: torch.nn.functional.tanhshrink, keras.activations.tanh_shrink.

    >>> print(jaxact.tanh_shrink(jnp.array([-jnp.inf, 0.0, jnp.inf])))
    [-inf   0.  inf]
    """
    return _tanh_shrink(x)


_threshold = elementwise(
    "threshold",
    lambda x, threshold, value: jnp.where(x > threshold, x, jnp.where(x <= threshold, value, x)),
    Pieces(lambda x, threshold, value: x > threshold, lambda threshold, value: (0, 1)),
    parameters={
        "threshold": lambda x, threshold, value: jnp.zeros_like(x),
        "value": lambda x, threshold, value: x <= threshold,
    },
)


@activation(
    module="Threshold",
    kind="pointwise",
    smoothness=0,
    slope_limits=(0.0, 1.0),
    range=(0.0, math.inf),
    limits=(0.0, math.inf),
    kinks={0.0: 0.0},
    variants=({"threshold": 0.0, "value": 0.0}, {"threshold": 0.1, "value": 20.0}, {"threshold": -2.0, "value": -3.0}),
    keeps=0.25,
    elsewhere={"torch": {"threshold": {}, "Threshold": {}}, "keras": {"threshold": {}}},
)
def threshold(x: ArrayLike, threshold: ArrayLike, value: ArrayLike) -> Array:
    """Threshold: x if x > threshold, else value.

    f'(x) = 1 for x > threshold, else 0, and f'(threshold) = 0. f(-inf) = value, f(inf) = inf. The derivative in
    threshold is 0; the derivative in value is 1 where x <= threshold, else 0. The backward pass keeps a mask.

    Args:
      x: real array of any shape; bool and int become the default float.
      threshold: number, or array that broadcasts against x; traced.
      value: number, or array that broadcasts against x; traced and differentiable.

    Returns:
      Array of the broadcast shape and x's float type.

    Raises:
      TypeError: x is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: torch.nn.functional.threshold, keras.activations.threshold.

    >>> print(jaxact.threshold(jnp.array([-1.0, 0.1, 2.0]), 0.1, 20.0))
    [20. 20.  2.]
    """
    return _threshold(x, threshold, value)
