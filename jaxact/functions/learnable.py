"""Modules with learned parameters: which they are, how they start and how they enter the function; and Softmax2d.

Those in place of a normalisation are in `jaxact.functions.normalizing`, with their functions.
"""

import dataclasses
import math
import numbers
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from jaxact.core import numerics
from jaxact.core.checks import canonical_axes, widen
from jaxact.core.modules import Blueprint, learnable
from jaxact.functions.exponential import xielu
from jaxact.functions.periodic import snake, snake_beta
from jaxact.functions.rational import APPROXIMATIONS, rational
from jaxact.functions.rectifiers import prelu, star_relu
from jaxact.functions.smooth import silu
from jaxact.functions.softmax import softmax


@dataclasses.dataclass(init=False, repr=False, eq=False)
class Learned(Blueprint):
    """A module with learned parameters, checked by their type: ints that count are 1 or more, floats finite."""

    param_dtype: DTypeLike = dataclasses.field(default=jnp.float32, kw_only=True)

    _positive: ClassVar[tuple[str, ...]] = ()
    """The arguments that have to be positive."""

    def _check(self) -> None:
        for field in dataclasses.fields(self):
            name = field.name
            value: Any = getattr(self, name, None)
            if field.type is int and not isinstance(value, numbers.Integral):
                raise TypeError(f"expected {name} to be an int, got {value!r}; start values are called ..._init")
            if field.type is int and name.startswith("num_") and value < 1:
                raise ValueError(f"expected {name} >= 1, got {value}; 1 means one value for all channels")
            if field.type is float and not isinstance(value, numbers.Real):
                raise TypeError(f"expected {name} to be a number, got {value!r}; {field.default} is usual")
            if field.type is float and not math.isfinite(value):
                raise ValueError(f"expected a finite {name}, got {value!r}; {field.default} is usual")
            if name in self._positive and not float(value) > 0:
                raise ValueError(f"expected {name} > 0, got {value!r}; {field.default} is usual")
        if not jnp.issubdtype(jnp.dtype(self.param_dtype), jnp.floating):
            raise TypeError(
                f"expected param_dtype to be a float type, got {self.param_dtype!r}; jax.numpy.float32 is usual"
            )

    def _lifted(self, x: ArrayLike, axis: int, *parameters: Array) -> list[Array]:
        """Give parameters of shape (channels,) the trailing axes that line them up with `axis` of x."""
        shape = jnp.shape(x)
        (axis,) = canonical_axes(self._who.removeprefix("jaxact."), (axis,), len(shape))
        for p in parameters:
            if p.ndim and p.shape[0] != shape[axis]:
                raise ValueError(
                    f"{self._who}: expected {p.shape[0]} channels along axis {axis - len(shape)}, got x of shape "
                    f"{shape}; make the number of channels theirs, or axis their axis"
                )
        return [lax.expand_dims(p, range(1, len(shape) - axis)) if p.ndim else p for p in parameters]


@dataclasses.dataclass(init=False, repr=False, eq=False)
class Channelwise(Learned):
    """Parameters that are one number or one a channel; p starts at `p_init`."""

    num_parameters: int = 1
    axis: int = dataclasses.field(default=-1, kw_only=True)

    def _initial(self) -> dict[str, Array]:
        return {name: self._full(getattr(self, f"{name}_init")) for name in self._learned}

    def _full(self, value: float) -> Array:
        return jnp.full(() if self.num_parameters == 1 else (self.num_parameters,), value, self.param_dtype)

    def _lift(self, x: ArrayLike, *parameters: Array) -> list[Array]:
        return list(parameters) if self.num_parameters == 1 else self._lifted(x, self.axis, *parameters)


