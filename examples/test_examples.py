"""Every example runs in its quick form, without a warning, and its lesson holds there.

`pytest examples` runs them; plain `pytest` does not, since they take minutes.
"""

import contextlib
import importlib.util
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import jax
import pytest
import tyro

from tests import forked
from tests.conftest import without_pictures

NONE = ("test_examples.py", "chartfile.py")
EXAMPLES = sorted(path for path in Path(__file__).parent.glob("*.py") if path.name not in NONE)
LOOPS = [path for path in EXAMPLES if path.stem.startswith("train_digits")]
CHARTS = [path for path in EXAMPLES if "(ChartFile)" in path.read_text()]


def run(path: Path, directory: Path) -> str:
    """Run it as a process of its own and return what it prints."""
    said = directory / "said"
    codes = forked.end([forked.start(said, script, path, directory)], within=600)
    assert codes == [0], (directory / "stderr").read_text()
    printed = said.read_text()
    said.unlink()
    return printed


def script(path: Path, directory: Path) -> None:
    """What `python path --quick` does. Its lesson does not depend on LLVM's optimisations, a third of the time.

    Nor does a comparison's on the pictures of its report, which test_compare_report.py looks at.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    os.chdir(directory)
    os.dup2(os.open("stderr", os.O_CREAT | os.O_WRONLY), 2)  # progress bars
    sys.argv, sys.path[:0] = [str(path), "--quick"], [str(path.parent)]
    with contextlib.nullcontext() if path in CHARTS else without_pictures():
        runpy.run_path(str(path), run_name="__main__")


def rows(printed: str, *names: str) -> list[list[float]]:
    """The numbers of the table's rows that start with these names."""
    lines = [next(line for line in printed.splitlines() if line.startswith(name)) for name in names]
    return [
        [float(n) for n in re.findall(r"\d+\.\d+(?:e[+-]\d+)?", line.removeprefix(name))]
        for line, name in zip(lines, names, strict=True)
    ]


def check_train_digits(printed: str) -> None:
    accuracies = [float(a) for a in re.findall(r"accuracy ([\d.]+)%", printed)]
    assert len(accuracies) == 3
    assert accuracies[-1] > 80  # guessing gives 10


def check_calibration(printed: str) -> None:
    """A temperature over 1 makes the softmax head less sure, better calibrated, and no prediction another."""
    before, after = rows(printed, "softmax  before", "softmax  after")
    (_, accuracy, _, confidence, _, error, _, nll, _), (t, same, _, less, _, smaller, _, lower, _) = before, after
    assert t > 1
    assert same == accuracy
    assert less < confidence
    assert smaller < error
    assert lower < nll
    assert len(set(re.findall(r"accuracy (\S+) -> (\S+),", printed)[0])) == 1


def check_class_imbalance(printed: str) -> None:
    """Class weights and a moved threshold find more eights; the threshold changes nothing of the PR-AUC."""
    plain, moved, weighted = rows(printed, "relu ", "relu, threshold moved", "relu, class weights")
    assert moved[2] > plain[2]
    assert weighted[2] > plain[2]
    assert moved[6:] == plain[6:]


def check_initialisation(printed: str) -> None:
    """ReLU learns from He's weights, which match it in all layers but the first, and not from small ones."""
    naive, he, matched = (row[0] for row in rows(printed, "relu naive", "relu he", "relu matched"))
    assert min(he, matched) > naive + 30
    assert "The gradient of relu naive vanishes" in printed
    assert "report.html" in printed


def check_batch_norm(printed: str) -> None:
    """BatchNorm makes up for small weights."""
    plain, normalised = (row[0] for row in rows(printed, "relu naive plain", "relu naive batch_norm"))
    assert plain + 30 < normalised
    assert "The gradient of relu naive plain vanishes" in printed


def check_deep_plain_network(printed: str) -> None:
    """What theory says of sigmoid's gradient is measured; shaped leaky ReLU learns most."""
    accuracies = [float(a) for a in re.findall(r"(\d+\.\d)% for", printed)]
    assert accuracies[2] > accuracies[0] + 30
    assert "The gradient of sigmoid vanishes from before training" in " ".join(printed.split())


def check_save_and_load(printed: str) -> None:
    for start, trained, loaded in rows(printed, "1      negative_slope", "2      beta", "4      alpha"):
        assert trained != start
        assert loaded == trained
    assert "logits are bit for bit" in printed


