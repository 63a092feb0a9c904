"""Slopes of sizes by width, and the slopes that theory expects, for the coordinate check.

Sources: Yang et al. 2022, "Tensor Programs V" (arXiv 2203.03466), table 3; Jacot et al. 2018 (arXiv 1806.07572).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import numpy as np

Record = dict[str, Any]
Interval = tuple[float, float]
Parametrisation = Literal["standard", "mup", "ntk"]
Role = Literal["input", "hidden", "output", "vector", "constant"]

# Slopes of log size by log width. These are for parameters at the start, by role.
AT_START: dict[str, dict[str, float]] = {
    "standard": {"input": 0.0, "hidden": -0.5, "output": -0.5},
    "mup": {"input": 0.0, "hidden": -0.5, "output": -1.0},
    "ntk": {"input": 0.0, "hidden": 0.0, "output": 0.0},
}
# These are for the entries of updates. Adam divides by the gradient's size; SGD's are gradients times muP's rates.
_UPDATES: dict[tuple[str, str], dict[str, float]] = {
    ("standard", "adam"): {},
    ("standard", "sgd"): {"input": -0.5, "hidden": -0.5, "vector": -0.5},
    ("mup", "adam"): {"hidden": -1.0, "output": -1.0},
    ("mup", "sgd"): {"hidden": -1.0, "output": -1.0},
    ("ntk", "adam"): {},
    ("ntk", "sgd"): {"input": -0.5, "hidden": -1.0, "output": -0.5, "vector": -0.5},
}


def fits(sizes: list[Record]) -> Iterator[Record]:
    """For each step and array, fit a straight line to log rms by log width, and one to log largest."""
    things: dict[tuple[int, str, str], list[Record]] = defaultdict(list)
    for r in sizes:
        things[r["step"], r["kind"], r["path"]].append(r)
    for (step, kind, path), rows in things.items():
        fit = {"step": step, "kind": kind, "path": path, "zero": not any(r["rms"] > 0 for r in rows)}
        fit |= zip(("slope", "low", "high"), _line(rows, "rms"), strict=True)
        fit |= zip(("largest_slope", "largest_low", "largest_high"), _line(rows, "largest"), strict=True)
        yield fit


def _line(rows: list[Record], size: str) -> tuple[float, float, float]:
    """The slope through the means over seeds, with its 95% interval; NaN unless three widths have sizes above 0."""
    from scipy import stats

    logs: dict[int, list[float]] = defaultdict(list)
    for r in rows:
        if r[size] > 0:
            logs[r["width"]].append(math.log(r[size]))
    if len(logs) < 3:
        return math.nan, math.nan, math.nan
    line: Any = stats.linregress(np.log(list(logs)), [np.mean(each) for each in logs.values()])
    half = float(stats.t.ppf(0.975, len(logs) - 2) * line.stderr)
    return float(line.slope), float(line.slope) - half, float(line.slope) + half


def roles_of(shapes: Mapping[int, Mapping[str, tuple[int, ...]]], role: Callable[..., Role] | None) -> dict[str, Role]:
    """The role of each parameter, as the user says or as the growing axes show."""
    if role is not None:
        return {path: role(path, shape) for path, shape in next(iter(shapes.values())).items()}
    found: dict[str, Role] = {}
    for path in next(iter(shapes.values())):
        each = [shapes[width][path] for width in shapes]
        grows = [len(set(sizes)) > 1 for sizes in zip(*each, strict=True)]
        if not any(grows):
            found[path] = "constant"
        elif len(grows) == 1:
            found[path] = "vector"
        elif not grows[-1]:
            found[path] = "output"
        else:
            found[path] = "hidden" if any(grows[:-1]) else "input"
    return found


def expected(fit: Record, expect: Any, optimizer: str, role: Role) -> Interval | None:
    """The interval of expected slopes; None where nothing is expected."""
    if not isinstance(expect, str):
        value = expect.get(fit["path"])
        return (value, value) if isinstance(value, int | float) else value
    update = 0.0 if role == "constant" else _UPDATES[expect, optimizer].get(role, 0.0)
    if fit["kind"] == "update":
        # After activations have grown, gradients change too; Adam's updates do not.
        return (update, update) if optimizer == "adam" or expect != "standard" or fit["step"] == 0 else None
    if fit["kind"] == "parameter":
        if role in ("vector", "constant"):
            return None  # these are zeros and ones plus updates
        start = AT_START[expect][role]
        return (start, start) if fit["step"] == 0 else (min(start, update), max(start, update))
    if expect == "mup":
        # At the start a sum over a wide layer has random terms; logits reach size 1 after learning.
        return (-0.5, 0.0) if fit["kind"] == "logits" else (0.0, 0.0)
    grows = fit["step"] > 0 and (expect, optimizer) != ("ntk", "sgd")
    return (0.0, math.inf) if grows else (0.0, 0.0)


def verdict(fit: Record, expected: Interval | None, tolerance: float) -> str:
    """One word."""
    if fit["zero"]:
        return "zero"
    if expected is None or math.isnan(fit["slope"]):
        return ""
    half = max(tolerance, fit["high"] - fit["slope"])
    return "holds" if distance(fit["slope"], expected) <= half else "off"


def distance(slope: float, interval: Interval) -> float:
    """How far a slope is outside of an interval."""
    low, high = interval
    return max(low - slope, slope - high, 0.0)


def said(interval: Interval | None) -> str:
    """An interval in the table's words."""
    if interval is None:
        return ""
    low, high = interval
    return f"{low:g}" if low == high else f">= {low:g}" if high == math.inf else f"{low:g} to {high:g}"
