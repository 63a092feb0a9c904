"""Compute the rational approximations in jaxact/core/numerics.py, functions/rational.py and functions/compact.py.

    python -m benchmarks.coefficients

Phi(-t) exp(t^2 / 2) = N(t) / M(t) for t >= 0, interpolated at Chebyshev nodes of (t - k) / (t + k) in 80-digit
arithmetic, which is within a factor of two of the best relative error. N and M have positive coefficients, so that
Horner's rule does not cancel. The numerator of GELU's slope, N(t) - t M(t) / sqrt(2 pi), is factored as (root - t) S(t)
for the same reason.

The slope of a function f with one minimum (x*, y*), from y = f(x) and the side of x: on the left it is y r R(r),
r = sqrt(-log(y / y*)), in which it is smooth from the minimum to where y underflows; on the right s R(s),
s = sqrt(y - y*), up to where it is 1. Each R is fitted by Lawson's iteration: least squares, reweighted by the error.
On the right its polynomials are in s less a centre, around which their terms cancel least.

exp(r) = 1 + r + r^2 P(r) and 2^r = 1 + r P(r), P by least squares over Chebyshev nodes.
"""

import math
from collections.abc import Callable

import mpmath
import numpy as np
from mpmath import mp
from scipy import special

FORMS = {"float32": (5, 14.5, 3.0), "float64": (11, 39.0, 3.0)}
"""dtype: degree of M, end of the interval, and k."""


def mills(t: mpmath.mpf) -> mpmath.mpf:
    """Phi(-t) exp(t^2 / 2)."""
    return mp.erfc(t / mp.sqrt(2)) * mp.exp(t * t / 2) / 2


def fit(degree: int, end: float, k: float) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
    """Return N (degree - 1) and M (degree, leading coefficient first and last coefficient 1) with N / M = mills."""
    count = 2 * degree
    low, high = mp.mpf(-1), (mp.mpf(end) - k) / (mp.mpf(end) + k)
    nodes = []
    for i in range(count):
        q = (low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * count))
        nodes.append(k * (1 + q) / (1 - q))
    # sum n_j t^j - R sum_{j>0} m_j t^j = R
    a, b = mp.matrix(count, count), mp.matrix(count, 1)
    for i, t in enumerate(nodes):
        r = mills(t)
        for j in range(degree):
            a[i, j] = t**j
            a[i, degree + j] = -r * t ** (j + 1)
        b[i] = r
    x = mp.lu_solve(a, b)
    n = [x[j] for j in range(degree)]
    m = [mp.mpf(1)] + [x[degree + j] for j in range(degree)]
    return n[::-1], m[::-1]


def gelu_minimum() -> mpmath.mpf:
    """The t at which d/dx (x Phi(x)) is 0 for x = -t."""
    return mp.findroot(lambda t: mills(t) - t / mp.sqrt(2 * mp.pi), 0.75)


