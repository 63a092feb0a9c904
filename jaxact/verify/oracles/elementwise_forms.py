"""Float64 forms of the elementwise functions that take more than a line, for the table in elementwise.py."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from scipy import special

Values = NDArray[np.float64]
Form = Callable[..., Any]

FAR = 1e50  # stands for infinity: beyond every float32, and its square is still a float64


def zeros(x: Values, **parameters: Any) -> Values:
    return np.zeros_like(x)


def exp(x: Values) -> Values:
    return np.exp(np.minimum(x, 600))


def bump(x: Values) -> Values:
    """sigmoid(x) sigmoid(-x), the derivative of sigmoid."""
    return special.expit(x) * special.expit(-x)


def sech2(x: Values) -> Values:
    return 4 * bump(2 * x)


def gelu_tanh_argument(x: Values) -> tuple[Values, Values, Values]:
    """2 u(x) and its derivatives, where tanh GELU is x sigmoid(2 u)."""
    c, d = 2 * np.sqrt(2 / np.pi), 0.044715
    return c * x * (1 + d * x * x), c * (1 + 3 * d * x * x), c * 6 * d * x


def gelu(x: Values, approximate: bool = True) -> Values:
    return x * (special.expit(gelu_tanh_argument(x)[0]) if approximate else special.ndtr(x))


def density(x: Values) -> Values:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def gelu_slope(x: Values, approximate: bool = True) -> Values:
    if not approximate:
        return special.ndtr(x) + x * density(x)
    v, dv, _ = gelu_tanh_argument(x)
    return special.expit(v) * (1 + x * special.expit(-v) * dv)


def gelu_curvature(x: Values, approximate: bool = True) -> Values:
    if not approximate:
        return density(x) * (2 - x * x)
    v, dv, ddv = gelu_tanh_argument(x)
    return bump(v) * (2 * dv + x * ddv - x * np.tanh(v / 2) * dv * dv)


def gelu_definition(m: Any, x: Any, approximate: bool = True) -> Any:
    if approximate:
        return x / 2 * (1 + m.tanh(m.sqrt(2 / m.pi) * (x + m.mpf("0.044715") * x**3)))
    return x / 2 * m.erfc(-x / m.sqrt(2))  # 1 + erf(z) = erfc(-z)


def mish_parts(x: Values) -> tuple[Values, Values, Values]:
    """T = tanh(softplus(x)) and its derivatives, written in e = exp(-|x|)."""
    e = np.exp(-np.abs(x))
    left = x < 0
    denominator = np.where(left, 2 + 2 * e + e * e, 1 + 2 * e + 2 * e * e)
    t = np.where(left, e * (2 + e), 1 + 2 * e) / denominator
    dt = np.where(left, e, e * e) * 4 * (1 + e) / denominator**2
    ddt = dt * np.where(
        left,
        (1 + 2 * e) / (1 + e) - 4 * e * (1 + e) / denominator,
        (2 + e) / (1 + e) - 4 * (1 + e) / denominator,
    )
    return t, dt, ddt


def mish_slope(x: Values) -> Values:
    t, dt, _ = mish_parts(x)
    return t + x * dt


def mish_curvature(x: Values) -> Values:
    _, dt, ddt = mish_parts(x)
    return 2 * dt + x * ddt


def root(x: Values, b: float) -> Values:
    return np.hypot(x, np.sqrt(b))


def squareplus(x: Values, b: float = 4) -> Values:
    h = root(x, b)
    return np.where(x < 0, b / (2 * (h + np.abs(x))), (x + h) / 2)


def squareplus_slope(x: Values, b: float = 4) -> Values:
    h = root(x, b)
    return np.where(x < 0, b / (2 * h * (h + np.abs(x))), (1 + x / h) / 2)


def leaky(x: Values, negative_slope: Any = 1e-2) -> Values:
    return np.where(x >= 0, x, negative_slope * x)


def leaky_slope(x: Values, negative_slope: Any = 1e-2) -> Values:
    return np.where(x >= 0, 1.0, negative_slope)


def leaky_definition(m: Any, x: Any, negative_slope: Any = 1e-2) -> Any:
    return x if x >= 0 else negative_slope * x


def left(x: Values) -> Values:
    return np.minimum(x, 0)


def head(x: Any) -> Any:
    """The leading 26 bits."""
    shifted = x * (2.0**27 + 1)
    return shifted - (shifted - x)


def turned(x: Values, rate: float) -> tuple[Values, Values]:
    """sin(rate x) and cos(rate x) for a product that is not rounded."""
    x, rate = np.asarray(x, np.float64), np.float64(rate)
    angle = head(rate) * head(x)
    rest = head(rate) * (x - head(x)) + (rate - head(rate)) * x
    sine, cosine = np.sin(angle), np.cos(angle)
    return sine * np.cos(rest) + cosine * np.sin(rest), cosine * np.cos(rest) - sine * np.sin(rest)


def or_mean(form: Form, mean: Form = lambda x, **_: 0.0) -> Form:
    """The form; at +-inf, where it has no limit, its mean over a period; and NaN where an angle overflows float32."""

    def extended(x: Values, **parameters: Any) -> Values:
        with np.errstate(invalid="ignore"):
            result = np.where(np.isinf(x), mean(x, **parameters), form(np.where(np.isinf(x), 0.0, x), **parameters))
            rate = max(1.0, *(abs(value) for value in parameters.values()))
            return np.where((rate * np.abs(x) > 2.0**125) & (np.abs(x) < 2.0**128), np.nan, result)

    return extended


def snake_alpha_slope(x: Values, alpha: float = 1.0) -> Values:
    sine, cosine = turned(x, alpha)
    return np.where(
        np.abs(alpha * x) < 1e-4, x * x * (1 - (alpha * x) ** 2), (2 * x * cosine - sine / alpha) * sine / alpha
    )


def silu(x: Values, beta: float = 1.0) -> Values:
    return x * special.expit(beta * x)


def silu_slope(x: Values, beta: float = 1.0) -> Values:
    return special.expit(beta * x) * (1 + beta * x * special.expit(-beta * x))


def silu_curvature(x: Values, beta: float = 1.0) -> Values:
    z = beta * x
    return beta * bump(z) * (2 - z * np.tanh(z / 2))


def coin_entropy(z: Values) -> Values:
    size = np.minimum(np.abs(z), 1e3)
    return size * special.expit(-size) + np.log1p(np.exp(-size))


def far_left(x: Values) -> Values:
    """exp(-x), except for x below -50, where exp(-exp(-x)) is 0 anyway."""
    return np.exp(-np.clip(x, -50, 1e3))


def thresholded(x: Values, negative_slope: float = 0.0, max_value: float = np.inf, threshold: float = 0.0) -> Values:
    return np.where(x > threshold, np.minimum(x, max_value), negative_slope * (x - threshold))


def tanh_shrink(x: Values) -> Values:
    """Return x - tanh(x). Below 1/2 it is Lambert's continued fraction, from the inside out."""
    q = np.clip(x, -0.5, 0.5) ** 2
    k = 31.0 + 0 * q
    for odd in range(29, 1, -2):
        k = odd + q / k
    return np.where(np.abs(x) < 0.5, x * (q / k) / (1 + q / k), x - np.tanh(x))


