"""One row for each activation, with what is claimed of it. Tests, modules, charts and `get` follow from the rows."""

import dataclasses
import difflib
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, TypeVar

import numpy as np
from jax import Array

from jaxact.core import sources

Function = Callable[..., Array]
F = TypeVar("F", bound=Function)
Source = Literal["jax", "torch", "keras", "transformers", "vllm", "sglang"]
SOURCES: tuple[Source, ...] = ("jax", "torch", "keras", "transformers", "vllm", "sglang")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """Facts about one activation, at the default values of its parameters. Every one of them is tested."""

    function: Function
    """The public function; its `__name__` is the canonical name."""
    family: str
    """The file in `jaxact.functions` that has the function."""
    kind: Literal["pointwise", "gated", "axis", "random"]
    """Elementwise, elementwise in two halves or arguments, along an axis, or elementwise with a random key."""
    module: str
    """The name of its Flax modules: PyTorch's class name where PyTorch has the function."""
    aliases: tuple[str, ...] = ()
    """Other names of the same object."""
    range: tuple[float, float] = (-math.inf, math.inf)
    """Infimum and supremum of the values."""
    limits: tuple[float, float] = (-math.inf, math.inf)
    """f(-inf) and f(inf)."""
    slope_limits: tuple[float, float] = (0.0, 1.0)
    """f'(-inf) and f'(inf)."""
    kinks: Mapping[float, float] = dataclasses.field(default_factory=dict)
    """The x of each jump of f', and the f' that is returned there."""
    smoothness: float = math.inf
    """How many continuous derivatives the function has."""
    monotone: bool = True
    """Whether it never decreases."""
    odd: bool = False
    """Whether f(-x) = -f(x)."""
    lipschitz: float = 1.0
    """The largest |f'|."""
    variants: tuple[Mapping[str, Any], ...] = ()
    """Further values of the parameters to test and measure; the facts above hold at the defaults."""
    keeps: float = 1.0
    """How many float32 arrays a scanned backward pass keeps because of the function."""
    elsewhere: Mapping[str, Mapping[str, Mapping[str, Any]]] = dataclasses.field(default_factory=dict)
    """Names in other libraries: source -> name there -> the parameters that give the name's meaning there."""

    @property
    def name(self) -> str:
        """The canonical name."""
        return self.function.__name__

    @property
    def formula(self) -> str:
        """One line of plain text: the part of the docstring's first line after the colon."""
        return self._documentation.partition("\n")[0].partition(": ")[2].rstrip(".")

    @property
    def reference(self) -> str:
        """The paper or the library that the function comes from: the docstring's paragraph before the example."""
        return " ".join(self._documentation.rpartition("Reference: ")[2].partition("\n\n")[0].split())

    @property
    def _documentation(self) -> str:
        return inspect.getdoc(self.function) or ""

    @property
    def parameters(self) -> dict[str, Any]:
        """Name and default of each parameter (`inspect.Parameter.empty` where there is no default)."""
        arguments = list(inspect.signature(self.function).parameters.values())
        return {
            a.name: a.default for a in arguments[2 if self.kind == "gated" and arguments[1].name == "value" else 1 :]
        }


_ROWS: dict[str, Row] = {}
BUILDERS: dict[str, Callable[[Mapping[str, Any]], Function]] = {}
"""Builders of what `get` makes from a config without a row. `jaxact/__init__.py` fills it: core imports nothing."""
KINDS: dict[str, Callable[..., Any]] = {}
"""Makes a module from the name, the config's parameters, the function and parameters of that name, and the source."""


def activation(**facts: Any) -> Callable[[F], F]:
    """Enter a function into the catalog. Returns it unchanged.

    Args:
      **facts: the fields of `Row` except `function` and `family`, which come from the function itself.
    """

    def enter(function: F) -> F:
        row = Row(function=function, family=function.__module__.rpartition(".")[2], **facts)
        for name in (row.name, *row.aliases):
            if name in _ROWS:
                raise ValueError(f"jaxact: the name {name!r} is taken by {_ROWS[name].name}; choose another")
        _ROWS.update(dict.fromkeys((row.name, *row.aliases), row))
        return function

    return enter


def elsewhere(source: Source, known: Mapping[str, tuple[str, Mapping[str, Any]]]) -> None:
    """Add names of a source to the rows: name there -> function here and the parameters that give its meaning there."""
    for name, (function, parameters) in known.items():
        row = _ROWS[function]
        there = {**row.elsewhere.get(source, {}), name: parameters}
        more = dataclasses.replace(row, elsewhere={**row.elsewhere, source: there})
        _ROWS.update(dict.fromkeys((row.name, *row.aliases), more))


def rows() -> Iterator[Row]:
    """Every row once, in the order of the families' files."""
    return (row for name, row in _ROWS.items() if name == row.name)


