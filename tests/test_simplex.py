"""sparsemax, entmax15 and entmax: on the simplex, with the derivatives that the implicit function theorem gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact

FAMILY = {
    "sparsemax": (jaxact.sparsemax, 2.0),
    "entmax15": (jaxact.entmax15, 1.5),
    **{f"entmax {a}": (lambda x, a=a: jaxact.entmax(x, a), a) for a in (1.25, 3.0, 4.0)},
}
every = pytest.mark.parametrize(("function", "alpha"), FAMILY.values(), ids=FAMILY)


@every
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rows_sum_to_one(function, alpha, dtype):
    """To the rounding of the entries, at scales where supports have one entry, some, and all."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2000, 30)) * 10 ** rng.uniform(-2, 2, (2000, 1)), dtype)
    y = np.asarray(function(x), np.float64)
    assert np.all(y >= 0)
    np.testing.assert_allclose(y.sum(-1), 1, rtol=0, atol=1.25 * float(jnp.finfo(dtype).eps))


@every
def test_zeros_are_exact(function, alpha):
    """An entry has no share just where it is further than u / q below the largest, here 1 / q below one alone."""
    gap = 1 / (alpha - 1)
    x = jnp.float32([0, -gap, -1.01 * gap, -100 * gap, -0.99 * gap])
    np.testing.assert_array_equal(np.asarray(function(x)) > 0, [True, False, False, False, True])
    np.testing.assert_array_equal(function(x[:4]), [1, 0, 0, 0])
    np.testing.assert_array_equal(jax.jacobian(function)(x[:4]), np.zeros((4, 4)))


def bordered(p, alpha, t):
    """Solve p_i^(alpha - 2) dp_i + dtau = t_i on the support, and sum(dp) = 0."""
    on = np.flatnonzero(p)
    system = np.ones((on.size + 1, on.size + 1))
    system[:-1, :-1] = np.diag(p[on] ** (alpha - 2))
    system[-1, -1] = 0
    result = np.zeros_like(p)
    result[on] = np.linalg.solve(system, np.append(t[on], 0))[:-1]
    return result


@every
def test_derivatives_follow_the_implicit_function_theorem(function, alpha):
    """On the support p_i^q / q + tau = x_i, and sum(p) = 1."""
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        x, t = rng.normal(size=(2, 20, 12)) * np.array([1.0, 2.0])[:, None, None]
        y, tangent = jax.jvp(function, (x,), (t,))
        cotangent = jax.vjp(function, x)[1](jnp.asarray(t))[0]
    for i, p in enumerate(np.asarray(y)):
        expected = bordered(p, alpha, t[i])
        for got in (tangent[i], cotangent[i]):
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("alpha", [1.01, 1.5, 3.0, 12.0])
def test_alphas_gradient_is_the_finite_difference(alpha):
    x = np.random.default_rng(0).normal(size=(2, 7))
    with jax.enable_x64(True):
        step = 1e-6 * (alpha - 1)
        above, below = (jaxact.entmax(x, alpha + change) for change in (step, -step))
        for derivative in (jax.jacfwd, jax.jacrev):
            got = derivative(lambda a: jaxact.entmax(x, a))(alpha)
            np.testing.assert_allclose(got, (above - below) / (2 * step), rtol=1e-6, atol=1e-8)


def test_one_alpha_a_row():
    x = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    alphas = np.array([[1.3], [2.5]], np.float32)
    gradient = jax.grad(lambda alphas: jaxact.entmax(x, alphas)[:, 0].sum())(alphas)
    for i in range(2):
        one = alphas[i, 0]
        np.testing.assert_allclose(jaxact.entmax(x, alphas)[i], jaxact.entmax(x[i], one), rtol=1e-6)
        np.testing.assert_allclose(gradient[i, 0], jax.grad(lambda a, i=i: jaxact.entmax(x[i], a)[0])(one), rtol=1e-5)


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
