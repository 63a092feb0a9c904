"""The log: a directory of records that any training loop can write, and from which the report is made."""

import dataclasses
import json
import math
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from jaxact.compare.errors import check_names, invalid
from jaxact.core.files import writing
from jaxact.flow import Flow, findings

if TYPE_CHECKING:
    from jaxact.compare.summary import Summary

Record = dict[str, Any]

ABOUT = "about.json"
RECORDS = "records-*.jsonl"
ARRAYS = {
    "gradient_norm": ("dy_rms", "dy_count"),
    "input_gradient_norm": ("dx_rms", "dx_count"),
    "x_mean": ("x_mean",),
    "x_std": ("x_std",),
    "y_std": ("y_std",),
    "zero_share": ("y_zeros",),
    "flat_share": ("flat",),
}
"""What a record has for each site, and its name in `Flow.to_records`: a number, or the rms and count of a norm."""
OWN = ("about", "diverged", "findings", "gradient_slope", "sites")
"""What a record has besides metrics, so that no metric may have these names."""


class Log:
    """Writes records, one per line, into its own append-only files. They are always readable; many processes may write.

    >>> import tempfile
    >>> log = Log(tempfile.mkdtemp() + "/log", name="mine", higher_is_better=("accuracy",), chance={"accuracy": 0.1})
    >>> for step in (0, 100):
    ...     log.add("relu", seed=0, step=step, loss=2.3 - step / 100, accuracy=0.1 + step / 200)
    >>> log.close()
    >>> [record["loss"] for record in read(log.directory)[1]]
    [2.3, 1.2999999999999998]
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        name: str = "",
        setting: str = "",
        higher_is_better: Iterable[str] = (),
        chance: Mapping[str, float] | None = None,
        nouns: Mapping[str, str] | None = None,
    ):
        """Make the directory, or open it to add records. What is said about the log replaces what was said before.

        Args:
          directory: the directory of the log.
          name: the name of the log on the page.
          setting: what is trained, in a few words, for the page.
          higher_is_better: the metrics of which more is better. The first one decides who is best; by default "loss"
            decides.
          chance: the value of a metric by guessing.
          nouns: the page's words for "examples" and "loss".

        Raises:
          ValueError: it can't be written, or `higher_is_better` is a string.
        """
        check_names("higher_is_better", higher_is_better)
        self.directory = Path(directory).expanduser().resolve()
        about = {"name": self.directory.name, "setting": "", "higher_is_better": [], "chance": {}, "nouns": {}}
        given = {
            "name": name or None,
            "setting": setting or None,
            "higher_is_better": list(higher_is_better) or None,
            "chance": None if chance is None else {key: float(value) for key, value in chance.items()},
            "nouns": None if nouns is None else dict(nouns),
        }
        said = {key: value for key, value in given.items() if value is not None}
        # Each opening makes a new file, whose name has its place among the others. No old file is ever changed.
        file = self.directory / f"records-{time.time_ns()}-{os.getpid()}.jsonl"
        with writing(False, file):
            self._file = file.open("x")
            there = (self.directory / ABOUT).exists()
            if said or not there:
                about |= _about(self.directory) if there else {}
                part = file.with_suffix(".unfinished")  # this process's own
                part.write_text(json.dumps(about | said, indent=2) + "\n")
                os.replace(part, self.directory / ABOUT)

    def add(
        self,
        network: str,
        *,
        step: int,
        seed: int = 0,
        flow: Flow | None = None,
        held_out_flow: Flow | None = None,
        **metrics: Any,
    ) -> None:
        """Write the measurements of a network at a step. A second record of the same place replaces the first.

        Args:
          network: the network's name, usually that of the activation.
          step: the training step; 0 is before training.
          seed: the number of the network among several with this name.
          flow: what `jaxact.flow.observe` saw for a training batch.
          held_out_flow: the same for held-out examples. Dead units are then those that no held-out example comes
            through.
          **metrics: numbers. "loss" is the loss of held-out examples, "train_loss" that of the batch, and
            "seconds_per_step" a time; other names are yours. Numbers that are not finite are recorded as such.

        Raises:
          ValueError: a metric is not a real number or has a name that is taken, step or seed is not an integer, a Flow
            has several steps or seeds, or the record can't be written.
        """
        record: Record = {"network": str(network), "seed": _integer("seed", seed), "step": _integer("step", step)}
        for name, value in metrics.items():
            if name in (*record, *OWN):
                raise invalid("metrics with names that are not taken", repr(name), "give it another name")
            if value is not None and not _is_number(value):
                raise invalid(f"{name} to be a number", f"{type(value).__name__} of shape {np.shape(value)}", "log one")
            record[name] = _finite(value)
        losses = [metrics[name] for name in ("loss", "train_loss") if name in metrics]
        record["diverged"] = any(_finite(value) is None for value in losses)
        if flow is not None:
            record |= _seen(flow, held_out_flow, record["step"])
        self._write(record)

    def describe(self, network: str, **facts: Any) -> None:
        """Write what does not change while a network is trained: its options, and what is "predicted" for it."""
        self._write({"network": str(network), "about": facts})

    def report(self) -> "Summary":
        """Write report.html and the charts into the directory.

        Returns:
          The summary that they show.
        """
        from jaxact.compare.report import write
        from jaxact.compare.summary import Summary

        summary = Summary.of([self.directory])
        write(summary)
        return summary

    def to_wandb(self, run: Any) -> None:
        """Give the whole log to Weights & Biases, with one chart per metric.

        Args:
          run: the result of `wandb.init`, or any object with its `log`.
        """
        steps: dict[int, dict[str, float]] = {}
        for network, metric, step, value in scalars(self.directory):
            steps.setdefault(step, {})[f"{metric}/{network}"] = value
        for step in sorted(steps):
            run.log(steps[step], step=step)

    def to_tensorboard(self, writer: Any) -> None:
        """Give the whole log to TensorBoard, with one tag per metric and network.

        Args:
          writer: a `tensorboardX.SummaryWriter`, or any object with its `add_scalar`.
        """
        for network, metric, step, value in scalars(self.directory):
            writer.add_scalar(f"{metric}/{network}", value, step)

    def _write(self, record: Record) -> None:
        with writing(True, Path(self._file.name)):
            self._file.write(json.dumps(record, allow_nan=False, default=_plain) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file; nothing is lost without it."""
        self._file.close()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(directory: str | os.PathLike[str]) -> tuple[dict[str, Any], list[Record], dict[str, dict[str, Any]]]:
    """Read a log, even while it is being written.

    Returns:
      What the log is about; the last record of each network, learning rate, step and seed, in this order; and what
      `describe` wrote about each network.

    Raises:
      ValueError: there is no log, or what it is about can't be read.
    """
    path = Path(directory).expanduser()
    if not (path / ABOUT).is_file():
        raise invalid("the directory of a log", str(directory), "name one that jaxact.compare.Log wrote")
    about = _about(path)
    records: dict[tuple[str, float, int, int], Record] = {}
    facts: dict[str, dict[str, Any]] = {}
    for file in sorted(path.glob(RECORDS)):
        for line in file.read_bytes().splitlines():
            try:
                record = json.loads(line)
                if "about" in record:
                    facts.setdefault(record["network"], {}).update(record["about"])
                else:
                    rate = record.get("learning_rate") or 0.0
                    records[record["network"], rate, record["step"], record["seed"]] = record
            except (ValueError, TypeError, KeyError, AttributeError):  # the process was killed in the middle of a line
                continue
    order = {name: place for place, name in enumerate(dict.fromkeys([*facts, *(key[0] for key in records)]))}
    kept = [records[key] for key in sorted(records, key=lambda key: (order[key[0]], *key[1:]))]
    return about, kept, facts


