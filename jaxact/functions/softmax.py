"""Softmax and similar functions of a whole row, along one axis or several.

All accumulate in float32 for 16-bit input. Logits of -inf, and entries that `where` leaves out, have probability 0 and
gradient 0, even where a row has no other entries.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.core.catalog import activation
from jaxact.core.checks import as_float, canonical_axes, check_key, check_parameter, widen
from jaxact.core.derivative import with_derivative
from jaxact.core.rows import Axes, AxisName, along_axis, bounded, centred, exponents, log_sum, logits, masked
from jaxact.core.rule import derivative_rule

__all__ = ["gumbel_softmax", "log_softmax", "softmax", "softmin"]


def _shares(
    axes: Axes, x: Array, where: Array | None, temperature: Array | None = None, sink: Array | None = None
) -> tuple[Array, ...]:
    """The probabilities and, if there is a sink, its share of each row."""
    seen = masked(x, where)
    h, h_sink, m = exponents(axes, seen, temperature, sink)
    e = jnp.exp(h)
    total = axes.sum(e) if h_sink is None else axes.sum(e) + jnp.exp(h_sink)
    y = jnp.where(_nothing(seen, m), 0, (e / total).astype(x.dtype))
    return (y,) if h_sink is None else (y, jnp.where(m == -jnp.inf, 0, jnp.exp(h_sink) / total))


def _nothing(x: Array, m: Array) -> Array:
    """The entries to set apart: those of a row of -inf alone, where all that is computed is NaN.

    m is the row's maximum. Asking x instead, which also sets apart the other entries of -inf, gives the same. In 16
    bits a CPU takes less time where m is asked, by 40% for rows of 64 on JAX 0.10; in float32 it takes up to a fifth
    more for long rows on JAX 0.12.
    """
    return (m if x.dtype.itemsize == 2 else x) == -jnp.inf


def _keep_shares(axes: Axes, primals: Sequence[Any], shares: tuple[Array, ...], asked: Sequence[bool]) -> Any:
    """Keep the probabilities, or x where the temperature is differentiated, since that derivative needs the logits."""
    x, where, *parameters = primals
    return (None, (x, where, *parameters)) if any(asked[2:3]) else (shares, (None, None, *parameters))


def shares_tangent(axes: Axes, kept: Any, tangents: Sequence[Array | None]) -> tuple[Array, ...]:
    """Return y (t - sum(y t)). The sum includes the sink."""
    shares, primals = kept
    shares = _softmax_shares(axes, *primals) if shares is None else shares
    y, *y_sink = map(widen, shares)
    t, *t_sink = centred(axes, (y, *y_sink), _logit_tangents(axes, primals, tangents, y == 0, *y_sink))
    # An entry without a share has the tangent 0 even where t is infinite. An entry that is NaN stays NaN.
    change = jnp.where(y == 0, 0, y * t)
    return change.astype(shares[0].dtype), *(a * b for a, b in zip(y_sink, t_sink, strict=True))


def _logit_tangents(
    axes: Axes, primals: Sequence[Any], tangents: Sequence[Array | None], unseen: Array, *y_sink: Array
) -> list[Array]:
    """The tangents of x / temperature (0 where unseen) and of the sink, if any, up to a constant for each row."""
    x, where, temperature, sink = [*primals, None, None][:4]
    t, _, t_temperature, t_sink = [*tangents, None, None, None][:4]
    changes: list[Any] = [jnp.zeros(unseen.shape) if t is None else jnp.where(unseen, 0, widen(t))]
    changes += [jnp.zeros_like(y) if t_sink is None else t_sink for y in y_sink]
    if t_temperature is not None:
        wide = logits(x, where)
        m = axes.max(wide)  # stands for -inf, since the derivative of -inf / temperature is NaN
        seen = jnp.where(unseen, jnp.where(m == -jnp.inf, 0, m), wide)
        sink = None if sink is None else jnp.where(sink == -jnp.inf, axes.max(seen), sink)
        # Beside a mask of the lowest number, h / temperature would be infinite, and with a share of 0 NaN.
        least = jnp.finfo(m.dtype).min / 2 * jnp.minimum(temperature, 1)
        moves = [jnp.maximum(h, least) for h in exponents(axes, seen, temperature, sink)[:2] if h is not None]
        changes = [c - h * t_temperature for c, h in zip(changes, moves, strict=True)]
    return changes if temperature is None else [c / bounded(temperature) for c in changes]


_softmax_shares = derivative_rule("softmax", _shares, shares_tangent, _keep_shares, statics=1)


def _of_complex(peer: Callable[..., Array]) -> Callable[..., Array]:
    """Make the form for complex input, which is jax.nn's."""

    def form(x: Array, where: Array | None, *parameters: Any, axis: Any, axis_name: Any) -> Array:
        if axis_name is not None or any(p is not None for p in parameters):
            raise TypeError(
                f"jaxact.{peer.__name__}: expected x to be real with temperature, sink or axis_name, got {x.dtype}; "
                "divide it by the temperature first"
            )
        return peer(x, axis, where)

    return form


