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
from jaxact.core.rowwise import Axes, AxisName, along_axis, as_mask, centred, difference, one_a_row, quotient

__all__ = ["gumbel_softmax", "log_softmax", "logsumexp", "softmax", "softmin"]


def _exponent(x: Array, maximum: Array, temperature: Array | None) -> tuple[Array, Array | None]:
    """(x - maximum) / temperature as its rounding, which alone would cost exp(-80) up to 64 ulp, and the rest.

    Of 16-bit x there is no rest: 64 ulp of float32 are none of theirs.
    """
    wide = widen(x)
    if x.dtype != wide.dtype:
        high = jnp.where(wide == maximum, 0, wide - maximum)
        return high if temperature is None else high / temperature, None
    high, low = difference(wide, maximum)
    return (high, low) if temperature is None else quotient(high, low, temperature)


def _exp(high: Array, low: Array | None) -> Array:
    e = jnp.exp(high)
    return e if low is None else e + e * low


def _total(axes: Axes, e: Array, e_sink: Array | None = None) -> tuple[Array, Array]:
    """Sum exponentials of a row whose largest is 1, and the sink's, as the count of ones and the sum of the others.

    In one sum, others that are each less than an ulp of 1 would all be lost.
    """
    count, others = axes.sum(e == 1, e.dtype), axes.sum(jnp.where(e == 1, 0, e))
    if e_sink is not None:
        count += (e_sink == 1).astype(e.dtype)
        others += jnp.where(e_sink == 1, 0, e_sink)
    return count, others


def _seen(x: Array, where: Array | None) -> Array:
    """The logits, -inf where they are left out."""
    return x if where is None else jnp.where(where, x, -jnp.inf)


def _maximum(axes: Axes, x: Array, sink: Array | None) -> Array:
    """The largest logit, or 0 where all are -inf, so that their exponentials are 0."""
    m = axes.max(widen(x))
    m = m if sink is None else jnp.maximum(m, jax.lax.stop_gradient(sink))
    return jnp.where(m == -jnp.inf, 0, m)


def _shares(
    axes: Axes, x: Array, where: Array | None, temperature: Array | None, sink: Array | None
) -> tuple[Array, Array | None]:
    """The probabilities, and the sink's share of each row."""
    x = _seen(x, where)
    m = _maximum(axes, x, sink)
    e = _exp(*_exponent(x, m, temperature))
    e_sink = None if sink is None else _exp(*_exponent(sink, m, temperature))
    count, others = _total(axes, e, e_sink)
    total = jnp.where(count + others == 0, 1, count + others)
    return (e / total).astype(x.dtype), None if e_sink is None else e_sink / total


def _logit_tangents(axes: Axes, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array | None]:
    """The tangents of x / temperature and sink / temperature, up to one number a row, which changes nothing."""
    x, where, temperature, sink = primals
    t, _, t_temperature, t_sink = tangents
    live = temperature is not None and not isinstance(t_temperature, SymbolicZero)
    m = _maximum(axes, _seen(x, where), sink) if live else None

    def tangent(x: Array, t: Array | SymbolicZero) -> Array:
        result = jnp.zeros(x.shape, widen(x).dtype) if isinstance(t, SymbolicZero) else widen(t)
        if m is not None:
            z, _ = _exponent(x, m, temperature)
            result = result - jnp.where(jnp.isinf(z), 0, z) * t_temperature  # pyright: ignore[reportOperatorIssue]
        return result if temperature is None else result / temperature

    return tangent(x, t), None if sink is None else tangent(sink, t_sink)


