"""Altair charts of curves: one activation in three panels, and all of them at a glance."""

import functools
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import altair as alt

from jaxact.compare.report.style import LIGHT
from jaxact.gallery.curves import ORDERS, Curve

COLOURS = dict(zip(ORDERS, LIGHT, strict=False))
_FIELDS = ("f", "slope", "curvature")
"""What f, f' and f'' are called in a chart's data."""
_WINDOW = 4.0
"""The overview shows x from -4 to 4, where the curve goes as far."""


def points(curve: Curve, halves: float = math.inf) -> list[dict[str, Any]]:
    """The data of a chart: a line a point, with a `dot` where a line is a kink.

    Args:
      curve: what is drawn.
      halves: how far from 0 to go.
    """
    lines = zip(curve.x, curve.piece, *curve.orders, strict=True)
    made = [_point(x, values, piece=int(piece)) for x, piece, *values in lines if abs(x) <= halves]
    return made + [_point(x, values, dot=True) for x, *values in curve.kinks if abs(x) <= halves]


def _point(x: float, values: Iterable[float], **more: Any) -> dict[str, Any]:
    return {"x": _short(x)} | {field: _short(v) for field, v in zip(_FIELDS, values, strict=False)} | more


def _short(value: float) -> float | None:
    """Four digits, and 0 for what is only rounding; JSON has no infinity."""
    return (float(f"{value:.4g}") if abs(value) > 1e-6 else 0.0) if math.isfinite(value) else None


@functools.cache
def template() -> alt.HConcatChart:
    """The chart of one activation, whichever: f, f' and f'' side by side, each on its own scale.

    Its data, `points`, are to be put in. It is made once, since Altair takes longer over it than Vega over drawing it.
    """
    near = alt.selection_point(nearest=True, on="pointermove", clear="pointerout", fields=["x"], empty=False)
    panels = [_panel(order, near) for order in range(len(ORDERS))]
    return _configured(alt.hconcat(*panels, data=alt.NamedData("points"), spacing=48, bounds="flush"))


def _panel(order: int, near: alt.Parameter) -> Any:
    name, field = ORDERS[order], _FIELDS[order]
    base = (
        alt.Chart()
        .mark_point(color=COLOURS[name], filled=True, size=50, opacity=1)
        .encode(
            alt.X("x:Q", title=None, scale=alt.Scale(nice=False), axis=alt.Axis(tickCount=5, grid=False)),
            alt.Y(f"{field}:Q", title=None, axis=alt.Axis(tickCount=5, format=".3~r")),
        )
    )
    zero = alt.Chart(alt.InlineData(values=[{}])).mark_rule(color="#999")
    line = base.mark_line(color=COLOURS[name], strokeWidth=2.5).encode(detail="piece:N")
    values = [
        alt.Tooltip(f"{f}:Q", title=n, format=".4~r") for f, n in zip(("x", *_FIELDS), ("x", *ORDERS), strict=True)
    ]
    seen = alt.when(near) if order == 2 else alt.when("datum.dot").then(alt.value(1)).when(near)
    # Kinks and cursor are one layer: where there are no kinks, a layer of theirs has no data and a scale no extent.
    dots = base.encode(opacity=seen.then(alt.value(1)).otherwise(alt.value(0)), tooltip=values)
    layers = [
        zero.encode(y=alt.datum(0)),
        zero.encode(x=alt.datum(0)),
        line.transform_filter("!datum.dot"),
        dots.add_params(near) if order == 0 else dots,
    ]
    return alt.layer(*layers).properties(width=210, height=150, title=alt.TitleParams(name, color=COLOURS[name]))


def overview(drawn: Mapping[str, Curve]) -> alt.FacetChart:
    """Every curve with its derivatives, small, all in one window."""
    values = []
    for name, curve in drawn.items():
        half = min(_WINDOW, float(curve.x[-1]))
        for point in points(curve, half):
            if "dot" not in point:
                values.append(point | {"name": name, "x": point["x"] / half})
    names = json.dumps(dict(zip(_FIELDS, ORDERS, strict=True)))
    one = alt.Chart().transform_aggregate(count="count()").mark_rule(color="#ccc")
    zero = one.encode(alt.XDatum(0, axis=None)), one.encode(alt.YDatum(0, axis=None))
    lines = (
        alt.Chart()
        .transform_fold(list(reversed(_FIELDS)), as_=["field", "y"])  # f is drawn last, over the others
        .transform_calculate(order=f"{names}[datum.field]")
        .mark_line(clip=True)
        .encode(
            alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-1, 1], nice=False)),
            alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-1.25, 2.25], nice=False)),
            alt.Color(
                "order:N",
                sort=list(ORDERS),
                scale=alt.Scale(domain=list(ORDERS), range=list(COLOURS.values())),
                legend=alt.Legend(title=None, orient="top", labelFontSize=14, symbolStrokeWidth=3),
            ),
            alt.StrokeWidth("order:N", scale=alt.Scale(domain=list(ORDERS), range=[2.6, 1.8, 1.1]), legend=None),
            alt.Detail("piece:N"),
        )
    )
    cell = alt.layer(*zero, lines)
    chart = cell.properties(width=104, height=84).facet(
        alt.Facet("name:N", title=None, sort=list(drawn), header=alt.Header(labelFontSize=12, labelPadding=4)),
        data=alt.InlineData(values=values),
        columns=8,
        spacing={"row": 6, "column": 12},
    )
    return _configured(chart).configure_view(stroke="#ddd").properties(background="white", padding=12)


def _configured(chart: Any) -> Any:
    return (
        chart.configure_axis(labelFontSize=11, gridColor="#eee", domainColor="#999", tickColor="#999")
        .configure_view(stroke=None)
        .configure_title(anchor="start", fontSize=14, fontWeight="normal", offset=6)
    )
