"""One aggregation and one verdict of a log. Table, page and terminal show these same words and numbers."""

import collections
import dataclasses
import math
import os
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxact.compare import log
from jaxact.compare.errors import invalid
from jaxact.compare.metrics import Metric, Record, Value, count, listed, percent, power, rows, times

LEAST_DEAD = 0.01
"""Share of dead units from which on they are worth a sentence."""
CONFIDENCE = 0.95
CHANCE = 0.1
"""A network is called no better than guessing if it has made less than this share of the way from chance to perfect."""
WORST_FIRST = {
    "non-finite values": "{} has values that are not finite",
    "non-finite gradients": "{} has gradients that are not finite",
    "vanishing gradients": "The gradient of {} vanishes",
    "exploding gradients": "The gradient of {} explodes",
}
"""Those of flow's rules that the verdict says, in its words."""
SHOWN = {"dead units": "dead_share", "saturation": "x_std", "initialisation": "x_std"}
"""The chart that shows what a rule is about; else the gradient's."""


class Sentence(NamedTuple):
    """One thing that the verdict says, and the chart that shows it."""

    text: str
    chart: str


class Found(NamedTuple):
    """A finding of flow's in one network: when, in how many seeds, and the first evidence."""

    rule: str
    when: str
    steps: list[int]
    seeds: int
    site: str
    evidence: str
    advice: str

    @property
    def chart(self) -> str:
        """The chart that shows it."""
        return SHOWN.get(self.rule, "gradient_norm")

    def __str__(self) -> str:
        return f"{self.rule} {self.when}: {self.site}: {self.evidence}. {self.advice[:1].upper()}{self.advice[1:]}."


@dataclasses.dataclass(frozen=True)
class Compared:
    """One network: an activation, with all its seeds, at the learning rate that was best for it."""

    name: str
    records: list[Record]
    values: dict[str, Value | None]
    """By metric."""
    diverged: int
    """How many seeds ended with a loss that is not finite."""
    seeds: int
    learning_rate: float | None
    """The one that was chosen, None where there was no choice."""
    rates: tuple[float, ...]
    found: tuple[Found, ...]
    about: dict[str, Any]

    @property
    def last(self) -> int:
        """The last step that was measured."""
        return max((r["step"] for r in self.records), default=0)


