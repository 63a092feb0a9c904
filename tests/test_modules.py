"""The Flax modules: in both frameworks the same as the function, bit for bit, and good citizens of the framework."""
# pyright: reportUnnecessaryTypeIgnoreComment=true
# An argument that pyright should refuse is marked with an ignore; were it not refused, the ignore would be unnecessary.

import copy
import dataclasses
import inspect
import pickle
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import jaxact
import jaxact.linen
import jaxact.nnx
from jaxact.core.catalog import rows
from jaxact.core.modules import DATA
from jaxact.verify import cases
from tests import stubs

pytestmark = pytest.mark.usefixtures("quickly_compiled")

PACKAGES = [jaxact.nnx, jaxact.linen]
LEARNABLE = [row.module for row in rows() if getattr(jaxact.nnx, row.module)._learned and row.module != "PReLU"]
"""Modules that take the place of a function's own: tests/test_learnable.py has them."""
CASES = [case for case in cases.CASES if case.row.module not in LEARNABLE]
EVERY = [pytest.param(p, name, id=f"{p.__name__}.{name}") for p in PACKAGES for name in p.__all__]
BATCH = jnp.array([[-jnp.inf, -7.5, -1.0, -1e-3], [-0.0, 0.0, 0.3, 1.0], [2.5, 6.0, 80.0, jnp.inf]])

both = pytest.mark.parametrize("package", PACKAGES)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def make(package, case):
    """The module of a case. A learned parameter p starts at the constructor's p_init."""
    made = getattr(package, case.row.module)
    return made(**{f"{k}_init" if k in made._learned else k: v for k, v in case.parameters.items()})


def applied(module, *data):
    """The module as a function of one array (gate and value alike), with the parameters that it has before training."""
    taken = inspect.signature(type(module).__call__).parameters.values()
    count = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in taken) - 1
    if isinstance(module, nnx.Module):
        return lambda x, **arguments: module(*[x] * count, **arguments)
    variables = module.init(jax.random.key(0), *(data or (BATCH,)) * count)
    return lambda x, **arguments: module.apply(variables, *[x] * count, **arguments)


def program(function, *arrays):
    """The jaxpr of a function, without the addresses in it."""
    return re.sub(r"0x[0-9a-f]+", "", str(jax.make_jaxpr(function)(*arrays)))


@both
@every_case
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_module_equals_function(package, case, dtype):
    x = BATCH.astype(dtype)
    expected, got = case(x), applied(make(package, case))(x)
    assert got.dtype == expected.dtype
    assert np.asarray(got).tobytes() == np.asarray(expected).tobytes()


@both
@every_case
def test_module_traces_to_the_functions_program(package, case):
    # So jit makes the same of both, and a module keeps no more for the backward pass than the function.
    learned = getattr(package, case.row.module)._learned
    fixed = {name: jnp.float32(value) if name in learned else value for name, value in case.parameters.items()}
    module = applied(make(package, case))

    def function(x):
        return case(x, **fixed)

    def gradient(f):
        return jax.grad(lambda x: f(x).sum())

    for change in (lambda f: f, lambda f: jax.vmap(gradient(f))):
        assert program(change(module), BATCH) == program(change(function), BATCH)


@pytest.mark.parametrize(("package", "name"), EVERY)
def test_class_is_a_real_one(package, name):
    made = getattr(package, name)
    assert isinstance(made, type)
    assert issubclass(made, nnx.Module if package is jaxact.nnx else linen.Module)
    assert (made.__module__, made.__qualname__, made.__name__) == (package.__name__, name, name)
    assert pickle.loads(pickle.dumps(made)) is made
    documentation = inspect.getdoc(made) or ""
    assert ">>>" not in documentation
    assert "\n  x: " not in documentation


