"""Every example runs in its quick form, without a warning."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path: Path, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-W", "error", path, "--quick"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    if path.stem.startswith("train_digits"):
        accuracies = [float(a) for a in re.findall(r"accuracy ([\d.]+)%", done.stdout)]
        assert len(accuracies) == 3
        assert accuracies[-1] > 80  # guessing gives 10


def test_the_loops_to_copy_are_short():
    loops = [path for path in EXAMPLES if path.stem.startswith("train_digits")]
    assert len(loops) == 2
    assert all(len(path.read_text().splitlines()) < 80 for path in loops)
