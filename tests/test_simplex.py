"""sparsemax, entmax15 and entmax: on the simplex, exact zeros, infinite logits, and one alpha a row."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact.verify import row_unit

pytestmark = pytest.mark.quickly_compiled

FAMILY = {
    "sparsemax": (lambda x, alpha: jaxact.sparsemax(x), 2.0),
    "entmax15": (lambda x, alpha: jaxact.entmax15(x), 1.5),
    **{f"entmax {a}": (jaxact.entmax, a) for a in (1.25, 3.0, 4.0)},
}
"""Each as a function of x and alpha, and its alpha."""
every = pytest.mark.parametrize(("function", "alpha"), FAMILY.values(), ids=FAMILY)


@every
def test_rows_sum_to_one(function, alpha):
    """To the rounding of the entries, at scales where supports have one entry, some, and all; one in 16 bits too."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(2000, 30)) * 10 ** rng.uniform(-2, 2, (2000, 1))).astype(np.float32)
    dtypes = ("float32", "bfloat16") if function is FAMILY["entmax15"][0] else ("float32",)
    for y in _in_types(function, dtypes, x, np.float32(alpha)):
        wide = np.asarray(y, np.float64)
        assert np.all(wide >= 0)
        np.testing.assert_allclose(wide.sum(-1), 1, rtol=0, atol=1.25 * float(jnp.finfo(y.dtype).eps))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _in_types(function, dtypes, x, alpha):
    return [function(x.astype(dtype), alpha) for dtype in dtypes]


@functools.partial(jax.jit, static_argnums=0)
def _with_jacobian(function, x, alpha):
    """The value y, and for each entry of y its derivatives in x."""
    y, pull = jax.vjp(lambda x: function(x, alpha), x)
    return y, jax.vmap(pull)(jnp.eye(x.size, dtype=x.dtype).reshape(-1, *x.shape))[0]


@every
def test_zeros_are_exact(function, alpha):
    """An entry has no share just where it is further than u / q below the largest, here 1 / q below one alone."""
    gap = 1 / (alpha - 1)
    x = np.float32([[0, -gap, -1.01 * gap, -100 * gap, -0.99 * gap], [0, -gap, -1.01 * gap, -100 * gap, -np.inf]])
    y, jacobian = _with_jacobian(function, x, np.float32(alpha))
    np.testing.assert_array_equal(np.asarray(y[0]) > 0, [True, False, False, False, True])
    np.testing.assert_array_equal(y[1], [1, 0, 0, 0, 0])
    np.testing.assert_array_equal(jacobian[5:], np.zeros((5, 2, 5)))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, "float32") for name in ("sparsemax", "entmax15", "entmax 1.25")),
        ("entmax15", "float16"),
        ("entmax15", "bfloat16"),
    ],
)
def test_infinite_logits_share_their_row(name, dtype):
    """Of softmax and log_softmax they make the row NaN, as in jax.nn: anything else costs a pass over memory."""
    function, alpha = FAMILY[name]
    x = np.array([[1, np.inf, -np.inf, np.inf, 5], [np.inf, 0, 1, 2, -3]], jnp.dtype(dtype))
    y, jacobian = _with_jacobian(function, x, np.float32(alpha))
    np.testing.assert_array_equal(y, np.array([[0, 0.5, 0, 0.5, 0], [1, 0, 0, 0, 0]], x.dtype))
    assert np.all(np.isfinite(jacobian.astype(np.float32)))


def test_one_alpha_a_row():
    """Values, and derivatives in alpha in both modes, are those of bisection in long doubles."""
    rng = np.random.default_rng(0)
    x, cotangent = rng.normal(size=(2, 4, 7))
    alphas = np.array([[1.01], [1.5], [3.0], [12.0]])

    @jax.jit
    def of_alphas(x, alphas, cotangent):
        y, pull = jax.vjp(lambda a: jaxact.entmax(x, a), alphas)
        return y, jax.jvp(lambda a: jaxact.entmax(x, a), (alphas,), (jnp.ones_like(alphas),))[1], pull(cotangent)[0]

    with jax.enable_x64(True):
        results = [np.asarray(a) for a in of_alphas(x, alphas, cotangent)]
    for i, alpha in enumerate(alphas[:, 0]):
        y, forward, reverse = (a[i] for a in results)
        step = 1e-6 * (alpha - 1)
        below, exact, above = (row_unit.entmax(x[i].astype(np.longdouble), alpha + s) for s in (-step, 0, step))
        slope = ((above - below) / (2 * step)).astype(np.float64)
        np.testing.assert_allclose(y, exact.astype(np.float64), rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(forward, slope, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(reverse, [cotangent[i] @ slope], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: jaxact.entmax(np.ones(3), 1.0), ValueError, r"^jaxact\.entmax: expected alpha > 1, got 1\.0"),
        (lambda: jaxact.entmax(np.ones(3), float("nan")), ValueError, r"^jaxact\.entmax: expected alpha > 1, got nan"),
        (lambda: jaxact.entmax(np.ones(3), np.full(3, 1.5)), ValueError, "alpha to have one value per row"),
        (lambda: jaxact.sparsemax(np.ones(3), 1), ValueError, r"^jaxact\.sparsemax: expected axis in"),
        (lambda: jaxact.entmax15(np.ones(3), where=np.ones(3)), TypeError, "where to be a bool array"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
