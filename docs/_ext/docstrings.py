"""jaxact's docstrings are plain text; what reStructuredText would read as markup in their formulas is escaped here."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

_MARKUP = re.compile(r"[\\*|]|_(?!\w)")
_CODE = re.compile(r"`+([^`]+)`+")


def plain(lines: list[str]) -> list[str]:
    """Escape markup outside of `code`, which becomes literal; examples stay as they are."""
    made: list[str] = []
    for example, group in itertools.groupby(zip(lines, _examples(lines), strict=True), key=lambda pair: pair[1]):
        text = "\n".join(line for line, _ in group)
        made += (text if example else _escaped(text)).split("\n")
    return made


def _examples(lines: list[str]) -> Iterator[bool]:
    """Whether each line is of an example: from >>> to the next empty line."""
    example = False
    for line in lines:
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        yield example


def _escaped(text: str) -> str:
    pieces, end = [], 0
    for code in _CODE.finditer(text):
        joined = text[code.end() : code.end() + 1].isalnum()  # as in the plural of a name
        pieces += [_MARKUP.sub(r"\\\g<0>", text[end : code.start()]), f"``{code[1]}``" + "\\ " * joined]
        end = code.end()
    return "".join([*pieces, _MARKUP.sub(r"\\\g<0>", text[end:])])


def _before(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = plain(lines)
    app.attribute_lines = list(lines)


def _after(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Napoleon takes what stands before a colon in an attribute's sentence for its type."""
    if what in ("attribute", "property", "data"):
        lines[:] = app.attribute_lines


def setup(app: Any) -> dict[str, Any]:
    """Process each docstring before Napoleon does, at priority 500, and attributes after it too."""
    app.connect("autodoc-process-docstring", _before, priority=100)
    app.connect("autodoc-process-docstring", _after, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
