"""Gains, moments and mean-field maps against closed forms that are written out here."""

import functools
import math
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import jaxact
from jaxact import propagation
from jaxact.propagation import critical, gain, moments, signal
from jaxact.propagation.gaussian import Integrand

pytestmark = pytest.mark.quickly_compiled

exact_gelu = functools.partial(jaxact.gelu, approximate=False)

# E f, E f^2, (E f^2)^-1/2, (Var f)^-1/2, E f'^2, E f'^2 / E f^2 by mpmath, each to its last digit.
REFERENCE = {
    "elu": (jaxact.elu, 0.160521, 0.644945, 1.245198, 1.270843, 0.668102, 1.0359),
    "selu": (jaxact.selu, 0, 1, 1, 1, 1.071575, 1.0716),
    "gelu_erf": (exact_gelu, 0.282095, 0.425221, 1.533530, 1.700926, 0.455851, 1.0720),
    "gelu_tanh": (jaxact.gelu, 0.282039, 0.425194, 1.533581, 1.700917, 0.455818, 1.0720),
    "silu": (jaxact.silu, 0.206621, 0.355776, 1.676532, 1.787187, 0.379482, 1.0666),
    "mish": (jaxact.mish, 0.240404, 0.452342, 1.486848, 1.592025, 0.479084, 1.0591),
    "tanh": (jaxact.tanh, 0, 0.394294, 1.592537, 1.592537, 0.464403, 1.1778),
    "sigmoid": (jaxact.sigmoid, 0.5, 0.293379, 1.846229, 4.801313, 0.044836, 0.1528),
    "softplus": (jaxact.softplus, 0.806059, 0.921246, 1.041867, 1.919126, 0.293379, 0.3185),
    "soft_sign": (jaxact.soft_sign, 0, 0.183014, 2.337533, 2.337533, 0.227671, 1.2440),
    "relu^2": (lambda x: jnp.square(jax.nn.relu(x)), 0.5, 1.5, 0.816497, 0.894427, 2.0, 1.3333),
    "hard_swish": (jaxact.hard_swish, 0.166217, 0.331567, 1.736657, 1.813871, 0.358532, 1.0813),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_table(name):
    f, mean, second, g2, gv, slope, chi = REFERENCE[name]
    m = moments(f)
    found = (m.mean, m.second_moment, gain(f), gain(f, "variance"), m.slope_second_moment)
    np.testing.assert_allclose(found, (mean, second, g2, gv, slope), rtol=0, atol=5.01e-7)
    assert m.slope_second_moment / m.second_moment == pytest.approx(chi, abs=5.01e-5)
    assert gain(f, "backward") == pytest.approx(m.slope_second_moment**-0.5, rel=1e-12)


def arccosine(c):
    return (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / (2 * math.pi)


def gelu_diagonal(q):
    root = math.sqrt(1 + 2 * q)
    return q / 4 + q / math.pi * (q / ((q + 1) * root) + math.atan2(q, root) / 2)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 3.0])
def test_second_moments_have_their_closed_forms(sigma):
    q = sigma**2
    closed = {
        jaxact.relu: q / 2,
        functools.partial(jaxact.leaky_relu, negative_slope=0.3): q * (1 + 0.09) / 2,
        exact_gelu: gelu_diagonal(q),
        jax.lax.erf: 2 / math.pi * math.asin(2 * q / (1 + 2 * q)),
        jnp.sin: (1 - math.exp(-2 * q)) / 2,
        jnp.abs: q,
    }
    for f, expected in closed.items():
        assert moments(f, sigma).second_moment == pytest.approx(expected, rel=1e-10)