_softmax = along_axis(
    "softmax",
    _shares,
    shares_tangent,
    _keep_shares,
    parameters=("temperature", "sink"),
    complex_form=_of_complex(jax.nn.softmax),
)
_softmin = along_axis(
    "softmin",
    lambda axes, x, where: _shares(axes, -x, where),
    lambda axes, kept, tangents: shares_tangent(axes, kept, (-tangents[0],)),
    _keep_shares,
)


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

    The derivative of y along a tangent t is y (t - sum(y t) / sum(y)) / T; the backward pass keeps y alone. Logits of
    -inf, and entries that `where` leaves out, give 0 with gradient 0; a row without other entries is all 0. A logit of
    +inf makes its row NaN. 16-bit input is computed in float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, that sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.
      temperature: positive number, or array with one value per row (the row's axis has size 1); traced and
        differentiable. Above 1 it flattens the probabilities, below 1 it sharpens them.
      sink: number, or array with one value per row; traced and differentiable. It is one more logit, whose share is not
        returned, so that a row can sum to less than 1. A sink of 0 is "softmax off by one".
      axis_name: the mapped axis (of `jax.shard_map`, `jax.vmap` or `jax.pmap`), or axes, over which `axis` is split
        too: x is this device's part of the row. temperature and sink are the same on all of them.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` is not bool.
      ValueError: axis is out of range or repeated, temperature is not positive, or a shape does not broadcast.
      NameError: axis_name is not the name of a mapped axis here.

    Reference: jax.nn.softmax; temperature: Guo et al. 2017, arXiv:1706.04599; sink: Xiao et al. 2023, arXiv:2309.17453.

    >>> print(jaxact.softmax(jnp.array([1000.0, 1001.0, 1002.0])).round(4))
    [0.09   0.2447 0.6652]
    """
    if temperature is not None:
        check_parameter("softmax", "> 0", temperature=temperature)
    return _softmax(x, where, temperature, sink, axis=axis, axis_name=axis_name)


@activation(
    module="Softmin",
    kind="axis",
    range=(0.0, 1.0),
    keeps=0.0,
    elsewhere={"torch": {"softmin": {}, "Softmin": {}}},
)
def softmin(x: ArrayLike, axis: int | Sequence[int] = -1, where: ArrayLike | None = None) -> Array:
    """Softmin: exp(-x_i) / sum_j exp(-x_j), the softmax of -x.

    The derivative along a tangent t is y (sum(y t) / sum(y) - t); the backward pass keeps y alone. Entries of +inf, and
    those that `where` leaves out, give 0 with gradient 0; an entry of -inf makes its row NaN. 16-bit input is computed
    in float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, that sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` is not bool.
      ValueError: axis is out of range or repeated, or `where` does not broadcast.

    Reference: torch.nn.functional.softmin.

    >>> print(jaxact.softmin(jnp.array([0.0, 0.0, jnp.inf])))
    [0.5 0.5 0. ]
    """
    return _softmin(x, where, axis=axis)


def _log_shares(axes: Axes, x: Array, where: Array | None, temperature: Array | None, sink: Array | None) -> Array:
    seen = masked(x, where)
    h, h_sink, m = exponents(axes, seen, temperature, sink)
    return jnp.where(_nothing(seen, m), -jnp.inf, (h - log_sum(axes, h, h_sink)).astype(x.dtype))


def _log_shares_tangent(axes: Axes, kept: Any, tangents: Sequence[Array | None]) -> Array:
    """Return t - sum(softmax(x) t)."""
    x, where, *parameters = kept
    y, *y_sink = _softmax_shares(axes, widen(x), where, *parameters)
    unseen = logits(x, where) == -jnp.inf
    t, *_ = centred(axes, (y, *y_sink), _logit_tangents(axes, kept, tangents, unseen, *y_sink))
    return jnp.where(unseen, 0, t).astype(x.dtype)


_log_softmax = along_axis(
    "log_softmax",
    _log_shares,
    _log_shares_tangent,
    parameters=("temperature", "sink"),
    complex_form=_of_complex(jax.nn.log_softmax),
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

    The derivative along a tangent t is (t - sum(softmax(x) t)) / T; the backward pass keeps x. Logits of -inf, and
    entries that `where` leaves out, give -inf with gradient 0. A logit of +inf makes its row NaN. 16-bit input is
    computed in float32.

    Args:
      x: real array of rank 1 or more; bool and int become the default float.
      axis: the axis, or axes, over which probabilities sum to 1.
      where: bool array that broadcasts to x's shape; entries where it is False are left out.
      temperature: positive number, or array with one value per row (the row's axis has size 1); traced and
        differentiable.
      sink: number, or array with one value per row; traced and differentiable. It is one more logit, whose share is not
        returned.
      axis_name: the mapped axis (of `jax.shard_map`, `jax.vmap` or `jax.pmap`), or axes, over which `axis` is split
        too: x is this device's part of the row. temperature and sink are the same on all of them.

    Returns:
      Array of x's shape and float type.

    Raises:
      TypeError: x is not a real array, or `where` is not bool.
      ValueError: axis is out of range or repeated, temperature is not positive, or a shape does not broadcast.
      NameError: axis_name is not the name of a mapped axis here.

    Reference: jax.nn.log_softmax.

    >>> print(jaxact.log_softmax(jnp.array([0.0, 0.0])))
    [-0.6931472 -0.6931472]
    """
    if temperature is not None:
        check_parameter("log_softmax", "> 0", temperature=temperature)
    return _log_softmax(x, where, temperature, sink, axis=axis, axis_name=axis_name)


def _one_hot(axis: int, y: Array) -> Array:
    """1 at y's first maximum and 0 elsewhere (everywhere if y is 0), with the derivative of y itself."""

    @with_derivative(lambda y: y)
    def largest(y: Array) -> Array:
        hot = jnp.expand_dims(jnp.argmax(y, axis), axis) == jax.lax.broadcasted_iota(jnp.int32, y.shape, axis)
        return jnp.where(y == y, (hot & (y > 0)).astype(y.dtype), y)

    return largest(y)


_gumbel_softmax = along_axis("gumbel_softmax", _shares, shares_tangent, _keep_shares, parameters=("temperature",))


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

    This is a differentiable sample of the categorical distribution that the logits define; its largest entry is an
    exact sample. The derivative is softmax's; with `hard` it is that of the soft sample (straight through). Logits of
    -inf give 0 with gradient 0. 16-bit input is computed in float32.

    Args:
      logits: real array of rank 1 or more; bool and int become the default float.
      key: a key from `jax.random.key`; the same key gives the same sample. None is for evaluation: the result is then
        softmax(logits), the expectation of a hard sample.
      tau: the temperature, a positive number, or array with one value per row (the row's axis has size 1); traced and
        differentiable. Near 0 samples are nearly one-hot, and gradients are large.
      hard: whether to return the one-hot vector of the largest entry.
      axis: the axis that sums to 1.

    Returns:
      Array of logits' shape and float type.

    Raises:
      TypeError: logits is not a real array, key is not a key, hard is not a bool, or axis is not an int.
      ValueError: axis is out of range, tau is not positive or does not broadcast, or key is more than one.

    Reference: Jang et al. 2016, arXiv:1611.01144; Maddison et al. 2016, arXiv:1611.00712.

    >>> print(jaxact.gumbel_softmax(jnp.array([1.0, 2.0, -jnp.inf]), jax.random.key(0), hard=True))
    [0. 1. 0.]
    """
    if isinstance(axis, Sequence):
        raise TypeError(f"jaxact.gumbel_softmax: expected axis to be an int, got {axis!r}; reshape to have one axis")
    if not isinstance(hard, bool):
        raise TypeError(
            f"jaxact.gumbel_softmax: expected hard to be True or False, got {hard!r}; it is no array and not traced"
        )
    check_parameter("gumbel_softmax", "> 0", tau=tau)
    if key is None:
        return softmax(logits, axis)
    check_key("gumbel_softmax", key)
    logits = as_float("gumbel_softmax", logits, "logits")
    (axis,) = canonical_axes("gumbel_softmax", axis, logits.ndim)
    x = widen(logits)
    y = _gumbel_softmax(x + jax.random.gumbel(key, x.shape, x.dtype), None, tau, axis=axis)
    return (_one_hot(axis, y) if hard else y).astype(logits.dtype)
