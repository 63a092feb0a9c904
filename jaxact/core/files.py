"""Writing files: no file is replaced unless the caller asks for it, and no file is ever half written."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def writing(overwrite: bool, *paths: Path) -> Iterator[None]:
    """Check first that files may be written, and turn the operating system's errors into clear ones.

    Raises:
      ValueError: a path exists and may not be overwritten, is a directory, or can't be written.
    """
    for path in paths:
        if path.is_dir():
            raise ValueError(f"expected a file, got {path}, which is a directory; choose another")
        if path.exists() and not overwrite:
            raise ValueError(f"expected a new file, got {path}, which exists; choose another, or add --overwrite")
    try:
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ValueError(f"{error.filename or paths[0]} can't be written ({error.strerror}); choose another") from None


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name first, so that it is never half written."""
    part = path.with_name(f"{path.name}.unfinished")
    write(part)
    os.replace(part, path)
