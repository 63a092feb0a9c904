"""The reference: a page a public module, of what it exports; a public name that is not on one fails the build."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
from sphinx.util import logging

import jaxact
from jaxact.core.catalog import rows

MODULES = (
    "jaxact",
    "jaxact.nnx",
    "jaxact.linen",
    "jaxact.equinox",
    "jaxact.modules.learned",
    "jaxact.flow",
    "jaxact.flow.nnx",
    "jaxact.propagation",
    "jaxact.propagation.nnx",
    "jaxact.propagation.linen",
    "jaxact.compare",
    "jaxact.verify",
    "jaxact.huggingface",
    "jaxact.pallas",
)
ACTIVATIONS = {name for row in rows() for name in (row.name, *row.aliases)}
"""What has a page of its own."""
_log = logging.getLogger(__name__)


def public(module: ModuleType) -> list[str]:
    """The names that a module exports: its `__all__`, or what it defines, or, if it defines nothing, has of jaxact."""
    names = getattr(module, "__all__", None) or [name for name in dir(module) if not name.startswith("_")]
    homes = {name: getattr(getattr(module, name), "__module__", None) or "" for name in names}
    own = [name for name, home in homes.items() if home == module.__name__]
    return own or [name for name, home in homes.items() if home.startswith("jaxact")]


def members(module: ModuleType) -> Iterator[str]:
    """Every public name, "gelu", and the public methods, properties and fields of its classes, "Flow.findings"."""
    for name in public(module):
        yield name
        value = getattr(module, name)
        if isinstance(value, type) and not _is_layer(value):
            own = {**vars(value), **getattr(value, "__annotations__", {})}
            yield from (f"{name}.{member}" for member in own if not member.startswith("_"))


def _is_layer(value: type) -> bool:
    """Whether a class is a module of a framework, whose arguments say all of it."""
    return any(base.__module__.startswith(("flax.", "equinox.", "jaxact.modules")) for base in value.__mro__)


def _page(module: ModuleType) -> str:
    lines = [f"# {module.__name__}", "", "```{eval-rst}", f".. automodule:: {module.__name__}", "   :no-members:", ""]
    for name in public(module):
        value = getattr(module, name)
        if module is jaxact and name in ACTIVATIONS:
            continue
        lines.append(f".. auto{'class' if isinstance(value, type) else 'function'}:: {module.__name__}.{name}")
        if isinstance(value, type) and not _is_layer(value):
            lines.append("   :members:")
        lines.append("")
    return "\n".join([*lines, "```", *(_rest() if module is jaxact else []), ""])


def _rest() -> Iterator[str]:
    pages = ", ".join(f"[{row.name}](../functions/{row.name}.md)" for row in rows())
    yield f"\n## Activations\n\nEach activation has [its own page](../functions/index.md): {pages}.\n"
    theirs = ", ".join(f"`{name}`" for name in dir(jaxact) if getattr(jaxact, name) is getattr(jax.nn, name, jaxact))
    yield f"\n## What is jax.nn's\n\nThese are the objects of `jax.nn` itself: {theirs}.\n"


def generate(app: Any) -> None:
    """Write a page a module, and their index."""
    lines = "\n".join(MODULES)
    write(Path(app.srcdir) / "reference/index.md", f"# Reference\n\n```{{toctree}}\n{lines}\n```\n")
    for name in MODULES:
        write(Path(app.srcdir) / f"reference/{name}.md", _page(importlib.import_module(name)))


def write(path: Path, text: str) -> None:
    """Write a page, unless it is there already: Sphinx reads again what is newer."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def check(app: Any, environment: Any) -> None:
    """Warn of each public name that no page documents, which `-W` makes an error."""
    documented = environment.get_domain("py").objects
    for name in MODULES:
        for member in members(importlib.import_module(name)):
            if f"{name}.{member}" not in documented:
                _log.warning("the public name %s.%s is not documented", name, member, type="reference")


def setup(app: Any) -> dict[str, Any]:
    """Generate before anything is read, and check once all is."""
    app.connect("builder-inited", generate)
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
