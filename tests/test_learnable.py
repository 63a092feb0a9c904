"""Modules with learned parameters: the three frameworks alike, finite, differentiable, saved and restored."""

import copy
import functools
import io
import pickle

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import linen, nnx, serialization

import jaxact
import jaxact.equinox
import jaxact.linen
import jaxact.nnx
from jaxact.modules import learned

pytestmark = pytest.mark.quickly_compiled

CHANNELS = 4
ARGUMENTS = {"DyT": (CHANNELS,), "Derf": (CHANNELS,), "SoftmaxSink": (3,), "SSMax": (3,), "PReLU": (CHANNELS,)}
"""Constructor arguments of those whose first one has no default; and one value a channel."""
NAMES = sorted(
    name
    for name, c in vars(learned).items()
    if isinstance(c, type) and issubclass(c, learned.Learned) and hasattr(jaxact.nnx, name)
)
X = np.linspace(-3, 3, 2 * 3 * 5 * CHANNELS, dtype=np.float32).reshape(2, 3, 5, CHANNELS)
FRAMEWORKS = ["nnx", "linen", "equinox"]

every = pytest.mark.parametrize("name", NAMES)
each = pytest.mark.parametrize("framework", FRAMEWORKS)


def make(framework, name, *arguments, **more):
    return getattr(getattr(jaxact, framework), name)(*(arguments or ARGUMENTS.get(name, ())), **more)


def parts(framework, module, x=X):
    """A function of parameters and x, and the parameters before training, by name."""
    names = list(module._start())
    if framework == "linen":
        return (lambda p, x: module.apply({"params": p}, x)), dict(module.init(jax.random.key(0), x)["params"])
    if framework == "nnx":
        graph, state = nnx.split(module)

        def apply(p, x):
            placed = copy.copy(state)
            nnx.replace_by_pure_dict(placed, p)
            return nnx.merge(graph, placed)(x)

        return apply, dict(nnx.to_pure_dict(state))

    def place(p, x):
        where = lambda m: [getattr(m, name) for name in names]  # noqa: E731
        return equinox.tree_at(where, module, [p[name] for name in names])(x)

    return place, {name: getattr(module, name) for name in names}


def moved(tree):
    """As if trained: every number differs from what it starts with."""
    return jax.tree.map(lambda p: p + 0.1 * jnp.sin(jnp.arange(p.size, dtype=p.dtype) + 1).reshape(p.shape), tree)


def test_the_list_is_complete():
    assert {"PReLU", "Swish", "Snake", "SnakeBeta", "StarReLU", "XIELU", "DyT", "Derf", "PolyNorm"} <= set(NAMES)


@every
def test_frameworks_agree(name):
    """Values and gradients in x and in the parameters, with parameters that are not the start; all in one program."""

    def result(framework, x):
        apply, start = parts(framework, make(framework, name), x)
        y, pull = jax.vjp(apply, moved(start), x)
        return y, pull(jnp.cos(y))

    def results(x):
        return [result(framework, x) for framework in FRAMEWORKS]

    one, *others = jax.jit(results)(X)
    assert np.all(np.isfinite(one[0]))
    for other in others:
        jax.tree.map(np.testing.assert_array_equal, one, other)
    short = jax.eval_shape(results, jax.ShapeDtypeStruct(X.shape, jnp.bfloat16))
    assert {y.dtype.name for y, _ in short} == {"bfloat16"}


@every
def test_learns(name):
    """Adam halves the distance to the same module with other parameters."""
    optimizer = optax.adam(0.02)

    @jax.jit
    def train():
        apply, start = parts("nnx", make("nnx", name))
        far = jax.tree.map(lambda p: p + 0.2 * jnp.cos(jnp.arange(p.size, dtype=p.dtype)).reshape(p.shape), start)
        target = apply(far, X)

        def step(carry, _):
            parameters, memory = carry
            loss = lambda p: jnp.mean(jnp.square(apply(p, X) - target))  # noqa: E731
            value, gradient = jax.value_and_grad(loss)(parameters)
            updates, memory = optimizer.update(gradient, memory)
            return (optax.apply_updates(parameters, updates), memory), value

        return jax.lax.scan(step, (start, optimizer.init(start)), None, 100)[1]

    losses = np.asarray(train())
    assert np.all(np.isfinite(losses))
    assert losses[0] > 0
    assert losses[-1] < 0.25 * losses[0]


