"""NNX modules that belong to no single function."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import ArrayLike, DTypeLike

import jaxact
from jaxact.modules.images import softmax2d
from jaxact.modules.nnx.base import Module
from jaxact.modules.units import gated_width, unit_of

__all__ = ["Activation", "GatedMLP", "Softmax2d"]

_KERNEL_INIT = nnx.initializers.lecun_normal()


@dataclasses.dataclass(eq=False, repr=False)
class Activation(Module):
    """A module for a function that has no class here, such as a registered, a compact or a transformed one.

    Args:
      function: a function of one array, or of gate and value. It is static, and functions from `jaxact.get` are equal
        where their configs are.
    """

    function: Callable[..., Array]

    @property
    def config(self) -> dict[str, Any]:
        """What `jaxact.config` says of the function."""
        return jaxact.config(self.function)

    def __call__(self, *arrays: ArrayLike, **arguments: Any) -> Array:
        return self.function(*arrays, **arguments)


class GatedMLP(Module):
    """Gated feed-forward layer: down_proj(unit(gate_proj(x), up_proj(x))), as in Llama (SwiGLU) and Gemma (GEGLU).

    Args:
      in_features: the width of the input.
      hidden_features: the hidden width; by default 2/3 of 4 times the input's, rounded up to a multiple of 8.
      out_features: the width of the output; by default the input's.
      activation: the unit, or the function of the gate: a name or config for `jaxact.get`, or a function. "swiglu" and
        "silu" are the same.
      use_bias: whether the projections have a bias.
      remat: whether the backward pass computes the unit again. With it the layer keeps gate and value; without it the
        layer also keeps the unit's result, which down_proj's gradient needs.
      dtype: the type to compute in, as for `nnx.Linear`.
      param_dtype: the type of the parameters.
      kernel_init: the initialiser of the three kernels.
      rngs: where the keys of the kernels come from.

    Reference: Shazeer 2020, arXiv:2002.05202, whose hidden width is 2/3 of 4 times the input's.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int | None = None,
        out_features: int | None = None,
        *,
        activation: str | Mapping[str, Any] | Callable[..., Array] = "swiglu",
        use_bias: bool = False,
        remat: bool = False,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        kernel_init: Callable[..., Any] = _KERNEL_INIT,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features or in_features
        self.hidden_features = hidden_features or gated_width(in_features)
        self.activation, self.remat = unit_of(activation), remat

        def linear(width: int, out: int) -> nnx.Linear:
            return nnx.Linear(
                width,
                out,
                use_bias=use_bias,
                dtype=dtype,
                param_dtype=param_dtype,
                kernel_init=kernel_init,
                rngs=rngs,
            )

        self.gate_proj = linear(in_features, self.hidden_features)
        self.up_proj = linear(in_features, self.hidden_features)
        self.down_proj = linear(self.hidden_features, self.out_features)

    def __call__(self, x: Array) -> Array:
        def down(gate: Array, value: Array) -> Array:
            return self.down_proj(self.activation(gate, value))

        return (jax.checkpoint(down, prevent_cse=False) if self.remat else down)(self.gate_proj(x), self.up_proj(x))


@dataclasses.dataclass(eq=False, repr=False)
class Softmax2d(Module):
    """Softmax over the channels of an image, for input of shape (N, C, H, W) or (C, H, W).

    With channels last, `Softmax()` does the same. The function is `jaxact.softmax` with axis=-3.

    Raises:
      ValueError: the input has neither 3 nor 4 axes, or `where` does not broadcast.

    Reference: torch.nn.Softmax2d.
    """

    def __call__(self, x: ArrayLike, *, where: ArrayLike | None = None) -> Array:
        return softmax2d(x, where)
