"""Save a trained model and its activations, and load both again: from a directory that knows nothing of this program.

    python examples/save_and_load.py            20 epochs
    python examples/save_and_load.py --quick    2 epochs

A configuration in JSON says which activations the network has: `jaxact.get` makes functions of it, and classes of
`jaxact.nnx` modules whose parameters are learned. Orbax saves it beside the weights.
"""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp
import tyro
from flax import nnx
from jax import Array

import jaxact
import jaxact.nnx
from chartfile import ChartFile
from jaxact.compare.studies.data import digits

CONFIG = """{"width": 64, "activations": [
  {"module": "PReLU", "num_parameters": 64},
  {"module": "Swish"},
  {"name": "leaky_relu", "negative_slope": 0.2},
  {"module": "Snake", "alpha_init": 0.5}
]}"""


@dataclasses.dataclass(frozen=True)
class Config(ChartFile):
    """A network with learned activations, saved and loaded."""

    out: Path = Path("save_and_load.png")
    model: Path = Path("save_and_load_model")
    """A new directory for the model; --overwrite replaces it too."""
    quick: bool = False
    """Two epochs."""
    seed: int = 0
    """The seed of the initial weights and the batches."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model.exists() and not (self.overwrite and (self.model / "_CHECKPOINT_METADATA").exists()):
            raise ValueError(f"expected a new directory, got {self.model}; --overwrite replaces one that holds a model")


def activation(config: dict[str, Any]) -> Any:
    """A module with learned parameters, or a function."""
    if "module" not in config:
        return jaxact.get(config)
    return getattr(jaxact.nnx, config["module"])(**{k: v for k, v in config.items() if k != "module"})


class Network(nnx.Module):
    """A hidden layer for each activation of the configuration."""

    def __init__(self, config: dict[str, Any], rngs: nnx.Rngs) -> None:
        sizes = [64, *[config["width"]] * len(config["activations"])]
        self.layers = nnx.List([nnx.Linear(n, m, rngs=rngs) for n, m in itertools.pairwise(sizes)])
        self.activations = nnx.List([activation(of_layer) for of_layer in config["activations"]])
        self.readout = nnx.Linear(sizes[-1], 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Map images to logits."""
        for linear, f in zip(self.layers, self.activations, strict=True):
            x = f(linear(x))
        return self.readout(x)


def save(directory: Path, config: dict[str, Any], model: Network, overwrite: bool) -> None:
    """Write configuration and weights."""
    weights = ocp.args.StandardSave(nnx.to_pure_dict(nnx.state(model)))
    items = ocp.args.Composite(config=ocp.args.JsonSave(config), weights=weights)
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(directory.resolve(), items, force=overwrite)


def load(directory: Path) -> Network:
    """Read the configuration, build the network without weights, and read these."""
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        read = ocp.args.Composite(config=ocp.args.JsonRestore())
        config = checkpointer.restore(directory.resolve(), read)["config"]
        graph, state = nnx.split(nnx.eval_shape(lambda: Network(config, nnx.Rngs(0))))
        read = ocp.args.Composite(weights=ocp.args.StandardRestore(nnx.to_pure_dict(state)))
        nnx.replace_by_pure_dict(state, checkpointer.restore(directory.resolve(), read)["weights"])
    return nnx.merge(graph, state)


@nnx.jit
def train_step(model: Network, optimizer: nnx.Optimizer, x: Array, y: Array) -> None:
    """Update the model in place."""

    def loss_of(model: Network) -> Array:
        return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

    optimizer.update(model, nnx.grad(loss_of)(model))


def main(config: Config) -> None:
    """Train, save, load, compare, draw the activations that were learned."""
    task = jax.tree.map(jnp.asarray, digits())
    model = Network(json.loads(CONFIG), nnx.Rngs(config.seed))
    untrained = nnx.clone(model)
    optimizer = nnx.Optimizer(model, optax.adam(3e-3), wrt=nnx.Param)
    for epoch in range(2 if config.quick else 20):
        order = jax.random.permutation(jax.random.key(config.seed + epoch), len(task.train.y))
        for rows in jnp.split(order[:1344], 21):
            train_step(model, optimizer, task.train.x[rows], task.train.y[rows])
    save(config.model, json.loads(CONFIG), model, config.overwrite)
    print(f"wrote {config.model}")
    loaded = load(config.model)

    z = jnp.linspace(-3, 3, 121)
    rows, equal = [], bool(jnp.array_equal(loaded(task.held_out.x), model(task.held_out.x)))
    print(f"{'layer':7}{'parameter':18}{'at the start':>14}{'trained':>14}{'loaded':>14}")
    networks = {"at the start": untrained, "trained": model, "loaded": loaded}
    for i, of_layer in enumerate(json.loads(CONFIG)["activations"]):
        of_networks = {when: nnx.to_pure_dict(nnx.state(n))["activations"].get(i, {}) for when, n in networks.items()}
        for name in of_networks["trained"]:
            print(f"{i + 1:<7}{name:18}" + "".join(f"{p[name].mean():14.5f}" for p in of_networks.values()))
        for when in ("at the start", "loaded"):
            curve = networks[when].activations[i](jnp.repeat(z[:, None], 64, 1)).mean(1)  # over channels
            pairs = zip(z.tolist(), curve.tolist(), strict=True)
            label = f"{i + 1}: {of_layer.get('module') or of_layer['name']}"
            rows += [{"layer": label, "when": when, "x": a, "f": b} for a, b in pairs]
    lines = alt.Chart(alt.Data(values=rows)).mark_line().encode(alt.X("x:Q"), alt.Y("f:Q", title="f(x)"))
    panels = alt.Facet("layer:N", title=None, columns=2)
    config.save(lines.encode(alt.Color("when:N", title=None), panels).properties(height=160))
    accuracy = [f"{jnp.mean(n(task.held_out.x).argmax(-1) == task.held_out.y):.1%}" for n in networks.values()]
    print(
        f"\nLesson: with configuration and weights from the directory, the loaded network's logits are "
        f"{'' if equal else 'not '}bit for bit those of the saved one, its held-out accuracy {accuracy[2]} and "
        f"{accuracy[1]} ({accuracy[0]} before training)."
    )


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
