"""Studies of one's own: a user's file, the libraries' modules, state, learning rates, and what is refused."""

import dataclasses
import itertools
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxact
from jaxact.cli import main
from jaxact.compare import Comparison, Study, log, run
from jaxact.compare.activations import resolve
from jaxact.compare.processes import exit_code, stack
from tests.test_compare_processes import end, start

pytestmark = pytest.mark.usefixtures("quickly_compiled", "no_pictures")

FILE = Path(__file__).with_name("user_study.py")
MINE = ["compare", f"{FILE}:make", "--steps", "4", "--log-every", "2", "--checkpoint-every", "2"]  # three seeds
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 4)).astype(np.float32), np.arange(40) % 3
ARRAYS = {"batches": (X, Y), "held_out": (X[:11], Y[:11]), "batch_size": 8, "steps": 3}


def records(directory: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in r.items() if k != "seconds_per_step"} for r in log.read(directory)[1]]


def cross_entropy(logits: jax.Array, batch: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch[1]).mean()
    return loss, {"accuracy": (logits.argmax(-1) == batch[1]).mean()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of a user's file, by one command."""
    directory = tmp_path_factory.mktemp("mine") / "whole"
    assert main([*MINE, "--activations", "relu", "gelu", "silu", "--directory", str(directory)]) == 0
    return directory


def of(directory: Path, network: str) -> list[dict[str, Any]]:
    return [record for record in records(directory) if record["network"] == network]


def test_a_users_file_is_short_and_imports_a_study_alone():
    text = FILE.read_text()
    assert len(text.splitlines()) <= 40
    assert [line for line in text.splitlines() if "jaxact" in line] == ["from jaxact.compare import Study"]


def test_a_users_file_is_compared(whole: Path):
    found = records(whole)
    assert [(r["network"], r["step"], r["seed"]) for r in found] == list(
        itertools.product(("relu", "gelu", "silu"), (0, 2, 4), range(3))
    )
    for name, seed in itertools.product(("relu", "gelu", "silu"), range(3)):
        mine = [r for r in of(whole, name) if r["seed"] == seed]
        assert mine[-1]["train_loss"] < mine[0]["train_loss"]
        assert [site["activation"] for site in mine[0]["sites"]] == [name, name]
    assert len({r["train_loss"] for r in found if r["step"] == 0}) == 9
    assert "digits of mine" in (whole / "report.html").read_text()


def test_a_users_file_killed_and_resumed(whole: Path, tmp_path: Path):
    """After step 2 and in the midst of step 4's records; BatchNorm and Dropout included, the numbers are the same."""
    words = [*MINE, "--activations", "silu", "--directory", str(tmp_path / "killed")]
    code = f"""
import itertools, os, signal, sys
from jaxact.cli import main
from jaxact.compare import Log
add, count = Log.add, itertools.count(1)
Log.add = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL) if next(count) == 8 else add(*a, **k)
main({words!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert records(tmp_path / "killed") == of(whole, "silu")[:7]
    assert main(["compare", "--resume", str(tmp_path / "killed")]) == 0
    assert records(tmp_path / "killed") == of(whole, "silu")


def test_a_users_file_in_two_processes_of_four_devices(whole: Path, tmp_path: Path):
    words = [*MINE[1:], "--steps", "2", "--activations", "relu", "--directory", str(tmp_path / "two")]
    for code, _, said in end(start(*words, devices=4), within=600):
        assert code == 0, said
    for mine, other in zip(of(whole, "relu"), records(tmp_path / "two"), strict=False):
        for name in ("train_loss", "loss", "gradient_slope"):  # sums in another order; an accuracy jumps
            assert other[name] == pytest.approx(mine[name], rel=1e-3, abs=1e-4), name
        assert abs(other["accuracy"] - mine["accuracy"]) < 3.5 / 597  # held-out images
    assert len(records(tmp_path / "two")) == 6


class LinenNetwork(linen.Module):
    activation: Callable[[Any], Any]

    @linen.compact
    def __call__(self, x: Any, train: bool) -> Any:
        x = linen.BatchNorm(use_running_average=not train, momentum=0.5)(linen.Dense(8)(x))
        return linen.Dense(3)(linen.Dropout(0.1, deterministic=not train)(self.activation(x)))


def of_linen(activation: Any) -> Study:
    def loss(apply: Callable[..., Any], batch: Any, train: bool) -> Any:
        return cross_entropy(apply(batch[0], train=train), batch)

    return Study.linen(LinenNetwork(activation), loss, name="linen", **ARRAYS)


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
    batch = (jnp.asarray(X[:8]), jnp.asarray(Y[:8]))
    evaluate = jax.jit(study.evaluate)
    loss, (_, state) = evaluate(variables, batch, jax.random.key(1))
    assert state is not None
    assert loss != evaluate(variables, batch, jax.random.key(2))[0]
    after = variables._replace(state=state)
    first, again = (jax.jit(lambda v: study.evaluate(v, batch, None))(v)[0] for v in (after, after))
    assert first == again
    assert first != jax.jit(lambda v: study.evaluate(v, batch, None))(variables)[0]
    leaves = jax.tree.leaves(variables.parameters)
    kernel, bias = next(leaf for leaf in leaves if leaf.shape in ((4, 8), (8, 4))), 0.0
    if make is of_equinox:
        bias = np.asarray(next(leaf for leaf in leaves if leaf.shape == (8,)))
    weights = np.asarray(kernel) if kernel.shape == (4, 8) else np.asarray(kernel).T
    mean = (X[:8] @ weights + bias).mean(0)
    averages = [np.asarray(leaf) for leaf in jax.tree.leaves(state) if np.shape(leaf) == (8,)]
    wanted = [0.5 * mean, mean]  # Equinox's first average is the batch's own
    assert any(np.allclose(average, w, atol=1e-5) for average in averages for w in wanted)


@pytest.mark.parametrize("make", [of_linen, of_equinox])
def test_modules_are_compared(make: Callable[[Any], Study], tmp_path: Path):
    result = run(Comparison(study=make, activations=("relu", jaxact.tanh), seeds=2, directory=str(tmp_path / "r")))
    assert [network.name for network in result.networks] == ["relu", "tanh"]
    for network in result.networks:
        assert len(network.records) == 4
        assert len(network.records[0]["sites"]) == 1


def plain(activation: Any, **changes: Any) -> Study:
    """Two layers, plain JAX."""

    def init(key: jax.Array) -> list[jax.Array]:
        one, two = jax.random.split(key)
        return [jax.random.normal(one, (4, 8)) / 2, jax.random.normal(two, (8, 3)) / 3]

    def loss(parameters: Any, batch: Any) -> Any:
        return cross_entropy(activation(batch[0] @ parameters[0]) @ parameters[1], batch)

    return Study(
        **{"name": "plain", "init": init, "loss": loss, "higher_is_better": ("accuracy",), **ARRAYS, **changes}
    )


def test_held_out_examples_are_taken_in_batches_to_the_same_numbers(tmp_path: Path):
    """Eleven examples, four at a time: the last batch is smaller."""
    ends = []
    for size in (4096, 4):
        make = lambda f, size=size: plain(f, held_out_batch=size)  # noqa: E731
        result = run(Comparison(study=make, activations=("relu",), seeds=2, directory=str(tmp_path / str(size))))
        ends.append([(r["loss"], r["accuracy"], [s["dead_share"] for s in r["sites"]]) for r in result.records])
    for one, other in zip(*ends, strict=True):
        assert other[:2] == pytest.approx(one[:2], rel=1e-5)
        assert other[2] == one[2]


def test_the_best_learning_rate_on_validation_data_is_taken_for_each_network(tmp_path: Path):
    rates = ("--learning-rate", "1e-9", "0.1", "--steps", "20", "--seeds", "2")
    (tmp_path / "study.py").write_text("from tests.test_compare_study import plain\n")
    words = ["compare", f"{tmp_path / 'study.py'}:plain", "--activations", "relu", "tanh", *rates]
    assert main([*words, "--directory", str(tmp_path / "r")]) == 0
    from jaxact.compare.summary import Summary

    summary = Summary.of([tmp_path / "r"])
    assert [row["learning rate"] for row in summary.table()] == ["0.1", "0.1"]
    every = log.read(tmp_path / "r")[1]
    assert {r["learning_rate"] for r in every} == {1e-9, 0.1}
    ends = [r for r in every if r["step"] == 20 and r["network"] == "relu"]
    assert ends[0]["validation_loss"] != ends[0]["loss"]
    assert (
        "learning rate of each is the one with the least loss on\nvalidation"
        in (tmp_path / "r" / "report.html").read_text()
    )
    study = plain(jaxact.relu).with_validation()
    train, validation = study.batches[0], study.validation[0]
    assert len(train) + len(validation) == len(X)
    assert len(validation) == 4
    assert not {tuple(row) for row in train} & {tuple(row) for row in validation}


def test_another_learning_rate_compiles_nothing(tmp_path: Path):
    """The loss is traced as often for three rates as for one."""
    counts = []
    for rates in ((0.1,), (0.1, 0.2, 0.3)):
        traced = itertools.count()

        def make(activation: Any, traced: Iterator[int] = traced) -> Study:
            def loss(parameters: Any, batch: Any) -> Any:
                next(traced)
                return cross_entropy(activation(batch[0] @ parameters[0]) @ parameters[1], batch)

            return plain(activation, loss=loss, validation=(X[:11], Y[:11]))

        directory = str(tmp_path / str(len(rates)))
        run(Comparison(study=make, activations=("relu",), learning_rate=rates, directory=directory))
        counts.append(next(traced))
    assert counts[0] == counts[1]


def counted(seed: int) -> Iterator[Any]:
    for _ in range(2):
        yield X[:8], Y[:8]


def _short(value: Any) -> str:
    """A test's name, the same in every process: no address of a function."""
    return ",".join(value) if isinstance(value, dict) else getattr(value, "__name__", str(value))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": lambda p, b: b[0] @ p[0]}, r"loss of 'plain' to be a real scalar, got float32 of shape \(8, 8\)"),
        ({"loss": lambda p, b: jnp.sum(p[0]) * jnp.nan}, r"loss of relu to be finite before training, got none"),
        ({"loss": lambda p, b: (1.0, 2.0, 3.0)}, r"to return a scalar or \(scalar, metrics\), got 3 values"),
        ({"loss": lambda p, b: p["w"]}, r"raised TypeError.*test_compare_study.py:\d+"),
        ({"init": lambda key: {}}, "init of 'plain' to return arrays of floats, got none"),
        ({"init": lambda key: [np.arange(3)]}, "init of 'plain' to return arrays of floats, got int64"),
        ({"init": lambda key: 1 / 0}, r"raised ZeroDivisionError.*test_compare_study.py:\d+"),
        ({"batches": counted}, "batches of 'plain' without an end, got 2 of them"),
        ({"batches": lambda seed: iter([(X[:8], Y[:8]), (X[:4], Y[:4])])}, "all of one shape"),
        ({"held_out": lambda: iter(())}, "held_out of 'plain' to hold examples, got none"),
        ({"held_out": (X, Y[:3])}, "arrays that share their first axis"),
        ({"batch_size": 41}, "batch_size of the study 'plain' to be at most 40.*, got 41"),
        ({"batch_size": 0}, "batch_size of the study 'plain' to be an integer of at least 1, got 0"),
        ({"loss": 3}, "loss of the study 'plain' to be a function, got 3"),
    ],
    ids=_short,
)
def test_what_a_study_does_wrong_is_one_clear_line(
    changes: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    comparison = Comparison(study=lambda f: plain(f, **changes), activations=("relu",), directory=str(tmp_path / "r"))
    assert exit_code("jaxact", lambda: run(comparison) and None) == 2
    last = capsys.readouterr().err.splitlines()[-1]  # above it is the progress
    assert re.match(f"jaxact: error: .*{message}", last)


def test_what_ended_before_it_was_trained_is_no_result(tmp_path: Path):
    """A study that is mended runs into the same directory."""
    broken = lambda f: plain(f, loss=lambda p, b: jnp.sum(p[0]) * jnp.nan)  # noqa: E731
    comparison = Comparison(study=broken, activations=("relu",), seeds=1, directory=str(tmp_path / "r"))
    with pytest.raises(ValueError, match="finite before training"):
        run(comparison)
    assert run(dataclasses.replace(comparison, study=plain)).records


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ("relu", "relu", 2.0),
        ("leaky_relu(negative_slope=0.2)", "leaky_relu(negative_slope=0.2)", 2.0),
        ('{"name": "elu", "alpha": 0.5}', "elu(alpha=0.5)", 2.0),
        ({"name": "elu", "alpha": 0.5}, "elu(alpha=0.5)", 2.0),
        ("PReLU", "PReLU", 2.0),
        ("nnx.PReLU", "nnx.PReLU", 2.0),
        (jaxact.tanh, "tanh", np.tanh(2.0)),
    ],
    ids=_short,
)
def test_what_is_written_for_an_activation(given: Any, name: str, value: float):
    found = resolve(given)
    assert found.name == name
    assert found.function(jnp.full(3, 2.0))[0] == pytest.approx(value)


def test_a_function_of_a_file(tmp_path: Path):
    (tmp_path / "mine.py").write_text("import helper\ndef twice(x):\n    return helper.two * x\n")
    (tmp_path / "helper.py").write_text("two = 2\n")
    assert resolve(f"{tmp_path / 'mine.py'}:twice").function(4) == 8


def test_seeds_are_stacked_leaf_by_leaf_with_keys():
    trees = [{"key": jax.random.key(seed), "w": np.full(2, seed)} for seed in (0, 1)]
    both = stack(trees)
    assert both["w"].tolist() == [[0, 0], [1, 1]]
    assert jax.random.key_data(both["key"]).tolist() == [[0, 0], [0, 1]]
