"""Modules that replace a normalisation."""

from typing import ClassVar

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.learned.base import Learned


class _Scaled(Learned):
    """One alpha, and a gamma and a beta for each channel."""

    num_features: int
    alpha_init: float
    axis: int

    def _start(self) -> dict[str, Array]:
        return {
            "alpha": jnp.full((), self.alpha_init, self.param_dtype),
            "gamma": jnp.ones(self.num_features, self.param_dtype),
            "beta": jnp.zeros(self.num_features, self.param_dtype),
        }


class DyT(_Scaled):
    """Dynamic tanh: gamma * tanh(alpha x) + beta, in place of a normalisation.

    The learned parameters are called `alpha`, which is one number, and `gamma` and `beta`, which have the shape
    (num_features,). The paper's PyTorch code calls gamma and beta weight and bias. The backward pass keeps x.

    Args:
      num_features: the number of channels.
      alpha_init: alpha before training. gamma starts at 1, and beta at 0.
      axis: the axis of the channels.
      param_dtype: the type of the parameters.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_features is under 1, or alpha_init is not finite; at the call, x has another number of channels,
        or no such axis.

    Reference: Zhu et al. 2025, arXiv:2503.10622.

    The function is `jaxact.dyt`.
    """

    def _evaluate(self, x: ArrayLike, alpha: Array, gamma: Array, beta: Array) -> Array:
        return jaxact.dyt(x, *self._lifted(x, self.axis, alpha, gamma, beta))


class Derf(_Scaled):
    """Dynamic erf: gamma * erf(alpha x + shift) + beta, in place of a normalisation.

    The learned parameters are called `alpha` and `shift`, which are one number each, and `gamma` and `beta`, which have
    the shape (num_features,). The backward pass keeps x.

    Args:
      num_features: the number of channels.
      alpha_init: alpha before training. gamma starts at 1, and shift and beta at 0.
      axis: the axis of the channels.
      param_dtype: the type of the parameters.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_features is under 1, or alpha_init is not finite; at the call, x has another number of channels,
        or no such axis.

    Reference: Chen et al. 2025, arXiv:2512.10938.

    The function is `jaxact.derf`.
    """

    def _start(self) -> dict[str, Array]:
        return {**super()._start(), "shift": jnp.zeros((), self.param_dtype)}

    def _evaluate(self, x: ArrayLike, alpha: Array, shift: Array, gamma: Array, beta: Array) -> Array:
        return jaxact.derf(x, *self._lifted(x, self.axis, alpha, shift, gamma, beta))


class PolyNorm(Learned):
    """Polynomial of normalised powers: sum_i weight_i x^i / sqrt(mean(x^(2 i)) + eps) + bias, i = 1, 2, 3.

    The mean is along `axis`. The learned parameters are called `weight` and `bias`. The weight has the shape (3,) with
    the lowest power first (the paper's code stores the highest first), and the bias is one number. 16-bit input is
    computed in float32. The backward pass keeps x.

    Args:
      eps: positive number that keeps the root from 0.
      axis: the axis of the means.
      param_dtype: the type of the parameters. The weights start at 1/3, and the bias at 0.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: eps is not positive and finite; at the call, x has no such axis.

    Reference: Zhuo et al. 2024, arXiv:2411.03884.

    The function is `jaxact.poly_norm`.
    """

    eps: float
    axis: int

    _positive: ClassVar[tuple[str, ...]] = ("eps",)

    def _start(self) -> dict[str, Array]:
        return {"weight": jnp.full(3, 1 / 3, self.param_dtype), "bias": jnp.zeros((), self.param_dtype)}

    def _evaluate(self, x: ArrayLike, weight: Array, bias: Array) -> Array:
        return jaxact.poly_norm(x, weight, bias, self.eps, self.axis)
