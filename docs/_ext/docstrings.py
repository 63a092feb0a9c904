"""jaxact's docstrings are plain text; what reStructuredText would read as markup in their formulas is escaped here."""

import re
from typing import Any

_MARKUP = re.compile(r"[\\*|]|_(?!\w)")
_CODE = re.compile(r"`+([^`]+)`+")


def plain(lines: list[str]) -> list[str]:
    """Escape markup outside of `code`, which becomes literal; examples stay as they are."""
    made, example = [], False
    for line in lines:
        example = line.lstrip().startswith((">>>", "...")) or (example and bool(line.strip()))
        if example:
            made.append(line)
            continue
        pieces, end = [], 0
        for code in _CODE.finditer(line):
            joined = line[code.end() : code.end() + 1].isalnum()  # as in the plural of a name
            pieces += [_MARKUP.sub(r"\\\g<0>", line[end : code.start()]), f"``{code[1]}``" + "\\ " * joined]
            end = code.end()
        made.append("".join([*pieces, _MARKUP.sub(r"\\\g<0>", line[end:])]))
    return made


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = plain(lines)


def setup(app: Any) -> dict[str, Any]:
    """Process each docstring before Napoleon does."""
    app.connect("autodoc-process-docstring", _process, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
