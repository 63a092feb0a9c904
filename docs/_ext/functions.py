"""A page for each function, and their index, made from the catalog, with charts that one copy of Vega draws."""

import html
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import altair as alt
import formulas
import measured
import numpy as np
from advice import USE
from reference import write
from sphinx.util import logging

from jaxact import propagation
from jaxact.compare.report.page import bundle
from jaxact.compare.report.style import CONFIG
from jaxact.core.catalog import Row, rows
from jaxact.show.curves import ORDERS, Curve, curve, settings
from jaxact.show.facts import facts

FIELDS = ("f", "slope", "curvature")
"""What f, f' and f'' are called in a chart's data."""
KINDS = {
    "pointwise": "elementwise", "gated": "gated unit", "axis": "along an axis", "random": "elementwise, with a key"
}  # fmt: skip
_log = logging.getLogger(__name__)


def generate(app: Any) -> None:
    """Write the pages, and what they share into _static."""
    source = Path(app.srcdir)
    drawn = {row.name: curve(row) for row in rows()}
    for row in rows():
        write(source / f"functions/{row.name}.md", page(row, drawn[row.name]))
    write(source / "functions/index.md", index(drawn))
    write(source / "_static/vega.js", f"(() => {{{bundle()}}})();\n")  # a scope of its own, beside the theme's scripts
    shared = json.dumps(template().to_dict() | {"background": "transparent"}, separators=(",", ":"))
    write(source / "_static/specification.js", f"const SPECIFICATION = {shared};\n")


def page(row: Row, drawn: Curve) -> str:
    """The page of a function."""
    lines = [f"# {row.name}", "", *_formula(row, drawn), *_chart(row, drawn), "## Facts", ""]
    said = {name: _text(text) for name, text in {**facts(row), **_initialisation(row)}.items()}
    lines += [part for name, text in said.items() for part in (name, f": {text}", "")]
    lines += ["## When to use it, and when not", "", *_advice(row)]
    sections = {
        "Accuracy": [*measured.by_device(row.name), *measured.accuracy(row.name)],
        "Memory": measured.memory(row.name),
        "Time": measured.speed(row.name),
    }
    about = {
        "Accuracy": "A unit is an ulp of max(|f|, |x f'| / 8); see [how accuracy is proven](../guides/accuracy.md). "
        f"Measured with {measured.environment(measured.results('accuracy').get('environment', {}))}.",
        "Memory": "The table counts the arrays of the hidden size that the compiled backward pass of a block keeps "
        "because of the function; see [what memory depends on](../guides/memory.md).",
        "Time": "The table has the time of one jitted call on a CPU, and its ratio to other libraries' times; see "
        "[the benchmarks](../benchmarks.md).",
    }
    for title, table in sections.items():
        if table:
            lines += ["", f"## {title}", "", about[title], *table]
    lines += ["", "## Reference", "", "```{eval-rst}", f".. autofunction:: jaxact.{row.name}", ""]
    for alias in row.aliases:
        lines += [f".. py:data:: jaxact.{alias}", "", f"   The same object as :py:func:`jaxact.{row.name}`.", ""]
    modules = ", ".join(f":py:class:`jaxact.{f}.{row.module}`" for f in ("nnx", "linen", "equinox"))
    return "\n".join([*lines, f"As a module: {modules}.", "```", ""])


def _initialisation(row: Row) -> dict[str, str]:
    """The initialisation that keeps the signal's variance, for an elementwise function with defaults."""
    if row.kind != "pointwise" or settings(row):
        return {}
    gain = propagation.gain(row.function)
    return {"initialisation": f"jaxact.propagation.init_for(jaxact.{row.name}), with gain {gain:.4f}"}


def _text(text: str) -> str:
    """Plain text in Markdown."""
    return "".join(f"\\{c}" if c in "*_|<>[]$`#" else c for c in text)


def _formula(row: Row, drawn: Curve) -> Iterator[str]:
    """Formula and derivatives, rendered if they are known, with what their symbols are."""
    known: list[tuple[str, str]] = []
    if row.kind in ("pointwise", "random") and row.name in formulas.POINTWISE:
        for order, name in enumerate(("f(x)", "f'(x)", "f''(x)")):
            formula = formulas.Formula(formulas.POINTWISE[row.name], order)
            known.append((name, formula.latex()))
            _check(row, formula, drawn, order)
        if other := formulas.POINTWISE.get(f"{row.name}(approximate=False)"):
            for order, name in enumerate(("f(x)", "f'(x)", "f''(x)")):
                known.append((name, rf"{formulas.Formula(other, order).latex()} \quad \text{{(the exact form)}}"))
    elif row.name in formulas.GATED:
        known.append(("f(g, v)", formulas.Formula(formulas.GATED[row.name]).latex()))
        for by, symbol in (("gate", "g"), ("value", "v")):
            name = rf"\frac{{\partial f}}{{\partial {symbol}}}"
            known.append((name, formulas.Formula(formulas.GATED[row.name], 1, by).latex()))
    for name, latex in known:
        yield f"$$ {name} = {latex} $$\n"
    for latex in formulas.BY_HAND.get(row.name, ()):
        yield f"$$ {latex} $$\n"
    if not known and row.name not in formulas.BY_HAND:
        yield f"`{row.formula}`\n"
    text = "".join(latex for _, latex in known)
    said = [meaning for symbol, meaning in formulas.WORDS.items() if symbol in text]
    if known or row.kind == "gated":
        said += [f"${formulas.SYMBOLS[p]}$ is `{p}`" for p in row.parameters if p in formulas.SYMBOLS]
    if row.kind == "gated":
        said.append("$g$ is the gate and $v$ the value")
    if said:
        yield f"Here {', '.join(said)}.\n"


