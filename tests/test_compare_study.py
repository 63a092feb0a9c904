"""Studies of one's own: a user's file, the libraries' modules, state, learning rates, and what is refused."""

import dataclasses
import functools
import itertools
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact.cli import main
from jaxact.compare import Comparison, Study, log, run, train
from jaxact.compare.activations import resolve
from jaxact.compare.processes import exit_code, stack
from jaxact.compare.summary import Summary
from jaxact.nnx import PReLU
from tests import forked, small_study
from tests.forked import pair
from tests.small_study import ARRAYS, X, Y, cross_entropy

pytestmark = [pytest.mark.quickly_compiled, pytest.mark.usefixtures("no_pictures")]

FILE = Path(__file__).with_name("user_study.py")


def test_a_users_file_is_short_and_imports_a_study_alone():
    text = FILE.read_text()
    assert len(text.splitlines()) <= 40
    assert [line for line in text.splitlines() if "jaxact" in line] == ["from jaxact.compare import Study"]


WORDS = ["compare", f"{FILE}:make", "--activations", "gelu", "--seeds", "3", "--log-every", "2"]
WORDS += ["--optimizer", "sgd", "--learning-rate", "0.1"]


def records(directory: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in r.items() if k != "seconds_per_step"} for r in log.read(directory)[1]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, no_pictures: None) -> Path:
    """The directory of a run of the user's file, three seeds under vmap."""
    directory = tmp_path_factory.mktemp("whole") / "r"
    assert main([*WORDS, "--steps", "4", "--directory", str(directory)]) == 0
    return directory


def test_a_users_file_is_compared(whole: Path):
    """A convolutional network with BatchNorm and Dropout, by one command."""
    found = records(whole)
    assert [(r["network"], r["step"], r["seed"]) for r in found] == [
        ("gelu", t, s) for t in (0, 2, 4) for s in range(3)
    ]
    for before, after in zip(found[:3], found[-3:], strict=True):
        assert after["train_loss"] < before["train_loss"]
        assert [site["activation"] for site in before["sites"]] == ["gelu", "gelu"]
    assert len({r["train_loss"] for r in found[:3]}) == 3
    assert "digits of mine" in (whole / "report.html").read_text()


def killed(at: int, words: list[str]) -> int:
    """Run the command, and be killed in the place of a record."""
    add, count = log.Log.add, itertools.count(1)
    log.Log.add = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL) if next(count) == at else add(*a, **k)
    return main(words)


def test_a_users_file_killed_and_resumed(whole: Path, tmp_path: Path):
    """In the midst of step 4's records; BatchNorm and Dropout included, the numbers are the same."""
    words = [*WORDS, "--steps", "4", "--directory", str(tmp_path / "r")]
    assert forked.end([forked.start(tmp_path / "said", killed, 8, words)], within=120) == [-signal.SIGKILL]
    assert records(tmp_path / "r") == records(whole)[:7]
    assert main(["compare", "--resume", str(tmp_path / "r")]) == 0
    assert records(tmp_path / "r") == records(whole)


def both(words: list[str], meet: list[str]) -> int:
    """Run the command, with the words by which two processes meet."""
    return main([*words, *meet])


def test_a_users_file_in_two_processes_of_four_devices(whole: Path, tmp_path: Path):
    words = [*WORDS, "--steps", "2", "--directory", str(tmp_path / "r")]
    codes, said = pair(tmp_path, [functools.partial(both, words)] * 2, devices=4)
    assert codes == [0, 0], said
    for mine, other in zip(records(whole)[:6], records(tmp_path / "r"), strict=True):
        for name in ("train_loss", "loss", "gradient_slope"):  # sums in another order; an accuracy jumps
            assert other[name] == pytest.approx(mine[name], rel=1e-3, abs=1e-4), name
        assert abs(other["accuracy"] - mine["accuracy"]) < 3.5 / 597  # held-out images


class LinenNetwork(linen.Module):
    activation: Callable[[Any], Any]

    @linen.compact
    def __call__(self, x: Any, train: bool) -> Any:
        x = linen.BatchNorm(use_running_average=not train, momentum=0.5)(linen.Dense(8)(x))
        return linen.Dense(3)(linen.Dropout(0.1, deterministic=not train)(self.activation(x)))


def of_linen(activation: Any) -> Study:
    def loss(apply: Callable[..., Any], batch: Any, train: bool) -> Any:
        return cross_entropy(apply(batch[0], train=train), batch)

    study = Study.linen(LinenNetwork(activation), loss, name="linen", **ARRAYS)
    return dataclasses.replace(study, init=jax.jit(study.init))  # operation by operation it takes ten times as long


