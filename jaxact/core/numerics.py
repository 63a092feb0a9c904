"""The few careful building blocks that the families share. All take and return float32 or float64.

Each is right to about 2 ulp, also at +-inf: they are written in e = exp(-|x|), which never overflows, or in tanh, and
never as 1 - f, which cancels. Polynomials and fractions come with their exact derivatives.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.special import erfc

from jaxact.core.derivative import derivative, with_derivative, with_slope
from jaxact.core.pair import LOG_2, Pair, leading_bits, normalized, product, quotient, whole

# exp(r) for |r| <= log(2) / 2 and 2^r for |r| <= 1/2, to 2^-28 of themselves; highest power first.
# Computed by `python -m benchmarks.coefficients`.
_EXP = (0.00137514079, 0.00836891634, 0.0416695331, 0.166665185, 0.499999886, 1.0, 1.0)
_EXP2 = (0.000153707048, 0.00133998483, 0.00961837325, 0.0555032904, 0.240226485, 0.693147206, 1.0)


def exp(x: Array, low: Array | None = None) -> Array:
    """The exponential of x + low, for sums up to 88, without the |x| ulp / 2 that rounding the sum would cost.

    x may be -inf. XLA counts its own exponential as too expensive to compute twice: where value and slope both need it,
    XLA writes it to memory, and in an unrolled program keeps it for the backward pass. In float32 this exponential is a
    polynomial, which XLA fuses: it takes a fifth less time on a CPU. Its error is at most 0.9 ulp (1.2 where no product
    is fused with a sum) on every device, since it consists of sums and products; a TPU's own exp has fewer digits.
    """
    return _exp(x) if low is None else _exp_of_pair(x, low)


@with_slope(lambda x: exp(x))
def _exp(x: Array) -> Array:
    if x.dtype != jnp.float32:
        return jnp.exp(x)
    x = jnp.maximum(x, -88)
    n, power = whole(x * (1 / math.log(2)))
    return horner(_EXP, (x - n * LOG_2[0]) - n * LOG_2[1]) * power


@with_slope(lambda x, low: exp(x, low))
def _exp_of_pair(x: Array, low: Array) -> Array:
    x = jnp.maximum(x, -1000)
    if x.dtype != jnp.float32:
        return _corrected(jnp.exp(x + low), x, low)
    n, power = whole(jnp.maximum(x + low, -88) * (1 / math.log(2)))
    return horner(_EXP, ((x - n * LOG_2[0]) + low) - n * LOG_2[1]) * power


def exp2(x: Array, low: Array) -> Array:
    """2 to the power x + low, for finite sums up to 127 (in float64 1023), with the same accuracy."""
    return _exp2(x, low)


@with_slope(lambda x, low: math.log(2) * exp2(x, low))
def _exp2(x: Array, low: Array) -> Array:
    if x.dtype != jnp.float32:
        return _corrected(jnp.exp2(x + low), x, low, math.log(2))
    n, power = whole(jnp.maximum(x + low, -127))
    return horner(_EXP2, (x - n) + low) * power


def _corrected(e: Array, x: Array, low: Array, rate: float = 1.0) -> Array:
    """The exponential of a sum, from the exponential of the rounded sum."""
    return e + e * (rate * (low - ((x + low) - x)))


@with_slope(lambda x: sigmoid_slope(x))
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    numerator, denominator = sigmoid_fraction(x)
    return numerator / denominator


def sigmoid_fraction(x: Array) -> tuple[Array, Array]:
    """Return numerator and denominator of sigmoid(x): 1 (or e on the left) and 1 + e, with e = exp(-|x|)."""
    e = exp(-jnp.abs(x))
    return jnp.maximum(e, jnp.sign(x)), 1 + e  # e <= 1; the ones of a `where` would be an array that a scan carries


@with_slope(lambda x: sigmoid_curvature(x))
def sigmoid_slope(x: Array) -> Array:
    """sigmoid(x) sigmoid(-x), an even function."""
    e = exp(-jnp.abs(x))
    return e / jnp.square(1 + e)


def _sigmoid_third(x: Array) -> Array:
    """An even function; on the right logistic has lost the digits of 1 - logistic."""
    third = derivative(derivative(derivative(lax.logistic)))
    return jnp.where(x > 0, third(-x), third(x))


@with_slope(_sigmoid_third)
def sigmoid_curvature(x: Array) -> Array:
    """The second derivative of sigmoid: -sigmoid'(x) tanh(x / 2), since 1 - 2 sigmoid(x) cancels at 0."""
    return -sigmoid_slope(x) * tanh(x / 2)


