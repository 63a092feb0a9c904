"""The NNX modules; `jaxact.nnx` is the name to import them by."""
