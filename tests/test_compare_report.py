"""report.html in a real browser, offline; the pictures; and what the sentences say."""

import html
import io
import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from rich.console import Console

import jaxact
from jaxact import flow
from jaxact.compare import Log
from jaxact.compare.report import charts, style, terminal
from jaxact.compare.studies import digits_mlp
from jaxact.compare.summary import Summary, paired

pytestmark = pytest.mark.quickly_compiled

CHARTS = {
    "accuracy_by_seed", "accuracy", "loss", "train_loss", "gradient_norm", "gradient_heatmap", "x_std", "dead_share",
    "theory_by_depth",
}  # fmt: skip
DRAWINGS = len(CHARTS) + 2  # a heat map for each of three networks


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Flows of networks of ten layers at their start, with losses and accuracies as if they had been trained."""
    about: dict[str, Any] = {
        "higher_is_better": ("accuracy",),
        "chance": {"accuracy": 0.1},
        "nouns": {"examples": "images"},
    }
    with Log(tmp_path_factory.mktemp("report") / "result", name="digits", **about) as log:
        for name, learns in (("relu", 0.8), ("sigmoid", 0.0), ("tanh", 0.82)):
            study = digits_mlp.make(jaxact.get(name), depth=10, width=16)
            batch = jax.tree.map(lambda x: x[:64], study.batches)
            loss_of = lambda v, study=study, batch=batch: study.evaluate(v, batch, None)[0]  # noqa: E731
            observed = jax.jit(flow.observe(loss_of, select=lambda site: site.kind != "axis"))
            log.describe(name, activation=name, predicted=study.predicted)
            for seed in range(2):
                seen = observed(study.init(jax.random.key(seed)))[1]
                for step in (0, 5, 10, 12):
                    loss = 2.3 - learns * step / 12 + 0.01 * seed
                    numbers: dict[str, Any] = {
                        "loss": loss,
                        "train_loss": loss - 0.1,
                        "accuracy": 0.1 + (learns + 0.02 * seed) * step / 12,
                    }
                    log.add(name, seed=seed, step=step, flow=seen, seconds_per_step=0.01 * (seed + 1), **numbers)
        return log.report()


def page(result: Summary) -> str:
    return (result.directory / "report.html").read_text(encoding="utf-8")


def open_in_chromium(path: Path, profile: Path, *flags: str) -> tuple[str, str]:
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
            *flags, path.as_uri(),
        ],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


def console(log: str) -> list[str]:
    return [line for line in log.splitlines() if "CONSOLE" in line]


def seen_in(dom: str) -> Any:
    """What a script has left in the page."""
    found = re.search('data-seen="(.*?)"', dom)
    assert found, dom[-2000:]
    return json.loads(html.unescape(found[1]))


def once_drawn(page: str, script: str) -> str:
    """A page with a script that runs when all of its charts are drawn."""
    wait = "const wait = setInterval(() => { if (!document.body.dataset.charts) return; clearInterval(wait); %s }, 50);"
    assert page.count("</script>\n</body>") == 1
    return page.replace("</script>\n</body>", f"{wait % script}</script>\n</body>")


@pytest.fixture(scope="module")
def clicked(result: Summary, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page's DOM once a network was left out and another step was chosen; nothing was said on the console."""
    script = """
      boxes[0].checked = false; boxes[0].dispatchEvent(new Event("input"));
      slider.value = 1; slider.dispatchEvent(new Event("input"));
      setTimeout(() => { document.body.dataset.seen = JSON.stringify(
        {states: views.map(view => view.getState().signals), at: document.getElementById("at").value}); }, 500);
    """
    directory = tmp_path_factory.mktemp("clicked")
    (directory / "page.html").write_text(once_drawn(page(result), script))
    dom, log = open_in_chromium(directory / "page.html", directory / "profile")
    assert console(log) == []
    return dom


def test_the_report_draws_every_chart(result: Summary, clicked: str):
    assert f'data-charts="{DRAWINGS}"' in clicked
    assert {chart.name for chart in charts.charts(result)} == CHARTS
    for name in CHARTS:
        drawing = re.search(rf'<div class="chart[^"]*" id="{name}-0".*?</svg>', clicked, re.DOTALL)
        assert drawing, name
        assert drawing[0].count("<path") > 10, name
        assert 'role="graphics-document"' in drawing[0]
        assert re.search('aria-label="[^"]*relu', drawing[0]), name  # what a screen reader says of it


