"""Elementwise functions whose parameters are one number, or one number per channel."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.core import numerics
from jaxact.core.checks import widen
from jaxact.modules.learned.base import Channelwise


class PReLU(Channelwise):
    """Parametric rectified linear unit: x if x >= 0, else negative_slope * x, with a learned slope.

    The learned parameter is called `negative_slope`. Its shape is () for one slope and (num_parameters,) for one slope
    per channel. It stays in its own type when x is a 16-bit float; the result has x's type. Leave the slope out of
    weight decay, which would pull it to 0, that is to ReLU.

    Args:
      num_parameters: 1 for one slope, or the number of channels for one slope per channel.
      negative_slope_init: the slope before training.
      axis: the axis of the channels.
      param_dtype: the type of the slope.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_parameters is under 1, or the slope is not finite; at the call, x has another number of channels,
        or no such axis.

    Reference: He et al. 2015, arXiv:1502.01852; PyTorch starts at 0.25 as the paper does, Flax at 0.01.

    The function is `jaxact.prelu`.
    """

    negative_slope_init: float

    def _start(self) -> dict[str, Array]:
        return {"negative_slope": self._full(self.negative_slope_init)}

    def _evaluate(self, x: ArrayLike, negative_slope: Array) -> Array:
        return jaxact.prelu(x, *self._lift(x, negative_slope))


class Swish(Channelwise):
    """Swish with a learned rate: x * sigmoid(beta x).

    The learned parameter is called `beta` and has the shape () or (num_parameters,). For beta = 0 the function is
    x / 2, and for a large beta it is nearly ReLU.

    Args:
      num_parameters: 1 for one beta, or the number of channels for one beta per channel.
      beta_init: beta before training.
      axis: the axis of the channels.
      param_dtype: the type of beta.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_parameters is under 1, or beta_init is not finite; at the call, x has another number of channels,
        or no such axis.

    Reference: Ramachandran et al. 2017, arXiv:1710.05941.

    The function is `jaxact.silu`.
    """

    beta_init: float

    def _start(self) -> dict[str, Array]:
        return {"beta": self._full(self.beta_init)}

    def _evaluate(self, x: ArrayLike, beta: Array) -> Array:
        (beta,) = self._lift(x, beta)
        return jaxact.silu(x, beta=beta)


class Snake(Channelwise):
    """Snake with a learned rate: x + sin(alpha x)^2 / alpha.

    The learned parameter is called `alpha` and has the shape () or (num_parameters,). Training may move it through 0,
    where Snake is x.

    Args:
      num_parameters: 1 for one alpha, or the number of channels for one alpha per channel.
      alpha_init: alpha before training. The paper takes 5 to 50 for data that are known to be periodic.
      axis: the axis of the channels.
      param_dtype: the type of alpha.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_parameters is under 1, or alpha_init is not finite; at the call, x has another number of channels,
        or no such axis.

    Reference: Ziyin et al. 2020, arXiv:2006.08195; for alpha_init, Kumar et al. 2023, arXiv:2306.06546 (DAC).

    The function is `jaxact.snake`.
    """

    alpha_init: float

    def _start(self) -> dict[str, Array]:
        return {"alpha": self._full(self.alpha_init)}

    def _evaluate(self, x: ArrayLike, alpha: Array) -> Array:
        return jaxact.snake(x, *self._lift(x, alpha))


class SnakeBeta(Channelwise):
    """Snake with a learned rate and amplitude: x + sin(alpha x)^2 / beta.

    The learned parameters are called `log_alpha` and `log_beta` and have the shape () or (num_parameters,). alpha and
    beta are their exponentials, so they stay positive. BigVGAN calls them `alpha` and `beta`, with alpha_logscale.

    Args:
      num_parameters: 1 for one pair, or the number of channels for one pair per channel.
      alpha_init: alpha before training, positive.
      beta_init: beta before training, positive.
      axis: the axis of the channels.
      param_dtype: the type of the parameters.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_parameters is under 1, or alpha_init or beta_init is not positive and finite; at the call, x has
        another number of channels, or no such axis.

    Reference: Lee et al. 2022, arXiv:2206.04658 (BigVGAN).

    The function is `jaxact.snake_beta`.
    """

    alpha_init: float
    beta_init: float

    _positive: ClassVar[tuple[str, ...]] = ("alpha_init", "beta_init")

    def _start(self) -> dict[str, Array]:
        return {"log_alpha": self._full(math.log(self.alpha_init)), "log_beta": self._full(math.log(self.beta_init))}

    def _evaluate(self, x: ArrayLike, log_alpha: Array, log_beta: Array) -> Array:
        log_alpha, log_beta = self._lift(x, log_alpha, log_beta)
        # exp underflows to 0 at -88, and the formula divides by it.
        return jaxact.snake_beta(x, jnp.exp(widen(log_alpha)), jnp.exp(jnp.maximum(widen(log_beta), -80)))


class StarReLU(Channelwise):
    """StarReLU with a learned scale and bias: scale * max(x, 0)^2 + bias.

    The learned parameters are called `scale` and `bias` and have the shape () or (num_parameters,). They start at the
    values that give mean 0 and variance 1 for standard normal input; the released MetaFormers start at 1 and 0.

    Args:
      num_parameters: 1 for one pair, or the number of channels for one pair per channel.
      scale_init: the scale before training.
      bias_init: the bias before training.
      axis: the axis of the channels.
      param_dtype: the type of the parameters.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_parameters is under 1, or scale_init or bias_init is not finite; at the call, x has another number
        of channels, or no such axis.

    Reference: Yu et al. 2022, arXiv:2210.13452.

    The function is `jaxact.star_relu`.
    """

    scale_init: float
    bias_init: float

    def _start(self) -> dict[str, Array]:
        return {"scale": self._full(self.scale_init), "bias": self._full(self.bias_init)}

    def _evaluate(self, x: ArrayLike, scale: Array, bias: Array) -> Array:
        return jaxact.star_relu(x, *self._lift(x, scale, bias))


class XIELU(Channelwise):
    """xIELU with learned curvatures: alpha_p x^2 + beta x if x > 0, else alpha_n (exp(x) - 1 - x) + beta x.

    The learned parameters are called `raw_alpha_p` and `raw_alpha_n` and have the shape () or (num_parameters,).
    alpha_p = softplus(raw_alpha_p) > 0 and alpha_n = beta + softplus(raw_alpha_n) > beta. Apertus calls the learned
    parameters `alpha_p` and `alpha_n`: its checkpoints store them before the softplus.

    Args:
      num_parameters: 1 for one pair, or the number of channels for one pair per channel.
      alpha_p_init: alpha_p before training, positive.
      alpha_n_init: alpha_n before training, more than beta.
      beta: the slope at 0, not learned.
      axis: the axis of the channels.
      param_dtype: the type of the parameters.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_parameters is under 1, alpha_p_init is not positive, alpha_n_init is not over beta, or one of them
        is not finite; at the call, x has another number of channels, or no such axis.

    Reference: Huang & Schlag 2024, arXiv:2411.13010.

    The function is `jaxact.xielu`.
    """

    alpha_p_init: float
    alpha_n_init: float
    beta: float

    _positive: ClassVar[tuple[str, ...]] = ("alpha_p_init",)

    def _check(self) -> None:
        super()._check()
        if not self.alpha_n_init > self.beta:
            raise ValueError(
                f"{self._who}: expected alpha_n_init > beta = {self.beta}, got {self.alpha_n_init!r}; 0.8 is usual"
            )

    def _start(self) -> dict[str, Array]:
        def raw(a: float) -> Array:
            return self._full(a + math.log(-math.expm1(-a)))

        return {"raw_alpha_p": raw(self.alpha_p_init), "raw_alpha_n": raw(self.alpha_n_init - self.beta)}

    def _evaluate(self, x: ArrayLike, raw_alpha_p: Array, raw_alpha_n: Array) -> Array:
        p, n = self._lift(x, numerics.softplus(widen(raw_alpha_p)), numerics.softplus(widen(raw_alpha_n)))
        return jaxact.xielu(x, p, self.beta + n, self.beta)
