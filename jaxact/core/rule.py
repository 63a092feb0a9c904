"""How an activation is made: its value, its derivative and what is kept go in, and a jitted function comes out.

`derivative_rule` is the one mechanism; core/elementwise.py applies it to entries, and core/rows.py to rows. `public` is
the edge of every call: it looks at the arguments only where JAX refuses them.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.ad_checkpoint import checkpoint_name
from jax.core import Tracer
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from jaxact.core.checks import as_array

_CONSTANTS = (int, float, complex, jax.Array, np.ndarray, np.generic)
_KEPT = "jaxact: kept for the backward pass"


def derivative_rule(
    name: str,
    value: Callable[..., Any],
    tangent: Callable[..., Any],
    keep: Callable[..., Any] | None = None,
    *,
    statics: int = 0,
    live: int | None = None,
) -> Callable[..., Any]:
    """Give a function its derivative. The backward pass keeps what `keep` chooses and nothing else.

    Args:
      name: the public name. It shows in jaxprs, HLO and profiles, and `jaxact.flow` finds the function by it.
      value: `value(*statics, *primals)`, which returns an array or a tuple of arrays.
      tangent: `tangent(*statics, kept, tangents)`, which is linear in the tangents. A tangent that is not asked for is
        None.
      keep: `keep(*statics, primals, y, asked)`, which returns a tree of arrays; `asked` says which primals are
        differentiated. None keeps the primals.
      statics: how many leading arguments are hashable constants.
      live: how many primals may be differentiated; the others are constants. None asks JAX at each call, by symbolic
        zeros, for which a Pallas kernel for TPUs needs `jaxact.pallas`.
    """

    def evaluate(*arguments: Any) -> Any:
        return value(*arguments)

    def asked_for(tangents: Sequence[Any], count: int) -> list[Any]:
        given = [None if isinstance(t, SymbolicZero) else t for t in tangents[:live]]
        return [*given, *[None] * (count - len(given))]

    def differentiate(*arguments: Any) -> tuple[Any, Any]:
        *static, primals, tangents = arguments
        y = kernel(*static, *primals)
        tangents = asked_for(tangents, len(primals))
        kept = primals if keep is None else keep(*static, primals, y, [t is not None for t in tangents])
        along = functools.partial(tangent, *static)
        if checkpoints_wholly():
            return y, along(kept, tangents)
        # The checkpoint decides what the backward pass keeps: its arguments, from which it computes the slope again,
        # and not the half dozen arrays inside it. prevent_cse=False lets XLA share them where that costs no memory.
        return y, jax.checkpoint(along, prevent_cse=False)(kept, tangents)

    evaluate.__name__ = evaluate.__qualname__ = name
    kernel = jax.custom_jvp(evaluate, nondiff_argnums=tuple(range(statics)))
    kernel.defjvp(differentiate, symbolic_zeros=live is None)

    # On the next rematerialisation a policy sees the names in a function, but not those in its derivative. So the
    # function computes what is kept, and `attached` is y with a derivative that needs nothing else.
    attached = jax.custom_jvp(lambda *arguments: arguments[-1], nondiff_argnums=tuple(range(statics)))

    def differentiate_attached(*arguments: Any) -> tuple[Any, Any]:
        *static, (primals, kept, y), (tangents, *_) = arguments
        return y, tangent(*static, kept, asked_for(tangents, len(primals)))

    attached.defjvp(differentiate_attached, symbolic_zeros=live is None)

    def whole(*arguments: Any) -> Any:
        static, primals = arguments[:statics], arguments[statics:]
        y = kernel(*arguments)
        if keep is None:
            return y
        asked = [live is None or i < live for i in range(len(primals))]
        return attached(*static, primals, checkpoint_name(keep(*static, primals, y, asked), _KEPT), y)

    def call(*arguments: Any) -> Any:
        if not checkpoints_wholly():
            return kernel(*arguments)
        policy = None if keep is None else jax.checkpoint_policies.save_only_these_names(_KEPT)
        bound = functools.partial(whole, *arguments[:statics])
        return jax.checkpoint(bound, prevent_cse=False, policy=policy)(*arguments[statics:])

    return call


def by_autodiff(value: Callable[..., Array]) -> Callable[..., Array]:
    """Make a tangent for `derivative_rule` from a value that autodiff gets right. The rule then keeps the primals."""

    def tangent(*arguments: Any) -> Array:
        *static, primals, tangents = arguments
        asked = [i for i, t in enumerate(tangents) if t is not None]

        def moved(*some: Array) -> Array:
            moving = list(primals)
            for i, a in zip(asked, some, strict=True):
                moving[i] = a
            return value(*static, *moving)

        return jax.jvp(moved, tuple(primals[i] for i in asked), tuple(tangents[i] for i in asked))[1]

    return tangent


def checkpoints_wholly() -> bool:
    """Whether the checkpoint is around the function, which then keeps a copy of an output, or around its tangent.

    On JAX's next rematerialisation a checkpoint of a linear function has no transpose. On the classic one a Pallas
    kernel cannot hold a checkpoint around the function. The next one hands on zeros for tangents that nobody asked for,
    which is a to-do in JAX's code (`RematTraced.jvp`). So in forward mode the derivative in one parameter is NaN where
    that in x or in another one is infinite. A checkpoint for each argument, in which the others are constants, would
    lose mixed derivatives, and a checkpoint in the rule of `jax.custom_jvp` has no transpose.
    """
    return bool(getattr(jax.config, "jax_remat3", False))


def jitted(name: str, traced: Callable[..., Any], **settings: Any) -> Callable[..., Any]:
    """Compile a function that calls a kernel, under the public name.

    With jit outside and custom_jvp inside an eager call costs 6 us; the other order costs 170 us.
    """
    traced.__name__ = traced.__qualname__ = name
    return jax.jit(traced, **settings)


def may_be_differentiated(*arguments: Any) -> bool:
    """Whether one of the arguments is a tracer. A `TypeError` says that this cannot be seen, as for an `nnx.Param`."""
    for a in arguments:
        if not isinstance(a, _CONSTANTS):
            raise TypeError(f"jaxact: not an array: {type(a)}")
    return any(isinstance(a, Tracer) for a in arguments)


def public(
    name: str,
    run: Callable[..., Any],
    names: Sequence[str],
    complex_form: Callable[..., Any] | None = None,
    *,
    needed: int | None = None,
) -> Callable[..., Any]:
    """Make the edge of a call: an argument that JAX refuses is converted, or goes to `complex_form`, or is an error.

    Args:
      name: the public name.
      run: the function of arrays; its keyword arguments are not arrays.
      names: the names of the arrays.
      complex_form: the function that takes the same arguments if the first array is complex.
      needed: how many of the arrays cannot be None; all by default.
    """

    def call(*arguments: ArrayLike, **settings: Any) -> Any:
        try:
            return run(*arguments, **settings)
        except (TypeError, ValueError):
            # The check comes only now, since it takes as long as the call. The converted arguments are tried again.
            wanted = len(arguments) if needed is None else needed
            arrays = [
                None if a is None and i >= wanted else as_array(name, a, names[i]) for i, a in enumerate(arguments)
            ]
            if complex_form is not None and jnp.iscomplexobj(arrays[0]):
                return complex_form(*arrays, **settings)  # a TypeError where it has no such parameter
            if all(a is b for a, b in zip(arrays, arguments, strict=True)):
                raise
            return run(*arrays, **settings)

    call.__name__ = call.__qualname__ = name
    return call