@both
@pytest.mark.parametrize(
    "row", [row for row in rows() if row.module not in ("PReLU", *LEARNABLE)], ids=lambda row: row.name
)
def test_signature_is_the_functions(package, row):
    made = getattr(package, row.module)
    constructor = inspect.signature(made).parameters
    function = inspect.signature(row.function).parameters
    fixed = [name for name in row.parameters if name not in DATA]
    assert [name for name in constructor if name not in ("parent", "name")] == fixed
    for name in fixed:
        assert constructor[name].default == function[name].default
        assert constructor[name].annotation == function[name].annotation
        assert f"\n  {name}: " in made.__doc__
    assert made.__doc__.startswith((inspect.getdoc(row.function) or "-").partition("\n")[0])
    assert list(inspect.signature(made.__call__).parameters) == [
        "self",
        *(name for name in function if name not in row.parameters or name in DATA),
    ]


@both
def test_signatures_that_the_readme_promises(package):
    def text(made):
        parameters = inspect.signature(made).parameters.values()
        return [f"{p.name}={p.default}" for p in parameters if p.name not in ("parent", "name")]

    assert text(package.LeakyReLU) == ["negative_slope=0.01"]
    assert text(package.GELU) == ["approximate=True"]
    assert text(package.GLU) == ["axis=-1"]
    assert text(package.Softmax)[0] == "axis=-1"
    assert text(package.PReLU)[:2] == ["num_parameters=1", "negative_slope_init=0.25"]
    assert "axis=-1" in text(package.PReLU)  # by keyword only
    assert "where" not in inspect.signature(package.Softmax).parameters
    assert "where" in inspect.signature(package.Softmax.__call__).parameters


@both
def test_names_are_pytorchs(package):
    names = (
        "CELU ELU GELU GLU Hardsigmoid Hardswish Hardtanh Identity LeakyReLU LogSigmoid LogSoftmax Mish PReLU ReLU "
        "ReLU6 SELU SiLU Sigmoid Softmax Softmax2d Softplus Softsign Tanh"
    )
    assert set(names.split()) <= set(package.__all__)


@both
@every_case
def test_copies_and_pickles(package, case):
    module = make(package, case)
    expected = applied(module)(BATCH)
    for twin in (copy.deepcopy(module), copy.copy(module), pickle.loads(pickle.dumps(module))):
        assert type(twin) is type(module)
        for field in dataclasses.fields(module):
            assert getattr(twin, field.name) == getattr(module, field.name)
        np.testing.assert_array_equal(applied(twin)(BATCH), expected)


@both
@every_case
def test_repr_shows_class_and_arguments(package, case):
    text = repr(make(package, case))
    assert text.startswith(case.row.module)
    for name, value in case.parameters.items():
        assert re.search(rf"{name}(_init)? ?= ?{re.escape(repr(value))}", text)


@every_case
def test_nnx_hyperparameters_are_static(case):
    module = make(jaxact.nnx, case)
    graph, state = nnx.split(module)
    assert hash(graph) == hash(nnx.split(make(jaxact.nnx, case))[0])
    assert graph == nnx.split(make(jaxact.nnx, case))[0]
    assert len(jax.tree.leaves(state)) == len(module._learned)
    np.testing.assert_array_equal(applied(nnx.merge(graph, state))(BATCH), applied(module)(BATCH))


@every_case
def test_linen_modules_compare_and_hash_by_value(case):
    module, twin = make(jaxact.linen, case), make(jaxact.linen, case)
    assert module == twin
    assert hash(module) == hash(twin)
    if not module._learned:
        assert module.init(jax.random.key(0), *[BATCH] * case.arrays) == {}
        np.testing.assert_array_equal(module(*[BATCH] * case.arrays), case(BATCH))  # nothing learned: no apply needed


