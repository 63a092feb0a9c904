"""Writes the modules of all functions without learned parameters: `python -m jaxact.modules.generate`.

It writes one class for each row of the catalog, from the function's own signature and docstring, in a file for each
family of functions. Run it after you change a signature or a docstring; a test fails until you do. It needs Ruff.
"""

import ast
import inspect
import itertools
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from jaxact.core.catalog import Row, rows
from jaxact.modules import learned
from jaxact.modules.settings import DATA

FRAMEWORKS = ("nnx", "linen", "equinox")
_WRITTEN = "written by `python -m jaxact.modules.generate`; do not edit"

_HEADER = '''"""{title} modules of `jaxact.functions.{family}`, {written}."""

{imports}import jaxact
from jaxact.modules.{framework}.base import Module
{check}'''
_IMPORTS = (
    {
        "dataclasses": "import dataclasses",
        "math": "import math",
        "Sequence": "from collections.abc import Sequence",
    },
    {
        "equinox": "import equinox",
        "Array": "from jax import Array",
        "ArrayLike": "from jax.typing import ArrayLike",
    },
)
_TITLES = {"nnx": "NNX", "linen": "Linen", "equinox": "Equinox"}
_CHECK = {"nnx": "__post_init__", "linen": "__post_init__", "equinox": "__check_init__"}


def sources() -> dict[Path, str]:
    """The content of each file, by path."""
    here = Path(__file__).parent
    families = itertools.groupby(filter(_has_class, rows()), key=lambda row: row.family)
    found = {family: list(each) for family, each in families}
    return {
        here / framework / f"{family}.py": _formatted(_file(framework, family, each))
        for framework in FRAMEWORKS
        for family, each in found.items()
    }


def written() -> list[Path]:
    """The files that exist and that this module wrote."""
    here = Path(__file__).parent
    return [
        path for framework in FRAMEWORKS for path in (here / framework).glob("*.py") if _WRITTEN in path.read_text()
    ]


def _file(framework: str, family: str, found: list[Row]) -> str:
    body = "\n\n".join(_class(framework, row) for row in found)
    code = re.sub(r'"""(.|\n)*?"""', "", body)
    used = [
        "\n".join(line for name, line in section.items() if re.search(rf"\b{name}\b", code)) for section in _IMPORTS
    ]
    check = "from jaxact.modules.settings import check\n" if "check(" in code else ""
    header = _HEADER.format(
        title=_TITLES[framework],
        family=family,
        framework=framework,
        written=_WRITTEN,
        imports="".join(f"{section}\n\n" for section in used if section),
        check=check,
    )
    exported = f"__all__ = {sorted((row.module for row in found), key=lambda name: (not name.isupper(), name))}\n"
    return f"{header}\n{exported}\n\n{body}\n"


def _has_class(row: Row) -> bool:
    """Whether the row's module is written here: its function is jaxact's, and neither learned nor random."""
    return (
        row.function.__module__.startswith("jaxact.functions.")
        and not hasattr(learned, row.module)
        and "key" not in row.parameters
    )


def _class(framework: str, row: Row) -> str:
    definition = ast.parse(inspect.getsource(row.function)).body[0]
    assert isinstance(definition, ast.FunctionDef)
    arguments = dict(_arguments(definition.args))
    data = {name: a for name, a in arguments.items() if name in DATA}
    fields = {name: a for name, a in arguments.items() if name in row.parameters and name not in DATA}
    arrays = [name for name in arguments if name not in row.parameters]
    lines = ["@dataclasses.dataclass(eq=False, repr=False)"] if framework == "nnx" else []
    lines += [f"class {row.module}(Module):", textwrap.indent(_documentation(row, fields), "    "), ""]
    lines += [f"    {name}: {_field(framework, *a)}" for name, a in fields.items()] + ([""] if fields else [])
    if fields:
        given = [f"arrays={len(arrays)}"] if len(arrays) > 1 else []
        given += [] if row.kind == "pointwise" else ["scalar=False"]
        given += [f"{name}=self.{name}" for name in fields]
        lines += [
            f"    def {_CHECK[framework]}(self) -> None:",
            f"        check(jaxact.{row.name}, {', '.join(given)})",
        ]
        lines += ["        super().__post_init__()", ""] if framework == "linen" else [""]
    by_keyword = [f"{name}: {annotation} = {default}" for name, (annotation, default) in data.items()]
    by_keyword += ["key: Array | None = None"] if framework == "equinox" else []
    taken = ["self", *(f"{name}: {arguments[name][0]}" for name in arrays), *(["*", *by_keyword] if by_keyword else [])]
    given = [*arrays, *(f"{name}=self.{name}" for name in fields), *(f"{name}={name}" for name in data)]
    lines += [
        f"    def __call__({', '.join(taken)}) -> Array:",
        f"        return jaxact.{row.name}({', '.join(given)})",
    ]
    return "\n".join(lines) + "\n"


def _arguments(arguments: ast.arguments) -> Iterator[tuple[str, tuple[str, str]]]:
    """The source of each argument's annotation and default ("" where there is none), by name."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    for argument, default in [
        *zip(positional, defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]:
        assert argument.annotation is not None
        annotation = ast.unparse(argument.annotation).replace("AxisName", "str | Sequence[str]")
        yield argument.arg, (annotation, "" if default is None else ast.unparse(default))


def _field(framework: str, annotation: str, default: str) -> str:
    """A field's annotation and default. A field that is not an array is static for Equinox."""
    if framework == "equinox" and "ArrayLike" not in annotation:
        return f"{annotation} = equinox.field({f'default={default}, ' if default else ''}static=True)"
    return f"{annotation} = {default}" if default else annotation


def _documentation(row: Row, fields: Mapping[str, object]) -> str:
    """The first line of the function's docstring, a pointer to the rest, and the lines about the fields."""
    text = inspect.getdoc(row.function) or ""
    first = f'"""{text.partition(chr(10))[0]}'
    where = f"See the function `jaxact.{row.name}`."
    if not fields and len(first + where) < 110:
        return f'{first} {where}"""'
    lines = [first, "", where]
    if fields:
        lines += ["", "Args:"]
        for name in fields:
            described = re.search(rf"(?m)^  {name}: .*\n(?:    .*\n)*", text)
            if described is None:
                raise ValueError(f"the docstring of jaxact.{row.name} says nothing of {name}: add it to its Args")
            lines.append(described[0].rstrip("\n"))
    return "\n".join([*lines, '"""'])


def _formatted(code: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--quiet", "--line-length=120", "-"]
    return subprocess.run(command, input=code, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    now = sources()
    for path in written():
        if path not in now:
            path.unlink()
    for path, code in now.items():
        path.write_text(code)
