"""Does BatchNorm make up for the wrong initialisation? Deep networks with and without it, from right and wrong weights.

    python examples/batch_norm.py            16 layers, three seeds
    python examples/batch_norm.py --quick    8 layers, one seed, ReLU only, fewer steps

ReLU, tanh, sigmoid and SELU, with weights that match the activation, which keep the signal's size through it, and with
N(0, 0.05^2), which do not; BatchNorm, where there is one, stands before the activation. It is a run of the study
"digits-mlp", as `jaxact compare --init matched naive --kind plain batch_norm` is one.
"""

import dataclasses

import tyro

from jaxact.compare import Comparison, run
from jaxact.compare.processes import exit_code
from jaxact.compare.report import show


@dataclasses.dataclass(frozen=True)
class Config:
    """Four activations, two initialisations, with and without BatchNorm."""

    directory: str = "batch-norm"
    """For the log, the charts and the report."""
    overwrite: bool = False
    """Replace an earlier result."""
    quick: bool = False
    """Eight layers, one seed, ReLU only and a fifth of the steps."""
    seed: int = 0
    """The seed of the initial weights and the batches."""


def main(config: Config) -> None:
    """Train, print the tables, and say what BatchNorm changes."""
    summary = run(
        Comparison(
            activations=("relu",) if config.quick else ("relu", "tanh", "sigmoid", "selu"),
            options={
                "init": ("matched", "naive"),
                "kind": ("plain", "batch_norm"),
                "depth": 8 if config.quick else 16,
            },
            steps=60 if config.quick else 300,
            seeds=1 if config.quick else 3,
            seed=config.seed,
            directory=config.directory,
            overwrite=config.overwrite,
        )
    )
    show(summary)
    changes: dict[str, list[str]] = {}
    for network in summary.networks:
        start = f"{network.about['activation']} from {network.about['options']['init']}"
        value = network.values["accuracy"]
        changes.setdefault(start, []).append(f"{value.centre:.1%}" if value else "diverged")
    told = "; ".join(f"{start} {' -> '.join(reached)}" for start, reached in changes.items())
    print(f"\nLesson: held-out accuracy (chance is 10%) without -> with BatchNorm: {told}.")


if __name__ == "__main__":
    raise SystemExit(exit_code("batch_norm", lambda: main(tyro.cli(Config, description=__doc__))))
