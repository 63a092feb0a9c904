"""The transformation that exchanges activations in a function that nobody edits."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax import Array
from jax import numpy as jnp

import jaxact.functions  # noqa: F401  (fills the catalog)
from jaxact.core import catalog
from jaxact.flow import jaxprs, modules, programs, statistics
from jaxact.flow.graph import core
from jaxact.flow.programs import Visit
from jaxact.flow.recognise import Parameter
from jaxact.flow.sites import Site, catalog_row
from jaxact.functions.gated import split
from jaxact.functions.logsumexp import logsumexp

Function = Callable[..., Any]
Replace = Mapping[str, Any] | Callable[[Site], Function | None]

_MIXING = ("reduce_", "cum", "dot_general", "conv_general", "sort", "argm", "rev", "gather", "scatter", "split")
"""How the names of primitives begin that are in no elementwise function."""


def swap(
    fun: Callable[..., Any], replace: Replace | None = None, *, select: Callable[[Site], bool] | None = None
) -> Callable[..., Any]:
    """Make a function that computes the same with other activations, of a function that nobody has to edit.

    Without `replace` every activation of jax.nn, and so of Flax, Haiku and Equinox, becomes jaxact's of the same
    meaning with its parameters: the same values, gradients to be trusted, less memory. What is not certain is left as
    it is, and so are jaxact's own, derivative code (a gradient inside `fun`), functions with a derivative rule of their
    own, and Pallas kernels.

    Args:
      fun: a function of arrays, or of pytrees of them, that returns arrays.
      replace: what becomes what. A mapping of names ("relu", or the name given to `flow.site`) to names, configs such
        as `{"name": "leaky_relu", "negative_slope": 0.2}` or functions of x; or a function of a `Site` that returns a
        function of x, or None to leave it. A function that stands for one along an axis is called with `axis=` too.
      select: takes a `Site` and says whether it may be exchanged.

    Returns:
      A function of the same arguments and results, for use inside and outside of `jax.jit`, `grad`, `vmap`, `scan`,
      `checkpoint` and `shard_map`. Each call traces `fun` again, as under `jax.grad`: put `jax.jit` around it.

    Raises:
      TypeError: `fun` is no function or returns no arrays; `replace` is no mapping or function.
      ValueError: a name is unknown, or matches nothing in `fun`; a replacement is not elementwise, changes the shape,
        or lacks a parameter.

    >>> loss = lambda x: jnp.sum(jax.nn.gelu(x, approximate=False))
    >>> x = jnp.array([-1.0, 0.5, 2.0])
    >>> print(f"{jaxact.flow.swap(loss)(x):.3f}", jaxact.flow.swap(loss, {"gelu": "relu"})(x))
    2.142 2.5
    """
    _check(fun, replace)

    @functools.wraps(fun)
    def swapped(*args: Any, **kwargs: Any) -> Any:
        structure, arrays, closed = _traced(fun, args, kwargs)
        plan = _Plan(replace, select)
        program = programs.program_of(closed, plan.exchanges, joined=replace is None)
        plan.check_all_used()

        def visitor(step: Visit, inputs: Sequence[Any], slot: None) -> tuple[Array, None]:
            return jaxprs.in_place(functools.partial(_instead, plan.function(step), step), inputs, step.equation), None

        outputs, _ = programs.evaluate(
            program, arrays, program.tree(lambda site: None), visitor, lambda site, loops: None, statistics.COMBINE
        )
        return jax.tree.unflatten(structure, outputs)

    return swapped


@dataclasses.dataclass(frozen=True)
class Exchange:
    """What becomes of one activation."""

    site: Site
    """Where it is."""
    to: str
    """What takes its place; "" if it is left as it is."""
    why: str
    """Why it is left."""


@dataclasses.dataclass(frozen=True)
class Swaps:
    """What `swap` exchanges in a function, and what it leaves. Prints as a table."""

    exchanges: tuple[Exchange, ...]
    """One for each activation, in the order they run in."""
    unseen: tuple[Any, ...]
    """What is not looked into, as in `Flow.unseen`."""

    def _cells(self) -> list[tuple[str, ...]]:
        rows = [("site", "source", "activation", "becomes")]
        for e in self.exchanges:
            settings = ", ".join(f"{k}={'...' if v is None else v}" for k, v in e.site.parameters)
            name = f"{e.site.name}({settings})" if settings else e.site.name
            rows.append((e.site.label, e.site.source, name, e.to or f"left: {e.why}"))
        for u in self.unseen:
            where = f"{u.file.rpartition('/')[2]}:{u.line}" if u.line else u.file.rpartition("/")[2]
            rows.append((u.path or u.function, where, u.what, "left: not looked into"))
        return rows

    def __repr__(self) -> str:
        rows = self._cells()
        if len(rows) == 1:
            return "Swaps: no activation found"
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    def _repr_html_(self) -> str:
        from html import escape

        head, *rows = self._cells()
        lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
        lines += ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
        return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def swaps(
    fun: Callable[..., Any], replace: Replace | None = None, *, select: Callable[[Site], bool] | None = None
) -> Callable[..., Swaps]:
    """Make a function that says what `swap` would exchange: for what, where, and why the rest is left.

    Args:
      fun: as in `swap`.
      replace: as in `swap`.
      select: as in `swap`.

    Returns:
      A function of `fun`'s arguments (arrays or `jax.ShapeDtypeStruct`s) that returns a `Swaps`. Nothing is computed.

    >>> print(jaxact.flow.swaps(lambda x: jax.nn.elu(x, 0.5))(jnp.ones(3)).exchanges[0].to)
    jaxact.elu
    """
    _check(fun, replace)

    def planned(*args: Any, **kwargs: Any) -> Swaps:
        closed = _traced(fun, args, kwargs)[2]
        plan = _Plan(replace, select)
        found: dict[Site, Visit] = {}
        program = programs.program_of(
            closed, lambda step: found.setdefault(step.site, step) is not None, joined=replace is None
        )
        exchanges = [Exchange(site, *plan.in_words(found[site])) for site in program.sites()]
        plan.check_all_used()
        return Swaps(tuple(exchanges), program.unseen)

    return planned


def _check(fun: Any, replace: Any) -> None:
    if not callable(fun):
        raise TypeError(f"jaxact.flow.swap: expected a function, got {type(fun).__name__}")
    if replace is not None and not isinstance(replace, Mapping) and not callable(replace):
        raise TypeError(
            "jaxact.flow.swap: expected replace to be a mapping such as {'gelu': 'relu'} or a function of a Site, got "
            f"{type(replace).__name__}"
        )
    if isinstance(replace, Mapping):
        for name, other in replace.items():
            if not isinstance(name, str):
                raise TypeError(f"jaxact.flow.swap: expected names for keys of replace, got {name!r}")
            _function(other)


def _traced(fun: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Any, list[Any], Any]:
    """The pytree of fun's results, the arrays among its arguments, and its jaxpr of them."""
    leaves, structure = jax.tree.flatten((args, kwargs))
    numbers = [i for i, leaf in enumerate(leaves) if hasattr(leaf, "shape") and hasattr(leaf, "dtype")]

    def flat(*arrays: Any) -> Any:
        merged = dict(zip(numbers, arrays, strict=True))
        args, kwargs = jax.tree.unflatten(structure, [merged.get(i, leaf) for i, leaf in enumerate(leaves)])
        result = modules.named(fun)(*args, **kwargs)
        for leaf in jax.tree.leaves(result):
            if not hasattr(leaf, "dtype") and not isinstance(leaf, bool | int | float | complex):
                raise TypeError(
                    f"jaxact.flow.swap: expected a function that returns arrays, got {type(leaf).__name__} among its "
                    "results; return what is no array from a function around it"
                )
        return result

    arrays = [leaves[i] for i in numbers]
    closed, shape = jaxprs.trace(flat, *arrays)
    return jax.tree.structure(shape), arrays, closed


