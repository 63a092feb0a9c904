"""Everything that knows the inside of a jaxpr: finding activations in one, and running it with a tap at each.

A traced function becomes a `Program`: a list of steps, each one of

- `Run`: equations that are evaluated as they are;
- `Visit`: an activation, whose input, output and derivative the caller's `visitor` gets to see;
- `Enter`: an equation with a program inside (jit, scan, cond, ...), which is traced again through JAX's public function.

Slots (what the taps are differentiated by) go in and statistics come out as pytrees of the program's own shape, so that
`lax.scan` stacks them, `lax.cond` selects them and `jax.checkpoint` carries them without knowing what they are.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from jax import Array, lax
from jax import numpy as jnp
from jax.extend import core
from jax.sharding import PartitionSpec

from jaxact.flow.sites import LOOP, PRIMITIVES, TAP, Frame, Site, defines_activations, kind_of, nn_call, user_frame

Slots = Any
Statistics = Any
Visitor = Callable[[Site, Callable[[Array], Array], Array, Slots], tuple[Array, Statistics]]


@dataclasses.dataclass(frozen=True)
class Run:
    """Equations to evaluate as they are."""

    function: Callable[..., list[Array]]
    inputs: Sequence[Any]
    outputs: Sequence[Any]


@dataclasses.dataclass(frozen=True)
class Visit:
    """An activation: `function` of `inputs`, of which `inputs[argument]` is x; its one output is y."""

    site: Site
    function: Callable[..., list[Array]]
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    argument: int


@dataclasses.dataclass(frozen=True)
class Enter:
    """An equation and the programs inside it."""

    equation: Any
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


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where in the traced function a jaxpr is."""

    path: tuple[str, ...] = ()
    position: tuple[int, ...] = ()
    loops: tuple[int, ...] = ()
    tapped: bool = True
    select: Callable[[Site], bool] = lambda site: True

    def at(self, equation: Any, step: int) -> "_Place":
        return dataclasses.replace(self, path=self.path + scopes(equation), position=(*self.position, step))


