"""Functions along an axis as NNX modules, written by `python -m jaxact.modules.generate`; do not edit."""

import dataclasses
from collections.abc import Sequence

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.nnx.base import Module
from jaxact.modules.settings import check

__all__ = ["Entmax", "Entmax15", "GaussianTopK", "LogSoftmax", "Softmax", "Softmin", "Softpick", "Sparsemax"]


@dataclasses.dataclass(eq=False, repr=False)
class Sparsemax(Module):
    """Sparsemax: max(x_i - tau, 0), with tau such that they sum to 1.

    The function, and what there is to know of it, is `jaxact.sparsemax`.

    Args:
      axis: the axis, or axes, that sum to 1.
    """

    axis: int | Sequence[int] = -1

    def __post_init__(self) -> None:
        check(jaxact.sparsemax, scalar=False, axis=self.axis)

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        return jaxact.sparsemax(x, axis=self.axis, where=where)


@dataclasses.dataclass(eq=False, repr=False)
class Entmax15(Module):
    """1.5-entmax: max(x_i / 2 - tau, 0)^2, with tau such that they sum to 1.

    The function, and what there is to know of it, is `jaxact.entmax15`.

    Args:
      axis: the axis, or axes, that sum to 1.
    """

    axis: int | Sequence[int] = -1

    def __post_init__(self) -> None:
        check(jaxact.entmax15, scalar=False, axis=self.axis)

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        return jaxact.entmax15(x, axis=self.axis, where=where)


@dataclasses.dataclass(eq=False, repr=False)
class Entmax(Module):
    """Alpha-entmax: max((alpha - 1) x_i - tau, 0)^(1 / (alpha - 1)), with tau such that they sum to 1.

    The function, and what there is to know of it, is `jaxact.entmax`.

    Args:
      alpha: number over 1, or array of one value a row (the row's axis of size 1); traced and differentiable.
      axis: the axis, or axes, that sum to 1.
    """

    alpha: ArrayLike = 1.5
    axis: int | Sequence[int] = -1

    def __post_init__(self) -> None:
        check(jaxact.entmax, scalar=False, alpha=self.alpha, axis=self.axis)

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        return jaxact.entmax(x, alpha=self.alpha, axis=self.axis, where=where)


@dataclasses.dataclass(eq=False, repr=False)
class Softmax(Module):
    """Softmax: exp(x_i / T) / (exp(s / T) + sum_j exp(x_j / T)), without exp(s / T) where there is no sink s.

    The function, and what there is to know of it, is `jaxact.softmax`.

    Args:
      axis: the axis, or axes, that sum to 1.
      temperature: positive number, or array of one value a row (the row's axis of size 1); traced and differentiable.
        More than 1 flattens, less sharpens.
      sink: a number, or array of one value a row: one more logit, whose share is not returned, so that a row can sum to
        less than 1; traced and differentiable. 0 is "softmax off by one".
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

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        return jaxact.softmax(
            x, axis=self.axis, temperature=self.temperature, sink=self.sink, axis_name=self.axis_name, where=where
        )


@dataclasses.dataclass(eq=False, repr=False)
class Softmin(Module):
    """Softmin: exp(-x_i) / sum_j exp(-x_j), the softmax of -x.

    The function, and what there is to know of it, is `jaxact.softmin`.

    Args:
      axis: the axis, or axes, that sum to 1.
    """

    axis: int | Sequence[int] = -1

    def __post_init__(self) -> None:
        check(jaxact.softmin, scalar=False, axis=self.axis)

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        return jaxact.softmin(x, axis=self.axis, where=where)


@dataclasses.dataclass(eq=False, repr=False)
class LogSoftmax(Module):
    """Logarithm of softmax: x_i / T - log(exp(s / T) + sum_j exp(x_j / T)), without exp(s / T) if there is no sink s.

    The function, and what there is to know of it, is `jaxact.log_softmax`.

    Args:
      axis: the axis, or axes, over which probabilities sum to 1.
      temperature: positive number, or array of one value a row (the row's axis of size 1); traced and differentiable.
      sink: a number, or array of one value a row: one more logit, whose share is not returned; traced and
        differentiable.
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

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        return jaxact.log_softmax(
            x, axis=self.axis, temperature=self.temperature, sink=self.sink, axis_name=self.axis_name, where=where
        )


@dataclasses.dataclass(eq=False, repr=False)
class Softpick(Module):
    """Softpick: max(exp(x_i) - 1, 0) / (sum_j |exp(x_j) - 1| + epsilon).

    The function, and what there is to know of it, is `jaxact.softpick`.

    Args:
      axis: the axis, or axes, of a row.
      epsilon: number of 0 or more, or array of one value a row (the row's axis of size 1), which decides rows of zeros.
    """

    axis: int | Sequence[int] = -1
    epsilon: ArrayLike = 1e-06

    def __post_init__(self) -> None:
        check(jaxact.softpick, scalar=False, axis=self.axis, epsilon=self.epsilon)

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        return jaxact.softpick(x, axis=self.axis, epsilon=self.epsilon, where=where)


@dataclasses.dataclass(eq=False, repr=False)
class GaussianTopK(Module):
    """Gaussian top-k: max(x_i - (mean + std * PhiInverse(sparsity)), 0), with mean and standard deviation of the row.

    The function, and what there is to know of it, is `jaxact.gaussian_topk`.

    Args:
      sparsity: number in (0, 1), or array of one value a row (the row's axis of size 1); traced and differentiable.
      axis: the axis, or axes, of a row.
    """

    sparsity: ArrayLike = 0.95
    axis: int | Sequence[int] = -1

    def __post_init__(self) -> None:
        check(jaxact.gaussian_topk, scalar=False, sparsity=self.sparsity, axis=self.axis)

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.gaussian_topk(x, sparsity=self.sparsity, axis=self.axis)
