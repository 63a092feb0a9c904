"""An interrupted run goes on where it was, and no result is lost or mixed with another."""

import dataclasses
import itertools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from jaxact.cli import main
from jaxact.compare import Comparison, Log, command, log, run
from jaxact.compare.processes import exit_code
from tests import small_study

pytestmark = [pytest.mark.quickly_compiled, pytest.mark.usefixtures("no_pictures")]

SETTINGS = Comparison(
    study=f"{small_study.__file__}:make",
    activations=("relu",),
    steps=20,
    log_every=5,
    checkpoint_every=10,
    seeds=2,
)


def into(directory: Path, **changes: Any) -> Comparison:
    return dataclasses.replace(SETTINGS, directory=str(directory), **changes)


def resumed(directory: Path, **changes: Any) -> Comparison:
    return dataclasses.replace(Comparison.load(str(directory)), **changes)


def records(directory: Path) -> list[dict[str, Any]]:
    """What a log says, but for times, which no two runs share."""
    return [{k: v for k, v in r.items() if k != "seconds_per_step"} for r in log.read(directory)[1]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that was not interrupted."""
    directory = tmp_path_factory.mktemp("whole") / "result"
    run(into(directory))
    return directory


@pytest.fixture
def uninterrupted(whole: Path) -> list[dict[str, Any]]:
    """Its records."""
    return records(whole)


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """Its directory, to be changed."""
    return shutil.copytree(whole, tmp_path / "copied")


def test_a_run_that_ctrl_c_stopped_resumes_to_the_same_numbers(
    tmp_path: Path,
    uninterrupted: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """In the midst of a step's records. test_compare_processes.py kills processes, whose model has state and noise."""
    directory, add, count = tmp_path / "stopped", Log.add, itertools.count(1)

    def stop(*args: Any, **kwargs: Any) -> None:
        if next(count) == 18:  # the eighth of the second activation, after a checkpoint
            raise KeyboardInterrupt
        add(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Log, "add", stop)
        assert exit_code("jaxact", lambda: command.compare(into(directory, activations=("tanh", "relu")))) == 130
    assert f"--resume {directory}" in capsys.readouterr().err
    first, second = records(directory)[:10], records(directory)[10:]
    assert {r["network"] for r in first} == {"tanh"}
    assert second == uninterrupted[:7]
    assert len(list((directory / "checkpoints").iterdir())) == 2
    assert not (directory / "report.html").exists()
    run(Comparison.load(str(directory)))
    assert records(directory) == first + uninterrupted
    assert (directory / "report.html").exists()


def test_half_a_line_is_left_out(copied: Path, uninterrupted: list[dict[str, Any]]):
    [file] = copied.glob("records-*")
    with open(file, "ab") as half:
        half.write(b'{"network": "re')
    assert records(copied) == uninterrupted
    run(resumed(copied))
    assert records(copied) == uninterrupted


def test_more_steps_seeds_and_activations_are_what_a_longer_run_gives(
    copied: Path, uninterrupted: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
):
    """And nothing has to be said again. Seeds that are added train beside each other and not beside the first."""
    assert main(["compare", "--resume", str(copied), "--steps", "25"]) == 0
    assert "25 steps" in capsys.readouterr().out
    longer = records(copied)
    assert [r["step"] for r in longer if r["seed"] == 0] == list(range(0, 26, 5))
    assert [r for r in longer if r["step"] <= 20] == uninterrupted
    run(resumed(copied, seeds=3, activations=("relu", "gelu")))
    before, after = ({(r["network"], r["seed"], r["step"]): r for r in found} for found in (longer, records(copied)))
    assert all(after[key] == record for key, record in before.items())
    assert {key[:2] for key in after} == {(name, seed) for name in ("relu", "gelu") for seed in range(3)}
    assert {len([k for k in after if k[:2] == pair]) for pair in (("relu", 2), ("gelu", 0))} == {6}
    assert json.loads((copied / "comparison.json").read_text())["seeds"] == 3


def test_what_is_no_result_is_not_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["compare", "--resume", str(tmp_path / "no")]) == 2
    assert "expected the directory of an earlier result" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("comparison.json", "[1]", "comparison.json can't be read"),
        ("comparison.json", '{"study": "digits-mlp"}', "comparison.json can't be read"),
        ("checkpoints/relu*", "", "which is damaged .*; remove it, and these networks are trained from the start"),
    ],
)
def test_damaged_files_are_one_clear_line(
    copied: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, said: str
):
    [damaged] = copied.glob(file)
    damaged.write_text(text)
    assert main(["compare", "--resume", str(copied), "--steps", "25"]) == 2
    assert re.search(said, capsys.readouterr().err)


def test_other_files_beside_checkpoints_are_no_checkpoints(copied: Path, uninterrupted: list[dict[str, Any]]):
    for file in list((copied / "checkpoints").iterdir()):
        shutil.copy(file, f"{file} (copy)")
    run(resumed(copied))
    assert records(copied) == uninterrupted


def test_a_result_is_replaced_only_when_asked(copied: Path, uninterrupted: list[dict[str, Any]]):
    with pytest.raises(ValueError, match=r"without a result, got .*--resume.*--overwrite"):
        run(into(copied))
    assert records(copied) == uninterrupted
    again = run(into(copied, steps=1, seed=7, overwrite=True)).records
    assert [(r["network"], r["seed"], r["step"]) for r in again] == [("relu", s, t) for t in (0, 1) for s in (7, 8)]


def test_resume_with_other_settings_says_what_differs(copied: Path, uninterrupted: list[dict[str, Any]]):
    changes = {"options": {"width": 3}, "seeds": 1, "steps": 10, "activations": ("tanh",)}
    with pytest.raises(ValueError, match=r"activations was .*; options was .*3.*; seeds was 2 and is 1; steps was 20"):
        run(resumed(copied, **changes))
    assert records(copied) == uninterrupted


@pytest.mark.parametrize("how", [{}, {"overwrite": True}, {"resume": "{}"}])
def test_a_directory_of_other_files_is_never_touched(tmp_path: Path, how: dict[str, Any]):
    how = {k: str(tmp_path) if v == "{}" else v for k, v in how.items()}
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="no result of jaxact compare"):
        run(into(tmp_path, **how))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
