"""Flows stacked over steps, seeds and others, in records, findings, charts and what other tools log."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import wandb
from jax import lax

from jaxact import flow as jf

pytestmark = pytest.mark.quickly_compiled

X = np.random.default_rng(0).normal(size=(128, 8)).astype(np.float32)
W = np.stack([np.eye(8), np.eye(8) * np.where(np.arange(8) < 6, -9, 1)]).astype(np.float32)


def loss(w):
    """With the second seed most units are dead."""
    return jnp.mean(jax.nn.relu(jnp.abs(X) @ w) ** 2)


def trained(w):
    def step(w, _):
        (_, grads), flow = jf.observe(loss)(w)
        return w - 0.01 * grads, flow

    return lax.scan(step, w, length=3)[1]


@functools.cache
def flows():
    both = jax.jit(jax.vmap(trained))(W)
    apart = [jax.tree.map(lambda a, i=i: np.asarray(a)[i], both) for i in (0, 1)]

    def step(w, _):
        (_, grads), flow = jax.vmap(jf.observe(loss))(w)
        return w - 0.01 * grads, jf.stack(flow, "seed")

    return {
        "vmap of scan": jf.stack(both, "seed"),
        "of a list": jf.stack(apart, "seed"),
        "scan of vmap": jax.jit(lambda w: lax.scan(step, w, length=3)[1])(W),
    }


@functools.cache
def alone():
    return jax.jit(trained)(W[1]).to_records()


@pytest.mark.parametrize("which", ["vmap of scan", "of a list", "scan of vmap"])
def test_seeds_are_no_steps(which):
    flow = flows()[which]
    records = flow.to_records()
    assert sorted((r["stack"]["seed"], r["step"]) for r in records) == [(i, (s,)) for i in (0, 1) for s in range(3)]
    for record, want in zip([r for r in records if r["stack"]["seed"] == 1], alone(), strict=True):
        assert record["label"] == "seed 1/loss/relu"
        np.testing.assert_allclose(record["dx_rms"], want["dx_rms"], rtol=1e-5)
    (finding,) = flow.findings()
    assert (finding.rule, finding.site, finding.step) == ("dead units", "seed 1/loss/relu", (2,))
    assert "seed 1/loss/relu" in str(flow)
    assert jax.tree.map(lambda a: a, flow).axes == flow.axes
    chart = flow.chart().to_dict()["vconcat"]
    assert chart[0]["encoding"]["detail"]["field"] == chart[1]["facet"]["row"]["field"] == "member"


class Written:
    """A TensorBoard writer."""

    def __init__(self):
        self.scalars, self.histograms = {}, {}

    def add_scalar(self, tag, value, step):
        assert (tag, step) not in self.scalars
        self.scalars[tag, step] = value

    def add_histogram(self, tag, values, step):
        self.histograms[tag, step] = values


@pytest.mark.parametrize("which", ["vmap of scan", "of a list", "scan of vmap"])
def test_tensorboard_has_steps_and_seeds_apart(which):
    flow, writer = flows()[which], Written()
    flow.to_tensorboard(writer, 10)
    records = {(r["stack"]["seed"], *r["step"]): r for r in flow.to_records()}
    for seed in (0, 1):
        for step in range(3):
            tag = f"seed {seed}/loss/relu (0)"
            assert writer.scalars[f"{tag}/y_rms", 10 + step] == records[seed, step]["y_rms"]
            assert writer.scalars[f"{tag}/x_largest", 10 + step] == records[seed, step]["x_largest"]
            assert writer.histograms[f"{tag}/fired", 10 + step].shape == (8,)


def test_weights_and_biases_offline(tmp_path):
    flow = jf.stack(jax.jit(jax.vmap(jf.observe(loss)))(W)[1], "seed")
    logged = {}
    with wandb.init(mode="offline", dir=tmp_path, settings=wandb.Settings(silent=True)) as run:
        flow.to_wandb(run, 5)
        flow.to_wandb(run, 6)
        logged = dict(run.summary)
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert logged["seed 1/loss/relu (0)/dead"] == 6
    assert logged["seed 0/loss/relu (0)/fired"]["_type"] == "histogram"


def zeros(fun):
    """A Flow that is not computed."""
    return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), jax.eval_shape(jf.observe(fun), W[0])[1])


def test_bad_input():
    flow = zeros(loss)
    with pytest.raises(ValueError, match="expected a Flow that vmap or scan has stacked"):
        jf.stack(flow, "seed")
    with pytest.raises(ValueError, match="expected a role that is a word"):
        jf.stack([flow], "my seed")
    with pytest.raises(ValueError, match="expected Flows of one function"):
        jf.stack([flow, zeros(lambda w: jnp.sum(jnp.tanh(w)))], "seed")
    with pytest.raises(ValueError, match="expected another role than 'seed'"):
        jf.stack([jf.stack([flow], "seed")], "seed")
    with pytest.raises(ValueError, match="expected at least one Flow"):
        jf.stack([], "seed")
