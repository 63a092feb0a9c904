"""What a row says about an activation, in words."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

from jaxact.core.catalog import Row

_SMOOTHNESS = {
    -1: "f jumps",
    0: "f is continuous, f' jumps",
    1: "f' is continuous, f'' jumps",
    2: "f'' is continuous",
    math.inf: "all derivatives are continuous",
}


def facts(row: Row) -> dict[str, str]:
    """The facts about an activation, each as a heading and a line of text."""
    modules = ", ".join(f"jaxact.{framework}.{row.module}" for framework in ("nnx", "linen", "equinox"))
    said = {"call": _signature(row), "modules": modules}
    if row.aliases:
        said["aliases"] = ", ".join(row.aliases)
    if row.kind == "pointwise":
        said |= _analysis(row)
    kept = (
        f"{row.keeps:g} float32 array{'' if row.keeps == 1 else 's'} of x's size"
        if row.keeps
        else "no array of its own"
    )
    said["memory"] = f"keeps {kept} for the backward pass"
    for source in row.elsewhere:
        said[f"in {source}"] = "; ".join(
            names if call == _call(row, {}) else f"{names}: {call}" for names, call in elsewhere(row, source).items()
        )
    said["reference"] = row.reference
    return said


def _signature(row: Row) -> str:
    """The signature of a function, without annotations."""
    signature = inspect.signature(row.function)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return f"jaxact.{row.name}{signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)}"


def _analysis(row: Row) -> dict[str, str]:
    shape = ["never decreases" if row.monotone else "not monotone", *(["odd"] if row.odd else [])]
    said = {
        "range": f"from {_number(row.range[0])} to {_number(row.range[1])}",
        "limits": f"f(-∞) = {_number(row.limits[0])}, f(∞) = {_number(row.limits[1])}; "
        f"f'(-∞) = {_number(row.slope_limits[0])}, f'(∞) = {_number(row.slope_limits[1])}",
        "shape": ", ".join(shape),
        "smoothness": _SMOOTHNESS[row.smoothness],
        "largest |f'|": _number(row.lipschitz),
    }
    if row.kinks:
        said["at its kinks"] = ", ".join(f"f'({_number(x)}) = {_number(slope)}" for x, slope in row.kinks.items())
    return said


def elsewhere(row: Row, source: str) -> dict[str, str]:
    """A source's names for an activation, grouped by meaning, and the equivalent calls of jaxact."""
    names = {name: {} for name in (row.name, *row.aliases)} if source == "jax" else row.elsewhere.get(source, {})
    calls: dict[str, list[str]] = {}
    for name, bound in names.items():
        calls.setdefault(_call(row, bound), []).append(name)
    return {", ".join(same): call for call, same in calls.items()}


def _call(row: Row, bound: Mapping[str, Any]) -> str:
    """A call with these parameters, and the names of the parameters that have to be given."""
    needed = [k for k, v in inspect.signature(row.function).parameters.items() if v.default is v.empty]
    given = [f"{k}={v!r}" for k, v in bound.items()]
    return f"{row.name}({', '.join([k for k in needed if k not in bound] + given)})"


def _number(value: float) -> str:
    return f"{value:.6g}".replace("inf", "∞")
