"""Layers without a scan, where XLA decides by itself what is kept: on a CPU no array that value and slope share.

XLA computes a division, a root or an exponential once and keeps it, if it sees that the backward pass has the same one.
Functions of which it keeps the inputs alone are layers of one network; each of the others is in a network of its own.
"""

import jax
import jax.numpy as jnp
import pytest

from jaxact.core.rule import checkpoints_wholly
from jaxact.verify.cases import CASES
from tests.memory import kept_unrolled

pytestmark = pytest.mark.quickly_compiled

SHARED = {
    "sqrt_softplus": 1,  # its slope is the sigmoid over twice its value: the root is kept
    "rational": 0.25,  # a byte: which form an entry needs
    "swiglu_step": 1,  # the derivatives in gate (whether it is at its limit) and value both need silu(gate)
    # Two tanh and a sigmoid, which the unit and both derivatives have alike; two more with the next rematerialisation.
    "situ_glu": 5 + 2 * checkpoints_wholly(),
    "geglu(approximate=False)": 1,  # the unit and its derivative in value have gelu(gate) alike
}


def _form(case):
    """The row, its flags, and whether a number is 1, or negative: some functions have another form there."""
    settings = {**case.row.parameters, **case.parameters}.values()
    return case.row.name, *((v == 1, v < 0) if isinstance(v, float) else v for v in settings)


def _shared(case):
    return SHARED.get(case.name, SHARED.get(case.row.name, 0))


FORMS = list({_form(case): case for case in CASES if case.row.kind != "axis"}.values())
"""One case for each form of each elementwise and gated row."""
ALONE = [case for case in FORMS if _shared(case)]
ELEMENTWISE = [case for case in FORMS if case not in ALONE and case.row.kind == "pointwise"]
KEEP_THEIR_INPUT = [case for case in ELEMENTWISE if case.row.keeps >= 1]


def _unit(case):
    """The function of one array, or of gate and value, which glu takes as one."""
    if case.row.name == "glu":
        return lambda gate, value: case(jnp.concatenate([value, gate], -1))
    return lambda *arrays: case.row.function(*arrays, **case.parameters)


@pytest.mark.parametrize("cases", [KEEP_THEIR_INPUT[::2], KEEP_THEIR_INPUT[1::2]], ids=["even", "odd"])
def test_elementwise_functions_keep_their_input(cases):
    assert kept_unrolled(cases) == pytest.approx(len(cases), abs=0.01), [case.name for case in cases]


def test_elementwise_functions_that_keep_less_in_a_scan():
    """XLA keeps the input of ten here, and of the five others, whose slope it has from the output, nothing."""
    cases = [case for case in ELEMENTWISE if case.row.keeps < 1]
    assert kept_unrolled(cases) <= len(cases) - 5 + 0.01


def test_gated_units_keep_gate_and_value():
    cases = [case for case in FORMS if case not in ALONE and case.row.kind == "gated"]
    # A layer's work may need an eighth of an array more.
    assert kept_unrolled([_unit(case) for case in cases], 2) <= 2 * len(cases) + 0.13, [case.name for case in cases]


@pytest.mark.parametrize("case", ALONE, ids=lambda case: case.name)
def test_what_is_shared_is_kept(case):
    """Beside the inputs, in each of two layers; and a gated layer's work may need an eighth of an array more."""
    arrays = 2 if case.row.kind == "gated" else 1
    more = kept_unrolled([_unit(case)] * 2, arrays) / 2 - arrays - _shared(case)
    assert more <= (0.01 if arrays == 1 else 0.13)
    assert arrays == 2 or more >= -0.01


def test_the_measure_sees_what_is_shared():
    """jax.nn's SiLU keeps its sigmoid too."""
    assert kept_unrolled([jax.nn.silu] * 2) > 3.6
