"""Mistakes in a model that its jaxpr alone shows, without a run.

The jaxpr is walked once with tags in place of values: what a value is made from, and what was last done to it.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax

from jaxact.flow import jaxprs
from jaxact.flow.finding import Finding
from jaxact.flow.recognise import Match, matches
from jaxact.flow.sites import source_of, user_frame

# 0.25 is sigmoid's largest slope, so four of them in a row pass on less than 1/256 of a gradient; tanh's is 1, and only
# its saturation adds up.
_DEEP = {"sigmoid": 4, "tanh": 12}

_RESHAPING = frozenset({
    "reshape", "transpose", "squeeze", "expand_dims", "broadcast_in_dim", "convert_element_type", "slice", "copy",
    "name", "stop_gradient", "dynamic_slice", "rev", "split", "sharding_constraint", "pvary", "optimization_barrier",
})  # fmt: skip
_SCALING = frozenset({"add", "sub", "mul", "div", "neg", "add_any"})
_CLIPPING = frozenset({"max", "min", "clamp", "abs", "reduce_sum", "reduce_max"})
_NORMALIZING = ("softmax", "log_softmax", "logsumexp")
_ON_LOGITS = (*_NORMALIZING, "log_sigmoid", "softplus")
_BOUNDING = ("sigmoid", "relu", "relu6", "tanh")
_Place = tuple[str, int, str]


@dataclasses.dataclass(frozen=True)
class _Value:
    """What is known about a value."""

    made_of: Literal["constants", "parameters", "data"] = "constants"
    softmax: _Place | None = None
    """The place of the softmax whose output it is."""
    shares: _Place | None = None
    """The place of the softmax whose output it is, perhaps after a scale, an added small number, a clip or a mean."""
    bounded: tuple[str, _Place] | None = None
    """The sigmoid, relu or tanh whose output it is, and the place. After a sigmoid there may be a scale or a clip."""
    batch: bool = False
    """Whether it is a matrix with a row for each example."""
    over_batch: _Place | None = None
    """The place of the softmax over a batch whose output it is."""
    linear: tuple[_Place, int] | None = None
    """The place of the linear layer of which it is an affine function, and how many inputs that layer has."""
    squashed: tuple[str, int] = ("", 0)
    """The sigmoidal activation that it came through, and how many times, with only linear layers between."""
    matrix: tuple[int, int] | None = None
    """The number of the parameter that it is, a matrix, and the axis of that which is its first; or of the parameter
    that made it, or the logits of which it is the softmax, and the axis over whose entries these are."""


def lint(fun: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., list[Finding]]:
    """Make a function that looks for mistakes in a model without running it.

    It finds a softmax in a hidden layer, over an axis of size 1 or over the batch; a softmax whose output goes through
    another softmax, as before a loss that takes logits; sigmoid, relu or tanh on logits; two linear layers with nothing
    nonlinear between them; and sigmoid or tanh in a deep plain stack.

    Args:
      fun: a loss or any other function of parameters.
      argnums: which arguments hold the parameters.

    Returns:
      A function of `fun`'s arguments (arrays or `jax.ShapeDtypeStruct`s) that returns a list of findings, empty for a
      healthy model.

    >>> twice = lambda w, x: -jax.nn.log_softmax(jax.nn.softmax(x @ w))[0, 0]
    >>> [finding.rule for finding in jaxact.flow.lint(twice)(jnp.ones((3, 4)), jnp.ones((2, 3)))]
    ['softmax twice']
    """
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def linted(*args: Any, **kwargs: Any) -> list[Finding]:
        leaves, structure = jax.tree.flatten((args, kwargs))
        arrays = [i for i, leaf in enumerate(leaves) if hasattr(leaf, "shape") and hasattr(leaf, "dtype")]

        def flat(*traced: Any) -> Any:
            merged = dict(zip(arrays, traced, strict=True))
            args, kwargs = jax.tree.unflatten(structure, [merged.get(i, leaf) for i, leaf in enumerate(leaves)])
            return fun(*args, **kwargs)

        owners = [number for number, arg in enumerate(args) for _ in jax.tree.leaves(arg)]
        owners += [-1] * (len(leaves) - len(owners))
        is_parameter = [owners[i] in numbers for i in arrays]
        return list(findings_in(jaxprs.trace(flat, *(leaves[i] for i in arrays))[0], is_parameter))

    return linted


def findings_in(closed: Any, is_parameter: Sequence[bool]) -> tuple[Finding, ...]:
    """Findings in a traced function. Some of its inputs are parameters, and the others are data."""
    found: dict[Finding, None] = {}
    avals = [v.aval for v in jaxprs.opened(closed)[0].invars]
    inputs = [
        _Value("parameters", matrix=(number, 0) if len(aval.shape) == 2 else None) if p else _data(aval)
        for number, (p, aval) in enumerate(zip(is_parameter, avals, strict=True))
    ]
    _walk(closed, inputs, found, ("", 0, ""))
    # In a stack that is a Python loop each further layer gives the finding again, for more layers. The last is kept.
    return tuple({(f.rule, f.site, f.file, f.line): f for f in found}.values())


def _data(aval: Any) -> _Value:
    return _Value("data", batch=len(getattr(aval, "shape", ())) == 2)


def _walk(closed: Any, inputs: Sequence[_Value], found: dict[Finding, None], around: _Place) -> list[_Value]:
    """Follow the tags through a jaxpr that is called from a place. Returns the tags of its outputs."""
    jaxpr, constants = jaxprs.opened(closed)
    # A batch that the function closes over is a constant of its jaxpr, as is a mask. Both are taken for data.
    values = {v: _data(v.aval) for v in jaxpr.constvars if len(getattr(v.aval, "shape", ())) > 1}
    read_by = jaxprs.readers(jaxpr)
    values |= zip(jaxpr.invars, inputs, strict=True)

    def read(atom: Any) -> _Value:
        value = _Value() if isinstance(atom, jaxprs.Literal) else values.get(atom, _Value())
        if value.linear and len(read_by.get(atom, ())) > 1:  # something else uses it too, as a residual does
            value = dataclasses.replace(value, linear=None)
        return value

    activations = matches(jaxpr, constants)
    inside = {i: number for number, match in activations.items() for i in match.equations}
    for number, equation in enumerate(jaxpr.eqns):
        if inside.get(number, number) != number:
            continue
        match = activations.get(number)
        place = user_frame(jaxprs.frames(equation))
        place = place if place[0] else around
        if match is not None and match.kind != "tap":
            group = [jaxpr.eqns[i] for i in match.equations]
            own = {v for e in group for v in e.outvars}
            tags = [read(v) for e in group for v in e.invars if isinstance(v, jaxprs.Literal) or v not in own]
            values.update(dict.fromkeys(own, _activation(match, tags, place, found)))
            continue
        tags = [read(v) for v in equation.invars]
        inner = None if jaxprs.derived(equation) else jaxprs.inside(equation)
        outputs = _equation(equation, tags, place, found) if inner is None else _inside(inner, tags, place, found)
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _inside(inside: jaxprs.Inside, tags: list[_Value], place: _Place, found: dict[Finding, None]) -> list[_Value]:
    tags = tags[inside.skipped :]
    carried = slice(inside.constants, inside.constants + inside.carry)
    results = [_walk(jaxpr, tags, found, place) for jaxpr in inside.jaxprs]
    outputs = [_join(values) for values in zip(*results, strict=True)]
    if inside.carry:  # once more, with what one iteration hands to the next
        before, after = tags[carried], outputs[: inside.carry]
        iterations = inside.length or 2
        deeper = [
            dataclasses.replace(
                b, squashed=(b.squashed[0], a.squashed[1] + (b.squashed[1] - a.squashed[1]) * (iterations - 1))
            )
            for a, b in zip(before, after, strict=True)
        ]
        (outputs,) = (
            _walk(jaxpr, [*tags[: carried.start], *deeper, *tags[carried.stop :]], found, place)
            for jaxpr in inside.jaxprs
        )
    return outputs


def _activation(match: Match, tags: list[_Value], place: _Place, found: dict[Finding, None]) -> _Value:
    name = match.name
    made_of = _made_of(tags)
    earlier = next((tag.shares for tag in tags if tag.shares), None)
    bounded = next((tag.bounded for tag in tags if tag.bounded), None)
    if name in _ON_LOGITS and bounded and not (name == "softplus" and bounded[0] != "sigmoid"):
        other, where = bounded
        found[
            _finding(
                f"{other} on logits",
                name,
                place,
                f"the output of {other} at {_at(where)} goes into {name}, which takes any real number",
                f"give logits as the last linear layer makes them: remove {other}",
            )
        ] = None
    if name in ("softmax", "log_softmax") and match.rows and all(match.x.aval.shape[a] == 1 for a in match.rows):
        found[
            _finding(
                f"{name} over one entry",
                name,
                place,
                f"it goes along an axis of size 1 of the shape {match.x.aval.shape}, so that its output is constant",
                "use a sigmoid for one logit, or choose the axis of the classes",
            )
        ] = None
    batch = any(tag.batch for tag in tags) and match.rows == (0,) and len(match.x.aval.shape) == 2
    if name == "log_softmax" and batch:
        found[_over_batch(name, place)] = None
    if name in _NORMALIZING and earlier:
        found[
            _finding(
                "softmax twice",
                name,
                place,
                f"the output of softmax at {_at(earlier)} goes into {name}",
                "give logits to a loss that normalises them itself: remove the first softmax",
            )
        ] = None
    if name == "softmax":
        matrix = next((tag.matrix for tag in tags if tag.matrix), None)
        return _Value(made_of, softmax=place, shares=place, over_batch=place if batch else None, matrix=matrix)
    bounds = (name, place) if name in _BOUNDING and made_of == "data" else None
    if name in _DEEP:
        before, times = max((tag.squashed for tag in tags), key=lambda squashed: squashed[1], default=("", 0))
        times = times + 1 if before in ("", name) else 1
        if times >= _DEEP[name]:
            found[
                _finding(
                    f"{name} in a deep stack",
                    name,
                    place,
                    f"{times} or more layers of {name} in a row with nothing but linear layers between",
                    "use relu, gelu or silu in hidden layers, or residual connections and normalisation",
                )
            ] = None
        return _Value(made_of, squashed=(name, times), bounded=bounds, batch=any(tag.batch for tag in tags))
    return _Value(made_of, bounded=bounds, batch=any(tag.batch for tag in tags))


def _over_batch(name: str, place: _Place) -> Finding:
    return _finding(
        f"{name} over the batch",
        name,
        place,
        "it goes along the first axis of a matrix with a row for each example",
        "choose the axis of the classes, axis=-1",
    )


def _equation(equation: Any, tags: list[_Value], place: _Place, found: dict[Finding, None]) -> list[_Value]:
    name, made_of = equation.primitive.name, _made_of(tags)
    signals = [tag for tag in tags if tag.made_of == "data"]
    result = _Value(made_of)
    if name in ("dot_general", "conv_general_dilated"):
        weights = [i for i, tag in enumerate(tags) if tag.made_of == "parameters"]
        if len(weights) == 1 and len(signals) < 2:
            signal = signals[0] if signals else _Value()
            result = _layer(equation, weights[0], tags[weights[0]].matrix, signal, place, found)
    elif name in _RESHAPING and len(signals) == 1:
        result = dataclasses.replace(signals[0])
    elif made_of == "parameters" and tags[0].matrix and name in ("transpose", "convert_element_type"):
        number, first = tags[0].matrix
        result = _Value(made_of, matrix=(number, first ^ (name == "transpose")))
    elif name in _SCALING and len(signals) == 1:  # by parameters and constants: a bias or a scale
        result = dataclasses.replace(signals[0], softmax=None, bounded=_sigmoid(signals[0]))
    elif name in _CLIPPING and len(signals) == 1:
        first = signals[0]
        result = _Value(made_of, shares=first.shares, bounded=_sigmoid(first), over_batch=first.over_batch)
    elif name == "select_n" and sum(tag.made_of == "data" for tag in tags[1:]) == 1:  # a mask of logits, or dropout
        (kept,) = (tag for tag in tags[1:] if tag.made_of == "data")
        result = _Value(made_of, shares=kept.shares, bounded=kept.bounded, matrix=kept.matrix)
    elif name == "log" and len(signals) == 1 and signals[0].over_batch:
        found[_over_batch("softmax", signals[0].over_batch)] = None
    elif name == "gather" and made_of == "parameters":  # an embedding
        result = _Value("data")
    return [result] * len(equation.outvars)


def _sigmoid(value: _Value) -> tuple[str, _Place] | None:
    """A sigmoid stays a sigmoid when it is scaled or clipped; tanh times a number is a soft cap."""
    return value.bounded if value.bounded and value.bounded[0] == "sigmoid" else None


def _layer(
    equation: Any,
    weights: int,
    matrix: tuple[int, int] | None,
    signal: _Value,
    place: _Place,
    found: dict[Finding, None],
) -> _Value:
    """A linear layer: data times the weights, which are the operand of this number, and may be a whole parameter."""
    inputs, outputs = _sizes(equation, weights)
    if matrix and equation.primitive.name == "dot_general" and len(outputs) == 1:
        contracted = equation.params["dimension_numbers"][0][weights][0] ^ matrix[1]
        memory, matrix = signal.matrix == (matrix[0], contracted), (matrix[0], 1 - contracted)
    else:
        memory, matrix = False, None
    # Weights with more axes are a mixture of kernels or of experts, and a matrix that made the logits too is a memory.
    if signal.softmax and len(outputs) == 1 and not memory:
        found[
            _finding(
                "softmax in a hidden layer",
                "softmax",
                signal.softmax,
                f"its output is multiplied by weights at {_at(place)}",
                "softmax makes units compete and their gradients small: use relu, gelu or silu in hidden layers",
            )
        ] = None
    # Two layers around a bottleneck are not one: a low-rank update, a factor of an embedding, an autoencoder's code.
    if signal.linear and not inputs < min(signal.linear[1], math.prod(outputs)):
        found[
            _finding(
                "two linear layers",
                "linear",
                place,
                f"nothing nonlinear since the linear layer at {_at(signal.linear[0])}: together they are one",
                "put an activation between them, or merge them",
            )
        ] = None
    # A depthwise convolution is half of a separable convolution, whose other half may follow at once.
    depthwise = equation.params.get("feature_group_count", 1) > 1
    batch = equation.primitive.name == "dot_general" and equation.outvars[0].aval.ndim == 2 and signal.batch
    linear = None if depthwise else (place, inputs)
    return _Value("data", linear=linear, squashed=signal.squashed, batch=batch, matrix=matrix)


def _sizes(equation: Any, weights: int) -> tuple[int, list[int]]:
    """How many inputs, or channels, a linear layer has, and the sizes of the axes of outputs that its weights have."""
    shape, numbers = equation.invars[weights].aval.shape, equation.params["dimension_numbers"]
    if equation.primitive.name == "conv_general_dilated":
        return shape[numbers.rhs_spec[1]], [shape[numbers.rhs_spec[0]]]
    contracted, batch = (pair[weights] for pair in numbers)
    free = [size for axis, size in enumerate(shape) if axis not in (*contracted, *batch)]
    return math.prod(shape[axis] for axis in contracted), free


def _made_of(tags: Sequence[_Value]) -> Any:
    kinds = {tag.made_of for tag in tags}
    return next((kind for kind in ("data", "parameters") if kind in kinds), "constants")


def _join(values: Sequence[_Value]) -> _Value:
    """What is known about a value that is one of several."""
    first = values[0]
    return first if all(value == first for value in values) else _Value(_made_of(values))


def _at(place: tuple[str, int, str]) -> str:
    return source_of(*place[:2]) or "an unknown place"


def _finding(rule: str, name: str, place: tuple[str, int, str], evidence: str, advice: str) -> Finding:
    return Finding(rule, f"{place[2]}/{name}", *place[:2], evidence, advice)
