"""Functions of several numbers and learned modules against their textbook: value, slopes in both modes, Hessian, third.

In x and in every number among the parameters, mixed derivatives included, and with masks. The unit is DESIGN's, its
second term the sum over all inputs. Third derivatives are those of functions in float32, in one direction, right to
1e-5 of their largest value. What has x alone is in tests/test_derivatives.py and tests/test_high_orders.py.
"""

import dataclasses
import functools
import inspect
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from flax import nnx

import jaxact.nnx
from jaxact.core import catalog
from jaxact.modules import learned
from jaxact.verify.oracles import elementwise, textbook
from jaxact.verify.oracles.differences import derivatives
from jaxact.verify.unit import BOUNDS, smallest, units
from tests.compiling import QUICKLY

pytestmark = pytest.mark.quickly_compiled

NOT_DIFFERENTIATED = {"axis", "axis_name", "where", "key", "hard", "approximate", "eps", "keepdims", "return_sign"}
SHARES = ("softmax", "softmin", "ssmax", "gumbel_softmax", "SSMax", "SoftmaxSink")
"""Those whose value DESIGN holds to 12 units in float32."""
KEY = jax.random.key(3)

SCALARS = [[x] for x in (-20, -5.3, -2.2, -1.1, -0.35, -0.01, 0, 0.4, 0.8, 1.7, 3.3, 20)]
PAIRS = [[*p] for p in itertools.product((-20, -3.3, -0.7, 0.015, 1.9, 12), (-11.3, -1.2, 4.1))]
ROWS = [[0.3, -0.7, 1.2, 0.5], [2, 2, -1.5, 0.25], [9, -4, 1, -0.1], [0.01, 0.02, -0.03, 0.004], [20, 2, 1, -30]]
POINTS = {"pointwise": SCALARS, "gated": PAIRS, "axis": ROWS, "random": SCALARS}
MASK = [True, False, True, True]

SETTINGS: Mapping[str, list[dict[str, Any]]] = {
    "softmax": [{"temperature": 0.7, "sink": 0.3}, {"temperature": 3.0, "sink": -1.0}],
    "log_softmax": [{"temperature": 0.7, "sink": 0.3}, {"temperature": 3.0, "sink": -1.0}],
    "logsumexp": [{"b": [0.5, 2.0, 1.0, 0.25]}],
    "gumbel_softmax": [{"tau": 0.7}],
    "gaussian_topk": [{"sparsity": 0.4}],
    "rrelu": [{"lower": 0.1, "upper": 0.4}],
    "softpick": [{"epsilon": 0.1}],
    "poly_norm": [{"weight": [0.5, -0.25, 0.3], "bias": 0.1}],
    "rational": [{"numerator": [0.1, 0.5, 0.4, 0.1], "denominator": [0.3, 0.2]}],
    "dyt": [{"alpha": 0.5, "gamma": 1.5, "beta": 0.25}],
    "derf": [{"alpha": 0.5, "shift": 0.1, "gamma": 1.5, "beta": 0.25}],
}
"""Values of parameters beside the catalog's defaults and variants."""


