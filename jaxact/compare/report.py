"""What a run found: the final tables, and what they say in a sentence or two."""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from jaxact.compare.comparison import Comparison, Network
from jaxact.compare.theory import Prediction

VANISHED = 1e-3
"""A first layer's gradient of this share of the last layer's is called vanished, and exploded at the inverse."""


TRAINED = 0.5
"""A network that gets this share of the held-out examples right is called trained. Chance is a tenth."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the final tables, over the seeds that did not diverge; None where there is none of them."""

    network: Network
    accuracy: tuple[float, float] | None
    """Held-out accuracy at the end: mean and standard deviation (n - 1) over seeds."""
    loss: tuple[float, float] | None
    """Held-out cross-entropy at the end, in the same way."""
    ratio_at_start: float | None
    """Gradient norm at the first layer's output over that at the last layer's, before training, geometric mean."""
    ratio_at_end: float | None
    """The same after training."""
    dead_share: float | None
    """Share of units that no held-out example comes through (|f'| < 1e-3) at the end, over all layers and seeds."""
    seconds_per_step: float
    """Median time of a training step of all seeds together, compilation left out."""
    diverged: int
    """How many seeds ended with a loss that is not finite."""
    gradient_slope: float | None = None
    """Change of ln(gradient norm) by the pre-activations, a layer on the way back, before training; mean over seeds."""
    activation_variance: float | None = None
    """Variance of the last hidden layer's outputs before training; geometric mean over seeds."""
    chi: float | None = None
    """Factor of the gradient's mean square, a layer on the way back, in the second half of the network."""
    predicted: Prediction | None = None
    """What theory says of these three; None where it can't."""
    findings: tuple[str, ...] = ()
    """What `jaxact.flow` finds in the network at the start and at the end, and in how many of its seeds."""


@dataclasses.dataclass(frozen=True)
class Result:
    """All that a run found."""

    comparison: Comparison
    directory: Path
    records: list[dict[str, Any]]
    """The lines of metrics.jsonl."""
    rows: list[Row]
    """The final tables, in the order of the comparison's networks."""

    @classmethod
    def of(
        cls,
        comparison: Comparison,
        directory: Path,
        records: list[dict[str, Any]],
        timing: list[dict[str, Any]],
        predictions: Mapping[str, Prediction | None],
    ) -> "Result":
        """Make the tables from the lines of metrics.jsonl and timing.jsonl, and the predictions by network."""
        rows = []
        for network in comparison.networks():
            lines = [r for r in records if r["network"] == network.name]
            first, last = ([r for r in lines if r["step"] == step] for step in (0, comparison.steps))
            start, end = ([r for r in at if not r["diverged"]] for at in (first, last))
            rows.append(
                Row(
                    network=network,
                    accuracy=_mean_and_std(r["accuracy"] for r in end),
                    loss=_mean_and_std(r["loss"] for r in end),
                    ratio_at_start=_ratio(start),
                    ratio_at_end=_ratio(end),
                    dead_share=_mean(v for r in end for v in r["dead_share"]),
                    seconds_per_step=statistics.median(
                        t["seconds_per_step"] for t in timing if t["network"] == network.name
                    ),
                    diverged=len(last) - len(end),
                    gradient_slope=_mean(_slope(r["preactivation_gradient_norm"]) for r in start),
                    activation_variance=_geometric_mean(r["activation_std"][-1] ** 2 for r in start),
                    chi=_exp(_mean(_slope(_second_half(r["preactivation_gradient_norm"])) for r in start), times=2),
                    predicted=predictions[network.name],
                    findings=_findings_of(first, last),
                )
            )
        return cls(comparison, directory, records, rows)


def _findings_of(first: list[dict[str, Any]], last: list[dict[str, Any]]) -> tuple[str, ...]:
    """Say what is found at the start, at the end, or at both in the same words."""
    start, end = _found(first), _found(last)
    both = dict.fromkeys(set(start) & set(end), "at the start and the end")
    when = dict.fromkeys(start, "at the start") | dict.fromkeys(end, "at the end") | both
    return tuple(f"{rule} {when[rule, text]}, {text}" for rule, text in when)


