"""What benchmarks/results holds of one function, as Markdown tables. Nothing is measured here."""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
ORDERS = {"value": "f", "first derivative": "f'", "second derivative": "f''"}
PROVIDERS = ("jaxact", "jax.nn", "torch")
DEVICES = {"cpu": "CPU", "h100": "H100", "v5e": "TPU v5e"}


@functools.cache
def results(name: str) -> dict[str, Any]:
    """A file of benchmarks/results, or nothing where it is not yet measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table, the first column to the left; none without rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    rule = f"| --- | {' | '.join('---:' for _ in head[1:])} |"
    return ["", f"| {' | '.join(head)} |", rule, *lines, ""] if lines else []


def environment(facts: Mapping[str, Any]) -> str:
    """Where something was measured, in a line."""
    return ", ".join(f"{key} {value}" for key, value in facts.items())


def number(x: float) -> str:
    """Two decimals, or a power of ten."""
    return f"{x:.2f}" if x < 1000 else f"{x:.0e}".replace("e+0", "e").replace("e+", "e")


def accuracy(name: str) -> list[str]:
    """The worst errors in units, of each setting, type and library."""
    found: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
    for key, facts in results("accuracy").items():
        if key.count("/") == 3:
            dtype, setting, order, provider = key.split("/")
            if setting.partition("(")[0] == name:
                found.setdefault((setting, dtype, provider), {})[order] = facts
    lines = sorted(found.items(), key=lambda line: (line[0][:2], PROVIDERS.index(line[0][2])))
    rows = [
        [f"`{setting}`, {dtype}, {provider}", *(_error(orders.get(order)) for order in ORDERS)]
        for (setting, dtype, provider), orders in lines
    ]
    return table(["worst error in units", *ORDERS.values()], rows)


def _error(facts: Mapping[str, Any] | None) -> str:
    if facts is None:
        return ""
    wrong = [f"{facts[key]:,} {key}" for key in ("NaN", "wrong zeros") if facts[key]]
    return "; ".join([number(facts["worst"]), *wrong])


def by_device(name: str) -> list[str]:
    """Misrounded results and the worst plain ulp on each device where `benchmarks.device` ran."""
    rows = []
    for device, found in results("device").items():
        for key, facts in found.items():
            words = key.split("/")
            if words[0] == "accuracy" and words[1].partition("(")[0] == name and words[4] != "fused":
                about = f"{device}, `{words[1]}`, {words[2]}, {list(ORDERS.values())[int(words[3])]}, {words[4]}"
                rows.append(
                    [f"{about}, {words[5]}", f"{facts['misrounded']:,}", number(facts["ulp"]), number(facts["units"])]
                )
    return table(["on a device", "not correctly rounded", "worst, ulp", "worst, units"], rows)


def memory(name: str) -> list[str]:
    """Arrays that a block keeps, scanned and unrolled, by device, type and library."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for key, facts in results("residuals").items():
        words = key.split("/")
        if len(words) == 6 and words[4] == name:
            device, dtype, form, block, _, provider = words
            found.setdefault((f"{DEVICES[device]}, {block}", dtype, form), {})[provider] = f"{facts['arrays']:.2f}"
    providers = [p for p in ("jaxact", "compact", "jax.nn") if any(p in line for line in found.values())]
    rows = [[", ".join(key), *(line.get(p, "") for p in providers)] for key, line in found.items()]
    return table(["arrays kept", *providers], rows)


def speed(name: str) -> list[str]:
    """Time beside jax.nn's, where the newest JAX was measured; large arrays."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for key, facts in results("speed").items():
        words = key.split("/")
        if len(words) == 6 and words[4].partition(",")[0] == name and words[3] in ("1048576", "rows of 1024"):
            version, dtype, which, size, setting, provider = words
            found.setdefault((version, setting, dtype, which, size), {})[provider] = facts
    newest = max((key[0] for key in found), key=_version, default="")
    rows = [
        [
            ", ".join(key[1:]),
            f"{line['jaxact']['microseconds']:.0f}",
            _ratio(line.get("jax.nn")),
            _ratio(line.get("torch")),
        ]
        for key, line in sorted(found.items())
        if key[0] == newest
    ]
    return table([f"JAX {newest}", "microseconds", "jaxact / jax.nn", "jaxact / PyTorch"], rows)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _ratio(facts: Mapping[str, Any] | None) -> str:
    return "" if facts is None else f"{facts['ratio']:.2f}"
