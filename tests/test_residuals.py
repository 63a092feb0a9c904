"""How many arrays the backward pass keeps: measured on the compiled program's memory, not on a jaxpr."""

import jax
import jax.numpy as jnp
import pytest

import jaxact
from jaxact.verify.cases import DEFAULTS
from tests.memory import kept

pytestmark = pytest.mark.usefixtures("quickly_compiled")


@pytest.mark.parametrize("case", [c for c in DEFAULTS if c.row.kind == "pointwise"], ids=lambda case: case.name)
def test_kept_arrays(case):
    assert kept(case) == pytest.approx(case.row.keeps, abs=0.05)


@pytest.mark.parametrize("case", [c for c in DEFAULTS if c.row.kind == "axis"], ids=lambda case: case.name)
def test_kept_arrays_along_an_axis(case):
    """A row's own numbers, such as its maximum, are 1/256 of an array."""
    assert kept(case) <= case.row.keeps + 0.05


@pytest.mark.parametrize("function", [jaxact.gelu, jaxact.mish, jaxact.tanh, jaxact.hard_sigmoid])
def test_compact_keeps_a_bit_at_most(function):
    """Beside the output, which W2's gradient needs: a 32nd of a float32 array."""
    assert kept(jaxact.compact(function), layers=512) <= 1 / 32 + 0.01


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "sigmoid", "tanh", "softplus", "elu", "selu"])
def test_a_scan_carries_no_constants(name):
    """jnp.where(condition, 1, x) makes an array of ones, which a scan's gradient takes out of the loop and carries."""

    def carried(function):
        step = lambda h, w: (h + function(h @ w), None)  # noqa: E731
        loss = lambda w, h: jnp.sum(jax.lax.scan(step, h, w)[0])  # noqa: E731
        equations = jax.make_jaxpr(jax.grad(loss))(jnp.ones((3, 8, 8)), jnp.ones((4, 8))).eqns
        return sum(v.aval.shape == (4, 8) for e in equations if e.primitive.name != "scan" for v in e.outvars)

    assert carried(getattr(jaxact, name)) == carried(jaxact.identity)


def test_the_bounds_of_the_design():
    for row, most in (("relu", 0), ("leaky_relu", 0), ("relu6", 0.25), ("hard_tanh", 0.25), ("gelu", 1), ("mish", 1)):
        assert jaxact.info(row).keeps <= most


def test_the_measure_sees_more_arrays():
    """jax.nn's GELU keeps four: a measure that always said one would not."""
    assert kept(jax.nn.gelu) > 2
