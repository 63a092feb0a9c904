"""Modules with learned parameters: which they are, how they start and how they enter the function."""

import dataclasses
import math
import numbers
from typing import ClassVar

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from jaxact.core.checks import canonical_axes
from jaxact.core.modules import Blueprint, learnable
from jaxact.functions.rectifiers import prelu


@learnable
class PReLU(Blueprint):
    """Parametric rectified linear unit: x if x >= 0, else negative_slope * x, with a learned slope.

    The learned parameter is called `negative_slope`. Its shape is () for one slope and (num_parameters,) for one a
    channel. It stays in its own type when x is a 16-bit float; the result has x's type. Weight decay pulls the slope to
    0, that is to ReLU: leave it out there.

    Args:
      num_parameters: 1 for one slope, or the number of channels for one slope a channel.
      negative_slope_init: the slope before training.
      axis: the axis of the channels.
      param_dtype: the type of the slope.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_parameters is under 1 or the slope not finite; at the call, x has another number of channels or no
        such axis.

    Reference: He et al. 2015, arXiv:1502.01852; PyTorch starts at 0.25 as the paper does, Flax at 0.01.

    The function is `jaxact.prelu`.
    """

    num_parameters: int = 1
    negative_slope_init: float = 0.25
    axis: int = dataclasses.field(default=-1, kw_only=True)
    param_dtype: DTypeLike = dataclasses.field(default=jnp.float32, kw_only=True)

    _learned: ClassVar[tuple[str, ...]] = ("negative_slope",)

    def _check(self) -> None:
        for name in ("num_parameters", "axis"):
            if not isinstance(getattr(self, name), numbers.Integral):
                raise TypeError(
                    f"expected {name} to be an int, got {getattr(self, name)!r}; see negative_slope_init for the slope"
                )
        if self.num_parameters < 1:
            raise ValueError(
                f"expected num_parameters >= 1, got {self.num_parameters}; 1 means one slope for all channels"
            )
        if not isinstance(self.negative_slope_init, numbers.Real):
            raise TypeError(
                f"expected negative_slope_init to be a number, got {self.negative_slope_init!r}; 0.25 is usual"
            )
        if not math.isfinite(self.negative_slope_init):
            raise ValueError(f"expected a finite negative_slope_init, got {self.negative_slope_init!r}; 0.25 is usual")
        if not jnp.issubdtype(jnp.dtype(self.param_dtype), jnp.floating):
            raise TypeError(
                f"expected param_dtype to be a float type, got {self.param_dtype!r}; jax.numpy.float32 is usual"
            )

    def _initial(self) -> dict[str, Array]:
        shape = () if self.num_parameters == 1 else (self.num_parameters,)
        return {"negative_slope": jnp.full(shape, self.negative_slope_init, self.param_dtype)}

    def _evaluate(self, x: ArrayLike, negative_slope: Array) -> Array:
        if self.num_parameters == 1:
            return prelu(x, negative_slope)
        shape = jnp.shape(x)
        (axis,) = canonical_axes(self._who.removeprefix("jaxact."), self.axis, len(shape))
        if shape[axis] != self.num_parameters:
            raise ValueError(
                f"{self._who}: expected {self.num_parameters} channels along axis "
                f"{self.axis}, got x of shape {shape}; make num_parameters their number, or axis their axis"
            )
        return prelu(x, lax.expand_dims(negative_slope, range(1, len(shape) - axis)))
