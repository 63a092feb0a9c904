"""TAT and DKS: the papers' conditions hold for what comes out, integrated here by other means."""

import functools
import json
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxact
from jaxact.propagation import Shaped, dks, from_config, init_for, shaping, signal, tat

pytestmark = pytest.mark.quickly_compiled


# The trapezoidal rule converges geometrically for smooth functions under a Gaussian.
Z = np.linspace(-10, 10, 2001)


def expectation(values):
    """E g(z) for the values of g at Z."""
    return np.trapezoid(values * stats.norm.pdf(Z), Z)


def slope_of(g: Shaped) -> float:
    assert isinstance(g.function, functools.partial)
    return g.function.keywords["negative_slope"]


def derivatives(f):
    """f, f' and f'' at Z, in float64."""
    with jax.enable_x64(True):
        rows = jax.jit(lambda z: [jax.vmap(g)(z) for g in (f, jax.grad(f), jax.grad(jax.grad(f)))])(Z)
        return [np.asarray(row) for row in rows]


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
    assert expectation(f**2) == pytest.approx(1, abs=1e-8)
    assert expectation(f * df * Z) == pytest.approx(1, abs=1e-7)
    assert expectation(df**2) == pytest.approx(1, abs=1e-8)
    assert expectation(ddf**2) == pytest.approx(0.3 / 50, rel=1e-7)


def test_dks_of_a_config_meets_its_conditions():
    f, df, _ = derivatives(from_config({"name": "dks", "of": "tanh", "depth": 10, "zeta": 1.2}))
    assert expectation(f) == pytest.approx(0, abs=1e-8)
    assert expectation(f**2) == pytest.approx(1, abs=1e-8)
    assert expectation(f * df * Z) == pytest.approx(1, abs=1e-7)
    assert expectation(df**2) == pytest.approx(1.2**0.1, abs=1e-8)


def test_dks_takes_a_function_with_a_kink():
    theory = signal(dks(jaxact.selu, depth=10), 1.0, 0.0, depth=10)
    np.testing.assert_allclose(theory.variances, 1, rtol=1e-8)
    np.testing.assert_allclose(theory.chi, 1.5**0.1, rtol=1e-8)


@pytest.mark.parametrize(
    "g", [tat(jaxact.leaky_relu, 50), Shaped(jaxact.tanh, 0.5, 0.1, 2.0, -0.1)], ids=["tat", "tanh"]
)
def test_it_is_an_activation_like_any_other(g):
    x = np.linspace(-3, 3, 7, dtype=np.float32)
    twin = pickle.loads(pickle.dumps(g))
    inner = g.input_scale * x + g.input_shift
    ours, mapped, copied, function = jax.jit(lambda x, z: (g(x), jax.vmap(g)(x), twin(x), g.function(z)))(x, inner)
    for y in (ours, mapped, copied):
        np.testing.assert_allclose(y, g.output_scale * (np.asarray(function) + g.output_shift), rtol=1e-6)
    assert jax.eval_shape(jax.grad(lambda x: g(x).sum()), x).shape == x.shape
    assert jax.eval_shape(g, jax.ShapeDtypeStruct((7,), jnp.bfloat16)).dtype == jnp.bfloat16
    assert jax.eval_shape(g, jax.ShapeDtypeStruct((3,), jnp.int32)).dtype == jnp.float32
    assert jax.eval_shape(lambda key: init_for(g)(key, (8, 8)), jax.random.key(0)).shape == (8, 8)


def test_a_config_builds_the_same_function():
    config = json.loads(json.dumps({"name": "tat", "of": "leaky_relu", "depth": 50}))
    assert from_config(config).output_scale == tat(jaxact.leaky_relu, 50).output_scale


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
def test_bad_input_says_what_can_be_reached(name, monkeypatch):
    monkeypatch.setattr(shaping, "_SHIFTS", np.linspace(-4, 4, 9))  # where nothing is found all are tried
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