def trace(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
    """Trace a function to a closed jaxpr and the pytree of its outputs' shapes."""
    return jax.make_jaxpr(function, return_shape=True)(*arguments)


def program_of(closed: Any, select: Callable[[Site], bool] = lambda site: True) -> Program:
    """Find the activations in a traced function, every input of which is differentiated."""
    jaxpr, constants = opened(closed)
    return _program(jaxpr, constants, [True] * len(jaxpr.invars), _Place(select=select))[0]


# Finding the steps.


def _program(jaxpr: Any, constants: Sequence[Any], active: Sequence[bool], place: _Place) -> tuple[Program, list[bool]]:
    """Cut a jaxpr into steps.

    Args:
      jaxpr: it.
      constants: values of its constvars.
      active: which of its inputs depend on what is differentiated. Taps go only where a gradient comes anyway: a tap
        elsewhere would add to the backward pass, or make one through a `while_loop`, which has none.
      place: where it is.

    Returns:
      The program, and which of its outputs are active.
    """
    variables = {v for v, a in zip(jaxpr.invars, active, strict=True) if a}
    read_by = _readers(jaxpr)
    steps: list[Run | Visit | Enter] = []
    waiting: list[Any] = []

    def flush() -> None:
        if waiting:
            inputs, outputs = _boundary(waiting, read_by)
            steps.append(Run(_function(waiting, inputs, outputs), inputs, outputs))
            waiting.clear()

    for name, kind, group in _groups(jaxpr.eqns):
        inputs, outputs = _boundary(group, read_by)
        position = len(steps) + bool(waiting)
        step = _visit(name, kind, group, inputs, outputs, variables, place.at(group[0], position))
        if kind is None:
            step = _enter(group[0], variables, place.at(group[0], position))
        if isinstance(step, Visit) and not place.select(step.site):
            step = None
        if step is None:
            waiting.extend(group)
        else:
            flush()
            steps.append(step)
        if not isinstance(step, Enter):
            for equation in group:
                if equation.primitive.name != "stop_gradient" and any(_in(v, variables) for v in equation.invars):
                    variables.update(v for v in equation.outvars if _is_float(v.aval))
    flush()
    inputs = [*jaxpr.constvars, *jaxpr.invars]
    return Program(constants, inputs, jaxpr.outvars, tuple(steps)), [_in(v, variables) for v in jaxpr.outvars]


def _groups(equations: Sequence[Any]) -> Iterator[tuple[str, str | None, list[Any]]]:
    """Join the equations that one call of jax.nn left without a name of its own; every other equation is alone."""
    group: list[Any] = []
    before = None
    for equation in equations:
        call = None if _named(equation)[0] else nn_call(_frames(equation))
        if group and not (call is not None and call.continues(before)):
            yield before.name, kind_of(before.name), group
            group = []
        if call is None:
            yield *_named(equation), [equation]
        else:
            group.append(equation)
        before = call
    if group:
        yield before.name, kind_of(before.name), group


def _named(equation: Any) -> tuple[str, str | None]:
    """The name and kind of an activation that is one equation; else two empty ones."""
    primitive, parameters = equation.primitive.name, equation.params
    if primitive == "name" and parameters["name"].startswith(TAP):
        return parameters["name"].removeprefix(TAP), "tap"
    if primitive in PRIMITIVES and nn_call(_frames(equation)) is None:
        return PRIMITIVES[primitive], "pointwise"
    if primitive in ("jit", "custom_jvp_call"):
        inner, _ = opened(parameters["jaxpr" if primitive == "jit" else "call_jaxpr"])
        name = inner.debug_info.func_name
        if kind_of(name) and defines_activations(inner.debug_info.func_filename):
            return name, kind_of(name)
    return "", None


def _visit(
    name: str, kind: Any, group: list[Any], inputs: list[Any], outputs: list[Any], active: set[Any], place: _Place
) -> Visit | None:
    """Make a site of equations that bear an activation's name, if they have the inputs and the output of one."""
    if kind is None or len(outputs) != 1 or not _is_float(outputs[0].aval):
        return None
    (y,) = outputs
    arrays = [
        i for i, v in enumerate(inputs) if _is_float(v.aval) and (kind == "gated" or v.aval.shape == y.aval.shape)
    ]
    if not arrays:
        return None
    x = inputs[arrays[0]]
    file, line, function = user_frame(_frames(group[0]))
    site = Site(
        name=name,
        kind=kind,
        path="/".join(place.path),
        file=file,
        line=line,
        function=function,
        shape=y.aval.shape,
        dtype=str(y.aval.dtype),
        loops=place.loops,
        position=place.position,
        tapped=place.tapped and x in active,
        varying=(tuple(sorted(x.aval.mat.varying)), tuple(sorted(y.aval.mat.varying))),
    )
    return Visit(site, _function(group, inputs, outputs), inputs, outputs, arrays[0])


def _enter(equation: Any, active: set[Any], place: _Place) -> Enter | None:
    """Look for sites inside an equation; None if there are none. Marks the equation's active outputs."""
    primitive, parameters = equation.primitive.name, equation.params
    if primitive not in _RULES or (primitive == "remat2" and parameters["differentiated"]):
        return None
    inputs = [_in(v, active) for v in equation.invars]
    if primitive == "scan":
        constants, carry = _scan_counts(parameters)
        place = dataclasses.replace(place, position=(*place.position, LOOP), loops=(*place.loops, parameters["length"]))
    elif primitive == "while":
        constants, carry = parameters["body_nconsts"], len(equation.outvars)
        inputs, place = inputs[parameters["cond_nconsts"] :], dataclasses.replace(place, tapped=False)
    else:
        constants = carry = 0
        if primitive == "cond":
            inputs = inputs[1:]
        elif primitive.startswith("custom"):
            place = dataclasses.replace(place, tapped=False)

    while True:  # until it is known which carried values become active in some iteration
        found = [
            _program(*opened(inner), inputs, dataclasses.replace(place, position=(*place.position, i)))
            for i, inner in enumerate(_inside(equation))
        ]
        outputs = [any(flags) for flags in zip(*(flags for _, flags in found), strict=True)]
        carried = [a or b for a, b in zip(inputs[constants : constants + carry], outputs, strict=False)]
        if carried == inputs[constants : constants + carry]:
            break
        inputs[constants : constants + carry] = carried
    active.update(v for v, a in zip(equation.outvars, outputs, strict=True) if a)
    programs = tuple(program for program, _ in found)
    if not any(program.sites() for program in programs):
        return None
    return Enter(equation, programs, equation.invars, equation.outvars)


def _inside(equation: Any) -> Sequence[Any]:
    """The jaxprs inside an equation that may hold sites."""
    parameters = equation.params
    if equation.primitive.name == "cond":
        return parameters["branches"]
    return [next(parameters[key] for key in ("body_jaxpr", "call_jaxpr", "jaxpr") if key in parameters)]


def opened(jaxpr: Any) -> tuple[Any, Sequence[Any]]:
    """A jaxpr and the values of its constants, from a closed or an open one (one class since JAX 0.11)."""
    if isinstance(jaxpr, core.ClosedJaxpr):
        return jaxpr.jaxpr, jaxpr.consts
    return jaxpr, ()


def scopes(equation: Any) -> tuple[str, ...]:
    """The `jax.named_scope`s around an equation, within its jaxpr."""
    return tuple(part.name for part in equation.source_info.name_stack.stack if type(part).__name__ == "Scope")


def _frames(equation: Any) -> list[Frame]:
    """The Python stack that made an equation, innermost frame first."""
    traceback = equation.source_info.traceback
    return [] if traceback is None else list(zip(*traceback.raw_frames(), strict=True))


def _function(equations: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any]) -> Callable[..., list[Array]]:
    """Equations as a Python function; their names and source lines stay with them."""
    debug = core.DebugInfo("observed", "observed", (), ())
    jaxpr = core.Jaxpr((), inputs, outputs, equations, core.no_effects, debug)
    return core.jaxpr_as_fun(core.ClosedJaxpr(jaxpr, ()))