@learnable
class PReLU(Channelwise):
    """Parametric rectified linear unit: x if x >= 0, else negative_slope * x, with a learned slope.

    The learned parameter is called `negative_slope`. Its shape is () for one slope and (num_parameters,) for one a
    channel. It stays in its own type when x is a 16-bit float; the result has x's type. Weight decay pulls the slope to
    0, that is to ReLU: leave it out there.

    Args:
      num_parameters: 1 for one slope, or the number of channels for one slope a channel.
      negative_slope_init: the slope before training.
      axis: the axis of the channels.
      param_dtype: the type of the slope.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_parameters is under 1 or the slope not finite; at the call, x has another number of channels or no
        such axis.

    Reference: He et al. 2015, arXiv:1502.01852; PyTorch starts at 0.25 as the paper does, Flax at 0.01.

    The function is `jaxact.prelu`.
    """

    negative_slope_init: float = 0.25

    _learned: ClassVar[tuple[str, ...]] = ("negative_slope",)

    def _evaluate(self, x: ArrayLike, negative_slope: Array) -> Array:
        return prelu(x, *self._lift(x, negative_slope))


@learnable
class Swish(Channelwise):
    """Swish with a learned rate: x * sigmoid(beta x).

    The learned parameter is called `beta`, of shape () or (num_parameters,). beta = 0 is x / 2, and a large one ReLU.

    Args:
      num_parameters: 1 for one beta, or the number of channels for one a channel.
      beta_init: beta before training.
      axis: the axis of the channels.
      param_dtype: the type of beta.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_parameters is under 1 or beta_init not finite; at the call, x has another number of channels or no
        such axis.

    Reference: Ramachandran et al. 2017, arXiv:1710.05941.

    The function is `jaxact.silu`.
    """

    beta_init: float = 1.0

    _learned: ClassVar[tuple[str, ...]] = ("beta",)

    def _evaluate(self, x: ArrayLike, beta: Array) -> Array:
        (beta,) = self._lift(x, beta)
        return silu(x, beta=beta)


@learnable
class Snake(Channelwise):
    """Snake with a learned rate: x + sin(alpha x)^2 / alpha.

    The learned parameter is called `alpha`, of shape () or (num_parameters,). It may come through 0, where Snake is x.

    Args:
      num_parameters: 1 for one alpha, or the number of channels for one a channel.
      alpha_init: alpha before training. The paper takes 5 to 50 where the data are known to be periodic.
      axis: the axis of the channels.
      param_dtype: the type of alpha.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_parameters is under 1 or alpha_init not finite; at the call, x has another number of channels or
        no such axis.

    Reference: Ziyin et al. 2020, arXiv:2006.08195; the start: Kumar et al. 2023, arXiv:2306.06546 (DAC).

    The function is `jaxact.snake`.
    """

    alpha_init: float = 1.0

    _learned: ClassVar[tuple[str, ...]] = ("alpha",)

    def _evaluate(self, x: ArrayLike, alpha: Array) -> Array:
        return snake(x, *self._lift(x, alpha))


@learnable
class SnakeBeta(Channelwise):
    """Snake with a learned rate and amplitude: x + sin(alpha x)^2 / beta.

    The learned parameters are called `log_alpha` and `log_beta`, of shape () or (num_parameters,), so that alpha and
    beta, their exponentials, stay positive. They are BigVGAN's `alpha` and `beta` with alpha_logscale.

    Args:
      num_parameters: 1 for one pair, or the number of channels for one a channel.
      alpha_init: alpha before training, positive.
      beta_init: beta before training, positive.
      axis: the axis of the channels.
      param_dtype: the type of the parameters.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_parameters is under 1, or alpha_init or beta_init not positive and finite; at the call, x has
        another number of channels or no such axis.

    Reference: Lee et al. 2022, arXiv:2206.04658 (BigVGAN).

    The function is `jaxact.snake_beta`.
    """

    alpha_init: float = 1.0
    beta_init: float = 1.0

    _learned: ClassVar[tuple[str, ...]] = ("log_alpha", "log_beta")
    _positive: ClassVar[tuple[str, ...]] = ("alpha_init", "beta_init")

    def _initial(self) -> dict[str, Array]:
        return {"log_alpha": self._full(math.log(self.alpha_init)), "log_beta": self._full(math.log(self.beta_init))}

    def _evaluate(self, x: ArrayLike, log_alpha: Array, log_beta: Array) -> Array:
        log_alpha, log_beta = self._lift(x, log_alpha, log_beta)
        # exp underflows to 0 at -88, which is no amplitude to divide by
        return snake_beta(x, jnp.exp(widen(log_alpha)), jnp.exp(jnp.maximum(widen(log_beta), -80)))


