"""Every activation of jax.nn, with every parameter, is within DESIGN's bounds of float64 once it is swapped.

In Linen, NNX, Haiku, Equinox and plain JAX, whose programs are compiled together: where they are alike, they are one.
"""

import functools
from collections.abc import Callable

import equinox as eqx
import flax.linen as linen
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import nn
from scipy import special

from jaxact import flow as jf
from jaxact.verify import row_unit, rows
from jaxact.verify.cases import POINTWISE, Case
from jaxact.verify.programs import peer
from jaxact.verify.unit import BOUNDS, check, inputs, units
from tests.shapes import SHAPES

CASES = [c for c in POINTWISE if c.row.name == "tanh" or (peer(c) is not None and c.row.name != "identity")]
IN_EVERY_TYPE = {c.row.name: c for c in reversed(CASES) if c.parameters}.values()
"""The first case with another parameter than the default, of each function that has one."""


class Linen(linen.Module):
    name_of: str
    settings: tuple

    @linen.compact
    def __call__(self, x):
        return getattr(linen, self.name_of, getattr(nn, self.name_of))(x, **dict(self.settings))


class Nnx(nnx.Module):
    def __init__(self, name, settings):
        self.act = functools.partial(getattr(nnx, name, getattr(nn, name)), **settings)

    def __call__(self, x):
        return self.act(x)


def swapped(name, settings, numbers):
    """The function swapped: plainly, with its parameters traced, and in a model of each framework."""
    f = functools.partial(getattr(nn, name), **settings)
    flags = {k: v for k, v in settings.items() if k not in numbers}
    haiku = hk.without_apply_rng(hk.transform(lambda x: f(x)))
    return {
        "jax": jf.swap(f),
        "traced": lambda x: jf.swap(lambda x, t: getattr(nn, name)(x, **t, **flags))(
            x, {k: jnp.asarray(v, x.dtype) for k, v in numbers.items()}
        ),
        "linen": functools.partial(jf.swap(Linen(name, tuple(settings.items()))).apply, {}),
        "nnx": jf.swap(Nnx(name, settings)),
        "haiku": functools.partial(jf.swap(haiku.apply), {}),
        "equinox": jf.swap(eqx.nn.Lambda(f)),
    }


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_elementwise(case, dtype):
    """In every framework for each shape of function in float32, and one function in every type.

    Flax's functions are jax.nn's own, and a framework hands over x as it is. In other types a parameter may be another
    number, which one of each function shows; elsewhere the name says what takes its place.
    """
    own = getattr(nn, case.row.name)
    assert all(getattr(framework, case.row.name, own) is own for framework in (linen, nnx))
    everywhere = case in SHAPES if dtype == "float32" else case.row.name == "leaky_relu"
    in_every_type = case in IN_EVERY_TYPE
    with jax.enable_x64(dtype == "float64"):
        # jax.nn rounds a parameter to x's type, so that it is another number in bfloat16.
        numbers = {k: float(np.asarray(v, jnp.dtype(dtype))) for k, v in case.parameters.items() if k in case.numbers}
        case = Case(case.row, {**case.parameters, **numbers})
        functions = swapped(case.row.name, dict(case.parameters), numbers)
        if not everywhere:
            functions = {way: functions[way] for way in ("jax", "traced")[: 1 + bool(numbers)]}
        for f in functions.values():
            (exchange,) = jf.swaps(f)(np.ones(3, jnp.dtype(dtype))).exchanges
            assert exchange.why == "jaxact's already"
            assert exchange.site.name == case.row.name
        if dtype != "float32" and not in_every_type:
            return

        @jax.jit
        def results(x):
            ways = [jax.vjp(f, x) for f in functions.values()]
            return [[y for y, _ in ways], [pull(jnp.ones_like(x))[0] for _, pull in ways]]

        orders = results(inputs(dtype, case.oracle.joints))
        for order in (0, 1):
            check(case, lambda _, order=order: orders[order], dtype, order)


@pytest.mark.parametrize("case", [c for c in CASES if c.parameters and c.numbers], ids=lambda case: case.name)
def test_derivative_in_a_parameter(case):
    """Of leaky_relu's slope, elu's and celu's alpha, squareplus's b."""
    ((name, value),) = case.parameters.items()
    f = jf.swap(lambda x, t: getattr(nn, case.row.name)(x, t))
    along = jax.jit(lambda x: [jax.jvp(lambda t: f(x, t), (jnp.float32(value),), (jnp.float32(1),))[1]])
    check(case, along, "float32", 1, name)


ROWS = {
    "jax": jf.swap,
    "linen": lambda f: lambda x, m: jf.swap(LinenRow(f)).apply({}, x, m),
    "nnx": lambda f: jf.swap(NnxRow(f)),
    "haiku": lambda f: lambda x, m: jf.swap(hk.without_apply_rng(hk.transform(f)).apply)({}, x, m),
    "equinox": lambda f: lambda x, m: jf.swap(eqx.nn.Lambda(lambda x: f(x, m)))(x),
}


class LinenRow(linen.Module):
    f: Callable

    def __call__(self, x, mask):
        return self.f(x, mask)


