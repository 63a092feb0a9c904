"""What a run found: the final table, what it says in a sentence or two, and the page and pictures that show it."""

import dataclasses
import functools
import html
import json
import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from rich import box
from rich.table import Table

from jaxact.compare import charts
from jaxact.compare.comparison import Comparison

VANISHED = 1e-3
"""A first layer's gradient of this share of the last layer's is called vanished, and exploded at the inverse."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the final table, over the seeds that did not diverge; None where there is none of them."""

    activation: str
    accuracy: tuple[float, float] | None
    """Held-out accuracy at the end: mean and standard deviation (n - 1) over seeds."""
    loss: tuple[float, float] | None
    """Held-out cross-entropy at the end, in the same way."""
    ratio_at_start: float | None
    """Gradient norm at the first layer's output over that at the last layer's, before training, geometric mean."""
    ratio_at_end: float | None
    """The same after training."""
    dead_share: float | None
    """Share of dead units at the end, over all layers and seeds."""
    seconds_per_step: float
    """Median time of a training step of all seeds together, compilation left out."""
    diverged: int
    """How many seeds ended with a loss that is not finite."""


@dataclasses.dataclass(frozen=True)
class Result:
    """All that a run found."""

    comparison: Comparison
    directory: Path
    records: list[dict[str, Any]]
    """The lines of metrics.jsonl."""
    rows: list[Row]
    """The final table, in the order of the comparison's activations."""

    @classmethod
    def of(
        cls, comparison: Comparison, directory: Path, records: list[dict[str, Any]], timing: list[dict[str, Any]]
    ) -> "Result":
        """Make the table from the lines of metrics.jsonl and timing.jsonl."""
        rows = []
        for name in comparison.activations:
            lines = [r for r in records if r["activation"] == name]
            start = [r for r in lines if r["step"] == 0 and not r["diverged"]]
            end = [r for r in lines if r["step"] == comparison.steps]
            finite = [r for r in end if not r["diverged"]]
            rows.append(
                Row(
                    activation=name,
                    accuracy=_mean_and_std(r["accuracy"] for r in finite),
                    loss=_mean_and_std(r["loss"] for r in finite),
                    ratio_at_start=_ratio(start),
                    ratio_at_end=_ratio(finite),
                    dead_share=statistics.fmean(v for r in finite for v in r["dead_share"]) if finite else None,
                    seconds_per_step=statistics.median(
                        t["seconds_per_step"] for t in timing if t["activation"] == name
                    ),
                    diverged=len(end) - len(finite),
                )
            )
        return cls(comparison, directory, records, rows)


def _mean_and_std(values: Iterable[float]) -> tuple[float, float] | None:
    found = list(values)
    if not found:
        return None
    return statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else 0.0


def _ratio(lines: list[dict[str, Any]]) -> float | None:
    """Geometric mean of first over last gradient norm; 0 where a first one is 0, None where none can be had."""
    norms = [(r["gradient_norm"][0], r["gradient_norm"][-1]) for r in lines]
    ratios = [first / last for first, last in norms if first is not None and last]
    if not ratios:
        return None
    return math.exp(statistics.fmean(map(math.log, ratios))) if min(ratios) > 0 else 0.0


def _accuracy(row: Row, seeds: int) -> str:
    diverged = f"diverged in {row.diverged}/{seeds}" if row.diverged else ""
    if row.accuracy is None:
        return diverged
    return f"{row.accuracy[0]:.1%} ± {row.accuracy[1]:.1%}" + (f", {diverged}" if diverged else "")


def cells(result: Result) -> list[dict[str, str]]:
    """Format the final table: a dict of column titles and texts for each row."""
    return [
        {
            "activation": row.activation,
            "held-out accuracy": _accuracy(row, result.comparison.seeds),
            "held-out loss": f"{row.loss[0]:.2f} ± {row.loss[1]:.2f}" if row.loss else "-",
            "gradient first/last at start": _power(row.ratio_at_start),
            "gradient first/last at end": _power(row.ratio_at_end),
            "dead units": "-" if row.dead_share is None else f"{row.dead_share:.1%}",
            "time per step": f"{row.seconds_per_step * 1e3:.1f} ms",
        }
        for row in result.rows
    ]


def _power(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2g}" if 1e-2 <= value < 1e3 or value == 0 else f"{value:.0e}"


def table(result: Result) -> Table:
    """Make the final table for the terminal."""
    rows = cells(result)
    made = Table(
        title=_setting(result.comparison), title_justify="left", box=box.SIMPLE, show_edge=False, padding=(0, 0, 0, 1)
    )
    for column in rows[0]:
        made.add_column(column.replace(" ", "\n"), no_wrap=True, justify="left" if column == "activation" else "right")
    for row in rows:
        made.add_row(*row.values())
    return made


