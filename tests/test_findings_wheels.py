"""Models and layers that wheels ship (Flax, Equinox, Haiku), unedited: seen whole, changed by nothing, no finding.

One of each kind from each library, as far as libraries write it differently; LSTMs of Flax Linen and a ResNet without
projections are in test_findings_models.
"""

import functools

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests import faults
from tests.test_findings_models import IMAGES, SEQUENCES, exactly

pytestmark = pytest.mark.quickly_compiled

MASK = np.tril(np.ones((16, 16), bool))


def haiku(forward, x):
    """A Haiku model, with its state if it has one."""

    def make():
        model = hk.transform_with_state(forward)
        params, state = faults.initial(model.init, jax.random.key(0), x)
        return faults.squared(lambda p: model.apply(p, state, jax.random.key(1), x)[0], params)

    return make


def linen(model):
    def make():
        params = faults.initial(model.init, jax.random.key(0), SEQUENCES)
        return faults.squared(lambda p: model.apply(p, SEQUENCES), params)

    return make


def of_nnx(module):
    def make():
        graph, params, rest = nnx.split(nnx.jit(lambda: module(nnx.Rngs(0)))(), nnx.Param, ...)
        params = jax.tree.map(np.asarray, params)
        return faults.squared(lambda p: nnx.merge(graph, p, rest, copy=True)(SEQUENCES), params)

    return make


def equinox(module, call):
    def make():
        params, static = eqx.partition(eqx.filter_jit(module)(jax.random.key(0)), eqx.is_inexact_array)
        params = jax.tree.map(np.asarray, params)
        return faults.squared(lambda p: jax.vmap(lambda x: call(eqx.combine(p, static), x))(SEQUENCES), params)

    return make


def recurrent(cell, x):
    """As Equinox's documentation scans a cell."""
    return jax.lax.scan(lambda state, x: (cell(x, state), None), jnp.zeros(16), x)[0]


def unrolled(cell):
    return lambda x: hk.dynamic_unroll(cell, x.swapaxes(0, 1), cell.initial_state(len(x)))[0]


SCALED = hk.initializers.VarianceScaling()
RESNET = {
    "channels_per_group": (8, 8, 8, 8),
    "bottleneck": False,
    "strides": (2, 1, 1, 1),
    "use_projection": (True, False, False, False),
    "num_classes": 4,
}
SHIPPED = {
    "haiku ResNet": (
        haiku(lambda x: hk.nets.ResNet((1, 0, 0, 0), resnet_v2=True, **RESNET)(x, is_training=True), IMAGES),
        {"relu": 3},
    ),
    "haiku MobileNet": (
        haiku(lambda x: hk.nets.MobileNetV1((2,), (8,), 4)(x, is_training=True), IMAGES),
        {"relu": 3},
    ),
    "haiku LSTM": (haiku(lambda x: unrolled(hk.LSTM(16))(x), SEQUENCES), {"sigmoid": 3, "tanh": 2}),
    "haiku attention": (
        haiku(
            lambda x: hk.MultiHeadAttention(2, 8, w_init=hk.initializers.VarianceScaling())(x, x, x, MASK[None, None]),
            SEQUENCES,
        ),
        {"softmax": 1},
    ),
    "linen bidirectional": (
        linen(nn.Bidirectional(nn.RNN(nn.GRUCell(16)), nn.RNN(nn.SimpleCell(16)))),
        {"sigmoid": 2, "tanh": 2},
    ),
    "nnx attention": (
        of_nnx(lambda rngs: nnx.MultiHeadAttention(2, 8, qkv_features=16, decode=False, rngs=rngs)),
        {"softmax": 1},
    ),
    "nnx LSTM": (of_nnx(lambda rngs: nnx.RNN(nnx.LSTMCell(8, 16, rngs=rngs))), {"sigmoid": 3, "tanh": 2}),
    "equinox MLP": (
        equinox(lambda key: eqx.nn.MLP(8, 4, 16, 2, jax.nn.gelu, key=key), lambda model, x: jax.vmap(model)(x)),
        {"gelu": 2},
    ),
    "equinox attention": (
        equinox(lambda key: eqx.nn.MultiheadAttention(2, 8, key=key), lambda model, x: model(x, x, x, MASK)),
        {"softmax": 1},
    ),
    "equinox GRU": (equinox(lambda key: eqx.nn.GRUCell(8, 16, key=key), recurrent), {"sigmoid": 2, "tanh": 1}),
}


# Where the one line is from which a model calls its activations.
LINES = {
    "haiku ResNet": "hk.nets.ResNet((",
    "haiku MobileNet": "hk.nets.MobileNetV1((",
    "haiku LSTM": "return lambda x: hk.dynamic_unroll(",
    "haiku attention": "lambda x: hk.MultiHeadAttention(",
    "linen": "faults.squared(lambda p: model.apply(p, SEQUENCES)",
    "nnx": "faults.squared(lambda p: nnx.merge(",
    "equinox MLP": "lambda model, x: jax.vmap(model)(x)",
    "equinox attention": "lambda model, x: model(x, x, x, MASK)",
    "equinox GRU": "jax.lax.scan(lambda state, x: (cell(x, state)",
}


@functools.cache
def model(which):
    return SHIPPED[which][0]()


@pytest.mark.parametrize("which", SHIPPED)
def test_findings_are_those_that_are_planted(which):
    wanted = SHIPPED[which][1]
    place = faults.lines(__file__, LINES.get(which) or LINES[which.partition(" ")[0]])
    planted = {}
    if {"relu", "gelu"} & set(wanted):
        planted["dead units"] = (faults.bias(-100), place)
    if "tanh" in wanted:
        planted["saturation"] = (faults.weights(100), place)
    flow = faults.check(model(which), (place, place), planted, exact=exactly(which))
    names = [site.name for site in flow.sites]
    assert {name: names.count(name) for name in sorted(set(names))} == wanted
    assert flow.unseen == ()


@pytest.mark.parametrize("which", SHIPPED)
def test_mistakes_in_what_is_made_of_the_output(which):
    faults.check_lint(model(which), ends_linear="tanh" not in SHIPPED[which][1])
