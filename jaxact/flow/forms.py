"""The ways to write activations: those of jax.nn, and those by hand. `recognise` traces these and compares."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array, lax, nn


@dataclasses.dataclass(frozen=True, kw_only=True)
class Form:
    """One way to write an activation."""

    name: str
    """Its name in jaxact."""
    write: Callable[..., Array]
    """A function of x and the parameters."""
    parameters: tuple[str, ...] = ()
    """Names of the arguments after x, as jaxact's function calls them."""
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Parameters that this form has a value for."""
    by_hand: bool = False
    """Whether only users write it. Libraries use the same equations for other things: `maximum(variance, 0)`."""
    same_slope: bool = True
    """Whether its derivative equals jaxact's everywhere, also at kinks."""
    reduces: bool = False
    """Whether it sums an axis away."""
    joined: bool = False
    """Whether it is an activation together with the product or square after it."""


def _logsumexp(*names: str) -> Callable[..., Array]:
    return lambda x, *others: nn.logsumexp(x, axis=-1, **dict(zip(names, others, strict=True)))


def _of_jax() -> list[Form]:
    names = (
        "relu", "relu6", "softplus", "sparse_plus", "soft_sign", "silu", "mish", "log_sigmoid", "hard_tanh", "selu",
        "hard_sigmoid", "hard_silu", "sparse_sigmoid", "sigmoid", "glu", "softmax", "log_softmax",
    )  # fmt: skip
    return [
        Form(name="gelu", write=functools.partial(nn.gelu, approximate=True), fixed={"approximate": True}),
        Form(name="gelu", write=functools.partial(nn.gelu, approximate=False), fixed={"approximate": False}),
        Form(name="elu", write=nn.elu, parameters=("alpha",)),
        Form(name="celu", write=nn.celu, parameters=("alpha",)),
        Form(name="leaky_relu", write=nn.leaky_relu, parameters=("negative_slope",)),
        Form(name="squareplus", write=nn.squareplus, parameters=("b",)),
        *(Form(name=name, write=getattr(nn, name)) for name in names),
        Form(name="softmax", write=lambda x, where: nn.softmax(x, where=where), parameters=("where",)),
        Form(name="log_softmax", write=lambda x, where: nn.log_softmax(x, where=where), parameters=("where",)),
        *(
            Form(name="logsumexp", write=_logsumexp(*names), parameters=names, reduces=True)
            for names in ((), ("where",), ("b",), ("b", "where"))
        ),
        Form(name="tanh", write=jnp.tanh),
    ]


_ROOT = math.sqrt(2 / math.pi)


def _leaky(name: str, write: Callable[..., Array], same_slope: bool = False) -> Form:
    return Form(name=name, write=write, parameters=("negative_slope",), by_hand=True, same_slope=same_slope)


def _hand(name: str, *writes: Callable[..., Array], **facts: Any) -> list[Form]:
    return [Form(name=name, write=write, by_hand=True, **facts) for write in writes]


def _exponential_over_sum(x: Array) -> Array:
    e = jnp.exp(x)
    return e / jnp.sum(e, axis=-1, keepdims=True)


def _shifted(x: Array) -> Array:
    return x - jnp.max(x, axis=-1, keepdims=True)


def _by_hand() -> list[Form]:
    return [
        *_hand("relu", lambda x: jnp.maximum(x, 0), same_slope=False),
        *_hand("relu", lambda x: jnp.where(x >= 0, x, 0), same_slope=False),
        *_hand("relu", lambda x: jnp.where(x > 0, x, 0), lambda x: jnp.where(x <= 0, 0, x), lambda x: x * (x > 0)),
        _leaky("leaky_relu", lambda x, a: jnp.where(x >= 0, x, a * x), same_slope=True),
        _leaky("leaky_relu", lambda x, a: jnp.where(x < 0, a * x, x), same_slope=True),
        _leaky("leaky_relu", lambda x, a: jnp.where(x > 0, x, a * x)),
        _leaky("leaky_relu", lambda x, a: jnp.where(x <= 0, a * x, x)),
        *_hand(
            "gelu",
            lambda x: 0.5 * x * (1 + jnp.tanh(_ROOT * (x + 0.044715 * x**3))),
            lambda x: x * 0.5 * (1 + jnp.tanh(_ROOT * (x + 0.044715 * x * x * x))),
            lambda x: 0.5 * x * (1 + jnp.tanh(_ROOT * x * (1 + 0.044715 * x * x))),
            fixed={"approximate": True},
        ),
        *_hand(
            "gelu",
            lambda x: 0.5 * x * (1 + lax.erf(x / math.sqrt(2))),
            lambda x: x * (0.5 * (1 + lax.erf(x / math.sqrt(2)))),
            lambda x: 0.5 * x * (1 + lax.erf(x * math.sqrt(0.5))),
            fixed={"approximate": False},
        ),
        *_hand("quick_gelu", lambda x: x * nn.sigmoid(1.702 * x)),
        *_hand(
            "mish",
            lambda x: x * jnp.tanh(nn.softplus(x)),
            lambda x: x * jnp.tanh(jnp.log(1 + jnp.exp(x))),
            lambda x: x * jnp.tanh(jnp.log1p(jnp.exp(x))),
        ),
        *_hand("silu", lambda x: x * nn.sigmoid(x), lambda x: x / (1 + jnp.exp(-x)), fixed={}),
        *_hand("silu", lambda x, beta: x * nn.sigmoid(beta * x), parameters=("beta",)),
        *_hand("softplus", lambda x: jnp.log(1 + jnp.exp(x)), lambda x: jnp.log1p(jnp.exp(x))),
        *_hand("sigmoid", lambda x: 1 / (1 + jnp.exp(-x)), lambda x: lax.integer_pow(1 + jnp.exp(-x), -1)),
        *_hand(
            "softmax",
            lambda x: _exponential_over_sum(_shifted(x)),
            _exponential_over_sum,
        ),
    ]


def _all() -> list[Form]:
    def gated(name: str, f: Callable[[Array], Array], **fixed: Any) -> Form:
        return Form(
            name=name, write=lambda gate, value: f(gate) * value, parameters=("value",), fixed=fixed, joined=True
        )

    return [
        gated("swiglu", nn.silu),
        gated("geglu", functools.partial(nn.gelu, approximate=True), approximate=True),
        gated("geglu", functools.partial(nn.gelu, approximate=False), approximate=False),
        gated("reglu", nn.relu),
        Form(name="relu2", write=lambda x: jnp.square(nn.relu(x)), joined=True),
        Form(name="relu2", write=lambda x: lax.integer_pow(nn.relu(x), 2), joined=True),
        Form(name="relu2", write=lambda x: nn.relu(x) * nn.relu(x), joined=True),
        *_of_jax(),
        *_by_hand(),  # of which some are x * sigmoid(...) too
        gated("sigmoid_gate", nn.sigmoid),
    ]


FORMS = tuple(_all())
"""Larger forms come before those that they contain."""
