"""Formulas as MathML, made while the site is built: every browser shows them, without a script or a network."""

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

# A prime is raised already in most fonts: as a superscript it would be too small to see.
_PRIME = re.compile(r"<msup>(<mi>[^<]*</mi>)<mi>((?:&#x0203[2-4];)+)</mi></msup>")


def mathml(latex: str, display: str = "inline") -> str:
    """A formula as MathML."""
    return _PRIME.sub(r'<mrow>\1<mo lspace="0" rspace="0">\2</mo></mrow>', convert(latex, display=display))


def inline(self: Any, node: nodes.math) -> None:
    """Write a formula within a line."""
    self.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    """Write a formula of its own line, which scrolls where the page is narrower."""
    self.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer that `html_math_renderer` names."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
