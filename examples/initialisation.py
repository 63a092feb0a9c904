"""An activation and its initialisation are a pair: what plain networks make of the right one and of three others.

    python examples/initialisation.py            16 layers, three seeds
    python examples/initialisation.py --quick    8 layers, one seed, ReLU only, fewer steps

ReLU, tanh, sigmoid and SELU, each with weights from N(0, 0.05^2), LeCun's, He's, and those that match the activation,
which keep the signal's size through it: for ReLU they are He's but for the first layer, for SELU LeCun's.
It is a run of the study "digits-mlp", as this is one:

    jaxact compare --activations relu tanh sigmoid selu --init naive lecun he matched
"""

import dataclasses

import tyro

from jaxact.compare import Comparison, run
from jaxact.compare.processes import exit_code
from jaxact.compare.report import show

INITIALISATIONS = {"naive": "N(0, 0.05^2)", "lecun": "LeCun's", "he": "He's", "matched": "the matched"}


@dataclasses.dataclass(frozen=True)
class Config:
    """Four activations with four initialisations each."""

    directory: str = "initialisation"
    """For the log, the charts and the report."""
    overwrite: bool = False
    """Replace an earlier result."""
    quick: bool = False
    """Eight layers, one seed, ReLU only and a fifth of the steps."""
    seed: int = 0
    """The seed of the initial weights and the batches."""


def main(config: Config) -> None:
    """Train, print the tables, and say what is best for each."""
    summary = run(
        Comparison(
            activations=("relu",) if config.quick else ("relu", "tanh", "sigmoid", "selu"),
            options={"init": tuple(INITIALISATIONS), "depth": 8 if config.quick else 16},
            steps=60 if config.quick else 300,
            seeds=1 if config.quick else 3,
            seed=config.seed,
            directory=config.directory,
            overwrite=config.overwrite,
        )
    )
    show(summary)
    reached: dict[str, dict[str, float]] = {}
    for network in summary.networks:
        if value := network.values["accuracy"]:
            reached.setdefault(network.about["activation"], {})[network.about["options"]["init"]] = value.centre
    said = []
    for name, by_init in reached.items():
        told = (max(by_init, key=by_init.__getitem__), min(by_init, key=by_init.__getitem__), "matched")
        said.append(f"{name}: " + ", ".join(f"{INITIALISATIONS[init]} {by_init[init]:.1%}" for init in told))
    print(
        "\nLesson: the weights to start from decide what plain layers learn, where they learn at all. Held-out accuracy"
        f" (chance is 10%) with the best, the worst and the matched weights: {'; '.join(said)}."
    )


if __name__ == "__main__":
    raise SystemExit(exit_code("initialisation", lambda: main(tyro.cli(Config, description=__doc__))))
