"""The command: help, exit codes and messages for everything that can be given wrongly."""

import dataclasses
import sys
from pathlib import Path

import pytest

import jaxact
from jaxact.cli import main
from jaxact.compare import Comparison, run
from tests import forked

pytestmark = [pytest.mark.quickly_compiled, pytest.mark.usefixtures("no_pictures")]

WRONG = [
    (["--activations", "relu", "geluu"], ["no activation is named 'geluu'", "did you mean gelu"]),
    (["--activations", "glu"], ["elementwise", "'glu'", "leave it out"]),
    (["--activations", "prelu"], ["values", "'prelu'", "negative_slope"]),
    (["--activations", "relu", "relu"], ["each of activations once", "relu", "drop"]),
    (["--activations"], ["at least one activation"]),
    (["--activations", "leaky_relu(negative_slop=1)"], ["negative_slop", "did you mean negative_slope"]),
    (["--activations", "leaky_relu(__import__('os'))"], ["constants", "leaky_relu(negative_slope=0.2)"]),
    (["--activations", "PRelu"], ["module of jaxact.nnx", "did you mean PReLU?"]),
    (["--activations", "{mine}:nothing"], ["to define 'nothing'", "activation"]),
    (["--activations", "{mine}x.py:f"], ["does not exist"]),
    (["--depth", "0"], ["depth", "at least 1", "0"]),
    (["--depth", "4", "4"], ["each of depth once", "4 more than once"]),
    (["--init", "he", "he"], ["each of init once", "he more than once"]),
    (["--width", "-3"], ["width", "at least 1", "-3"]),
    (["--seeds", "0"], ["seeds", "at least 1", "got 0"]),
    (["--seed", "-1"], ["seed", "at least 0", "got -1"]),
    (["--steps", "0"], ["steps", "got 0"]),
    (["--log-every", "0"], ["log_every", "got 0"]),
    (["--checkpoint-every", "0"], ["checkpoint_every", "got 0"]),
    (["--batch-size", "1348", "--activations", "relu"], ["batch_size", "1347", "got 1348", "smaller"]),
    (["--learning-rate", "nan"], ["learning_rate", "got nan"]),
    (["--learning-rate", "-1"], ["learning_rate", "got -1"]),
    (["--optimizer", "adamm"], ["optimizer", "got 'adamm'", "did you mean", "adam"]),
    (["--optimizer", "__import__"], ["optimizer", "got '__import__'"]),
    (["--platform", "tpu"], ["platform", "cpu", "got 'tpu'", "install JAX for tpu"]),
    (["--directory", "{file}/x", "--activations", "relu"], ["can't be written", "Not a directory", "choose another"]),
    (["--study", "digits"], ["a study", "digits-mlp", "'digits'"]),
    (["--study", "{mine}:activation", "--activations", "relu"], ["to return a jaxact.compare.Study"]),
    (["{mine}:nothing"], ["to define 'nothing'", "only activation"]),
    (["nowhere.py:make"], ["nowhere.py", "does not exist"]),
    (["{broken}:make"], ["broken.py", "ZeroDivisionError", "broken.py:2"]),
    (["{ends}:make"], ["ended the program", "__main__"]),
]


@pytest.mark.parametrize(("words", "parts"), WRONG, ids=lambda v: " ".join(v))
def test_bad_input_is_one_clear_line(
    words: list[str], parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").touch()
    files = {"file": tmp_path / "file"}
    for name, text in {"mine": "def activation(x):\n    return x", "broken": "x = 1\nx / 0", "ends": "exit()"}.items():
        files[name] = tmp_path / f"{name}.py"
        files[name].write_text(text)
    words = [w.format(**files) for w in words]
    assert main(["compare", *words] + ([] if "--directory" in words else ["--directory", str(tmp_path / "new")])) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("jaxact: error: ")
    assert captured.err.count("\n") == 1
    for part in parts:
        assert part in captured.err
    assert not list(tmp_path.glob("new/records-*"))


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
        {"options": {"depth": 0}},
        {"options": {"dpeth": 2}},
        {"steps": 2.0},
        {"steps": True},
        {"activations": "relu"},
        {"activations": ()},
        {"options": {"init": "xavier"}},
        {"learning_rate": ("fast",)},
        {"study": 3},
        {"platform": "quantum"},
        {"seed": 2**31},
        {"seeds": None},
        {"resume": "there"},
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
    fields = {field.name for field in dataclasses.fields(Comparison)} - {"options"}
    for name in fields | {"depth", "width", "init", "kind"}:
        assert "--" + name.replace("_", "-") in text
    assert "Hidden layers." in text  # what the study says of its option


def test_a_run_prints_table_findings_and_where_the_report_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    small = ["--depth", "1", "--width", "8", "--steps", "3", "--seeds", "1", "--batch-size", "16"]
    assert main(["compare", "--activations", "relu", "swish", *small, "--directory", str(tmp_path / "r")]) == 0
    out = capsys.readouterr().out
    for part in (
        "relu",
        "swish",
        "accuracy",
        "1 hidden layer of 8",
        "1 seed\n",
        "nothing can be said",
        "dead",
        "Best in held-out accuracy",
        str(tmp_path / "r" / "report.html"),
    ):
        assert part in out
    assert "±" not in out.split("Best")[1]
    assert max(map(len, out.splitlines()[:-1])) <= 80


@pytest.mark.parametrize(
    "made", ["class Make:\n    __call__ = lambda self, f: 3\nmake = Make()", "def make(f: Unknown): ..."]
)
def test_types_of_a_study_s_arguments_need_not_be_known(made: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file.py").write_text(f"from __future__ import annotations\n{made}\n")
    assert main(["compare", f"{tmp_path / 'file.py'}:make", "--directory", str(tmp_path / "r")]) == 2
    assert "to return a jaxact.compare.Study" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"jaxact {jaxact.__version__}\n"


MISSING = ["tyro", "vl_convert", "jinja2", "sklearn.datasets", "rich.console"]


def without_the_extra(directory: str) -> int:
    """Each dependency in turn is made impossible to import, and jaxact.compare is loaded anew."""
    for missing in MISSING:
        for name in [name for name in sys.modules if name.startswith(("jaxact.c", "jaxact.g"))]:
            del sys.modules[name]
        there = sys.modules.pop(missing, None)
        sys.modules[missing] = None  # pyright: ignore[reportArgumentType]
        from jaxact.cli import main

        assert main(["compare", "--steps", "1", "--activations", "relu", "--directory", directory]) == 2
        del sys.modules[missing]
        sys.modules |= {missing: there} if there else {}
    return 0


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path):
    [code] = forked.end([forked.start(tmp_path / "said", without_the_extra, str(tmp_path / "r"))], within=60)
    said = (tmp_path / "said").read_text()
    assert code == 0, said
    assert "Traceback" not in said
    lines = said.splitlines()
    assert len(lines) == len(MISSING)
    for name, line in zip(MISSING, lines, strict=True):
        assert name.split(".")[0] in line
        assert 'pip install "jaxact[compare]"' in line
