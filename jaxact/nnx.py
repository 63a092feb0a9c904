"""The activations as Flax NNX modules, under the names that PyTorch users know.

A module's constructor takes the parameters of its function, with the same names and defaults, and checks them. A mask
(`where`) or a random key (`key`) is given at the call. The classes follow from the catalog's rows and from the
blueprints written by hand (`jaxact.functions.learnable`, `.normalizing`); `nnx.pyi` says the same to type checkers.

>>> from flax import nnx
>>> rngs = nnx.Rngs(0)
>>> model = nnx.Sequential(nnx.Linear(4, 8, rngs=rngs), jaxact.nnx.PReLU(8), jaxact.nnx.Softmax())
>>> model(jnp.ones((2, 4))).shape
(2, 8)
"""

import dataclasses
import inspect
from typing import Any

from flax import nnx

import jaxact.functions.learnable
import jaxact.functions.normalizing  # noqa: F401 (enter their blueprints)
from jaxact.core.modules import Blueprint, blueprints, build


class _Module(Blueprint, nnx.Module):
    """An activation whose learned parameters are `nnx.Param`s."""

    def __post_init__(self) -> None:
        self._checked()
        for name, value in self._initial().items():
            setattr(self, name, nnx.Param(value))


def _class(blueprint: type[Blueprint]) -> Any:
    made = dataclasses.dataclass(eq=False, repr=False)(build(blueprint, _Module, __name__))
    signature = inspect.signature(made.__init__)
    # Without a signature of its own, inspect finds the one of nnx's metaclass, which takes anything.
    made.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
    return made


_CLASSES = {blueprint.__name__: _class(blueprint) for blueprint in blueprints()}
globals().update(_CLASSES, __all__=sorted(_CLASSES))
