"""Where an elementwise activation is flat, against the float64 oracles, and that each unit gets its own entries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact import flow
from jaxact.flow import statistics
from jaxact.flow.ranges import FLAT, flat_ranges
from jaxact.verify.cases import DEFAULTS

_RNG = np.random.default_rng(0)
_POINTS = np.unique(np.float32([_RNG.normal(0, scale, 2000) for scale in (0.01, 1.0, 5.0, 50.0, 1e6)]))
_PERIODIC = ("sine", "snake", "snake_beta")


@pytest.mark.parametrize("case", [c for c in DEFAULTS if c.row.kind == "pointwise"], ids=lambda case: case.name)
def test_flat_is_where_the_slope_is_small(case):
    ranges = flat_ranges(case.row.name, tuple({**case.row.parameters, **case.parameters}.items()))
    size = np.abs(case.oracle.slope(_POINTS.astype(float), **case.settings(np.float64)))
    if ranges is None:
        assert case.row.name in _PERIODIC
        return
    inside = np.zeros(_POINTS.shape, bool)
    for low, high in ranges:
        inside |= (low <= _POINTS) & (high >= _POINTS)
    clear = np.abs(size - FLAT) > 1e-5 * FLAT  # float32 rounds slopes
    np.testing.assert_array_equal(inside[clear], (size < FLAT)[clear])


@pytest.mark.parametrize("parameters", [(), (("approximate", None),), (("beta", 1.0),)])
def test_what_is_not_known_of_gelu_is_not_guessed(parameters):
    assert flat_ranges("gelu", parameters) is None


def test_units_get_their_own_entries(monkeypatch):
    """Inside some functions, such as selu, vmap transposes x. Then ranges would count for the wrong units."""
    x = np.float32(np.triu(_RNG.normal(20, 1, (6, 6))) - 10)  # unit i fires in i + 1 examples
    functions = [jaxact.gelu, jax.nn.gelu, lambda x: jnp.maximum(x, 0.0), jax.nn.selu, jaxact.elu]
    axes = [(0, 0), (0, 1), (1, 0), (1, 1)]

    def fired():
        loss = lambda w: sum(jnp.sum(jax.vmap(f, *a)(w * x)) for f in functions for a in axes)  # noqa: E731
        return jax.jit(lambda w: [seen["fired"] for seen in flow.observe(loss)(w)[1].statistics])(1.0)

    by_ranges = fired()
    assert len(by_ranges) == len(functions) * len(axes)
    for number in by_ranges[:: len(axes)]:
        np.testing.assert_array_equal(number, np.arange(1, 7))
    monkeypatch.setattr(statistics, "flat_ranges", lambda *_: None)
    np.testing.assert_array_equal(by_ranges, fired())


def test_a_hand_written_relu_has_its_own_slope_at_the_kink():
    """JAX's derivative of max(x, 0) is 1/2 there, and relu's is 0."""
    loss = lambda x: jnp.sum(jnp.maximum(x, 0.0)) + jnp.sum(jax.nn.relu(x))  # noqa: E731
    _, seen = jax.jit(flow.observe(loss))(np.zeros((2, 3), np.float32))
    assert [record["flat"] for record in seen.to_records()] == [0, 1]


def test_more_entries_than_a_byte_counts():
    """No power of two divides 331, so that all examples are added up at once."""
    _, seen = jax.jit(flow.observe(lambda x: jnp.sum(jax.nn.relu(x))))(np.ones((331, 3), np.float32))
    np.testing.assert_array_equal(seen.to_records()[0]["fired"], [331, 331, 331])


def test_of_no_entries():
    x = np.ones((0, 3), np.float32)
    (value, gradient), seen = jax.jit(flow.observe(lambda x: jnp.sum(jax.nn.relu(jax.nn.softmax(x)))))(x)
    assert (value, gradient.shape) == (0, x.shape)
    assert not any(record["x_count"] for record in seen.to_records())
    assert not seen.findings()
