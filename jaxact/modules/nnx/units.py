"""NNX modules of `jaxact.functions.units`, written by `python -m jaxact.modules.generate`; do not edit."""

import dataclasses

from jax import Array
from jax.typing import ArrayLike

import jaxact
from jaxact.modules.nnx.base import Module
from jaxact.modules.settings import check

__all__ = ["QGEGLU", "DReGLU", "FATReGLU", "SReGLU", "SiTUGLU", "SigmoidGate"]


@dataclasses.dataclass(eq=False, repr=False)
class SigmoidGate(Module):
    """Sigmoid gate: sigmoid(gate) * value. See the function `jaxact.sigmoid_gate`."""

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.sigmoid_gate(gate, value)


@dataclasses.dataclass(eq=False, repr=False)
class SReGLU(Module):
    """Squared-ReLU-gated linear unit: max(gate, 0)^2 * value. See the function `jaxact.sreglu`."""

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.sreglu(gate, value)


@dataclasses.dataclass(eq=False, repr=False)
class QGEGLU(Module):
    """Quick-GELU-gated linear unit: gate * sigmoid(1.702 gate) * value. See the function `jaxact.qgeglu`."""

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.qgeglu(gate, value)


@dataclasses.dataclass(eq=False, repr=False)
class DReGLU(Module):
    """dReLU-gated linear unit: max(gate, 0) * max(value, 0). See the function `jaxact.dreglu`."""

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        return jaxact.dreglu(gate, value)


@dataclasses.dataclass(eq=False, repr=False)
class FATReGLU(Module):
    """FATReLU-gated linear unit: gate * value if gate > threshold, else 0.

    See the function `jaxact.fatreglu`.

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

    See the function `jaxact.situ_glu`.

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