def test_nnx_modules_in_a_model():
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(
        nnx.Linear(4, 8, rngs=rngs),
        jaxact.nnx.GLU(),
        jaxact.nnx.PReLU(4),
        nnx.Linear(4, 3, rngs=rngs),
        jaxact.nnx.CELU(0.5),
        jaxact.nnx.Softmax(),
    )
    x = jnp.ones((2, 4))
    expected = jaxact.softmax(jaxact.celu(model.layers[3](jaxact.prelu(jaxact.glu(model.layers[0](x)), 0.25)), 0.5))
    np.testing.assert_array_equal(model(x), expected)
    np.testing.assert_array_equal(model(x, rngs=rngs), expected)  # Sequential offers it to each layer
    np.testing.assert_allclose(nnx.jit(model)(x), expected, rtol=1e-6)  # XLA fuses what was apart
    gradients = nnx.grad(lambda model, x: model(x)[:, 0].sum())(model, x)
    assert {path[-1] for path, _ in nnx.to_flat_state(gradients)} == {"kernel", "bias", "negative_slope"}


def test_linen_modules_in_a_model():
    linear, prelu = linen.Dense(8), jaxact.linen.PReLU(4)
    model = linen.Sequential([linear, jaxact.linen.GLU(), prelu, jaxact.linen.CELU(0.5), jaxact.linen.Softmax()])
    x = jnp.ones((2, 4))
    variables = model.init(jax.random.key(0), x)
    dense = jnp.asarray(linear.apply({"params": variables["params"]["layers_0"]}, x))
    expected = jaxact.softmax(jaxact.celu(jaxact.prelu(jaxact.glu(dense), 0.25), 0.5))
    assert list(variables["params"]["layers_2"]) == ["negative_slope"]
    np.testing.assert_array_equal(model.apply(variables, x), expected)
    np.testing.assert_allclose(jax.jit(model.apply)(variables, x), expected, rtol=1e-6)  # XLA fuses what was apart
    assert "PReLU" in model.tabulate(jax.random.key(0), x)


def test_linen_modules_inside_compact():
    class Block(linen.Module):
        activation: linen.Module

        @linen.compact
        def __call__(self, x):
            return jaxact.linen.Softmax()(jaxact.linen.PReLU()(self.activation(linen.Dense(3)(x))))

    x = jnp.ones((2, 4))
    variables = Block(jaxact.linen.LeakyReLU(0.2)).init(jax.random.key(0), x)
    assert set(variables["params"]) == {"Dense_0", "PReLU_0"}
    result = jnp.asarray(Block(jaxact.linen.LeakyReLU(0.2)).apply(variables, x))
    np.testing.assert_allclose(result.sum(-1), 1, rtol=1e-6)


@both
def test_mask_is_given_at_the_call(package):
    where = jnp.array([True, False, True, True])
    module = applied(package.Softmax(axis=0))
    np.testing.assert_array_equal(module(BATCH.T, where=where[:, None]), jaxact.softmax(BATCH.T, 0, where[:, None]))


@both
def test_softmax2d_is_softmax_over_channels(package):
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    module = package.Softmax2d()
    where = np.array([True, False, True])[:, None, None]
    for x in (images, images[0]):
        function = applied(module, x)
        np.testing.assert_array_equal(function(x), jaxact.softmax(x, -3))
        np.testing.assert_array_equal(function(x, where=where), jaxact.softmax(x, -3, where))
        assert program(function, x) == program(lambda x: jaxact.softmax(x, -3), x)
    np.testing.assert_allclose(applied(module, images)(images).sum(1), np.ones((2, 4, 5)), rtol=1e-6)
    for bad in (images[0, 0], images[None]):
        message = (
            rf"^{package.__name__}\.Softmax2d: expected x of shape .*, got {re.escape(str(bad.shape))}; Softmax takes"
        )
        with pytest.raises(ValueError, match=message):
            applied(module, bad)(bad)


@both
def test_one_value_a_channel(package):
    slopes = jnp.array([0.0, 0.1, 0.2, 0.3])
    expected = jaxact.leaky_relu(BATCH, slopes)
    np.testing.assert_array_equal(applied(package.LeakyReLU(slopes))(BATCH), expected)
    if package is jaxact.nnx:  # an array is data there, so that it is traced
        assert len(jax.tree.leaves(nnx.state(package.LeakyReLU(slopes)))) == 1
        np.testing.assert_array_equal(nnx.jit(lambda m, x: m(x))(package.LeakyReLU(slopes), BATCH), expected)


