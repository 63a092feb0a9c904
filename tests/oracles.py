"""What every elementwise activation should give, written from the textbook; imports nothing of jaxact.

Each function is here twice. `definition` is the formula as it stands in a book, evaluated by mpmath with as many digits
as its cancellation costs, derivatives by central differences with a step of 2^-60: right to 30 digits and slow.
`value`, `slope` and `curvature` are float64 NumPy forms for millions of points; tests/test_oracles.py holds them to
the definition within 1e-12 of the error unit. At a kink, slopes follow jax.nn's convention.

To add an activation: one entry in `POINTWISE`.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy import special

Values = NDArray[np.float64]
Form = Callable[..., Values]

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
_FAR = 1e50  # stands for infinity: beyond every float32, and its square is still a float64


@dataclasses.dataclass(frozen=True)
class Pointwise:
    """One elementwise function. All callables take its parameters as keywords, with jax.nn's names and defaults."""

    definition: Callable[..., Any]
    """`definition(m, x, **parameters)`, m being mpmath.mp."""
    value: Form
    slope: Form
    curvature: Form
    parameter_slope: Mapping[str, Form] = dataclasses.field(default_factory=dict)
    """d value / d parameter, by the parameter's name."""
    joints: tuple[float, ...] = ()
    """Where its pieces meet: there the second derivative is a convention, which no test fixes."""

    def derivative(self, order: int) -> Form:
        """Value, slope, curvature or (by a difference of curvatures, to 7 digits) the derivative of curvature."""
        return (self.value, self.slope, self.curvature, self._jerk)[order]

    def _jerk(self, x: Values, **parameters: Any) -> Values:
        step = np.where(x == 0, 2.0**-30, np.abs(x) * 2.0**-30)
        return (self.curvature(x + step, **parameters) - self.curvature(x - step, **parameters)) / (2 * step)

    def exact(self, x: float, order: int = 0, wrt: str | None = None, **parameters: Any) -> mpmath.mpf:
        """The derivative of `order` (0: the value) at a finite x, in x or in the parameter `wrt`, to 30 digits.

        At a joint only orders 0 and 1 are defined; the slope there is the convention in `slope`.
        """
        mp = mpmath.mp
        if order and x in self.joints:
            assert order == 1
            form = self.slope if wrt is None else self.parameter_slope[wrt]
            return mp.mpf(float(form(np.float64(x), **parameters)))
        at = mp.mpf(x if wrt is None else parameters[wrt])
        # Room for the size of f, for a result as small as the smallest float64, and for n steps of 2^-60 each.
        bits = 1200 + max(0, math.frexp(x)[1])
        step_bits = 60 - min(0, math.frexp(float(at))[1] if at else -1074)
        step_bits += 0 if wrt is None else max(0, math.frexp(x)[1])  # a parameter may be a factor of x
        with mp.workprec(bits + order * step_bits):
            h = mp.ldexp(1, -step_bits)
            if wrt is None:
                f = lambda t: self.definition(mp, t, **parameters)  # noqa: E731
            else:
                f = lambda t: self.definition(mp, mp.mpf(x), **{**parameters, wrt: t})  # noqa: E731
            if order == 0:
                return +f(at)
            steps = (mp.mpf(order) / 2 - k for k in range(order + 1))
            return sum((-1) ** k * mp.binomial(order, k) * f(at + s * h) for k, s in enumerate(steps)) / h**order


def _limited(form: Form) -> Form:
    """Take +-inf as +-1e50: every function here is within half a float32 ulp of its limit there."""
    return lambda x, **parameters: form(np.clip(np.asarray(x, np.float64), -_FAR, _FAR), **parameters)


def _pointwise(
    definition: Callable[..., Any],
    value: Form,
    slope: Form,
    curvature: Form,
    /,
    joints: tuple[float, ...] = (),
    **parameter_slope: Form,
) -> Pointwise:
    return Pointwise(
        definition,
        _limited(value),
        _limited(slope),
        _limited(curvature),
        {name: _limited(form) for name, form in parameter_slope.items()},
        joints,
    )


def _zeros(x: Values, **parameters: Any) -> Values:
    return np.zeros_like(x)


