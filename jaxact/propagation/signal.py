"""What depth does to a signal: moments, gains, and the mean-field maps of variance and correlation.

Throughout, a layer is h -> W f(h) + b. The entries of W are N(0, sigma_w^2 / fan_in), those of b are N(0, sigma_b^2),
and z is standard normal. Sources: Poole et al. 2016 (arXiv 1606.05340), Schoenholz et al. 2017 (1611.01232), He et al.
2015 (1502.01852).
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, cast

import numpy as np
from scipy import optimize

from jaxact.propagation.gaussian import Function, InfiniteMomentError, Integrand

Kind = Literal["second_moment", "variance", "backward"]
_KINDS: tuple[Kind, ...] = ("second_moment", "variance", "backward")


class Moments(NamedTuple):
    """Moments of f(z) and f'(z) for z ~ N(0, sigma^2)."""

    mean: float
    """E f(z)."""
    second_moment: float
    """E f(z)^2."""
    variance: float
    """Var f(z)."""
    slope_second_moment: float
    """E f'(z)^2."""


class Critical(NamedTuple):
    """Where a signal neither dies nor explodes."""

    sigma_w: float
    sigma_b: float


class FixedPoint(NamedTuple):
    """A fixed point of a map and the map's slope there."""

    value: float
    slope: float

    @property
    def stable(self) -> bool:
        """Whether the map returns to the point: |slope| is less than 1 by more than rounding."""
        return abs(self.slope) < 1 - 1e-8


@dataclasses.dataclass(frozen=True, eq=False)
class Signal:
    """What mean-field theory predicts for a plain network, layer by layer. `q` is the variance of a pre-activation."""

    sigma_w: float
    """The square root of fan_in times a weight's variance, as given."""
    sigma_b: float
    """The standard deviation of a bias, as given."""
    variances: np.ndarray
    """q_0, ..., q_depth: shape (depth + 1,). It is inf or 0 from the layer on where it leaves [1e-200, 1e200]."""
    correlations: np.ndarray
    """c_0, ..., c_depth of two inputs' pre-activations: shape (depth + 1,); NaN where the variance is inf or 0."""
    activation_means: np.ndarray
    """E f of each layer's activation: shape (depth,)."""
    activation_variances: np.ndarray
    """Var f of each layer's activation: shape (depth,)."""
    chi: np.ndarray
    """chi_l = sigma_w^2 E f'(sqrt(q_l) z)^2, the factor of the gradient's mean square in layer l: shape (depth,)."""
    fixed_points: tuple[FixedPoint, ...]
    """Fixed points of the variance map: 0 and those in [1e-6, 1e6] where the quadrature converges; q_0 if all are."""
    correlation_fixed_points: tuple[FixedPoint, ...]
    """Fixed points of the correlation map, at the same variance as chi_1."""
    chi_1: float
    """chi at the fixed variance that q_0 leads to, or at the last finite one: < 1 is ordered, > 1 is chaotic."""
    depth_scale: float
    """The number of layers in which a correlation comes e times nearer to its fixed point: -1 / ln(slope)."""

    @property
    def gradient_slope(self) -> float:
        """The change of ln(gradient norm) per layer on the way back: the mean of ln(chi) / 2."""
        finite = self.chi[np.isfinite(self.chi) & (self.chi > 0)]
        return float(0.5 * np.log(finite).mean()) if finite.size else -math.inf


def moments(f: Function, sigma: float = 1.0, *, kinks: Sequence[float] | None = None) -> Moments:
    """Integrate f and f' over N(0, sigma^2), to 1e-10.

    Args:
      f: any elementwise function of one array; bind its parameters with functools.partial.
      sigma: standard deviation of the argument, > 0.
      kinks: where f or f' jumps, for a function whose kinks halving does not find.

    Returns:
      The mean, second_moment, variance and slope_second_moment.

    Raises:
      TypeError: f is not a function of one array that returns floating-point numbers.
      ValueError: f changes the shape, or is not elementwise or not finite; or a moment is infinite or does not
        converge.

    >>> round(jaxact.propagation.moments(jaxact.relu).second_moment, 10)
    0.5
    """
    return _moments(Integrand("moments", f, kinks), _positive("moments", "sigma", sigma))


