"""How many arrays the layers of a network keep for the backward pass, by the compiler's own count; nothing is run."""

import functools

import jax
import jax.numpy as jnp

from tests.compiling import QUICKLY

_BATCH, _WIDTH, _HIDDEN = 64, 64, 256


def _layer(function, h, w):
    """h + f(h W1, ...) W2, with one W1 for each array that f takes."""
    return h + function(*(h @ into for into in w[1:])) @ w[0]


def _scanned(function, layers):
    return lambda weights, h: jax.lax.scan(lambda h, w: (_layer(function, h, w), None), h, weights, layers)[0]


def _unrolled(*functions):
    def network(weights, h):
        for i, function in enumerate(functions):
            h = _layer(function, h, [w[i] for w in weights])
        return h

    return network


def _temporary(network, arrays, layers):
    """Bytes of temporary memory of a network's gradient."""
    into, back = ((layers, *shape) for shape in ((_WIDTH, _HIDDEN), (_HIDDEN, _WIDTH)))
    weights = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (back, *[into] * arrays)]
    h = jax.ShapeDtypeStruct((_BATCH, _WIDTH), jnp.float32)
    gradient = jax.grad(lambda *both: jnp.sum(network(*both) ** 2))
    return jax.jit(gradient).lower(weights, h).compile(QUICKLY).memory_analysis().temp_size_in_bytes


def _sum(*arrays):
    return sum(arrays)


@functools.cache
def _of_sums(arrays, layers, unroll):
    return _temporary(_unrolled(*[_sum] * layers) if unroll else _scanned(_sum, layers), arrays, layers)


def _more(network, arrays, layers, unroll):
    """Arrays of the hidden size that it keeps, less those that a sum does: its output is what W2's gradient needs."""
    return (_temporary(network, arrays, layers) - _of_sums(arrays, layers, unroll)) / (_BATCH * _HIDDEN * 4)


def kept(function, arrays=1, layers=256):
    """Arrays of the hidden size that a scanned layer keeps because of `function`, which takes `arrays` of them.

    What a layer needs only while it runs is there once, and so is one over the number of layers of that.
    """
    return _more(_scanned(function, layers), arrays, layers, False) / layers


def kept_unrolled(functions, arrays=1):
    """Arrays of the hidden size that unrolled layers, with one of the functions each, keep in all."""
    return _more(_unrolled(*functions), arrays, len(functions), True)
