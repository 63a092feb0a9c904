"""Measure how right every activation and its derivatives are, beside jax.nn and torch, as `jaxact verify` does.

    python -m benchmarks.accuracy                      samples of float32 and float64, every bfloat16 and float16
    python -m benchmarks.accuracy --exhaustive relu    every one of the 2^32 float32 inputs, as well

Prints a table, and writes benchmarks/results/accuracy.json, into which each run merges what it measured, and
accuracy.md, which is made from it. A run of some functions with other versions or on another processor than the rest is
printed alone: figures under one heading are of one machine. What is judged, and how, is in jaxact/verify. An exhaustive
run that was ended goes on.
"""

import argparse
import importlib.util
import json
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from benchmarks.report import RESULTS, environment, merge, table
from jaxact.verify.cases import POINTWISE, Case
from jaxact.verify.elementwise import judge, points
from jaxact.verify.exhaustive import exhaustive
from jaxact.verify.facts import Facts
from jaxact.verify.programs import derivatives, peer, run
from jaxact.verify.results import ORDERS
from jaxact.verify.unit import BOUNDS

PROVIDERS = ("jaxact", "jax.nn", "torch")


def computed(case: Case, x: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Value and derivatives by jaxact, jax.nn and torch, as far as they have them."""
    device = jax.devices()[0]
    functions = {"jaxact": case.__call__, "jax.nn": peer(case)}
    found = {who: run(jax.jit(derivatives(f, 2)), x, device) for who, f in functions.items() if f is not None}
    bound = {**case.parameters, **({"approximate": False} if case.parameters.get("approximate") is False else {})}
    names = [n for n, wanted in case.row.elsewhere.get("torch", {}).items() if n.islower() and wanted == bound]
    if names and importlib.util.find_spec("torch"):
        found["torch"] = _in_torch(names[0], x)
    return found


def _in_torch(name: str, x: np.ndarray) -> list[np.ndarray]:
    """PyTorch's value and derivatives; the second only where it has one."""
    import torch

    t = torch.from_numpy(x.astype(np.float64)).to(getattr(torch, x.dtype.name)).requires_grad_()
    y = getattr(torch.nn.functional, name)(t)
    results = [y]
    for _ in ORDERS[1:]:
        try:
            (y,) = torch.autograd.grad(y.sum(), t, create_graph=True)
        except RuntimeError as error:
            if "is not implemented" in str(error) or "does not require grad" in str(error):
                break
            raise
        results.append(y)
    return [y.detach().to(torch.float64).numpy().astype(x.dtype) for y in results]


def figures(found: Facts) -> dict[str, Any]:
    """What is kept of the facts."""
    return {
        "inputs": found.inputs,
        "worst": found.worst,
        "at": found.at,
        "ulp": found.ulp,
        "normal": found.normal,
        "not correctly rounded": found.misrounded,
        "and in the tail": found.tail,
        "wrong zeros": found.zeros,
        "NaN": found.nans,
    }


def measure(cases: list[Case], dtypes: list[str]) -> dict[str, Any]:
    """Judge every provider on every case: "dtype/case/order/provider" -> figures."""
    results = {}
    for dtype in dtypes:
        with jax.enable_x64(dtype == "float64"):
            for case in cases:
                x = points(case, dtype)
                for provider, got in computed(case, x).items():
                    for what, found in zip(ORDERS, judge(case, x, got), strict=False):
                        results[f"{dtype}/{case.name}/{what}/{provider}"] = figures(found)
                print(f"{dtype} {case.name}", flush=True)
    return results


def write(results: dict[str, Any]) -> None:
    """Write accuracy.md from all that accuracy.json holds."""
    text = [
        "# Accuracy\n",
        "Written by `python -m benchmarks.accuracy`. Worst error in units of an ulp of max(|f|, |x f'| / 8), f being "
        "the value or the derivative in question; in brackets how many normal results are not correctly rounded, of "
        "16-bit types; *z* counts wrong zeros and *n* NaNs. Left out are NaN and subnormal inputs, and results under "
        "2^-116 (in float16, subnormal ones).\n",
    ]
    for key in ("environment", "environment, exhaustive"):
        if key in results:
            which = "float32, all" if "exhaustive" in key else "The rest"
            text.append(f"{which}: " + ", ".join(f"{k} {v}" for k, v in results[key].items()) + ".\n")
    (RESULTS / "accuracy.md").write_text("\n".join([*text, *tables(results)]))


def tables(results: dict[str, Any]) -> Iterator[str]:
    """A table a type, of what the catalog has, in its order, whatever was merged last."""
    measured = {tuple(k.split("/")): v for k, v in results.items() if k.count("/") == 3}
    for dtype in [t for t in ("float32, all", *BOUNDS) if any(k[0] == t for k in measured)]:
        peers = [p for p in PROVIDERS if any(k[0] == dtype and k[3] == p for k in measured)]
        header = ["function", *(f"{order}, {p}" for order in ORDERS for p in peers)]
        names = [c.name for c in POINTWISE if any(k[:2] == (dtype, c.name) for k in measured)]
        rows = [
            [name, *(_cell(dtype, measured.get((dtype, name, order, p))) for order in ORDERS for p in peers)]
            for name in names
        ]
        inputs = max(v["inputs"] for k, v in measured.items() if k[0] == dtype)
        yield f"## {dtype}, {inputs:,} inputs\n\n{table(header, rows)}"


def _cell(dtype: str, found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    worst = f"{found['worst']:.2f}" if found["worst"] < 1000 else f"{found['worst']:.0e}"
    missed = f" ({found['not correctly rounded']})" if dtype.endswith("16") and "not correctly rounded" in found else ""
    return (
        worst
        + missed
        + (f" {found['NaN']}n" if found["NaN"] else "")
        + (f" {found['wrong zeros']}z" if found["wrong zeros"] else "")
    )


def keep(where: str, results: dict[str, Any], everything: bool) -> None:
    """Print results; merge them and write, unless what is there was measured elsewhere and would stay beside them."""
    print("\n".join(tables(results)))
    path = RESULTS / "accuracy.json"
    before = json.loads(path.read_text()).get(where) if path.exists() else None
    if everything and path.exists():  # of what was measured before, only what is of every float32 stays
        kept = {
            k: v for k, v in json.loads(path.read_text()).items() if k.startswith(("float32, all/", "environment, "))
        }
        path.write_text(json.dumps(kept))
    if everything or before in (None, results[where]):
        write(merge("accuracy", results))
        return
    print(f"Not merged into {path.name}, whose figures are of {before}; run it for all functions to replace them.")


def main() -> None:
    """Measure, print, merge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*", help="names from the catalog; default all")
    parser.add_argument("--dtypes", nargs="+", choices=BOUNDS, default=list(BOUNDS))
    parser.add_argument("--exhaustive", action="store_true", help="every float32 input of the named functions")
    arguments = parser.parse_args()
    cases = [c for c in POINTWISE if not arguments.functions or {c.name, c.row.name} & {*arguments.functions}]
    where = "environment, exhaustive" if arguments.exhaustive else "environment"
    results: dict[str, Any] = {where: environment("torch")}
    if not arguments.exhaustive:
        keep(
            where,
            results | measure(cases, arguments.dtypes),
            everything=not arguments.functions and len(arguments.dtypes) == len(BOUNDS),
        )
        return
    kept = pathlib.Path(tempfile.gettempdir()) / "jaxact-accuracy"
    kept.mkdir(exist_ok=True)
    for case in (c for c in cases if not c.parameters or c.name in arguments.functions):
        progress = lambda name, done, every: print(f"\r{name}: {done / every:6.1%}", end=" ", flush=True)  # noqa: E731
        for found in exhaustive(case, 2, jax.devices()[0], kept, progress):
            results[f"float32, all/{case.name}/{ORDERS[found.order]}/jaxact"] = figures(found.facts)
        keep(where, results, everything=False)


if __name__ == "__main__":
    main()
