"""Equinox modules of `jaxact.functions.rectifiers`, written by `python -m jaxact.modules.generate`; do not edit."""

import math

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.equinox.base import Module
from jaxact.modules.settings import check

__all__ = ["Identity", "ReLU", "ReLU2", "ThresholdedReLU"]


class Identity(Module):
    """Identity: x. See the function `jaxact.identity`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.identity(x)


class ReLU(Module):
    """Rectified linear unit: max(x, 0). See the function `jaxact.relu`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.relu(x)


class ReLU2(Module):
    """Squared rectified linear unit: max(x, 0)^2. See the function `jaxact.relu2`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.relu2(x)


class ThresholdedReLU(Module):
    """Rectified linear unit with threshold: min(x, max_value) if x > threshold, else negative_slope * (x - threshold).

    See the function `jaxact.thresholded_relu`.

    Args:
      negative_slope: number, or array that broadcasts against x; traced and differentiable, as are the others.
      max_value: number, or array that broadcasts against x; inf for none.
      threshold: number, or array that broadcasts against x.
    """

    negative_slope: ArrayLike = 0.0
    max_value: ArrayLike = math.inf
    threshold: ArrayLike = 0.0

    def __check_init__(self) -> None:
        check(
            jaxact.thresholded_relu,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.thresholded_relu(
            x, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold
        )
