"""Modules that replace a normalisation, for Equinox."""

import equinox
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxact.modules import learned
from jaxact.modules.equinox.learned.base import Parametric


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
