"""What a verification found, whether it holds, and how it is kept."""

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
"""A `jax.Device`, which type checkers take for a variable."""
ORDERS = ("value", "first derivative", "second derivative")


@dataclasses.dataclass(frozen=True)
class Result:
    """Of one function, computed in one way, in one type."""

    function: str
    """Its name and, in brackets, what differs from its defaults."""
    by: str
    """"jaxact" or "jax.nn"."""
    dtype: str
    """The type of input and result, "bfloat16"."""
    order: int
    """0 for the value, 1 and 2 for derivatives."""
    way: str
    """"alone", "fused" (mapped, behind a matrix product), "all" (every float32), or the length of rows."""
    facts: Facts
    """How far the results are from the oracle's."""
    bound: float | None
    """What the error unit has to stay within; None for what is only compared with."""

    @property
    def missed(self) -> str | None:
        """What is out of bounds, in words; None if nothing is."""
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
    """All results, and where they were had."""

    environment: dict[str, str]
    """The device, versions, and the flags that decide how a compiler treats numbers."""
    results: tuple[Result, ...]
    """One a function, type, derivative, way and library."""

    @property
    def missed(self) -> list[str]:
        """What is out of bounds, a sentence each."""
        return [missed for result in self.results if (missed := result.missed)]

    def save(self, path: Path) -> None:
        """Write all of it as JSON."""
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
