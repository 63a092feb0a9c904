"""Made by `python -m tests.stubs`; do not edit."""

from collections.abc import Sequence

from flax import nnx
from jax import Array
from jax.typing import ArrayLike, DTypeLike

class BilinearGLU(nnx.Module):
    """Bilinear gated unit: gate * value."""

    def __init__(self) -> None: ...
    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array: ...

class CELU(nnx.Module):
    """Continuously differentiable exponential linear unit: max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))."""

    alpha: ArrayLike

    def __init__(self, alpha: ArrayLike = 1.0) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Derf(nnx.Module):
    """Dynamic erf: gamma * erf(alpha x + shift) + beta, in place of a normalisation."""

    num_features: int
    alpha_init: float
    param_dtype: DTypeLike
    axis: int
    alpha: nnx.Param[Array]
    shift: nnx.Param[Array]
    gamma: nnx.Param[Array]
    beta: nnx.Param[Array]

    def __init__(
        self,
        num_features: int,
        alpha_init: float = 0.5,
        *,
        param_dtype: DTypeLike = ...,
        axis: int = -1,
    ) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class DyT(nnx.Module):
    """Dynamic tanh: gamma * tanh(alpha x) + beta, in place of a normalisation."""

    num_features: int
    alpha_init: float
    param_dtype: DTypeLike
    axis: int
    alpha: nnx.Param[Array]
    gamma: nnx.Param[Array]
    beta: nnx.Param[Array]

    def __init__(
        self,
        num_features: int,
        alpha_init: float = 0.5,
        *,
        param_dtype: DTypeLike = ...,
        axis: int = -1,
    ) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class ELU(nnx.Module):
    """Exponential linear unit: x if x > 0, else alpha * (exp(x) - 1)."""

    alpha: ArrayLike

    def __init__(self, alpha: ArrayLike = 1.0) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Entmax(nnx.Module):
    """Alpha-entmax: max((alpha - 1) x_i - tau, 0)^(1 / (alpha - 1)), with tau such that they sum to 1."""

    alpha: ArrayLike
    axis: int | Sequence[int]

    def __init__(self, alpha: ArrayLike = 1.5, axis: int | Sequence[int] = -1) -> None: ...
    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array: ...

class Entmax15(nnx.Module):
    """1.5-entmax: max(x_i / 2 - tau, 0)^2, with tau such that they sum to 1."""

    axis: int | Sequence[int]

    def __init__(self, axis: int | Sequence[int] = -1) -> None: ...
    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array: ...

class Exponential(nnx.Module):
    """Exponential: exp(x)."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class GEGLU(nnx.Module):
    """GELU-gated linear unit: gelu(gate) * value."""

    approximate: bool

    def __init__(self, approximate: bool = True) -> None: ...
    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array: ...

class GELU(nnx.Module):
    """Gaussian error linear unit: x * Phi(x), or x * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""

    approximate: bool

    def __init__(self, approximate: bool = True) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class GELU10(nnx.Module):
    """Clipped GELU: min(x Phi(x), 10)."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class GLU(nnx.Module):
    """Gated linear unit: a * sigmoid(b), where a and b are the first and the second half of x."""

    axis: int

    def __init__(self, axis: int = -1) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class GaussianTopK(nnx.Module):
    """Gaussian top-k: max(x_i - (mean + std * PhiInverse(sparsity)), 0), with mean and standard deviation of the row."""

    sparsity: ArrayLike
    axis: int | Sequence[int]

    def __init__(self, sparsity: ArrayLike = 0.95, axis: int | Sequence[int] = -1) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class GoLU(nnx.Module):
    """Gompertz linear unit: x * exp(-exp(-x))."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class GumbelSoftmax(nnx.Module):
    """Gumbel softmax: softmax((logits + g) / tau), g from the standard Gumbel distribution."""

    tau: ArrayLike
    hard: bool
    axis: int

    def __init__(self, tau: ArrayLike = 1.0, hard: bool = False, axis: int = -1) -> None: ...
    def __call__(self, logits: ArrayLike, *, key: Array) -> Array: ...