@with_slope(sigmoid)
def softplus(x: Array) -> Array:
    """log(1 + exp(x))."""
    return jnp.maximum(x, 0) + log1p(exp(-jnp.abs(x)))


@with_slope(lambda x: x * sigmoid_slope(x))
def softplus_less_slope(x: Array) -> Array:
    """Softplus less its slope, x sigmoid(x) - softplus(x), an even function."""
    size = jnp.abs(finite(x))
    return -(size * sigmoid(-size) + softplus(-size))


@with_slope(lambda e: 1 / (1 + e))
def log1p(e: Array) -> Array:
    """log(1 + e) for 0 <= e <= 1 as 2 artanh(s), s = e / (2 + e), an odd series. XLA's log1p takes longer."""
    double = e / (1 + e / 2)
    powers = range(8 if e.dtype == jnp.float32 else 16)  # s^2 <= 1/9: to 1.4e-9 and 1.6e-17 of itself
    return double * horner([1 / ((2 * k + 1) * 4**k) for k in reversed(powers)], jnp.square(double))


@with_slope(exp)
def expm1(x: Array) -> Array:
    """exp(x) - 1 for x <= 1/2.

    XLA's own expm1 is off by up to 5.7 ulp in float32. This one is off by up to 2.6: it is the Taylor series above -1/2
    and exp(x) - 1 below.
    """
    series = 1.0
    for k in reversed(range(2, 11 if x.dtype == jnp.float32 else 17)):
        series = 1 + x / k * series
    return jnp.where(x > -0.5, x * series, exp(x) - 1)


def exp_pair(x: Array) -> Pair:
    """exp(x) for 0 <= x <= 80 as a pair: 2^n (1 + m), m = exp(x - n log 2) - 1."""
    n, power = whole(x * (1 / math.log(2)))
    rest = power * expm1((x - n * LOG_2[0]) - n * LOG_2[1])
    return normalized(power, rest)  # this avoids (1 + m) - 1, which XLA simplifies to m


@with_slope(lambda x: -finite(x) * exp(x))
def expm1_less_slope(x: Array) -> Array:
    """exp(x) - 1 - x exp(x) for x <= 0, whose terms cancel near 0."""
    x = finite(x)
    terms = reversed(range(18))  # enough for 1 ulp of float64 at |x| < 1
    series = horner([(k + 1) / math.factorial(k + 2) for k in terms], x)
    return jnp.where(x > -1, -x * x * series, (1 - x) * exp(x) - 1)


@with_slope(expm1)
def expm1_less_x(x: Array) -> Array:
    """exp(x) - 1 - x for x <= 0, whose terms cancel near 0."""
    terms = reversed(range(2, 18))  # enough for 1 ulp of float64 at |x| < 1
    series = horner([1 / math.factorial(k) for k in terms], x)
    return jnp.where(x > -1, x * x * series, (exp(x) - 1) - x)


@with_slope(lambda x: tanh_slope(x))
def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return jnp.tanh(x)


def tanh_slope(x: Array) -> Array:
    """1 / cosh(x)^2. The form 1 - tanh(x)^2 would have no digits for large |x|."""
    return 4 * sigmoid_slope(2 * x)


# x - tanh(x) cancels near 0. Lambert's continued fraction is tanh(x) = x / (1 + K), K = x^2 / (3 + x^2 / (5 + ...)). So
# x - tanh(x) is x K / (1 + K), whose terms are all positive. With the fraction cut off and cleared it is
# x q D(q) / (N(q) + q D(q)), q = x^2.
def _lambert(depth: int) -> tuple[list[float], list[float]]:
    """Return the coefficients of N and D, highest power first, so that K = q D(q) / N(q)."""
    numerator, denominator = [2 * depth + 1], [1]
    for odd in range(2 * depth - 1, 1, -2):
        shifted = [*denominator, 0]
        scaled = [0] * (len(shifted) - len(numerator)) + [odd * c for c in numerator]
        shifted = [0] * (len(scaled) - len(shifted)) + shifted
        numerator, denominator = [a + b for a, b in zip(shifted, scaled, strict=True)], numerator
    scale = numerator[-1]
    return [c / scale for c in numerator], [c / scale for c in denominator]