@dataclasses.dataclass(frozen=True, eq=False)
class Tried:
    """A function of entries and parameters, its formula of the same, and settings that give the same parameters."""

    name: str
    function: Callable[..., Any]
    formula: Callable[..., Any]
    entries: list[list[float]]
    settings: list[dict[str, Any]]
    masked: bool = False
    """Whether the function takes a mask, `where`: then the last points are tried with one."""
    drawn: list[float] | None = None
    """What is added to the entries, and rounded with them."""

    def _split(self, z: Any) -> tuple[list[Any], dict[str, Any]]:
        """Entries and parameters out of one vector."""
        n = len(self.entries[0])
        entries, rest = list(z[:n]), iter(z[n:])
        shapes = sorted(self.settings[0].items())
        return entries, {k: next(rest) if np.ndim(v) == 0 else [next(rest) for _ in v] for k, v in shapes}

    def of_arrays(self, z: jax.Array, mask: jax.Array) -> jax.Array:
        entries, given = self._split(z)
        given = {k: jnp.stack(v) if isinstance(v, list) else v for k, v in given.items()}
        if not self.masked:
            return jnp.atleast_1d(self.function(entries, **given))
        return jnp.where(mask, self.function(entries, where=mask, **given), 0)  # log_softmax gives -inf there

    def of_numbers(self, z: list[Any], mask: list[bool]) -> list[Any]:
        entries, given = self._split(z)
        seen = entries if not self.masked else list(itertools.compress(entries, mask))
        y = self.formula(mpmath.mp, seen, **given)
        if not self.masked:
            return y if isinstance(y, list) else [y]
        values = iter(y)
        return [next(values) if each else mpmath.mpf(0) for each in mask]

    @functools.cached_property
    def points(self) -> np.ndarray:
        flat = [np.concatenate([np.ravel(v) for _, v in sorted(s.items())] or [np.zeros(0)]) for s in self.settings]
        points = np.array([[*x, *p] for p in flat for x in self.entries], np.float32)
        return np.concatenate([points, points[: len(self.entries)]]) if self.masked else points

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """Of the inputs, for the unit's second term."""
        sizes = np.abs(self.points).astype(np.float64)
        if self.drawn:
            sizes[:, : len(self.drawn)] += np.abs(self.drawn)
        return sizes

    @functools.cached_property
    def masks(self) -> np.ndarray:
        """The last points, one setting of the parameters, are masked."""
        at = np.arange(len(self.points))[:, None]
        return (at < len(self.points) - len(self.entries) * self.masked) | np.array(MASK)

    @functools.cached_property
    def expected(self) -> list[np.ndarray]:
        """Derivatives of order 0 to 3 at all points."""
        every = [
            derivatives(functools.partial(self.of_numbers, mask=mask), z, 3)
            for z, mask in zip(self.points.tolist(), self.masks.tolist(), strict=True)
        ]
        return [np.stack(d) for d in zip(*every, strict=True)]


def _settings(row: catalog.Row) -> list[dict[str, Any]]:
    """SETTINGS, or defaults and variants; of a row, x alone as well."""
    numbers = {k: v for k, v in row.parameters.items() if k not in NOT_DIFFERENTIATED and isinstance(v, int | float)}
    flags = [{"approximate": flag} for flag in (True, False)] if "approximate" in row.parameters else [{}]
    variants = [v for v in ({}, *row.variants) if "approximate" not in v]
    needed = {k for k, v in row.parameters.items() if v is inspect.Parameter.empty} - {"key"}
    every = SETTINGS.get(row.name) or [{**numbers, **v} for v in variants if needed <= {*v}]
    every = [s for s in every if np.isfinite([v for v in s.values() if np.ndim(v) == 0]).all()]
    alone = [{}] if row.kind == "axis" and every != [{}] and not needed else []
    return [{**s, **flag} for s in (*every, *alone) for flag in flags]


def _tried(row: catalog.Row) -> list[Tried]:
    """One for each set of parameters that is given, since each is a program of its own."""
    groups: dict[tuple, list] = {}
    for setting in _settings(row):
        flags = {k: v for k, v in setting.items() if isinstance(v, bool)}
        numbers = {k: v for k, v in setting.items() if k not in flags}
        groups.setdefault((tuple(flags.items()), tuple(sorted(numbers))), []).append(numbers)
    return [
        _of_kind(row, f"{row.name}({','.join([*(f'{k}={v}' for k, v in flags), *names])})", dict(flags), settings)
        for (flags, names), settings in groups.items()
    ]


