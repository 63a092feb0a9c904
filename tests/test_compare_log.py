"""A log that one's own loop writes: readable however it ends, from several writers, and a report of several."""

import contextlib
import errno
import io
import math
import os
import types
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact import flow
from jaxact.cli import main
from jaxact.compare import Log, log
from jaxact.compare.report import show
from jaxact.compare.summary import Summary
from tests import forked

pytestmark = [pytest.mark.quickly_compiled, pytest.mark.usefixtures("no_pictures")]


@pytest.fixture(scope="module")
def seen() -> flow.Flow:
    """Of a network that is no plain stack."""

    def loss(weights: list[jax.Array], x: jax.Array) -> jax.Array:
        with jax.named_scope("encoder"):
            x = jaxact.relu(x @ weights[0])
        with jax.named_scope("decoder"):
            x = jaxact.relu(x @ weights[1])
        return jnp.mean(jaxact.relu(x @ weights[2]) ** 2)

    weights = list(np.random.default_rng(0).normal(size=(3, 4, 4)).astype(np.float32))
    return jax.jit(flow.observe(loss))(weights, np.ones((70, 4), np.float32))[1]


def test_a_loop_of_ones_own_gets_the_same_page(seen: flow.Flow, tmp_path: Path):
    with Log(tmp_path / "mine", name="a GAN", setting="mine", nouns={"examples": "faces"}) as written:
        for step in (0, 10):
            written.add("relu", step=step, flow=seen, loss=jnp.float32(1 / (step + 1)), fid=np.float64(30 - step))
        summary = written.report()
    page = (tmp_path / "mine" / "report.html").read_text()
    assert "a GAN" in page
    assert {"fid.png", "loss.png", "gradient_norm.png"} <= {p.name for p in summary.directory.iterdir()}
    [row] = summary.table()
    assert row["held-out fid"] == "20.00"
    assert "±" not in "".join(row.values())
    places = [site["place"] for site in summary.records[0]["sites"]]
    assert places[:2] == ["encoder", "decoder"]
    assert '"sort":["encoder","decoder",' in page  # the axis of depth is of paths


def test_what_a_kill_leaves_is_read(tmp_path: Path):
    with Log(tmp_path) as first:
        first.add("a", step=0, loss=1.0)
    [file] = tmp_path.glob("records-*")
    for cut in range(file.stat().st_size):
        (tmp_path / "records-0-0.jsonl").write_bytes(file.read_bytes()[:cut])
        assert [r["loss"] for r in log.read(tmp_path)[1]] == [1.0]
    (tmp_path / "records-0-0.jsonl").write_bytes(
        b'\xff\xfe\x00\n3\n[1]\nnull\n{"x": 1}\n{"about": 2, "network": "a"}\n'
    )
    assert len(log.read(tmp_path)[1]) == 1


def write(directory: Path, seed: int) -> None:
    with Log(directory, name="together") as mine:
        for step in range(50):
            mine.add("a", seed=seed, step=step, loss=seed + step)


def test_several_processes_write_one_log(tmp_path: Path):
    writers = [forked.start(tmp_path / f"said-{seed}", write, tmp_path / "log", seed) for seed in range(2)]
    assert forked.end(writers, within=60) == [0, 0]
    tmp_path /= "log"
    assert len(list(tmp_path.glob("records-*"))) == 2
    assert [(r["step"], r["seed"], r["loss"]) for r in log.read(tmp_path)[1]] == [
        (step, seed, seed + step) for step in range(50) for seed in range(2)
    ]


def test_the_last_record_of_a_place_counts(tmp_path: Path):
    for loss in (1.0, 2.0):
        with Log(tmp_path) as again:
            again.add("a", step=0, loss=loss)
    assert [r["loss"] for r in log.read(tmp_path)[1]] == [2.0]


def test_what_is_not_finite_is_noted(tmp_path: Path):
    with Log(tmp_path) as written:
        written.add("a", step=0, loss=float("inf"), accuracy=float("nan"))
    [record] = log.read(tmp_path)[1]
    assert record["diverged"]
    assert record["loss"] is record["accuracy"] is None


