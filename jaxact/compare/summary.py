"""One aggregation and one verdict of a log. Table, page and terminal all show these words and numbers."""

import dataclasses
import itertools
import math
import operator
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxact.compare import log
from jaxact.compare.errors import invalid
from jaxact.compare.metrics import Metric, Record, Value, count, diverged, listed, percent, power, rows, times
from jaxact.flow.finding import Finding
from jaxact.flow.findings import fitted_slope

LEAST_DEAD = 0.01
"""Share of dead units from which on the verdict mentions them."""
CONFIDENCE = 0.95
CHANCE = 0.1
"""A network is called no better than guessing if it has made less than this share of the way from chance to perfect."""
WORST_FIRST = {
    "non-finite values": "{} has values that are not finite",
    "non-finite gradients": "{} has gradients that are not finite",
    "vanishing gradients": "The gradient of {} vanishes",
    "exploding gradients": "The gradient of {} explodes",
}
"""The rules of flow that the verdict mentions, in its words."""
SHOWN = {"dead units": "dead_share", "saturation": "x_std", "initialisation": "x_std"}
"""The chart that shows the subject of a rule; otherwise it is the gradient's."""


class Sentence(NamedTuple):
    """One sentence of the verdict, and the chart that shows its subject."""

    text: str
    chart: str


class Found(NamedTuple):
    """A rule of flow that holds in one network: when, in how many seeds, and the first finding."""

    rule: str
    when: str
    first: Finding

    @property
    def chart(self) -> str:
        """The chart that shows it."""
        return SHOWN.get(self.rule, "gradient_norm")

    def __str__(self) -> str:
        return str(self.first).replace(self.rule, f"{self.rule} {self.when}", 1)