def test_gains_have_their_closed_forms():
    assert gain(jaxact.relu) == pytest.approx(math.sqrt(2), rel=1e-10)
    assert gain(jax.nn.relu) == pytest.approx(math.sqrt(2), rel=1e-10)
    assert gain(jaxact.relu, "backward") == pytest.approx(math.sqrt(2), rel=1e-10)
    assert gain(jaxact.relu, "variance") == pytest.approx((0.5 - 0.5 / math.pi) ** -0.5, rel=1e-10)
    assert gain(functools.partial(jaxact.leaky_relu, negative_slope=0.2)) == pytest.approx(
        math.sqrt(2 / 1.04), rel=1e-10
    )
    assert gain(jnp.sin, "backward") == pytest.approx(((1 + math.exp(-2)) / 2) ** -0.5, rel=1e-10)
    assert gain(jax.lax.erf, "backward") == pytest.approx((4 / math.pi / math.sqrt(5)) ** -0.5, rel=1e-10)
    assert gain(jnp.exp) == pytest.approx(math.exp(-1), rel=1e-10)


def test_selu_has_the_fixed_point_0_1():
    m = moments(jaxact.selu)
    np.testing.assert_allclose((m.mean, m.second_moment, m.variance), (0, 1, 1), atol=1e-10)
    theory = signal(jaxact.selu, 1.0, 0.0, depth=3)
    np.testing.assert_allclose(theory.variances, 1, rtol=1e-10)
    np.testing.assert_allclose(theory.activation_means, 0, atol=1e-10)


@pytest.mark.parametrize("kink", np.random.default_rng(0).uniform(-4, 4, 2))
def test_kinks_that_nobody_gave_are_found(kink):
    def shifted(x):
        return jnp.maximum(x - kink, 0)

    second = (1 + kink**2) * stats.norm.sf(kink) - kink * stats.norm.pdf(kink)
    m = moments(shifted)
    assert m.second_moment == pytest.approx(second, rel=1e-10)
    assert m.slope_second_moment == pytest.approx(stats.norm.sf(kink), rel=1e-10)
    assert moments(shifted, kinks=[kink]) == pytest.approx(m, rel=1e-10)


def test_a_jump_is_integrated_too():
    m = moments(lambda x: jnp.where(x > 0.7123, x, -0.2))
    tail = stats.norm.sf(0.7123)
    assert m.mean == pytest.approx(stats.norm.pdf(0.7123) - 0.2 * (1 - tail), rel=1e-10)


@pytest.mark.parametrize(
    ("c", "sigma"),
    [(c, 1.0) for c in (-1.0, -0.9, 0.0, 1e-9, 0.5, 0.99, 1 - 1e-9, 1.0)]
    + [(c, sigma) for c in (-0.9, 0.99) for sigma in (0.5, 4.0)],
)
def test_correlation_maps_have_their_closed_forms(c, sigma):
    q = sigma**2
    closed = {
        jaxact.relu: (2 / q, 2 * arccosine(c)),
        jax.lax.erf: (1, 2 / math.pi * math.asin(2 * q / (1 + 2 * q) * c)),
        jnp.sin: (1, math.exp(-q) * math.sinh(q * c)),
    }
    for f, (scale, expected) in closed.items():
        assert scale * Integrand("test", f).covariance(sigma, c) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("c", [-0.9, 0.5])
def test_a_layer_maps_variances_and_correlations(c):
    theory = signal(jax.lax.erf, 1.3, 0.2, 1, q=4.0, c=c)
    k = [1.69 * 2 / math.pi * math.asin(8 / 9 * r) + 0.04 for r in (1, c)]
    assert theory.variances[1] == pytest.approx(k[0], rel=1e-10)
    assert theory.correlations[1] == pytest.approx(k[1] / k[0], abs=1e-10)


def test_signal_of_a_critical_relu():
    theory = signal(jaxact.relu, math.sqrt(2), 0.0, depth=20, c=0.1)
    np.testing.assert_allclose(theory.variances, 1, rtol=1e-10)
    np.testing.assert_allclose(theory.chi, 1, rtol=1e-10)
    assert theory.chi_1 == pytest.approx(1, rel=1e-10)
    assert theory.depth_scale == math.inf
    assert theory.fixed_points[0].slope == 1
    assert not theory.fixed_points[0].stable
    assert theory.gradient_slope == pytest.approx(0, abs=1e-10)


