"""What the modules with learned parameters share: types, checks, and how parameters line up with x."""

import dataclasses
import math
import numbers
from typing import Any, ClassVar, cast

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from jaxact.core.checks import FLOATS, canonical_axes


class Learned:
    """A module with learned parameters of the type `param_dtype`."""

    param_dtype: DTypeLike

    _where: ClassVar[str]
    """The name to import the framework's modules from."""
    _positive: ClassVar[tuple[str, ...]] = ()
    """The arguments that have to be positive."""

    def _start(self) -> dict[str, Array]:
        """The learned parameters before training, by name."""
        raise NotImplementedError

    @property
    def _who(self) -> str:
        """How errors name this class."""
        return f"{self._where}.{type(self).__name__}"

    def _check(self) -> None:
        """Raise an error if an argument is wrong: counts have to be 1 or more, and floats finite."""
        for field in dataclasses.fields(cast(Any, self)):
            name = field.name
            value: Any = getattr(self, name, None)
            if field.type is int and not isinstance(value, numbers.Integral):
                hint = "start values are called ..._init" if name.startswith("num_") else "name the axis by its number"
                raise TypeError(f"{self._who}: expected {name} to be an int, got {value!r}; {hint}")
            if field.type is int and name.startswith("num_") and value < 1:
                raise ValueError(f"{self._who}: expected {name} >= 1, got {value}; 1 means one value for all channels")
            if field.type is float and not isinstance(value, numbers.Real):
                raise TypeError(f"{self._who}: expected {name} to be a number, got {value!r}; {field.default} is usual")
            if field.type is float and not math.isfinite(value):
                raise ValueError(f"{self._who}: expected a finite {name}, got {value!r}; {field.default} is usual")
            if name in self._positive and not float(value) > 0:
                raise ValueError(f"{self._who}: expected {name} > 0, got {value!r}; {field.default} is usual")
        try:
            dtype = jnp.dtype(self.param_dtype)
        except TypeError:
            dtype = None
        if dtype is None or dtype not in FLOATS:
            raise TypeError(
                f"{self._who}: expected param_dtype to be a float type, got {self.param_dtype!r}; jax.numpy.float32 is "
                "usual"
            )

    def _lifted(self, x: ArrayLike, axis: int, *parameters: Array) -> list[Array]:
        """Give parameters of shape (channels,) the trailing axes that line them up with `axis` of x."""
        shape = jnp.shape(x)
        (axis,) = canonical_axes(self._who.removeprefix("jaxact."), (axis,), len(shape))
        for p in parameters:
            if p.ndim and p.shape[0] != shape[axis]:
                raise ValueError(
                    f"{self._who}: expected {p.shape[0]} channels along axis {axis - len(shape)}, got x of shape "
                    f"{shape}; give the number of channels of x, or the axis that has them"
                )
        return [lax.expand_dims(p, range(1, len(shape) - axis)) if p.ndim else p for p in parameters]


class Channelwise(Learned):
    """Parameters with one number, or one number per channel."""

    num_parameters: int
    axis: int

    def _full(self, value: float) -> Array:
        return jnp.full(() if self.num_parameters == 1 else (self.num_parameters,), value, self.param_dtype)

    def _lift(self, x: ArrayLike, *parameters: Array) -> list[Array]:
        return list(parameters) if self.num_parameters == 1 else self._lifted(x, self.axis, *parameters)
