"""Text, and a small transformer that compares feed-forward units, gated or not, with equal parameters.

Shazeer 2020, arXiv:2002.05202, did this with T5. A gated unit has three matrices, so it has two thirds of the hidden
units.
"""

import functools
import inspect
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from jaxact.compare.errors import invalid
from jaxact.compare.studies import data
from jaxact.compare.study import Study

HEADS = 4


class Block(nnx.Module):
    """Causal attention with four heads, then the feed-forward unit."""

    def __init__(self, activation: Callable[..., Array], width: int, rngs: nnx.Rngs):
        self.gated, self.pair = _kind(activation)
        self.activation = nnx.clone(activation) if isinstance(activation, nnx.Module) else activation
        linear = functools.partial(nnx.Linear, use_bias=False, rngs=rngs)
        self.before, self.between = nnx.RMSNorm(width, rngs=rngs), nnx.RMSNorm(width, rngs=rngs)
        self.qkv, self.out = linear(width, 3 * width), linear(width, width)
        up, down = (4, 2) if self.gated else (3, 3)
        self.up, self.down = linear(width, up * width), linear(down * width, width)

    def __call__(self, x: Array) -> Array:
        """Map (batch, context, width) to the same."""
        q, k, v = jnp.split(self.qkv(self.before(x)).reshape(*x.shape[:2], 3 * HEADS, -1), 3, axis=2)
        x = x + self.out(jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(x.shape))
        h = self.up(self.between(x))
        value, gate = jnp.split(h, 2, axis=-1)
        return x + self.down(self.activation(gate, value) if self.pair else self.activation(h))


class Transformer(nnx.Module):
    """Logits of the next character."""

    def __init__(
        self, activation: Callable[..., Array], width: int, depth: int, context: int, characters: int, rngs: nnx.Rngs
    ):
        self.embed, self.positions = nnx.Embed(characters, width, rngs=rngs), nnx.Embed(context, width, rngs=rngs)
        self.norm, self.readout = nnx.RMSNorm(width, rngs=rngs), nnx.Linear(width, characters, rngs=rngs)
        self.blocks = nnx.split_rngs(splits=depth)(nnx.vmap(lambda rngs: Block(activation, width, rngs)))(rngs)

    def __call__(self, tokens: Array) -> Array:
        """Map (batch, context) to (batch, context, characters)."""
        through = nnx.scan(nnx.remat(lambda block, x: block(x)), in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
        return self.readout(self.norm(through(self.blocks, self.embed(tokens) + self.positions.embedding[...])))


def loss(model: Transformer, rows: Array) -> Array:
    """Cross-entropy of each next character, in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(model(rows[:, :-1]), rows[:, 1:]).mean()


def make(activation: Callable[..., Array], *, depth: int = 2, width: int = 32, context: int = 32) -> Study:
    """Make the study.

    Args:
      activation: elementwise, or gated: a function of gate and value, or of one array with both.
      depth: Blocks.
      width: Width of the residual stream, which four heads share.
      context: Characters that the model sees at once.
    """
    if width % HEADS or min(width, depth, context) < 1:
        raise invalid(
            f"width to be a multiple of {HEADS}, depth and context at least 1",
            f"{width, depth, context}",
            "choose others",
        )
    text, size = data.documentation(), 8

    def batches(seed: int) -> Iterator[Array]:
        rng = np.random.default_rng(seed)
        while True:
            begin = rng.integers(0, len(text.train) - context, (size, 1))
            yield text.train[begin + np.arange(context + 1)]

    def rows(part: Array) -> Array:
        return part[: len(part) // (context + 1) * (context + 1)].reshape(-1, context + 1)

    return Study.nnx(
        lambda rngs: Transformer(activation, width, depth, context, len(text.characters), rngs),
        loss,
        name="text-transformer",
        batches=batches,
        held_out=rows(text.test),
        validation=rows(text.validation),
        held_out_batch=256,
        steps=160,
        learning_rate=1e-2,
        nouns={"examples": "passages", "loss": "nats a character"},
        setting=f"Python's documentation by characters, a transformer of {depth} blocks of {width}, "
        f"batches of {size} passages of {context}",
    )


def _kind(activation: Callable[..., Array]) -> tuple[bool, bool]:
    """Whether it is gated, and whether it takes gate and value apart."""
    first = list(inspect.signature(activation).parameters)[:2]
    if first == ["gate", "value"]:
        return True, True
    return jax.eval_shape(activation, jax.ShapeDtypeStruct((2, 4), jnp.float32)).shape == (2, 2), False