class Hardshrink(nnx.Module):
    """Hard shrinkage: x if |x| > lambd, else 0."""

    lambd: ArrayLike

    def __init__(self, lambd: ArrayLike = 0.5) -> None: ...
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
    """Hard tanh: min(max(x, min_val), max_val)."""

    min_val: ArrayLike
    max_val: ArrayLike

    def __init__(self, *, min_val: ArrayLike = -1.0, max_val: ArrayLike = 1.0) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Identity(nnx.Module):
    """Identity: x."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Laplace(nnx.Module):
    """Laplace attention function: (1 + erf((x - mu) / (sigma sqrt(2)))) / 2."""

    mu: ArrayLike
    sigma: ArrayLike

    def __init__(self, mu: ArrayLike = 0.707107, sigma: ArrayLike = 0.282095) -> None: ...
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
    """Logarithm of softmax: x_i / T - log(exp(s / T) + sum_j exp(x_j / T)), without exp(s / T) if there is no sink s."""

    axis: int | Sequence[int]
    temperature: ArrayLike | None
    sink: ArrayLike | None
    axis_name: str | Sequence[str] | None

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        *,
        temperature: ArrayLike | None = None,
        sink: ArrayLike | None = None,
        axis_name: str | Sequence[str] | None = None,
    ) -> None: ...
    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array: ...

class Mish(nnx.Module):
    """Mish: x * tanh(log(1 + exp(x)))."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class PReLU(nnx.Module):
    """Parametric rectified linear unit: x if x >= 0, else negative_slope * x, with a learned slope."""

    num_parameters: int
    negative_slope_init: float
    param_dtype: DTypeLike
    axis: int
    negative_slope: nnx.Param[Array]

    def __init__(
        self,
        num_parameters: int = 1,
        negative_slope_init: float = 0.25,
        *,
        param_dtype: DTypeLike = ...,
        axis: int = -1,
    ) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class PolyNorm(nnx.Module):
    """Polynomial of normalised powers: sum_i weight_i x^i / sqrt(mean(x^(2 i)) + eps) + bias, i = 1, 2, 3."""

    eps: float
    param_dtype: DTypeLike
    axis: int
    weight: nnx.Param[Array]
    bias: nnx.Param[Array]

    def __init__(self, eps: float = 1e-06, *, param_dtype: DTypeLike = ..., axis: int = -1) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class QuickGELU(nnx.Module):
    """Quick GELU: x * sigmoid(1.702 x)."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class RReLU(nnx.Module):
    """Randomized leaky rectified linear unit: x if x >= 0, else s x with s uniform between lower and upper."""

    lower: float
    upper: float

    def __init__(self, lower: float = 0.125, upper: float = 0.3333333333333333) -> None: ...
    def __call__(self, x: ArrayLike, *, key: Array | None) -> Array: ...

class Rational(nnx.Module):
    """Safe Pade unit with learned coefficients: P(x) / (1 + |Q(x)|), P of degree 5 and Q of degree 4."""

    approximates: str
    param_dtype: DTypeLike
    numerator: nnx.Param[Array]
    denominator: nnx.Param[Array]

    def __init__(self, approximates: str = "leaky_relu", *, param_dtype: DTypeLike = ...) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class ReGLU(nnx.Module):
    """ReLU-gated linear unit: max(gate, 0) * value."""

    def __init__(self) -> None: ...
    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array: ...

class ReLU(nnx.Module):
    """Rectified linear unit: max(x, 0)."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class ReLU2(nnx.Module):
    """Squared rectified linear unit: max(x, 0)^2."""

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
    """Sigmoid linear unit (swish): x * sigmoid(beta x)."""

    beta: ArrayLike

    def __init__(self, *, beta: ArrayLike = 1.0) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Sigmoid(nnx.Module):
    """Logistic sigmoid: 1 / (1 + exp(-x))."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Sine(nnx.Module):
    """Sine (SIREN): sin(frequency * x)."""

    frequency: ArrayLike

    def __init__(self, frequency: ArrayLike = 30.0) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Snake(nnx.Module):
    """Snake with a learned rate: x + sin(alpha x)^2 / alpha."""

    num_parameters: int
    alpha_init: float
    param_dtype: DTypeLike
    axis: int
    alpha: nnx.Param[Array]

    def __init__(
        self,
        num_parameters: int = 1,
        alpha_init: float = 1.0,
        *,
        param_dtype: DTypeLike = ...,
        axis: int = -1,
    ) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class SnakeBeta(nnx.Module):
    """Snake with a learned rate and amplitude: x + sin(alpha x)^2 / beta."""

    num_parameters: int
    alpha_init: float
    beta_init: float
    param_dtype: DTypeLike
    axis: int
    log_alpha: nnx.Param[Array]
    log_beta: nnx.Param[Array]

    def __init__(
        self,
        num_parameters: int = 1,
        alpha_init: float = 1.0,
        beta_init: float = 1.0,
        *,
        param_dtype: DTypeLike = ...,
        axis: int = -1,
    ) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class SoftCap(nnx.Module):
    """Soft cap: cap * tanh(x / cap)."""

    cap: ArrayLike

    def __init__(self, cap: ArrayLike) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Softmax(nnx.Module):
    """Softmax: exp(x_i / T) / (exp(s / T) + sum_j exp(x_j / T)), without exp(s / T) where there is no sink s."""

    axis: int | Sequence[int]
    temperature: ArrayLike | None
    sink: ArrayLike | None
    axis_name: str | Sequence[str] | None

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        *,
        temperature: ArrayLike | None = None,
        sink: ArrayLike | None = None,
        axis_name: str | Sequence[str] | None = None,
    ) -> None: ...
    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array: ...

class Softmax2d(nnx.Module):
    """Softmax over the channels of an image: at each pixel of (N, C, H, W) or (C, H, W) input they sum to 1."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array: ...

