"""`jaxact list`, `jaxact show` and `jaxact gallery`: what they say, draw (in a real browser too) and refuse."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import jaxact
from jaxact.cli import main
from jaxact.core import catalog
from jaxact.gallery import curves, facts
from tests.test_compare_report import console, open_in_chromium

pytestmark = pytest.mark.usefixtures("quickly_compiled")

ROWS = list(catalog.rows())
ORDERS = ("value", "first derivative", "second derivative")
MEASURED = {"worst": 1.25, "at": 0.5, "misrounded": 0.1, "wrong zeros": 0, "NaN": 0, "inputs": 100}
BAD = MEASURED | {"worst": 123456.0, "NaN": 7}
ACCURACY = {"environment": {"jax": "9.9"}} | {
    f"float32/gelu/{order}/{who}": facts for order in ORDERS for who, facts in (("jaxact", MEASURED), ("jax.nn", BAD))
}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that `jaxact gallery` wrote, with an accuracy.json of one function."""
    directory = tmp_path_factory.mktemp("gallery")
    (directory / "accuracy.json").write_text(json.dumps(ACCURACY))
    words = ["gallery", "--output", str(directory / "new"), "--accuracy", str(directory / "accuracy.json")]
    assert main(words) == 0
    return directory / "new"


def text(gallery: Path) -> str:
    return (gallery / "gallery.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def opened(gallery: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The page's DOM in a browser, in which "hardSwish" was searched for once all was drawn, and the browser's log."""
    act = """
      const wait = setInterval(() => {
        if (!document.body.dataset.charts) return;
        clearInterval(wait);
        search.value = "hardSwish"; search.dispatchEvent(new Event("input"));
        document.body.dataset.found = cards.filter(card => !card.hidden).map(card => card.id).join(" ");
      }, 50);
    </script>"""
    directory = tmp_path_factory.mktemp("opened")
    before, _, after = text(gallery).rpartition("</script>")
    (directory / "searched.html").write_text(before + act + after, encoding="utf-8")
    return open_in_chromium(directory / "searched.html", directory / "profile")


def test_the_page_draws_every_function_without_an_error(opened: tuple[str, str]):
    dom, log = opened
    assert console(log) == []
    assert 'class="chart error"' not in dom
    assert f'data-charts="{len(ROWS)}"' in dom
    for row in ROWS:
        drawing = re.search(rf'data-name="{row.name}".*?</svg>', dom, re.DOTALL)
        assert drawing, row.name
        lines = re.findall(r'<path aria-label="[^"]*"[^>]* d="([^"]+)"|<path [^>]*d="([^"]+)"', drawing[0])
        long = [a or b for a, b in lines if (a or b).count("L") > 20]
        assert len(long) >= 3, f"{row.name}: f, f' and f'' are lines of many points"


def test_search_finds_by_the_peers_names(opened: tuple[str, str]):
    assert 'data-found="hard_silu"' in opened[0]


def test_the_page_asks_the_network_for_nothing(gallery: Path):
    markup = re.sub(r"<script>.*?</script>", "", text(gallery), flags=re.DOTALL)  # Vega's code builds tags of strings
    assert len(markup) < 0.5 * len(text(gallery))
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"(?!data:)", markup)


def test_the_page_says_what_the_rows_say(gallery: Path):
    page = text(gallery)
    for row in ROWS:
        [card] = re.findall(rf'<article id="{row.name}".*?</article>', page, re.DOTALL)
        assert f"{row.module}" in card
        assert "for the backward pass" in card
        for names in row.elsewhere.values():
            for name in names:
                assert re.search(rf"\b{re.escape(name)}\b", card), (row.name, name)


def test_accuracy_is_shown_where_it_was_measured(gallery: Path):
    page = text(gallery)
    assert page.count("<details>") == 1
    [card] = re.findall(r'<article id="gelu".*?</article>', page, re.DOTALL)
    assert "worst error in ulp: f 1.2;" in card
    assert "1e+05 <b>7 NaN</b>" in card
    assert "jax 9.9" in page


