"""Marks that a user puts into a function: an array to observe, or a function to take for an activation."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax import Array
from jax import numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from jaxact.flow.sites import SITE, TAP


def tap(x: Array, name: str) -> Array:
    """Mark an array to be observed, and return it. Outside of `observe` this is the identity.

    Args:
      x: array of floats.
      name: the name of the site.

    Raises:
      TypeError: `x` is not an array of floats.
      ValueError: `name` is empty.

    >>> loss = lambda x: jnp.sum(jaxact.flow.tap(x, "here") ** 2)
    >>> _, flow = jaxact.flow.observe(loss)(jnp.array([1.0, 2.0]))
    >>> print(flow.to_records()[0]["dx_mean"])
    3.0
    """
    if not jnp.issubdtype(jnp.result_type(x), jnp.floating):
        raise TypeError(f"jaxact.flow.tap: expected an array of floats, got {jnp.result_type(x)}")
    if not name:
        raise ValueError("jaxact.flow.tap: expected a name, got an empty one")
    return checkpoint_name(x, TAP + name)


def site(f: Callable[..., Array], name: str | None = None) -> Callable[..., Array]:
    """Mark your own elementwise function as an activation. `observe` then shows it as it shows jaxact's.

    `observe` takes its slope, so that flat entries and dead units are counted, and `swap` exchanges it by its name.

    Args:
      f: a function of x and perhaps of parameters. Each entry of the result depends on one entry of x alone. All
        arguments are traced, as by `jax.jit`; bind others with `functools.partial`.
      name: the name of the activation; by default `f.__name__`.

    Returns:
      The same function, jitted under that name.

    Raises:
      TypeError: `f` is not callable.
      ValueError: f has no name, and `name` is missing.

    >>> act = jaxact.flow.site(lambda x: x * jnp.tanh(x), "tanhx")
    >>> _, flow = jaxact.flow.observe(lambda x: jnp.sum(act(x)))(jnp.array([1.0, 2.0]))
    >>> print(flow.sites[0].name, flow.to_records()[0]["flat"])
    tanhx 0.0
    """
    if not callable(f):
        raise TypeError(f"jaxact.flow.site: expected a function, got {type(f).__name__}")
    name = getattr(f, "__name__", "") if name is None else name
    if not name or name == "<lambda>":
        raise ValueError("jaxact.flow.site: expected a name for a function that has none; give name=")

    def marked(x: Array, *arguments: Any, **keywords: Any) -> Array:
        return f(x, *arguments, **keywords)

    marked.__name__ = marked.__qualname__ = SITE + name
    return functools.wraps(f)(jax.jit(marked))
