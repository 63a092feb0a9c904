"""Kill ReLU units with one large step, find them, and bring the network back with leaky ReLU.

    python examples/dead_relu.py            trains for 300 steps
    python examples/dead_relu.py --quick    for 60

A ReLU whose input is negative on every example passes on no gradient, so no later step can revive it. One step that is
far too large is enough. `observe` counts, over the whole data set, the units that never had a slope.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import optax
import tyro
from jax import Array, lax

import jaxact
from chartfile import ChartFile
from jaxact import flow as jf

WIDTH = 128
Params = list[tuple[Array, Array]]


@dataclasses.dataclass(frozen=True)
class Arguments(ChartFile):
    """The command line."""

    out: Path = Path("dead_relu.html")
    quick: bool = False
    """Few steps."""
    blow: float = 1000.0
    """Learning rate of the one step that is too large."""


def data(key: Array) -> tuple[Array, Array]:
    """Points in a square, labelled by a ring."""
    x = jax.random.uniform(key, (2048, 2), minval=-1, maxval=1)
    return x, (jnp.abs(jnp.hypot(x[:, 0], x[:, 1]) - 0.6) < 0.2).astype(jnp.float32)


def init(key: Array) -> Params:
    """He initialisation."""
    sizes = (2, WIDTH, WIDTH, 1)
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        (jax.random.normal(k, (a, b)) * jnp.sqrt(2 / a), jnp.zeros(b))
        for k, a, b in zip(keys, sizes, sizes[1:], strict=False)
    ]


def loss(activation: Callable[[Array], Array], params: Params, x: Array, labels: Array) -> Array:
    """Cross-entropy of a two-layer network."""
    for w, b in params[:-1]:
        x = activation(x @ w + b)
    w, b = params[-1]
    return optax.sigmoid_binary_cross_entropy((x @ w + b)[:, 0], labels).mean()


def train(
    activation: Callable[[Array], Array], params: Params, steps: int, rate: float
) -> tuple[Params, Array, jf.Flow]:
    """Gradient descent with momentum on the whole data set; the last Flow tells of every example."""
    x, labels = data(jax.random.key(1))
    optimizer = optax.sgd(rate, momentum=0.9)
    observed = jf.observe(
        lambda params: loss(activation, params, x, labels), select=lambda site: site.name == activation.__name__
    )

    def step(state: Any, _: None) -> tuple[Any, None]:
        params, moments = state
        _, grads = observed(params)[0]
        updates, moments = optimizer.update(grads, moments)
        return (optax.apply_updates(params, updates), moments), _

    @jax.jit
    def run(params: Params) -> tuple[Params, Array, jf.Flow]:
        (params, _), _ = lax.scan(step, (params, optimizer.init(params)), length=steps)
        (value, _), flow = observed(params)
        return params, value, flow

    return run(params)


def main(arguments: Arguments) -> None:
    """Train, hit, train on, replace, train on."""
    steps = 60 if arguments.quick else 300
    healthy, *first = train(jaxact.relu, init(jax.random.key(0)), steps, 0.1)
    hit, *second = train(jaxact.relu, healthy, 1, arguments.blow)
    _, *third = train(jaxact.relu, hit, steps, 0.1)
    _, *fourth = train(jaxact.leaky_relu, hit, steps, 0.1)

    stages: dict[str, Any] = {
        "relu, trained": first,
        f"relu, after one step at rate {arguments.blow:g}": second,
        "relu, trained on": third,
        "leaky_relu from the same weights": fourth,
    }
    print(f"{'':34}  loss    dead units by layer")
    dead, bars = {}, []
    for name, (value, flow) in stages.items():
        records = flow.to_records()
        layers = ", ".join(f"{r['dead']}/{r['units']}" for r in records)
        bars += [{"network": name, "layer": i, "dead": r["dead"]} for i, r in enumerate(records, start=1)]
        dead[name] = sum(record["dead"] for record in records)
        print(f"{name:34}  {value:.3f}   {layers}")
    seen: jf.Flow = stages["relu, trained on"][1]
    for finding in seen.findings():
        print(finding)
    axes = alt.X("dead:Q", title=f"dead units of {2 * WIDTH}"), alt.Y("network:N", title=None, sort=[*stages])
    arguments.save(alt.Chart(alt.Data(values=bars)).mark_bar().encode(*axes, color="layer:N").properties(width=400))
    relu, leaky = (float(stages[name][0]) for name in ("relu, trained on", "leaky_relu from the same weights"))
    counts = list(dead.values())
    print(
        f"\nLesson: one step at rate {arguments.blow:g} took the dead units from {counts[0]} to {counts[1]} of "
        f"{2 * WIDTH}, and {steps} more steps left {counts[2]} (loss {relu:.3f}). With leaky_relu, whose slope is "
        f"nowhere 0, the same weights have {counts[3]} after as many steps (loss {leaky:.3f})."
    )


if __name__ == "__main__":
    main(tyro.cli(Arguments))
