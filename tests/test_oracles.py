"""The float64 oracles against the textbook definitions, and their kinks against jax.nn's."""

import ast
from pathlib import Path

import jax
import mpmath
import numpy as np
import pytest

from jaxact.verify import oracles, row_unit
from jaxact.verify.cases import POINTWISE
from jaxact.verify.oracles import elementwise

_RNG = np.random.default_rng(1)
_POINTS = np.concatenate(
    [sign * np.exp2(_RNG.uniform(low, high, n)) for sign in (-1, 1) for low, high, n in ((-10, 7, 10), (-120, 120, 3))]
    + [np.array([-6, -3, -1, 0, 1, 3, 6, -1.2784645427, -0.7517915247, -0.7524614221, -1.1924312145])]
)
# Under this the float64 forms may lose digits to underflow; nothing that is tested against them is that small.
_SMALLEST = 2.0**-900


@pytest.mark.parametrize("case", POINTWISE, ids=lambda case: case.name)
def test_float64_forms_are_the_definition(case):
    """Within 1e-13 of the error unit, a millionth of an ulp of float32."""
    oracle, settings = case.oracle, case.settings(np.float64)
    derivatives = [(order, None) for order in range(3)] + [(1, name) for name in oracle.parameter_slope]
    for order, wrt in derivatives:
        form = oracle.derivative(order) if wrt is None else oracle.parameter_slope[wrt]
        for x in _POINTS.tolist():
            if order == 2 and x in oracle.joints:
                continue
            exact = oracle.exact(x, order, wrt, **settings)
            if abs(exact) > 1e200:  # over every float32, where the forms stop
                continue
            change = (
                0.0 if wrt or x in oracle.joints else float(x * oracle.derivative(order + 1)(np.float64(x), **settings))
            )
            size = max(abs(exact), abs(change) / 8)
            error = abs(exact - mpmath.mpf(float(form(np.float64(x), **settings))))
            if wrt and error > 1e-13 * size:  # what changing x would change counts here too
                size = abs(oracle.exact(x * (1 + 1e-6), order, wrt, **settings) - exact) * 1e6 / 8
            assert error <= (1e-13 * size if size > _SMALLEST else _SMALLEST), (order, wrt, x, exact)


@pytest.mark.parametrize("case", POINTWISE, ids=lambda case: case.name)
def test_the_oracle_names_every_parameter_to_differentiate(case):
    assert set(case.oracle.parameter_slope) == set(case.numbers)


@pytest.mark.parametrize("name", [n for n, o in elementwise.POINTWISE.items() if hasattr(jax.nn, n) and o.joints])
def test_kinks_are_those_of_jax_nn(name):
    oracle, function = elementwise.POINTWISE[name], getattr(jax.nn, name)
    x = np.array(oracle.joints, np.float32)
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(function)))(x), oracle.slope(x.astype(float)), rtol=1e-6)


def test_oracles_import_nothing_that_they_judge():
    for path in [*Path(oracles.__file__).parent.glob("*.py"), Path(row_unit.__file__)]:
        modules = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        assert not [m for m in modules if m.startswith("jaxact") and not m.startswith("jaxact.verify.oracles")], path
        assert "import jaxact" not in path.read_text(), path
