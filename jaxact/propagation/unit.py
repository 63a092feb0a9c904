"""Unit scaling: activations whose output has variance 1, and on request gradients of size 1, for low precision.

Sources: Blake et al. 2023, "Unit Scaling" (arXiv 2303.11257), and 2024, "u-muP" (arXiv 2407.17465). Their libraries
have sampled or fitted constants; here they are expectations under a Gaussian, by integration.
"""

import dataclasses
import functools
import inspect
import math
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxact.core import catalog
from jaxact.core.checks import as_array, as_float, widen
from jaxact.functions.softmax import softmax
from jaxact.propagation.gaussian import (
    Function,
    InfiniteMomentError,
    Integrand,
    density,
    float64,
    name_of,
    piecewise,
)

Backward = Literal["exact", "unit"]

# The range of both axes for two standard normal inputs; 1e-17 of the mass lies outside.
_CUTS = np.array([-9.0, -6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 9.0])
_TOLERANCE = 1e-9


@dataclasses.dataclass(frozen=True)
class UnitScaled:
    """output_scale * function(*inputs), an activation like any other.

    It works under jit, vmap and grad, and keeps the dtype; 16-bit floats are computed in float32. It can be pickled if
    `function` can.
    """

    function: Function
    """What is scaled."""
    output_scale: float
    """The factor of the output: 1 / its standard deviation for standard normal inputs."""
    gradient_scales: tuple[float, ...] | None = None
    """The factor of each input's gradient, in place of output_scale. None means the exact gradient."""

    def __call__(self, *inputs: ArrayLike) -> jax.Array:
        """Evaluate it elementwise, or along the last axis if `function` does."""
        arrays = [as_float(self.__name__, as_array(self.__name__, x)) for x in inputs]
        dtype = jnp.result_type(*arrays)
        wide = [widen(x) for x in arrays]
        if self.gradient_scales is None:
            return jnp.asarray(self.output_scale * self.function(*wide), dtype)
        scaled = [_scale_backward(x, s) for x, s in zip(wide, self.gradient_scales, strict=True)]
        return jnp.asarray(_scale_forward(self.function(*scaled), self.output_scale), dtype)

    @property
    def __name__(self) -> str:
        return f"unit_scaled_{name_of(self.function)}"


def unit_scaled(
    f: Function, *, backward: Backward = "exact", size: int | None = None, kinks: Sequence[float] | None = None
) -> UnitScaled:
    """Scale f by the constant with which its output has variance 1 for independent standard normal inputs.

    The constant is (Var f(z))^-1/2, exact to 1e-6 or better; the mean stays. With backward="unit" the gradient of each
    input x_i is (E (df/dx_i)^2)^-1/2 df/dx_i, which has size 1 for a cotangent of size 1, in place of
    output_scale df/dx_i. It is then *not the derivative of what is computed*, but a multiple of it, with a different
    factor for each input. Where the branches of a network meet again, that changes the direction of the gradient, so
    Blake et al. (2023) constrain the factors to be equal there. Such a function has only a reverse mode.

    Args:
      f: an elementwise function of one array, a gated unit of two (or of one that it splits, as `glu`), or `softmax`.
        Bind its parameters with functools.partial.
      backward: "exact" or "unit".
      size: for softmax only, the number of entries along the last axis, on which softmax acts.
      kinks: where f or its slope jumps, for a function whose kinks halving does not find.

    Returns:
      The scaled function, with its constants as `output_scale` and `gradient_scales`.

    Raises:
      TypeError: f is not a function of one or two arrays that returns floating-point numbers.
      ValueError: f is constant, not elementwise or not finite; a second moment is infinite or does not converge; or
        `size` is given for a function other than softmax, or is missing for softmax.

    Source: Blake et al. 2023, arXiv 2303.11257.

    >>> relu = jaxact.propagation.unit_scaled(jaxact.relu)
    >>> round(relu.output_scale, 6), relu(2.0)
    (1.712859, Array(3.425717..., dtype=float32))
    """
    if backward not in ("exact", "unit"):
        raise ValueError(f'jaxact.unit_scaled: expected backward to be "exact" or "unit", got {backward!r}')
    if (size is not None) != (f in (softmax, jax.nn.softmax)):
        raise ValueError(
            "jaxact.unit_scaled: expected size, the number of entries along the axis, for softmax and only there, "
            f"got size={size!r} with {name_of(f)}"
        )
    if size is not None:
        output, *gradients = _of_softmax("unit_scaled", size)
    elif (pair := _pair(f)) is not None:
        output, *gradients = _of_pair(pair, name_of(f), kinks)
    else:
        output, *gradients = _of_one(f, kinks)
    if not output > 0:
        raise ValueError(f"jaxact.unit_scaled: {name_of(f)} is constant, so that no factor gives it variance 1")
    if backward == "exact":
        return UnitScaled(f, output**-0.5)
    if not min(gradients) > 0:
        raise ValueError(f'jaxact.unit_scaled: the slope of {name_of(f)} is 0 almost everywhere; take backward="exact"')
    scales = tuple(g**-0.5 for g in gradients)
    # A function that splits its one array has one gradient for both halves.
    return UnitScaled(
        f, output**-0.5, scales if len(scales) == 1 or _takes_two(f) else (float(np.mean(gradients)) ** -0.5,)
    )


