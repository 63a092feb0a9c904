"""The charts of a summary: their data, which templates/*.json draw."""

import json
import math
import operator
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
"""The number of steps, evenly spread, that have a drawing by depth."""
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
    """Captions and views of Vega-Lite."""


def charts(summary: Summary) -> list[Chart]:
    """Make all charts for which the log has what they need."""
    counts = summary.counts
    made = [_by_seed(summary, counts)] if counts and len(summary.networks) > 1 else []
    made += [_by_step(summary, metric) for metric in summary.metrics if metric.drawn]
    of_sites = {metric.name for metric in SITES}
    made = [chart._replace(name=f"{chart.name}_by_step") if chart.name in of_sites else chart for chart in made]
    for metric in SITES:
        if lines := _sites(summary, metric):
            made.append(_by_depth(summary, metric, lines))
            made += [_heatmap(summary, metric, lines)] if metric.heatmap else []
    made.append(_theory(summary))
    tried = _tried(summary)
    for option, values in tried.items():
        if counts and all(type(value) in (int, float) for value in values):
            made.append(_by_option(summary, counts, option, tried.keys() - {option}))
    return [chart for chart in made if chart.numbers]


def steps(summary: Summary) -> list[int]:
    """The steps that the slider offers: at most so many, evenly spread, with the first and the last."""
    every = sorted({r["step"] for r in summary.records if r.get("sites")})
    chosen = np.linspace(0, len(every) - 1, min(len(every), STEPS)).round().astype(int)
    return [every[i] for i in chosen]


def specification(summary: Summary, **view: Any) -> dict[str, Any]:
    """One view or several as Vega-Lite takes them, with what the page chooses: networks and a step."""
    params = [
        {"name": "shown", "value": [network.name for network in summary.networks]},
        {"name": "step", "value": (steps(summary) or [0])[-1]},
    ]
    schema = "https://vega.github.io/schema/vega-lite/v6.json"
    return {"$schema": schema, "params": params, "config": style.CONFIG, **view}


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
    return _chart("by_seed", summary, metric, lines, numbers, **layout)


def _by_step(summary: Summary, metric: Metric) -> Chart:
    lines: Lines = []
    for network in summary.networks:
        for step in sorted({r["step"] for r in network.records}):
            if value := metric.average([r for r in network.records if r["step"] == step]):
                centre, spread = value.centre, value.spread or 0
                numbers = {"value": centre, "low": centre - spread, "high": centre + spread}
                lines.append({"network": network.name, "step": step, **{k: _short(v) for k, v in numbers.items()}})
    # A loss that soared before it diverged would press all else together: the axis ends where most of it is.
    values = [line["value"] for line in lines] or [0]
    most = np.quantile(values, 0.98, method="lower")
    high = most + (most - min(values))
    ends = [v for line in lines for v in (line["low"], line["high"]) if metric.better == "higher" or v <= high]
    _label(lines, "step", domain(metric, ends), metric.log)
    numbers = _numbers(metric, lines, "step")
    return _chart("by_step", summary, metric, lines, numbers, domain=domain(metric, ends))


def _sites(summary: Summary, metric: Metric) -> Lines:
    """Averages over the seeds that are finite: a line a network, step and site."""
    lines = []
    for network in summary.networks:
        for step in steps(summary):
            at = [r["sites"] for r in network.records if r["step"] == step and r.get("sites") and not r["diverged"]]
            for depth in range(max(map(len, at), default=0)):
                here = [sites[depth] for sites in at if depth < len(sites)]
                if values := [v for site in here if (v := metric.of(site)) is not None]:
                    value = _short(max(metric.mean(values), SMALLEST if metric.log else 0.0))
                    place = {"step": step, "layer": depth + 1, "site": here[0]["place"]}
                    lines.append({"network": network.name, **place, "value": value})
    return lines


def _paths(lines: Lines) -> list[str]:
    """All sites' paths in the order they run in; where networks differ, each is where the first that has it says."""
    order = {line["site"]: line["layer"] for line in reversed(lines)}
    return sorted(dict.fromkeys(line["site"] for line in lines), key=order.__getitem__)


def _by_depth(summary: Summary, metric: Metric, lines: Lines) -> Chart:
    ends, template, paths = domain(metric, [line["value"] for line in lines]), "by_path", _paths(lines)
    if len({re.sub(r"\d+", "", path).strip() for path in paths}) == 1:  # layers of one kind: numbers say all
        template = "by_depth"
        for step in steps(summary):
            _label([line for line in lines if line["step"] == step], "layer", ends, metric.log)
    numbers = _numbers(metric, [line for line in lines if line["step"] == lines[-1]["step"]], "site", "step")
    return _chart(template, summary, metric, lines, numbers, paths=paths, height=max(120, 18 * len(paths)))


def _heatmap(summary: Summary, metric: Metric, lines: Lines) -> Chart:
    lines = [line | {"log": _short(math.log10(line["value"]))} for line in lines]
    logs, every, paths = [line["log"] for line in lines], steps(summary), _paths(lines)
    layout = {
        "paths": paths[::-1],
        "height": min(12 * len(paths), 240),
        "ticks": every[:: math.ceil(len(every) / 4)],
        "domain": [math.floor(min(logs)), math.ceil(max(logs))],
    }
    numbers = _numbers(metric, lines, "site", "step")
    return _chart("heatmap", summary, metric, lines, numbers, apart=True, **layout)


