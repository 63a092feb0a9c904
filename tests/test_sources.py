"""With a source, a function takes that library's argument names and positions, and means what it means there."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact

pytestmark = pytest.mark.quickly_compiled

X = np.linspace(-3, 3, 24, dtype=np.float32).reshape(2, 3, 4)
ROW = X[0]
KEY = jax.random.key(0)

CALLS = [
    ("torch", "hardtanh", (-2, 2), {}, lambda x: jaxact.hard_tanh(x, min_val=-2, max_val=2)),
    ("torch", "hardtanh", (), {"max_val": 2}, lambda x: jaxact.hard_tanh(x, max_val=2)),
    ("torch", "gelu", (), {}, lambda x: jaxact.gelu(x, False)),
    ("torch", "gelu", (), {"approximate": "tanh"}, jaxact.gelu),
    ("torch", "gelu", ("none",), {}, lambda x: jaxact.gelu(x, False)),
    ("torch", "GELU", ("tanh",), {}, jaxact.gelu),
    ("torch", "softplus", (2, 20), {}, lambda x: jaxact.softplus(x, beta=2)),
    ("torch", "softmax", (0,), {}, lambda x: jaxact.softmax(x, 0)),
    ("torch", "softmax", (), {"dim": 0, "dtype": jnp.float16}, lambda x: jaxact.softmax(x.astype(jnp.float16), 0)),
    ("torch", "softmax", (), {}, jaxact.softmax),
    ("torch", "log_softmax", (), {"dim": 0}, lambda x: jaxact.log_softmax(x, 0)),
    ("torch", "softmin", (), {"dim": 0}, lambda x: jaxact.softmin(x, 0)),
    ("torch", "glu", (), {"dim": -1}, jaxact.glu),
    ("torch", "prelu", (), {"weight": jnp.array([0.3])}, lambda x: jaxact.prelu(x, 0.3)),
    ("torch", "rrelu", (0.25, 0.75), {}, lambda x: jaxact.leaky_relu(x, 0.5)),
    ("torch", "rrelu", (0.25, 0.75, False), {}, lambda x: jaxact.leaky_relu(x, 0.5)),
    ("torch", "rrelu", (0.25, 0.75), {"key": KEY}, lambda x: jaxact.rrelu(x, KEY, 0.25, 0.75)),
    ("torch", "gumbel_softmax", (2.0, True, 1e-10, 0), {"key": KEY},
     lambda x: jaxact.gumbel_softmax(x, KEY, 2.0, True, 0)),
    ("torch", "elu", (0.5,), {}, lambda x: jaxact.elu(x, 0.5)),
    ("torch", "threshold", (0.1, 20.0), {}, lambda x: jaxact.threshold(x, 0.1, 20.0)),
    ("keras", "relu", (0.1, None, 0.5), {}, lambda x: jaxact.thresholded_relu(x, 0.1, threshold=0.5)),
    ("keras", "relu", (), {"max_value": None}, jaxact.relu),
    ("keras", "relu", (), {"max_value": 2.0}, lambda x: jnp.clip(x, 0, 2)),
    ("keras", "leaky_relu", (0.3,), {}, lambda x: jaxact.leaky_relu(x, 0.3)),
    ("keras", "leaky_relu", (), {}, lambda x: jaxact.leaky_relu(x, 0.2)),
    ("keras", "gelu", (True,), {}, jaxact.gelu),
    ("keras", "soft_shrink", (), {"threshold": 1.0}, lambda x: jaxact.soft_shrink(x, 1.0)),
    ("keras", "hard_shrink", (), {"threshold": 1.0}, lambda x: jaxact.hard_shrink(x, 1.0)),
    ("keras", "threshold", (1.0,), {"default_value": 5.0}, lambda x: jaxact.threshold(x, 1.0, 5.0)),
    ("keras", "softmax", (0,), {}, lambda x: jaxact.softmax(x, 0)),
]  # fmt: skip


def test_called_as_there():
    """All in one program."""
    functions = [jaxact.get(name, source) for source, name, *_ in CALLS]

    @jax.jit
    def results(x):
        return [
            (function(x, *values, **given), expected(x))
            for function, (_, _, values, given, expected) in zip(functions, CALLS, strict=True)
        ]

    for (got, wanted), call in zip(results(ROW), CALLS, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7, err_msg=str(call[:4]))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (2, 3, 4, 4), (2, 3, 3, 3)])
def test_torchs_prelu_has_its_channels_in_axis_1(shape):
    x = -np.ones(shape, np.float32)
    weight = np.array([0.1, 0.2, 0.3], np.float32)
    lifted = weight.reshape((3,) + (1,) * max(len(shape) - 2, 0))
    np.testing.assert_allclose(jaxact.get("prelu", "torch")(x, weight), np.broadcast_to(-lifted, shape), rtol=1e-6)
    if len(shape) > 1:
        with pytest.raises(
            ValueError, match=r"jaxact\.prelu: weight: expected 3 numbers, one per channel \(axis 1 of x\)"
        ):
            jaxact.get("prelu", "torch")(x, np.ones(4))


@pytest.mark.parametrize(
    ("name", "given", "error", "message"),
    [
        ("relu", {"inplace": True}, TypeError, "inplace"),
        (
            "hardtanh",
            {"inplace": True},
            TypeError,
            "'inplace' has no meaning here; of torch's it takes min_val, max_val",
        ),
        ("gelu", {"approximate": "exact"}, ValueError, 'approximate: expected "none" or "tanh", got \'exact\''),
        ("softplus", {"threshold": 5}, ValueError, "threshold: expected 20, got 5; the function is exact"),
        ("rrelu", {"training": True}, ValueError, "training: expected False, got True; in training give a random key"),
        ("softmax", {}, ValueError, "dim: expected an int for an array of rank 3, got None"),
    ],
)
def test_what_has_no_meaning_here(name, given, error, message):
    with pytest.raises(error, match=message):
        jaxact.get(name, "torch")(X, **given)


def test_the_array_by_name():
    for name in ("relu", "gelu"):
        np.testing.assert_array_equal(jaxact.get(name, "keras")(x=ROW), jaxact.get(name, "keras")(ROW))
    with pytest.raises(TypeError, match=r"jaxact\.gelu: expected an array, got none; give x"):
        jaxact.get("gelu", "torch")(approximate="tanh")


def test_what_engines_cannot_take():
    function = jaxact.get("silu_and_mul", "vllm")
    np.testing.assert_array_equal(function(ROW, value=ROW), jaxact.swiglu(ROW, ROW))
    with pytest.raises(ValueError, match=r"^jaxact\.swiglu: expected an even size along the last axis, got a scalar"):
        function(1.0)
    with pytest.raises(TypeError, match=r"^jaxact\.swiglu: expected x to be a real number or array, got list"):
        function([1.0, 2.0])


def test_one_argument_twice():
    with pytest.raises(TypeError, match=r"^jaxact\.softmax: expected each argument once, got dim by position and by"):
        jaxact.get("softmax", "torch")(ROW, 0, dim=0)


def test_too_many_positions():
    with pytest.raises(
        TypeError, match="expected at most 2 arguments after the array, torch's min_val, max_val, got 3"
    ):
        jaxact.get("hardtanh", "torch")(X, -1, 1, True)


@pytest.mark.parametrize(
    ("source", "name", "expected", "layout"),
    [
        ("vllm", "silu_and_mul", jaxact.swiglu, "gate_first"),
        ("vllm", "mul_and_silu", jaxact.swiglu, "gate_last"),
        ("vllm", "gelu_and_mul", lambda g, u: jaxact.geglu(g, u, False), "gate_first"),
        ("sglang", "gelu_and_mul", jaxact.geglu, "gate_first"),
        ("vllm", "swigluoai", jaxact.swiglu_oai, "interleaved"),
        ("vllm", "swiglustep", jaxact.swiglu_step, "gate_first"),
        ("vllm", "fatrelu_and_mul", jaxact.reglu, "gate_first"),
        ("vllm", "geglu", lambda g, u: jaxact.geglu(g, u, False), "gate_first"),
        ("vllm", "gelu_tanh", jaxact.geglu, "gate_first"),
        ("vllm", "swigluoai_uninterleave", jaxact.swiglu_oai, "gate_first"),
        ("vllm", "situ", jaxact.situ_glu, "gate_first"),
        ("sglang", "situ", lambda g, u: jnp.tanh(g) * jaxact.sigmoid(g) * u, "gate_first"),
    ],
)
def test_units_of_the_engines(source, name, expected, layout):
    """They take what one projection makes of gate and value, and the two apart."""
    function = jaxact.get(name, source)

    @jax.jit
    def results(x):
        gate, value = jaxact.split(x, layout)
        return function(x), function(gate, value), expected(gate, value)

    joined, apart, wanted = results(X)
    np.testing.assert_array_equal(joined, apart)
    np.testing.assert_allclose(apart, wanted, rtol=1e-6)
    assert pickle.loads(pickle.dumps(function)) is function is jaxact.get(name, source)
    with pytest.raises(ValueError, match="expected an even size along the last axis, got 3"):
        function(X[..., :3])


def test_vllms_gelu_is_exact_and_no_unit():
    np.testing.assert_array_equal(jaxact.get("gelu", "vllm")(X), jaxact.gelu(X, False))
    np.testing.assert_array_equal(jaxact.get("silu", "vllm")(X), jaxact.silu(X))
    limited = jaxact.get({"name": "silu_and_mul_with_clamp", "limit": 2.0}, "vllm")
    np.testing.assert_array_equal(limited(X), jaxact.swiglu_clamped(*jaxact.split(X, "gate_first"), 2.0))
    assert jaxact.config(limited) == {"name": "swiglu_clamped", "limit": 2.0}


def test_configs_understand_them():
    assert jaxact.config(jaxact.get({"name": "gelu", "approximate": "tanh"}, "torch")) == {
        "name": "gelu",
        "approximate": True,
    }
    assert jaxact.config(jaxact.get({"name": "Softmax", "dim": 1}, "torch")) == {"name": "softmax", "axis": 1}
    with pytest.raises(ValueError, match="softmax has no parameter 'dims'"):
        jaxact.get({"name": "softmax", "dims": 1}, "torch")


def test_equal_ones_are_one_object():
    for name in ("gelu", "softmax", "hardtanh", "relu"):
        function = jaxact.get(name, "torch")
        for twin in (jaxact.get(name, "torch"), pickle.loads(pickle.dumps(function)), copy.deepcopy(function)):
            assert twin is function
    assert jaxact.get("gelu", "keras") is not jaxact.get("gelu", "torch")


def test_they_are_traced_like_others():
    function = jaxact.get("prelu", "torch")
    weight = jnp.array([0.1, 0.2, 0.3])
    gradient = jax.jit(jax.grad(lambda w: function(X, w).sum()))(weight)
    np.testing.assert_allclose(gradient, jnp.minimum(X, 0).sum((0, 2)), rtol=1e-5)