class _Plan:
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
        """What stands for it: a function of x and named parameters."""
        function = self._decide(step)[0]
        assert function is not None
        return function

    def in_words(self, step: Visit) -> tuple[str, str]:
        """What stands for it, or why it is left as it is."""
        function, reason = self._decide(step)
        return "" if function is None else _name(function), reason

    def check_all_used(self) -> None:
        """Raise a `ValueError` if a name in `replace` is nowhere in the function."""
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
                return None, "jaxact's already" if catalog_row(site.name) else "a function of one's own"
            if not match.form.same_slope:
                return None, "written by hand, with another slope at its kink"
            return _same(site.name), ""
        if callable(self._replace):
            other = self._replace(site)
            if other is None:
                return None, "not replaced"
            function = _function(other)
        else:
            names = [n for n in self._replace if n == site.name or _canonical(n) == site.name]
            if not names:
                return None, "not replaced"
            self._used.update(names)
            function = _function(self._replace[names[0]])
        _check_fits(function, step)
        return function, ""


def _canonical(name: str) -> str:
    row = catalog_row(name)
    return name if row is None else row.name


def _same(name: str) -> Function:
    """Jaxact's function of a name."""
    if name == "logsumexp":
        return logsumexp
    return catalog.info(name).function


def _function(other: Any) -> Function:
    """The function that a name, a config or a function stands for."""
    function: Function = other if callable(other) else catalog.get(other)
    inner = function.func if isinstance(function, functools.partial) else function
    row = catalog_row(getattr(inner, "__name__", ""))
    if row is not None and row.function is inner:
        bound = function.keywords if isinstance(function, functools.partial) else {}
        missing = [p for p, d in row.parameters.items() if d is inspect.Parameter.empty and p not in bound]
        if missing:
            raise ValueError(
                f"jaxact.flow.swap: {row.name} needs a value for {' and '.join(missing)}; give a config such as "
                f"{{'name': '{row.name}', '{missing[0]}': ...}}, or a function of x"
            )
    return function


