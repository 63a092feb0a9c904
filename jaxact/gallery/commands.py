"""`jaxact list`, `jaxact show` and `jaxact gallery`: a dataclass that is parsed and a function that does it, each."""

import dataclasses
import functools
from pathlib import Path

import jaxact
from jaxact.core.catalog import Source, rows
from jaxact.core.files import writing
from jaxact.gallery.curves import curve


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
    output: str | None = None
    """A new file for the chart, ending in .png, or for chart and facts, ending in .html; by default the terminal."""
    overwrite: bool = False
    """Replace the file if there is one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gallery:
    """Write gallery.html, a page with every activation that needs no network, and gallery.png, all at a glance."""

    output: str = "jaxact-gallery"
    """The directory; it is made if need be."""
    accuracy: str | None = None
    """accuracy.json as benchmarks/accuracy.py writes it; by default the checkout's, if jaxact runs from one."""
    overwrite: bool = False
    """Replace a gallery that is there."""


Command = List | Show | Gallery


def do(command: Command) -> int:
    """Do a command and return 0.

    Raises:
      ValueError: a name is unknown, or a file can't or may not be written.
      ImportError: the extra "compare" is not installed.
    """
    try:
        _do(command)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("jaxact"):
            raise
        raise ImportError(
            f'this command needs {missing.name}, which is not installed; run: pip install "jaxact[compare]"'
        ) from missing
    return 0


@functools.singledispatch
def _do(command: Command) -> None:
    raise NotImplementedError


@_do.register
def _list(command: List) -> None:
    from rich.console import Console

    from jaxact.gallery import terminal

    Console().print(terminal.table(command.source))


@_do.register
def _show(command: Show) -> None:
    config = jaxact.config(jaxact.get(command.name, command.source))
    row, bound = jaxact.info(config.pop("name")), config or None
    if command.output is None:
        from rich.console import Console

        from jaxact.gallery import terminal

        Console(highlight=False).print(terminal.sheet(row, curve(row, bound)))
        return
    from jaxact.gallery import page

    path = Path(command.output).expanduser()
    if path.suffix not in (".png", ".html"):
        raise ValueError(f"jaxact show: expected an output that ends in .png or .html, got {command.output}")
    with writing(command.overwrite, path):
        page.write_one(row, curve(row, bound), path)
    print(path)


@_do.register
def _gallery(command: Gallery) -> None:
    from rich.progress import track

    from jaxact.gallery import accuracy, page

    measured = accuracy.read(command.accuracy)
    directory = Path(command.output).expanduser()
    html, png = directory / "gallery.html", directory / "gallery.png"
    with writing(command.overwrite, html, png):
        every = list(rows())
        curves = {row.name: curve(row) for row in track(every, "Drawing", transient=True)}
        page.write_all(every, curves, measured, html, png)
    print(f"{html}\n{png}")