@both
@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        ("CELU", {"alpha": -1}, ValueError, "expected alpha > 0, got -1"),
        ("LeakyReLU", {"negative_slope": "a"}, TypeError, "str"),
        ("LeakyReLU", {"negative_slope": 1j}, TypeError, "complex"),
        ("ELU", {"alpha": None}, (TypeError, ValueError), "None"),
        ("Softmax", {"axis": "rows"}, TypeError, "expected axis to be an int or a tuple of ints, got 'rows'"),
        ("Softmax", {"axis": (0, 0)}, ValueError, "each axis once"),
        ("Softmax", {"temperature": 0.0}, ValueError, "temperature > 0, got 0.0"),
        ("PReLU", {"num_parameters": 0.1}, TypeError, "num_parameters to be an int, got 0.1"),
        ("PReLU", {"num_parameters": 0}, ValueError, "num_parameters >= 1, got 0"),
        ("PReLU", {"negative_slope_init": "a"}, TypeError, "negative_slope_init to be a number, got 'a'"),
        (
            "PReLU",
            {"negative_slope_init": float("nan")},
            ValueError,
            "finite negative_slope_init, got nan",
        ),
        ("PReLU", {"axis": None}, TypeError, "axis to be an int, got None"),
        ("PReLU", {"param_dtype": jnp.int32}, TypeError, "param_dtype to be a float type, got"),
        ("PReLU", {"param_dtype": "float17"}, TypeError, "float17"),
    ],
)
def test_wrong_arguments_raise_at_once(package, name, arguments, error, message):
    with pytest.raises(error, match=rf"^{re.escape(package.__name__)}\.{name}: .*{re.escape(message)}"):
        getattr(package, name)(**arguments)


def test_unknown_arguments_raise_and_type_checkers_know():
    jaxact.nnx.LeakyReLU(0.2)
    jaxact.linen.LeakyReLU(0.2, name="activation")
    jaxact.nnx.PReLU(3).negative_slope[...].mean()
    with pytest.raises(TypeError, match=r"LeakyReLU.*slope"):
        jaxact.nnx.LeakyReLU(slope=0.2)  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match=r"LeakyReLU.*slope"):
        jaxact.linen.LeakyReLU(slope=0.2)  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match=r"ReLU.*(takes|too many)"):
        jaxact.nnx.ReLU(0.2)  # pyright: ignore[reportCallIssue]


@both
def test_axis_out_of_range_is_known_at_the_call(package):
    module = package.Softmax(axis=7)
    with pytest.raises(ValueError, match="axis"):
        applied(module)(BATCH)


@both
def test_prelu_with_one_slope_a_channel(package):
    x = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    for axis in (1, -2):
        module = package.PReLU(3, 0.5, axis=axis)
        if package is jaxact.nnx:
            module.negative_slope[...] = jnp.array([0.1, -0.2, 3.0])
            got = module(x)
        else:
            got = module.apply({"params": {"negative_slope": jnp.array([0.1, -0.2, 3.0])}}, x)
        slope = np.array([0.1, -0.2, 3.0], np.float32)[:, None]
        np.testing.assert_array_equal(got, np.where(x >= 0, x, slope * x))
    with pytest.raises(
        ValueError, match=rf"{package.__name__}.PReLU: expected 4 channels along axis -1, got x of shape \(2, 3, 5\)"
    ):
        applied(package.PReLU(4), x)(x)
    with pytest.raises(ValueError, match=r"expected axis in \[-3, 3\)"):
        applied(package.PReLU(4, axis=3), x)(x)


