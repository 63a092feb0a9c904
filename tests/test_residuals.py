"""How many arrays the backward pass keeps, measured on the compiled program's memory; or that it is the inputs alone.

JAX's next rematerialisation, JAX_REMAT3=1, shares no output with the next layer: there a copy is kept, or a byte.
"""

import functools

import jax
import jax.numpy as jnp
import pytest

import jaxact
from jaxact.core.rule import checkpoints_wholly
from jaxact.verify.cases import DEFAULTS
from tests.memory import kept

pytestmark = pytest.mark.quickly_compiled


CASES = {case.name: case for case in DEFAULTS if case.row.kind in ("pointwise", "gated", "axis")}


def _keeps(case):
    if not checkpoints_wholly() or case.row.keeps >= 1:
        return case.row.keeps
    return 1 if case.row.kind == "axis" or case.name == "exponential" else 0.25


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_inputs_or_less_are_kept_and_nothing_that_is_computed(case):
    """What jax.vjp hands to the backward pass, beside the output and a few numbers; glu keeps both halves of its input.

    What XLA keeps of that when layers are unrolled is in test_unrolled.
    """
    x = [jax.ShapeDtypeStruct((2, 64), jnp.float32)] * case.arrays
    program = jax.make_jaxpr(lambda *x: jax.vjp(functools.partial(case.row.function, **case.parameters), *x))(*x).jaxpr
    y, *kept_values = program.outvars
    arrays = [v for v in kept_values if v.aval.size >= 32 and v is not y]
    if case.name == "glu":
        assert [v.aval.shape for v in arrays] == [(2, 32), (2, 32)]
    elif case.row.keeps >= 1:
        assert arrays == program.invars
    else:
        assert sum(v.aval.size * v.aval.dtype.itemsize for v in arrays) == _keeps(case) * y.aval.size * 4


@pytest.mark.parametrize("name", ["silu", "exponential", "softmax", "log_softmax"])
def test_kept_arrays(name):
    """In a scan, which hands on what jax.vjp does. A row's own numbers, such as its maximum, are 1/256 of an array."""
    assert kept(CASES[name]) == pytest.approx(_keeps(CASES[name]), abs=0.05)


def test_a_gated_unit_keeps_gate_and_value():
    assert kept(jaxact.swiglu, 2) == pytest.approx(2, abs=0.05)
    assert kept(lambda gate, value: jax.nn.silu(gate) * value, 2) > 2.5, "the measure sees a third array"


@pytest.mark.parametrize("name", ["relu", "hard_tanh"])
def test_rectifiers_keep_no_more_than_jax_nn_s(name):
    """The output, which costs nothing, or a byte an entry."""
    ours = kept(getattr(jaxact, name))
    assert ours == pytest.approx(_keeps(CASES[name]), abs=0.05)
    assert ours <= kept(getattr(jax.nn, name)) + 0.01


@pytest.mark.parametrize("function", [jaxact.gelu, jaxact.tanh, jaxact.hard_sigmoid])
def test_compact_keeps_a_bit_at_most(function):
    """Beside the output, which W2's gradient needs: a 32nd of a float32 array.

    The work of one layer takes 3 to 6 arrays for unpacked bits, once for all layers: so there are many of those.
    """
    output = checkpoints_wholly() and function is not jaxact.hard_sigmoid
    assert kept(jaxact.compact(function), layers=2048) <= output + 1 / 32 + 0.005


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "sigmoid", "tanh", "softplus", "elu", "selu"])
def test_a_scan_carries_no_constants(name):
    """jnp.where(condition, 1, x) makes an array of ones, which a scan's gradient takes out of the loop and carries."""

    def carried(function):
        step = lambda h, w: (h + function(h @ w), None)  # noqa: E731
        loss = lambda w, h: jnp.sum(jax.lax.scan(step, h, w)[0])  # noqa: E731
        equations = jax.make_jaxpr(jax.grad(loss))(jnp.ones((3, 8, 8)), jnp.ones((4, 8))).eqns
        return sum(v.aval.shape == (4, 8) for e in equations if e.primitive.name != "scan" for v in e.outvars)

    assert carried(getattr(jaxact, name)) <= carried(jaxact.identity)


def test_the_bounds_of_the_design():
    for row, most in (("relu", 0), ("leaky_relu", 0), ("relu6", 0.25), ("hard_tanh", 0.25), ("gelu", 1), ("mish", 1)):
        assert jaxact.info(row).keeps <= most


def test_the_measure_sees_more_arrays():
    """jax.nn's GELU keeps four: a measure that always said one would not."""
    assert kept(jax.nn.gelu) > 2
