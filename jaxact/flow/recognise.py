"""Which equations are an activation, of which kind and with which parameters.

Every way to write an activation is traced once and compared with the equations at hand. So an activation is recognised
by its structure, together with its parameters, and derivative code of the same name is not taken for it. Equations that
are not certain to be an activation are left out.
"""

import copy
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxact.core import catalog
from jaxact.flow import jaxprs
from jaxact.flow.forms import FORMS, Form
from jaxact.flow.graph import ARRANGING, COMMUTATIVE, MIRRORED, Arrangement, Graph, Node, core
from jaxact.flow.sites import SITE, TAP, called_by_user, kind_of, owns


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter of an activation: a number, or a value of the traced function."""

    value: Any
    """The number; None if it is traced."""
    node: Node | None = None
    axes: tuple[int | None, ...] = ()
    """The axis of x along which each of its axes lies."""


@dataclasses.dataclass(frozen=True)
class Match:
    """Equations that are one activation."""

    name: str
    """Its canonical name."""
    kind: Any
    """The name in the catalog, or "tap"."""
    equations: tuple[int, ...]
    """Which equations of the jaxpr, in order; the last makes y."""
    x: Any
    """The variable that is its input."""
    parameters: dict[str, Parameter] = dataclasses.field(default_factory=dict)
    fixed: tuple[tuple[str, Any], ...] = ()
    """Parameters that change the program: approximate."""
    form: Form | None = None
    """How it is written, if it is not jaxact's."""
    dtype: Any = None
    """The type that x is cast to first, if it is."""
    rows: tuple[int, ...] = ()
    """The axes of x, for a function along an axis."""
    axes: tuple[int | None, ...] = ()
    """Which axis of x each axis of y is; None for one of size 1."""


def matches(jaxpr: Any, constants: Sequence[Any], joined: bool = False) -> dict[int, Match]:
    """The activations of a jaxpr, each under the number of the equation that makes its output.

    With `joined` an activation and the product or square after it are one.
    """
    graph = Graph(jaxpr, constants)
    read_by = jaxprs.readers(jaxpr)
    taken: set[int] = set()
    found: dict[int, Match] = {}
    for number in reversed(range(len(jaxpr.eqns))):  # larger activations come before those that they contain
        equation = jaxpr.eqns[number]
        if number in taken or jaxprs.derived(equation) or len(equation.outvars) != 1:
            continue
        if not jaxprs.is_float(equation.outvars[0].aval):
            continue
        match = _named(equation, number, jaxpr) or _written(graph, number, read_by, taken, joined)
        if match is not None:
            found[number] = match
            taken.update(match.equations)
    return found


def _named(equation: Any, number: int, jaxpr: Any) -> Match | None:
    """A tap, a function that the user marked, or one of the catalog's own."""
    if equation.primitive.name == "name":
        name = equation.params["name"]
        if name.startswith(TAP):
            return Match(name.removeprefix(TAP), "tap", (number,), equation.invars[0])
        return None
    function = jaxprs.called(equation) if equation.primitive.name == "jit" else None
    if function is None:
        return None
    name, file = function
    floats = [v for v in equation.invars if jaxprs.is_float(v.aval)]
    if not floats or isinstance(floats[0], jaxprs.Literal):
        return None
    if name.startswith(SITE):
        same = floats[0].aval.size == equation.outvars[0].aval.size
        return Match(name.removeprefix(SITE), "pointwise" if same else "axis", (number,), floats[0])
    if kind_of(name) is None or not owns(name, file):
        return None
    if name == "prelu" and any(_drawn(v, jaxpr) for v in floats[1:]):
        name = "rrelu"
    row = catalog.find(name)
    name = row.name if row else name
    parameters: dict[str, Parameter] = {}
    if row is not None and row.kind == "pointwise":
        traced = [p for p, default in row.parameters.items() if not isinstance(default, bool)]
        if len(traced) == len(floats) - 1:
            values = (v.val if isinstance(v, jaxprs.Literal) else None for v in floats[1:])
            parameters = {
                p: Parameter(None if v is None else float(str(v))) for p, v in zip(traced, values, strict=True)
            }
    return Match(name, kind_of(name), (number,), floats[0], parameters, _flavour(equation, name, floats[0].aval.dtype))


def _drawn(atom: Any, jaxpr: Any) -> bool:
    """Whether a value comes from random numbers, as the slopes of rrelu do."""
    makes = set() if isinstance(atom, jaxprs.Literal) else {atom}
    for equation in reversed(jaxpr.eqns):
        if makes & set(equation.outvars):
            if equation.primitive.name == "random_bits" or (jaxprs.called(equation) or ("",))[0] == "_uniform":
                return True
            makes |= {v for v in equation.invars if not isinstance(v, jaxprs.Literal)}
    return False


def _flavour(equation: Any, name: str, dtype: Any) -> tuple[tuple[str, Any], ...]:
    """Which program of a function it is, if a flag such as gelu's `approximate` chooses among several."""
    programs = _programs(name, dtype)
    here = tuple(jaxprs.primitives(equation.params["jaxpr"]))
    return next((fixed for fixed, primitives in programs if primitives == here), ())


