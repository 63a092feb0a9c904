"""Digits as images, and a small convolutional network of residual blocks with BatchNorm, in Flax NNX."""

from collections.abc import Callable

import optax
from flax import nnx
from jax import Array

from jaxact.compare.studies import data
from jaxact.compare.study import Study


class Block(nnx.Module):
    """Two convolutions, each normalised and followed by the activation, added to the input."""

    def __init__(self, activation: Callable[[Array], Array], channels: int, rngs: nnx.Rngs):
        self.first = nnx.Conv(channels, channels, (3, 3), use_bias=False, rngs=rngs)
        self.second = nnx.Conv(channels, channels, (3, 3), use_bias=False, rngs=rngs)
        self.norms = nnx.List([nnx.BatchNorm(channels, momentum=0.9, rngs=rngs) for _ in range(2)])
        self.activations = nnx.List([own(activation) for _ in range(2)])

    def __call__(self, x: Array) -> Array:
        """Map (batch, height, width, channels) to the same."""
        y = self.activations[0](self.norms[0](self.first(x)))
        return self.activations[1](x + self.norms[1](self.second(y)))


class Network(nnx.Module):
    """A first convolution, the blocks, and a linear readout of their average output."""

    def __init__(self, activation: Callable[[Array], Array], depth: int, channels: int, rngs: nnx.Rngs):
        self.stem, self.activation = nnx.Conv(1, channels, (3, 3), rngs=rngs), own(activation)
        self.blocks = nnx.List([Block(activation, channels, rngs) for _ in range(depth)])
        self.readout = nnx.Linear(channels, 10, rngs=rngs)

    def __call__(self, images: Array) -> Array:
        """Map (batch, 8, 8, 1) to logits (batch, 10)."""
        x = self.activation(self.stem(images))
        for block in self.blocks:
            x = block(x)
        return self.readout(x.mean((1, 2)))


def own(activation: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Each layer gets its own module if the module learns something; a function is the same for all."""
    return nnx.clone(activation) if isinstance(activation, nnx.Module) else activation


def loss(model: Network, batch: data.Split) -> tuple[Array, dict[str, Array]]:
    """Cross-entropy, and accuracy."""
    logits = model(batch.x)
    accuracy = (logits.argmax(-1) == batch.y).mean()
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch.y).mean(), {"accuracy": accuracy}


def make(activation: Callable[[Array], Array], *, depth: int = 2, channels: int = 8) -> Study:
    """Make the study.

    Args:
      activation: elementwise, a function or an NNX module.
      depth: Residual blocks.
      channels: Channels of each convolution.
    """
    digits = data.digits()
    train, held_out = (data.Split(part.x.reshape(-1, 8, 8, 1), part.y) for part in (digits.train, digits.held_out))
    return Study.nnx(
        lambda rngs: Network(activation, depth, channels, rngs),
        loss,
        name="digits-cnn",
        batches=train,
        held_out=held_out,
        steps=200,
        higher_is_better=("accuracy",),
        chance={"accuracy": 0.1},
        nouns={"examples": "images", "loss": "cross-entropy"},
        setting=f"Digits, a convolutional network of {depth} residual blocks of {channels} channels with BatchNorm",
    )
