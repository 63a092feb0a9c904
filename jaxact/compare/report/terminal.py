"""The summary in a terminal."""

import textwrap

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from jaxact.compare.summary import Summary

THEORY = "Before training: theory for wide networks, and measured"
NAME = 24
"""The largest width of the column of names; longer names are folded."""


def show(summary: Summary, console: Console | None = None) -> None:
    """Print the tables, the verdict below them, and where the report is."""
    console = console or Console(highlight=False, markup=False)  # a name may have brackets
    console.print(summary.about["setting"] or summary.about["name"])
    for title, rows in (("", summary.table()), (THEORY, summary.theory())):
        for columns in _fitting(rows, console.width) if rows else ():
            console.print(_table([{c: row[c] for c in columns} for row in rows], title))
            console.print()
    for sentence in summary.verdict:
        console.print(sentence.text)
    console.print(f"\nReport: {summary.directory / 'report.html'}", soft_wrap=True)


def _fitting(rows: list[dict[str, str]], width: int) -> list[list[str]]:
    """Distribute the columns over tables that fit, each with the names first."""
    name, *others = rows[0]
    space = width - min(NAME, _width(rows, name)) - 2
    tables, left = [[name]], space
    for column in others:
        wide = 2 + _width(rows, column)
        if wide > left and len(tables[-1]) > 1:
            tables.append([name])
            left = space
        tables[-1].append(column)
        left -= wide
    return tables


def _width(rows: list[dict[str, str]], column: str) -> int:
    """The longest cell of a column, and the longest word of its title."""
    return max(*(cell_len(row[column]) for row in rows), *(cell_len(word) for word in column.split()))


def _table(rows: list[dict[str, str]], title: str) -> Table:
    form = {"box": box.SIMPLE, "show_edge": False, "padding": (0, 0, 0, 1), "pad_edge": False}
    made = Table(title=title, title_justify="left", **form)
    name, *others = rows[0]
    made.add_column(name, min_width=min(NAME, _width(rows, name)), max_width=NAME, overflow="fold")
    for column in others:
        title = "\n".join(textwrap.wrap(column, _width(rows, column)))
        made.add_column(title, no_wrap=True, justify="right")
    for row in rows:
        made.add_row(*row.values())
    return made