def info(name: str) -> Row:
    """Look up the facts about an activation by its canonical name or an alias.

    Raises:
      ValueError: there is no such activation; the message suggests the nearest names.

    >>> info("swish").name
    'silu'
    """
    row = find(name) if isinstance(name, str) else None
    if row is None:
        raise unknown(name, _ROWS)
    return row


def find(name: str) -> Row | None:
    """The row of a canonical name or an alias, if there is one."""
    return _ROWS.get(name)


def names(source: Source | None = None) -> tuple[str, ...]:
    """List the names that `get(name, source)` resolves; without a source, jaxact's own canonical names.

    >>> "gelu" in names() and "gelu_new" in names("transformers")
    True
    """
    if source is None:
        return tuple(row.name for row in rows())
    return tuple(sorted(_table(source)))


def get(
    name: str | Mapping[str, Any],
    source: Source = "jax",
    *,
    kind: Literal["function", "nnx", "linen", "equinox"] = "function",
) -> Any:
    """Resolve a name to the function that it means in another library, with that library's defaults.

    Args:
      name: the name as that library writes it, for example in a model's configuration file. Or a config as `config`
        returns it, a mapping with the "name" and values for parameters. {"name": "compact", "of": "gelu"} makes
        `jaxact.compact(jaxact.gelu)`, and {"name": "tat", "of": "leaky_relu", "depth": 50} makes
        `jaxact.propagation.tat(jaxact.leaky_relu, 50)`; the name "dks" does the same with `jaxact.propagation.dks`.
      source: "jax", "torch", "keras", "transformers", "vllm" or "sglang". The same name means different functions:
        "gelu" is the tanh form in jax and exact in torch; leaky_relu's slope is 0.01 in jax and 0.2 in keras. The
        function also takes that library's argument names and positions: `dim`, `approximate="tanh"`,
        `max_value=None`. The gated units of the engines also take gate and value in one array, in the engine's layout.
      kind: "function", or "nnx", "linen" or "equinox" for a new module of `jaxact.nnx`, `jaxact.linen` or
        `jaxact.equinox`. The parameters are then those of the module's constructor.

    Returns:
      The function. It takes one array or, if it is a gated unit, gate and value. Equal configs give the same object, so
      that models made from them are equal, and nothing compiles twice. A given name never makes Python import a module.

    Raises:
      TypeError: `name` is neither a string nor a mapping.
      ValueError: `source`, `kind`, the name or a parameter is unknown (the message suggests the nearest names), or a
        parameter without a default is missing from a config.

    >>> get("gelu", source="torch").keywords
    {'approximate': False}
    >>> config(get({"name": "leaky_relu", "negative_slope": 0.2}))
    {'name': 'leaky_relu', 'negative_slope': 0.2}
    >>> get({"name": "celu", "alpha": 0.5}, kind="nnx")
    CELU(alpha=0.5)
    """
    table = _table(source)
    if isinstance(name, str):
        wanted, given = name, {}
    elif isinstance(name, Mapping) and isinstance(name.get("name"), str):
        wanted, given = name["name"], {k: v for k, v in name.items() if k != "name"}
    else:
        raise TypeError(
            f"jaxact.get: expected a name or a config such as {{'name': 'elu', 'alpha': 0.5}}, got {name!r}; "
            "functions need no resolving"
        )
    function, parameters = table.get(wanted, (None, {}))
    if function is not None:
        theirs = sources.ARGUMENTS.get(source, {}).get(function.__name__, {})
        given = {
            **{parameter: value for parameter, value in given.items() if parameter not in theirs},
            **sources.translated(source, function, {p: v for p, v in given.items() if p in theirs}),
        }
    if kind != "function":
        if kind not in KINDS:
            raise ValueError(f"jaxact.get: expected kind to be one of function, {', '.join(KINDS)}, got {kind!r}")
        return KINDS[kind](wanted, given, function, parameters, source)
    if wanted in BUILDERS and not isinstance(name, str):
        return _built(_frozen(name))
    if function is None:
        raise unknown(wanted, table, source)
    parameters = {**parameters, **given}
    if not isinstance(name, str):
        _check_config(_ROWS[function.__name__], parameters)
    foreign = function.__name__ in sources.ARGUMENTS.get(source, {})
    layout = sources.layout(source, wanted) if _ROWS[function.__name__].kind == "gated" else None
    if not parameters and not foreign and layout is None:
        return function
    items = tuple(sorted((name, _frozen(value)) for name, value in parameters.items()))
    try:
        if layout is not None:
            return sources.packed(layout, function, items)
        return sources.foreign(source, function, items) if foreign else sources.bound(function, items)
    except TypeError:  # an array has no hash, so no equal config can be found
        return functools.partial(function, **parameters)


def _frozen(value: Any) -> Any:
    """Turn lists into tuples, and mappings into objects with a hash, so that a config can be looked up."""
    if isinstance(value, Mapping):
        return _Items(sorted((k, _frozen(v)) for k, v in value.items()))
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else _plain(value)


