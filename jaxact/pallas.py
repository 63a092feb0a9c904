"""Gradients inside Pallas kernels for TPUs: `import jaxact.pallas` is all that they need.

Every elementwise and gated function lowers inside a kernel. Its derivative contains a checkpoint. Under JAX's classic
rematerialisation Mosaic, the compiler of kernels for TPUs, has no rule for it, so that `jax.grad(jaxact.gelu)` inside a
kernel raises a NotImplementedError, as `jax.checkpoint(jax.nn.gelu)` does. This module adds the rule, which lowers the
checkpoint's content. Kernels for GPUs, and JAX_REMAT3=1, do not need it.
"""

from typing import Any

from jax._src.pallas.mosaic import lowering as _lowering  # JAX has no public interface for rules
from jax.extend.core.primitives import remat_p as _remat_p


@_lowering.register_lowering_rule(_remat_p)
def _lower_checkpoint(context: Any, *arguments: Any, jaxpr: Any, **_: Any) -> Any:
    inside = context.lowering_context.replace(block_shapes=context.block_shapes)
    return _lowering.jaxpr_subcomp(inside, jaxpr, *arguments)
