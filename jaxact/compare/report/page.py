"""The page, which works offline, and its charts as pictures."""

import functools
import json
import re
import textwrap

import jinja2
import vl_convert

from jaxact.compare.report import style
from jaxact.compare.report.charts import Chart, charts, specification, steps
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
            png = vl_convert.vegalite_to_png(picture(summary, chart), scale=2)
            name = re.sub(r"[^\w.+-]+", "_", chart.name)
            replace(file.with_name(f"{name}.png"), lambda part, png=png: part.write_bytes(png))
        replace(file, lambda part: part.write_text(page(summary, made), encoding="utf-8"))


def page(summary: Summary, made: list[Chart]) -> str:
    """Fill the page's template."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(style.TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    drawn = {f"{c.name}-{i}": specification(summary, **view) for c in made for i, (_, view) in enumerate(c.drawings)}
    return environment.get_template("page.html").render(
        summary=summary,
        charts=made,
        known={chart.name for chart in made},
        steps=steps(summary),
        styles=style.styles(summary),
        style=style,
        bundle=bundle(),
        specifications=json.dumps(drawn, separators=(",", ":")).replace("</", "<\\/"),
    )


def picture(summary: Summary, chart: Chart) -> str:
    """A chart on paper, in Vega-Lite: its drawings side by side, with its title."""
    width = 900 if len(chart.drawings) == 1 else 200
    views = [{**view, "width": width, **({"title": caption} if caption else {})} for caption, view in chart.drawings]
    title = {"text": chart.title, "subtitle": textwrap.wrap(chart.explanation, 120), "anchor": "start", "offset": 14}
    config = {**style.CONFIG, "background": "white"}
    whole = specification(summary, title=title, concat=views, columns=4, padding=12, config=config)
    text = json.dumps(whole)
    if '"label": ' not in text:  # no labels at the lines, and no list of networks above the charts
        channel = r'("(?:color|shape)": \{"field": "network", "legend": )null'
        text = re.sub(channel, r'\1{"title": null, "labelLimit": 240}', text)
    for variable, colour in style.PAPER.items():
        text = text.replace(f"var({variable})", colour)
    return text