def _row_of(function: Function) -> catalog.Row | None:
    inner = function.func if isinstance(function, functools.partial) else function
    row = catalog_row(getattr(inner, "__name__", ""))
    return row if row is not None and row.function is inner else None


def _name(function: Function) -> str:
    row = _row_of(function)
    if row is None:
        inner = function.func if isinstance(function, functools.partial) else function
        own = (getattr(inner, "__module__", None) or "").startswith("jaxact.")
        name = getattr(inner, "__name__", None) or type(inner).__name__
        return f"jaxact.{name}" if own else name
    bound = function.keywords if isinstance(function, functools.partial) else {}
    settings = ", ".join(f"{k}={v}" for k, v in bound.items())
    return f"jaxact.{row.name}({settings})" if settings else f"jaxact.{row.name}"


def _check_fits(function: Function, step: Visit) -> None:
    """Raise a `ValueError` unless a function can stand for an activation."""
    site, row = step.site, _row_of(function)
    kind = row.kind if row is not None else None
    wanted = "elementwise" if site.kind == "pointwise" else "gated" if site.kind == "gated" else "along an axis"
    if kind is not None and ("pointwise" if kind == "random" else kind) != site.kind:
        raise ValueError(
            f"jaxact.flow.swap: {site.label} ({site.source}) is {wanted}, and {_name(function)} is not; "
            "choose another, or leave it out with select"
        )
    if site.kind != "pointwise" or kind == "pointwise":
        return
    x = jax.ShapeDtypeStruct(step.match.x.aval.shape, step.match.x.aval.dtype)
    closed, shape = jaxprs.trace(function, x)
    if getattr(shape, "shape", None) != x.shape:
        raise ValueError(
            f"jaxact.flow.swap: expected {_name(function)} to keep the shape {x.shape} of {site.label} "
            f"({site.source}), got {getattr(shape, 'shape', type(shape).__name__)}"
        )
    mixing = [name for name in jaxprs.primitives(closed) if name.startswith(_MIXING)]
    if mixing:
        raise ValueError(
            f"jaxact.flow.swap: {site.label} ({site.source}) is elementwise, and {_name(function)} is not: it has "
            f"{mixing[0]} in it"
        )


