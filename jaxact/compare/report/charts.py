"""The charts of a summary: their data, which templates/*.json draw."""

import json
import math
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxact.compare.metrics import SITES, Metric
from jaxact.compare.report import style
from jaxact.compare.summary import Compared, Summary, interval_text

Lines = list[dict[str, Any]]
TEMPLATES = Path(__file__).parent / "templates"
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
    made = [_by_seed(summary, summary.counts)] if summary.counts and len(summary.networks) > 1 else []
    made += [_by_step(summary, metric) for metric in summary.metrics if metric.drawn]
    for metric in SITES:
        lines = _sites(summary, metric)
        made += [_by_depth(summary, metric, lines)] if lines else []
        made += [_heatmap(summary, metric, lines)] if lines and metric.heatmap else []
    made.append(_theory(summary))
    made += [_by_option(summary, summary.counts, option) for option in _swept(summary) if summary.counts]
    return [chart for chart in made if chart.numbers]


def steps(summary: Summary) -> list[int]:
    """The steps that the slider offers: at most so many, evenly spread, with the first and the last."""
    every = sorted({r["step"] for r in summary.records if r.get("sites")})
    if len(every) <= STEPS:
        return every
    return [every[round(i * (len(every) - 1) / (STEPS - 1))] for i in range(STEPS)]


def is_stack(summary: Summary) -> bool:
    """Whether the sites are layers of one kind, one after the other, so that their numbers say all."""
    return len({re.sub(r"\d+", "", s["place"]).strip() for r in summary.records for s in r.get("sites", ())}) <= 1


def _drawn(template: str, summary: Summary, lines: Lines, described: str, metric: Metric, **values: Any) -> Any:
    """Fill a template: what begins with $ in it stands for a value."""
    numbers = [v for line in lines for k in ("value", "low", "high") if (v := line.get(k)) is not None]
    values["domain"] = values.get("domain") or domain(metric, numbers)
    kind = {"type": "log"} if metric.log else {"type": "linear", "zero": False}
    tick = "%" if metric.is_share else "~e" if metric.log else "~g"
    params = [{"name": "shown", "value": [n.name for n in summary.networks]}]
    given = {
        "params": [*params, {"name": "step", "value": (steps(summary) or [0])[-1]}],
        "title": metric.title,
        "scale": {**kind, "domain": values["domain"], "nice": False, "clamp": True},
        "axis": {"format": tick, "tickCount": 6},
        **style.channels(summary),
        **values,
    }

    def fill(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: fill(value) for key, value in node.items()}
        if isinstance(node, list):
            return [fill(value) for value in node]
        return given[node[1:]] if isinstance(node, str) and node.startswith("$") and node[1:] in given else node

    specification = fill(json.loads((TEMPLATES / f"{template}.json").read_text()))
    return {**specification, "description": described, "datasets": {"lines": lines}, "config": style.CONFIG}


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
    low, high = (math.log(end) if log else end for end in ends)
    last = {line["network"]: line for line in sorted(lines, key=lambda line: line[along])}
    places = [
        ((math.log(max(v["value"], SMALLEST)) if log else v["value"]) - low) / (high - low) for v in last.values()
    ]
    top = 1.0
    for place, line in sorted(zip(places, last.values(), strict=True), key=lambda pair: -pair[0]):
        top = min(place, top)
        line["label"], top = top, top - LABEL
    bottom = 0.0
    for line in sorted(last.values(), key=lambda line: line["label"]):
        bottom = max(line["label"], bottom)
        value = low + bottom * (high - low)
        line["label"], bottom = _short(math.exp(value) if log else value), bottom + LABEL


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]


