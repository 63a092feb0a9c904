"""Everything that knows the inside of a jaxpr, which differs between releases of JAX.

It reads jaxprs, and runs equations that have jaxprs inside, with slots going in and statistics coming out.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
from jax import Array, lax
from jax import numpy as jnp
from jax.extend import core
from jax.sharding import PartitionSpec

from jaxact.flow.sites import Frame

Literal = core.Literal
_JAXPRS = (core.Jaxpr, core.ClosedJaxpr)  # pyright: ignore[reportPrivateImportUsage]
_OWN = str(Path(__file__).parents[1]) + os.sep
_JAX = str(Path(jax.__file__).parent) + os.sep
_ARRANGING = frozenset({"convert_element_type", "reshape", "transpose", "squeeze", "copy", "slice"})
Slots = Any
Statistics = Any
Ran = tuple[list[Any], Statistics]
Inner = Callable[[int, Sequence[Any], Slots], Ran]
"""Runs the i-th jaxpr inside an equation, with taps."""


def trace(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
    """Trace a function to a closed jaxpr and the pytree of its outputs' shapes."""
    return jax.make_jaxpr(function, return_shape=True)(*arguments)


def derived(equation: Any) -> bool:
    """Whether JAX made an equation by differentiating: a gradient inside the function, values and tangents alike."""
    return any(
        type(part).__name__ == "Transform" and part.name in ("jvp", "transpose")
        for part in equation.source_info.name_stack.stack
    )


def called(equation: Any) -> tuple[str, str] | None:
    """The name and the file of the function that an equation calls, plainly (jit) or with a rule (custom_jvp)."""
    name = {"jit": "jaxpr", "custom_jvp_call": "call_jaxpr"}.get(equation.primitive.name)
    if name is None:
        return None
    debug = opened(equation.params[name])[0].debug_info
    return equation.params["name"] if name == "jaxpr" else debug.func_name, debug.func_filename or ""


def library_call(equation: Any) -> tuple[tuple[str, str] | None, Any, Sequence[Any]] | None:
    """An opened call of a function of JAX itself: its name and file if it has a rule, its jaxpr and constants."""
    function = called(equation)
    if function is None or not function[1].startswith(_JAX):
        return None
    if equation.primitive.name == "jit":
        return None, *opened(equation.params["jaxpr"])
    return function, *opened(equation.params["call_jaxpr"])


@dataclasses.dataclass(frozen=True)
class Inside:
    """The jaxprs inside an equation, and how the equation's inputs become the jaxprs' inputs."""

    jaxprs: Sequence[Any]
    skipped: int = 0
    """How many leading inputs of the equation the jaxprs do not get."""
    constants: int = 0
    carry: int = 0
    """For a loop, how many inputs are the same in every iteration, and how many come from the previous one."""
    length: int | None = None
    """For a scan, how many iterations it has."""
    tapped: bool = True
    """Whether a gradient goes through the jaxprs' own equations."""


def inside(equation: Any) -> Inside | None:
    """The inside of an equation that `rerun` can run, or None for another equation."""
    parameters = equation.params
    match _kind(equation):
        case "jit" | "shard_map":
            return Inside([parameters["jaxpr"]])
        case "checkpoint":
            return Inside([_checkpoint(equation)["jaxpr"]])
        case "cond":
            return Inside(parameters["branches"], skipped=1)
        case "scan":
            constants, carry = _scan_counts(parameters)
            return Inside([parameters["jaxpr"]], constants=constants, carry=carry, length=parameters["length"])
        case "while":
            tests, constants = parameters["cond_nconsts"], parameters["body_nconsts"]
            return Inside([parameters["body_jaxpr"]], tests, constants, len(equation.outvars), tapped=False)
    return None


def _kind(equation: Any) -> str:
    """The name of an equation's primitive. Both kinds of `jax.checkpoint` have the same name."""
    name = equation.primitive.name
    if name == "remat2" or (name == "call_hi_primitive" and type(equation.params["_prim"]).__name__ == "RematTraced"):
        return "checkpoint"
    return name


def _checkpoint(equation: Any) -> dict[str, Any]:
    """Parameters of a `jax.checkpoint`: its jaxpr, policy and prevent_cse."""
    return equation.params["_prim"].params if "_prim" in equation.params else equation.params


