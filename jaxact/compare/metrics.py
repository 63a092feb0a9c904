"""The metrics, one row for each: how to get it from a record, average, format and draw it."""

import dataclasses
import math
import operator
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

Record = dict[str, Any]


class Value(NamedTuple):
    """A metric of one network."""

    centre: float
    """Over its seeds."""
    spread: float | None
    """Standard deviation over seeds (n - 1), or for times half the distance between quartiles; None for one seed."""
    by_seed: dict[int, float]
    step: int
    """The last step that counts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """A number of each record, or of each site of a record."""

    name: str
    """The metric's key in a record."""
    title: str
    """The title of its column and of its chart's axis."""
    of: Callable[[Record], float | None]
    """The function that takes it from a record, or from a site."""
    key: str = ""
    """The key of the records in which it was measured, where that is not its name."""
    at: Literal["start", "end", "always"] = "end"
    """The steps that count for the table."""
    over: Literal["mean", "median"] = "mean"
    """How to average it over seeds, and over steps if all steps count."""
    text: Callable[[float], str]
    spread: bool = False
    """Whether the table shows the spread."""
    better: Literal["higher", "lower", None] = None
    drawn: bool = False
    """Whether it is drawn by step."""
    explanation: str = ""
    """The text above its chart on the page."""
    heatmap: bool = False
    """Whether it is drawn by depth and step too."""
    column: bool = True
    """Whether the table has it."""
    log: bool = False
    """Whether its axis is logarithmic; then it is averaged as its logarithm."""

    @property
    def is_share(self) -> bool:
        """Whether it is a share of 1, which is shown in percent."""
        return self.text is percent

    @property
    def heading(self) -> str:
        """The title, as a sentence begins."""
        return self.title[:1].upper() + self.title[1:]

    def value(self, records: Sequence[Record]) -> Value | None:
        """Average over the records of one network at the steps that count."""
        if self.at == "end":
            lost = {seed for seed, first in diverged(records).items() if first is not None}
            records = [r for r in records if r["seed"] not in lost and (self.key or self.name) in r]
        if self.at != "always":
            step = (min if self.at == "start" else max)((r["step"] for r in records), default=0)
            records = [r for r in records if r["step"] == step]
        return self.average(records)

    def average(self, records: Sequence[Record]) -> Value | None:
        """Average over records of one network that did not diverge."""
        found = [(r["seed"], v) for r in records if not r["diverged"] and (v := self.of(r)) is not None]
        values, spread = [value for _, value in found], None
        last = max((r["step"] for r in records), default=0)
        if self.over == "median":
            if len(values) > 1:
                first, _, third = statistics.quantiles(values, n=4, method="inclusive")
                spread = (third - first) / 2
            return Value(statistics.median(values), spread, {}, last) if values else None
        spread = statistics.stdev(values) if len(values) > 1 else None
        return Value(self.mean(values), spread, dict(found), last) if values else None

    def mean(self, values: Sequence[float]) -> float:
        """The mean, or the geometric mean for a logarithmic axis, where 0 counts as the smallest positive number."""
        if not self.log:
            return statistics.fmean(values)
        return math.exp(statistics.fmean(math.log(max(v, 1e-300)) for v in values))

    def cell(self, value: Value | None) -> str:
        """What the table says."""
        if value is None:
            return "-"
        shown = self.text(value.centre)
        if not self.spread or value.spread is None:
            return shown
        relevant = value.spread if value.spread > 1e-3 * abs(value.centre) else 0.0
        spread, unit = self.text(relevant), re.sub(r"^[^ ]*", "", shown)
        return f"{shown.removesuffix(unit)} ± {spread}" if unit and spread.endswith(unit) else f"{shown} ± {spread}"


def diverged(records: Sequence[Record]) -> dict[int, int | None]:
    """For each seed the step from which on its loss is not finite until its end; None if it is finite there."""
    since: dict[int, int | None] = {}
    for record in sorted(records, key=operator.itemgetter("step")):
        before = since.get(record["seed"])
        since[record["seed"]] = (record["step"] if before is None else before) if record["diverged"] else None
    return since


def scalar(name: str) -> Callable[[Record], float | None]:
    """Take a number that a record has."""
    return lambda record: record.get(name)


def _factor(record: Record) -> float | None:
    """The factor of the gradient's norm per layer, on its way from the output back to the input."""
    slope = record.get("gradient_slope")
    return None if slope is None else math.exp(-slope)


