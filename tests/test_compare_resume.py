"""An interrupted run goes on where it was, and no result is lost or mixed with another."""

import dataclasses
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jaxact.compare import Comparison, run

pytestmark = pytest.mark.usefixtures("quickly_compiled")

SETTINGS = Comparison(
    activations=("relu", "tanh"), depth=1, width=8, steps=200, log_every=10, checkpoint_every=50, seeds=2, batch_size=16
)


def into(directory: Path, **changes: object) -> Comparison:
    return dataclasses.replace(SETTINGS, directory=str(directory), **changes)


@pytest.fixture(scope="module", autouse=True)
def no_pictures() -> Iterator[None]:
    """The report's pictures, at which no test looks here, take a second of every run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vl_convert.vegalite_to_png", lambda specification, scale: b"")
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that was not interrupted."""
    directory = tmp_path_factory.mktemp("whole") / "result"
    run(into(directory))
    return directory


@pytest.fixture
def uninterrupted(whole: Path) -> bytes:
    """Its metrics."""
    return (whole / "metrics.jsonl").read_bytes()


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """Its directory, to be changed."""
    return shutil.copytree(whole, tmp_path / "copied")


def stop(directory: Path, at: float, number: signal.Signals) -> tuple[int, str]:
    """Run SETTINGS in a process, send it a signal once metrics.jsonl has `at` bytes; return exit code and stderr."""
    command = f"""
import signal, sys
from jaxact.compare import Comparison
from jaxact.compare.cli import compare
from jaxact.compare.processes import Processes, exit_code
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background leaves it ignored
sys.exit(exit_code("jaxact", lambda: compare({into(directory)!r})))
"""
    process = subprocess.Popen([sys.executable, "-c", command], stderr=subprocess.PIPE, text=True)
    metrics = directory / "metrics.jsonl"
    try:
        while not metrics.exists() or metrics.stat().st_size < at:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        process.send_signal(number)
        message = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    return process.returncode, message


def test_a_killed_run_resumes_to_the_same_bytes(tmp_path: Path, uninterrupted: bytes):
    directory = tmp_path / "killed"
    code, _ = stop(directory, at=0.6 * len(uninterrupted), number=signal.SIGKILL)  # in the second activation
    assert code == -signal.SIGKILL
    assert len((directory / "metrics.jsonl").read_bytes()) < len(uninterrupted)
    assert any((directory / "checkpoints").iterdir())
    assert not (directory / "report.html").exists()
    run(into(directory, resume=True))
    assert (directory / "metrics.jsonl").read_bytes() == uninterrupted
    assert (directory / "report.html").exists()


def test_ctrl_c_says_how_to_go_on(tmp_path: Path):
    code, message = stop(tmp_path / "stopped", at=1, number=signal.SIGINT)
    assert code == 130
    assert "--resume" in message
    assert "KeyboardInterrupt" not in message  # no traceback of ours; JAX's GPU plugin logs one where it finds no GPU


def test_lines_after_the_last_checkpoint_and_half_a_line_are_cut_off(copied: Path, uninterrupted: bytes):
    with open(copied / "metrics.jsonl", "ab") as file:
        file.write(uninterrupted[:1000])
    with open(copied / "timing.jsonl", "a") as file:
        file.write('{"activation": "re')
    result = run(into(copied, resume=True))
    assert (copied / "metrics.jsonl").read_bytes() == uninterrupted
    assert len(result.records) == 2 * 21 * 2


def test_resume_without_a_checkpoint_starts_from_the_beginning(tmp_path: Path):
    (tmp_path / "comparison.unfinished").write_text("{")  # killed while it wrote the very first file
    records = run(into(tmp_path, steps=1, activations=("relu",), resume=True)).records
    assert [r["step"] for r in records] == [0, 0, 1, 1]


def test_a_result_is_replaced_only_when_asked(copied: Path, uninterrupted: bytes):
    with pytest.raises(ValueError, match=r"without a result, got .*--resume.*--overwrite"):
        run(into(copied))
    assert (copied / "metrics.jsonl").read_bytes() == uninterrupted
    records = run(into(copied, steps=1, activations=("relu",), seed=7, overwrite=True)).records
    assert [(r["activation"], r["seed"], r["step"]) for r in records] == [
        ("relu", s, t) for t in (0, 1) for s in (7, 8)
    ]


def test_resume_with_other_settings_says_what_differs(copied: Path, uninterrupted: bytes):
    with pytest.raises(ValueError, match=r"depth was 1 and is 3; seeds was 2 and is 1"):
        run(into(copied, depth=3, seeds=1, resume=True))
    assert (copied / "metrics.jsonl").read_bytes() == uninterrupted


@pytest.mark.parametrize("how", [{}, {"overwrite": True}, {"resume": True}])
def test_a_directory_of_other_files_is_never_touched(tmp_path: Path, how: dict[str, bool]):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="no result of jaxact compare"):
        run(into(tmp_path, **how))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
