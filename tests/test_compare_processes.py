"""`jaxact compare` in two processes on the loopback interface: the metrics of one, clear ends, and going on."""

import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jaxact.cli import main
from jaxact.compare import Comparison, log, run
from jaxact.compare.processes import agree

pytestmark = pytest.mark.usefixtures("quickly_compiled", "no_pictures")

OPTIONS = {"depth": 1, "width": 8}
SETTINGS = {"activations": ("relu",), "seeds": 2, "batch_size": 16}
SETTINGS |= {"steps": 200, "log_every": 10, "checkpoint_every": 20}
WORDS = [
    word
    for name, value in {**SETTINGS, **OPTIONS}.items()
    for word in ("--" + name.replace("_", "-"), *map(str, value if isinstance(value, tuple) else (value,)))
]


def free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


def start(*words: str, devices: int = 1) -> list[subprocess.Popen[str]]:
    """Start `jaxact compare` in two processes that have so many CPU devices each."""
    command = [sys.executable, "-W", "error", "-m", "jaxact.cli", "compare", *words]
    meet = ["--processes.coordinator", f"127.0.0.1:{free_port()}", "--processes.count", "2", "--processes.id"]
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    return [
        subprocess.Popen(
            [*command, *meet, number], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for number in "01"
    ]


def end(processes: list[subprocess.Popen[str]], within: float) -> list[tuple[int, str, str]]:
    """Wait, and return the exit code, stdout and stderr of each."""
    deadline = time.monotonic() + within
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    hang = [process.poll() is None for process in processes]
    for process in processes:
        process.kill()
    said = [process.communicate() for process in processes]
    assert not any(hang), said
    return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]


def records(directory: Path) -> list[dict[str, Any]]:
    return log.read(directory)[1]


def size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.glob("records-*"))


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


def test_two_processes_give_the_metrics_of_one_although_each_of_them_is_lost_once(tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    run(Comparison(**SETTINGS, options=OPTIONS, directory=str(one)))
    words = ["--directory", str(two), *WORDS]
    for victim, share in ((1, 0.3), (0, 0.6)):
        before = size(two)
        processes = start(*words)
        words = ["--resume", str(two)]
        try:
            while size(two) <= max(before, share * size(one)):
                assert all(process.poll() is None for process in processes)
                time.sleep(0.01)
            processes[victim].send_signal(signal.SIGKILL)
        finally:
            ends = end(processes, within=60)
        code, _, said = ends[1 - victim]
        assert code != 0
        assert "is lost" in said
        assert "--resume" in said
        assert "Traceback" not in said
        assert any((two / "checkpoints").iterdir())
    (code, told, said), (other_code, other_told, other_said) = end(start(*words), within=120)
    assert code == 0, said
    assert other_code == 0, other_said
    assert "Report: " in told
    assert "relu" not in other_told + other_said
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


def test_settings_must_be_the_same_in_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def gather(text: str) -> list[str]:
        return [text, text.replace('"steps": 200', '"steps": 300')]

    monkeypatch.setattr("jaxact.compare.processes.gather", gather)
    with pytest.raises(ValueError, match="the same settings in every process, got different steps"):
        run(Comparison(**SETTINGS, options=OPTIONS, directory=str(tmp_path / "r")))
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


def test_no_cluster_to_be_found():
    code = "from jaxact.compare.processes import *; exit(exit_code('jaxact', Processes(find=True).join))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "expected a cluster that JAX finds, got none" in done.stderr
    assert done.stderr.count("\n") == 1
