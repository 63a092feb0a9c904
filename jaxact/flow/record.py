"""`Flow`: what `observe` saw, as a pytree that adds up."""

import dataclasses
import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import Array
from jax import numpy as jnp
from jax.core import Tracer

from jaxact.flow import charts, findings
from jaxact.flow.finding import Finding
from jaxact.flow.sites import LOOP, Site, Unseen
from jaxact.flow.statistics import both, finish
from jaxact.flow.sums import FORMATS

if TYPE_CHECKING:
    import altair

Record = dict[str, Any]

_LOGGED = (
    "_mean", "_std", "_rms", "_largest", "_kurtosis", "gain", "flat", "dead", "largest_logit", "entropy",
    *(f"_{lost}_{name}" for lost in ("flushed", "overflow") for name in FORMATS),
)  # fmt: skip
"""The endings of those numbers of a record that are logged."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Flow:
    """Statistics of activations and gradients at every site of a function. `observe` makes it.

    It is a pytree: the statistics are its leaves and the rest is static, so that it goes through `jit`, `scan`, `vmap`
    and `jax.tree` functions. The sum of two Flows of the same function, over microbatches or steps, is the Flow of
    both. A Flow that `scan` or `vmap` has stacked has leading axes, which count as steps unless `stack` gives them
    another role.
    """

    statistics: tuple[dict[str, Array], ...]
    """For each site, sums: moments of "x", "y" and their cotangents "dx", "dy"; counts "slope" and "fired"."""
    sites: tuple[Site, ...] = dataclasses.field(metadata={"static": True})
    """Where they were taken."""
    warnings: tuple[Finding, ...] = dataclasses.field(default=(), metadata={"static": True})
    """What `lint` found in the same function."""
    unseen: tuple[Unseen, ...] = dataclasses.field(default=(), metadata={"static": True})
    """The code that was not looked into: Pallas kernels, functions with their own derivative rules, derivative code."""
    axes: tuple[str, ...] = dataclasses.field(default=(), metadata={"static": True})
    """The roles of the last leading axes, as `stack` was told; the axes before them are steps."""

    def __add__(self, other: "Flow") -> "Flow":
        if not isinstance(other, Flow):
            return NotImplemented
        if self.sites != other.sites:
            raise ValueError(
                f"jaxact.flow.Flow: expected two Flows of the same function, got {len(self.sites)} "
                f"and {len(other.sites)} sites that differ in name, place or shape; "
                "add Flows of one function and one batch shape"
            )
        return dataclasses.replace(self, statistics=both(self.statistics, other.statistics))

    def __radd__(self, other: Any) -> "Flow":
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def to_records(self) -> list[Record]:
        """Finish the statistics: one record for each site, iteration of the scans around it, and step.

        Returns:
          Dicts in the order in which the sites run, with "depth" (the site's number), "site" (its label), "place",
          "name", "file", "line", "iteration", "step" (the index along leading axes), "stack" (the index along other
          axes, such as {"seed": 1}), "label" (all of this for people), "repeated" (as in `Site`), and the numbers of
          `jaxact.flow.statistics.finish`. A step that was not observed has no record.

        Raises:
          TypeError: the call is inside jit, where there are no numbers yet.
        """
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(self.statistics)):
            raise TypeError(
                "jaxact.flow.Flow: expected arrays, got tracers; return the Flow from the "
                "jitted function and read it outside"
            )
        fetched = jax.device_get(self.statistics)
        sizes, roles = self._leading()
        rows = []
        for index in itertools.product(*map(range, sizes)):
            if not any(np.any(statistics["x"][index][..., 0]) for statistics in fetched):
                continue
            step = tuple(i for i, role in zip(index, roles, strict=True) if role == "step")
            stack = {role: i for i, role in zip(index, roles, strict=True) if role != "step"}
            for site, statistics in zip(self.sites, fetched, strict=True):
                for iteration in itertools.product(*map(range, site.loops)):
                    at = (*index, *iteration)
                    numbers = finish({key: np.asarray(value[at], np.float64) for key, value in statistics.items()})
                    rows.append((index, _order(site.position, iteration), site, iteration, step, stack, numbers))
        rows.sort(key=lambda row: row[:2])
        depths: dict[tuple[int, ...], int] = {}
        records = []
        for _, order, site, iteration, step, stack, numbers in rows:
            place = {
                "site": site.label,
                "place": site.place,
                "label": _label(site, iteration, stack),
                "name": site.name,
                "file": site.file,
                "line": site.line,
                "iteration": iteration,
                "step": step,
                "stack": stack,
                "repeated": site.repeated,
            }
            records.append({"depth": depths.setdefault(order, len(depths)), **place, **numbers})
        return records

    def _leading(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """The sizes of the leading axes, and their roles."""
        if not self.sites:
            return (), ()
        shape = np.shape(self.statistics[0]["x"])[: -1 - len(self.sites[0].loops)]
        return shape, (("step",) * len(shape) + self.axes)[len(self.axes) :] if shape else ()

    def findings(self) -> list[Finding]:
        """Say what is wrong: what `lint` found in the function, and what the last step's numbers show for each seed.

        Returns:
          Findings, each with a rule, a site with file and line, evidence in numbers, and advice. A healthy model has
          none.
        """
        return [*self.warnings, *findings.find(self.to_records())]

    def gradient_slope(self) -> float:
        """Natural logarithm of the factor by which the gradient's norm changes per layer, from the input to the output.

        It is about 0 in a healthy network, positive where gradients vanish towards the input, and NaN for fewer than
        two layers. For several seeds it is the mean.
        """
        slopes = [findings.gradient_slope(records)[0] for records in findings.last_steps(self.to_records())]
        return float(np.mean(slopes)) if slopes else math.nan

    def chart(self) -> "altair.TopLevelMixin":
        """Draw the gradient's norm by depth and, for a Flow that is stacked over steps, a heat map by step.

        Raises:
          ImportError: Altair is not installed (the extra `compare`).
        """
        return charts.chart(self.to_records())

    def to_tensorboard(self, writer: Any, step: int) -> None:
        """Write scalars of every site, and a histogram of how often each unit fired, to TensorBoard.

        Args:
          writer: a `tensorboardX.SummaryWriter` (the extra `tensorboard`), or any object with its `add_scalar` and
            `add_histogram`.
          step: the training step. For a Flow that is stacked over steps it is the number of the first step, and each
            step is written at its own number.
        """
        for at, scalars, fired in self._logged(step):
            for tag, value in scalars.items():
                writer.add_scalar(tag, value, at)
            for tag, values in fired.items():
                writer.add_histogram(tag, values, at)

    def to_wandb(self, run: Any, step: int) -> None:
        """Log the same to Weights & Biases, with one `run.log` per step.

        Args:
          run: the result of `wandb.init`, or any object with its `log`; without W&B, no histogram is logged.
          step: as for `to_tensorboard`.
        """
        histogram = getattr(sys.modules.get("wandb"), "Histogram", None)
        for at, scalars, fired in self._logged(step):
            run.log({**scalars, **({tag: histogram(f) for tag, f in fired.items()} if histogram else {})}, step=at)

    def _logged(self, first: int) -> Iterator[tuple[int, dict[str, float], dict[str, np.ndarray]]]:
        """For each observed step its number, the scalars by tag, and by tag how often units fired."""
        sizes, roles = self._leading()
        steps = [size for size, role in zip(sizes, roles, strict=True) if role == "step"]
        records = self.to_records()
        for step in dict.fromkeys(r["step"] for r in records):
            here = [r for r in records if r["step"] == step]
            tags = [f"{r['label']} ({r['depth']})" for r in here]
            scalars = {
                f"{tag}/{key}": r[key]
                for tag, r in zip(tags, here, strict=True)
                for key in r
                if key.endswith(_LOGGED) and not math.isnan(r[key])
            }
            fired = {f"{tag}/fired": r["fired"] for tag, r in zip(tags, here, strict=True) if r["fired"] is not None}
            yield first + int(np.ravel_multi_index(step, steps) if step else 0), scalars, fired

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


def stack(flows: Flow | Sequence[Flow], role: str) -> Flow:
    """Stack Flows along a new axis with a role, or give a role to the outermost axis of a Flow that `vmap` stacked.

    Records, findings, charts and logs keep the entries along the axis apart.

    Args:
      flows: Flows of one function; or one Flow whose outermost leading axis has no role yet.
      role: the role of the axis: "seed", or any other name; "step" for training steps.

    Raises:
      ValueError: the Flows are of different functions, the Flow has no such axis, or the role is taken.

    >>> observed = jaxact.flow.observe(lambda w: jnp.sum(jax.nn.relu(w)))
    >>> _, flow = jax.vmap(observed)(jnp.array([[-1.0, 2.0], [3.0, 4.0]]))
    >>> [record["stack"] for record in jaxact.flow.stack(flow, "seed").to_records()]
    [{'seed': 0}, {'seed': 1}]
    """
    if not role.isidentifier():
        raise ValueError(f"jaxact.flow.stack: expected a role that is a word, such as 'seed', got {role!r}")
    if isinstance(flows, Flow):
        flow, (sizes, _) = flows, flows._leading()
        free = len(sizes) - len(flow.axes)
        if free < 1 and flow.sites:
            raise ValueError(
                "jaxact.flow.stack: expected a Flow that vmap or scan has stacked, with an axis that has no role yet, "
                f"got one with the leading axes {sizes} and the roles {flow.axes}"
            )
        steps = ("step",) * (free - 1)
    elif not flows:
        raise ValueError("jaxact.flow.stack: expected at least one Flow, got none")
    else:
        flow = flows[0]
        if any(other.sites != flow.sites or other.axes != flow.axes for other in flows):
            raise ValueError("jaxact.flow.stack: expected Flows of one function, got some that differ in their sites")
        statistics = jax.tree.map(lambda *parts: jnp.stack(parts), *(other.statistics for other in flows))
        steps = ("step",) * (len(flow._leading()[0]) - len(flow.axes))
        flow = dataclasses.replace(flow, statistics=statistics)
    if role != "step" and role in flow.axes:
        raise ValueError(f"jaxact.flow.stack: expected another role than {role!r}, which the Flow has an axis of")
    return dataclasses.replace(flow, axes=(role, *steps, *flow.axes))


def _label(site: Site, iteration: Sequence[int], stack: dict[str, int]) -> str:
    return "".join(f"{role} {i}/" for role, i in stack.items()) + site.label + "".join(f"[{i}]" for i in iteration)


def _order(position: Sequence[int], iteration: Sequence[int]) -> tuple[int, ...]:
    """Put the iterations in the place of a position's loops, so that sorting gives the order of execution."""
    iterations = iter(iteration)
    return tuple(next(iterations) if p == LOOP else p for p in position)
