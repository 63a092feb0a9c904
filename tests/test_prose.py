"""The prose of README, docs and docstrings is plain: no sentence that a reader has to read twice.

proselint, in .ci/run, knows clichés and words; it knows nothing of the shapes below.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for folder in (".", "docs", "docs/guides", "docs/from", "examples")
    for page in ROOT.glob(f"{folder}/*.md")
    if not page.name.startswith("_")
)
MODULES = sorted(ROOT.glob("jaxact/**/*.py"))
LONGEST = 45
"""Words in a sentence."""

_WHO = "row|channel|head|entry|function|layer|family|framework|type|unit|case|number"
SHAPES = {
    "a word that refers back": r"(?i)\b(likewise|respectively|theirs|(the|these|those) (former|latter))\b",
    "a legal word": r"(?i)\b(there|where|here)(of|by|in|upon|with)\b",
    "an inverted sentence": r"(?:^|[.:;] )Of (?!course)\w+",
    "'a' for 'per'": rf"\b(number|value|slope|bit|byte|file|page|line|row|one|parameter)s? an? ({_WHO})\b",
    "a nickname": r"\b(their|its) (kin|like)\b",
}


def _sentences(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n|\n\s*(?:[-*] |\d\. |\w+: )", text):
        yield from re.split(r"(?<=[.!?:;])[\"')*]*\s+", " ".join(paragraph.split()))


def _prose(page: str) -> str:
    """A page of Markdown without code, tables, directives and targets of links."""
    page = re.sub(r"\A---\n.*?\n---\n|^(```+).*?^\1$", "", page, flags=re.S | re.M)
    page = re.sub(r"^[|:#!].*$", "", page, flags=re.M)
    return re.sub(r"`[^`]*`", "code", re.sub(r"\]\([^)]*\)", "]", page))


def _docstrings(code: str) -> str:
    nodes = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]
    texts = (re.sub(r">>> .*(\n.+)*|^\|.*", "", ast.get_docstring(node) or "", flags=re.M) for node in nodes)
    return re.sub(r"`[^`]*`", "code", "\n\n".join(texts))


@pytest.mark.parametrize("path", [*PAGES, *MODULES], ids=lambda path: str(path.relative_to(ROOT)))
def test_prose_is_plain(path):
    text = path.read_text()
    for sentence in _sentences(_docstrings(text) if path.suffix == ".py" else _prose(text)):
        assert len(sentence.split()) <= LONGEST, f"a sentence of {len(sentence.split())} words: {sentence}"
        for what, shape in SHAPES.items():
            assert not re.search(shape, sentence), f"{what}: {sentence}"
