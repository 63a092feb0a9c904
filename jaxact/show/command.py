"""`jaxact list` and `jaxact show`: for each, a dataclass for the command line and the function that does the work."""

import dataclasses

import jaxact
from jaxact.core.catalog import Source
from jaxact.show.curves import curve


@dataclasses.dataclass(frozen=True, kw_only=True)
class List:
    """List every activation by family, or only those for which another library has a name."""

    source: Source | None = None
    """Whose names to list: jax, torch, keras or transformers. Beside each is the equivalent call of jaxact."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Show:
    """Show one activation: its formula, facts, names elsewhere, and a chart of f, f' and f''."""

    name: str
    """The activation's name, as the source writes it."""
    source: Source = "jax"
    """The library whose name it is: jax, torch, keras or transformers."""


def list_all(command: List) -> int:
    """Print the table and return 0."""
    from rich.console import Console

    from jaxact.show import terminal

    Console().print(terminal.table(command.source))
    return 0


def show(command: Show) -> int:
    """Print the sheet of one activation and return 0.

    Raises:
      ValueError: the name is unknown.
    """
    from rich.console import Console

    from jaxact.show import terminal

    config = jaxact.config(jaxact.get(command.name, command.source))
    row, bound = jaxact.info(config.pop("name")), config or None
    Console(highlight=False).print(terminal.sheet(row, curve(row, bound)))
    return 0