class EquinoxNetwork(eqx.Module):
    first: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    dropout: eqx.nn.Dropout
    last: eqx.nn.Linear
    activation: Callable[[Any], Any] = eqx.field(static=True)

    def __init__(self, activation: Callable[[Any], Any], key: Any):
        one, two = jax.random.split(key)
        self.first, self.last = eqx.nn.Linear(4, 8, key=one), eqx.nn.Linear(8, 3, key=two)
        self.norm = eqx.nn.BatchNorm(8, "batch", momentum=0.5, mode="batch")
        self.dropout, self.activation = eqx.nn.Dropout(0.1), activation

    def __call__(self, x: Any, state: Any, key: Any) -> Any:
        x, state = self.norm(self.first(x), state)
        return self.last(self.dropout(self.activation(x), key=key)), state


def of_equinox(activation: Any) -> Study:
    def loss(model: Any, state: Any, batch: Any, key: Any) -> Any:
        keys = None if key is None else jax.random.split(key, len(batch[0]))
        vmapped = jax.vmap(model, in_axes=(0, None, None if key is None else 0), out_axes=(0, None), axis_name="batch")
        logits, state = vmapped(batch[0], state, keys)
        return *cross_entropy(logits, batch), state

    def make(key: Any) -> Any:
        return eqx.nn.make_with_state(EquinoxNetwork)(activation, key)

    return Study.equinox(make, loss, name="equinox", **ARRAYS)


@pytest.mark.parametrize("make", [of_linen, of_equinox])
def test_modules_with_state_are_trained_and_evaluated_differently(make: Callable[[Any], Study]):
    """The averages after one step are BatchNorm's own; evaluated twice, nothing is random; trained, dropout is."""
    study = make(jaxact.relu)
    variables = study.init(jax.random.key(0))
    batch = X[:8], Y[:8]

    @jax.jit
    def losses(variables: Any, keys: Any) -> Any:
        (first, (_, state)), (second, _) = (study.evaluate(variables, batch, key) for key in keys)
        after = variables._replace(state=state)
        return state, first, second, *(study.evaluate(v, batch, None)[0] for v in (after, after, variables))

    state, first, second, after, again, before = losses(variables, jax.random.split(jax.random.key(1)))
    assert first != second
    assert after == again != before
    leaves = list(map(np.asarray, jax.tree.leaves(variables.parameters)))
    kernel = next(leaf for leaf in leaves if leaf.shape in ((4, 8), (8, 4)))
    bias = next(leaf for leaf in leaves if leaf.shape == (8,)) if make is of_equinox else 0.0
    mean = (
        (X[:8] @ kernel.reshape(4, 8) + bias).mean(0) if kernel.shape == (4, 8) else (X[:8] @ kernel.T + bias).mean(0)
    )
    averages = [np.asarray(leaf) for leaf in jax.tree.leaves(state) if np.shape(leaf) == (8,)]
    wanted = [0.5 * mean, mean]  # Equinox's first average is the batch's own
    assert any(np.allclose(average, w, atol=1e-5) for average in averages for w in wanted)


@pytest.mark.parametrize("make", [of_linen, of_equinox])
def test_modules_are_compared(make: Callable[[Any], Study], tmp_path: Path):
    [network] = run(Comparison(study=make, activations=(jaxact.tanh,), seeds=2, directory=str(tmp_path / "r"))).networks
    assert network.name == "tanh"
    assert len(network.records) == 4
    assert len(network.records[0]["sites"]) == 1


def changed(activation: Any, **changes: Any) -> Study:
    return dataclasses.replace(small_study.make(activation), **changes)


def little(weights: Any, batch: Any) -> Any:
    """A loss for studies of which something else is looked at: it compiles sooner than that of a network."""
    return (weights[0] ** 2).mean(), {"accuracy": weights[0].mean()}


def test_held_out_examples_are_taken_in_batches(tmp_path: Path):
    """Eleven, four at a time: the last batch is smaller, and one unit is dead for all. NumPy takes all at once."""
    make = lambda f: changed(f, held_out_batch=4, steps=1)  # noqa: E731
    where = str(tmp_path / "r")
    record, *_ = run(Comparison(study=make, activations=("relu",), seed=6, seeds=1, directory=where)).records
    x, y = X[:11], Y[:11]
    *hidden, readout = changed(jaxact.relu).init(jax.random.key(6))
    dead = []
    for weight in hidden:
        x = np.maximum(x @ weight.astype(np.float64), 0)
        dead.append((x == 0).all(0).mean())
    logits = x @ readout.astype(np.float64)
    loss = (np.log(np.exp(logits).sum(1)) - logits[np.arange(11), y]).mean()
    assert record["loss"] == pytest.approx(loss, rel=1e-5)
    assert record["accuracy"] == pytest.approx((logits.argmax(1) == y).mean(), rel=1e-5)
    assert [site["dead_share"] for site in record["sites"]] == dead
    assert dead == [0, 1 / 8]


