"""The network that is compared, and what is measured in it. Everything here is for one seed; the trainer vmaps it."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jaxact import flow

Activation = Callable[[Array], Array]


class Layer(NamedTuple):
    """An affine map, x @ weight + bias."""

    weight: Any
    bias: Any


# A list and not one stacked array: optimizers that treat each array by itself (lamb, lars, adafactor, ...) then see the
# layers that there are. Unrolled it also compiles faster on CPU than a scan over 16 layers.
Parameters = list[Layer]


class Measurement(NamedTuple):
    """All that is measured of one network at one step."""

    train_loss: Array
    loss: Array
    accuracy: Array
    weight_gradient_norm: Array
    """Of each hidden layer, (depth,): Euclidean norm of the training batch's gradient by the layer's weights."""
    dead_share: Array
    """Of each hidden layer, (depth,): share of units with |f'| < 1e-3 at every held-out example."""
    flow: flow.Flow
    """What `jaxact.flow.observe` sees of the batch that the step trains on: a site for each hidden layer."""


def init(seed: int, sizes: Sequence[int], deviations: Sequence[float]) -> list[Layer]:
    """Draw normal weights, layer by layer, and zero biases, as float32 NumPy arrays.

    NumPy gives the same weights on every platform, and compiles nothing: jax.random takes 3 s a layer shape on CPU.

    Args:
      seed: of the network.
      sizes: features, units of each hidden layer, classes.
      deviations: standard deviation of each layer's weights.
    """
    rng = np.random.default_rng(seed)
    layers = []
    for (fan_in, fan_out), deviation in zip(itertools.pairwise(sizes), deviations, strict=True):
        weight = deviation * rng.normal(size=(fan_in, fan_out))
        layers.append(Layer(weight.astype(np.float32), np.zeros(fan_out, np.float32)))
    return layers


def forward(activation: Activation, parameters: Parameters, x: Array) -> Array:
    """Apply the network to a batch.

    Args:
      activation: of the hidden layers.
      parameters: the hidden layers and the linear readout.
      x: (batch, features).

    Returns:
      Logits (batch, classes).
    """
    *hidden, readout = parameters
    for number, layer in enumerate(hidden, start=1):
        with jax.named_scope(f"layer {number}"):  # what findings call it
            x = activation(x @ layer.weight + layer.bias[None])
    return x @ readout.weight + readout.bias[None]


def mean_loss(activation: Activation, parameters: Parameters, x: Array, y: Array) -> tuple[Array, Array]:
    """Return the mean cross-entropy of a batch, and the logits."""
    logits = forward(activation, parameters, x)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), logits


def measure(
    activation: Activation, parameters: Parameters, batch: tuple[Array, Array], held_out: tuple[Array, Array]
) -> Measurement:
    """Measure gradient flow on a training batch, and loss, accuracy and dead units on the held-out examples."""
    observe = functools.partial(
        flow.observe,
        has_aux=True,
        select=lambda site: site.kind in ("pointwise", "tap"),  # not the loss's own log_softmax
    )
    ((train_loss, _), gradients), training_flow = observe(lambda p: mean_loss(activation, p, *batch))(parameters)
    # By the readout alone: no gradient then comes to the hidden layers, of which only the forward pass is asked for.
    *hidden, readout = parameters
    ((loss, logits), _), held_out_flow = observe(lambda last: mean_loss(activation, [*hidden, last], *held_out))(
        readout
    )
    return Measurement(
        train_loss=train_loss,
        loss=loss,
        accuracy=(logits.argmax(-1) == held_out[1]).mean(),
        weight_gradient_norm=jnp.stack([jnp.linalg.norm(g.weight) for g in gradients[:-1]]),
        # A tap, which stands for the identity, counts no slopes. All else that was seen of them is not computed.
        dead_share=jnp.stack([(s.get("fired", jnp.ones(1)) == 0).mean() for s in held_out_flow.statistics]),
        flow=training_flow,
    )
