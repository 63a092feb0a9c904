"""Transformed activations with which plain networks of 50 to 100 layers train: DKS and TAT.

Both put f into g(x) = gamma (f(alpha x + beta) + delta) and choose the four numbers so that the layers' maps of
variance, Q, and of correlation, C, have given values and slopes at 1. Sources: Martens et al. 2021 (DKS, arXiv
2110.01765), Zhang et al. 2022 (TAT, arXiv 2203.08120). The conditions are the papers'; unlike there, they are solved
for one unknown at a time.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxact.core import catalog
from jaxact.core.checks import as_array, as_float, widen
from jaxact.functions.leaky import leaky_relu
from jaxact.functions.rectifiers import relu
from jaxact.propagation.gaussian import Function, Integrand, name_of
from jaxact.propagation.signal import check_depth, root

_SHIFTS = np.linspace(-4.0, 4.0, 41)
_SCALES = np.logspace(-3, 1, 25)


@dataclasses.dataclass(frozen=True)
class Shaped:
    """g(x) = output_scale * (function(input_scale * x + input_shift) + output_shift), an activation like any other.

    It works under jit, vmap and grad, and keeps the dtype; 16-bit floats are computed in float32. It can be pickled if
    `function` can.
    """

    function: Function
    """What is transformed."""
    input_scale: float = 1.0
    """The factor of x."""
    input_shift: float = 0.0
    """The number that is added to the scaled x."""
    output_scale: float = 1.0
    """The factor of the result, after `output_shift` is added."""
    output_shift: float = 0.0
    """The number that is added to the result."""
    config: Mapping[str, Any] | None = dataclasses.field(default=None, compare=False, repr=False)
    """The config that `jaxact.get` made it from, for `jaxact.config`."""

    def __call__(self, x: ArrayLike) -> jax.Array:
        """Evaluate it elementwise."""
        array = as_float(self.__name__, as_array(self.__name__, x))
        inner = self.function(self.input_scale * widen(array) + self.input_shift)
        return (self.output_scale * (inner + self.output_shift)).astype(array.dtype)

    @property
    def __name__(self) -> str:
        return f"shaped_{name_of(self.function)}"


def tat(
    f: Function = leaky_relu,
    depth: int = 50,
    *,
    eta: float = 0.9,
    tau: float = 0.3,
    kinks: Sequence[float] | None = None,
) -> Shaped:
    """Tailored Activation Transformation: shape f for a plain network of `depth` layers.

    For leaky_relu (and relu, which has slope 0) the result is sqrt(2 / (1 + a^2)) leaky_relu(x, a), with the a for
    which two unrelated inputs leave the last layer with correlation C_f(0) = eta. For a smooth f the conditions are
    Q(1) = Q'(1) = C'(1) = 1 and C''(1) = tau / depth.

    Args:
      f: any twice differentiable elementwise function of one array, or jaxact's or jax.nn's leaky_relu or relu.
      depth: how many activations follow each other, >= 1.
      eta: for leaky_relu, in (0, 1). The paper takes 0.8 to 0.95.
      tau: for other functions, > 0. The paper takes 0.3.
      kinks: as in `moments`.

    Returns:
      The transformed function; pair it with `init_for(tat(f, depth))`, best with distribution="orthogonal".

    Raises:
      TypeError: as for `moments`, or depth is not an int.
      ValueError: depth, eta or tau is out of its range, f has a kink, or no constants meet the conditions. The message
        then says which values can be reached.

    >>> round(jaxact.propagation.tat(jaxact.leaky_relu, depth=50).function.keywords["negative_slope"], 7)
    0.4305229
    """
    check_depth("tat", depth)
    _check_open("tat", "eta", eta, 1.0)
    _check_open("tat", "tau", tau, math.inf)
    inner = f.func if isinstance(f, functools.partial) else f
    if inner in (leaky_relu, relu, jax.nn.leaky_relu, jax.nn.relu):
        slope = _leaky_slope(depth, eta)
        bent = catalog.get({"name": "leaky_relu", "negative_slope": slope})  # one object, also after pickling
        return Shaped(bent, output_scale=math.sqrt(2 / (1 + slope**2)))
    g = Integrand("tat", f, kinks)
    if g.kinks.size:
        raise ValueError(
            f"jaxact.tat: expected a smooth function, but {g.name} has a kink at x = {g.kinks[0]:.6g}, where it has no "
            "curvature; use dks, or tat of leaky_relu"
        )

    def curvature(scale: float, shift: float) -> float:
        """C''(1) / C'(1)."""
        df, ddf = g.expect(lambda z, f, df, ddf: [df * df, ddf * ddf], mean=shift, sigma=scale, order=2)
        return float(scale**2 * ddf / df) if df > 0 else math.inf

    def condition(scale: float, shift: float) -> float:
        """0 where the output_shift that makes Q(1) = 1 is the one that makes Q'(1) = 1."""
        mean, df, ddf = g.expect(lambda z, f, df, ddf: [f, df * df, ddf], mean=shift, sigma=scale, order=2)
        spread, mixed = g.expect(
            lambda z, f, df, ddf: [np.square(f - mean), (f - mean) * ddf], mean=shift, sigma=scale, order=2
        )
        # By Stein's lemma Q'(1) = C'(1) + E g g'', and E g g'' = 0 with both squares of (E f + output_shift) equal.
        return float(mixed**2 - ddf**2 * max(scale**2 * df - spread, 0.0)) / float(scale**2 * df) ** 2

    scale, shift = _solve("tat", g.name, "C''(1)", curvature, tau / depth, condition)
    mean, df, ddf = g.expect(lambda z, f, df, ddf: [f, df * df, ddf], mean=shift, sigma=scale, order=2)
    mixed = g.expect(lambda z, f, df, ddf: [(f - mean) * ddf], mean=shift, sigma=scale, order=2)[0]
    return Shaped(f, scale, shift, 1 / (scale * math.sqrt(df)), float(-mixed / ddf - mean))


