"""Train a small network on handwritten digits with jaxact, Flax NNX and Optax: python examples/train_digits.py."""

import argparse

import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import jaxact
from jaxact.nnx import PReLU


class Network(nnx.Module):
    """Two hidden layers, one with a function and one with a module that learns its slope."""

    def __init__(self, rngs: nnx.Rngs):
        self.first = nnx.Linear(64, 128, rngs=rngs)
        self.second = nnx.Linear(128, 128, rngs=rngs)
        self.prelu = PReLU()
        self.readout = nnx.Linear(128, 10, rngs=rngs)

    def __call__(self, x):
        """Map (batch, 64) images to (batch, 10) logits."""
        x = jaxact.gelu(self.first(x))
        x = self.prelu(self.second(x))
        return self.readout(x)


def loss_of(model, x, y):
    """Mean cross-entropy of a batch."""
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()


@nnx.jit
def train_step(model, optimizer, x, y):
    """Update the model in place and return the loss before."""
    loss, gradient = nnx.value_and_grad(loss_of)(model, x, y)
    optimizer.update(model, gradient)
    return loss


def main():
    """Train, and print what is learned."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 epochs instead of 20: to see that it runs")
    epochs = 3 if parser.parse_args().quick else 20

    images, labels = load_digits(return_X_y=True)
    images = (images / 8 - 1).astype(np.float32)  # pixels are 0 to 16
    x, x_held_out, y, y_held_out = train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=0)

    model = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    rng = np.random.default_rng(0)
    for epoch in range(1, epochs + 1):
        losses = []
        for batch in np.array_split(rng.permutation(len(x))[:1344], 21):  # 21 batches of 64
            losses.append(train_step(model, optimizer, x[batch], y[batch]))
        accuracy = jnp.mean(model(x_held_out).argmax(-1) == y_held_out)
        print(f"epoch {epoch:2}  loss {jnp.mean(jnp.stack(losses)):.3f}  held-out accuracy {accuracy:.1%}")
    print(f"learned slope of PReLU: {float(model.prelu.negative_slope[...].mean()):.3f}")


if __name__ == "__main__":
    main()