def attention_scale(size: int, mult: float = 1.0) -> float:
    """The factor that gives attention over `size` keys an output of variance 1, for values that are standard normal.

    It is (size E y^2)^-1/2 for a weight y of softmax(mult z) with standard normal logits z, by integration. It
    multiplies the output and, in unit scaling, the gradients of queries, keys and values. For many keys it is
    sqrt(size exp(-mult^2)), which is Blake et al.'s rule.

    Args:
      size: the number of keys, >= 1.
      mult: the standard deviation of the logits, > 0.

    Raises:
      TypeError: size is not an int.
      ValueError: size < 1 or mult <= 0.

    >>> round(jaxact.propagation.attention_scale(1024), 3), round((1024 / math.e) ** 0.5, 3)
    (19.479, 19.409)
    """
    if not (math.isfinite(mult) and mult > 0):
        raise ValueError(f"jaxact.attention_scale: expected mult > 0 and finite, got {mult!r}")
    return (size * _softmax_moments("attention_scale", size, mult)[0]) ** -0.5


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _scale_backward(x: jax.Array, scale: float) -> jax.Array:
    return x


_scale_backward.defvjp(lambda x, scale: (x, None), lambda scale, _, ct: (scale * ct,))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _scale_forward(x: jax.Array, scale: float) -> jax.Array:
    return scale * x


_scale_forward.defvjp(lambda x, scale: (scale * x, None), lambda scale, _, ct: (ct,))


def _inner(f: Function) -> Function:
    while isinstance(f, functools.partial):
        f = f.func
    return f


def _takes_two(f: Function) -> bool:
    """Whether f needs two arrays."""
    try:
        inspect.signature(f).bind(0.0)
    except TypeError:
        try:
            inspect.signature(f).bind(0.0, 0.0)
        except TypeError:
            return False
        return True
    except ValueError:
        return False
    return False


def _pair(f: Function) -> Function | None:
    """Take a gated unit as a function of two arrays; None for anything else."""
    if not callable(f):
        return None
    rows = [row for row in catalog.rows() if row.function is _inner(f)]
    if rows and rows[0].kind != "gated":
        return None
    if _takes_two(f):
        return f
    return (lambda a, b: f(jnp.stack([a, b], axis=-1))[..., 0]) if rows else None


def _of_one(f: Function, kinks: Sequence[float] | None) -> tuple[float, float]:
    """Var f and E f'^2."""
    g = Integrand("unit_scaled", f, kinks)
    mean, second, slope = g.expect(lambda z, f, df: [f, np.square(f), np.square(df)], order=1)
    # The difference of the two would cancel.
    variance = g.expect(lambda z, f: [np.square(f - mean)])[0] if second - mean**2 > 1e-13 * second else 0.0
    return float(variance), float(slope)


