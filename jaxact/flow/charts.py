"""Records as a table of text, of rich and of HTML, and as Altair charts."""

import html as escaping
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jaxact.core.extras import needing
from jaxact.flow.sites import source_of

if TYPE_CHECKING:
    import altair
    from rich.table import Table

Record = dict[str, Any]

HEADINGS = ("depth", "site", "source", "x mean", "x std", "max |x|", "y rms", "dy rms", "gain", "flat", "dead")


def rows(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """The table's cells: one row per record, and one column per heading."""
    return [
        (
            "".join(f"{i}:" for i in r["step"]) + str(r["depth"]),
            r["label"],
            source_of(r["file"], r["line"]),
            *(_number(r[key]) for key in ("x_mean", "x_std", "x_largest", "y_rms", "dy_rms", "gain")),
            "" if math.isnan(r["flat"]) else f"{r['flat']:.0%}",
            "" if math.isnan(r["dead"]) else f"{r['dead']:.0f}/{r['units']:.0f}",
        )
        for r in records
    ]


def text(records: Sequence[Record]) -> str:
    """A table in plain text."""
    table = [HEADINGS, *rows(records)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = (
        "  ".join(_aligned(cell, i, w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))) for row in table
    )
    return "\n".join(line.rstrip() for line in lines)


def rich_table(records: Sequence[Record]) -> "Table":
    """A table for rich."""
    from rich.table import Table

    table = Table(title="Flow")
    for i, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if i in (1, 2) else "right")
    for row in rows(records):
        table.add_row(*row)
    return table


def html(records: Sequence[Record]) -> str:
    """A table for a notebook."""
    lines = ["".join(f"<th>{escaping.escape(cell)}</th>" for cell in HEADINGS)]
    lines += ["".join(f"<td>{escaping.escape(cell)}</td>" for cell in row) for row in rows(records)]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def chart(records: Sequence[Record]) -> "altair.TopLevelMixin":
    """Gradient norm by depth, with one line for each step and seed, and over several steps a heat map too."""
    with needing("jaxact.flow.Flow.chart"):
        import altair as alt

    values = [
        {
            "depth": r["depth"],
            "site": r["label"],
            "member": ", ".join(f"{role} {i}" for role, i in r["stack"].items()),
            "activation": r["name"],
            "step": "/".join(map(str, r["step"])) or "0",
            "norm": r["dx_rms"] * math.sqrt(r["dx_count"]),
        }
        for r in records
        if r["dx_count"] and r["dx_rms"] > 0
    ]
    shown = ["depth:Q", "site:N", "activation:N", "step:N", "norm:Q"]
    base = alt.Chart(alt.Data(values=values))
    steps = sorted({value["step"] for value in values}, key=lambda s: [int(i) for i in s.split("/")])
    members = list(dict.fromkeys(value["member"] for value in values))
    if len(steps) > 1:
        over = alt.Color("step:N", sort=steps)
    else:
        over = alt.Color("member:N", sort=members, title=None, legend=None if len(members) < 2 else alt.Undefined)
    norm = "norm of the gradient at the activation's input"
    lines = (
        base.mark_line(point=True)
        .encode(
            x=alt.X("depth:Q", title="depth"),
            y=alt.Y("norm:Q", scale=alt.Scale(type="log"), title=norm),
            color=over,
            detail="member:N",
            tooltip=shown,
        )
        .properties(width=480, height=260)
    )
    if len(steps) < 2:
        return lines
    heat = (
        base.mark_rect()
        .encode(
            x=alt.X("step:O", sort=steps, title="step"),
            y=alt.Y("depth:O", sort="descending", title="depth"),
            color=alt.Color("norm:Q", scale=alt.Scale(type="log", scheme="viridis"), title=norm),
            tooltip=shown,
        )
        .properties(width=480, height=260)
    )
    if len(members) > 1:
        heat = heat.facet(row=alt.Row("member:N", title=None, sort=members))
    return alt.vconcat(lines, heat).resolve_scale(color="independent")


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def _aligned(cell: str, column: int, width: int) -> str:
    return cell.ljust(width) if column in (1, 2) else cell.rjust(width)
