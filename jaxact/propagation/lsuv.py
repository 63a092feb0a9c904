"""One layer of LSUV, for any library."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

_ROUNDS = 5


def start(key: jax.Array, kernel: jax.Array) -> jax.Array:
    """An orthonormal kernel of the same shape and dtype (made in float32, since QR takes no 16-bit floats)."""
    return jax.nn.initializers.orthogonal()(key, kernel.shape, jnp.float32).astype(kernel.dtype)


def rescaled(
    name: str, kernel: jax.Array, call: Callable[[], Any], store: Callable[[jax.Array], None]
) -> tuple[Any, float]:
    """Scale a kernel until `call()` has variance 1. Returns the last output and the standard deviation of the first.

    It takes several rounds, since a bias makes one division inexact.
    """
    output, first = _measured(name, call)
    std = first
    for _ in range(_ROUNDS):
        if abs(std - 1) < 1e-3:
            break
        kernel = (kernel / std).astype(kernel.dtype)
        store(kernel)
        output, std = _measured(name, call)
    return output, first


def _measured(name: str, call: Callable[[], Any]) -> tuple[Any, float]:
    output = call()
    if isinstance(output, Tracer):
        raise ValueError(
            f"jaxact.lsuv: expected to see the numbers that {name} puts out, but they are traced; call lsuv outside "
            "jit, on a model without scan, vmap and remat"
        )
    std = float(jnp.std(output.astype(jnp.float32)))
    if not (math.isfinite(std) and std > 0):
        raise ValueError(
            f"jaxact.lsuv: expected the output of {name} to vary on the batch, but its deviation is {std}; give a "
            "larger batch of real data, and look at the layers before it"
        )
    return output, std
