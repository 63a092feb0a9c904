"""`jaxact compare`: the data, what is measured, repeatability, devices, divergence and the result directory."""

import dataclasses
import functools
import itertools
import json
import math
import operator
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxact
from jaxact.compare import Comparison, networks, processes, report, run, tasks, theory, training
from jaxact.compare.comparison import Init, Network, optimizers

pytestmark = pytest.mark.usefixtures("quickly_compiled")

SMALL = Comparison(
    activations=("relu", "tanh"), depth=3, width=16, steps=12, log_every=5, checkpoint_every=5, seeds=2, batch_size=32
)
LAYERS = (
    "gradient_norm", "preactivation_gradient_norm", "weight_gradient_norm", "preactivation_mean", "preactivation_std",
    "activation_std", "zero_share", "dead_share",
)  # fmt: skip
"""What metrics.jsonl has a number of for each hidden layer."""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> report.Result:
    return run(dataclasses.replace(SMALL, directory=str(tmp_path_factory.mktemp("small") / "result")))


def metrics(path: Path | str) -> bytes:
    return (Path(path) / "metrics.jsonl").read_bytes()


def test_digits_are_standardised_on_the_training_split_and_held_out_by_class():
    task = tasks.digits()
    assert task.train.x.shape == (1347, 64)
    assert task.held_out.x.shape == (450, 64)
    assert task.train.x.dtype == np.float32
    np.testing.assert_allclose(task.train.x.mean(0), 0, atol=1e-5)
    deviation = task.train.x.std(0)  # some pixels are always blank
    np.testing.assert_allclose(deviation[deviation > 0], 1, atol=1e-4)
    assert set(np.bincount(task.held_out.y)) <= set(range(43, 48))
    rows = np.concatenate([task.train.x, task.held_out.x])
    assert len(np.unique(rows, axis=0)) == len(rows)  # so nothing held out is trained on


def test_no_paragraph_of_the_documentation_is_both_trained_on_and_held_out():
    text = tasks.documentation()
    parts = ["".join(np.array(text.characters)[part]) for part in text[:3]]
    assert sum(map(len, parts)) > 300_000  # 373,215 in Python 3.11, more in later ones
    assert [round(len(part) / len("".join(parts)), 3) for part in parts] == [0.9, 0.05, 0.05]
    paragraphs = [part.split("\n\n") for part in parts]
    assert not set(paragraphs[0]) & {*paragraphs[1][1:-1], *paragraphs[2][1:]}
    assert "the" in parts[2].split()


def test_every_seed_sees_every_example_once_an_epoch():
    epoch = [training.batch_indices(100, 20, range(2), step) for step in range(5)]
    for seed in range(2):
        assert sorted(np.concatenate([b[seed] for b in epoch])) == list(range(100))
    assert not np.array_equal(epoch[0][0], epoch[0][1])
    assert not np.array_equal(epoch[0], training.batch_indices(100, 20, range(2), 5))


def test_measured_flow_is_what_textbook_backpropagation_gives():
    """The oracle is written out by hand in float64 NumPy."""
    rng = np.random.default_rng(0)
    sizes = (5, 4, 4, 4, 3)
    weights = [rng.normal(size=s) for s in itertools.pairwise(sizes)]
    biases = [np.full(size, 0.1) for size in sizes[1:]]
    biases[1][0] = -50  # a dead unit
    x, y = rng.normal(size=(7, 5)), rng.integers(0, 3, 7)
    outputs, inner = [x], []
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        inner.append(outputs[-1] @ w + b)
        outputs.append(np.maximum(inner[-1], 0))
    logits = outputs[-1] @ weights[-1] + biases[-1]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    back = (shares - np.eye(3)[y]) / 7 @ weights[-1].T
    by_output, by_input, by_weight = [], [], []
    for w, z, before in zip(weights[-2::-1], inner[::-1], outputs[-2::-1], strict=True):
        by_output.insert(0, np.linalg.norm(back))
        by_input.insert(0, np.linalg.norm(back * (z > 0)))
        by_weight.insert(0, np.linalg.norm(before.T @ (back * (z > 0))))
        back = (back * (z > 0)) @ w.T

    layers = [
        networks.Layer(*(jnp.asarray(a, jnp.float32) for a in layer)) for layer in zip(weights, biases, strict=True)
    ]
    examples = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.int32)
    measured = jax.jit(lambda p: networks.measure(jaxact.relu, p, examples, examples))(layers)
    line = training._line(Network("relu", "relu", "he", 3), 0, 0, jax.device_get(measured))
    assert line["train_loss"] == pytest.approx(-np.log(shares[np.arange(7), y]).mean(), rel=1e-5)
    assert line["accuracy"] == pytest.approx((logits.argmax(1) == y).mean())
    wanted = {
        "gradient_norm": by_output,
        "preactivation_gradient_norm": by_input,
        "weight_gradient_norm": by_weight,
        "preactivation_mean": [z.mean() for z in inner],
        "preactivation_std": [z.std() for z in inner],
        "activation_std": [np.maximum(z, 0).std() for z in inner],
        "zero_share": [(z <= 0).mean() for z in inner],
        "dead_share": [(z <= 0).all(0).mean() for z in inner],
    }
    for name in LAYERS:  # float32 sums of 7 x 5 terms
        np.testing.assert_allclose(line[name], wanted[name], rtol=2e-5, err_msg=name)
    assert max(wanted["dead_share"]) > 0


