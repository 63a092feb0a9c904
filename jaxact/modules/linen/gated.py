"""Linen modules of `jaxact.functions.gated`, written by `python -m jaxact.modules.generate`; do not edit."""

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.linen.base import Module
from jaxact.modules.settings import check

__all__ = ["GEGLU", "GLU", "BilinearGLU", "ReGLU", "SwiGLU", "SwiGLUClamped", "SwiGLUOAI", "SwiGLUStep"]


class GLU(Module):
    """Gated linear unit: a * sigmoid(b), where a and b are the first and the second half of x.

    See the function `jaxact.glu`.

    Args:
      axis: the axis to halve, of even size.
    """

    axis: int = -1

    def __post_init__(self) -> None:
        check(jaxact.glu, scalar=False, axis=self.axis)
        super().__post_init__()

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.glu(x, axis=self.axis)


class SwiGLU(Module):
    """Swish-gated linear unit: silu(gate) * value. See the function `jaxact.swiglu`."""

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.swiglu(gate, value)


class GEGLU(Module):
    """GELU-gated linear unit: gelu(gate) * value.

    See the function `jaxact.geglu`.

    Args:
      approximate: True for the form with tanh, False for the exact one.
    """

    approximate: bool = True

    def __post_init__(self) -> None:
        check(jaxact.geglu, arrays=2, scalar=False, approximate=self.approximate)
        super().__post_init__()

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.geglu(gate, value, approximate=self.approximate)


class ReGLU(Module):
    """ReLU-gated linear unit: max(gate, 0) * value. See the function `jaxact.reglu`."""

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.reglu(gate, value)


class BilinearGLU(Module):
    """Bilinear gated unit: gate * value. See the function `jaxact.bilinear`."""

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.bilinear(gate, value)


class SwiGLUClamped(Module):
    """SwiGLU with clamped inputs: silu(min(gate, limit)) * min(max(value, -limit), limit).

    See the function `jaxact.swiglu_clamped`.

    Args:
      limit: positive number, or array that broadcasts against gate; traced and differentiable.
    """

    limit: ArrayLike = 10.0

    def __post_init__(self) -> None:
        check(jaxact.swiglu_clamped, arrays=2, scalar=False, limit=self.limit)
        super().__post_init__()

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.swiglu_clamped(gate, value, limit=self.limit)


class SwiGLUStep(Module):
    """SwiGLU with a clamped activation: min(silu(gate), limit) * min(max(value, -limit), limit).

    See the function `jaxact.swiglu_step`.

    Args:
      limit: positive number, or array that broadcasts against gate; traced and differentiable.
    """

    limit: ArrayLike = 7.0

    def __post_init__(self) -> None:
        check(jaxact.swiglu_step, arrays=2, scalar=False, limit=self.limit)
        super().__post_init__()

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.swiglu_step(gate, value, limit=self.limit)


class SwiGLUOAI(Module):
    """gpt-oss's SwiGLU: g * sigmoid(alpha * g) * (u + 1), g = min(gate, limit), u = min(max(value, -limit), limit).

    See the function `jaxact.swiglu_oai`.

    Args:
      alpha: number, or array that broadcasts against gate; traced and differentiable.
      limit: positive number, or array that broadcasts against gate; traced and differentiable.
    """

    alpha: ArrayLike = 1.702
    limit: ArrayLike = 7.0

    def __post_init__(self) -> None:
        check(jaxact.swiglu_oai, arrays=2, scalar=False, alpha=self.alpha, limit=self.limit)
        super().__post_init__()

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.swiglu_oai(gate, value, alpha=self.alpha, limit=self.limit)