def test_signal_in_the_ordered_and_the_chaotic_phase():
    ordered = signal(jaxact.relu, 1.0, 0.1, depth=5)
    assert ordered.fixed_points[0].value == pytest.approx(0.02, rel=1e-9)
    assert ordered.fixed_points[0].slope == pytest.approx(0.5, rel=1e-9)
    assert ordered.chi_1 == pytest.approx(0.5, rel=1e-9)
    assert ordered.depth_scale == pytest.approx(1 / math.log(2), rel=1e-9)

    # erf, whose maps are known: q = 9 (2 / pi) asin(a) with a = 2 q / (1 + 2 q), and c -> asin(a c) / asin(a).
    chaotic = signal(jax.lax.erf, 3.0, 0.0, depth=5)
    zero, q = chaotic.fixed_points
    assert (zero.value, zero.slope > 1, q.stable) == (0.0, True, True)
    assert q.value == pytest.approx(9 * 2 / math.pi * math.asin(2 * q.value / (1 + 2 * q.value)), rel=1e-9)
    a = 2 * q.value / (1 + 2 * q.value)
    one, none = chaotic.correlation_fixed_points
    assert one.slope == pytest.approx(a / math.asin(a) / math.sqrt(1 - a * a), rel=1e-8)
    assert chaotic.chi_1 == one.slope > 1
    assert (none.value, none.stable) == (0.0, True)
    assert none.slope == pytest.approx(a / math.asin(a), rel=1e-8)


def test_a_signal_that_leaves_float64_is_reported_as_infinite():
    theory = signal(jaxact.relu, 1e9, 0.0, depth=20)
    assert np.isinf(theory.variances[-1])
    assert np.isnan(theory.correlations[-1])
    assert np.isnan(theory.chi[-1])
    exponential = signal(jnp.exp, 2.0, 0.0, depth=5)
    assert np.isinf(exponential.variances[-1])


def test_critical_line():
    sigma_w, sigma_b = critical(jaxact.relu)
    assert (sigma_w, sigma_b) == pytest.approx((math.sqrt(2), 0), abs=1e-6)  # the root of a rounding error of 1e-16
    for q in (0.3, 5.0):
        theory = signal(jaxact.tanh, *critical(jaxact.tanh, q), depth=2, q=q)
        assert theory.chi_1 == pytest.approx(1, rel=1e-9)
        np.testing.assert_allclose(theory.variances, q, rtol=1e-9)


def test_an_answer_does_not_depend_on_the_users_precision_or_trace():
    expected = gain(jaxact.silu)
    assert jnp.ones(1).dtype == jnp.float32
    assert jax.jit(lambda x: x * gain(jaxact.silu))(1.0) == np.float32(expected)
    with jax.enable_x64(True):
        assert gain(jaxact.silu) == expected


def test_a_custom_vjp_function_has_a_gain():
    @jax.custom_vjp
    def f(x):
        return jnp.tanh(x)

    f.defvjp(lambda x: (jnp.tanh(x), x), lambda x, ct: (ct * (1 - jnp.tanh(x) ** 2),))
    assert gain(f, "backward") == pytest.approx(gain(jnp.tanh, "backward"), rel=1e-12)


def test_a_function_that_may_change_is_not_remembered():
    class Scaled:
        scale = 1.0

        def __call__(self, x):
            return self.scale * x

    f = Scaled()
    assert gain(f) == pytest.approx(1)
    f.scale = 2.0
    assert gain(f) == pytest.approx(0.5)


def test_mish_agrees_with_scipy():
    expected = integrate.quad(
        lambda z: (z * math.tanh(math.log1p(math.exp(z)))) ** 2 * stats.norm.pdf(z), -12, 12, epsabs=1e-13
    )[0]
    assert moments(jaxact.mish).second_moment == pytest.approx(expected, rel=1e-10)