class SoftmaxSink(nnx.Module):
    """Softmax with a learned sink: exp(x_i) / (exp(sink) + sum_j exp(x_j))."""

    num_heads: int
    sink_init: float
    param_dtype: DTypeLike
    axis: int
    head_axis: int
    sink: nnx.Param[Array]

    def __init__(
        self,
        num_heads: int = 1,
        sink_init: float = 0.0,
        *,
        param_dtype: DTypeLike = ...,
        axis: int = -1,
        head_axis: int = -3,
    ) -> None: ...
    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array: ...

class Softmin(nnx.Module):
    """Softmin: exp(-x_i) / sum_j exp(-x_j), the softmax of -x."""

    axis: int | Sequence[int]

    def __init__(self, axis: int | Sequence[int] = -1) -> None: ...
    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array: ...

class Softpick(nnx.Module):
    """Softpick: max(exp(x_i) - 1, 0) / (sum_j |exp(x_j) - 1| + epsilon)."""

    axis: int | Sequence[int]
    epsilon: ArrayLike

    def __init__(self, axis: int | Sequence[int] = -1, *, epsilon: ArrayLike = 1e-06) -> None: ...
    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array: ...

class Softplus(nnx.Module):
    """Softplus: log(1 + exp(beta x)) / beta."""

    beta: ArrayLike

    def __init__(self, *, beta: ArrayLike = 1.0) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Softshrink(nnx.Module):
    """Soft shrinkage: x - lambd if x > lambd, x + lambd if x < -lambd, else 0."""

    lambd: ArrayLike

    def __init__(self, lambd: ArrayLike = 0.5) -> None: ...
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

class Sparsemax(nnx.Module):
    """Sparsemax: max(x_i - tau, 0), with tau such that they sum to 1."""

    axis: int | Sequence[int]

    def __init__(self, axis: int | Sequence[int] = -1) -> None: ...
    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array: ...