@dataclasses.dataclass(frozen=True)
class Compared:
    """One network: an activation with all its seeds, at the learning rate that was best for it."""

    name: str
    records: list[Record]
    values: dict[str, Value | None]
    """By metric."""
    diverged: int
    """How many seeds ended with a loss that is not finite."""
    diverged_at: int | None
    """The first step from which on one of them was not finite; None if none diverged."""
    seeds: int
    learning_rate: float | None
    """The learning rate that was chosen; None if the log has none."""
    rates: tuple[float, ...]
    """Those that were tried."""
    found: tuple[Found, ...]
    about: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Summary:
    """The contents of a log: `networks`, `metrics`, `verdict`, and `table()`."""

    directory: Path
    about: dict[str, Any]
    metrics: list[Metric]
    networks: list[Compared]

    @classmethod
    def of(cls, directories: Sequence[str | os.PathLike[str]]) -> "Summary":
        """Read one or several logs.

        Raises:
          ValueError: there is no log, or it is empty.
        """
        if not directories:
            raise invalid("at least one log", "none", "name its directory")
        read = [log.read(directory) for directory in directories]
        about, prefixes = dict(read[0][0]), _prefixes(directories)
        settings = {
            what["setting"]: prefix + what["setting"] for (what, *_), prefix in zip(read, prefixes, strict=True)
        }
        about["setting"] = listed(settings.values()) if len(settings) > 1 else about["setting"]
        networks: list[tuple[str, list[Record], dict[str, Any]]] = []
        for (what, records, facts), prefix in zip(read, prefixes, strict=True):
            if what["higher_is_better"] != about["higher_is_better"]:
                kinds = f"{about['higher_is_better']} and {what['higher_is_better']}"
                raise invalid("logs of one kind", f"metrics {kinds}", "report them one by one")
            about["chance"] = {**what["chance"], **about["chance"]}
            for key, value in what["chance"].items():
                if value != about["chance"][key]:
                    kinds = f"{key} of {about['chance'][key]} and {value} by guessing"
                    raise invalid("logs of one kind", kinds, "report them one by one")
            for name, mine in itertools.groupby(records, operator.itemgetter("network")):
                for label, part in _apart(name, list(mine)):
                    networks.append((prefix + label, part, facts.get(name, {})))
        if not networks:
            raise invalid("a log with records", f"{directories[0]}, which has none", "add some to it")
        chose_rates = any(len(_by_rate(mine)) > 1 for _, mine, _ in networks)
        metrics = rows(about, [record for _, mine, _ in networks for record in mine], chose_rates)
        made = [_compared(name, mine, facts, metrics) for name, mine, facts in networks]
        return cls(Path(directories[0]).expanduser().resolve(), about, metrics, made)

    @property
    def counts(self) -> Metric | None:
        """The metric that decides who is best: the first one of which more is better, or else the loss."""
        return next((m for m in self.metrics if m.better), None)

    @property
    def chose_rates(self) -> bool:
        """Whether learning rates were chosen from several."""
        return any(len(network.rates) > 1 for network in self.networks)

    def ranked(self, metric: Metric) -> list[tuple[Compared, Value]]:
        """The networks that have a value of a metric, the best first."""
        sign = -1 if metric.better == "higher" else 1
        scored = [(network, value) for network in self.networks if (value := network.values[metric.name])]
        return sorted(scored, key=lambda pair: sign * pair[1].centre)

    @property
    def records(self) -> list[Record]:
        """All records of the rates that were chosen."""
        return [record for network in self.networks for record in network.records]

    def table(self) -> list[dict[str, str]]:
        """The final table: titles, and one row of texts per network."""
        made = []
        for network in self.networks:
            row = {"activation": network.name}
            if self.chose_rates:
                row["learning rate"] = "-" if network.learning_rate is None else f"{network.learning_rate:g}"
            for metric in self.metrics:
                if metric.column:
                    row[metric.title] = metric.cell(network.values[metric.name])
            if any(n.diverged for n in self.networks):
                row["diverged"] = f"{network.diverged}/{network.seeds}" if network.diverged else ""
            made.append(row)
        return made

    def theory(self) -> list[dict[str, str]]:
        """The predictions of theory before training, beside the measurements; no rows if theory predicts nothing."""
        made = []
        for network in self.networks:
            predicted = network.about.get("predicted") or {}
            ends = [r["sites"][-1]["y_std"] for r in network.records if r["step"] == 0 and r.get("sites")]
            measured = network.values.get("gradient a layer at start")
            if predicted.get("gradient") and measured and ends and all(ends):
                slope = fitted_slope(np.log(np.maximum(predicted["gradient"], 1e-300)))
                row = {
                    "activation": network.name,
                    "gradient a layer, theory": times(math.exp(-slope)),
                    "gradient a layer, measured": times(measured.centre),
                    "variance, theory": power(predicted.get("activation_variance", math.nan)),
                    "variance, measured": power(statistics.geometric_mean(ends) ** 2),
                    "chi_1, theory": power(predicted.get("chi_1", math.nan)),
                }
                made.append(row)
        return made

    @property
    def verdict(self) -> list[Sentence]:
        """The sentences about this run, the worst first."""
        said: list[Sentence] = []
        curve = next((m.name for m in self.metrics if m.name in ("loss", "train_loss")), "")
        for network in self.networks:
            if network.diverged:
                share = f"in {network.diverged} of {count(network.seeds, 'seed')}"
                when = f"from {f'step {network.diverged_at:,}' if network.diverged_at else 'the start'} on"
                said.append(Sentence(f"{network.name} diverged {share}: its loss is not finite {when}.", curve))
        for network in self.networks:
            for found in network.found:
                if found.rule in WORST_FIRST:
                    text = f"{WORST_FIRST[found.rule].format(network.name)} {found.when}: {found.first.evidence}."
                    said.append(Sentence(text, found.chart))
        said += self._dead()
        if self.counts:
            said += [*self._chance(self.counts), *self._best(self.counts)]
        return said

    def _at_end(self, metric: str, say: Callable[[Value], str]) -> Iterable[tuple[str, str]]:
        """The texts about networks' values, with the step at which they end. Those with the text "" are left out."""
        told: dict[str, list[str]] = {}
        for network in self.networks:
            if (value := network.values.get(metric)) and (said := say(value)):
                told.setdefault(_at(value.step), []).append(said.format(network.name))
        return ((when, listed(said)) for when, said in told.items())

    def _dead(self) -> Iterable[Sentence]:
        def say(value: Value) -> str:
            return f"{percent(value.centre)} in {{}}" if value.centre >= LEAST_DEAD else ""

        none = f"none of the {self.about['nouns'].get('examples', 'examples')} comes through them"
        for when, said in self._at_end("dead units", say):
            yield Sentence(f"Dead units {when}: {said}; {none}.", "dead_share")

    def _chance(self, metric: Metric) -> Iterable[Sentence]:
        chance = self.about["chance"].get(metric.name)

        def say(value: Value) -> str:
            if chance is None:
                return ""
            better = value.centre - chance if metric.better == "higher" else chance - value.centre
            whole = 1 - chance if metric.better == "higher" and chance < 1 else abs(chance)
            return f"{{}} with {metric.cell(value)}" if better < CHANCE * whole else ""

        for when, said in self._at_end(metric.name, say):
            text = f"Hardly better than guessing in {metric.title} {when}, if at all: {said}"
            yield Sentence(f"{text}; guessing gives {metric.text(chance)}.", metric.name)

    def _best(self, metric: Metric) -> Iterable[Sentence]:
        scored = self.ranked(metric)
        if len(scored) < 2:
            return
        (_, top), *_, (worst, least) = scored
        steps = sorted({value.step for _, value in scored})
        when = _at(top.step) if len(steps) == 1 else f"at their ends, from step {steps[0]:,} to {steps[-1]:,},"
        equal = [network.name for network, value in scored if value.centre == top.centre]
        if len(equal) == len(scored):
            yield Sentence(f"All have the same {metric.title} {when}: {metric.cell(top)}.", metric.name)
            return
        verb, its = ("is", "Its") if len(equal) == 1 else ("are", "Their")
        said = f"Best in {metric.title} {when} {verb} {listed(equal)} with {metric.cell(top)}, "
        said += f"last {worst.name} with {metric.cell(least)}."
        known = {n.name: (value, ends) for n, value in scored[len(equal) :] if (ends := paired(top, value))}
        sure = [
            name for name, (_, (low, high)) in known.items() if (low > 0 if metric.better == "higher" else high < 0)
        ]
        if not known:
            few = "one seed" if len(top.by_seed) == 1 else "fewer than two seeds in common"
            said += f" With {few} nothing can be said of whether these differences are more than chance."
        if sure:
            said += f" {its} lead over {listed(sure)} is more than the spread over seeds explains (over {sure[0]}: "
            said += (
                f"{interval_text(metric, top, known[sure[0]][0])}, {CONFIDENCE:.0%} confidence of paired differences)."
            )
        if rest := [name for name in known if name not in sure]:
            said += f" {its} lead over {listed(rest)} may be chance with {count(len(top.by_seed), 'seed')}."
        yield Sentence(said, metric.name)


