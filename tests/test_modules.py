"""The modules of the three frameworks: the same as the function, bit for bit, and good citizens of the framework."""
# pyright: reportUnnecessaryTypeIgnoreComment=true
# An argument that pyright should refuse is marked with an ignore; were it not refused, the ignore would be unnecessary.

import copy
import functools
import inspect
import pickle
import re

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import jaxact
import jaxact.equinox
import jaxact.linen
import jaxact.nnx
from jaxact.modules import generate, learned
from jaxact.modules.settings import DATA
from jaxact.verify.cases import CASES
from tests.shapes import SHAPES

pytestmark = pytest.mark.quickly_compiled

PACKAGES = {jaxact.nnx: nnx.Module, jaxact.linen: linen.Module, jaxact.equinox: equinox.Module}
ALONE = [c for c in CASES if not hasattr(learned, c.row.module) and "key" not in c.row.parameters]
"""Every row whose module is made of its function alone; tests/test_learnable.py and test_random.py have the others."""
VARIED = list({c.row.name: c for c in ALONE if c.row in [shape.row for shape in SHAPES]}.values())
"""One for each shape of function, with parameters that are not the defaults: the generator writes them all alike."""
BATCH = np.array([[-np.inf, -7.5, -1, -1e-3], [-0.0, 0, 0.3, 1], [2.5, 6, 80, np.inf]], np.float32)

each = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
shapes = pytest.mark.parametrize("case", VARIED, ids=lambda case: case.name)
few = pytest.mark.parametrize("case", VARIED[::4], ids=lambda case: case.name)


def classes(package):
    """Name -> class of what a user finds in the package."""
    return {name: c for name, c in vars(package).items() if isinstance(c, type)}


def make(package, case):
    return getattr(package, case.row.module)(**case.parameters)


def applied(module):
    """A module without parameters as a function of one array, gate and value alike."""
    taken = inspect.signature(type(module).__call__).parameters.values()
    count = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in taken) - 1
    call = functools.partial(module.apply, {}) if isinstance(module, linen.Module) else module
    return lambda x, **arguments: call(*[x] * count, **arguments)


def program(function, *arrays):
    """The jaxpr of a function, without the addresses in it."""
    return re.sub(r"0x[0-9a-f]+", "", str(jax.make_jaxpr(function)(*arrays)))


@shapes
def test_a_module_traces_to_the_functions_program(case):
    """So values and gradients are the function's, jit makes the same of both, and no more is kept."""

    def value_and_gradient(f):
        return program(lambda x: (f(x), jax.vmap(jax.grad(lambda x: f(x).sum()))(x)), BATCH)

    expected = value_and_gradient(case)
    for package in PACKAGES:
        assert value_and_gradient(applied(make(package, case))) == expected, package


@each
@few
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_module_equals_the_function(package, case, dtype):
    x = BATCH.astype(dtype)
    expected, got = case(x), jnp.asarray(applied(make(package, case))(x))
    assert got.dtype == expected.dtype
    assert np.asarray(got).tobytes() == np.asarray(expected).tobytes()


def test_the_generated_files_are_up_to_date():
    now, there = generate.sources(), {path: path.read_text() for path in generate.written()}
    stale = sorted(f"{path.parent.name}/{path.name}" for path in {*now, *there} if now.get(path) != there.get(path))
    if stale:
        pytest.fail(
            f"{', '.join(stale)}: not what the catalog says: run `python -m jaxact.modules.generate`", pytrace=False
        )


@each
def test_classes_are_plain_ones_that_can_be_opened(package):
    framework = package.__name__.rpartition(".")[2]
    for name, made in classes(package).items():
        assert issubclass(made, PACKAGES[package])
        assert made.__module__.startswith(f"jaxact.modules.{framework}.")
        assert (made.__qualname__, made.__name__) == (name, name)
        source = inspect.getsource(made)
        assert f"class {name}(" in source
        assert "def __call__" in source
        assert pickle.loads(pickle.dumps(made)) is made
        documentation = inspect.getdoc(made) or ""
        assert "jaxact." in documentation, name
        assert ">>>" not in documentation