def _scan_counts(parameters: dict[str, Any]) -> tuple[int, int]:
    """How many of a scan's inputs are constants and how many are carried."""
    if "ft_in" in parameters:  # JAX >= 0.11
        constants, carry, _ = (list(part) for part in parameters["ft_in"].unpack())
        return len(constants), len(carry)
    return parameters["num_consts"], parameters["num_carry"]


def opened(jaxpr: Any) -> tuple[Any, Sequence[Any]]:
    """A jaxpr and the values of its constants, from a closed or an open one (one class since JAX 0.11)."""
    if isinstance(jaxpr, core.ClosedJaxpr):  # pyright: ignore[reportPrivateImportUsage]
        return jaxpr.jaxpr, jaxpr.consts
    return jaxpr, ()


def unseen(equation: Any) -> str | None:
    """What an equation is whose jaxprs nobody looks into; None if it has none, or if it is JAX's own."""
    name = equation.primitive.name
    if inside(equation) is not None or not any(True for _ in jaxprs_in(equation.params)):
        return None
    if name == "pallas_call":
        return "Pallas kernel"
    if name in ("custom_jvp_call", "custom_vjp_call"):
        debug = opened(equation.params["call_jaxpr"])[0].debug_info
        ours = (debug.func_filename or "").startswith((_JAX, _OWN))
        return None if ours else f"{debug.func_name}, which has its own derivative rule"
    return None if name.startswith(("reduce", "scatter", "custom_root", "custom_linear_solve", "sort")) else name


def scopes(equation: Any) -> tuple[str, ...]:
    """The `jax.named_scope`s around an equation, within its jaxpr."""
    return tuple(part.name for part in equation.source_info.name_stack.stack if type(part).__name__ == "Scope")


def frames(equation: Any) -> list[Frame]:
    """The Python stack that made an equation, innermost frame first."""
    traceback = equation.source_info.traceback
    return [] if traceback is None else list(zip(*traceback.raw_frames(), strict=True))


def function_of(equations: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any]) -> Callable[..., list[Array]]:
    """Equations as a Python function; their names and source lines stay with them."""
    debug = core.DebugInfo("observed", "observed", (), ())
    jaxpr = core.Jaxpr((), inputs, outputs, equations, core.no_effects, debug)
    return evaluated(core.ClosedJaxpr(jaxpr, ()))  # pyright: ignore[reportPrivateImportUsage]


def evaluated(closed: Any) -> Callable[..., list[Array]]:
    """A closed jaxpr as a Python function."""
    return core.jaxpr_as_fun(closed)


def in_place(function: Callable[..., Array], inputs: Sequence[Any], equation: Any) -> Array:
    """Evaluate a function of arrays in place of an equation. It gets the equation's names and source line."""
    jaxpr, constants = opened(trace(function, *inputs)[0])
    equations = [e.replace(source_info=equation.source_info) for e in jaxpr.eqns]
    return function_of(equations, [*jaxpr.constvars, *jaxpr.invars], jaxpr.outvars)(*constants, *inputs)[0]


def primitives(jaxpr: Any) -> Iterator[str]:
    """The names of all primitives in a jaxpr, in order."""
    for equation in opened(jaxpr)[0].eqns:
        yield equation.primitive.name
        for inner in jaxprs_in(equation.params):
            yield from primitives(inner)


def jaxprs_in(parameters: Any) -> Iterator[Any]:
    """The jaxprs among an equation's parameters."""
    for value in parameters.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            if isinstance(one, _JAXPRS):
                yield one
            elif isinstance(getattr(one, "params", None), dict):  # a primitive of the new kind has its own
                yield from jaxprs_in(one.params)


def readers(jaxpr: Any) -> dict[Any, set[int]]:
    """Which equations (by identity) read each variable; 0 stands for the jaxpr's outputs."""
    readers: dict[Any, set[int]] = {}
    for reader, atoms in [*((id(e), e.invars) for e in jaxpr.eqns), (0, jaxpr.outvars)]:
        for atom in atoms:
            if not isinstance(atom, core.Literal):
                readers.setdefault(atom, set()).add(reader)
    return readers


