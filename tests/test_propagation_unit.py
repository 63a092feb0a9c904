"""Unit scaling: variance 1 of everything in the catalog, and the constants that others publish."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact.propagation import attention_scale, unit_scaled
from jaxact.verify.cases import DEFAULTS, POINTWISE
from tests.shapes import SHAPES

pytestmark = pytest.mark.quickly_compiled


ONE_BY_ONE = {(*case.row.kinks,): case for case in reversed(DEFAULTS) if case in POINTWISE}.values()
"""One for each set of kinks, which is all that the integration asks the catalog for."""
GATED = [c for c in DEFAULTS if c.row.kind == "gated" and (c in SHAPES or c.row.name == "reglu")]
"""One of each shape, and one with a kink."""

# Midpoints: an oracle that knows no panels. The catalog's jumps are multiples of the spacing, on edges between points.
GRID = (np.arange(240_000) + 0.5) * 1e-4 - 12
PLANE = (np.arange(900) + 0.5) * 0.02 - 9


def variance(values, *z):
    """Of a function's values at midpoints z."""
    weight = functools.reduce(np.multiply, [np.exp(-np.square(a) / 2) for a in z])
    weight = weight / weight.sum()
    mean = (weight * values).sum()
    return (weight * np.square(values - mean)).sum()


@pytest.mark.parametrize("case", ONE_BY_ONE, ids=lambda case: case.name)
def test_an_activation_has_unit_variance(case):
    """The factor, against the variance of the textbook's formula."""
    g = unit_scaled(functools.partial(case.row.function, **case.parameters))
    values = case.oracle.derivative(0)(GRID, **case.settings(np.float64))
    assert g.output_scale**2 * variance(values, GRID) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("case", GATED, ids=lambda case: case.name)
def test_a_gated_unit_has_unit_variance(case):
    g = unit_scaled(case.row.function)
    z = np.meshgrid(PLANE, PLANE, indexing="ij")
    split = case.row.name == "glu"  # it splits one array
    with jax.enable_x64(True):
        values = np.asarray(jax.jit(g)(np.stack(z, axis=-1))[..., 0] if split else jax.jit(g)(*z))
    assert variance(values, *z) == pytest.approx(1, abs=1e-6)


def test_gated_units_with_kinks_off_the_grid():
    """Against closed forms: relu has the mean 1 / sqrt(2 pi), a threshold t leaves t phi(t) + Q(t) of a variance."""
    assert unit_scaled(jaxact.dreglu).output_scale == pytest.approx((1 / 4 - 1 / (2 * math.pi) ** 2) ** -0.5, rel=1e-6)
    t = float(np.float32(0.01))
    left = t * math.exp(-t * t / 2) / math.sqrt(2 * math.pi) + math.erfc(t / math.sqrt(2)) / 2
    assert unit_scaled(jaxact.fatreglu, kinks=[t]).output_scale == pytest.approx(left**-0.5, rel=1e-6)


def test_the_constants_that_unit_scaling_publishes():
    # graphcore-research/unit-scaling, functional.py: first release, "determined empirically", to the digits there.
    gelu = unit_scaled(functools.partial(jaxact.gelu, approximate=False), backward="unit")
    assert 1 / gelu.output_scale == pytest.approx(0.588, abs=5e-4)
    assert 1 / gelu.gradient_scales[0] == pytest.approx(0.675, abs=5e-4)
    softmax = unit_scaled(jaxact.softmax, size=100_000, backward="unit")
    assert 100_000 / softmax.output_scale == pytest.approx(1.31, abs=5e-3)
    assert 100_000 / softmax.gradient_scales[0] == pytest.approx(1.65, abs=5e-3)
    # The same file today: the limits between which it interpolates.
    relu = unit_scaled(jaxact.relu, backward="unit")
    assert relu.output_scale == pytest.approx((2 / (1 - 1 / math.pi)) ** 0.5, rel=1e-9)
    assert relu.gradient_scales[0] == pytest.approx(2**0.5, rel=1e-9)
    # Its fit for silu_glu, 2^(1/2 1/2 + 1/2), is 0.3 % from the expectation, that for SiLU's output 1 %.
    assert unit_scaled(jaxact.swiglu).output_scale == pytest.approx(2**0.75, rel=5e-3)
    assert unit_scaled(jaxact.silu).output_scale == pytest.approx(
        2**0.2 * (2 / (1 - 1 / math.pi)) ** (0.5 * 0.8), rel=2e-2
    )
    # And for attention over s keys, sqrt(s / e).
    assert attention_scale(100_000) == pytest.approx((100_000 / math.e) ** 0.5, rel=1e-4)


