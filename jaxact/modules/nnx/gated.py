"""Gated units as NNX modules, written by `python -m jaxact.modules.generate`; do not edit."""

import dataclasses

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.nnx.base import Module
from jaxact.modules.settings import check

__all__ = [
    "GEGLU",
    "GLU",
    "QGEGLU",
    "BilinearGLU",
    "DReGLU",
    "FATReGLU",
    "ReGLU",
    "SReGLU",
    "SiTUGLU",
    "SigmoidGate",
    "SwiGLU",
    "SwiGLUClamped",
    "SwiGLUOAI",
    "SwiGLUStep",
]


@dataclasses.dataclass(eq=False, repr=False)
class GLU(Module):
    """Gated linear unit: a * sigmoid(b), where a and b are the first and the second half of x.

    The function, and what there is to know of it, is `jaxact.glu`.

    Args:
      axis: the axis to halve, of even size.
    """

    axis: int = -1

    def __post_init__(self) -> None:
        check(jaxact.glu, scalar=False, axis=self.axis)

    def __call__(self, x: ArrayLike) -> Array:
        return jaxact.glu(x, axis=self.axis)


@dataclasses.dataclass(eq=False, repr=False)
class SwiGLU(Module):
    """Swish-gated linear unit: silu(gate) * value.

    The function, and what there is to know of it, is `jaxact.swiglu`.
    """

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.swiglu(gate, value)


@dataclasses.dataclass(eq=False, repr=False)
class GEGLU(Module):
    """GELU-gated linear unit: gelu(gate) * value.

    The function, and what there is to know of it, is `jaxact.geglu`.

    Args:
      approximate: True for the form with tanh, False for the exact one.
    """

    approximate: bool = True

    def __post_init__(self) -> None:
        check(jaxact.geglu, arrays=2, scalar=False, approximate=self.approximate)

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.geglu(gate, value, approximate=self.approximate)


@dataclasses.dataclass(eq=False, repr=False)
class ReGLU(Module):
    """ReLU-gated linear unit: max(gate, 0) * value.

    The function, and what there is to know of it, is `jaxact.reglu`.
    """

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.reglu(gate, value)


@dataclasses.dataclass(eq=False, repr=False)
class BilinearGLU(Module):
    """Bilinear gated unit: gate * value. The function, and what there is to know of it, is `jaxact.bilinear`."""

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.bilinear(gate, value)


@dataclasses.dataclass(eq=False, repr=False)
class SwiGLUClamped(Module):
    """SwiGLU, clamped before: silu(min(gate, limit)) * min(max(value, -limit), limit).

    The function, and what there is to know of it, is `jaxact.swiglu_clamped`.

    Args:
      limit: positive number, or array that broadcasts against gate; traced and differentiable.
    """

    limit: ArrayLike = 10.0

    def __post_init__(self) -> None:
        check(jaxact.swiglu_clamped, arrays=2, scalar=False, limit=self.limit)

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.swiglu_clamped(gate, value, limit=self.limit)


@dataclasses.dataclass(eq=False, repr=False)
class SwiGLUStep(Module):
    """SwiGLU, clamped behind the activation: min(silu(gate), limit) * min(max(value, -limit), limit).

    The function, and what there is to know of it, is `jaxact.swiglu_step`.

    Args:
      limit: positive number, or array that broadcasts against gate; traced and differentiable.
    """

    limit: ArrayLike = 7.0

    def __post_init__(self) -> None:
        check(jaxact.swiglu_step, arrays=2, scalar=False, limit=self.limit)

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.swiglu_step(gate, value, limit=self.limit)


@dataclasses.dataclass(eq=False, repr=False)
class SwiGLUOAI(Module):
    """gpt-oss's SwiGLU: g * sigmoid(alpha * g) * (u + 1), g = min(gate, limit), u = min(max(value, -limit), limit).

    The function, and what there is to know of it, is `jaxact.swiglu_oai`.

    Args:
      alpha: number, or array that broadcasts against gate; traced and differentiable.
      limit: positive number, or array that broadcasts against gate; traced and differentiable.
    """

    alpha: ArrayLike = 1.702
    limit: ArrayLike = 7.0

    def __post_init__(self) -> None:
        check(jaxact.swiglu_oai, arrays=2, scalar=False, alpha=self.alpha, limit=self.limit)

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.swiglu_oai(gate, value, alpha=self.alpha, limit=self.limit)


@dataclasses.dataclass(eq=False, repr=False)
class SigmoidGate(Module):
    """Sigmoid gate: sigmoid(gate) * value.

    The function, and what there is to know of it, is `jaxact.sigmoid_gate`.
    """

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.sigmoid_gate(gate, value)


@dataclasses.dataclass(eq=False, repr=False)
class SReGLU(Module):
    """Squared-ReLU-gated linear unit: max(gate, 0)^2 * value.

    The function, and what there is to know of it, is `jaxact.sreglu`.
    """

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.sreglu(gate, value)


@dataclasses.dataclass(eq=False, repr=False)
class QGEGLU(Module):
    """Quick-GELU-gated linear unit: gate * sigmoid(1.702 gate) * value.

    The function, and what there is to know of it, is `jaxact.qgeglu`.
    """

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.qgeglu(gate, value)


@dataclasses.dataclass(eq=False, repr=False)
class DReGLU(Module):
    """dReLU-gated linear unit: max(gate, 0) * max(value, 0).

    The function, and what there is to know of it, is `jaxact.dreglu`.
    """

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.dreglu(gate, value)


@dataclasses.dataclass(eq=False, repr=False)
class FATReGLU(Module):
    """FATReLU-gated linear unit: gate * value if gate > threshold, else 0.

    The function, and what there is to know of it, is `jaxact.fatreglu`.

    Args:
      threshold: number, or array that broadcasts against gate; traced. 0 is `jaxact.reglu`.
    """

    threshold: ArrayLike = 0.01

    def __post_init__(self) -> None:
        check(jaxact.fatreglu, arrays=2, scalar=False, threshold=self.threshold)

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.fatreglu(gate, value, threshold=self.threshold)


@dataclasses.dataclass(eq=False, repr=False)
class SiTUGLU(Module):
    """SiTU-gated linear unit: beta * tanh(gate / beta) * sigmoid(gate) * linear_beta * tanh(value / linear_beta).

    The function, and what there is to know of it, is `jaxact.situ_glu`.

    Args:
      beta: positive number, or array that broadcasts against gate; traced and differentiable.
      linear_beta: positive number, or array that broadcasts against gate; traced and differentiable.
    """

    beta: ArrayLike = 4.0
    linear_beta: ArrayLike = 25.0

    def __post_init__(self) -> None:
        check(jaxact.situ_glu, arrays=2, scalar=False, beta=self.beta, linear_beta=self.linear_beta)

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.situ_glu(gate, value, beta=self.beta, linear_beta=self.linear_beta)