@both
def test_prelu_keeps_its_slope_in_its_own_type(package):
    x = BATCH.astype(jnp.bfloat16)
    module = package.PReLU(4, 0.3)
    got = applied(module, x)(x)
    assert got.dtype == jnp.bfloat16
    exact = np.asarray(jaxact.prelu(x.astype(jnp.float32), jnp.float32(0.3)))
    np.testing.assert_array_equal(got, exact.astype(jnp.bfloat16))
    parameters = nnx.state(module) if package is jaxact.nnx else module.init(jax.random.key(0), x)
    assert [leaf.dtype for leaf in jax.tree.leaves(parameters)] == [jnp.float32]
    half = package.PReLU(4, param_dtype=jnp.bfloat16)
    parameters = nnx.state(half) if package is jaxact.nnx else half.init(jax.random.key(0), x)
    assert [leaf.dtype for leaf in jax.tree.leaves(parameters)] == [jnp.bfloat16]
    assert applied(half)(BATCH).dtype == jnp.float32


def _learned_slope(package, steps):
    """Fit PReLU(2) to data with known slopes; return the first gradient and the slope afterwards."""
    x = np.random.default_rng(1).normal(size=(64, 2)).astype(np.float32)
    target = np.where(x >= 0, x, np.array([0.7, -0.1], np.float32) * x)
    module = package.PReLU(2)
    if package is jaxact.nnx:
        graph, parameters = nnx.split(module, nnx.Param)
        loss = jax.jit(jax.value_and_grad(lambda p: jnp.mean((nnx.merge(graph, p)(x) - target) ** 2)))
    else:
        parameters = module.init(jax.random.key(0), x)
        loss = jax.jit(jax.value_and_grad(lambda p: jnp.mean((module.apply(p, x) - target) ** 2)))
    optimizer = optax.adam(0.05)
    state = optimizer.init(parameters)
    first = loss(parameters)[1]
    for _ in range(steps):
        updates, state = optimizer.update(loss(parameters)[1], state)
        parameters = optax.apply_updates(parameters, updates)
    negative = np.minimum(x.astype(np.float64), 0)
    expected = np.mean(2 * negative**2 * (0.25 - np.array([0.7, -0.1])) / 2, axis=0)
    return jax.tree.leaves(first)[0], expected, jax.tree.leaves(parameters)[0]


@both
def test_prelu_learns(package):
    gradient, expected, slope = _learned_slope(package, steps=100)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)  # a float32 mean of 128 terms
    np.testing.assert_allclose(slope, [0.7, -0.1], atol=1e-2)  # where Adam is after 100 steps of 0.05


def test_prelu_trains_under_nnx_optimizer():
    prelu = jaxact.nnx.PReLU(4)
    model = nnx.Sequential(nnx.Linear(2, 4, rngs=nnx.Rngs(0)), prelu, jaxact.nnx.PReLU())
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        loss, gradients = nnx.value_and_grad(lambda model: jnp.mean(model(jnp.array([[1.0, -2.0]])) ** 2))(model)
        optimizer.update(model, gradients)
        return loss

    losses = [step(model, optimizer) for _ in range(5)]
    assert losses[-1] < losses[0]
    assert not np.array_equal(prelu.negative_slope[...], np.full(4, 0.25, np.float32))


def test_prelu_takes_flaxs_own_parameters():
    variables = linen.PReLU(negative_slope_init=0.3).init(jax.random.key(0), BATCH)
    np.testing.assert_array_equal(jaxact.linen.PReLU().apply(variables, BATCH), linen.PReLU().apply(variables, BATCH))


def test_a_subclass_keeps_its_own_constructor_and_name():
    class Steep(jaxact.nnx.LeakyReLU):
        def __init__(self):
            super().__init__(0.5)

    assert Steep()(-2.0) == -1.0
    assert repr(Steep()).startswith("Steep")


@pytest.mark.parametrize("module", stubs.MODULES, ids=lambda module: module.__name__)
def test_stub_is_up_to_date(module):
    path = stubs.path(module)
    if path.read_text() != stubs.stub(module):
        pytest.fail(
            f"{path.name} is not what the catalog says: run `python -m tests.stubs` and commit it", pytrace=False
        )


def test_jaxact_alone_imports_no_flax():
    code = "import sys, jaxact; sys.exit(any(name.split('.')[0] in ('flax', 'optax', 'orbax') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