def test_selecting_networks_and_steps_redraws(clicked: str):
    seen = seen_in(clicked)
    assert all(state["shown"] == ["sigmoid", "tanh"] for state in seen["states"])
    assert all(state["step"] == 5 for state in seen["states"])
    assert seen["at"] == "5"


def test_the_browser_test_sees_javascript_errors(tmp_path: Path):
    (tmp_path / "broken.html").write_text("<script>const views = nothing;</script>")
    assert "ReferenceError" in "".join(console(open_in_chromium(tmp_path / "broken.html", tmp_path / "profile")[1]))


PAPER = 718  # A4's 210 mm less margins of 1 cm, at 96 dots an inch


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_wider_than_screen_or_paper_and_all_is_in_the_theme(result: Summary, tmp_path: Path, theme: str):
    """In frames of these widths, since Chromium's own window is never narrower than 500 pixels."""
    script = """
      dispatchEvent(new Event("beforeprint"));
      setTimeout(() => parent.postMessage({
        window: innerWidth, page: document.documentElement.scrollWidth,
        beyond: [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 &&
          !e.closest("thead, svg")).map(e => e.outerHTML.slice(0, 80)),
        paper: getComputedStyle(document.documentElement).backgroundColor,
        line: getComputedStyle(document.querySelector("#accuracy-0 svg .mark-line path")).stroke,
        slider: getComputedStyle(document.querySelector(".slider")).display}, "*"), 300);
    """
    (tmp_path / "screen.html").write_text(once_drawn(page(result), script))
    printed = page(result).replace("@media screen", "@media speech").replace("@media print", "@media all")
    (tmp_path / "print.html").write_text(once_drawn(printed, script))
    frames = {390: "screen", 800: "screen", 1400: "screen", PAPER: "print"}
    outer = tmp_path / "outer.html"
    outer.write_text(
        "<body>"
        + "".join(
            f'<iframe src="{name}.html" style="width: {width}px; height: 800px; border: 0"></iframe>'
            for width, name in frames.items()
        )
        + """<script>const all = []; onmessage = event => {
          all.push(event.data); document.body.dataset.seen = JSON.stringify(all); };</script>"""
    )
    flags = ["--blink-settings=preferredColorScheme=0"] if theme == "dark" else []
    dom, log = open_in_chromium(outer, tmp_path / "profile", *flags)
    assert console(log) == []
    found = {seen["window"]: seen for seen in seen_in(dom)}
    assert found.keys() == frames.keys()
    themes = {"light": ("#ffffff", style.LIGHT), "dark": ("#14161a", style.DARK)}
    for width, seen in found.items():
        assert seen["page"] <= width
        assert seen["beyond"] == []
        paper, colours = themes["light" if width == PAPER else theme]  # nobody prints on black
        assert [seen["paper"], seen["line"]] == [rgb(paper), rgb(colours[0])]
        assert (seen["slider"] == "none") == (width == PAPER)


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"


def test_the_report_asks_the_network_for_nothing(result: Summary):
    """The browser runs without a name server too; this sees what would only be asked for later."""
    outside_scripts = re.sub(r"(?s)<script>.*?</script>", "", page(result))
    assert "<script" not in outside_scripts
    assert {link for link in re.findall(r'(?:src|href)="(.*?)"', outside_scripts) if link[0] != "#"} == {"data:,"}


def test_the_report_begins_with_the_verdict_and_the_table(result: Summary):
    text = page(result)
    positions = [text.index(s) for s in (html.escape(result.verdict[0].text)[:30], "<table>", 'id="accuracy"')]
    assert positions == sorted(positions)
    for row in result.table():
        assert all(html.escape(cell, quote=False) in html.unescape(text) for cell in row.values())


def test_findings_link_to_charts_that_are_there(result: Summary):
    text = re.sub(r"(?s)<script>.*?</script>", "", page(result))
    links = set(re.findall(r'href="#(.*?)"', text))
    assert links
    assert links <= set(re.findall(r'<section id="(.*?)"', text))
    found = {network.name: " ".join(map(str, network.found)) for network in result.networks}
    assert "vanishing gradients from before training to the end, in 2 of 2 seeds: " in found["sigmoid"]
    for network in result.networks:
        for finding in network.found:
            assert str(finding) in html.unescape(text)
    sound = [network.name for network in result.networks if not network.found]
    assert sound
    assert f"Nothing is found in {', '.join(sound)}." in text