def _of_pair(f: Function, name: str, kinks: Sequence[float] | None) -> tuple[float, float, float]:
    """Var f and the second moments of both partial derivatives."""

    @jax.jit
    def evaluate(a: jax.Array, b: jax.Array) -> jax.Array:
        slopes = jax.grad(lambda a, b: f(a, b).sum(), argnums=(0, 1))(a, b)
        return jnp.stack([f(a, b), *slopes], axis=-1)

    def integrand(z: np.ndarray) -> np.ndarray:
        with float64():
            values = np.asarray(evaluate(z[:, 0], z[:, 1]), np.float64)
        rows = np.concatenate([values[:, :1], np.square(values)], axis=1)
        return rows * density(z).prod(axis=1)[:, None]

    cuts = np.union1d(_CUTS, [] if kinks is None else np.asarray(kinks, np.float64))
    integral = piecewise(integrand, [cuts, cuts], _TOLERANCE, 16)
    mean, second, *slopes = integral.parts.sum(axis=0).tolist()
    # The integral of a function that grows too fast comes from the border of the plane.
    parts = np.abs(integral.parts).reshape(cuts.size - 1, cuts.size - 1, 4)
    inner = parts[1:-1, 1:-1].sum(axis=(0, 1))
    if not (integral.converged and (parts.sum(axis=(0, 1)) <= 1.01 * inner).all()):
        raise InfiniteMomentError(
            f"jaxact.unit_scaled: the second moments of {name} for two standard normal inputs do not converge; if it "
            "or its slope jumps where an input has some value, give these values as kinks=[...]; if it grows too fast, "
            "bound it"
        )
    variance = second - mean**2
    return variance if variance > 1e-12 * second else 0.0, slopes[0], slopes[1]


def _of_softmax(who: str, size: int) -> tuple[float, float]:
    """Var y of a weight y, and the second moment of a logit's gradient for a standard normal cotangent."""
    second, third, fourth, mixed = _softmax_moments(who, size, 1.0)
    # sum_j (dy_j / dx_i)^2 = y_i^2 (1 - y_i)^2 + y_i^2 sum_j!=i y_j^2.
    return second - size**-2.0, second - 2 * third + fourth + (size - 1) * mixed


@functools.cache
def _softmax_moments(who: str, size: int, mult: float) -> tuple[float, float, float, float]:
    """E y^2, E y^3, E y^4 and E y_1^2 y_2^2 of softmax(mult z) for z ~ N(0, 1)^size.

    1 / S^k is the integral of t^(k - 1) exp(-t S) / (k - 1)!, in which the terms of S = sum_i exp(mult z_i) factorise.
    """
    if isinstance(size, bool) or not isinstance(size, int | np.integer):
        raise TypeError(f"jaxact.{who}: expected size to be an int, got {size!r}; give the number of entries")
    if size < 1:
        raise ValueError(f"jaxact.{who}: expected size >= 1, got {size}; give the number of entries")
    z = np.linspace(-12 - 4 * mult, 12 + 4 * mult, 4001)  # the trapezoidal rule converges geometrically here
    weight = density(z) * (z[1] - z[0])
    x = mult * z

    def integrand(log_t: np.ndarray) -> np.ndarray:
        s = log_t  # (n, 1)
        e = x + s
        damped = weight * np.exp(-np.exp(np.minimum(e, 700.0)))
        # E (t exp(x))^k exp(-t exp(x))
        m = [(damped * np.exp(np.minimum(k * e, 700.0))).sum(axis=1) for k in range(5)]
        rest = np.exp((size - 1) * np.log(np.maximum(m[0], 1e-300)))
        rest_of_two = np.exp((size - 2) * np.log(np.maximum(m[0], 1e-300)))
        return np.stack(
            [m[2] * rest, m[3] * rest / 2, m[4] * rest / 6, m[2] ** 2 * rest_of_two / 6 * (size > 1)], axis=-1
        )

    # t S is of order 1 to 10 where the integrand is large.
    centre = -math.log(size) - mult**2 / 2
    cuts = centre + np.array([-40.0, -20.0, -10.0, -5.0, -2.0, 0.0, 2.0, 4.0, 7.0, 12.0]) * max(1.0, mult)
    scale = float(size) ** -np.array([2.0, 3.0, 4.0, 4.0])
    integral = piecewise(lambda s: integrand(s) / scale, [cuts], _TOLERANCE, 64)
    second, third, fourth, mixed = integral.parts.sum(axis=0) * scale
    return float(second), float(third), float(fourth), float(mixed)
