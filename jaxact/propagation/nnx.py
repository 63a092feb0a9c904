"""For Flax NNX models: AlphaDropout, and LSUV on a batch."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxact.propagation.initializers import alpha_dropout
from jaxact.propagation.lsuv import rescaled, start


class AlphaDropout(nnx.Dropout):
    """Dropout for SELU networks, which keeps mean and variance (see `jaxact.propagation.alpha_dropout`).

    Construct it and switch it (`model.train()`, `model.eval()`) like nnx.Dropout.

    Args:
      rate: the share of units to drop, in [0, 1).
      deterministic: if True, the input is returned as it is.
      rng_collection: the name of the random stream.
      rngs: the random streams.

    >>> from flax import nnx
    >>> from jaxact.propagation.nnx import AlphaDropout
    >>> AlphaDropout(0.5, deterministic=True)(jnp.ones(2))
    Array([1., 1.], dtype=float32)
    """

    def __init__(
        self,
        rate: float,
        *,
        deterministic: bool = False,
        rng_collection: str = "dropout",
        rngs: nnx.Rngs | nnx.RngStream | None = None,
    ):
        super().__init__(rate, deterministic=deterministic, rng_collection=rng_collection, rngs=rngs)

    def __call__(
        self,
        inputs: jax.Array,
        *,
        deterministic: bool | None = None,
        rngs: nnx.Rngs | nnx.RngStream | jax.Array | None = None,
    ) -> jax.Array:
        """Drop units of `inputs`. Arguments of the call take precedence over those of the constructor."""
        if self.deterministic if deterministic is None else deterministic:
            return inputs
        source = self.rngs if rngs is None else rngs
        if isinstance(source, nnx.Rngs):
            source = source[self.rng_collection]
        if source is None:
            raise ValueError("jaxact.AlphaDropout: expected rngs, got none; pass rngs=nnx.Rngs(0) to it or to its call")
        return alpha_dropout(source() if isinstance(source, nnx.RngStream) else source, inputs, self.rate)


def lsuv(model: nnx.Module, batch: Any, key: jax.Array, **kwargs: Any) -> dict[str, float]:
    """Layer-sequential unit-variance initialisation, in place (Mishkin and Matas 2016, arXiv 1511.06422).

    Every module with a `kernel` gets an orthonormal kernel. Then, in the order in which the modules are called, each
    kernel gets the scale that gives its module's output variance 1 on `batch`. This takes one forward pass. Call it
    outside jit, on a model without nnx.scan, vmap or remat.

    Args:
      model: a Flax NNX model. Other state that a forward pass changes, such as BatchNorm's means, changes too.
      batch: the model's input, an array or a tree of arrays; the model is called as model(batch, **kwargs).
      key: a PRNG key, for the orthonormal matrices.
      **kwargs: passed to the call.

    Returns:
      A dictionary from the path of each rescaled module to the standard deviation that its output had before.

    Raises:
      ValueError: no module has a kernel, or the output of one is constant, not finite or traced.

    >>> from flax import nnx
    >>> from jaxact.propagation.nnx import lsuv
    >>> model = nnx.Linear(16, 32, rngs=nnx.Rngs(0))
    >>> _ = lsuv(model, jax.random.normal(jax.random.key(0), (64, 16)), jax.random.key(1))
    >>> round(float(model(jax.random.normal(jax.random.key(0), (64, 16))).std()), 3)
    1.0
    """
    layers: dict[int, str] = {}
    modules: list[nnx.Module] = []
    for path, module in nnx.iter_modules(model):
        if isinstance(getattr(module, "kernel", None), nnx.Param):
            layers[id(module)] = ".".join(map(str, path)) or type(module).__name__
            modules.append(module)
    if not modules:
        raise ValueError(f"jaxact.lsuv: expected a model with kernels, got {type(model).__name__}, which has none")
    for module, k in zip(modules, jax.random.split(key, len(modules)), strict=True):
        _set(module, start(k, module.kernel[...]))  # pyright: ignore[reportAttributeAccessIssue]
    before: dict[str, float] = {}

    def visit(module: nnx.Module, call: Callable[[], Any]) -> Any:
        name = layers.get(id(module))
        if name is None or name in before:
            return call()
        kernel: jax.Array = module.kernel[...]  # pyright: ignore[reportAttributeAccessIssue]
        output, before[name] = rescaled(name, kernel, call, lambda k: _set(module, k))
        return output

    with _visited({type(m) for m in modules}, visit):
        model(batch, **kwargs)  # pyright: ignore[reportCallIssue]
    return before


def _set(module: Any, kernel: jax.Array) -> None:
    module.kernel[...] = jnp.asarray(kernel, module.kernel[...].dtype)


@contextlib.contextmanager
def _visited(classes: set[type], visit: Callable[[Any, Callable[[], Any]], Any]) -> Iterator[None]:
    """Send every call of these classes' instances through `visit`. NNX has no hook for it, so this patches them."""
    originals = {c: (c.__call__, "__call__" in vars(c)) for c in classes}

    def patched(original: Callable[..., Any]) -> Callable[..., Any]:
        return lambda self, *args, **kwargs: visit(self, lambda: original(self, *args, **kwargs))

    for c, (original, _) in originals.items():
        c.__call__ = patched(original)
    try:
        yield
    finally:
        for c, (original, own) in originals.items():
            if own:
                c.__call__ = original
            else:
                del c.__call__
