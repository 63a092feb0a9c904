"""Bad input is refused at once, by a message that says who, what was expected, what came and what to do."""

import decimal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact.verify.cases import DEFAULTS
from tests.shapes import SHAPES

pytestmark = pytest.mark.quickly_compiled

shapes = pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.name)

_NOT_ARRAYS = ["1.0", None, [1.0, 2.0], {"x": 1.0}, decimal.Decimal(1), np.array([1.0, None]), np.array(["a"])]


@pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.name)
def test_every_error_names_its_function(case):
    with pytest.raises(TypeError, match=rf"^jaxact\.{case.row.name}: expected (x|gate) to be a real number or array"):
        case(None)
    with pytest.raises(TypeError, match=rf"^jaxact\.{case.row.name}: expected (x|gate|logits) to be bfloat16"):
        case(jnp.ones(4, jnp.float8_e4m3fn))


@shapes
@pytest.mark.parametrize("bad", _NOT_ARRAYS, ids=lambda bad: type(bad).__name__)
def test_not_an_array(case, bad):
    message = rf"^jaxact\.{case.row.name}: expected (x|gate) to be a real number or array, got .*; convert it"
    with pytest.raises(TypeError, match=message):
        case(bad)


@shapes
def test_not_real(case):
    """Float8, whose every operation would round, and complex where jax.nn has no such function; eagerly and in jit.

    And long doubles, which NumPy has and JAX does not.
    """
    with pytest.raises(TypeError, match=rf"^jaxact\.{case.row.name}: expected (x|gate) to be bfloat16, .*; cast it"):
        case(np.ones(4, np.longdouble))
    for x in (np.ones(4, np.complex64), jnp.ones(4, jnp.float8_e4m3fn)):
        if jnp.iscomplexobj(x) and hasattr(jax.nn, case.row.name):
            continue
        message = rf"^jaxact\.{case.row.name}: expected (x|gate|logits) to be bfloat16, .*, got {x.dtype}; cast it with"
        with pytest.raises(TypeError, match=message):
            case(x)
        with pytest.raises(TypeError, match=message):
            jax.jit(case.__call__)(x)


def test_complex_input_is_jax_nns():
    """Its function unchanged, eagerly and in jit; or, where it takes none either, its error."""
    x = np.array([0.5 + 1j, -2.0, 0.25 - 3j, 1.0], np.complex64)
    cases = {case.name: case for case in DEFAULTS if hasattr(jax.nn, case.row.name)}
    with pytest.raises(ValueError, match="complex"):
        cases.pop("sparse_sigmoid")(x)

    @jax.jit
    def results(x):
        peers = {name: getattr(jax.nn, case.row.name)(x, **case.parameters) for name, case in cases.items()}
        return {name: case(x) for name, case in cases.items()}, peers

    ours, theirs = results(x)
    for name in cases:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    np.testing.assert_array_equal(jaxact.silu(x), jax.nn.silu(x))


@shapes
def test_parameters_that_are_no_numbers(case):
    if case.row.kind != "pointwise":
        return
    for name in case.numbers:
        for bad in ("0.1", None, [0.1]):
            with pytest.raises(TypeError, match=rf"^jaxact\.{case.row.name}: expected {name} to be .*, got "):
                case(np.ones(3), **{name: bad})
        with pytest.raises(TypeError, match=rf"^jaxact\.{case.row.name}: expected {name} to be .*, got complex64"):
            case(np.ones(3), **{name: 1j})


def test_other_arguments_that_do_not_fit():
    x = np.ones((2, 3), np.float32)
    with pytest.raises(TypeError, match=r"^jaxact\.ssmax: expected scale to be a real number or array, got None"):
        jaxact.ssmax(x, None)  # pyright: ignore[reportArgumentType]
    key = jax.random.key(0)
    with pytest.raises(TypeError, match=r"^jaxact\.gumbel_softmax: expected hard to be True or False, got 'no'"):
        jaxact.gumbel_softmax(x, key, hard="no")  # pyright: ignore[reportArgumentType]
    for keys in (jax.random.split(key, 2), jax.random.split(jax.random.PRNGKey(0), 2)):
        with pytest.raises(ValueError, match=r"^jaxact\.rrelu: expected one key, got an array of shape \(2.*jax\.vmap"):
            jaxact.rrelu(x, keys)
    with pytest.raises(ValueError, match=r"^jaxact\.logsumexp: expected b to broadcast against a, got .* \(4,\)"):
        jaxact.logsumexp(x, b=np.ones(4))
    with pytest.raises(TypeError, match=r"^jaxact\.logsumexp: expected b to be bfloat16, .*, got float8_e4m3fn; cast"):
        jaxact.logsumexp(x, b=jnp.ones(3, jnp.float8_e4m3fn))
    with pytest.raises(ValueError, match=r"^jaxact: no activation is named \['gelu'\]; did you mean gelu"):
        jaxact.info(["gelu"])  # pyright: ignore[reportArgumentType]
    for name in ("bias", "eps"):
        with pytest.raises(ValueError, match=rf"^jaxact\.poly_norm: expected {name} to broadcast to x's shape"):
            jaxact.poly_norm(x, (0.5, 0.25, 0.25), **{name: np.ones(4, np.float32)})


