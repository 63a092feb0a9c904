"""One digit in 21 is an eight: what finds them, another activation, another loss or another threshold?

    python examples/class_imbalance.py            five seeds
    python examples/class_imbalance.py --quick    two seeds, half of the networks, a third of the steps

Scikit-learn's digits as 4x4 pixels, in which eights look like threes and nines, with 20 others for each eight wherever
they are used. Seeds differ in these parts and in the initial weights; all that is compared shares them.
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
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, precision_recall_curve, precision_recall_fscore_support

import jaxact
from chartfile import ChartFile

EIGHTS = (25, 25, 31)  # to train on, to choose the threshold on, to test on; and 20 times as many others
METRICS: list[Any] = ["precision", "recall", "F1", "PR-AUC"]
Function = Callable[..., Array]


@dataclasses.dataclass(frozen=True)
class Config(ChartFile):
    """Three remedies against class imbalance, and four activations."""

    out: Path = Path("class_imbalance.png")
    quick: bool = False
    """Two seeds, half of the networks and a third of the steps."""
    seed: int = 0
    """The seed of the parts and the initial weights."""


def weighted(z: Array, eight: Array) -> Array:
    """Cross-entropy in which an eight weighs 20 times as much: both classes weigh the same."""
    return jnp.where(eight, 21 / 2, 21 / 40) * optax.sigmoid_binary_cross_entropy(z, eight)


PLAIN = optax.sigmoid_binary_cross_entropy
FOCAL = functools.partial(optax.sigmoid_focal_loss, alpha=0.25, gamma=2.0)  # as Lin et al. 2017, arXiv:1708.02002
NETWORKS: dict[str, tuple[Function, Function]] = {
    "relu": (jaxact.relu, PLAIN),
    "gelu": (jaxact.gelu, PLAIN),
    "tanh": (jaxact.tanh, PLAIN),
    "silu": (jaxact.silu, PLAIN),
    "relu, class weights": (jaxact.relu, weighted),
    "relu, focal loss": (jaxact.relu, FOCAL),
}
MOVED = "relu, threshold moved"


def parts(key: Array, eight: np.ndarray) -> list[Array]:
    """The rows of the images to train on, to choose the threshold on and to test on."""
    ends = np.cumsum(EIGHTS)
    of_class = [
        jnp.split(jax.random.permutation(k, np.flatnonzero(rows))[: n * ends[-1]], n * ends[:-1])
        for k, rows, n in zip(jax.random.split(key), (eight, ~eight), (1, 20), strict=True)
    ]
    return [jnp.concatenate(both) for both in zip(*of_class, strict=True)]


def train(f: Function, loss: Function, keys: Array, x: Array, eight: Array, rows: Array, steps: int) -> np.ndarray:
    """Train a network a seed; return the probability that each image is an eight: (seeds, images)."""
    linear = ([nnx.Linear(n, m, rngs=r) for n, m in ((16, 32), (32, 32), (32, 1))] for r in map(nnx.Rngs, keys))
    graphs, weights = zip(*(nnx.split(nnx.Sequential(a, f, b, f, c)) for a, b, c in linear), strict=True)
    optimizer = optax.adam(1e-2)

    @jax.jit
    @jax.vmap
    def run(weights: nnx.State, rows: Array) -> Array:
        def step(carry: Any, _: None) -> tuple[Any, None]:
            weights, state = carry
            gradient = jax.grad(lambda w: loss(nnx.merge(graphs[0], w)(x[rows])[:, 0], eight[rows]).mean())(weights)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(weights, updates), state), None

        (weights, _), _ = lax.scan(step, (weights, optimizer.init(weights)), length=steps)
        return jaxact.sigmoid(nnx.merge(graphs[0], weights)(x)[:, 0])

    return np.asarray(run(jax.tree.map(lambda *leaves: jnp.stack(leaves), *weights), rows))


def measure(eight: np.ndarray, p: np.ndarray, threshold: float = 0.5) -> tuple[float, ...]:
    """METRICS, where an eight is what has at least the probability `threshold`."""
    how: dict[str, Any] = {"average": "binary", "zero_division": 0}
    scores = precision_recall_fscore_support(eight, p >= threshold, **how)[:3]
    return *map(float, scores), float(average_precision_score(eight, p))


def best_threshold(eight: np.ndarray, p: np.ndarray) -> float:
    """The one with the best F1."""
    precision, recall, thresholds = precision_recall_curve(eight, p)
    return thresholds[np.argmax((precision * recall / np.maximum(precision + recall, 1e-9))[:-1])]


def chart(results: dict[str, np.ndarray]) -> alt.TopLevelMixin:
    """Mean and standard deviation over seeds."""
    values = [dict(zip(METRICS, seed, strict=True), network=n) for n in results for seed in results[n].tolist()]
    base = alt.Chart().encode(alt.Y("network:N", title=None, sort=[*results]))
    bars = base.mark_errorbar(extent="stdev").encode(alt.X("value:Q", title=None, scale=alt.Scale(domain=[0, 1])))
    means = base.mark_point(filled=True, size=60).encode(alt.X("mean(value):Q", title=None))
    panels = alt.layer(bars, means, data=alt.Data(values=values)).properties(width=150)
    return panels.transform_fold(METRICS, ["metric", "value"]).facet(alt.Facet("metric:N", title=None, sort=METRICS))


def main(config: Config) -> None:
    """Train, print the table, draw the chart."""
    images, digits = load_digits(return_X_y=True)
    coarse = images.reshape(-1, 4, 2, 4, 2).mean((2, 4)).reshape(-1, 16)
    x, eight = jnp.asarray(coarse / 8 - 1, jnp.float32), digits == 8
    seeds, every, steps = (2, 2, 100) if config.quick else (5, 1, 300)
    keys = jax.random.split(jax.random.key(config.seed), seeds)
    fit, choose, test = (np.stack(rows) for rows in zip(*(parts(key, eight) for key in keys), strict=True))
    results = {}
    for name in [*NETWORKS][::every]:
        p = train(*NETWORKS[name], keys, x, jnp.asarray(eight), jnp.asarray(fit), steps)
        results[name] = np.array([measure(eight[t], q[t]) for q, t in zip(p, test, strict=True)])
        if name == "relu":
            at = [best_threshold(eight[c], q[c]) for q, c in zip(p, choose, strict=True)]
            results[MOVED] = np.array([measure(eight[t], q[t], a) for q, t, a in zip(p, test, at, strict=True)])
    print(f"{'':24}" + "".join(f"{metric:^18}" for metric in METRICS))
    for name, of_seeds in results.items():
        cells = (f"{m:.3f} +- {s:.3f}" for m, s in zip(of_seeds.mean(0), of_seeds.std(0, ddof=1), strict=True))
        print(f"{name:24}" + "".join(f"{cell:^18}" for cell in cells))
    config.save(chart(results))
    recall, area = ({n: of_seeds[:, i].mean() for n, of_seeds in results.items()} for i in (1, 3))
    plain = [r for name, r in recall.items() if "," not in name]
    remedies = ", ".join(f"{r:.1%} with {name.removeprefix('relu, ')}" for name, r in recall.items() if "," in name)
    print(
        f"\nLesson: {len(plain)} activations found {min(plain):.1%} to {max(plain):.1%} of the eights, relu "
        f"{recall['relu']:.1%}; relu {remedies}. How well eights and others are told apart, whatever the threshold "
        f"(PR-AUC), lies from {min(area.values()):.3f} to {max(area.values()):.3f}."
    )


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
