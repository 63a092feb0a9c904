"""Formulas of the elementwise functions and gated units, and their derivatives, which SymPy makes of them.

A formula is one expression, or pieces with their conditions. `disagreement` says where it is not what is computed, and
the build fails if it is not. What is not of that form is written by hand, and tried by docs/test_site.py. A function
that is not here has its docstring's line of plain text instead.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from scipy import special

Pieces = Sequence[tuple[str, str]]


def _function(name: str, latex: str, slope: Any) -> Any:
    """A SymPy function that is written by its name, with the derivative that textbooks give it."""
    made: Any = None

    def fdiff(self: Any, argindex: int = 1) -> Any:
        return slope(made, self.args[0])

    def _latex(self: Any, printer: Any, exp: Any = None) -> str:
        argument = rf"\left({printer._print(self.args[0])}\right)"
        if exp is None:
            return latex + argument
        return rf"\left({latex}{argument}\right)^{{{exp}}}" if "'" in latex else rf"{latex}^{{{exp}}}{argument}"

    made = type(name, (sympy.Function,), {"fdiff": fdiff, "_latex": _latex})
    return made


_sigma = _function("sigma", r"\sigma", lambda f, x: f(x) * (1 - f(x)))
_phi = _function("phi", r"\varphi", lambda f, x: -x * f(x))
_Phi = _function("Phi", r"\Phi", lambda f, x: _phi(x))
_zeta = _function("zeta", r"\mathrm{softplus}", lambda f, x: _sigma(x))
_tanh = _function("tanh", r"\tanh", lambda f, x: 1 - f(x) ** 2)
_erf = _function("erf", r"\mathrm{erf}", lambda f, x: 2 / sympy.sqrt(sympy.pi) * sympy.exp(-(x**2)))
_ddu = _function("ddu", "u''", lambda f, x: sympy.nan)
_du = _function("du", "u'", lambda f, x: _ddu(x))
_u = _function("u", "u", lambda f, x: _du(x))
WORDS = {
    r"\sigma": r"$\sigma(x) = 1 / (1 + e^{-x})$",
    r"\Phi": r"$\Phi$ is the standard normal distribution function",
    r"\varphi": r"$\varphi$ is the standard normal density",
    r"u\left": r"$u(x) = \sqrt{2 / \pi} \left(x + 0.044715 x^3\right)$",
    r"\mathrm{softplus}": r"$\mathrm{softplus}(x) = \log(1 + e^x)$",
}
"""What is said of a function that a formula uses."""
SYMBOLS = {
    "negative_slope": "a", "threshold": r"\theta", "max_value": "M", "min_val": "m", "max_val": "M",
    "lambd": r"\lambda", "frequency": r"\omega", "scale": "s", "bias": "b", "value": "v", "cap": "c", "limit": "L",
    "linear_beta": r"\beta_v", "shift": "s", "gate": "g", "alpha_p": r"\alpha_p", "alpha_n": r"\alpha_n",
}  # fmt: skip
"""How a parameter with a long name is written."""

POINTWISE: Mapping[str, str | Pieces] = {
    "identity": "x",
    "relu": [("x", "x > 0"), ("0", "")],
    "relu6": [("0", "x <= 0"), ("x", "0 < x < 6"), ("6", "x >= 6")],
    "leaky_relu": [("x", "x >= 0"), ("negative_slope * x", "")],
    "prelu": [("x", "x >= 0"), ("negative_slope * x", "")],
    "rrelu": [("x", "x >= 0"), ("x * (lower + upper) / 2", "")],
    "relu2": [("x**2", "x > 0"), ("0", "")],
    "star_relu": [("scale * x**2 + bias", "x > 0"), ("bias", "")],
    "thresholded_relu": [
        ("max_value", "x > threshold, x >= max_value"),
        ("x", "threshold < x < max_value"),
        ("negative_slope * (x - threshold)", "x <= threshold"),
    ],
    "threshold": [("x", "x > threshold"), ("value", "")],
    "elu": [("x", "x > 0"), ("alpha * (exp(x) - 1)", "")],
    "celu": [("x", "x > 0"), ("alpha * (exp(x / alpha) - 1)", "")],
    "selu": [("1.0507 * x", "x > 0"), ("1.7581 * (exp(x) - 1)", "")],
    "exponential": "exp(x)",
    "xielu": [("alpha_p * x**2 + beta * x", "x > 0"), ("alpha_n * (exp(x) - 1 - x) + beta * x", "")],
    "gelu": "x / 2 * (1 + tanh(u(x)))",
    "gelu(approximate=False)": "x * Phi(x)",
    "gelu_10": [("x * Phi(x)", "x <= 10"), ("10", "x > 10")],
    "sigmoid": "sigma(x)",
    "log_sigmoid": "-zeta(-x)",
    "tanh": "tanh(x)",
    "soft_sign": [("x / (1 + x)", "x >= 0"), ("x / (1 - x)", "x < 0")],
    "laplace": "Phi((x - mu) / sigma_)",
    "soft_cap": "cap * tanh(x / cap)",
    "silu": "x * sigma(beta * x)",
    "quick_gelu": "x * sigma(1.702 * x)",
    "mish": "x * tanh(zeta(x))",
    "golu": "x * exp(-exp(-x))",
    "hard_silu": [("0", "x <= -3"), ("x * (x + 3) / 6", "-3 < x < 3"), ("x", "x >= 3")],
    "hard_sigmoid": [("0", "x <= -3"), ("(x + 3) / 6", "-3 < x < 3"), ("1", "x >= 3")],
    "sparse_sigmoid": [("0", "x < -1"), ("(x + 1) / 2", "-1 <= x <= 1"), ("1", "x > 1")],
    "hard_tanh": [("min_val", "x < min_val"), ("x", "min_val <= x <= max_val"), ("max_val", "x > max_val")],
    "sine": "sin(frequency * x)",
    "snake": "x + sin(alpha * x)**2 / alpha",
    "snake_beta": "x + sin(alpha * x)**2 / beta",
    "dyt": "gamma * tanh(alpha * x) + beta",
    "derf": "gamma * erf(alpha * x + shift) + beta",
    "hard_shrink": [("0", "-lambd <= x <= lambd"), ("x", "")],
    "soft_shrink": [("x - lambd", "x > lambd"), ("0", "-lambd <= x <= lambd"), ("x + lambd", "x < -lambd")],
    "tanh_shrink": "x - tanh(x)",
    "softplus": "zeta(beta * x) / beta",
    "squareplus": "(x + sqrt(x**2 + b)) / 2",
    "sparse_plus": [("0", "x <= -1"), ("(x + 1)**2 / 4", "-1 < x < 1"), ("x", "x >= 1")],
    "sqrt_softplus": "sqrt(zeta(x))",
}
GATED: Mapping[str, str | Pieces] = {
    "glu": "value * sigma(gate)",
    "swiglu": "gate * sigma(gate) * value",
    "geglu": "gate / 2 * (1 + tanh(u(gate))) * value",
    "reglu": [("gate * value", "gate > 0"), ("0", "")],
    "bilinear": "gate * value",
    "sigmoid_gate": "sigma(gate) * value",
    "sreglu": [("gate**2 * value", "gate > 0"), ("0", "")],
    "qgeglu": "gate * sigma(1.702 * gate) * value",
    "dreglu": [("gate * value", "gate > 0, value > 0"), ("0", "")],
    "fatreglu": [("gate * value", "gate > threshold"), ("0", "")],
    "situ_glu": "beta * tanh(gate / beta) * sigma(gate) * linear_beta * tanh(value / linear_beta)",
}
_CLAMPED = r" \quad \bar{g} = \min(g, L), \quad \bar{v} = \min(\max(v, -L), L)"
BY_HAND: Mapping[str, tuple[str, ...]] = {
    "swiglu_clamped": (
        r"f(g, v) = \bar{g} \sigma(\bar{g}) \bar{v}," + _CLAMPED,
        r"\frac{\partial f}{\partial g} = [g < L] \, \sigma(\bar{g}) \left(1 + \bar{g} \sigma(-\bar{g})\right) \bar{v}",
        r"\frac{\partial f}{\partial v} = [|v| < L] \, \bar{g} \sigma(\bar{g})",
    ),
    "swiglu_step": (
        r"f(g, v) = \min(g \sigma(g), L) \bar{v}, \quad \bar{v} = \min(\max(v, -L), L)",
        r"\frac{\partial f}{\partial g} = [g \sigma(g) < L] \, \sigma(g) \left(1 + g \sigma(-g)\right) \bar{v}",
        r"\frac{\partial f}{\partial v} = [|v| < L] \, \min(g \sigma(g), L)",
    ),
    "swiglu_oai": (
        r"f(g, v) = \bar{g} \sigma(\alpha \bar{g}) (\bar{v} + 1)," + _CLAMPED,
        r"\frac{\partial f}{\partial g} = [g < L] \, \sigma(\alpha \bar{g})"
        r" \left(1 + \alpha \bar{g} \sigma(-\alpha \bar{g})\right) (\bar{v} + 1)",
        r"\frac{\partial f}{\partial v} = [|v| < L] \, \bar{g} \sigma(\alpha \bar{g})",
    ),
    "softmax": (
        r"y_i = \frac{e^{x_i / T}}{\sum_j e^{x_j / T}}",
        r"\frac{\partial y_i}{\partial x_k} = \frac{1}{T} y_i \left(\delta_{ik} - y_k\right)",
    ),
    "ssmax": (
        r"y_i = \frac{e^{s \log(n) x_i}}{\sum_j e^{s \log(n) x_j}}",
        r"\frac{\partial y_i}{\partial x_k} = s \log(n) y_i \left(\delta_{ik} - y_k\right)",
    ),
    "softmin": (
        r"y_i = \frac{e^{-x_i}}{\sum_j e^{-x_j}}",
        r"\frac{\partial y_i}{\partial x_k} = -y_i \left(\delta_{ik} - y_k\right)",
    ),
    "log_softmax": (
        r"y_i = \frac{x_i}{T} - \log \sum_j e^{x_j / T}",
        r"\frac{\partial y_i}{\partial x_k} = \frac{1}{T} \left(\delta_{ik} - e^{y_k}\right)",
    ),
    "gumbel_softmax": (
        r"y_i = \frac{e^{(x_i + g_i) / \tau}}{\sum_j e^{(x_j + g_j) / \tau}}, \quad g_i = -\log(-\log u_i)",
        r"\frac{\partial y_i}{\partial x_k} = \frac{1}{\tau} y_i \left(\delta_{ik} - y_k\right)",
    ),
    "sparsemax": (
        r"y_i = \max(x_i - \theta, 0), \quad \sum_i y_i = 1",
        r"\frac{\partial y_i}{\partial x_k} = \delta_{ik} - \frac{1}{|S|} \text{ for } i, k \text{ in the support } S",
    ),
    "entmax15": (
        r"y_i = \max(x_i / 2 - \theta, 0)^2, \quad \sum_i y_i = 1",
        r"\frac{\partial y_i}{\partial x_k} = s_i \delta_{ik} - \frac{s_i s_k}{\sum_j s_j}, \quad s_i = \sqrt{y_i}",
    ),
    "entmax": (
        r"y_i = \max((\alpha - 1) x_i - \theta, 0)^{1 / (\alpha - 1)}, \quad \sum_i y_i = 1",
        r"\frac{\partial y_i}{\partial x_k} = s_i \delta_{ik} - \frac{s_i s_k}{\sum_j s_j}, \quad"
        r" s_i = y_i^{2 - \alpha} \text{ where } y_i > 0",
    ),
    "softpick": (
        r"y_i = \frac{\max(e^{x_i} - 1, 0)}{\sum_j |e^{x_j} - 1| + \varepsilon}",
        r"\frac{\partial y_i}{\partial x_k} = \frac{e^{x_k}}{\sum_j |e^{x_j} - 1| + \varepsilon}"
        r" \left(\delta_{ik} [x_k > 0] - \mathrm{sign}(x_k) y_i\right)",
    ),
    "rational": (
        r"f(x) = \frac{P(x)}{1 + |Q(x)|}, \quad P(x) = \sum_{i=0}^m a_i x^i, \quad Q(x) = \sum_{j=1}^n b_j x^j",
        r"f'(x) = \frac{P'(x) - f(x) \, \mathrm{sign}(Q(x)) \, Q'(x)}{1 + |Q(x)|}",
    ),
    "poly_norm": (
        r"y_i = \sum_{k=1}^3 w_k \frac{x_i^k}{r_k} + b, \quad"
        r" r_k = \sqrt{\frac{1}{n} \sum_j x_j^{2k} + \varepsilon}",
        r"\frac{\partial y_i}{\partial x_j} = \sum_{k=1}^3 w_k \frac{k}{r_k}"
        r" \left(\delta_{ij} x_i^{k - 1} - \frac{x_i^k x_j^{2k - 1}}{n r_k^2}\right)",
    ),
    "gaussian_topk": (
        r"y_i = \max\left(x_i - (\mu + s \Phi^{-1}(p)), 0\right), \quad \mu, s: \text{mean and deviation of the row}",
        r"\frac{\partial y_i}{\partial x_k} = \delta_{ik} - \frac{1}{n} - \Phi^{-1}(p) \frac{x_k - \mu}{n s}"
        r" \text{ where } y_i > 0",
    ),
}

_NAMES = {
    "sigma": _sigma,
    "phi": _phi,
    "Phi": _Phi,
    "zeta": _zeta,
    "tanh": _tanh,
    "erf": _erf,
    "u": _u,
    "x": sympy.Symbol("x"),
}
_ROOT, _CUBE = math.sqrt(2 / math.pi), 0.044715
_NUMERIC = [
    {
        "sigma": special.expit,
        "phi": lambda x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
        "Phi": special.ndtr,
        "zeta": lambda x: np.logaddexp(0, x),
        "tanh": np.tanh,
        "erf": special.erf,
        "u": lambda x: _ROOT * (x + _CUBE * x**3),
        "du": lambda x: _ROOT * (1 + 3 * _CUBE * x**2),
        "ddu": lambda x: _ROOT * 6 * _CUBE * x,
    },
    "numpy",
]


def _parse(text: str) -> Any:
    """An expression; a name that SymPy has a meaning of its own for is a parameter here."""
    words = {
        name: sympy.Symbol(name) for name in (*SYMBOLS, "alpha", "beta", "gamma", "mu", "sigma_", "b", "lower", "upper")
    }
    return sympy.sympify(text, locals={**words, **_NAMES})


class Formula:
    """A function and its derivatives by one of its variables.

    Args:
      pieces: one expression, or pieces with their conditions, of which the first that holds is meant.
      order: which derivative.
      by: the variable.
    """

    def __init__(self, pieces: str | Pieces, order: int = 0, by: str = "x") -> None:
        given = [(pieces, "")] if isinstance(pieces, str) else pieces
        variable = sympy.Symbol(by)
        self.pieces = [(_shorter(sympy.diff(_parse(text), variable, order)), condition) for text, condition in given]

    def latex(self) -> str:
        """The formula in LaTeX."""
        kept = [(_latex(expression), condition and _condition(condition)) for expression, condition in self.pieces]
        if len({text for text, _ in kept}) == 1:
            return kept[0][0]
        lines = (
            rf"{text} & \text{{if }} {condition}" if condition else rf"{text} & \text{{otherwise}}"
            for text, condition in kept
        )
        return r"\begin{cases} " + r" \\ ".join(lines) + r" \end{cases}"

    def __call__(self, **values: Any) -> np.ndarray:
        """Evaluate it in float64."""
        values = {{"sigma": "sigma_"}.get(name, name): np.asarray(v, np.float64) for name, v in values.items()}
        shape = np.broadcast_shapes(*(value.shape for value in values.values()))
        made = np.full(shape, np.nan)
        with np.errstate(all="ignore"):
            for expression, condition in reversed(self.pieces):
                found = sympy.lambdify(list(values), expression, _NUMERIC)(**values)
                holds = [_holds(part, values) for part in condition.split(",") if part]
                made = np.where(np.logical_and.reduce([np.ones(shape, bool), *holds]), found, made)
        return made


def _holds(part: str, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether a condition such as "0 < x < 6" holds."""
    words = part.split()
    terms = [eval(word, {}, dict(values)) for word in words[::2]]
    compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
    holds = [compare[sign](a, b) for a, sign, b in zip(terms, words[1::2], terms[1:], strict=False)]
    return np.logical_and.reduce(np.broadcast_arrays(*holds))


