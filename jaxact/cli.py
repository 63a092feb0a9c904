"""The command line, `jaxact`. Each command is a row of `COMMANDS`: a dataclass that tyro parses, and its function."""

import argparse
import functools
import io
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jaxact
from jaxact.compare import command as compare
from jaxact.compare.comparison import Comparison
from jaxact.compare.processes import exit_code
from jaxact.core.extras import needing
from jaxact.show import command as show
from jaxact.verify import command as verify


class Command(NamedTuple):
    """One command."""

    form: type
    """A frozen dataclass; its docstring and those of its fields are the help text."""
    do: Callable[[Any], int]
    """Takes an instance of `options` and returns the exit code."""
    parse: Callable[..., Any] | None = None
    """Takes the words after the command and returns an instance of `options`, where tyro alone is not enough."""
    extra: str = "compare"
    """Which extra it needs."""


COMMANDS = {
    "compare": Command(Comparison, compare.compare, compare.parse),
    "report": Command(compare.Report, compare.report),
    "list": Command(show.List, show.list_all),
    "show": Command(show.Show, show.show),
    "verify": Command(verify.Verify, verify.do, verify.parse, extra="verify"),
}


def main(args: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 2 for bad input, 130 if it is interrupted, 1 for a lost process."""
    name, *words = [*(sys.argv[1:] if args is None else args)] or [""]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may have no character for × and ±
    if name not in COMMANDS:
        _help(name)
    return exit_code("jaxact", lambda: _run(name, words))


def _run(name: str, words: list[str]) -> int:
    command = COMMANDS[name]
    with needing(f"jaxact {name}", command.extra):
        import tyro

        config = (tyro.conf.PositionalRequiredArgs,)
        parse = command.parse or functools.partial(tyro.cli, command.form, prog=f"jaxact {name}", config=config)
        return command.do(parse(args=words))


def _help(word: str) -> None:
    """Print the commands, the version, or an error, and exit."""
    parser = argparse.ArgumentParser(
        prog="jaxact",
        description="Activation functions for JAX: see what they do.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands (jaxact COMMAND --help says more):\n"
        + "".join(f"  {name:10}{(c.form.__doc__ or '').splitlines()[0]}\n" for name, c in COMMANDS.items()),
    )
    parser.add_argument("--version", action="version", version=f"jaxact {jaxact.__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="what to do")
    parser.parse_args([word] if word else [])


if __name__ == "__main__":
    sys.exit(main())