def _about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads((path / ABOUT).read_text())
        return {key: about[key] for key in ("name", "setting", "higher_is_better", "chance", "nouns")}
    except (OSError, ValueError, TypeError, KeyError) as error:
        advice = "mend it, or remove it and open the log again with jaxact.compare.Log"
        raise invalid("what a log is about", f"{path / ABOUT}, which is damaged ({error})", advice) from None


def clear(directory: Path) -> None:
    """Remove an earlier log, and no other files."""
    for pattern in (RECORDS, "*.unfinished", ABOUT, "comparison.json", "report.html", "*.png"):
        for file in directory.glob(pattern):
            file.unlink()
    shutil.rmtree(directory / "checkpoints", ignore_errors=True)


def scalars(directory: str | os.PathLike[str]) -> Iterable[tuple[str, str, int, float]]:
    """Yield network and seed, metric, step and value of every number of a log. A site's numbers are under its path."""
    for record in read(directory)[1]:
        run = f"{record['network']}/seed {record['seed']}"
        for name, value in record.items():
            if name not in ("network", "seed", "step", "sites", "findings", "diverged") and value is not None:
                yield run, name, record["step"], value
        for site in record.get("sites", ()):
            for name in (*ARRAYS, "dead_share"):
                if site.get(name) is not None:
                    yield run, f"{site['place']}/{name}", record["step"], site[name]


