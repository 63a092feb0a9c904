"""The transformation that exchanges activations in a function that nobody edits."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import jax
import numpy as np
from jax import Array
from jax import numpy as jnp

from jaxact.core import catalog
from jaxact.flow import jaxprs, models, modules, programs, statistics
from jaxact.flow.graph import core
from jaxact.flow.plan import Function, Plan, Replace, function_of, row_of
from jaxact.flow.programs import Visit
from jaxact.flow.recognise import Parameter
from jaxact.flow.sites import Site
from jaxact.functions.gated import split
from jaxact.functions.logsumexp import logsumexp

T = TypeVar("T")


def swap(fun: T, replace: Replace | None = None, *, select: Callable[[Site], bool] | None = None) -> T:
    """Make a function that computes the same as `fun` with other activations, without any edit.

    Without `replace` every activation of jax.nn, and so of Flax, Haiku and Equinox, becomes jaxact's function of the
    same meaning, with its parameters: the values are the same, gradients can be trusted, and memory use falls. A gated
    unit, such as `silu(a) * b`, becomes one function. It leaves as they are: activations that are not certain, jaxact's
    own, derivative code (a gradient inside `fun`), functions with their own derivative rule, and Pallas kernels.

    `fun` may be a model. The result is then a model of a subclass, with the same attributes and the same parameter
    objects. You save, load, copy, pickle and train it as before.

    - Flax Linen: `apply` exchanges activations, with any `method`. If the model is part of another module, or bound, it
      computes as before; give the whole model instead.
    - Flax NNX and Equinox: a call of the model exchanges activations, also if it is part of another module. For another
      method give the method, `flow.swap(model.encode)`; a method of NNX then must not change the model, as under
      `jax.jit`.
    - Haiku has no model: give `transformed.apply`.

    Args:
      fun: a function of arrays, or of pytrees of them, that returns arrays; or a model.
      replace: which activation becomes which. A mapping of names ("relu", or the name given to `flow.site`) to names,
        configs such as `{"name": "leaky_relu", "negative_slope": 0.2}` or functions of x; or a function of a `Site`
        that returns a function of x, or None to leave it. A function in place of one along an axis is called with
        `axis=`.
      select: takes a `Site` and says whether it may be exchanged.

    Returns:
      A function of the same arguments and results, for use inside and outside of `jax.jit`, `grad`, `vmap`, `scan`,
      `checkpoint` and `shard_map`. Each call traces `fun` again, as under `jax.grad`: put `jax.jit` around it.

    Raises:
      TypeError: `fun` is not a function or returns no arrays; `replace` is not a mapping or a function.
      ValueError: a name is unknown, or matches nothing in `fun`; a replacement is not elementwise, changes the shape,
        or lacks a parameter.

    >>> loss = lambda x: jnp.sum(jax.nn.gelu(x, approximate=False))
    >>> x = jnp.array([-1.0, 0.5, 2.0])
    >>> print(f"{jaxact.flow.swap(loss)(x):.3f}", jaxact.flow.swap(loss, {"gelu": "relu"})(x))
    2.142 2.5
    """
    _check(fun, replace)
    if models.is_model(fun):
        return models.with_calls(fun, functools.partial(swap, replace=replace, select=select))

    function: Any = fun

    @functools.wraps(function)
    def swapped(*args: Any, **kwargs: Any) -> Any:
        structure, arrays, closed = _traced(function, args, kwargs)
        plan = Plan(replace, select)
        program = programs.program_of(closed, plan.exchanges, joined=replace is None)
        plan.check_all_used()

        def visitor(step: Visit, inputs: Sequence[Any], slot: None) -> tuple[Array, None]:
            return jaxprs.in_place(functools.partial(_instead, plan.function(step), step), inputs, step.equation), None

        outputs, _ = programs.evaluate(
            program, arrays, program.tree(lambda site: None), visitor, lambda site, loops: None, statistics.COMBINE
        )
        return jax.tree.unflatten(structure, outputs)

    return cast("T", swapped)


@dataclasses.dataclass(frozen=True)
class Exchange:
    """What happens to one activation."""

    site: Site
    """Where it is."""
    to: str
    """The function that takes its place; "" if it is left as it is."""
    why: str
    """Why it is left."""


@dataclasses.dataclass(frozen=True)
class Swaps:
    """What `swap` exchanges in a function, and what it leaves. It prints as a table."""

    exchanges: tuple[Exchange, ...]
    """One entry for each activation, in the order in which they run."""
    unseen: tuple[Any, ...]
    """The code that is not looked into, as in `Flow.unseen`."""

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
    fun: Any, replace: Replace | None = None, *, select: Callable[[Site], bool] | None = None
) -> Callable[..., Swaps]:
    """Make a function that says what `swap` would exchange, for what and where, and why the rest is left.

    Args:
      fun: as in `swap`.
      replace: as in `swap`.
      select: as in `swap`.

    Returns:
      A function that returns a `Swaps`. It takes `fun`'s arguments, or those of `apply` for a Linen module, as arrays
      or `jax.ShapeDtypeStruct`s. Nothing is computed.

    >>> print(jaxact.flow.swaps(lambda x: jax.nn.elu(x, 0.5))(jnp.ones(3)).exchanges[0].to)
    jaxact.elu
    """
    _check(fun, replace)

    def planned(*args: Any, **kwargs: Any) -> Swaps:
        if models.is_model(fun):
            call = models.call(fun, *jax.tree.map(_without_memory, (args, kwargs)))
        else:
            call = models.Call(fun, args, kwargs)
        closed = _traced(call.function, call.args, call.kwargs)[2]
        plan = Plan(replace, select)
        found: dict[Site, Visit] = {}
        program = programs.program_of(
            closed, lambda step: found.setdefault(step.site, step) is not None, joined=replace is None
        )
        exchanges = [Exchange(site, *plan.in_words(found[site])) for site in program.sites()]
        plan.check_all_used()
        return Swaps(tuple(exchanges), program.unseen)

    return planned


def _without_memory(x: Any) -> Any:
    """An array of a shape that is one number in memory: Flax NNX takes a `jax.ShapeDtypeStruct` for a constant."""
    if isinstance(x, jax.ShapeDtypeStruct) and not jnp.issubdtype(x.dtype, jax.dtypes.extended):
        return np.broadcast_to(np.zeros((), x.dtype), x.shape)
    return x


def _check(fun: Any, replace: Any) -> None:
    if not callable(fun) and not models.is_model(fun):
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
            function_of(other)


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
                    "results; return other values from a function around it"
                )
        return result

    arrays = [leaves[i] for i in numbers]
    closed, shape = jaxprs.trace(flat, *arrays)
    return jax.tree.structure(shape), arrays, closed


def _instead(function: Function, step: Visit, *inputs: Any) -> Array:
    """The function that takes an activation's place, of the inputs of its equations."""
    match, y = step.match, step.outputs[0].aval
    values = dict(zip(step.inputs, inputs, strict=True))
    x = inputs[step.argument]
    x = x if match.dtype is None else x.astype(match.dtype)
    if match.form is None:
        return _own(function, step, inputs, x)
    named: dict[str, Any] = {}
    takes = _arguments(function)
    same = row_of(function) is not None and row_of(function) is catalog.find(match.name)
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
    """The function in place of one of jaxact's, or of one that the user marked."""
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
    """The value of an expression that casts or arranges a given value."""
    if node.variable in values:
        return values[node.variable]
    if core(node).kind == "literal":
        return core(node).details
    (inner,) = (_evaluated(argument, values) for argument in node.arguments)
    return inner if node.kind == "call" else node.equation.primitive.bind(inner, **node.equation.params)


def _arranged(z: Array, axes: Sequence[int | None], y: Any) -> Array:
    """A value whose axes are those of x, with the axes moved to where y has them."""
    order = [axis for axis in axes if axis is not None]
    rest = [axis for axis in range(z.ndim) if axis not in order]  # of size 1
    return jnp.reshape(jnp.transpose(z, [*order, *rest]), y.shape).astype(y.dtype)
