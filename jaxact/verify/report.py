"""The results of a verification as a table of 80 columns, and the histograms of errors as a page and a picture."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from jaxact.core.files import replace
from jaxact.verify.facts import EDGES
from jaxact.verify.results import ORDERS, Result, Verification

if TYPE_CHECKING:
    import altair

_SHORT = ("f", "f'", "f''")
_BARS = " ▁▂▃▄▅▆▇█"
_HALVES = {"bfloat16": "65,028", "float16": "63,490"}
"""How many numbers of a 16-bit type are tried."""
BINS = (*(f"≤ {edge:g}" for edge in EDGES), f"> {EDGES[-1]:g}")
"""The labels of the histogram's bins, in ulp. The first bin has the correctly rounded results."""


def tables(found: Verification) -> Iterator[Table]:
    """One table per type, with one line per function and derivative: how many results are misrounded, and jax.nn's."""
    theirs = {(r.function, r.dtype, r.order, r.way): r for r in found.results if r.by != "jaxact"}
    for dtype in dict.fromkeys(r.dtype for r in found.results):
        title = f"\n{dtype} on {found.environment['device']}"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("function", overflow="fold")
        for name in ("missed", "ulp", "units", "0, NaN", "jax.nn"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("errors", no_wrap=True)
        for r in found.results:
            if r.dtype == dtype and r.by == "jaxact" and r.way != "fused":
                table.add_row(*_line(r, theirs.get((r.function, r.dtype, r.order, r.way))))
        yield table


def _line(r: Result, other: Result | None) -> list[str]:
    way = "" if r.way == "alone" else f", {r.way}"
    return [
        f"{r.function} {_SHORT[r.order]}{way}",
        _missed(r),
        _number(r.facts.ulp),
        f"{_number(r.facts.worst)}{'!' if r.missed else ''}",
        f"{r.facts.zeros}, {r.facts.nans}" if r.facts.zeros or r.facts.nans else "",
        "" if other is None else _missed(other),
        bars(r.facts.histogram),
    ]


def bars(histogram: tuple[int, ...]) -> str:
    """A histogram as eight small bars of logarithmic height."""
    most = max(max(histogram).bit_length(), 1)
    return "".join(_BARS[-(-n.bit_length() * (len(_BARS) - 1) // most)] for n in histogram)


def _missed(r: Result) -> str:
    """How many results are misrounded, or which share of them where the inputs are a sample."""
    every = r.dtype in _HALVES and r.way == "alone"
    return str(r.facts.misrounded) if every else f"{r.facts.misrounded / max(r.facts.normal, 1):.1%}"


def _number(x: float) -> str:
    return f"{x:.2f}" if x < 1000 else f"{x:.0e}".replace("e+0", "e").replace("e+", "e")


def sentences(found: Verification) -> Iterator[str]:
    """The sentences that say which bounds hold and which do not."""
    for dtype, patterns in _HALVES.items():
        ours = [r for r in found.results if r.dtype == dtype and r.by == "jaxact" and r.way == "alone"]
        if not ours:
            continue
        exact = sum(r.facts.misrounded == 0 for r in ours)
        others = [f"{r.function} {_SHORT[r.order]} {r.facts.misrounded}" for r in ours if r.facts.misrounded]
        tails = [f"{r.function} {_SHORT[r.order]} {r.facts.tail}" for r in ours if r.facts.tail]
        yield f"{dtype}, all {patterns} numbers: {exact} of {len(ours)} functions are correctly rounded everywhere" + (
            f"; so many results are not: {', '.join(others)}." if others else "."
        )
        if tails:
            yield f"{dtype}, results under 2^-116, near where float32 flushes, that are not: {', '.join(tails)}."
    for missed in found.missed:
        yield f"Out of bounds: {missed}."
    if not found.missed:
        yield f"All {sum(r.bound is not None for r in found.results)} bounds hold."


def chart(found: Verification) -> "altair.TopLevelMixin":
    """A histogram of errors for each function, derivative and type, jaxact's and jax.nn's."""
    import altair as alt

    shown = [r for r in found.results if r.way != "fused" and r.facts.normal]
    values = [
        {
            "name": f"{r.function}, {ORDERS[r.order]}" + ("" if r.way == "alone" else f", {r.way}"),
            "by": f"{r.dtype}, {r.by}",
            "ulp": name,
            "share": n / r.facts.normal,
        }
        for r in shown
        for name, n in zip(BINS, r.facts.histogram, strict=True)
        if n
    ]
    panels = [
        alt.Chart(alt.Data(values=[v for v in values if v["by"] == by]), title=by)
        .mark_rect()
        .encode(
            alt.X("ulp:N", sort=list(BINS), scale=alt.Scale(domain=list(BINS)), title="error, ulp"),
            alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=300)),
            alt.Color("share:Q", scale=alt.Scale(type="log", domain=[1e-5, 1], scheme="viridis"), title="share"),
            tooltip=["name:N", "ulp:N", alt.Tooltip("share:Q", format=".3%")],
        )
        for by in dict.fromkeys(v["by"] for v in values)
    ]
    return alt.concat(*panels, columns=2, title=f"Errors in ulp on {found.environment['device']}")


def save(found: Verification, directory: Path) -> None:
    """Write verify.json, verify.html and verify.png."""
    found.save(directory / "verify.json")
    picture = chart(found)
    for form in ("html", "png"):
        replace(directory / f"verify.{form}", lambda part, form=form: picture.save(part, format=form, scale_factor=2))