def _plain(value: Any) -> Any:
    """Turn a number of NumPy's into Python's, since JSON has no other, and equal ones are one key of a cache."""
    return value.item() if isinstance(value, np.generic) else value


class _Items(tuple):
    """The form that `_frozen` gives a mapping."""


def _thawed(value: Any) -> Any:
    """Turn tuples into lists and frozen mappings into dictionaries, as JSON has them."""
    if isinstance(value, _Items):
        return {k: _thawed(v) for k, v in value}
    return [_thawed(v) for v in value] if isinstance(value, list | tuple) else _plain(value)


@functools.cache
def _built(config: _Items) -> Function:
    thawed = _thawed(config)
    return BUILDERS[thawed["name"]](thawed)


def _check_config(row: Row, bound: Mapping[str, Any]) -> None:
    """Raise a `ValueError` if `bound` has an unknown parameter, or lacks one, or has a number for a flag."""
    for parameter, value in bound.items():
        if parameter not in row.parameters:
            near = difflib.get_close_matches(str(parameter), row.parameters, n=1) or list(row.parameters)
            hint = f"did you mean {' or '.join(near)}?" if near else "it has no parameters"
            raise ValueError(f"jaxact.get: {row.name} has no parameter {parameter!r}; {hint}")
        default = row.parameters[parameter]
        flag = isinstance(default, bool)
        if isinstance(default, int | float) and isinstance(value, bool | np.bool) != flag:
            # 0 == False: one would be found in the cache where the other is asked for.
            raise ValueError(
                f"jaxact.get: expected {parameter} of {row.name} to be {'a bool' if flag else 'a number'}, got "
                f"{value!r}; its default is {default}"
            )
    needed = (p for p, default in row.parameters.items() if default is inspect.Parameter.empty)
    missing = [p for p in needed if p not in bound and p != "key"]  # a key is given at the call, as x is
    if missing:
        raise ValueError(
            f"jaxact.get: the config of {row.name} has no {' and no '.join(map(repr, missing))}, which has no default; "
            "add it"
        )


def config(function: Any) -> dict[str, Any]:
    """Describe a function or module that `get` returns in JSON's terms, so that `get` can make it again.

    Args:
      function: a function of the catalog, or a `functools.partial` of one with keyword parameters; or a module, a
        function that `jaxact.compact` made, or one of `tat` or `dks` that `get` made.

    Returns:
      A dictionary with the "name" and the bound parameters, or, for a module, the parameters that are not defaults. To
      make the module again, `get` needs its kind too.

    Raises:
      ValueError: the function is not in the catalog.
      TypeError: a bound parameter is an array or something else that JSON lacks; such a value belongs in a checkpoint.

    >>> config(functools.partial(info("elu").function, alpha=0.5))
    {'name': 'elu', 'alpha': 0.5}
    """
    bound: dict[str, Any] = {}
    inner = function
    while isinstance(inner, functools.partial):
        if inner.args:
            raise TypeError(f"jaxact.config: expected parameters bound by keyword, got {inner.args!r} by position")
        bound = {**inner.keywords, **bound}
        inner = inner.func
    name = getattr(inner, "__name__", None)
    if isinstance(own := getattr(inner, "config", None), Mapping) and "name" in own:
        name, bound = own["name"], {**{k: v for k, v in own.items() if k != "name"}, **bound}
    elif name not in _ROWS or _ROWS[name].function is not inner:
        raise ValueError(
            f"jaxact.config: expected a function of the catalog, got {function!r}; jaxact.names() lists them"
        )
    for parameter, value in bound.items():
        if not isinstance(_plain(value), bool | int | float | str | list | tuple | Mapping | None):
            raise TypeError(
                f"jaxact.config: expected {parameter} to be a number, bool or string, got {type(value).__name__}; "
                "an array belongs in a checkpoint"
            )
    return {"name": name, **{parameter: _thawed(value) for parameter, value in bound.items()}}


def _table(source: str) -> dict[str, tuple[Function, Mapping[str, Any]]]:
    """The function and the bound parameters that each name means in `source`."""
    if source not in SOURCES:
        raise ValueError(f"jaxact.get: expected source to be one of {', '.join(SOURCES)}, got {source!r}")
    if source == "jax":
        return {name: (row.function, {}) for name, row in _ROWS.items()}
    return {
        name: (row.function, parameters) for row in rows() for name, parameters in row.elsewhere.get(source, {}).items()
    }


def unknown(name: object, known: Iterable[str], source: str | None = None) -> ValueError:
    """The error for an unknown name. It suggests similar names, or the same name in another source."""
    near = difflib.get_close_matches(str(name).lower(), known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(known))}"
    elsewhere = [s for s in SOURCES if s not in ("jax", source) and str(name) in _table(s)]
    if elsewhere:
        hint = f'get({name!r}, source="{elsewhere[0]}") knows it' + (f"; or {hint}" if near else "")
    where = f" in {source}" if source else ""
    return ValueError(f"jaxact: no activation is named {name!r}{where}; {hint}")
