"""Layers without a scan, where XLA decides by itself what is kept: on a CPU no array that value and slope share.

XLA computes a division, a root or an exponential once and keeps it, if it sees that the backward pass has the same one.
"""

import functools

import jax
import jax.numpy as jnp
import pytest

from jaxact.verify.cases import CASES, POINTWISE
from tests.memory import kept

pytestmark = pytest.mark.usefixtures("quickly_compiled")

SHARED = {
    "sqrt_softplus": 1,  # its slope is the sigmoid over twice its value: the root is kept
    # 1 / x, the two polynomials and their quotient; and a fourth of what one layer needs while it runs.
    "rational(numerator=(0.5, 1.0),denominator=(0.5,))": 4.25,
    "swiglu_step": 1,  # the derivatives in gate (whether it is at its limit) and value both need silu(gate)
    "swiglu_step(limit=2.0)": 1,
    "situ_glu": 5,  # two tanh and a sigmoid, which the unit and both derivatives have alike
    "situ_glu(beta=1.0,linear_beta=2.0)": 5,
    "geglu(approximate=False)": 1,  # the unit and its derivative in value have gelu(gate) alike
}
_unrolled = functools.partial(kept, layers=4, unroll=True)


@pytest.mark.parametrize("case", POINTWISE, ids=lambda case: case.name)
def test_elementwise_functions_keep_their_input(case):
    assert _unrolled(case) <= 1.01 + SHARED.get(case.name, 0)


@pytest.mark.parametrize("case", [case for case in CASES if case.row.kind == "gated"], ids=lambda case: case.name)
def test_gated_units_keep_gate_and_value(case):
    def unit(gate, value):
        arrays = (jnp.concatenate([value, gate], -1),) if case.row.name == "glu" else (gate, value)
        return case.row.function(*arrays, **case.parameters)

    # A layer's work may need one array more, an eighth of all.
    assert _unrolled(unit, 2, layers=8) <= 2.13 + SHARED.get(case.name, 0)


def test_the_measure_sees_what_is_shared():
    """jax.nn's SiLU keeps its sigmoid too."""
    assert _unrolled(jax.nn.silu) > 1.8