def rated(activation: Any) -> Study:
    """Four held-out examples, as many as are left for validation."""
    study = changed(activation, held_out=(X[:4], Y[:4]), learning_rate=(0.3, 0.2))
    return dataclasses.replace(study, loss=lambda weights, batch: TRACED.append(batch) or study.loss(weights, batch))


TRACED: list[Any] = []


def test_the_best_learning_rate_on_validation_data_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another rate compiles nothing."""
    prepare, traced = train._Training.prepare, []
    monkeypatch.setattr(train._Training, "prepare", lambda self: prepare(self) or traced.append(len(TRACED)))
    (tmp_path / "study.py").write_text("from tests.test_compare_study import rated\n")
    words = ["--activations", "relu", "--learning-rate", "1e-9", "0.1", "--steps", "20", "--seeds", "2"]
    assert main(["compare", f"{tmp_path / 'study.py'}:rated", *words, "--directory", str(tmp_path / "r")]) == 0
    assert traced == [len(TRACED)] * 2
    summary = Summary.of([tmp_path / "r"])
    assert [row["learning rate"] for row in summary.table()] == ["0.1"]
    every = log.read(tmp_path / "r")[1]
    assert {r["learning_rate"] for r in every} == {1e-9, 0.1}
    ends = [r for r in every if r["step"] == 20]
    assert ends[0]["validation_loss"] != ends[0]["loss"]
    assert (
        "learning rate of each is the one with the least loss on\nvalidation"
        in (tmp_path / "r" / "report.html").read_text()
    )
    study = changed(jaxact.relu).with_validation()
    train_part, validation = study.batches[0], study.validation[0]
    assert len(train_part) + len(validation) == len(X)
    assert len(validation) == 4
    assert not {tuple(row) for row in train_part} & {tuple(row) for row in validation}


def counted(seed: int) -> Iterator[Any]:
    for _ in range(2):
        yield X[:8], Y[:8]


def _short(value: Any) -> str:
    """A test's name, the same in every process: no address of a function."""
    return ",".join(value) if isinstance(value, dict) else getattr(value, "__name__", str(value))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": lambda p, b: b[0] @ p[0]}, r"loss of 'small' to be a real scalar, got float32 of shape \(8, 8\)"),
        ({"loss": lambda p, b: (1.0, 2.0, 3.0)}, r"to return a scalar or \(scalar, metrics\), got 3 values"),
        ({"loss": lambda p, b: p["w"]}, r"raised TypeError.*test_compare_study.py:\d+"),
        ({"init": lambda key: {}}, "init of 'small' to return arrays of floats, got none"),
        ({"init": lambda key: [np.arange(3)]}, "init of 'small' to return arrays of floats, got int64"),
        ({"init": lambda key: 1 / 0}, r"raised ZeroDivisionError.*test_compare_study.py:\d+"),
        ({"batches": counted}, "batches of 'small' without an end, got 2 of them"),
        ({"batches": lambda seed: iter([(X[:8], Y[:8]), (X[:4], Y[:4])])}, "all of one shape"),
        ({"held_out": lambda: iter(())}, "held_out of 'small' to hold examples, got none"),
        ({"held_out": (X, Y[:3])}, "arrays that share their first axis"),
        ({"batch_size": 41}, "batch_size of the study 'small' to be at most 40.*, got 41"),
        ({"batch_size": 0}, "batch_size of the study 'small' to be an integer of at least 1, got 0"),
        ({"loss": 3}, "loss of the study 'small' to be a function, got 3"),
        ({"higher_is_better": "accuracy"}, "to be a tuple of names, got 'accuracy'"),
        ({"higher_is_better": ("acuracy",)}, "'acuracy', which higher_is_better names, got only accuracy, loss"),
    ],
    ids=_short,
)
def test_what_a_study_does_wrong_is_one_clear_line(
    changes: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    make = lambda f: changed(f, **{"loss": little, **changes})  # noqa: E731
    comparison = Comparison(study=make, activations=("relu",), seeds=1, directory=str(tmp_path / "r"))
    assert exit_code("jaxact", lambda: run(comparison) and None) == 2
    last = capsys.readouterr().err.splitlines()[-1]  # above it is the progress
    assert re.match(f"jaxact: error: .*{message}", last)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ((1.0, {"step": 1.0}), "metrics of 'small' with names that are not taken, got 'step'"),
        ((1.0, {"loss": 2.0}), "not taken, got 'loss'"),
        ((1.0, {5: 1.0}), "not taken, got 5"),
        ((1.0, [1.0]), "metrics of 'small' to be a dictionary, got list"),
        ((1.0, {"a": None}), "a of 'small' to be a real scalar, got NoneType"),
        ((1.0, {"a": "low"}), "a of 'small' to be a real scalar, got str"),
        ((1.0, {"a": 1j}), "a of 'small' to be a real scalar, got complex"),
        ([1.0, {}], "loss of 'small' to be a real scalar, got list"),
    ],
    ids=str,
)
def test_what_a_loss_may_not_return(returned: Any, message: str):
    study = changed(jaxact.relu, loss=lambda parameters, batch: returned)
    with pytest.raises(ValueError, match=message):
        study.evaluate(None, None, None)


