"""Every one of the 2^32 float32 numbers, in chunks, so that an interrupted run can go on where it stopped."""

import concurrent.futures
import dataclasses
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from jaxact.core.files import replace
from jaxact.verify.cases import Case
from jaxact.verify.elementwise import judge
from jaxact.verify.facts import Facts
from jaxact.verify.programs import derivatives, run
from jaxact.verify.results import Device, Result, environment
from jaxact.verify.unit import BOUNDS

CHUNK, BLOCK = 2**22, 2**16
"""How many numbers the device computes at once, and how many the oracle does, which fit in a processor's cache."""


def exhaustive(
    case: Case,
    order: int,
    device: Device,
    directory: Path | None = None,
    progress: Callable[[str, int, int], object] = lambda name, done, all: None,
    numbers: int = 2**32,
) -> list[Result]:
    """Judge value and derivatives of one function at every float32 number that is neither NaN nor subnormal.

    Args:
      case: an elementwise function and its parameters.
      order: the highest derivative.
      device: where the function is computed; the oracle is NumPy's, on this machine's cores.
      directory: where the state of the run is kept; a run whose file is already there goes on.
      progress: called with a description, how many numbers are done, and how many there are.
      numbers: how many bit patterns to try, from 0 on; for tests.

    Raises:
      ValueError: the file in the directory comes from another device or other versions.
    """
    where = environment(device) | {"order": str(order)}
    path = directory and directory / f"{case.name}.exhaustive.json"
    done, found = _kept(path, where)
    program, began = jax.jit(derivatives(case.__call__, order)), time.perf_counter()
    first = done
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        while done < numbers:
            x = _numbers(done, min(CHUNK, numbers - done))
            results = run(program, x, device)
            blocks = [slice(i, i + BLOCK) for i in range(0, len(x), BLOCK)]
            judged = pool.map(lambda at, x=x, results=results: judge(case, x[at], [y[at] for y in results]), blocks)
            for each in judged:
                found = each if found is None else [a + b for a, b in zip(found, each, strict=True)]
            done += CHUNK
            left = (time.perf_counter() - began) / (done - first) * max(numbers - done, 0)
            progress(f"{case.name}, {left / 60:.0f} min left", min(done, numbers), numbers)
            if path and found is not None:
                _keep(path, where, done, found)
    return [
        Result(case.name, "jaxact", "float32", k, "all", each, BOUNDS["float32"][k])
        for k, each in enumerate(found or [])
    ]


def _numbers(start: int, count: int) -> NDArray[np.float32]:
    every = (np.arange(count, dtype=np.uint64) + np.uint64(start)).astype(np.uint32).view(np.float32)
    size = np.abs(every)  # NaN compares false
    return every[(size >= np.finfo(np.float32).tiny) | (size == 0)]


def _kept(path: Path | None, where: dict[str, str]) -> tuple[int, list[Facts] | None]:
    if path is None or not path.exists():
        return 0, None
    state: dict[str, Any] = json.loads(path.read_text())
    if state["environment"] != where:
        raise ValueError(
            f"jaxact.verify: expected {path} to come from this device, these versions and this order ({where}), got "
            f"{state['environment']}; choose another directory or remove the file"
        )
    return state["done"], [Facts(**{**each, "histogram": tuple(each["histogram"])}) for each in state["found"]]


def _keep(path: Path, where: dict[str, str], done: int, found: list[Facts]) -> None:
    state = {"environment": where, "done": done, "found": [dataclasses.asdict(each) for each in found]}
    replace(path, lambda part: part.write_text(json.dumps(state)))