def _kernel(name: str) -> Callable[..., tuple[Array, Array | None]]:
    """Softmax with its derivative, under the name by which programs know it."""

    def shares(axes: Axes, *primals: Any) -> tuple[Array, Array | None]:
        return _shares(axes, *primals)

    def differentiate(axes: Axes, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        shares = kernel(axes, *primals)

        @functools.partial(jax.checkpoint, prevent_cse=False)  # keeps y, and with a sink one number a row
        def tangent(y: Array, y_sink: Array | None, t: Array, t_sink: Array | None) -> tuple[Array, Array | None]:
            weights = widen(y)
            t, t_sink = centred(axes, weights, y > 0, t, y_sink, t_sink)
            return (weights * t).astype(y.dtype), None if y_sink is None or t_sink is None else y_sink * t_sink

        return shares, tangent(*shares, *_logit_tangents(axes, primals, tangents))

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
    x = _seen(x, where)
    m = _maximum(axes, x, sink)
    high, low = _exponent(x, m, temperature)
    e_sink = None if sink is None else _exp(*_exponent(sink, m, temperature))
    # log(sum(e)) is 0 where the largest entry leaves less than an ulp to the others, but log1p of the others is not.
    count, others = _total(axes, _exp(high, low), e_sink)
    log = jnp.log1p((count - 1) + others)
    return jnp.where(x == -jnp.inf, -jnp.inf, high - (log if low is None else log - low)).astype(x.dtype)


@functools.partial(_log_softmax_kernel.defjvp, symbolic_zeros=True)
def _log_softmax_jvp(axes: Axes, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    @functools.partial(jax.checkpoint, prevent_cse=False)  # keeps x
    def tangent(primals: tuple[Any, ...], t: Array, t_sink: Array | None) -> Array:
        x, where, *parameters = primals
        y, y_sink = _softmax_kernel(axes, widen(x), where, *parameters)
        return centred(axes, y, _seen(x, where) != -jnp.inf, t, y_sink, t_sink)[0].astype(x.dtype)

    return _log_softmax_kernel(axes, *primals), tangent(primals, *_logit_tangents(axes, primals, tangents))


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
    y, _ = _gumbel_kernel(axes, x + jax.random.gumbel(key, x.shape, x.dtype), None, temperature, None)
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
def gumbel_softmax(logits: ArrayLike, key: Array, tau: ArrayLike = 1.0, hard: bool = False, axis: int = -1) -> Array:
    """Gumbel softmax: softmax((logits + g) / tau), g from the standard Gumbel distribution.

    A differentiable sample of the categorical distribution that the logits define; its largest entry is an exact
    sample. The derivative is softmax's, and with `hard` it is that of the soft sample (straight through). -inf logits
    give 0 with gradient 0. 16-bit input is computed in float32.

    Args:
      logits: real array of rank 1 or more; bool and int become the default float.
      key: key of `jax.random`; the same key gives the same sample.
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
    check_key("gumbel_softmax", key)
    check_parameter("gumbel_softmax", "> 0", tau=tau)
    logits = as_array("gumbel_softmax", logits, "logits")
    return _gumbel_softmax(logits, key, tau, bool(hard), axis)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _logsumexp_kernel(axes: Axes, a: Array, b: Array | None, where: Array | None) -> tuple[Array, Array]:
    e, m = _exponentials(axes, a, where)
    if b is None:
        count, others = _total(axes, e)
        log, sign = jnp.log1p((count - 1) + others), jnp.sign(count + others)  # of nothing -inf and 0
    else:
        total = axes.sum(jnp.where(e == 0, 0, widen(b) * e))
        log, sign = jnp.log(jnp.abs(total)), jnp.sign(total)
    return (m + log).astype(a.dtype), sign.astype(a.dtype)


def _exponentials(axes: Axes, x: Array, where: Array | None) -> tuple[Array, Array]:
    """exp(x - m) with 0 for what is left out, and the row's maximum m (0 for -inf)."""
    x = _seen(x, where)
    m = _maximum(axes, x, None)
    return _exp(*_exponent(x, m, None)), m


@functools.partial(_logsumexp_kernel.defjvp, symbolic_zeros=True)
def _logsumexp_jvp(
    axes: Axes, primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    a, b, where = primals
    t_a, t_b, _ = tangents
    value, sign = _logsumexp_kernel(axes, *primals)
    live_a, live_b = (None if isinstance(t, SymbolicZero) else t for t in (t_a, t_b))

    @functools.partial(jax.checkpoint, prevent_cse=False)  # keeps a and b
    def tangent(a: Array, b: Array | None, where: Array | None, t_a: Array | None, t_b: Array | None) -> Array:
        e, _ = _exponentials(axes, a, where)
        weighted = e if b is None else jnp.where(e == 0, 0, widen(b) * e)
        total = axes.sum(weighted)
        total = jnp.where(total == 0, 1, total)
        terms = jnp.zeros_like(e)
        if t_a is not None:
            terms += jnp.where(e == 0, 0, weighted * widen(t_a))
        if t_b is not None:
            terms += e * widen(t_b)
        return (axes.sum(terms) / total).astype(a.dtype)

    return (value, sign), (tangent(a, b, where, live_a, live_b), jnp.zeros_like(sign))


@functools.partial(jax.jit, static_argnames=("axis", "keepdims", "return_sign"))
def _logsumexp(
    a: ArrayLike,
    axis: int | Sequence[int] | None,
    b: ArrayLike | None,
    keepdims: bool,
    return_sign: bool,
    where: ArrayLike | None,
) -> Array | tuple[Array, Array]:
    a = as_float("logsumexp", a, "a")
    if b is not None:
        b = as_float("logsumexp", b, "b")
        dtype = jnp.promote_types(a.dtype, b.dtype)
        shape = jnp.broadcast_shapes(a.shape, b.shape)
        a, b = jnp.broadcast_to(a.astype(dtype), shape), jnp.broadcast_to(b.astype(dtype), shape)
    axes = Axes(canonical_axes("logsumexp", axis, a.ndim))
    value, sign = _logsumexp_kernel(axes, a, b, None if where is None else as_mask("logsumexp", where, a))
    if not keepdims:
        value, sign = jnp.squeeze(value, axes.numbers), jnp.squeeze(sign, axes.numbers)
    if return_sign:
        return value, sign
    return value if b is None else jnp.where(sign < 0, jnp.nan, value)


def logsumexp(
    a: ArrayLike,
    axis: int | Sequence[int] | None = None,
    b: ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: ArrayLike | None = None,
) -> Array | tuple[Array, Array]:
    """Logarithm of a sum of exponentials: log(sum_i b_i exp(a_i)).

    The derivative in a is b_i exp(a_i) / sum, in b exp(a_i) / sum. A row of -inf, or with every entry left out,
    gives -inf with gradient 0; a +inf gives +inf. 16-bit input is computed in float32; the backward pass keeps a and b.

    Args:
      a: real array; bool and int become the default float.
      axis: the axis or axes to sum over; None sums over all.
      b: weights that broadcast against a; default 1.
      keepdims: whether to keep the summed axes with size 1.
      return_sign: whether to return the sign of the sum too, and the logarithm of its absolute value.
      where: bool array that broadcasts to a's shape; entries where it is False are left out.

    Returns:
      The logarithm (NaN for a negative sum), or with `return_sign` the pair (logarithm, sign).

    Raises:
      TypeError: a or b is not a real array, or `where` not bool.
      ValueError: axis is out of range or repeated, or a shape does not broadcast.

    Reference: jax.nn.logsumexp.

    >>> print(jaxact.logsumexp(jnp.array([1000.0, 1000.0])))
    1000.6932
    """
    return _logsumexp(
        as_array("logsumexp", a, "a"), tuple(axis) if isinstance(axis, list) else axis, b, keepdims, return_sign, where
    )
