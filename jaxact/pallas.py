"""Gradients inside Pallas kernels for TPUs: `import jaxact.pallas` is all that they need.

Every elementwise and gated function lowers inside a kernel. Its derivative holds a checkpoint, for which Mosaic, the
compiler of kernels for TPUs, has no rule under JAX's classic rematerialisation: there `jax.grad(jaxact.gelu)` inside a
kernel is a NotImplementedError, as of `jax.checkpoint(jax.nn.gelu)`. This module adds the rule: what is in the
checkpoint. Kernels for GPUs, and JAX_REMAT3=1, need none.
"""

from typing import Any

from jax._src.pallas.mosaic import lowering as _lowering  # rules have no public place
from jax.extend.core.primitives import remat_p as _remat_p


@_lowering.register_lowering_rule(_remat_p)
def _lower_checkpoint(context: Any, *arguments: Any, jaxpr: Any, **_: Any) -> Any:
    inside = context.lowering_context.replace(block_shapes=context.block_shapes)
    return _lowering.jaxpr_subcomp(inside, jaxpr, *arguments)