def test_kinks_that_halving_does_not_pass_are_found_all():
    # Two in one panel, of f and of f', and |x - 1/3|, whose square and the square of whose slope have none.
    def f(x):
        return jnp.where(x > 0.2718, x, -0.1) + jnp.maximum(x - 0.6931, 0) + jnp.abs(x - 1 / 3)

    np.testing.assert_allclose(Integrand("test", f).kinks, [0.2718, 1 / 3, 0.6931], atol=1e-9)


@pytest.mark.parametrize("f", [jaxact.relu, jaxact.gelu, jaxact.tanh, jaxact.hard_swish])
def test_a_gain_takes_10_ms_after_compilation(f):
    gain(f)
    times = []
    for _ in range(20):
        start = time.thread_time()  # the best of 20, and not wall time: other tests share the cores
        gain(f)
        times.append(time.thread_time() - start)
    assert min(times) < 0.01


BAD = {
    "a name": (lambda: gain("relu"), TypeError, "function of one array"),  # pyright: ignore[reportArgumentType]
    "a parameter": (lambda: gain(jaxact.prelu), TypeError, "functools.partial"),  # pyright: ignore[reportArgumentType]
    "another shape": (lambda: gain(jnp.sum), ValueError, "keeps the shape"),
    "a gate": (lambda: gain(jaxact.glu), ValueError, "keeps the shape"),
    "an axis": (lambda: gain(jax.nn.softmax), ValueError, "elementwise"),
    "integers": (lambda: gain(lambda x: x > 0), TypeError, "floating-point"),
    "a logarithm": (lambda: gain(jnp.log), ValueError, "finite on the real line"),
    "a pole": (lambda: gain(lambda x: 1 / x), ValueError, "finite on the real line"),
    "growth": (lambda: gain(lambda x: jnp.exp(x * x / 4)), ValueError, "finite second moment"),
    "more growth": (lambda: gain(lambda x: jnp.exp(x * x)), ValueError, "finite second moment"),
    "an infinite slope": (
        lambda: gain(lambda x: jnp.sqrt(jnp.abs(x)), "backward"),
        ValueError,
        "does not converge|finite",
    ),
    "zero": (lambda: gain(jnp.zeros_like), ValueError, "no gain"),
    "a constant": (lambda: gain(jnp.ones_like, "variance"), ValueError, "no gain"),
    "steps": (lambda: gain(jnp.sign, "backward"), ValueError, "no gain"),
    "a kind": (lambda: gain(jaxact.relu, "forward"), ValueError, "second_moment"),  # pyright: ignore[reportArgumentType]
    "kinks": (lambda: gain(jaxact.relu, kinks=[math.nan]), ValueError, "kinks"),
    "noise": (lambda: gain(lambda x: jnp.sin(1e6 * x)), ValueError, "piecewise smooth"),
    "sigma": (lambda: moments(jaxact.relu, 0.0), ValueError, "sigma > 0"),
    "depth 0": (lambda: signal(jaxact.relu, 1.0, 0.0, 0), ValueError, "depth >= 1"),
    "half a layer": (
        lambda: signal(jaxact.relu, 1.0, 0.0, 2.5),  # pyright: ignore[reportArgumentType]
        TypeError,
        "depth",
    ),
    "a correlation": (lambda: signal(jaxact.relu, 1.0, 0.0, 2, c=1.5), ValueError, "correlation"),
    "a deviation": (lambda: signal(jaxact.relu, 1.0, -0.1, 2), ValueError, "sigma_b >= 0"),
    "sigmoid": (lambda: critical(jaxact.sigmoid), ValueError, r"q from about \d+"),
    "softplus": (lambda: critical(jaxact.softplus), ValueError, "no q"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_says_what_was_expected(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message) as caught:
        call()
    assert str(caught.value).startswith("jaxact.")


def test_the_public_names_are_there():
    for name in [
        "moments",
        "gain",
        "init_for",
        "siren_init",
        "alpha_dropout",
        "signal",
        "critical",
        "tat",
        "dks",
        "from_config",
    ]:
        assert callable(getattr(propagation, name))
