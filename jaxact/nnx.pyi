"""Made by `python -m tests.stubs`; do not edit."""

from collections.abc import Sequence

from flax import nnx
from jax import Array
from jax.typing import ArrayLike, DTypeLike

class CELU(nnx.Module):
    """Continuously differentiable exponential linear unit: max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))."""

    alpha: ArrayLike

    def __init__(self, alpha: ArrayLike = 1.0) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class ELU(nnx.Module):
    """Exponential linear unit: x if x > 0, else alpha * (exp(x) - 1)."""

    alpha: ArrayLike

    def __init__(self, alpha: ArrayLike = 1.0) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class GELU(nnx.Module):
    """Gaussian error linear unit: x * Phi(x), or x * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""

    approximate: bool

    def __init__(self, approximate: bool = True) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class GLU(nnx.Module):
    """Gated linear unit: a * sigmoid(b), where a and b are the first and the second half of x."""

    axis: int

    def __init__(self, axis: int = -1) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Hardsigmoid(nnx.Module):
    """Hard sigmoid: min(max(x + 3, 0), 6) / 6."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Hardswish(nnx.Module):
    """Hard SiLU (hard swish): x * min(max(x + 3, 0), 6) / 6."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Hardtanh(nnx.Module):
    """Hard tanh: min(max(x, -1), 1)."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Identity(nnx.Module):
    """Identity: x."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class LeakyReLU(nnx.Module):
    """Leaky rectified linear unit: x if x >= 0, else negative_slope * x."""

    negative_slope: ArrayLike

    def __init__(self, negative_slope: ArrayLike = 0.01) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class LogSigmoid(nnx.Module):
    """Logarithm of the sigmoid: -log(1 + exp(-x))."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class LogSoftmax(nnx.Module):
    """Logarithm of softmax: x_i / T - log(sum_j exp(x_j / T))."""

    axis: int | Sequence[int]
    temperature: ArrayLike | None

    def __init__(self, axis: int | Sequence[int] = -1, *, temperature: ArrayLike | None = None) -> None: ...
    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array: ...

class Mish(nnx.Module):
    """Mish: x * tanh(log(1 + exp(x)))."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class PReLU(nnx.Module):
    """Parametric rectified linear unit: x if x >= 0, else negative_slope * x, with a learned slope."""

    num_parameters: int
    negative_slope_init: float
    axis: int
    param_dtype: DTypeLike
    negative_slope: nnx.Param[Array]

    def __init__(
        self,
        num_parameters: int = 1,
        negative_slope_init: float = 0.25,
        *,
        axis: int = -1,
        param_dtype: DTypeLike = ...,
    ) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class ReLU(nnx.Module):
    """Rectified linear unit: max(x, 0)."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class ReLU6(nnx.Module):
    """Rectified linear unit 6: min(max(x, 0), 6)."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class SELU(nnx.Module):
    """Scaled exponential linear unit: 1.0507 * elu(x, alpha=1.6733)."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class SiLU(nnx.Module):
    """Sigmoid linear unit (swish): x * sigmoid(x)."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Sigmoid(nnx.Module):
    """Logistic sigmoid: 1 / (1 + exp(-x))."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Softmax(nnx.Module):
    """Softmax: exp(x_i / T) / sum_j exp(x_j / T)."""

    axis: int | Sequence[int]
    temperature: ArrayLike | None

    def __init__(self, axis: int | Sequence[int] = -1, *, temperature: ArrayLike | None = None) -> None: ...
    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array: ...

class Softplus(nnx.Module):
    """Softplus: log(1 + exp(x))."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Softsign(nnx.Module):
    """Soft sign: x / (1 + |x|)."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class SparsePlus(nnx.Module):
    """Sparse softplus: 0 if x <= -1, (x + 1)^2 / 4 if -1 < x < 1, else x."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class SparseSigmoid(nnx.Module):
    """Sparse sigmoid: min(max((x + 1) / 2, 0), 1)."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Squareplus(nnx.Module):
    """Squareplus: (x + sqrt(x^2 + b)) / 2."""

    b: ArrayLike

    def __init__(self, b: ArrayLike = 4) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Tanh(nnx.Module):
    """Hyperbolic tangent: (exp(x) - exp(-x)) / (exp(x) + exp(-x))."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...
