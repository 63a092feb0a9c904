"""The charts of a run. Colours, scales and order are the same in all of them."""

import functools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt
import vl_convert

from jaxact.compare.comparison import Comparison
from jaxact.compare.theory import Prediction

Lines = list[dict[str, Any]]

# Tableau 10 and 20 without their greys, which stand for "no data" here.
_PALETTE = (
    "#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#b279a2", "#9d755d", "#eeca3b", "#ff9da6", "#1f3b5c",
    "#88d27a", "#b6992d", "#499894", "#d6a5c9", "#79706e", "#9ecae9",
)  # fmt: skip
_SMALLEST = 1e-12
"""Gradient norms are drawn as at least this; a zero has no logarithm."""


class Titled(NamedTuple):
    """A chart, the name of its files, and what the page says above it."""

    name: str
    title: str
    explanation: str
    specification: dict[str, Any]
    """Vega-Lite's."""


_DATA = alt.NamedData("lines")
"""Stands for a chart's data, which Altair would copy in each of its steps."""
_Drawn = tuple[alt.TopLevelMixin, Lines]
"""A chart and its data."""


@functools.cache
def bundle() -> str:
    """Vega-Embed and all that it needs, as one script; it takes 2 s to put together."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def colours(names: Sequence[str]) -> dict[str, str]:
    """Give every network its colour."""
    return {name: _PALETTE[i % len(_PALETTE)] for i, name in enumerate(names)}


def _names(comparison: Comparison) -> list[str]:
    return [network.name for network in comparison.networks()]


def make(comparison: Comparison, records: Lines, predictions: Mapping[str, Prediction | None]) -> list[Titled]:
    """Make all charts from the lines of metrics.jsonl, and what theory predicts of each network."""
    by_step, by_layer = _over_seeds(records)
    made = [
        _titled(
            "curves",
            "What is learned",
            "Held-out loss and accuracy while training: mean over seeds, with a band of one standard deviation.",
            _curves(comparison, by_step),
            comparison.steps,
        ),
        _titled(
            "gradient_by_depth",
            "Gradient by depth",
            "Norm of the loss's gradient with respect to each layer's output, at the step of the slider. The gradient "
            "starts at the last layer and flows back to the first: where a line falls to the left, it vanishes.",
            _by_depth(comparison, by_layer, "gradient_norm", "norm of the gradient", log=True),
            comparison.steps,
        ),
        _titled(
            "gradient_heatmap",
            "Gradient, layer by step",
            "The same norm at every layer and measured step. Dark only at the bottom: it vanished on its way back. "
            "Dark everywhere: there is little left to learn. Grey: diverged.",
            _heatmap(comparison, by_layer),
            comparison.steps,
        ),
        _titled(
            "signal_by_depth",
            "Signal by depth",
            "Standard deviation of each layer's pre-activations over images and units, at the step of the slider. It "
            "should neither fade nor blow up on its way from the first layer to the last.",
            _by_depth(comparison, by_layer, "preactivation_std", "std of the pre-activations", log=True),
            comparison.steps,
        ),
        _titled(
            "dead_units_by_depth",
            "Dead units by depth",
            "Share of units with |f'| < 0.001 for every held-out image, at the step of the slider: no gradient comes "
            "through them any more.",
            _by_depth(comparison, by_layer, "dead_share", "share of dead units", log=False),
            comparison.steps,
        ),
        _titled(
            "theory_by_depth",
            "Gradient by depth, as theory predicts it",
            "Norm of the gradient with respect to each layer's pre-activations before training, over that of the last "
            "layer: as measured, and dashed as mean-field theory has it for infinitely wide layers.",
            _theory(comparison, by_layer, predictions),
            comparison.steps,
        ),
    ]
    if len(comparison.depths) > 1:
        made.append(
            _titled(
                "accuracy_by_depth",
                "How deep it trains",
                "Held-out accuracy after training against the number of hidden layers; chance is 10 %.",
                _by_number_of_layers(comparison, by_step),
                comparison.steps,
            )
        )
    return made


def _titled(name: str, title: str, explanation: str, drawn: _Drawn, steps: int) -> Titled:
    chart, lines = drawn
    chart = chart.properties(
        title=alt.TitleParams(
            title, subtitle=_wrapped(explanation.replace("at the step of the slider", f"at step {steps}"))
        ),
        background="white",
        padding=12,
    )
    chart = chart.configure_title(anchor="start", fontSize=18, subtitleFontSize=13, subtitleColor="#555", offset=14)
    chart = chart.configure_axis(labelFontSize=12, titleFontSize=13, titleFontWeight="normal", gridColor="#e6e6e6")
    chart = chart.configure_legend(labelFontSize=13, titleFontSize=13)
    chart = chart.configure_header(labelFontSize=13, titleFontSize=13).configure_view(stroke="#ccc")
    return Titled(name, title, explanation, {**chart.to_dict(validate=False), "datasets": {_DATA.name: lines}})


def _wrapped(text: str, width: int = 120) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word + " "
    return lines


def _over_seeds(records: Lines) -> tuple[Lines, Lines]:
    """Take means over the seeds that are finite: one line a step, and one line a step and layer."""
    groups: dict[tuple[str, int], Lines] = {}
    for record in records:
        groups.setdefault((record["network"], record["step"]), []).append(record)
    by_step, by_layer = [], []
    for (activation, step), lines in groups.items():
        finite = [line for line in lines if not line["diverged"]]
        if not finite:
            continue
        key = {"activation": activation, "step": step}
        point: dict[str, Any] = dict(key)
        for field in ("train_loss", "loss", "accuracy"):
            values = [line[field] for line in finite]
            mean, std = statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0
            point |= {field: mean, f"{field}_low": mean - std, f"{field}_high": mean + std, f"{field}_std": std}
        by_step.append(point)
        for layer in range(finite[0]["depth"]):
            line: dict[str, Any] = key | {"layer": layer + 1}
            for field in ("gradient_norm", "preactivation_gradient_norm", "weight_gradient_norm", "preactivation_std"):
                line[field] = _geometric_mean(r[field][layer] for r in finite)
            for field in ("zero_share", "dead_share"):
                shares = [r[field][layer] for r in finite if r[field][layer] is not None]
                line[field] = statistics.fmean(shares) if shares else None
            by_layer.append({k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in line.items()})
    return by_step, by_layer


def _geometric_mean(values: Iterable[float | None]) -> float | None:
    found = [max(v, _SMALLEST) for v in values if v is not None]
    return math.exp(statistics.fmean(map(math.log, found))) if found else None


def _colour(comparison: Comparison) -> alt.Color:
    names = _names(comparison)
    scale = alt.Scale(domain=names, range=list(colours(names).values()))
    legend = alt.Legend(symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=3)
    return alt.Color("activation:N", scale=scale, title=None, legend=legend)


def _layer(comparison: Comparison) -> alt.X:
    deepest = max(network.depth for network in comparison.networks())
    return alt.X(
        "layer:Q",
        title="hidden layer (1 is next to the input)",
        scale=alt.Scale(domain=[1, max(deepest, 2)], padding=10),
        axis=alt.Axis(tickMinStep=1, grid=False),
    )


def _shown(comparison: Comparison) -> alt.Parameter:
    return alt.param(name="shown", value=_names(comparison))


def _curves(comparison: Comparison, by_step: Lines) -> _Drawn:
    base = alt.Chart(_DATA).transform_filter("indexof(shown, datum.activation) >= 0")

    def curve(field: str, title: str, axis: alt.Axis, scale: alt.Scale):
        x = alt.X("step:Q", title="training step", axis=alt.Axis(grid=False))
        tooltip = ["activation:N", "step:Q"] + [
            alt.Tooltip(f"{name}:Q", title=name.replace("_", " "), format=".4f")
            for name in ("accuracy", "accuracy_std", "loss", "loss_std", "train_loss")
        ]
        colour = _colour(comparison)
        band = base.mark_area(opacity=0.15, clip=True).encode(
            x, alt.Y(f"{field}_low:Q", scale=scale), alt.Y2(f"{field}_high:Q"), colour
        )
        line = base.mark_line(strokeWidth=2, clip=True).encode(
            x, alt.Y(f"{field}:Q", title=title, axis=axis, scale=scale), colour
        )
        points = base.mark_point(size=30, filled=True, opacity=0, clip=True).encode(
            x, alt.Y(f"{field}:Q", scale=scale), colour, tooltip=tooltip
        )
        return alt.layer(band, line, points).properties(width=430, height=320)

    top = max((r["loss_high"] for r in by_step), default=1.0)
    chart = alt.hconcat(
        curve("loss", "held-out loss (cross-entropy)", alt.Axis(), alt.Scale(domain=[0, min(top, 4.0)])),
        curve("accuracy", "held-out accuracy", alt.Axis(format="%"), alt.Scale(domain=[0, 1])),
        spacing=40,
    )
    return chart.add_params(_shown(comparison)), by_step


def _by_depth(comparison: Comparison, by_layer: Lines, field: str, title: str, log: bool) -> _Drawn:
    values = [line for line in by_layer if line[field] is not None]
    if log:
        low = min((v[field] for v in values), default=1.0)
        high = max((v[field] for v in values), default=1.0)
        scale = alt.Scale(type="log", domain=[max(low, _SMALLEST), high], nice=True, clamp=True)
        axis = alt.Axis(format="~e", tickCount=6)
    else:
        highest = max((v[field] for v in values), default=0.0)
        scale, axis = alt.Scale(domain=[0, max(highest, 0.1)], nice=True), alt.Axis(format="%", tickCount=6)
    base = (
        alt.Chart(_DATA)
        .transform_filter("datum.step == step && indexof(shown, datum.activation) >= 0")
        .encode(
            _layer(comparison),
            alt.Y(f"{field}:Q", title=title, scale=scale, axis=axis),
            _colour(comparison),
            tooltip=[
                "activation:N",
                "layer:Q",
                "step:Q",
                alt.Tooltip("gradient_norm:Q", title="gradient by output", format=".2e"),
                alt.Tooltip("weight_gradient_norm:Q", title="gradient by weights", format=".2e"),
                alt.Tooltip("preactivation_std:Q", title="std of pre-activations", format=".2e"),
                alt.Tooltip("zero_share:Q", title="zero outputs", format=".1%"),
                alt.Tooltip("dead_share:Q", title="dead units", format=".1%"),
            ],
        )
    )
    chart = alt.layer(base.mark_line(strokeWidth=2), base.mark_point(filled=True, size=45, opacity=1))
    chart = chart.properties(width=900, height=340)
    return chart.add_params(_shown(comparison), alt.param(name="step", value=comparison.steps)), values


def _theory(comparison: Comparison, by_layer: Lines, predictions: Mapping[str, Prediction | None]) -> _Drawn:
    values = []
    for network in comparison.networks():
        at_start = [v for v in by_layer if v["activation"] == network.name and v["step"] == 0]
        norms = [v["preactivation_gradient_norm"] for v in at_start]
        curves = {"measured": [n and norms[-1] and n / norms[-1] for n in norms]}
        if theory := predictions[network.name]:
            curves["theory"] = theory.gradient
        for source, curve in curves.items():
            for layer, norm in enumerate(curve, start=1):
                if norm and norm > _SMALLEST:
                    values.append({"activation": network.name, "source": source, "layer": layer, "norm": norm})
    base = (
        alt.Chart(_DATA)
        .transform_filter("indexof(shown, datum.activation) >= 0")
        .encode(
            _layer(comparison),
            alt.Y(
                "norm:Q",
                title="gradient norm over the last layer's",
                scale=alt.Scale(type="log"),
                axis=alt.Axis(format="~e", tickCount=6),
            ),
            _colour(comparison),
            alt.StrokeDash(
                "source:N", title=None, scale=alt.Scale(domain=["measured", "theory"], range=[[1, 0], [4, 4]])
            ),
            tooltip=["activation:N", "source:N", "layer:Q", alt.Tooltip("norm:Q", format=".2e")],
        )
    )
    chart = base.mark_line(strokeWidth=2).properties(width=900, height=340)
    return chart.add_params(_shown(comparison)), values


def _by_number_of_layers(comparison: Comparison, by_step: Lines) -> _Drawn:
    by_name = {network.name: network for network in comparison.networks()}
    values = [
        {
            "network": line["activation"],
            "activation": by_name[line["activation"]].activation,
            "init": by_name[line["activation"]].init,
            "depth": by_name[line["activation"]].depth,
            "accuracy": line["accuracy"],
        }
        for line in by_step
        if line["step"] == comparison.steps
    ]
    stroke = {"symbolType": "stroke", "symbolOpacity": 1, "symbolStrokeWidth": 3}
    base = alt.Chart(_DATA).encode(
        alt.X(
            "depth:Q",
            title="hidden layers",
            scale=alt.Scale(type="log", base=2, nice=False, padding=10),
            axis=alt.Axis(values=sorted(comparison.depths), grid=False),
        ),
        alt.Y("accuracy:Q", title="held-out accuracy", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
        alt.Color(
            "activation:N",
            title=None,
            scale=alt.Scale(domain=list(comparison.activations), range=list(colours(comparison.activations).values())),
            legend=alt.Legend(**stroke),
        ),
        tooltip=["network:N", alt.Tooltip("accuracy:Q", format=".1%")],
    )
    legend = alt.Legend(symbolStrokeColor="#555", **stroke) if len(comparison.inits) > 1 else None
    lines = base.mark_line(strokeWidth=2).encode(alt.StrokeDash("init:N", title="initialisation", legend=legend))
    points = base.mark_point(filled=True, size=45, opacity=1)
    return alt.layer(lines, points).properties(width=900, height=340), values


def _heatmap(comparison: Comparison, by_layer: Lines) -> _Drawn:
    values = [line for line in by_layer if line["gradient_norm"] is not None]
    norms = [math.log10(line["gradient_norm"]) for line in values] or [0.0]
    steps = sorted({line["step"] for line in values})
    every = max(1, math.ceil(len(steps) / 5))
    cells = (
        alt.Chart()
        .transform_calculate(log_norm="log(datum.gradient_norm) / LN10")
        .mark_rect()
        .encode(
            alt.X(
                "step:O", title="training step", axis=alt.Axis(values=steps[::every], labelAngle=0, labelOverlap=True)
            ),
            alt.Y("layer:O", title="hidden layer", sort="descending", axis=alt.Axis(labelOverlap=True)),
            alt.Color(
                "log_norm:Q",
                title="gradient norm",
                scale=alt.Scale(scheme="viridis", domain=[math.floor(min(norms)), math.ceil(max(norms))]),
                legend=alt.Legend(labelExpr="'1e' + format(datum.value, 'd')", tickMinStep=1, gradientLength=200),
            ),
            tooltip=[
                "activation:N",
                "layer:O",
                "step:O",
                alt.Tooltip("gradient_norm:Q", title="gradient by output", format=".2e"),
            ],
        )
        .properties(width=190, height=190, view=alt.ViewBackground(fill="#ddd"))
    )
    facet = alt.Facet("activation:N", title=None, sort=_names(comparison))
    return cells.facet(facet, data=_DATA, columns=4), values
