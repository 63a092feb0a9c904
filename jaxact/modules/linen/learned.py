"""The Linen modules with learned parameters, in "params". Their arguments are in `jaxact.modules.learned`."""

import jax.numpy as jnp
from flax.linen.kw_only_dataclasses import field
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxact.modules import learned
from jaxact.modules.linen.base import Module

__all__ = [
    "XIELU",
    "Derf",
    "DyT",
    "PReLU",
    "PolyNorm",
    "Rational",
    "SSMax",
    "Snake",
    "SnakeBeta",
    "SoftmaxSink",
    "StarReLU",
    "Swish",
]


class Parametric(learned.Learned, Module):
    """A module with learned parameters."""

    _where = "jaxact.linen"

    def __post_init__(self) -> None:
        self._check()
        super().__post_init__()

    def _learn(self, name: str) -> Array:
        """The parameter of that name."""
        return self.param(name, lambda key: self._start()[name])


class PReLU(learned.PReLU, Parametric):
    """Parametric rectified linear unit: x if x >= 0, else negative_slope * x, with a learned slope.

    Its arguments are documented in `jaxact.modules.learned.PReLU`.
    """

    num_parameters: int = 1
    negative_slope_init: float = 0.25
    axis: int = field(default=-1, kw_only=True)
    param_dtype: DTypeLike = field(default=jnp.float32, kw_only=True)

    def setup(self) -> None:
        self.negative_slope = self._learn("negative_slope")

    def __call__(self, x: ArrayLike) -> Array:
        return self._evaluate(x, self.negative_slope)


class Swish(learned.Swish, Parametric):
    """Swish with a learned rate: x * sigmoid(beta x).

    Its arguments are documented in `jaxact.modules.learned.Swish`.
    """

    num_parameters: int = 1
    beta_init: float = 1.0
    axis: int = field(default=-1, kw_only=True)
    param_dtype: DTypeLike = field(default=jnp.float32, kw_only=True)

    def setup(self) -> None:
        self.beta = self._learn("beta")

    def __call__(self, x: ArrayLike) -> Array:
        return self._evaluate(x, self.beta)


class Snake(learned.Snake, Parametric):
    """Snake with a learned rate: x + sin(alpha x)^2 / alpha.

    Its arguments are documented in `jaxact.modules.learned.Snake`.
    """

    num_parameters: int = 1
    alpha_init: float = 1.0
    axis: int = field(default=-1, kw_only=True)
    param_dtype: DTypeLike = field(default=jnp.float32, kw_only=True)

    def setup(self) -> None:
        self.alpha = self._learn("alpha")

    def __call__(self, x: ArrayLike) -> Array:
        return self._evaluate(x, self.alpha)


class SnakeBeta(learned.SnakeBeta, Parametric):
    """Snake with a learned rate and amplitude: x + sin(alpha x)^2 / beta.

    Its arguments are documented in `jaxact.modules.learned.SnakeBeta`.
    """

    num_parameters: int = 1
    alpha_init: float = 1.0
    beta_init: float = 1.0
    axis: int = field(default=-1, kw_only=True)
    param_dtype: DTypeLike = field(default=jnp.float32, kw_only=True)

    def setup(self) -> None:
        self.log_alpha = self._learn("log_alpha")
        self.log_beta = self._learn("log_beta")

    def __call__(self, x: ArrayLike) -> Array:
        return self._evaluate(x, self.log_alpha, self.log_beta)


class StarReLU(learned.StarReLU, Parametric):
    """StarReLU with a learned scale and bias: scale * max(x, 0)^2 + bias.

    Its arguments are documented in `jaxact.modules.learned.StarReLU`.
    """

    num_parameters: int = 1
    scale_init: float = 0.8944271909999159
    bias_init: float = -0.4472135954999579
    axis: int = field(default=-1, kw_only=True)
    param_dtype: DTypeLike = field(default=jnp.float32, kw_only=True)

    def setup(self) -> None:
        self.scale = self._learn("scale")
        self.bias = self._learn("bias")

    def __call__(self, x: ArrayLike) -> Array:
        return self._evaluate(x, self.scale, self.bias)


