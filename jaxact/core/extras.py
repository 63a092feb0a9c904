"""What is installed with an extra, and the one way to say that it is not."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def needing(who: str, extra: str = "compare") -> Iterator[None]:
    """Say which package is missing in a with block, and how to install it.

    Raises:
      ImportError: one is missing.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("jaxact"):
            raise
        raise ImportError(
            f'{who} needs {missing.name}, which is not installed; run: pip install "jaxact[{extra}]"'
        ) from missing