def gain(f: Function, kind: Kind = "second_moment", *, kinks: Sequence[float] | None = None) -> float:
    """The factor that keeps the size of a signal through f, to 1e-10. Weights take the deviation gain / sqrt(fan).

    Args:
      f: any elementwise function of one array; bind its parameters with functools.partial.
      kind: which of three gains, with z ~ N(0, 1). "second_moment", (E f(z)^2)^-1/2, keeps the forward signal (He et
        al. 2015: sqrt(2) for ReLU). "variance", (Var f(z))^-1/2, does so for weights whose mean is subtracted (NFNets,
        arXiv 2101.08692). "backward", (E f'(z)^2)^-1/2, keeps the gradient.
      kinks: where f or f' jumps, for a function whose kinks halving does not find.

    Raises:
      TypeError: as for `moments`.
      ValueError: as for `moments`; or f or f' is constant, so that no factor helps.

    >>> round(jaxact.propagation.gain(jaxact.relu) ** 2, 10)
    2.0
    """
    if kind not in _KINDS:
        raise ValueError(f"jaxact.gain: expected kind to be one of {', '.join(_KINDS)}, got {kind!r}")
    g = Integrand("gain", f, kinks)
    if kind == "backward":
        size = g.expect(lambda z, f, df: [np.square(df)], order=1)[0]
    else:
        mean, size = g.expect(lambda z, f: [f, np.square(f)])
        if kind == "variance":
            size = g.expect(lambda z, f: [np.square(f - mean)])[0] if size - mean**2 > 1e-13 * size else 0.0
    if not size > 0:
        what = {"second_moment": "is 0", "variance": "is constant", "backward": "has the slope 0"}[kind]
        raise ValueError(
            f"jaxact.gain: {g.name} {what} almost everywhere, so that no gain keeps a signal; choose another f"
        )
    return float(size) ** -0.5


def critical(f: Function, q: float = 1.0, *, kinks: Sequence[float] | None = None) -> Critical:
    """The (sigma_w, sigma_b) with fixed variance q and chi_1 = 1: gradients neither vanish nor explode.

    sigma_w^2 = 1 / E f'(sqrt(q) z)^2 and sigma_b^2 = q - sigma_w^2 E f(sqrt(q) z)^2. As q varies, the pair traces the
    critical line.

    Args:
      f: any elementwise function of one array.
      q: the variance of the pre-activations, > 0.
      kinks: where f or f' jumps, for a function whose kinks halving does not find.

    Raises:
      ValueError: no sigma_b reaches chi_1 = 1 at this q; the message says which q can. Otherwise as for `moments`.

    >>> sigma_w, sigma_b = jaxact.propagation.critical(jaxact.tanh)
    >>> round(sigma_w, 6), round(sigma_b, 6)
    (1.467414, 0.388542)
    """
    g = Integrand("critical", f, kinks)
    q = _positive("critical", "q", q)

    def bias_variance(q: float) -> float:
        try:
            m = _moments(g, math.sqrt(q))
        except InfiniteMomentError:
            return -math.inf
        return q - m.second_moment / m.slope_second_moment if m.slope_second_moment > 0 else -math.inf

    rest = bias_variance(q)
    if rest < -1e-12 * q:
        reached = [x for x in np.logspace(-4, 4, 33) if bias_variance(float(x)) >= 0]
        which = f"q from about {reached[0]:.2g} to {reached[-1]:.2g} can" if reached else "no q in [1e-4, 1e4] can"
        raise ValueError(
            f"jaxact.critical: {g.name} cannot reach chi_1 = 1 at q = {q:g} (it would take sigma_b^2 = {rest:.3g}); "
            f"{which}"
        )
    return Critical(_moments(g, math.sqrt(q)).slope_second_moment ** -0.5, math.sqrt(max(rest, 0.0)))


