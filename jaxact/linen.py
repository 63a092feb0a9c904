"""The activations as Flax Linen modules, under the names that PyTorch users know.

A module's constructor takes the parameters of its function, with the same names and defaults, and checks them. A mask
(`where`) or a random key (`key`) is given at the call. The classes follow from the catalog's rows and from the
blueprints written by hand (`jaxact.functions.learnable`, `.normalizing`); `linen.pyi` says the same to type checkers.

>>> from flax import linen
>>> import jaxact.linen
>>> model = linen.Sequential([linen.Dense(8), jaxact.linen.PReLU(8), jaxact.linen.Softmax()])
>>> variables = model.init(jax.random.key(0), jnp.ones((2, 4)))
>>> model.apply(variables, jnp.ones((2, 4))).shape
(2, 8)
"""

from flax import linen

import jaxact.functions.learnable
import jaxact.functions.normalizing  # noqa: F401 (enter their blueprints)
from jaxact.core.modules import Blueprint, blueprints, build


class _Module(Blueprint, linen.Module):
    """An activation whose learned parameters are in the collection "params"."""

    def __post_init__(self) -> None:
        self._checked()
        super().__post_init__()

    def setup(self) -> None:
        for name in self._learned:
            setattr(self, name, self.param(name, lambda _, name=name: self._initial()[name]))


_CLASSES = {blueprint.__name__: build(blueprint, _Module, __name__) for blueprint in blueprints()}
globals().update(_CLASSES, __all__=sorted(_CLASSES))
