"""Rational functions, of which a derivative is a quotient that could cancel: as close as the docstring says."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact.verify.oracles import elementwise_forms as forms
from jaxact.verify.unit import units

STARTS = importlib.import_module("jaxact.functions.rational").APPROXIMATIONS
COEFFICIENTS = [
    ((0.1, 0.5, 0.4, 0.1), (0.3, 0.2)),
    ((0.1, 0.5, 0.4, 0.1, 0.01, 0.003), (0.3, 0.2, 0.1, 0.05)),
    *STARTS.values(),
]
X = np.linspace(-6, 6, 40001).astype(np.float32)
BOUNDS = (5, 9.6, 32)
"""Of value, slope and second derivative. The slope's is a fifth more than the docstring's, for other processors."""


def _sensitivity(order, numerator, denominator):
    """How the form answers to relative changes of x and of each coefficient, in sum, by differences in float64."""
    size, step = 1 + numerator.size + denominator.size, 1e-6

    def at(factors):
        of_numerator, of_denominator = np.split(factors[1:], [numerator.size])
        return forms.rational(
            X.astype(np.float64) * factors[0], numerator * of_numerator, denominator * of_denominator, order
        )

    return sum(np.abs(at(1 + change) - at(1 - change)) for change in step * np.eye(size)) / (2 * step)


@pytest.mark.parametrize("coefficients", COEFFICIENTS, ids=["cubic", "quintic", *STARTS])
def test_as_close_as_it_says(coefficients):
    numerator, denominator = map(np.float32, coefficients)

    def of_rows(x):
        slope = lambda x: jax.grad(lambda x: jnp.sum(jaxact.rational(x, numerator, denominator)))(x)  # noqa: E731
        return [jaxact.rational(x, numerator, denominator), *jax.jvp(slope, (x,), (jnp.ones_like(x),))]

    away = X != 0  # the kink
    wide = [c.astype(np.float64) for c in (numerator, denominator)]
    for order, (got, bound) in enumerate(zip(jax.jit(of_rows)(X), BOUNDS, strict=True)):
        reference = forms.rational(X.astype(np.float64), *wide, order)
        error = units(np.asarray(got), reference, _sensitivity(order, *wide))[away]
        worst = np.argmax(error)
        assert error[worst] <= bound, f"order {order}: {error[worst]:.1f} units of {bound} at x = {X[away][worst]}"


def test_far_away():
    """A denominator of 1 leaves the polynomial, and derivatives in coefficients have no infinity times 0."""
    x = np.float32([-1e30, -1e9, 0.5, 1e9, 1e20, 3e38])

    @jax.jit
    def results(x, numerator, denominator):
        line = lambda x: jaxact.rational(x, np.float32([0.5, 1, 0, 0]), np.zeros(3, np.float32))  # noqa: E731
        total = lambda *coefficients: jnp.sum(jaxact.rational(x, *coefficients))  # noqa: E731
        return line(x), jax.vmap(jax.grad(line))(x), jax.grad(total, (0, 1))(numerator, denominator)

    value, slope, _ = results(x, *map(np.float32, COEFFICIENTS[0]))
    np.testing.assert_array_equal(value, np.float32(0.5) + x)
    np.testing.assert_array_equal(slope, 1)
    for coefficients in (*COEFFICIENTS, ((0, 0, 0, 1), (1,))):
        _, _, gradients = results(np.float32([np.inf, 3e38]), *map(np.float32, coefficients))
        assert not any(np.isnan(g).any() for g in gradients), gradients
