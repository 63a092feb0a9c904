"""Modules with learned parameters: both frameworks alike, finite, differentiable, and able to learn."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxact
import jaxact.linen
import jaxact.nnx
from jaxact.core.modules import blueprints

pytestmark = pytest.mark.usefixtures("quickly_compiled")

CHANNELS = 4
ARGUMENTS = {"DyT": (CHANNELS,), "Derf": (CHANNELS,), "SoftmaxSink": (3,)}
"""Constructor arguments of those whose first one has no default."""
NAMES = sorted(b.__name__ for b in blueprints() if b._learned)
X = jnp.linspace(-3, 3, 2 * 3 * 5 * CHANNELS).reshape(2, 3, 5, CHANNELS)

every = pytest.mark.parametrize("name", NAMES)


def make(package, name):
    return getattr(package, name)(*ARGUMENTS.get(name, ()))


def state(module):
    """The learned parameters of an nnx module, by name."""
    return {name: getattr(module, name)[...] for name in module._learned}


def test_the_list_is_complete():
    assert {"PReLU", "Swish", "Snake", "SnakeBeta", "StarReLU", "XIELU", "DyT", "Derf", "PolyNorm"} <= set(NAMES)


@every
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_frameworks_agree(name, dtype):
    x = X.astype(dtype)
    one, two = make(jaxact.nnx, name), make(jaxact.linen, name)
    variables = two.init(jax.random.key(0), x)
    assert jax.tree.structure(variables["params"]) == jax.tree.structure(state(one))
    y = one(x)
    assert y.dtype == x.dtype
    assert bool(jnp.all(jnp.isfinite(y)))
    np.testing.assert_array_equal(y, two.apply(variables, x))


@every
def test_learns(name):
    """Adam halves the distance to the same module with other parameters."""
    module = make(jaxact.nnx, name)
    graph, start = nnx.split(module)
    moved = jax.tree.map(lambda p: p + 0.2 * jnp.cos(jnp.arange(p.size, dtype=p.dtype)).reshape(p.shape), start)
    target = nnx.merge(graph, moved)(X)

    def loss(parameters):
        return jnp.mean(jnp.square(nnx.merge(graph, parameters)(X) - target))

    optimizer = optax.adam(0.02)

    @jax.jit
    def step(carry, _):
        parameters, memory = carry
        value, gradient = jax.value_and_grad(loss)(parameters)
        updates, memory = optimizer.update(gradient, memory)
        return (optax.apply_updates(parameters, updates), memory), value

    (_, _), losses = jax.lax.scan(step, (start, optimizer.init(start)), None, 100)
    assert bool(jnp.all(jnp.isfinite(losses)))
    assert losses[0] > 0
    assert losses[-1] < 0.25 * losses[0]


@every
def test_gradient_by_differences(name):
    """In float64, in the direction of the ones: central differences are right to 1e-7 there."""
    with jax.enable_x64(True):
        module = make(jaxact.nnx, name)
        graph, start = nnx.split(module)
        start = jax.tree.map(lambda p: p.astype(jnp.float64), start)
        x = jnp.asarray(np.asarray(X, np.float64))

        def loss(shift):
            moved = jax.tree.map(lambda p: p + shift, start)
            return jnp.sum(jnp.sin(nnx.merge(graph, moved)(x)))

        step = 1e-5
        got, above, below = map(float, jax.jit(lambda: (jax.grad(loss)(0.0), loss(step), loss(-step)))())
    assert got == pytest.approx((above - below) / (2 * step), rel=1e-6, abs=1e-6)


def test_constraints():
    """With parameters far down, xIELU still rises on the right, and SnakeBeta, of exponential rates, nowhere falls."""
    module = jaxact.nnx.XIELU()
    for name in module._learned:
        parameter = getattr(module, name)
        parameter[...] = jnp.full_like(parameter[...], -30.0)
    far = jnp.array([-50.0, 50.0])
    assert bool(jnp.all(jnp.isfinite(module(far))))
    assert float(jax.grad(lambda x: module(x))(50.0)) > 0
    snake = jaxact.nnx.SnakeBeta()
    for name in snake._learned:
        parameter = getattr(snake, name)
        parameter[...] = jnp.full_like(parameter[...], -3.0)
    assert float(jnp.min(jax.vmap(jax.grad(lambda x: snake(x)))(jnp.linspace(-9.0, 9.0, 99)))) > -1e-6