def test_every_drawing_says_its_numbers(result: Summary):
    for chart in charts.charts(result):
        assert chart.numbers
        for _, drawing in chart.drawings:
            assert any(drawing["description"] in text or text in drawing["description"] for text in chart.numbers)
        for line in chart.numbers:
            assert f"<li>{html.escape(line)}</li>" in page(result).replace("&#39;", "&#x27;")


def test_the_pictures_are_pngs(result: Summary):
    assert {p.stem for p in result.directory.glob("*.png")} == CHARTS
    for name in CHARTS:
        data = (result.directory / f"{name}.png").read_bytes()
        assert data.startswith(b"\x89PNG")
        assert int.from_bytes(data[16:20]) > 1200  # legible when projected


# Machado, Oliveira & Fernandes 2009, doi:10.1109/TVCG.2009.113, severity 1: of linear RGB.
EYES = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colours: Sequence[str]) -> np.ndarray:
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB, D65."""
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = rgb @ np.transpose(to_xyz) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize(
    ("colours", "paper"), [(style.LIGHT, "#ffffff"), (style.DARK, "#14161a")], ids=["light", "dark"]
)
def test_colours_are_told_apart_by_all_eyes(colours: Sequence[str], paper: str, eye: str):
    """A difference of 2.3 is just noticeable; Tableau 10's smallest is 7 to a deutan eye, Okabe and Ito's 16."""
    seen = lab(np.clip(linear(colours) @ np.transpose(EYES[eye]), 0, 1))
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
    assert apart[~np.eye(len(colours), dtype=bool)].min() > 30
    luminance = linear([*colours, paper]) @ [0.2126, 0.7152, 0.0722]
    high, low = np.maximum(luminance[:-1], luminance[-1]), np.minimum(luminance[:-1], luminance[-1])
    assert ((high + 0.05) / (low + 0.05)).min() > 2.5


def test_networks_that_share_a_colour_differ_in_dash(tmp_path: Path):
    with Log(tmp_path / "many") as log:
        for i in range(3 * len(style.LIGHT)):
            log.add(f"net {i}", step=0, loss=float(i))
    given = style.styles(Summary.of([tmp_path / "many"])).values()
    assert len(set(given)) == 3 * len(style.LIGHT)


def test_a_sweep_over_an_option_is_drawn(tmp_path: Path):
    with Log(tmp_path) as log:
        for depth in (2, 4):
            log.describe(f"relu {depth}", activation="relu", options={"depth": depth})
            log.add(f"relu {depth}", step=0, loss=1 / depth)
        summary = log.report()
    [chart] = [chart for chart in charts.charts(summary) if chart.name == "loss_by_depth"]
    [(_, drawing)] = chart.drawings
    points = [(line["network"], line["option"], line["value"]) for line in drawing["data"]["values"]]
    assert points == [("relu 2", 2, 0.5), ("relu 2", 4, 0.25)]  # one line, since what is one colour is joined
    assert chart.numbers == ["relu: 0.50 (2), 0.25 (4)"]
    assert (tmp_path / "loss_by_depth.png").read_bytes().startswith(b"\x89PNG")


def written(directory: Path, losses: dict[str, list[list[float]]], **more: Any) -> Summary:
    """The summary of a log of losses at steps 0, 10, ... for each network and seed."""
    with Log(directory, name="made", nouns={"examples": "images"}) as log:
        for network, seeds in losses.items():
            for seed, values in enumerate(seeds):
                for i, loss in enumerate(values):
                    log.add(network, seed=seed, step=10 * i, loss=loss, **more)
    return Summary.of([directory])


def test_divergence_comes_first_and_says_when(tmp_path: Path):
    summary = written(tmp_path / "log", {"a": [[2, 1], [2, 1]], "b": [[2, 1.5], [2, float("nan")]]})
    assert summary.verdict[0].text == "b diverged in 1 of 2 seeds: its loss is not finite from step 10 on."
    assert summary.table()[1]["diverged"] == "1/2"


def test_a_seed_that_stops_when_it_diverges_counts_as_lost(tmp_path: Path):
    """A loop of one's own ends at a NaN. A loss that is finite again, as after a skipped step, has not diverged."""
    losses = {"a": [[2.0, 1, 1], [2, math.nan]], "b": [[2, math.nan, 1], [2, 1, 1]], "c": [[2, math.nan], [math.nan]]}
    summary = written(tmp_path / "log", losses)
    assert [sentence.text for sentence in summary.verdict] == [
        "a diverged in 1 of 2 seeds: its loss is not finite from step 10 on.",
        "c diverged in 2 of 2 seeds: its loss is not finite from the start on.",
        "All have the same held-out loss at step 20: 1.00.",
    ]
    assert [network.diverged for network in summary.networks] == [1, 0, 2]
    assert summary.networks[2].values["loss"] is None