@functools.cache
def _programs(name: str, dtype: Any) -> list[tuple[tuple[tuple[str, Any], ...], tuple[str, ...]]]:
    row = catalog.find(name)
    flags = [p for p, default in row.parameters.items() if isinstance(default, bool)] if row else []
    if row is None or row.kind != "pointwise" or not flags:
        return []
    programs = []
    for values in itertools.product((False, True), repeat=len(flags)):
        fixed = tuple(zip(flags, values, strict=True))
        traced = jaxprs.trace(functools.partial(row.function, **dict(fixed)), jax.ShapeDtypeStruct((2, 4), dtype))[0]
        calls = [e for e in jaxprs.opened(traced)[0].eqns if (jaxprs.called(e) or ("",))[0] == name]
        programs += [(fixed, tuple(jaxprs.primitives(e.params["jaxpr"]))) for e in calls if "jaxpr" in e.params]
    return programs


@dataclasses.dataclass
class _Bound:
    """What the inputs of a form stand for."""

    x: list[Node] = dataclasses.field(default_factory=list)
    parameters: dict[str, Node] = dataclasses.field(default_factory=dict)


_EXAMPLES: dict[str, Callable[[Any], Any]] = {
    "where": lambda dtype: ((2, 4), bool),
    "value": lambda dtype: ((2, 4), dtype),
    "b": lambda dtype: ((2, 4), dtype),
}
"""Shape and type of the parameters that are not numbers."""


@functools.cache
def _templates(dtype: Any) -> dict[Any, list[tuple[Form, Node, dict[Any, str], tuple[Any, ...]]]]:
    """Every form traced with a type, by its last operation and the operations before that."""
    result: dict[Any, list[tuple[Form, Node, dict[Any, str], tuple[Any, ...]]]] = {}
    for form in FORMS:
        x = jax.ShapeDtypeStruct((2, 4), dtype)
        others = [jax.ShapeDtypeStruct(*_EXAMPLES.get(p, lambda dtype: ((), dtype))(dtype)) for p in form.parameters]
        jaxpr, constants = jaxprs.opened(jaxprs.trace(form.write, x, *others)[0])
        root = core(Graph(jaxpr, constants).node(jaxpr.outvars[0]))
        names = dict(zip(jaxpr.invars, ("x", *form.parameters), strict=True))
        result.setdefault(root.kind, []).append((form, root, names, _before(root)))
    return result


def _before(node: Node) -> tuple[Any, ...]:
    """The kinds of a value's arguments, which often tell at once that it does not have some form."""
    kinds = (core(argument).kind for argument in node.arguments)
    return tuple(MIRRORED.get(kind, kind) if kind in ("lt", "le") else kind for kind in kinds)


def _agree(form: tuple[Any, ...], here: tuple[Any, ...]) -> bool:
    return len(form) == len(here) and all(f in ("leaf", h) for f, h in zip(form, here, strict=True))


def _written(graph: Graph, number: int, read_by: Any, taken: set[int], joined: bool) -> Match | None:
    """An activation of jax.nn, or written by hand, whose output this equation makes."""
    outer = graph.node(graph.jaxpr.eqns[number].outvars[0])
    root = core(outer)
    if root.owner != number or root.kind in ("leaf", "literal"):
        return None
    here = _before(root)
    for form, template, names, before in _templates(np.dtype(root.aval.dtype)).get(root.kind, ()):
        bound = _Bound()
        if (form.joined and not joined) or not (_agree(before, here) or _agree(before, here[::-1])):
            continue
        if _unify(template, root, names, bound) and bound.x:
            match = _settled(form, outer, bound, graph, read_by, taken)
            if match is not None:
                return match
    return None


def _unify(template: Node, node: Node, names: dict[Any, str], bound: _Bound) -> bool:
    """Whether a value has a form, and what the form's inputs stand for."""
    template = core(template)
    if template.kind == "leaf":
        name = names[template.variable]
        if name == "x":
            bound.x.append(node)
            return _bare(bound.x[0]) is _bare(node)
        known = bound.parameters.setdefault(name, node)
        return known is node or _same(core(known), core(node))
    node = core(node)
    if template.kind == "literal":
        return node.kind == "literal" and _close(template.details, node.details, template.aval.dtype)
    pairs = list(zip(template.arguments, node.arguments, strict=False))
    if template.kind == node.kind:
        if template.details != node.details or len(template.arguments) != len(node.arguments):
            return False
        orders = [pairs]
        if template.kind in COMMUTATIVE:
            orders.append(list(zip(template.arguments, node.arguments[::-1], strict=True)))
    elif MIRRORED.get(template.kind) == node.kind:
        orders = [list(zip(template.arguments, node.arguments[::-1], strict=True))]
    else:
        return False
    before = copy.copy(bound.x), dict(bound.parameters)
    for order in orders:
        if all(_unify(t, n, names, bound) for t, n in order):
            return True
        bound.x[:], bound.parameters = before[0], dict(before[1])
    return False


