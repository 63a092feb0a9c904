"""The built-in studies: what their networks compute, and that they are compared."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxact
import jaxact.nnx
from jaxact.compare import Comparison, Stateful, Study, run
from jaxact.compare.studies import data, digits_cnn, digits_mlp, text_transformer
from jaxact.compare.train import State, measure

pytestmark = [pytest.mark.quickly_compiled, pytest.mark.usefixtures("no_pictures")]

KEY = jax.random.key(0)


@pytest.mark.parametrize("kind", ["plain", "batch_norm", "residual"])
def test_the_perceptron_is_what_the_textbook_says(kind: Any):
    """Three layers, in training and evaluated, against NumPy in float64."""
    study = digits_mlp.make(jaxact.tanh, depth=3, width=8, kind=kind)
    variables = study.init(KEY)
    part = data.digits().train
    batch = data.Split(part.x[:32], part.y[:32])
    average, variance = 0.3, 2.0
    layers: Any = variables
    if kind == "batch_norm":
        averages = [(np.full(8, average, np.float32), np.full(8, variance, np.float32)) for _ in range(3)]
        layers = variables.parameters
        variables = Stateful(layers, averages)
    found = jax.jit(lambda v: [study.evaluate(v, batch, key) for key in (KEY, None)])(variables)
    for train, (loss, (metrics, state)) in zip((True, False), found, strict=True):
        x = np.asarray(batch.x, np.float64)
        after = []
        for number, layer in enumerate(layers[:-1]):
            z = x @ layer.weight.astype(np.float64) + layer.bias
            if kind == "batch_norm":
                after.append((0.9 * average + 0.1 * z.mean(0), 0.9 * variance + 0.1 * z.var(0)))
                mean, var = (z.mean(0), z.var(0)) if train else (average, variance)
                z = (z - mean) / np.sqrt(var + 1e-5)
            x = np.tanh(z) + (x if kind == "residual" and number else 0)
        logits = x @ layers[-1].weight.astype(np.float64) + layers[-1].bias
        wanted = (np.log(np.exp(logits).sum(1)) - logits[np.arange(32), batch.y]).mean()
        assert loss == pytest.approx(wanted, rel=1e-5)
        assert metrics["accuracy"] == pytest.approx((logits.argmax(1) == batch.y).mean())
        if kind == "batch_norm" and train:
            np.testing.assert_allclose(state, after, rtol=1e-4, atol=1e-5)


def test_a_perceptron_with_batch_norm_is_compared(tmp_path: Path):
    options = {"depth": 2, "width": 8, "kind": "batch_norm"}
    how: dict[str, Any] = {"optimizer": "sgd", "learning_rate": (0.1,), "steps": 10, "seeds": 1}
    result = run(Comparison(activations=("relu",), options=options, directory=str(tmp_path / "r"), **how))
    [network] = result.networks
    assert network.records[-1]["loss"] < network.records[0]["loss"]
    assert len(network.records[0]["sites"]) == 2


def test_the_convolutional_network(tmp_path: Path):
    """A module that learns is each site's own; averages are used when the network is evaluated."""
    options = {"depth": 1, "channels": 2}
    how: dict[str, Any] = {"optimizer": "sgd", "learning_rate": (0.1,), "steps": 3, "seeds": 1}
    result = run(
        Comparison(study="digits-cnn", activations=("PReLU",), options=options, directory=str(tmp_path), **how)
    )
    [network] = result.networks
    assert network.records[-1]["loss"] < network.records[0]["loss"]
    assert [site["activation"] for site in network.records[0]["sites"]] == ["prelu"] * 3
    variables = digits_cnn.make(jaxact.nnx.PReLU(), **options).init(KEY)
    slopes = [leaf for leaf in jax.tree.leaves(variables.parameters) if leaf.shape == ()]
    assert len(slopes) == 3


@pytest.mark.parametrize("kind", ["digits-cnn", "text-transformer"])
def test_what_is_drawn_is_what_the_network_takes(kind: str):
    study = {"digits-cnn": digits_cnn, "text-transformer": text_transformer}[kind].make(jaxact.relu)
    batch = jax.tree.map(lambda x: x[0], next(study.feed(range(1), 0)))
    loss = jax.eval_shape(lambda: study.evaluate(study.init(KEY), batch, KEY)[0])
    assert loss.shape == ()
    for part in (next(study.parts("held_out")), batch):
        shapes = [leaf.shape[1:] for leaf in jax.tree.leaves(part)]
        assert shapes == ([(8, 8, 1), ()] if kind == "digits-cnn" else [(33,)])


def test_gated_units_have_as_many_parameters():
    """Gated as a pair, gated as one array, and not gated."""
    studies = [text_transformer.make(unit) for unit in (jaxact.gelu, jaxact.swiglu, jaxact.glu)]
    shapes = [jax.eval_shape(lambda study=study: study.init(KEY).parameters) for study in studies]
    assert len({sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shape)) for shape in shapes}) == 1


def test_the_transformer_looks_back_only():
    """A character changes what is said of those after it, and of none before."""
    rows = np.arange(7)[None]
    other = np.where(np.arange(7) == 3, 8, rows)

    @jax.jit
    def both() -> Any:
        model = text_transformer.Transformer(jaxact.relu, width=8, depth=2, context=7, characters=9, rngs=nnx.Rngs(0))
        return model(rows), model(other)

    changed = np.abs(np.subtract(*both())).max((0, 2)) > 1e-6
    assert changed.tolist() == [False] * 3 + [True] * 4


def test_a_transformer_is_compared(tmp_path: Path):
    """With a gated unit, on a few held-out passages; one that is not gated is measured too."""

    def make(activation: Any) -> Study:
        study = text_transformer.make(activation, depth=2, width=8, context=6)
        small = {"init": jax.jit(study.init), "held_out": study.held_out[:32], "optimizer": optax.sgd}
        return dataclasses.replace(study, **small, validation=None)

    where = str(tmp_path / "r")
    [network] = run(Comparison(study=make, activations=("swiglu",), steps=4, seeds=1, directory=where)).networks
    assert network.records[-1]["loss"] < network.records[0]["loss"]
    places = [site["place"] for site in network.records[0]["sites"]]
    assert [place[-3:] for place in places] == ["[0]", "[1]"]  # of the scan
    study = make(jaxact.relu)
    state = State(*jax.eval_shape(lambda: study.init(KEY)), None)
    _, seen = jax.eval_shape(lambda state: measure(study, state, KEY, study.held_out[:8]), state)
    assert [site.name for site in seen.sites] == ["relu"]


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (text_transformer.make, {"width": 10}, "width to be a multiple of 4"),
        (digits_mlp.make, {"depth": 0}, "depth and width to be at least 1, got 0"),
        (digits_mlp.make, {"init": "xavier"}, "init to be one of matched"),
    ],
)
def test_what_no_study_can_be_made_of(make: Any, options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        make(jnp.tanh, **options)
