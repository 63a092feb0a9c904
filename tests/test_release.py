"""A release is of one version, whichever file tells it."""

import pathlib
import re
import subprocess
import tomllib

import pytest

import jaxact

ROOT = pathlib.Path(__file__).parent.parent


def test_the_files_tell_one_version():
    assert f"\nversion: {jaxact.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {jaxact.__version__} (" in (ROOT / "CHANGELOG.md").read_text()


def test_badges_say_what_pyproject_says():
    """They are files of the repository, so that nothing is asked over the network, and nothing else keeps them true."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tested = [c.rpartition(" ")[2] for c in project["classifiers"] if "Python :: 3." in c]
    jax = next(d.partition(">=")[2] for d in project["dependencies"] if d.startswith("jax>="))
    assert project["requires-python"] == f">={tested[0]}"
    said = {"python": f"Python: {tested[0]} to {tested[-1]}", "jax": f"JAX: {jax} or newer"}
    said |= {"license": f"license: {project['license']}", "types": "types: pyright"}
    readme = (ROOT / "README.md").read_text()
    for name, text in said.items():
        picture = ROOT / f"docs/_static/badges/{name}.svg"
        assert f'aria-label="{text}"' in picture.read_text()
        assert all(f">{part}</text>" in picture.read_text() for part in text.split(": "))
        assert f"](docs/_static/badges/{name}.svg)" in readme


@pytest.mark.parametrize("date", ["2026-12-01", "unreleased"])
@pytest.mark.parametrize("tag", ["v{}", "{}", "v{}.1", "v9.9.9"])
def test_a_tag_has_to_be_the_version_and_its_changes_dated(tag, date, tmp_path):
    for name in (".ci/check-tag", "jaxact/__init__.py", "CITATION.cff", "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        head = re.escape(f"## {jaxact.__version__} (") + "[^)]*"
        text = re.sub(head, f"## {jaxact.__version__} ({date}", (ROOT / name).read_text())
        (tmp_path / name).write_text(text)
    check = ["bash", str(tmp_path / ".ci/check-tag"), tag.format(jaxact.__version__)]
    passed = subprocess.run(check, capture_output=True, check=False).returncode == 0
    assert passed == ((tag, date) == ("v{}", "2026-12-01"))
