"""What an observed place is, and telling by files and tracebacks where an activation was called from."""

import dataclasses
import functools
import inspect
import itertools
import os
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from types import CodeType
from typing import Any, Literal

import jax

import jaxact.functions  # noqa: F401  (fills the catalog)
from jaxact.core import catalog

LOOP = -1
"""Stands in a position for the iteration of the loop that is entered there."""
TAP = "jaxact.flow.tap: "
"""How the name of a `jax.ad_checkpoint.checkpoint_name` begins that marks a place chosen by the user."""
CELL = "Cell "
"""How the file of a site in a notebook begins, as IPython calls its cells."""
SITE = "jaxact.flow.site: "
"""How the name of a jitted function begins that a user marked as an activation."""

Frame = tuple[CodeType, int]


@dataclasses.dataclass(frozen=True)
class Site:
    """A place in a traced function that is observed: one call of an activation or of `tap`. Static."""

    name: str
    """The activation's canonical name, or the name given to `tap`."""
    kind: Literal["pointwise", "gated", "axis", "tap"]
    """As in the catalog: elementwise, elementwise in two halves or arguments, or along an axis; or a tap."""
    path: str
    """The modules (`jax.named_scope`s) around it, "Mlp_0/Dense_1"."""
    file: str
    """The user's file that calls it, or a notebook's cell; "" if no user code is on the stack."""
    line: int
    """The line there."""
    function: str
    """The user's function there."""
    shape: tuple[int, ...]
    """Shape of its output, in one iteration and on one device."""
    dtype: str
    """Type of its output."""
    loops: tuple[int, ...]
    """Lengths of the scans around it, outermost first."""
    position: tuple[int, ...]
    """Sorts sites in the order they run in; `LOOP` stands for an iteration."""
    tapped: bool
    """Whether gradients come through it: none do in `while_loop`, in custom rules and on what has no parameters."""
    varying: tuple[tuple[str, ...], tuple[str, ...]]
    """The mesh axes, of a `shard_map` around it, that its input and its output vary over."""
    parameters: tuple[tuple[str, Any], ...] = ()
    """Names and values of the activation's parameters; None for a value that is computed or learned."""
    rows: tuple[int, ...] = ()
    """Of a function along an axis, which axes of its input, as far as they are known."""
    repeated: bool = False
    """Whether it runs again and again with the same parameters, as a step of a recurrent network and not a layer."""
    unit_axis: int = -1
    """The axis of its output whose entries are units."""
    number: int = 1
    """Which of the sites it is that have one place and name, in the order they run in."""

    @property
    def place(self) -> str:
        """The module path, or else the Python function."""
        return self.path or self.function

    @property
    def label(self) -> str:
        """A short name for people, "blocks[3].mlp/gelu": its place and activation, and a number from the second on."""
        name = f"{self.place}/{self.name}" if self.place else self.name
        return name if self.number == 1 else f"{name} #{self.number}"

    @property
    def source(self) -> str:
        """File and line, "model.py:41", or cell and line of a notebook, "Cell In[3], line 2"."""
        return source_of(self.file, self.line) or "unknown"


@dataclasses.dataclass(frozen=True)
class Unseen:
    """Something with code inside that was not looked into, because it cannot be without changing it."""

    what: str
    """A Pallas kernel, a function with a derivative rule of its own, derivative code, or JAX's name of it."""
    path: str
    """The modules around it."""
    file: str
    """The user's file that calls it; "" if unknown."""
    line: int
    """The line there; 0 for derivative code, which has many."""
    function: str
    """The user's function there."""


def source_of(file: str, line: int) -> str:
    """File and line for people; "" if the file is not known."""
    if file.startswith(CELL):
        return f"{file}, line {line}"
    return f"{os.path.basename(file)}:{line}" if file else ""


def numbered(sites: Sequence[Site]) -> tuple[Site, ...]:
    """Sites, of which those of one place and name have numbers."""
    in_order = sorted(range(len(sites)), key=lambda i: sites[i].position)
    seen: dict[str, int] = {}
    numbers = {}
    for i in in_order:
        numbers[i] = seen[sites[i].label] = seen.get(sites[i].label, 0) + 1
    return tuple(dataclasses.replace(site, number=numbers[i]) for i, site in enumerate(sites))


def kind_of(name: str) -> Literal["pointwise", "gated", "axis"] | None:
    """Whether a name is an activation's, and of what kind; the identity is none."""
    if name == "logsumexp":  # no activation, but a loss that normalises logits is told by it
        return "axis"
    row = catalog.find(name)
    if row is None or row.name == "identity":
        return None
    return "pointwise" if row.kind == "random" else row.kind


def owns(name: str, file: str) -> bool:
    """Whether a function of the catalog's name in a file is the catalog's."""
    row = catalog.find(name)
    return file.startswith(_own_directory()) or (
        row is not None
        and getattr(inspect.unwrap(row.function), "__code__", None) is not None
        and inspect.unwrap(row.function).__code__.co_filename == file
    )


def called_by_user(frames: Sequence[Frame]) -> bool:
    """Whether user code, and not a library, calls JAX there."""
    jax_itself = str(Path(jax.nn.__file__).parents[1]) + os.sep
    outside = [code.co_filename for code, _ in frames if not code.co_filename.startswith((jax_itself, "<frozen"))]
    return bool(outside) and not outside[0].startswith(_library_directories())


def user_frame(frames: Sequence[Frame]) -> tuple[str, int, str]:
    """File (or notebook cell), line and function of the innermost frame that is the user's own code, not a library's.

    A method is called "Class.method".
    """
    libraries = _library_directories()
    for code, instruction in frames:
        file = code.co_filename
        if file.startswith(libraries) or (file.startswith(_standard_library()) and "-packages" not in file):
            continue
        if not file.startswith("<frozen"):
            line = next(itertools.islice(code.co_positions(), instruction // 2, None))[0]
            function = code.co_qualname.rpartition("<locals>.")[2]
            return _cell(file) or file, line or code.co_firstlineno, function
    return "", 0, ""


def _cell(file: str) -> str:
    """The name of the notebook's cell that was compiled under a file's name, "Cell In[3]"; "" if it is none."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    names = getattr(getattr(shell, "compile", None), "format_code_name", None)
    return " ".join((names and names(file)) or ())


@functools.cache
def _own_directory() -> str:
    return str(Path(__file__).parents[1]) + os.sep


@functools.cache
def _standard_library() -> str:
    return sysconfig.get_path("stdlib") + os.sep


def _library_directories() -> tuple[str, ...]:
    """Directories of the libraries that call activations on a user's behalf, as far as they are loaded."""
    modules = (sys.modules.get(name) for name in ("jax", "flax", "haiku", "equinox", "optax"))
    files = (module.__file__ for module in modules if module is not None and module.__file__)
    return (_own_directory(), *(str(Path(file).parent) + os.sep for file in files))
