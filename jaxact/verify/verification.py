"""`verify`: how accurate the functions are on a device, beside those of jax.nn."""

import concurrent.futures
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxact.core import catalog
from jaxact.verify import elementwise, rows
from jaxact.verify.cases import POINTWISE, Case
from jaxact.verify.results import Device, Result, Verification, environment
from jaxact.verify.unit import BOUNDS

TYPES = tuple(BOUNDS)


def verify(
    names: Sequence[str] = (),
    types: Sequence[str] = ("bfloat16", "float16", "float32"),
    order: int = 1,
    *,
    platform: str | None = None,
    progress: Callable[[str, int, int], object] = lambda name, done, all: None,
) -> Verification:
    """Compare functions and their derivatives with oracles on a device: NumPy's float64, and mpmath for float64.

    It tries every number of a 16-bit type and 331,776 of float32, with neighbours of kinks; rows have 3 to 100,000
    entries. An elementwise function is computed alone, and fused under vmap after a matrix product. Subnormal inputs,
    which devices flush, are left out. jax.nn's function of the same name is judged beside it.

    Args:
      names: names of elementwise functions or rows, which are tried with all their variants; none means all that jax.nn
        has too.
      types: "bfloat16", "float16", "float32", "float64".
      order: the highest derivative, 0 to 2; for rows it is at most 1.
      platform: "cpu", "gpu", "tpu" or another platform of JAX; by default that of JAX's default device.
      progress: called with a name, how much is done, and how much there is.

    Returns:
      The results; `.missed` lists those that are out of DESIGN's bounds, and is empty if there are none.

    Raises:
      ValueError: a name or type is unknown, the platform is unknown or not on this machine, the order is out of range,
        or the device can't compute in a type.

    >>> found = verify(["relu"], ["bfloat16"])
    >>> found.missed, found.results[0].facts.misrounded
    ([], 0)
    """
    device = find_device(platform)
    cases, along = find(names)
    for dtype in types:
        if dtype not in BOUNDS:
            raise ValueError(f"jaxact.verify: expected types among {', '.join(BOUNDS)}, got {dtype!r}; choose others")
    if order not in (0, 1, 2):
        raise ValueError(f"jaxact.verify: expected an order of 0, 1 or 2, got {order!r}; the tests check higher orders")
    jobs: list[tuple[str, str, Callable[[], list[Result]]]] = [
        (case.name, dtype, lambda case=case, dtype=dtype: list(elementwise.verify(case, dtype, order, device)))
        for case in cases
        for dtype in types
    ]
    jobs += [
        (name, dtype, lambda name=name, dtype=dtype: list(rows.verify(name, dtype, device)))
        for name in along
        for dtype in types
        if dtype != "float64"  # the oracle of a row is float64 too, and no better than the results
    ]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = [pool.submit(_on_device, device, *job) for job in jobs]
        for done, _ in enumerate(concurrent.futures.as_completed(waiting), 1):
            progress(f"{done} of {len(jobs)}", done, len(jobs))
        return Verification(environment(device), tuple(result for each in waiting for result in each.result()))


def _on_device(device: Device, name: str, dtype: str, job: Callable[[], Any]) -> Any:
    try:
        return job()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise
        raise ValueError(
            f"jaxact.verify: {device.device_kind} can't compute {name} in {dtype} ({str(error).splitlines()[0]}); "
            "leave the type out"
        ) from error


def find(names: Sequence[str]) -> tuple[list[Case], list[str]]:
    """The elementwise cases and the functions of rows with these names; without names, those that jax.nn has too."""
    for name in names:
        row = catalog.info(name)
        if row.kind != "pointwise" and row.name not in rows.ALPHAS:
            raise ValueError(
                f"jaxact.verify: expected elementwise functions or rows, got {name!r}, which the tests verify; "
                f"rows are {', '.join(rows.ALPHAS)}"
            )
    if not names:
        flags_only = [case for case in POINTWISE if all(isinstance(v, bool) for v in case.parameters.values())]
        return (
            [case for case in flags_only if hasattr(jax.nn, case.row.name)],
            [name for name in rows.ALPHAS if hasattr(jax.nn, name)],
        )
    chosen = {catalog.info(name).name for name in names}
    return [case for case in POINTWISE if case.row.name in chosen], [name for name in rows.ALPHAS if name in chosen]


def find_device(platform: str | None) -> Device:
    """The first device of a platform, or JAX's default one."""
    if platform is None:
        return jax.devices()[0]
    try:
        return jax.devices(platform)[0]
    except RuntimeError as error:
        here = ", ".join(sorted({device.platform for device in jax.devices()}))
        raise ValueError(f"jaxact.verify: expected a platform of this machine ({here}), got {platform!r}") from error
