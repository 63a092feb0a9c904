"""Which function stands for which activation in a swap, and whether it can."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxact.core import catalog
from jaxact.flow import jaxprs
from jaxact.flow.programs import Visit
from jaxact.flow.sites import Site, kind_of
from jaxact.functions.logsumexp import logsumexp

Function = Callable[..., Any]
Replace = Mapping[str, Any] | Callable[[Site], Function | None]

_MIXING = ("reduce_", "cum", "dot_general", "conv_general", "sort", "argm", "rev", "gather", "scatter", "split")
"""The prefixes of primitives that no elementwise function has."""


class Plan:
    """Which function stands for which activation."""

    def __init__(self, replace: Replace | None, select: Callable[[Site], bool] | None) -> None:
        self._replace, self._select = replace, select
        self._decided: dict[Any, tuple[Function | None, str]] = {}
        self._used: set[str] = set()
        self._there: dict[str, None] = {}

    def exchanges(self, step: Visit) -> bool:
        """Whether a step's activation is exchanged."""
        return self._decide(step)[0] is not None

    def function(self, step: Visit) -> Function:
        """The function that takes its place, of x and named parameters."""
        function = self._decide(step)[0]
        assert function is not None
        return function

    def in_words(self, step: Visit) -> tuple[str, str]:
        """The function that takes its place, or the reason why it is left as it is."""
        function, reason = self._decide(step)
        return "" if function is None else name_of(function), reason

    def check_all_used(self) -> None:
        """Raise a `ValueError` if a name in `replace` does not occur in the function."""
        if isinstance(self._replace, Mapping) and (unused := [n for n in self._replace if n not in self._used]):
            there = ", ".join(self._there) or "none"
            raise ValueError(
                f"jaxact.flow.swap: no activation of the function is {' or '.join(map(repr, unused))}; "
                f"there are: {there}"
            )

    def _decide(self, step: Visit) -> tuple[Function | None, str]:
        key = step.site
        if key not in self._decided:
            self._decided[key] = self._decision(step)
        return self._decided[key]

    def _decision(self, step: Visit) -> tuple[Function | None, str]:
        site, match = step.site, step.match
        if site.kind == "tap":
            return None, "a tap"
        self._there[site.name] = None
        if self._select is not None and not self._select(site):
            return None, "not selected"
        if self._replace is None:
            if match.form is None:
                return None, "jaxact's already" if kind_of(site.name) else "a function of one's own"
            if not match.form.same_slope:
                return None, "written by hand, with another slope at its kink"
            return _same(site.name), ""
        if callable(self._replace):
            other = self._replace(site)
            if other is None:
                return None, "not replaced"
            function = function_of(other)
        else:
            names = [n for n in self._replace if n == site.name or _canonical(n) == site.name]
            if not names:
                return None, "not replaced"
            self._used.update(names)
            function = function_of(self._replace[names[0]])
        _check_fits(function, step)
        return function, ""


def _canonical(name: str) -> str:
    row = catalog.find(name)
    return name if row is None else row.name


def _same(name: str) -> Function:
    """Jaxact's function of a name."""
    if name == "logsumexp":
        return logsumexp
    return catalog.info(name).function


def function_of(other: Any) -> Function:
    """The function that a name or a config means, or the function itself."""
    function: Function = other if callable(other) else catalog.get(other)
    row = row_of(function)
    if row is not None:
        bound = function.keywords if isinstance(function, functools.partial) else {}
        missing = [p for p, d in row.parameters.items() if d is inspect.Parameter.empty and p not in bound]
        if missing:
            raise ValueError(
                f"jaxact.flow.swap: {row.name} needs a value for {' and '.join(missing)}; give a config such as "
                f"{{'name': '{row.name}', '{missing[0]}': ...}}, or a function of x"
            )
    return function


def row_of(function: Function) -> catalog.Row | None:
    """The catalog's row of a function of jaxact, with parameters bound or not."""
    inner = function.func if isinstance(function, functools.partial) else function
    row = catalog.find(getattr(inner, "__name__", ""))
    return row if row is not None and row.function is inner else None


def name_of(function: Function) -> str:
    """The name of a function in tables and errors."""
    row = row_of(function)
    if row is None:
        inner = function.func if isinstance(function, functools.partial) else function
        own = (getattr(inner, "__module__", None) or "").startswith("jaxact.")
        name = getattr(inner, "__name__", None) or type(inner).__name__
        return f"jaxact.{name}" if own else name
    bound = function.keywords if isinstance(function, functools.partial) else {}
    settings = ", ".join(f"{k}={v}" for k, v in bound.items())
    return f"jaxact.{row.name}({settings})" if settings else f"jaxact.{row.name}"


def _check_fits(function: Function, step: Visit) -> None:
    """Raise a `ValueError` unless a function can take an activation's place."""
    site, row = step.site, row_of(function)
    kind = row.kind if row is not None else None
    wanted = "elementwise" if site.kind == "pointwise" else "gated" if site.kind == "gated" else "along an axis"
    if kind is not None and ("pointwise" if kind == "random" else kind) != site.kind:
        raise ValueError(
            f"jaxact.flow.swap: {site.label} ({site.source}) is {wanted}, and {name_of(function)} is not; "
            "choose another, or leave it out with select"
        )
    if kind is not None:
        return
    _check_arguments(function, site)
    if site.kind != "pointwise":
        return
    x = jax.ShapeDtypeStruct(step.match.x.aval.shape, step.match.x.aval.dtype)
    closed, shape = jaxprs.trace(function, x)
    if getattr(shape, "shape", None) != x.shape:
        raise ValueError(
            f"jaxact.flow.swap: expected {name_of(function)} to keep the shape {x.shape} of {site.label} "
            f"({site.source}), got {getattr(shape, 'shape', type(shape).__name__)}"
        )
    mixing = [name for name in jaxprs.primitives(closed) if name.startswith(_MIXING)]
    if mixing:
        raise ValueError(
            f"jaxact.flow.swap: {site.label} ({site.source}) is elementwise, and {name_of(function)} is not: it has "
            f"{mixing[0]} in it"
        )


def _check_arguments(function: Function, site: Site) -> None:
    wanted = {"pointwise": "(x)", "gated": "(gate, value)", "axis": "(x, axis=...)"}[site.kind]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # it has none to be known
        return
    try:
        signature.bind(*"xv"[: 1 + (site.kind == "gated")], **{"axis": -1} if site.kind == "axis" else {})
    except TypeError as error:
        raise ValueError(
            f"jaxact.flow.swap: expected {name_of(function)} to be called as {wanted} at {site.label} "
            f"({site.source}), got {signature} ({error}); bind what else it needs with functools.partial"
        ) from None