def _bump(x: Values) -> Values:
    """sigmoid(x) sigmoid(-x), the derivative of sigmoid."""
    return special.expit(x) * special.expit(-x)


def _sech2(x: Values) -> Values:
    return 4 * _bump(2 * x)


def _gelu_tanh_argument(x: Values) -> tuple[Values, Values, Values]:
    """2 u(x) and its derivatives, where tanh GELU is x sigmoid(2 u)."""
    c, d = 2 * np.sqrt(2 / np.pi), 0.044715
    return c * x * (1 + d * x * x), c * (1 + 3 * d * x * x), c * 6 * d * x


def _gelu(x: Values, approximate: bool = True) -> Values:
    return x * (special.expit(_gelu_tanh_argument(x)[0]) if approximate else special.ndtr(x))


def _density(x: Values) -> Values:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def _gelu_slope(x: Values, approximate: bool = True) -> Values:
    if not approximate:
        return special.ndtr(x) + x * _density(x)
    v, dv, _ = _gelu_tanh_argument(x)
    return special.expit(v) * (1 + x * special.expit(-v) * dv)


def _gelu_curvature(x: Values, approximate: bool = True) -> Values:
    if not approximate:
        return _density(x) * (2 - x * x)
    v, dv, ddv = _gelu_tanh_argument(x)
    return _bump(v) * (2 * dv + x * ddv - x * np.tanh(v / 2) * dv * dv)


def _gelu_definition(m: Any, x: Any, approximate: bool = True) -> Any:
    if approximate:
        return x / 2 * (1 + m.tanh(m.sqrt(2 / m.pi) * (x + m.mpf("0.044715") * x**3)))
    return x / 2 * m.erfc(-x / m.sqrt(2))  # 1 + erf(z) = erfc(-z)


def _mish_parts(x: Values) -> tuple[Values, Values, Values]:
    """t = tanh(softplus(x)) and its derivatives, written in e = exp(-|x|)."""
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


def _mish_slope(x: Values) -> Values:
    t, dt, _ = _mish_parts(x)
    return t + x * dt


def _mish_curvature(x: Values) -> Values:
    _, dt, ddt = _mish_parts(x)
    return 2 * dt + x * ddt


def _root(x: Values, b: float) -> Values:
    return np.hypot(x, np.sqrt(b))


def _squareplus(x: Values, b: float = 4) -> Values:
    h = _root(x, b)
    return np.where(x < 0, b / (2 * (h + np.abs(x))), (x + h) / 2)


def _squareplus_slope(x: Values, b: float = 4) -> Values:
    h = _root(x, b)
    return np.where(x < 0, b / (2 * h * (h + np.abs(x))), (1 + x / h) / 2)


def _leaky(x: Values, negative_slope: Any = 1e-2) -> Values:
    return np.where(x >= 0, x, negative_slope * x)


def _leaky_slope(x: Values, negative_slope: Any = 1e-2) -> Values:
    return np.where(x >= 0, 1.0, negative_slope)


def _leaky_definition(m: Any, x: Any, negative_slope: Any = 1e-2) -> Any:
    return x if x >= 0 else negative_slope * x


def _left(x: Values) -> Values:
    return np.minimum(x, 0)


def _head(x: Values) -> Values:
    """The leading 26 bits."""
    shifted = x * (2.0**27 + 1)
    return shifted - (shifted - x)


def _turned(x: Values, rate: float) -> tuple[Values, Values]:
    """sin(rate x) and cos(rate x), of a product that is not rounded."""
    x, rate = np.asarray(x, np.float64), np.float64(rate)
    angle = _head(rate) * _head(x)
    rest = _head(rate) * (x - _head(x)) + (rate - _head(rate)) * x
    sine, cosine = np.sin(angle), np.cos(angle)
    return sine * np.cos(rest) + cosine * np.sin(rest), cosine * np.cos(rest) - sine * np.sin(rest)


