"""`jaxact verify`: a dataclass for the command line, and the function that does the work."""

import dataclasses
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jaxact.core.files import writing
from jaxact.verify.exhaustive import exhaustive
from jaxact.verify.verification import find, find_device, verify


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verify:
    """Check values and derivatives on this machine's device: misrounded results, worst ulp, wrong zeros, NaN."""

    names: tuple[str, ...] = ()
    """Names of elementwise functions or rows, right after the command. By default, those that jax.nn has too."""
    types: tuple[Literal["bfloat16", "float16", "float32", "float64"], ...] = ("bfloat16", "float16", "float32")
    """The types. Every number of a 16-bit type is tried, and a sample of the others."""
    order: Literal[0, 1, 2] = 1
    """The highest derivative."""
    exhaustive: bool = False
    """Also try every float32 number. It takes minutes per function and core; with --output, a run can be continued."""
    platform: str | None = None
    """cpu, gpu, tpu, ...; by default JAX's default device."""
    output: str | None = None
    """A directory for verify.json, verify.html and verify.png, and for the state of an exhaustive run."""
    overwrite: bool = False
    """Replace files that exist."""


def parse(args: Sequence[str]) -> Verify:
    """Parse the words after the command: names first, then options."""
    import tyro

    names = tuple(itertools.takewhile(lambda word: not word.startswith("-"), args))
    words = [*(["--names", *names] if names else []), *args[len(names) :]]
    return tyro.cli(Verify, prog="jaxact verify", args=words)


def do(command: Verify) -> int:
    """Do `jaxact verify` and return 0, 1 if a bound is missed, or 130 if it is interrupted.

    Raises:
      ValueError: a name, type or platform is unknown, or a file can't or may not be written.
    """
    try:
        return _do(command)
    except KeyboardInterrupt:
        kept = "the same command goes on from here" if command.exhaustive and command.output else "nothing is kept"
        print(f"\nInterrupted; {kept}.", file=sys.stderr)
        return 130


def _do(command: Verify) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from jaxact.verify import report

    directory = None if command.output is None else Path(command.output).expanduser()
    paths = [] if directory is None else [directory / f"verify.{form}" for form in ("json", "html", "png")]
    if paths:
        with writing(command.overwrite, *paths):
            pass
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("Verifying", total=None)
        progress = lambda name, done, all: bar.update(task, description=name, completed=done, total=all)  # noqa: E731
        found = verify(command.names, command.types, command.order, platform=command.platform, progress=progress)
        if command.exhaustive:
            device = find_device(command.platform)
            for case in find(command.names)[0]:
                every = exhaustive(case, command.order, device, directory, progress)
                found = dataclasses.replace(found, results=(*found.results, *every))
    console = Console(highlight=False)
    for table in report.tables(found):
        console.print(table)
    for sentence in report.sentences(found):
        console.print(sentence)
    if directory is not None:
        with writing(True, *paths):
            report.save(found, directory)
        console.print(f"\n{directory / 'verify.html'}", soft_wrap=True)
    return 1 if found.missed else 0
