"""Layers without a scan, where XLA decides by itself what is kept: on a CPU no array that value and slope share.

XLA computes a division, a root or an exponential once and keeps it, if it sees that the backward pass has the same one.
It keeps the same arrays in each layer, so two layers show them.
"""

import functools

import jax
import jax.numpy as jnp
import pytest

from jaxact.core.rule import checkpoints_wholly
from jaxact.verify.cases import CASES
from tests.memory import kept

pytestmark = pytest.mark.usefixtures("quickly_compiled")

SHARED = {
    "sqrt_softplus": 1,  # its slope is the sigmoid over twice its value: the root is kept
    # 1 / x, the two polynomials and their quotient; and half of what one layer needs while it runs.
    "rational": 4.375,
    "swiglu_step": 1,  # the derivatives in gate (whether it is at its limit) and value both need silu(gate)
    # Two tanh and a sigmoid, which the unit and both derivatives have alike; two more with the next rematerialisation.
    "situ_glu": 5 + 2 * checkpoints_wholly(),
    "geglu(approximate=False)": 1,  # the unit and its derivative in value have gelu(gate) alike
}
_unrolled = functools.partial(kept, layers=2, unroll=True)


def _form(case):
    """The row, its flags, and whether a number is 1, or negative: some functions have another form there."""
    settings = {**case.row.parameters, **case.parameters}.values()
    return case.row.name, *((v == 1, v < 0) if isinstance(v, float) else v for v in settings)


def _cases(kind):
    """One case for each form of each row."""
    forms = {_form(case): case for case in CASES if case.row.kind == kind}
    return pytest.mark.parametrize("case", forms.values(), ids=lambda case: case.name)


def _keeps(case, arrays):
    """The inputs, and what is shared. Where a row keeps less in a scan, XLA may keep the input here."""
    return arrays + SHARED.get(case.name, SHARED.get(case.row.name, 0))


@_cases("pointwise")
def test_elementwise_functions_keep_their_input(case):
    assert _unrolled(case) <= _keeps(case, 1) + 0.01
    assert case.row.keeps < 1 or _unrolled(case) >= _keeps(case, 1) - 0.01


@_cases("gated")
def test_gated_units_keep_gate_and_value(case):
    def unit(gate, value):
        arrays = (jnp.concatenate([value, gate], -1),) if case.row.name == "glu" else (gate, value)
        return case.row.function(*arrays, **case.parameters)

    # A layer's work may need an eighth of an array more.
    assert _unrolled(unit, 2) <= _keeps(case, 2) + 0.13


def test_the_measure_sees_what_is_shared():
    """jax.nn's SiLU keeps its sigmoid too."""
    assert _unrolled(jax.nn.silu) > 1.8