def test_a_report_of_several_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("mine", "yours"):
        with Log(tmp_path / name) as each:
            each.add("gelu", step=0, loss=1.0)
    out = tmp_path / "both"
    assert main(["report", str(tmp_path / "mine"), str(tmp_path / "yours"), "--output", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "mine: gelu" in page
    assert "yours: gelu" in page
    assert str(out / "report.html") in capsys.readouterr().out
    assert main(["report", str(tmp_path)]) == 2
    assert "expected the directory of a log" in capsys.readouterr().err
    for run in ("one", "two"):
        with Log(tmp_path / run / "log") as each:
            each.add("gelu", step=0, loss=1.0)
    logs = [tmp_path / run / "log" for run in ("one", "two")]
    assert [network.name for network in Summary.of(logs).networks] == ["one/log: gelu", "two/log: gelu"]
    with pytest.raises(ValueError, match="each log once"):
        Summary.of([tmp_path / "mine", tmp_path / "yours" / ".." / "mine"])


def test_the_verdict_says_at_which_steps(seen: flow.Flow, tmp_path: Path):
    """Metrics, observations and ends may come at other steps than the last one, and numbers from NumPy and JAX."""
    chance: dict[str, Any] = {"accuracy": np.float32(0.125)}
    with Log(tmp_path, higher_is_better=("accuracy",), chance=chance) as written:
        written.describe("a", width=np.int64(3), scales=jnp.ones(2))
        for seed in range(2):
            for step in range(0, 41, 10):
                written.add("a", seed=seed, step=step, train_loss=1.0, flow=None if seed or step % 20 else seen)
                written.add("b", seed=seed + 1, step=step // 2, accuracy=0.3)
            written.add("a", seed=seed, step=15, accuracy=0.5)
            written.add("b", seed=seed + 1, step=5, accuracy=0.3, flow=seen)
    summary = Summary.of([tmp_path])
    assert [network.values["gradient a layer at start"] is None for network in summary.networks] == [False, True]
    places = {(found.when, *found.first.step) for found in summary.networks[0].found}
    assert places == {("from before training to the end, in 1 of 1 seed", 0)}
    ends = "at their ends, from step 15 to 20, is a with 50.0% ± 0.0%, last b with 30.0% ± 0.0%."
    assert summary.verdict[-1].text.startswith(f"Best in held-out accuracy {ends} With fewer than two seeds in common")
    assert summary.networks[0].about == {"width": 3, "scales": [1.0, 1.0]}


def test_numbers_are_told_apart(tmp_path: Path):
    """A rate that is no share, percents, returns, and errors that are small; guessing need not be under 1."""
    with Log(tmp_path, higher_is_better=("train_return",), chance={"train_return": 1500}) as written:
        written.add("a", step=1, train_return=1512, train_accuracy=92.3, train_frame_rate=60.0, train_error=0.0061)
        written.add("b", step=1, train_return=1713, train_accuracy=0.5, train_frame_rate=6.0, train_error=0.0139)
    summary = Summary.of([tmp_path])
    assert [list(row.values())[1:] for row in summary.table()] == [
        ["1,512", "92.30", "60.00", "0.0061"],
        ["1,713", "0.50", "6.00", "0.014"],
    ]
    assert "Hardly better than guessing in train return at step 1, if at all: a with 1,512;" in summary.verdict[0].text


def test_without_a_validation_loss_no_rate_is_chosen(tmp_path: Path):
    with Log(tmp_path) as written:
        for rate in (0.1, 0.01):
            written.add("a", step=1, learning_rate=rate, loss=0.5 - rate)
    summary = Summary.of([tmp_path])
    assert [network.name for network in summary.networks] == ["a at 0.01", "a at 0.1"]
    assert not summary.chose_rates


def test_what_several_logs_are_about(tmp_path: Path):
    for name, chance in (("mine", 0.5), ("yours", 0.1)):
        with Log(tmp_path / name, setting=f"{name}, wide", chance={"loss": chance}) as each:
            each.add("gelu", step=0, loss=1.0)
    logs = [tmp_path / "mine", tmp_path / "yours"]
    with pytest.raises(ValueError, match=r"loss of 0\.5 and 0\.1 by guessing"):
        Summary.of(logs)
    Log(tmp_path / "yours", name="yours", setting="yours, wide", chance={}).close()
    Log(tmp_path / "yours").close()  # says nothing, and changes nothing
    Log(tmp_path / "mine", setting="mine, wide", chance={"loss": 0.25}).close()
    about = Summary.of(logs).about
    assert about["setting"] == "mine: mine, wide and yours: yours, wide"
    assert about["chance"] == {"loss": 0.25}
    Log(tmp_path / "mine", nouns={"examples": "images"}).close()  # adds to it
    assert Summary.of(logs).about == about | {"nouns": {"examples": "images"}}


class Writer:
    """Has W&B's log and TensorBoard's add_scalar."""

    def __init__(self):
        self.steps: dict[int, dict[str, float]] = {}

    def log(self, values: dict[str, float], step: int) -> None:
        assert step not in self.steps
        self.steps[step] = values

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        assert self.steps.setdefault(step, {}).setdefault(tag, value) == value


@pytest.mark.parametrize("name", ["to_wandb", "to_tensorboard"])
def test_a_log_in_other_tools(name: str, seen: flow.Flow, tmp_path: Path):
    with Log(tmp_path) as written:
        for step in (0, 10):
            written.add("relu", seed=1, step=step, flow=seen, loss=1.0 + step)
        writer = Writer()
        getattr(written, name)(writer)
    assert list(writer.steps) == [0, 10]
    assert writer.steps[10]["loss/relu/seed 1"] == 11.0
    assert "encoder/gradient_norm/relu/seed 1" in writer.steps[0]
    assert all(isinstance(v, float) for values in writer.steps.values() for v in values.values())


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"loss": np.ones(3)}, r"loss to be a number, got ndarray of shape \(3,\)"),
        ({"loss": "low"}, "loss to be a number, got str"),
        ({"loss": 1j}, "loss to be a number, got complex"),
        ({"loss": True}, "loss to be a number, got bool"),
        ({"about": 1.0}, "names that are not taken, got 'about'"),
        ({"step": 0.5}, "step to be an integer, got 0.5"),
        ({"step": math.nan}, "step to be an integer, got nan"),
        ({"flow": 3}, "a Flow, got int"),
    ],
)
def test_what_is_no_number_is_refused(metrics: dict[str, Any], message: str, tmp_path: Path):
    with Log(tmp_path) as written, pytest.raises(ValueError, match=message):
        written.add("a", **{"step": 0, **metrics})


