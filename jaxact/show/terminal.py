"""The catalog in the terminal: a table of all activations, and a sheet of one with facts and a braille chart."""

import itertools

import numpy as np
import plotille
from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from jaxact.core.catalog import Row, Source, rows
from jaxact.show import facts
from jaxact.show.curves import ORDERS, Curve

_WIDTH, _HEIGHT = 17, 9
"""The size of a panel, in characters."""
_STYLES = ("blue", "yellow", "red")


def table(source: Source | None) -> Table:
    """List the activations by family.

    Args:
      source: whose names to list, with the equivalent calls of jaxact; by default jaxact's own names and formulas.
    """
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in ("family", "function", "formula") if source is None else ("family", f"{source}'s name", "jaxact's"):
        made.add_column(column, style="bold" if column == "family" else "", overflow="fold")
    listed = [(row.family, line) for row in rows() for line in _lines(row, source)]
    for family, group in itertools.groupby(listed, key=lambda pair: pair[0]):
        for i, (_, line) in enumerate(group):
            made.add_row("" if i else family, *line)
        made.add_section()
    return made


def _lines(row: Row, source: Source | None) -> list[tuple[str, str]]:
    if source is None:
        return [(" = ".join((row.name, *row.aliases)), row.formula)]
    return list(facts.elsewhere(row, source).items())


def sheet(row: Row, curve: Curve) -> RenderableType:
    """Show one activation: formula, chart and facts."""
    head = Text.assemble((row.name, "bold"), f"  {row.formula}\n", (f"f(x) = {curve.setting}", "dim"))
    panels = Table.grid(padding=(0, 2, 0, 0))
    panels.add_row(*(_panel(curve, order) for order in range(len(ORDERS))))
    said = Table.grid(padding=(0, 2, 0, 0))
    for heading, text in facts.facts(row).items():
        said.add_row(Text(heading, style="dim"), Text(text))
    return Padding(Group(head, "", panels, "", said), (1, 0))


def _panel(curve: Curve, order: int) -> RenderableType:
    y = curve.orders[order]
    low, high = min(0.0, float(np.nanmin(y))), max(0.0, float(np.nanmax(y)))
    left, right = float(curve.x[0]), float(curve.x[-1])
    if high - low < 1e-6:
        low, high = -1.0, 1.0
    slack = (high - low) / (4 * _HEIGHT - 2)  # one dot, since plotille rounds, and points on the frame fall outside
    canvas = plotille.Canvas(_WIDTH, _HEIGHT, xmin=left, xmax=right, ymin=low - slack, ymax=high + slack)
    for i, j in itertools.pairwise(range(y.size)):
        if curve.piece[i] == curve.piece[j]:
            canvas.line(curve.x[i], y[i], curve.x[j], y[j])
    drawn = Text(canvas.plot(), style=_STYLES[order])
    made = Table.grid(padding=(0, 1, 0, 0))
    made.add_row("", Text(ORDERS[order], style=f"bold {_STYLES[order]}"))
    scale = Text("\n".join([f"{high:.3g}", *[""] * (_HEIGHT - 2), f"{low:.3g}"]), style="dim", justify="right")
    made.add_row(scale, drawn)
    ends = f"{left:.3g}", f"{right:.3g}"
    made.add_row("", Text(ends[0] + ends[1].rjust(_WIDTH - len(ends[0])), style="dim"))
    return made
