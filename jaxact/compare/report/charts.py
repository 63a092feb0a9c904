"""The charts of a summary: their data, which templates/*.json draw."""

import json
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxact.compare.metrics import SITES, Metric, power
from jaxact.compare.report import style
from jaxact.compare.summary import Summary, interval_text

Lines = list[dict[str, Any]]
SMALLEST = 1e-12
"""What has a logarithmic axis is drawn as at least this; a zero has no logarithm."""
STEPS = 25
"""Of so many steps, evenly spread, there is a drawing by depth."""
LABEL = 14 / 300
"""The height of a label in that of a chart."""


class Chart(NamedTuple):
    """What the page shows under one heading."""

    name: str
    title: str
    explanation: str
    numbers: list[str]
    """The same in words, a line a network."""
    drawings: list[tuple[str, dict[str, Any]]]
    """Captions and specifications of Vega-Lite."""


def charts(summary: Summary) -> list[Chart]:
    """Make all charts for which the log has what they need."""
    counts = summary.counts
    made = [_by_seed(summary, counts)] if counts and len(summary.networks) > 1 else []
    made += [_by_step(summary, metric) for metric in summary.metrics if metric.drawn]
    for metric in SITES:
        if lines := _sites(summary, metric):
            made.append(_by_depth(summary, metric, lines))
            made += [_heatmap(summary, metric, lines)] if metric.heatmap else []
    made.append(_theory(summary))
    made += [_by_option(summary, counts, option) for option in _swept(summary)] if counts else []
    return [chart for chart in made if chart.numbers]


def steps(summary: Summary) -> list[int]:
    """The steps that the slider offers: at most so many, evenly spread, with the first and the last."""
    every = sorted({r["step"] for r in summary.records if r.get("sites")})
    chosen = np.linspace(0, len(every) - 1, min(len(every), STEPS)).round().astype(int)
    return [every[i] for i in chosen]


def is_stack(summary: Summary) -> bool:
    """Whether the sites are layers of one kind, one after the other, so that their numbers say all."""
    return len({re.sub(r"\d+", "", s["place"]).strip() for r in summary.records for s in r.get("sites", ())}) <= 1


def _by_seed(summary: Summary, metric: Metric) -> Chart:
    """Every seed at the end, with the mean: whether networks differ by more than seeds do."""
    scored = summary.ranked(metric)
    lines, numbers = [], []
    for network, value in scored:
        place = {"network": network.name, "mean": _short(value.centre)}
        lines += [place | {"seed": seed, "value": _short(number)} for seed, number in value.by_seed.items()]
        minus = f"; minus {scored[0][0].name}: {interval_text(metric, value, scored[0][1])}" if numbers else ""
        numbers.append(f"{network.name}: {metric.cell(value)}{minus}")
    layout = {"names": [network.name for network, _ in scored], "height": max(80, 26 * len(scored))}
    explanation = (
        "Every seed at the end of training, and the mean (bar). In numbers: the difference to the best over the same "
        "seeds, with its 95% confidence interval."
    )
    drawn = _drawn("by_seed", summary, metric, lines, numbers, **layout)
    return Chart(f"{metric.name}_by_seed", f"{metric.heading}, seed by seed", explanation, numbers, [("", drawn)])


def _by_step(summary: Summary, metric: Metric) -> Chart:
    lines: Lines = []
    for network in summary.networks:
        for step in sorted({r["step"] for r in network.records}):
            if value := metric.average([r for r in network.records if r["step"] == step]):
                ends = {
                    "low": _short(value.centre - (value.spread or 0)),
                    "high": _short(value.centre + (value.spread or 0)),
                }
                lines.append({"network": network.name, "step": step, "value": _short(value.centre), **ends})
    # A loss that soared before it diverged would press all else together: the axis ends where most of it is.
    high = 1.5 * np.quantile([line["value"] for line in lines] or [0], 0.98, method="lower")
    shown = [v for line in lines for v in (line["low"], line["high"]) if metric.better == "higher" or v <= high]
    ends = domain(metric, shown)
    _label(lines, "step", ends, metric.log)
    numbers = _numbers(metric, lines, "step")
    drawn = _drawn("by_step", summary, metric, lines, numbers, domain=ends)
    return Chart(metric.name, metric.heading, metric.explanation, numbers, [("", drawn)])


