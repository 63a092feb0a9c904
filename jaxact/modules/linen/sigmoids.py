"""Linen modules of `jaxact.functions.sigmoids`, written by `python -m jaxact.modules.generate`; do not edit."""

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.linen.base import Module
from jaxact.modules.settings import check

__all__ = ["Laplace", "LogSigmoid", "Sigmoid", "SoftCap", "Softsign", "Tanh"]


class Sigmoid(Module):
    """Logistic sigmoid: 1 / (1 + exp(-x)). See the function `jaxact.sigmoid`."""

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.sigmoid(x)


class LogSigmoid(Module):
    """Logarithm of the sigmoid: -log(1 + exp(-x)). See the function `jaxact.log_sigmoid`."""

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.log_sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent: (exp(x) - exp(-x)) / (exp(x) + exp(-x)). See the function `jaxact.tanh`."""

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.tanh(x)


class Softsign(Module):
    """Soft sign: x / (1 + |x|). See the function `jaxact.soft_sign`."""

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.soft_sign(x)


class Laplace(Module):
    """Laplace attention function: (1 + erf((x - mu) / (sigma sqrt(2)))) / 2.

    See the function `jaxact.laplace`.

    Args:
      mu: number, or array that broadcasts against x; traced and differentiable.
      sigma: positive number, or array that broadcasts against x; traced and differentiable.
    """

    mu: ArrayLike = 0.707107
    sigma: ArrayLike = 0.282095

    def __post_init__(self) -> None:
        check(jaxact.laplace, mu=self.mu, sigma=self.sigma)
        super().__post_init__()

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.laplace(x, mu=self.mu, sigma=self.sigma)


class SoftCap(Module):
    """Soft cap: cap * tanh(x / cap).

    See the function `jaxact.soft_cap`.

    Args:
      cap: positive number, or array that broadcasts against x; traced and differentiable.
    """

    cap: ArrayLike

    def __post_init__(self) -> None:
        check(jaxact.soft_cap, cap=self.cap)
        super().__post_init__()

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.soft_cap(x, cap=self.cap)
