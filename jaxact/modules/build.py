"""Modules from configs, and back."""

import difflib
import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from jaxact.core import catalog
from jaxact.core.catalog import Function
from jaxact.modules.settings import changed

_PRELU = {"init": "negative_slope_init"}
"""PyTorch's argument of the constructor."""


def module(
    kind: str, name: str, given: Mapping[str, Any], function: Function | None, bound: Mapping[str, Any], source: str
) -> Any:
    """Make the module that `jaxact.get(..., kind=kind)` returns.

    Args:
      kind: the framework.
      name: the name of an activation in `source`, or of a class.
      given: the config's parameters, which are the constructor's or those of the function.
      function: the function that the name means in `source`, if it means one.
      bound: the parameters that give the function that meaning.
      source: as for `jaxact.get`.
    """
    package = importlib.import_module(f"jaxact.{kind}")
    made = getattr(package, name if function is None else catalog.info(function.__name__).module, None)
    if not isinstance(made, type):
        if function is None and name not in catalog.BUILDERS:
            raise catalog.unknown(name, catalog.names(source), source)  # pyright: ignore[reportArgumentType]
        return package.Activation(catalog.get({"name": name, **given}, source))  # pyright: ignore[reportArgumentType]
    taken = list(inspect.signature(made.__init__).parameters)[1:]
    arguments: dict[str, Any] = {}
    if source == "torch" and made.__name__ == "PReLU":
        given = {_PRELU.get(parameter, parameter): value for parameter, value in given.items()}
        arguments = {"axis": 1} if given.get("num_parameters", 1) != 1 else {}  # of the channels, as for the function
    for parameter, value in {**bound, **given}.items():
        start = f"{parameter}_init"  # a parameter of the function that the module learns
        argument = start if parameter not in taken and start in taken else parameter
        if argument not in taken:
            near = difflib.get_close_matches(parameter, taken, n=1) or taken
            raise ValueError(
                f"jaxact.get: {kind}.{made.__name__} has no parameter {parameter!r}; did you mean {' or '.join(near)}?"
            )
        arguments[argument] = value
    return made(**arguments)


def config(module: Any) -> dict[str, Any]:
    """What `jaxact.config` says of a module: its activation's name, and the settings that are not defaults."""
    made = type(module)
    if not made.__module__.startswith("jaxact.modules."):
        raise ValueError(
            f"jaxact.config: expected one of jaxact's modules, got {made.__name__}; write its config yourself"
        )
    row = next((row for row in catalog.rows() if row.module == made.__name__), None)
    settings = changed(module)
    for name in {"dtype", "param_dtype"} & settings.keys():
        settings[name] = jnp.dtype(settings[name]).name
    if callable(settings.get("activation")):
        settings["activation"] = catalog.config(settings["activation"])
    for parameter, default in ({} if row is None else row.parameters).items():
        start = f"{parameter}_init"
        if start in settings or (default is inspect.Parameter.empty and hasattr(module, start)):
            settings[parameter] = settings.pop(start, getattr(module, start))
    return {"name": made.__name__ if row is None else row.name, **settings}