def test_constraints():
    """With parameters far down, xIELU still rises on the right, and SnakeBeta, of exponential rates, nowhere falls."""

    @functools.partial(jax.jit, static_argnums=0)
    def values_and_slopes(name, value, x):
        apply, start = parts("nnx", make("nnx", name))
        low = jax.tree.map(lambda p: jnp.full_like(p, value), start)
        return jax.vmap(jax.value_and_grad(lambda x: apply(low, x)))(x)

    values, slopes = map(np.asarray, values_and_slopes("XIELU", -30.0, np.array([-50, 50], np.float32)))
    assert np.all(np.isfinite(values))
    assert slopes[1] > 0
    assert np.min(values_and_slopes("SnakeBeta", -3.0, np.linspace(-9, 9, 99, dtype=np.float32))[1]) > -1e-6


@each
def test_one_value_a_channel(framework):
    x = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    slopes = np.array([0.1, -0.2, 3.0], np.float32)
    for axis in (1, -2):
        apply, start = parts(framework, make(framework, "PReLU", 3, 0.5, axis=axis), x)
        np.testing.assert_array_equal(start["negative_slope"], np.full(3, 0.5, np.float32))
        got = apply({"negative_slope": jnp.asarray(slopes)}, x)
        np.testing.assert_array_equal(got, np.where(x >= 0, x, slopes[:, None] * x))
    apply, start = parts(framework, make(framework, "PReLU", 3, axis=1), x)
    message = rf"jaxact.{framework}.PReLU: expected 3 channels along axis -1, got x of shape \(2, 5, 4\)"
    with pytest.raises(ValueError, match=message):
        parts(framework, make(framework, "PReLU", 3), np.ones((2, 5, 4)))[0](start, np.ones((2, 5, 4)))
    with pytest.raises(ValueError, match=r"expected axis in \[-3, 3\)"):
        parts(framework, make(framework, "PReLU", 3, axis=3), x)[0](start, x)


@each
def test_parameters_keep_their_own_type(framework):
    x = X.astype(jnp.bfloat16)
    apply, start = parts(framework, make(framework, "PReLU", 4, 0.3), x)
    assert start["negative_slope"].dtype == jnp.float32
    got = apply(start, x)
    assert got.dtype == jnp.bfloat16
    exact = np.asarray(jaxact.prelu(x.astype(jnp.float32), jnp.float32(0.3)))
    np.testing.assert_array_equal(got, exact.astype(jnp.bfloat16))
    apply, start = parts(framework, make(framework, "PReLU", param_dtype=jnp.bfloat16))
    assert start["negative_slope"].dtype == jnp.bfloat16
    assert apply(start, X).dtype == jnp.float32


# What `flax.serialization` made of PReLU(3) and Swish() of version 0.1.0, with the numbers 1/8, 2/8 and 3/8, and 1/8.
SAVED = b"\x81\xaenegative_slope\xc7\x19\x01\x93\x91\x03\xa7float32\xc4\x0c\x00\x00\x00>\x00\x00\x80>\x00\x00\xc0>"
SAVED_RATE = b"\x81\xa4beta\xd8\x01\x93\x90\xa7float32\xc4\x04\x00\x00\x00>"


@each
def test_parameters_of_the_first_version(framework):
    x = X[..., :3]
    for name, arguments, saved, function in (
        ("PReLU", (3,), SAVED, lambda x: jaxact.prelu(x, jnp.array([0.125, 0.25, 0.375]))),
        ("Swish", (1,), SAVED_RATE, lambda x: jaxact.silu(x, beta=jnp.float32(0.125))),
    ):
        apply, start = parts(framework, make(framework, name, *arguments), x)
        np.testing.assert_array_equal(apply(serialization.from_bytes(start, saved), x), function(x))


def test_prelu_takes_flaxs_own_parameters():
    variables = linen.PReLU(negative_slope_init=0.3).init(jax.random.key(0), X)
    np.testing.assert_array_equal(jaxact.linen.PReLU().apply(variables, X), linen.PReLU().apply(variables, X))


def with_parameters(framework, module, parameters):
    """The module itself with these parameters; Linen's are apart."""
    if framework == "nnx":
        for name, value in parameters.items():
            getattr(module, name)[...] = value
    if framework == "equinox":
        where = lambda m: [getattr(m, name) for name in parameters]  # noqa: E731
        return equinox.tree_at(where, module, list(parameters.values()))
    return module


