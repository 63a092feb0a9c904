"""The network that is compared, and what is measured in it. Everything here is for one seed; the trainer vmaps it."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.nn import initializers

Activation = Callable[[Array], Array]

INITIALIZERS = {
    "he": initializers.he_normal(),
    "glorot": initializers.glorot_normal(),
    "lecun": initializers.lecun_normal(),
}


class Layer(NamedTuple):
    """An affine map, x @ weight + bias."""

    weight: Array
    bias: Array


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


@functools.partial(jax.jit, static_argnames=("fan_in", "fan_out", "init"))
def init_layer(seed: Array, index: Array, *, fan_in: int, fan_out: int, init: str) -> Layer:
    """Draw the weights of layer number `index`; the biases are zeros."""
    key = jax.random.fold_in(jax.random.key(seed), index)
    return Layer(INITIALIZERS[init](key, (fan_in, fan_out), jnp.float32), jnp.zeros(fan_out, jnp.float32))


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
    activation: Activation, parameters: Parameters, x: Array, y: Array, x_held_out: Array, y_held_out: Array
) -> Measurement:
    """Measure gradient flow on a training batch, and loss, accuracy and dead units on the held-out examples."""
    *hidden, _ = parameters
    probes = [jnp.zeros((x.shape[0], layer.bias.size), jnp.float32) for layer in hidden]
    (train_loss, (_, inner)), (gradients, output_gradients) = jax.value_and_grad(
        mean_loss, argnums=(1, 4), has_aux=True
    )(activation, parameters, x, y, probes)
    loss, (logits, inner_held_out) = mean_loss(activation, parameters, x_held_out, y_held_out)
    z = jnp.stack(inner)
    return Measurement(
        train_loss=train_loss,
        loss=loss,
        accuracy=(logits.argmax(-1) == y_held_out).mean(),
        flow=Flow(
            gradient_norm=jnp.stack([jnp.linalg.norm(g) for g in output_gradients]),
            weight_gradient_norm=jnp.stack([jnp.linalg.norm(g.weight) for g in gradients[:-1]]),
            preactivation_mean=z.mean((1, 2)),
            preactivation_std=z.std((1, 2)),
            zero_share=(activation(z) == 0).mean((1, 2)),
            dead_share=(activation(jnp.stack(inner_held_out)) == 0).all(1).mean(1),
        ),
    )
