"""What stands in for a normalisation in a few models: the functions of the modules DyT, Derf and PolyNorm."""

import functools
import math

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxact.core import numerics
from jaxact.core.checks import widen
from jaxact.core.pointwise import pointwise


def _sech2(x: Array) -> Array:
    return 4 * numerics.sigmoid_slope(2 * x)


dyt = pointwise(
    "dyt",
    lambda x, alpha, gamma, beta: gamma * jnp.tanh(alpha * x) + beta,
    lambda x, alpha, gamma, beta: gamma * (alpha * _sech2(alpha * x)),
    lambda x, alpha, gamma, beta: gamma * (numerics.finite(x) * _sech2(alpha * x)),
    lambda x, alpha, gamma, beta: jnp.tanh(alpha * x),
    lambda x, alpha, gamma, beta: jnp.ones_like(x),
    curvature=lambda x, alpha, gamma, beta: -2 * gamma * alpha * (alpha * jnp.tanh(alpha * x) * _sech2(alpha * x)),
)


def _bell(z: Array) -> Array:
    """The derivative of erf."""
    return 2 / math.sqrt(math.pi) * jnp.exp(-jnp.square(z))


derf = pointwise(
    "derf",
    lambda x, alpha, shift, gamma, beta: gamma * lax.erf(alpha * x + shift) + beta,
    lambda x, alpha, shift, gamma, beta: gamma * (alpha * _bell(alpha * x + shift)),
    lambda x, alpha, shift, gamma, beta: gamma * (numerics.finite(x) * _bell(alpha * x + shift)),
    lambda x, alpha, shift, gamma, beta: gamma * _bell(alpha * x + shift),
    lambda x, alpha, shift, gamma, beta: lax.erf(alpha * x + shift),
    lambda x, alpha, shift, gamma, beta: jnp.ones_like(x),
    curvature=lambda x, alpha, shift, gamma, beta: (
        -2 * gamma * alpha * (alpha * numerics.finite(alpha * x + shift) * _bell(alpha * x + shift))
    ),
)


@functools.partial(jax.jit, static_argnames="axis")
def poly_norm(x: Array, weight: Array, bias: Array, eps: float, axis: int) -> Array:
    """sum_i weight[i - 1] x^i / sqrt(mean(x^(2 i)) + eps) + bias, i = 1, 2, 3, with the mean along `axis`."""

    @functools.partial(jax.checkpoint, prevent_cse=False)  # the backward pass keeps x, not its powers
    def evaluate(x: Array, weight: Array, bias: Array) -> Array:
        wide, weight, bias = widen(x), widen(weight), widen(bias)
        # x^6 overflows where the quotient would not, and that does not depend on the scale of x.
        scale = lax.stop_gradient(jnp.maximum(jnp.max(jnp.abs(wide), axis, keepdims=True), 1))
        y = bias
        for i in (1, 2, 3):
            power = (wide / scale) ** i
            mean_square = jnp.mean(jnp.square(power), axis, keepdims=True)
            y += weight[i - 1] * power * lax.rsqrt(mean_square + eps / scale ** (2 * i))
        return y.astype(x.dtype)

    return evaluate(x, weight, bias)
