"""A module of an activation as far as no framework is needed; `jaxact.nnx` and `jaxact.linen` add the storage.

A blueprint's dataclass fields are the constructor's arguments. Those of a function without learned parameters follow
from its row; those with learned parameters, and others that are no row's, are written by hand and entered with
`@learnable`.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from jaxact.core.catalog import Row, rows

DATA = ("where", "key")
"""Mask and random key, as jaxact names them. They come with each x, so a module takes them when it is called."""

_fields_only = dataclasses.dataclass(init=False, repr=False, eq=False)
_LEARNABLE: dict[str, type["Blueprint"]] = {}


@_fields_only
class Blueprint:
    """What the module of an activation is in every framework."""

    _learned: ClassVar[tuple[str, ...]] = ()
    """Names of the learned parameters."""

    def _check(self) -> None:
        """Raise a `TypeError` or `ValueError` if a constructor argument is wrong."""

    def _initial(self) -> dict[str, Array]:
        """The learned parameters before training."""
        return {}

    def _evaluate(self, *arrays: Any, **arguments: Any) -> Array:
        """Apply the activation, given the learned parameters by name."""
        raise NotImplementedError

    def _checked(self) -> None:
        """Run `_check`, and let its error name this class where it names a function."""
        try:
            self._check()
        except (TypeError, ValueError) as error:
            message = re.sub(r"^jaxact\.\w+: ", "", str(error))
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{self._who}: {message}") from None

    @property
    def _who(self) -> str:
        """How errors name this class."""
        return f"{type(self).__module__}.{type(self).__qualname__}"


B = TypeVar("B", bound=type[Blueprint])


def learnable(blueprint: B) -> B:
    """Enter a blueprint that is written by hand, under the name of its class."""
    _LEARNABLE[blueprint.__name__] = blueprint
    return _fields_only(blueprint)


def blueprints() -> Iterator[type[Blueprint]]:
    """One for each row, and those written by hand."""
    yield from ({row.module: _stateless(row) for row in rows()} | _LEARNABLE).values()


def build(blueprint: type[Blueprint], framework: type, where: str) -> type:
    """Make the class of a framework's module.

    Args:
      blueprint: what it computes.
      framework: the framework's base class, which keeps `_initial()` under the names in `_learned`.
      where: the Python module that the class is to be found in.
    """

    def call(self: Any, *arrays: Any, **arguments: Any) -> Array:
        learned = {name: getattr(self, name)[...] for name in self._learned}  # [...] reads an nnx.Param, too
        return self._evaluate(*arrays, **learned, **arguments)

    call.__name__, call.__qualname__, call.__module__ = "__call__", f"{blueprint.__name__}.__call__", where
    call.__doc__ = "Apply the activation."
    signature = inspect.signature(blueprint._evaluate)
    call.__signature__ = signature.replace(  # pyright: ignore[reportFunctionMemberAccess]
        parameters=[p for name, p in signature.parameters.items() if name not in blueprint._learned]
    )
    names = {"__module__": where, "__qualname__": blueprint.__name__, "__doc__": blueprint.__doc__, "__call__": call}
    return type(framework)(blueprint.__name__, (blueprint, framework), names)


def _stateless(row: Row) -> type[Blueprint]:
    """The blueprint of a function: its parameters are fixed by the constructor, `DATA` is taken at the call."""
    signature = inspect.signature(row.function)
    arrays = [p for name, p in signature.parameters.items() if name not in row.parameters]
    data = [p for name, p in signature.parameters.items() if name in row.parameters and name in DATA]
    fixed = [p for name, p in signature.parameters.items() if name in row.parameters and name not in DATA]

    def _evaluate(self: Any, *arrays: Any, **data: Any) -> Array:
        return row.function(*arrays, **{p.name: getattr(self, p.name) for p in fixed}, **data)

    _evaluate.__signature__ = inspect.Signature(  # pyright: ignore[reportFunctionMemberAccess]
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            *arrays,
            *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in data),
        ],
        return_annotation=signature.return_annotation,
    )

    def _check(self: Any) -> None:
        # The function's own checks, without computing anything. Whether an axis exists is known only at the call, so
        # that the probe has more axes than anybody's data (and an even number of entries for glu).
        shape = () if row.kind == "pointwise" else (2,) * 16
        jax.eval_shape(self._evaluate, *[jax.ShapeDtypeStruct(shape, jnp.float32)] * len(arrays))

    namespace: dict[str, Any] = {
        p.name: dataclasses.field(
            default=dataclasses.MISSING if p.default is p.empty else p.default,
            kw_only=p.kind is inspect.Parameter.KEYWORD_ONLY,
        )
        for p in fixed
    }
    namespace["__annotations__"] = {p.name: p.annotation for p in fixed}
    namespace["__doc__"] = _documentation(row, [p.name for p in (*arrays, *data)])
    return _fields_only(type(row.module, (Blueprint,), namespace | {"_evaluate": _evaluate, "_check": _check}))


def _documentation(row: Row, call: list[str]) -> str:
    """The function's docstring without what concerns its call: arrays, result and example."""
    text = inspect.getdoc(row.function) or ""
    text = re.sub(r"(?ms)^>>> .*|^Returns:\n.*?\n\n", "", text)
    text = re.sub(rf"(?m)^  ({'|'.join(call)}): .*\n(    .*\n)*", "", text)
    text = text.replace("Args:\n\n", "").strip()
    return f"{text}\n\nThe function is `jaxact.{row.name}`.\n"