def _sites(summary: Summary, metric: Metric) -> Lines:
    """Averages over the seeds that are finite: a line a network, step and site."""
    lines = []
    for network in summary.networks:
        for step in steps(summary):
            at = [r for r in network.records if r["step"] == step and not r["diverged"]]
            for depth in range(max((len(r.get("sites", ())) for r in at), default=0)):
                here = [r["sites"][depth] for r in at if depth < len(r.get("sites", ()))]
                if values := [v for site in here if (v := metric.of(site)) is not None]:
                    value = _short(max(metric.mean(values), SMALLEST if metric.log else 0.0))
                    place = {"step": step, "layer": depth + 1, "site": here[0]["place"]}
                    lines.append({"network": network.name, **place, "value": value})
    return lines


def _paths(lines: Lines) -> list[str]:
    """All sites' paths in the order they run in; where networks differ, each is where the first that has it says."""
    order: dict[str, int] = {}
    for line in lines:
        order.setdefault(line["site"], line["layer"])
    return sorted(order, key=lambda path: order[path])


def _by_depth(summary: Summary, metric: Metric, lines: Lines) -> Chart:
    ends, paths, stack = domain(metric, [line["value"] for line in lines]), _paths(lines), is_stack(summary)
    for step in steps(summary) if stack else ():
        _label([line for line in lines if line["step"] == step], "layer", ends, metric.log)
    numbers = _numbers(metric, [line for line in lines if line["step"] == lines[-1]["step"]], "site", "step")
    layout = {"paths": paths, "height": max(120, 18 * len(paths)), "domain": ends}
    drawn = _drawn("by_depth" if stack else "by_path", summary, metric, lines, numbers, **layout)
    return Chart(metric.name, f"{metric.heading} by depth", metric.explanation, numbers, [("", drawn)])


def _heatmap(summary: Summary, metric: Metric, lines: Lines) -> Chart:
    lines = [line | {"log": _short(math.log10(line["value"]))} for line in lines]
    logs, every, paths = [line["log"] for line in lines], steps(summary), _paths(lines)
    number = {"field": "layer", "title": "hidden layer", "sort": "descending", "axis": {"labelOverlap": True}}
    path = {"field": "site", "title": None, "sort": paths[::-1], "axis": {"labelOverlap": True, "labelLimit": 100}}
    layout = {
        "y": {"type": "ordinal", **(number if is_stack(summary) else path)},
        "height": 190 if is_stack(summary) else max(120, 12 * len(paths)),
        "ticks": every[:: max(1, math.ceil(len(every) / 4))],
        "domain": [math.floor(min(logs)), math.ceil(max(logs))],
    }
    drawings = []
    for name in dict.fromkeys(line["network"] for line in lines):
        mine = [line for line in lines if line["network"] == name]
        drawings.append(
            (name, _drawn("heatmap", summary, metric, mine, _numbers(metric, mine, "site", "step"), **layout))
        )
    explanation = (
        "The same norm at every site and measured step. Dark only at the bottom: it vanished on its way back. Dark "
        "everywhere: there is little left to learn. Empty: diverged."
    )
    numbers = _numbers(metric, lines, "site", "step")
    return Chart("gradient_heatmap", "Gradient, layer by step", explanation, numbers, drawings)


def _theory(summary: Summary) -> Chart:
    title = "gradient norm over the last layer's"
    metric = Metric(
        name="theory_by_depth", title=title, of=lambda site: site["input_gradient_norm"], text=power, log=True
    )
    lines: Lines = []
    for network in summary.networks:
        predicted = network.about.get("predicted", {}).get("gradient") or []
        start = [r for r in network.records if r["step"] == 0 and len(r.get("sites", ())) == len(predicted)]
        norms = [metric.mean([metric.of(r["sites"][i]) or 0.0 for r in start] or [0.0]) for i in range(len(predicted))]
        for source, curve in (("theory", predicted), ("measured", [norm / norms[-1] for norm in norms])):
            place = {"network": network.name, "source": source}
            shown = ((i, norm) for i, norm in enumerate(curve, start=1) if norm > SMALLEST)
            lines += [place | {"layer": i, "value": _short(norm)} for i, norm in shown]
    explanation = (
        "Norm of the gradient with respect to each layer's pre-activations before training, over that of the last "
        "layer: points as measured, lines as mean-field theory has it for infinitely wide layers."
    )
    numbers = _numbers(metric, [line for line in lines if line["layer"] == 1], "source")
    drawn = _drawn("theory", summary, metric, lines, numbers)
    return Chart(metric.name, "Gradient by depth, as theory predicts it", explanation, numbers, [("", drawn)])