@learnable
class StarReLU(Channelwise):
    """StarReLU with a learned scale and bias: scale * max(x, 0)^2 + bias.

    The learned parameters are called `scale` and `bias`, of shape () or (num_parameters,). They start where standard
    normal input gives mean 0 and variance 1; the released MetaFormers start at 1 and 0.

    Args:
      num_parameters: 1 for one pair, or the number of channels for one a channel.
      scale_init: the scale before training.
      bias_init: the bias before training.
      axis: the axis of the channels.
      param_dtype: the type of the parameters.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_parameters is under 1, or scale_init or bias_init not finite; at the call, x has another number of
        channels or no such axis.

    Reference: Yu et al. 2022, arXiv:2210.13452.

    The function is `jaxact.star_relu`.
    """

    scale_init: float = 0.8944271909999159
    bias_init: float = -0.4472135954999579

    _learned: ClassVar[tuple[str, ...]] = ("scale", "bias")

    def _evaluate(self, x: ArrayLike, scale: Array, bias: Array) -> Array:
        return star_relu(x, *self._lift(x, scale, bias))


@learnable
class XIELU(Channelwise):
    """xIELU with learned curvatures: alpha_p x^2 + beta x if x > 0, else alpha_n (exp(x) - 1 - x) + beta x.

    The learned parameters are called `raw_alpha_p` and `raw_alpha_n`, of shape () or (num_parameters,): alpha_p =
    softplus(raw_alpha_p) > 0 and alpha_n = beta + softplus(raw_alpha_n) > beta. They are Apertus's `alpha_p` and
    `alpha_n`, which its checkpoints store before the softplus.

    Args:
      num_parameters: 1 for one pair, or the number of channels for one a channel.
      alpha_p_init: alpha_p before training, positive.
      alpha_n_init: alpha_n before training, more than beta.
      beta: the slope at 0, not learned.
      axis: the axis of the channels.
      param_dtype: the type of the parameters.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_parameters is under 1, alpha_p_init not positive, alpha_n_init not over beta, or one of them not
        finite; at the call, x has another number of channels or no such axis.

    Reference: Huang & Schlag 2024, arXiv:2411.13010.

    The function is `jaxact.xielu`.
    """

    alpha_p_init: float = 0.8
    alpha_n_init: float = 0.8
    beta: float = 0.5

    _learned: ClassVar[tuple[str, ...]] = ("raw_alpha_p", "raw_alpha_n")
    _positive: ClassVar[tuple[str, ...]] = ("alpha_p_init",)

    def _check(self) -> None:
        super()._check()
        if not self.alpha_n_init > self.beta:
            raise ValueError(f"expected alpha_n_init > beta = {self.beta}, got {self.alpha_n_init!r}; 0.8 is usual")

    def _initial(self) -> dict[str, Array]:
        def raw(a: float) -> Array:
            return self._full(a + math.log(-math.expm1(-a)))

        return {"raw_alpha_p": raw(self.alpha_p_init), "raw_alpha_n": raw(self.alpha_n_init - self.beta)}

    def _evaluate(self, x: ArrayLike, raw_alpha_p: Array, raw_alpha_n: Array) -> Array:
        p, n = self._lift(x, numerics.softplus(widen(raw_alpha_p)), numerics.softplus(widen(raw_alpha_n)))
        return xielu(x, p, self.beta + n, self.beta)


