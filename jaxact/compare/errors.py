"""The errors of a run."""

import contextlib
import difflib
import traceback
from collections.abc import Iterable, Iterator


class Invalid(ValueError):
    """An argument can't be used, or the user's code raised an error; the message says what and where."""


def invalid(expected: str, got: object, advice: str) -> Invalid:
    """Make the error for bad input: what was expected, what came, and what to do."""
    got = got if isinstance(got, str) else repr(got)
    return Invalid(f"jaxact.compare: expected {expected}, got {got}; {advice}")


def check_integer(name: str, value: object, least: int) -> None:
    """Raise unless a value is an integer, and at least that."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise invalid(f"{name} to be an integer of at least {least}", value, "choose another")


def check_names(name: str, value: object) -> None:
    """Raise an error if a tuple of names is one string, which is a tuple of letters."""
    if isinstance(value, str):
        raise invalid(f"{name} to be a tuple of names", repr(value), f"write ({value!r},)")


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise an error, which names the nearest choice, unless a value is one of the choices."""
    choices = sorted(choices)
    if value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=3)
        advice = f"did you mean {' or '.join(near)}?" if near else "choose one of them"
        raise invalid(f"{name} to be one of {', '.join(choices) or 'none'}", repr(value), advice)


class ProcessLost(RuntimeError):
    """A run over several processes can't go on, because one of them ended."""


@contextlib.contextmanager
def running(what: str) -> Iterator[None]:
    """Turn an error of the user's code in a with block into one line with its place; an `Invalid` passes.

    Raises:
      Invalid: the user's code raised an exception, which is the cause.
    """
    try:
        yield
    except Invalid:
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise Invalid(f"{what} raised {type(error).__name__}: {said[:500]}{_place(error)}") from error


def _place(error: Exception) -> str:
    """The place: the innermost line that is neither in a library nor in jaxact."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        libraries = ("-packages", "/jaxact/compare/", "/jaxact/flow/", "<frozen", "/lib/python")
        if not any(part in frame.filename for part in libraries):
            return f" ({frame.filename}:{frame.lineno})"
    return ""
