"""`jaxact compare` and `jaxact report`: what is parsed, and what does it."""

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any

from jaxact.compare import Comparison, needing, processes, run, studies
from jaxact.compare.comparison import options
from jaxact.compare.errors import invalid


@dataclasses.dataclass(frozen=True)
class Report:
    """Write report.html and the charts of one or several logs, as jaxact.compare.Log or jaxact compare wrote them."""

    directories: tuple[str, ...]
    """The logs' directories."""
    output: str | None = None
    """Where to write; by default the first of them."""


def parse(args: Sequence[str]) -> Comparison:
    """Parse the command line of `jaxact compare`, which the study's options are part of.

    Raises:
      ValueError: there is no such study, or no earlier result to resume.
    """
    import tyro

    words = list(args)
    if words and not words[0].startswith("-"):
        words.insert(0, "--study")
    resumed = _value(words, "--resume")
    default = Comparison.load(resumed) if resumed else Comparison()
    make = studies.find(_value(words, "--study") or default.study)
    hints = typing.get_type_hints(make) if callable(make) else {}
    fields: list[Any] = [
        ("study", str, default.study),
        ("activations", tuple[str, ...], default.activations),
        ("options", tyro.conf.Suppress[Any], default.options),
    ]
    chosen = options(make)
    for name, parameter in chosen.items():
        if name in {f.name for f in dataclasses.fields(Comparison)}:
            raise invalid("options of a study with names of their own", repr(name), "call it otherwise")
        kind = hints.get(name, type(parameter.default))
        value = default.options.get(name, parameter.default)
        help = tyro.conf.arg(help=_described(make, name))
        fields.append((name, typing.Annotated[tuple[kind, ...], help], value if isinstance(value, tuple) else (value,)))
    form = dataclasses.make_dataclass(
        "Comparison",
        [(name, kind, dataclasses.field(default_factory=lambda value=value: value)) for name, kind, value in fields],
        bases=(Comparison,),
        frozen=True,
        kw_only=True,
    )
    same = {f.name: getattr(default, f.name) for f in dataclasses.fields(Comparison)}
    parsed = tyro.cli(
        form,
        prog="jaxact compare",
        description=Comparison.__doc__,
        args=words,
        default=form(**same),
    )
    given = {name: getattr(parsed, name) for name in chosen}
    given = {name: values[0] if len(values) == 1 else values for name, values in given.items()}
    given = {name: value for name, value in given.items() if value != chosen[name].default}
    again: dict[str, Any] = {name: getattr(parsed, name) for name in same}
    return Comparison(**{**again, "options": given})


def _value(words: Sequence[str], flag: str) -> str | None:
    """What follows a flag."""
    for i, word in enumerate(words):
        if word == flag and i + 1 < len(words):
            return words[i + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _described(make: Any, name: str) -> str:
    import docstring_parser

    found = docstring_parser.parse(make.__doc__ or "").params
    text = next((p.description for p in found if p.arg_name == name), None) or "An option of the study."
    return f"{' '.join(text.split())} Several values train a network with each."


def compare(comparison: Comparison) -> int:
    """Do `jaxact compare`: train, then print the tables, what they say and where the report is."""
    summary = run(comparison)
    if processes.first():
        _show(summary, summary.directory)
    return 0


def report(command: Report) -> int:
    """Do `jaxact report`."""
    from pathlib import Path

    with needing("jaxact report"):
        from jaxact.compare.report import write
        from jaxact.compare.summary import Summary

        summary = Summary.of(command.directories)
        directory = Path(command.output or command.directories[0]).expanduser().resolve()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            write(summary, directory)
        except OSError as error:
            raise invalid(
                "a directory that can be written", f"{directory} ({error.strerror})", "choose another"
            ) from None
        _show(summary, directory)
    return 0


def _show(summary: Any, directory: Any) -> None:
    from rich.console import Console

    from jaxact.compare.report import terminal

    console = Console()
    terminal.show(summary, console)
    console.print(f"\nReport: {directory / 'report.html'}", highlight=False, soft_wrap=True)
