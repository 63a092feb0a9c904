"""What the gated feed-forward layers of the frameworks share."""

from collections.abc import Callable, Mapping
from typing import Any

from jax import Array

import jaxact
from jaxact.huggingface import Unit, gated_by


def unit_of(activation: str | Mapping[str, Any] | Callable[..., Array]) -> Callable[..., Array]:
    """The function of gate and value that a name, a config or a function means."""
    if isinstance(activation, Unit) and activation.gated:
        return activation
    return gated_by(activation if callable(activation) else jaxact.get(activation))


def gated_width(features: int) -> int:
    """2/3 of 4 times the width, as a multiple of 8. Three projections then have as many parameters as two."""
    return -(-8 * features // 24) * 8