def test_the_frameworks_have_the_same_classes_and_arguments():
    def arguments(made):
        names = inspect.signature(made.__init__).parameters
        where_keys_come_from = {"self", "parent", "name", "rngs", "rng_collection", "deterministic", "inference"}
        return {name: p.default for name, p in names.items() if name not in where_keys_come_from}

    one, *others = (
        {name: arguments(c) for name, c in classes(package).items() if name != "GatedMLP"} for package in PACKAGES
    )  # whose arguments are those of the framework's own dense layers
    for other in others:
        assert other == one


def test_constructors_take_the_functions_parameters():
    """In its order, by position too, with its defaults and its words for each."""
    for row in {case.row.name: case.row for case in ALONE}.values():
        made = getattr(jaxact.nnx, row.module)
        fixed = {name: default for name, default in row.parameters.items() if name not in DATA}
        constructor = list(inspect.signature(made.__init__).parameters.values())[1:]
        assert {p.name: p.default for p in constructor} == fixed
        assert list(fixed) == [p.name for p in constructor if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert all(f"\n  {name}: " in (inspect.getdoc(made) or "") for name in fixed)
        called = inspect.signature(made.__call__).parameters
        assert {"where"} & set(called) == {"where"} & set(row.parameters)


@each
def test_names_are_pytorchs(package):
    names = (
        "CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh Identity LeakyReLU LogSigmoid LogSoftmax Mish "
        "PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink Softsign Tanh "
        "Tanhshrink Threshold"
    )
    assert set(names.split()) <= set(classes(package))


@each
@few
def test_copies_and_pickles(package, case):
    module = make(package, case)
    expected = applied(module)(BATCH)
    for twin in (copy.deepcopy(module), copy.copy(module), pickle.loads(pickle.dumps(module))):
        assert type(twin) is type(module)
        assert repr(twin) == repr(module)
        np.testing.assert_array_equal(applied(twin)(BATCH), expected)


@each
def test_repr_shows_what_is_not_the_default(package):
    assert repr(package.CELU()) == "CELU()"
    assert repr(package.CELU(alpha=1.0)) == "CELU()"
    assert repr(package.CELU(0.5)) == "CELU(alpha=0.5)"
    assert repr(package.Softmax(temperature=2.0)) == "Softmax(temperature=2.0)"
    assert repr(package.Threshold(0.1, 20.0)) == "Threshold(threshold=0.1, value=20.0)"
    assert re.match(r"PReLU\([^)]*num_parameters=3", repr(package.PReLU(3)))
    inside = {
        jaxact.nnx: lambda m: nnx.Sequential(m),
        jaxact.linen: lambda m: linen.Sequential([m]),
        jaxact.equinox: lambda m: equinox.nn.Sequential([m]),
    }[package]
    assert "CELU(alpha=0.5)" in repr(inside(package.CELU(0.5)))


@each
@few
def test_equal_settings_compile_once(package, case):
    """Two models of equal configuration are one to a compiler, and another setting is another."""
    traces = []

    def call(module, x):
        traces.append(1)
        return module(*[x] * case.arrays)

    jitted = {
        jaxact.nnx: nnx.jit(call),
        jaxact.linen: jax.jit(call, static_argnums=0),  # nothing learned: no apply needed
        jaxact.equinox: equinox.filter_jit(call),
    }[package]
    for _ in range(2):
        np.testing.assert_allclose(jitted(make(package, case), BATCH[1]), case(BATCH[1]), rtol=1e-6, atol=1e-6)
    assert len(traces) == 1


@each
def test_modules_without_parameters_have_none(package):
    module = package.Softmax()
    if package is jaxact.linen:
        assert module.init(jax.random.key(0), BATCH) == {}
    else:
        assert jax.tree.leaves(nnx.state(module) if package is jaxact.nnx else module) == []


def test_nnx_modules_in_a_model():
    @nnx.jit
    def made():
        first, second = nnx.Linear(4, 8, rngs=nnx.Rngs(0)), nnx.Linear(4, 3, rngs=nnx.Rngs(1))
        unit = (first, jaxact.nnx.GLU(), jaxact.nnx.PReLU(4))
        return nnx.Sequential(*unit, second, jaxact.nnx.CELU(0.5), jaxact.nnx.Softmax())

    model = made()

    @nnx.jit
    def results(model, x):
        first, _, _, second, *_ = model.layers
        expected = jaxact.softmax(jaxact.celu(second(jaxact.prelu(jaxact.glu(first(x)), 0.25)), 0.5))
        return model(x), model(x, rngs=nnx.Rngs(0)), expected  # Sequential offers rngs to each layer

    x = np.ones((2, 4), np.float32)
    *ours, expected = results(model, x)
    for y in ours:
        np.testing.assert_array_equal(y, expected)
    gradients = nnx.jit(nnx.grad(lambda model, x: model(x)[:, 0].sum()))(model, x)
    assert {path[-1] for path, _ in nnx.to_flat_state(gradients)} == {"kernel", "bias", "negative_slope"}


def test_linen_modules_in_a_model():
    linear, prelu = linen.Dense(8), jaxact.linen.PReLU(4)
    model = linen.Sequential([linear, jaxact.linen.GLU(), prelu, jaxact.linen.CELU(0.5), jaxact.linen.Softmax()])

    @jax.jit
    def results(x):
        variables = model.init(jax.random.key(0), x)
        dense = jnp.asarray(linear.apply({"params": variables["params"]["layers_0"]}, x))
        expected = jaxact.softmax(jaxact.celu(jaxact.prelu(jaxact.glu(dense), 0.25), 0.5))
        return variables, model.apply(variables, x), expected

    x = np.ones((2, 4), np.float32)
    variables, got, expected = results(x)
    assert list(variables["params"]["layers_2"]) == ["negative_slope"]
    np.testing.assert_array_equal(got, expected)
    assert "PReLU" in model.tabulate(jax.random.key(0), x)


def test_equinox_modules_in_a_model():
    layers = [jaxact.equinox.GLU(), jaxact.equinox.PReLU(4), jaxact.equinox.CELU(0.5), jaxact.equinox.Softmax()]
    linear = equinox.nn.Linear(4, 8, key=jax.random.key(0))
    model = equinox.nn.Sequential([linear, *layers])
    x = np.ones(4, np.float32)

    @equinox.filter_jit
    def results(model, linear, x):
        return model(x), jaxact.softmax(jaxact.celu(jaxact.prelu(jaxact.glu(linear(x)), 0.25), 0.5))

    np.testing.assert_array_equal(*results(model, linear, x))
    gradient = equinox.filter_jit(equinox.filter_grad(lambda model, x: model(x)[0]))
    gradients = gradient(model, x)
    assert gradients.layers[2].negative_slope.shape == (4,)
    assert gradients.layers[3].alpha is None  # a number is a setting; an array would be learned
    learns = equinox.tree_at(lambda model: model.layers[3].alpha, model, jnp.float32(0.5))
    assert gradient(learns, x).layers[3].alpha.shape == ()


def test_linen_modules_inside_compact():
    class Block(linen.Module):
        activation: linen.Module

        @linen.compact
        def __call__(self, x):
            return jaxact.linen.Softmax()(jaxact.linen.PReLU()(self.activation(linen.Dense(3)(x))))

    block = Block(jaxact.linen.LeakyReLU(0.2))
    result, variables = jax.jit(block.init_with_output)(jax.random.key(0), np.ones((2, 4), np.float32))
    assert set(variables["params"]) == {"Dense_0", "PReLU_0"}
    np.testing.assert_allclose(np.sum(result, -1), 1, rtol=1e-6)


@each
def test_mask_is_given_at_the_call(package):
    where = jnp.array([True, False, True, True])
    module = applied(package.Softmax(axis=0))
    np.testing.assert_array_equal(module(BATCH.T, where=where[:, None]), jaxact.softmax(BATCH.T, 0, where[:, None]))


@each
def test_softmax2d_is_softmax_over_channels(package):
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    module = package.Softmax2d()
    where = np.array([True, False, True])[:, None, None]
    for x in (images, images[0]):
        function = applied(module)
        np.testing.assert_array_equal(function(x), jaxact.softmax(x, -3))
        np.testing.assert_array_equal(function(x, where=where), jaxact.softmax(x, -3, where))
        assert program(function, x) == program(lambda x: jaxact.softmax(x, -3), x)
    for bad in (images[0, 0], images[None]):
        message = rf"^jaxact: Softmax2d expected x of shape .*, got {re.escape(str(bad.shape))}; for other shapes"
        with pytest.raises(ValueError, match=message):
            applied(module)(bad)


@each
def test_one_value_a_channel(package):
    slopes = jnp.array([0.0, 0.1, 0.2, 0.3])
    expected = jaxact.leaky_relu(BATCH, slopes)
    np.testing.assert_array_equal(applied(package.LeakyReLU(slopes))(BATCH), expected)
    if package is jaxact.nnx:  # an array is data there, so that it is traced
        assert len(jax.tree.leaves(nnx.state(package.LeakyReLU(slopes)))) == 1
        np.testing.assert_array_equal(nnx.jit(lambda m, x: m(x))(package.LeakyReLU(slopes), BATCH), expected)


@each
@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        ("CELU", {"alpha": -1}, ValueError, "expected alpha > 0, got -1"),
        ("CELU", {"alpha": jnp.array([1.0, -1.0])}, ValueError, "expected alpha > 0"),
        ("LeakyReLU", {"negative_slope": "a"}, TypeError, "str"),
        ("ELU", {"alpha": None}, (TypeError, ValueError), "None"),
        ("Softmax", {"axis": "rows"}, TypeError, "expected axis to be an int or a tuple of ints, got 'rows'"),
        ("Softmax", {"temperature": 0.0}, ValueError, "temperature > 0, got 0.0"),
        ("SwiGLUClamped", {"limit": -1.0}, ValueError, "limit > 0"),
        ("GumbelSoftmax", {"tau": -1.0}, ValueError, "tau > 0"),
        ("PReLU", {"num_parameters": 0.1}, TypeError, "int, got 0.1; start values are called ..._init"),
        ("PReLU", {"num_parameters": 0}, ValueError, "num_parameters >= 1, got 0"),
        ("PReLU", {"negative_slope_init": "a"}, TypeError, "negative_slope_init to be a number, got 'a'"),
        ("PReLU", {"negative_slope_init": float("nan")}, ValueError, "finite negative_slope_init, got nan"),
        ("PReLU", {"axis": None}, TypeError, "axis to be an int, got None; name the axis by its number"),
        ("PReLU", {"param_dtype": jnp.int32}, TypeError, "param_dtype to be a float type, got"),
        ("PReLU", {"param_dtype": "float8_e5m2"}, TypeError, "param_dtype to be a float type, got 'float8_e5m2'"),
        ("PReLU", {"param_dtype": "float17"}, TypeError, "float17"),
    ],
)
def test_wrong_arguments_raise_at_once(package, name, arguments, error, message):
    """A function's parameter by the function's own words, a learned module's argument by the module's."""
    who = f"{package.__name__}.{name}" if name == "PReLU" else "jaxact."
    with pytest.raises(error, match=rf"^{re.escape(who)}.*{re.escape(message)}"):
        getattr(package, name)(**arguments)


