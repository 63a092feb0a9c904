"""What the Equinox modules have in common."""

import dataclasses
import inspect
from typing import Any

import equinox
import wadler_lindig

from jaxact.modules import build
from jaxact.modules.settings import is_default


class Module(equinox.Module):
    """An Equinox module; its repr shows parameters, and the settings that are not their defaults."""

    @property
    def config(self) -> dict[str, Any]:
        """What `jaxact.config` says of it."""
        return build.config(self)

    def __pdoc__(self, **settings: Any) -> wadler_lindig.AbstractDoc:
        """Describe it to Equinox's printer, which by itself shows a default that was given as another object."""
        arguments = inspect.signature(type(self).__init__).parameters
        fields = [(f.name, getattr(self, f.name), arguments.get(f.name)) for f in dataclasses.fields(self)]
        shown = [(name, value) for name, value, a in fields if a is None or not is_default(value, a.default)]
        return wadler_lindig.bracketed(
            begin=wadler_lindig.TextDoc(f"{type(self).__name__}("),
            docs=wadler_lindig.named_objs(shown, **settings),
            sep=wadler_lindig.comma,
            end=wadler_lindig.TextDoc(")"),
            indent=settings["indent"],
        )
