"""What every elementwise activation should give, written from the textbook.

Each function is here twice. `definition` is the formula of a book. mpmath evaluates it with as many digits as its
cancellation costs, and its derivatives by central differences with a step of 2^-60, which is right to 30 digits and
slow. `value`, `slope` and `curvature` are float64 NumPy forms for millions of points; tests/test_oracles.py checks that
they agree with the definition to 1e-12 of the error unit. At a kink, slopes follow jax.nn's convention.

To add an activation, add one entry to `POINTWISE`.
"""

from collections.abc import Mapping

import numpy as np
from scipy import special

from jaxact.verify.oracles import elementwise_forms as forms
from jaxact.verify.oracles.pointwise import Pointwise, pointwise
from jaxact.verify.oracles.textbook import rational

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


_LEAKY = pointwise(
    forms.leaky_definition,
    forms.leaky,
    forms.leaky_slope,
    forms.zeros,
    joints=(0.0,),
    negative_slope=lambda x, **_: forms.left(x),
)

POINTWISE: Mapping[str, Pointwise] = {
    "identity": pointwise(lambda m, x: x, lambda x: x, lambda x: np.ones_like(x), forms.zeros),
    "relu": pointwise(
        lambda m, x: max(x, 0),
        lambda x: np.maximum(x, 0),
        lambda x: np.where(x > 0, 1.0, 0.0),
        forms.zeros,
        joints=(0.0,),
    ),
    "relu6": pointwise(
        lambda m, x: min(max(x, 0), 6),
        lambda x: np.clip(x, 0, 6),
        lambda x: np.where((x > 0) & (x < 6), 1.0, 0.0),
        forms.zeros,
        joints=(0.0, 6.0),
    ),
    "leaky_relu": _LEAKY,
    "prelu": _LEAKY,
    "elu": pointwise(
        lambda m, x, alpha=1: x if x > 0 else alpha * (m.exp(x) - 1),
        lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(forms.left(x))),
        lambda x, alpha=1.0: np.where(x > 0, 1.0, alpha * np.exp(forms.left(x))),
        lambda x, alpha=1.0: np.where(x > 0, 0.0, alpha * np.exp(forms.left(x))),
        joints=(0.0,),
        alpha=lambda x, alpha=1.0: np.expm1(forms.left(x)),
    ),
    "celu": pointwise(
        lambda m, x, alpha=1: x if x > 0 else alpha * (m.exp(x / alpha) - 1),
        lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(forms.left(x) / alpha)),
        lambda x, alpha=1.0: np.exp(forms.left(x) / alpha),
        lambda x, alpha=1.0: np.where(x > 0, 0.0, np.exp(forms.left(x) / alpha) / alpha),
        joints=(0.0,),
        # exp(z) - 1 - z exp(z), which cancels at 0, is minus the incomplete gamma function of order 2.
        alpha=lambda x, alpha=1.0: -special.gammainc(2, -forms.left(x) / alpha),
    ),
    "selu": pointwise(
        lambda m, x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * (m.exp(x) - 1)),
        lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(forms.left(x))),
        lambda x: SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(forms.left(x))),
        lambda x: SELU_SCALE * np.where(x > 0, 0.0, SELU_ALPHA * np.exp(forms.left(x))),
        joints=(0.0,),
    ),
    "sigmoid": pointwise(
        lambda m, x: 1 / (1 + m.exp(-x)),
        lambda x: special.expit(x),
        forms.bump,
        lambda x: -forms.bump(x) * np.tanh(x / 2),
    ),
    "log_sigmoid": pointwise(
        lambda m, x: -m.log(1 + m.exp(-x)),
        lambda x: special.log_expit(x),
        lambda x: special.expit(-x),
        lambda x: -forms.bump(x),
    ),
    "hard_sigmoid": pointwise(
        lambda m, x: min(max(x + 3, 0), 6) / m.mpf(6),
        lambda x: np.clip(x + 3, 0, 6) / 6,
        lambda x: np.where(np.abs(x) < 3, 1 / 6, 0.0),
        forms.zeros,
        joints=(-3.0, 3.0),
    ),
    "sparse_sigmoid": pointwise(
        lambda m, x: min(max((x + 1) / m.mpf(2), 0), 1),
        lambda x: np.clip((x + 1) / 2, 0, 1),
        lambda x: np.select([np.abs(x) < 1, np.abs(x) == 1], [0.5, 0.25], 0.0),
        forms.zeros,
        joints=(-1.0, 1.0),
    ),
    "tanh": pointwise(
        lambda m, x: m.tanh(x),
        lambda x: np.tanh(x),
        forms.sech2,
        lambda x: -2 * np.tanh(x) * forms.sech2(x),
    ),
    "hard_tanh": pointwise(
        lambda m, x, min_val=-1, max_val=1: min(max(x, min_val), max_val),
        lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val),
        lambda x, min_val=-1.0, max_val=1.0: np.where((x >= min_val) & (x <= max_val), 1.0, 0.0),
        forms.zeros,
        joints=(-1.0, 1.0, -0.5, 3.0),
        min_val=lambda x, min_val=-1.0, max_val=1.0: np.where(x < min_val, 1.0, 0.0),
        max_val=lambda x, min_val=-1.0, max_val=1.0: np.where(x > max_val, 1.0, 0.0),
    ),
    "soft_sign": pointwise(
        lambda m, x: x / (1 + abs(x)),
        lambda x: x / (1 + np.abs(x)),
        lambda x: 1 / (1 + np.abs(x)) ** 2,
        lambda x: -2 * np.sign(x) / (1 + np.abs(x)) ** 3,
        joints=(0.0,),
    ),
    "softplus": pointwise(
        lambda m, x, beta=1: m.log(1 + m.exp(beta * x)) / beta,
        lambda x, beta=1.0: -special.log_expit(-beta * x) / beta,
        lambda x, beta=1.0: special.expit(beta * x),
        lambda x, beta=1.0: beta * forms.bump(beta * x),
        # With z = beta x, it is minus the entropy of a coin with probability sigmoid(z).
        beta=lambda x, beta=1.0: -forms.coin_entropy(beta * x) / beta**2,
    ),
    "sparse_plus": pointwise(
        lambda m, x: 0 * x if x <= -1 else x if x >= 1 else (x + 1) ** 2 / 4,
        lambda x: np.where(np.abs(x) < 1, (x + 1) ** 2 / 4, np.maximum(x, 0)),
        lambda x: np.clip((x + 1) / 2, 0, 1),
        lambda x: np.where(np.abs(x) < 1, 0.5, 0.0),
        joints=(-1.0, 1.0),
    ),
    "squareplus": pointwise(
        lambda m, x, b=4: (x + m.sqrt(x * x + b)) / 2,
        forms.squareplus,
        forms.squareplus_slope,
        lambda x, b=4: b / (2 * forms.root(x, b) ** 3),
        b=lambda x, b=4: 1 / (4 * forms.root(x, b)),
    ),
    "silu": pointwise(
        lambda m, x, beta=1: x / (1 + m.exp(-beta * x)),
        forms.silu,
        forms.silu_slope,
        forms.silu_curvature,
        beta=lambda x, beta=1.0: np.where(np.abs(x) < 1e30, x, 0) ** 2 * forms.bump(beta * x),
    ),
    "quick_gelu": pointwise(
        lambda m, x: x / (1 + m.exp(-m.mpf("1.702") * x)),
        lambda x: forms.silu(x, 1.702),
        lambda x: forms.silu_slope(x, 1.702),
        lambda x: forms.silu_curvature(x, 1.702),
    ),
    "golu": pointwise(
        lambda m, x: x * m.exp(-m.exp(-x)) if x > -100 else m.mpf(0),
        lambda x: x * np.exp(-forms.far_left(x)),
        lambda x: np.exp(-forms.far_left(x)) * (1 + np.minimum(x, 1e3) * forms.far_left(x)),
        lambda x: np.exp(-forms.far_left(x)) * forms.far_left(x) * (2 + np.minimum(x, 1e3) * (forms.far_left(x) - 1)),
    ),
    "gelu_10": pointwise(
        lambda m, x: min(forms.gelu_definition(m, x, False), m.mpf(10)),
        lambda x: np.minimum(forms.gelu(x, False), 10),
        lambda x: np.where(x > 10, 0, forms.gelu_slope(x, False)),
        lambda x: np.where(x > 10, 0, forms.gelu_curvature(x, False)),
        joints=(10.0,),
    ),
    "relu2": pointwise(
        lambda m, x: max(x, 0) ** 2,
        lambda x: np.maximum(x, 0) ** 2,
        lambda x: 2 * np.maximum(x, 0),
        lambda x: np.where(x > 0, 2.0, 0.0),
        joints=(0.0,),
    ),
    "star_relu": pointwise(
        lambda m, x, scale=1, bias=0: scale * max(x, 0) ** 2 + bias,
        lambda x, scale=1.0, bias=0.0: scale * np.maximum(x, 0) ** 2 + bias,
        lambda x, scale=1.0, bias=0.0: 2 * scale * np.maximum(x, 0),
        lambda x, scale=1.0, bias=0.0: np.where(x > 0, 2 * scale, 0.0),
        joints=(0.0,),
        scale=lambda x, scale=1.0, bias=0.0: np.maximum(x, 0) ** 2,
        bias=lambda x, scale=1.0, bias=0.0: np.ones_like(x),
    ),
    "thresholded_relu": pointwise(
        lambda m, x, negative_slope=0, max_value=np.inf, threshold=0: (
            min(x, max_value) if x > threshold else negative_slope * (x - threshold)
        ),
        forms.thresholded,
        lambda x, negative_slope=0.0, max_value=np.inf, threshold=0.0: np.where(
            x > threshold, np.where((x < max_value) | (max_value == np.inf), 1.0, 0.0), negative_slope
        ),
        forms.zeros,
        joints=(0.0, 0.5, 4.0, 6.0),
        negative_slope=lambda x, negative_slope=0.0, max_value=np.inf, threshold=0.0: np.minimum(x - threshold, 0),
        max_value=lambda x, negative_slope=0.0, max_value=np.inf, threshold=0.0: np.where(x >= max_value, 1.0, 0.0),
        threshold=lambda x, negative_slope=0.0, max_value=np.inf, threshold=0.0: np.where(
            x > threshold, 0.0, -negative_slope
        ),
    ),
    "hard_shrink": pointwise(
        lambda m, x, lambd=0.5: x if abs(x) > lambd else 0 * x,
        lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, 0.0),
        lambda x, lambd=0.5: np.where(np.abs(x) > lambd, 1.0, 0.0),
        forms.zeros,
        joints=(-2.0, -0.5, 0.0, 0.5, 2.0),
        lambd=forms.zeros,
    ),
    "soft_shrink": pointwise(
        lambda m, x, lambd=0.5: m.sign(x) * max(abs(x) - lambd, 0),
        lambda x, lambd=0.5: np.sign(x) * np.maximum(np.abs(x) - lambd, 0),
        lambda x, lambd=0.5: np.where(np.abs(x) > lambd, 1.0, 0.0),
        forms.zeros,
        joints=(-2.0, -0.5, 0.0, 0.5, 2.0),
        lambd=lambda x, lambd=0.5: np.where(np.abs(x) > lambd, -np.sign(x), 0.0),
    ),
    "threshold": pointwise(
        lambda m, x, threshold=0, value=0: x if x > threshold else m.mpf(value),
        lambda x, threshold=0.0, value=0.0: np.where(x > threshold, x, value),
        lambda x, threshold=0.0, value=0.0: np.where(x > threshold, 1.0, 0.0),
        forms.zeros,
        joints=(-2.0, 0.0, float(np.float32(0.1))),
        threshold=forms.zeros,
        value=lambda x, threshold=0.0, value=0.0: np.where(x > threshold, 0.0, 1.0),
    ),
    "tanh_shrink": pointwise(
        lambda m, x: x - m.tanh(x),
        forms.tanh_shrink,
        lambda x: np.tanh(x) ** 2,
        lambda x: 2 * np.tanh(x) * forms.sech2(x),
    ),
    "exponential": pointwise(lambda m, x: m.exp(x), forms.exp, forms.exp, forms.exp),
    "xielu": pointwise(
        lambda m, x, alpha_p=0.8, alpha_n=0.8, beta=0.5: (
            alpha_p * x * x + beta * x if x > 0 else alpha_n * (m.exp(x) - 1 - x) + beta * x
        ),
        lambda x, alpha_p=0.8, alpha_n=0.8, beta=0.5: np.where(
            x > 0, alpha_p * np.abs(x) * x + beta * x, alpha_n * np.expm1(forms.left(x)) + (beta - alpha_n) * x
        ),
        lambda x, alpha_p=0.8, alpha_n=0.8, beta=0.5: np.where(
            x > 0, 2 * alpha_p * x + beta, alpha_n * np.expm1(forms.left(x)) + beta
        ),
        lambda x, alpha_p=0.8, alpha_n=0.8, beta=0.5: np.where(x > 0, 2 * alpha_p, alpha_n * np.exp(forms.left(x))),
        joints=(0.0,),
        alpha_p=lambda x, **_: np.maximum(x, 0) ** 2,
        # exp(z) - 1 - z is z^2 / 2 times Kummer's M(1, 3, z).
        alpha_n=lambda x, **_: np.where(
            x < -1,
            np.expm1(forms.left(x)) - forms.left(x),
            forms.left(x) ** 2 / 2 * special.hyp1f1(1, 3, np.clip(x, -1, 0)),
        ),
        beta=lambda x, **_: x,
    ),
    "sqrt_softplus": pointwise(
        lambda m, x: m.sqrt(m.log1p(m.exp(x))),
        lambda x: np.where(x < forms.FAR, np.exp(forms.log_softplus(x) / 2), np.inf),
        lambda x: np.where(x < forms.FAR, np.exp(special.log_expit(x) - forms.log_softplus(x) / 2) / 2, 0),
        forms.sqrt_softplus_curvature,
    ),
    "laplace": pointwise(
        lambda m, x, mu=0, sigma=1: m.erfc((mu - x) / (sigma * m.sqrt(2))) / 2,
        lambda x, mu=0.0, sigma=1.0: special.ndtr((x - mu) / sigma),
        lambda x, mu=0.0, sigma=1.0: forms.density((x - mu) / sigma) / sigma,
        lambda x, mu=0.0, sigma=1.0: -(x - mu) / sigma**3 * forms.density((x - mu) / sigma),
        mu=lambda x, mu=0.0, sigma=1.0: -forms.density((x - mu) / sigma) / sigma,
        sigma=lambda x, mu=0.0, sigma=1.0: -(x - mu) / sigma**2 * forms.density((x - mu) / sigma),
    ),
    "soft_cap": pointwise(
        lambda m, x, cap=1: cap * m.tanh(x / cap),
        lambda x, cap=1.0: cap * np.tanh(x / cap),
        lambda x, cap=1.0: forms.sech2(x / cap),
        lambda x, cap=1.0: -2 * np.tanh(x / cap) * forms.sech2(x / cap) / cap,
        cap=lambda x, cap=1.0: forms.soft_cap_cap_slope(x / cap),
    ),
    "hard_silu": pointwise(
        lambda m, x: x * min(max(x + 3, 0), 6) / m.mpf(6),
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        lambda x: np.select([x <= -3, x >= 3], [0.0, 1.0], (2 * x + 3) / 6),
        lambda x: np.where(np.abs(x) < 3, 1 / 3, 0.0),
        joints=(-3.0, 3.0),
    ),
    "gelu": pointwise(forms.gelu_definition, forms.gelu, forms.gelu_slope, forms.gelu_curvature),
    "sine": Pointwise(
        lambda m, x, frequency=30: m.sin(frequency * x),
        forms.or_mean(lambda x, frequency=30.0: forms.turned(x, frequency)[0]),
        forms.or_mean(lambda x, frequency=30.0: frequency * forms.turned(x, frequency)[1]),
        forms.or_mean(lambda x, frequency=30.0: -(frequency**2) * forms.turned(x, frequency)[0]),
        {"frequency": forms.or_mean(lambda x, frequency=30.0: x * forms.turned(x, frequency)[1])},
    ),
    "snake": Pointwise(
        lambda m, x, alpha=1: x + m.sin(alpha * x) ** 2 / alpha,
        forms.or_mean(lambda x, alpha=1.0: x + forms.turned(x, alpha)[0] ** 2 / alpha, lambda x, **_: x),
        forms.or_mean(
            lambda x, alpha=1.0: 2 * forms.turned(x, alpha)[0] * forms.turned(x, alpha)[1] + 1, lambda x, **_: 1.0
        ),
        forms.or_mean(lambda x, alpha=1.0: 2 * alpha * (1 - 2 * forms.turned(x, alpha)[0] ** 2)),
        {"alpha": forms.or_mean(forms.snake_alpha_slope, lambda x, alpha=1.0: -0.5 / alpha**2)},
    ),
    "snake_beta": Pointwise(
        lambda m, x, alpha=1, beta=1: x + m.sin(alpha * x) ** 2 / beta,
        forms.or_mean(lambda x, alpha=1.0, beta=1.0: x + forms.turned(x, alpha)[0] ** 2 / beta, lambda x, **_: x),
        forms.or_mean(
            lambda x, alpha=1.0, beta=1.0: 2 * alpha / beta * forms.turned(x, alpha)[0] * forms.turned(x, alpha)[1] + 1,
            lambda x, **_: 1.0,
        ),
        forms.or_mean(lambda x, alpha=1.0, beta=1.0: 2 * alpha**2 / beta * (1 - 2 * forms.turned(x, alpha)[0] ** 2)),
        {
            "alpha": forms.or_mean(
                lambda x, alpha=1.0, beta=1.0: 2 * x / beta * forms.turned(x, alpha)[0] * forms.turned(x, alpha)[1]
            ),
            "beta": forms.or_mean(
                lambda x, alpha=1.0, beta=1.0: -((forms.turned(x, alpha)[0] / beta) ** 2),
                lambda x, beta=1.0, **_: -0.5 / beta**2,
            ),
        },
    ),
    "dyt": pointwise(
        lambda m, x, alpha=0.5, gamma=1, beta=0: gamma * m.tanh(alpha * x) + beta,
        lambda x, alpha=0.5, gamma=1.0, beta=0.0: gamma * np.tanh(alpha * x) + beta,
        lambda x, alpha=0.5, gamma=1.0, beta=0.0: gamma * alpha * forms.sech2(alpha * x),
        lambda x, alpha=0.5, gamma=1.0, beta=0.0: -2 * gamma * alpha**2 * np.tanh(alpha * x) * forms.sech2(alpha * x),
        alpha=lambda x, alpha=0.5, gamma=1.0, beta=0.0: gamma * x * forms.sech2(alpha * x),
        gamma=lambda x, alpha=0.5, **_: np.tanh(alpha * x),
        beta=lambda x, **_: np.ones_like(x),
    ),
    "derf": pointwise(
        lambda m, x, alpha=0.5, shift=0, gamma=1, beta=0: gamma * m.erf(alpha * x + shift) + beta,
        lambda x, alpha=0.5, shift=0.0, gamma=1.0, beta=0.0: gamma * special.erf(alpha * x + shift) + beta,
        lambda x, alpha=0.5, shift=0.0, gamma=1.0, beta=0.0: gamma * alpha * forms.erf_slope(alpha * x + shift),
        lambda x, alpha=0.5, shift=0.0, gamma=1.0, beta=0.0: (
            -2 * gamma * alpha**2 * (alpha * x + shift) * forms.erf_slope(alpha * x + shift)
        ),
        alpha=lambda x, alpha=0.5, shift=0.0, gamma=1.0, beta=0.0: gamma * x * forms.erf_slope(alpha * x + shift),
        shift=lambda x, alpha=0.5, shift=0.0, gamma=1.0, beta=0.0: gamma * forms.erf_slope(alpha * x + shift),
        gamma=lambda x, alpha=0.5, shift=0.0, **_: special.erf(alpha * x + shift),
        beta=lambda x, **_: np.ones_like(x),
    ),
    "rational": pointwise(
        rational,
        forms.rational,
        lambda x, numerator, denominator: forms.rational(x, numerator, denominator, 1),
        lambda x, numerator, denominator: forms.rational(x, numerator, denominator, 2),
        joints=(0.0,),
    ),
    "mish": pointwise(
        lambda m, x: x * m.tanh(m.log(1 + m.exp(x))),
        lambda x: x * forms.mish_parts(x)[0],
        forms.mish_slope,
        forms.mish_curvature,
    ),
}
