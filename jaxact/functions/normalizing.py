"""What stands in for a normalisation in a few models: the modules DyT, Derf and PolyNorm, and their functions."""

import dataclasses
import functools
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.checks import as_array, as_float, canonical_axes, widen
from jaxact.core.modules import learnable
from jaxact.core.pointwise import pointwise
from jaxact.functions.learnable import Learned


def _sech2(x: Array) -> Array:
    return 4 * numerics.sigmoid_slope(2 * x)


dyt = pointwise(
    "dyt",
    lambda x, alpha, gamma, beta: gamma * jnp.tanh(alpha * x) + beta,
    lambda x, alpha, gamma, beta: gamma * (alpha * _sech2(alpha * x)),
    lambda x, alpha, gamma, beta: gamma * (numerics.finite(x) * _sech2(alpha * x)),
    lambda x, alpha, gamma, beta: jnp.tanh(alpha * x),
    lambda x, alpha, gamma, beta: jnp.ones_like(x),
    curvature=lambda x, alpha, gamma, beta: -2 * gamma * alpha * (alpha * jnp.tanh(alpha * x) * _sech2(alpha * x)),
)


def _bell(z: Array) -> Array:
    """The derivative of erf."""
    return 2 / math.sqrt(math.pi) * jnp.exp(-jnp.square(z))


derf = pointwise(
    "derf",
    lambda x, alpha, shift, gamma, beta: gamma * lax.erf(alpha * x + shift) + beta,
    lambda x, alpha, shift, gamma, beta: gamma * (alpha * _bell(alpha * x + shift)),
    lambda x, alpha, shift, gamma, beta: gamma * (numerics.finite(x) * _bell(alpha * x + shift)),
    lambda x, alpha, shift, gamma, beta: gamma * _bell(alpha * x + shift),
    lambda x, alpha, shift, gamma, beta: lax.erf(alpha * x + shift),
    lambda x, alpha, shift, gamma, beta: jnp.ones_like(x),
    curvature=lambda x, alpha, shift, gamma, beta: (
        -2 * gamma * alpha * (alpha * numerics.finite(alpha * x + shift) * _bell(alpha * x + shift))
    ),
)


@functools.partial(jax.jit, static_argnames="axis")
def poly_norm(x: Array, weight: Array, bias: Array, eps: float, axis: int) -> Array:
    """sum_i weight[i - 1] x^i / sqrt(mean(x^(2 i)) + eps) + bias, i = 1, 2, 3, with the mean along `axis`."""

    @functools.partial(jax.checkpoint, prevent_cse=False)  # the backward pass keeps x, not its powers
    def evaluate(x: Array, weight: Array, bias: Array) -> Array:
        wide, weight, bias = widen(x), widen(weight), widen(bias)
        # x^6 overflows where the quotient would not, and that does not depend on the scale of x.
        scale = lax.stop_gradient(jnp.maximum(jnp.max(jnp.abs(wide), axis, keepdims=True), 1))
        y = bias
        for i in (1, 2, 3):
            power = (wide / scale) ** i
            mean_square = jnp.mean(jnp.square(power), axis, keepdims=True)
            y += weight[i - 1] * power * lax.rsqrt(mean_square + eps / scale ** (2 * i))
        return y.astype(x.dtype)

    return evaluate(x, weight, bias)


@dataclasses.dataclass(init=False, repr=False, eq=False)
class _Scaled(Learned):
    """One alpha, and for each channel a gamma and a beta."""

    num_features: int
    alpha_init: float = 0.5
    axis: int = dataclasses.field(default=-1, kw_only=True)

    def _initial(self) -> dict[str, Array]:
        return {
            "alpha": jnp.full((), self.alpha_init, self.param_dtype),
            "gamma": jnp.ones(self.num_features, self.param_dtype),
            "beta": jnp.zeros(self.num_features, self.param_dtype),
        }


@learnable
class DyT(_Scaled):
    """Dynamic tanh: gamma * tanh(alpha x) + beta, in place of a normalisation.

    The learned parameters are called `alpha`, one number, and `gamma` and `beta`, of shape (num_features,); PyTorch's
    code of the paper calls the latter two weight and bias. The backward pass keeps x.

    Args:
      num_features: the number of channels.
      alpha_init: alpha before training. gamma starts at 1, beta at 0.
      axis: the axis of the channels.
      param_dtype: the type of the parameters.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_features is under 1 or alpha_init not finite; at the call, x has another number of channels or no
        such axis.

    Reference: Zhu et al. 2025, arXiv:2503.10622.
    """

    _learned: ClassVar[tuple[str, ...]] = ("alpha", "gamma", "beta")

    def _evaluate(self, x: ArrayLike, alpha: Array, gamma: Array, beta: Array) -> Array:
        return dyt(x, *self._lifted(x, self.axis, alpha, gamma, beta))


@learnable
class Derf(_Scaled):
    """Dynamic erf: gamma * erf(alpha x + shift) + beta, in place of a normalisation.

    The learned parameters are called `alpha` and `shift`, one number each, and `gamma` and `beta`, of shape
    (num_features,). The backward pass keeps x.

    Args:
      num_features: the number of channels.
      alpha_init: alpha before training. gamma starts at 1, shift and beta at 0.
      axis: the axis of the channels.
      param_dtype: the type of the parameters.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_features is under 1 or alpha_init not finite; at the call, x has another number of channels or no
        such axis.

    Reference: Chen et al. 2025, arXiv:2512.10938.
    """

    _learned: ClassVar[tuple[str, ...]] = ("alpha", "shift", "gamma", "beta")

    def _initial(self) -> dict[str, Array]:
        return {**super()._initial(), "shift": jnp.zeros((), self.param_dtype)}

    def _evaluate(self, x: ArrayLike, alpha: Array, shift: Array, gamma: Array, beta: Array) -> Array:
        return derf(x, *self._lifted(x, self.axis, alpha, shift, gamma, beta))


@learnable
class PolyNorm(Learned):
    """Polynomial of normalised powers: sum_i weight_i x^i / sqrt(mean(x^(2 i)) + eps) + bias, i = 1, 2, 3.

    The mean is along `axis`. The learned parameters are called `weight`, of shape (3,), lowest power first (the paper's
    code stores the highest first), and `bias`, one number. 16-bit input is computed in float32. The backward pass keeps
    x.

    Args:
      eps: positive number that keeps the root from 0.
      axis: the axis of the means.
      param_dtype: the type of the parameters. The weights start at 1/3, the bias at 0.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: eps is not positive and finite; at the call, x has no such axis.

    Reference: Zhuo et al. 2024, arXiv:2411.03884.
    """

    eps: float = 1e-6
    axis: int = dataclasses.field(default=-1, kw_only=True)

    _learned: ClassVar[tuple[str, ...]] = ("weight", "bias")
    _positive: ClassVar[tuple[str, ...]] = ("eps",)

    def _initial(self) -> dict[str, Array]:
        return {"weight": jnp.full(3, 1 / 3, self.param_dtype), "bias": jnp.zeros((), self.param_dtype)}

    def _evaluate(self, x: ArrayLike, weight: Array, bias: Array) -> Array:
        who = self._who.removeprefix("jaxact.")
        x = as_float(who, as_array(who, x))
        (axis,) = canonical_axes(who, (self.axis,), x.ndim)
        return poly_norm(x, weight, bias, self.eps, axis)
