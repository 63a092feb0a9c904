"""A traced function as a `Program`, which knows its activations and can run with a visitor at each of them.

A program is a list of steps. Each step is one of

- `Run`: equations that are evaluated as they are;
- `Visit`: an activation; the visitor sees its input, output and derivative;
- `Enter`: an equation with programs inside (jit, scan, cond, ...).
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import Array

from jaxact.flow import jaxprs
from jaxact.flow.jaxprs import Slots, Statistics
from jaxact.flow.modules import path_of
from jaxact.flow.recognise import Match, matches
from jaxact.flow.sites import LOOP, Site, Unseen, user_frame

Visitor = Callable[["Visit", Sequence[Any], Slots], tuple[Array, Statistics]]


@dataclasses.dataclass(frozen=True)
class Run:
    """Equations to evaluate as they are."""

    function: Callable[..., list[Array]]
    inputs: Sequence[Any]
    outputs: Sequence[Any]


@dataclasses.dataclass(frozen=True)
class Visit:
    """An activation: `function` of `inputs`, where `inputs[argument]` is x and the one output is y."""

    site: Site
    match: Match
    function: Callable[..., list[Array]]
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    argument: int
    equation: Any
    """The last of its equations, which has its names and source lines."""

    def of_x(self, inputs: Sequence[Any]) -> Callable[[Array], Array]:
        """The activation as a function of x alone."""
        return lambda x: self.function(*inputs[: self.argument], x, *inputs[self.argument + 1 :])[0]


@dataclasses.dataclass(frozen=True)
class Enter:
    """An equation and the programs inside it."""

    equation: Any
    loops: int
    """How many scans are around the equation."""
    programs: tuple["Program", ...]
    inputs: Sequence[Any]
    outputs: Sequence[Any]


@dataclasses.dataclass(frozen=True)
class Program:
    """A jaxpr, cut into steps."""

    constants: Sequence[Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    steps: tuple[Run | Visit | Enter, ...]
    unseen: tuple[Unseen, ...] = ()
    """The equations that were not looked into, here and inside."""

    def tree(self, leaf: Callable[[Site], Any]) -> dict[int, Any]:
        """Build `leaf(site)` for every site, in the shape that slots and statistics have."""
        return {
            i: leaf(step.site) if isinstance(step, Visit) else [inner.tree(leaf) for inner in step.programs]
            for i, step in enumerate(self.steps)
            if not isinstance(step, Run)
        }

    def sites(self) -> list[Site]:
        """Every site, in the order of `flatten`."""
        return jax.tree.leaves(self.tree(lambda site: site))

    def flatten(self, tree: Any) -> list[Any]:
        """The leaf of every site in a pytree that is shaped like `tree`."""
        return jax.tree.structure(self.tree(lambda site: site)).flatten_up_to(tree)


def program_of(
    closed: Any,
    select: Callable[[Visit], bool] = lambda visit: True,
    joined: bool = False,
    unit_axis: Callable[[Site], int] = lambda site: -1,
) -> Program:
    """Find the activations in a traced function. Every input of the function is differentiated.

    Args:
      closed: the traced function.
      select: which of the activations to visit.
      joined: whether an activation and the product or square after it are taken together.
      unit_axis: takes a site and returns the axis of its output whose entries are units.
    """
    jaxpr, constants = jaxprs.opened(closed)
    place = _Place(select=select, joined=joined, unit_axis=unit_axis, parameters=frozenset(jaxpr.invars))
    return _program(jaxpr, constants, [True] * len(jaxpr.invars), place)[0]


def evaluate(
    program: Program,
    arguments: Sequence[Any],
    slots: Slots,
    visitor: Visitor,
    zero: Callable[[Site, tuple[int, ...]], Any],
    combine: jaxprs.Combine,
) -> tuple[list[Any], Statistics]:
    """Run a program with the visitor at each of its sites.

    Args:
      program: what to run.
      arguments: its inputs.
      slots: a pytree shaped like `program.tree`.
      visitor: called at each site with the step, its inputs, and the site's slot; returns y and the site's statistics.
      zero: makes the statistics of a site that does not run (in a branch not taken), within loops of some lengths.
      combine: how to combine the statistics of several iterations or devices.

    Returns:
      The outputs, and the statistics, a pytree shaped like `program.tree`.
    """

    def go(program: Program, arguments: Sequence[Any], slots: Slots) -> tuple[list[Any], Statistics]:
        values = dict(zip(program.inputs, [*program.constants, *arguments], strict=True))

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, jaxprs.Literal) else values[atom]

        statistics = {}
        for i, step in enumerate(program.steps):
            inputs = [read(atom) for atom in step.inputs]
            if isinstance(step, Run):
                outputs = step.function(*inputs)
            elif isinstance(step, Visit):
                y, statistics[i] = visitor(step, inputs, slots[i])
                outputs = [y]
            else:
                outputs, statistics[i] = jaxprs.rerun(
                    step.equation,
                    inputs,
                    slots[i],
                    lambda j, inputs, slots, step=step: go(step.programs[j], inputs, slots),
                    [inner.tree(lambda site, n=step.loops: zero(site, site.loops[n:])) for inner in step.programs],
                    [inner.tree(_slot_axes) for inner in step.programs],
                    combine,
                )
            values.update(zip(step.outputs, outputs, strict=True))
        return [read(atom) for atom in program.outputs], statistics

    return go(program, arguments, slots)


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where in the traced function a jaxpr is."""

    path: tuple[str, ...] = ()
    position: tuple[int, ...] = ()
    loops: tuple[int, ...] = ()
    tapped: bool = True
    select: Callable[[Visit], bool] = lambda visit: True
    joined: bool = False
    unit_axis: Callable[[Site], int] = lambda site: -1
    parameters: frozenset[Any] = frozenset()
    """The variables that are parameters, perhaps cast or arranged otherwise."""
    repeated: bool = False
    source: tuple[str, int, str] = ("", 0, "")
    """The user's file, line and function that call the code around it."""
    barren: dict[Any, list[bool]] = dataclasses.field(default_factory=dict)
    """Which outputs are active, by jaxpr (with nothing to see inside) and active inputs. JAX's own jaxprs are the same
    in every call."""

    def called_from(self, equation: Any) -> tuple[str, int, str]:
        """The user's file, line and function that call an equation. Code that JAX traces itself has those around it."""
        found = user_frame(jaxprs.frames(equation))
        return found if found[0] else self.source

    def at(self, equation: Any, step: int) -> "_Place":
        return dataclasses.replace(self, path=self.path + jaxprs.scopes(equation), position=(*self.position, step))

    def inside(self, equation: Any, found: jaxprs.Inside, jaxpr: Any, number: int) -> "_Place":
        inner = jaxprs.opened(jaxpr)[0].invars
        given = equation.invars[found.skipped :]
        parameters = {v for v, atom in zip(inner, given, strict=True) if jaxprs.among(atom, set(self.parameters))}
        return dataclasses.replace(
            self,
            position=(*self.position, number),
            parameters=frozenset(parameters),
            source=self.called_from(equation),
        )


