"""The result directory: what is written while a run goes on, and how an interrupted run finds its place again."""

import io
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import jax
import orbax.checkpoint as ocp

from jaxact.compare import processes
from jaxact.compare.errors import invalid

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

    def __init__(self, directory: str, settings: dict[str, Any], *, overwrite: bool = False, resume: bool = False):
        """Make the directory, or open it to resume. Every process calls it; the first of them alone writes files.

        Args:
          directory: where, as all processes see it.
          settings: what the result depends on, as JSON can hold it.
          overwrite: replace an earlier result.
          resume: go on with an earlier result, if there is one and its settings are the same.

        Raises:
          ValueError: it holds something else, or a result that may be neither overwritten nor resumed, or it can't be
            written; or the processes don't agree on it.
        """
        self.path = Path(directory).expanduser().resolve()
        settings = json.loads(json.dumps(settings))  # as an earlier run's are read: a tuple comes back as a list
        self._check_agreed({**settings, "overwrite": overwrite, "resume": resume})
        self._metrics = processes.agree(lambda: self._open(settings, overwrite, resume))
        processes.agree(self._check_seen)
        options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False)
        with processes.together():
            self._checkpoints = ocp.CheckpointManager(self.path / CHECKPOINTS, options=options)

    def _check_agreed(self, settings: dict[str, Any]) -> None:
        said = [json.loads(text) for text in processes.gather(json.dumps(settings))]
        keys = sorted(key for key in settings if any(other.get(key) != settings[key] for other in said))
        if keys:
            raise invalid(
                "the same settings in every process", f"different {', '.join(keys)}", "give all the same command"
            )

    def _check_seen(self) -> None:
        if not (self.path / COMPARISON).exists():
            raise invalid(
                "a directory that all processes share",
                f"{self.path}, where process {jax.process_index()} does not see what process 0 wrote",
                "choose one on a shared file system, the same in every process",
            )

    def _open(self, settings: dict[str, Any], overwrite: bool, resume: bool) -> BinaryIO:
        """Open metrics.jsonl in the first process, and what is no file in the others."""
        if not processes.first():
            return io.BytesIO()
        try:
            self._prepare(settings, overwrite, resume)
            return open(self.path / METRICS, "ab")
        except OSError as error:
            raise invalid(
                "a directory that can be written", f"{self.path} ({error.strerror})", "choose another directory"
            ) from None

    def _prepare(self, settings: dict[str, Any], overwrite: bool, resume: bool) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        file = self.path / COMPARISON
        unfinished = file.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        if file.exists():
            earlier = json.loads(file.read_text())
            if resume:
                return self._check_same(earlier, settings)
            if not overwrite:
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
        unfinished.write_text(json.dumps(settings, indent=2) + "\n")
        os.replace(unfinished, file)
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
        if not processes.first():
            return
        line = {"network": network, "step": step, "seconds_per_step": seconds_per_step}
        with open(self.path / TIMING, "a") as file:
            file.write(json.dumps(line) + "\n")

    def save(self, place: Place, state: Any) -> None:
        """Write a checkpoint: all that is needed to go on from `place`."""
        progress = {**place._asdict(), "metrics_bytes": self._metrics.tell()}
        self._checkpoints.save(
            (self._checkpoints.latest_step() or 0) + 1,
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

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl."""
        return [json.loads(line) for line in (self.path / METRICS).read_text().splitlines()]

    def read_timing(self) -> list[dict[str, Any]]:
        """Return the lines of timing.jsonl."""
        timing = []
        for line in (self.path / TIMING).read_text().splitlines():
            try:
                timing.append(json.loads(line))
            except json.JSONDecodeError:  # the line that a kill cut off, and the one appended to it
                continue
        return timing

    def close(self) -> None:
        """Close files and checkpoint manager."""
        self._metrics.close()
        self._checkpoints.close()