def _setting(comparison: Comparison) -> str:
    seeds = "1 seed" if comparison.seeds == 1 else f"{comparison.seeds} seeds"
    return (
        f"Digits, {comparison.depth} hidden layers of {comparison.width}, {comparison.init} initialisation, "
        f"{comparison.optimizer} at {comparison.learning_rate:g}, {comparison.steps} steps of "
        f"{comparison.batch_size} images, {seeds}"
    )


def findings(result: Result) -> list[str]:
    """Say in plain sentences what is seen in this very run."""
    rows = result.rows
    said = []
    vanishing = [r for r in rows if r.ratio_at_start is not None and r.ratio_at_start < VANISHED]
    exploding = [r for r in rows if r.ratio_at_start is not None and r.ratio_at_start > 1 / VANISHED]
    depth = result.comparison.depth
    for row in vanishing:
        accuracy = "" if row.accuracy is None else f"; after training it has {row.accuracy[0]:.0%} accuracy"
        said.append(
            f"The gradient of {row.activation} vanishes: on its way back through {depth} layers it shrinks to "
            f"{_power(row.ratio_at_start)} of its size at the last layer{accuracy}."
        )
    for row in exploding:
        said.append(
            f"The gradient of {row.activation} explodes: at the first layer it is {_power(row.ratio_at_start)} times "
            f"what it is at the last."
        )
    steady = [r for r in rows if r.ratio_at_start is not None and r not in vanishing and r not in exploding]
    if steady and len(steady) == len(rows):
        said.append(f"Every gradient comes through all {depth} layers: none vanishes, none explodes.")
    elif steady:
        ratios = [r.ratio_at_start or 0.0 for r in steady]
        said.append(
            f"The gradients of {_listed(r.activation for r in steady)} come through: at the first layer they are "
            f"between {_power(min(ratios))} and {_power(max(ratios))} times what they are at the last."
        )
    scored = [(r.accuracy, r.activation) for r in rows if r.accuracy is not None]
    if len(scored) > 1:
        (best, best_name), (worst, worst_name) = max(scored), min(scored)
        said.append(
            f"Best on held-out images is {best_name} with {best[0]:.1%} ± {best[1]:.1%}, "
            f"last is {worst_name} with {worst[0]:.1%} ± {worst[1]:.1%}."
        )
    dead = [r for r in rows if r.dead_share is not None and r.dead_share >= 0.01]
    if dead:
        shares = _listed(f"{r.dead_share:.0%} with {r.activation}" for r in dead)
        said.append(f"Units that are zero for every held-out image at the end: {shares}.")
    for row in rows:
        if row.diverged:
            said.append(f"{row.activation} diverged in {row.diverged} of {result.comparison.seeds} seeds.")
    return said


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def write(result: Result) -> None:
    """Write report.html and the charts as PNG into the result directory."""
    made = charts.make(result.comparison, result.records)
    # Altair's limit of 5,000 data rows is for notebooks, which keep the data in every saved cell.
    with alt.data_transformers.enable("default", max_rows=None):
        for chart in made:
            chart.chart.save(result.directory / f"{chart.name}.png", scale_factor=2)
        page = _page(result, made)
    unfinished = result.directory / "report.unfinished"
    unfinished.write_text(page, encoding="utf-8")
    unfinished.replace(result.directory / "report.html")


def _page(result: Result, made: list[charts.Titled]) -> str:
    comparison = result.comparison
    colours = charts.colours(comparison.activations)
    chips = "".join(
        f'<label style="--colour:{colours[name]}"><input type="checkbox" value="{html.escape(name)}" checked>'
        f"{html.escape(name)}</label>"
        for name in comparison.activations
    )
    rows = cells(result)
    header = "".join(f"<th>{html.escape(column)}</th>" for column in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{html.escape(v)}</td>" for v in row.values()) + "</tr>" for row in rows)
    sections = "".join(
        f"<section><h2>{html.escape(c.title)}</h2><p>{html.escape(c.explanation)}</p>"
        f'<div id="{c.name}"></div></section>'
        for c in made
    )
    return _TEMPLATE.format(
        setting=html.escape(_setting(comparison)),
        findings="".join(f"<p>{html.escape(sentence)}</p>" for sentence in findings(result)),
        table=f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>",
        chips=chips,
        last_tick=math.ceil(comparison.steps / comparison.log_every) * comparison.log_every,
        log_every=comparison.log_every,
        sections=sections,
        bundle=_bundle(),
        specs=json.dumps({c.name: _for_page(c.chart) for c in made}).replace("</", "<\\/"),
        steps=comparison.steps,
    )


@functools.cache
def _bundle() -> str:
    """Vega-Embed and all that it needs, as one script; it takes 2 s to put together."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def _for_page(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """Return the chart's specification without its title: the page has its own."""
    return {**chart.to_dict(), "title": None}


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
    document.getElementById(name).innerHTML = '<p class="error"></p>';
    document.querySelector("#" + name + " .error").textContent = error;
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
