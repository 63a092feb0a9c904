"""The textbook formulas of gated units, rows, random functions and learned modules, for mpmath.

Each takes mpmath's context `m`, its inputs as mpmath numbers (a list of them for a row) and, as keywords, every
parameter that it can be differentiated in; a row gives a list. `differences.derivatives` makes their derivatives.
Elementwise functions are in elementwise.py.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Number = Any
Row = Sequence[Any]


def _silu(m: Any, x: Number, beta: Number = 1) -> Number:
    return x / (1 + m.exp(-beta * x))


def _gelu(m: Any, x: Number, approximate: bool) -> Number:
    if approximate:
        # (1 + tanh(u)) / 2, as a quotient: the sum has no digits left far to the left.
        return x / (1 + m.exp(-2 * m.sqrt(2 / m.pi) * (x + m.mpf("0.044715") * x**3)))
    return x / 2 * m.erfc(-x / m.sqrt(2))


def _within(x: Number, limit: Number) -> Number:
    return min(max(x, -limit), limit)


GATED: Mapping[str, Callable[..., Number]] = {
    "glu": lambda m, gate, value: value / (1 + m.exp(-gate)),
    "swiglu": lambda m, gate, value: _silu(m, gate) * value,
    "geglu": lambda m, gate, value, approximate=True: _gelu(m, gate, approximate) * value,
    "reglu": lambda m, gate, value: max(gate, 0) * value,
    "bilinear": lambda m, gate, value: gate * value,
    "sigmoid_gate": lambda m, gate, value: value / (1 + m.exp(-gate)),
    "sreglu": lambda m, gate, value: max(gate, 0) ** 2 * value,
    "dreglu": lambda m, gate, value: max(gate, 0) * max(value, 0),
    "qgeglu": lambda m, gate, value: _silu(m, gate, m.mpf("1.702")) * value,
    "fatreglu": lambda m, gate, value, threshold=0.01: (gate if gate > threshold else 0) * value,
    "situ_glu": lambda m, gate, value, beta=4, linear_beta=25: (
        beta * m.tanh(gate / beta) / (1 + m.exp(-gate)) * linear_beta * m.tanh(value / linear_beta)
    ),
    "swiglu_clamped": lambda m, gate, value, limit=10: _silu(m, min(gate, limit)) * _within(value, limit),
    "swiglu_step": lambda m, gate, value, limit=7: min(_silu(m, gate), limit) * _within(value, limit),
    "swiglu_oai": lambda m, gate, value, alpha=1.702, limit=7: (
        _silu(m, min(gate, limit), alpha) * (_within(value, limit) + 1)
    ),
}
"""Formulas of a gate and a value."""


def softmax(m: Any, x: Row, temperature: Number = 1, sink: Number = None) -> Row:
    e = [m.exp(each / temperature) for each in x]
    total = sum(e) + (0 if sink is None else m.exp(sink / temperature))
    return [each / total for each in e]


def ssmax(m: Any, x: Row, scale: Number = 1) -> Row:
    return softmax(m, [scale * m.log(len(x)) * each for each in x])


def logsumexp(m: Any, x: Row, b: Row | None = None) -> Row:
    return [m.log(sum(w * m.exp(each) for w, each in zip(b or [1] * len(x), x, strict=True)))]


def entmax(m: Any, x: Row, alpha: Number = 1.5) -> Row:
    """max(q x_i - tau, 0)^(1 / q) with q = alpha - 1 and tau such that the row sums to 1.

    Bisection in float64 finds tau closely enough to know the support, and Newton's method then finds all digits.
    """
    q = alpha - 1

    def shares(tau: Number, of: Row, q: Number) -> Row:
        return [(q * each - tau) ** (1 / q) if q * each > tau else 0 * tau for each in of]

    roughly, rough_q = [float(each) for each in x], float(q)
    high = rough_q * max(roughly)
    low = high - 1
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(shares(middle, roughly, rough_q)) > 1 else (low, middle)
    support, tau = [each for each in x if q * each > low], low
    for _ in range(6):
        slope = -sum((q * each - tau) ** (1 / q - 1) for each in support) / q
        tau -= (sum(shares(tau, support, q)) - 1) / slope
    return shares(tau, x, q)


def softpick(m: Any, x: Row, epsilon: Number = 1e-6) -> Row:
    total = sum(abs(m.exp(each) - 1) for each in x) + epsilon
    return [max(m.exp(each) - 1, 0) / total for each in x]


def gaussian_topk(m: Any, x: Row, sparsity: Number = 0.95) -> Row:
    mean = sum(x) / len(x)
    deviation = m.sqrt(sum((each - mean) ** 2 for each in x) / len(x))
    cut = mean + deviation * m.sqrt(2) * m.erfinv(2 * sparsity - 1)
    return [max(each - cut, 0) for each in x]


def poly_norm(m: Any, x: Row, weight: Row = (1 / 3, 1 / 3, 1 / 3), bias: Number = 0, eps: Number = 1e-6) -> Row:
    def root(i: int) -> Number:
        return m.sqrt(sum(each ** (2 * i) for each in x) / len(x) + eps)

    roots = [root(i) for i in (1, 2, 3)]
    return [sum(weight[i - 1] * each**i / roots[i - 1] for i in (1, 2, 3)) + bias for each in x]


ROWS: Mapping[str, Callable[..., Row]] = {
    "softmax": softmax,
    "softmin": lambda m, x: softmax(m, [-each for each in x]),
    "log_softmax": lambda m, x, temperature=1, sink=None: [m.log(y) for y in softmax(m, x, temperature, sink)],
    "ssmax": ssmax,
    "logsumexp": logsumexp,
    "sparsemax": lambda m, x: entmax(m, x, m.mpf(2)),
    "entmax15": lambda m, x: entmax(m, x, m.mpf(3) / 2),
    "entmax": entmax,
    "softpick": softpick,
    "gaussian_topk": gaussian_topk,
    "poly_norm": poly_norm,
}
"""Formulas of the entries of a row that are not masked."""

RANDOM: Mapping[str, Callable[..., Any]] = {
    "rrelu": lambda m, x, drawn, lower=1 / 8, upper=1 / 3: x if x >= 0 else x * (lower + drawn * (upper - lower)),
    "gumbel_softmax": lambda m, x, drawn, tau=1: softmax(m, [a + g for a, g in zip(x, drawn, strict=True)], tau),
}
"""Formulas of x and the drawn numbers: uniform on [0, 1) for rrelu, standard Gumbel for gumbel_softmax."""


def rational(m: Any, x: Number, numerator: Row, denominator: Row) -> Number:
    p = sum(a * x**i for i, a in enumerate(numerator))
    return p / (1 + abs(sum(b * x ** (j + 1) for j, b in enumerate(denominator))))


LEARNED: Mapping[str, Callable[..., Any]] = {
    "PReLU": lambda m, x, negative_slope: x if x >= 0 else negative_slope * x,
    "Swish": lambda m, x, beta: _silu(m, x, beta),
    "Snake": lambda m, x, alpha: x + m.sin(alpha * x) ** 2 / alpha,
    "SnakeBeta": lambda m, x, log_alpha, log_beta: x + m.sin(m.exp(log_alpha) * x) ** 2 / m.exp(log_beta),
    "StarReLU": lambda m, x, scale, bias: scale * max(x, 0) ** 2 + bias,
    "XIELU": lambda m, x, raw_alpha_p, raw_alpha_n: (
        x / 2 + m.log(1 + m.exp(raw_alpha_p)) * x * x
        if x > 0
        else x / 2 + (m.log(1 + m.exp(raw_alpha_n)) + 0.5) * (m.exp(x) - 1 - x)
    ),
    "DyT": lambda m, x, alpha, gamma, beta: gamma[0] * m.tanh(alpha * x) + beta[0],
    "Derf": lambda m, x, alpha, shift, gamma, beta: gamma[0] * m.erf(alpha * x + shift) + beta[0],
    "Rational": rational,
    "PolyNorm": poly_norm,
    "SSMax": ssmax,
    "SoftmaxSink": lambda m, x, sink: softmax(m, x, 1, sink),
}
"""Modules of one channel as functions of their learned parameters. The last three take a row, the others a number."""
