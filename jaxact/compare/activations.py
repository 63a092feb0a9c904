"""The meaning of the text for an activation or a study. Text is parsed and looked up, but never evaluated."""

import ast
import functools
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jaxact
from jaxact.compare.errors import Invalid, invalid, running

MODULES = ("nnx", "linen", "equinox")
"""The libraries that may stand before a module's name, as in "linen.PReLU"; without one, the module is NNX's."""


class Activation(NamedTuple):
    """An activation and its name."""

    name: str
    function: Any
    """A function of one array, or a module that learns something, such as jaxact.nnx.PReLU()."""


def resolve(given: Any) -> Activation:
    """Find the activation that is meant.

    Args:
      given: a name ("gelu"), a call with constants ("leaky_relu(negative_slope=0.2)"), a module ("PReLU",
        "linen.PReLU(init=0.1)"), a config as text or a dictionary, "file.py:name", or a callable.

    Raises:
      ValueError: there is no such activation, or the text is none of these.

    >>> resolve("leaky_relu(negative_slope=0.2)").function.keywords
    {'negative_slope': 0.2}
    """
    if isinstance(given, type):
        return Activation(given.__name__, _instance(given, given.__name__))
    if callable(given):
        return Activation(getattr(given, "__name__", None) or _called(given), given)
    if isinstance(given, str) and given.lstrip().startswith("{"):
        try:
            given = json.loads(given)
        except json.JSONDecodeError as error:
            raise invalid("a config in JSON", given, f"mend it: {error}") from None
    if isinstance(given, dict):
        return Activation(_written(given), jaxact.get(given))
    if not isinstance(given, str) or not given:
        raise invalid("an activation", given, "give a name, a config, a function, or file.py:name")
    if ".py:" in given:
        found = load(given)
        if not callable(found):
            raise invalid(f"{given} to be a function or a module", type(found).__name__, "name another")
        return Activation(given.rpartition(":")[2], _instance(found, given) if isinstance(found, type) else found)
    name, arguments = _call(given)
    library, _, last = name.rpartition(".")
    if library in MODULES or last[:1].isupper():
        return Activation(given, _module(library or "nnx", last, arguments))
    return Activation(given, jaxact.get({"name": name, **arguments}) if arguments else jaxact.get(name))


def load(written: str) -> Any:
    """Return the object that "file.py:name" names. The file runs once, as an imported script does.

    Raises:
      ValueError: there is no such file or name, or the file raises.
    """
    file, _, name = written.rpartition(":")
    module = _module_of(Path(file).expanduser().resolve())
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
            raise invalid(f"{file} to define {name!r}", f"only {', '.join(public[:20]) or 'nothing'}", "name another")
        found = getattr(found, part)
    return found


@functools.cache
def _module_of(path: Path) -> Any:
    if not path.is_file():
        raise invalid("a Python file", f"{path}, which does not exist", "correct its name")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise invalid("a Python file", str(path), "give one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # dataclasses look up their types there
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))  # as for a script: it may import its neighbours
    try:
        with running(str(path)):
            spec.loader.exec_module(module)
    except SystemExit as stop:
        raise Invalid(f"{path} ended the program ({stop}); put what it runs under if __name__ == '__main__'") from None
    return module


def _call(text: str) -> tuple[str, dict[str, Any]]:
    """Split "name(key=constant)" into its parts."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        call = tree if isinstance(tree, ast.Call) else None
        name = ast.unparse(call.func if call else tree)
        if not all(part.isidentifier() for part in name.split(".")) or (call and call.args):
            raise ValueError
        return name, {str(k.arg): ast.literal_eval(k.value) for k in (call.keywords if call else [])}
    except (SyntaxError, ValueError):
        advice = 'write it like gelu, "leaky_relu(negative_slope=0.2)" or mine.py:my_activation'
        raise invalid("an activation's name, with constants for its parameters", repr(text), advice) from None


def _module(library: str, name: str, arguments: dict[str, Any]) -> Callable[..., Any]:
    if library not in MODULES:
        raise invalid(f"modules of {', '.join(MODULES)}", repr(library), "choose one of them")
    try:
        classes = importlib.import_module(f"jaxact.{library}")
    except ModuleNotFoundError as missing:
        raise invalid(f"jaxact.{library}", str(missing), "install what it needs") from None
    if not isinstance(getattr(classes, name, None), type):
        near = [n for n in dir(classes) if n.lower() == name.lower()]
        hint = f"did you mean {near[0]}?" if near else f"dir(jaxact.{library}) has their names"
        raise invalid(f"a module of jaxact.{library}", repr(name), hint)
    try:
        return getattr(classes, name)(**arguments)
    except TypeError as error:
        raise invalid(f"arguments that {name} takes", f"{arguments} ({error})", "correct them") from None


def _written(config: dict[str, Any]) -> str:
    inside = ", ".join(f"{k}={v!r}" for k, v in config.items() if k != "name")
    return f"{config.get('name')}({inside})" if inside else str(config.get("name"))


def _instance(kind: type, written: str) -> Any:
    """An object of a class that stands for an activation, such as a module that learns something."""
    with running(f"{written}()"):
        made = kind()
    if not callable(made):
        raise invalid(f"{written} to be a class of functions or modules", "one without __call__", "name another")
    return made


def _called(given: Any) -> str:
    """A name for a callable without one: the config of a partial, the class of a module."""
    try:
        return _written(jaxact.config(given))
    except (ValueError, TypeError):
        return getattr(getattr(given, "func", None), "__name__", type(given).__name__)


def place(given: Any) -> str:
    """The text for a study or an activation, with which it can be found again: for a file the whole path."""
    if isinstance(given, str):
        file, _, name = given.rpartition(":")
        return f"{os.path.abspath(os.path.expanduser(file))}:{name}" if ".py:" in given else given
    if isinstance(given, dict):
        return json.dumps(given)
    return getattr(given, "__name__", None) or getattr(given, "name", None) or _called(given)
