"""Made by `python -m tests.stubs`; do not edit."""

from collections.abc import Sequence
from typing import Any

from flax import linen
from jax import Array
from jax.typing import ArrayLike, DTypeLike

class CELU(linen.Module):
    """Continuously differentiable exponential linear unit: max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))."""

    alpha: ArrayLike

    def __init__(self, alpha: ArrayLike = 1.0, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class ELU(linen.Module):
    """Exponential linear unit: x if x > 0, else alpha * (exp(x) - 1)."""

    alpha: ArrayLike

    def __init__(self, alpha: ArrayLike = 1.0, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class GELU(linen.Module):
    """Gaussian error linear unit: x * Phi(x), or x * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""

    approximate: bool

    def __init__(self, approximate: bool = True, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class GLU(linen.Module):
    """Gated linear unit: a * sigmoid(b), where a and b are the first and the second half of x."""

    axis: int

    def __init__(self, axis: int = -1, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Hardsigmoid(linen.Module):
    """Hard sigmoid: min(max(x + 3, 0), 6) / 6."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Hardswish(linen.Module):
    """Hard SiLU (hard swish): x * min(max(x + 3, 0), 6) / 6."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Hardtanh(linen.Module):
    """Hard tanh: min(max(x, -1), 1)."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Identity(linen.Module):
    """Identity: x."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class LeakyReLU(linen.Module):
    """Leaky rectified linear unit: x if x >= 0, else negative_slope * x."""

    negative_slope: ArrayLike

    def __init__(self, negative_slope: ArrayLike = 0.01, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class LogSigmoid(linen.Module):
    """Logarithm of the sigmoid: -log(1 + exp(-x))."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class LogSoftmax(linen.Module):
    """Logarithm of softmax: x_i / T - log(sum_j exp(x_j / T))."""

    axis: int | Sequence[int]
    temperature: ArrayLike | None

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        *,
        temperature: ArrayLike | None = None,
        parent: Any = ...,
        name: str | None = None,
    ) -> None: ...
    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array: ...

class Mish(linen.Module):
    """Mish: x * tanh(log(1 + exp(x)))."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class PReLU(linen.Module):
    """Parametric rectified linear unit: x if x >= 0, else negative_slope * x, with a learned slope."""

    num_parameters: int
    negative_slope_init: float
    axis: int
    param_dtype: DTypeLike
    negative_slope: Array

    def __init__(
        self,
        num_parameters: int = 1,
        negative_slope_init: float = 0.25,
        *,
        axis: int = -1,
        param_dtype: DTypeLike = ...,
        parent: Any = ...,
        name: str | None = None,
    ) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class ReLU(linen.Module):
    """Rectified linear unit: max(x, 0)."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class ReLU6(linen.Module):
    """Rectified linear unit 6: min(max(x, 0), 6)."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class SELU(linen.Module):
    """Scaled exponential linear unit: 1.0507 * elu(x, alpha=1.6733)."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class SiLU(linen.Module):
    """Sigmoid linear unit (swish): x * sigmoid(x)."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Sigmoid(linen.Module):
    """Logistic sigmoid: 1 / (1 + exp(-x))."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Softmax(linen.Module):
    """Softmax: exp(x_i / T) / sum_j exp(x_j / T)."""

    axis: int | Sequence[int]
    temperature: ArrayLike | None

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        *,
        temperature: ArrayLike | None = None,
        parent: Any = ...,
        name: str | None = None,
    ) -> None: ...
    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array: ...

class Softplus(linen.Module):
    """Softplus: log(1 + exp(x))."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Softsign(linen.Module):
    """Soft sign: x / (1 + |x|)."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class SparsePlus(linen.Module):
    """Sparse softplus: 0 if x <= -1, (x + 1)^2 / 4 if -1 < x < 1, else x."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class SparseSigmoid(linen.Module):
    """Sparse sigmoid: min(max((x + 1) / 2, 0), 1)."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Squareplus(linen.Module):
    """Squareplus: (x + sqrt(x^2 + b)) / 2."""

    b: ArrayLike

    def __init__(self, b: ArrayLike = 4, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Tanh(linen.Module):
    """Hyperbolic tangent: (exp(x) - exp(-x)) / (exp(x) + exp(-x))."""

    def __init__(self, parent: Any = ..., name: str | None = None) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...