def arranged(jaxpr: Any, variables: Iterable[Any]) -> frozenset[Any]:
    """These variables, and those that are a cast or another arrangement of one of them."""
    found = set(variables)
    for equation in jaxpr.eqns:
        if equation.primitive.name in _ARRANGING and among(equation.invars[0], found):
            found.update(equation.outvars)
    return frozenset(found)


def dead(equation: Any, read_by: dict[Any, set[int]]) -> bool:
    """Whether an equation has no visible effect."""
    return bool(equation.outvars) and not equation.effects and not any(read_by.get(v) for v in equation.outvars)


def boundary(equations: Sequence[Any], read_by: dict[Any, set[int]]) -> tuple[list[Any], list[Any]]:
    """The variables that a run of equations reads from before it, and those that it makes and that are read later."""
    own = {id(e) for e in equations}
    made = [v for e in equations for v in e.outvars]
    defined = set(made)
    read = dict.fromkeys(v for e in equations for v in e.invars if not isinstance(v, core.Literal) and v not in defined)
    return list(read), [v for v in made if read_by.get(v, set()) - own]


def among(atom: Any, variables: set[Any]) -> bool:
    """Whether an equation's input is one of these variables."""
    return not isinstance(atom, core.Literal) and atom in variables


def is_float(aval: Any) -> bool:
    """Whether values of a type are real floats."""
    return hasattr(aval, "dtype") and jnp.issubdtype(aval.dtype, jnp.floating)


def widens(before: Any, after: Any) -> bool:
    """Whether a cast from one type to another loses nothing."""
    return is_float(before) and is_float(after) and jnp.promote_types(before.dtype, after.dtype) == after.dtype


def axes_of(aval: Any) -> tuple[str, ...]:
    """The mesh axes (of a `shard_map` around the value) that a value varies over."""
    return tuple(sorted(aval.mat.varying))


@dataclasses.dataclass(frozen=True)
class Combine:
    """How to combine the statistics of several iterations, and those of several devices."""

    both: Callable[[Statistics, Statistics], Statistics]
    across: Callable[[Statistics, Callable[[Array], tuple[str, ...]]], Statistics]
    """Takes statistics, and a function that says over which mesh axes to combine an array."""


def rerun(
    equation: Any,
    inputs: list[Any],
    slots: list[Slots],
    inner: Inner,
    zeros: list[Statistics],
    axes: list[Any],
    combine: Combine,
) -> tuple[list[Any], list[Statistics]]:
    """Trace an equation again through JAX's public function, with taps inside.

    Slots go in and statistics come out as pytrees, so that scan stacks them, cond selects them and checkpoint carries
    them without knowing what they are. Each jaxpr inside has its `slots`, its `zeros` (the statistics if it does not
    run), and its `axes` (the mesh axes that each slot's array varies over); `inner` runs the i-th jaxpr.

    Returns:
      The outputs, and the statistics for each jaxpr inside.
    """
    parameters = equation.params

    def only(inputs: list[Any], slots: list[Slots]) -> tuple[list[Any], list[Statistics]]:
        outputs, statistics = inner(0, inputs, slots[0])
        return outputs, [statistics]

    with jax.named_scope("/".join(scopes(equation)) or equation.primitive.name):
        match _kind(equation):
            case "jit":
                return _jit(parameters, only)(inputs, slots)
            case "checkpoint":
                parameters = _checkpoint(equation)
                cse = parameters["prevent_cse"]
                cse = any(cse) if isinstance(cse, tuple) else cse  # it may be a tuple with one entry for each input
                return jax.checkpoint(only, prevent_cse=cse, policy=parameters["policy"])(inputs, slots)
            case "cond":
                return _cond(inputs, slots, inner, zeros)
            case "scan":
                return _scan(parameters, inputs, slots, inner)
            case "while":
                return _while(parameters, inputs, slots, inner, zeros, combine)
            case "shard_map":
                return _shard_map(parameters, only, axes, combine)(inputs, slots)
    raise NotImplementedError(f"jaxact.flow.observe: cannot run {equation.primitive.name} with taps inside")


def _jit(parameters: dict[str, Any], only: Callable[..., Any]) -> Callable[..., Any]:
    def call(inputs: list[Any], slots: list[Slots]) -> tuple[list[Any], list[Statistics]]:
        inputs = [_constrained(x, s) for x, s in zip(inputs, parameters["in_shardings"], strict=True)]
        outputs, statistics = only(inputs, slots)
        return [_constrained(x, s) for x, s in zip(outputs, parameters["out_shardings"], strict=True)], statistics

    call.__name__ = call.__qualname__ = parameters["name"]
    return jax.jit(call)