def _found(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """List the rule of each finding of a network, and in how many seeds, with the evidence of the first that has it."""
    said: dict[str, tuple[dict[str, str], int]] = {}
    for line in lines:
        for finding in {f["rule"]: f for f in reversed(line["findings"])}.values():
            first, count = said.get(finding["rule"], (finding, 0))
            said[finding["rule"]] = first, count + 1
    return [
        (
            rule,
            f"{count} of {len(lines)} seeds: {finding['layer'].lstrip('/')}: {finding['evidence']}. "
            f"{finding['advice'][:1].upper()}{finding['advice'][1:]}.",
        )
        for rule, (finding, count) in said.items()
    ]


def _mean(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return statistics.fmean(found) if found else None


def _geometric_mean(values: Iterable[float]) -> float | None:
    found = [value for value in values if value > 0]
    return math.exp(statistics.fmean(map(math.log, found))) if found else None


def _exp(value: float | None, times: float) -> float | None:
    return None if value is None else math.exp(times * value)


def _second_half(norms: list[float | None]) -> list[float | None]:
    return norms[(len(norms) - 1) // 2 :]


def _slope(norms: list[float | None]) -> float | None:
    """Change of the logarithm a layer on the way back, as far back as the gradient is a number and not 0."""
    seen = [norm for norm in norms if norm]
    return math.log(seen[0] / seen[-1]) / (len(seen) - 1) if len(seen) > 1 else None


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
            "activation": row.network.name,
            "held-out accuracy": _accuracy(row, result.comparison.seeds),
            "held-out loss": f"{row.loss[0]:.2f} ± {row.loss[1]:.2f}" if row.loss else "-",
            "gradient first/last at start": _power(row.ratio_at_start),
            "gradient first/last at end": _power(row.ratio_at_end),
            "dead units": "-" if row.dead_share is None else f"{row.dead_share:.1%}",
            "time per step": f"{row.seconds_per_step * 1e3:.1f} ms",
        }
        for row in result.rows
    ]


def theory_cells(result: Result) -> list[dict[str, str]]:
    """Format the table of what theory predicts before training, beside what is measured."""
    made = []
    for row in result.rows:
        theory = row.predicted
        made.append(
            {
                "activation": row.network.name,
                "gradient a layer, theory": _signed(theory and theory.gradient_slope),
                "gradient a layer, measured": _signed(row.gradient_slope),
                "variance, theory": _power(theory and theory.activation_variance),
                "variance, measured": _power(row.activation_variance),
                "chi_1, theory": _power(theory and theory.chi_1),
                "chi_1, measured": _power(row.chi),
            }
        )
    return made


THEORY = (
    "Before training, by mean-field theory for wide networks and as measured: the change of ln(gradient norm) a layer "
    "on the way back, the variance of the last hidden layer's outputs, and chi_1, by which a layer multiplies the "
    "gradient's mean square (below 1 it vanishes, above 1 it explodes; measured in the second half of the network)."
)


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def _power(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2g}" if 1e-2 <= value < 1e3 or value == 0 else f"{value:.0e}"


def tables(result: Result) -> list[Table]:
    """Make the final tables for the terminal."""
    return [
        _table(cells(result), setting(result.comparison)),
        _table(theory_cells(result), "Before training: theory for wide networks, and measured"),
    ]


def _table(rows: list[dict[str, str]], title: str) -> Table:
    made = Table(title=title, title_justify="left", box=box.SIMPLE, show_edge=False, padding=(0, 0, 0, 1))
    for column in rows[0]:
        made.add_column(column.replace(" ", "\n"), no_wrap=True, justify="left" if column == "activation" else "right")
    for row in rows:
        made.add_row(*row.values())
    return made


def setting(comparison: Comparison) -> str:
    """Say what was trained."""
    seeds = "1 seed" if comparison.seeds == 1 else f"{comparison.seeds} seeds"
    depths = _listed(map(str, comparison.depths or (comparison.depth,)))
    inits = _listed(comparison.inits or (comparison.init,))
    return (
        f"Digits, {depths} hidden layers of {comparison.width}, {inits} initialisation, "
        f"{comparison.optimizer} at {comparison.learning_rate:g}, {comparison.steps} steps of "
        f"{comparison.batch_size} images, {seeds}"
    )


def findings(result: Result) -> list[str]:
    """Say in plain sentences what is seen in this very run."""
    rows = result.rows
    said = []
    vanishing = [r for r in rows if r.ratio_at_start is not None and r.ratio_at_start < VANISHED]
    exploding = [r for r in rows if r.ratio_at_start is not None and r.ratio_at_start > 1 / VANISHED]
    for row in vanishing:
        accuracy = "" if row.accuracy is None else f"; after training it has {row.accuracy[0]:.0%} accuracy"
        said.append(
            f"The gradient of {row.network.name} vanishes: on its way back through {row.network.depth} layers it "
            f"shrinks to {_power(row.ratio_at_start)} of its size at the last layer{accuracy}."
        )
    for row in exploding:
        said.append(
            f"The gradient of {row.network.name} explodes: at the first layer it is {_power(row.ratio_at_start)} times "
            f"what it is at the last."
        )
    steady = [r for r in rows if r.ratio_at_start is not None and r not in vanishing and r not in exploding]
    if steady and len(steady) == len(rows):
        said.append("Every gradient comes through all layers: none vanishes, none explodes.")
    elif steady:
        ratios = [r.ratio_at_start or 0.0 for r in steady]
        said.append(
            f"The gradients of {_listed(r.network.name for r in steady)} come through: at the first layer they are "
            f"between {_power(min(ratios))} and {_power(max(ratios))} times what they are at the last."
        )
    scored = [(r.accuracy, r.network.name) for r in rows if r.accuracy is not None]
    if len(scored) > 1:
        (best, best_name), (worst, worst_name) = max(scored), min(scored)
        said.append(
            f"Best on held-out images is {best_name} with {best[0]:.1%} ± {best[1]:.1%}, "
            f"last is {worst_name} with {worst[0]:.1%} ± {worst[1]:.1%}."
        )
    dead = [r for r in rows if r.dead_share is not None and r.dead_share >= 0.01]
    if dead:
        shares = _listed(f"{r.dead_share:.0%} with {r.network.name}" for r in dead)
        said.append(f"Units that no held-out image comes through at the end: {shares}.")
    for row in rows:
        if row.diverged:
            said.append(f"{row.network.name} diverged in {row.diverged} of {result.comparison.seeds} seeds.")
    if result.comparison.depths:
        said += _depths_that_train(result)
    return said


def _depths_that_train(result: Result) -> list[str]:
    """Say how deep each activation and initialisation trains."""
    said = []
    for start in range(0, len(result.rows), len(result.comparison.depths)):
        rows = result.rows[start : start + len(result.comparison.depths)]
        trained = [r.network.depth for r in rows if r.accuracy and r.accuracy[0] >= TRAINED]
        failed = [r.network.depth for r in rows if r.network.depth not in trained]
        where = f"trains at {_listed(map(str, trained))} layers" if trained else "trains at none of the depths"
        but = f" and not at {_listed(map(str, failed))}" if trained and failed else ""
        said.append(f"{rows[0].network.activation} from {rows[0].network.init} weights {where}{but}.")
    return said


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
