"""Rational functions as an Equinox module."""

import equinox
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxact.modules import learned
from jaxact.modules.equinox.learned.base import Parametric


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
