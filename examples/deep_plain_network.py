"""Train 64 layers without normalisation or skips on digits: three activations.

    python examples/deep_plain_network.py            64 layers of 128, two learning rates to choose from
    python examples/deep_plain_network.py --quick    16 layers of 64, fewer steps at one learning rate

Sigmoid, ReLU, and a leaky ReLU that is shaped for this depth, each with weights of the variance that matches it.
Theory says before training what becomes of the gradient, and it is measured. It is a run of the study "digits-mlp", as
this is one:

    jaxact compare --activations sigmoid relu "tat(of='leaky_relu', depth=64)" --depth 64 --width 128
"""

import dataclasses

import tyro

from jaxact.compare import Comparison, run
from jaxact.compare.processes import exit_code
from jaxact.compare.report import show


@dataclasses.dataclass(frozen=True)
class Config:
    """A deep plain network on scikit-learn's 1,797 handwritten digits."""

    depth: int = 64
    """Hidden layers."""
    width: int = 128
    """Units a hidden layer."""
    directory: str = "deep-plain-network"
    """For the log, the charts and the report."""
    overwrite: bool = False
    """Replace an earlier result."""
    quick: bool = False
    """40 steps at one learning rate, at most 16 layers of 64: to see that it runs."""
    seed: int = 0
    """The seed of the initial weights and the batches."""


def main(config: Config) -> None:
    """Train, print the tables and the lesson."""
    if config.quick:
        config = dataclasses.replace(config, depth=min(config.depth, 16), width=64)

    summary = run(
        Comparison(
            activations=("sigmoid", "relu", f"tat(of='leaky_relu', depth={config.depth})"),
            options={"depth": config.depth, "width": config.width},
            learning_rate=(1e-3,) if config.quick else (1e-3, 3e-4),
            steps=40 if config.quick else 300,
            seeds=1,
            seed=config.seed,
            directory=config.directory,
            overwrite=config.overwrite,
        )
    )
    show(summary)
    sigmoid, relu, tat = (value.centre for n in summary.networks if (value := n.values["accuracy"]))
    print(
        f"\nLesson: depth multiplies: what one layer does to a gradient is done {config.depth} times. Held-out "
        f"accuracy (chance is 10%): {sigmoid:.1%} for sigmoid, {relu:.1%} for relu, whose inputs all come to look "
        f"alike, and {tat:.1%} for tat(leaky_relu), which keeps gradients and differences."
    )


if __name__ == "__main__":
    raise SystemExit(exit_code("deep_plain_network", lambda: main(tyro.cli(Config, description=__doc__))))