def test_narrow_losses_and_batches_with_numbers(tmp_path: Path):
    """A bfloat16 loss, which is among the metrics too; and a number in each batch, which has no axis of examples."""

    def loss(weights: Any, batch: Any) -> Any:
        value = (batch["a"] * jnp.mean(batch["x"] @ weights[0] @ weights[1])).astype(jnp.bfloat16)
        return value, {"loss": value, "half": value / 2}

    batches = lambda *seed: itertools.repeat({"a": 2.0, "x": X[:8]}, 2 + 8 * len(seed))  # noqa: E731
    make = lambda f: changed(f, loss=loss, batches=batches, held_out=batches, higher_is_better=(), steps=1)  # noqa: E731
    record, *_ = run(Comparison(study=make, activations=("relu",), seeds=1, directory=str(tmp_path / "r"))).records
    assert record["half"] == record["loss"] / 2 == record["train_loss"] / 2


def test_what_ended_before_it_was_trained_is_no_result(tmp_path: Path):
    """A study that is mended runs into the same directory."""
    broken = lambda f: changed(f, loss=lambda p, b: jnp.sum(p[0]) * jnp.nan)  # noqa: E731
    comparison = Comparison(study=broken, activations=("relu",), seeds=1, directory=str(tmp_path / "r"))
    with pytest.raises(ValueError, match="expected the loss of relu to be finite before training, got none"):
        run(comparison)
    assert run(dataclasses.replace(comparison, study=lambda f: changed(f, loss=little))).records


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ("relu", "relu", 2.0),
        ("leaky_relu(negative_slope=0.2)", "leaky_relu(negative_slope=0.2)", 2.0),
        ('{"name": "elu", "alpha": 0.5}', "elu(alpha=0.5)", 2.0),
        ({"name": "elu", "alpha": 0.5}, "elu(alpha=0.5)", 2.0),
        ("PReLU", "PReLU", 2.0),
        ("nnx.PReLU", "nnx.PReLU", 2.0),
        (PReLU, "PReLU", 2.0),
        (jaxact.tanh, "tanh", np.tanh(2.0)),
    ],
    ids=_short,
)
def test_what_is_written_for_an_activation(given: Any, name: str, value: float):
    found = resolve(given)
    assert found.name == name
    assert found.function(np.full(3, 2.0, np.float32))[0] == pytest.approx(value)


def test_a_function_of_a_file(tmp_path: Path):
    classes = "class Thrice:\n    def __call__(self, x):\n        return 3 * x\nclass Odd:\n    pass\n"
    (tmp_path / "mine.py").write_text(f"import helper\ndef twice(x):\n    return helper.two * x\n{classes}")
    (tmp_path / "helper.py").write_text("two = 2\n")
    assert resolve(f"{tmp_path / 'mine.py'}:twice").function(4) == 8
    assert resolve(f"{tmp_path / 'mine.py'}:Thrice").function(4) == 12
    with pytest.raises(ValueError, match=r"mine\.py:Odd to be a class of functions or modules"):
        resolve(f"{tmp_path / 'mine.py'}:Odd")


def test_seeds_are_stacked_leaf_by_leaf_with_keys():
    trees = [{"key": jax.random.key(seed), "w": np.full(2, seed)} for seed in (0, 1)]
    both = stack(trees)
    assert both["w"].tolist() == [[0, 0], [1, 1]]
    assert jax.random.key_data(both["key"]).tolist() == [[0, 0], [0, 1]]