def signal(
    f: Function,
    sigma_w: float,
    sigma_b: float,
    depth: int,
    *,
    q: float = 1.0,
    c: float = 0.5,
    kinks: Sequence[float] | None = None,
) -> Signal:
    """Predict what `depth` layers of f do to variances, correlations and gradients, at infinite width.

    q_l = sigma_w^2 E f(sqrt(q_{l-1}) z)^2 + sigma_b^2, c_l is the correlation of two inputs' pre-activations by the
    corresponding map, and chi_l = sigma_w^2 E f'(sqrt(q_l) z)^2.

    Args:
      f: any elementwise function of one array.
      sigma_w: sqrt(fan_in) times the standard deviation of a weight: `gain(f)` for `init_for(f)`, sqrt(2) for He,
        1 for LeCun.
      sigma_b: the standard deviation of a bias.
      depth: how many layers, >= 1.
      q: the variance of the first pre-activations, > 0.
      c: the correlation of two inputs' first pre-activations, in [-1, 1].
      kinks: where f or f' jumps, for a function whose kinks halving does not find.

    Raises:
      ValueError: an argument is out of its range. Otherwise as for `moments`.

    >>> theory = jaxact.propagation.signal(jaxact.tanh, sigma_w=1.0, sigma_b=0.0, depth=3)
    >>> theory.variances.round(4).tolist()
    [1.0, 0.3943, 0.2365, 0.1667]
    """
    g = Integrand("signal", f, kinks)
    sigma_w, q = _positive("signal", "sigma_w", sigma_w), _positive("signal", "q", q)
    if not (math.isfinite(sigma_b) and sigma_b >= 0):
        raise ValueError(f"jaxact.signal: expected sigma_b >= 0, got {sigma_b!r}; it is a standard deviation")
    if not -1 <= c <= 1:
        raise ValueError(f"jaxact.signal: expected c in [-1, 1], got {c!r}; it is a correlation")
    check_depth("signal", depth)
    layers = _Layers(g, sigma_w, sigma_b)
    _moments(g, math.sqrt(q))  # raises if the first layer already has no moments

    variances, correlations = [q], [c]
    means, spreads, chi = [], [], []
    for _ in range(depth):
        q_l, c_l = variances[-1], correlations[-1]
        m = layers.moments(q_l)
        variances.append(_bounded(sigma_w**2 * m.second_moment + sigma_b**2))
        correlations.append(layers.correlation(q_l, c_l, variances[-1]))
        means.append(m.mean)
        spreads.append(m.variance)
        chi.append(sigma_w**2 * m.slope_second_moment)
    fixed_points = layers.variance_fixed_points(q)
    # An f with a kink has no slope at 0 itself, but it has one in the limit.
    at = max(_attractor(fixed_points, q, variances), 1e-12)
    chi_1 = layers.chi(at)
    correlation_points = layers.correlation_fixed_points(at, chi_1)
    settled = correlation_points[-1]
    return Signal(
        sigma_w=sigma_w,
        sigma_b=sigma_b,
        variances=np.array(variances),
        correlations=np.array(correlations),
        activation_means=np.array(means),
        activation_variances=np.array(spreads),
        chi=np.array(chi),
        fixed_points=fixed_points,
        correlation_fixed_points=correlation_points,
        chi_1=chi_1,
        depth_scale=-1 / math.log(max(abs(settled.slope), 1e-300)) if settled.stable else math.inf,
    )