def _readers(jaxpr: Any) -> dict[Any, set[int]]:
    """Which equations (by identity) read each variable; 0 stands for the jaxpr's outputs."""
    readers: dict[Any, set[int]] = {}
    for reader, atoms in [*((id(e), e.invars) for e in jaxpr.eqns), (0, jaxpr.outvars)]:
        for atom in atoms:
            if not isinstance(atom, core.Literal):
                readers.setdefault(atom, set()).add(reader)
    return readers


def _boundary(equations: Sequence[Any], read_by: dict[Any, set[int]]) -> tuple[list[Any], list[Any]]:
    """What a run of equations reads from before it, and what it makes that is read after it."""
    own = {id(e) for e in equations}
    made = [v for e in equations for v in e.outvars]
    defined = set(made)
    read = dict.fromkeys(v for e in equations for v in e.invars if not isinstance(v, core.Literal) and v not in defined)
    return list(read), [v for v in made if read_by.get(v, set()) - own]


def _in(atom: Any, variables: set[Any]) -> bool:
    return not isinstance(atom, core.Literal) and atom in variables


def _is_float(aval: Any) -> bool:
    return hasattr(aval, "dtype") and jnp.issubdtype(aval.dtype, jnp.floating)


def evaluate(program: Program, arguments: Sequence[Any], slots: Slots, visitor: Visitor, zero: Callable[[Site], Any]):
    """Run a program with the visitor at each of its sites.

    Args:
      program: what to run.
      arguments: its inputs.
      slots: a pytree shaped like `program.tree`.
      visitor: called at each site with the site, the activation as a function of x, x, and the site's slot;
        returns y and the site's statistics.
      zero: the statistics of a site that is not run (a branch not taken).

    Returns:
      The outputs, and the statistics, a pytree shaped like `program.tree`.
    """

    def go(program: Program, arguments: Sequence[Any], slots: Slots) -> tuple[list[Any], Statistics]:
        values = dict(zip(program.inputs, [*program.constants, *arguments], strict=True))

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, core.Literal) else values[atom]

        statistics = {}
        for i, step in enumerate(program.steps):
            inputs = [read(atom) for atom in step.inputs]
            if isinstance(step, Run):
                outputs = step.function(*inputs)
            elif isinstance(step, Visit):
                y, statistics[i] = visitor(step.site, _in_one(step, inputs), inputs[step.argument], slots[i])
                outputs = [y]
            else:
                rule = _RULES[step.equation.primitive.name]
                with jax.named_scope("/".join(scopes(step.equation)) or step.equation.primitive.name):
                    outputs, statistics[i] = rule(step, inputs, slots[i], go, zero)
            values.update(zip(step.outputs, outputs, strict=True))
        return [read(atom) for atom in program.outputs], statistics

    return go(program, arguments, slots)


