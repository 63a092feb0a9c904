"""Linen modules of `jaxact.functions.softmax`, written by `python -m jaxact.modules.generate`; do not edit."""

from collections.abc import Sequence

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.linen.base import Module
from jaxact.modules.settings import check

__all__ = ["LogSoftmax", "Softmax", "Softmin"]


class Softmax(Module):
    """Softmax: exp(x_i / T) / (exp(s / T) + sum_j exp(x_j / T)), without exp(s / T) where there is no sink s.

    See the function `jaxact.softmax`.

    Args:
      axis: the axis, or axes, that sum to 1.
      temperature: positive number, or array with one value per row (the row's axis has size 1); traced and
        differentiable. Above 1 it flattens the probabilities, below 1 it sharpens them.
      sink: number, or array with one value per row; traced and differentiable. It is one more logit, whose share is not
        returned, so that a row can sum to less than 1. A sink of 0 is "softmax off by one".
      axis_name: the mapped axis (of `jax.shard_map`, `jax.vmap` or `jax.pmap`), or axes, over which `axis` is split
        too: x is this device's part of the row. temperature and sink are the same on all of them.
    """

    axis: int | Sequence[int] = -1
    temperature: ArrayLike | None = None
    sink: ArrayLike | None = None
    axis_name: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        check(
            jaxact.softmax,
            scalar=False,
            axis=self.axis,
            temperature=self.temperature,
            sink=self.sink,
            axis_name=self.axis_name,
        )
        super().__post_init__()

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        return jaxact.softmax(
            x, axis=self.axis, temperature=self.temperature, sink=self.sink, axis_name=self.axis_name, where=where
        )


class Softmin(Module):
    """Softmin: exp(-x_i) / sum_j exp(-x_j), the softmax of -x.

    See the function `jaxact.softmin`.

    Args:
      axis: the axis, or axes, that sum to 1.
    """

    axis: int | Sequence[int] = -1

    def __post_init__(self) -> None:
        check(jaxact.softmin, scalar=False, axis=self.axis)
        super().__post_init__()

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        return jaxact.softmin(x, axis=self.axis, where=where)


class LogSoftmax(Module):
    """Logarithm of softmax: x_i / T - log(exp(s / T) + sum_j exp(x_j / T)), without exp(s / T) if there is no sink s.

    See the function `jaxact.log_softmax`.

    Args:
      axis: the axis, or axes, over which probabilities sum to 1.
      temperature: positive number, or array with one value per row (the row's axis has size 1); traced and
        differentiable.
      sink: number, or array with one value per row; traced and differentiable. It is one more logit, whose share is not
        returned.
      axis_name: the mapped axis (of `jax.shard_map`, `jax.vmap` or `jax.pmap`), or axes, over which `axis` is split
        too: x is this device's part of the row. temperature and sink are the same on all of them.
    """

    axis: int | Sequence[int] = -1
    temperature: ArrayLike | None = None
    sink: ArrayLike | None = None
    axis_name: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        check(
            jaxact.log_softmax,
            scalar=False,
            axis=self.axis,
            temperature=self.temperature,
            sink=self.sink,
            axis_name=self.axis_name,
        )
        super().__post_init__()

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        return jaxact.log_softmax(
            x, axis=self.axis, temperature=self.temperature, sink=self.sink, axis_name=self.axis_name, where=where
        )
