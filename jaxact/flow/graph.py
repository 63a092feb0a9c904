"""The equations of a jaxpr as expressions that `recognise` compares: one node for each value, with JAX's calls opened.

An operation that only arranges entries (a broadcast, a transpose, a cast to the same type) is a separate node. `core`
looks through such nodes, and `arrangement` keeps account of them.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxact.flow import jaxprs

ELEMENTWISE = frozenset({
    "abs", "add", "add_any", "and", "ceil", "clamp", "convert_element_type", "cosh", "div", "eq", "erf", "erfc", "exp",
    "exp2", "expm1", "floor", "ge", "gt", "integer_pow", "is_finite", "le", "log", "log1p", "logistic", "lt", "max",
    "min", "mul", "ne", "neg", "not", "or", "pow", "round", "rsqrt", "select_n", "sign", "sqrt", "square",
    "stop_gradient", "sub", "tanh",
})  # fmt: skip
REDUCING = frozenset({"reduce_max", "reduce_sum"})
ARRANGING = frozenset({"broadcast_in_dim", "call", "copy", "expand_dims", "pvary", "reshape", "squeeze", "transpose"})
COMMUTATIVE = frozenset({"add", "mul", "max", "min", "and", "or", "eq", "ne"})
MIRRORED = {"gt": "lt", "lt": "gt", "ge": "le", "le": "ge"}

_OF_NUMBERS = {"sqrt": np.sqrt, "neg": np.negative, "mul": np.multiply, "div": np.divide, "add": np.add, "log": np.log}

# These parameters of an equation say how its result is laid out, not what it is.
_LAYOUT = frozenset({"axes", "axis", "out_sharding", "sharding", "sizes", "accuracy", "weak_type"})


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Node:
    """A value: what it is made from, and by which equation of the jaxpr."""

    kind: str
    """A primitive's name; "literal"; "leaf" for an unknown value; "call" or "rule" for a function of JAX."""
    aval: Any
    arguments: tuple["Node", ...] = ()
    details: Any = ()
    """The details that distinguish equations of one primitive; a literal's value; or the function that has a rule."""
    owner: int | None = None
    """Which equation of the jaxpr makes it; None for inputs and literals."""
    variable: Any = None
    """The variable of the jaxpr that holds it; None inside an opened call."""
    equation: Any = None
    """The equation, inside of an opened call or not."""


class Graph:
    """The expressions of one jaxpr."""

    def __init__(self, jaxpr: Any, constants: Sequence[Any]) -> None:
        self.jaxpr = jaxpr
        self.numbers = {id(equation): i for i, equation in enumerate(jaxpr.eqns)}
        self._nodes: dict[Any, Node] = {}
        for variable, value in zip(jaxpr.constvars, constants, strict=True):
            self._nodes[variable] = _constant(variable, value)
        for variable in jaxpr.invars:
            self._nodes[variable] = Node("leaf", variable.aval, variable=variable)
        for i, equation in enumerate(jaxpr.eqns):
            self._enter(equation, self._nodes, i, True)

    def node(self, atom: Any) -> Node:
        """The node of an equation's input or output."""
        return _read(atom, self._nodes)

    def _enter(self, equation: Any, nodes: dict[Any, Node], owner: int, outer: bool) -> None:
        arguments = tuple(_read(atom, nodes) for atom in equation.invars)
        held = [v if outer else None for v in equation.outvars]
        opened = jaxprs.library_call(equation)
        if opened is not None:
            function, jaxpr, constants = opened
            inner = dict(zip(jaxpr.constvars, map(_constant, jaxpr.constvars, constants), strict=True))
            inner |= zip(jaxpr.invars, arguments, strict=True)
            for e in jaxpr.eqns:
                self._enter(e, inner, owner, False)
            kind = "rule" if function else "call"
            results = [
                Node(kind, v.aval, (_read(v, inner),), function, owner, h, equation)
                for v, h in zip(jaxpr.outvars, held, strict=True)
            ]
        elif equation.primitive.name in _OF_NUMBERS and all(core(a).kind == "literal" for a in arguments):
            value = _OF_NUMBERS[equation.primitive.name](*(core(a).details for a in arguments))
            results = [Node("literal", equation.outvars[0].aval, (), value, None, held[0], equation)]
        else:
            kind = equation.primitive.name
            known = kind in ELEMENTWISE or kind in REDUCING or kind in ARRANGING or kind == "split"
            details = _details(equation) if known else ()
            results = [
                Node(
                    kind if known else "leaf",
                    v.aval,
                    arguments,
                    (*details, i) if kind == "split" else details,
                    owner,
                    held[i],
                    equation,
                )
                for i, v in enumerate(equation.outvars)
            ]
        nodes.update(zip(equation.outvars, results, strict=True))


