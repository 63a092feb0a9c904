"""Settings of all tests."""

import contextlib
import gc
from collections.abc import Iterator

import hypothesis
import pytest

# A first example compiles, which no deadline foresees. The same examples in every run: a red one stays red.
hypothesis.settings.register_profile("jaxact", deadline=None, derandomize=True, max_examples=30, database=None)
hypothesis.settings.load_profile("jaxact")


gc.disable()  # what is traced and compiled lives until the end anyway


def pytest_runtest_teardown():
    """Who collects garbage nevertheless need not look at all of it again."""
    gc.freeze()


@contextlib.contextmanager
def without_pictures() -> Iterator[None]:
    """Leave out the report's pictures and its scripts, which take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxact.compare.report.page.bundle", lambda: "")
        patch.setattr("vl_convert.vegalite_to_png", lambda specification, scale: b"PNG")
        yield


@pytest.fixture(scope="module")
def no_pictures() -> Iterator[None]:
    """Leave out what no test of the module looks at."""
    with without_pictures():
        yield
