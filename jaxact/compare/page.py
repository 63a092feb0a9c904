"""What shows a run: one page that works offline, and the pictures."""

import html
import json
import math

import vl_convert

from jaxact.compare import charts, report
from jaxact.compare.report import Result


def write(result: Result) -> None:
    """Write report.html and the charts as PNG into the result directory."""
    predictions = {row.network.name: row.predicted for row in result.rows}
    made = charts.make(result.comparison, result.records, predictions)
    for chart in made:
        picture = vl_convert.vegalite_to_png(chart.specification, scale=2)
        (result.directory / f"{chart.name}.png").write_bytes(picture)
    unfinished = result.directory / "report.unfinished"
    unfinished.write_text(_page(result, made), encoding="utf-8")
    unfinished.replace(result.directory / "report.html")


def _page(result: Result, made: list[charts.Titled]) -> str:
    comparison = result.comparison
    colours = charts.colours([row.network.name for row in result.rows])
    chips = "".join(
        f'<label style="--colour:{colour}"><input type="checkbox" value="{html.escape(name)}" checked>'
        f"{html.escape(name)}</label>"
        for name, colour in colours.items()
    )
    found = "".join(
        f"<dt>{html.escape(row.network.name)}</dt>"
        + "".join(f"<dd>{html.escape(sentence)}</dd>" for sentence in row.findings or ("nothing",))
        for row in result.rows
    )
    sections = "".join(
        f"<section><h2>{html.escape(c.title)}</h2><p>{html.escape(c.explanation)}</p>"
        f'<div id="{c.name}"></div></section>'
        for c in made
    )
    specifications = {c.name: {**c.specification, "title": None} for c in made}  # the page has its own titles
    return _TEMPLATE.format(
        setting=html.escape(report.setting(comparison)),
        findings="".join(f"<p>{html.escape(sentence)}</p>" for sentence in report.findings(result)),
        table=_html_table(report.cells(result)),
        theory=f"<h2>Theory and measurement</h2><p>{report.THEORY}</p>{_html_table(report.theory_cells(result))}",
        found=f"<h2>Findings</h2><p>What jaxact.flow finds in each network.</p><dl>{found}</dl>",
        chips=chips,
        last_tick=math.ceil(comparison.steps / comparison.log_every) * comparison.log_every,
        log_every=comparison.log_every,
        sections=sections,
        bundle=charts.bundle(),
        specs=json.dumps(specifications).replace("</", "<\\/"),
        steps=comparison.steps,
    )


def _html_table(rows: list[dict[str, str]]) -> str:
    header = "".join(f"<th>{html.escape(column)}</th>" for column in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{html.escape(v)}</td>" for v in row.values()) + "</tr>" for row in rows)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>jaxact compare</title>
<link rel="icon" href="data:,">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 1120px; margin: 0 auto; padding: 1.5rem; }}
h1 {{ margin: 0; }}
h2 {{ margin: 2.5rem 0 0; }}
p {{ margin: .3rem 0; max-width: 56rem; }}
.setting, section p {{ color: #555; }}
.findings {{ margin: 1.2rem 0; font-size: 1.1rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; font-size: .95rem; }}
th, td {{ padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #ddd; }}
th {{ vertical-align: bottom; font-weight: 600; }}
th:first-child, td:first-child {{ text-align: left; }}
dt {{ font-weight: 600; margin-top: .5rem; }}
dd {{ margin: 0 0 0 1rem; }}
nav {{ position: sticky; top: 0; z-index: 1; background: #fffffff2; padding: .6rem 0; margin-top: 1rem;
  border-bottom: 1px solid #ddd; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; align-items: center; }}
nav label {{ cursor: pointer; white-space: nowrap; }}
nav input[type=checkbox] {{ accent-color: var(--colour); margin-right: .35rem; }}
nav label[style] {{ border-bottom: 3px solid var(--colour); }}
nav .slider {{ margin-left: auto; }}
nav output {{ display: inline-block; min-width: 3.5em; font-variant-numeric: tabular-nums; }}
.error {{ color: #b00; }}
</style>
</head>
<body>
<h1>How gradients flow and what is learned</h1>
<p class="setting">{setting}</p>
<div class="findings">{findings}</div>
{table}
{theory}
<section class="found">{found}</section>
<nav aria-label="Activations and step">{chips}
<label class="slider">training step
<input id="step" type="range" min="0" max="{last_tick}" step="{log_every}" value="{last_tick}">
<output id="at"></output></label></nav>
{sections}
<script>{bundle}</script>
<script>
const specs = {specs};
const steps = {steps};
const views = [];
const slider = document.getElementById("step");
const boxes = [...document.querySelectorAll("nav input[type=checkbox]")];
function update() {{
  const step = Math.min(Number(slider.value), steps);
  document.getElementById("at").value = step;
  const shown = boxes.filter(box => box.checked).map(box => box.value);
  for (const view of views) {{
    const known = view.getState().signals;
    if ("shown" in known) view.signal("shown", shown);
    if ("step" in known) view.signal("step", step);
    view.runAsync();
  }}
}}
const options = {{renderer: "svg", actions: false}};
Promise.all(Object.entries(specs).map(([name, spec]) =>
  vegaEmbed("#" + name, spec, options).then(({{view}}) => views.push(view)).catch(error => {{
    const place = document.getElementById(name);
    place.textContent = error;
    place.classList.add("error");
    console.error(error);
  }})
)).then(() => {{
  update();
  document.body.dataset.charts = views.length;
}});
slider.addEventListener("input", update);
boxes.forEach(box => box.addEventListener("input", update));
</script>
</body>
</html>
"""