def pade(f: Callable[[np.ndarray], np.ndarray], end: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit P(x) / (1 + Q(x)) to f on [-end, end] by least squares, with P = O(x) of degree 5 and an even Q of degree 4.

    Linear in the coefficients once multiplied by 1 + Q, and weighted by 1 / (1 + Q) of the round before.

    Returns:
      Coefficients of x, ..., x^5 and of x^2 and x^4, and the largest error.
    """
    x = np.linspace(-end, end, 1201)
    y, weight = f(x), np.ones_like(x)
    powers = x[:, None] ** np.arange(1, 6)
    for _ in range(100):
        columns = np.concatenate([powers, -y[:, None] * powers[:, [1, 3]]], axis=1)
        solution = np.linalg.lstsq(columns * weight[:, None], y * weight)[0]
        weight = 1 / (1 + np.abs(powers[:, [1, 3]] @ solution[5:]))
    error = np.max(np.abs(powers @ solution[:5] * weight - y))
    return solution[:5], solution[5:], float(error)


def _softplus(x: mpmath.mpf) -> mpmath.mpf:
    return mp.log1p(mp.exp(x))


def _tanh_gelu(x: mpmath.mpf) -> mpmath.mpf:
    return x / (1 + mp.exp(-2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)))


WITH_A_MINIMUM: dict[str, tuple[Callable[[mpmath.mpf], mpmath.mpf], float]] = {
    "gelu": (_tanh_gelu, -0.75),
    "gelu, exact": (lambda x: x * mp.ncdf(x), -0.75),
    "silu": (lambda x: x / (1 + mp.exp(-x)), -1.28),
    "mish": (lambda x: x * mp.tanh(_softplus(x)), -1.19),
    "golu": (lambda x: x * mp.exp(-mp.exp(-x)), -0.57),
}
"""Function, and about where its minimum is."""
SIDES = {"left": 6, "right": 7}
"""Degree of numerator and denominator."""


def sampled(
    f: Callable[[mpmath.mpf], mpmath.mpf], guess: float
) -> tuple[mpmath.mpf, mpmath.mpf, dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Return x*, y*, and for each side the variable, what R is there, and the weight of its error."""

    def slope(x: mpmath.mpf) -> mpmath.mpf:
        return mp.diff(f, x)

    at = mp.findroot(slope, guess)
    least = f(at)
    low, high = mp.mpf(-200), at  # where -y is the smallest normal number of float32
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if -f(middle) < mp.mpf(2) ** -126 else (low, middle)
    end = at
    while abs(1 - slope(end)) > mp.mpf(10) ** -8:
        end += mp.mpf(1) / 4
    nodes = [(1 - mp.cos(mp.pi * (2 * i + 1) / 600)) / 2 for i in range(300)]
    left, right = [], []
    for node in nodes:
        x = at - (at - low) * node**2
        r = mp.sqrt(-mp.log(f(x) / least))
        left.append((r, slope(x) / f(x) / r, f(x) * r / slope(x)))  # relative
        x = at + (end - at) * node
        s = mp.sqrt(f(x) - least)
        right.append((s, slope(x) / s, s))  # absolute
    columns = {side: tuple(np.array(rows, float).T) for side, rows in (("left", left), ("right", right))}
    return at, least, columns  # pyright: ignore[reportReturnType]


def lawson(v: np.ndarray, target: np.ndarray, weight: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit N(v) / (1 + v M(v)) to target; return both polynomials, highest power first, and the largest error."""
    scale = v.max()
    powers = (v / scale)[:, None] ** np.arange(degree + 1)
    denominator, emphasis = np.ones_like(v), np.ones_like(v)
    best = (np.inf, np.zeros(2 * degree + 1))
    for _ in range(60):
        w = weight * emphasis / denominator
        columns = np.concatenate([powers, -target[:, None] * powers[:, 1:]], axis=1)
        solution = np.linalg.lstsq(columns * w[:, None], target * w)[0]
        denominator = np.maximum(1 + powers[:, 1:] @ solution[degree + 1 :], 1e-3)
        error = np.abs(powers @ solution[: degree + 1] / denominator - target) * weight
        best = min(best, (float(error.max()), solution), key=lambda pair: pair[0])
        emphasis = emphasis * (1e-3 * error.max() + error)
        emphasis = np.maximum(emphasis / emphasis.max(), 1e-12)
    error, solution = best
    scales = scale ** np.arange(degree + 1)
    n, m = solution[: degree + 1] / scales, np.array([1, *solution[degree + 1 :]]) / scales
    return n[::-1], m[::-1], error


def inverses() -> None:
    """Print what functions/compact.py needs."""
    mp.dps = 40
    for name, (f, guess) in WITH_A_MINIMUM.items():
        at, least, columns = sampled(f, guess)
        print(f"{name}: minimum {mp.nstr(least, 20)} at {mp.nstr(at, 20)}")
        for side, (v, target, weight) in columns.items():
            n, m, error = lawson(v, target, weight, SIDES[side])
            centre = round(2 * v.max()) / 4 if side == "right" else 0.0
            n, m = (np.poly1d(p)(np.poly1d([1, centre])).coeffs for p in (n, m))
            print(f"  {side}, up to {v.max():.6g}, centre {centre}: error {error:.2g}")
            for polynomial in (n, m):
                print(f"    ({', '.join(f'{c:.10g}' for c in polynomial)}),")


def exponentials() -> None:
    """Print the polynomials for exp(r), |r| <= log(2) / 2, and 2^r, |r| <= 1/2, and their largest relative error."""
    for name, rate, known in (("exp(r)", 1.0, [1.0, 1.0]), ("2^r", math.log(2), [1.0])):
        r = math.log(2) / 2 / rate * np.cos(np.pi * (np.arange(1000) + 0.5) / 1000)
        powers = r[:, None] ** np.arange(7)
        start = len(known)
        left = np.expm1(rate * r) - powers[:, 1:start] @ known[1:]
        weight = np.exp(-rate * r)
        free = np.linalg.lstsq(powers[:, start:] * weight[:, None], left * weight)[0]
        error = np.max(np.abs(powers[:, start:] @ free - left) * weight)
        print(f"{name} = ({', '.join(f'{c:.9g}' for c in [*free[::-1], *known])}), error {error:.2g}")


def main() -> None:
    """Print the coefficients and the largest error of each form: highest power first, for `rational` lowest first."""
    for name, f, end in (
        ("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x), 3.0),
        ("gelu", lambda x: x * special.ndtr(x), 5.0),
    ):
        p, q, error = pade(f, end)
        print(f"{name} on [{-end}, {end}]: P = {np.round(p, 6)}, Q = {np.round(q, 6)}, error {error:.2g}")
    mp.dps = 80
    for dtype, (degree, end, k) in FORMS.items():
        n, m = fit(degree, end, k)
        root = gelu_minimum()
        slope = [mp.mpf(0)] * (degree + 2)  # N - t M / sqrt(2 pi), highest power first
        for i, c in enumerate(m):
            slope[i] -= c / mp.sqrt(2 * mp.pi)
        for i, c in enumerate(n):
            slope[i + 2] += c
        # The fitted numerator's own root differs from GELU's by the error of the fit: divide at it.
        own = mp.findroot(lambda t, p=slope: mp.polyval(p, t), root)
        quotient = [slope[0]]
        for c in slope[1:-1]:
            quotient.append(c + own * quotient[-1])
        quotient = [-c for c in quotient]
        error = max(abs(mp.polyval(n, t) / mp.polyval(m, t) / mills(t) - 1) for t in mp.linspace(0, end, 2001))
        print(f"{dtype}: relative error {mp.nstr(error, 3)}, root off by {mp.nstr(own - root, 3)}")
        digits = 12 if dtype == "float32" else 20
        for name, p in (("N", n), ("M", m), ("S", quotient)):
            print(
                f"  {name} = ({', '.join(mp.nstr(c, digits) for c in p)})", "positive" if min(p) > 0 else "NOT POSITIVE"
            )
    print("root =", mp.nstr(gelu_minimum(), 40))
    exponentials()
    inverses()


if __name__ == "__main__":
    main()
