"""Less memory for a backward pass, at some cost in accuracy: derivatives from the output and one bit per entry."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxact.core import catalog
from jaxact.core.catalog import Function
from jaxact.core.checks import as_float, widen
from jaxact.core.numerics import horner
from jaxact.core.rule import derivative_rule, jitted, public

__all__ = ["compact"]

_Coefficients = tuple[tuple[float, ...], tuple[float, ...]]


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _unrounded(above: Array, ulp: float) -> Array:
    """Guess what y - y* was before y was rounded. The guess is not 0.

    The difference lies in y - y* +- ulp / 2. Over that range the slope beside the minimum, which is its root, changes
    by root(ulp) and not by ulp, so the middle of the slope's range is the guess that is least wrong.
    """
    least = float(jnp.finfo(above.dtype).tiny)
    low, high = (jnp.sqrt(jnp.maximum(above + half, least)) for half in (-ulp / 2, ulp / 2))
    return jnp.square((low + high) / 2)


@_unrounded.defjvp
def _unrounded_jvp(ulp: float, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _unrounded(*primals, ulp), *tangents


@dataclasses.dataclass(frozen=True)
class _Minimum:
    """A function that falls to its one minimum and then rises to the identity, and its slope from the value.

    On the left, with r = sqrt(-log(y / y*)), the slope is y r N(r) / M(r) to 1e-5 of itself, as far as float32 holds y.
    On the right, with s = sqrt(y - y*), it is s N(s) / M(s) to 2e-6. `python -m benchmarks.coefficients` computes both.
    """

    x: float
    y: float
    left: _Coefficients
    last: float
    """The s from which on the slope is 1."""
    centre: float
    """The polynomials on the right are in s less this number, since in s their terms cancel."""
    right: _Coefficients

    def slope(self, y: Array, right: Array, ulp: float, scale: float) -> Array:
        """The slope of f(scale x) / scale where it is y; `ulp` is the last digit of scale y beside the minimum."""
        # Not scale y less the minimum: a compiler may fuse the two and not round the product, and the second derivative
        # divides by a slope from one such difference and multiplies by one from another, so both have to be the same.
        least = self.y / scale
        high = float(np.asarray(least, y.dtype))
        above = jnp.minimum(((y - high) - (least - high)) * scale, self.last**2 + 1)
        root = jnp.sqrt(_unrounded(above, ulp))
        s = jnp.minimum(root, self.last)
        depth = jnp.minimum(jnp.square(root) / -self.y, 0.5)
        share = jnp.clip(y / least, float(jnp.finfo(y.dtype).tiny), 0.5)
        r = jnp.sqrt(-jnp.where(depth < 0.5, jnp.log1p(-depth), jnp.log(share)))
        on_left, on_right = (
            variable * (horner(n, at) / horner(m, at))
            for variable, at, (n, m) in ((r, r, self.left), (s, s - self.centre, self.right))
        )
        return jnp.where(right, jnp.where(root < self.last, on_right, 1), jnp.minimum(scale * y, 0) * on_left)


_GELU = _Minimum(
    -0.75246142207101625849,
    -0.17004075057125405064,
    (
        (0.0004570919161, 0.002867136643, 0.08566462204, -0.03158540295, 0.536597589, -0.373527699, 2.249978436),
        (8.041588858e-05, 0.001805850558, 0.02365321445, 0.1272163698, -0.04738144383, 0.3678679447, 1),
    ),
    2.4326,
    1.25,
    (
        (
            0.009552007381, -0.04399584061, 0.09528519037, 0.01879436108,
            -0.2168784863, 0.3673850579, -0.2397758511, 0.08876792771,
        ),
        (
            0.008327566699, 0.008805840873, 0.03137736001, 0.06267803862,
            -0.1106807778, 0.2607137397, -0.1815476236, 0.09837772173,
        ),
    ),
)  # fmt: skip
_GELU_EXACT = _Minimum(
    -0.75179152469356445746,
    -0.16997120747990366169,
    (
        (0.01575773326, 0.1526065456, 0.6914434572, 1.903882458, 3.391385997, 3.759091227, 2.253277576),
        (0.01114239508, 0.1079093929, 0.4841644732, 1.30031162, 2.199948853, 2.200752844, 1),
    ),
    2.5334,
    1.25,
    (
        (
            0.008600109611, -0.03729025539, 0.1087605463, 0.01894786145,
            -0.1875442855, 0.3896944023, -0.2531091805, 0.1063289736,
        ),
        (
            0.01244008792, 0.02444708869, 0.06260193452, 0.09204227214,
            -0.07138439583, 0.2886422723, -0.1792834906, 0.1178635219,
        ),
    ),
)  # fmt: skip
_SILU = _Minimum(
    -1.2784645427610737951,
    -0.27846454276107379511,
    (
        (1.034099469e-05, 0.02207819557, 0.02562935354, -0.07382596716, 0.5351514825, -0.537603665, 1.250750129),
        (0.02246416164, 0.01958276196, 0.0006094844041, 0.2841974674, 0.1689085782, 0.2879083109, 1),
    ),
    4.66367,
    2.25,
    (
        (
            0.0001511153684, 0.0004429328946, 0.02649792728, 0.105933058,
            0.2775321353, 0.621993762, 0.4665935329, 0.5219922054,
        ),
        (
            0.001871128351, 0.02615897744, 0.1565819844, 0.5500143242,
            1.208418064, 1.852684474, 1.630835323, 1.140047627,
        ),
    ),
)  # fmt: skip
_MISH = _Minimum(
    -1.1924312145154952121,
    -0.30884341301725040663,
    (
        (8.054889573e-06, 0.03398782968, 0.02927855547, -0.04107016075, 0.4820893843, -0.2073844502, 1.31479814),
        (0.03429177212, 0.02445215414, 0.03548609965, 0.2788080561, 0.3557511408, 0.6200112831, 1),
    ),
    3.40827,
    1.75,
    (
        (
            0.001321660769, 0.01334460147, 0.1431623085, 0.3796769217,
            0.5516663574, 0.8088959952, 0.3463654498, 0.2880454509,
        ),
        (
            0.02104544401, 0.1669777098, 0.5940887501, 1.287979656,
            1.728662371, 1.743310557, 0.9322699665, 0.4898897249,
        ),
    ),
)  # fmt: skip
_GOLU = _Minimum(
    -0.567143290409783873,
    -0.097260131227639404585,
    (
        (0.02132611031, 0.1845115851, 0.7416364844, 1.986217318, 3.611939768, 4.129905897, 3.121594975),
        (-1.147494442e-07, 0.02133366994, 0.1842073989, 0.653701614, 1.366248667, 1.72629711, 1),
    ),
    4.6669,
    2.25,
    (
        (
            0.0002989043413, 0.008204312389, 0.112283808, 0.4055936028,
            1.023244246, 1.928887196, 1.57651137, 1.51382302,
        ),
        (
            0.01146833938, 0.1251559272, 0.6465588975, 2.00202228,
            4.150460811, 5.879691524, 5.210341365, 3.317295761,
        ),
    ),
)  # fmt: skip

_MINIMA = {"silu": _SILU, "quick_gelu": _SILU, "mish": _MISH, "golu": _GOLU}
_FROM_OUTPUT = {"sigmoid": lambda y: y * (1 - y), "tanh": lambda y: (1 - y) * (1 + y)}
_HIGHER_SLOPE = {
    **dict.fromkeys(("relu", "relu6", "leaky_relu", "hard_tanh", "hard_shrink", "soft_shrink", "threshold"), 1.0),
    "hard_sigmoid": 1 / 6,
}
"""The larger slope of functions with two slopes; the lower one is negative_slope, or 0."""


def _pack(mask: Array) -> Array:
    """Pack eight bits into a byte, unless an explicit mesh has the bits of a byte on two devices."""
    mask = jnp.atleast_1d(mask)
    sharding = jax.typeof(mask).sharding
    names = sharding.spec[-1] or ()
    shards = math.prod(sharding.mesh.shape[n] for n in ((names,) if isinstance(names, str) else names))
    return jnp.packbits(mask, axis=-1) if shards == 1 or mask.shape[-1] % (8 * shards) == 0 else mask


def _unpack(bits: Array, like: Array) -> Array:
    if bits.dtype == bool:
        return bits
    if like.size == 0:  # jnp.unpackbits fails for an empty array
        return jnp.zeros(like.shape, bool)
    count = like.shape[-1] if like.ndim else 1
    return jnp.unpackbits(bits, axis=-1, count=count).reshape(like.shape) == 1


class _Rule(NamedTuple):
    """What a backward pass keeps."""

    output: bool
    """Whether it keeps the output."""
    bit: Callable[[Array], Array] | None
    """Gives one bit for each entry of x, if that is kept."""
    slope: Callable[..., Array]
    """Takes the output, the bits, and the spacing of the output's numbers around 1; gives bools if it is 0 or 1."""