def _check(row: Row, formula: formulas.Formula, drawn: Curve, order: int) -> None:
    """Warn, which fails the build, if a formula is not what the function computes."""
    defaults = {k: v for k, v in row.parameters.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    values = {**defaults, **settings(row)}
    wrong = formulas.disagreement(formula, drawn.orders[order], x=drawn.x, **values)
    if wrong:
        _log.warning("the formula of %s is not what is computed, %s: %s", row.name, ORDERS[order], wrong)


def _chart(row: Row, drawn: Curve) -> Iterator[str]:
    """The chart, which the page's script draws; its data come with the page."""
    data = json.dumps(points(drawn), separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    yield "```{raw} html"
    yield f'<figure class="curves"><div class="chart" role="img" aria-label="{row.name}, f, f\' and f\'\' from '
    yield f'{drawn.x[0]:g} to {drawn.x[-1]:g}"></div><script type="application/json">{data}</script>'
    yield f"<figcaption>f(x) = {html.escape(drawn.setting)}. A dot is the value at a kink. Point at a chart to read its"
    yield "values.</figcaption></figure>"
    yield "```\n"


def _advice(row: Row) -> Iterator[str]:
    use, avoid = USE.get(row.name, ("", ""))
    if use:
        yield f"**Use it** {use[0].lower()}{use[1:]}\n"
    if avoid:
        yield f"**Look elsewhere** {avoid[0].lower()}{avoid[1:]}\n"
    said = []
    if row.kind == "pointwise":
        if row.slope_limits == (0.0, 0.0):
            said.append("Its slope goes to 0 on both sides, so in a deep stack without normalisation gradients vanish.")
        elif row.slope_limits[0] == 0 and row.smoothness < math.inf:
            said.append("Its slope is 0 on the left, so a unit is dead if all its inputs are there.")
        if row.smoothness < 2:
            said.append("f'' jumps or is 0, so the function does not suit losses that contain second derivatives.")
    if row.keeps == 0:
        said.append("Its backward pass keeps nothing that the next layer does not keep anyway.")
    if said:
        yield " ".join(said) + "\n"


def points(drawn: Curve) -> list[dict[str, Any]]:
    """The data of a chart: a line a point, with a `dot` where a line is a kink."""
    lines = zip(drawn.x, drawn.piece, *drawn.orders, strict=True)
    made = [_point(x, values, piece=int(piece)) for x, piece, *values in lines]
    return made + [_point(x, values, dot=True) for x, *values in drawn.kinks]


def _point(x: float, values: Any, **more: Any) -> dict[str, Any]:
    return {"x": _short(x)} | {field: _short(v) for field, v in zip(FIELDS, values, strict=False)} | more


def _short(value: float) -> float | None:
    """Four digits, and 0 for what is only rounding; JSON has no infinity."""
    return (float(f"{value:.4g}") if abs(value) > 1e-6 else 0.0) if math.isfinite(value) else None


def template() -> alt.HConcatChart:
    """The chart of one function, whichever: f, f' and f'' beside each other, each on its own scale."""
    near = alt.selection_point(nearest=True, on="pointermove", clear="pointerout", fields=["x"], empty=False)
    panels = [_panel(order, near) for order in range(len(ORDERS))]
    return alt.concat(*panels, columns=3, data=alt.NamedData("points"), spacing=40, bounds="flush").configure(**CONFIG)


def _panel(order: int, near: alt.Parameter) -> Any:
    field, colour = FIELDS[order], f"var(--curve-{order})"
    base = (
        alt.Chart()
        .mark_point(color=colour, filled=True, size=50, opacity=1)
        .encode(
            alt.X("x:Q", title=None, scale=alt.Scale(nice=False), axis=alt.Axis(tickCount=5, grid=False)),
            alt.Y(f"{field}:Q", title=None, axis=alt.Axis(tickCount=5, format=".3~r")),
        )
    )
    zero = alt.Chart(alt.InlineData(values=[{}])).mark_rule(color="var(--soft)")
    line = base.mark_line(color=colour, strokeWidth=2.5).encode(detail="piece:N")
    values = [
        alt.Tooltip(f"{f}:Q", title=n, format=".4~r") for f, n in zip(("x", *FIELDS), ("x", *ORDERS), strict=True)
    ]
    seen = alt.when(near) if order == 2 else alt.when("datum.dot").then(alt.value(1)).when(near)
    # Kinks and cursor are one layer: where there are no kinks, a layer of theirs has no data and a scale no extent.
    dots = base.encode(opacity=seen.then(alt.value(1)).otherwise(alt.value(0)), tooltip=values)
    layers = [zero.encode(y=alt.datum(0)), zero.encode(x=alt.datum(0)), line.transform_filter("!datum.dot")]
    layers.append(dots.add_params(near) if order == 0 else dots)
    title = alt.TitleParams(
        ORDERS[order], color=colour, anchor="start", fontSize=14, fontWeight="normal", offset=6, frame="group"
    )
    return alt.layer(*layers).properties(width=190, height=150, title=title)


def index(drawn: dict[str, Curve]) -> str:
    """The list of all functions, which a few lines of script filter by name, alias, family, property and peer."""
    cards = "".join(_card(row, drawn[row.name]) for row in rows())
    pages = "\n".join(row.name for row in rows())
    return f"""# Functions

{len(drawn)} activation functions, each with its formula, derivatives, facts and measurements. Search by any name that
another library gives it, by family or by property: `swish`, `Hardtanh`, `gelu_new`, `smooth`, `gated`, `keeps nothing`.

```{{raw}} html
<p><input id="find" type="search" placeholder="Search: swish, Hardtanh, smooth, torch" aria-label="Search functions">
<span id="found" role="status"></span></p>
<div class="cards">{cards}</div>
```

```{{toctree}}
:hidden:

{pages}
```
"""


def _card(row: Row, drawn: Curve) -> str:
    words = {row.name, row.module, row.family, KINDS[row.kind], *row.aliases}
    words |= {name for source in row.elsewhere.values() for name in source} | set(row.elsewhere) | set(properties(row))
    found = html.escape(" ".join(sorted(words)).lower())
    aliases = f" = {', '.join(row.aliases)}" if row.aliases else ""
    return (
        f'<a class="card" href="{row.name}.html" data-words="{found}">{_sketch(drawn)}<b>{row.name}{aliases}</b>'
        f"<span>{html.escape(row.formula)}</span><small>{', '.join((row.family, *properties(row)))}</small></a>"
    )


def properties(row: Row) -> list[str]:
    """What one may search for, in words."""
    said = [KINDS[row.kind]]
    if row.kind == "pointwise":
        said.append("smooth" if row.smoothness == math.inf else "with kinks" if row.kinks else "piecewise")
        said.append("monotone" if row.monotone else "not monotone")
        said += ["odd"] * row.odd + ["saturates"] * (row.slope_limits == (0.0, 0.0))
        said.append("bounded" if all(map(math.isfinite, row.range)) else "unbounded")
    return said + ["keeps nothing"] * (row.keeps == 0) + ["parameters"] * bool(row.parameters)


def _sketch(drawn: Curve) -> str:
    """F and f' as a small picture."""
    shown = np.clip(np.nan_to_num(drawn.orders[:2]), -20, 20)
    low, high = np.clip((shown.min(), shown.max()), (-3.0, 0.3), (-0.3, 3.0))
    across = np.interp(drawn.x, (drawn.x[0], drawn.x[-1]), (2, 98))
    paths = ""
    for order in (1, 0):
        up = 46 - 44 * (shown[order] - low) / (high - low)
        starts = np.diff(drawn.piece, prepend=-1) != 0
        d = "".join(f"{'M' if s else 'L'}{x:.1f} {y:.1f}" for s, x, y in zip(starts, across, up, strict=True))
        paths += f'<path class="curve-{order}" d="{d}"/>'
    zero = 46 + 44 * low / (high - low)
    return (
        f'<svg viewBox="0 0 100 48" aria-hidden="true"><path class="axis" d="M2 {zero:.1f}H98M50 2V46"/>{paths}</svg>'
    )


def _scripts(app: Any, name: str, template: str, context: Any, doctree: Any) -> None:
    """Add the scripts to the pages that need them alone."""
    if name == "functions/index":
        app.add_js_file("find.js", loading_method="defer")
    elif name.startswith("functions/"):
        for script in ("vega.js", "specification.js", "chart.js"):
            app.add_js_file(script, loading_method="defer")


def setup(app: Any) -> dict[str, Any]:
    """Generate before anything is read."""
    app.connect("builder-inited", generate)
    app.connect("html-page-context", _scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