class _Layers:
    """The maps of one layer: (q, c) -> (q, c)."""

    def __init__(self, g: Integrand, sigma_w: float, sigma_b: float):
        self.g, self.sigma_w, self.sigma_b = g, sigma_w, sigma_b

    def moments(self, q: float) -> Moments:
        if not 0 < q < math.inf:
            return Moments(math.nan, math.inf if q else 0.0, math.nan, math.nan)
        try:
            return _moments(self.g, math.sqrt(q))
        except InfiniteMomentError:
            return Moments(math.nan, math.inf, math.nan, math.nan)

    def variance(self, q: float) -> float:
        if not 0 < q < math.inf:
            return math.inf if q else self.sigma_b**2
        try:
            second = float(self.g.expect(lambda z, f: [np.square(f)], sigma=math.sqrt(q))[0])
        except InfiniteMomentError:
            return math.inf
        return self.sigma_w**2 * second + self.sigma_b**2

    def chi(self, q: float) -> float:
        return self.sigma_w**2 * self.moments(q).slope_second_moment

    def correlation(self, q: float, c: float, q_next: float) -> float:
        if math.isnan(c) or not (0 < q < math.inf and 0 < q_next < math.inf):
            return math.nan
        covariance = self.sigma_w**2 * self.g.covariance(math.sqrt(q), c) + self.sigma_b**2
        return min(1.0, max(-1.0, covariance / q_next))

    def variance_fixed_points(self, start: float) -> tuple[FixedPoint, ...]:
        def excess(log_q: float) -> float:
            q = math.exp(log_q)
            return min(self.variance(q) / q - 1, 1e9)

        grid = np.linspace(math.log(1e-6), math.log(1e6), 57)
        values = np.full(grid.shape, math.nan)
        with contextlib.suppress(ValueError):  # sin(sqrt(q) z) has too many waves from some q on
            for i, log_q in enumerate(grid):
                values[i] = excess(log_q)
        if (np.abs(values) < 1e-9).all():
            return (FixedPoint(start, 1.0),)
        points = []
        if self.sigma_b == 0 and abs(self.g.values(np.zeros(1))[0, 0]) < 1e-12:
            points.append(FixedPoint(0.0, self.variance(1e-12) / 1e-12))
        for left, right, a, b in zip(grid, grid[1:], values, values[1:], strict=False):
            if not math.isnan(a * b) and (a < 0) != (b < 0):
                q = math.exp(root(excess, left, right))
                # d/dq E f(sqrt(q) z)^2 = E f(x) f'(x) z / sqrt(q)
                slope = self.g.expect(lambda z, f, df: [f * df * z], sigma=math.sqrt(q), order=1)[0]
                points.append(FixedPoint(q, self.sigma_w**2 * float(slope) / math.sqrt(q)))
        return tuple(points)

    def correlation_fixed_points(self, q: float, chi_1: float) -> tuple[FixedPoint, ...]:
        """The point 1 and, if that is unstable, the stable one below it, which comes last."""
        one = FixedPoint(1.0, chi_1)
        if not chi_1 > 1 + 1e-8:
            return (one,)
        q_next = self.variance(q)

        def excess(c: float) -> float:
            return self.correlation(q, c, q_next) - c

        if abs(excess(0.0)) < 1e-12:
            c = 0.0
        else:
            below = next((b for b in (0.9, 0.99, 0.999, 0.9999, 0.99999) if excess(b) < 0), None)
            if below is None:
                return (one,)
            c = root(excess, 0.0, below)
        return one, FixedPoint(c, self.sigma_w**2 * self.g.covariance(math.sqrt(q), c, order=1) * q / q_next)


def check_depth(who: str, depth: int) -> None:
    """Raise unless `depth` is an int >= 1."""
    if isinstance(depth, bool) or not isinstance(depth, int | np.integer):
        raise TypeError(f"jaxact.{who}: expected depth to be an int, got {depth!r}; give the number of layers")
    if depth < 1:
        raise ValueError(f"jaxact.{who}: expected depth >= 1, got {depth}; give the number of layers")


def root(f: Callable[[float], float], left: float, right: float) -> float:
    """Where f changes its sign, by Brent's method."""
    return cast(float, optimize.brentq(f, left, right, xtol=1e-14))


def _positive(who: str, name: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"jaxact.{who}: expected {name} > 0 and finite, got {value!r}; choose another {name}")
    return float(value)


def _bounded(q: float) -> float:
    return math.inf if not q < 1e200 else q if q > 1e-200 else 0.0


def _moments(g: Integrand, sigma: float) -> Moments:
    mean, second, slope = g.expect(lambda z, f, df: [f, np.square(f), np.square(df)], sigma=sigma, order=1)
    # E f^2 - (E f)^2 would cancel.
    variance = g.expect(lambda z, f: [np.square(f - mean)], sigma=sigma)[0]
    return Moments(float(mean), float(second), float(variance), float(slope))


def _attractor(fixed_points: tuple[FixedPoint, ...], q: float, variances: list[float]) -> float:
    """The fixed point that the variances approach, or the last finite variance."""
    finite = [v for v in variances if 0 < v < math.inf]
    rising = variances[1] > q
    ahead = [p.value for p in fixed_points if math.isclose(p.value, q, rel_tol=1e-9) or (p.value > q) == rising]
    return min(ahead, key=lambda value: abs(value - q), default=finite[-1])
