"""The results of a verification, whether they are within bounds, and how they are stored."""

import dataclasses
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

from jaxact.core.files import replace
from jaxact.verify.facts import Facts

Device = Any
"""`jax.Device`, which type checkers would take for a variable."""
ORDERS = ("value", "first derivative", "second derivative")


@dataclasses.dataclass(frozen=True)
class Result:
    """The facts about one function, computed in one way, in one type."""

    function: str
    """The function's name and, in brackets, the parameters that differ from its defaults."""
    by: str
    """"jaxact" or "jax.nn"."""
    dtype: str
    """The type of input and result, "bfloat16"."""
    order: int
    """0 for the value, 1 and 2 for derivatives."""
    way: str
    """"alone", "fused" (mapped, after a matrix product), "all" (every float32), or the length of the rows."""
    facts: Facts
    """How far the results are from those of the oracle."""
    bound: float | None
    """The bound on the error in units; None for a function that only serves for comparison."""

    @property
    def missed(self) -> str | None:
        """A sentence that says what is out of bounds, or None."""
        if self.bound is None:
            return None
        found, what = self.facts, f"{self.function}, {ORDERS[self.order]} in {self.dtype}, {self.way}"
        if found.nans:
            return f"{what}: {found.nans} results are NaN, one at x = {found.nan_at!r}"
        if found.zeros:
            return f"{what}: {found.zeros} results are 0 and should not be, worst at x = {found.at!r}"
        if not found.worst <= self.bound:
            return f"{what}: {found.worst:.3g} units, over {self.bound:g}, at x = {found.at!r}"
        return None


@dataclasses.dataclass(frozen=True)
class Verification:
    """All results, and the environment that they come from."""

    environment: dict[str, str]
    """The device, versions, and the flags that decide how a compiler treats numbers."""
    results: tuple[Result, ...]
    """One result for each function, type, derivative, way and library."""

    @property
    def missed(self) -> list[str]:
        """One sentence for each result that is out of bounds."""
        return [missed for result in self.results if (missed := result.missed)]

    def save(self, path: Path) -> None:
        """Write all results as JSON."""
        replace(path, lambda part: part.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n"))


def load(path: Path) -> Verification:
    """Read what `Verification.save` wrote."""
    whole: dict[str, Any] = json.loads(path.read_text())
    return Verification(
        whole["environment"],
        tuple(
            Result(**{**r, "facts": Facts(**{**r["facts"], "histogram": tuple(r["facts"]["histogram"])})})
            for r in whole["results"]
        ),
    )


def environment(device: Device) -> dict[str, str]:
    """The device, versions, and the flags that decide how a compiler treats numbers."""
    flags = {name: os.environ[name] for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS") if os.environ.get(name)}
    versions = {name: importlib.metadata.version(name) for name in ("jaxact", "jax", "jaxlib")}
    here = {"device": device.device_kind, "platform": device.platform, "python": platform.python_version()}
    return here | versions | flags