def _instead(function: Function, step: Visit, *inputs: Any) -> Array:
    """What stands for an activation, of the inputs of its equations."""
    match, y = step.match, step.outputs[0].aval
    values = dict(zip(step.inputs, inputs, strict=True))
    x = inputs[step.argument]
    x = x if match.dtype is None else x.astype(match.dtype)
    if match.form is None:
        return _own(function, step, inputs, x)
    named: dict[str, Any] = {}
    takes = _arguments(function)
    same = _row_of(function) is not None and _row_of(function) is catalog_row(match.name)
    if same or function is logsumexp:
        named |= {name: _parameter(p, values, x) for name, p in match.parameters.items()}
        named |= dict(match.fixed)
        if isinstance(function, functools.partial):
            named |= function.keywords
    elif "where" in match.parameters and "where" in takes:
        named["where"] = _parameter(match.parameters["where"], values, x)
    if match.kind == "gated" and not match.form.joined and not same:  # glu: the gate comes last
        (axis,) = match.rows
        gate, value = split(x, "gate_last", axis)
        result = function(gate, value)
    else:
        if match.rows:
            first, *others = match.rows
            named["axis"] = match.rows if others else first
        if match.form.reduces:
            named["keepdims"] = True
        result = function(x, **named)
    return _arranged(result, match.axes, y)


def _arguments(function: Function) -> Sequence[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


def _own(function: Function, step: Visit, inputs: Sequence[Any], x: Array) -> Array:
    """In place of one of jaxact's, or of one that the user marked."""
    y = step.outputs[0].aval
    if step.match.kind == "gated":
        gate, value = (v for v in inputs if jaxprs.is_float(jax.typeof(v)))
        return function(gate, value).astype(y.dtype)
    if step.match.kind == "axis":
        return function(x, axis=-1).astype(y.dtype)
    return jnp.broadcast_to(function(x), y.shape).astype(y.dtype)


def _parameter(parameter: Parameter, values: Mapping[Any, Any], x: Array) -> Any:
    """A parameter's value, with its axes where x has them."""
    node = parameter.node
    if node is None:
        return parameter.value
    value = _evaluated(node, values)
    if not jnp.ndim(value):
        return value
    placed = sorted((axis, i) for i, axis in enumerate(parameter.axes) if axis is not None)
    rest = [i for i, axis in enumerate(parameter.axes) if axis is None]
    shape = [1] * x.ndim
    for axis, i in placed:
        shape[axis] = value.shape[i]
    return jnp.reshape(jnp.transpose(value, [*(i for _, i in placed), *rest]), shape)


def _evaluated(node: Any, values: Mapping[Any, Any]) -> Any:
    """The value of an expression that casts or arranges what there is."""
    if node.variable in values:
        return values[node.variable]
    if core(node).kind == "literal":
        return core(node).details
    (inner,) = (_evaluated(argument, values) for argument in node.arguments)
    return inner if node.kind == "call" else node.equation.primitive.bind(inner, **node.equation.params)


def _arranged(z: Array, axes: Sequence[int | None], y: Any) -> Array:
    """A value whose axes are x's, with them where y has them."""
    order = [axis for axis in axes if axis is not None]
    rest = [axis for axis in range(z.ndim) if axis not in order]  # of size 1
    return jnp.reshape(jnp.transpose(z, [*order, *rest]), y.shape).astype(y.dtype)
