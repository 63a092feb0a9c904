"""Settings of all tests."""

import hypothesis

# A property's first example compiles, which no deadline can foresee; the same examples every time make a red run mean something.
hypothesis.settings.register_profile("jaxact", deadline=None, derandomize=True, max_examples=30, database=None)
hypothesis.settings.load_profile("jaxact")