def _or_mean(form: Form, mean: Form = lambda x, **_: 0.0) -> Form:
    """The form, and at +-inf, where it has no limit, its mean over a period; NaN where an angle overflows float32."""

    def extended(x: Values, **parameters: Any) -> Values:
        with np.errstate(invalid="ignore"):
            result = np.where(np.isinf(x), mean(x, **parameters), form(np.where(np.isinf(x), 0.0, x), **parameters))
            rate = max(1.0, *(abs(value) for value in parameters.values()))
            return np.where((rate * np.abs(x) > 2.0**125) & (np.abs(x) < 2.0**128), np.nan, result)

    return extended


def _snake_alpha_slope(x: Values, alpha: float = 1.0) -> Values:
    sine, cosine = _turned(x, alpha)
    return np.where(
        np.abs(alpha * x) < 1e-4, x * x * (1 - (alpha * x) ** 2), (2 * x * cosine - sine / alpha) * sine / alpha
    )


def _silu(x: Values, beta: float = 1.0) -> Values:
    return x * special.expit(beta * x)


def _silu_slope(x: Values, beta: float = 1.0) -> Values:
    return special.expit(beta * x) * (1 + beta * x * special.expit(-beta * x))


def _silu_curvature(x: Values, beta: float = 1.0) -> Values:
    z = beta * x
    return beta * _bump(z) * (2 - z * np.tanh(z / 2))


def _coin_entropy(z: Values) -> Values:
    size = np.minimum(np.abs(z), 1e3)
    return size * special.expit(-size) + np.log1p(np.exp(-size))


def _far_left(x: Values) -> Values:
    """exp(-x), but for x under -50, where exp(-exp(-x)) is 0 anyway."""
    return np.exp(-np.clip(x, -50, 1e3))


def _thresholded(x: Values, negative_slope: float = 0.0, max_value: float = np.inf, threshold: float = 0.0) -> Values:
    return np.where(x > threshold, np.minimum(x, max_value), negative_slope * (x - threshold))


def _tanh_shrink(x: Values) -> Values:
    """x - tanh(x); under 1/2 by Lambert's continued fraction from the inside out."""
    q = np.clip(x, -0.5, 0.5) ** 2
    k = 31.0 + 0 * q
    for odd in range(29, 1, -2):
        k = odd + q / k
    return np.where(np.abs(x) < 0.5, x * (q / k) / (1 + q / k), x - np.tanh(x))


def _log_softplus(x: Values) -> Values:
    """log(log(1 + exp(x))), which is x on the far left."""
    return np.where(x < -37, x, np.log(-special.log_expit(-np.maximum(x, -37))))


def _sqrt_softplus_curvature(x: Values) -> Values:
    near = np.maximum(x, -37)
    s, p = -special.log_expit(-near), special.expit(near)
    return np.where(
        x < -37, np.exp(np.minimum(x, 0) / 2) / 4, p / (2 * np.sqrt(s)) * (special.expit(-near) - p / (2 * s))
    )


def _soft_cap_cap_slope(v: Values) -> Values:
    """tanh(v) - v (1 - tanh(v)^2); v^3 (2/3 - 8/15 v^2 + ...) near 0, by the two parts that hardly cancel."""
    return np.where(
        np.abs(v) < 0.5, v * np.tanh(v) ** 2 - _tanh_shrink(v), np.tanh(v) - np.clip(v, -1e3, 1e3) * _sech2(v)
    )


