"""`observe` for functions of Flax NNX modules. It is imported on first use, and Flax with it."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from flax import nnx

from jaxact.flow import modules
from jaxact.flow.observe import observe as _observe

Argument = int | nnx.DiffState


def observe(
    fun: Callable[..., Any], argnums: Argument | Sequence[Argument] = 0, has_aux: bool = False, **options: Any
) -> Callable[..., Any]:
    """Make a function that returns what `flax.nnx.value_and_grad(fun)` returns, and the flow through its activations.

    As with that function, gradients are with respect to the `nnx.Param`s of a module, and the other changes of the
    module are kept: the statistics of a BatchNorm, the counts of a Dropout's keys. In a training step, call it inside
    `nnx.jit`.

    Args:
      fun: a function of modules and other arguments that returns a real scalar, or a pair of it and auxiliary data.
      argnums: which positional argument or arguments to differentiate by. Give `nnx.DiffState(0, filter)` for variables
        other than `nnx.Param`.
      has_aux: whether `fun` returns a pair.
      **options: those of `jaxact.flow.observe`.

    Returns:
      A function of the same arguments that returns `((value, grads), flow)`, or with `has_aux` `(((value, aux), grads),
      flow)`; `grads` is an `nnx.State` for a module.

    Raises:
      TypeError, ValueError: as for `jaxact.flow.observe`.

    >>> from flax import nnx
    >>> model = nnx.Sequential(nnx.Linear(3, 4, rngs=nnx.Rngs(0)), nnx.BatchNorm(4, rngs=nnx.Rngs(0)), nnx.gelu)
    >>> observed = nnx.jit(jaxact.flow.nnx.observe(lambda model, x: model(x).mean()))
    >>> (value, grads), flow = observed(model, jnp.ones((2, 3)))
    >>> [site.name for site in flow.sites], float(model.layers[1].var[0]) < 1  # BatchNorm has seen a batch
    (['gelu'], True)
    """
    several = not isinstance(argnums, Argument)
    wanted = [argnums] if isinstance(argnums, Argument) else list(argnums)
    filters = [(w, nnx.Param) if isinstance(w, int) else (w.argnum, w.filter) for w in wanted]
    predicates = {number: nnx.filterlib.to_predicate(kind) for number, kind in filters}

    def differentiated(path: tuple[Any, ...], value: Any) -> bool:
        """The loss of the pair of args and kwargs. An argument that is an array is differentiated as it is."""
        if path[0] != 0 or path[1] not in predicates:
            return False
        return (len(path) == 2 and not isinstance(value, nnx.Variable)) or predicates[path[1]](path[2:], value)

    def changeable(path: tuple[Any, ...], value: Any) -> bool:
        return isinstance(value, nnx.Variable) and not differentiated(path, value)

    @functools.wraps(fun)
    def observed(*args: Any, **kwargs: Any) -> Any:
        graph, chosen, rest = nnx.split((args, kwargs), differentiated, ...)

        def pure(chosen: Any) -> Any:
            inner = nnx.merge(graph, chosen, rest, copy=True)
            value = modules.named(fun)(*inner[0], **inner[1])
            if has_aux and not (isinstance(value, tuple | list) and len(value) == 2):
                raise TypeError(
                    "jaxact.flow.nnx.observe: expected a function that returns (value, aux), got "
                    f"{type(value).__name__}"
                )
            value, aux = value if has_aux else (value, None)
            return value, (aux, nnx.state(inner, changeable))

        ((value, (aux, after)), grads), flow = _observe(pure, has_aux=True, **options)(chosen)
        nnx.update((args, kwargs), after)
        found = tuple(grads[0][w if isinstance(w, int) else w.argnum] for w in wanted)
        return ((value, aux) if has_aux else value, found if several else found[0]), flow

    return observed
