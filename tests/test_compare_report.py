"""report.html in a real browser, offline; the pictures; and what the sentences say."""

import dataclasses
import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from jaxact.compare import Comparison, charts, report, run
from jaxact.compare.comparison import Network
from jaxact.compare.theory import Prediction

pytestmark = pytest.mark.usefixtures("quickly_compiled")

SETTINGS = Comparison(
    activations=("relu", "sigmoid", "tanh"), depth=10, width=16, steps=12, log_every=5, seeds=2, batch_size=32
)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> report.Result:
    return run(dataclasses.replace(SETTINGS, directory=str(tmp_path_factory.mktemp("report") / "result")))


def predictions(result: report.Result) -> dict[str, Prediction | None]:
    return {row.network.name: row.predicted for row in result.rows}


def page(result: report.Result) -> str:
    return (result.directory / "report.html").read_text(encoding="utf-8")


def open_in_chromium(path: Path, profile: Path) -> tuple[str, str]:
    """Return the page's final DOM and the browser's log."""
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs Debian's chromium: apt-get install chromium")
        pytest.skip("chromium is not installed here; CI opens the report in it")
    done = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr", "--virtual-time-budget=20000", f"--user-data-dir={profile}", "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


def console(log: str) -> list[str]:
    return [line for line in log.splitlines() if "CONSOLE" in line]


def test_the_report_draws_every_chart_without_an_error(result: report.Result, tmp_path: Path):
    dom, log = open_in_chromium(result.directory / "report.html", tmp_path)
    assert console(log) == []
    assert 'data-charts="6"' in dom
    for chart in charts.make(result.comparison, result.records, predictions(result)):
        drawing = re.search(rf'<div id="{chart.name}".*?</svg>', dom, re.DOTALL)
        assert drawing, chart.name
        assert drawing[0].count("<path") > 10, chart.name


def test_the_browser_test_sees_javascript_errors(result: report.Result, tmp_path: Path):
    broken = tmp_path / "broken.html"
    broken.write_text(page(result).replace("const views = [];", "const views = nothing;"))
    dom, log = open_in_chromium(broken, tmp_path / "profile")
    assert "ReferenceError" in "".join(console(log))
    assert 'data-charts="6"' not in dom


def test_selecting_activations_and_steps_redraws(result: report.Result, tmp_path: Path):
    act = """
      const wait = setInterval(() => {
        if (!document.body.dataset.charts) return;
        clearInterval(wait);
        boxes[0].checked = false; boxes[0].dispatchEvent(new Event("input"));
        slider.value = 5; slider.dispatchEvent(new Event("input"));
        const states = () => views.map(view => view.getState().signals);
        setTimeout(() => { document.body.dataset.seen = JSON.stringify(states()); }, 500);
      }, 50);
    </script></body>"""
    clicked = tmp_path / "clicked.html"
    clicked.write_text(page(result).replace("</script>\n</body>", act))
    dom, log = open_in_chromium(clicked, tmp_path / "profile")
    assert console(log) == []
    seen = json.loads(re.search('data-seen="(.*?)"', dom)[1].replace("&quot;", '"'))  # pyright: ignore[reportOptionalSubscript]
    assert sum(s.get("shown") == ["sigmoid", "tanh"] for s in seen) == 5
    assert sum(s.get("step") == 5 for s in seen) == 3
    assert '<output id="at">5</output>' in dom


def test_the_report_asks_the_network_for_nothing(result: report.Result):
    """The browser runs without a name server too; this sees what would only be asked for later."""
    outside_scripts = re.sub(r"(?s)<script>.*?</script>", "", page(result))
    assert "<script" not in outside_scripts
    assert set(re.findall(r'(?:src|href)="(.*?)"', outside_scripts)) == {"data:,"}


def test_the_report_begins_with_what_is_seen_and_the_table(result: report.Result):
    text = page(result)
    positions = [text.index(s) for s in (report.findings(result)[0], "<table>", 'id="curves"')]
    assert positions == sorted(positions)
    for row in result.rows:
        assert f"<td>{row.network.name}</td>" in text


def test_the_report_has_the_findings_of_each_network_and_the_theory(result: report.Result):
    text = page(result)
    assert report.THEORY in text
    found = {row.network.name: " ".join(row.findings) for row in result.rows}
    assert re.search(
        "sigmoid in a deep stack at the start and the end, 2 of 2 seeds: sigmoid: 10 or more", found["sigmoid"]
    )
    assert re.search("vanishing gradients at the start(| and the end), 2 of 2 seeds", found["sigmoid"])
    assert found["relu"] == ""
    for row in result.rows:
        for sentence in row.findings:
            assert html.escape(sentence) in text


def test_the_pictures_are_pngs(result: report.Result):
    names = {c.name + ".png" for c in charts.make(result.comparison, result.records, predictions(result))}
    assert {p.name for p in result.directory.glob("*.png")} == names
    assert len(names) == 6
    for name in names:
        data = (result.directory / name).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert int.from_bytes(data[16:20]) > 1200  # legible when projected


def row(
    activation: str, ratio: float | None, accuracy: float | None = 0.9, dead: float = 0.0, diverged: int = 0
) -> report.Row:
    scored = None if accuracy is None else (accuracy, 0.01)
    return report.Row(
        network=Network(activation, activation, "he", 8),
        accuracy=scored,
        loss=scored,
        ratio_at_start=ratio,
        ratio_at_end=ratio,
        dead_share=dead,
        seconds_per_step=0.001,
        diverged=diverged,
    )


@pytest.mark.parametrize(
    ("rows", "sentences"),
    [
        (
            [row("relu", 1.0), row("sigmoid", 1e-8, 0.1)],
            [
                r"gradient of sigmoid vanishes: .* 8 layers .* 1e-08 .* 10% accuracy",
                "relu come through",
                "Best .* relu with 90.0% .* last is sigmoid",
            ],
        ),
        ([row("exp", 5e4)], [r"gradient of exp explodes: .* 5e\+04"]),
        ([row("relu", 0.5), row("gelu", 2.0)], ["Every gradient comes through all layers", "Best"]),
        ([row("relu", 1.0, dead=0.25)], ["Every", "no held-out image comes through at the end: 25% with relu"]),
        ([row("relu", None, None, diverged=2)], ["relu diverged in 2 of 2 seeds"]),
    ],
)
def test_sentences(rows: list[report.Row], sentences: list[str], tmp_path: Path):
    said = report.findings(report.Result(SETTINGS, tmp_path, [], rows))
    assert len(said) == len(sentences)
    for wanted, sentence in zip(sentences, said, strict=True):
        assert re.search(wanted, sentence)