def _by_step(summary: Summary, metric: Metric) -> Chart:
    lines, numbers = [], []
    for network in summary.networks:
        for step in sorted({r["step"] for r in network.records}):
            at = [r for r in network.records if r["step"] == step and not r["diverged"]]
            if values := [v for r in at if (v := metric.of(r)) is not None]:
                mean, std = statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0
                ends = {"value": _short(mean), "low": _short(mean - std), "high": _short(mean + std)}
                lines.append({"network": network.name, "step": step, **ends})
        if value := network.values[metric.name]:
            numbers.append(f"{network.name}: {metric.cell(value)} at step {network.last:,}")
    # A loss that soared before it diverged would press all else together: the axis ends where most of it is.
    high = sorted(line["value"] for line in lines)[int(0.98 * (len(lines) - 1))] if lines else 0.0
    shown = [v for line in lines for v in (line["low"], line["high"]) if metric.better == "higher" or v <= 1.5 * high]
    ends = domain(metric, shown)
    _label(lines, "step", ends, log=False)
    drawn = _drawn("by_step", summary, lines, "; ".join(numbers), metric, domain=ends)
    return Chart(metric.name, _title(metric.title), metric.explanation, numbers, [("", drawn)])


def _sites(summary: Summary, metric: Metric) -> Lines:
    """Averages over the seeds that are finite: a line a network, step and site."""
    lines = []
    for network in summary.networks:
        for step in steps(summary):
            at = [r for r in network.records if r["step"] == step and not r["diverged"] and r.get("sites")]
            for depth in range(max((len(r["sites"]) for r in at), default=0)):
                here = [r["sites"][depth] for r in at if depth < len(r["sites"])]
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
    ends, numbers, stack = domain(metric, [line["value"] for line in lines]), [], is_stack(summary)
    for network in summary.networks:
        mine = [line for line in lines if line["network"] == network.name]
        if mine := [line for line in mine if line["step"] == mine[-1]["step"]]:
            first, end = (f"{metric.text(line['value'])} at {line['site']}" for line in (mine[0], mine[-1]))
            numbers.append(f"{network.name}: from {first} to {end} (step {mine[0]['step']:,})")
    for step in steps(summary) if stack else ():
        _label([line for line in lines if line["step"] == step], "layer", ends, metric.log)
    paths = _paths(lines)
    layout = {"paths": paths, "height": max(120, 18 * len(paths)), "domain": ends}
    drawn = _drawn("by_depth" if stack else "by_path", summary, lines, "; ".join(numbers), metric, **layout)
    return Chart(metric.name, f"{_title(metric.title)} by depth", metric.explanation, numbers, [("", drawn)])


def _heatmap(summary: Summary, metric: Metric, lines: Lines) -> Chart:
    logs = [math.log10(line["value"]) for line in lines]
    every, paths, stack = steps(summary), _paths(lines), is_stack(summary)
    number = {"field": "layer", "title": "hidden layer", "sort": "descending", "axis": {"labelOverlap": True}}
    path = {"field": "site", "title": None, "sort": paths[::-1], "axis": {"labelOverlap": True, "labelLimit": 100}}
    layout = {
        "y": {"type": "ordinal", **(number if stack else path)},
        "height": 190 if stack else max(120, 12 * len(paths)),
        "ticks": every[:: max(1, math.ceil(len(every) / 4))],
        "domain": [math.floor(min(logs)), math.ceil(max(logs))],
    }
    numbers, drawings = [], []
    for network in summary.networks:
        mine = [line | {"log": _short(math.log10(line["value"]))} for line in lines if line["network"] == network.name]
        if mine:
            ends = min(mine, key=lambda v: v["value"]), max(mine, key=lambda v: v["value"])
            told = (f"{metric.text(v['value'])} ({v['site']}, step {v['step']:,})" for v in ends)
            numbers.append(f"{network.name}: between {' and '.join(told)}")
            drawings.append((network.name, _drawn("heatmap", summary, mine, numbers[-1], metric, **layout)))
    explanation = (
        "The same norm at every site and measured step. Dark only at the bottom: it vanished on its way back. Dark "
        "everywhere: there is little left to learn. Empty: diverged."
    )
    return Chart("gradient_heatmap", "Gradient, layer by step", explanation, numbers, drawings)


