"""The Equinox modules with learned parameters, array fields. Their arguments are in `jaxact.modules.learned`."""

import equinox
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxact.modules import learned
from jaxact.modules.equinox.base import Module

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

    _where = "jaxact.equinox"

    def _learn(self, name: str) -> Array:
        """The parameter of that name, as it starts."""
        return self._start()[name]


class PReLU(learned.PReLU, Parametric):
    """Parametric rectified linear unit: x if x >= 0, else negative_slope * x, with a learned slope.

    Its arguments are documented in `jaxact.modules.learned.PReLU`.
    """

    negative_slope: Array
    num_parameters: int = equinox.field(default=1, static=True)
    negative_slope_init: float = equinox.field(default=0.25, static=True)
    axis: int = equinox.field(default=-1, kw_only=True, static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(
        self,
        num_parameters: int = 1,
        negative_slope_init: float = 0.25,
        *,
        axis: int = -1,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.num_parameters = num_parameters
        self.negative_slope_init = negative_slope_init
        self.axis = axis
        self.param_dtype = param_dtype
        self._check()
        self.negative_slope = self._learn("negative_slope")

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return self._evaluate(x, self.negative_slope)


class Swish(learned.Swish, Parametric):
    """Swish with a learned rate: x * sigmoid(beta x).

    Its arguments are documented in `jaxact.modules.learned.Swish`.
    """

    beta: Array
    num_parameters: int = equinox.field(default=1, static=True)
    beta_init: float = equinox.field(default=1.0, static=True)
    axis: int = equinox.field(default=-1, kw_only=True, static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(
        self, num_parameters: int = 1, beta_init: float = 1.0, *, axis: int = -1, param_dtype: DTypeLike = jnp.float32
    ) -> None:
        self.num_parameters = num_parameters
        self.beta_init = beta_init
        self.axis = axis
        self.param_dtype = param_dtype
        self._check()
        self.beta = self._learn("beta")

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return self._evaluate(x, self.beta)


class Snake(learned.Snake, Parametric):
    """Snake with a learned rate: x + sin(alpha x)^2 / alpha.

    Its arguments are documented in `jaxact.modules.learned.Snake`.
    """

    alpha: Array
    num_parameters: int = equinox.field(default=1, static=True)
    alpha_init: float = equinox.field(default=1.0, static=True)
    axis: int = equinox.field(default=-1, kw_only=True, static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(
        self, num_parameters: int = 1, alpha_init: float = 1.0, *, axis: int = -1, param_dtype: DTypeLike = jnp.float32
    ) -> None:
        self.num_parameters = num_parameters
        self.alpha_init = alpha_init
        self.axis = axis
        self.param_dtype = param_dtype
        self._check()
        self.alpha = self._learn("alpha")

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return self._evaluate(x, self.alpha)


class SnakeBeta(learned.SnakeBeta, Parametric):
    """Snake with a learned rate and amplitude: x + sin(alpha x)^2 / beta.

    Its arguments are documented in `jaxact.modules.learned.SnakeBeta`.
    """

    log_alpha: Array
    log_beta: Array
    num_parameters: int = equinox.field(default=1, static=True)
    alpha_init: float = equinox.field(default=1.0, static=True)
    beta_init: float = equinox.field(default=1.0, static=True)
    axis: int = equinox.field(default=-1, kw_only=True, static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(
        self,
        num_parameters: int = 1,
        alpha_init: float = 1.0,
        beta_init: float = 1.0,
        *,
        axis: int = -1,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.num_parameters = num_parameters
        self.alpha_init = alpha_init
        self.beta_init = beta_init
        self.axis = axis
        self.param_dtype = param_dtype
        self._check()
        self.log_alpha = self._learn("log_alpha")
        self.log_beta = self._learn("log_beta")

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return self._evaluate(x, self.log_alpha, self.log_beta)


class StarReLU(learned.StarReLU, Parametric):
    """StarReLU with a learned scale and bias: scale * max(x, 0)^2 + bias.

    Its arguments are documented in `jaxact.modules.learned.StarReLU`.
    """

    scale: Array
    bias: Array
    num_parameters: int = equinox.field(default=1, static=True)
    scale_init: float = equinox.field(default=0.8944271909999159, static=True)
    bias_init: float = equinox.field(default=-0.4472135954999579, static=True)
    axis: int = equinox.field(default=-1, kw_only=True, static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(
        self,
        num_parameters: int = 1,
        scale_init: float = 0.8944271909999159,
        bias_init: float = -0.4472135954999579,
        *,
        axis: int = -1,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.num_parameters = num_parameters
        self.scale_init = scale_init
        self.bias_init = bias_init
        self.axis = axis
        self.param_dtype = param_dtype
        self._check()
        self.scale = self._learn("scale")
        self.bias = self._learn("bias")

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return self._evaluate(x, self.scale, self.bias)


class XIELU(learned.XIELU, Parametric):
    """xIELU with learned curvatures: alpha_p x^2 + beta x if x > 0, else alpha_n (exp(x) - 1 - x) + beta x.

    Its arguments are documented in `jaxact.modules.learned.XIELU`.
    """

    raw_alpha_p: Array
    raw_alpha_n: Array
    num_parameters: int = equinox.field(default=1, static=True)
    alpha_p_init: float = equinox.field(default=0.8, static=True)
    alpha_n_init: float = equinox.field(default=0.8, static=True)
    beta: float = equinox.field(default=0.5, static=True)
    axis: int = equinox.field(default=-1, kw_only=True, static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(
        self,
        num_parameters: int = 1,
        alpha_p_init: float = 0.8,
        alpha_n_init: float = 0.8,
        beta: float = 0.5,
        *,
        axis: int = -1,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.num_parameters = num_parameters
        self.alpha_p_init = alpha_p_init
        self.alpha_n_init = alpha_n_init
        self.beta = beta
        self.axis = axis
        self.param_dtype = param_dtype
        self._check()
        self.raw_alpha_p = self._learn("raw_alpha_p")
        self.raw_alpha_n = self._learn("raw_alpha_n")

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return self._evaluate(x, self.raw_alpha_p, self.raw_alpha_n)


class SoftmaxSink(learned.SoftmaxSink, Parametric):
    """Softmax with a learned sink: exp(x_i) / (exp(sink) + sum_j exp(x_j)).

    Its arguments are documented in `jaxact.modules.learned.SoftmaxSink`.
    """

    sink: Array
    num_heads: int = equinox.field(default=1, static=True)
    sink_init: float = equinox.field(default=0.0, static=True)
    axis: int = equinox.field(default=-1, kw_only=True, static=True)
    head_axis: int = equinox.field(default=-3, kw_only=True, static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(
        self,
        num_heads: int = 1,
        sink_init: float = 0.0,
        *,
        axis: int = -1,
        head_axis: int = -3,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.num_heads = num_heads
        self.sink_init = sink_init
        self.axis = axis
        self.head_axis = head_axis
        self.param_dtype = param_dtype
        self._check()
        self.sink = self._learn("sink")

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None, key: Array | None = None) -> Array:
        return self._evaluate(x, self.sink, where=where)


class SSMax(learned.SSMax, Parametric):
    """Scalable softmax with a learned scale: n^(scale x_i) / sum_j n^(scale x_j) of n entries.

    Its arguments are documented in `jaxact.modules.learned.SSMax`.
    """

    scale: Array
    num_heads: int = equinox.field(default=1, static=True)
    scale_init: float = equinox.field(default=1.0, static=True)
    axis: int = equinox.field(default=-1, kw_only=True, static=True)
    head_axis: int = equinox.field(default=-3, kw_only=True, static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(
        self,
        num_heads: int = 1,
        scale_init: float = 1.0,
        *,
        axis: int = -1,
        head_axis: int = -3,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.num_heads = num_heads
        self.scale_init = scale_init
        self.axis = axis
        self.head_axis = head_axis
        self.param_dtype = param_dtype
        self._check()
        self.scale = self._learn("scale")

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None, key: Array | None = None) -> Array:
        return self._evaluate(x, self.scale, where=where)


class Rational(learned.Rational, Parametric):
    """Safe Pade unit with learned coefficients: P(x) / (1 + |Q(x)|), P of degree 5 and Q of degree 4.

    Its arguments are documented in `jaxact.modules.learned.Rational`.
    """

    numerator: Array
    denominator: Array
    approximates: str = equinox.field(default="leaky_relu", static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(self, approximates: str = "leaky_relu", *, param_dtype: DTypeLike = jnp.float32) -> None:
        self.approximates = approximates
        self.param_dtype = param_dtype
        self._check()
        self.numerator = self._learn("numerator")
        self.denominator = self._learn("denominator")

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return self._evaluate(x, self.numerator, self.denominator)


class DyT(learned.DyT, Parametric):
    """Dynamic tanh: gamma * tanh(alpha x) + beta, in place of a normalisation.

    Its arguments are documented in `jaxact.modules.learned.DyT`.
    """

    alpha: Array
    gamma: Array
    beta: Array
    num_features: int = equinox.field(static=True)
    alpha_init: float = equinox.field(default=0.5, static=True)
    axis: int = equinox.field(default=-1, kw_only=True, static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(
        self, num_features: int, alpha_init: float = 0.5, *, axis: int = -1, param_dtype: DTypeLike = jnp.float32
    ) -> None:
        self.num_features = num_features
        self.alpha_init = alpha_init
        self.axis = axis
        self.param_dtype = param_dtype
        self._check()
        self.alpha = self._learn("alpha")
        self.gamma = self._learn("gamma")
        self.beta = self._learn("beta")

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return self._evaluate(x, self.alpha, self.gamma, self.beta)


class Derf(learned.Derf, Parametric):
    """Dynamic erf: gamma * erf(alpha x + shift) + beta, in place of a normalisation.

    Its arguments are documented in `jaxact.modules.learned.Derf`.
    """

    alpha: Array
    shift: Array
    gamma: Array
    beta: Array
    num_features: int = equinox.field(static=True)
    alpha_init: float = equinox.field(default=0.5, static=True)
    axis: int = equinox.field(default=-1, kw_only=True, static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(
        self, num_features: int, alpha_init: float = 0.5, *, axis: int = -1, param_dtype: DTypeLike = jnp.float32
    ) -> None:
        self.num_features = num_features
        self.alpha_init = alpha_init
        self.axis = axis
        self.param_dtype = param_dtype
        self._check()
        self.alpha = self._learn("alpha")
        self.shift = self._learn("shift")
        self.gamma = self._learn("gamma")
        self.beta = self._learn("beta")

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return self._evaluate(x, self.alpha, self.shift, self.gamma, self.beta)


class PolyNorm(learned.PolyNorm, Parametric):
    """Polynomial of normalised powers: sum_i weight_i x^i / sqrt(mean(x^(2 i)) + eps) + bias, i = 1, 2, 3.

    Its arguments are documented in `jaxact.modules.learned.PolyNorm`.
    """

    weight: Array
    bias: Array
    eps: float = equinox.field(default=1e-6, static=True)
    axis: int = equinox.field(default=-1, kw_only=True, static=True)
    param_dtype: DTypeLike = equinox.field(default=jnp.float32, kw_only=True, static=True)

    def __init__(self, eps: float = 1e-6, *, axis: int = -1, param_dtype: DTypeLike = jnp.float32) -> None:
        self.eps = eps
        self.axis = axis
        self.param_dtype = param_dtype
        self._check()
        self.weight = self._learn("weight")
        self.bias = self._learn("bias")

    def __call__(self, x: ArrayLike, *, key: Array | None = None) -> Array:
        return self._evaluate(x, self.weight, self.bias)