def dks(f: Function, depth: int = 50, *, zeta: float = 1.5, kinks: Sequence[float] | None = None) -> Shaped:
    """Deep Kernel Shaping: shape f for a plain network of `depth` layers.

    The conditions are Q(1) = Q'(1) = 1, C(0) = 0 and C'(1) = zeta^(1 / depth), so that C'(1) of the whole network is
    zeta.

    Args:
      f: any elementwise function of one array that is not homogeneous; for relu and leaky_relu use `tat`.
      depth: how many activations follow each other, >= 1.
      zeta: the slope of the whole network's correlation map at 1, > 1. The paper takes 1.5.
      kinks: as in `moments`.

    Returns:
      The transformed function; pair it with `init_for(dks(f, depth))`, best with distribution="orthogonal".

    Raises:
      TypeError: as for `moments`, or depth is not an int.
      ValueError: depth or zeta is out of its range, or no constants meet the conditions. The message then says which
        values can be reached.

    >>> g = jaxact.propagation.dks(jaxact.softplus, depth=50)
    >>> mean, second_moment, *_ = jaxact.propagation.moments(g)
    >>> abs(mean) < 1e-6, round(second_moment, 6)
    (True, 1.0)
    """
    check_depth("dks", depth)
    if not (math.isfinite(zeta) and zeta > 1):
        raise ValueError(f"jaxact.dks: expected zeta > 1 and finite, got {zeta!r}; the paper takes 1.5")
    g = Integrand("dks", f, kinks)

    def spread(scale: float, shift: float) -> tuple[float, float]:
        mean = g.expect(lambda z, f: [f], mean=shift, sigma=scale)[0]
        return float(mean), float(g.expect(lambda z, f: [np.square(f - mean)], mean=shift, sigma=scale)[0])

    def slope(scale: float, shift: float) -> float:
        """C'(1), less 1: the network's nonlinearity."""
        variance = spread(scale, shift)[1]
        df = g.expect(lambda z, f, df: [df * df], mean=shift, sigma=scale, order=1)[0]
        return float(scale**2 * df / variance) - 1 if variance > 0 else math.inf

    def condition(scale: float, shift: float) -> float:
        """Q'(1) - 1."""
        mean, variance = spread(scale, shift)
        return (
            float(g.expect(lambda z, f, df: [(f - mean) * df * z], mean=shift, sigma=scale, order=1)[0])
            * scale
            / variance
            - 1
        )

    scale, shift = _solve("dks", g.name, "C'(1) - 1", slope, zeta ** (1 / depth) - 1, condition)
    mean, variance = spread(scale, shift)
    return Shaped(f, scale, shift, variance**-0.5, -mean)