def _of_kind(row: catalog.Row, name: str, flags: dict[str, bool], settings: list[dict[str, float]]) -> Tried:
    function = functools.partial(row.function, **flags)
    entries = POINTS[row.kind]
    if row.kind == "pointwise":
        oracle = elementwise.POINTWISE[row.name]
        formula = lambda m, x, **p: oracle.definition(m, x[0], **flags, **p)  # noqa: E731
        entries = [x for x in entries if x[0] not in oracle.joints]
        return Tried(name, lambda x, **p: function(x[0], **p), formula, entries, settings)
    table = {"gated": textbook.GATED, "axis": textbook.ROWS, "random": textbook.RANDOM}[row.kind]
    definition = functools.partial((textbook.RANDOM if "key" in row.parameters else table)[row.name], **flags)
    if row.name == "glu":
        packed = lambda x: function(jnp.stack(x[::-1]))[0]  # noqa: E731
        return Tried(name, packed, lambda m, x: definition(m, *x), entries, settings)
    if row.kind == "gated":
        call = lambda x, **p: function(*x, **p)  # noqa: E731
        return Tried(name, call, lambda m, x, **p: definition(m, *x, **p), entries, settings)
    if row.kind == "random":
        drawn = -float(row.function(-1.0, KEY, lower=0.0, upper=1.0))
        formula = lambda m, x, **p: definition(m, x[0], drawn, **p)  # noqa: E731
        return Tried(name, lambda x, **p: function(x[0], KEY, **p), formula, [x for x in entries if x[0]], settings)
    if "key" in row.parameters:
        drawn = jax.random.gumbel(KEY, (4,), jnp.float32).tolist()
        call = lambda x, **p: function(jnp.stack(x), KEY, **p)  # noqa: E731
        return Tried(name, call, lambda m, x, **p: definition(m, x, drawn, **p), entries, settings, drawn=drawn)
    call = lambda x, **p: function(jnp.stack(x), **p)  # noqa: E731
    return Tried(name, call, definition, entries, settings, masked="where" in row.parameters and bool(settings[0]))


def _in_x_alone(row: catalog.Row) -> bool:
    return row.kind == "pointwise" and not {*row.parameters} - NOT_DIFFERENTIATED


ALL = [tried for row in catalog.rows() if not _in_x_alone(row) for tried in _tried(row)]
"""One for each set of parameters that is given, since each is a program of its own."""


LEARNED: Mapping[str, tuple[tuple, dict[str, Any]]] = {
    "PReLU": ((), {"negative_slope": 0.3}),
    "Swish": ((), {"beta": 1.3}),
    "Snake": ((), {"alpha": 1.7}),
    "SnakeBeta": ((), {"log_alpha": 0.2, "log_beta": -0.3}),
    "StarReLU": ((), {"scale": 0.9, "bias": -0.4}),
    "XIELU": ((), {"raw_alpha_p": 0.2, "raw_alpha_n": -0.5}),
    "DyT": ((1,), {"alpha": 0.5, "gamma": [1.5], "beta": [0.25]}),
    "Derf": ((1,), {"alpha": 0.5, "shift": 0.1, "gamma": [1.5], "beta": [0.25]}),
    "Rational": ((), {"numerator": [0.1, 0.5, 0.4, 0.1, 0.01, 0.003], "denominator": [0.3, 0.2, 0.1, 0.05]}),
    "PolyNorm": ((), {"weight": [0.5, -0.25, 0.3], "bias": 0.1}),
    "SSMax": ((), {"scale": 0.43}),
    "SoftmaxSink": ((), {"sink": 0.3}),
}
"""Modules with learned parameters: their arguments, and values of what they learn."""


def _module(name: str) -> Tried:
    arguments, parameters = LEARNED[name]
    graph, state = nnx.split(getattr(jaxact.nnx, name)(*arguments))

    def function(x, **given):
        placed = jax.tree.map(lambda p: p, state)
        nnx.replace_by_pure_dict(placed, given)
        return nnx.merge(graph, placed)(jnp.stack(x))

    of_row = name in ("PolyNorm", "SSMax", "SoftmaxSink")
    definition = textbook.LEARNED[name]
    formula = definition if of_row else lambda m, x, **p: definition(m, x[0], **p)
    entries = ROWS if of_row else [x for x in SCALARS if x[0]]  # where some have a kink
    return Tried(name, function, formula, entries, [parameters])


WIDER: Mapping[str, dict[int, int]] = {"SnakeBeta": {0: 6}, "Rational": {1: 12}}
"""Bounds by order in float32. SnakeBeta divides by exp(log_beta), which is rounded: 5.2 units beside a root.

The coefficients of the numerator of Rational's slope are rounded: 10.3 units on JAX 0.10.
"""