def check_glu_transformer(printed: str) -> None:
    """Differences are paired, with relu's own; the table has Shazeer's differences beside them."""
    relu, swiglu = rows(printed, "relu ", "swiglu ")
    assert relu[3:6] == [0, 0, 0]
    assert abs(abs(swiglu[1] - relu[1]) - swiglu[3]) < 0.0021  # of numbers printed to 0.001
    assert swiglu[-1] == 0.053
    assert "report: " in printed


def check_width(printed: str) -> None:
    """In the standard parametrisation the first update of every kernel is too large in a wide model; in muP nothing."""
    kernels = {f"{name}_{i}/kernel" for name in ("qkv", "out", "up", "down") for i in (0, 1)} | {"readout/kernel"}
    assert set(re.findall(r"step 0, update +(\S+)", printed)) == kernels
    assert "muP: 0 of " in printed


def check_swap_your_model(printed: str) -> None:
    """Every activation is exchanged, gradients stay, and the scanned transformer takes less memory."""
    apart = [float(number) for number in re.findall(r"gradients differ by (\S+) of", printed)]
    assert len(apart) == 4
    assert max(apart) < 1e-5
    assert "left" not in printed
    ((before, after), *_) = re.findall(r"largest entry; (\S+) -> (\S+) MiB", printed)
    assert float(after) < 0.8 * float(before)


CHECKS = {name.removeprefix("check_"): check for name, check in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path: Path, tmp_path: Path):
    printed = run(path, tmp_path)
    CHECKS.get(path.stem.removesuffix("_linen"), lambda printed: None)(printed)
    if path in CHARTS:
        assert len(re.findall(r"^Lesson: .*\d", printed, re.MULTILINE)) == 1
        (written,) = (f for f in tmp_path.iterdir() if f.suffix in (".png", ".html"))
        assert f"wrote {written.name}\n" in printed
    if path.stem == "train_digits_linen":  # the cheapest that trains stands for all: the same seed, the same figures
        (tmp_path / "again").mkdir()
        assert run(path, tmp_path / "again") == printed


@pytest.mark.parametrize("path", CHARTS, ids=lambda path: path.stem)
def test_command_line(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """--help exits with 0; with 2 does a chart that exists, or that can't be written."""
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)  # where dataclasses look their names up
    spec.loader.exec_module(module)
    config = next(iter(typing.get_type_hints(module.main).values()))

    def exit_code(*words: str) -> int | str | None:
        with pytest.raises(SystemExit) as exit:
            tyro.cli(config, args=words)
        return exit.value.code

    assert exit_code("--help") == 0
    assert "--quick" in capsys.readouterr().out
    Path("here.png").touch()
    for words, message in [
        (["--out", "here.png"], "exists"),
        (["--out", "chart.txt"], ".svg"),
        (["--out", "here.png/chart.png"], "can't be written"),
        (["--quikc"], "quikc"),
    ]:
        assert exit_code(*words) == 2
        assert message in re.sub(r"[\s│]+", " ", capsys.readouterr().err)
    assert tyro.cli(config, args=["--out", "here.png", "--overwrite"]).overwrite


def test_the_tour_runs(tmp_path: Path):
    """As Jupyter runs it, and every cell gives what it gives in the file, text or picture."""
    written = Path(__file__).with_name("tour.ipynb")
    executed = tmp_path / "tour.ipynb"
    shutil.copy(written, executed)
    execute = "from nbclient.cli import main; main()"
    quickly = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "true"}
    words = [sys.executable, "-c", execute, executed, "--inplace"]
    done = subprocess.run(words, capture_output=True, text=True, env=quickly)
    assert done.returncode == 0, done.stderr

    def outputs(path: Path) -> list[set[str]]:
        cells = json.loads(path.read_text())["cells"]
        assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")
        return [{k for o in cell.get("outputs", []) for k in o.get("data", [o.get("name")])} for cell in cells]

    assert outputs(executed) == outputs(written)
    assert sum("image/png" in cell for cell in outputs(written)) == 3
    assert written.stat().st_size < 400_000


def test_the_loops_to_copy_are_short():
    assert len(LOOPS) == 2
    assert all(len(path.read_text().splitlines()) < 80 for path in LOOPS)


def test_examples_are_short():
    assert all(len(path.read_text().splitlines()) < 150 for path in EXAMPLES)