def _swept(summary: Summary) -> list[str]:
    """The options of which several were tried, being numbers."""
    tried: dict[str, set[Any]] = {}
    for network in summary.networks:
        for name, value in network.about.get("options", {}).items():
            tried.setdefault(name, set()).add(value)
    return [k for k, v in tried.items() if len(v) > 1 and all(type(value) in (int, float) for value in v)]


def _by_option(summary: Summary, metric: Metric, option: str) -> Chart:
    lines: Lines = []
    for network in summary.networks:
        rest = dict(network.about.get("options", {}))
        if (value := network.values[metric.name]) and option in rest:
            place = {"network": network.name, "option": rest.pop(option), "value": _short(value.centre)}
            lines.append(place | {"line": f"{network.about.get('activation', network.name)} {rest}"})
    numbers = _numbers(metric, lines)
    ticks = sorted({line["option"] for line in lines})
    drawn = _drawn("by_option", summary, metric, lines, numbers, option=option, ticks=ticks)
    title = f"{metric.heading} by {option}"
    return Chart(f"{metric.name}_by_{option}", title, "After training.", numbers, [("", drawn)])


def _drawn(template: str, summary: Summary, metric: Metric, lines: Lines, numbers: list[str], **values: Any) -> Any:
    """Fill a template: what begins with $ in it stands for a value."""
    values["domain"] = values.get("domain") or domain(metric, [line["value"] for line in lines])
    kind = {"type": "log"} if metric.log else {"type": "linear", "zero": False}
    given = {
        "params": [
            {"name": "shown", "value": [network.name for network in summary.networks]},
            {"name": "step", "value": (steps(summary) or [0])[-1]},
        ],
        "title": metric.title,
        "scale": {**kind, "domain": values["domain"], "nice": False, "clamp": True},
        "axis": {"format": "%" if metric.is_share else "~e" if metric.log else "~g", "tickCount": 6},
        **style.channels(summary),
        **values,
    }

    def fill(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: fill(value) for key, value in node.items()}
        if isinstance(node, list):
            return [fill(value) for value in node]
        return given.get(node[1:], node) if isinstance(node, str) and node.startswith("$") else node

    drawn = fill(json.loads((style.TEMPLATES / f"{template}.json").read_text()))
    return {**drawn, "description": "; ".join(numbers), "datasets": {"lines": lines}, "config": style.CONFIG}


def domain(metric: Metric, values: Sequence[float]) -> list[float]:
    """The axis from end to end, a little further than the values go, and a share's no further than it can be."""
    ends = [math.log10(max(v, SMALLEST)) if metric.log else v for v in (min(values), max(values))] if values else [0, 1]
    slack = 0.04 * (ends[1] - ends[0]) or 0.5
    low, high = ends[0] - slack, ends[1] + slack
    if metric.log:
        return [10**low, 10**high]
    return [max(low, 0.0), min(max(high, 0.1), 1.0)] if metric.is_share else [low, high]


def _label(lines: Lines, along: str, ends: Sequence[float], log: bool) -> None:
    """Mark the last point of each line of one drawing with where its label goes, so that none covers another."""
    last = {line["network"]: line for line in sorted(lines, key=lambda line: line[along])}
    marked = sorted(last.values(), key=lambda line: line["value"])
    low, high = np.log(ends) if log else ends
    values = np.array([line["value"] for line in marked])
    gaps = LABEL * np.arange(len(marked))
    places = np.maximum.accumulate(((np.log(values) if log else values) - low) / (high - low) - gaps) + gaps
    at = low + (high - low) * np.minimum(places, 1 - gaps[::-1])
    for line, label in zip(marked, np.exp(at) if log else at, strict=True):
        line["label"] = _short(label)


def _numbers(metric: Metric, lines: Lines, *along: str) -> list[str]:
    """Say where each network's line begins and where it ends."""
    numbers = []
    for name in dict.fromkeys(line["network"] for line in lines):
        mine = [line for line in lines if line["network"] == name]
        told = []
        for line in [mine[0], mine[-1]][: len(mine)]:
            place = ", ".join(f"step {line[key]:,}" if key == "step" else str(line[key]) for key in along)
            told.append(metric.text(line["value"]) + (f" ({place})" if place else ""))
        numbers.append(f"{name}: {', '.join(told)}")
    return numbers


def _short(value: float) -> float:
    return float(f"{value:.5g}")
