"""The activations as modules of Flax NNX, Flax Linen and Equinox: plain classes, one folder for each framework.

Users import them from `jaxact.nnx`, `jaxact.linen` and `jaxact.equinox`. In each folder `random`, `learned` and
`layers` are written by hand; they build on what the frameworks share, `settings` and `learned` here. The other files,
one for each family of functions, are written by `python -m jaxact.modules.generate` from the catalog.
"""
