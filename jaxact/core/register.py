"""Users' own functions as rows of the catalog."""

import dataclasses
import functools
import inspect
import keyword
from collections.abc import Callable, Mapping
from typing import Any

from jax import Array

from jaxact.core import catalog
from jaxact.core.derivative import Formula
from jaxact.core.elementwise import elementwise
from jaxact.core.rule import jitted


def register(
    f: Callable[..., Any],
    *,
    name: str | None = None,
    slope: Formula | None = None,
    curvature: Formula | None = None,
    parameters: Mapping[str, Formula] | None = None,
    **facts: Any,
) -> "Registered":
    """Enter your own function into the catalog, for this process.

    Then `get`, `config`, `names` and `info` know it, `get(..., kind="nnx")` makes modules of it, `flow.observe` and
    `jaxact.compare` find it by its name, and `propagation` knows its kinks. The name shows in jaxprs and profiles.

    Args:
      f: if `slope` is given, the value `f(x, *parameters)`, an elementwise formula of `jax.numpy` whose parameters have
        numbers as defaults or no defaults. Otherwise any function of arrays, which keeps its own derivatives. What it
        calls axis, or gives a bool, a string or a tuple as default, is not traced.
      name: the name; f's own name by default.
      slope: the derivative in x as `slope(x, *parameters)`. If it is given, the function is made as jaxact's own are:
        16-bit input is computed in float32 and rounded once, the backward pass keeps x alone, and bool and int become
        floats.
      curvature: the derivative of `slope`, where autodiff of `slope` would lose digits.
      parameters: the derivative in each parameter of f, by the parameter's name. Each parameter needs one.
      **facts: further fields of the row, as `jaxact.info("gelu")` shows them. `kinks` is one, a mapping from x to the
        slope there. `kind` is "pointwise" by default, and the other fields have the row's defaults.

    Returns:
      The function. Pickle and copy give the same object again, in any process that has registered it.

    Raises:
      TypeError: f or slope is not callable, there is no such fact, or kinks is not a mapping.
      ValueError: the name is taken or is not a valid name, there is no such kind, or `parameters` are not those of f.

    >>> bump = register(lambda x: jnp.exp(-x * x), name="bump", slope=lambda x: -2 * x * jnp.exp(-x * x), kinks={})
    >>> print(jax.grad(jaxact.get("bump"))(1.0).round(1))
    -0.7
    """
    name = getattr(f, "__name__", None) if name is None else name
    if not callable(f) or (slope is not None and not callable(slope)):
        raise TypeError(
            f"jaxact.register: expected functions, got {f!r} and slope {slope!r}; give formulas of jax.numpy"
        )
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"jaxact.register: expected a name like a variable's, got {name!r}; give name=...")
    known = {field.name for field in dataclasses.fields(catalog.Row)} - {"function", "family"}
    if unknown := facts.keys() - known:
        raise TypeError(
            f"jaxact.register: expected facts about {name} like {', '.join(sorted(known))}, got "
            f"{', '.join(sorted(unknown))}; jaxact.info shows those of other functions"
        )
    if (kind := facts.get("kind", "pointwise")) not in ("pointwise", "gated", "axis", "random"):
        raise ValueError(
            f'jaxact.register: expected kind to be "pointwise", "gated", "axis" or "random", got {kind!r}; '
            f"say what {name} takes"
        )
    if not isinstance(kinks := facts.get("kinks", {}), Mapping):
        raise TypeError(
            f"jaxact.register: expected kinks to be a mapping from x to the slope there, got {kinks!r}; {name} has "
            "none with {}"
        )
    if name in catalog.BUILDERS:
        raise ValueError(f"jaxact: the name {name!r} is taken by the configs of jaxact.get; choose another")
    given = parameters or {}
    if slope is None:
        if curvature is not None or given:
            raise ValueError(
                f"jaxact.register: expected a slope beside the other derivatives of {name}; give slope=..."
            )
        run = _named(f, name)
    else:
        declared = list(inspect.signature(f).parameters)[1:]
        if set(given) != set(declared):
            raise ValueError(
                f"jaxact.register: expected the derivatives of {name} in {declared}, got {list(given)}; give a formula "
                "for each parameter"
            )
        run = elementwise(name, f, slope, parameters={p: given[p] for p in declared}, curvature=curvature)
    made = Registered(f, run, name)
    catalog.activation(**{"module": name, "kind": "pointwise", **facts})(made)
    return made


class Registered:
    """A registered function."""

    __name__: str

    def __init__(self, f: Callable[..., Any], run: Callable[..., Any], name: str) -> None:
        functools.update_wrapper(self, f)
        self.__name__ = self.__qualname__ = name
        self._signature, self._run = inspect.signature(f), run

    def __call__(self, *arrays: Any, **parameters: Any) -> Array:
        """Evaluate it."""
        bound = self._signature.bind(*arrays, **parameters)
        return self._run(*bound.args, **bound.kwargs)

    def __repr__(self) -> str:
        return f"<registered function {self.__name__}>"

    def __reduce__(self) -> Any:
        return _registered, (self.__name__,)


def _registered(name: str) -> Any:
    return catalog.info(name).function


def _named(f: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(f)
    def call(*arrays: Any, **parameters: Any) -> Any:
        return f(*arrays, **parameters)

    declared = inspect.signature(f).parameters.values()
    static = [p.name for p in declared if p.name == "axis" or isinstance(p.default, bool | str | tuple)]
    return jitted(name, call, static_argnames=static)
