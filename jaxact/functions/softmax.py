"""Softmax and its kin: functions of a whole row, along one axis or several.

All accumulate in float32 for 16-bit input. -inf logits and entries left out by `where` have probability 0 and gradient
0, also where a row has nothing else; +inf logits share their row equally.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from jaxact.core.catalog import activation
from jaxact.core.checks import as_array, as_float, canonical_axes, check_key, check_parameter, widen
from jaxact.core.exponentials import count_and_rest, exponent, exponential, largest, seen
from jaxact.core.rowwise import Axes, AxisName, Weights, along_axis, one_a_row

__all__ = ["gumbel_softmax", "log_softmax", "softmax", "softmin"]


def _shares(
    axes: Axes, x: Array, where: Array | None, temperature: Array | None, sink: Array | None
) -> tuple[Array, ...]:
    """The probabilities and, if there is a sink, its share of each row."""
    x = seen(x, where)
    m = largest(axes, x, sink)
    e = exponential(*exponent(x, m, temperature))
    e_sink = None if sink is None else exponential(*exponent(sink, m, temperature))
    count, others = count_and_rest(axes, e, e_sink)
    total = jnp.where(count + others == 0, 1, count + others)
    y = (e / total).astype(x.dtype)
    return (y,) if e_sink is None else (y, e_sink / total)


def _logit_tangents(axes: Axes, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, ...]:
    """The tangents of x / temperature and, if any, of the sink, up to one number a row, which changes nothing."""
    x, where, temperature, sink = primals
    t, _, t_temperature, t_sink = tangents
    live = temperature is not None and not isinstance(t_temperature, SymbolicZero)
    m = largest(axes, seen(x, where), sink) if live else None

    def tangent(x: Array, t: Array | SymbolicZero) -> Array:
        result = jnp.zeros(x.shape, widen(x).dtype) if isinstance(t, SymbolicZero) else widen(t)
        if m is not None:
            z, _ = exponent(x, m, temperature)
            result = result - jnp.where(jnp.isinf(z), 0, z) * t_temperature  # pyright: ignore[reportOperatorIssue]
        return result if temperature is None else result / temperature

    return (tangent(x, t),) if sink is None else (tangent(x, t), tangent(sink, t_sink))


def _kernel(name: str) -> Callable[..., tuple[Array, ...]]:
    """Softmax with its derivative, under the name by which programs know it."""

    def shares(axes: Axes, *primals: Any) -> tuple[Array, ...]:
        return _shares(axes, *primals)

    def differentiate(axes: Axes, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        shares = kernel(axes, *primals)

        @functools.partial(jax.checkpoint, prevent_cse=False)  # keeps y, and with a sink one number a row
        def tangent(y: Array, y_sink: tuple[Array, ...], t: tuple[Array, ...]) -> tuple[Array, ...]:
            change, *change_sink = Weights(axes, y > 0, (widen(y), *y_sink)).weigh(*t)
            return change.astype(y.dtype), *change_sink

        return shares, tangent(shares[0], shares[1:], _logit_tangents(axes, primals, tangents))

    shares.__name__ = shares.__qualname__ = name
    kernel = jax.custom_jvp(shares, nondiff_argnums=(0,))
    kernel.defjvp(differentiate, symbolic_zeros=True)
    return kernel


_softmax_kernel, _softmin_kernel = _kernel("softmax"), _kernel("softmin")
_softmax = along_axis(
    "softmax",
    lambda axes, x, where, temperature=None, sink=None: _softmax_kernel(axes, x, where, temperature, sink)[0],
)
_softmin = along_axis("softmin", lambda axes, x, where: _softmin_kernel(axes, -x, where, None, None)[0])


@activation(
    module="Softmax",
    kind="axis",
    range=(0.0, 1.0),
    keeps=0.0,
    variants=({"temperature": 0.5}, {"sink": 0.0}),
    elsewhere={
        "torch": {"softmax": {}, "Softmax": {}, "Softmax2d": {"axis": -3}},
        "keras": {"softmax": {}},
    },
)
def softmax(
    x: ArrayLike,
    axis: int | Sequence[int] = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike | None = None,
    sink: ArrayLike | None = None,
    axis_name: AxisName | None = None,
) -> Array:
    """Softmax: exp(x_i / T) / (exp(s / T) + sum_j exp(x_j / T)), without exp(s / T) where there is no sink s.

    The derivative of y along a tangent t is y (t - sum(y t) / sum(y)) / T; the backward pass keeps y alone. -inf
    logits and entries left out by `where` give 0 with gradient 0, so a row of nothing else is all 0. +inf logits
    share their row equally. 16-bit input is computed in float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, that sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.
      temperature: positive number, or array of one value a row (the row's axis of size 1); traced and differentiable.
        More than 1 flattens, less sharpens.
      sink: a number, or array of one value a row: one more logit, whose share is not returned, so that a row can sum to
        less than 1; traced and differentiable. 0 is "softmax off by one".
      axis_name: the mapped axis (of `jax.shard_map`, `jax.vmap` or `jax.pmap`), or axes, over which `axis` is split
        too: x is this device's part of the row. temperature and sink are the same on all of them.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` not bool.
      ValueError: axis is out of range or repeated, temperature is not positive, or a shape does not broadcast.
      NameError: axis_name is not the name of a mapped axis here.

    Reference: jax.nn.softmax; temperature: Guo et al. 2017, arXiv:1706.04599; sink: Xiao et al. 2023, arXiv:2309.17453.

    >>> print(jaxact.softmax(jnp.array([1000.0, 1001.0, 1002.0])).round(4))
    [0.09   0.2447 0.6652]
    """
    if temperature is not None:
        check_parameter("softmax", "> 0", temperature=temperature)
    return _softmax(x, axis, where, axis_name, temperature=temperature, sink=sink)


@activation(
    module="Softmin",
    kind="axis",
    range=(0.0, 1.0),
    keeps=0.0,
    elsewhere={"torch": {"softmin": {}, "Softmin": {}}},
)
def softmin(x: ArrayLike, axis: int | Sequence[int] = -1, where: ArrayLike | None = None) -> Array:
    """Softmin: exp(-x_i) / sum_j exp(-x_j), the softmax of -x.

    The derivative along a tangent t is y (sum(y t) / sum(y) - t); the backward pass keeps y alone. +inf entries and
    those left out by `where` give 0 with gradient 0; -inf entries share their row equally. 16-bit input is computed in
    float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, that sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` not bool.
      ValueError: axis is out of range or repeated, or `where` does not broadcast.

    Reference: torch.nn.functional.softmin.

    >>> print(jaxact.softmin(jnp.array([0.0, 0.0, jnp.inf])))
    [0.5 0.5 0. ]
    """
    return _softmin(x, axis, where)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_softmax_kernel(
    axes: Axes, x: Array, where: Array | None, temperature: Array | None, sink: Array | None
) -> Array:
    x = seen(x, where)
    m = largest(axes, x, sink)
    high, low = exponent(x, m, temperature)
    e_sink = None if sink is None else exponential(*exponent(sink, m, temperature))
    # log(sum(e)) is 0 where the largest entry leaves less than an ulp to the others, but log1p of the others is not.
    count, others = count_and_rest(axes, exponential(high, low), e_sink)
    log = jnp.log1p((count - 1) + others)
    return jnp.where(x == -jnp.inf, -jnp.inf, high - (log if low is None else log - low)).astype(x.dtype)


@functools.partial(_log_softmax_kernel.defjvp, symbolic_zeros=True)
def _log_softmax_jvp(axes: Axes, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    @functools.partial(jax.checkpoint, prevent_cse=False)  # keeps x
    def tangent(primals: tuple[Any, ...], t: tuple[Array, ...]) -> Array:
        x, where, *parameters = primals
        y = _softmax_kernel(axes, widen(x), where, *parameters)
        return Weights(axes, seen(x, where) != -jnp.inf, y).centre(*t)[0].astype(x.dtype)

    return _log_softmax_kernel(axes, *primals), tangent(primals, _logit_tangents(axes, primals, tangents))


_log_softmax = along_axis(
    "log_softmax",
    lambda axes, x, where, temperature=None, sink=None: _log_softmax_kernel(axes, x, where, temperature, sink),
)


@activation(
    module="LogSoftmax",
    kind="axis",
    range=(-float("inf"), 0.0),
    variants=({"temperature": 0.5}, {"sink": 0.0}),
    elsewhere={"torch": {"log_softmax": {}, "LogSoftmax": {}}, "keras": {"log_softmax": {}}},
)
def log_softmax(
    x: ArrayLike,
    axis: int | Sequence[int] = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike | None = None,
    sink: ArrayLike | None = None,
    axis_name: AxisName | None = None,
) -> Array:
    """Logarithm of softmax: x_i / T - log(exp(s / T) + sum_j exp(x_j / T)), without exp(s / T) if there is no sink s.

    The derivative along a tangent t is (t - sum(softmax(x) t)) / T; the backward pass keeps x. -inf logits and entries
    left out by `where` give -inf with gradient 0. +inf logits share their row equally. 16-bit input is computed in
    float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, over which probabilities sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.
      temperature: positive number, or array of one value a row (the row's axis of size 1); traced and differentiable.
      sink: a number, or array of one value a row: one more logit, whose share is not returned; traced and
        differentiable.
      axis_name: the mapped axis (of `jax.shard_map`, `jax.vmap` or `jax.pmap`), or axes, over which `axis` is split
        too: x is this device's part of the row. temperature and sink are the same on all of them.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` not bool.
      ValueError: axis is out of range or repeated, temperature is not positive, or a shape does not broadcast.
      NameError: axis_name is not the name of a mapped axis here.

    Reference: jax.nn.log_softmax.

    >>> print(jaxact.log_softmax(jnp.array([0.0, 0.0])))
    [-0.6931472 -0.6931472]
    """
    if temperature is not None:
        check_parameter("log_softmax", "> 0", temperature=temperature)
    return _log_softmax(x, axis, where, axis_name, temperature=temperature, sink=sink)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _one_hot(axis: int, y: Array) -> Array:
    """1 at y's first maximum and 0 elsewhere (everywhere if y is 0), with the derivative of y itself."""
    hot = jnp.expand_dims(jnp.argmax(y, axis), axis) == jax.lax.broadcasted_iota(jnp.int32, y.shape, axis)
    return (hot & (y > 0)).astype(y.dtype)


@_one_hot.defjvp
def _one_hot_jvp(axis: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _one_hot(axis, *primals), tangents[0]


def _gumbel(logits: ArrayLike, key: Array, tau: ArrayLike, hard: bool, axis: int) -> Array:
    logits = as_float("gumbel_softmax", logits, "logits")
    axes = Axes(canonical_axes("gumbel_softmax", axis, logits.ndim))
    x = widen(logits)
    temperature = one_a_row("gumbel_softmax", "tau", tau, x, axes)
    y = _gumbel_kernel(axes, x + jax.random.gumbel(key, x.shape, x.dtype), None, temperature, None)[0]
    return (_one_hot(*axes.numbers, y) if hard else y).astype(logits.dtype)


_gumbel.__name__ = _gumbel.__qualname__ = "gumbel_softmax"
_gumbel_kernel = _kernel("gumbel_softmax")
_gumbel_softmax = jax.jit(_gumbel, static_argnums=(3, 4))


@activation(
    module="GumbelSoftmax",
    kind="axis",
    range=(0.0, 1.0),
    elsewhere={"torch": {"gumbel_softmax": {}}},
)
def gumbel_softmax(
    logits: ArrayLike, key: Array | None, tau: ArrayLike = 1.0, hard: bool = False, axis: int = -1
) -> Array:
    """Gumbel softmax: softmax((logits + g) / tau), g from the standard Gumbel distribution.

    A differentiable sample of the categorical distribution that the logits define; its largest entry is an exact
    sample. The derivative is softmax's, and with `hard` it is that of the soft sample (straight through). -inf logits
    give 0 with gradient 0. 16-bit input is computed in float32.

    Args:
      logits: real array of rank 1 or more; bool and int become the default float.
      key: a key from `jax.random.key`; the same key gives the same sample. Or None at evaluation: then the result is
        softmax(logits), the expectation of a hard sample.
      tau: temperature, a positive number, or array of one value a row (the row's axis of size 1); traced and
        differentiable. Near 0 samples are nearly one-hot, and gradients large.
      hard: whether to return the one-hot vector of the largest entry.
      axis: the axis that sums to 1.

    Returns:
      Array of logits' shape and float type.

    Raises:
      TypeError: logits is not a real array, key not a key, or axis not an int.
      ValueError: axis is out of range, or tau is not positive or does not broadcast.

    Reference: Jang et al. 2016, arXiv:1611.01144; Maddison et al. 2016, arXiv:1611.00712.

    >>> print(jaxact.gumbel_softmax(jnp.array([1.0, 2.0, -jnp.inf]), jax.random.key(0), hard=True))
    [0. 1. 0.]
    """
    if isinstance(axis, Sequence):
        raise TypeError(f"jaxact.gumbel_softmax: expected axis to be an int, got {axis!r}; reshape to have one axis")
    check_parameter("gumbel_softmax", "> 0", tau=tau)
    logits = as_array("gumbel_softmax", logits, "logits")
    if key is None:
        return softmax(logits, axis)
    check_key("gumbel_softmax", key)
    return _gumbel_softmax(logits, key, tau, bool(hard), axis)
