"""Time every activation beside jax.nn, PyTorch (where it is installed) and a copy of the same arrays.

    python -m benchmarks.speed                     2^10, 2^16, 2^20 and 2^24 entries; rows of 64 to 32,768
    python -m benchmarks.speed --quick gelu silu   2^16 entries only, and two functions

Forward, and forward with backward, in float32 and bfloat16. All who are compared are timed in turns in one run, so that
a busy machine slows them alike; a figure is the median of the ratios of a turn, with their quartiles. Also an eager
call, the import, and tracing, lowering and compiling a network of 48 layers. Merges what it measured into
benchmarks/results/speed.json, and makes speed.md and speed.svg of that.
"""

import argparse
import functools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import altair as alt
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxact
from benchmarks.report import RESULTS, environment, merge, table
from jaxact.core import catalog

try:
    import torch
except ModuleNotFoundError:
    torch = None

SIZES = {"pointwise": (2**10, 2**16, 2**20, 2**24), "axis": (64, 1024, 32_768)}
"""Entries, and for softmax the length of a row; there are 2^20 entries of rows."""
QUICK = {"pointwise": (2**16,), "axis": (1024,)}
LAYERS = 48
COMPILED = ("relu", "gelu", "silu", "mish", "softplus", "tanh")
"""The functions for which a network of so many layers is compiled."""
Run = Callable[[], object]


class Case(NamedTuple):
    """A function of ours, and the same one elsewhere."""

    name: str
    ours: Callable[..., Array]
    theirs: Mapping[str, Callable[..., Any]]
    kind: str


def cases(names: list[str]) -> list[Case]:
    """Every function that jax.nn has too, at its defaults, and the exact GELU."""
    found = []
    for row in catalog.rows():
        peer = getattr(jax.nn, row.name, None)
        if peer is None or row.kind not in SIZES or row.name == "prelu":
            continue
        theirs: dict[str, Callable[..., Any]] = {"jax.nn": peer}
        same = [name for name, settings in row.elsewhere.get("torch", {}).items() if not settings]
        functional = next((f for n in same if (f := getattr(torch and torch.nn.functional, n, None))), None)
        if functional is not None:
            theirs["torch"] = functools.partial(functional, dim=-1) if row.kind == "axis" else functional
        found.append(Case(row.name, row.function, theirs, row.kind))
        if row.name == "gelu":
            exact = {"jax.nn": functools.partial(jax.nn.gelu, approximate=False)}
            if torch:
                exact["torch"] = torch.nn.functional.gelu
                theirs["torch"] = functools.partial(torch.nn.functional.gelu, approximate="tanh")
            found.append(Case("gelu, exact", functools.partial(jaxact.gelu, approximate=False), exact, row.kind))
    return [case for case in found if not names or case.name.partition(",")[0] in names]


def in_jax(function: Callable[..., Array], backward: bool, *arrays: Array) -> Run:
    """A compiled call that waits for its result."""

    def both(x: Array, t: Array) -> Any:
        y, pull = jax.vjp(function, x)
        return y, pull(t)

    compiled = jax.jit(both if backward else lambda x, t: function(x)).lower(*arrays).compile()
    return lambda: jax.block_until_ready(compiled(*arrays))


def in_torch(function: Callable[..., Any], backward: bool, *arrays: Array) -> Run:
    """The same call of PyTorch, whose results are there when it returns."""
    assert torch is not None
    kind = {"float32": torch.float32, "bfloat16": torch.bfloat16}[arrays[0].dtype.name]
    x, t = (torch.from_numpy(np.array(a, np.float32)).to(kind) for a in arrays)
    if not backward:
        return lambda: function(x)

    def both() -> None:
        x.grad = None
        function(x).backward(t)

    x.requires_grad_()
    return both


def copy(backward: bool, *arrays: Array) -> Run:
    """The floor: what is read is written elsewhere, and nothing else."""
    arrays = arrays if backward else arrays[:1]
    compiled = jax.jit(lambda *arrays: [jnp.copy(a) for a in arrays]).lower(*arrays).compile()
    return lambda: jax.block_until_ready(compiled(*arrays))


