"""Settings of all tests."""

import gc

import hypothesis

# A first example compiles, which no deadline foresees. The same examples in every run: a red one stays red.
hypothesis.settings.register_profile("jaxact", deadline=None, derandomize=True, max_examples=30, database=None)
hypothesis.settings.load_profile("jaxact")


def pytest_runtest_teardown():
    """Compiled programs live until the end: the garbage collector need not look at all of them again and again."""
    gc.freeze()
