"""How a function is computed when it is judged: with its derivatives, alone and fused with the code around it."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from jaxact.verify.cases import Case
from jaxact.verify.results import Device

Function = Callable[[Any], Array]
WIDTH = 64
"""The size of the matrix product before a fused function."""


def peer(case: Case) -> Function | None:
    """jax.nn's function of the same name, if it takes the case's parameters."""
    function = getattr(jax.nn, case.row.name, None)
    if function is None or not {*case.parameters} <= {*inspect.signature(function).parameters}:
        return None
    return functools.partial(function, **case.parameters)


def derivatives(function: Function, order: int) -> Callable[[Array], list[Array]]:
    """The value and every derivative up to `order`, each in reverse mode."""
    functions = [function]
    for _ in range(order):
        functions.append(jax.grad(functools.partial(_total, functions[-1])))
    return lambda x: [f(x) for f in functions]


def _total(function: Function, x: Array) -> Array:
    return jnp.sum(function(x))


def fused(function: Function) -> Function:
    """The function as a model has it: applied to a product with a matrix (here the identity), under vmap."""

    def of_product(row: Array) -> Array:
        return function(jnp.dot(row, jnp.eye(WIDTH, dtype=row.dtype), precision=lax.Precision.HIGHEST))

    return jax.vmap(of_product)


def run(program: Callable[[Array], list[Array]], x: NDArray[Any], device: Device, chunk: int = 2**22) -> list[Any]:
    """Run a compiled program on a device, one chunk at a time, in smaller chunks where memory is short."""
    results, start = [], 0
    while start < len(x):
        try:
            part = jax.device_put(x[start : start + chunk], device)
            results.append([np.asarray(y) for y in program(part)])
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error) or chunk <= 2**10:
                raise
            chunk //= 2
            continue
        start += chunk
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]