def _by_minimum(minimum: _Minimum, scale: float) -> _Rule:
    """The rule for f(scale x) / scale."""
    unit = math.ldexp(abs(scale), math.frexp(minimum.y / scale)[1] - 1)
    return _Rule(
        output=True,
        bit=lambda x: scale * x > minimum.x,
        slope=lambda y, right, spacing: minimum.slope(y, right, unit * spacing, scale),
    )


def _by_slopes(f: Function, low: float, high: float) -> _Rule:
    def is_high(x: Array) -> Array:
        _, slope = jax.jvp(f, (x,), (jnp.ones_like(x),))
        return jnp.abs(slope - high) < jnp.abs(slope - low)

    def slope(t: Array, bits: Array, spacing: float) -> Array:
        return bits if (low, high) == (0, 1) else jnp.where(bits, high, jnp.full_like(t, low))

    return _Rule(output=False, bit=is_high, slope=slope)


def _rule(f: Function, name: str, settings: Mapping[str, Any]) -> _Rule:
    """The rule of the catalog's function of this name, with these parameters."""
    if name == "gelu":
        return _by_minimum(_GELU if settings.get("approximate", True) else _GELU_EXACT, 1.0)
    if name in _MINIMA:
        scale = 1.702 if name == "quick_gelu" else float(settings.get("beta", 1.0))
        if not 0 < abs(scale) < math.inf:
            raise ValueError(
                f"jaxact.compact: expected beta of silu to be finite and not 0, got {scale}; use silu itself"
            )
        return _by_minimum(_MINIMA[name], scale)
    if name in _FROM_OUTPUT:
        return _Rule(output=True, bit=None, slope=lambda y, *_: _FROM_OUTPUT[name](y))
    if name in _HIGHER_SLOPE:
        low = settings.get("negative_slope", catalog.info(name).parameters.get("negative_slope", 0.0))
        return _by_slopes(f, float(low), _HIGHER_SLOPE[name])
    known = sorted(["gelu", *_MINIMA, *_FROM_OUTPUT, *_HIGHER_SLOPE])
    raise ValueError(
        f"jaxact.compact: expected one of {', '.join(known)}, got {name}; its derivative needs x, so use it as it is"
    )


