"""An activation and its initialisation are a pair: what plain networks make of the right one and of three others.

    python examples/initialisation.py            16 layers, three seeds
    python examples/initialisation.py --quick    8 layers, one seed, ReLU only, fewer steps

Sigmoid, tanh, ReLU and SELU, each with weights from N(0, 0.05^2), LeCun's, He's, and those of
`propagation.init_for(f)`, which keep the signal's size through f: for ReLU they are He's, for SELU LeCun's. What is
measured is the gradient's norm at each layer before training, and the accuracy on held-out digits after it.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from flax import nnx
from jax import Array, lax
from jax.nn.initializers import Initializer, he_normal, lecun_normal, normal

import jaxact
from jaxact import flow, propagation
from jaxact.compare.chartfile import ChartFile
from jaxact.compare.studies.data import Task, digits

WIDTH = 64
Function = Callable[[Array], Array]
INITIALISERS: dict[str, Callable[[Function], Initializer]] = {
    "N(0, 0.05^2)": lambda f: normal(0.05),
    "LeCun": lambda f: lecun_normal(),
    "He": lambda f: he_normal(),
    "init_for": propagation.init_for,
}


@dataclasses.dataclass(frozen=True)
class Config(ChartFile):
    """Four activations with four initialisations each."""

    out: Path = Path("initialisation.png")
    quick: bool = False
    """Eight layers, one seed, ReLU only and a fifth of the steps."""
    seed: int = 0
    """Of the initial weights and the batches."""


class Network(nnx.Module):
    """Layers without normalisation or skips, in a stack that is scanned."""

    def __init__(self, f: Function, init: Initializer, depth: int, rngs: nnx.Rngs) -> None:
        @nnx.split_rngs(splits=depth)
        @nnx.vmap
        def stack(rngs: nnx.Rngs) -> nnx.Linear:
            return nnx.Linear(WIDTH, WIDTH, kernel_init=init, rngs=rngs)

        self.f, self.hidden = f, stack(rngs)
        self.first = nnx.Linear(64, WIDTH, rngs=rngs)
        self.last = nnx.Linear(WIDTH, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Map images to logits."""

        @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        def layers(x: Array, layer: nnx.Linear) -> Array:
            return layer(self.f(x))

        return self.last(self.f(layers(self.first(x), self.hidden)))


def experiment(graph: nnx.GraphDef, task: Task, steps: int, weights: nnx.State, key: Array) -> tuple[flow.Flow, Array]:
    """Observe the network at its start, train it, and return what was seen and the held-out accuracy."""
    optimizer = optax.adam(1e-3)

    def loss_of(weights: nnx.State, x: Array, y: Array) -> Array:
        return optax.softmax_cross_entropy_with_integer_labels(nnx.merge(graph, weights)(x), y).mean()

    def step(carry: Any, key: Array) -> tuple[Any, None]:
        weights, state = carry
        rows = jax.random.randint(key, (128,), 0, len(task.train.y))
        gradient = jax.grad(loss_of)(weights, task.train.x[rows], task.train.y[rows])
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(weights, updates), state), None

    observed = flow.observe(loss_of, select=lambda site: site.kind == "pointwise")
    _, seen = observed(weights, task.train.x[:128], task.train.y[:128])
    (weights, _), _ = lax.scan(step, (weights, optimizer.init(weights)), jax.random.split(key, steps))
    return seen, jnp.mean(nnx.merge(graph, weights)(task.held_out.x).argmax(-1) == task.held_out.y)


def main(config: Config) -> None:
    """Measure, train, print the table, draw the chart."""
    depth, seeds, steps, every = (8, 1, 60, 4) if config.quick else (16, 3, 300, 1)
    task = jax.tree.map(jnp.asarray, digits())
    keys = jax.random.split(jax.random.key(config.seed), seeds)
    rows, said = [], []
    print(f"{'':10}{'weights':14}{'gradient, first layer / last':>30}{'held-out accuracy':>22}")
    for f in (jaxact.relu, jaxact.tanh, jaxact.sigmoid, jaxact.selu)[::every]:
        made = [nnx.split(Network(f, init(f), depth, nnx.Rngs(k))) for init in INITIALISERS.values() for k in keys]
        weights = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(state for _, state in made))
        run = jax.jit(jax.vmap(functools.partial(experiment, made[0][0], task, steps)))
        seen, reached = run(weights, jnp.tile(keys, len(INITIALISERS)))
        norms = np.array([r["dx_rms"] for r in seen.to_records()]).reshape(len(INITIALISERS), seeds, -1)
        accuracies = {}
        for name, norm, shares in zip(INITIALISERS, norms, np.reshape(reached, (-1, seeds)), strict=True):
            norm = np.exp(np.log(np.maximum(norm, 1e-30)).mean(0))
            accuracies[name] = shares.mean()
            spread = f" +- {shares.std(ddof=1):.1%}" if seeds > 1 else ""
            print(f"{f.__name__:10}{name:14}{norm[0] / norm[-1]:30.1e}{f'{shares.mean():.1%}{spread}':>22}", flush=True)
            rows += [{"f": f.__name__, "weights": name, "layer": i, "gradient": float(v)} for i, v in enumerate(norm)]
        best, worst = (extreme(accuracies, key=accuracies.__getitem__) for extreme in (max, min))
        said.append(f"{f.__name__}: " + ", ".join(f"{n} {accuracies[n]:.1%}" for n in (worst, best, "init_for")))
    chart = alt.Chart(alt.Data(values=rows)).mark_line().encode(
        alt.X("layer:Q"), alt.StrokeDash("weights:N", sort=[*INITIALISERS], legend=None),
        alt.Y("gradient:Q", title="rms gradient", scale=alt.Scale(type="log"), axis=alt.Axis(format=".0e")),
        alt.Color("weights:N", sort=[*INITIALISERS]), alt.Facet("f:N", title=None, columns=2),
    )  # fmt: skip
    config.save(chart.properties(width=260, height=180))
    print(
        f"\nLesson: the weights to start from decide what {depth} plain layers learn, where they learn at all. "
        f"Held-out accuracy (chance is 10%) with the worst, the best and init_for: {'; '.join(said)}."
    )


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
