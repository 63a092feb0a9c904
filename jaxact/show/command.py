"""`jaxact list` and `jaxact show`: a dataclass that is parsed and a function that does it, each."""

import dataclasses

import jaxact
from jaxact.compare import needing
from jaxact.core.catalog import Source
from jaxact.show.curves import curve


@dataclasses.dataclass(frozen=True, kw_only=True)
class List:
    """List every activation by family, or those that another library has a name for."""

    source: Source | None = None
    """Whose names: jax, torch, keras or transformers; beside each stands the call of jaxact that means the same."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Show:
    """Show one activation: its formula, facts, names elsewhere, and a chart of f, f' and f''."""

    name: str
    """Its name, as it is written in the source."""
    source: Source = "jax"
    """Who means what by the name: jax, torch, keras or transformers."""


def list_all(command: List) -> int:
    """Print the table and return 0.

    Raises:
      ImportError: the extra "compare" is not installed.
    """
    with needing("jaxact list"):
        from rich.console import Console

        from jaxact.show import terminal

    Console().print(terminal.table(command.source))
    return 0


def show(command: Show) -> int:
    """Print the sheet of one activation and return 0.

    Raises:
      ValueError: the name is unknown.
      ImportError: the extra "compare" is not installed.
    """
    config = jaxact.config(jaxact.get(command.name, command.source))
    row, bound = jaxact.info(config.pop("name")), config or None
    with needing("jaxact show"):
        from rich.console import Console

        from jaxact.show import terminal

    Console(highlight=False).print(terminal.sheet(row, curve(row, bound)))
    return 0