def _program(jaxpr: Any, constants: Sequence[Any], active: Sequence[bool], place: _Place) -> tuple[Program, list[bool]]:
    """Cut a jaxpr into steps.

    Args:
      jaxpr: the jaxpr.
      constants: the values of its constvars.
      active: which of its inputs depend on the differentiated arguments. Taps go only where a gradient comes anyway: a
        tap elsewhere would add to the backward pass, or start one through a `while_loop`, which has none.
      place: where the jaxpr is.

    Returns:
      The program, and which of its outputs are active.
    """
    variables = {v for v, a in zip(jaxpr.invars, active, strict=True) if a}
    place = dataclasses.replace(place, parameters=jaxprs.arranged(jaxpr, place.parameters))
    read_by = jaxprs.readers(jaxpr)
    found = matches(jaxpr, constants, place.joined)
    inside = {i: number for number, match in found.items() for i in match.equations}
    steps: list[Run | Visit | Enter] = []
    unseen: list[Unseen] = []
    waiting: list[Any] = []

    def flush() -> None:
        if waiting:
            inputs, outputs = jaxprs.boundary(waiting, read_by)
            steps.append(Run(jaxprs.function_of(waiting, inputs, outputs), inputs, outputs))
            waiting.clear()

    for number, equation in enumerate(jaxpr.eqns):
        if inside.get(number, number) != number:  # runs where its activation's last one does
            continue
        next_step = len(steps) + bool(waiting)
        match = found.get(number)
        step: Visit | Enter | None = None
        group = [equation]
        if match is not None:
            group = [jaxpr.eqns[i] for i in match.equations]
            step = _visit(match, group, variables, read_by, place.at(equation, next_step))
            if not place.select(step):
                step = None
        elif jaxprs.derived(equation):
            unseen.append(_unseen("derivative code", equation, place.at(equation, next_step)))
        elif (what := jaxprs.unseen(equation)) is not None:
            unseen.append(_unseen(what, equation, place.at(equation, next_step)))
        else:
            step, more = _enter(equation, variables, place, next_step)
            unseen += more
        if step is None:
            waiting.extend(group)
        else:
            flush()
            steps.append(step)
        if match is not None or jaxprs.derived(equation) or jaxprs.inside(equation) is None:
            _spread(group, variables)
    flush()
    inputs = [*jaxpr.constvars, *jaxpr.invars]
    program = Program(constants, inputs, jaxpr.outvars, tuple(steps), tuple(dict.fromkeys(unseen)))
    return program, [jaxprs.among(v, variables) for v in jaxpr.outvars]


