"""A function of one's own, registered: everything that goes by name knows it."""

import copy
import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact import flow, propagation
from tests import memory

pytestmark = pytest.mark.quickly_compiled

X = np.array([-2, -1, 0, 0.5, 3], np.float32)


def bump(x, width=1.0):
    """Bump: exp(-(x / width)^2)."""
    return jnp.exp(-jnp.square(x / width))


def registered(**more):
    def slope(x, width):
        return -2 * x / width**2 * jnp.exp(-jnp.square(x / width))

    def in_width(x, width):
        return 2 * jnp.square(x) / width**3 * jnp.exp(-jnp.square(x / width))

    return jaxact.register(bump, slope=slope, parameters={"width": in_width}, monotone=False, **more)


def test_names_know_it():
    function = registered(aliases=("bell",), elsewhere={"torch": {"Bump": {"width": 2.0}}})
    assert jaxact.get("bump") is jaxact.get("bell") is function
    assert "bump" in jaxact.names()
    assert jaxact.info("bell").name == "bump"
    assert jaxact.info("bump").formula == "exp(-(x / width)^2)"
    wide = jaxact.get({"name": "bump", "width": 2.0})
    assert wide is jaxact.get({"name": "bump", "width": 2.0}) is jaxact.get("Bump", "torch")
    assert jaxact.config(wide) == {"name": "bump", "width": 2.0}
    for twin in (pickle.loads(pickle.dumps(function)), copy.deepcopy(function)):
        assert twin is function
    assert pickle.loads(pickle.dumps(wide)) is wide
    with pytest.raises(ValueError, match="bump has no parameter 'widht'; did you mean width"):
        jaxact.get({"name": "bump", "widht": 2.0})


def test_its_derivative_is_exact_and_light():
    function = registered()

    @jax.jit
    def results(x, width):
        values = [function(x, width), function(x, width=width), bump(x, width)]
        gradients = [jax.vmap(jax.grad(f, (0, 1)), (0, None))(x, width) for f in (function, bump)]
        return values, gradients, (function(True), function(1.0))

    (by_position, by_name, wanted), (got, expected), (of_true, of_one) = results(X, np.float32(2))
    for y in (by_position, by_name):
        np.testing.assert_allclose(y, wanted, rtol=1e-6)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)
    assert jax.eval_shape(function, jax.ShapeDtypeStruct((), jnp.bfloat16)).dtype == jnp.bfloat16
    assert of_true == of_one


def test_the_backward_pass_keeps_x_alone():
    def wave(x):
        return jnp.sin(x) * jnp.tanh(x)

    function = jaxact.register(wave, slope=lambda x: jnp.cos(x) * jnp.tanh(x) + jnp.sin(x) / jnp.cosh(x) ** 2)
    assert memory.kept(function) <= 1.02
    assert memory.kept(wave) > 1.9


def test_modules():
    registered()
    modules = [jaxact.get({"name": "bump", "width": 2.0}, kind=kind) for kind in ("nnx", "linen", "equinox")]
    for module, y in zip(modules, jax.jit(lambda x: [f(x) for f in modules])(X), strict=True):
        np.testing.assert_allclose(y, np.exp(-np.square(X / 2)), rtol=1e-6)
        assert jaxact.config(module) == {"name": "bump", "width": 2.0}


def test_observe_finds_it():
    function = registered()
    _, seen = jax.eval_shape(flow.observe(lambda w: jnp.sum(function(X * w))), np.float32(1))
    assert [site.name for site in seen.sites] == ["bump"]


def test_propagation_knows_its_kinks():
    def kinked(x):
        return jnp.where(x > 0.25, x, 0.5 * x)

    function = jaxact.register(kinked, slope=lambda x: jnp.where(x > 0.25, jnp.ones_like(x), 0.5), kinks={0.25: 0.5})
    assert jaxact.info("kinked").kinks == {0.25: 0.5}
    assert propagation.moments(function) == pytest.approx(propagation.moments(kinked, kinks=[0.25]), rel=1e-6)


def test_a_function_with_derivatives_of_its_own():
    def double(gate, value, factor=2.0):
        return factor * gate * value

    function = jaxact.register(double, kind="gated")
    np.testing.assert_allclose(jaxact.get("double")(X, X + 1), 2 * X * (X + 1), rtol=1e-6)
    assert "name=double" in str(jax.make_jaxpr(function)(X, X))
    assert jaxact.config(functools.partial(function, factor=3.0)) == {"name": "double", "factor": 3.0}


def test_what_is_not_traced():
    """An axis and a mode, which Python code looks at."""

    def pooled(x, axis=-1, mode="mean"):
        return getattr(jnp, mode)(x, axis, keepdims=True) + 0 * x

    jaxact.register(pooled, kind="axis")
    x = jnp.arange(6.0).reshape(2, 3)
    for config, expected in ({"axis": 0}, x.mean(0)), ({"mode": "max"}, x.max(-1, keepdims=True)):
        for made in (jaxact.get({"name": "pooled", **config}), jaxact.get({"name": "pooled", **config}, kind="nnx")):
            np.testing.assert_allclose(made(x), jnp.broadcast_to(expected, x.shape), rtol=1e-6)
            assert jaxact.config(made) == {"name": "pooled", **config}
    np.testing.assert_array_equal(jaxact.get("pooled")(x, 0), jaxact.get("pooled")(x, axis=0))


def test_what_is_refused():
    registered()
    with pytest.raises(ValueError, match="the name 'bump' is taken by bump; choose another"):
        registered()
    with pytest.raises(ValueError, match="the name 'swish' is taken by silu; choose another"):
        jaxact.register(bump, name="other", aliases=("swish",))
    assert "other" not in jaxact.names()
    with pytest.raises(ValueError, match=r"the name 'tat' is taken by the configs of jaxact\.get"):
        jaxact.register(bump, name="tat")
    with pytest.raises(ValueError, match="expected a name like a variable's, got '<lambda>'; give name="):
        jaxact.register(lambda x: x)
    with pytest.raises(ValueError, match=r"expected the derivatives of other in \['width'\], got \[\]; give a formula"):
        jaxact.register(bump, name="other", slope=jnp.cos)
    with pytest.raises(ValueError, match="expected a slope beside the other derivatives of other"):
        jaxact.register(bump, name="other", curvature=jnp.cos)
    with pytest.raises(TypeError, match="expected functions, got 3"):
        jaxact.register(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"^jaxact\.register: expected facts about other like aliases, .* got color;"):
        jaxact.register(bump, name="other", color="red")
    with pytest.raises(
        ValueError, match=r"expected kind to be \"pointwise\", .* got 'elementwise'; say what other takes"
    ):
        jaxact.register(bump, name="other", kind="elementwise")
    with pytest.raises(TypeError, match=r"expected kinks to be a mapping .* got \[0\.0\]; other has none with {}"):
        jaxact.register(bump, name="other", kinks=[0.0])
    with pytest.raises(ValueError, match="expected a name like a variable's, got 'class'"):
        jaxact.register(bump, name="class")
    assert "other" not in jaxact.names()
