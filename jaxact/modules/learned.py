"""Modules with learned parameters, as far as no framework is needed: arguments, checks, start values and formula.

A framework's class (in its folder's learned.py) lists the same arguments as its fields, makes a parameter of each value
in `_start()`, and calls `_evaluate` with x and the parameters.
"""

import dataclasses
import math
import numbers
from typing import Any, ClassVar, cast

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

import jaxact
from jaxact.core import numerics
from jaxact.core.checks import canonical_axes, widen
from jaxact.functions.rational import APPROXIMATIONS


class Learned:
    """A module with learned parameters of the type `param_dtype`."""

    param_dtype: DTypeLike

    _where: ClassVar[str]
    """The name that the framework's modules are imported from."""
    _positive: ClassVar[tuple[str, ...]] = ()
    """The arguments that have to be positive."""

    def _start(self) -> dict[str, Array]:
        """The learned parameters before training, by name."""
        raise NotImplementedError

    @property
    def _who(self) -> str:
        """How errors name this class."""
        return f"{self._where}.{type(self).__name__}"

    def _check(self) -> None:
        """Raise an error if an argument is wrong: ints that count are 1 or more, floats finite."""
        for field in dataclasses.fields(cast(Any, self)):
            name = field.name
            value: Any = getattr(self, name, None)
            if field.type is int and not isinstance(value, numbers.Integral):
                hint = "start values are called ..._init" if name.startswith("num_") else "name the axis by its number"
                raise TypeError(f"{self._who}: expected {name} to be an int, got {value!r}; {hint}")
            if field.type is int and name.startswith("num_") and value < 1:
                raise ValueError(f"{self._who}: expected {name} >= 1, got {value}; 1 means one value for all channels")
            if field.type is float and not isinstance(value, numbers.Real):
                raise TypeError(f"{self._who}: expected {name} to be a number, got {value!r}; {field.default} is usual")
            if field.type is float and not math.isfinite(value):
                raise ValueError(f"{self._who}: expected a finite {name}, got {value!r}; {field.default} is usual")
            if name in self._positive and not float(value) > 0:
                raise ValueError(f"{self._who}: expected {name} > 0, got {value!r}; {field.default} is usual")
        try:
            dtype = jnp.dtype(self.param_dtype)
        except TypeError:
            dtype = None
        if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"{self._who}: expected param_dtype to be a float type, got {self.param_dtype!r}; jax.numpy.float32 is "
                "usual"
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


class Channelwise(Learned):
    """Parameters that are one number or one a channel."""

    num_parameters: int
    axis: int

    def _full(self, value: float) -> Array:
        return jnp.full(() if self.num_parameters == 1 else (self.num_parameters,), value, self.param_dtype)

    def _lift(self, x: ArrayLike, *parameters: Array) -> list[Array]:
        return list(parameters) if self.num_parameters == 1 else self._lifted(x, self.axis, *parameters)


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

    negative_slope_init: float

    def _start(self) -> dict[str, Array]:
        return {"negative_slope": self._full(self.negative_slope_init)}

    def _evaluate(self, x: ArrayLike, negative_slope: Array) -> Array:
        return jaxact.prelu(x, *self._lift(x, negative_slope))


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

    beta_init: float

    def _start(self) -> dict[str, Array]:
        return {"beta": self._full(self.beta_init)}

    def _evaluate(self, x: ArrayLike, beta: Array) -> Array:
        (beta,) = self._lift(x, beta)
        return jaxact.silu(x, beta=beta)


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

    alpha_init: float

    def _start(self) -> dict[str, Array]:
        return {"alpha": self._full(self.alpha_init)}

    def _evaluate(self, x: ArrayLike, alpha: Array) -> Array:
        return jaxact.snake(x, *self._lift(x, alpha))


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

    alpha_init: float
    beta_init: float

    _positive: ClassVar[tuple[str, ...]] = ("alpha_init", "beta_init")

    def _start(self) -> dict[str, Array]:
        return {"log_alpha": self._full(math.log(self.alpha_init)), "log_beta": self._full(math.log(self.beta_init))}

    def _evaluate(self, x: ArrayLike, log_alpha: Array, log_beta: Array) -> Array:
        log_alpha, log_beta = self._lift(x, log_alpha, log_beta)
        # exp underflows to 0 at -88, which is no amplitude to divide by
        return jaxact.snake_beta(x, jnp.exp(widen(log_alpha)), jnp.exp(jnp.maximum(widen(log_beta), -80)))


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

    scale_init: float
    bias_init: float

    def _start(self) -> dict[str, Array]:
        return {"scale": self._full(self.scale_init), "bias": self._full(self.bias_init)}

    def _evaluate(self, x: ArrayLike, scale: Array, bias: Array) -> Array:
        return jaxact.star_relu(x, *self._lift(x, scale, bias))


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

    alpha_p_init: float
    alpha_n_init: float
    beta: float

    _positive: ClassVar[tuple[str, ...]] = ("alpha_p_init",)

    def _check(self) -> None:
        super()._check()
        if not self.alpha_n_init > self.beta:
            raise ValueError(
                f"{self._who}: expected alpha_n_init > beta = {self.beta}, got {self.alpha_n_init!r}; 0.8 is usual"
            )

    def _start(self) -> dict[str, Array]:
        def raw(a: float) -> Array:
            return self._full(a + math.log(-math.expm1(-a)))

        return {"raw_alpha_p": raw(self.alpha_p_init), "raw_alpha_n": raw(self.alpha_n_init - self.beta)}

    def _evaluate(self, x: ArrayLike, raw_alpha_p: Array, raw_alpha_n: Array) -> Array:
        p, n = self._lift(x, numerics.softplus(widen(raw_alpha_p)), numerics.softplus(widen(raw_alpha_n)))
        return jaxact.xielu(x, p, self.beta + n, self.beta)


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

    num_heads: int
    sink_init: float
    axis: int
    head_axis: int

    def _start(self) -> dict[str, Array]:
        shape = () if self.num_heads == 1 else (self.num_heads,)
        return {"sink": jnp.full(shape, self.sink_init, self.param_dtype)}

    def _evaluate(self, x: ArrayLike, sink: Array, *, where: ArrayLike | None = None) -> Array:
        (sink,) = self._lifted(x, self.head_axis, sink) if self.num_heads > 1 else (sink,)
        return jaxact.softmax(x, self.axis, where, sink=sink)


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

    approximates: str

    def _check(self) -> None:
        super()._check()
        if self.approximates not in APPROXIMATIONS:
            known = " or ".join(f'"{name}"' for name in APPROXIMATIONS)
            raise ValueError(
                f"{self._who}: expected approximates to be {known}, got {self.approximates!r}; or set the coefficients"
            )

    def _start(self) -> dict[str, Array]:
        numerator, denominator = (jnp.asarray(c, self.param_dtype) for c in APPROXIMATIONS[self.approximates])
        return {"numerator": numerator, "denominator": denominator}

    def _evaluate(self, x: ArrayLike, numerator: Array, denominator: Array) -> Array:
        return jaxact.rational(x, numerator, denominator)


