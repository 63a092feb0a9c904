"""Activation functions for JAX whose gradients you can trust, and see.

`import jaxact as nn` replaces `jax.nn`: the activations are jaxact's, and everything else is jax.nn's own.
`jaxact.nnx`, `jaxact.linen` and `jaxact.equinox` have the activations as modules, `jaxact.flow.observe` shows how
gradients flow through a model, and the command `jaxact compare` trains the same network with several activations.
"""

import functools as _functools
import types as _types
import typing as _typing
from importlib.util import find_spec as _find_spec

from jax.nn import *  # pyright: ignore[reportWildcardImportFromLibrary]

from jaxact.core import catalog as _catalog
from jaxact.core.catalog import config as config
from jaxact.core.catalog import get as get
from jaxact.core.catalog import info as info
from jaxact.core.catalog import names as names
from jaxact.core.register import register as register
from jaxact.functions import *
from jaxact.huggingface import Unit as Unit
from jaxact.huggingface import from_config as from_config

__version__ = "0.2.0"


def _shaped(config):
    """Build a transformed activation. This imports the theory, which needs SciPy."""
    from jaxact.propagation import from_config

    return from_config(config)


def _compacted(config):
    """Build a compact function."""
    from jaxact.functions.compact import compact

    if config.keys() != {"name", "of"}:
        raise ValueError(
            f'jaxact.get: expected {{"name": "compact", "of": an activation}}, got {config!r}; add or remove a key'
        )
    return compact(get(config["of"]))


def _module(kind, *meaning):
    """Build a module. This imports its framework."""
    from jaxact.modules import build

    return build.module(kind, *meaning)


_catalog.BUILDERS.update(tat=_shaped, dks=_shaped, compact=_compacted)
_catalog.KINDS.update({kind: _functools.partial(_module, kind) for kind in ("nnx", "linen", "equinox")})


def __dir__():
    """List functions and other documented names, but no files."""
    return sorted(
        name
        for name, value in globals().items()
        if not name.startswith("_") and (name == "initializers" or not isinstance(value, _types.ModuleType))
    )


if not _typing.TYPE_CHECKING:  # a type checker should report missing names

    def __getattr__(name):
        """Say where to find a name that is not here."""
        if not name.startswith("_"):
            if _find_spec(f"jaxact.{name}"):
                raise AttributeError(f"module 'jaxact' has no attribute {name!r} until you write import jaxact.{name}")
            from jaxact.modules import learned

            if name in {row.module for row in _catalog.rows()} | {"Activation", "GatedMLP", "Softmax2d"} or isinstance(
                getattr(learned, name, None), type
            ):
                raise AttributeError(
                    f"module 'jaxact' has no attribute {name!r}; the module is jaxact.nnx.{name}, jaxact.linen.{name} "
                    f"or jaxact.equinox.{name}"
                )
        raise AttributeError(f"module 'jaxact' has no attribute {name!r}")
