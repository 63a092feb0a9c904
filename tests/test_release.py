"""A release is of one version, whichever file tells it."""

import pathlib
import re
import subprocess

import pytest

import jaxact

ROOT = pathlib.Path(__file__).parent.parent


def test_the_files_tell_one_version():
    assert f"\nversion: {jaxact.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {jaxact.__version__} (" in (ROOT / "CHANGELOG.md").read_text()


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
