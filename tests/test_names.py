"""Names, aliases, `get`, `info`; and that a function can be stored, compared and found in a program by its name."""

import copy
import functools
import pickle

import jax
import numpy as np
import pytest

import jaxact
from jaxact.core import catalog
from jaxact.verify.cases import DEFAULTS
from tests.shapes import SHAPES

pytestmark = pytest.mark.quickly_compiled

ROWS = list(catalog.rows())
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
every = pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.name)

# What jax.nn has that is not an activation, and is passed on as it is.
PASSED_ON = {
    "dot_product_attention", "get_scaled_dot_general_config", "initializers", "log1mexp", "logmeanexp", "one_hot",
    "scaled_dot_general", "scaled_matmul", "standardize",
}  # fmt: skip


def test_all_of_jax_nn_is_here():
    """A name that is new in jax.nn is passed on, and is red here until somebody has looked at it."""
    names = {name for name in dir(jax.nn) if not name.startswith("_")}
    for name in names:
        if name in PASSED_ON:
            assert getattr(jaxact, name) is getattr(jax.nn, name)
        else:
            assert getattr(jaxact, name).__module__.startswith("jaxact.functions."), f"{name} is new in jax.nn"
    assert names <= set(dir(jaxact))


def test_dir_shows_functions_and_no_files():
    others = {
        "Unit",
        "from_config",
        "register",
        "config",
        "get",
        "info",
        "names",
        "compact",
        "split",
        "logsumexp",
    }
    canonical = {name for row in ROWS for name in (row.name, *row.aliases)}
    assert set(dir(jaxact)) - {name for name in dir(jax.nn) if not name.startswith("_")} - canonical <= others


def test_where_a_missing_name_is():
    with pytest.raises(AttributeError, match=r"no attribute 'GELU'; the module is jaxact\.nnx\.GELU, .*equinox"):
        jaxact.GELU  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError, match=r"no attribute 'Swish'; the module is jaxact\.nnx\.Swish"):
        jaxact.Swish  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError, match=r"no attribute 'GatedMLP'; the module is jaxact\.nnx\.GatedMLP"):
        jaxact.GatedMLP  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError, match=r"no attribute 'pallas' until you write import jaxact\.pallas$"):
        vars(jaxact)["__getattr__"]("pallas")  # as before its import, which another test may have done
    with pytest.raises(AttributeError, match=r"no attribute 'gelo'$"):
        jaxact.gelo  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(
        ValueError, match=r"'GELU' in jax; get\('GELU', source=\"torch\"\) knows it; or did you mean gelu"
    ):
        jaxact.get("GELU")


@every_row
def test_public_under_its_name_and_aliases(row):
    assert row.name in jaxact.names()
    for name in (row.name, *row.aliases):
        assert getattr(jaxact, name) is row.function
        assert jaxact.get(name) is row.function
        assert jaxact.info(name) is row
        assert name in jaxact.names("jax")


@every_row
def test_pickle_copy_and_hash(row):
    function = row.function
    assert pickle.loads(pickle.dumps(function)) is function
    assert copy.deepcopy(function) is function
    assert {function: row.name}[function] == row.name
    assert function.__module__.startswith("jaxact.functions.")
    assert function.__qualname__ == row.name


@pytest.mark.parametrize("source", catalog.SOURCES)
def test_get_resolves_every_name(source):
    for name in jaxact.names(source):
        function = jaxact.get(name, source)
        bound = function.func if isinstance(function, functools.partial) else function
        assert bound in {row.function for row in ROWS}, name
        if isinstance(function, functools.partial):
            assert set(function.keywords) <= set(catalog.info(bound.__name__).parameters), name


@pytest.mark.parametrize(
    ("name", "source", "x", "expected"),
    [
        ("gelu", "jax", 2.0, 1.9545977),
        ("gelu", "torch", 2.0, 1.9544997),
        ("gelu", "keras", 2.0, 1.9544997),
        ("gelu", "transformers", 2.0, 1.9544997),
        ("gelu_new", "transformers", 2.0, 1.9545977),
        ("gelu_pytorch_tanh", "transformers", 2.0, 1.9545977),
        ("leaky_relu", "jax", -1.0, -0.01),
        ("leaky_relu", "torch", -1.0, -0.01),
        ("leaky_relu", "keras", -1.0, -0.2),
        ("swish", "jax", 1.0, 0.7310586),
        ("SiLU", "torch", 1.0, 0.7310586),
        ("logsigmoid", "torch", 0.0, -0.6931472),
        ("linear", "keras", -3.0, -3.0),
    ],
)
def test_a_name_means_what_its_source_means(name, source, x, expected):
    assert float(jaxact.get(name, source)(x)) == pytest.approx(expected, rel=1e-6)


@every
def test_the_name_shows_in_programs(case):
    """In the jaxpr as a jit equation, and in it as a custom_jvp_call."""
    x = np.ones((2, 4), np.float32)
    name = case.row.name
    jaxpr = jax.make_jaxpr(lambda x: case(x) * 2)(x)
    [outer] = [e for e in jaxpr.eqns if e.params.get("name") == name]
    assert outer.primitive.name in ("jit", "pjit")
    inner = [e for e in outer.params["jaxpr"].jaxpr.eqns if e.primitive.name == "custom_jvp_call"]
    assert name in str([e.params["call_jaxpr"].jaxpr.debug_info.func_name for e in inner])
    if case.row.kind == "pointwise":
        traced = {parameter: np.float32(value) for parameter, value in case.numbers.items()}
        assert f"name={name}\n" in str(jax.make_jaxpr(lambda x, p: case(x, **p) * 2)(x, traced))


def test_the_name_shows_in_a_compiled_program():
    """All in one."""
    program = jax.jit(lambda x: {case.name: case(x) * 2 for case in SHAPES}).lower(np.ones((2, 4), np.float32))
    text = program.compile().as_text()
    assert [case.row.name for case in SHAPES if f"({case.row.name})" not in text] == []
