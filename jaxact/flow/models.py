"""Models of Flax and Equinox. `swap` takes them in place of functions, and returns models of the same kind."""

import dataclasses
import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import jax

Function = Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of a model as one of a pure function."""

    function: Function
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Function = lambda returned: returned
    """Takes what the function returns, and returns what the model returns."""


def is_model(x: Any) -> bool:
    """Whether a value is a module of Flax or Equinox."""
    return _kind(x) is not None


def call(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """What a call of a model is, of Linen's its `apply`."""
    return _kind(model)[1](type(model), model, args, kwargs)


def with_calls(model: Any, transform: Callable[[Function], Function]) -> Any:
    """A model with the same attributes, the calls of which are transformed."""
    base = type(model)
    method, as_call = _kind(model)
    if not hasattr(model, method):
        raise TypeError(f"jaxact.flow.swap: expected a model with {method}, got {base.__name__}, which has none")

    @functools.wraps(getattr(base, method))
    def transformed(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = as_call(base, self, args, kwargs)
        return call.result(transform(call.function)(*call.args, **call.kwargs))

    def reduced(self: Any, protocol: int) -> Any:
        """For pickle and copy: a class that was made here is found under no name, so that it is made again."""
        return with_calls, (_alike(base, self), transform)

    vars(transformed).update(nowrap=True)  # Linen's mark of what is no method that works on variables
    body = {name: getattr(base, name) for name in ("__module__", "__qualname__", "__doc__")}
    body |= {method: transformed, "__reduce_ex__": reduced}
    return _alike(types.new_class(base.__name__, (base,), {}, lambda namespace: namespace.update(body)), model)


def _alike(kind: Any, model: Any) -> Any:
    """An object of a class, with the same attributes."""
    other = object.__new__(kind)
    vars(other).update(vars(model))
    return other


def _linen(base: Any, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    return Call(functools.partial(base.apply, model), args, kwargs)


def _equinox(base: Any, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    return Call(base.__call__, (model, *args), kwargs)


def _nnx(base: Any, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    nnx = sys.modules["flax.nnx"]
    given = (model, args, kwargs)  # among which there may be an nnx.Rngs, whose counts change
    graph, state = nnx.split(given)

    def run(state: Any) -> Any:
        before = {id(leaf) for leaf in jax.tree.leaves(state)}
        model, args, kwargs = inner = nnx.merge(graph, state)
        y = base.__call__(model, *args, **kwargs)
        variables = nnx.to_flat_state(nnx.state(inner, nnx.Variable))
        changed = [(path, v) for path, v in variables if any(id(a) not in before for a in jax.tree.leaves(v))]
        return y, nnx.from_flat_state(changed)

    def result(returned: Any) -> Any:
        y, changed = returned
        nnx.update(given, changed)
        return y

    return Call(run, (state,), {}, result)


def _kind(x: Any) -> Any:
    """The method that a call of a model runs, and the call as one of a pure function; None if it is not a model."""
    for framework, kind in (
        ("flax.linen", ("apply", _linen)),
        ("flax.nnx", ("__call__", _nnx)),
        ("equinox", ("__call__", _equinox)),
    ):
        if framework in sys.modules and isinstance(x, sys.modules[framework].Module):
            return kind
    return None
