"""A user's file: a convolutional network with BatchNorm and Dropout on scikit-learn's images."""

import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits

from jaxact.compare import Study


class Network(nnx.Module):
    def __init__(self, activation, rngs):
        self.conv = nnx.Conv(1, 4, (3, 3), strides=2, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.activation = activation
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.hidden = nnx.Linear(64, 16, rngs=rngs)
        self.readout = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, x):
        x = self.activation(self.norm(self.conv(x)))
        x = self.dropout(x.reshape(len(x), -1))
        return self.readout(self.activation(self.hidden(x)))


def loss(model, batch):
    x, y = batch
    logits = model(x)
    metrics = {"accuracy": (logits.argmax(-1) == y).mean()}
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), metrics


def make(activation):
    images, y = load_digits().images.astype(np.float32)[..., None] / 16, load_digits().target
    return Study.nnx(
        lambda rngs: Network(activation, rngs),
        loss, name="digits of mine", batches=(images[:1200], y[:1200]), held_out=(images[1200:], y[1200:]),
        batch_size=64, steps=20, higher_is_better=("accuracy",), chance={"accuracy": 0.1},
    )  # fmt: skip
