"""`jaxact compare` in two processes on the loopback interface: the metrics of one, clear ends, and going on."""

import functools
import itertools
import math
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from jaxact.cli import main
from jaxact.compare import Comparison, log, run, train
from jaxact.compare.processes import Processes, agree, exit_code, make_mesh
from tests import forked, small_study
from tests.conftest import without_pictures
from tests.forked import free_port, pair

pytestmark = [pytest.mark.quickly_compiled, pytest.mark.usefixtures("no_pictures")]

SETTINGS: dict[str, Any] = {"study": f"{small_study.__file__}:stateful", "activations": ("relu",), "seeds": 2}
SETTINGS |= {"batch_size": 16, "steps": 20, "log_every": 5, "checkpoint_every": 5}
WORDS = ["compare"]
for name, value in SETTINGS.items():
    WORDS += ["--" + name.replace("_", "-"), *map(str, value if isinstance(value, tuple) else (value,))]


def records(directory: Path) -> list[dict[str, Any]]:
    return log.read(directory)[1]


def assert_close(a: Any, b: Any, where: str = "") -> None:
    """To 1e-5: only the order of sums over the batch differs."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a.keys() - {"evidence", "seconds_per_step"}:  # the same numbers, as text
            assert_close(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_close(x, y, f"{where}[{i}]")
    elif isinstance(a, float):
        assert math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-5), (where, a, b)
    else:
        assert a == b, where


def lost(at: int, words: list[str], meet: list[str]) -> int:
    """Run the command, and be killed when the training is measured for so many times."""
    measure, count = train._Training.log, itertools.count(1)

    def killed(*args: Any, **kwargs: Any) -> None:
        if next(count) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        measure(*args, **kwargs)

    train._Training.log = killed
    return main([*words, *meet])


def compared(words: list[str], other: list[str], meet: list[str]) -> int:
    """Run two commands, of which the first has to be well, in the same process."""
    with without_pictures():
        assert main([*words, *meet]) == 0
    return main([*other, *meet])


def test_two_processes_give_the_metrics_of_one_although_each_of_them_is_lost_once(tmp_path: Path):
    """Of a model that has state, and noise in training. At last with four devices each, which share every batch."""
    one, two = tmp_path / "one", tmp_path / "two"
    run(Comparison(**SETTINGS, directory=str(one)))
    begin, resume = [*WORDS, "--directory", str(two)], ["compare", "--resume", str(two)]
    for victim, words, at in ((1, begin, 4), (0, resume, 2)):
        calls = [functools.partial(lost, at if number == victim else 9, words) for number in (0, 1)]
        codes, said = pair(tmp_path, calls, devices=1)
        assert codes[victim] == -signal.SIGKILL
        assert codes[1 - victim] != 0
        assert "is lost" in said[1 - victim]
        assert "--resume" in said[1 - victim]
        assert any((two / "checkpoints").iterdir())
    assert 5 < records(two)[-1]["step"] < 20
    uneven = [*WORDS, "--batch-size", "12", "--directory", str(tmp_path / "uneven")]
    codes, said = pair(tmp_path, [functools.partial(compared, resume, uneven)] * 2, devices=4)
    assert codes == [2, 2], said
    for each in said:
        assert "batch_size to be a multiple of 8, the number of devices that share it, got 12; try 16" in each
    assert "Report: " in said[0]
    assert "relu" not in said[1]
    assert_close(records(two), records(one))
    kinds = [{path.name.split("-")[0] for path in directory.iterdir()} for directory in (one, two)]
    assert kinds[0] == kinds[1]


def test_what_one_process_finds_wrong_ends_all(monkeypatch: pytest.MonkeyPatch):
    """Another has found it; this one, in which all is well, raises the same."""
    monkeypatch.setattr("jaxact.compare.processes.gather", lambda text: [text, "expected a directory"])
    with pytest.raises(ValueError, match=r"^expected a directory$"):
        agree(lambda: "all is well")
    monkeypatch.setattr("jaxact.compare.processes.gather", lambda text: [text, ""])
    assert agree(lambda: "all is well") == "all is well"
    with pytest.raises(ValueError, match="mine"):
        agree(lambda: int("mine"))


def test_a_platform_that_jax_itself_was_told_to_take(monkeypatch: pytest.MonkeyPatch):
    def devices(platform: str | None) -> None:
        assert platform  # as JAX does for JAX_PLATFORMS=cuda without its plugin

    monkeypatch.setattr("jax.devices", devices)
    with pytest.raises(ValueError, match=r"expected a platform that JAX has here, got none.*; correct JAX_PLATFORMS"):
        make_mesh()


def test_settings_must_be_the_same_in_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def gather(text: str) -> list[str]:
        return [text, text.replace('"steps": 20', '"steps": 30')]

    monkeypatch.setattr("jaxact.compare.processes.gather", gather)
    with pytest.raises(ValueError, match="the same settings in every process, got different steps"):
        run(Comparison(**SETTINGS, directory=str(tmp_path / "r")))
    assert not (tmp_path / "r").exists()


def test_a_process_waits_only_so_long_for_the_coordinator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("jaxact.compare.processes.PATIENCE", 0.3)
    words = ["--processes.coordinator", f"127.0.0.1:{free_port()}", "--processes.count", "2", "--processes.id", "1"]
    assert main(["compare", *words, "--directory", str(tmp_path / "r")]) == 2
    assert "expected process 0 to answer at 127.0.0.1" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_the_port_of_the_coordinator_must_be_free(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("", 0)) as server:
        where = f"127.0.0.1:{server.getsockname()[1]}"
        words = ["--processes.coordinator", where, "--processes.count", "2", "--processes.id", "0"]
        assert main(["compare", *words, "--directory", str(tmp_path / "r")]) == 2
    assert "to be free for the coordinator" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--processes.coordinator h:1", ["coordinator", "together", "no processes.count and no processes.id"]),
        ("--processes.count 2 --processes.id 1", ["together", "no processes.coordinator"]),
        ("--processes.coordinator h --processes.count 2 --processes.id 0", ["host:port", "'h'"]),
        ("--processes.coordinator h:x --processes.count 2 --processes.id 0", ["host:port", "'h:x'"]),
        ("--processes.coordinator h:1 --processes.count 2 --processes.id 2", ["id from 0 to 1", "got 2"]),
        ("--processes.coordinator h:1 --processes.count 2 --processes.id -1", ["id from 0 to 1", "got -1"]),
        ("--processes.coordinator h:1 --processes.count 0 --processes.id 0", ["count", "at least 1", "got 0"]),
        ("--processes.find --processes.id 0", ["processes.find or", "both"]),
    ],
)
def test_bad_input_is_one_clear_line(words: str, parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["compare", *words.split(), "--directory", str(tmp_path / "r")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("jaxact: error: ")
    assert said.count("\n") == 1
    for part in parts:
        assert part in said
    assert not (tmp_path / "r").exists()


def cluster() -> int:
    return exit_code("jaxact", Processes(find=True).join)


def test_no_cluster_to_be_found(tmp_path: Path):
    [code] = forked.end([forked.start(tmp_path / "said", cluster)], within=60)
    said = (tmp_path / "said").read_text()
    assert code == 2
    assert "expected a cluster that JAX finds, got none" in said
    assert said.count("\n") == 1