def _read(atom: Any, nodes: dict[Any, Node]) -> Node:
    if isinstance(atom, jaxprs.Literal):
        return Node("literal", atom.aval, details=atom.val)
    return nodes.get(atom) or Node("leaf", atom.aval)


def _constant(variable: Any, value: Any) -> Node:
    """A captured scalar is as good as a literal, unless it is a tracer."""
    if not variable.aval.shape and isinstance(value, np.ndarray | np.generic | float | int):
        return Node("literal", variable.aval, details=value, variable=variable)
    return Node("leaf", variable.aval, variable=variable)


def _details(equation: Any) -> tuple[Any, ...]:
    if equation.primitive.name in ARRANGING:
        return ()
    return tuple((k, str(v)) for k, v in sorted(equation.params.items()) if k not in _LAYOUT)


def core(node: Node) -> Node:
    """The node without operations that only arrange its entries. A number that was cast is a number."""
    while True:
        if node.kind in ARRANGING or (
            node.kind == "convert_element_type" and node.aval.dtype == node.arguments[0].aval.dtype
        ):
            node = node.arguments[0]
        elif node.kind == "convert_element_type" and core(node.arguments[0]).kind == "literal":
            value = core(node.arguments[0]).details
            return Node("literal", node.aval, details=np.asarray(value).astype(node.aval.dtype), owner=node.owner)
        else:
            return node


Axes = tuple[int | None, ...]


class Arrangement:
    """Which axis of x each axis of a value is, in the expression of an activation of x; None for an axis of size 1.

    `vmap` transposes what is inside a function, so that y's axes may be x's in another order.
    """

    def __init__(self, x: Node, free: Sequence[Node]) -> None:
        self._known: dict[int, Axes] = {id(x): tuple(range(len(x.aval.shape)))}
        self._free = [core(node) for node in free]
        self.rows: set[tuple[int, ...]] = set()
        """The axes of x that are reduced or split; one tuple for a function along an axis."""
        self.beside: dict[int, Axes] = {}
        """For each free node (by identity), the axes of the value that it is combined with."""

    def of(self, node: Node) -> Axes | None:
        """The axes of a value, or None if they cannot be told."""
        if id(node) not in self._known:
            axes = self._axes(node)
            if axes is None:
                return None
            self._known[id(node)] = axes
        return self._known[id(node)]

    def _is_free(self, node: Node) -> bool:
        return any(core(node) is free for free in self._free)

    def _axes(self, node: Node) -> Axes | None:
        if node.kind == "literal" or self._is_free(node):
            return (None,) * len(node.aval.shape)
        inner = [self.of(argument) for argument in node.arguments]
        if not inner or any(axes is None for axes in inner):
            return None
        first, shape = inner[0], node.aval.shape
        assert first is not None
        match node.kind:
            case "call" | "rule" | "copy" | "convert_element_type" | "pvary" | "stop_gradient":
                return first
            case "transpose":
                return tuple(first[i] for i in node.equation.params["permutation"])
            case "broadcast_in_dim":
                placed = dict(zip(node.equation.params["broadcast_dimensions"], first, strict=True))
                return tuple(placed.get(i) for i in range(len(shape)))
            case "reshape" | "squeeze" | "expand_dims":
                return _reshaped(first, node.arguments[0].aval.shape, shape)
            case "reduce_max" | "reduce_sum":
                reduced = node.equation.params["axes"]
                self.rows.add(tuple(sorted(a for i in reduced if (a := first[i]) is not None)))
                return tuple(a for i, a in enumerate(first) if i not in reduced)
            case "split":
                along = first[node.equation.params["axis"]]
                sizes = set(node.equation.params["sizes"])
                if along is None or len(sizes) > 1:
                    return None
                self.rows.add((along,))
                return first
        return self._together(node, inner)

    def _together(self, node: Node, inner: list[Any]) -> Axes | None:
        merged: list[int | None] = [None] * len(node.aval.shape)
        for axes in inner:
            for i, axis in enumerate(axes):  # a scalar has none
                if axis is not None and merged[i] not in (None, axis):
                    return None
                merged[i] = axis if merged[i] is None else merged[i]
        result = tuple(merged)
        for argument in node.arguments:
            if self._is_free(argument):
                self.beside[id(argument)] = result
        return result


def _reshaped(axes: Axes, before: Sequence[int], after: Sequence[int]) -> Axes | None:
    """Follow the axes through a reshape that adds or removes axes of size 1, and does nothing else."""
    if [n for n in before if n != 1] != [n for n in after if n != 1]:
        return None
    rest = iter([axis for axis, n in zip(axes, before, strict=True) if n != 1])
    return tuple(None if n == 1 else next(rest) for n in after)