def from_config(config: Mapping[str, Any]) -> Shaped:
    """Build a transformed activation from a config that JSON can hold.

    Args:
      config: {"name": "tat" or "dks", "of": an activation's name, "depth": an int}; also "eta" and "tau" of `tat` or
        "zeta" of `dks`, where they differ from the defaults.

    Raises:
      ValueError: a key is missing or unknown, or the activation is unknown. Otherwise as for `tat` and `dks`.

    >>> jaxact.propagation.from_config({"name": "tat", "of": "leaky_relu", "depth": 20}).output_scale
    1.3915...
    """
    transforms = {"tat": (tat, {"eta", "tau"}), "dks": (dks, {"zeta"})}
    needed = {"name", "of", "depth"}
    if config.get("name") not in transforms or not needed <= config.keys():
        raise ValueError(
            'jaxact.from_config: expected {"name": "tat" or "dks", "of": an activation, "depth": an int}, '
            f"got {dict(config)!r}; add or correct a key"
        )
    transform, options = transforms[config["name"]]
    if unknown := config.keys() - needed - options:
        raise ValueError(
            f"jaxact.from_config: {config['name']} has no {', '.join(sorted(unknown))}; it takes "
            f"{', '.join(sorted(options))}"
        )
    made = transform(catalog.get(config["of"]), config["depth"], **{k: config[k] for k in options & config.keys()})
    return dataclasses.replace(made, config=dict(config))


def _leaky_slope(depth: int, eta: float) -> float:
    """The a for which C composed `depth` times sends 0 to eta."""

    def reached(a: float) -> float:
        c = 0.0
        for _ in range(depth):
            arc = math.sqrt(max(0.0, 1 - c * c)) + (math.pi - math.acos(min(1.0, c))) * c
            c = ((1 - a) ** 2 * arc / math.pi + 2 * a * c) / (1 + a * a)
        return c

    most = reached(0.0)
    if eta > most:
        raise ValueError(
            f"jaxact.tat: leaky_relu cannot reach eta = {eta:g} in {depth} layers; relu itself gives {most:.4f}: any "
            "smaller eta can be reached, or this one by a deeper network"
        )
    return root(lambda a: reached(a) - eta, 0.0, 1.0)


def _solve(
    who: str,
    name: str,
    what: str,
    local: Callable[[float, float], float],
    target: float,
    condition: Callable[[float, float], float],
) -> tuple[float, float]:
    """The scale, and the smallest shift, with local(scale, shift) = target and condition(scale, shift) = 0."""

    def scale_at(shift: float) -> float | None:
        previous = None
        for scale in _SCALES:
            try:
                value = local(float(scale), shift)
            except ValueError:
                return None
            best[0] = max(best[0], value)
            if value >= target:
                if previous is None:
                    return None
                return math.exp(root(lambda s: local(math.exp(s), shift) - target, math.log(previous), math.log(scale)))
            previous = float(scale)
        return None

    @functools.cache
    def residual(shift: float) -> float:
        scale = scale_at(shift)
        return math.nan if scale is None else condition(scale, shift)

    best = [-math.inf]
    for left, right in sorted(itertools.pairwise(_SHIFTS), key=lambda pair: abs(pair[0] + pair[1])):
        a, b = residual(float(left)), residual(float(right))
        if a * b < 0:
            shift = root(residual, float(left), float(right))
            scale = scale_at(shift)
            assert scale is not None
            return scale, shift
    detail = f"the largest {what} that it has is {best[0]:.3g}" if best[0] < target else "its shape is wrong for it"
    raise ValueError(
        f"jaxact.{who}: {name} cannot reach {what} = {target:.3g} with Q(1) = Q'(1) = 1 at any input_shift in [-4, 4]: "
        f"{detail}; tanh, softplus, gelu and silu can, and leaky_relu with tat"
    )


def _check_open(who: str, name: str, value: float, stop: float) -> None:
    if not 0 < value < stop:
        raise ValueError(f"jaxact.{who}: expected {name} in (0, {stop:g}), got {value!r}; choose another {name}")