def _theory(summary: Summary) -> Chart:
    title = "gradient norm over the last layer's"
    metric = Metric(
        name="theory_by_depth", title=title, of=lambda site: site["input_gradient_norm"], text=str, log=True
    )
    lines, numbers = [], []
    for network in summary.networks:
        predicted = network.about.get("predicted", {}).get("gradient") or []
        start = [r for r in network.records if r["step"] == 0 and len(r.get("sites", ())) == len(predicted)]
        norms = [
            metric.mean([n for r in start if (n := metric.of(r["sites"][i]))] or [0]) for i in range(len(predicted))
        ]
        over = [norm / norms[-1] for norm in norms]
        for source, curve in (("measured", over), ("theory", predicted)):
            place = {"network": network.name, "source": source}
            shown = ((i, norm) for i, norm in enumerate(curve, start=1) if norm > SMALLEST)
            lines += [place | {"layer": i, "value": _short(norm)} for i, norm in shown]
        if predicted:
            numbers.append(f"{network.name}: theory {predicted[0]:.2g}, measured {over[0]:.2g} at the first layer")
    explanation = (
        "Norm of the gradient with respect to each layer's pre-activations before training, over that of the last "
        "layer: points as measured, lines as mean-field theory has it for infinitely wide layers."
    )
    drawn = _drawn("theory", summary, lines, "; ".join(numbers), metric)
    return Chart(metric.name, "Gradient by depth, as theory predicts it", explanation, numbers, [("", drawn)])


def _swept(summary: Summary) -> list[str]:
    """The options of which several were tried, being numbers."""
    tried: dict[str, set[Any]] = {}
    for network in summary.networks:
        for name, value in network.about.get("options", {}).items():
            tried.setdefault(name, set()).add(value)
    numbers = {name for name, values in tried.items() if all(type(v) in (int, float) for v in values)}
    return [name for name, values in tried.items() if len(values) > 1 and name in numbers]


def _by_option(summary: Summary, metric: Metric, option: str) -> Chart:
    lines, numbers = [], []
    for network in summary.networks:
        options = network.about.get("options", {})
        rest = {k: v for k, v in options.items() if k != option}
        if (value := network.values[metric.name]) and option in options:
            line = f"{network.about.get('activation', network.name)} {rest or ''}"
            place = {"network": network.name, "line": line, "option": options[option]}
            lines.append(place | {"value": _short(value.centre)})
            numbers.append(f"{network.name}: {metric.cell(value)}")
    ticks = sorted({line["option"] for line in lines})
    title = f"{_title(metric.title)} by {option}"
    drawn = _drawn("by_option", summary, lines, "; ".join(numbers), metric, option=option, ticks=ticks)
    return Chart(f"{metric.name}_by_{option}", title, "After training.", numbers, [("", drawn)])


def _by_seed(summary: Summary, metric: Metric) -> Chart:
    """Every seed at the end, with the mean: whether networks differ by more than seeds do."""
    sign = 1 if metric.better == "higher" else -1
    scored = [(n, value) for n in summary.networks if (value := n.values[metric.name])]
    best: Compared | None = max(scored, key=lambda pair: sign * pair[1].centre)[0] if scored else None
    lines, numbers = [], []
    for network, value in scored:
        top = best and best.values[metric.name]
        minus = f"; minus {best.name}: {interval_text(metric, value, top)}" if best and top and network != best else ""
        numbers.append(f"{network.name}: {metric.cell(value)}{minus}")
        place = {"network": network.name, "mean": _short(value.centre)}
        lines += [place | {"seed": seed, "value": _short(number)} for seed, number in value.by_seed.items()]
    layout = {"names": [n.name for n, _ in scored], "height": max(80, 26 * len(scored))}
    drawn = _drawn("by_seed", summary, lines, "; ".join(numbers), metric, **layout)
    explanation = (
        "Every seed at the end of training, and the mean (bar). In numbers: the difference to the best over the same "
        "seeds, with its 95% confidence interval."
    )
    return Chart(f"{metric.name}_by_seed", f"{_title(metric.title)}, seed by seed", explanation, numbers, [("", drawn)])


def _short(value: float) -> float:
    return float(f"{value:.5g}")