def paired(one: Value, other: Value) -> tuple[float, float] | None:
    """Confidence interval of the mean difference over the seeds that both have; None for fewer than two seeds."""
    differences = [one.by_seed[seed] - other.by_seed[seed] for seed in one.by_seed.keys() & other.by_seed.keys()]
    if len(differences) < 2:
        return None
    from scipy.special import stdtrit

    half = float(stdtrit(len(differences) - 1, (1 + CONFIDENCE) / 2)) * statistics.stdev(differences)
    half /= math.sqrt(len(differences))
    mean = statistics.fmean(differences)
    return mean - half, mean + half


def interval_text(metric: Metric, one: Value, other: Value) -> str:
    """Say a paired difference with its interval."""
    interval = paired(one, other)
    if interval is None:
        return "-"
    signed = [f"{'-' if v < 0 else '+'}{metric.text(abs(v))}" for v in (sum(interval) / 2, *interval)]
    return f"{signed[0]}, from {signed[1]} to {signed[2]}"


def _compared(name: str, records: list[Record], facts: dict[str, Any], metrics: Sequence[Metric]) -> Compared:
    by_rate = _by_rate(records)
    chosen = min(by_rate, key=lambda rate: _validation(by_rate[rate]))
    records = by_rate[chosen]
    since = diverged(records)
    lost = [step for step in since.values() if step is not None]
    return Compared(
        name=name,
        records=records,
        values={metric.name: metric.value(records) for metric in metrics},
        diverged=len(lost),
        diverged_at=min(lost, default=None),
        seeds=len(since),
        learning_rate=chosen,
        rates=tuple(rate for rate in by_rate if rate is not None),
        found=_findings(records),
        about=facts,
    )


