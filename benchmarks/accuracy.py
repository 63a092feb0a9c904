"""Measure how right every activation and its derivatives are, beside jax.nn and torch.

    python -m benchmarks.accuracy                      samples of float32 and float64, every bfloat16 and float16
    python -m benchmarks.accuracy --exhaustive relu    every one of the 2^32 float32 inputs, as well

The unit is DESIGN's: an ulp of max(|reference|, |x d reference / dx| / 8). Writes benchmarks/results/accuracy.json,
into which each run merges what it measured, and accuracy.md, which is made from it. The oracles are those of
jaxact/verify.
"""

import argparse
import contextlib
import functools
import importlib.util
import inspect
import time
import types
import unittest.mock
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.report import RESULTS, environment, merge, table
from jaxact.verify import unit
from jaxact.verify.cases import POINTWISE, Case
from jaxact.verify.oracles import elementwise, elementwise_forms, pointwise

ORDERS = ("value", "first derivative", "second derivative")
CHUNK, BLOCK = 2**24, 2**14


def providers(case: Case) -> dict[str, Callable[..., Any]]:
    """The same function from jaxact, jax.nn and torch, as functions of (x, order) on NumPy arrays."""
    found = {"jaxact": functools.partial(_jax_derivative, lambda x: case(x))}
    if hasattr(jax.nn, case.row.name) and {*case.parameters} <= {*inspect.signature(_peer(case)).parameters}:
        found["jax.nn"] = functools.partial(_jax_derivative, lambda x: _peer(case)(x, **case.parameters))
    torch_names = case.row.elsewhere.get("torch", {})
    parameters = {**case.parameters, **({"approximate": False} if case.parameters.get("approximate") is False else {})}
    names = [n for n, bound in torch_names.items() if n.islower() and bound == parameters]
    if names and importlib.util.find_spec("torch"):
        found["torch"] = functools.partial(_torch_derivative, names[0])
    return found


def _peer(case: Case) -> Callable[..., Any]:
    return getattr(jax.nn, case.row.name)


def _jax_derivative(function: Callable[..., Any], x: np.ndarray, order: int) -> np.ndarray:
    for _ in range(order):
        function = _summed_gradient(function)
    return np.asarray(jax.jit(function)(jnp.asarray(x)))


def _summed_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.grad(lambda x: function(x).sum())


def _torch_derivative(name: str, x: np.ndarray, order: int) -> np.ndarray | None:
    """PyTorch's derivative; None where it has none, which it has only for some functions a second time."""
    import torch

    dtype = getattr(torch, x.dtype.name)
    t = torch.from_numpy(x.astype(np.float64)).to(dtype).requires_grad_(order > 0)
    y = getattr(torch.nn.functional, name)(t)
    for k in range(order):
        try:
            (y,) = torch.autograd.grad(y.sum(), t, create_graph=k + 1 < order)
        except RuntimeError as error:
            if "is not implemented" in str(error) or "does not require grad" in str(error):
                return None
            raise
    return y.detach().to(torch.float64).numpy().astype(x.dtype)


def judge(case: Case, got: np.ndarray, dtype: str, order: int) -> dict[str, Any]:
    """Compare the results at `unit.inputs` with the oracle's."""
    x = unit.inputs(dtype, case.oracle.joints)
    reference, sensitivity = unit._reference(case.name, dtype, order, None)
    defined = ~np.isnan(reference)
    x, got, reference, sensitivity = x[defined], got[defined], reference[defined], sensitivity[defined]
    nan = np.isnan(got.astype(np.float64))
    error = np.where(nan, 0, unit.units(got, reference, sensitivity))
    large = np.abs(reference) >= unit.smallest(dtype)
    worst = int(np.argmax(np.where(np.isfinite(error), error, -1)))
    with np.errstate(over="ignore"):
        rounded = reference.astype(got.dtype)
    return {
        "inputs": int(x.size),
        "worst": float(error[worst]),
        "at": float(x[worst]),
        "misrounded": float(np.mean((got != rounded) & large)),
        "wrong zeros": int(np.sum((got == 0) & large)),
        "NaN": int(nan.sum()),
    }