def test_a_lead_over_the_seeds_that_diverged_is_none(tmp_path: Path):
    """Over the seeds that both have, the second is better by far: the mean of the first lacks its worst seed."""
    summary = written(tmp_path / "log", {"a": [[1.0], [1.1], [math.nan]], "b": [[0.8], [0.9], [5.0]]})
    assert "Its lead over b may be chance" in summary.verdict[-1].text


def test_losses_under_zero_are_drawn(tmp_path: Path):
    summary = written(tmp_path / "log", {"a": [[-1.0, -3.0, -5.0]]})
    [chart] = charts.charts(summary)
    low, high = chart.drawings[0][1]["layer"][1]["encoding"]["y"]["scale"]["domain"]
    assert low < -5 < -1 < high


def test_who_is_at_chance_and_whose_units_are_dead(result: Summary):
    said = [sentence.text for sentence in result.verdict]
    assert (
        "Hardly better than guessing in held-out accuracy at step 12, if at all: sigmoid with 11.0% ± 1.4%;"
        in " ".join(said)
    )
    assert "guessing gives 10.0%." in " ".join(said)
    assert said[0].startswith("The gradient of sigmoid vanishes from before training to the end, in 2 of 2 seeds: ")
    assert said[-1].startswith(
        "Best in held-out accuracy at step 12 is tanh with 93.0% ± 1.4%, last sigmoid with 11.0%"
    )


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ({"a": [[1.0], [1.1], [1.2]], "b": [[2.0], [2.1], [2.3]]}, "Its lead over b is more than the spread"),
        ({"a": [[1.0], [1.5], [1.2]], "b": [[1.3], [1.2], [1.4]]}, "Its lead over b may be chance with 3 seeds."),
        ({"a": [[1.0]], "b": [[2.0]]}, "With one seed nothing can be said"),
        ({"a": [[1.0]], "b": [[2.0]], "c": [[1.0]]}, "before training are a and c with 1.00, last b with 2.00."),
    ],
)
def test_the_best_and_whether_it_is_more_than_chance(losses: dict[str, list[list[float]]], said: str, tmp_path: Path):
    [sentence] = [s.text for s in written(tmp_path / "log", losses).verdict]
    assert re.match(r"Best in held-out loss before training (is|are) a (and c )?with 1\.", sentence)
    assert said in sentence


def test_confidence_intervals_are_students(tmp_path: Path):
    """scipy.stats is the oracle: a paired t-test."""
    from scipy import stats

    a, b = [1.0, 1.3, 1.1, 1.6], [1.4, 1.5, 1.6, 1.7]
    summary = written(tmp_path / "log", {"a": [[v] for v in a], "b": [[v] for v in b]})
    one, other = (network.values["loss"] for network in summary.networks)
    assert one is not None
    assert other is not None
    wanted = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert paired(one, other) == pytest.approx((wanted.low, wanted.high))


@pytest.mark.parametrize("columns", [80, 60, 200])
def test_the_terminal_never_cuts_a_table(columns: int, tmp_path: Path, result: Summary):
    names = ["leaky_relu(negative_slope=0.2)", "a"]
    broken = written(tmp_path / "log", {n: [[2, 1, math.nan]] * 11 for n in names}, accuracy=0.1, seconds_per_step=12.3)
    for summary in (result, broken):
        console = Console(file=io.StringIO(), width=columns, force_terminal=False)
        terminal.show(summary, console)
        out = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
        assert max(map(len, out.partition("\nReport: ")[0].splitlines())) <= columns
        assert "…" not in out
        for row in summary.table():
            for cell in list(row.values())[1:]:
                assert cell in out
