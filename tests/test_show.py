"""`jaxact list` and `jaxact show`: what they say and refuse, and that what is called f' and f'' are the slopes."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import jaxact
from jaxact.cli import main
from jaxact.core import catalog
from jaxact.show import curves, facts
from tests import forked

pytestmark = pytest.mark.quickly_compiled

ROWS = list(catalog.rows())
SHOWN = ("gelu", "selu", "hard_shrink", "sine", "threshold")
"""One each of what differs for a curve: smooth, a kink, two jumps, a narrow window, parameters that it needs."""


@pytest.mark.parametrize("row", [r for r in ROWS if r.name in SHOWN], ids=lambda row: row.name)
def test_a_curve_is_the_function_with_its_slopes(row: catalog.Row):
    """What is called f' and f'' are the slopes of f and f', by differences of neighbours on one piece."""
    made = curves.curve(row)
    values = np.asarray(row.function(made.x, **curves.settings(row)))
    np.testing.assert_allclose(made.orders[0], values, rtol=1e-5, atol=1e-6)
    inner = (made.piece[2:] == made.piece[:-2]) & (np.diff(made.x)[1:] > 1e-3 * made.x[-1])
    inner &= np.diff(made.x)[:-1] > 1e-3 * made.x[-1]
    for order in (0, 1):
        slope = (made.orders[order][2:] - made.orders[order][:-2]) / (made.x[2:] - made.x[:-2])
        scale = np.max(np.abs(made.orders[order + 1])) + 1e-3
        off = np.abs(slope - made.orders[order + 1][1:-1])[inner] / scale
        assert np.median(off) < 0.02
    for x, returned in row.kinks.items():
        [dot] = made.kinks[made.kinks[:, 0] == np.float32(x)]
        assert dot[2] == pytest.approx(returned, rel=1e-4)


def run(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_list(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    out = run(["list"], capsys)
    for row in ROWS:
        assert re.search(rf"\b{row.name}\b", out), row.name
    assert "silu = swish" in out
    assert "x * sigmoid(beta x)" in out


@pytest.mark.parametrize("source", catalog.SOURCES)
def test_list_of_a_source(source: catalog.Source, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    out = run(["list", "--source", source], capsys)
    for name in jaxact.names(source):
        assert re.search(rf"\b{name}\b", out), name
    if source == "torch":
        assert re.search(r"gelu, GELU +gelu\(x, approximate=False\)", out)


def test_show(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = run(["show", "hard_silu"], capsys)
    for part in ("min(max(x + 3, 0), 6) / 6", "f'(-3) = 0, f'(3) = 1", "Hardswish", "jaxact.nnx.Hardswish", "f''"):
        assert part in out
    assert "…" not in out  # the chart fits 80 columns
    assert len(re.findall("[\u2801-\u28ff]", out)) > 60


def test_show_means_what_the_source_means(capsys: pytest.CaptureFixture[str]):
    assert "f(x) = gelu(x, approximate=False)" in run(["show", "GELU", "--source", "torch"], capsys)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["show", "geluu"], ["no activation is named 'geluu'", "did you mean gelu"]),
        (["show", "Hardswich", "--source", "torch"], ["in torch", "did you mean", "Hardswish"]),
    ],
    ids=lambda v: " ".join(v),
)
def test_bad_input_is_one_clear_line(words: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("jaxact: error: ")
    assert captured.err.count("\n") == 1
    for part in parts:
        assert part in captured.err


@pytest.mark.parametrize("words", [["show"], ["list", "--source", "theano"], ["show", "relu", "gelu"]])
def test_what_cannot_be_parsed_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2


def without_the_extra() -> int:
    for missing, *words in (["rich", "list"], ["plotille", "show", "relu"]):
        hidden = {m: sys.modules.pop(m) for m in list(sys.modules) if m.split(".")[0] == missing}
        sys.modules[missing] = None  # pyright: ignore[reportArgumentType]
        assert main(words) == 2
        del sys.modules[missing]
        sys.modules.update(hidden)
    return 0


def test_without_the_extra_the_commands_say_what_to_install(tmp_path: Path):
    [code] = forked.end([forked.start(tmp_path / "said", without_the_extra)], within=60)
    said = (tmp_path / "said").read_text()
    assert code == 0, said
    told = [line for line in said.splitlines() if line.startswith("jaxact: error: ")]
    for name, line in zip(("rich", "plotille"), told, strict=True):
        assert f"needs {name}" in line
        assert 'pip install "jaxact[compare]"' in line


def test_a_fact_is_said_in_words():
    said = facts.facts(jaxact.info("selu"))
    assert said["at its kinks"] == "f'(0) = 1.7581"
    assert said["smoothness"] == "f is continuous, f' jumps"
    assert said["limits"] == "f(-∞) = -1.7581, f(∞) = ∞; f'(-∞) = 0, f'(∞) = 1.0507"
