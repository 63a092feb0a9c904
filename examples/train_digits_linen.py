"""Train a small network on digits with jaxact, Flax Linen and Optax: python examples/train_digits_linen.py."""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import jaxact
from jaxact.linen import PReLU


class Network(nn.Module):
    """Two hidden layers, one with a function and one with a module that learns its slope."""

    @nn.compact
    def __call__(self, x):
        """Map (batch, 64) images to (batch, 10) logits."""
        x = jaxact.gelu(nn.Dense(128)(x))
        x = PReLU(name="prelu")(nn.Dense(128)(x))
        return nn.Dense(10)(x)


@jax.jit
def train_step(state, x, y):
    """Return the updated state and the loss before."""

    def loss_of(params):
        logits = state.apply_fn(params, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    loss, gradient = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradient), loss


def main():
    """Train, and print what is learned."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 epochs instead of 20: to see that it runs")
    epochs = 3 if parser.parse_args().quick else 20

    images, labels = load_digits(return_X_y=True)
    images = (images / 8 - 1).astype(np.float32)  # pixels are 0 to 16
    x, x_held_out, y, y_held_out = train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=0)

    model = Network()
    params = model.init(jax.random.key(0), x[:1])
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))
    rng = np.random.default_rng(0)
    for epoch in range(1, epochs + 1):
        losses = []
        for batch in np.array_split(rng.permutation(len(x))[:1344], 21):  # 21 batches of 64
            state, loss = train_step(state, x[batch], y[batch])
            losses.append(loss)
        accuracy = jnp.mean(jnp.argmax(state.apply_fn(state.params, x_held_out), -1) == y_held_out)
        print(f"epoch {epoch:2}  loss {jnp.mean(jnp.stack(losses)):.3f}  held-out accuracy {accuracy:.1%}")
    print(f"learned slope of PReLU: {jax.tree.leaves(state.params['params']['prelu'])[0].mean():.3f}")


if __name__ == "__main__":
    main()
