"""Elementwise functions as Equinox modules, written by `python -m jaxact.modules.generate`; do not edit."""

import math

import equinox
from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.equinox.base import Module
from jaxact.modules.settings import check

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GELU10",
    "SELU",
    "Exponential",
    "GoLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "Laplace",
    "LeakyReLU",
    "LogSigmoid",
    "Mish",
    "QuickGELU",
    "ReLU",
    "ReLU2",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Sine",
    "SoftCap",
    "Softplus",
    "Softshrink",
    "Softsign",
    "SparsePlus",
    "SparseSigmoid",
    "SqrtSoftplus",
    "Squareplus",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "ThresholdedReLU",
]


class ELU(Module):
    """Exponential linear unit: x if x > 0, else alpha * (exp(x) - 1).

    The function, and what there is to know of it, is `jaxact.elu`.

    Args:
      alpha: number, or array that broadcasts against x; traced and differentiable.
    """

    alpha: ArrayLike = 1.0

    def __check_init__(self) -> None:
        check(jaxact.elu, alpha=self.alpha)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.elu(x, alpha=self.alpha)


class CELU(Module):
    """Continuously differentiable exponential linear unit: max(x, 0) + min(0, alpha * (exp(x / alpha) - 1)).

    The function, and what there is to know of it, is `jaxact.celu`.

    Args:
      alpha: positive number, or array that broadcasts against x; traced and differentiable.
    """

    alpha: ArrayLike = 1.0

    def __check_init__(self) -> None:
        check(jaxact.celu, alpha=self.alpha)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.celu(x, alpha=self.alpha)


class SELU(Module):
    """Scaled exponential linear unit: 1.0507 * elu(x, alpha=1.6733).

    The function, and what there is to know of it, is `jaxact.selu`.
    """

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.selu(x)


class Exponential(Module):
    """Exponential: exp(x). The function, and what there is to know of it, is `jaxact.exponential`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.exponential(x)


class GELU(Module):
    """Gaussian error linear unit: x * Phi(x), or x * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    The function, and what there is to know of it, is `jaxact.gelu`.

    Args:
      approximate: True for the form with tanh (jax.nn's default), False for the exact one (PyTorch's default).
    """

    approximate: bool = equinox.field(default=True, static=True)

    def __check_init__(self) -> None:
        check(jaxact.gelu, approximate=self.approximate)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.gelu(x, approximate=self.approximate)


class GELU10(Module):
    """Clipped GELU: min(x Phi(x), 10). The function, and what there is to know of it, is `jaxact.gelu_10`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.gelu_10(x)


class Identity(Module):
    """Identity: x. The function, and what there is to know of it, is `jaxact.identity`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.identity(x)


class ReLU(Module):
    """Rectified linear unit: max(x, 0). The function, and what there is to know of it, is `jaxact.relu`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.relu(x)


class LeakyReLU(Module):
    """Leaky rectified linear unit: x if x >= 0, else negative_slope * x.

    The function, and what there is to know of it, is `jaxact.leaky_relu`.

    Args:
      negative_slope: number, or array that broadcasts against x; traced and differentiable.
    """

    negative_slope: ArrayLike = 0.01

    def __check_init__(self) -> None:
        check(jaxact.leaky_relu, negative_slope=self.negative_slope)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.leaky_relu(x, negative_slope=self.negative_slope)


class ReLU2(Module):
    """Squared rectified linear unit: max(x, 0)^2.

    The function, and what there is to know of it, is `jaxact.relu2`.
    """

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.relu2(x)


class ThresholdedReLU(Module):
    """Rectified linear unit with threshold: min(x, max_value) if x > threshold, else negative_slope * (x - threshold).

    The function, and what there is to know of it, is `jaxact.thresholded_relu`.

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


class Sigmoid(Module):
    """Logistic sigmoid: 1 / (1 + exp(-x)). The function, and what there is to know of it, is `jaxact.sigmoid`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.sigmoid(x)


