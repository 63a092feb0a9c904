"""`jaxact compare` and `jaxact report`: the dataclasses of the command line, and the functions that do the work."""

import argparse
import dataclasses
import shlex
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxact.compare import Comparison, processes, run, studies
from jaxact.compare.comparison import options
from jaxact.compare.errors import invalid


@dataclasses.dataclass(frozen=True)
class Report:
    """Write report.html and the charts of one or several logs, as jaxact.compare.Log or jaxact compare wrote them."""

    directories: tuple[str, ...]
    """The logs' directories."""
    output: str | None = None
    """Where to write; by default into the first log."""


def parse(args: Sequence[str]) -> Comparison:
    """Parse the command line of `jaxact compare`, which includes the study's options.

    Raises:
      ValueError: there is no such study, or no earlier result to resume.
    """
    import docstring_parser
    import tyro

    words = list(args)
    if words and not words[0].startswith("-"):
        words.insert(0, "--study")
    first = argparse.ArgumentParser("jaxact compare", add_help=False, allow_abbrev=False)
    for flag in ("--study", "--resume"):
        first.add_argument(flag)
    known, _ = first.parse_known_args(words)
    default = Comparison.load(known.resume) if known.resume else Comparison()
    make = studies.find(known.study or default.study)
    chosen, hints = options(make), _hints(make)
    said = {
        p.arg_name: " ".join((p.description or "").split()) for p in docstring_parser.parse(make.__doc__ or "").params
    }
    fields: list[Any] = [
        ("study", str),
        ("activations", tuple[str, ...]),
        ("options", tyro.conf.Suppress[Any]),
    ]
    defaults = {field.name: getattr(default, field.name) for field in dataclasses.fields(Comparison)}
    for name, parameter in chosen.items():
        if name in defaults:
            raise invalid("options of a study with names that are not taken", repr(name), "give it another name")
        help = f"{said.get(name, 'An option of the study.')} Several values train a network with each."
        kind = hints.get(name, type(parameter.default))
        fields.append((name, typing.Annotated[tuple[kind, ...], tyro.conf.arg(help=help)], dataclasses.field()))
        value = default.options.get(name, parameter.default)
        defaults[name] = value if isinstance(value, tuple) else (value,)
    form = dataclasses.make_dataclass("Comparison", fields, bases=(Comparison,), frozen=True, kw_only=True)
    parsed = tyro.cli(form, prog="jaxact compare", description=Comparison.__doc__, args=words, default=form(**defaults))
    given = {name: values[0] if len(values := getattr(parsed, name)) == 1 else values for name in chosen}
    given = {name: value for name, value in given.items() if value != chosen[name].default}
    same = {field.name: getattr(parsed, field.name) for field in dataclasses.fields(Comparison)}
    return Comparison(**{**same, "options": given})


def _hints(make: Any) -> dict[str, Any]:
    """The annotated types of a function's arguments, if there are any that can be read."""
    try:
        return typing.get_type_hints(make)
    except (TypeError, NameError):  # an object, or names that only a type checker knows
        return {}


def compare(comparison: Comparison) -> int:
    """Do `jaxact compare`: train, then print the tables, the verdict and the report's place."""
    try:
        summary = run(comparison)
    except KeyboardInterrupt:
        directory = shlex.quote(comparison.resume or comparison.directory)
        advice = f"To go on from the last checkpoint: jaxact compare --resume {directory}"
        raise KeyboardInterrupt(advice) from None
    if processes.first():
        from jaxact.compare.report import show

        show(summary)
    return 0


def report(command: Report) -> int:
    """Do `jaxact report`."""
    from jaxact.compare import report
    from jaxact.compare.summary import Summary

    summary = Summary.of(command.directories)
    if command.output:
        summary = dataclasses.replace(summary, directory=Path(command.output).expanduser().resolve())
    report.write(summary)
    report.show(summary)
    return 0