def test_the_picture(gallery: Path):
    data = (gallery / "gallery.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20]) > 1200
    assert len(data) < 2**20  # it goes into the repository


def test_a_gallery_is_not_replaced_unless_asked(gallery: Path, capsys: pytest.CaptureFixture[str]):
    before = (gallery / "gallery.png").stat().st_mtime_ns
    assert main(["gallery", "--output", str(gallery)]) == 2
    assert (gallery / "gallery.png").stat().st_mtime_ns == before
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize("row", [r for r in ROWS if r.kind == "pointwise"], ids=lambda row: row.name)
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


@pytest.mark.parametrize("suffix", ["png", "html"])
def test_show_into_a_file(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "deep" / f"tanh.{suffix}"
    assert run(["show", "tanh", "--output", str(path)], capsys).strip() == str(path)
    first = path.read_bytes()
    assert first.startswith({"png": b"\x89PNG", "html": b"<!DOCTYPE html>"}[suffix])
    path.write_text("mine")
    assert main(["show", "tanh", "--output", str(path)]) == 2
    assert path.read_text() == "mine"
    assert "--overwrite" in capsys.readouterr().err
    assert main(["show", "tanh", "--output", str(path), "--overwrite"]) == 0
    assert path.read_bytes()[:8] == first[:8]
    assert [p.name for p in path.parent.iterdir()] == [path.name]


WRONG = [
    (["show", "geluu"], ["no activation is named 'geluu'", "did you mean gelu"]),
    (["show", "Hardswich", "--source", "torch"], ["in torch", "did you mean", "Hardswish"]),
    (["show", "relu", "--output", "{tmp}/x.gif"], [".png or .html", "x.gif"]),
    (["show", "relu", "--output", "{tmp}/file/x.png"], ["can't be written", "choose another"]),
    (["gallery", "--output", "{tmp}/file"], ["can't be written", "choose another"]),
    (["gallery", "--output", "{tmp}/new", "--accuracy", "{tmp}/none.json"], ["accuracy.json", "none.json", "No such"]),
    (["gallery", "--output", "{tmp}/new", "--accuracy", "{tmp}/file"], ["accuracy.json", "something else"]),
]


@pytest.mark.parametrize(("words", "parts"), WRONG, ids=lambda v: " ".join(v))
def test_bad_input_is_one_clear_line(
    words: list[str], parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").touch()
    assert main([w.format(tmp=tmp_path) for w in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("jaxact: error: ")
    assert captured.err.count("\n") == 1
    for part in parts:
        assert part in captured.err
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("words", [["show"], ["list", "--source", "theano"], ["show", "relu", "gelu"]])
def test_what_cannot_be_parsed_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2


def test_without_the_extra_the_commands_say_what_to_install(tmp_path: Path):
    code = """
import sys
from jaxact.cli import main
for missing, *words in (["rich", "list"], ["plotille", "show", "relu"], ["altair", "gallery", "--output", sys.argv[1]]):
    hidden = {m: sys.modules.pop(m) for m in list(sys.modules) if m.split(".")[0] == missing}
    sys.modules[missing] = None
    assert main(words) == 2
    del sys.modules[missing]
    sys.modules.update(hidden)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "new")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("jaxact: error: ")]
    for name, line in zip(("rich", "plotille", "altair"), told, strict=True):
        assert f"needs {name}" in line
        assert 'pip install "jaxact[compare]"' in line


def test_a_fact_is_said_in_words():
    said = facts.facts(jaxact.info("selu"))
    assert said["at its kinks"] == "f'(0) = 1.7581"
    assert said["smoothness"] == "f is continuous, f' jumps"
    assert said["limits"] == "f(-∞) = -1.7581, f(∞) = ∞; f'(-∞) = 0, f'(∞) = 1.0507"