def test_numbers_of_every_library_are_taken(tmp_path: Path):
    numbers: dict[str, Any] = {"step": jnp.int32(1), "seed": np.int64(2), "a": jnp.bfloat16(0.5), "b": np.float16(0.5)}
    numbers |= {"c": jnp.float32(0.5), "d": np.int8(3), "e": None}
    with Log(tmp_path) as written:
        written.add("a", **numbers)
    [record] = log.read(tmp_path)[1]
    assert [record[name] for name in numbers] == [1, 2, 0.5, 0.5, 0.5, 3.0, None]


def test_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Log(tmp_path) as written, monkeypatch.context() as patch:
        patch.setattr(written, "_file", types.SimpleNamespace(name=written._file.name, write=full))
        with pytest.raises(ValueError, match=r"can't be written \(No space left on device\)"):
            written.add("a", step=0, loss=1.0)


def test_what_a_log_is_about_may_be_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for text in ('{"name": ', "[]", '{"name": "a"}'):
        (tmp_path / "about.json").write_text(text)
        assert main(["report", str(tmp_path)]) == 2
        assert "about.json, which is damaged" in capsys.readouterr().err
    assert main(["report"]) == 2
    assert "at least one log, got none" in capsys.readouterr().err


def test_names_of_ones_own(tmp_path: Path):
    """A rate that changes during training, parts of the data in names of metrics, and names that are no file names."""
    odd: dict[str, Any] = {'a/b "c"': 1.0, "gradient_norm": 2.0}
    with Log(tmp_path / "log", higher_is_better=("train_accuracy",)) as written:
        for network in ("relu [wide]", "[/gelu]"):
            for step in range(3):
                rates: dict[str, Any] = {
                    "learning_rate": 0.1 / (step + 1),
                    "validation_loss": 3.0 - step,
                    "train_accuracy": 0.25 * step,
                }
                written.add(network, step=step, **rates, **odd)
    summary = written.report()
    row, _ = summary.table()
    assert row == {
        "activation": "relu [wide]",
        "train accuracy": "50.0%",
        "validation loss": "1.00",
        'held-out a/b "c"': "1.00",
        "held-out gradient norm": "2.00",
    }
    assert [s.text for s in summary.verdict] == ["All have the same train accuracy at step 2: 50.0%."]
    assert {"a_b_c_.png", "gradient_norm_by_step.png"} <= {file.name for file in (tmp_path / "log").iterdir()}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        show(summary)
    assert "relu [wide]" in out.getvalue()
    assert "[/gelu]" in out.getvalue()


def test_a_metric_of_ones_own_named_as_a_column(seen: flow.Flow, tmp_path: Path):
    with Log(tmp_path) as written:
        written.add("relu", step=0, loss=1.0, flow=seen, dead_units=3.0, gradient_end=7.0)
    (row,) = Summary.of([tmp_path]).table()
    assert row["held-out dead units"] == "3.00"
    assert row["held-out gradient end"] == "7.00"
    assert row["dead units"].endswith("%")
    assert row["gradient a layer at end"].startswith("\N{MULTIPLICATION SIGN}")


def test_a_terminal_without_its_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with Log(tmp_path, higher_is_better=("accuracy",)) as written:
        for seed in range(2):
            written.add("relu", step=0, seed=seed, accuracy=0.5 + 0.1 * seed)
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    assert main(["report", str(tmp_path)]) == 0
    out.seek(0)
    assert "55.0% ? 7.1%" in out.read()


def test_a_stacked_flow_is_refused(seen: flow.Flow, tmp_path: Path):
    both = jax.tree.map(lambda a: jnp.stack([a, a]), seen)
    with Log(tmp_path) as written, pytest.raises(ValueError, match="the Flow of one step and seed"):
        written.add("a", step=0, flow=both)


def test_a_directory_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"can't be written \(Not a directory\)"):
        Log(os.path.join(tmp_path, "file", "log"))
