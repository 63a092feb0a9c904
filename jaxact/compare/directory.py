"""The result directory of a run: whether it may be written, and the settings of an earlier run there."""

import json
from pathlib import Path
from typing import Any

import jax

from jaxact.compare import log, processes
from jaxact.compare.comparison import SETTINGS, Comparison
from jaxact.compare.errors import invalid
from jaxact.core.files import replace, writing

FREE = ("log_every", "checkpoint_every")
"""The settings that a resumed run may change. It may also have more steps, seeds and activations."""


def open_directory(comparison: Comparison) -> Path:
    """Make the directory, or open it to resume. Every process calls it; the first of them alone writes files.

    Raises:
      ValueError: it holds something else, or a result that may be neither overwritten nor resumed; it can't be written;
        or the processes don't agree on it.
    """
    path = Path(comparison.resume or comparison.directory).expanduser().resolve()
    settings = comparison.settings()
    said = map(json.loads, processes.gather(json.dumps(settings | {"overwrite": comparison.overwrite})))
    one, *others = said
    if different := sorted(key for key in one if any(other[key] != one[key] for other in others)):
        raise invalid("the same settings in every process", f"different {', '.join(different)}", "give all the same")
    processes.agree(lambda: _prepare(path, settings, comparison) if processes.first() else None)
    processes.agree(lambda: _check_shared(path))
    return path


def _check_shared(path: Path) -> None:
    if not (path / SETTINGS).exists():
        got = f"{path}, where process {jax.process_index()} does not see what process 0 wrote"
        raise invalid("a directory that all processes share", got, "choose one on a shared file system")


def _prepare(path: Path, settings: dict[str, Any], comparison: Comparison) -> None:
    file = path / SETTINGS
    with writing(True, file):
        if not file.exists():
            if any(each.suffix != ".unfinished" for each in path.iterdir()):
                got = f"{path}, which holds files that are no result of jaxact compare"
                raise invalid("an empty or new directory", got, "choose another directory")
        elif comparison.resume:
            _check_same(path, json.loads(file.read_text()), settings)
        elif comparison.overwrite or not (any(path.glob(log.RECORDS)) and log.read(path)[1]):
            log.clear(path)  # also if the earlier run ended before training
        else:
            advice = f"choose another directory, or resume the run (--resume {path}), or replace it (--overwrite)"
            raise invalid("a directory without a result", f"{path}, which holds one", advice)
        replace(file, lambda part: part.write_text(json.dumps(settings, indent=2) + "\n"))


def _check_same(path: Path, before: dict[str, Any], after: dict[str, Any]) -> None:
    grown = {key: (before[key] or 0) <= (after[key] or 0) for key in ("steps", "seeds")}
    grown["activations"] = set(before["activations"]) <= set(after["activations"])
    differences = [
        f"{key} was {before[key]!r} and is {after[key]!r}"
        for key in sorted(before.keys() - set(FREE))
        if not grown.get(key, before[key] == after[key])
    ]
    if differences:
        raise invalid(
            f"the settings of the run in {path} to resume it, or more steps, seeds or activations",
            f"others: {'; '.join(differences)}",
            "leave them out, or choose another directory",
        )