@pytest.mark.parametrize("size", [2, 3, 64])
def test_softmax_of_any_size(size):
    g = unit_scaled(jaxact.softmax, size=size, backward="unit")
    z, ct = np.random.default_rng(0).standard_normal((2, 100_000, size), np.float32)

    @jax.jit
    def moments(z, ct):
        y, pull = jax.vjp(g, z)
        mixed = attention_scale(size) * jnp.sum(jaxact.softmax(z) * ct, -1)
        return jnp.var(y), jnp.mean(jnp.square(pull(ct)[0])), jnp.var(mixed)

    # 100,000 rows: 1.5 % is 4 standard errors for two entries, whose squares are one number.
    np.testing.assert_allclose(moments(z, ct), 1, rtol=1.5e-2)


def test_the_exact_backward_is_the_derivative():
    x = np.linspace(-2, 2, 9, dtype=np.float32)
    g = unit_scaled(jaxact.silu)
    slopes = lambda x: (jax.vmap(jax.grad(g))(x), jax.jvp(g, (x,), (jnp.ones_like(x),))[1])  # noqa: E731
    sigmoid = 1 / (1 + np.exp(-x.astype(np.float64)))
    for slope in jax.jit(slopes)(x):
        np.testing.assert_allclose(slope, g.output_scale * sigmoid * (1 + x * (1 - sigmoid)), rtol=1e-6)  # float32


def test_the_unit_backward_scales_each_gradient_apart():
    g = unit_scaled(jaxact.swiglu, backward="unit")
    z = np.random.default_rng(0).standard_normal((2, 1_000_000), np.float32)
    gradients = lambda f: jax.vmap(jax.grad(f, argnums=(0, 1)))  # noqa: E731
    ours, plain = jax.jit(lambda *z: (gradients(g)(*z), gradients(jaxact.swiglu)(*z)))(*z)
    for gradient, scale, slope in zip(ours, g.gradient_scales, plain, strict=True):
        np.testing.assert_allclose(gradient, scale * np.asarray(slope), rtol=1e-6)  # float32
        assert np.mean(np.square(gradient)) == pytest.approx(1, rel=1e-2)  # a million samples


def test_dtypes_stay():
    for backward in ("exact", "unit"):
        g = unit_scaled(jaxact.gelu, backward=backward)
        for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
            x = jax.ShapeDtypeStruct((2,), dtype)
            assert jax.eval_shape(g, x).dtype == dtype
            assert jax.eval_shape(jax.grad(lambda x, g=g: g(x).sum()), x).dtype == dtype


BAD = {
    "a constant": (lambda: unit_scaled(jnp.ones_like), ValueError, "constant"),
    "steps": (lambda: unit_scaled(jnp.sign, backward="unit"), ValueError, 'backward="exact"'),
    "no second moment": (lambda: unit_scaled(lambda x: jnp.exp(x * x)), ValueError, "finite second moment"),
    "a gate without one": (lambda: unit_scaled(lambda a, b: jnp.exp(a * a) * b), ValueError, "second moments"),
    "a parameter": (lambda: unit_scaled(jaxact.prelu), TypeError, "functools.partial"),
    "no size": (lambda: unit_scaled(jaxact.softmax), ValueError, "size"),
    "a size of relu": (lambda: unit_scaled(jaxact.relu, size=3), ValueError, "size"),
    "one weight": (lambda: unit_scaled(jaxact.softmax, size=1), ValueError, "constant"),
    "half an entry": (lambda: attention_scale(2.5), TypeError, "int"),  # pyright: ignore[reportArgumentType]
    "another axis function": (lambda: unit_scaled(jaxact.log_softmax), ValueError, "elementwise"),
    "a backward": (lambda: unit_scaled(jaxact.relu, backward="half"), ValueError, "exact"),  # pyright: ignore[reportArgumentType]
    "a name": (lambda: unit_scaled("relu"), TypeError, "function"),  # pyright: ignore[reportArgumentType]
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_says_what_was_expected(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message) as caught:
        call()
    assert str(caught.value).startswith("jaxact.")