def log_softplus(x: Values) -> Values:
    """log(log(1 + exp(x))), which is x on the far left."""
    return np.where(x < -37, x, np.log(-special.log_expit(-np.maximum(x, -37))))


def sqrt_softplus_curvature(x: Values) -> Values:
    near = np.maximum(x, -37)
    s, p = -special.log_expit(-near), special.expit(near)
    return np.where(
        x < -37, np.exp(np.minimum(x, 0) / 2) / 4, p / (2 * np.sqrt(s)) * (special.expit(-near) - p / (2 * s))
    )


def soft_cap_cap_slope(v: Values) -> Values:
    """tanh(v) - v (1 - tanh(v)^2). Near 0 it is v^3 (2/3 - 8/15 v^2 + ...), the sum of two parts that hardly cancel."""
    return np.where(
        np.abs(v) < 0.5, v * np.tanh(v) ** 2 - tanh_shrink(v), np.tanh(v) - np.clip(v, -1e3, 1e3) * sech2(v)
    )


def erf_slope(z: Values) -> Values:
    return 2 / np.sqrt(np.pi) * np.exp(-z * z)


def rational(x: Values, numerator: Sequence[float], denominator: Sequence[float], order: int = 0) -> Values:
    """P / (1 + |Q|), or a derivative N_k / D^(k + 1), whose numerator is multiplied out: far away its terms cancel."""
    q = Polynomial([0, *denominator])
    tops = []
    for sign in (-1, 0, 1):
        top, bottom = Polynomial(numerator), 1 + sign * q
        for k in range(order):
            top = top.deriv() * bottom - (k + 1) * top * bottom.deriv()
        tops.append(top(x))
    return np.select([q(x) < 0, q(x) > 0], [tops[0], tops[2]], tops[1]) / (1 + np.abs(q(x))) ** (order + 1)