@dataclasses.dataclass(frozen=True)
class Summary:
    """All that a log says: `networks`, `metrics`, `verdict`, and `table()`."""

    directory: Path
    about: dict[str, Any]
    metrics: list[Metric]
    networks: list[Compared]

    @classmethod
    def of(cls, directories: Sequence[str | os.PathLike[str]]) -> "Summary":
        """Read one or several logs.

        Raises:
          ValueError: there is no log, or nothing in it.
        """
        read = [log.read(directory) for directory in directories]
        about = read[0][0]
        networks: list[tuple[str, list[Record], dict[str, Any]]] = []
        for (what, records, facts), path in zip(read, directories, strict=True):
            prefix = f"{Path(path).name}: " if len(read) > 1 else ""
            if what["higher_is_better"] != about["higher_is_better"]:
                kinds = f"{about['higher_is_better']} and {what['higher_is_better']}"
                raise invalid("logs of one kind", f"metrics {kinds}", "report them one by one")
            grouped = collections.defaultdict(list)
            for record in records:
                grouped[record["network"]].append(record)
            networks += [(prefix + name, mine, facts.get(name, {})) for name, mine in grouped.items()]
        if not networks:
            raise invalid("a log with records", f"{directories[0]}, which has none", "add some to it")
        metrics = rows(about, [record for _, mine, _ in networks for record in mine])
        made = [_compared(name, mine, facts, metrics) for name, mine, facts in networks]
        return cls(Path(directories[0]).expanduser().resolve(), about, metrics, made)

    @property
    def counts(self) -> Metric | None:
        """The metric that decides who is best: the first of which more is better, else the loss."""
        return next((m for m in self.metrics if m.better), None)

    @property
    def records(self) -> list[Record]:
        """All records, of the rates that were chosen."""
        return [record for network in self.networks for record in network.records]

    def table(self) -> list[dict[str, str]]:
        """The final table: titles and texts, a row a network."""
        made = []
        for network in self.networks:
            row = {"activation": network.name}
            if any(n.learning_rate is not None for n in self.networks):
                row["learning rate"] = "-" if network.learning_rate is None else f"{network.learning_rate:g}"
            for metric in self.metrics:
                if metric.column:
                    row[metric.title] = metric.cell(network.values[metric.name])
            if any(n.diverged for n in self.networks):
                row["diverged"] = f"{network.diverged}/{network.seeds}" if network.diverged else ""
            made.append(row)
        return made

    def theory(self) -> list[dict[str, str]]:
        """What theory predicts before training, beside what was measured; no rows where it predicts nothing."""
        made = []
        for network in self.networks:
            predicted, start = network.about.get("predicted") or {}, [r for r in network.records if r["step"] == 0]
            stds = [r["sites"][-1]["y_std"] for r in start if r.get("sites") and r["sites"][-1]["y_std"]]
            if not predicted or not stds:
                continue
            measured = network.values.get("gradient_start")
            factor, variance = math.exp(-slope(predicted["gradient"])), statistics.geometric_mean(stds) ** 2
            made.append(
                {
                    "activation": network.name,
                    "gradient a layer, theory": times(factor),
                    "gradient a layer, measured": times(measured.centre) if measured else "-",
                    "variance, theory": power(predicted["activation_variance"]),
                    "variance, measured": power(variance),
                    "chi_1, theory": power(predicted["chi_1"]),
                }
            )
        return made

    @property
    def verdict(self) -> list[Sentence]:
        """What is seen in this very run, the worst first."""
        said: list[Sentence] = []
        for network in self.networks:
            if network.diverged:
                when = _when_diverged(network)
                share = f"in {network.diverged} of {count(network.seeds, 'seed')}"
                said.append(
                    Sentence(f"{network.name} diverged {share}: its loss is not finite from {when} on.", self._curve)
                )
        for network in self.networks:
            for found in network.found:
                if found.rule in WORST_FIRST:
                    text = f"{WORST_FIRST[found.rule].format(network.name)} {found.when}: {found.evidence}."
                    said.append(Sentence(text, found.chart))
        said += self._dead()
        if self.counts:
            said += [*self._chance(self.counts), *self._best(self.counts)]
        return said

    @property
    def _curve(self) -> str:
        return next((m.name for m in self.metrics if m.name in ("loss", "train_loss")), "")

    @property
    def _examples(self) -> str:
        return self.about["nouns"].get("examples", "examples")

    def _dead(self) -> Iterable[Sentence]:
        for network in self.networks:
            value = network.values.get("dead_units")
            if value and value.centre >= LEAST_DEAD:
                text = (
                    f"{percent(value.centre)} of the units of {network.name} are dead {_at(network.last)}: none of the "
                )
                yield Sentence(f"{text}{self._examples} comes through them.", "dead_share")

    def _chance(self, metric: Metric) -> Iterable[Sentence]:
        chance = self.about["chance"].get(metric.name)
        for network in self.networks:
            value = network.values[metric.name]
            if chance is None or value is None:
                continue
            better = value.centre - chance if metric.better == "higher" else chance - value.centre
            whole = 1 - chance if metric.better == "higher" else abs(chance)
            if better < CHANCE * whole:
                how = "no better than guessing" if better < CHANCE / 2 * whole else "hardly better than guessing"
                text = f"{network.name} is {how} {_at(network.last)}: {metric.title} {metric.cell(value)}, "
                yield Sentence(f"{text}guessing gives {metric.text(chance)}.", metric.name)

    def _best(self, metric: Metric) -> Iterable[Sentence]:
        scored = [(n, v) for n in self.networks if (v := n.values[metric.name]) is not None]
        if len(scored) < 2:
            return
        sign = 1 if metric.better == "higher" else -1
        scored.sort(key=lambda pair: -sign * pair[1].centre)
        (best, top), (worst, least) = scored[0], scored[-1]
        said = f"Best in {metric.title} {_at(best.last)} is {best.name} with {metric.cell(top)}, "
        said += f"last {worst.name} with {metric.cell(least)}."
        intervals = {network.name: paired(top, value) for network, value in scored[1:]}
        known = {name: interval for name, interval in intervals.items() if interval is not None}
        sure = [name for name, (low, high) in known.items() if low > 0 or high < 0]
        if not known:
            said += " With one seed nothing can be said of whether these differences are more than chance."
        if sure:
            nearest = next(value for network, value in scored[1:] if network.name == sure[0])
            said += f" Its lead over {listed(sure)} is more than the spread over seeds explains (over {sure[0]}: "
            said += f"{interval_text(metric, top, nearest)}, {CONFIDENCE:.0%} confidence of paired differences)."
        if len(sure) < len(known):
            rest = [name for name in known if name not in sure]
            said += f" Its lead over {listed(rest)} may be chance with {count(len(top.by_seed), 'seed')}."
        yield Sentence(said, metric.name)