@each
def test_too_many_arguments_raise_at_once(package):
    """Linen would take them for the parent."""
    for make in (lambda: package.ReLU(2), lambda: package.Softplus(2, 20), lambda: package.PReLU(4, 0.25, 3)):
        with pytest.raises(TypeError, match=r"positional argument"):
            make()
    x = jnp.ones(3)
    np.testing.assert_array_equal(package.Softplus(2)(x), jaxact.softplus(x, beta=2))  # as PyTorch's
    np.testing.assert_array_equal(package.Hardtanh(-2, 0.5)(x), jaxact.hard_tanh(x, min_val=-2, max_val=0.5))


def test_unknown_arguments_raise_and_type_checkers_know():
    jaxact.nnx.LeakyReLU(0.2)
    jaxact.linen.LeakyReLU(0.2, name="activation")
    jaxact.equinox.LeakyReLU(0.2)
    jaxact.nnx.PReLU(3).negative_slope[...].mean()
    jaxact.equinox.PReLU(3).negative_slope.mean()
    with pytest.raises(TypeError, match=r"LeakyReLU.*slope"):
        jaxact.nnx.LeakyReLU(slope=0.2)  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match=r"LeakyReLU.*slope"):
        jaxact.linen.LeakyReLU(slope=0.2)  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match=r"LeakyReLU.*slope"):
        jaxact.equinox.LeakyReLU(slope=0.2)  # pyright: ignore[reportCallIssue]


@each
def test_axis_out_of_range_is_known_at_the_call(package):
    module = package.Softmax(axis=7)
    with pytest.raises(ValueError, match="axis"):
        applied(module)(BATCH)


@each
def test_a_subclass_keeps_its_own_constructor_and_name(package):
    class Steep(package.LeakyReLU):
        def __init__(self):
            super().__init__(0.5)

    assert Steep()(-2.0) == -1.0
    assert "Steep(" in repr(Steep())