class Compact:
    """A function that `compact` made. Pickle and copy give the same object again."""

    def __init__(self, f: Function, run: Callable[..., Array], settings: Mapping[str, Any]) -> None:
        self.__name__ = self.__qualname__ = run.__name__
        self.config = {"name": "compact", "of": dict(settings) if len(settings) > 1 else settings["name"]}
        self.__wrapped__ = self._run = run
        self._f = f

    def __call__(self, x: ArrayLike) -> Array:
        """Evaluate f, with the derivative that keeps less."""
        return self._run(x)

    def __repr__(self) -> str:
        return f"jaxact.compact({self._f!r})"

    def __reduce__(self) -> Any:
        return compact, (self._f,)


def compact(f: Function) -> Compact:
    """Make a function with f's values whose backward pass keeps less: the output, which the next layer keeps anyway.

    For gelu (both forms), silu (with any number beta), quick_gelu, mish and golu the backward pass keeps the output and
    one bit per entry, which says on which side of the minimum x is; it computes the derivative from the two. For
    sigmoid and tanh it keeps the output alone, and the derivative is y (1 - y) and 1 - y^2. For functions with two
    slopes (relu, leaky_relu, relu6, hard_tanh, hard_sigmoid, threshold, hard_shrink, soft_shrink) it keeps only a bit
    per entry, which saves memory where the next layer does not keep the output; their derivative stays exact.

    The price is accuracy, since y is rounded. Beside the minimum the derivative is off by up to 1.5e-4 (f32), 5e-3
    (f16) or 0.015 (bf16), and elsewhere by 1e-5, also in f64. The second derivative is off by up to 1e-3 (f32). The
    derivatives of sigmoid and tanh have the absolute error of y, even where they are much smaller than y. The
    derivatives of f itself are right to a few ulp. At -inf and inf, the value and the derivative are those of f.

    Args:
      f: a function of the catalog, or a `functools.partial` of one with numbers as parameters.

    Returns:
      A jitted function of one array with f's values, dtypes, and name. Equal f give the same function, so that a model
      may call `compact` each time.

    Raises:
      ValueError: f is not one of these, or a parameter is not a number.

    Reference: "Inverted Activations", 2024, arXiv:2407.15545; "Tempo", NeurIPS 2022, arXiv:2210.10246.

    >>> print(jax.grad(jaxact.compact(jaxact.silu))(1.0).round(4))
    0.9277
    """
    try:
        settings = catalog.config(f)
        for parameter, value in settings.items():
            if not isinstance(value, bool | int | float) and parameter != "name":
                raise TypeError(f"{parameter} is {value!r}")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"jaxact.compact: expected a function of the catalog whose parameters are numbers; {error}"
        ) from None
    kinds = tuple((parameter, type(value), value) for parameter, value in sorted(settings.items()))  # 0 == False
    return _compact(catalog.info(settings["name"]).function, kinds)


@functools.cache
def _compact(f: Function, settings: tuple[tuple[str, type, Any], ...]) -> Compact:
    given = {parameter: value for parameter, _, value in settings}
    name = given.pop("name")
    f = functools.partial(f, **given) if given else f
    rule = _rule(f, name, given)

    def keep(primals: Sequence[Array], y: Array, asked: Sequence[bool]) -> Any:
        (x,) = primals
        return y if rule.output else None, None if rule.bit is None else _pack(rule.bit(widen(x)))

    def tangent(kept: Any, tangents: Sequence[Array]) -> Array:
        (y, bits), (t,) = kept, tangents
        wide = widen(t)
        slope = rule.slope(
            wide if y is None else widen(y),
            None if bits is None else _unpack(bits, t),
            float(jnp.finfo(t.dtype).eps),
        )
        # Where f is flat, an infinite tangent gives 0 too.
        return (jnp.where(slope, wide, 0) if slope.dtype == bool else wide * slope).astype(t.dtype)

    kernel = derivative_rule(name, f, tangent, keep, live=1)
    run = public(name, jitted(name, lambda x: kernel(as_float(name, x))), ("x",))
    return Compact(f, run, {"name": name, **given})
