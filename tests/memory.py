"""How many arrays the layers of a network keep for the backward pass, by the compiler's own count; nothing is run."""

import functools

import jax
import jax.numpy as jnp

_BATCH, _WIDTH, _HIDDEN = 64, 64, 256


@functools.cache
def _temporary(function, arrays, layers, unroll):
    """Bytes of temporary memory of the gradient of h + f(h W1, ...) W2 over layers."""

    def loss(weights, h):
        step = lambda h, w: (h + function(*(h @ into for into in w[1:])) @ w[0], None)  # noqa: E731
        return jnp.sum(jax.lax.scan(step, h, weights, unroll=unroll)[0] ** 2)

    into, back = ((layers, *shape) for shape in ((_WIDTH, _HIDDEN), (_HIDDEN, _WIDTH)))
    weights = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (back, *[into] * arrays)]
    h = jax.ShapeDtypeStruct((_BATCH, _WIDTH), jnp.float32)
    return jax.jit(jax.grad(loss)).lower(weights, h).compile().memory_analysis().temp_size_in_bytes


def _sum(*arrays):
    return sum(arrays)


def kept(function, arrays=1, layers=256, unroll=False):
    """Arrays of the hidden size that a layer keeps because of `function`, which takes `arrays` of them.

    It is what the layers take, less that for a sum, which keeps nothing: its output is what W2's gradient needs. What a
    layer needs only while it runs is there once, and so is one over the number of layers of that.
    """
    bytes_more = _temporary(function, arrays, layers, unroll) - _temporary(_sum, arrays, layers, unroll)
    return bytes_more / (layers * _BATCH * _HIDDEN * 4)
