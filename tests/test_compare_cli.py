"""The command: help, exit codes and messages for everything that can be given wrongly."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from jaxact.compare import Comparison, run
from jaxact.compare.cli import main

pytestmark = pytest.mark.usefixtures("quickly_compiled")

WRONG = [
    (["--activations", "relu", "geluu"], ["no activation is named 'geluu'", "did you mean gelu"]),
    (["--activations", "glu"], ["elementwise", "'glu'", "leave it out"]),
    (["--activations", "prelu"], ["defaults", "'prelu'", "leaky_relu"]),
    (["--activations", "silu", "swish"], ["each of activations once", "silu", "drop"]),
    (["--activations"], ["at least one activation"]),
    (["--depth", "0"], ["depth", "at least 1", "got 0"]),
    (["--depths", "4", "0"], ["depths", "at least 1", "got 0"]),
    (["--depths", "4", "4"], ["each of depths once", "4 more than once"]),
    (["--inits", "he", "he"], ["each of inits once", "he more than once"]),
    (["--width", "-3"], ["width", "at least 1", "got -3"]),
    (["--seeds", "0"], ["seeds", "at least 1", "got 0"]),
    (["--seed", "-1"], ["seed", "at least 0", "got -1"]),
    (["--steps", "0"], ["steps", "got 0"]),
    (["--log-every", "0"], ["log_every", "got 0"]),
    (["--checkpoint-every", "0"], ["checkpoint_every", "got 0"]),
    (["--batch-size", "1348"], ["batch_size", "1347", "got 1348", "smaller"]),
    (["--learning-rate", "nan"], ["learning_rate", "got nan"]),
    (["--learning-rate", "-1"], ["learning_rate", "got -1"]),
    (["--optimizer", "adamm"], ["optimizer", "got 'adamm'", "did you mean", "adam"]),
    (["--optimizer", "__import__"], ["optimizer", "got '__import__'"]),
    (["--platform", "tpu"], ["platform", "cpu", "got 'tpu'", "install JAX for tpu"]),
    (["--directory", "{file}/x"], ["directory that can be written", "Not a directory", "choose another"]),
    (["--overwrite", "--resume"], ["at most one of overwrite and resume"]),
]


@pytest.mark.parametrize(("words", "parts"), WRONG, ids=lambda v: " ".join(v))
def test_bad_input_is_one_clear_line(
    words: list[str], parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").touch()
    words = ["--directory", str(tmp_path / "new"), *(w.format(file=tmp_path / "file") for w in words)]
    assert main(["compare", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("jaxact: error: ")
    assert captured.err.count("\n") == 1
    for part in parts:
        assert part in captured.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "words",
    [["compare", "--dpeth", "3"], ["compare", "--init", "xavier"], ["compare", "--depth", "x"], ["compair"], []],
)
def test_what_cannot_be_parsed_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        {"depth": 0},
        {"depth": 2.0},
        {"depth": True},
        {"activations": "relu"},
        {"activations": ()},
        {"init": "xavier"},
        {"learning_rate": "fast"},
        {"platform": "quantum"},
        {"seed": 2**31},
    ],
    ids=str,
)
def test_the_python_api_raises_value_error(changes: dict[str, object], tmp_path: Path):
    with pytest.raises(ValueError, match=r"expected .*, got .*; "):
        run(dataclasses.replace(Comparison(directory=str(tmp_path / "new")), **changes))
    assert not (tmp_path / "new").exists()


def test_help_explains_every_field(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["compare", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for field in dataclasses.fields(Comparison):
        assert "--" + field.name.replace("_", "-") in text


def test_a_run_prints_table_findings_and_where_the_report_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    small = ["--depth", "1", "--width", "8", "--steps", "3", "--seeds", "1", "--batch-size", "16"]
    assert main(["compare", "--activations", "relu", "swish", *small, "--directory", str(tmp_path / "r")]) == 0
    out = capsys.readouterr().out
    for part in ("relu", "swish", "accuracy", "dead", "Best on held-out images", str(tmp_path / "r" / "report.html")):
        assert part in out


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path):
    """Each dependency in turn is made impossible to import, in another process that loads jaxact.compare anew."""
    code = """
import sys
for missing in sys.argv[2:]:
    for name in [name for name in sys.modules if name.startswith("jaxact.compare")]:
        del sys.modules[name]
    sys.modules[missing] = None
    from jaxact.compare.cli import main
    assert main(["compare", "--steps", "0", "--directory", sys.argv[1]]) == 2
    del sys.modules[missing]
"""
    missing = ["tyro", "vl_convert", "altair", "sklearn.datasets", "rich.table", "orbax.checkpoint"]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "r"), *missing], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(missing)
    for name, line in zip(missing, lines, strict=True):
        assert name.split(".")[0] in line
        assert 'pip install "jaxact[compare]"' in line


def test_importing_jaxact_does_not_import_compare():
    code = "import sys, jaxact; sys.exit(any(m in sys.modules for m in ('jaxact.compare', 'optax', 'altair', 'orbax')))"
    subprocess.run([sys.executable, "-c", code], check=True)
