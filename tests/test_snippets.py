"""What README and docs show runs: every block of Python, and every command of jaxact parses.

The blocks of a page share their names, from top to bottom, as its reader would run them. Pages with {code-cell} are
executed by the build of the site instead, which fails if a cell does.
"""

import re
import shlex
from pathlib import Path

import pytest
import tyro

from jaxact.cli import COMMANDS

pytestmark = [pytest.mark.quickly_compiled, pytest.mark.usefixtures("no_pictures")]

ROOT = Path(__file__).parent.parent
GENERATED = ("functions", "reference", "examples", "_build")
WRITTEN = (page for page in (ROOT / "docs").rglob("*.md") if page.relative_to(ROOT / "docs").parts[0] not in GENERATED)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(WRITTEN)]


def blocks(page: Path, language: str) -> list[str]:
    """The code of a page in a language; indentation is that of the fence."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def title(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=title)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert "{code-cell}" not in page.read_text(), (
        "a page is executed by the build or here: make this block a {code-cell}"
    )
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for block in blocks(page, "python"):
        exec(compile(block, title(page), "exec"), names)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "py")], ids=title)
def test_code_of_other_libraries_is_python(page: Path):
    for block in blocks(page, "py"):
        compile(block, title(page), "exec")


def commands() -> list[tuple[str, ...]]:
    """The words of every command of jaxact in README and docs."""
    lines = (line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines())
    found = [
        re.search(r"\bjaxact ((?:compare|report|list|show|verify)\b[^&#]*?)\"?\s*(?:#.*)?$", line) for line in lines
    ]
    return sorted({tuple(shlex.split(each[1])) for each in found if each})


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_parse(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_file.py").write_text("def make(activation): ...\n")
    name, *rest = words
    if "--resume" in rest:  # there is nothing to go on from
        at = rest.index("--resume")
        del rest[at : at + 2]

    parse = COMMANDS[name].parse or (lambda args: tyro.cli(COMMANDS[name].form, args=args))
    assert parse(args=rest)


def test_there_are_commands():
    assert len(commands()) >= 8
