"""The summary in a terminal."""

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from jaxact.compare.summary import Summary

THEORY = "Before training: theory for wide networks, and measured"
NAME = 20
"""How wide the column of names may be before they are folded."""


def show(summary: Summary, console: Console) -> None:
    """Print the tables, and the verdict below them."""
    console.print(summary.about["setting"] or summary.about["name"], highlight=False)
    for title, rows in (("", summary.table()), (THEORY, summary.theory())):
        for columns in _fitting(rows, console.width) if rows else ():
            console.print(_table([{c: row[c] for c in columns} for row in rows], title))
            console.print()
    for sentence in summary.verdict:
        console.print(sentence.text, highlight=False)


def _fitting(rows: list[dict[str, str]], width: int) -> list[list[str]]:
    """Share the columns out to tables that fit, each with the names first."""
    name, *others = rows[0]
    space = width - min(NAME, max(cell_len(row[name]) for row in rows)) - 2
    tables, left = [[name]], space
    for column in others:
        wide = 2 + max(*(cell_len(row[column]) for row in rows), *(cell_len(word) for word in column.split()))
        if wide > left and len(tables[-1]) > 1:
            tables.append([name])
            left = space
        tables[-1].append(column)
        left -= wide
    return tables


def _table(rows: list[dict[str, str]], title: str) -> Table:
    made = Table(
        title=title, title_justify="left", box=box.SIMPLE, show_edge=False, padding=(0, 0, 0, 1), pad_edge=False
    )
    name, *others = rows[0]
    made.add_column(
        name, min_width=min(NAME, max(cell_len(row[name]) for row in rows)), max_width=NAME, overflow="fold"
    )
    for column in others:
        made.add_column(column.replace(" ", "\n"), no_wrap=True, justify="right")
    for row in rows:
        made.add_row(*row.values())
    return made