def _dead(record: Record) -> float | None:
    seen = [(s["dead_share"], s["units"]) for s in record.get("sites", ()) if s["dead_share"] is not None]
    return sum(share * units for share, units in seen) / sum(units for _, units in seen) if seen else None


def power(value: float) -> str:
    """Two digits, as a power of ten where it is far from 1."""
    return f"{value:.2g}" if 1e-2 <= value < 1e3 or value == 0 else f"{value:.0e}"


def milliseconds(value: float) -> str:
    """Seconds as milliseconds."""
    return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.1f} s"


def digits(value: float) -> str:
    """Two decimals for numbers between 0.1 and 1,000, none from there to a million, and else two digits."""
    if 1e3 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.2f}" if 0.1 <= abs(value) < 1e3 or value == 0 else f"{value:#.2g}"


percent = "{:.1%}".format
"""0.923 as 92.3%."""
times = "\N{MULTIPLICATION SIGN}{:.3g}".format
"""A factor."""

FIXED = (
    Metric(
        name="gradient a layer at start",
        title="gradient a layer at start",
        of=_factor,
        key="gradient_slope",
        at="start",
        text=times,
        log=True,
    ),
    Metric(
        name="gradient a layer at end",
        title="gradient a layer at end",
        of=_factor,
        key="gradient_slope",
        text=times,
        log=True,
    ),
    Metric(name="dead units", title="dead units", of=_dead, key="sites", text=percent),
    Metric(
        name="seconds_per_step",
        title="time per step",
        of=scalar("seconds_per_step"),
        at="always",
        over="median",
        text=milliseconds,
        spread=True,
    ),
)
"""The columns of every log that has the numbers for them. The name of what is computed has spaces, unlike a keyword."""

SITES = (
    Metric(
        name="gradient_norm",
        title="norm of the gradient",
        of=scalar("gradient_norm"),
        text=power,
        log=True,
        heatmap=True,
        explanation="Norm of the loss's gradient with respect to each activation's output. The gradient starts at the "
        "last layer and flows back to the first: where a line falls towards the input, it vanishes.",
    ),
    Metric(
        name="x_std",
        title="std of the pre-activations",
        of=scalar("x_std"),
        text=power,
        log=True,
        explanation="Standard deviation of what comes into each activation, over examples and units. It should neither "
        "fade nor blow up on its way from the first layer to the last.",
    ),
    Metric(
        name="dead_share",
        title="share of dead units",
        of=scalar("dead_share"),
        text=percent,
        explanation="Share of units with |f'| < 0.001 for every held-out example: no gradient comes through them.",
    ),
)
"""The metrics that are drawn by depth."""

_RESERVED = ("learning_rate", "seconds_per_step", "parameter_gradient_norm", "gradient_slope")
_PARTS = ("train", "training", "val", "valid", "validation", "test", "eval")
"""Beginnings of a metric's name that say of which data it is."""


def rows(about: dict[str, Any], records: Sequence[Record], chose_rates: bool = False) -> list[Metric]:
    """Make the rows of the metrics of a log: those with the log's own names, the loss, and the fixed ones."""
    hidden = (*_RESERVED, *(["validation_loss"] if chose_rates else []))
    named = dict.fromkeys(k for r in records for k, v in r.items() if isinstance(v, float) and k not in hidden)
    names = [*dict.fromkeys([*(n for n in about["higher_is_better"] if n in named), *named])]
    made = [
        Metric(
            name=name,
            title="training loss" if name == "train_loss" else _title(name),
            of=scalar(name),
            text=percent if _is_share(name, records) else digits,
            spread=True,
            better="higher" if name in about["higher_is_better"] else "lower" if name == "loss" else None,
            column=name != "train_loss",
            drawn=True,
            explanation=f"Loss: {about['nouns']['loss']}." if name == "loss" and "loss" in about["nouns"] else "",
        )
        for name in names
    ]
    return [*made, *(m for m in FIXED if any(m.of(r) is not None for r in records))]


def _is_share(name: str, records: Sequence[Record]) -> bool:
    """Whether name and numbers are those of a share of 1: an accuracy of 92.3 is in percent already."""
    values = [value for r in records if (value := r.get(name)) is not None]
    return name.endswith(("accuracy", "share", "rate")) and all(0 <= value <= 1 for value in values)


def _title(name: str) -> str:
    words = name.replace("_", " ")
    return words if name.partition("_")[0] in _PARTS else f"held-out {words}"


def count(number: int, noun: str) -> str:
    """A number and its noun: 1 seed, 2 seeds."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(names: Iterable[str]) -> str:
    """Names in a sentence: a, b and c."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