def exhaustive(case: Case) -> list[dict[str, Any]]:
    """Try all 2^32 float32 inputs against the oracle, compiled in float64; report progress and the time left.

    Returns:
      Facts as `judge` gives them, for each order.
    """
    oracle, settings = case.oracle, case.settings("float32")
    functions = [lambda x: case(x)]
    for _ in ORDERS[1:]:
        functions.append(_summed_gradient(functions[-1]))

    def block(start: jax.Array) -> tuple[jax.Array, ...]:
        x = lax.bitcast_convert_type(start + lax.iota(jnp.uint32, BLOCK), jnp.float32)
        x = jnp.where((jnp.abs(x) >= jnp.finfo(x.dtype).tiny) & ~jnp.isnan(x), x, 0)
        wide = x.astype(jnp.float64)
        forms = [jnp.asarray(oracle.derivative(k)(wide, **settings), jnp.float64) for k in range(len(ORDERS) + 1)]
        joint = functools.reduce(jnp.logical_or, [x == j for j in oracle.joints], jnp.zeros_like(x, bool))
        return tuple(
            jnp.stack(column)
            for column in zip(
                *(
                    _compared(x, function(x), forms[k], wide * forms[k + 1], joint if k == 2 else None)
                    for k, function in enumerate(functions)
                ),
                strict=True,
            )
        )

    @jax.jit
    def chunk(start: jax.Array) -> tuple[jax.Array, ...]:
        return lax.map(block, start + jnp.arange(0, CHUNK, BLOCK, dtype=jnp.uint32))

    facts = [{"inputs": 2**32, "worst": 0.0, "at": 0.0, "misrounded": 0, "wrong zeros": 0, "NaN": 0} for _ in ORDERS]
    began = time.perf_counter()
    for i in range(2**32 // CHUNK):
        worst, at, wrong, zeros, nans = map(np.asarray, chunk(jnp.uint32(i * CHUNK)))
        for k, totals in enumerate(facts):
            if worst[:, k].max() > totals["worst"]:
                totals |= {"worst": float(worst[:, k].max()), "at": float(at[worst[:, k].argmax(), k])}
            for key, counts in (("misrounded", wrong), ("wrong zeros", zeros), ("NaN", nans)):
                totals[key] += int(counts[:, k].sum())
        spent = time.perf_counter() - began
        left = spent * (2**32 // CHUNK - i - 1) / (i + 1)
        print(f"\r{case.name}: {(i + 1) * CHUNK / 2**32:6.1%}, {left:5.0f} s left ", end="", flush=True)
    print("worst " + ", ".join(f"{totals['worst']:.2f}" for totals in facts), flush=True)
    return [{**totals, "misrounded": totals["misrounded"] / 2**32} for totals in facts]


def _compared(
    x: jax.Array, got: jax.Array, reference: jax.Array, sensitivity: jax.Array, skipped: jax.Array | None
) -> tuple[jax.Array, ...]:
    """`unit.units` and counts, compiled: worst error and where, misrounded, wrong zeros, NaNs."""
    small, limit = unit.smallest("float32"), float(jnp.finfo(jnp.float32).max)
    sensitivity = jnp.where(jnp.isfinite(sensitivity), sensitivity, 0)
    size = jnp.clip(jnp.maximum(jnp.abs(reference), jnp.abs(sensitivity) / 8), small, limit)
    power_of_two = lax.bitcast_convert_type(lax.bitcast_convert_type(size, jnp.int64) >> 52 << 52, jnp.float64)
    wide = jnp.clip(got.astype(jnp.float64), -limit, limit)
    error = jnp.abs(wide - jnp.clip(reference, -limit, limit)) / (power_of_two * 2.0**-23)
    large = jnp.abs(reference) >= small
    error = jnp.where(large | (jnp.abs(wide) >= 2 * small), error, 0)
    if skipped is not None:
        error, large = jnp.where(skipped, 0, error), large & ~skipped
    worst = jnp.nanargmax(error)
    wrong = (got != reference.astype(jnp.float32)) & large
    return error[worst], x[worst], wrong.sum(), ((got == 0) & large).sum(), jnp.isnan(got).sum()


@contextlib.contextmanager
def compilable_oracles() -> Iterator[None]:
    """Within, the oracles compute with jax.numpy where they say NumPy and SciPy, in float64: they can be traced."""
    special = types.SimpleNamespace(**vars(jax.scipy.special), log_expit=lambda x: -jnp.logaddexp(0, -x))
    with contextlib.ExitStack() as stack:
        for module in (elementwise, elementwise_forms, pointwise):
            stack.enter_context(unittest.mock.patch.multiple(module, np=jnp, special=special, create=True))
        yield


def measure(cases: list[Case], dtypes: list[str]) -> dict[str, Any]:
    """Judge every provider on every case: "dtype/case/order/provider" -> facts."""
    results = {}
    for dtype in dtypes:
        with jax.enable_x64(dtype == "float64"):
            for case in cases:
                x = unit.inputs(dtype, case.oracle.joints)
                for provider, function in providers(case).items():
                    for order, what in enumerate(ORDERS):
                        if (got := function(x, order)) is not None:
                            results[f"{dtype}/{case.name}/{what}/{provider}"] = judge(case, got, dtype, order)
                print(f"{dtype} {case.name}", flush=True)
    return results


def write(results: dict[str, Any]) -> None:
    """Write accuracy.md from all that accuracy.json holds."""
    text = [
        "# Accuracy\n",
        "Written by `python -m benchmarks.accuracy`. Worst error in units of an ulp of max(|f|, |x f'| / 8), f being "
        "the value or the derivative in question; *z* counts wrong zeros and *n* NaNs. Left out are NaN and subnormal "
        "inputs, and results under 2^-116 (in float16, subnormal ones).\n",
    ]
    for key in ("environment", "environment, exhaustive"):
        if key in results:
            which = "float32, all" if "exhaustive" in key else "The rest"
            text.append(f"{which}: " + ", ".join(f"{k} {v}" for k, v in results[key].items()) + ".\n")
    measured = {tuple(k.split("/")): v for k, v in results.items() if k.count("/") == 3}
    for dtype in dict.fromkeys(k[0] for k in measured):
        peers = [p for p in ("jaxact", "jax.nn", "torch") if any(k[0] == dtype and k[3] == p for k in measured)]
        header = ["function", *(f"{order}, {p}" for order in ORDERS for p in peers)]
        names = dict.fromkeys(k[1] for k in measured if k[0] == dtype)
        rows = [
            [name, *(_cell(measured.get((dtype, name, order, p))) for order in ORDERS for p in peers)] for name in names
        ]
        inputs = max(v["inputs"] for k, v in measured.items() if k[0] == dtype)
        text.append(f"## {dtype}, {inputs:,} inputs\n\n{table(header, rows)}")
    (RESULTS / "accuracy.md").write_text("\n".join(text))


def _cell(facts: dict[str, Any] | None) -> str:
    if facts is None:
        return ""
    worst = f"{facts['worst']:.2f}" if facts["worst"] < 1000 else f"{facts['worst']:.0e}"
    return (
        worst
        + "".join(f" {facts[key]}{key[-1 if key == 'zeros' else 0].lower()}" for key in ("NaN",) if facts[key])
        + (f" {facts['wrong zeros']}z" if facts["wrong zeros"] else "")
    )


def main() -> None:
    """Measure, merge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*", help="names from the catalog; default all")
    parser.add_argument("--dtypes", nargs="+", default=["bfloat16", "float16", "float32", "float64"])
    parser.add_argument("--exhaustive", action="store_true", help="every float32 input of the named functions")
    arguments = parser.parse_args()
    cases = [c for c in POINTWISE if not arguments.functions or {c.name, c.row.name} & {*arguments.functions}]
    where = "environment, exhaustive" if arguments.exhaustive else "environment"
    results: dict[str, Any] = {where: environment("torch")}
    if arguments.exhaustive:
        cases = [c for c in cases if not c.parameters or c.name in arguments.functions]
        with jax.enable_x64(True), compilable_oracles():
            for case in cases:
                for what, facts in zip(ORDERS, exhaustive(case), strict=True):
                    results[f"float32, all/{case.name}/{what}/jaxact"] = facts
                write(merge("accuracy", results))
    else:
        results |= measure(cases, arguments.dtypes)
        write(merge("accuracy", results))


if __name__ == "__main__":
    main()
