"""Layers without a scan, where XLA decides by itself what is kept: on a CPU no array that value and slope share.

XLA computes a division, a root or an exponential once and keeps it, if it sees that the backward pass has the same one.
"""

import jax
import jax.numpy as jnp
import pytest

from jaxact.core import catalog
from tests.cases import DEFAULTS

pytestmark = pytest.mark.usefixtures("quickly_compiled")

_LAYERS, _BATCH, _WIDTH, _HIDDEN = 8, 64, 64, 256

SHARED = {
    "sqrt_softplus": 1,  # its slope is the sigmoid over twice its value: the root is kept
    "swiglu_step": 1,  # the derivatives in gate (whether it is at its limit) and value both need silu(gate)
}


def kept(function, arrays):
    """Arrays of the hidden size that a layer keeps, beside what it keeps where `function` is a sum of its arguments."""

    def temporary(function):
        def loss(weights, h):
            step = lambda h, w: (h + function(*(h @ into for into in w[1:])) @ w[0], None)  # noqa: E731
            return jnp.sum(jax.lax.scan(step, h, weights, unroll=True)[0] ** 2)

        into, back = ((_LAYERS, *shape) for shape in ((_WIDTH, _HIDDEN), (_HIDDEN, _WIDTH)))
        weights = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (back, *[into] * arrays)]
        program = jax.jit(jax.grad(loss)).lower(weights, jax.ShapeDtypeStruct((_BATCH, _WIDTH), jnp.float32)).compile()
        return program.memory_analysis().temp_size_in_bytes

    return (temporary(function) - temporary(lambda *xs: sum(xs))) / (_LAYERS * _BATCH * _HIDDEN * 4)


@pytest.mark.parametrize("case", [c for c in DEFAULTS if c.row.kind == "pointwise"], ids=lambda case: case.name)
def test_elementwise_functions_keep_their_input(case):
    assert kept(case, 1) <= 1.01 + SHARED.get(case.name, 0)


@pytest.mark.parametrize("row", [row for row in catalog.rows() if row.kind == "gated"], ids=lambda row: row.name)
def test_gated_units_keep_gate_and_value(row):
    packed = lambda gate, value: row.function(jnp.concatenate([value, gate], -1))  # noqa: E731
    # A layer's work may need one array more, an eighth of all.
    assert kept(packed if row.name == "glu" else row.function, 2) <= 2.13 + SHARED.get(row.name, 0)


def test_the_measure_sees_what_is_shared():
    """jax.nn's SiLU keeps its sigmoid too."""
    assert kept(jax.nn.silu, 1) > 1.8
