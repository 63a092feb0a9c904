"""For Flax Linen models: AlphaDropout, and LSUV on a batch."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import linen as nn

from jaxact.propagation.initializers import alpha_dropout
from jaxact.propagation.lsuv import rescaled, start


class AlphaDropout(nn.Module):
    """Dropout for SELU networks, which keeps mean and variance (see `jaxact.propagation.alpha_dropout`).

    Use it like nn.Dropout: `apply` needs rngs={"dropout": key} unless it is deterministic.

    Attributes:
      rate: the share of units to drop, in [0, 1).
      deterministic: if True, the input is returned as it is. Give it here or in the call.
      rng_collection: the name of the random stream.

    >>> from jaxact.propagation.linen import AlphaDropout
    >>> AlphaDropout(0.5, deterministic=True).apply({}, jnp.ones(2))
    Array([1., 1.], dtype=float32)
    """

    rate: float
    deterministic: bool | None = None
    rng_collection: str = "dropout"

    @nn.compact
    def __call__(self, inputs: jax.Array, deterministic: bool | None = None, rng: jax.Array | None = None) -> jax.Array:
        """Drop units of `inputs`, with `rng` if it is given."""
        if nn.merge_param("deterministic", self.deterministic, deterministic):
            return inputs
        return alpha_dropout(self.make_rng(self.rng_collection) if rng is None else rng, inputs, self.rate)


def lsuv(
    model: nn.Module, variables: Mapping[str, Any], batch: Any, key: jax.Array, **kwargs: Any
) -> tuple[dict[str, Any], dict[str, float]]:
    """Layer-sequential unit-variance initialisation (Mishkin and Matas 2016, arXiv 1511.06422).

    Every module with a parameter `kernel` gets an orthonormal kernel. Then, in the order in which the modules are
    called, each kernel gets the scale that gives its module's output variance 1 on `batch`. This takes one forward
    pass. Call it outside jit, on a model without nn.scan, vmap or remat.

    Args:
      model: a Flax Linen model.
      variables: what model.init returned; it is not changed.
      batch: the model's input; the model is called as model.apply(variables, batch, **kwargs).
      key: a PRNG key, for the orthonormal matrices.
      **kwargs: passed to `apply`, for example rngs.

    Returns:
      The variables with new kernels, and a dictionary from the path of each rescaled module to the standard deviation
      that its output had before.

    Raises:
      ValueError: no module has a kernel, or the output of one is constant, not finite or traced.

    >>> import flax.linen as nn
    >>> from jaxact.propagation.linen import lsuv
    >>> model, x = nn.Dense(32), jax.random.normal(jax.random.key(0), (64, 16))
    >>> variables, _ = lsuv(model, model.init(jax.random.key(1), x), x, jax.random.key(2))
    >>> round(float(model.apply(variables, x).std()), 3)
    1.0
    """
    before: dict[str, float] = {}
    inside: list[str] = []

    def visit(
        next_call: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        module = context.module
        name = ".".join(module.path) or type(module).__name__
        is_layer = context.method_name == "__call__" and module.has_variable("params", "kernel")
        if inside or name in before or not is_layer:
            return next_call(*args, **kwargs)
        # A bound module cannot be called twice from here, so a copy of it is measured by itself.
        alone, params = module.clone(parent=None), dict(module.variables["params"])
        params["kernel"] = start(jax.random.fold_in(key, len(before)), params["kernel"])
        inside.append(name)
        try:
            _, before[name] = rescaled(
                name,
                params["kernel"],
                lambda: alone.apply({"params": params}, *args, **kwargs),
                lambda kernel: params.update(kernel=kernel),
            )
        finally:
            inside.clear()
        module.put_variable("params", "kernel", params["kernel"])
        return next_call(*args, **kwargs)

    with nn.intercept_methods(visit):
        _, changed = model.apply(variables, batch, mutable=["params"], **kwargs)
    if not before:
        raise ValueError(f"jaxact.lsuv: expected a model with kernels, got {type(model).__name__}, which calls none")
    return {**variables, **changed}, before