def _theory(summary: Summary) -> Chart:
    title = "gradient norm over the last layer's"
    of = operator.itemgetter("input_gradient_norm")
    metric = Metric(name="theory_by_depth", title=title, of=of, text=power, log=True)
    lines: Lines = []
    for network in summary.networks:
        predicted = network.about.get("predicted", {}).get("gradient") or []
        start = [r["sites"] for r in network.records if r["step"] == 0 and r.get("sites")]
        start = [sites for sites in start if len(sites) == len(predicted)]
        norms = [metric.mean([of(site) or 0.0 for site in sites]) for sites in zip(*start, strict=True)]
        for source, curve in (("theory", predicted), ("measured", [norm / norms[-1] for norm in norms])):
            place = {"network": network.name, "source": source}
            shown = ((i, norm) for i, norm in enumerate(curve, start=1) if norm > SMALLEST)
            lines += [place | {"layer": i, "value": _short(norm)} for i, norm in shown]
    numbers = _numbers(metric, [line for line in lines if line["layer"] == 1], "source")
    return _chart("theory", summary, metric, lines, numbers)


def _tried(summary: Summary) -> dict[str, set[Any]]:
    """The options of which several values were tried."""
    options = [network.about.get("options", {}) for network in summary.networks]
    values = {name: {given[name] for given in options if name in given} for given in options for name in given}
    return {name: tried for name, tried in values.items() if len(tried) > 1}


def _by_option(summary: Summary, metric: Metric, option: str, others: set[str]) -> Chart:
    """One line for each activation and choice of the other options. It looks as its first network does elsewhere."""
    lines: Lines = []
    looks: dict[str, str] = {}
    for network in summary.networks:
        options = network.about.get("options", {})
        if (value := network.values[metric.name]) and option in options:
            rest = [str(options[name]) for name in options if name in others]
            line = " ".join([network.about.get("activation", network.name), *rest])
            place = {"network": looks.setdefault(line, network.name), "line": line, "option": options[option]}
            lines.append({**place, "value": _short(value.centre)})
    lines.sort(key=operator.itemgetter("option"))
    _label(lines, "option", domain(metric, [line["value"] for line in lines]), metric.log)
    numbers = _numbers(metric, [line | {"network": line["line"]} for line in lines], "option")
    ticks = sorted({line["option"] for line in lines})
    return _chart("by_option", summary, metric, lines, numbers, option=option, ticks=ticks)


def _chart(
    template: str,
    summary: Summary,
    metric: Metric,
    lines: Lines,
    numbers: list[str],
    apart: bool = False,
    **values: Any,
) -> Chart:
    """Fill a template, once or for each network apart: what begins with $ in it stands for a value."""
    ends = values.get("domain") or domain(metric, [line["value"] for line in lines])
    kind = {"type": "log"} if metric.log else {"type": "linear", "zero": False}
    values |= {
        "title": metric.title,
        "scale": {**kind, "domain": ends, "nice": False, "clamp": True},
        "axis": {"format": "%" if metric.is_share else "~e" if metric.log else "~g", "tickCount": 6},
        **style.channels(summary),
    }

    def fill(node: dict[str, Any]) -> dict[str, Any]:
        return {k: values[v[1:]] if isinstance(v, str) and v.startswith("$") else v for k, v in node.items()}

    drawings = []
    parts = _by_network(lines) if apart else {"": lines}
    for (name, part), said in zip(parts.items(), numbers if apart else ["; ".join(numbers)], strict=True):
        values |= {"data": {"values": part}, "numbers": said}
        drawings.append((name, json.loads((style.TEMPLATES / f"{template}.json").read_text(), object_hook=fill)))
    words = [view.pop("usermeta") for _, view in drawings][-1]
    name, title, explanation = (words[k].format(metric, **values) for k in ("name", "title", "explanation"))
    return Chart(name, title, explanation, numbers, drawings)


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
    last = [max(mine, key=operator.itemgetter(along)) for mine in _by_network(lines).values()]
    marked = sorted(last, key=operator.itemgetter("value"))
    low, high = np.log(ends) if log else ends
    values = np.array([line["value"] for line in marked])
    gaps = LABEL * np.arange(len(marked))
    places = np.maximum.accumulate(((np.log(values) if log else values) - low) / (high - low) - gaps) + gaps
    at = low + (high - low) * np.minimum(places, 1 - gaps[::-1])
    for line, label in zip(marked, np.exp(at) if log else at, strict=True):
        line["label"] = _short(label)


def _by_network(lines: Lines) -> dict[str, Lines]:
    """The lines of each network."""
    found: dict[str, Lines] = {}
    for line in lines:
        found.setdefault(line["network"], []).append(line)
    return found


def _numbers(metric: Metric, lines: Lines, *along: str) -> list[str]:
    """Say where each network's line begins and where it ends."""

    def told(line: dict[str, Any]) -> str:
        place = ", ".join(f"step {line[key]:,}" if key == "step" else str(line[key]) for key in along)
        return metric.text(line["value"]) + (f" ({place})" if place else "")

    return [
        f"{name}: {', '.join(map(told, [mine[0], mine[-1]][: len(mine)]))}" for name, mine in _by_network(lines).items()
    ]


def _short(value: float) -> float:
    return float(f"{value:.5g}")
