"""Gated units of single families of models; `jaxact.functions.gated` has the units that many families share."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core import numerics
from jaxact.core.catalog import activation
from jaxact.core.checks import check_parameter
from jaxact.core.elementwise import elementwise
from jaxact.functions.gated import _gated, _product
from jaxact.functions.rectifiers import relu, relu2
from jaxact.functions.sigmoids import (
    sigmoid,
    soft_cap,
    soft_cap_cap_slope,
    soft_cap_slope,
    soft_cap_textbook,
    soft_cap_value,
)
from jaxact.functions.smooth import quick_gelu, scaled_silu_fraction

__all__ = ["dreglu", "fatreglu", "qgeglu", "sigmoid_gate", "situ_glu", "sreglu"]


_sigmoid_gate = _gated("sigmoid_gate", _product, sigmoid, numerics.sigmoid_fraction)


@activation(module="SigmoidGate", kind="gated", keeps=2.0)
def sigmoid_gate(gate: ArrayLike, value: ArrayLike) -> Array:
    """Sigmoid gate: sigmoid(gate) * value.

    This is `jaxact.glu` of two arrays. Qwen3-Next and its successors have it on the output of attention, and an LSTM
    has it at its gates. The backward pass keeps gate and value.

    Args:
      gate: real array of any shape; bool and int become the default float.
      value: real array of gate's shape.

    Returns:
      Array of that shape, of the float type that the two promote to.

    Raises:
      TypeError: gate or value is not a real array.
      ValueError: the shapes differ.

    Reference: Qiu et al. 2025, arXiv:2505.06708; transformers, Qwen3NextAttention.

    >>> print(jaxact.sigmoid_gate(jnp.array([0.0, 100.0]), jnp.array([2.0, 3.0])))
    [1. 3.]
    """
    return _sigmoid_gate(gate, value)


_sreglu = _gated("sreglu", _product, relu2)


@activation(module="SReGLU", kind="gated", keeps=2.0, smoothness=1)
def sreglu(gate: ArrayLike, value: ArrayLike) -> Array:
    """Squared-ReLU-gated linear unit: max(gate, 0)^2 * value.

    The derivative in gate is 2 max(gate, 0) value.

    Args:
      gate: real array of any shape; bool and int become the default float.
      value: real array of gate's shape.

    Returns:
      Array of that shape, of the float type that the two promote to.

    Raises:
      TypeError: gate or value is not a real array.
      ValueError: the shapes differ.

    Reference: NVIDIA TransformerEngine, SReGLU; BitNet's feed-forward layer, arXiv:2504.12285.

    >>> print(jaxact.sreglu(jnp.array([-1.0, 0.0, 3.0]), jnp.array([2.0, 3.0, 4.0])))
    [ 0.  0. 36.]
    """
    return _sreglu(gate, value)


_qgeglu = _gated("qgeglu", _product, quick_gelu, lambda gate: scaled_silu_fraction(gate, 1.702))


@activation(module="QGEGLU", kind="gated", keeps=2.0)
def qgeglu(gate: ArrayLike, value: ArrayLike) -> Array:
    """Quick-GELU-gated linear unit: gate * sigmoid(1.702 gate) * value.

    Args:
      gate: real array of any shape; bool and int become the default float.
      value: real array of gate's shape.

    Returns:
      Array of that shape, of the float type that the two promote to.

    Raises:
      TypeError: gate or value is not a real array.
      ValueError: the shapes differ.

    Reference: NVIDIA TransformerEngine, QGEGLU.

    >>> print(jaxact.qgeglu(jnp.array([0.0, 100.0]), jnp.array([2.0, 3.0])))
    [  0. 300.]
    """
    return _qgeglu(gate, value)


_dreglu = _gated("dreglu", lambda f, gate, value: f(gate) * f(value), relu)


@activation(module="DReGLU", kind="gated", keeps=2.0, smoothness=0)
def dreglu(gate: ArrayLike, value: ArrayLike) -> Array:
    """dReLU-gated linear unit: max(gate, 0) * max(value, 0).

    Most of the output is exactly 0, which the models with this unit exploit. Where gate or value is 0 or less, both
    derivatives are 0.

    Args:
      gate: real array of any shape; bool and int become the default float.
      value: real array of gate's shape.

    Returns:
      Array of that shape, of the float type that the two promote to.

    Raises:
      TypeError: gate or value is not a real array.
      ValueError: the shapes differ.

    Reference: Song et al. 2024 (TurboSparse), arXiv:2406.05955.

    >>> print(jaxact.dreglu(jnp.array([-1.0, 2.0, 3.0]), jnp.array([2.0, -3.0, 4.0])))
    [ 0.  0. 12.]
    """
    return _dreglu(gate, value)


_fatreglu = _gated(
    "fatreglu",
    lambda f, gate, value, threshold: f(gate, threshold) * value,
    lambda gate, threshold: jnp.where(gate <= threshold, 0, gate * jnp.where(gate == gate, 1, gate)),  # NaN stays
    lambda gate, threshold: (jnp.where(gate <= threshold, 0, jnp.maximum(gate, threshold)), jnp.ones_like(gate)),
)


@activation(module="FATReGLU", kind="gated", keeps=2.0, smoothness=-1, variants=({"threshold": 0.5},))
def fatreglu(gate: ArrayLike, value: ArrayLike, threshold: ArrayLike = 0.01) -> Array:
    """FATReLU-gated linear unit: gate * value if gate > threshold, else 0.

    This is `jaxact.reglu` with the small values of ReLU set to 0, so that more of the output is 0; it jumps at the
    threshold. The derivative in gate is value where gate > threshold, else 0. The derivative in threshold is 0.

    Args:
      gate: real array of any shape; bool and int become the default float.
      value: real array of gate's shape.
      threshold: number, or array that broadcasts against gate; traced. 0 is `jaxact.reglu`.

    Returns:
      Array of that shape, of the float type that gate and value promote to.

    Raises:
      TypeError: gate or value is not a real array.
      ValueError: the shapes differ.

    Reference: Song et al. 2024 (ProSparse, MiniCPM-S), arXiv:2402.13516; vLLM, FatreluAndMul.

    >>> print(jaxact.fatreglu(jnp.array([-1.0, 0.005, 3.0]), jnp.array([2.0, 3.0, 4.0])))
    [ 0.  0. 12.]
    """
    return _fatreglu(gate, value, threshold)


def _capped_silu_value(x: Array, cap: Array) -> Array:
    return soft_cap_value(x, cap) * numerics.sigmoid(x)


def _capped_silu_textbook(x: Array, cap: Array) -> Array:
    return soft_cap_textbook(x, cap) * numerics.sigmoid(x)


# With c the capped x and e = exp(-|x|), f'(x) is (c' (1 + e) + c) e / (1 + e)^2 on the left. Where it changes its sign,
# at -1.29 for a cap of 4, that is off by 28 units. Written as c' = 1 - tanh(x / cap)^2 and c = x - (x - c), there 1 + x
# is exact, and the error is that of small terms: 7 units, and 16 for a cap of 1, whose tanh is not small there.
def _capped_silu_slope(x: Array, cap: Array) -> Array:
    e = numerics.exp(-jnp.abs(x))
    c, slope = soft_cap_value(x, cap), soft_cap_slope(x, cap)
    v = x / cap
    lost = numerics.tanh_shrink(v)
    near = (1 + x) + (e - (numerics.finite(cap) * lost + jnp.square(v - lost) * (1 + e)))
    left = jnp.where(v > -1.25, near, slope * (1 + e) + c) * e
    return jnp.where(x > 0, slope * (1 + e) + c * e, left) / jnp.square(1 + e)


# f''(x) is s (1 - s) (2 c' - c tanh(x / 2)) + s c'', with s = sigmoid(x) and c'' = -2 c c' / cap^2: both terms with c'
# in one product, which is off by 26 units where it is 37 for autodiff of f'.
def _capped_silu_curvature(x: Array, cap: Array) -> Array:
    e = numerics.exp(-jnp.abs(x))
    c, slope = soft_cap_value(x, cap), soft_cap_slope(x, cap)
    s, other = jnp.where(x > 0, 1, e), jnp.where(x > 0, e, 1)
    falling = other * jnp.abs(c) * ((1 - e) / (1 + e))
    return s * (2 * slope * (other - c / cap / cap * (1 + e)) - falling) / jnp.square(1 + e)


_capped_silu = elementwise(
    "situ",
    _capped_silu_value,
    _capped_silu_slope,
    parameters={"cap": lambda x, cap: soft_cap_cap_slope(x, cap) * numerics.sigmoid(x)},
    curvature=_capped_silu_curvature,
    textbook=_capped_silu_textbook,
)
_situ_glu = _gated(
    "situ_glu",
    lambda f, gate, value, beta, linear_beta: f(gate, beta) * soft_cap(value, linear_beta),
    _capped_silu,
    value=lambda gate, value, beta, linear_beta: _capped_silu_value(gate, beta) * soft_cap_value(value, linear_beta),
)


@activation(module="SiTUGLU", kind="gated", keeps=2.0, variants=({"beta": 1.0, "linear_beta": 2.0},))
def situ_glu(gate: ArrayLike, value: ArrayLike, beta: ArrayLike = 4.0, linear_beta: ArrayLike = 25.0) -> Array:
    """SiTU-gated linear unit: beta * tanh(gate / beta) * sigmoid(gate) * linear_beta * tanh(value / linear_beta).

    This is SwiGLU with soft limits: the sigmoid sees the gate itself, and gate and value are capped, in Kimi K3 at 4
    and 25. SGLang calls it situ, and transformers calls it Inkling2SoftcappedSwiGLU. The backward pass keeps gate and
    value.

    Args:
      gate: real array of any shape; bool and int become the default float.
      value: real array of gate's shape.
      beta: positive number, or array that broadcasts against gate; traced and differentiable.
      linear_beta: positive number, or array that broadcasts against gate; traced and differentiable.

    Returns:
      Array of that shape, of the float type that gate and value promote to.

    Raises:
      TypeError: gate or value is not a real array.
      ValueError: the shapes differ, or beta or linear_beta is not positive.

    Reference: Kimi Team 2026 (Kimi K3), arXiv:2607.24653.

    >>> print(jaxact.situ_glu(jnp.array([0.0, 100.0]), jnp.array([1.0, 1e9])))
    [  0. 100.]
    """
    check_parameter("situ_glu", "> 0", beta=beta, linear_beta=linear_beta)
    return _situ_glu(gate, value, beta, linear_beta)
