"""How far can a classifier's probabilities be believed? Measured on digits, and repaired with one number.

    python examples/calibration.py            a softmax and a sigmoid head, five networks each
    python examples/calibration.py --quick    two networks each, in fewer steps

A network trained for long on 100 images gets them all right, and from then on only becomes more sure of itself: on new
images it is wrong more often than it says. Temperature scaling (Guo et al. 2017, arXiv:1706.04599) divides its logits
by one number, fitted on held-out images. Their order stays as it is, and so does every prediction.
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

import jaxact
from chartfile import ChartFile
from jaxact.nnx import GELU

TRAIN, VALIDATE = 100, 300  # images to train on, and to fit the temperature on; the other 1,397 are to test on
BINS = 15


@dataclasses.dataclass(frozen=True)
class Config(ChartFile):
    """Calibration of two heads, before and after temperature scaling."""

    out: Path = Path("calibration.png")
    quick: bool = False
    """Two networks a head and 300 steps."""
    seed: int = 0
    """The seed of the splits and the initial weights."""


def sigmoid_loss(z: Array, labels: Array) -> Array:
    """Negative log-likelihood of ten times yes or no."""
    return optax.sigmoid_binary_cross_entropy(z, jax.nn.one_hot(labels, 10)).sum(-1)


# What trains a head, what is minimised to fit its temperature t, and the probabilities that it makes of logits z.
HEADS: dict[str, tuple[Callable[..., Array], Callable[..., Array], Callable[..., Array]]] = {
    "softmax": (
        optax.softmax_cross_entropy_with_integer_labels,
        lambda z, labels, t: -jnp.log(jaxact.softmax(z, temperature=t)[jnp.arange(len(labels)), labels]),
        lambda z, t: jaxact.softmax(z, temperature=t),
    ),
    "sigmoid": (sigmoid_loss, lambda z, labels, t: sigmoid_loss(z / t, labels), lambda z, t: jaxact.sigmoid(z / t)),
}


def minimise(loss: Callable[[Any], Array], parameters: Any, rate: float, steps: int) -> Any:
    """Take steps of Adam down the mean of the losses."""
    optimizer = optax.adam(rate)

    def step(carry: Any, _: None) -> tuple[Any, None]:
        parameters, state = carry
        updates, state = optimizer.update(jax.grad(lambda p: loss(p).mean())(parameters), state)
        return (optax.apply_updates(parameters, updates), state), None

    return lax.scan(step, (parameters, optimizer.init(parameters)), length=steps)[0][0]


def network(key: Array) -> tuple[nnx.GraphDef, nnx.State]:
    """Two hidden layers."""
    rngs = nnx.Rngs(key)
    layers = [nnx.Linear(64, 64, rngs=rngs), GELU(), nnx.Linear(64, 64, rngs=rngs), GELU()]
    return nnx.split(nnx.Sequential(*layers, nnx.Linear(64, 10, rngs=rngs)))


def bins(confidence: np.ndarray) -> np.ndarray:
    """Which of BINS equal bins each is in."""
    return np.minimum((confidence * BINS).astype(int), BINS - 1)


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error: each bin's |accuracy - mean confidence|, weighted by how many are in it."""
    return np.abs(np.bincount(bins(confidence), right - confidence)).sum() / len(right)


def chart(points: list[dict[str, Any]]) -> alt.TopLevelMixin:
    """Accuracy by confidence. Who is right as often as he says is on the diagonal."""
    x, y = (alt.X("confidence:Q", scale=alt.Scale(domain=[0, 1])), alt.Y("accuracy:Q", scale=alt.Scale(domain=[0, 1])))
    base = alt.Chart().encode(x, y, alt.Color("scaling:N", title="temperature scaling", sort=["before", "after"]))
    circles = base.mark_circle(opacity=0.8).encode(alt.Size("images:Q", title="test images"))
    diagonal = alt.Chart(alt.Data(values=[{"confidence": v, "accuracy": v} for v in (0, 1)])).encode(x, y)
    layers = (diagonal.mark_line(color="#999", strokeDash=[4, 4]), base.mark_line(), circles)
    return (
        alt.layer(*layers, data=alt.Data(values=points))
        .properties(width=260, height=260)
        .facet(alt.Facet("head:N", title=None, sort="descending"))
    )


def main(config: Config) -> None:
    """Train, fit, print the table, draw the reliability diagram."""
    images, digits = load_digits(return_X_y=True)
    x, y = jnp.asarray(images / 8 - 1, jnp.float32), jnp.asarray(digits, jnp.int32)
    keys = jax.random.split(jax.random.key(config.seed), 2 if config.quick else 5)
    graphs, weights = zip(*map(network, keys), strict=True)
    orders = jnp.stack([jax.random.permutation(key, len(y)) for key in keys])

    def experiment(head: str, weights: nnx.State, order: Array) -> dict[str, Array]:
        loss, nll, probabilities = HEADS[head]
        train, validate, test = jnp.split(order, (TRAIN, TRAIN + VALIDATE))
        steps = 300 if config.quick else 1000
        weights = minimise(lambda w: loss(nnx.merge(graphs[0], w)(x[train]), y[train]), weights, 3e-3, steps)
        z = nnx.merge(graphs[0], weights)(x)
        log_t = minimise(lambda log_t: nll(z[validate], y[validate], jnp.exp(log_t)), jnp.zeros(()), 0.05, 200)
        t = jnp.exp(jnp.stack([jnp.zeros(()), log_t]))  # before: 1, and after
        p, likelihood = jax.vmap(lambda t: (probabilities(z[test], t), nll(z[test], y[test], t).mean()))(t)
        return {"T": t, "confidence": p.max(-1), "right": p.argmax(-1) == y[test], "NLL": likelihood}

    points, said = [], []
    print(f"{'head':9}{'scaling':9}{'T':>6}{'accuracy':>18}{'confidence':>18}{'ECE':>18}{'NLL':>17}")
    for head in HEADS:
        run = jax.jit(jax.vmap(functools.partial(experiment, head)))
        seen = jax.device_get(run(jax.tree.map(lambda *leaves: jnp.stack(leaves), *weights), orders))
        rows = []
        for i, scaling in enumerate(("before", "after")):
            confidence, right = seen["confidence"][:, i], seen["right"][:, i]
            errors = np.array([*map(calibration_error, confidence, right)])
            row = {"accuracy": right.mean(1), "confidence": confidence.mean(1), "ECE": errors, "NLL": seen["NLL"][:, i]}
            cells = "".join(f"{v.mean():10.3f} +- {v.std(ddof=1):.3f}" for v in row.values())
            print(f"{head:9}{scaling:9}{seen['T'][:, i].mean():6.2f}{cells}", flush=True)
            rows.append({name: values.mean() for name, values in row.items()})
            for b in np.unique(bins(confidence)):
                here = bins(confidence) == b
                point = {"confidence": confidence[here].mean(), "accuracy": right[here].mean(), "images": here.sum()}
                points.append({"head": f"{head} head", "scaling": scaling} | {k: float(v) for k, v in point.items()})
        said += [f"{head} {k} {rows[0][k]:.4f} -> {rows[1][k]:.4f}" for k in ("accuracy", "ECE", "NLL")]
    config.save(chart(points))
    print(
        f"\nLesson: a temperature changes how far probabilities can be believed, but no prediction: {', '.join(said)}."
    )


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
