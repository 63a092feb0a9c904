"""`jaxact compare`: the data, what is measured and recorded, initialisation, optimizers and divergence."""

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jaxact
from jaxact.compare import Comparison, Study, log, processes, run
from jaxact.compare.comparison import optimizers
from jaxact.compare.studies import data, digits_mlp, theory
from jaxact.compare.study import epochs
from jaxact.compare.summary import Summary
from jaxact.compare.train import State, evaluate, make_optimizer, make_step, measure
from tests import small_study

pytestmark = [pytest.mark.quickly_compiled, pytest.mark.usefixtures("no_pictures")]
STEEP = "leaky_relu(negative_slope=1000000.0)"
"""What diverges in a step."""
SMALL = Comparison(
    study=small_study.make, activations=("relu", STEEP, "tanh"), options={"width": 6}, steps=12, log_every=5, seeds=2
)
SITES = ("gradient_norm", "input_gradient_norm", "x_mean", "x_std", "y_std", "zero_share", "flat_share", "dead_share")
"""What a record has a number of for each hidden layer."""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return run(dataclasses.replace(SMALL, directory=str(tmp_path_factory.mktemp("small") / "result")))


def test_digits_are_standardised_on_the_training_split_and_held_out_by_class():
    task = data.digits()
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
    text = data.documentation()
    parts = ["".join(np.array(text.characters)[part]) for part in text[:3]]
    assert sum(map(len, parts)) > 300_000  # 373,215 in Python 3.11, more in later ones
    assert [round(len(part) / len("".join(parts)), 3) for part in parts] == [0.9, 0.05, 0.05]
    paragraphs = [part.split("\n\n") for part in parts]
    assert not set(paragraphs[0]) & {*paragraphs[1][1:-1], *paragraphs[2][1:]}
    assert "the" in parts[2].split()


def test_every_seed_sees_every_example_once_an_epoch():
    draws = [epochs(np.arange(103), 20, seed) for seed in range(2)]
    first, second = ([np.stack([next(draw) for _ in range(5)]) for draw in draws] for _ in range(2))
    for epoch in (*first, *second):
        assert len(set(epoch.ravel())) == 100  # three are left for another epoch
    assert not np.array_equal(*first)
    assert not np.array_equal(first[0], second[0])


