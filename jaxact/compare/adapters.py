"""Models of Flax NNX, Flax Linen and Equinox as the two functions that make up a study."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Stateful(NamedTuple):
    """Parameters, and the state that a model also changes, such as BatchNorm's averages. `Study.init` may return it."""

    parameters: Any
    """The parameters to train: a pytree of arrays of floats."""
    state: Any
    """The state that is carried from step to step: any pytree of arrays."""


Functions = tuple[Callable[[jax.Array], Stateful], Callable[[Stateful, Any, Any], tuple[Any, dict[str, Any], Any]]]


def nnx(make: Callable[..., Any], loss: Callable[..., Any]) -> Functions:
    """Adapt an NNX module. Its `Param`s are trained, and its other variables are carried, also random streams."""
    from flax import nnx

    graphs = []  # the first model's; the graphs of others may hold other closures, such as a new initializer

    def init(key: jax.Array) -> Stateful:
        graph, parameters, state = nnx.split(make(nnx.Rngs(key)), nnx.Param, ...)
        graphs.append(graph)
        return Stateful(parameters, state)

    def wrapped(variables: Stateful, batch: Any, key: Any) -> tuple[Any, dict[str, Any], Any]:
        model = nnx.merge(graphs[0], *variables, copy=True)
        model.eval() if key is None else model.train()
        value, metrics = _pair(loss(model, batch))
        nnx.pop(model, nnx.Intermediate)
        return value, metrics, nnx.split(model, nnx.Param, ...)[2]

    return init, wrapped


def linen(module: Any, loss: Callable[..., Any], first: Callable[[], Any]) -> Functions:
    """Adapt a Linen module. "params" are trained, and all other collections carried. `first` gives a first batch."""

    def init(key: jax.Array) -> Stateful:
        made: dict[str, Any] = {}

        def apply(*args: Any, **kwargs: Any) -> Any:
            output, variables = module.init_with_output({"params": key, "dropout": key}, *args, **kwargs)
            made.update(variables)
            return output

        loss(apply, first(), False)
        return Stateful(made.pop("params", {}), made)

    def wrapped(variables: Stateful, batch: Any, key: Any) -> tuple[Any, dict[str, Any], Any]:
        state = dict(variables.state)

        def apply(*args: Any, **kwargs: Any) -> Any:
            rngs = {} if key is None else {"dropout": key}
            output, changed = module.apply(
                {"params": variables.parameters, **state},
                *args,
                mutable=list(state) if key is not None else [],
                rngs=rngs,
                **kwargs,
            )
            state.update(changed)
            return output

        return *_pair(loss(apply, batch, key is not None)), state

    return init, wrapped


def equinox(make: Callable[..., Any], loss: Callable[..., Any]) -> Functions:
    """Adapt an Equinox module. Its arrays of floats are trained, and its `equinox.nn.State`, if any, is carried."""
    import equinox as eqx

    models = []  # the first one, since the structure of others has other markers and closures, and may not be equal

    def init(key: jax.Array) -> Stateful:
        made = make(key)
        model, state = made if isinstance(made, tuple) else (made, ())
        parameters, static = eqx.partition(model, eqx.is_inexact_array)
        models.append((static, isinstance(made, tuple)))
        return Stateful(parameters, state)

    def wrapped(variables: Stateful, batch: Any, key: Any) -> tuple[Any, dict[str, Any], Any]:
        static, stateful = models[0]
        model = eqx.nn.inference_mode(eqx.combine(variables.parameters, static), value=key is None)
        if stateful:
            return loss(model, variables.state, batch, key)
        return *_pair(loss(model, batch, key)), ()

    return init, wrapped


def _pair(returned: Any) -> tuple[Any, dict[str, Any]]:
    return returned if isinstance(returned, tuple) else (returned, {})
