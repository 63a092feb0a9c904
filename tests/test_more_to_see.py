"""What is seen beside moments: largest values, kurtosis, magnitudes, entropies, norms of parameters; and when."""

import chex
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import scipy.special
import scipy.stats
from jax import lax

import jaxact
from jaxact import flow as jf
from jaxact.flow import sums

pytestmark = pytest.mark.quickly_compiled

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 16)).astype(np.float32)
TYPES = {
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
}


def test_largest_and_kurtosis():
    b = np.linspace(-1, 5, 16, dtype=np.float32)
    flow = jax.jit(jf.observe(lambda b: jnp.sum(jax.nn.tanh(X * b + b))))(b)[1]
    x = np.asarray(X * b + b, np.float64)
    (record,) = (flow + flow).to_records()
    for key, array in {"x": x, "y": np.tanh(x)}.items():
        np.testing.assert_allclose(record[f"{key}_largest"], np.abs(array).max(), rtol=1e-6)
        # Sums in float32, and up to a hundredfold cancellation of the mean.
        np.testing.assert_allclose(
            record[f"{key}_kurtosis"], scipy.stats.kurtosis(array.ravel(), fisher=False), rtol=1e-4
        )


def test_a_kurtosis_that_float32_cannot_tell_is_nan():
    loss = lambda w: jnp.sum(jf.tap(w * X + 100.0, "far") + jf.tap(1e-12 * w * X, "small"))  # noqa: E731
    flow = jax.jit(jf.observe(loss))(1.0)[1]
    assert all(np.isnan(record["x_kurtosis"]) for record in flow.to_records())


def test_magnitudes_are_what_casting_gives():
    size = np.exp2(RNG.uniform(-140, 127, 4096)).astype(np.float32)
    tie = [0, 448, 464, np.nextafter(np.float32(464), 999), 57344, 61440, 61439, 65504, 65519, 65520, 3.39e38, np.inf]
    tie += [2.0**-25, 2.0**-10, -(2.0**-17), np.nextafter(np.float32(2.0**-25), 1), np.nan, -65520.0, 1.0]
    x = np.concatenate([np.where(RNG.random(4096) < 0.5, size, -size), np.float32(tie)]).astype(np.float32)
    x = np.concatenate([x, np.exp2(RNG.uniform(-30, 20, 4096)).astype(np.float32)])
    got = np.concatenate([np.asarray(f(x), np.float64) for f in (sums.moments, sums.counts)])
    many = np.tile(x, (64, 1))[:, :-1]  # so many that they are counted in pairs
    np.testing.assert_array_equal(sums.counts(many), 64 * sums.counts(x[:-1]))
    numbers = sums.finished(got, False)
    finite = x[np.isfinite(x)]
    for name, kind in TYPES.items():
        with np.errstate(over="ignore"):
            cast = finite.astype(kind).astype(np.float32)
        # A CPU may read subnormal numbers as 0, which are no entries then.
        normal = np.abs(finite) >= np.finfo(np.float32).tiny
        flushed = numbers[f"flushed_{name}"] * x.size
        assert ((cast == 0) & normal).sum() <= flushed <= ((cast == 0) & (finite != 0)).sum()
        assert numbers[f"overflow_{name}"] * x.size == (~np.isfinite(cast)).sum()
    exponents, counts = np.unique(
        np.ceil(np.log2(np.abs(finite[finite != 0]).astype(np.float64))) - 1, return_counts=True
    )
    wanted = {int(e): n for e, n in zip(exponents, counts, strict=True) if e >= -126}
    assert {e: n for e, n in numbers["magnitudes"].items() if e >= -126} == wanted


def rematerialised(f):
    return jax.jit(jax.checkpoint(f))


def scanned(f):
    return lambda x: lax.scan(lambda h, _: (f(h), None), x, length=2)[0]


@pytest.mark.parametrize("around", [rematerialised, scanned, jax.vmap])
def test_magnitudes_forward_and_backward(around):
    many = X if around is jax.vmap else np.tile(X, (288, 1))  # so many that they are counted in pairs

    def loss(w, many):
        return 2.0**-20 * jnp.sum(around(lambda x: jax.nn.silu(w * x))(many))

    @jax.jit
    def both(*args):
        return jf.observe(loss, magnitudes=True)(*args), jf.observe(loss)(*args)

    (got, flow), (_, plain) = both(1.0, many)
    chex.assert_trees_all_equal(got, jax.jit(jax.value_and_grad(loss))(1.0, many))
    last = flow.to_records()[-1]
    assert last["dy_magnitudes"] == {-21: many.size}  # 2^-20 is in the bin under it
    assert (last["dy_flushed_e5m2"], last["dy_flushed_f16"], last["dy_overflow_e4m3"]) == (1.0, 0.0, 0.0)
    assert sum(last["x_magnitudes"].values()) == many.size
    plain = plain.to_records()[-1]
    numbers = [key for key, value in plain.items() if isinstance(value, float)]
    np.testing.assert_array_equal([last[key] for key in numbers], [plain[key] for key in numbers])


SOFTMAXES = {
    "jax.nn": (jax.nn.softmax, jax.nn.log_softmax),
    "jaxact": (jaxact.softmax, jaxact.log_softmax),
    "vmap": (lambda z: jax.vmap(jax.nn.softmax, in_axes=1)(z.T), jax.vmap(jaxact.log_softmax)),
}