@pytest.mark.parametrize("case", [c for c in SHAPES if c.row.kind == "pointwise" and c.numbers], ids=lambda c: c.name)
def test_parameters_that_do_not_broadcast(case):
    message = (
        rf"^jaxact\.{case.row.name}: expected parameters that broadcast against x, got .*\(3,\).*; for one value per"
    )
    for name in case.numbers:
        with pytest.raises(ValueError, match=message):
            case(np.ones(3), **{name: np.ones(2)})


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        (jaxact.celu, {"alpha": 0.0}, r"alpha > 0, got 0\.0; choose"),
        (jaxact.celu, {"alpha": -1}, r"alpha > 0, got -1; choose"),
        (jaxact.celu, {"alpha": np.array([1.0, -1.0])}, r"alpha > 0, got array.*; choose"),
        (jaxact.celu, {"alpha": float("nan")}, r"alpha > 0, got nan; choose"),
        (jaxact.squareplus, {"b": -1.0}, r"b >= 0, got -1\.0; choose"),
        (jaxact.softmax, {"temperature": 0.0}, r"temperature > 0, got 0\.0; choose"),
        (jaxact.log_softmax, {"temperature": -1.0}, r"temperature > 0, got -1\.0; choose"),
    ],
)
def test_parameters_outside_their_domain(function, arguments, expected):
    with pytest.raises(ValueError, match=rf"^jaxact\.{function.__name__}: expected {expected}"):
        function(np.ones(2), **arguments)


@pytest.mark.parametrize("function", [jaxact.gumbel_softmax, jaxact.rrelu], ids=lambda f: f.__name__)
@pytest.mark.parametrize("key", [0, "key", np.zeros(2)], ids=lambda key: type(key).__name__)
def test_what_is_no_key(function, key):
    with pytest.raises(TypeError, match=rf"^jaxact\.{function.__name__}: expected key to be a key, got .*; make one"):
        function(np.ones(2), key)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "glu", "logsumexp"])
def test_axes(name):
    function = getattr(jaxact, name)
    for axis in (2, -3):
        message = rf"^jaxact\.{name}: expected axis in \[-2, 2\) for an array of rank 2, got {axis}; count"
        with pytest.raises(ValueError, match=message):
            function(np.ones((2, 2)), axis=axis)
    for axis in ("rows", 0.5):
        with pytest.raises(TypeError, match=rf"^jaxact\.{name}: expected axis to be an int.*, got .*{axis!r}.*; name"):
            function(np.ones((2, 2)), axis=axis)
    with pytest.raises(TypeError, match=rf"^jaxact\.{name}: expected axis to be an int or a tuple of ints, got .*"):
        jax.jit(function)(np.ones((2, 2)), axis=1)
    if name != "logsumexp":
        with pytest.raises(ValueError, match=rf"^jaxact\.{name}: expected axis .* rank 0, got -1; give"):
            function(1.0)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_masks_and_repeated_axes(name):
    function = getattr(jaxact, name)
    with pytest.raises(ValueError, match=rf"^jaxact\.{name}: expected each axis once, got \(0, -2\); drop"):
        function(np.ones((2, 2)), axis=(0, -2))
    with pytest.raises(TypeError, match=rf"^jaxact\.{name}: expected where to be a bool array, got float32; compare"):
        function(np.ones((2, 2)), where=jnp.ones((2, 2)))
    with pytest.raises(ValueError, match=rf"^jaxact\.{name}: expected where to broadcast to .*, got \(3,\); give"):
        function(np.ones((2, 2)), where=np.ones(3, bool))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_temperatures_that_do_not_broadcast(name):
    for shape in ((3,), (2, 2, 2)):
        message = rf"^jaxact\.{name}: expected temperature to .*broadcast to .*, got .*; keep the row's axis"
        with pytest.raises(ValueError, match=message):
            getattr(jaxact, name)(np.ones((2, 2)), temperature=np.ones(shape))


def test_an_odd_glu():
    with pytest.raises(ValueError, match=r"^jaxact\.glu: expected an even size along axis 1, got 3; its halves"):
        jaxact.glu(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("silou", "jax", r"^jaxact: no activation is named 'silou' in jax; did you mean .*silu"),
        ("RELU", "jax", r"^jaxact: no activation is named 'RELU' in jax; did you mean .*relu"),
        (
            "gelu_tahn",
            "transformers",
            r"^jaxact: no activation is named 'gelu_tahn' in transformers; did you mean .*gelu",
        ),
        ("?", "keras", r"^jaxact: no activation is named '\?' in keras; known are .*relu"),
        ("__import__('os')", "jax", r"^jaxact: no activation is named"),
        (
            "relu",
            "theano",
            r"^jaxact\.get: expected source to be one of jax, torch, keras, transformers, vllm, sglang, got 'theano'",
        ),
    ],
)
def test_unknown_names(name, source, message):
    with pytest.raises(ValueError, match=message):
        jaxact.get(name, source)
    if source == "jax":
        with pytest.raises(ValueError, match=message.replace(" in jax", "")):
            jaxact.info(name)


def test_a_name_is_a_string():
    for bad in (None, 1, ["relu"]):
        with pytest.raises(TypeError, match=r"^jaxact\.get: expected a name or a config .*, got "):
            jaxact.get(bad)
