"""Does BatchNorm make up for the wrong initialisation? Deep networks with and without it, from right and wrong weights.

    python examples/batch_norm.py            16 layers, three seeds
    python examples/batch_norm.py --quick    8 layers, one seed, ReLU only, fewer steps

Sigmoid, tanh, ReLU and SELU, with the weights of `propagation.init_for(f)`, which keep the signal's size through f, and
with N(0, 0.05^2), which do not; BatchNorm, where there is one, stands before the activation. What is measured is the
gradient's size at each layer before training, and the accuracy on held-out digits after it.
"""

import dataclasses
import functools
import itertools
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
from jax.nn.initializers import Initializer, normal

import jaxact
from chartfile import ChartFile
from jaxact import flow, propagation
from jaxact.compare.studies.data import Task, digits

WIDTH = 64
Function = Callable[[Array], Array]
ACTIVATIONS = (jaxact.relu, jaxact.tanh, jaxact.sigmoid, jaxact.selu)
INITIALISERS: dict[str, Callable[[Function], Initializer]] = {
    "init_for": propagation.init_for,
    "N(0, 0.05^2)": lambda f: normal(0.05),
}


@dataclasses.dataclass(frozen=True)
class Config(ChartFile):
    """Four activations, two initialisations, with and without BatchNorm."""

    out: Path = Path("batch_norm.png")
    quick: bool = False
    """Eight layers, one seed, ReLU only and a fifth of the steps."""
    seed: int = 0
    """Of the initial weights and the batches."""


class Layer(nnx.Module):
    """An activation, an affine map, and a normalisation or none."""

    def __init__(self, f: Function, init: Initializer, normalised: bool, rngs: nnx.Rngs) -> None:
        self.f, self.linear = f, nnx.Linear(WIDTH, WIDTH, kernel_init=init, rngs=rngs)
        self.norm = nnx.BatchNorm(WIDTH, momentum=0.9, rngs=rngs) if normalised else None

    def __call__(self, x: Array) -> Array:
        """Map one pre-activation to the next."""
        x = self.linear(self.f(x))
        return self.norm(x) if self.norm else x


class Network(nnx.Module):
    """A stack of layers that is scanned."""

    def __init__(self, f: Function, init: Initializer, normalised: bool, depth: int, rngs: nnx.Rngs) -> None:
        @nnx.split_rngs(splits=depth)
        @nnx.vmap
        def stack(rngs: nnx.Rngs) -> Layer:
            return Layer(f, init, normalised, rngs)

        self.f, self.hidden = f, stack(rngs)
        self.first = nnx.Linear(64, WIDTH, rngs=rngs)
        self.last = nnx.Linear(WIDTH, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Map images to logits."""
        scan = nnx.scan(lambda x, layer: layer(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        return self.last(self.f(scan(self.first(x), self.hidden)))


def experiment(graph: nnx.GraphDef, task: Task, steps: int, start: Any, key: Array) -> tuple[flow.Flow, Array]:
    """Observe the network at its start, train it, and return what was seen and the held-out accuracy."""
    optimizer = optax.adam(1e-3)

    def loss_of(weights: nnx.State, averages: nnx.State, x: Array, y: Array) -> tuple[Array, nnx.State]:
        model = nnx.merge(graph, weights, averages, copy=True)
        loss = optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()
        return loss, nnx.state(model, nnx.BatchStat)  # the averages that are used after training

    def step(carry: Any, key: Array) -> tuple[Any, None]:
        weights, averages, state = carry
        rows = jax.random.randint(key, (128,), 0, len(task.train.y))
        gradient, averages = jax.grad(loss_of, has_aux=True)(weights, averages, task.train.x[rows], task.train.y[rows])
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(weights, updates), averages, state), None

    observed = flow.observe(loss_of, has_aux=True, select=lambda site: site.kind == "pointwise")
    _, seen = observed(*start, task.train.x[:128], task.train.y[:128])
    (*end, _), _ = lax.scan(step, (*start, optimizer.init(start[0])), jax.random.split(key, steps))
    model = nnx.merge(graph, *end)
    model.eval()
    return seen, jnp.mean(model(task.held_out.x).argmax(-1) == task.held_out.y)


def main(config: Config) -> None:
    """Measure, train, print the table, draw the chart."""
    depth, seeds, steps, every = (8, 1, 60, 4) if config.quick else (16, 3, 300, 1)
    task = jax.tree.map(jnp.asarray, digits())
    keys = jax.random.split(jax.random.key(config.seed), seeds)
    rows, accuracy = [], {}
    print(f"{'':10}{'weights':14}{'BatchNorm':10}{'gradient, first layer / last':>30}{'held-out accuracy':>22}")
    for f, normalised in itertools.product(ACTIVATIONS[::every], (False, True)):
        made = [
            nnx.split(Network(f, init(f), normalised, depth, nnx.Rngs(key)), nnx.Param, nnx.BatchStat)
            for init in INITIALISERS.values()
            for key in keys
        ]
        start = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(states for _, *states in made))
        run = jax.jit(jax.vmap(functools.partial(experiment, made[0][0], task, steps)))
        seen, reached = run(start, jnp.tile(keys, len(INITIALISERS)))
        norms = np.array([r["dx_rms"] for r in seen.to_records()]).reshape(len(INITIALISERS), seeds, -1)
        for name, norm, shares in zip(INITIALISERS, norms, np.reshape(reached, (-1, seeds)), strict=True):
            norm = np.exp(np.log(np.maximum(norm, 1e-30)).mean(0))
            which = "with" if normalised else "without"
            spread = f" +- {shares.std(ddof=1):.1%}" if seeds > 1 else ""
            reached = f"{shares.mean():.1%}{spread}"
            print(f"{f.__name__:10}{name:14}{which:10}{norm[0] / norm[-1]:30.1e}{reached:>22}", flush=True)
            accuracy.setdefault((name, f.__name__), []).append(f"{shares.mean():.1%}")
            here = {"f": f.__name__, "weights": name, "BatchNorm": which}
            rows += [here | {"layer": i, "gradient": float(v)} for i, v in enumerate(norm)]
    chart = alt.Chart(alt.Data(values=rows)).mark_line().encode(
        alt.X("layer:Q"), alt.Color("weights:N"), alt.StrokeDash("BatchNorm:N", sort=["with", "without"]),
        alt.Y("gradient:Q", title="rms gradient", scale=alt.Scale(type="log"), axis=alt.Axis(format=".0e")),
        alt.Facet("f:N", title=None, columns=2),
    )  # fmt: skip
    config.save(chart.properties(width=260, height=180))
    changes = "; ".join(f"{f} from {name} {' -> '.join(v)}" for (name, f), v in accuracy.items())
    print(f"\nLesson: held-out accuracy of {depth} layers (chance is 10%) without -> with BatchNorm: {changes}.")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