def _lambert_parts(x: Array) -> tuple[Array, Array, Array]:
    """Return N, D and q for |x| <= 2.5, to 2e-9 in float32 and 1e-17 in float64."""
    q = jnp.square(jnp.clip(x, -2.5, 2.5))
    n, d = (horner(c, q) for c in _lambert(_depth(x)))
    return n, d, q


def _depth(x: Array) -> int:
    return 7 if x.dtype == jnp.float32 else 12


def tanh_ratio(x: Array) -> Array:
    """tanh(x) / x for |x| <= 2.5, to 1.5 ulp. XLA's tanh is off by 4."""
    n, d, q = _lambert_parts(x)
    return n / (n + q * d)


@with_slope(lambda x: tanh_squared(x))
def tanh_shrink(x: Array) -> Array:
    """Return x - tanh(x)."""
    n, d, q = _lambert_parts(x)
    return jnp.where(jnp.abs(x) < 2.5, x * (q * d / (n + q * d)), x - jnp.tanh(x))


@with_slope(lambda x: 2 * jnp.clip(x, -400, 400) * tanh(x) * tanh_slope(x))
def tanh_less_slope(x: Array) -> Array:
    """Return tanh(x) - x tanh'(x).

    Its terms cancel near 0. There it is x q (N^2 - N D - q D^2) / (N + q D)^2, which does not cancel in powers of q.
    """
    n, d, q = _lambert_parts(x)
    numerator, denominator = _lambert(_depth(x))
    difference = np.polysub(
        np.polymul(numerator, np.polysub(numerator, denominator)), np.polymul([*denominator, 0], denominator)
    )
    near = jnp.clip(x, -2.5, 2.5) * q * (horner(difference.tolist(), q) / jnp.square(n + q * d))
    return jnp.where(jnp.abs(x) < 2.5, near, tanh(x) - jnp.clip(x, -400, 400) * tanh_slope(x))


@with_slope(lambda x: 2 * tanh(x) * tanh_slope(x))
def tanh_squared(x: Array) -> Array:
    """tanh(x)^2, the slope of x - tanh(x). XLA's tanh is off by 4 ulp, and squaring would double that."""
    return jnp.where(jnp.abs(x) < 2.5, jnp.square(x * tanh_ratio(x)), 1 - tanh_slope(x))


def finite(x: Array) -> Array:
    """Clip +-inf to the largest finite numbers, so that inf / inf becomes the limit 1; keep NaN."""
    largest = float(jnp.finfo(x.dtype).max)
    return jnp.clip(x, -largest, largest)


def above_minus_inf(x: Array) -> Array:
    """Raise -inf to the smallest finite number."""
    return jnp.maximum(x, float(jnp.finfo(x.dtype).min))


def exp_of_quotient(x: Array, y: Array) -> Array:
    """exp(x / y) for x <= 0 and y > 0, without the |x / y| ulp / 2 that rounding the quotient would cost."""
    high, low = quotient(above_minus_inf(x), jnp.zeros_like(x), y)
    return exp(high, jnp.where(high > -1000, low, 0))


def exp_of_half_square(x: Array) -> Array:
    """exp(-x^2 / 2), without the x^2 ulp / 4 that rounding the square would cost: x^2 = h^2 + (x - h) (x + h)."""
    h = leading_bits(x)
    return exp(h * h * -0.5, (x - h) * (x + h) * -0.5)


