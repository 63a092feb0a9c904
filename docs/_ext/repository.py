"""Pages of what there is beside docs/: the examples, each with its lesson, picture and source; names elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measured import table
from reference import write

import jaxact
from jaxact.core.catalog import Source, rows
from jaxact.show.facts import elsewhere

ROOT = Path(__file__).parents[2]
PEERS: tuple[Source, ...] = ("torch", "keras", "transformers")
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)]+)\)")


def generate(app: Any) -> None:
    """Write the pages."""
    source = Path(app.srcdir)
    for peer in PEERS:
        write(source / f"from/_names_{peer}.md", names(peer))
    head, *sections = re.split(r"^## ", (ROOT / "examples" / "README.md").read_text(), flags=re.MULTILINE)
    lessons = dict(section.split("\n", 1) for section in sections)
    pages = []
    for _, name in _LINK.findall(head):
        pages.append(Path(name).stem)
        if name.endswith(".ipynb"):
            notebook = (ROOT / "examples" / name).read_text()
            write(source / "examples" / name, notebook.replace("(README.md)", "(index.md)"))
        else:
            lesson = next((text for title, text in lessons.items() if name in title.split(", ")), "")
            write(source / f"examples/{pages[-1]}.md", _example(name, lesson))
    listed = "\n".join(pages)
    cards = "\n".join(_cards(head, source / "examples"))
    about = head.partition("\n|")[0]
    grid = f"::::{{grid}} 1 2 2 3\n:gutter: 3\n\n{cards}\n::::"
    write(source / "examples/index.md", f"{about}\n{grid}\n\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n")


def _cards(head: str, pictures: Path) -> Iterator[str]:
    """A card an example of the table: its picture, if it has one, and what it is about."""
    for line in head.splitlines():
        for _, name in _LINK.findall(line):
            stem = Path(name).stem
            picture = f":img-top: {stem}.svg\n" if (pictures / f"{stem}.svg").exists() else ""
            about = line.rpartition(" | ")[2].removesuffix(" |")
            yield f":::{{grid-item-card}} {name}\n:link: {stem}\n:link-type: doc\n{picture}\n{about}\n:::\n"


def _example(name: str, text: str) -> str:
    code = f"```{{literalinclude}} ../../examples/{name}\n:language: python\n```"
    return f"# {name}\n\n{_linked(text)}\n## The program\n\n{code}\n"


def _linked(text: str) -> str:
    """The links of examples/README.md as they are from docs/examples."""

    def link(found: re.Match[str]) -> str:
        said, target = found.groups()
        if "/" in target or "." not in target:
            return f"`{target.removeprefix('../')}`" if target.startswith("../") else found[0]
        return f"[{said}]({Path(target).stem}.{'ipynb' if target.endswith('.ipynb') else 'md'})"

    return _LINK.sub(link, text).replace("](../docs/examples/", "](")


def names(peer: Source) -> str:
    """A table of a peer's names, and the call here that means the same."""
    lines = []
    for row in rows():
        for there, call in elsewhere(row, peer).items():
            assert all(jaxact.get(name, peer) for name in there.split(", "))
            lines.append([f"`{there.replace(', ', '`, `')}`", f"[`{call}`](../functions/{row.name}.md)"])
    return "\n".join(table(["there", "here"], sorted(lines))[1:])


def setup(app: Any) -> dict[str, Any]:
    """Generate before anything is read."""
    app.connect("builder-inited", generate)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
