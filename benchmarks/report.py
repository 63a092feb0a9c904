"""What the benchmarks share: where results go, what they were measured on, and tables."""

import json
import pathlib
import platform
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any

import jax

RESULTS = pathlib.Path(__file__).parent / "results"


def environment(*packages: str) -> dict[str, str]:
    """Versions of Python, JAX and further packages that are installed, and the processor and device."""
    versions = {"python": platform.python_version(), "jax": jax.__version__}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {**versions, "device": jax.devices()[0].device_kind, "processor": _processor()}


def _processor() -> str:
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(": ")[2]
    return platform.processor() or platform.machine()


def merge(name: str, results: dict[str, Any]) -> dict[str, Any]:
    """Merge `results` into benchmarks/results/<name>.json, replacing what has the same keys, and return the whole."""
    path = RESULTS / f"{name}.json"
    whole = json.loads(path.read_text()) if path.exists() else {}
    whole.update(results)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")
    return whole


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; numbers to the right."""
    alignment = ["---", *["---:"] * (len(header) - 1)]
    lines = [header, alignment, *rows]
    return "".join(f"| {' | '.join(map(str, cells))} |\n" for cells in lines)
