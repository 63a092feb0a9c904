"""The transformation: a function becomes one that also returns how activations and gradients flow through it."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import Array, lax
from jax import numpy as jnp

from jaxact.flow import jaxprs, modules, programs, statistics
from jaxact.flow.lint import findings_in
from jaxact.flow.record import Flow
from jaxact.flow.sites import Site, numbered


def observe(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    select: Callable[[Site], bool] | None = None,
    unit_axis: int | Callable[[Site], int] = -1,
    magnitudes: bool = False,
    when: bool | Array = True,
) -> Callable[..., Any]:
    """Make a function that returns what `jax.value_and_grad(fun)` returns, and the flow through its activations.

    It finds every activation of jaxact or jax.nn that `fun` calls in the jaxpr of `fun`, also inside jit, scan, cond,
    checkpoint, vmap and shard_map, and in any library's modules. The loss and the gradients are those of
    `jax.value_and_grad`, up to the last bits of a sum that XLA fuses with something else because the statistics read
    its terms too. The statistics come from the same backward pass, and no array is kept for them.

    In a `while_loop` it sees only the forward pass. It does not look into functions with their own derivative rule,
    Pallas kernels, and derivative code (a gradient inside `fun`); `Flow.unseen` lists them. Statistics of a `vmap`
    inside `fun` are summed over it; `jax.vmap(observe(fun))` keeps them apart. Entries that a mask before a softmax has
    made very negative are not counted.

    Args:
      fun: a function that returns a real scalar, or a pair of it and auxiliary data.
      argnums: which positional argument or arguments to differentiate by.
      has_aux: whether `fun` returns a pair.
      select: takes a `Site` and says whether to observe it. By default all sites are observed.
      unit_axis: the axis of an activation's output whose entries are units, for counting dead ones: -1, or -3 for
        images with channels first. It may be a function that takes the `Site` and returns the axis.
      magnitudes: whether to count the entries of each x, y and their cotangents by powers of two, and those that f16,
        bf16, e4m3 and e5m2 would flush to 0 or overflow; see `Flow.to_records`.
      when: whether to observe this call, a boolean that may be traced in a jitted step: `when=step % 100 == 0`. If it
        is False the step is a plain `jax.value_and_grad`, and the Flow is empty.

    Returns:
      A function of the same arguments that returns `((value, grads), flow)`, or with `has_aux` `(((value, aux), grads),
      flow)`. Wrap it in `jax.jit`, as a training step.

    Raises:
      TypeError: `fun` returns no real scalar, `argnums` names an argument that does not consist of floats, or `when` is
        not a boolean.
      ValueError: `argnums` names a missing argument, or `unit_axis` a missing axis.

    >>> loss = lambda w, x: jnp.sum(jax.nn.relu(x @ w))
    >>> (value, grads), flow = jaxact.flow.observe(loss)(jnp.ones((2, 3)), jnp.ones((4, 2)))
    >>> print(value, flow.sites[0].name, flow.to_records()[0]["y_mean"])
    24.0 relu 2.0
    """
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if jnp.shape(when) or not jnp.issubdtype(jnp.result_type(when), jnp.bool):
        got = f"{jnp.result_type(when)}{list(jnp.shape(when))}"
        raise TypeError(f"jaxact.flow.observe: expected when to be one boolean, got {got}")

    @functools.wraps(fun)
    def observed(*args: Any, **kwargs: Any) -> Any:
        chosen = _chosen(args, numbers)
        leaves, structure = jax.tree.flatten(chosen)
        _check_floats(leaves, argnums)

        def flat(*leaves: Array) -> Any:
            arguments = list(args)
            for number, value in zip(numbers, jax.tree.unflatten(structure, leaves), strict=True):
                arguments[number] = value
            return modules.named(fun)(*arguments, **kwargs)

        jaxpr, shape = jaxprs.trace(flat, *leaves)
        _check_scalar(shape, has_aux)
        program = programs.program_of(
            jaxpr, lambda visit: select is None or select(visit.site), unit_axis=_unit_axis(unit_axis)
        )
        slots = program.tree(functools.partial(statistics.slots, magnitudes=magnitudes))
        zero = functools.partial(statistics.forward_zeros, magnitudes=magnitudes)
        visit = functools.partial(statistics.visit, magnitudes=magnitudes)

        def tapped(leaves: list[Array], slots: Any) -> Any:
            outputs, seen = programs.evaluate(program, leaves, slots, visit, zero, statistics.COMBINE)
            return outputs[0], (outputs[1:], seen)

        def plain(leaves: list[Array], slots: Any) -> Any:
            outputs = jaxprs.evaluated(jaxpr)(*leaves)
            return outputs[0], (outputs[1:], program.tree(lambda site: zero(site, site.loops)))

        def step(function: Callable[..., Any]) -> Callable[..., Any]:
            return jax.value_and_grad(function, argnums=(0, 1), has_aux=True)

        if when is True:
            (value, (aux, seen)), (grads, cotangents) = step(tapped)(leaves, slots)
        else:
            (value, (aux, seen)), (grads, cotangents) = lax.cond(when, step(tapped), step(plain), leaves, slots)
        if has_aux:
            value = (value, jax.tree.unflatten(jax.tree.structure(shape[1]), aux))
        grads = jax.tree.unflatten(structure, grads)
        pairs = zip(program.flatten(seen), program.flatten(cotangents), strict=True)
        flow = Flow(
            tuple({**forward, **(backward or {})} for forward, backward in pairs),
            numbered(program.sites()),
            findings_in(jaxpr, [True] * len(leaves)),
            program.unseen,
        )
        return (value, grads[0] if isinstance(argnums, int) else grads), flow

    return observed


def _unit_axis(given: int | Callable[[Site], int]) -> Callable[[Site], int]:
    def checked(site: Site) -> int:
        axis = given(site) if callable(given) else given
        if site.kind == "pointwise" and site.shape and not -len(site.shape) <= axis < len(site.shape):
            if not callable(given) and axis < 0:
                return -1  # for example a dense layer beside convolutions
            raise ValueError(
                f"jaxact.flow.observe: expected unit_axis to be an axis of {site.label} ({site.source}), whose output "
                f"has the shape {site.shape}, got {axis}"
            )
        return axis

    return checked


def _chosen(args: tuple[Any, ...], numbers: tuple[int, ...]) -> tuple[Any, ...]:
    try:
        return tuple(args[number] for number in numbers)
    except IndexError:
        raise ValueError(
            f"jaxact.flow.observe: expected positional arguments for argnums={numbers}, got {len(args)} of them; "
            "arguments given by keyword are not differentiated"
        ) from None


def _check_floats(leaves: list[Any], argnums: Any) -> None:
    for leaf in leaves:
        kind = (
            jnp.result_type(leaf) if hasattr(leaf, "dtype") or isinstance(leaf, bool | int | float | complex) else None
        )
        if kind is None or not jnp.issubdtype(kind, jnp.floating):
            raise TypeError(
                f"jaxact.flow.observe: expected argnums={argnums} to name arrays of floats, got "
                f"{type(leaf).__name__ if kind is None else kind}; split the parameters from the rest and give "
                "argnums of the parameters (equinox.partition), or use jaxact.flow.nnx.observe for a module of Flax NNX"
            )


def _check_scalar(shape: Any, has_aux: bool) -> None:
    if has_aux and not (isinstance(shape, tuple | list) and len(shape) == 2):
        raise TypeError(
            f"jaxact.flow.observe: expected a function that returns (value, aux), got {type(shape).__name__}"
        )
    value = shape[0] if has_aux else shape
    if not (isinstance(value, jax.ShapeDtypeStruct) and not value.shape and jnp.issubdtype(value.dtype, jnp.floating)):
        got = f"{value.dtype}{list(value.shape)}" if isinstance(value, jax.ShapeDtypeStruct) else type(value).__name__
        hint = "; pass has_aux=True for a function that returns (value, aux)" if isinstance(value, tuple) else ""
        raise TypeError(f"jaxact.flow.observe: expected a function that returns a real scalar, got {got}{hint}")