class NnxRow(nnx.Module):
    def __init__(self, f):
        self.f = f

    def __call__(self, x, mask):
        return self.f(x, mask)


def within(bound, got, wanted, sensitivity, what):
    error = units(np.asarray(got), np.asarray(wanted, np.float64), np.asarray(sensitivity, np.float64))
    assert error.max() <= bound, f"{what}: {error.max():.2f} units, over {bound}"


@pytest.mark.parametrize(("dtype", "axis"), [("float32", 0), ("float32", -1), ("bfloat16", -1)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_rows(name, dtype, axis):
    """Along either axis, masked, values and derivatives in both modes; in every framework once."""
    everywhere = ROWS.values() if (name, dtype, axis) == ("softmax", "float32", -1) else [ROWS["jax"]]
    x, masks = row_unit.rows(100, dtype)
    keep = ~np.isposinf(x.astype(np.float32)).any(-1)
    x, masks = x[keep], masks[keep]
    t = row_unit.tangents(x.shape, dtype)
    turned = (lambda a: a.T) if axis == 0 else lambda a: a

    @jax.jit
    def results(x, masks, t):
        found = []
        for around in everywhere:
            f = around(lambda x, m: getattr(nn, name)(x, axis=axis, where=m))
            y, push = jax.linearize(lambda x: turned(f(turned(x), turned(masks))), x)  # noqa: B023
            found.append((y, push(t), jax.linear_transpose(push, x)(t)[0]))
        return found

    for ways in results(x, masks, t):
        for i in range(len(x)):
            wanted = rows.expected(name, x[i].astype(float), masks[i], t[i].astype(float), 1.0)
            bounds = rows.bounds(name, dtype, 100)
            for got, w, bound in zip(ways, wanted, (bounds[0], bounds[1], bounds[1]), strict=True):
                within(bound, got[i], w.reference, w.sensitivity, f"row {i}")


@pytest.mark.parametrize("weighted", [False, True])
def test_logsumexp_in_a_loss(weighted):
    """The loss of a classifier, with `b=` too; its gradient in the logits is the shares less the label's one."""
    x = row_unit.rows(100, "float32")[0]
    x = x[~np.isposinf(x).any(-1) & ~np.isneginf(x).any(-1)]
    b = np.random.default_rng(5).uniform(0.5, 2, x.shape).astype(np.float32) if weighted else None
    f = jf.swap(lambda x: nn.logsumexp(x, -1, b=b))
    assert [e.to for e in jf.swaps(lambda x: jnp.mean(nn.logsumexp(x, -1, b=b) - x[:, 0]))(x).exchanges] == [
        "jaxact.logsumexp"
    ]
    values, slopes = jax.jit(lambda x: (f(x), jax.grad(lambda x: jnp.sum(f(x)))(x)))(x)
    for row, w, value, slope in zip(x.astype(float), np.ones_like(x) if b is None else b, values, slopes, strict=True):
        shifted = row + np.log(w.astype(float))
        p = row_unit.softmax(shifted)
        shares, _ = row_unit.of_shares(row, p, 1.0, np.ones_like(row))
        within(BOUNDS["float32"][0], value, special.logsumexp(shifted), np.sum(np.abs(row) * p), "value")
        within(rows.SHARES, slope, p, shares.sensitivity, "slope, which is softmax")


GATES = {
    "glu": ("sigmoid", lambda g, v: nn.glu(jnp.concatenate([v, g], -1))),
    "sigmoid_gate": ("sigmoid", lambda g, v: v * nn.sigmoid(g)),
    "swiglu": ("silu", lambda g, v: nn.silu(g) * v),
    "geglu": ("gelu", lambda g, v: nn.gelu(g) * v),
    "reglu": ("relu", lambda g, v: nn.relu(g) * v),
}


@pytest.mark.parametrize("name", GATES)
def test_gated(name):
    """silu(a) * b and its like are one function, within DESIGN's bounds and one more for the product."""
    of, written = GATES[name]
    oracle = next(case.oracle for case in CASES if case.row.name == of)
    settings = {"approximate": True} if of == "gelu" else {}
    rng = np.random.default_rng(6)
    gate, value = (rng.normal(scale=s, size=(64, 1024)).astype(np.float32) for s in (4, 1))
    f = jf.swap(written)
    assert [e.to for e in jf.swaps(written)(gate, value).exchanges] == [f"jaxact.{name}"]
    y, slopes = jax.jit(lambda *a: (f(*a), jax.grad(lambda *a: jnp.sum(f(*a)), (0, 1))(*a)))(gate, value)
    g, v = gate.astype(float), value.astype(float)
    a, da, dda = (oracle.derivative(k)(g, **settings) for k in range(3))
    within(BOUNDS["float32"][0] + 1, y, a * v, np.abs(g * da * v) + np.abs(a * v), "value")
    within(BOUNDS["float32"][1] + 1, slopes[0], da * v, np.abs(g * dda * v) + np.abs(da * v), "slope in the gate")
    within(BOUNDS["float32"][1] + 1, slopes[1], a, np.abs(g * da), "slope in the value")