def _constrained(x: Array, sharding: Any) -> Array:
    return lax.with_sharding_constraint(x, sharding) if isinstance(sharding, jax.sharding.Sharding) else x


def _scan(
    parameters: dict[str, Any], inputs: list[Any], slots: list[Slots], inner: Inner
) -> tuple[list[Any], list[Statistics]]:
    constants, carry = _scan_counts(parameters)

    def body(state: list[Any], scanned: Any) -> tuple[list[Any], Any]:
        xs, slots = scanned
        outputs, statistics = inner(0, [*inputs[:constants], *state, *xs], slots)
        return outputs[:carry], (outputs[carry:], statistics)

    state, (ys, statistics) = lax.scan(
        body,
        inputs[constants : constants + carry],
        (inputs[constants + carry :], slots[0]),
        length=parameters["length"],
        reverse=parameters["reverse"],
        unroll=parameters["unroll"],
        _split_transpose=parameters.get("_split_transpose", False),
    )
    return [*state, *ys], [statistics]


def _cond(
    inputs: list[Any], slots: list[Slots], inner: Inner, zeros: list[Statistics]
) -> tuple[list[Any], list[Statistics]]:
    index, *operands = inputs

    def branch(i: int) -> Callable[..., tuple[list[Any], list[Statistics]]]:
        def call(operands: list[Any], slots: list[Slots]) -> tuple[list[Any], list[Statistics]]:
            outputs, statistics = inner(i, operands, slots[i])
            return outputs, [*zeros[:i], statistics, *zeros[i + 1 :]]

        return call

    return lax.switch(index, [branch(i) for i in range(len(zeros))], operands, slots)


def _while(
    parameters: dict[str, Any],
    inputs: list[Any],
    slots: list[Slots],
    inner: Inner,
    zeros: list[Statistics],
    combine: Combine,
) -> tuple[list[Any], list[Statistics]]:
    """Run a `while` loop. It has no reverse mode, so slots are empty, and statistics are summed over iterations."""
    tests, bodies = parameters["cond_nconsts"], parameters["body_nconsts"]
    test = evaluated(parameters["cond_jaxpr"])

    def body(state: Any) -> Any:
        carry, total = state
        outputs, statistics = inner(0, [*inputs[tests : tests + bodies], *carry], slots[0])
        return outputs, combine.both(total, statistics)

    def going(state: Any) -> Array:
        return test(*inputs[:tests], *state[0])[0]

    outputs, statistics = lax.while_loop(going, body, (inputs[tests + bodies :], zeros[0]))
    return outputs, [statistics]


def _shard_map(
    parameters: dict[str, Any], only: Callable[..., Any], axes: list[Any], combine: Combine
) -> Callable[..., Any]:
    manual, checked = parameters["newly_manual_axes"], parameters["check_vma"]

    # Slots are the same on every device, and are cast here to vary as x and y do. The gradient of the cast, a sum over
    # devices, is then taken once here, and not in every iteration of a scan inside.
    def local(inputs: list[Any], slots: list[Slots]) -> tuple[list[Any], list[Statistics]]:
        outputs, statistics = only(
            inputs, jax.tree.map(varying, slots, axes) if checked and jax.tree.leaves(slots) else slots
        )
        return outputs, combine.across(statistics, over)

    def over(statistic: Array) -> tuple[str, ...]:
        return tuple(sorted(a for a in manual if not checked or a in jax.typeof(statistic).mat.varying))

    return jax.shard_map(
        local,
        mesh=parameters["mesh"],
        in_specs=(list(parameters["in_specs"]), PartitionSpec()),
        out_specs=(list(parameters["out_specs"]), PartitionSpec()),
        axis_names=manual,
        check_vma=checked,
    )


def varying(x: Array, axes: Sequence[str]) -> Array:
    """Cast x to vary over mesh axes (of a `shard_map` around it) that it does not vary over yet."""
    missing = tuple(a for a in axes if a not in jax.typeof(x).mat.varying)
    return lax.pcast(x, missing, to="varying") if missing else x
