"""Elementwise functions against their oracles: every number of a 16-bit type, and a sample of the wider ones."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from jaxact.verify.cases import Case
from jaxact.verify.facts import Facts, facts
from jaxact.verify.programs import WIDTH, Function, derivatives, fused, peer, run
from jaxact.verify.results import Device, Result
from jaxact.verify.unit import BOUNDS, expected, inputs


def points(case: Case, dtype: str) -> NDArray[Any]:
    """Every number of a 16-bit type except NaN and those that are subnormal in float32; a sample of a wider type."""
    kind = jnp.dtype(dtype)
    if kind.itemsize > 2:
        return inputs(dtype, case.oracle.joints)
    every = np.arange(2**16, dtype=np.uint16).view(kind)
    size = np.abs(every.astype(np.float32))  # NaN compares false
    return every[(size >= float(jnp.finfo(jnp.float32).tiny)) | (size == 0)]


def judge(case: Case, x: NDArray[Any], results: list[Any]) -> list[Facts]:
    """Judge the value and each derivative at x."""
    return [facts(x, got, *expected(case, x, order)) for order, got in enumerate(results)]


def verify(case: Case, dtype: str, order: int, device: Device) -> Iterator[Result]:
    """Judge one function in one type, alone and fused, and jax.nn's function beside it."""
    x = points(case, dtype)
    with jax.enable_x64(dtype == "float64"):
        ours = _results(case.__call__, order, x, device)
        alone = judge(case, x, ours)
        for k, found in enumerate(alone):
            yield Result(case.name, "jaxact", dtype, k, "alone", found, BOUNDS[dtype][k])
        # Inputs that the product would turn into NaN are left out, and the last rows are filled up with zeros.
        rows = x[np.isfinite(x.astype(np.float64))]
        rows = np.concatenate([rows, np.zeros(-rows.size % WIDTH, rows.dtype)])
        together = _results(fused(case.__call__), min(order, 1), rows.reshape(-1, WIDTH), device)
        for k, found in enumerate(judge(case, rows, [y.reshape(-1) for y in together])):
            yield Result(case.name, "jaxact", dtype, k, "fused", found, BOUNDS[dtype][k])
        if (theirs := peer(case)) is not None:
            for k, found in enumerate(judge(case, x, _results(theirs, order, x, device))):
                yield Result(case.name, "jax.nn", dtype, k, "alone", found, None)


def _results(function: Function, order: int, x: NDArray[Any], device: Device) -> list[Any]:
    return run(jax.jit(derivatives(function, order)), x, device)
