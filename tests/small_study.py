"""Studies that compile in a second, for what the trainer does with any study: three layers in plain JAX."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

from jaxact.compare import Stateful, Study

X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
Y = X[:, :3].argmax(1)


def momentum(rate: Any) -> optax.GradientTransformation:
    """What has a state, and compiles sooner than Adam."""
    return optax.sgd(rate, momentum=0.9)


ARRAYS: dict[str, Any] = {
    "batches": (X, Y), "held_out": (X[:11], Y[:11]), "batch_size": 8, "steps": 3, "optimizer": momentum
}  # fmt: skip


def cross_entropy(logits: jax.Array, batch: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch[1]).mean()
    return loss, {"accuracy": (logits.argmax(-1) == batch[1]).mean()}


def make(activation: Callable[[Any], Any], *, width: int = 8) -> Study:
    """Without any state but the optimizer's."""

    def init(key: jax.Array) -> list[np.ndarray]:
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        return [rng.normal(size=size).astype(np.float32) / 2 for size in ((4, width), (width, width), (width, 3))]

    def loss(weights: Any, batch: Any) -> Any:
        x = batch[0]
        for number, weight in enumerate(weights[:-1], start=1):
            with jax.named_scope(f"layer {number}"):
                x = activation(x @ weight)
        return cross_entropy(x @ weights[-1], batch)

    return Study(
        name="small", init=init, loss=loss, learning_rate=0.03, higher_is_better=("accuracy",),
        chance={"accuracy": 1 / 3}, **ARRAYS,
    )  # fmt: skip


def stateful(activation: Callable[[Any], Any]) -> Study:
    """Random in training, by the step's key and by a key of the model's own; evaluated with an average over batches."""
    study = make(activation)

    def init(key: jax.Array) -> Stateful:
        return Stateful(study.init(key), {"key": key, "average": np.zeros(4, np.float32)})

    def loss(variables: Any, batch: Any, key: Any = None) -> Any:
        (x, y), average, bits = batch, variables.state["average"], jax.random.key_data(variables.state["key"])
        if key is not None:
            noise = bits[-1] % 64 + jax.random.key_data(key)[-1] % 64
            x = x + noise / 256
            average = 0.5 * average + 0.5 * x.mean(0)
        after = {"key": jax.random.wrap_key_data(bits + 1), "average": average}
        return *study.loss(variables.parameters, (x - average, y)), after

    return dataclasses.replace(study, init=init, loss=loss)
