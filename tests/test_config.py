"""What `get` returns as a JSON config, there and back, as one object: functions of every row, and modules."""

import copy
import functools
import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact import propagation
from jaxact.modules import learned
from jaxact.verify.cases import CASES

pytestmark = pytest.mark.quickly_compiled


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_round_trip_through_json(case):
    function = functools.partial(case.row.function, **case.parameters) if case.parameters else case.row.function
    written = json.dumps(jaxact.config(function))
    again = jaxact.get(json.loads(written))
    assert jaxact.config(again) == jaxact.config(function)
    assert getattr(again, "func", again) is case.row.function
    for twin in (jaxact.get(json.loads(written)), pickle.loads(pickle.dumps(again)), copy.deepcopy(again)):
        assert twin is again
    if hasattr(learned, case.row.module):  # those modules have constraints of their own
        return
    for kind in ("nnx", "linen", "equinox"):
        module = jaxact.get(json.loads(written), kind=kind)
        described = json.loads(json.dumps(jaxact.config(module)))
        assert jaxact.config(jaxact.get(described, kind=kind)) == described
        different = {k: v for k, v in json.loads(written).items() if v != case.row.parameters.get(k)}
        assert different.items() <= described.items()


def test_a_config_binds_parameters():
    x = jnp.array([-2.0, 3.0])
    function = jaxact.get({"name": "leaky_relu", "negative_slope": 0.5})
    np.testing.assert_array_equal(function(x), [-1.0, 3.0])


def test_a_config_of_a_transformed_activation():
    """What `propagation.from_config` makes of it, which tests/test_propagation_shaping.py looks at."""
    config = {"name": "tat", "of": "leaky_relu", "depth": 50}
    assert jaxact.config(jaxact.get(config)) == config
    assert pickle.loads(pickle.dumps(jaxact.get(config))) == copy.deepcopy(jaxact.get(config)) == jaxact.get(config)
    config = json.loads(json.dumps({"name": "dks", "of": "softplus", "depth": 50}))
    shaped = jaxact.get(config)
    assert isinstance(shaped, propagation.Shaped)
    for made in (copy.deepcopy(shaped), pickle.loads(pickle.dumps(shaped))):
        assert made == shaped
        assert hash(made) == hash(shaped)
        assert jaxact.config(made) == config
    assert jaxact.get(dict(reversed(config.items()))) is shaped
    modules = [jaxact.get(config, kind=kind) for kind in ("nnx", "linen", "equinox")]
    wanted, *results = jax.jit(lambda x: [f(x) for f in (shaped, *modules)])(np.linspace(-3, 3, 7, dtype=np.float32))
    for module, y in zip(modules, results, strict=True):
        assert jaxact.config(module) == config
        np.testing.assert_array_equal(y, wanted)
    for transform in ("tat", "dks"):
        with pytest.raises(ValueError, match="depth"):
            jaxact.get({"name": transform, "of": "softplus"})
        with pytest.raises(ValueError, match=f"no activation is named '{transform}'"):
            jaxact.get(transform)


@pytest.mark.parametrize("kind", ["nnx", "linen", "equinox"])
def test_configs_of_modules(kind):
    for config in (
        {"name": "celu", "alpha": 0.5},
        {"name": "softmax", "axis": [0, 1]},
        {"name": "prelu", "num_parameters": 3, "negative_slope": 0.3, "axis": 1},
        {"name": "Swish", "beta_init": 2.0, "param_dtype": "bfloat16"},
        {"name": "Softmax2d"},
        {"name": "dyt", "num_features": 4},
        {"name": "gumbel_softmax", "hard": True},
    ):
        module = jaxact.get(config, kind=kind)
        assert type(module) is type(jaxact.get(config, kind=kind))
        assert jaxact.config(module) == config
        assert jaxact.config(copy.deepcopy(module)) == config
    assert repr(jaxact.get("GELU", "torch", kind=kind)) == "GELU(approximate=False)"
    assert repr(jaxact.get({"name": "Softmax", "dim": 1}, "torch", kind=kind)) == "Softmax(axis=1)"
    channels = jaxact.get({"name": "PReLU", "num_parameters": 3, "init": 0.3}, "torch", kind=kind)
    described = {"name": "prelu", "num_parameters": 3, "negative_slope": 0.3, "axis": 1}
    assert jaxact.config(channels) == described  # PyTorch's channels are axis 1
    with pytest.raises(ValueError, match=rf"{kind}\.CELU has no parameter 'beta'; did you mean alpha"):
        jaxact.get({"name": "celu", "beta": 1.0}, kind=kind)
    with pytest.raises(ValueError, match="no activation is named 'gelo' in jax; did you mean gelu"):
        jaxact.get("gelo", kind=kind)
    with pytest.raises(ValueError, match="expected kind to be one of function, nnx, linen, equinox, got 'flax'"):
        jaxact.get("gelu", kind="flax")


