"""What Pallas kernels for TPUs need: `import jaxact.pallas` is all that it takes.

Every elementwise and gated function lowers inside a kernel. Mosaic, the compiler of kernels for TPUs, raises a
NotImplementedError for two things that derivatives and parameters bring with them. This module adds rules that lower
their content. Kernels for GPUs do not need it.

- A derivative contains a checkpoint, for which Mosaic has no rule: `jax.checkpoint(jax.nn.gelu)` inside a kernel fails
  too. Under JAX_REMAT3=1 it has one.
- A function with arrays for parameters has a custom derivative with symbolic zeros, which Mosaic's own rule refuses.
"""

from typing import Any

from jax._src.pallas.mosaic import lowering as _lowering  # JAX has no public interface for rules
from jax.extend.core.primitives import custom_jvp_call_p as _custom_jvp_call_p
from jax.extend.core.primitives import remat_p as _remat_p


def _lower(context: Any, content: Any, *arguments: Any) -> Any:
    inside = context.lowering_context.replace(block_shapes=context.block_shapes)
    return _lowering.jaxpr_subcomp(inside, content, *arguments)


@_lowering.register_lowering_rule(_remat_p)
def _lower_checkpoint(context: Any, *arguments: Any, jaxpr: Any, **_: Any) -> Any:
    return _lower(context, jaxpr, *arguments)


@_lowering.register_lowering_rule(_custom_jvp_call_p)
def _lower_custom_derivative(context: Any, *arguments: Any, call_jaxpr: Any, **_: Any) -> Any:
    return _lower(context, getattr(call_jaxpr, "jaxpr", call_jaxpr), *arguments)