def test_every_activation_seed_and_step_is_recorded(result: report.Result):
    wanted = [(a, s, t) for a in SMALL.activations for t in (0, 5, 10, 12) for s in (0, 1)]
    assert [(r["activation"], r["seed"], r["step"]) for r in result.records] == wanted
    for record in result.records:
        assert not record["diverged"]
        for name in LAYERS:
            assert len(record[name]) == SMALL.depth
            assert all(map(math.isfinite, record[name]))


def test_the_table_holds_means_and_deviations_over_seeds(result: report.Result):
    relu, tanh = result.rows
    end = [r["accuracy"] for r in result.records if r["activation"] == "relu" and r["step"] == 12]
    assert relu.accuracy == pytest.approx((sum(end) / 2, abs(end[0] - end[1]) / math.sqrt(2)))
    start = [r["gradient_norm"] for r in result.records if r["activation"] == "tanh" and r["step"] == 0]
    assert tanh.ratio_at_start == pytest.approx(math.sqrt(math.prod(g[0] / g[-1] for g in start)))
    assert tanh.dead_share == 0
    assert relu.seconds_per_step > 0


def test_networks_learn(result: report.Result):
    for name in SMALL.activations:
        for seed in range(2):
            losses = [r["loss"] for r in result.records if r["activation"] == name and r["seed"] == seed]
            assert losses[-1] < losses[0]


def test_activations_start_from_the_same_weights_and_see_the_same_batch(result: report.Result):
    """Then the first layer's pre-activations are the same for both; different seeds differ."""
    first = {(r["activation"], r["seed"]): r["preactivation_std"][0] for r in result.records if r["step"] == 0}
    assert first["relu", 0] == first["tanh", 0] != first["relu", 1]


@pytest.mark.parametrize(
    ("init", "first", "second"),
    [
        ("he", 2 / 256, 2 / 128),
        ("glorot", 2 / 384, 2 / 256),
        ("lecun", 1 / 256, 1 / 128),
        ("naive", 0.05**2, 0.05**2),
        ("matched", 1 / 256, 1.0 / (0.394294 * 128)),  # E tanh(z)^2, flow.md 2.3
    ],
)
def test_initial_variance(init: Init, first: float, second: float):
    sizes = (256, 128, 128, 10)
    deviations = theory.deviations(Network("tanh", "tanh", init, 2), sizes)
    for layer, variance in zip(networks.init(0, sizes, deviations), (first, second), strict=False):
        assert float(layer.weight.var()) == pytest.approx(variance, rel=0.05)  # 16,384 draws: 4 standard errors
        assert not layer.bias.any()


def test_theory_agrees_with_what_is_measured():
    """Six layers of 256: the rest is sampling, 1/sqrt(256) a layer for norms."""
    comparison = dataclasses.replace(SMALL, width=256, depth=6, activations=("tanh",), inits=("matched", "naive"))
    task = tasks.digits()
    for network in comparison.networks():
        state = jax.tree.map(operator.itemgetter(0), training.initial_state(comparison, network, task).parameters)
        measured = jax.jit(functools.partial(networks.measure, jaxact.tanh))(state, task.train, task.held_out)
        line = training._line(network, 0, 0, jax.device_get(measured))
        predicted = theory.predict(comparison, network, task)
        assert predicted is not None
        norms = line["preactivation_gradient_norm"]
        assert math.log(norms[0] / norms[-1]) / 5 == pytest.approx(predicted.gradient_slope, abs=0.04)
        assert line["activation_std"][-1] ** 2 == pytest.approx(predicted.activation_variance, rel=0.15)
        np.testing.assert_allclose(np.array(norms) / norms[-1], predicted.gradient, rtol=0.25)


