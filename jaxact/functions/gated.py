"""Gated units: one array times an activation of another."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.checks import as_array, as_float, canonical_axes
from jaxact.core.pointwise import pointwise

__all__ = ["glu"]

_glu = pointwise(
    "glu",
    lambda value, gate: value * numerics.sigmoid(gate),
    lambda value, gate: numerics.sigmoid(gate),
    lambda value, gate: value * numerics.sigmoid_slope(gate),
    curvature=lambda value, gate: jnp.zeros_like(value),
)


@activation(
    module="GLU",
    kind="gated",
    elsewhere={"torch": {"glu": {}, "GLU": {}}, "keras": {"glu": {}}},
)
def glu(x: ArrayLike, axis: int = -1) -> Array:
    """Gated linear unit: a * sigmoid(b), where a and b are the first and the second half of x.

    The derivative is sigmoid(b) in a and a sigmoid(b) sigmoid(-b) in b; the backward pass keeps a and b.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis to halve, of even size.

    Returns:
      Array of x's float type, half as long along `axis`.

    Raises:
      TypeError: x is not a real array.
      ValueError: axis is out of range, or its size is odd.

    Reference: Dauphin et al. 2016, arXiv:1612.08083.

    >>> print(jaxact.glu(jnp.array([3.0, 0.0])))
    [1.5]
    """
    x = as_float("glu", as_array("glu", x))
    (axis,) = canonical_axes("glu", axis, x.ndim)
    if x.shape[axis] % 2:
        raise ValueError(
            f"jaxact.glu: expected an even size along axis {axis}, got {x.shape[axis]}; its halves are value and gate"
        )
    value, gate = jnp.split(x, 2, axis)
    return _glu(value, gate)
