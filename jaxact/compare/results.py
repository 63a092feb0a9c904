"""The result directory: what is written while a run goes on, and how an interrupted run finds its place again."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp

from jaxact.compare.comparison import Comparison, invalid

COMPARISON = "comparison.json"
METRICS = "metrics.jsonl"
TIMING = "timing.jsonl"
CHECKPOINTS = "checkpoints"


class Place(NamedTuple):
    """Where a run has got to: which of its networks, and how many training steps of it."""

    network: int
    step: int


class ResultDirectory:
    """Writes a run's lines and checkpoints so that a kill at any moment loses nothing that a resume needs.

    A checkpoint is written after the lines that belong to it and records the length of metrics.jsonl at that moment
    (orbax renames a finished checkpoint into place, so there is no half one). To resume is to cut metrics.jsonl back
    to that length and to go on from there.
    """

    def __init__(self, comparison: Comparison):
        """Make the directory, or open it to resume.

        Raises:
          ValueError: it holds something else, or a result that may be neither overwritten nor resumed, or it can't be
            written.
        """
        self.path = Path(comparison.directory).expanduser().resolve()
        try:
            self._prepare(comparison)
            self._metrics = open(self.path / METRICS, "ab")  # noqa: SIM115  closed by close()
        except OSError as error:
            raise invalid(
                "a directory that can be written", f"{self.path} ({error.strerror})", "choose another directory"
            ) from None
        options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False)
        self._checkpoints = ocp.CheckpointManager(self.path / CHECKPOINTS, options=options)
        self._steps = comparison.steps

    def _prepare(self, comparison: Comparison) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        settings = self.path / COMPARISON
        unfinished = settings.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        if settings.exists():
            earlier = json.loads(settings.read_text())
            if comparison.resume:
                return self._check_same(earlier, comparison.identity())
            if not comparison.overwrite:
                raise invalid(
                    "a directory without a result",
                    f"{self.path}, which holds one",
                    "choose another directory, or resume the run (--resume), or replace it (--overwrite)",
                )
            shutil.rmtree(self.path)
            self.path.mkdir()
        elif any(self.path.iterdir()):
            raise invalid(
                "an empty or new directory",
                f"{self.path}, which holds files that are no result of jaxact compare",
                "choose another directory",
            )
        unfinished.write_text(json.dumps(comparison.identity(), indent=2) + "\n")
        os.replace(unfinished, settings)
        return None

    def _check_same(self, earlier: dict[str, Any], now: dict[str, Any]) -> None:
        keys = sorted(k for k in earlier.keys() | now.keys() if earlier.get(k) != now.get(k))
        if keys:
            differences = "; ".join(f"{k} was {earlier.get(k)!r} and is {now.get(k)!r}" for k in keys)
            raise invalid(
                f"the settings of the run in {self.path} to resume it",
                f"others: {differences}",
                "give the same settings, or choose another directory",
            )

    def write(self, lines: Iterable[dict[str, Any]]) -> None:
        """Append lines to metrics.jsonl."""
        self._metrics.write("".join(json.dumps(line, allow_nan=False) + "\n" for line in lines).encode())
        self._metrics.flush()

    def write_timing(self, network: str, step: int, seconds_per_step: float) -> None:
        """Append to timing.jsonl, which differs from run to run and so is no metric; a resume may repeat a step."""
        line = {"network": network, "step": step, "seconds_per_step": seconds_per_step}
        with open(self.path / TIMING, "a") as file:
            file.write(json.dumps(line) + "\n")

    def save(self, place: Place, state: Any) -> None:
        """Write a checkpoint: all that is needed to go on from `place`."""
        progress = {**place._asdict(), "metrics_bytes": self._metrics.tell()}
        self._checkpoints.save(
            place.network * (self._steps + 1) + place.step,
            args=ocp.args.Composite(state=ocp.args.StandardSave(state), progress=ocp.args.JsonSave(progress)),
        )

    def find_place(self) -> Place | None:
        """Cut metrics.jsonl back to the last checkpoint and return its place; None if there is no checkpoint."""
        latest = self._checkpoints.latest_step()
        if latest is None:
            self._metrics.truncate(0)
            return None
        progress = self._checkpoints.restore(latest, args=ocp.args.Composite(progress=ocp.args.JsonRestore()))[
            "progress"
        ]
        self._metrics.truncate(progress.pop("metrics_bytes"))
        return Place(**progress)

    def restore(self, like: Any) -> Any:
        """Return the last checkpoint's state, with the structure, dtypes and sharding of `like`."""
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
        return self._checkpoints.restore(self._checkpoints.latest_step(), args=args)["state"]

    def read(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the lines of metrics.jsonl and of timing.jsonl."""
        metrics = [json.loads(line) for line in (self.path / METRICS).read_text().splitlines()]
        timing = []
        for line in (self.path / TIMING).read_text().splitlines():
            try:
                timing.append(json.loads(line))
            except json.JSONDecodeError:  # the line that a kill cut off, and the one appended to it
                continue
        return metrics, timing

    def close(self) -> None:
        """Close files and checkpoint manager."""
        self._metrics.close()
        self._checkpoints.close()