class LogSigmoid(Module):
    """Logarithm of the sigmoid: -log(1 + exp(-x)).

    The function, and what there is to know of it, is `jaxact.log_sigmoid`.
    """

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.log_sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent: (exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    The function, and what there is to know of it, is `jaxact.tanh`.
    """

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.tanh(x)


class Softsign(Module):
    """Soft sign: x / (1 + |x|). The function, and what there is to know of it, is `jaxact.soft_sign`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.soft_sign(x)


class Laplace(Module):
    """Laplace attention function: (1 + erf((x - mu) / (sigma sqrt(2)))) / 2.

    The function, and what there is to know of it, is `jaxact.laplace`.

    Args:
      mu: number, or array that broadcasts against x; traced and differentiable.
      sigma: positive number, or array that broadcasts against x; traced and differentiable.
    """

    mu: ArrayLike = 0.707107
    sigma: ArrayLike = 0.282095

    def __check_init__(self) -> None:
        check(jaxact.laplace, mu=self.mu, sigma=self.sigma)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.laplace(x, mu=self.mu, sigma=self.sigma)


class SoftCap(Module):
    """Soft cap: cap * tanh(x / cap).

    The function, and what there is to know of it, is `jaxact.soft_cap`.

    Args:
      cap: positive number, or array that broadcasts against x; traced and differentiable.
    """

    cap: ArrayLike

    def __check_init__(self) -> None:
        check(jaxact.soft_cap, cap=self.cap)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.soft_cap(x, cap=self.cap)


class SiLU(Module):
    """Sigmoid linear unit (swish): x * sigmoid(beta x).

    The function, and what there is to know of it, is `jaxact.silu`.

    Args:
      beta: number, or array that broadcasts against x; traced and differentiable. 0 halves x, inf would be relu.
    """

    beta: ArrayLike = 1.0

    def __check_init__(self) -> None:
        check(jaxact.silu, beta=self.beta)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.silu(x, beta=self.beta)


class Hardswish(Module):
    """Hard SiLU (hard swish): x * min(max(x + 3, 0), 6) / 6.

    The function, and what there is to know of it, is `jaxact.hard_silu`.
    """

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.hard_silu(x)


class Mish(Module):
    """Mish: x * tanh(log(1 + exp(x))). The function, and what there is to know of it, is `jaxact.mish`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.mish(x)


class QuickGELU(Module):
    """Quick GELU: x * sigmoid(1.702 x). The function, and what there is to know of it, is `jaxact.quick_gelu`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.quick_gelu(x)


class GoLU(Module):
    """Gompertz linear unit: x * exp(-exp(-x)). The function, and what there is to know of it, is `jaxact.golu`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.golu(x)


class Sine(Module):
    """Sine (SIREN): sin(frequency * x).

    The function, and what there is to know of it, is `jaxact.sine`.

    Args:
      frequency: number, or array that broadcasts against x; in radians per unit of x; traced and differentiable.
    """

    frequency: ArrayLike = 30.0

    def __check_init__(self) -> None:
        check(jaxact.sine, frequency=self.frequency)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.sine(x, frequency=self.frequency)


class ReLU6(Module):
    """Rectified linear unit 6: min(max(x, 0), 6).

    The function, and what there is to know of it, is `jaxact.relu6`.
    """

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.relu6(x)


class Hardsigmoid(Module):
    """Hard sigmoid: min(max(x + 3, 0), 6) / 6.

    The function, and what there is to know of it, is `jaxact.hard_sigmoid`.
    """

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.hard_sigmoid(x)


class SparseSigmoid(Module):
    """Sparse sigmoid: min(max((x + 1) / 2, 0), 1).

    The function, and what there is to know of it, is `jaxact.sparse_sigmoid`.
    """

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.sparse_sigmoid(x)


class Hardtanh(Module):
    """Hard tanh: min(max(x, min_val), max_val).

    The function, and what there is to know of it, is `jaxact.hard_tanh`.

    Args:
      min_val: number, or array that broadcasts against x; traced and differentiable.
      max_val: number, or array that broadcasts against x, not under min_val; traced and differentiable.
    """

    min_val: ArrayLike = -1.0
    max_val: ArrayLike = 1.0

    def __check_init__(self) -> None:
        check(jaxact.hard_tanh, min_val=self.min_val, max_val=self.max_val)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.hard_tanh(x, min_val=self.min_val, max_val=self.max_val)


class Hardshrink(Module):
    """Hard shrinkage: x if |x| > lambd, else 0.

    The function, and what there is to know of it, is `jaxact.hard_shrink`.

    Args:
      lambd: non-negative number, or array that broadcasts against x; traced.
    """

    lambd: ArrayLike = 0.5

    def __check_init__(self) -> None:
        check(jaxact.hard_shrink, lambd=self.lambd)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.hard_shrink(x, lambd=self.lambd)


class Softshrink(Module):
    """Soft shrinkage: x - lambd if x > lambd, x + lambd if x < -lambd, else 0.

    The function, and what there is to know of it, is `jaxact.soft_shrink`.

    Args:
      lambd: non-negative number, or array that broadcasts against x; traced and differentiable.
    """

    lambd: ArrayLike = 0.5

    def __check_init__(self) -> None:
        check(jaxact.soft_shrink, lambd=self.lambd)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.soft_shrink(x, lambd=self.lambd)


class Tanhshrink(Module):
    """Tanh shrinkage: x - tanh(x). The function, and what there is to know of it, is `jaxact.tanh_shrink`."""

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.tanh_shrink(x)


class Threshold(Module):
    """Threshold: x if x > threshold, else value.

    The function, and what there is to know of it, is `jaxact.threshold`.

    Args:
      threshold: number, or array that broadcasts against x; traced.
      value: number, or array that broadcasts against x; traced and differentiable.
    """

    threshold: ArrayLike
    value: ArrayLike

    def __check_init__(self) -> None:
        check(jaxact.threshold, threshold=self.threshold, value=self.value)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.threshold(x, threshold=self.threshold, value=self.value)


class Softplus(Module):
    """Softplus: log(1 + exp(beta x)) / beta.

    The function, and what there is to know of it, is `jaxact.softplus`.

    Args:
      beta: positive number, or array that broadcasts against x; traced and differentiable.
    """

    beta: ArrayLike = 1.0

    def __check_init__(self) -> None:
        check(jaxact.softplus, beta=self.beta)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.softplus(x, beta=self.beta)


class Squareplus(Module):
    """Squareplus: (x + sqrt(x^2 + b)) / 2.

    The function, and what there is to know of it, is `jaxact.squareplus`.

    Args:
      b: non-negative number, or array that broadcasts against x; traced and differentiable.
    """

    b: ArrayLike = 4

    def __check_init__(self) -> None:
        check(jaxact.squareplus, b=self.b)

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.squareplus(x, b=self.b)


class SparsePlus(Module):
    """Sparse softplus: 0 if x <= -1, (x + 1)^2 / 4 if -1 < x < 1, else x.

    The function, and what there is to know of it, is `jaxact.sparse_plus`.
    """

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.sparse_plus(x)


class SqrtSoftplus(Module):
    """Square root of softplus: sqrt(log(1 + exp(x))).

    The function, and what there is to know of it, is `jaxact.sqrt_softplus`.
    """

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return jaxact.sqrt_softplus(x)
