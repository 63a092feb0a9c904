"""Elementwise functions whose parameters are one number, or one number per channel, as Equinox modules."""

import equinox
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxact.modules import learned
from jaxact.modules.equinox.learned.base import Parametric


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
