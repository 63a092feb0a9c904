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
"""The placeholder, in a position, for the iteration of the loop that is entered there."""
TAP = "jaxact.flow.tap: "
"""The prefix of a `jax.ad_checkpoint.checkpoint_name` that marks a place that the user chose."""
CELL = "Cell "
"""The beginning of the file of a site in a notebook, as IPython names its cells."""
SITE = "jaxact.flow.site: "
"""The prefix of the name of a jitted function that a user marked as an activation."""

Frame = tuple[CodeType, int]


@dataclasses.dataclass(frozen=True)
class Site:
    """An observed place in a traced function: one call of an activation or of `tap`. It is static."""

    name: str
    """The activation's canonical name, or the name given to `tap`."""
    kind: Literal["pointwise", "gated", "axis", "tap"]
    """The kind in the catalog: elementwise, elementwise in two halves or arguments, or along an axis; or a tap."""
    path: str
    """The modules (`jax.named_scope`s) around it, for example "Mlp_0/Dense_1"."""
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
    """The key that sorts sites in the order in which they run; `LOOP` stands for an iteration."""
    tapped: bool
    """Whether gradients come through it. None do in a `while_loop`, in custom rules, or without parameters before."""
    varying: tuple[tuple[str, ...], tuple[str, ...]]
    """The mesh axes, of a `shard_map` around it, that its input and its output vary over."""
    parameters: tuple[tuple[str, Any], ...] = ()
    """Names and values of the activation's parameters; None for a value that is computed or learned."""
    rows: tuple[int, ...] = ()
    """For a function along an axis, the axes of its input, as far as they are known."""
    repeated: bool = False
    """Whether it runs repeatedly with the same parameters, as a step of a recurrent network and not as a layer."""
    unit_axis: int = -1
    """The axis of its output whose entries are units."""
    number: int = 1
    """Its number among the sites of the same place and name, in the order in which they run."""

    @property
    def place(self) -> str:
        """The module path, or else the Python function."""
        return self.path or self.function

    @property
    def label(self) -> str:
        """A short name, such as "blocks[3].mlp/gelu": place and activation, and a number from the second one on."""
        name = f"{self.place}/{self.name}" if self.place else self.name
        return name if self.number == 1 else f"{name} #{self.number}"

    @property
    def source(self) -> str:
        """File and line, "model.py:41", or cell and line of a notebook, "Cell In[3], line 2"."""
        return source_of(self.file, self.line) or "unknown"


@dataclasses.dataclass(frozen=True)
class Unseen:
    """Code that was not looked into, because that is impossible without changing it."""

    what: str
    """A Pallas kernel, a function with its own derivative rule, derivative code, or JAX's name for something else."""
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
    """The sites, where those of the same place and name have numbers."""
    in_order = sorted(range(len(sites)), key=lambda i: sites[i].position)
    seen: dict[str, int] = {}
    numbers = {}
    for i in in_order:
        numbers[i] = seen[sites[i].label] = seen.get(sites[i].label, 0) + 1
    return tuple(dataclasses.replace(site, number=numbers[i]) for i, site in enumerate(sites))


def kind_of(name: str) -> Literal["pointwise", "gated", "axis"] | None:
    """The kind of the activation with this name, or None. The identity does not count."""
    if name == "logsumexp":  # it is not an activation, but it tells a loss that normalises logits
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

    A method is named "Class.method".
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
    """The name of the notebook cell that was compiled under a file's name, such as "Cell In[3]"; "" for a real file."""
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
