"""Gated units: one array times an activation of another array."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.core.catalog import activation
from jaxact.core.checks import as_array, canonical_axes, check_parameter
from jaxact.core.derivative import Formula, derivative
from jaxact.core.elementwise import elementwise
from jaxact.core.numerics import sigmoid_fraction
from jaxact.functions.gelu import gelu, gelu_tanh_fraction, is_approximate
from jaxact.functions.rectifiers import relu
from jaxact.functions.sigmoids import sigmoid
from jaxact.functions.smooth import scaled_silu_fraction, silu, silu_fraction

__all__ = ["bilinear", "geglu", "glu", "reglu", "split", "swiglu", "swiglu_clamped", "swiglu_oai", "swiglu_step"]


_Fraction = Callable[..., tuple[Array, Array]]


def _gated(
    name: str,
    formula: Formula,
    f: Formula,
    fraction: _Fraction | None = None,
    value: Formula | None = None,
    complex_form: Callable[..., Any] | None = None,
) -> Formula:
    """Make an elementwise function from `formula(f, gate, value, ...)`, which consists of f, products and `jnp.where`.

    The backward pass keeps the formula's arguments, where autodiff would keep f of the gate too, and 16-bit arrays are
    rounded once, at the end.

    Args:
      name: the public name.
      formula: a function of f and the unit's arguments. Autodiff gets its derivatives from those of f.
      f: the gate's activation.
      fraction: f's numerator and denominator. The derivative in the value is f of the gate. A compiler would see that
        the unit computes it too, and would keep this array when unrolled. So the unit writes it in another form.
      value: the unit, where it is not `formula` of f or of its fraction.
      complex_form: as in `elementwise`.
    """
    value = value or functools.partial(formula, f if fraction is None else _by_reciprocal(fraction))
    slopes = {
        argument: derivative(functools.partial(formula, f), of=i)
        for i, argument in enumerate(inspect.signature(value).parameters)
    }
    gate_and_value = {name: slopes.pop(name) for name in ("gate", "value")}
    return elementwise(name, value, gate_and_value, parameters=slopes, complex_form=complex_form)


def _by_reciprocal(fraction: _Fraction) -> Formula:
    def quotient(*arguments: Array) -> Array:
        numerator, denominator = fraction(*arguments)
        return numerator * (1 / denominator)

    return quotient


def _product(f: Formula, gate: Array, value: Array) -> Array:
    return f(gate) * value


def _at_most(x: Array, limit: Array) -> Array:
    """min(x, limit), with the derivative of x where the two are equal."""
    return jnp.where(x > limit, limit, x)


def _within(x: Array, limit: Array) -> Array:
    """min(max(x, -limit), limit), with the derivative of x at both ends."""
    return _at_most(jnp.where(x < -limit, -limit, x), limit)


def split(x: ArrayLike, layout: str, axis: int = -1) -> tuple[Array, Array]:
    """Split an array that holds gate and value into the two.

    There is no default, since no layout is the usual one. The glu of PyTorch, Keras and jax.nn has the gate last; a
    fused gate and up projection, as in vLLM or in Hugging Face's packed experts, has it first; gpt-oss interleaves.

    Args:
      x: array of rank 1 or more.
      layout: "gate_first" (gate, then value), "gate_last" (value, then gate) or "interleaved" (gate, value, gate,
        value, ...).
      axis: the axis to halve, of even size.

    Returns:
      The pair (gate, value), each half as long as x along `axis`.

    Raises:
      TypeError: x is not an array of numbers, or axis is not an int.
      ValueError: layout is none of the three, axis is out of range, or its size is odd.

    >>> gate, value = jaxact.split(jnp.arange(4.0), "interleaved")
    >>> print(gate, value)
    [0. 2.] [1. 3.]
    """
    return _split("split", x, layout, axis)


def _split(who: str, x: ArrayLike, layout: str, axis: int) -> tuple[Array, Array]:
    x = jnp.asarray(as_array(who, x))
    if layout not in ("gate_first", "gate_last", "interleaved"):
        raise ValueError(
            f'jaxact.{who}: expected layout to be "gate_first", "gate_last" or "interleaved", got {layout!r}; '
            "look up how the array was packed"
        )
    (axis,) = canonical_axes(who, (axis,), x.ndim)
    if x.shape[axis] % 2:
        raise ValueError(
            f"jaxact.{who}: expected an even size along axis {axis}, got {x.shape[axis]}; its halves are gate and value"
        )
    if layout == "interleaved":
        size = x.shape[axis]
        return lax.slice_in_dim(x, 0, size, 2, axis), lax.slice_in_dim(x, 1, size, 2, axis)
    first, second = jnp.split(x, 2, axis)
    return (first, second) if layout == "gate_first" else (second, first)


_glu = _gated(
    "glu",
    _product,
    sigmoid,
    sigmoid_fraction,
    complex_form=lambda gate, value: jax.nn.glu(jnp.concatenate([value, gate], -1)),
)


@activation(
    module="GLU",
    kind="gated",
    elsewhere={"torch": {"glu": {}, "GLU": {}}, "keras": {"glu": {}}},
)
def glu(x: ArrayLike, axis: int = -1) -> Array:
    """Gated linear unit: a * sigmoid(b), where a and b are the first and the second half of x.

    The derivative is sigmoid(b) in a and a sigmoid(b) sigmoid(-b) in b; the backward pass keeps a and b.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis to halve, of even size.

    Returns:
      Array of x's float type, half as long along `axis`.

    Raises:
      TypeError: x is not a real array.
      ValueError: axis is out of range, or its size is odd.

    Reference: Dauphin et al. 2016, arXiv:1612.08083.

    >>> print(jaxact.glu(jnp.array([3.0, 0.0])))
    [1.5]
    """
    gate, value = _split("glu", x, "gate_last", axis)
    return _glu(gate, value)


_swiglu = _gated("swiglu", _product, silu, silu_fraction)


@activation(module="SwiGLU", kind="gated", keeps=2.0)
def swiglu(gate: ArrayLike, value: ArrayLike) -> Array:
    """Swish-gated linear unit: silu(gate) * value.

    It takes two arrays, since packed ones are laid out in three ways; `jaxact.split` unpacks them. The backward pass
    keeps gate and value. Infinity times 0 is NaN, as everywhere.

    Args:
      gate: real array of any shape; bool and int become the default float.
      value: real array of gate's shape.

    Returns:
      Array of that shape, of the float type that the two promote to.

    Raises:
      TypeError: gate or value is not a real array.
      ValueError: the shapes differ.

    Reference: Shazeer 2020, arXiv:2002.05202.

    >>> print(jaxact.swiglu(jnp.array([-1.0, 0.0, 1.0]), jnp.array([2.0, 3.0, 4.0])).round(3))
    [-0.53800005  0.          2.924     ]
    """
    return _swiglu(gate, value)


_geglu_tanh = _gated("geglu", _product, gelu, gelu_tanh_fraction)
_geglu_exact = _gated("geglu", _product, functools.partial(gelu, approximate=False))


@activation(module="GEGLU", kind="gated", keeps=2.0, variants=({"approximate": False},))
def geglu(gate: ArrayLike, value: ArrayLike, approximate: bool = True) -> Array:
    """GELU-gated linear unit: gelu(gate) * value.

    The default is the form with tanh, as in `jaxact.gelu` and in the models that gate with it (Gemma, T5 1.1).

    Args:
      gate: real array of any shape; bool and int become the default float.
      value: real array of gate's shape.
      approximate: True for the form with tanh, False for the exact one.

    Returns:
      Array of that shape, of the float type that the two promote to.

    Raises:
      TypeError: gate or value is not a real array, or approximate is not a bool.
      ValueError: the shapes differ.

    Reference: Shazeer 2020, arXiv:2002.05202.

    >>> print(jaxact.geglu(jnp.array([-1.0, 0.0, 1.0]), jnp.array([2.0, 3.0, 4.0])).round(3))
    [-0.31800002  0.          3.3650002 ]
    """
    return (_geglu_tanh if is_approximate("geglu", approximate) else _geglu_exact)(gate, value)


_reglu = _gated("reglu", _product, relu)


@activation(module="ReGLU", kind="gated", keeps=2.0, smoothness=0)
def reglu(gate: ArrayLike, value: ArrayLike) -> Array:
    """ReLU-gated linear unit: max(gate, 0) * value.

    The derivative in gate is value where gate > 0, else 0.

    Args:
      gate: real array of any shape; bool and int become the default float.
      value: real array of gate's shape.

    Returns:
      Array of that shape, of the float type that the two promote to.

    Raises:
      TypeError: gate or value is not a real array.
      ValueError: the shapes differ.

    Reference: Shazeer 2020, arXiv:2002.05202.

    >>> print(jaxact.reglu(jnp.array([-1.0, 0.0, 1.0]), jnp.array([2.0, 3.0, 4.0])).round(3))
    [0. 0. 4.]
    """
    return _reglu(gate, value)


_bilinear = _gated("bilinear", _product, lambda gate: gate)


@activation(module="BilinearGLU", kind="gated", keeps=2.0)
def bilinear(gate: ArrayLike, value: ArrayLike) -> Array:
    """Bilinear gated unit: gate * value.

    This is a gated linear unit without an activation. PyTorch's Bilinear is something else: a layer with weights.

    Args:
      gate: real array of any shape; bool and int become the default float.
      value: real array of gate's shape.

    Returns:
      Array of that shape, of the float type that the two promote to.

    Raises:
      TypeError: gate or value is not a real array.
      ValueError: the shapes differ.

    Reference: Shazeer 2020, arXiv:2002.05202.

    >>> print(jaxact.bilinear(jnp.array([-1.0, 0.0, 1.0]), jnp.array([2.0, 3.0, 4.0])).round(3))
    [-2.  0.  4.]
    """
    return _bilinear(gate, value)


_swiglu_clamped = _gated(
    "swiglu_clamped",
    lambda f, gate, value, limit: f(_at_most(gate, limit)) * _within(value, limit),
    silu,
    silu_fraction,
)


@activation(module="SwiGLUClamped", kind="gated", keeps=2.0, variants=({"limit": 2.0},), smoothness=0)
def swiglu_clamped(gate: ArrayLike, value: ArrayLike, limit: ArrayLike = 10.0) -> Array:
    """SwiGLU with clamped inputs: silu(min(gate, limit)) * min(max(value, -limit), limit).

    At a limit the derivative is the one from inside. The configuration key is swiglu_limit; DeepSeek-V4 has 10.

    Args:
      gate: real array of any shape; bool and int become the default float.
      value: real array of gate's shape.
      limit: positive number, or array that broadcasts against gate; traced and differentiable.

    Returns:
      Array of that shape, of the float type that gate and value promote to.

    Raises:
      TypeError: gate or value is not a real array.
      ValueError: the shapes differ, or limit is not positive.

    Reference: transformers, DeepseekV4.

    >>> print(jaxact.swiglu_clamped(jnp.array([1.0, 100.0]), jnp.array([-100.0, 2.0])).round(3))
    [-7.3110003 19.999    ]
    """
    check_parameter("swiglu_clamped", "> 0", limit=limit)
    return _swiglu_clamped(gate, value, limit)


_swiglu_step = _gated(
    "swiglu_step",
    lambda f, gate, value, limit: _at_most(f(gate), limit) * _within(value, limit),
    silu,
    silu_fraction,
)


@activation(module="SwiGLUStep", kind="gated", keeps=2.0, variants=({"limit": 2.0},), smoothness=0)
def swiglu_step(gate: ArrayLike, value: ArrayLike, limit: ArrayLike = 7.0) -> Array:
    """SwiGLU with a clamped activation: min(silu(gate), limit) * min(max(value, -limit), limit).

    At a limit the derivative is the one from inside. Step-3's models give each layer its own limit; vLLM calls this
    unit swiglustep.

    Args:
      gate: real array of any shape; bool and int become the default float.
      value: real array of gate's shape.
      limit: positive number, or array that broadcasts against gate; traced and differentiable.

    Returns:
      Array of that shape, of the float type that gate and value promote to.

    Raises:
      TypeError: gate or value is not a real array.
      ValueError: the shapes differ, or limit is not positive.

    Reference: vLLM, SwigluStepAndMul.

    >>> print(jaxact.swiglu_step(jnp.array([1.0, 100.0]), jnp.array([-100.0, 2.0])).round(3))
    [-5.117    14.000001]
    """
    check_parameter("swiglu_step", "> 0", limit=limit)
    return _swiglu_step(gate, value, limit)


_swiglu_oai = _gated(
    "swiglu_oai",
    lambda f, gate, value, alpha, limit: f(_at_most(gate, limit), alpha) * (_within(value, limit) + 1),
    lambda gate, alpha: silu(gate, beta=alpha),
    scaled_silu_fraction,
)


@activation(
    module="SwiGLUOAI",
    kind="gated",
    keeps=2.0,
    variants=({"alpha": 1.0, "limit": 2.0},),
    smoothness=0,
)
def swiglu_oai(gate: ArrayLike, value: ArrayLike, alpha: ArrayLike = 1.702, limit: ArrayLike = 7.0) -> Array:
    """gpt-oss's SwiGLU: g * sigmoid(alpha * g) * (u + 1), g = min(gate, limit), u = min(max(value, -limit), limit).

    At a limit the derivative is the one from inside. gpt-oss packs gate and value "interleaved", and MiniMax-M3
    "gate_first"; vLLM calls this unit swigluoai.

    Args:
      gate: real array of any shape; bool and int become the default float.
      value: real array of gate's shape.
      alpha: number, or array that broadcasts against gate; traced and differentiable.
      limit: positive number, or array that broadcasts against gate; traced and differentiable.

    Returns:
      Array of that shape, of the float type that gate and value promote to.

    Raises:
      TypeError: gate or value is not a real array.
      ValueError: the shapes differ, or limit is not positive.

    Reference: openai/gpt-oss; transformers, GptOssExperts.

    >>> print(jaxact.swiglu_oai(jnp.array([1.0, 100.0]), jnp.array([-1.0, 2.0])).round(3))
    [ 0.       21.000002]
    """
    check_parameter("swiglu_oai", "> 0", limit=limit)
    return _swiglu_oai(gate, value, alpha, limit)
