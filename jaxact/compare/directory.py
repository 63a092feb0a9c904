"""The result directory of a run: whose it is, whether it may be written, and what an earlier run there was of."""

import json
import os
from pathlib import Path
from typing import Any

import jax

from jaxact.compare import log, processes
from jaxact.compare.comparison import SETTINGS, Comparison, Network
from jaxact.compare.errors import invalid
from jaxact.compare.metrics import count, listed

MAY_GROW = ("steps", "seeds", "activations")
"""What a resumed run may have more of."""
FREE = ("log_every", "checkpoint_every")
"""What a resumed run may have otherwise."""


def open_directory(comparison: Comparison) -> Path:
    """Make the directory, or open it to resume. Every process calls it; the first of them alone writes files.

    Raises:
      ValueError: it holds something else, or a result that may be neither overwritten nor resumed, or it can't be
        written; or the processes don't agree on it.
    """
    path = Path(comparison.resume or comparison.directory).expanduser().resolve()
    settings = comparison.settings()
    _check_agreed({**settings, "overwrite": comparison.overwrite, "resume": bool(comparison.resume)})
    processes.agree(lambda: _prepare(path, settings, comparison) if processes.first() else None)
    processes.agree(lambda: _check_seen(path))
    return path


def _check_agreed(settings: dict[str, Any]) -> None:
    said = [json.loads(text) for text in processes.gather(json.dumps(settings))]
    keys = sorted(key for key in settings if any(other.get(key) != settings[key] for other in said))
    if keys:
        raise invalid("the same settings in every process", f"different {', '.join(keys)}", "give all the same command")


def _check_seen(path: Path) -> None:
    if not (path / SETTINGS).exists():
        raise invalid(
            "a directory that all processes share",
            f"{path}, where process {jax.process_index()} does not see what process 0 wrote",
            "choose one on a shared file system, the same in every process",
        )


def _prepare(path: Path, settings: dict[str, Any], comparison: Comparison) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        file = path / SETTINGS
        if file.exists():
            if comparison.resume:
                _check_same(path, json.loads(file.read_text()), settings)
            elif not comparison.overwrite:
                raise invalid(
                    "a directory without a result",
                    f"{path}, which holds one",
                    f"choose another directory, or resume the run (--resume {path}), or replace it (--overwrite)",
                )
            else:
                log.clear(path)
        elif any(each.suffix != ".unfinished" for each in path.iterdir()):
            raise invalid(
                "an empty or new directory",
                f"{path}, which holds files that are no result of jaxact compare",
                "choose another directory",
            )
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(settings, indent=2) + "\n")
        os.replace(unfinished, file)
    except OSError as error:
        raise invalid(
            "a directory that can be written", f"{path} ({error.strerror})", "choose another directory"
        ) from None


def _check_same(path: Path, earlier: dict[str, Any], now: dict[str, Any]) -> None:
    differences = []
    for key in sorted((earlier.keys() | now.keys()) - set(FREE)):
        before, after = earlier.get(key), now.get(key)
        if key == "activations":
            same = set(before or ()) <= set(after or ())
        elif key in MAY_GROW and isinstance(before, int) and isinstance(after, int):
            same = before <= after
        else:
            same = before == after or (key in MAY_GROW and before is None)
        if not same:
            differences.append(f"{key} was {before!r} and is {after!r}")
    if differences:
        raise invalid(
            f"the settings of the run in {path} to resume it, or more steps, seeds or activations",
            f"others: {'; '.join(differences)}",
            "leave them out, or choose another directory",
        )


def setting(comparison: Comparison, networks: list[Network]) -> str:
    """Say what is trained."""
    study, rates = networks[0].study, sorted({network.learning_rate for network in networks})
    told = sorted({network.study.setting for network in networks})
    several = {k: v for k, v in comparison.options.items() if isinstance(v, tuple) and len(v) > 1}
    what = told[0] if len(told) == 1 and told[0] else study.name
    what += "".join(f", {name} {listed(map(str, values))}" for name, values in several.items())
    optimizer = comparison.optimizer or getattr(study.optimizer, "__name__", "the study's optimizer")
    optimizer = "the study's optimizer" if optimizer.startswith("<") else optimizer
    chosen = " (the best on validation data for each)" if len(rates) > 1 else ""
    batches = "" if callable(study.batches) else f" of {study.batch_size} {study.nouns.get('examples', 'examples')}"
    return (
        f"{what}; {optimizer} at {listed(f'{rate:g}' for rate in rates)}{chosen}, "
        f"{count(study.steps, 'step')}{batches}, {count(comparison.seeds, 'seed')}"
    )
