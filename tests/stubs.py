"""Writes jaxact/nnx.pyi and jaxact/linen.pyi, what type checkers and IDEs see of the modules: `python -m tests.stubs`.

It stands in tests/ because only a contributor runs it, and test_modules.py fails until it has been run.
"""

import inspect
import math
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

import jax.typing

import jaxact.linen
import jaxact.nnx

MODULES = (jaxact.nnx, jaxact.linen)


def path(module: ModuleType) -> Path:
    """Where the stub of a module is kept."""
    return Path(module.__file__ or "").with_suffix(".pyi")


def stub(module: ModuleType) -> str:
    """The stub of jaxact.nnx or jaxact.linen, from the signatures of its classes; ruff format leaves it as it is."""
    framework = module.__name__.rpartition(".")[2]
    lines = [
        '"""Made by `python -m tests.stubs`; do not edit."""\n',
        "from collections.abc import Sequence",
        *(["from typing import Any\n"] if framework == "linen" else [""]),
        f"from flax import {framework}",
        "from jax import Array",
        "from jax.typing import ArrayLike, DTypeLike",
    ]
    for name in module.__all__:
        made = getattr(module, name)
        fields = [
            _parameter(p) for p in inspect.signature(made).parameters.values() if p.name not in ("parent", "name")
        ]
        constructor = _arguments(made)
        if framework == "linen":
            constructor += ["parent: Any = ...", "name: str | None = None"]
        lines += [f"\nclass {name}({framework}.Module):", f'    """{made.__doc__.partition(chr(10))[0]}"""\n']
        attributes = [field.partition(" = ")[0] for field in fields]
        attributes += [f"{name}: {'nnx.Param[Array]' if framework == 'nnx' else 'Array'}" for name in made._learned]
        lines += [f"    {attribute}" for attribute in attributes] + ([""] if attributes else [])
        lines += [_method("__init__", constructor, "None"), _method("__call__", _arguments(made.__call__), "Array")]
    return "\n".join(lines) + "\n"


def _method(name: str, arguments: list[str], result: str) -> str:
    line = f"    def {name}({', '.join(arguments)}) -> {result}: ..."
    if len(line) <= 120:
        return line
    return f"    def {name}(\n        " + ",\n        ".join(arguments) + f",\n    ) -> {result}: ..."


def _arguments(function: Any) -> list[str]:
    result = ["self"]
    for p in inspect.signature(function).parameters.values():
        if p.name in ("self", "parent", "name"):
            continue
        if p.kind is p.KEYWORD_ONLY and "*" not in result:
            result.append("*")
        result.append(_parameter(p))
    return result


def _parameter(p: inspect.Parameter) -> str:
    return f"{p.name}: {_annotation(p.annotation)}" + ("" if p.default is p.empty else f" = {_default(p.default)}")


def _default(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, float) and math.isinf(value):
        return f'float("{value}")'
    return repr(value) if isinstance(value, int | float | tuple | None) else "..."


def _annotation(annotation: Any) -> str:
    members = set(typing.get_args(annotation))
    for name, union in (("ArrayLike", jax.typing.ArrayLike), ("DTypeLike", jax.typing.DTypeLike)):
        if set(typing.get_args(union)) <= members:
            others = [_annotation(m) for m in typing.get_args(annotation) if m not in typing.get_args(union)]
            return " | ".join([name, *others])
    if annotation is type(None):
        return "None"
    text = annotation.__name__ if isinstance(annotation, type) and not members else str(annotation)
    return text.replace("collections.abc.", "").replace("jaxlib._jax.Array", "Array").replace("jax.Array", "Array")


if __name__ == "__main__":
    for module in MODULES:
        path(module).write_text(stub(module))
