"""The command line, `jaxact`. Each command is a dataclass that tyro parses and a function that does it."""

import sys
from collections.abc import Sequence

from jaxact.compare import Comparison, processes, run
from jaxact.compare.processes import exit_code
from jaxact.gallery import commands


def main(args: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 2 for bad input, 130 when interrupted, 1 for a lost process."""
    try:
        import tyro
    except ModuleNotFoundError:
        print(
            'jaxact: error: the command needs tyro, which is not installed; run: pip install "jaxact[compare]"',
            file=sys.stderr,
        )
        return 2
    app = tyro.extras.SubcommandApp()
    app.command(name="compare")(Comparison)
    app.command(name="list")(commands.List)
    app.command(name="show")(commands.Show)
    app.command(name="gallery")(commands.Gallery)
    command = app.cli(
        prog="jaxact",
        description="Activation functions for JAX: see what they do.",
        args=args,
        config=(tyro.conf.PositionalRequiredArgs,),
    )
    return exit_code("jaxact", lambda: compare(command) if isinstance(command, Comparison) else commands.do(command))


def compare(comparison: Comparison) -> int:
    """Do `jaxact compare`: train, then print the tables, what they say and where the report is."""
    result = run(comparison)
    if not processes.first():
        return 0

    from rich.console import Console

    from jaxact.compare import report

    console = Console()
    for table in report.tables(result):
        console.print(table)
        console.print()
    for sentence in report.findings(result):
        console.print(sentence, highlight=False)
    console.print(f"\nReport: {result.directory / 'report.html'}", highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