POINTWISE: Mapping[str, Pointwise] = {
    "identity": _pointwise(lambda m, x: x, lambda x: x, np.ones_like, _zeros),
    "relu": _pointwise(
        lambda m, x: max(x, 0),
        lambda x: np.maximum(x, 0),
        lambda x: np.where(x > 0, 1.0, 0.0),
        _zeros,
        joints=(0.0,),
    ),
    "relu6": _pointwise(
        lambda m, x: min(max(x, 0), 6),
        lambda x: np.clip(x, 0, 6),
        lambda x: np.where((x > 0) & (x < 6), 1.0, 0.0),
        _zeros,
        joints=(0.0, 6.0),
    ),
    "leaky_relu": _pointwise(
        _leaky_definition, _leaky, _leaky_slope, _zeros, joints=(0.0,), negative_slope=lambda x, **_: _left(x)
    ),
    "prelu": _pointwise(
        _leaky_definition, _leaky, _leaky_slope, _zeros, joints=(0.0,), negative_slope=lambda x, **_: _left(x)
    ),
    "elu": _pointwise(
        lambda m, x, alpha=1: x if x > 0 else alpha * (m.exp(x) - 1),
        lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(_left(x))),
        lambda x, alpha=1.0: np.where(x > 0, 1.0, alpha * np.exp(_left(x))),
        lambda x, alpha=1.0: np.where(x > 0, 0.0, alpha * np.exp(_left(x))),
        joints=(0.0,),
        alpha=lambda x, alpha=1.0: np.expm1(_left(x)),
    ),
    "celu": _pointwise(
        lambda m, x, alpha=1: x if x > 0 else alpha * (m.exp(x / alpha) - 1),
        lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(_left(x) / alpha)),
        lambda x, alpha=1.0: np.exp(_left(x) / alpha),
        lambda x, alpha=1.0: np.where(x > 0, 0.0, np.exp(_left(x) / alpha) / alpha),
        joints=(0.0,),
        # exp(z) - 1 - z exp(z), which cancels at 0, is minus the incomplete gamma function of order 2.
        alpha=lambda x, alpha=1.0: -special.gammainc(2, -_left(x) / alpha),
    ),
    "selu": _pointwise(
        lambda m, x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * (m.exp(x) - 1)),
        lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(_left(x))),
        lambda x: SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(_left(x))),
        lambda x: SELU_SCALE * np.where(x > 0, 0.0, SELU_ALPHA * np.exp(_left(x))),
        joints=(0.0,),
    ),
    "sigmoid": _pointwise(
        lambda m, x: 1 / (1 + m.exp(-x)),
        special.expit,
        _bump,
        lambda x: -_bump(x) * np.tanh(x / 2),
    ),
    "log_sigmoid": _pointwise(
        lambda m, x: -m.log(1 + m.exp(-x)),
        special.log_expit,
        lambda x: special.expit(-x),
        lambda x: -_bump(x),
    ),
    "hard_sigmoid": _pointwise(
        lambda m, x: min(max(x + 3, 0), 6) / m.mpf(6),
        lambda x: np.clip(x + 3, 0, 6) / 6,
        lambda x: np.where(np.abs(x) < 3, 1 / 6, 0.0),
        _zeros,
        joints=(-3.0, 3.0),
    ),
    "sparse_sigmoid": _pointwise(
        lambda m, x: min(max((x + 1) / m.mpf(2), 0), 1),
        lambda x: np.clip((x + 1) / 2, 0, 1),
        lambda x: np.select([np.abs(x) < 1, np.abs(x) == 1], [0.5, 0.25], 0.0),
        _zeros,
        joints=(-1.0, 1.0),
    ),
    "tanh": _pointwise(
        lambda m, x: m.tanh(x),
        np.tanh,
        _sech2,
        lambda x: -2 * np.tanh(x) * _sech2(x),
    ),
    "hard_tanh": _pointwise(
        lambda m, x, min_val=-1, max_val=1: min(max(x, min_val), max_val),
        lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val),
        lambda x, min_val=-1.0, max_val=1.0: np.where((x >= min_val) & (x <= max_val), 1.0, 0.0),
        _zeros,
        joints=(-1.0, 1.0, -0.5, 3.0),
        min_val=lambda x, min_val=-1.0, max_val=1.0: np.where(x < min_val, 1.0, 0.0),
        max_val=lambda x, min_val=-1.0, max_val=1.0: np.where(x > max_val, 1.0, 0.0),
    ),
    "soft_sign": _pointwise(
        lambda m, x: x / (1 + abs(x)),
        lambda x: x / (1 + np.abs(x)),
        lambda x: 1 / (1 + np.abs(x)) ** 2,
        lambda x: -2 * np.sign(x) / (1 + np.abs(x)) ** 3,
        joints=(0.0,),
    ),
    "softplus": _pointwise(
        lambda m, x, beta=1: m.log(1 + m.exp(beta * x)) / beta,
        lambda x, beta=1.0: -special.log_expit(-beta * x) / beta,
        lambda x, beta=1.0: special.expit(beta * x),
        lambda x, beta=1.0: beta * _bump(beta * x),
        # For z = beta x, minus the entropy of a coin with probability sigmoid(z).
        beta=lambda x, beta=1.0: -_coin_entropy(beta * x) / beta**2,
    ),
    "sparse_plus": _pointwise(
        lambda m, x: 0 * x if x <= -1 else x if x >= 1 else (x + 1) ** 2 / 4,
        lambda x: np.where(np.abs(x) < 1, (x + 1) ** 2 / 4, np.maximum(x, 0)),
        lambda x: np.clip((x + 1) / 2, 0, 1),
        lambda x: np.where(np.abs(x) < 1, 0.5, 0.0),
        joints=(-1.0, 1.0),
    ),
    "squareplus": _pointwise(
        lambda m, x, b=4: (x + m.sqrt(x * x + b)) / 2,
        _squareplus,
        _squareplus_slope,
        lambda x, b=4: b / (2 * _root(x, b) ** 3),
        b=lambda x, b=4: 1 / (4 * _root(x, b)),
    ),
    "silu": _pointwise(
        lambda m, x, beta=1: x / (1 + m.exp(-beta * x)),
        _silu,
        _silu_slope,
        _silu_curvature,
        beta=lambda x, beta=1.0: np.where(np.abs(x) < 1e30, x, 0) ** 2 * _bump(beta * x),
    ),
    "quick_gelu": _pointwise(
        lambda m, x: x / (1 + m.exp(-m.mpf("1.702") * x)),
        lambda x: _silu(x, 1.702),
        lambda x: _silu_slope(x, 1.702),
        lambda x: _silu_curvature(x, 1.702),
    ),
    "golu": _pointwise(
        lambda m, x: x * m.exp(-m.exp(-x)) if x > -100 else m.mpf(0),
        lambda x: x * np.exp(-_far_left(x)),
        lambda x: np.exp(-_far_left(x)) * (1 + np.minimum(x, 1e3) * _far_left(x)),
        lambda x: np.exp(-_far_left(x)) * _far_left(x) * (2 + np.minimum(x, 1e3) * (_far_left(x) - 1)),
    ),
    "gelu_10": _pointwise(
        lambda m, x: min(_gelu_definition(m, x, False), m.mpf(10)),
        lambda x: np.minimum(_gelu(x, False), 10),
        lambda x: np.where(x > 10, 0, _gelu_slope(x, False)),
        lambda x: np.where(x > 10, 0, _gelu_curvature(x, False)),
        joints=(10.0,),
    ),
    "relu2": _pointwise(
        lambda m, x: max(x, 0) ** 2,
        lambda x: np.maximum(x, 0) ** 2,
        lambda x: 2 * np.maximum(x, 0),
        lambda x: np.where(x > 0, 2.0, 0.0),
        joints=(0.0,),
    ),
    "star_relu": _pointwise(
        lambda m, x, scale=1, bias=0: scale * max(x, 0) ** 2 + bias,
        lambda x, scale=1.0, bias=0.0: scale * np.maximum(x, 0) ** 2 + bias,
        lambda x, scale=1.0, bias=0.0: 2 * scale * np.maximum(x, 0),
        lambda x, scale=1.0, bias=0.0: np.where(x > 0, 2 * scale, 0.0),
        joints=(0.0,),
        scale=lambda x, scale=1.0, bias=0.0: np.maximum(x, 0) ** 2,
        bias=lambda x, scale=1.0, bias=0.0: np.ones_like(x),
    ),
    "thresholded_relu": _pointwise(
        lambda m, x, negative_slope=0, max_value=np.inf, threshold=0: (
            min(x, max_value) if x > threshold else negative_slope * (x - threshold)
        ),
        _thresholded,
        lambda x, negative_slope=0.0, max_value=np.inf, threshold=0.0: np.where(
            x > threshold, np.where((x < max_value) | (max_value == np.inf), 1.0, 0.0), negative_slope
        ),
        _zeros,
        joints=(0.0, 0.5, 4.0, 6.0),
        negative_slope=lambda x, negative_slope=0.0, max_value=np.inf, threshold=0.0: np.minimum(x - threshold, 0),
        max_value=lambda x, negative_slope=0.0, max_value=np.inf, threshold=0.0: np.where(x >= max_value, 1.0, 0.0),
        threshold=lambda x, negative_slope=0.0, max_value=np.inf, threshold=0.0: np.where(
            x > threshold, 0.0, -negative_slope
        ),
    ),
    "hard_shrink": _pointwise(
        lambda m, x, lambd=0.5: x if abs(x) > lambd else 0 * x,
        lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, 0.0),
        lambda x, lambd=0.5: np.where(np.abs(x) > lambd, 1.0, 0.0),
        _zeros,
        joints=(-2.0, -0.5, 0.0, 0.5, 2.0),
        lambd=_zeros,
    ),
    "soft_shrink": _pointwise(
        lambda m, x, lambd=0.5: m.sign(x) * max(abs(x) - lambd, 0),
        lambda x, lambd=0.5: np.sign(x) * np.maximum(np.abs(x) - lambd, 0),
        lambda x, lambd=0.5: np.where(np.abs(x) > lambd, 1.0, 0.0),
        _zeros,
        joints=(-2.0, -0.5, 0.0, 0.5, 2.0),
        lambd=lambda x, lambd=0.5: np.where(np.abs(x) > lambd, -np.sign(x), 0.0),
    ),
    "threshold": _pointwise(
        lambda m, x, threshold=0, value=0: x if x > threshold else m.mpf(value),
        lambda x, threshold=0.0, value=0.0: np.where(x > threshold, x, value),
        lambda x, threshold=0.0, value=0.0: np.where(x > threshold, 1.0, 0.0),
        _zeros,
        joints=(-2.0, 0.0, float(np.float32(0.1))),
        threshold=_zeros,
        value=lambda x, threshold=0.0, value=0.0: np.where(x > threshold, 0.0, 1.0),
    ),
    "tanh_shrink": _pointwise(
        lambda m, x: x - m.tanh(x),
        _tanh_shrink,
        lambda x: np.tanh(x) ** 2,
        lambda x: 2 * np.tanh(x) * _sech2(x),
    ),
    "exponential": _pointwise(lambda m, x: m.exp(x), *(3 * [lambda x: np.exp(np.minimum(x, 600))])),
    "xielu": _pointwise(
        lambda m, x, alpha_p=0.8, alpha_n=0.8, beta=0.5: (
            alpha_p * x * x + beta * x if x > 0 else alpha_n * (m.exp(x) - 1 - x) + beta * x
        ),
        lambda x, alpha_p=0.8, alpha_n=0.8, beta=0.5: np.where(
            x > 0, alpha_p * np.abs(x) * x + beta * x, alpha_n * np.expm1(_left(x)) + (beta - alpha_n) * x
        ),
        lambda x, alpha_p=0.8, alpha_n=0.8, beta=0.5: np.where(
            x > 0, 2 * alpha_p * x + beta, alpha_n * np.expm1(_left(x)) + beta
        ),
        lambda x, alpha_p=0.8, alpha_n=0.8, beta=0.5: np.where(x > 0, 2 * alpha_p, alpha_n * np.exp(_left(x))),
        joints=(0.0,),
        alpha_p=lambda x, **_: np.maximum(x, 0) ** 2,
        # exp(z) - 1 - z is z^2 / 2 times Kummer's M(1, 3, z).
        alpha_n=lambda x, **_: np.where(
            x < -1, np.expm1(_left(x)) - _left(x), _left(x) ** 2 / 2 * special.hyp1f1(1, 3, np.clip(x, -1, 0))
        ),
        beta=lambda x, **_: x,
    ),
    "sqrt_softplus": _pointwise(
        lambda m, x: m.sqrt(m.log1p(m.exp(x))),
        lambda x: np.where(x < _FAR, np.exp(_log_softplus(x) / 2), np.inf),
        lambda x: np.where(x < _FAR, np.exp(special.log_expit(x) - _log_softplus(x) / 2) / 2, 0),
        _sqrt_softplus_curvature,
    ),
    "laplace": _pointwise(
        lambda m, x, mu=0, sigma=1: m.erfc((mu - x) / (sigma * m.sqrt(2))) / 2,
        lambda x, mu=0.0, sigma=1.0: special.ndtr((x - mu) / sigma),
        lambda x, mu=0.0, sigma=1.0: _density((x - mu) / sigma) / sigma,
        lambda x, mu=0.0, sigma=1.0: -(x - mu) / sigma**3 * _density((x - mu) / sigma),
        mu=lambda x, mu=0.0, sigma=1.0: -_density((x - mu) / sigma) / sigma,
        sigma=lambda x, mu=0.0, sigma=1.0: -(x - mu) / sigma**2 * _density((x - mu) / sigma),
    ),
    "soft_cap": _pointwise(
        lambda m, x, cap=1: cap * m.tanh(x / cap),
        lambda x, cap=1.0: cap * np.tanh(x / cap),
        lambda x, cap=1.0: _sech2(x / cap),
        lambda x, cap=1.0: -2 * np.tanh(x / cap) * _sech2(x / cap) / cap,
        cap=lambda x, cap=1.0: _soft_cap_cap_slope(x / cap),
    ),
    "hard_silu": _pointwise(
        lambda m, x: x * min(max(x + 3, 0), 6) / m.mpf(6),
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        lambda x: np.select([x <= -3, x >= 3], [0.0, 1.0], (2 * x + 3) / 6),
        lambda x: np.where(np.abs(x) < 3, 1 / 3, 0.0),
        joints=(-3.0, 3.0),
    ),
    "gelu": _pointwise(_gelu_definition, _gelu, _gelu_slope, _gelu_curvature),
    "sine": Pointwise(
        lambda m, x, frequency=30: m.sin(frequency * x),
        _or_mean(lambda x, frequency=30.0: _turned(x, frequency)[0]),
        _or_mean(lambda x, frequency=30.0: frequency * _turned(x, frequency)[1]),
        _or_mean(lambda x, frequency=30.0: -(frequency**2) * _turned(x, frequency)[0]),
        {"frequency": _or_mean(lambda x, frequency=30.0: x * _turned(x, frequency)[1])},
    ),
    "snake": Pointwise(
        lambda m, x, alpha=1: x + m.sin(alpha * x) ** 2 / alpha,
        _or_mean(lambda x, alpha=1.0: x + _turned(x, alpha)[0] ** 2 / alpha, lambda x, **_: x),
        _or_mean(lambda x, alpha=1.0: 2 * _turned(x, alpha)[0] * _turned(x, alpha)[1] + 1, lambda x, **_: 1.0),
        _or_mean(lambda x, alpha=1.0: 2 * alpha * (1 - 2 * _turned(x, alpha)[0] ** 2)),
        {"alpha": _or_mean(_snake_alpha_slope, lambda x, alpha=1.0: -0.5 / alpha**2)},
    ),
    "snake_beta": Pointwise(
        lambda m, x, alpha=1, beta=1: x + m.sin(alpha * x) ** 2 / beta,
        _or_mean(lambda x, alpha=1.0, beta=1.0: x + _turned(x, alpha)[0] ** 2 / beta, lambda x, **_: x),
        _or_mean(
            lambda x, alpha=1.0, beta=1.0: 2 * alpha / beta * _turned(x, alpha)[0] * _turned(x, alpha)[1] + 1,
            lambda x, **_: 1.0,
        ),
        _or_mean(lambda x, alpha=1.0, beta=1.0: 2 * alpha**2 / beta * (1 - 2 * _turned(x, alpha)[0] ** 2)),
        {
            "alpha": _or_mean(
                lambda x, alpha=1.0, beta=1.0: 2 * x / beta * _turned(x, alpha)[0] * _turned(x, alpha)[1]
            ),
            "beta": _or_mean(
                lambda x, alpha=1.0, beta=1.0: -((_turned(x, alpha)[0] / beta) ** 2),
                lambda x, beta=1.0, **_: -0.5 / beta**2,
            ),
        },
    ),
    "mish": _pointwise(
        lambda m, x: x * m.tanh(m.log(1 + m.exp(x))),
        lambda x: x * _mish_parts(x)[0],
        _mish_slope,
        _mish_curvature,
    ),
}
