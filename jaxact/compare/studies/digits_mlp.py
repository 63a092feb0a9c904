"""Digits, and a multilayer perceptron: plain, with BatchNorm before each activation, or with residual branches."""

import itertools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import optax
from jax import Array

from jaxact.compare.adapters import Stateful
from jaxact.compare.errors import invalid
from jaxact.compare.studies import data, theory
from jaxact.compare.study import Study

Kind = Literal["plain", "batch_norm", "residual"]
MOMENTUM, EPSILON = 0.9, 1e-5  # BatchNorm's


class Layer(NamedTuple):
    """An affine map, x @ weight + bias, and the other parameters of a hidden layer."""

    weight: Any
    bias: Any
    activation: Any = None
    """A module that learns something, such as PReLU; it is a pytree too."""
    scale: Any = None
    """BatchNorm's."""


def make(
    activation: Callable[[Array], Array],
    *,
    depth: int = 16,
    width: int = 64,
    init: theory.Init = "matched",
    kind: Kind = "plain",
) -> Study:
    """Make the study.

    Args:
      activation: elementwise, a function or a module.
      depth: Hidden layers.
      width: Units in each hidden layer.
      init: Variance of the initial weights. matched: gain^2/fan_in with the activation's own gain
        (jaxact.propagation.gain), and 1/fan_in in the first layer; orthogonal: the same with orthogonal matrices; he:
        2/fan_in; glorot: 2/(fan_in + fan_out); lecun: 1/fan_in; naive: 0.05^2 in every layer. Biases start at 0.
      kind: plain; batch_norm: with BatchNorm before each activation; residual: each layer but the first adds to its
        input.
    """
    activation = theory.elementwise(activation)
    digits = data.digits()
    if min(depth, width) < 1:
        raise invalid("depth and width to be at least 1", f"{depth} and {width}", "choose others")
    sizes = [digits.train.x.shape[1], *[width] * depth, digits.classes]
    deviations = theory.deviations(activation, init, sizes)
    learns = all(hasattr(leaf, "dtype") for leaf in jax.tree.leaves(activation))

    def initial(key: Array) -> list[Layer] | Stateful:
        # NumPy gives the same weights everywhere and compiles nothing; jax.random takes 3 s per layer shape on a CPU.
        rng = np.random.default_rng(int(jax.random.key_data(key)[-1]))
        layers = []
        for (fan_in, fan_out), deviation in zip(itertools.pairwise(sizes), deviations, strict=True):
            draws = rng.normal(size=(fan_in, fan_out))
            weight = deviation * (theory.orthogonal(draws) if init == "orthogonal" else draws)
            layers.append(Layer(weight.astype(np.float32), np.zeros(fan_out, np.float32)))
        extra = {"activation": activation if learns else None}
        extra |= {"scale": np.ones(width, np.float32)} if kind == "batch_norm" else {}
        layers = [layer._replace(**extra) for layer in layers[:-1]] + layers[-1:]
        averages = [(np.zeros(width, np.float32), np.ones(width, np.float32))] * depth
        return Stateful(layers, averages) if kind == "batch_norm" else layers

    def loss(variables: Any, batch: data.Split, key: Array | None = None) -> Any:
        (*hidden, readout), averages = variables if kind == "batch_norm" else (variables, [None] * depth)
        x, after = batch.x, []
        for number, (layer, average) in enumerate(zip(hidden, averages, strict=True), start=1):
            with jax.named_scope(f"layer {number}"):  # what findings call it
                z = x @ layer.weight + layer.bias[None]
                if average is not None:
                    z, average = normalised(z, average, train=key is not None)
                    z, after = z * layer.scale[None], [*after, average]
                y = (layer.activation or activation)(z)
                x = x + y if kind == "residual" and number > 1 else y
        logits = x @ readout.weight + readout.bias[None]
        value = optax.softmax_cross_entropy_with_integer_labels(logits, batch.y).mean()
        metrics = {"accuracy": (logits.argmax(-1) == batch.y).mean()}
        return (value, metrics, after) if kind == "batch_norm" else (value, metrics)

    return Study(
        name="digits-mlp",
        init=initial,
        loss=loss,
        batches=digits.train,
        held_out=digits.held_out,
        higher_is_better=("accuracy",),
        chance={"accuracy": 1 / digits.classes},
        nouns={"examples": "images", "loss": "cross-entropy"},
        setting=f"Digits, {depth} hidden layer{'s' * (depth > 1)} of {width}"
        + {"plain": "", "batch_norm": " with BatchNorm", "residual": ", residual"}[kind]
        + f", {init} initialisation",
        predicted=theory.predict(activation, deviations, width, digits.train.x) if kind == "plain" else {},
    )


def normalised(z: Array, average: tuple[Array, Array], train: bool) -> tuple[Array, tuple[Array, Array]]:
    """BatchNorm without scale and offset, with the batch's moments in training, and with their averages otherwise."""
    moments = (z.mean(0), z.var(0)) if train else average
    after = jax.tree.map(lambda old, new: MOMENTUM * old + (1 - MOMENTUM) * new, average, moments)
    return (z - moments[0][None]) * jax.lax.rsqrt(moments[1] + EPSILON)[None], after if train else average
