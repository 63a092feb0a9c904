"""TAT and DKS: the papers' conditions hold for what comes out, integrated here by other means."""

import functools
import json
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import jaxact
from jaxact.propagation import Shaped, dks, from_config, init_for, signal, tat

pytestmark = pytest.mark.usefixtures("quickly_compiled")


def expectation(g):
    """E g(z), by SciPy's adaptive rule."""
    return integrate.quad(lambda z: g(z) * stats.norm.pdf(z), -10, 10, epsabs=1e-10, epsrel=1e-10, limit=200)[0]


def slope_of(g: Shaped) -> float:
    assert isinstance(g.function, functools.partial)
    return g.function.keywords["negative_slope"]


def derivatives(f):
    with jax.enable_x64(True):
        rows = [jax.jit(f), jax.jit(jax.grad(f)), jax.jit(jax.grad(jax.grad(f)))]

    def at(row):
        def value(z):
            with jax.enable_x64(True):
                return float(row(jnp.float64(z)))

        return value

    return [at(row) for row in rows]


@pytest.mark.parametrize(("depth", "slope", "scale"), [
    (20, 0.1813803, 1.3915093),
    (50, 0.4305229, 1.2989478),
    (100, 0.5704395, 1.2284042),
    (200, 0.6795996, 1.1696684),
])  # fmt: skip
def test_tat_of_leaky_relu_has_the_papers_slopes(depth, slope, scale):
    g = tat(jaxact.leaky_relu, depth)
    assert slope_of(g) == pytest.approx(slope, abs=5.01e-8)
    assert g.output_scale == pytest.approx(scale, abs=5.01e-8)
    assert tat(jax.nn.relu, depth).output_scale == g.output_scale


def test_tat_of_leaky_relu_correlates_unrelated_inputs_as_asked():
    theory = signal(tat(jaxact.leaky_relu, 20, eta=0.7), 1.0, 0.0, depth=20, c=0.0)
    assert theory.correlations[-1] == pytest.approx(0.7, abs=1e-9)
    np.testing.assert_allclose(theory.variances, 1, rtol=1e-9)
    np.testing.assert_allclose(theory.chi, 1, rtol=1e-9)


@pytest.mark.parametrize("name", ["tanh", "gelu"])
def test_tat_of_a_smooth_function_meets_its_conditions(name):
    f, df, ddf = derivatives(tat(jaxact.get(name), depth=50, tau=0.3))
    assert expectation(lambda z: f(z) ** 2) == pytest.approx(1, abs=1e-8)
    assert expectation(lambda z: f(z) * df(z) * z) == pytest.approx(1, abs=1e-7)
    assert expectation(lambda z: df(z) ** 2) == pytest.approx(1, abs=1e-8)
    assert expectation(lambda z: ddf(z) ** 2) == pytest.approx(0.3 / 50, rel=1e-7)


@pytest.mark.parametrize("name", ["tanh", "softplus"])
def test_dks_meets_its_conditions(name):
    f, df, _ = derivatives(dks(jaxact.get(name), depth=50, zeta=1.5))
    assert expectation(f) == pytest.approx(0, abs=1e-8)
    assert expectation(lambda z: f(z) ** 2) == pytest.approx(1, abs=1e-8)
    assert expectation(lambda z: f(z) * df(z) * z) == pytest.approx(1, abs=1e-7)
    assert expectation(lambda z: df(z) ** 2) == pytest.approx(1.5 ** (1 / 50), abs=1e-8)


def test_dks_takes_a_function_with_a_kink():
    theory = signal(dks(jaxact.selu, depth=10), 1.0, 0.0, depth=10)
    np.testing.assert_allclose(theory.variances, 1, rtol=1e-8)
    np.testing.assert_allclose(theory.chi, 1.5**0.1, rtol=1e-8)


@pytest.mark.parametrize(
    "g", [tat(jaxact.leaky_relu, 50), Shaped(jaxact.tanh, 0.5, 0.1, 2.0, -0.1)], ids=["tat", "tanh"]
)
def test_it_is_an_activation_like_any_other(g):
    x = jnp.linspace(-3, 3, 7)
    expected = g.output_scale * (g.function(g.input_scale * x + g.input_shift) + g.output_shift)
    np.testing.assert_allclose(g(x), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.vmap(g))(x), expected, rtol=1e-6)
    assert jax.grad(lambda x: g(x).sum())(x).shape == x.shape
    assert g(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert g(jnp.arange(3)).dtype == jnp.float32
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(g))(x), g(x))
    assert init_for(g)(jax.random.key(0), (8, 8)).shape == (8, 8)


def test_a_config_builds_the_same_function():
    config = json.loads(json.dumps({"name": "tat", "of": "leaky_relu", "depth": 50}))
    assert from_config(config).output_scale == tat(jaxact.leaky_relu, 50).output_scale
    config = {"name": "dks", "of": "softplus", "depth": 10, "zeta": 1.2}
    assert from_config(config) == dks(jaxact.softplus, 10, zeta=1.2)


BAD = {
    "a short network": (lambda: tat(jaxact.leaky_relu, 5), ValueError, "0.7359"),
    "depth 0": (lambda: tat(jaxact.leaky_relu, 0), ValueError, "depth >= 1"),
    "a float": (lambda: dks(jaxact.tanh, 5.0), TypeError, "int"),  # pyright: ignore[reportArgumentType]
    "eta": (lambda: tat(jaxact.leaky_relu, 50, eta=1.0), ValueError, "eta"),
    "tau": (lambda: tat(jaxact.tanh, 50, tau=-1.0), ValueError, "tau"),
    "zeta": (lambda: dks(jaxact.tanh, 50, zeta=1.0), ValueError, "zeta > 1"),
    "a kink": (lambda: tat(jaxact.selu, 50), ValueError, "kink at x = 0"),
    "a homogeneous function": (lambda: dks(jaxact.relu, 50), ValueError, "cannot reach"),
    "a line": (lambda: dks(jaxact.identity, 50), ValueError, "cannot reach"),
    "an exponential": (lambda: tat(jnp.exp, 50), ValueError, "cannot reach"),
    "a config without depth": (lambda: from_config({"name": "tat", "of": "gelu"}), ValueError, "depth"),
    "a config's option": (
        lambda: from_config({"name": "dks", "of": "gelu", "depth": 9, "eta": 0.5}),
        ValueError,
        "no eta",
    ),
    "a config's name": (lambda: from_config({"name": "tat", "of": "gelo", "depth": 9}), ValueError, "gelu"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_says_what_can_be_reached(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message) as caught:
        call()
    assert str(caught.value).startswith("jaxact")


def test_the_depth_that_relu_reaches_is_the_arc_cosine_kernels():
    c = 0.0
    for _ in range(5):
        c = (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi
    assert f"{c:.4f}" == "0.7359"
    given = functools.partial(jaxact.leaky_relu, negative_slope=0.3)
    assert slope_of(tat(given, 5, eta=c - 1e-9)) == pytest.approx(0, abs=1e-3)
