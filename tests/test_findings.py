"""Every finding is made on a model with the fault planted in it, says where, and is not made on healthy ones."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import jaxact
from jaxact import flow as jf

pytestmark = pytest.mark.quickly_compiled

X = np.random.default_rng(0).normal(size=(128, 16)).astype(np.float32)
LABELS = np.arange(128) % 16


def square(n, scale=1.0, key=1):
    """n matrices that keep the size of what goes through them, times `scale`."""
    return (scale * np.random.default_rng(key).normal(size=(n, 16, 16)) / 4.0).astype(np.float32)


@functools.cache
def stack(f):
    """n plain layers, scanned."""
    return lambda ws, x: jnp.mean(lax.scan(lambda h, w: (f(h @ w), None), x, ws)[0] ** 2)


@functools.cache
def observed(loss):
    return jax.jit(jf.observe(loss))


def found(loss, params, x=X):
    _, flow = observed(loss)(params, x)
    return {finding.rule: finding for finding in flow.findings()}


def line_of(text):
    """The line of this file that has the text (and not in a call of this function)."""
    lines = Path(__file__).read_text().splitlines()
    return next(i for i, line in enumerate(lines, 1) if text in line and "line_of" not in line)


def residual(ws, x):
    def block(h, w):
        up, down = w
        return h + jaxact.gelu(jax.nn.standardize(h) @ up) @ down, None

    h, _ = lax.scan(jax.checkpoint(block), x, ws)
    return -jnp.mean(jax.nn.log_softmax(h)[jnp.arange(len(x)), LABELS])


def attention(ws, x):
    """Softmax multiplies values, which are data: as it should."""

    def block(h, w):
        qkv, out, up, down = w
        z = jax.nn.standardize(h)
        q, k, v = z @ qkv, z @ qkv.T, z @ out
        h = h + jax.nn.softmax(q @ k.swapaxes(1, 2) / 4) @ v @ out
        return h + jax.nn.silu(jax.nn.standardize(h) @ up) @ down, None

    return jnp.mean(lax.scan(block, x.reshape(8, 16, 16), ws)[0] ** 2)


def gated_recurrent(ws, x):
    """Sigmoids that gate are in no plain stack. They start open, or half of the gradient were lost at every step."""

    def step(state, x):
        keep, new = jax.nn.sigmoid(2 + x @ ws[0] + state @ ws[1]), jnp.tanh(x @ ws[2] + state @ ws[3])
        return keep * state + (1 - keep) * new, None

    return jnp.mean(lax.scan(step, jnp.zeros((8, 16)), x.reshape(16, 8, 16))[0] ** 2)


def layer_scale(ws, x):
    """Blocks with a LayerScale of 1e-5, and a loss that is an activation itself."""

    def block(h, w):
        return h + 1e-5 * jax.nn.gelu(jax.nn.standardize(h) @ w), None

    h, _ = lax.scan(block, x @ ws[0], ws[1:-1])
    return jnp.mean(optax.sigmoid_binary_cross_entropy(jax.nn.standardize(h) @ ws[-1], LABELS[:, None] > 8))


def auxiliary_loss(ws, x):
    """Of little weight."""
    x, _ = lax.scan(lambda x, w: (jax.nn.silu(x @ w), None), x, ws[:-1])
    return jnp.mean(x**2) + 1e-6 * jnp.mean(jax.nn.elu(x @ ws[-1]) ** 2)


@pytest.mark.parametrize(
    ("loss", "params"),
    [
        pytest.param(stack(jax.nn.relu), square(4, np.sqrt(2.0)), id="relu, He"),
        pytest.param(stack(jnp.tanh), square(6, 5 / 3), id="tanh, Glorot"),
        pytest.param(residual, (square(12), square(12, 0.5)), id="residual"),
        pytest.param(attention, np.stack([square(4, key=i) for i in range(3)]), id="attention"),
        pytest.param(gated_recurrent, square(4, 0.5), id="gated recurrent"),
        pytest.param(lambda w, x: jnp.mean((x @ w) ** 2), square(1)[0], id="linear"),
        pytest.param(layer_scale, square(7), id="layer scale"),
        pytest.param(auxiliary_loss, square(4, 1.5), id="auxiliary loss"),
    ],
)
def test_no_finding_on_a_healthy_model(loss, params):
    assert found(loss, params) == {}


def test_vanishing():
    finding = found(stack(jaxact.sigmoid), square(10))["vanishing gradients"]
    assert "over 10 layers" in finding.evidence
    assert (finding.file, finding.line) == (__file__, line_of("n plain layers, scanned") + 1)


def test_exploding():
    assert "over 4 layers" in found(stack(jax.nn.relu), square(4, 40.0))["exploding gradients"].evidence


def test_one_layer_whose_weights_are_off():
    weights = square(4, np.sqrt(2.0))
    for factor, rule in ((1e-4, "vanishing gradients"), (1e4, "exploding gradients")):
        assert rule in found(stack(jax.nn.relu), weights * np.array([1, 1, factor, 1], np.float32)[:, None, None])


def test_dead_units():
    loss = lambda p, x: jnp.mean((jax.nn.relu(x @ p[0] + p[1]) @ p[0]) ** 2)  # noqa: E731
    bias = np.float32(-100) * (np.arange(16) < 5)
    assert "5 of 16 units" in found(loss, (square(1)[0], bias))["dead units"].evidence
    few = found(loss, (square(1)[0], bias), X[:8])
    assert "dead units" not in few, "eight examples are too few to call a unit dead"


def test_saturation():
    assert "saturation" in found(stack(jnp.tanh), square(6, 30.0))


def test_initialisation_that_does_not_fit():
    finding = found(stack(jax.nn.relu), square(4, 0.5))["initialisation"]
    assert "over 4 layers" in finding.evidence
    assert "relu" in finding.advice


def test_softmax_in_a_hidden_layer():
    def loss(w, x):
        hidden = jax.nn.softmax(x @ w)
        return jnp.mean((hidden @ w) ** 2)

    finding = found(loss, square(1)[0])["softmax in a hidden layer"]
    assert finding.line == line_of("hidden = jax.nn.softmax(x @ w)")


@pytest.mark.parametrize("normalising", [jax.nn.log_softmax, jax.nn.softmax, jaxact.log_softmax, jax.nn.logsumexp])
def test_softmax_twice(normalising):
    (finding,) = jf.lint(lambda w, x: -jnp.mean(normalising(jax.nn.softmax(x @ w))))(square(1)[0], X)
    assert finding.rule == "softmax twice"
    assert finding.source.startswith("test_findings.py:")


def test_two_linear_layers():
    def loss(w, x):
        h = x @ w + w[0]
        return jnp.mean(jax.nn.relu(h.reshape(-1, 2, 8).reshape(-1, 16) @ w) ** 2)  # second

    (finding,) = jf.lint(loss)(square(1)[0], X)
    assert (finding.rule, finding.line) == ("two linear layers", line_of("# second"))
    assert f"test_findings.py:{line_of('h = x @ w + w[0]')}" in finding.evidence
    (finding,) = jf.lint(stack(lambda x: x))(square(3), X)
    assert finding.rule == "two linear layers", "from one iteration of a scan to the next"


def test_sigmoid_in_a_deep_stack():
    unrolled = lambda ws, x: jnp.mean(jax.nn.sigmoid(jax.nn.sigmoid(x @ ws[0]) @ ws[1]))  # noqa: E731
    assert [finding.rule for finding in jf.lint(stack(jax.nn.sigmoid))(square(5), X)] == ["sigmoid in a deep stack"]
    assert jf.lint(unrolled)(square(2), X) == []


def test_a_python_loop_is_one_deep_stack():
    def loss(ws, x):
        for w in ws:
            x = jax.nn.sigmoid(x @ w)
        return jnp.mean(x)

    (finding,) = jf.lint(loss)(square(7), X)
    assert finding.evidence.startswith("7 or more layers of sigmoid")


def test_first_non_finite_value_and_gradient():
    def loss(w, x):
        h = jax.nn.relu(x @ w)
        h = jax.nn.silu(jnp.log(h - 1.0))  # made before this one
        return jnp.mean(jnp.tanh(h))

    finding = found(loss, square(1)[0])["non-finite values"]
    assert finding.line == line_of("# made before this one")
    assert "come in" in finding.evidence

    root = lambda w, x: jnp.sum(jnp.sqrt(jax.nn.relu(x @ w)))  # noqa: E731
    assert "cotangent" in found(root, square(1)[0])["non-finite gradients"].evidence


def test_a_closed_over_batch_is_data():
    """Its residual connection is one too."""
    fun = lambda w: jnp.mean(jax.nn.relu((X + X @ w) @ w) ** 2)  # noqa: E731
    assert jax.eval_shape(jf.observe(fun), square(1)[0])[1].warnings == ()


def test_lint_needs_no_arrays():
    shapes = jax.ShapeDtypeStruct((16, 16), jnp.float32), jax.ShapeDtypeStruct((4, 16), jnp.float32)
    (finding,) = jf.lint(lambda w, x: jnp.sum(jax.nn.softmax(jax.nn.softmax(x @ w))))(*shapes)
    assert finding.rule == "softmax twice"
    assert jf.lint(lambda x, w: jnp.sum(x @ w @ w.T), argnums=1)(*shapes[::-1])[0].rule == "two linear layers"


def test_table_records_charts_and_tensorboard(tmp_path):
    tensorboard = pytest.importorskip("tensorboardX")
    seen = jf.observe(stack(jaxact.gelu))
    _, flow = jax.jit(lambda ws: lax.scan(lambda ws, _: (0.9 * ws, seen(ws, X)[1]), ws, length=3))(square(4))
    assert len(flow.to_records()) == 12
    assert len(str(flow).splitlines()) == 13
    assert "gelu[3]" in str(flow)
    assert "test_findings.py" in str(flow)
    assert flow._repr_html_().count("<tr>") == 13
    assert flow.__rich__().row_count == 12
    kinds = [chart["mark"]["type"] for chart in flow.chart().to_dict()["vconcat"]]
    assert kinds == ["line", "rect"]
    last = jax.tree.map(lambda a: np.asarray(a)[-1], flow)
    assert last.chart().to_dict()["mark"]["type"] == "line"
    np.testing.assert_allclose(last.gradient_slope(), flow.gradient_slope())
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        flow.to_tensorboard(writer, 7)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) > 1000


def mean_log(p):
    return -jnp.mean(jnp.log(p))


LINTED = {
    "sigmoid on logits": [
        lambda w, x: jnp.mean(optax.sigmoid_binary_cross_entropy(jax.nn.sigmoid(x @ w), 1.0)),
        lambda w, x: jnp.mean(jax.nn.softplus(-jnp.clip(jax.nn.sigmoid(x @ w), 1e-6, 1 - 1e-6))),
    ],
    "relu on logits": [
        lambda w, x: -jnp.mean(jax.nn.log_softmax(jax.nn.relu(x @ w))),
        lambda w, x: (
            -jnp.mean(jax.nn.log_softmax(jnp.where(x > 2, -1e9, jax.nn.relu(x @ w))))
        ),  # what may not be chosen
    ],
    "tanh on logits": [lambda w, x: jnp.mean(optax.softmax_cross_entropy_with_integer_labels(jnp.tanh(x @ w), LABELS))],
    "softmax twice": [
        lambda w, x: -jnp.mean(jax.nn.log_softmax(jax.nn.softmax(x @ w) + 1e-8)),
        lambda w, x: -jnp.mean(jax.nn.log_softmax(jnp.clip(jax.nn.softmax(x @ w), 1e-7, 1.0))),
        lambda w, x: -jnp.mean(jax.nn.log_softmax(jnp.mean(jax.nn.softmax((x @ w).reshape(16, 8, 16)), axis=1))),
        lambda w, x: -jnp.mean(jax.nn.log_softmax(10.0 * jax.nn.softmax(x @ w))),
    ],
    "softmax over one entry": [lambda w, x: jnp.mean(jax.nn.softmax(x @ w[:, :1]))],
    "softmax over the batch": [lambda w, x: mean_log(jax.nn.softmax(x @ w, axis=0) + 1e-9)],
    "log_softmax over the batch": [lambda w, x: -jnp.mean(jax.nn.log_softmax(x @ w, axis=0))],
}


@pytest.mark.parametrize("rule", LINTED)
def test_lint_of_losses(rule):
    for number, loss in enumerate(LINTED[rule]):
        assert [finding.rule for finding in jf.lint(loss)(square(1)[0], X)] == [rule], number
        assert [finding.rule for finding in jf.lint(loss)(square(1)[0], x=X)] == [rule], number


@pytest.mark.parametrize(
    "loss",
    [
        lambda w, x: jnp.mean(optax.sigmoid_binary_cross_entropy(x @ w, 1.0)),
        lambda w, x: -jnp.mean(jax.nn.log_softmax(30.0 * jnp.tanh(x @ w / 30.0))),  # a soft cap
        lambda w, x: jnp.mean(jax.nn.softmax(jax.nn.leaky_relu(x @ w)) * x),
        lambda w, x: jnp.mean(jnp.sum(jax.nn.softmax(x @ w[:, :2], axis=0)[:, :1] * x, 0)),  # pooling over time
        lambda w, x: jnp.mean((lambda h: h + jnp.tanh(h @ w))(x @ w)),
        lambda w, x: mean_log(jax.nn.softmax(x @ w) + 1e-9),
        lambda w, x: jnp.mean(
            jnp.tanh(x @ x[:16] + x @ w[:, :2] @ w[:2])
        ),  # a low-rank update of weights that are given
        lambda w, x: jnp.mean(jax.nn.relu(jax.nn.relu(x @ w) @ w[:, :2] @ w[:2])),  # an autoencoder's code
        lambda w, x: jnp.mean(jax.nn.softmax(x @ w.T / 4.0) @ w),  # a memory that is read
        lambda w, x: jnp.mean(jax.nn.softmax(jnp.where(x > 2, -1e9, jnp.einsum("bi,oi->bo", x, w))) @ w),
        lambda w, x: jnp.mean(jnp.einsum("bk,kio->bio", jax.nn.softmax(x @ w[:, :4]), w.reshape(4, 16, 4))),
    ],
)
def test_lint_of_what_is_right(loss):
    assert jf.lint(loss)(square(1)[0], X) == []