def _in_one(step: Visit, inputs: list[Any]) -> Callable[[Array], Array]:
    """The activation as a function of x alone."""
    return lambda x: step.function(*inputs[: step.argument], x, *inputs[step.argument + 1 :])[0]


# How to run an equation of each kind with slots going in and statistics coming out.


def _jit(step: Enter, inputs: list[Any], slots: Slots, go: Any, zero: Any) -> tuple[list[Any], Statistics]:
    parameters = step.equation.params

    def call(inputs: list[Any], slots: Slots) -> tuple[list[Any], Statistics]:
        inputs = [_constrained(x, s) for x, s in zip(inputs, parameters["in_shardings"], strict=True)]
        outputs, statistics = go(step.programs[0], inputs, slots[0])
        outputs = [_constrained(x, s) for x, s in zip(outputs, parameters["out_shardings"], strict=True)]
        return outputs, [statistics]

    call.__name__ = call.__qualname__ = parameters["name"]
    return jax.jit(call)(inputs, slots)


def _constrained(x: Array, sharding: Any) -> Array:
    return lax.with_sharding_constraint(x, sharding) if isinstance(sharding, jax.sharding.Sharding) else x


def _remat(step: Enter, inputs: list[Any], slots: Slots, go: Any, zero: Any) -> tuple[list[Any], Statistics]:
    @functools.partial(
        jax.checkpoint, prevent_cse=step.equation.params["prevent_cse"], policy=step.equation.params["policy"]
    )
    def call(inputs: list[Any], slots: Slots) -> tuple[list[Any], Statistics]:
        outputs, statistics = go(step.programs[0], inputs, slots[0])
        return outputs, [statistics]

    return call(inputs, slots)


def _scan(step: Enter, inputs: list[Any], slots: Slots, go: Any, zero: Any) -> tuple[list[Any], Statistics]:
    parameters = step.equation.params
    constants, carry = _scan_counts(parameters)

    def body(state: list[Any], scanned: Any) -> tuple[list[Any], Any]:
        xs, slots = scanned
        outputs, statistics = go(step.programs[0], [*inputs[:constants], *state, *xs], slots)
        return outputs[:carry], (outputs[carry:], statistics)

    state, (ys, statistics) = lax.scan(
        body,
        inputs[constants : constants + carry],
        (inputs[constants + carry :], slots[0]),
        length=parameters["length"],
        reverse=parameters["reverse"],
        unroll=parameters["unroll"],
    )
    return [*state, *ys], [statistics]


def _scan_counts(parameters: dict[str, Any]) -> tuple[int, int]:
    """How many of a scan's inputs are constants and how many are carried."""
    if "ft_in" in parameters:  # JAX >= 0.11
        constants, carry, _ = (list(part) for part in parameters["ft_in"].unpack())
        return len(constants), len(carry)
    return parameters["num_consts"], parameters["num_carry"]