def test_measured_flow_is_what_textbook_backpropagation_gives(tmp_path: Path):
    """The oracle is written out by hand in float64 NumPy."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=size) for size in itertools.pairwise((5, 4, 4, 4, 3))]
    weights[1][:, 0] = -1  # a dead unit, since what comes in is not negative
    x, y = rng.normal(size=(7, 5)), rng.integers(0, 3, 7)
    outputs, inner = [x], []
    for w in weights[:-1]:
        inner.append(outputs[-1] @ w)
        outputs.append(np.maximum(inner[-1], 0))
    logits = outputs[-1] @ weights[-1]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    back = (shares - np.eye(3)[y]) / 7 @ weights[-1].T
    by_output, by_input = [], []
    for w, z in zip(weights[-2::-1], inner[::-1], strict=True):
        by_output.insert(0, np.linalg.norm(back))
        by_input.insert(0, np.linalg.norm(back * (z > 0)))
        back = (back * (z > 0)) @ w.T

    study = small_study.make(jaxact.relu)
    state = State([w.astype(np.float32) for w in weights], None, None)
    batch = x.astype(np.float32), y.astype(np.int32)
    measured = jax.jit(lambda state: (measure(study, state, None, batch), evaluate(study, state, batch)))(state)
    (numbers, seen), (held_out, held_out_seen) = measured
    with log.Log(tmp_path / "log") as written:
        written.add("relu", step=0, flow=seen, held_out_flow=held_out_seen, **numbers, **held_out)
    [line] = log.read(tmp_path / "log")[1]
    loss = -np.log(shares[np.arange(7), y]).mean()
    assert line["train_loss"] == pytest.approx(loss, rel=1e-5)
    assert line["loss"] == pytest.approx(loss, rel=1e-5)
    assert line["accuracy"] == pytest.approx((logits.argmax(1) == y).mean())
    wanted = {
        "gradient_norm": by_output,
        "input_gradient_norm": by_input,
        "x_mean": [z.mean() for z in inner],
        "x_std": [z.std() for z in inner],
        "y_std": [np.maximum(z, 0).std() for z in inner],
        "zero_share": [(z <= 0).mean() for z in inner],
        "flat_share": [(z <= 0).mean() for z in inner],
        "dead_share": [(z <= 0).all(0).mean() for z in inner],
    }
    for name in SITES:  # float32 sums of 7 x 5 terms
        measured = [site[name] for site in line["sites"]]
        np.testing.assert_allclose(measured, wanted[name], rtol=2e-5, err_msg=name)
    assert max(wanted["dead_share"]) > 0
    slope = np.polyfit(range(3), np.log(by_input), 1)[0]
    assert line["gradient_slope"] == pytest.approx(slope, rel=1e-4)


def test_every_activation_seed_and_step_is_recorded(result: Summary):
    wanted = [(a, s, t) for a in SMALL.activations for t in (0, 5, 10, 12) for s in (0, 1)]
    assert [(r["network"], r["seed"], r["step"]) for r in result.records] == wanted
    for record in (r for r in result.records if r["network"] != STEEP):
        assert not record["diverged"]
        assert [site["place"] for site in record["sites"]] == ["layer 1", "layer 2"]
        assert all(math.isfinite(site[name]) for site in record["sites"] for name in SITES)


def test_the_table_holds_means_and_deviations_over_seeds(result: Summary):
    relu, _, tanh = result.networks
    end = [r["accuracy"] for r in relu.records if r["step"] == 12]
    value = relu.values["accuracy"]
    assert value is not None
    assert value[:2] == pytest.approx((sum(end) / 2, abs(end[0] - end[1]) / math.sqrt(2)))
    slopes = [r["gradient_slope"] for r in tanh.records if r["step"] == 0]
    factor = tanh.values["gradient a layer at start"]
    assert factor is not None
    assert factor.centre == pytest.approx(math.exp(-sum(slopes) / 2))
    dead = [site["dead_share"] for r in relu.records if r["step"] == 12 for site in r["sites"]]
    share = relu.values["dead units"]
    assert share is not None
    assert share.centre == pytest.approx(sum(dead) / len(dead))


def test_networks_learn(result: Summary):
    for network, seed in itertools.product(result.networks[::2], (0, 1)):
        losses = [r["loss"] for r in network.records if r["seed"] == seed]
        assert losses[-1] < losses[0]


def test_activations_start_from_the_same_weights_and_see_the_same_batch(result: Summary):
    """Then the first layer's pre-activations are the same for both; different seeds differ."""
    first = {(r["network"], r["seed"]): r["sites"][0]["x_std"] for r in result.records if r["step"] == 0}
    assert first["relu", 0] == first["tanh", 0] != first["relu", 1]


@pytest.mark.parametrize(
    ("init", "first", "second"),
    [
        ("he", 2 / 256, 2 / 128),
        ("glorot", 2 / 384, 2 / 256),
        ("lecun", 1 / 256, 1 / 128),
        ("naive", 0.05**2, 0.05**2),
        ("matched", 1 / 256, 1.0 / (0.394294 * 128)),  # E tanh(z)^2, flow.md 2.3
        ("orthogonal", 1 / 256, 1.0 / (0.394294 * 128)),
    ],
)
def test_initial_variance(init: theory.Init, first: float, second: float):
    sizes = (256, 128, 128, 10)
    assert theory.deviations(jaxact.tanh, init, sizes)[:2] == pytest.approx([first**0.5, second**0.5], rel=1e-5)
    study = digits_mlp.make(jaxact.tanh, depth=2, width=256, init=init, kind="residual")
    weights = [layer.weight for layer in study.init(jax.random.key(0))]
    wanted = theory.deviations(jaxact.tanh, init, (64, 256, 256, 10))
    for weight, deviation in zip(weights[:2], wanted, strict=False):
        assert weight.std() == pytest.approx(deviation, rel=0.03)  # 16,384 draws or more: 5 standard errors
        apart = weight @ weight.T / (deviation**2 * 256) - np.eye(len(weight))  # of rows
        assert (np.abs(apart).max() < 1e-5) == (init == "orthogonal")


def test_perceptrons_start_from_the_same_random_numbers():
    studies = [digits_mlp.make(f, depth=1, width=8, init="he", kind="residual") for f in (jaxact.relu, jaxact.tanh)]
    relu, tanh, other = (
        studies[which].init(jax.random.key(seed))[0].weight for which, seed in ((0, 0), (1, 0), (1, 1))
    )
    np.testing.assert_array_equal(relu, tanh)
    assert not np.array_equal(tanh, other)