def test_every_learned_module_is_here():
    names = {n for n, c in vars(learned).items() if isinstance(c, type) and issubclass(c, learned.Learned)}
    assert {n for n in names if hasattr(jaxact.nnx, n)} == {*LEARNED} == {*textbook.LEARNED}


def _direction(size):
    """That in which the Hessian is differentiated: of no entry 0, and no two alike."""
    return np.cos(np.arange(size, dtype=np.float32))


@functools.partial(jax.jit, static_argnums=(0, 1), compiler_options=QUICKLY)
def _derivatives(tried: Tried, order: int, points, masks):
    """Ways to each order: forward and reverse mode, and of higher orders what optimizers and equations use."""

    def at(z, mask):
        f = functools.partial(tried.of_arrays, mask=mask)
        gradient = jax.jacrev(f)
        first = [f(z)], [jax.jacfwd(f)(z), gradient(z)]
        hessian = jax.jacfwd(gradient)
        if order < 3:
            return (*first, [hessian(z)])[: order + 1]
        second, third = jax.jvp(hessian, (z,), (_direction(z.size),))
        return (*first, [second], [third])

    return jax.vmap(at)(points, masks)


def _hold(tried: Tried, dtype: str, order: int) -> None:
    bounds, name = [*BOUNDS[dtype]], tried.name.partition("(")[0]
    if dtype == "float32":
        bounds[0] = 12 if name in SHARES else bounds[0]
        for wide, bound in WIDER.get(name, {}).items():
            bounds[wide] = bound
    points, expected = tried.points.astype(dtype), tried.expected
    with jax.enable_x64(dtype == "float64"):
        results = jax.tree.map(np.asarray, _derivatives(tried, order, points, tried.masks))
    wrong = []
    for k, (ways, bound) in enumerate(zip(results, bounds, strict=False)):
        reference = expected[k]
        sensitivity = np.einsum("pk,p...k->p...", tried.sizes, np.abs(expected[k + 1]))
        for way, got in zip(("forward", "reverse"), ways, strict=False):
            assert got.dtype == points.dtype
            error = units(got, reference, sensitivity)
            worst = np.unravel_index(np.argmax(error), error.shape)
            if error[worst] > bound:
                wrong.append(
                    f"order {k}, {way}: {error[worst]:.3g} units of {bound} at {points[worst[0]].tolist()}, entry "
                    f"{[int(i) for i in worst[1:]]}: got {got[worst]:.7g}, right is {reference[worst]:.7g}"
                )
    for (third,) in results[3:]:
        reference = expected[3] @ _direction(points.shape[-1])
        largest = np.abs(expected[3]).max(axis=(0, 1), keepdims=True).max(-1)
        # Where the third derivative is 0, the oracle's differences are 1e-70.
        error = np.abs(third - reference) / np.maximum(largest, smallest("float32"))
        worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
        if not error[worst] <= 1e-5:
            wrong.append(
                f"order 3: off by {error[worst]:.1e} of the largest at {points[worst[0]].tolist()}, entry "
                f"{[int(i) for i in worst[1:]]}: got {third[worst]:.7g}, right is {reference[worst]:.7g}"
            )
    assert not wrong, "\n".join([tried.name, *wrong])


AUTODIFF = "gaussian_topk(sparsity)"
"""Of one order less: it is differentiated by JAX, and so is ndtri in it, which compiles for longer than all others."""


@pytest.mark.parametrize("tried", ALL, ids=lambda tried: tried.name)
def test_float32(tried):
    _hold(tried, "float32", 3 - (tried.name == AUTODIFF))


@pytest.mark.parametrize("name", LEARNED)
def test_modules_in_float32(name):
    """To the Hessian: the functions that they are made of are tried to third order."""
    _hold(_module(name), "float32", 2)


@pytest.mark.parametrize(
    "tried", [t for t in ALL if len(t.entries[0]) == 4 and t.settings[0] and not t.drawn], ids=lambda tried: tried.name
)
def test_rows_in_float64(tried):
    _hold(tried, "float64", 2 - (tried.name == AUTODIFF))


@pytest.mark.parametrize("tried", [t for t in ALL if len(t.entries[0]) == 2], ids=lambda tried: tried.name)
def test_gated_units_in_float64(tried):
    _hold(tried, "float64", 1)