@pytest.mark.parametrize("which", SOFTMAXES)
def test_entropy_and_largest_logit(which):
    softmax, log_softmax = SOFTMAXES[which]
    w = RNG.normal(size=(64, 16)).astype(np.float32)
    mask = np.tril(np.ones((16, 16), bool))

    def loss(w):
        z = X.T @ w - 50  # so that the largest is negative
        return jnp.sum(softmax(jnp.where(mask, z, -jnp.inf))) + jnp.sum(log_softmax(z))

    flow = jax.jit(jf.observe(loss))(w)[1]
    z = (X.T @ w).astype(np.float64) - 50
    for name, logits in (("softmax", np.where(mask, z, -np.inf)), ("log_softmax", z)):
        record = next(r for r in flow.to_records() if r["name"] == name)
        entropies = scipy.stats.entropy(scipy.special.softmax(logits, -1), axis=-1)
        np.testing.assert_allclose(record["entropy"], entropies.mean(), rtol=1e-5)
        np.testing.assert_allclose(record["largest_logit"], logits.max(), rtol=1e-6)


def test_outputs_far_under_zero_are_no_mask():
    """Only logarithms of shares carry a mask on: what a polynomial makes is counted, whatever its size."""
    x = np.float32([[1.0, -2.0, 3.0]])
    loss = lambda x: jnp.sum(jaxact.poly_norm(x, (-1e5, 0.0, 0.0)))  # noqa: E731
    (record,) = jax.jit(jf.observe(loss))(x)[1].to_records()
    expected = -1e5 * x / np.sqrt(np.mean(np.square(x)))
    assert record["y_count"] == x.size
    np.testing.assert_allclose(record["y_mean"], expected.mean(), rtol=1e-5)


def test_largest_is_a_maximum_over_branches_loops_and_batches():
    def loss(w):
        h = lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, 2 * jnp.tanh(s[1])), (0, lax.stop_gradient(w * X)))[
            1
        ]
        z = lax.cond(jnp.sum(w) > 0, lambda z: jax.nn.softmax(z), lambda z: jax.nn.log_softmax(z), w * h)
        return jnp.sum(z)

    observed = jax.jit(jf.observe(loss))
    first, second = (observed(s)[1] for s in (1.0, 3.0))
    records = {r["name"]: r for r in (first + second).to_records()}
    assert records["tanh"]["x_largest"] == pytest.approx(np.abs(3 * X).max())
    assert records["softmax"]["largest_logit"] == pytest.approx(6, rel=0.1)
    assert np.isnan([records["log_softmax"][key] for key in ("largest_logit", "x_largest", "entropy")]).all()


def test_sampling_inside_a_jitted_step():
    loss = lambda w: jnp.mean(jax.nn.softmax(jax.nn.relu(X @ w))[:, 0])  # noqa: E731

    @jax.jit
    def train(w):
        def step(w, number):
            (value, grads), flow = jf.observe(loss, when=number % 3 == 1, magnitudes=True)(w)
            return w - grads, (value, grads, flow)

        return lax.scan(step, w, jnp.arange(5))

    def plain(w, _):
        value, grads = jax.value_and_grad(loss)(w)
        return w - grads, (value, grads)

    w = np.eye(16, dtype=np.float32)
    end, (*got, flow) = train(w)
    chex.assert_trees_all_equal((end, tuple(got)), jax.jit(lambda w: lax.scan(plain, w, length=5))(w))
    assert [r["step"] for r in flow.to_records()] == [(1,), (1,), (4,), (4,)]
    assert flow.to_records()[0]["x_count"] == X.size
    with pytest.raises(TypeError, match=r"expected when to be one boolean, got int32\[\]"):
        jf.observe(loss, when=3)


def test_what_is_not_wanted_is_not_computed():
    """In the compiled step the statistics are in a branch of a conditional."""
    loss = lambda w: jnp.mean(jax.nn.relu(X @ w))  # noqa: E731
    step = jax.jit(lambda w, i: jf.observe(loss, when=i % 10 == 0)(w))
    assert "case" in step.lower(jnp.eye(16), 3).as_text()


def test_norms():
    params = {"b": np.float32([3, 4]), "a": [np.full((2, 2), 2, np.float32), np.zeros(3, np.float32)]}
    grads = jax.tree.map(lambda p: np.float32(1e-25) * (p + 1), params)
    updates = jax.tree.map(lambda p: np.float32(-0.01) * p, params)
    norms = jax.jit(jf.norms)
    seen = norms(params, grads, updates)
    records = {r["path"]: r for r in seen.to_records()}
    assert list(records) == ["a[0]", "a[1]", "b"]
    assert (records["b"]["size"], records["b"]["weight_norm"]) == (2, 5.0)
    np.testing.assert_allclose(records["b"]["gradient_norm"], 1e-25 * np.sqrt(41), rtol=1e-5)
    np.testing.assert_allclose(records["a[0]"]["update_ratio"], 0.01, rtol=1e-5)
    assert np.isnan(records["a[1]"]["update_ratio"])
    (whole, b) = seen.to_records(level=1)
    assert (whole["path"], whole["size"], whole["weight_norm"], b["path"]) == ("a", 7, 4.0, "b")
    assert np.isnan(norms(params, grads).to_records()[0]["update_norm"])
    assert "b" in str(seen)
    with pytest.raises(ValueError, match="expected grads to have leaves of params' shapes"):
        jf.norms(params, {"b": np.ones(2)})