def _shorter(expression: Any) -> Any:
    """The expression, or its factored form if that is shorter."""
    forms = [expression, sympy.factor_terms(expression)]
    if expression.is_rational_function() and not expression.is_polynomial():
        forms.append(sympy.factor(expression))
    return min(forms, key=lambda form: len(_latex(form)))


def _latex(expression: Any) -> str:
    names = {sympy.Symbol(name): symbol for name, symbol in {**SYMBOLS, "sigma_": "s"}.items()}
    return sympy.latex(expression, symbol_names=names)


def _condition(text: str) -> str:
    """A condition in LaTeX: "0 < x < 6", or two with a comma between."""
    signs = {"<": "<", ">": ">", "<=": r"\leq", ">=": r"\geq"}
    parts = [[signs.get(word) or _latex(_parse(word)) for word in part.split()] for part in text.split(",")]
    return r" \text{ and } ".join(" ".join(words) for words in parts)


def disagreement(formula: Formula, computed: np.ndarray, **values: Any) -> str:
    """Where a formula is not what is computed, or nothing."""
    expected = formula(**values)
    scale = np.nanmax(np.abs(expected), initial=1e-3)
    off = np.abs(expected - computed) / scale
    worst = int(np.nanargmax(off)) if np.isfinite(off).any() else 0
    if np.isnan(off).any() or np.sort(off)[-2] > 1e-3:  # at the point where two formulas meet either may be meant
        return f"at {worst}: {expected[worst]} in the formula, {computed[worst]} computed"
    return ""