class _Scaled(Learned):
    """One alpha, and for each channel a gamma and a beta."""

    num_features: int
    alpha_init: float
    axis: int

    def _start(self) -> dict[str, Array]:
        return {
            "alpha": jnp.full((), self.alpha_init, self.param_dtype),
            "gamma": jnp.ones(self.num_features, self.param_dtype),
            "beta": jnp.zeros(self.num_features, self.param_dtype),
        }


class DyT(_Scaled):
    """Dynamic tanh: gamma * tanh(alpha x) + beta, in place of a normalisation.

    The learned parameters are called `alpha`, one number, and `gamma` and `beta`, of shape (num_features,); PyTorch's
    code of the paper calls the latter two weight and bias. The backward pass keeps x.

    Args:
      num_features: the number of channels.
      alpha_init: alpha before training. gamma starts at 1, beta at 0.
      axis: the axis of the channels.
      param_dtype: the type of the parameters.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_features is under 1 or alpha_init not finite; at the call, x has another number of channels or no
        such axis.

    Reference: Zhu et al. 2025, arXiv:2503.10622.

    The function is `jaxact.dyt`.
    """

    def _evaluate(self, x: ArrayLike, alpha: Array, gamma: Array, beta: Array) -> Array:
        return jaxact.dyt(x, *self._lifted(x, self.axis, alpha, gamma, beta))


class Derf(_Scaled):
    """Dynamic erf: gamma * erf(alpha x + shift) + beta, in place of a normalisation.

    The learned parameters are called `alpha` and `shift`, one number each, and `gamma` and `beta`, of shape
    (num_features,). The backward pass keeps x.

    Args:
      num_features: the number of channels.
      alpha_init: alpha before training. gamma starts at 1, shift and beta at 0.
      axis: the axis of the channels.
      param_dtype: the type of the parameters.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: num_features is under 1 or alpha_init not finite; at the call, x has another number of channels or no
        such axis.

    Reference: Chen et al. 2025, arXiv:2512.10938.

    The function is `jaxact.derf`.
    """

    def _start(self) -> dict[str, Array]:
        return {**super()._start(), "shift": jnp.zeros((), self.param_dtype)}

    def _evaluate(self, x: ArrayLike, alpha: Array, shift: Array, gamma: Array, beta: Array) -> Array:
        return jaxact.derf(x, *self._lifted(x, self.axis, alpha, shift, gamma, beta))


class PolyNorm(Learned):
    """Polynomial of normalised powers: sum_i weight_i x^i / sqrt(mean(x^(2 i)) + eps) + bias, i = 1, 2, 3.

    The mean is along `axis`. The learned parameters are called `weight`, of shape (3,), lowest power first (the paper's
    code stores the highest first), and `bias`, one number. 16-bit input is computed in float32. The backward pass keeps
    x.

    Args:
      eps: positive number that keeps the root from 0.
      axis: the axis of the means.
      param_dtype: the type of the parameters. The weights start at 1/3, the bias at 0.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: eps is not positive and finite; at the call, x has no such axis.

    Reference: Zhuo et al. 2024, arXiv:2411.03884.

    The function is `jaxact.poly_norm`.
    """

    eps: float
    axis: int

    _positive: ClassVar[tuple[str, ...]] = ("eps",)

    def _start(self) -> dict[str, Array]:
        return {"weight": jnp.full(3, 1 / 3, self.param_dtype), "bias": jnp.zeros((), self.param_dtype)}

    def _evaluate(self, x: ArrayLike, weight: Array, bias: Array) -> Array:
        return jaxact.poly_norm(x, weight, bias, self.eps, self.axis)