class XIELU(learned.XIELU, Parametric):
    """xIELU with learned curvatures: alpha_p x^2 + beta x if x > 0, else alpha_n (exp(x) - 1 - x) + beta x.

    Its arguments are documented in `jaxact.modules.learned.XIELU`.
    """

    num_parameters: int = 1
    alpha_p_init: float = 0.8
    alpha_n_init: float = 0.8
    beta: float = 0.5
    axis: int = field(default=-1, kw_only=True)
    param_dtype: DTypeLike = field(default=jnp.float32, kw_only=True)

    def setup(self) -> None:
        self.raw_alpha_p = self._learn("raw_alpha_p")
        self.raw_alpha_n = self._learn("raw_alpha_n")

    def __call__(self, x: ArrayLike) -> Array:
        return self._evaluate(x, self.raw_alpha_p, self.raw_alpha_n)


class SoftmaxSink(learned.SoftmaxSink, Parametric):
    """Softmax with a learned sink: exp(x_i) / (exp(sink) + sum_j exp(x_j)).

    Its arguments are documented in `jaxact.modules.learned.SoftmaxSink`.
    """

    num_heads: int = 1
    sink_init: float = 0.0
    axis: int = field(default=-1, kw_only=True)
    head_axis: int = field(default=-3, kw_only=True)
    param_dtype: DTypeLike = field(default=jnp.float32, kw_only=True)

    def setup(self) -> None:
        self.sink = self._learn("sink")

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        return self._evaluate(x, self.sink, where=where)


class SSMax(learned.SSMax, Parametric):
    """Scalable softmax with a learned scale: n^(scale x_i) / sum_j n^(scale x_j) of n entries.

    Its arguments are documented in `jaxact.modules.learned.SSMax`.
    """

    num_heads: int = 1
    scale_init: float = 1.0
    axis: int = field(default=-1, kw_only=True)
    head_axis: int = field(default=-3, kw_only=True)
    param_dtype: DTypeLike = field(default=jnp.float32, kw_only=True)

    def setup(self) -> None:
        self.scale = self._learn("scale")

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        return self._evaluate(x, self.scale, where=where)


class Rational(learned.Rational, Parametric):
    """Safe Pade unit with learned coefficients: P(x) / (1 + |Q(x)|), P of degree 5 and Q of degree 4.

    Its arguments are documented in `jaxact.modules.learned.Rational`.
    """

    approximates: str = "leaky_relu"
    param_dtype: DTypeLike = field(default=jnp.float32, kw_only=True)

    def setup(self) -> None:
        self.numerator = self._learn("numerator")
        self.denominator = self._learn("denominator")

    def __call__(self, x: ArrayLike) -> Array:
        return self._evaluate(x, self.numerator, self.denominator)


class DyT(learned.DyT, Parametric):
    """Dynamic tanh: gamma * tanh(alpha x) + beta, in place of a normalisation.

    Its arguments are documented in `jaxact.modules.learned.DyT`.
    """

    num_features: int
    alpha_init: float = 0.5
    axis: int = field(default=-1, kw_only=True)
    param_dtype: DTypeLike = field(default=jnp.float32, kw_only=True)

    def setup(self) -> None:
        self.alpha = self._learn("alpha")
        self.gamma = self._learn("gamma")
        self.beta = self._learn("beta")

    def __call__(self, x: ArrayLike) -> Array:
        return self._evaluate(x, self.alpha, self.gamma, self.beta)


class Derf(learned.Derf, Parametric):
    """Dynamic erf: gamma * erf(alpha x + shift) + beta, in place of a normalisation.

    Its arguments are documented in `jaxact.modules.learned.Derf`.
    """

    num_features: int
    alpha_init: float = 0.5
    axis: int = field(default=-1, kw_only=True)
    param_dtype: DTypeLike = field(default=jnp.float32, kw_only=True)

    def setup(self) -> None:
        self.alpha = self._learn("alpha")
        self.shift = self._learn("shift")
        self.gamma = self._learn("gamma")
        self.beta = self._learn("beta")

    def __call__(self, x: ArrayLike) -> Array:
        return self._evaluate(x, self.alpha, self.shift, self.gamma, self.beta)


class PolyNorm(learned.PolyNorm, Parametric):
    """Polynomial of normalised powers: sum_i weight_i x^i / sqrt(mean(x^(2 i)) + eps) + bias, i = 1, 2, 3.

    Its arguments are documented in `jaxact.modules.learned.PolyNorm`.
    """

    eps: float = 1e-6
    axis: int = field(default=-1, kw_only=True)
    param_dtype: DTypeLike = field(default=jnp.float32, kw_only=True)

    def setup(self) -> None:
        self.weight = self._learn("weight")
        self.bias = self._learn("bias")

    def __call__(self, x: ArrayLike) -> Array:
        return self._evaluate(x, self.weight, self.bias)
