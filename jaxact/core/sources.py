"""What other libraries call the arguments of their activations, and in which order they take them."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from jaxact.core.checks import as_array

Meaning = Callable[[Any, Any], Mapping[str, Any]]
"""Takes an argument's value and x (None where a config binds it), and gives jaxact's arguments; "x" replaces x."""


def _named(ours: str) -> Meaning:
    return lambda value, x: {ours: value}


def _only(expected: float, why: str) -> Meaning:
    def meaning(value: Any, x: Any) -> Mapping[str, Any]:
        if value != expected:
            raise ValueError(f"expected {expected:g}, got {value!r}; {why}")
        return {}

    return meaning


def _form(value: Any, x: Any) -> Mapping[str, Any]:
    if value not in ("none", "tanh"):
        raise ValueError(f'expected "none" or "tanh", got {value!r}; "tanh" is the approximate form')
    return {"approximate": value == "tanh"}


def _dim(value: Any, x: Any) -> Mapping[str, Any]:
    if value is None and jnp.ndim(x) > 2:
        raise ValueError(
            f"expected an int for an array of rank {jnp.ndim(x)}, got None; PyTorch would guess the axis, so give it"
        )
    return {"axis": -1 if value is None else value}


def _cast(value: Any, x: Any) -> Mapping[str, Any]:
    return {} if value is None else {"x": jnp.asarray(x).astype(value)}


def _weight(value: Any, x: Any) -> Mapping[str, Any]:
    """PyTorch's channels are axis 1."""
    value = jnp.asarray(value)
    if value.ndim == 1 and value.size > 1 and jnp.ndim(x) > 1:
        if jnp.shape(x)[1] != value.size:
            raise ValueError(f"expected {jnp.shape(x)[1]} numbers, one per channel (axis 1 of x), got {value.size}")
        value = lax.expand_dims(value, range(1, jnp.ndim(x) - 1))
    return {"negative_slope": value.reshape(()) if value.size == 1 else value}


def _training(value: Any, x: Any) -> Mapping[str, Any]:
    if value:
        raise ValueError("expected False, got True; in training give a random key instead, key=jax.random.key(0)")
    return {"key": None}


_MAX = {"max_value": lambda value, x: {"max_value": math.inf if value is None else value}}
_ROW = {"dim": _dim, "_stacklevel": lambda value, x: {}, "dtype": _cast}
_NO_EFFECT = "nothing is added to a logarithm here"
ARGUMENTS: Mapping[str, Mapping[str, Mapping[str, Meaning]]] = {
    "torch": {
        "gelu": {"approximate": _form},
        "softplus": {"beta": _named("beta"), "threshold": _only(20, "the function is exact everywhere, without one")},
        "hard_tanh": {"min_val": _named("min_val"), "max_val": _named("max_val")},
        "softmax": _ROW,
        "softmin": _ROW,
        "log_softmax": _ROW,
        "glu": {"dim": _named("axis")},
        "prelu": {"weight": _weight},
        "rrelu": {"lower": _named("lower"), "upper": _named("upper"), "training": _training},
        "gumbel_softmax": {
            "tau": _named("tau"),
            "hard": _named("hard"),
            "eps": _only(1e-10, _NO_EFFECT),
            "dim": _named("axis"),
        },
    },
    "keras": {
        "thresholded_relu": {"negative_slope": _named("negative_slope"), **_MAX, "threshold": _named("threshold")},
        "leaky_relu": {"negative_slope": _named("negative_slope")},
        "gelu": {"approximate": _named("approximate")},
        "hard_shrink": {"threshold": _named("lambd")},
        "soft_shrink": {"threshold": _named("lambd")},
        "threshold": {"threshold": _named("threshold"), "default_value": _named("value")},
    },
}
"""Source -> jaxact's function -> the source's arguments after x, in order. Other functions are called as jaxact's."""


class Bound(functools.partial):
    """A function of the catalog with parameters bound. Pickle and copy give the same object again."""

    def __reduce__(self) -> Any:
        return bound, (self.func, tuple(self.keywords.items()))


