"""Accuracy, speed and memory beside jax.nn on whatever accelerator there is, in one run of under 8 minutes.

    python -m benchmarks.device                   the functions that most models use
    python -m benchmarks.device --quick gelu      one of them, small arrays

What takes longer than `--seconds` in all is left out, and named. Merges into benchmarks/results/device.json, by the
device's name, and makes device.md of that: so that runs on several devices stand side by side.
"""

import argparse
import functools
import time
from collections.abc import Iterator
from typing import Any

import jax

from benchmarks import residuals, speed
from benchmarks.report import RESULTS, environment, merge, table
from jaxact.core import catalog
from jaxact.verify import verify
from jaxact.verify.results import ORDERS

NAMES = ("gelu", "silu", "softplus", "mish", "tanh", "sigmoid", "elu", "relu", "softmax", "log_softmax")
SIZES = {"pointwise": (2**24,), "axis": (1024,)}


def accuracy(name: str) -> dict[str, Any]:
    """Judge it: "accuracy/function/type/order/way/who" -> worst error, misrounded, wrong zeros, NaNs."""
    found = {}
    for r in verify([name]).results:
        names = {"worst": "units", "ulp": "ulp", "misrounded": "misrounded", "zeros": "wrong zeros", "nans": "NaN"}
        figures = {called: getattr(r.facts, name) for name, called in names.items()}
        found[f"accuracy/{r.function}/{r.dtype}/{r.order}/{r.way}/{r.by}"] = figures
    return found


def times(name: str, quick: bool) -> dict[str, Any]:
    """Time it: "speed/type/pass/entries/function/who" -> microseconds, and ours over theirs."""
    chosen = [case for case in speed.cases([name]) if "torch" not in case.name]
    chosen = [case._replace(theirs={"jax.nn": case.theirs["jax.nn"]}) for case in chosen]
    measured = speed.passes(chosen, speed.QUICK if quick else SIZES, 3 if quick else 20)
    return {f"speed/{key.partition('/')[2]}": result for key, result in measured.items()}


def memory(name: str, quick: bool) -> dict[str, Any]:
    """Compile it: "memory/type/function/who" -> arrays that a scanned block keeps."""
    row, device = catalog.info(name), jax.devices()[0]
    block = residuals.block_of(row)
    found = {}
    for dtype in residuals.DTYPES[quick:] if block else ():
        base, *_ = residuals.cost(block, residuals.NOTHING[block], dtype, "scanned", device)
        for who, function in residuals.providers(row).items():
            arrays, *_ = residuals.cost(block, function, dtype, "scanned", device)
            found[f"memory/{dtype}/{name}/{who}"] = round(arrays - base, 3)
    return found


def measure(names: list[str], quick: bool, seconds: float) -> Iterator[dict[str, Any]]:
    """Measure one thing of one function after the other, until the time is up."""
    began = time.perf_counter()
    measures = {
        "accuracy": accuracy,
        "speed": functools.partial(times, quick=quick),
        "memory": functools.partial(memory, quick=quick),
    }
    for what, of in measures.items():
        for name in names:
            late = time.perf_counter() - began > seconds
            print(f"left out: {what} of {name}" if late else f"{what} of {name}", flush=True)
            if not late:
                yield of(name)


def write(results: dict[str, Any]) -> None:
    """Write device.md from all that device.json holds."""
    text = [
        "# By device\n",
        "Written by `python -m benchmarks.device`: normal results that are not correctly rounded and worst error in "
        "ulp (jax.nn's behind the slash), time over jax.nn's, and arrays that a scanned block keeps.\n",
    ]
    for device, found in results.items():
        text.append(f"## {device}\n\n" + ", ".join(f"{k} {v}" for k, v in found["environment"].items()) + "\n")
        keyed = {tuple(k.split("/")): v for k, v in found.items()}
        rows = []
        for key, ours in keyed.items():
            if key[0] == "accuracy" and key[-1] == "jaxact" and key[4] != "fused":
                both = [ours, *filter(None, [keyed.get((*key[:-1], "jax.nn"))])]
                cells = [" / ".join(f"{each[what]:.4g}" for each in both) for what in ("misrounded", "ulp")]
                rows.append([f"{key[1]}, {key[2]}, {ORDERS[int(key[3])]}, {key[4]}", *cells])
        text.append(table(["function", "misrounded", "ulp"], rows))
        rows = [
            [", ".join(k[1:-1]), v["ratio"], v["low"], v["high"]]
            for k, v in keyed.items()
            if k[0] == "speed" and k[-1] == "jax.nn"
        ]
        text.append(table(["time over jax.nn's", "median", "quartile", "quartile"], rows))
        rows = [[", ".join(k[1:]), v] for k, v in keyed.items() if k[0] == "memory"]
        text.append(table(["arrays kept", ""], rows))
    (RESULTS / "device.md").write_text("\n".join(text))


def main() -> None:
    """Measure, merge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*", default=list(NAMES), help="names of functions that jax.nn has too")
    parser.add_argument("--quick", action="store_true", help="small arrays, few turns")
    parser.add_argument("--seconds", type=float, default=420, help="when to start nothing more; default 420")
    arguments = parser.parse_args()
    device = jax.devices()[0].device_kind
    for more in measure(arguments.functions, arguments.quick, arguments.seconds):
        kept = merge("device", {}).get(device, {})
        write(merge("device", {device: {**kept, **more, "environment": environment()}}))


if __name__ == "__main__":
    main()