def slope(norms: Sequence[float]) -> float:
    """The gradient's slope as `jaxact.flow` defines it, of norms by depth: by least squares, of their logarithms."""
    return float(np.polyfit(range(len(norms)), np.log(np.maximum(norms, 1e-300)), 1)[0]) if len(norms) > 1 else 0.0


def paired(one: Value, other: Value) -> tuple[float, float] | None:
    """Confidence interval of the mean difference over the seeds that both have; None for fewer than two."""
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
    rates = tuple(sorted({r["learning_rate"] for r in records if r.get("learning_rate") is not None}))
    chosen = None
    if len(rates) > 1:
        chosen = min(rates, key=lambda rate: _validation([r for r in records if r["learning_rate"] == rate]))
        records = [r for r in records if r["learning_rate"] == chosen]
    last = max(r["step"] for r in records)
    end = [r for r in records if r["step"] == last]
    return Compared(
        name=name,
        records=records,
        values={metric.name: metric.value(records) for metric in metrics},
        diverged=sum(r["diverged"] for r in end),
        seeds=len({r["seed"] for r in records}),
        learning_rate=chosen,
        rates=rates,
        found=_findings(records),
        about=facts,
    )


def _validation(records: list[Record]) -> float:
    """The validation loss at the end; infinite where a seed diverged or it was not measured."""
    last = max(r["step"] for r in records)
    losses = [math.inf if r["diverged"] else r.get("validation_loss") for r in records if r["step"] == last]
    return statistics.fmean(math.inf if loss is None else loss for loss in losses)


def _findings(records: list[Record]) -> tuple[Found, ...]:
    """Say of each rule when it holds: at which steps, and in how many seeds, with the evidence of the first."""
    seen: dict[str, list[tuple[Record, dict[str, Any]]]] = {}
    for record in records:
        for finding in {f["rule"]: f for f in reversed(record.get("findings", ()))}.values():
            seen.setdefault(finding["rule"], []).append((record, finding))
    every = sorted({r["step"] for r in records})
    total = len({r["seed"] for r in records})
    found = []
    for rule, places in seen.items():
        steps, seeds = sorted({r["step"] for r, _ in places}), len({r["seed"] for r, _ in places})
        first = places[0][1]
        when = f"{_during(steps, every)}, in {seeds} of {count(total, 'seed')}"
        site = first["site"].lstrip("/") + (
            f" ({first['source']})" if first.get("source", "unknown") != "unknown" else ""
        )
        found.append(Found(rule, when, steps, seeds, site, first["evidence"], first["advice"]))
    rank = {rule: place for place, rule in enumerate(WORST_FIRST)}
    return tuple(sorted(found, key=lambda f: (rank.get(f.rule, len(rank)), f.steps[0])))


def _during(steps: Sequence[int], every: Sequence[int]) -> str:
    """When, in words: of all steps that were measured, those at which it was found."""
    if len(steps) == 1:
        return _at(steps[0])
    ends = [_at(step).removeprefix("at ") for step in (steps[0], steps[-1])]
    between = f"from {ends[0]} to {'the end' if steps[-1] == every[-1] else ends[1]}"
    whole = len([step for step in every if steps[0] <= step <= steps[-1]]) == len(steps)
    return between if whole else f"at {len(steps)} of {count(len(every), 'measured step')} {between}"


def _at(step: int) -> str:
    return f"at step {step:,}" if step else "before training"


def _when_diverged(network: Compared) -> str:
    first = min(r["step"] for r in network.records if r["diverged"])
    return f"step {first:,}" if first else "the start"
