"""The settings of modules: they are checked when a module is made, and shown where they are not defaults."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

DATA = ("where", "key")
"""Mask and random key, as jaxact names them. They belong to each x, so a module takes them when it is called."""

_NO_SETTINGS = ("self", "parent", "name", "rngs")
"""Arguments of constructors that say where a module is in the model and where its keys come from."""


def check(function: Callable[..., Any], *, arrays: int = 1, scalar: bool = True, **settings: Any) -> None:
    """Run the function's own checks of its parameters, so that a wrong one raises here and not at the first call.

    Nothing is computed. Whether an axis exists is known only at the call, so a function along an axis is tried on an
    array with more axes than data usually have.

    Args:
      function: the function that the module computes.
      arrays: how many arrays it takes before its parameters.
      scalar: whether it is elementwise.
      **settings: its parameters.
    """
    settings.pop("axis_name", None)  # bound only where the module is called
    items = tuple(settings.items())
    try:
        hash(items)
    except TypeError:  # an array
        _try(function, arrays, scalar, items)
    else:
        _tried(function, arrays, scalar, items)


def _try(function: Callable[..., Any], arrays: int, scalar: bool, settings: tuple[tuple[str, Any], ...]) -> None:
    probe = jax.ShapeDtypeStruct(() if scalar else (2,) * 16, jnp.float32)
    jax.eval_shape(functools.partial(function, **dict(settings)), *[probe] * arrays)


_tried = functools.cache(_try)
"""A Linen model makes its modules anew at each call, and tracing takes a millisecond."""


def changed(module: Any) -> dict[str, Any]:
    """The constructor's arguments that are not their defaults, by name."""
    arguments = inspect.signature(type(module).__init__).parameters.values()
    return {
        a.name: getattr(module, a.name)
        for a in arguments
        if a.name not in _NO_SETTINGS and hasattr(module, a.name)
        if not is_default(getattr(module, a.name), a.default)
    }


def is_default(value: Any, default: Any) -> bool:
    """Whether a setting is its default, as the object or by its value."""
    return value is default or (type(value) is type(default) and not isinstance(value, jax.Array) and value == default)


def described(module: Any) -> str:
    """For example `CELU(alpha=0.5)`: the class, and the settings that are not defaults."""
    return f"{type(module).__name__}({', '.join(f'{name}={value!r}' for name, value in changed(module).items())})"
