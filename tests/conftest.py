"""Settings of all tests."""

import hypothesis

# A first example compiles, which no deadline foresees. The same examples in every run: a red one stays red.
hypothesis.settings.register_profile("jaxact", deadline=None, derandomize=True, max_examples=30, database=None)
hypothesis.settings.load_profile("jaxact")
