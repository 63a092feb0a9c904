"""`Flow`: what `observe` saw, as a pytree that adds up."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import Array
from jax.core import Tracer

from jaxact.flow import charts, findings
from jaxact.flow.finding import Finding
from jaxact.flow.sites import LOOP, Site, Unseen
from jaxact.flow.statistics import finish

if TYPE_CHECKING:
    import altair

Record = dict[str, Any]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Flow:
    """Statistics of activations and gradients at every site of a function. Made by `observe`.

    A pytree: the statistics are its leaves and the rest is static, so that it goes through `jit`, `scan`, `vmap` and
    `jax.tree` functions. Two Flows of the same function add up, over microbatches or steps: `flow + flow` is the Flow
    of both. A Flow that was stacked instead (by `scan` or `vmap`) has leading axes, which are read as steps.
    """

    statistics: tuple[dict[str, Array], ...]
    """For each site, sums: moments of "x", "y" and their cotangents "dx", "dy"; counts "slope" and "fired"."""
    sites: tuple[Site, ...] = dataclasses.field(metadata={"static": True})
    """Where they were taken."""
    warnings: tuple[Finding, ...] = dataclasses.field(default=(), metadata={"static": True})
    """What `lint` found in the same function."""
    unseen: tuple[Unseen, ...] = dataclasses.field(default=(), metadata={"static": True})
    """What was not looked into: Pallas kernels, functions with derivative rules of their own, derivative code."""

    def __add__(self, other: "Flow") -> "Flow":
        if not isinstance(other, Flow):
            return NotImplemented
        if self.sites != other.sites:
            raise ValueError(
                f"jaxact.flow.Flow: expected two Flows of the same function, got {len(self.sites)} "
                f"and {len(other.sites)} sites that differ in name, place or shape; "
                "add Flows of one function and one batch shape"
            )
        return jax.tree.map(lambda a, b: a + b, self, other)

    def __radd__(self, other: Any) -> "Flow":
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def to_records(self) -> list[Record]:
        """Finish the statistics: one record a site, iteration of the scans around it, and step.

        Returns:
          Dicts in the order the sites run in, with "depth" (its number), "site" (label), "place", "name", "file",
          "line", "iteration", "step" (index along leading axes), "repeated" (as in `Site`), and the numbers of
          `jaxact.flow.statistics.finish`.

        Raises:
          TypeError: inside jit, where there are no numbers yet.
        """
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(self.statistics)):
            raise TypeError(
                "jaxact.flow.Flow: expected arrays, got tracers; return the Flow from the "
                "jitted function and read it outside"
            )
        rows = []
        for site, statistics in zip(self.sites, jax.device_get(self.statistics), strict=True):
            leading = statistics["x"].shape[:-1]
            steps = len(leading) - len(site.loops)
            for index in itertools.product(*map(range, leading)):
                numbers = {key: np.asarray(value[index], np.float64) for key, value in statistics.items()}
                rows.append((index[:steps], _order(site.position, index[steps:]), site, index[steps:], finish(numbers)))
        rows.sort(key=lambda row: row[:2])
        depths: dict[tuple[int, ...], int] = {}
        records = []
        for step, order, site, iteration, numbers in rows:
            place = {
                "site": site.label,
                "place": site.place,
                "name": site.name,
                "file": site.file,
                "line": site.line,
                "iteration": iteration,
                "step": step,
                "repeated": site.repeated,
            }
            records.append({"depth": depths.setdefault(order, len(depths)), **place, **numbers})
        return records

    def findings(self) -> list[Finding]:
        """Say what is wrong: what `lint` found in the function, and what the last step's numbers show.

        Returns:
          Findings with a rule, a site with file and line, evidence in numbers and advice; none for a healthy model.
        """
        return [*self.warnings, *findings.find(self.to_records())]

    def gradient_slope(self) -> float:
        """Natural logarithm of the factor by which the gradient's norm changes per layer, from the input to the output.

        About 0 in a healthy network, positive where gradients vanish towards the input; NaN for fewer than two layers.
        """
        return findings.gradient_slope(findings.last_step(self.to_records()))[0]

    def chart(self) -> "altair.TopLevelMixin":
        """Draw the gradient's norm by depth, and, of a Flow that was stacked over steps, a heat map by step.

        Raises:
          ImportError: Altair is not installed (the extra `compare`).
        """
        return charts.chart(self.to_records())

    def to_tensorboard(self, writer: Any, step: int) -> None:
        """Write scalars of every site, and a histogram of how often each unit fired, to TensorBoard.

        Args:
          writer: a `tensorboardX.SummaryWriter` (the extra `tensorboard`), or anything with its `add_scalar` and
            `add_histogram`.
          step: the training step.
        """
        for record in findings.last_step(self.to_records()):
            tag = record["site"] + "".join(f"[{i}]" for i in record["iteration"]) + f" ({record['depth']})"
            for key in ("x_mean", "x_std", "y_rms", "dx_rms", "dy_rms", "gain", "flat", "dead"):
                if not math.isnan(record[key]):
                    writer.add_scalar(f"{tag}/{key}", record[key], step)
        for number, (site, statistics) in enumerate(zip(self.sites, self.statistics, strict=True)):
            if "fired" in statistics:
                writer.add_histogram(f"{site.label} ({number})/fired", np.asarray(statistics["fired"]).ravel(), step)

    def __repr__(self) -> str:
        rest = f"{len(self.unseen)} not looked into (Flow.unseen)" if self.unseen else ""
        if not self.sites:
            said = "Flow: no activation found; use jaxact.flow.tap(x, name) to observe any array"
            return f"{said}; {rest}" if rest else said
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(self.statistics)):
            return f"Flow({len(self.sites)} sites, traced)"
        return "\n".join([charts.text(self.to_records()), *([rest] if rest else [])])

    def __rich__(self) -> Any:
        return charts.rich_table(self.to_records())

    def _repr_html_(self) -> str:
        return charts.html(self.to_records())


def _order(position: Sequence[int], iteration: Sequence[int]) -> tuple[int, ...]:
    """Put the iterations in where a position has its loops, so that sorting gives the order of execution."""
    iterations = iter(iteration)
    return tuple(next(iterations) if p == LOOP else p for p in position)