def test_theory_agrees_with_what_is_measured(tmp_path: Path):
    """Six layers of 256: the rest is sampling, 1/sqrt(256) a layer for norms."""
    train = data.digits().train
    studies = {init: digits_mlp.make(jaxact.tanh, depth=6, width=256, init=init) for init in ("matched", "naive")}
    observed = jax.jit(lambda state: measure(studies["matched"], state, None, train)[1])  # they differ in weights alone
    for init, study in studies.items():
        seen = observed(State(study.init(jax.random.key(0)), None, None))
        with log.Log(tmp_path / init) as written:
            written.describe("tanh", predicted=study.predicted)
            written.add("tanh", step=0, flow=seen)
        [row] = Summary.of([tmp_path / init]).theory()
        numbers = {k: float(v.strip("\N{MULTIPLICATION SIGN}")) for k, v in row.items() if k != "activation"}
        assert numbers["gradient a layer, measured"] == pytest.approx(numbers["gradient a layer, theory"], rel=0.04)
        assert numbers["variance, measured"] == pytest.approx(numbers["variance, theory"], rel=0.15)
        norms = [r["dx_rms"] * math.sqrt(r["dx_count"]) for r in seen.to_records()]
        np.testing.assert_allclose(np.array(norms) / norms[-1], study.predicted["gradient"], rtol=0.25)


def test_a_sweep_over_depths_and_initialisations(result: Summary):
    """Each option reaches its network; what a log says of options is drawn in test_compare_report.py."""
    options = {"depth": (1, 2), "init": ("he", "naive"), "width": 8, "kind": "residual"}
    networks = Comparison(activations=("relu",), options=options).networks()
    assert [n.name for n in networks] == ["relu 1 he", "relu 1 naive", "relu 2 he", "relu 2 naive"]
    weights = [[layer.weight for layer in n.study.init(jax.random.key(0))] for n in networks]
    assert [len(each) for each in weights] == [2, 2, 3, 3]
    assert [each[0].std() < 0.1 for each in weights] == [False, True, False, True]
    about = {"activation": "relu", "options": {"width": 6}, "predicted": {}}
    assert log.read(result.directory)[2]["relu"] == about


@pytest.mark.filterwarnings("ignore:.*(deprecated|Specifying a key)")  # Optax's own, of optimistic_adam and noisy_sgd
def test_every_named_optimizer_takes_a_step():
    """With a leading axis of seeds, a rate that is traced, and a state that can be spread, as in the trainer."""
    weights, x = (np.random.default_rng(0).normal(size=(2, n, 4)).astype(np.float32) for n in (1, 8))
    data = {"batches": x[0], "held_out": x[0], "batch_size": 8}
    loss = lambda w, batch: ((batch @ w[0] - 1) ** 2).mean()  # noqa: E731

    def train(name: str, rate: Any) -> State:
        study = Study(name=name, init=lambda key: weights[0], loss=loss, optimizer=optimizers()[name], **data)
        step = jax.vmap(make_step(study), (0, None, 0, None))
        state = State(weights, None, jax.vmap(make_optimizer(study, rate).init)(weights))
        return jax.lax.fori_loop(0, 2, lambda _, state: step(state, None, x, rate), state)  # the first one may be zero

    mesh = jax.NamedSharding(processes.make_mesh(), jax.P())
    trained = jax.jit(lambda rate: {name: train(name, rate) for name in optimizers()})(1e-3)
    for name, after in processes.spread(trained, mesh).items():
        assert np.isfinite(after.parameters).all(), name
        assert (np.asarray(after.parameters) != weights).any(), name


def test_the_named_optimizers_are_optax_aliases():
    """`optax.contrib` is not asked for; lookahead and apply_if_finite wrap an optimizer and are none."""
    known = {"adabelief", "adafactor", "adagrad", "adam", "adamw", "lamb", "lars", "lbfgs", "lion", "polyak_sgd", "sgd"}
    assert known <= optimizers().keys()
    assert not {"lookahead", "scale_by_learning_rate", "chain"} & optimizers().keys()
    assert all(getattr(optax, name) is factory for name, factory in optimizers().items())


def test_the_batch_is_split_over_the_devices():
    mesh = processes.make_mesh()
    assert mesh.axis_names == ("batch",)
    assert mesh.size == len(jax.devices())


def test_a_diverged_run_is_reported_and_the_others_go_on(result: Summary):
    _, steep, tanh = result.networks
    assert steep.diverged == 2
    assert steep.values["accuracy"] is None
    assert tanh.diverged == 0
    assert tanh.values["accuracy"] is not None
    last = steep.records[-1]
    assert last["diverged"]
    assert last["loss"] is None
    assert result.table()[1]["diverged"] == "2/2"
    assert result.verdict[0].text == f"{STEEP} diverged in 2 of 2 seeds: its loss is not finite from step 5 on."
    assert f"{STEEP} diverged" in (result.directory / "report.html").read_text()