def test_a_sweep_over_depths_and_initialisations(tmp_path: Path):
    settings = dataclasses.replace(SMALL, activations=("relu",), depths=(1, 4), inits=("matched", "naive"), steps=5)
    result = run(dataclasses.replace(settings, directory=str(tmp_path / "r")))
    names = ["relu matched 1", "relu matched 4", "relu naive 1", "relu naive 4"]
    assert [row.network.name for row in result.rows] == names
    assert {r["network"]: r["depth"] for r in result.records} == dict(zip(names, (1, 4, 1, 4), strict=True))
    assert [len(r["gradient_norm"]) for r in result.records if r["step"] == 0 and r["seed"] == 0] == [1, 4, 1, 4]
    said = report.findings(result)
    assert "relu from naive weights trains at none of the depths." in said
    assert (tmp_path / "r" / "accuracy_by_depth.png").exists()
    assert "accuracy_by_depth" in (tmp_path / "r" / "report.html").read_text()


@pytest.mark.filterwarnings("ignore:.*(deprecated|Specifying a key)")  # Optax's own, of optimistic_adam and noisy_sgd
@pytest.mark.parametrize("name", sorted(optimizers()))
def test_every_named_optimizer_takes_a_step(name: str):
    comparison = dataclasses.replace(SMALL, optimizer=name)
    optimizer = comparison.make_optimizer()
    layers = jax.tree.map(jnp.asarray, networks.init(0, (4, 4, 4), (0.7, 0.7)))
    batch = tasks.Split(np.random.default_rng(1).normal(size=(8, 4)).astype(np.float32), np.arange(8) % 4)
    step = training.make_step(jaxact.tanh, optimizer)
    with jax.disable_jit():  # operation by operation, which all of them share: nothing to compile for each
        after = step(training.State(layers, optimizer.init(layers)), batch)
        after = step(after, batch)  # some optimizers' first step is zero
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after.parameters))
    assert any((a != b).any() for a, b in zip(jax.tree.leaves(layers), jax.tree.leaves(after.parameters), strict=True))


def test_the_named_optimizers_are_optax_aliases():
    """`optax.contrib` is not asked for; lookahead and apply_if_finite wrap an optimizer and are none."""
    known = {"adabelief", "adafactor", "adagrad", "adam", "adamw", "lamb", "lars", "lbfgs", "lion", "polyak_sgd", "sgd"}
    assert known <= optimizers().keys()
    assert not {"lookahead", "scale_by_learning_rate", "chain"} & optimizers().keys()
    assert all(getattr(optax, name) is factory for name, factory in optimizers().items())


def test_eight_devices_give_the_metrics_of_one(result: report.Result, tmp_path: Path):
    """Only the order of sums over the batch differs: float32 rounding, which 12 steps of Adam carry on."""
    tanh = dataclasses.replace(SMALL, activations=("tanh",))
    flags = "--xla_force_host_platform_device_count=8"
    code = (
        "import sys, jax; from jaxact.compare.cli import main; code = main(sys.argv[1:]); "
        "assert len(jax.devices()) == 8; sys.exit(code)"
    )
    subprocess.run(
        [sys.executable, "-c", code, "compare", *arguments(tanh, tmp_path / "eight")],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        check=True,
    )
    eight = [json.loads(line) for line in metrics(tmp_path / "eight").splitlines()]
    for one, other in zip([r for r in result.records if r["activation"] == "tanh"], eight, strict=True):
        for name in ("train_loss", "loss", "gradient_norm", "weight_gradient_norm", "preactivation_std"):
            np.testing.assert_allclose(other[name], one[name], rtol=2e-3, err_msg=name)


def arguments(comparison: Comparison, directory: Path | str) -> list[str]:
    """Write a comparison as command-line arguments."""
    fields = {**comparison.identity(), "directory": directory}
    words = [
        ["--" + k.replace("_", "-"), *map(str, v if isinstance(v, tuple) else [v])]
        for k, v in fields.items()
        if v != ()
    ]
    return list(itertools.chain.from_iterable(words))


def test_the_batch_is_split_over_the_devices():
    mesh = processes.make_mesh(SMALL.batch_size)
    assert mesh.axis_names == ("batch",)
    assert mesh.size == len(jax.devices())


def test_a_diverged_run_is_reported_and_the_others_go_on(tmp_path: Path):
    settings = dataclasses.replace(
        SMALL, activations=("identity", "sigmoid"), optimizer="sgd", learning_rate=1e4, steps=10, seeds=1
    )
    result = run(dataclasses.replace(settings, directory=str(tmp_path / "r")))
    identity, sigmoid = result.rows
    assert identity.diverged == 1
    assert identity.accuracy is None
    assert sigmoid.diverged == 0
    assert sigmoid.accuracy is not None
    last = [r for r in result.records if r["activation"] == "identity"][-1]
    assert last["diverged"]
    assert last["loss"] is None
    assert "diverged in 1/1" in report.cells(result)[0]["held-out accuracy"]
    assert "identity diverged in 1 of 1 seeds." in report.findings(result)
    assert "identity diverged" in (tmp_path / "r" / "report.html").read_text()
