"""Rational functions."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.functions.rational import APPROXIMATIONS
from jaxact.modules.learned.base import Learned


class Rational(Learned):
    """Safe Pade unit with learned coefficients: P(x) / (1 + |Q(x)|), P of degree 5 and Q of degree 4.

    The learned parameters are called `numerator` and `denominator`. The numerator has the shape (6,) and holds the
    coefficients of 1, x, ..., x^5; the denominator has the shape (4,) and holds those of x, ..., x^4.

    Args:
      approximates: "leaky_relu" (slope 0.01) or "gelu" (exact), the function that the coefficients start from.
      param_dtype: the type of the coefficients.

    Raises:
      TypeError: param_dtype is not a float type.
      ValueError: there are no coefficients for the function.

    Reference: Molina et al. 2019, arXiv:1907.06732.

    The function is `jaxact.rational`.
    """

    approximates: str

    def _check(self) -> None:
        super()._check()
        if self.approximates not in APPROXIMATIONS:
            known = " or ".join(f'"{name}"' for name in APPROXIMATIONS)
            raise ValueError(
                f"{self._who}: expected approximates to be {known}, got {self.approximates!r}; or set the coefficients"
            )

    def _start(self) -> dict[str, Array]:
        numerator, denominator = (jnp.asarray(c, self.param_dtype) for c in APPROXIMATIONS[self.approximates])
        return {"numerator": numerator, "denominator": denominator}

    def _evaluate(self, x: ArrayLike, numerator: Array, denominator: Array) -> Array:
        return jaxact.rational(x, numerator, denominator)