def _seen(flow: Flow, held_out: Flow | None, step: int) -> Record:
    """The part of a Flow that a record has: numbers for each site, the gradient's slope, and findings."""
    for given in (flow, held_out):
        if not isinstance(given, Flow | None):
            raise invalid("a Flow", type(given).__name__, "give what jaxact.flow.observe returns")
    sites = flow.to_records()
    if any(site["step"] or site["stack"] for site in sites):
        raise invalid("the Flow of one step and seed", "one that is stacked", "log each by itself: jax.tree.map")
    places = _places(sites)
    others = sites if held_out is None else held_out.to_records()
    units = dict(zip(_places(others), others, strict=True))
    lines = []
    for place, site in zip(places, sites, strict=True):
        line: Record = {"place": place, "activation": site["name"]}
        broken = site["x_nonfinite"] or site["dy_nonfinite"]
        for name, (source, *count) in ARRAYS.items():
            line[name] = None if broken else _finite(site[source] * math.sqrt(site[count[0]] if count else 1))
        counted = units.get(place, site)
        line["units"] = _finite(counted["units"])
        line["dead_share"] = _finite(counted["dead"] / counted["units"] if counted["units"] else math.nan)
        lines.append(line)
    dated = [site | {"step": (step,)} for site in sites]  # what is wrong at the start may be right later
    found = [dataclasses.asdict(finding) for finding in (*flow.warnings, *findings.find(dated))]
    return {"gradient_slope": _finite(findings.gradient_slope(sites)[0]), "sites": lines, "findings": found}


def _places(sites: list[Record]) -> list[str]:
    """The place of each site, whatever its activation: path, iteration, and a number where there are several."""
    seen: dict[str, int] = {}
    places = []
    for site in sites:
        path = site["place"].strip("/") or "activation"
        path += "".join(f"[{i}]" for i in site["iteration"])
        seen[path] = seen.get(path, 0) + 1
        places.append(path if seen[path] == 1 else f"{path} {seen[path]}")
    return places


def _plain(value: Any) -> Any:
    """What JSON takes in place of an array or a number of NumPy and JAX."""
    return np.asarray(value).tolist() if hasattr(value, "dtype") else str(value)


def _integer(name: str, value: Any) -> int:
    if not _is_number(value) or not float(value).is_integer():
        raise invalid(f"{name} to be an integer", value, "give one")
    return int(value)


def _is_number(value: Any) -> bool:
    """Whether a value is a real number: of Python, NumPy or JAX, and so perhaps a bfloat16."""
    kind = np.asarray(value).dtype
    return np.ndim(value) == 0 and (jnp.issubdtype(kind, jnp.floating) or jnp.issubdtype(kind, jnp.integer))


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
