"""What an observed place is, and telling by names, files and tracebacks which activation was called from where."""

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
from typing import Literal

import jax

import jaxact.functions  # noqa: F401  (fills the catalog)
from jaxact.core import catalog

LOOP = -1
"""Stands in a position for the iteration of the loop that is entered there."""
TAP = "jaxact.flow.tap: "
"""How the name of a `jax.ad_checkpoint.checkpoint_name` begins that marks a place chosen by the user."""
PRIMITIVES = {"tanh": "tanh", "logistic": "sigmoid"}
"""Activations that are one primitive of JAX, which carries no other name."""

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
    """The user's file that calls it; "" if no user code is on the stack."""
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

    @property
    def label(self) -> str:
        """A short name for people: the module path, or else the Python function, and the activation."""
        around = self.path or self.function
        return f"{around}/{self.name}" if around else self.name

    @property
    def source(self) -> str:
        """File and line, "model.py:41"."""
        return f"{os.path.basename(self.file)}:{self.line}" if self.file else "unknown"


def kind_of(name: str) -> Literal["pointwise", "gated", "axis"] | None:
    """Whether a name is an activation's, and of what kind; the identity is none."""
    if name == "logsumexp":  # has no row: it is no activation, but a loss that normalises logits is told by it
        return "axis"
    row = catalog_row(name)
    if row is None or row.name == "identity":
        return None
    return "pointwise" if row.kind == "random" else row.kind


def catalog_row(name: str) -> catalog.Row | None:
    """The catalog's row of a name or an alias, if there is one."""
    try:
        return catalog.info(name)
    except ValueError:
        return None


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a function of jax.nn that left several equations: which, who called it, and how far it has come."""

    name: str
    callers: tuple[Frame, ...]
    position: int

    def continues(self, previous: "Call | None") -> bool:
        """Whether this equation is of the same call: instructions are in order, so a step back is a new call."""
        return (
            previous is not None
            and (self.name, self.callers) == (previous.name, previous.callers)
            and self.position >= previous.position
        )


def nn_call(frames: Sequence[Frame]) -> Call | None:
    """Find the outermost call of a known function of jax.nn on a stack (innermost frame first)."""
    inside = [i for i, (code, _) in enumerate(frames) if code.co_filename in _nn_files() and kind_of(code.co_name)]
    if not inside:
        return None
    code, instruction = frames[inside[-1]]
    return Call(code.co_name, tuple(frames[inside[-1] + 1 :]), instruction)


def defines_activations(file: str | None) -> bool:
    """Whether a file is where jax.nn's or jaxact's functions are defined."""
    return file is not None and (file in _nn_files() or file.startswith(_own_directory()))


def user_frame(frames: Sequence[Frame]) -> tuple[str, int, str]:
    """File, line and function of the innermost frame that is the user's own code, and not a library's."""
    libraries = _library_directories()
    for code, instruction in frames:
        file = code.co_filename
        if file.startswith(libraries) or (file.startswith(_standard_library()) and "-packages" not in file):
            continue
        if not file.startswith("<frozen"):
            line = next(itertools.islice(code.co_positions(), instruction // 2, None))[0]
            return file, line or code.co_firstlineno, code.co_name
    return "", 0, ""


@functools.cache
def _nn_files() -> frozenset[str]:
    return frozenset(inspect.unwrap(f).__code__.co_filename for f in (jax.nn.gelu, jax.nn.logsumexp))


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
