"""The page, which works offline, and its charts as pictures."""

import functools
import json
import re
import textwrap
from typing import Any

import jinja2
import vl_convert

from jaxact.compare.report import style
from jaxact.compare.report.charts import Chart, charts, steps
from jaxact.compare.summary import Summary
from jaxact.core.files import replace, writing


@functools.cache
def bundle() -> str:
    """Vega-Embed and all that it needs, as one script; it takes 2 s to put together."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def write(summary: Summary) -> None:
    """Write report.html and the charts as PNG into the summary's directory."""
    made, file = charts(summary), summary.directory / "report.html"
    with writing(True, file):
        for chart in made:
            replace(file.with_name(f"{chart.name}.png"), lambda part, chart=chart: part.write_bytes(_picture(chart)))
        replace(file, lambda part: part.write_text(page(summary, made), encoding="utf-8"))


def page(summary: Summary, made: list[Chart]) -> str:
    """Fill the page's template."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(style.TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    specifications = {f"{c.name}-{i}": drawn for c in made for i, (_, drawn) in enumerate(c.drawings)}
    return environment.get_template("page.html").render(
        summary=summary,
        charts=made,
        known={chart.name for chart in made},
        steps=steps(summary),
        styles=style.styles(summary),
        style=style,
        bundle=bundle(),
        specifications=json.dumps(specifications, separators=(",", ":")).replace("</", "<\\/"),
    )


def _picture(chart: Chart) -> bytes:
    """A chart as PNG, on white, with its title and its drawings side by side."""
    drawn: list[dict[str, Any]] = []
    for caption, specification in chart.drawings:
        width = 900 if len(chart.drawings) == 1 else 200
        drawn.append({**specification, "width": width, **({"title": caption} if caption else {})})
    config, datasets = drawn[0]["config"], {}
    for i, each in enumerate(drawn):
        datasets[f"lines{i}"] = each.pop("datasets")["lines"]
        each["data"] = {"name": f"lines{i}"}
        for key in ("config", "$schema", "params"):
            each.pop(key)
    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {
            "text": chart.title,
            "subtitle": textwrap.wrap(chart.explanation, 120),
            "anchor": "start",
            "offset": 14,
        },
        "params": chart.drawings[0][1]["params"],
        "concat": drawn,
        "columns": 4,
        "datasets": datasets,
        "padding": 12,
        "config": {**config, "background": "white"},
    }
    text = json.dumps(whole)
    if '"label"' not in json.dumps(datasets):  # no labels at the lines, and no list of networks above the charts
        channel = r'("(?:color|shape)": \{"field": "network", "legend": )null'
        text = re.sub(channel, r'\1{"title": null, "labelLimit": 240}', text)
    for variable, colour in style.PAPER.items():
        text = text.replace(f"var({variable})", colour)
    return vl_convert.vegalite_to_png(text, scale=2)