def _by_rate(records: list[Record]) -> dict[float | None, list[Record]]:
    """The records of each learning rate that was tried. A rate that changes during one training is one of them."""
    if len({(r["step"], r["seed"]) for r in records}) == len(records):
        in_order = sorted(records, key=operator.itemgetter("step", "seed"))
        return {in_order[-1].get("learning_rate"): in_order}
    return {rate: list(mine) for rate, mine in itertools.groupby(records, lambda r: r.get("learning_rate"))}


def _apart(name: str, records: list[Record]) -> Iterable[tuple[str, list[Record]]]:
    """The records of a network; those of each learning rate by themselves if no validation loss chooses one."""
    rates = _by_rate(records)
    if len(rates) == 1 or any("validation_loss" in r for r in records):
        return [(name, records)]
    return ((name if rate is None else f"{name} at {rate:g}", mine) for rate, mine in rates.items())


def _prefixes(directories: Sequence[str | os.PathLike[str]]) -> list[str]:
    """What stands before the names of each log's networks: the directory's name, or as much of its path as differs."""
    if len(directories) == 1:
        return [""]
    paths = [str(Path(directory).expanduser().resolve()) for directory in directories]
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise invalid("each log once", f"{twice[0]} more than once", "drop the repeated one")
    names = [os.path.basename(path) for path in paths]
    if len(set(names)) < len(names):
        names = [os.path.relpath(path, os.path.commonpath(paths)) for path in paths]
    return [f"{name}: " for name in names]


def _validation(records: list[Record]) -> float:
    """The validation loss at the end; infinite where a seed diverged or it was not measured."""
    last = max(r["step"] for r in records)
    losses = [math.inf if r["diverged"] else r.get("validation_loss") for r in records if r["step"] == last]
    return statistics.fmean(math.inf if loss is None else loss for loss in losses)


def _findings(records: list[Record]) -> tuple[Found, ...]:
    """For each rule, say at which steps it holds, and in how many seeds, with the first finding."""
    places: dict[str, list[tuple[Record, Finding]]] = {}
    for record in records:
        for finding in {f["rule"]: Finding(**f) for f in reversed(record.get("findings", ()))}.values():
            places.setdefault(finding.rule, []).append((record, finding))
    observed = [record for record in records if "findings" in record]
    every, end = sorted({r["step"] for r in observed}), max(r["step"] for r in records)
    seeds = count(len({r["seed"] for r in observed}), "seed")
    found, order = [], [*WORST_FIRST, *places]
    for rule, seen in sorted(places.items(), key=lambda item: order.index(item[0])):
        when = _during(sorted({r["step"] for r, _ in seen}), every, end)
        found.append(Found(rule, f"{when}, in {len({r['seed'] for r, _ in seen})} of {seeds}", seen[0][1]))
    return tuple(found)


def _during(steps: Sequence[int], every: Sequence[int], end: int) -> str:
    """The steps at which something was found, among all that were observed, in words; training ends at `end`."""
    if len(steps) == 1:
        return _at(steps[0])
    ends = [_at(step).removeprefix("at ") for step in (steps[0], steps[-1])]
    between = f"from {ends[0]} to {'the end' if steps[-1] == end else ends[1]}"
    whole = len([step for step in every if steps[0] <= step <= steps[-1]]) == len(steps)
    return between if whole else f"at {len(steps)} of {count(len(every), 'measured step')} {between}"


def _at(step: int) -> str:
    return f"at step {step:,}" if step else "before training"
