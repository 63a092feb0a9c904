"""Train 64 layers without normalisation or skips on digits: three activations, each with its initialisation.

Run: python examples/deep_plain_network.py [--quick] [--depth 64] [--out deep_plain_network.png]
Needs jaxact[compare]. Before each training it prints what theory says of the gradient, and then what was measured.
"""

import dataclasses
import functools
import math
import pathlib
import time
from collections.abc import Callable

import altair as alt
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from jax.nn.initializers import Initializer
from sklearn.datasets import load_digits

import jaxact
from chartfile import ChartFile
from jaxact import propagation

Params = dict[str, jax.Array]
Function = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Config(ChartFile):
    """A deep plain network on scikit-learn's 1,797 handwritten digits."""

    out: pathlib.Path = pathlib.Path("deep_plain_network.png")
    depth: int = 64
    """Hidden layers."""
    width: int = 128
    """Units a hidden layer."""
    steps: int = 300  # of Adam, batch 128
    learning_rates: tuple[float, ...] = (1e-3, 3e-4)
    """Each network is trained with each; the best test accuracy counts."""
    seed: int = 0
    quick: bool = False  # 40 steps at one learning rate and width 64: to see that it runs

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.depth - 1, self.width, self.steps, self.seed + 1, *self.learning_rates) <= 0:
            raise ValueError(f"expected numbers over 0, a depth of at least 2 and a seed of at least 0, got {self}")


def initial(key: jax.Array, config: Config, kernel_init: Initializer) -> Params:
    """First layer, `depth` hidden kernels stacked for scan, and last layer."""
    first, last, *hidden = jax.random.split(key, config.depth + 2)
    lecun, shape = jax.nn.initializers.lecun_normal(), (config.width, config.width)
    return {
        "first": lecun(first, (64, config.width)),
        "hidden": jnp.stack([kernel_init(k, shape) for k in hidden]),
        "bias": jnp.zeros((config.depth, config.width)),
        "last": lecun(last, (config.width, 10)),
    }


def apply(f: Function, params: Params, x: jax.Array, taps: jax.Array) -> jax.Array:
    """Logits. `taps`, zeros of (depth, batch, width), are added to the pre-activations, to differentiate in them."""
    h = x @ params["first"]

    def layer(h: jax.Array, p: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        kernel, bias, tap = p
        return f(h + tap) @ kernel + bias, None

    h, _ = jax.lax.scan(layer, h, (params["hidden"], params["bias"], taps))
    return f(h) @ params["last"]


def loss_of(f: Function, params: Params, taps: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean cross-entropy."""
    return optax.softmax_cross_entropy_with_integer_labels(apply(f, params, x, taps), y).mean()


def train(f: Function, params: Params, config: Config, rate: float, data: tuple[jax.Array, ...]) -> float:
    """Accuracy on the test digits after training; NaN if it diverged."""
    x, y, x_test, y_test = data
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))

    def step(carry: tuple, key: jax.Array) -> tuple[tuple, jax.Array]:
        params, state = carry
        rows = jax.random.choice(key, len(x), (128,), replace=False)
        taps = jnp.zeros((config.depth, 128, config.width))
        loss, grads = jax.value_and_grad(loss_of, argnums=1)(f, params, taps, x[rows], y[rows])
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(params, updates), state), loss

    keys = jax.random.split(jax.random.key(config.seed + 1), config.steps)
    (params, _), losses = jax.jit(lambda carry: jax.lax.scan(step, carry, keys))((params, optimizer.init(params)))
    logits = apply(f, params, x_test, jnp.zeros((config.depth, len(x_test), config.width)))
    return float(jnp.mean(logits.argmax(-1) == y_test)) if bool(jnp.isfinite(losses[-1])) else math.nan


def main(config: Config) -> None:
    """Train, print the table, draw the chart."""
    if config.quick:
        config = dataclasses.replace(config, steps=40, width=64, learning_rates=config.learning_rates[:1])
    digits, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(config.seed).permutation(len(labels))
    pixels = ((digits - digits.mean(0)) / (digits.std(0) + 1e-3))[order]
    x, y = jnp.asarray(pixels, jnp.float32), jnp.asarray(labels[order])
    data = (x[:1400], y[:1400], x[1400:], y[1400:])
    shaped = propagation.tat(jaxact.leaky_relu, config.depth + 1)
    # Activation, its kernels' initialiser, and sigma_w = sqrt(fan_in) times their standard deviation.
    networks: dict[str, tuple[Function, Initializer, float]] = {
        "sigmoid, N(0, 0.05)": (jaxact.sigmoid, jax.nn.initializers.normal(0.05), 0.05 * math.sqrt(config.width)),
        "relu, He": (jaxact.relu, propagation.init_for(jaxact.relu), propagation.gain(jaxact.relu)),
        "tat(leaky_relu), orthogonal": (shaped, propagation.init_for(shaped, distribution="orthogonal"), 1.0),
    }
    rows, accuracies = [], {}
    print(f"{'network':30s}{'d ln|grad| / layer: theory':>28s}{'measured':>10s}{'test accuracy':>15s}{'seconds':>9s}")
    for name, (f, kernel_init, sigma_w) in networks.items():
        start = time.perf_counter()
        params = initial(jax.random.key(config.seed), config, kernel_init)
        theory = propagation.signal(f, sigma_w, 0.0, config.depth, q=float(jnp.mean((x @ params["first"]) ** 2)))
        taps = jnp.zeros((config.depth, 128, config.width))
        cotangents = jax.jit(jax.grad(functools.partial(loss_of, f), argnums=1))(params, taps, x[:128], y[:128])
        norms = np.sqrt(np.mean(np.square(np.asarray(cotangents, np.float64)), axis=(1, 2)))
        # chi_l takes the gradient at layer l + 1 to that at l. Where sigmoid's underflows, nothing is compared.
        predicted = norms[-1] * np.exp(0.5 * np.append(np.cumsum(np.log(theory.chi[:-1])[::-1])[::-1], 0.0))
        seen = int(np.argmax(norms > 1e-30))
        measured, slope = (np.log(c[seen] / c[-1]) / (config.depth - 1 - seen) for c in (norms, predicted))
        accuracies[name] = max((train(f, params, config, r, data) for r in config.learning_rates), key=np.nan_to_num)
        numbers = f"{slope:28.3f}{measured:10.3f}{accuracies[name]:15.3f}{time.perf_counter() - start:9.1f}"
        print(f"{name:30s}{numbers}", flush=True)
        for source, curve in (("measured", norms), ("theory", predicted)):
            line = {"network": name, "source": source}
            rows += [line | {"layer": i + 1, "gradient": float(curve[i])} for i in range(seen, config.depth)]
    chart = alt.Chart(alt.Data(values=rows)).mark_line().encode(
        x=alt.X("layer:Q"), y=alt.Y("gradient:Q", scale=alt.Scale(type="log"), title="rms gradient"),
        color="network:N", strokeDash=alt.StrokeDash("source:N"),
    )  # fmt: skip
    config.save(chart.properties(width=560, height=320, title=f"{config.depth} plain layers at initialisation"))
    naive, he, tat = (f"{a:.1%}" for a in accuracies.values())
    print(
        f"\nLesson: depth multiplies: what one layer does to a gradient is done {config.depth} times. Test accuracy "
        f"after {config.steps} steps (chance is 10%): {naive} for sigmoid with naive weights, {he} for relu with He's, "
        f"whose inputs all come to look alike, and {tat} for tat(leaky_relu), which keeps gradients and differences."
    )


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
