"""Attribute paths of NNX's and Equinox's modules ("blocks[3].mlp") as name scopes, while a function is traced.

Linen's and Haiku's modules open a `jax.named_scope` themselves. For the others `__call__` opens one during a trace that
`observe`, `swap` or `lint` started. For that, `__call__` is wrapped in the classes, and restored at the end.
"""

import contextlib
import functools
import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import jax

_ATTRIBUTE = "."
"""The prefix of the scope of a module that is an attribute of the module around it."""


def path_of(scopes: Sequence[str]) -> str:
    """Join name scopes to one path. Modules are separated by ".", and everything else by "/".

    >>> path_of([".blocks[3]", "eqx.nn.MLP", ".layers[0]", "gate"])
    'blocks[3].layers[0]/gate'
    """
    kept: list[str] = []
    for scope in scopes:
        attribute = bool(kept) and kept[-1].startswith(_ATTRIBUTE)
        if attribute and scope.startswith(_ATTRIBUTE):
            kept[-1] += scope
        elif not (attribute and scope.startswith("eqx.nn.")):  # the class of the module that the path leads to
            kept.append(scope)
    return "/".join(scope.removeprefix(_ATTRIBUTE) for scope in kept)


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, but sites of modules are named by the attributes that lead to them from its arguments.

    A module that is not part of an argument, such as one that was merged inside, is named by its class.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        bases = _bases()
        if not bases:
            return function(*args, **kwargs)
        token = _running.set([_Inside(_arguments(function, args, kwargs, bases), bases)])
        try:
            with _patched(bases):
                return function(*args, **kwargs)
        finally:
            _running.reset(token)

    return call


class _Inside:
    """The paths of the modules in a module, or in the arguments."""

    def __init__(self, roots: Sequence[tuple[Any, str]], bases: tuple[type, ...]) -> None:
        self._bases = bases
        self._paths: dict[int, str] = {}
        self._of_class: dict[type, list[tuple[Any, str]]] = {}
        for value, path in roots:
            for module, where in _modules(value, path, bases):
                if id(module) not in self._paths:
                    self._paths[id(module)] = where
                    self._of_class.setdefault(type(module), []).append((module, where))

    def enter(self, module: Any) -> tuple[str, "_Inside"]:
        """The scope of a module that is in here, and the paths inside it.

        A module that a transformation has rebuilt is recognised by its class, if that class is in here once.
        """
        path = self._path(module)
        if path is None and _transforms(type(module)):
            inner = [(m, self._path(m)) for m, _ in _modules(module, "", self._bases)]
            known = _Inside([(m, path) for m, path in inner if path is not None], self._bases)
            known._paths = self._paths | known._paths
            known._of_class = self._of_class | known._of_class
            return "", known
        if path is None:
            same = self._of_class.get(type(module), [])
            path = same[0][1] if len(same) == 1 else type(module).__name__
        return path, _Inside([(module, "")], self._bases)

    def _path(self, module: Any) -> str | None:
        """The path of a module, or of one with the same arrays, as `equinox.combine` makes it."""
        if id(module) in self._paths:
            return self._paths[id(module)]
        arrays = list(map(id, jax.tree.leaves(module)))
        same = self._of_class.get(type(module), []) if arrays else []
        return next((path for other, path in same if list(map(id, jax.tree.leaves(other))) == arrays), None)


_running: ContextVar[list[_Inside] | None] = ContextVar("running", default=None)
"""The arguments, and the modules whose `__call__` runs, innermost last; None if nothing is traced."""
_lock = threading.Lock()
_originals: dict[type, Any] = {}
_traces = 0


def _bases() -> tuple[type, ...]:
    """The classes of modules in the libraries that are loaded."""
    return tuple(sys.modules[name].Module for name in ("flax.nnx", "equinox") if name in sys.modules)


def _arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], bases: tuple[type, ...]
) -> list[tuple[Any, str]]:
    """The modules that are arguments. A single one needs no name; each of several has its parameter's name."""
    try:
        given = dict(inspect.signature(function).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        given = {**{f"[{i}]": value for i, value in enumerate(args)}, **kwargs}
    roots = [root for name, value in given.items() for root in _modules(value, _joined("", name), bases, deep=False)]
    return [(roots[0][0], "")] if len(roots) == 1 else roots


def _modules(value: Any, path: str, bases: tuple[type, ...], deep: bool = True) -> Iterator[tuple[Any, str]]:
    """The modules in a value, outermost first, each with the path that leads to it."""
    waiting, seen = [(value, path)], set()
    while waiting:
        value, path = waiting.pop(0)
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, bases):
            yield value, path
            if deep:
                waiting += [(child, _joined(path, name)) for name, child in vars(value).items()]
        elif isinstance(value, list | tuple):
            waiting += [(child, f"{path}[{i}]") for i, child in enumerate(value)]
        elif isinstance(value, dict):
            waiting += [(child, f"{path}[{key!r}]") for key, child in value.items()]


def _joined(path: str, name: str) -> str:
    """A list of NNX has its entries as attributes "0", "1", ..."""
    return f"{path}[{name}]" if name.isdigit() else f"{path}{_ATTRIBUTE}{name}"


def _scoped(original: Any) -> Callable[..., Any]:
    """A class's `__call__`, which opens a scope while something is traced."""

    @functools.wraps(original)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        call, running = original.__get__(self, type(self)), _running.get()
        if running is None:
            return call(*args, **kwargs)
        scope, inside = running[-1].enter(self)
        running.append(inside)
        try:
            with jax.named_scope(scope) if scope else contextlib.nullcontext():
                return call(*args, **kwargs)
        finally:
            running.pop()

    return __call__


@contextlib.contextmanager
def _patched(bases: tuple[type, ...]) -> Iterator[None]:
    """Make each module's `__call__` open a scope. If several traces run at once, the last to end restores it."""
    global _traces
    with _lock:
        _traces += 1
        for kind in {kind for base in bases for kind in _subclasses(base)}:
            if "__call__" in vars(kind) and kind not in _originals:
                _originals[kind] = vars(kind)["__call__"]
                kind.__call__ = _scoped(_originals[kind])
    try:
        yield
    finally:
        with _lock:
            _traces -= 1
            if not _traces:
                for kind, original in _originals.items():
                    kind.__call__ = original
                _originals.clear()


def _subclasses(kind: type) -> Iterator[type]:
    yield kind
    for each in kind.__subclasses__():
        yield from _subclasses(each)


def _transforms(kind: type) -> bool:
    """Whether a class is a wrapper such as that of `equinox.filter_jit`, which rebuilds the module at the call."""
    return kind.__module__.startswith("equinox.") and not kind.__module__.startswith("equinox.nn.")