def _spread(equations: Sequence[Any], active: set[Any]) -> None:
    """Mark what depends on active values as active."""
    for equation in equations:
        if equation.primitive.name != "stop_gradient" and any(jaxprs.among(v, active) for v in equation.invars):
            active.update(v for v in equation.outvars if jaxprs.is_float(v.aval))


def _unseen(what: str, equation: Any, place: "_Place") -> Unseen:
    file, line, function = place.called_from(equation)
    return Unseen(what, path_of(place.path), file, 0 if what == "derivative code" else line, function)


def _visit(match: Match, group: list[Any], active: set[Any], read_by: Any, place: "_Place") -> Visit:
    """Make a site from the equations of an activation."""
    inputs, outputs = jaxprs.boundary(group, read_by)
    outputs = outputs or list(group[-1].outvars)
    x, (y,) = match.x, outputs
    file, line, function = place.called_from(group[-1])
    site = Site(
        name=match.name,
        kind=match.kind,
        path=path_of(place.path),
        file=file,
        line=line,
        function=function,
        shape=y.aval.shape,
        dtype=str(y.aval.dtype),
        loops=place.loops,
        position=place.position,
        tapped=place.tapped and x in active,
        varying=(jaxprs.axes_of(x.aval), jaxprs.axes_of(y.aval)),
        parameters=(*((name, p.value) for name, p in match.parameters.items() if name != "value"), *match.fixed),
        rows=match.rows,
        repeated=place.repeated,
    )
    site = dataclasses.replace(site, unit_axis=place.unit_axis(site))
    return Visit(site, match, jaxprs.function_of(group, inputs, outputs), inputs, outputs, inputs.index(x), group[-1])


def _enter(equation: Any, active: set[Any], outer: "_Place", step: int) -> tuple[Enter | None, list[Unseen]]:
    """Look for sites inside an equation; None if there are none. Marks the equation's active outputs."""
    found = jaxprs.inside(equation)
    if found is None:
        return None, []
    inputs = [jaxprs.among(v, active) for v in equation.invars[found.skipped :]]
    key = (*map(id, found.jaxprs), *inputs)
    if key in outer.barren:
        active.update(v for v, a in zip(equation.outvars, outer.barren[key], strict=True) if a)
        return None, []
    place = outer.at(equation, step)
    place = dataclasses.replace(place, tapped=place.tapped and found.tapped)
    if found.length is not None:
        repeated = place.repeated or _repeats(equation, found, place.parameters)
        place = dataclasses.replace(
            place, position=(*place.position, LOOP), loops=(*place.loops, found.length), repeated=repeated
        )
    carried = slice(found.constants, found.constants + found.carry)
    while True:  # until it is known which carried values become active in some iteration
        inner = [
            _program(*jaxprs.opened(jaxpr), inputs, place.inside(equation, found, jaxpr, i))
            for i, jaxpr in enumerate(found.jaxprs)
        ]
        outputs = [any(flags) for flags in zip(*(flags for _, flags in inner), strict=True)]
        grown = [a or b for a, b in zip(inputs[carried], outputs, strict=False)]
        if grown == inputs[carried]:
            break
        inputs[carried] = grown
    active.update(v for v, a in zip(equation.outvars, outputs, strict=True) if a)
    programs = tuple(program for program, _ in inner)
    unseen = [u for program in programs for u in program.unseen]
    if not any(program.sites() for program in programs):
        if not unseen:
            outer.barren[key] = outputs
        return None, unseen
    return Enter(equation, len(outer.loops), programs, equation.invars, equation.outvars), unseen


def _repeats(equation: Any, found: jaxprs.Inside, parameters: frozenset[Any]) -> bool:
    """Whether a scan uses the same weights in each iteration, and not those of different layers."""

    def weights(atoms: Sequence[Any]) -> bool:
        return any(jaxprs.among(a, set(parameters)) and jaxprs.is_float(a.aval) and a.aval.ndim > 1 for a in atoms)

    state = found.constants + found.carry
    return weights(equation.invars[: found.constants]) and not weights(equation.invars[state:])


def _slot_axes(site: Site) -> dict[str, tuple[str, ...]] | None:
    return dict(zip(("dx", "dy"), site.varying, strict=True)) if site.tapped else None