def in_turns(runs: Mapping[str, Run], turns: int, seconds: float = 2e-3) -> dict[str, dict[str, float]]:
    """Time each in every turn: its median microseconds, and ours over it, the median and quartiles of the ratios."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    counts = {}
    for name, run in runs.items():
        run()
        start = time.perf_counter()
        run()
        counts[name] = max(1, int(seconds / (time.perf_counter() - start)))
    order = list(runs.items())
    for _ in range(turns):
        order.append(order.pop(0))  # who comes after whom matters
        for name, run in order:
            start = time.perf_counter()
            for _ in range(counts[name]):
                run()
            times[name].append((time.perf_counter() - start) / counts[name])
    results = {}
    for name, measured in times.items():
        low, middle, high = np.percentile(np.array(times["jaxact"]) / np.array(measured), [25, 50, 75])
        results[name] = {"microseconds": statistics.median(measured) * 1e6, "ratio": middle, "low": low, "high": high}
    return {name: {k: float(f"{v:.4g}") for k, v in result.items()} for name, result in results.items()}


def passes(chosen: Iterable[Case], sizes: Mapping[str, Iterable[int]], turns: int) -> dict[str, Any]:
    """Time all: "jax version/type/pass/entries/function/who" -> microseconds, and ours over theirs."""
    results = {}
    for case in chosen:
        for dtype in ("float32", "bfloat16"):
            for size in sizes[case.kind]:
                shape = (2**20 // size, size) if case.kind == "axis" else (size,)
                keys = jax.random.split(jax.random.key(0))
                arrays = [jnp.asarray(3 * jax.random.normal(key, shape), dtype) for key in keys]
                for backward in (False, True):
                    runs = {"jaxact": in_jax(case.ours, backward, *arrays)}
                    for who, function in case.theirs.items():
                        runs[who] = (in_torch if who == "torch" else in_jax)(function, backward, *arrays)
                    runs["copy"] = copy(backward, *arrays)
                    which = "forward and backward" if backward else "forward"
                    for who, result in in_turns(runs, turns if size < 2**24 else turns // 4).items():
                        entries = f"rows of {size}" if case.kind == "axis" else size
                        results[f"{jax.__version__}/{dtype}/{which}/{entries}/{case.name}/{who}"] = result
        print(case.name, flush=True)
    return results


def calls(chosen: Iterable[Case], turns: int) -> dict[str, Any]:
    """Time eager calls of 8 entries."""
    x = jnp.linspace(-1, 1, 8)
    results = {}
    for case in chosen:
        runs = {
            who: functools.partial(f, x)
            for who, f in {"jaxact": case.ours, "jax.nn": case.theirs["jax.nn"], "jax.nn.silu": jax.nn.silu}.items()
        }
        for who, result in in_turns(runs, turns).items():
            results[f"{jax.__version__}/eager/{case.name}/{who}"] = result
    return results


def compiling(chosen: Iterable[Case], turns: int) -> dict[str, Any]:
    """Time tracing, lowering and compiling the gradient of 48 layers of x W and an activation."""
    results = {}
    weights, x = jnp.ones((LAYERS, 32, 32)), jnp.ones((8, 32))

    def build(function: Callable[..., Array]) -> None:
        def loss(weights: Array, x: Array) -> Array:
            for w in weights:
                x = function(x @ w)
            return jnp.sum(x)

        jax.clear_caches()
        jax.jit(jax.grad(loss)).lower(weights, x).compile()

    for case in (case for case in chosen if case.name in COMPILED):
        runs = {"jaxact": case.ours, "jax.nn": case.theirs["jax.nn"]}
        for who, result in in_turns({k: functools.partial(build, f) for k, f in runs.items()}, turns).items():
            results[f"{jax.__version__}/compiling/{case.name}/{who}"] = result
    return results


def importing(turns: int) -> dict[str, Any]:
    """Time `import jax` and `import jaxact`, each in a new process."""

    def run(module: str) -> None:
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    measured = in_turns({name: functools.partial(run, name) for name in ("jaxact", "jax")}, turns)
    return {f"{jax.__version__}/import/{who}": result for who, result in measured.items()}


def mean(ratios: Iterable[float]) -> float:
    """The geometric mean."""
    return statistics.geometric_mean(ratios)


def write(results: Mapping[str, Any]) -> None:
    """Write speed.md and speed.svg from all that speed.json holds."""
    text = [
        "# How fast\n",
        "Written by `python -m benchmarks.speed`: jaxact's time over theirs, so that less than 1 is faster; the median "
        "of the ratios of a turn, in brackets their quartiles.\n",
    ]
    measured = {tuple(key.split("/")): value for key, value in results.items()}
    for version in dict.fromkeys(key[0] for key in measured if key[0] != "environment"):
        where = ", ".join(f"{k} {v}" for k, v in results[f"environment/{version}"].items())
        text.append(f"## JAX {version}\n\n{where}\n")
        timed = {key[1:]: value for key, value in measured.items() if key[0] == version and len(key) == 6}
        whos = ("jax.nn", "torch", "copy")
        groups = list({(dtype, which, size) for dtype, which, size, _, who in timed if who == "jax.nn"})
        groups.sort(key=lambda group: (group[2].startswith("rows"), group[:2], len(group[2]), group[2]))
        rows = []
        for group in groups:
            ratios = [[v["ratio"] for k, v in timed.items() if k[:3] == group and k[4] == who] for who in whos]
            worst = max((v["ratio"], k[3]) for k, v in timed.items() if k[:3] == group and k[4] == "jax.nn")
            means = [f"{mean(r):.2f}" if r else "" for r in ratios]
            rows.append([", ".join(group), len(ratios[0]), *means, f"{worst[0]:.2f} {worst[1]}"])
        header = ["type, pass, entries", "functions", *(f"over {who}" for who in whos), "worst over jax.nn"]
        text.append("Geometric means:\n\n" + table(header, rows))
        for group in groups:
            names = dict.fromkeys(k[3] for k in timed if k[:3] == group)
            rows = []
            for name in names:
                found = [timed.get((*group, name, who)) for who in whos]
                cells = [f"{v['ratio']:.2f} ({v['low']:.2f} to {v['high']:.2f})" if v else "" for v in found]
                rows.append([name, f"{timed[*group, name, 'jaxact']['microseconds']:.0f}", *cells])
            text.append(f"### {', '.join(group)}\n\n" + table(["function", "microseconds", *whos], rows))
        for what, unit in (("eager", 1), ("compiling", 1e-6)):
            rows = [
                [key[2], f"{value['microseconds'] * unit:.3g}", f"{measured[*key[:3], who]['microseconds'] * unit:.3g}"]
                for who in ("jax.nn",)
                for key, value in measured.items()
                if key[:2] == (version, what) and key[3] == "jaxact"
            ]
            title = {"eager": "An eager call, microseconds", "compiling": f"Compiling {LAYERS} layers, seconds"}[what]
            text.append(f"### {title}\n\n" + table(["function", "jaxact", "jax.nn"], rows))
        seconds = [measured[version, "import", who]["microseconds"] * 1e-6 for who in ("jax", "jaxact")]
        text.append(f"`import jax` takes {seconds[0]:.2f} s, `import jaxact` {seconds[1]:.2f} s.\n")
    (RESULTS / "speed.md").write_text("\n".join(text))
    points = [
        {"JAX": key[0], "function": key[4], "pass": f"{key[1]}, {key[2]}", "over": key[5], "ratio": value["ratio"]}
        for key, value in measured.items()
        if len(key) == 6 and key[5] in ("jax.nn", "torch") and key[3] in ("65536", "rows of 1024")
    ]
    chart = (
        alt.Chart(alt.Data(values=points))
        .mark_point(filled=True, size=50)
        .encode(
            alt.X("ratio:Q", title="jaxact's time over theirs", scale=alt.Scale(type="log")),
            alt.Y("function:N", title=None),
            alt.Shape("JAX:N"),
            alt.Color("over:N", title="theirs"),
        )
        .properties(width=260)
        .facet(alt.Facet("pass:N", title=None), columns=2)
    )
    chart.save(RESULTS / "speed.svg")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*", help="names from the catalog; default all that jax.nn has")
    parser.add_argument("--quick", action="store_true", help="one size, few turns")
    arguments = parser.parse_args()
    # Handing a small call to another thread takes longer than the call, how long depends on whether that one sleeps.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    chosen = cases(arguments.functions)
    turns = 12 if arguments.quick else 24
    setting = {**environment("jaxlib", "torch"), "load": f"{os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"}
    results = {f"environment/{jax.__version__}": setting}
    results |= calls(chosen, turns) | importing(5) | compiling(chosen, 3)
    results |= passes(chosen, QUICK if arguments.quick else SIZES, turns)
    write(merge("speed", results))


if __name__ == "__main__":
    main()