@each
def test_saved_and_restored(framework, tmp_path):
    """Through orbax, msgpack, pickle and Equinox's own format, into modules that start elsewhere."""
    modules = {name: make(framework, name) for name in NAMES}
    applied, starts = zip(*(parts(framework, module) for module in modules.values()), strict=True)
    trained = {name: moved(start) for name, start in zip(NAMES, starts, strict=True)}
    fresh = dict(zip(NAMES, starts, strict=True))
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "all", trained)
    with ocp.StandardCheckpointer() as checkpointer:
        loaded = checkpointer.restore(tmp_path / "all", fresh)
    unpacked = serialization.from_bytes(fresh, serialization.to_bytes(trained))
    for name, apply in zip(NAMES, applied, strict=True):
        wanted = apply(trained[name], X)
        assert not np.array_equal(apply(fresh[name], X), wanted), name
        for restored in (loaded, unpacked):
            np.testing.assert_array_equal(apply(restored[name], X), wanted)
        module = with_parameters(framework, modules[name], trained[name])
        twin = pickle.loads(pickle.dumps(module))
        got = parts(framework, twin)[0](trained[name], X) if framework == "linen" else twin(X)
        np.testing.assert_array_equal(got, wanted)
        if framework == "equinox":
            file = io.BytesIO()
            equinox.tree_serialise_leaves(file, module)
            file.seek(0)
            np.testing.assert_array_equal(equinox.tree_deserialise_leaves(file, make(framework, name))(X), wanted)


def test_stacked_and_scanned():
    """nnx.vmap makes a stack of layers and nnx.scan runs it; nn.scan likewise: each layer with its own slope."""
    x = jnp.linspace(-2.0, 2.0, 5)

    @nnx.vmap(in_axes=0, out_axes=0)
    def layers(slope):
        layer = jaxact.nnx.PReLU()
        layer.negative_slope[...] = slope
        return layer

    slopes = jnp.array([0.5, 0.25])
    run = nnx.scan(lambda x, layer: layer(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
    expected = jaxact.prelu(jaxact.prelu(x, 0.5), 0.25)
    np.testing.assert_allclose(run(x, layers(slopes)), expected, rtol=1e-6)

    class Layer(linen.Module):
        @linen.compact
        def __call__(self, x, _):
            return jaxact.linen.PReLU()(x), None

    stack = linen.scan(Layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=2)()
    variables = stack.init(jax.random.key(0), x, None)
    assert variables["params"]["PReLU_0"]["negative_slope"].shape == (2,)
    y, _ = stack.apply({"params": {"PReLU_0": {"negative_slope": slopes}}}, x, None)
    np.testing.assert_allclose(y, expected, rtol=1e-6)

    many = equinox.filter_vmap(lambda slope: jaxact.equinox.PReLU(1, 0.5))(slopes)
    assert many.negative_slope.shape == (2,)


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


def test_equal_stacks_compile_once():
    """Two stacks of layers of one configuration are one to nnx.vmap and nnx.scan, nn.scan, and filter_vmap."""
    x, slopes, traces = jnp.linspace(-2.0, 2.0, 5), jnp.array([0.5, 0.25]), []

    class Layer(linen.Module):
        @linen.compact
        def __call__(self, x, _):
            return jaxact.linen.PReLU()(x), None

    stack = linen.scan(Layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=2)

    def nnx_stack():
        return nnx.vmap(lambda slope: jaxact.nnx.PReLU(negative_slope_init=0.5))(slopes)

    @nnx.jit
    def of_nnx(layers, x):
        traces.append("nnx")
        return nnx.scan(lambda x, layer: layer(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)(x, layers)

    @functools.partial(jax.jit, static_argnums=0)
    def of_linen(model, x):
        traces.append("linen")
        return model.init_with_output(jax.random.key(0), x, None)[0][0]

    @equinox.filter_jit
    def of_equinox(layers, x):
        traces.append("equinox")
        return equinox.filter_vmap(lambda layer: layer(x))(layers)

    for _ in range(2):
        of_nnx(nnx_stack(), x)
        of_linen(stack(), x)
        of_equinox(equinox.filter_vmap(lambda slope: jaxact.equinox.PReLU(1, 0.5))(slopes), x)
    assert traces == ["nnx", "linen", "equinox"]


@each
def test_equal_models_compile_once(framework):
    traces = []

    def call(module, x):
        traces.append(1)
        return module(x) if framework != "linen" else module.init_with_output(jax.random.key(0), x)[0]

    jitted = {
        "nnx": nnx.jit(call),
        "linen": jax.jit(call, static_argnums=0),
        "equinox": equinox.filter_jit(call),
    }[framework]
    for _ in range(2):
        jitted(make(framework, "PReLU", 4), X)
    assert len(traces) == 1
    jitted(make(framework, "PReLU", 4, axis=3), X)
    assert len(traces) == 2