class SqrtSoftplus(nnx.Module):
    """Square root of softplus: sqrt(log(1 + exp(x)))."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Squareplus(nnx.Module):
    """Squareplus: (x + sqrt(x^2 + b)) / 2."""

    b: ArrayLike

    def __init__(self, b: ArrayLike = 4) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class StarReLU(nnx.Module):
    """StarReLU with a learned scale and bias: scale * max(x, 0)^2 + bias."""

    num_parameters: int
    scale_init: float
    bias_init: float
    param_dtype: DTypeLike
    axis: int
    scale: nnx.Param[Array]
    bias: nnx.Param[Array]

    def __init__(
        self,
        num_parameters: int = 1,
        scale_init: float = 0.8944271909999159,
        bias_init: float = -0.4472135954999579,
        *,
        param_dtype: DTypeLike = ...,
        axis: int = -1,
    ) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class SwiGLU(nnx.Module):
    """Swish-gated linear unit: silu(gate) * value."""

    def __init__(self) -> None: ...
    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array: ...

class SwiGLUClamped(nnx.Module):
    """SwiGLU, clamped before: silu(min(gate, limit)) * min(max(value, -limit), limit)."""

    limit: ArrayLike

    def __init__(self, limit: ArrayLike = 10.0) -> None: ...
    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array: ...

class SwiGLUOAI(nnx.Module):
    """gpt-oss's SwiGLU: g * sigmoid(alpha * g) * (u + 1), g = min(gate, limit), u = min(max(value, -limit), limit)."""

    alpha: ArrayLike
    limit: ArrayLike

    def __init__(self, alpha: ArrayLike = 1.702, limit: ArrayLike = 7.0) -> None: ...
    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array: ...

class SwiGLUStep(nnx.Module):
    """SwiGLU, clamped behind the activation: min(silu(gate), limit) * min(max(value, -limit), limit)."""

    limit: ArrayLike

    def __init__(self, limit: ArrayLike = 7.0) -> None: ...
    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array: ...

class Swish(nnx.Module):
    """Swish with a learned rate: x * sigmoid(beta x)."""

    num_parameters: int
    beta_init: float
    param_dtype: DTypeLike
    axis: int
    beta: nnx.Param[Array]

    def __init__(
        self,
        num_parameters: int = 1,
        beta_init: float = 1.0,
        *,
        param_dtype: DTypeLike = ...,
        axis: int = -1,
    ) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Tanh(nnx.Module):
    """Hyperbolic tangent: (exp(x) - exp(-x)) / (exp(x) + exp(-x))."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Tanhshrink(nnx.Module):
    """Tanh shrinkage: x - tanh(x)."""

    def __init__(self) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class Threshold(nnx.Module):
    """Threshold: x if x > threshold, else value."""

    threshold: ArrayLike
    value: ArrayLike

    def __init__(self, threshold: ArrayLike, value: ArrayLike) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class ThresholdedReLU(nnx.Module):
    """Rectified linear unit with threshold: min(x, max_value) if x > threshold, else negative_slope * (x - threshold)."""

    negative_slope: ArrayLike
    max_value: ArrayLike
    threshold: ArrayLike

    def __init__(
        self,
        negative_slope: ArrayLike = 0.0,
        max_value: ArrayLike = float("inf"),
        threshold: ArrayLike = 0.0,
    ) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...

class XIELU(nnx.Module):
    """xIELU with learned curvatures: alpha_p x^2 + beta x if x > 0, else alpha_n (exp(x) - 1 - x) + beta x."""

    num_parameters: int
    alpha_p_init: float
    alpha_n_init: float
    beta: float
    param_dtype: DTypeLike
    axis: int
    raw_alpha_p: nnx.Param[Array]
    raw_alpha_n: nnx.Param[Array]

    def __init__(
        self,
        num_parameters: int = 1,
        alpha_p_init: float = 0.8,
        alpha_n_init: float = 0.8,
        beta: float = 0.5,
        *,
        param_dtype: DTypeLike = ...,
        axis: int = -1,
    ) -> None: ...
    def __call__(self, x: ArrayLike) -> Array: ...
