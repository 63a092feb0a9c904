"""The network that is compared, and what is measured in it. Everything here is for one seed; the trainer vmaps it."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

Activation = Callable[[Array], Array]

VARIANCES: dict[str, Callable[[int, int], float]] = {
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}
"""Of the initial weights. He et al. 2015, arXiv:1502.01852; Glorot & Bengio 2010; LeCun et al. 1998."""


class Layer(NamedTuple):
    """An affine map, x @ weight + bias."""

    weight: Any
    bias: Any


# A list and not one stacked array: optimizers that treat each array by itself (lamb, lars, adafactor, ...) then see the
# layers that there are. Unrolled it also compiles faster on CPU than a scan over 16 layers.
Parameters = list[Layer]


class Flow(NamedTuple):
    """What is measured in each hidden layer, first layer first; each array is (depth,)."""

    gradient_norm: Array
    """Euclidean norm of d (mean loss of the batch) / d (the layer's output), over the batch and the units."""
    weight_gradient_norm: Array
    """Euclidean norm of the same loss's gradient with respect to the layer's weights."""
    preactivation_mean: Array
    preactivation_std: Array
    zero_share: Array
    """Share of outputs, over the batch and the units, that are exactly zero."""
    dead_share: Array
    """Share of units that are exactly zero for every held-out example."""


class Measurement(NamedTuple):
    """All that is measured of one network at one step. The flow is that of the batch that the step trains on."""

    train_loss: Array
    loss: Array
    accuracy: Array
    flow: Flow


def init(seed: int, sizes: Sequence[int], scheme: str) -> list[Layer]:
    """Draw normal weights, layer by layer, and zero biases, as float32 NumPy arrays.

    NumPy gives the same weights on every platform, and compiles nothing: jax.random takes 3 s a layer shape on CPU.

    Args:
      seed: of the network.
      sizes: features, units of each hidden layer, classes.
      scheme: a key of `VARIANCES`.
    """
    rng = np.random.default_rng(seed)
    layers = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        deviation = math.sqrt(VARIANCES[scheme](fan_in, fan_out))
        weight = rng.normal(scale=deviation, size=(fan_in, fan_out))
        layers.append(Layer(weight.astype(np.float32), np.zeros(fan_out, np.float32)))
    return layers


def forward(
    activation: Activation, parameters: Parameters, x: Array, probes: Sequence[Array] | None = None
) -> tuple[Array, list[Array]]:
    """Apply the network to a batch.

    Args:
      activation: of the hidden layers.
      parameters: the hidden layers and the linear readout.
      x: (batch, features).
      probes: zeros to add to the hidden layers' outputs; the loss's gradient by them is its gradient by the outputs.

    Returns:
      Logits (batch, classes) and the hidden layers' pre-activations, (batch, width) each.
    """
    *hidden, readout = parameters
    preactivations = []
    for index, layer in enumerate(hidden):
        preactivations.append(x @ layer.weight + layer.bias[None])
        x = activation(preactivations[-1])
        if probes is not None:
            x = x + probes[index]
    return x @ readout.weight + readout.bias[None], preactivations


def mean_loss(
    activation: Activation, parameters: Parameters, x: Array, y: Array, probes: Sequence[Array] | None = None
) -> tuple[Array, tuple[Array, list[Array]]]:
    """Return the mean cross-entropy of a batch, and with it what `forward` returns."""
    logits, preactivations = forward(activation, parameters, x, probes)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), (logits, preactivations)


def measure(
    activation: Activation, parameters: Parameters, batch: tuple[Array, Array], held_out: tuple[Array, Array]
) -> Measurement:
    """Measure gradient flow on a training batch, and loss, accuracy and dead units on the held-out examples."""
    x, y = batch
    *hidden, _ = parameters
    probes = [jnp.zeros((x.shape[0], layer.bias.size), jnp.float32) for layer in hidden]
    (train_loss, (_, inner)), (gradients, output_gradients) = jax.value_and_grad(
        mean_loss, argnums=(1, 4), has_aux=True
    )(activation, parameters, x, y, probes)
    loss, (logits, inner_held_out) = mean_loss(activation, parameters, *held_out)
    z = jnp.stack(inner)
    return Measurement(
        train_loss=train_loss,
        loss=loss,
        accuracy=(logits.argmax(-1) == held_out[1]).mean(),
        flow=Flow(
            gradient_norm=jnp.stack([jnp.linalg.norm(g) for g in output_gradients]),
            weight_gradient_norm=jnp.stack([jnp.linalg.norm(g.weight) for g in gradients[:-1]]),
            preactivation_mean=z.mean((1, 2)),
            preactivation_std=z.std((1, 2)),
            zero_share=(activation(z) == 0).mean((1, 2)),
            dead_share=(activation(jnp.stack(inner_held_out)) == 0).all(1).mean(1),
        ),
    )
