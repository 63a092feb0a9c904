"""What the NNX modules have in common."""

from collections.abc import Generator
from typing import Any

from flax import nnx
from flax.nnx import reprlib

from jaxact.modules import build
from jaxact.modules.settings import changed


class Module(nnx.Module):
    """An NNX module that shows the settings that are not their defaults, and its parameters."""

    def __nnx_repr__(self) -> Generator[reprlib.Object | reprlib.Attr, Any, None]:
        parameters = {name: value for name, value in vars(self).items() if isinstance(value, nnx.Param)}
        yield reprlib.Object(type(self), same_line=not parameters)
        for name, value in (changed(self) | parameters).items():
            yield reprlib.Attr(name, value)

    @property
    def config(self) -> dict[str, Any]:
        """What `jaxact.config` says of it."""
        return build.config(self)