def test_a_module_that_is_not_jaxacts_has_no_config():
    from jaxact import nnx

    class Steep(nnx.LeakyReLU):
        pass

    with pytest.raises(ValueError, match="expected one of jaxact's modules, got Steep"):
        jaxact.config(Steep())


def test_arrays_are_no_config():
    function = jaxact.get({"name": "leaky_relu", "negative_slope": jnp.array([0.1, 0.2])})
    np.testing.assert_allclose(function(jnp.array([-1.0, -1.0])), [-0.1, -0.2], rtol=1e-6)
    with pytest.raises(TypeError, match="an array belongs in a checkpoint"):
        jaxact.config(function)


def test_numbers_of_numpy_and_flags():
    """A config may come from NumPy. 0 is no False, and found in a cache one would break who asks for the other."""
    for value in (np.float32(0.5), np.float64(0.5), np.int64(2)):
        config = {"name": "elu", "alpha": value}
        assert jaxact.get(config) is jaxact.get({"name": "elu", "alpha": value.item()})
        assert jaxact.config(jaxact.get(config)) == config
        assert json.dumps(jaxact.config(functools.partial(jaxact.elu, alpha=value)))
    for wrong in (0, 1, "tanh", None):
        with pytest.raises(ValueError, match=r"expected approximate of gelu to be a bool, got .*; its default is True"):
            jaxact.get({"name": "gelu", "approximate": wrong})
    with pytest.raises(ValueError, match="expected alpha of elu to be a number, got True"):
        jaxact.get({"name": "elu", "alpha": True})
    exact = jaxact.get({"name": "gelu", "approximate": np.bool_(False)})
    assert exact is jaxact.get({"name": "gelu", "approximate": False})
    assert jaxact.config(exact)["approximate"] is False


def test_a_config_of_a_compact_function():
    for of in ("gelu", {"name": "silu", "beta": 1.702}):
        config = {"name": "compact", "of": of}
        assert jaxact.config(jaxact.get(config)) == config
        assert jaxact.get(json.loads(json.dumps(config))) is jaxact.get(config)
    for wrong in ({"name": "compact"}, {"name": "compact", "of": "gelu", "beta": 1.0}):
        with pytest.raises(ValueError, match=r'expected {"name": "compact", "of": an activation}, got'):
            jaxact.get(wrong)


def test_a_key_is_in_no_config():
    x, key = jnp.array([-1.0, 2.0]), jax.random.key(0)
    for name, config in (("rrelu", {"lower": 0.1, "upper": 0.1}), ("gumbel_softmax", {"tau": 0.5})):
        function = jaxact.get({"name": name, **config})
        assert jaxact.config(function) == {"name": name, **config}
        np.testing.assert_array_equal(function(x, key), jaxact.info(name).function(x, key, **config))


def test_a_config_starts_from_the_peers_defaults():
    """Keras's leaky_relu has the slope 0.2; what the config says takes precedence."""
    assert jaxact.config(jaxact.get({"name": "leaky_relu"}, "keras")) == {"name": "leaky_relu", "negative_slope": 0.2}
    given = {"name": "leaky_relu", "negative_slope": 0.3}
    assert jaxact.config(jaxact.get(given, "keras")) == given


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "leaky_relu", "negative_slop": 0.2}, "leaky_relu has no parameter 'negative_slop'; did you mean neg"),
        ({"name": "relu", "alpha": 0.2}, "relu has no parameter 'alpha'; it has no parameters"),
        ({"name": "soft_cap"}, "the config of soft_cap has no 'cap', which has no default; add it"),
        ({"name": "elu", 1: 2}, "elu has no parameter 1; did you mean alpha"),
        ({"name": "gelo"}, "no activation is named 'gelo' in jax; did you mean gelu"),
    ],
)
def test_a_wrong_config(config, message):
    with pytest.raises(ValueError, match=message):
        jaxact.get(config)


@pytest.mark.parametrize("name", [None, 3, {"alpha": 1.0}, jaxact.relu])
def test_not_a_name(name):
    with pytest.raises(TypeError, match=r"expected a name or a config such as .* got"):
        jaxact.get(name)


def test_what_has_no_config():
    with pytest.raises(ValueError, match="expected a function of the catalog, got <Pjit"):
        jaxact.config(jnp.tanh)
    with pytest.raises(TypeError, match="expected negative_slope to be a number, bool or string"):
        jaxact.config(functools.partial(jaxact.leaky_relu, negative_slope=jnp.ones(3)))
    with pytest.raises(TypeError, match="by keyword, got"):
        jaxact.config(functools.partial(jaxact.elu, 1.0))


@pytest.mark.parametrize("source", ["jax", "torch", "keras", "transformers"])
def test_no_gated_unit_is_a_function_of_one_array(source):
    """A config file's "swiglu" names a unit of two arrays: it never turns into silu."""
    for name in jaxact.names(source):
        function = jaxact.get(name, source)
        row = jaxact.info(getattr(function, "func", function).__name__)
        if row.kind == "gated" and row.name != "glu":
            with pytest.raises(TypeError):
                function(jnp.ones(4))
