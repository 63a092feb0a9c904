"""The gallery: one page, for offline too, with every activation's chart, facts and accuracy, and a picture of all."""

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt

from jaxact.compare.report.page import bundle
from jaxact.core.catalog import Row
from jaxact.core.files import replace
from jaxact.gallery import charts
from jaxact.gallery.accuracy import Accuracy, about, table
from jaxact.gallery.curves import Curve
from jaxact.gallery.facts import facts


def write_one(row: Row, curve: Curve, path: Path) -> None:
    """Write one activation: the chart as PNG, or chart and facts as a page, as the path's suffix says."""
    if path.suffix == ".html":
        replace(path, lambda part: part.write_text(_page([row], {row.name: curve}, {}), encoding="utf-8"))
        return
    chart = charts.template().properties(
        data=alt.InlineData(values=charts.points(curve)),
        title=alt.TitleParams(
            row.name, subtitle=[row.formula, f"f(x) = {curve.setting}"], fontSize=18, subtitleFontSize=12, offset=14
        ),
        background="white",
        padding=14,
    )
    replace(path, lambda part: chart.save(part, format="png", scale_factor=2))


def write_all(rows: Sequence[Row], curves: Mapping[str, Curve], accuracy: Accuracy, page: Path, picture: Path) -> None:
    """Write the page and the picture."""
    replace(page, lambda part: part.write_text(_page(rows, curves, accuracy), encoding="utf-8"))
    # Altair's limit of 5,000 data rows is for notebooks, which keep the data in every saved cell.
    with alt.data_transformers.enable("default", max_rows=None):
        replace(picture, lambda part: charts.overview(curves).save(part, format="png", scale_factor=2))


def _page(rows: Sequence[Row], curves: Mapping[str, Curve], accuracy: Accuracy) -> str:
    cards = {row.name: _card(row, curves[row.name], accuracy) for row in rows}
    families: dict[str, str] = {}
    for row in rows:
        families[row.family] = families.get(row.family, "") + cards[row.name]
    links = "".join(f'<a href="#{family}">{family}</a>' for family in families)
    sections = "".join(f'<h2 id="{family}">{family}</h2>{inside}' for family, inside in families.items())
    return _TEMPLATE.format(
        title="Activation functions" if len(rows) > 1 else rows[0].name,
        head=_HEAD.format(about=_about(accuracy), links=links) if len(rows) > 1 else "",
        main=sections if len(rows) > 1 else cards[rows[0].name],
        bundle=bundle(),
        spec=_script(charts.template().to_dict() | {"background": "transparent"}),
        data=_script({row.name: charts.points(curves[row.name]) for row in rows}),
    )


def _script(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")


def _about(accuracy: Accuracy) -> str:
    said = [
        "f, f' and f'', as the code computes them. A dot is the value at a kink, and the derivative that is returned "
        "there. Point at a chart to read it."
    ]
    if accuracy:
        said.append(about(accuracy))
    return "".join(f"<p>{html.escape(sentence)}</p>" for sentence in said)


def _card(row: Row, curve: Curve, accuracy: Accuracy) -> str:
    said = facts(row)
    known = {row.name, row.module, *row.aliases, *(name for source in row.elsewhere.values() for name in source)}
    names = html.escape(" ".join(sorted(known)).lower())
    lines = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in said.items())
    return (
        f'<article id="{row.name}" data-family="{row.family}" data-names="{names}">'
        f"<header><h3>{row.name}</h3><code>{html.escape(row.formula)}</code></header>"
        f'<div class="row"><figure><div class="chart" data-name="{row.name}"></div>'
        f"<figcaption>f(x) = {html.escape(curve.setting)}</figcaption>{table(row, accuracy)}</figure>"
        f"<dl>{lines}</dl></div></article>"
    )


_HEAD = """<h1>Activation functions</h1>
{about}
<nav aria-label="Families"><input id="search" type="search" placeholder="Any name: swish, Hardtanh, gelu_new"
aria-label="Search by name"><span>{links}</span></nav>"""

_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>jaxact: {title}</title>
<link rel="icon" href="data:,">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 1240px; margin: 0 auto; padding: 1.5rem; }}
h1 {{ margin: 0; }}
h2 {{ margin: 2.5rem 0 0; color: #555; font-weight: 400; scroll-margin-top: 4rem; }}
h3 {{ margin: 0; font-size: 1.25rem; }}
p {{ margin: .3rem 0; max-width: 60rem; color: #555; }}
nav {{ position: sticky; top: 0; z-index: 1; background: #fffffff2; padding: .7rem 0; border-bottom: 1px solid #ddd;
  display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; align-items: baseline; }}
nav span {{ display: flex; flex-wrap: wrap; gap: .1rem 1rem; }}
nav a {{ color: #37618e; text-decoration: none; }}
input {{ font: inherit; width: 22rem; padding: .2rem .6rem; border: 1px solid #bbb; border-radius: .4rem; }}
article {{ padding: 1.1rem 0; border-bottom: 1px solid #eee; scroll-margin-top: 4rem; }}
header {{ display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; align-items: baseline; }}
code {{ font-size: .95rem; color: #333; }}
.row {{ display: flex; flex-wrap: wrap; gap: .6rem 2rem; margin-top: .5rem; }}
figure {{ margin: 0; flex: 0 0 780px; max-width: 100%; overflow-x: auto; }}
.chart {{ min-height: 205px; }}
figcaption {{ color: #777; font-size: .9rem; }}
dl {{ flex: 1 1 320px; margin: 0; display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem;
  align-content: start; font-size: .9rem; }}
dt {{ color: #777; }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
details {{ margin-top: .5rem; font-size: .9rem; }}
summary {{ cursor: pointer; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; margin-top: .3rem; }}
th, td {{ padding: .1rem .7rem .1rem 0; text-align: left; border-bottom: 1px solid #eee; font-weight: 400; }}
td b {{ color: #b00; font-weight: 400; }}
.error {{ color: #b00; }}
[hidden] {{ display: none; }}
</style>
</head>
<body>
{head}
<main>{main}</main>
<script>{bundle}</script>
<script>
const spec = {spec};
const data = {data};
const cards = [...document.querySelectorAll("article")];
const search = document.getElementById("search");
function filter() {{
  const words = search.value.toLowerCase().trim().split(/\\s+/);
  for (const card of cards) card.hidden = !words.every(word => card.dataset.names.includes(word));
  for (const family of document.querySelectorAll("h2"))
    family.hidden = !cards.some(card => card.dataset.family === family.id && !card.hidden);
}}
if (search) search.addEventListener("input", filter);
async function draw() {{
  let drawn = 0;
  for (const place of document.querySelectorAll(".chart")) {{
    try {{
      const values = data[place.dataset.name];
      await vegaEmbed(place, {{...spec, data: {{values}}}}, {{renderer: "svg", actions: false}});
      drawn += 1;
    }} catch (error) {{
      place.textContent = error;
      place.classList.add("error");
      console.error(error);
    }}
  }}
  document.body.dataset.charts = drawn;
}}
draw();
</script>
</body>
</html>
"""