def _cond(step: Enter, inputs: list[Any], slots: Slots, go: Any, zero: Any) -> tuple[list[Any], Statistics]:
    index, *operands = inputs

    def branch(chosen: int) -> Callable[..., tuple[list[Any], Statistics]]:
        def call(operands: list[Any], slots: Slots) -> tuple[list[Any], Statistics]:
            outputs, statistics = go(step.programs[chosen], operands, slots[chosen])
            others = [inner.tree(zero) for inner in step.programs]
            return outputs, [*others[:chosen], statistics, *others[chosen + 1 :]]

        return call

    return lax.switch(index, [branch(i) for i in range(len(step.programs))], operands, slots)


def _while(step: Enter, inputs: list[Any], slots: Slots, go: Any, zero: Any) -> tuple[list[Any], Statistics]:
    """JAX has no reverse mode through `while`: its slots are empty, and its statistics are summed over iterations."""
    parameters = step.equation.params
    tests, bodies = parameters["cond_nconsts"], parameters["body_nconsts"]
    test = core.jaxpr_as_fun(parameters["cond_jaxpr"])
    (program,) = step.programs

    def body(state: Any) -> Any:
        carry, total = state
        outputs, statistics = go(program, [*inputs[tests : tests + bodies], *carry], slots[0])
        return outputs, jax.tree.map(jnp.add, total, statistics)

    def going(state: Any) -> Array:
        return test(*inputs[:tests], *state[0])[0]

    outputs, statistics = lax.while_loop(going, body, (inputs[tests + bodies :], program.tree(zero)))
    return outputs, [statistics]


def _custom(step: Enter, inputs: list[Any], slots: Slots, go: Any, zero: Any) -> tuple[list[Any], Statistics]:
    """A function with a derivative rule of its own keeps it: it is run untouched, and its body beside it to be seen."""
    outputs = _function([step.equation], step.inputs, step.outputs)(*inputs)
    _, statistics = go(step.programs[0], lax.stop_gradient(inputs), slots[0])
    return outputs, [statistics]


def _shard_map(step: Enter, inputs: list[Any], slots: Slots, go: Any, zero: Any) -> tuple[list[Any], Statistics]:
    parameters = step.equation.params
    (program,) = step.programs
    axes, checked = parameters["newly_manual_axes"], parameters["check_vma"]

    # Slots come in the same on every device and are cast to vary as x and y do, so that the gradient of the cast, a sum
    # over devices, is taken once here, and not in every iteration of a scan inside.
    def local(inputs: list[Any], slots: Slots) -> tuple[list[Any], Statistics]:
        if checked:
            slots = jax.tree.map(varying_as, slots, [program.tree(_slot_axes)])
        outputs, statistics = go(program, inputs, slots[0])
        return outputs, [jax.tree.map(lambda s: _summed(s, axes, checked), statistics)]

    return jax.shard_map(
        local,
        mesh=parameters["mesh"],
        in_specs=(list(parameters["in_specs"]), PartitionSpec()),
        out_specs=(list(parameters["out_specs"]), PartitionSpec()),
        axis_names=axes,
        check_vma=checked,
    )(inputs, slots)


def _slot_axes(site: Site) -> dict[str, tuple[str, ...]] | None:
    return dict(zip(("dx", "dy"), site.varying, strict=True)) if site.tapped else None


def _summed(statistic: Array, axes: frozenset[str], checked: bool) -> Array:
    over = tuple(sorted(a for a in axes if not checked or a in jax.typeof(statistic).mat.varying))
    return lax.psum(statistic, over) if over else statistic


def varying_as(x: Array, axes: Sequence[str]) -> Array:
    """Cast x to vary over mesh axes (of a `shard_map` around it) that it does not vary over yet."""
    missing = tuple(a for a in axes if a not in jax.typeof(x).mat.varying)
    return lax.pcast(x, missing, to="varying") if missing else x


_RULES: dict[str, Callable[..., tuple[list[Any], Statistics]]] = {
    "jit": _jit,
    "remat2": _remat,
    "scan": _scan,
    "cond": _cond,
    "while": _while,
    "custom_jvp_call": _custom,
    "custom_vjp_call": _custom,
    "shard_map": _shard_map,
}