class Foreign(Bound):
    """A function of the catalog that is called as the library `source` calls its own."""

    source: str

    def __call__(self, *values: Any, **given: Any) -> Array:
        """Evaluate it. Arguments come by the library's names or in its order, or by jaxact's names."""
        theirs = ARGUMENTS[self.source][self.func.__name__]
        array = next(iter(inspect.signature(self.func).parameters))
        if not values and array not in given:
            raise TypeError(f"jaxact.{self.func.__name__}: expected an array, got none; give {array}")
        x, *rest = values or (given.pop(array),)
        if len(rest) > len(theirs):
            raise TypeError(
                f"jaxact.{self.func.__name__}: expected at most {len(theirs)} arguments after the array, "
                f"{self.source}'s {', '.join(theirs)}, got {len(rest)}; leave out those without a meaning here"
            )
        placed = dict(zip(theirs, rest, strict=False))
        if twice := placed.keys() & given.keys():
            raise TypeError(
                f"jaxact.{self.func.__name__}: expected each argument once, got {', '.join(twice)} by position and by "
                "name; leave out one"
            )
        given = placed | given
        if theirs.get("dim") is _dim and not {"dim", "axis"} & {*self.keywords, *given}:
            given = {"dim": None} | given
        if "training" in theirs:
            given = {"training": False} | given
        ours = {"x": x, **self.keywords, **translated(self.source, self.func, given, x)}
        return self.func(ours.pop("x"), **ours)

    def __reduce__(self) -> Any:
        return foreign, (self.source, self.func, tuple(self.keywords.items()))


class Packed(Bound):
    """A gated unit that takes gate and value, or both in one array, as an engine's projection makes them."""

    layout: str

    def __call__(self, x: Any, value: Any = None, **given: Any) -> Array:
        """Evaluate it."""
        if value is None:
            x = jnp.asarray(as_array(self.func.__name__, x))
            if not x.ndim or x.shape[-1] % 2:
                raise ValueError(
                    f"jaxact.{self.func.__name__}: expected an even size along the last axis, got "
                    f"{x.shape[-1] if x.ndim else 'a scalar'}; its halves are gate and value"
                )
            first, second = (x[..., ::2], x[..., 1::2]) if self.layout == "interleaved" else jnp.split(x, 2, -1)
            x, value = (second, first) if self.layout == "gate_last" else (first, second)
        return self.func(x, value, **{**self.keywords, **given})

    def __reduce__(self) -> Any:
        return packed, (self.layout, self.func, tuple(self.keywords.items()))


def layout(source: str, name: str) -> str | None:
    """How an engine packs gate and value for its gated unit of that name."""
    if source not in ("vllm", "sglang"):
        return None
    return _LAYOUTS.get(name, "gate_first")


_LAYOUTS = {"mul_and_silu": "gate_last", "swigluoai": "interleaved", "swigluoai_and_mul": "interleaved"}


def translated(source: str, function: Callable[..., Any], given: Mapping[str, Any], x: Any = None) -> dict[str, Any]:
    """The arguments by jaxact's names.

    Raises:
      TypeError: there is no such argument here.
      ValueError: a value has no meaning here.
    """
    theirs = ARGUMENTS.get(source, {}).get(function.__name__, {})
    known = inspect.signature(function).parameters
    ours: dict[str, Any] = {}
    for name, value in given.items():
        if name in theirs:
            try:
                ours |= theirs[name](value, x)
            except ValueError as error:
                raise ValueError(f"jaxact.{function.__name__}: {name}: {error}") from None
        elif name in known:
            ours[name] = value
        else:
            raise TypeError(
                f"jaxact.{function.__name__}: the argument {name!r} has no meaning here; of {source}'s it takes "
                f"{', '.join(theirs)}"
            )
    return ours


@functools.cache
def bound(function: Callable[..., Array], parameters: tuple[tuple[str, Any], ...]) -> Bound:
    """The one object for the function and these parameters."""
    return Bound(function, **dict(parameters))


@functools.cache
def foreign(source: str, function: Callable[..., Array], parameters: tuple[tuple[str, Any], ...]) -> Foreign:
    """The one object for the function of that library and these parameters."""
    made = Foreign(function, **dict(parameters))
    made.source = source
    return made


@functools.cache
def packed(layout: str, function: Callable[..., Array], parameters: tuple[tuple[str, Any], ...]) -> Packed:
    """The one object for the unit, its layout and these parameters."""
    made = Packed(function, **dict(parameters))
    made.layout = layout
    return made