def _same(a: Node, b: Node) -> bool:
    return a is b or (a.kind == b.kind == "literal" and _close(a.details, b.details, a.aval.dtype))


def _close(a: Any, b: Any, dtype: Any) -> bool:
    """Whether two constants are equal, however they were rounded."""
    if np.shape(a) or np.shape(b):
        return False
    a, b = float(a), float(b)
    tolerance = 4 * float(jax.numpy.finfo(dtype).eps) if jax.numpy.issubdtype(dtype, jax.numpy.floating) else 0.0
    return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=tolerance)


def _settled(form: Form, outer: Node, bound: _Bound, graph: Graph, read_by: Any, taken: set[int]) -> Match | None:
    """The match, if nothing else uses its values and its axes are in order."""
    x, dtype = _input(bound.x)
    if x is None:
        return None
    if form.by_hand and not called_by_user(jaxprs.frames(graph.jaxpr.eqns[outer.owner])):
        return None
    free = list(bound.parameters.values())
    used = set(_owners(outer, [x, *free]))
    group = _closed(used, graph, read_by, outer.owner)
    if group is None or group & taken or any(jaxprs.derived(graph.jaxpr.eqns[i]) for i in group):
        return None
    arrangement = Arrangement(x, free)
    axes = arrangement.of(outer)
    if axes is None or len(arrangement.rows) > 1:
        return None
    rows = next(iter(arrangement.rows), ())
    kind = kind_of(form.name)
    shape = x.aval.shape
    kept = {a for a in range(len(shape)) if shape[a] > 1 and not (form.reduces and a in rows)}
    if {a for a in axes if a is not None and shape[a] > 1} - set(rows) != kept - set(rows):
        return None
    along = kind == "axis" or (kind == "gated" and not form.joined)
    if along != bool(arrangement.rows) or (kind == "pointwise" and x.aval.size != outer.aval.size):
        return None
    parameters = {}
    for name, node in bound.parameters.items():
        parameter = _parameter(node, x, group, arrangement)
        if parameter is None:
            return None
        parameters[name] = parameter
    if "value" in bound.parameters and bound.parameters["value"].aval.shape != shape:  # a scale, and no gate's value
        return None
    return Match(
        form.name,
        kind,
        tuple(sorted(group)),
        x.variable,
        parameters,
        tuple(form.fixed.items()),
        form,
        dtype,
        rows,
        axes,
    )


def _below(node: Node) -> Iterator[Node]:
    """The node, and the node without arrangements and without casts to a wider type, which change no value."""
    yield node
    while node.kind in ARRANGING or (
        node.kind == "convert_element_type" and jaxprs.widens(node.arguments[0].aval, node.aval)
    ):
        node = node.arguments[0]
        yield node


def _bare(node: Node) -> Node:
    return list(_below(node))[-1]


def _input(uses: list[Node]) -> tuple[Node | None, Any]:
    """The last node that is x in all places, and the type that it is cast to first, if any."""
    others = [{id(node) for node in _below(use)} for use in uses[1:]]
    for node in _below(uses[0]):
        if node.variable is not None and all(id(node) in other for other in others):
            widest = max((use.aval.dtype for use in uses), key=lambda dtype: dtype.itemsize)
            return (node, None if widest == node.aval.dtype else widest) if jaxprs.is_float(node.aval) else (None, None)
    return None, None


def _owners(node: Node, ends: Sequence[Node]) -> Iterator[int]:
    """The equations between a value and the nodes that it is made from."""
    if any(node is end for end in ends) or (node.variable is not None and core(node).kind == "literal"):
        return
    if node.owner is not None:
        yield node.owner
    if node.kind != "leaf":
        for argument in node.arguments:
            yield from _owners(argument, ends)


def _closed(used: set[int], graph: Graph, read_by: Any, last: Any) -> set[int] | None:
    """Equations, with those that read their values and make nothing; None if other equations read the values too."""
    group = set(used)
    equations = graph.jaxpr.eqns
    for i in used:
        for variable in equations[i].outvars if i != last else ():
            for reader in read_by.get(variable, ()):
                reading = graph.numbers.get(reader)
                if reading in group:
                    continue
                if reading is None or not jaxprs.dead(equations[reading], read_by):
                    return None
                group.add(reading)
    return group


def _parameter(node: Node, x: Node, group: set[int], arrangement: Arrangement) -> Parameter | None:
    bare = core(node)
    if bare.kind == "literal":
        return Parameter(float(str(np.asarray(bare.details).astype(bare.aval.dtype))))  # 0.01, not 0.0099999998
    end = node
    while end.variable is None or end.owner in group:  # inside a call x is cast and arranged
        if (
            end.kind not in ("broadcast_in_dim", "convert_element_type", "pvary", "reshape", "call")
            or not end.arguments
        ):
            return None
        end = end.arguments[0]
    if core(end) is core(x) or core(end) is x:
        return None
    return Parameter(None, node, arrangement.beside.get(id(node), ()))