@learnable
class SoftmaxSink(Learned):
    """Softmax with a learned sink: exp(x_i) / (exp(sink) + sum_j exp(x_j)).

    The learned parameter is called `sink`, of shape () or (num_heads,): one logit more, whose share is not returned, so
    that a row can sum to less than 1. A sink of 0 is "softmax off by one".

    Args:
      num_heads: 1 for one sink, or the number of heads for one a head.
      sink_init: the sink before training.
      axis: the axis that is summed over.
      head_axis: the axis of the heads; -3 for attention logits of shape (..., heads, queries, keys).
      param_dtype: the type of the sink.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_heads is under 1 or sink_init not finite; at the call, x has another number of heads or no such
        axis.

    Reference: OpenAI 2025, arXiv:2508.10925 (gpt-oss); Miller 2023, "Attention is off by one".

    The function is `jaxact.softmax`.
    """

    num_heads: int = 1
    sink_init: float = 0.0
    axis: int = dataclasses.field(default=-1, kw_only=True)
    head_axis: int = dataclasses.field(default=-3, kw_only=True)

    _learned: ClassVar[tuple[str, ...]] = ("sink",)

    def _initial(self) -> dict[str, Array]:
        shape = () if self.num_heads == 1 else (self.num_heads,)
        return {"sink": jnp.full(shape, self.sink_init, self.param_dtype)}

    def _evaluate(self, x: ArrayLike, sink: Array, *, where: ArrayLike | None = None) -> Array:
        (sink,) = self._lifted(x, self.head_axis, sink) if self.num_heads > 1 else (sink,)
        return softmax(x, self.axis, where, sink=sink)


@learnable
class Softmax2d(Blueprint):
    """Softmax over the channels of an image: at each pixel of (N, C, H, W) or (C, H, W) input they sum to 1.

    Raises:
      ValueError: the input has neither 3 nor 4 axes, or `where` does not broadcast.

    Reference: torch.nn.Softmax2d. With Flax's own layout, channels last, `Softmax()` does the same.

    The function is `jaxact.softmax` with axis=-3.
    """

    def _evaluate(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        if jnp.ndim(x) not in (3, 4):
            raise ValueError(
                f"{self._who}: expected x of shape (N, C, H, W) or (C, H, W), got {jnp.shape(x)}; Softmax takes an axis"
            )
        return softmax(x, -3, where)


@learnable
class Rational(Learned):
    """Safe Pade unit with learned coefficients: P(x) / (1 + |Q(x)|), P of degree 5 and Q of degree 4.

    The learned parameters are called `numerator`, of shape (6,), the coefficients of 1, x, ..., x^5, and `denominator`,
    of shape (4,), those of x, ..., x^4.

    Args:
      approximates: "leaky_relu" (slope 0.01) or "gelu" (exact): the function that the coefficients start at.
      param_dtype: the type of the coefficients.

    Raises:
      TypeError: param_dtype is not a float type.
      ValueError: there are no coefficients for the function.

    Reference: Molina et al. 2019, arXiv:1907.06732.

    The function is `jaxact.rational`.
    """

    approximates: str = "leaky_relu"

    _learned: ClassVar[tuple[str, ...]] = ("numerator", "denominator")

    def _check(self) -> None:
        super()._check()
        if self.approximates not in APPROXIMATIONS:
            known = " or ".join(f'"{name}"' for name in APPROXIMATIONS)
            raise ValueError(f"expected approximates to be {known}, got {self.approximates!r}; or set the coefficients")

    def _initial(self) -> dict[str, Array]:
        coefficients = zip(self._learned, APPROXIMATIONS[self.approximates], strict=True)
        return {name: jnp.asarray(c, self.param_dtype) for name, c in coefficients}

    def _evaluate(self, x: ArrayLike, numerator: Array, denominator: Array) -> Array:
        return rational(x, numerator, denominator)