# Phi(-t) exp(t^2 / 2) = N(t) / M(t) for t >= 0, to 7e-9 in float32 on [0, 14.5] and to 1e-17 in float64 on [0, 39]; and
# N(t) - t M(t) / sqrt(2 pi) = (root - t) S(t). All coefficients are positive, so nothing cancels.
# Computed by `python -m benchmarks.coefficients`.
_NORMAL_TAIL = {
    "float32": (
        (0.00408235852479, 0.0404296057692, 0.182670227564, 0.437593700794, 0.50000000202),
        (0.0102328349647, 0.101348491674, 0.467968046067, 1.20025508179, 1.67307228103, 1.0),
        (0.00408231051579, 0.0435012448226, 0.215313748013, 0.600273944102, 0.936069905983, 0.665077999581),
    ),
    "float64": (
        (
            1.7326376627713945119e-7, 5.6238670929937707749e-6, 0.000088940564691914760013, 0.00089382354879774312317,
            0.0062856520368009223981, 0.032225134814368464305, 0.12190392311500410051, 0.33662205184177200458,
            0.65270558197491118659, 0.81065275577326428335, 0.5,
        ),
        (
            4.3430785551890877244e-7, 0.000014096944268157043506, 0.00022337524206490013666, 0.0022545803247516807618,
            0.015977865416656692848, 0.082988724218534214096, 0.32088206008037272463, 0.92022305364006083404,
            1.9123399537632844374, 2.7356455723249704482, 2.4191900723493939256, 1.0,
        ),
        (
            1.7326376627696941428e-7, 5.7541253240539886549e-6, 0.000093266467338964549444, 0.00096394048869518709359,
            0.0070099877902863079024, 0.037483936747492514501, 0.1499078747104870272, 0.44759021837493618364,
            0.97750387165210966587, 1.4896217572148360009, 1.4322966342859111902, 0.66507799513143425804,
        ),
    ),
}  # fmt: skip
_GELU_ROOT = (0.7517915246935644574, 0.7517915368080139, -1.21144494e-8)  # the root, its float32, and the rest


def horner(coefficients: Sequence[float], x: Array) -> Array:
    """The polynomial with these coefficients, two or more, highest power first."""
    result = coefficients[0] * x + coefficients[1]  # jnp.full_like would be an array that a scan carries
    for c in coefficients[2:]:
        result = result * x + c
    return result


SQRT_HALF_OVER_PI = 1 / math.sqrt(2 * math.pi)


@with_derivative(lambda t, rest: erfc((t + rest) * math.sqrt(0.5)) / 2)
def normal_tail(t: Array, rest: Array | float) -> Array:
    """Phi(-t - rest) for t >= 0 and |rest| << t, Phi being the normal distribution function."""
    t = jnp.minimum(t, 40)
    n, m, _ = _NORMAL_TAIL[t.dtype.name]
    # M = 2 t N + L, all positive, so N's error is in both and mostly cancels: 2.1 ulp, and 4.2 for N / M.
    numerator = horner(n, t)
    rest_of_m = [c - 2 * b for b, c in zip((*n, 0), m, strict=True)]
    denominator = 2 * t * numerator + horner(rest_of_m, t)
    return exp_of_half_square(t) * (numerator / denominator - SQRT_HALF_OVER_PI * rest)


@with_derivative(lambda t: erfc(t * math.sqrt(0.5)) / 2 - SQRT_HALF_OVER_PI * t * jnp.exp(t * t / -2))
def normal_tail_slope(t: Array) -> Array:
    """Phi(-t) - t phi(t) for t >= 0, phi being the normal density; 0 at t = 0.7518."""
    t = jnp.minimum(t, 40)
    _, m, s = _NORMAL_TAIL[t.dtype.name]
    root, high, low = _GELU_ROOT
    from_root = (high - t) + low if t.dtype == jnp.float32 else root - t
    return exp_of_half_square(t) * (from_root * (horner(s, t) / horner(m, t)))


def scaled(x: Array, scale: Array | float) -> Pair:
    """min(|scale x|, 1000) with its rest, since rounding would lose digits."""
    high, low = product(jnp.abs(x), scale)
    far = jnp.abs(high) >= 1000
    return Pair(jnp.where(far, 1000, jnp.abs(high)), jnp.where(far, 0, jnp.sign(high) * low))


def scaled_decay(x: Array, scale: Array | float) -> tuple[Array, Array]:
    """Return min(|scale x|, 1000) and exp(-|scale x|)."""
    size, rest = scaled(x, scale)
    return size, exp(-size, -rest)
