"""Train a character-level transformer with eight feed-forward units at equal parameters, as Shazeer 2020 did with T5.

Run: python examples/glu_transformer.py [--quick | --full]. It is a run of the study "text-transformer"
(jaxact/compare/studies/text_transformer.py), as `jaxact compare text-transformer --activations relu gelu ...` is one,
with what Shazeer found beside it. The rate that is best on validation text counts, and its loss on other text.
"""

import dataclasses

import tyro

from jaxact.compare import Comparison, run
from jaxact.compare.processes import Processes, exit_code, first
from jaxact.compare.summary import paired

UNITS = ("relu", "gelu", "silu", "glu", "bilinear", "reglu", "geglu", "swiglu")
# Held-out log-perplexity of T5-base after 65,536 steps, arXiv:2002.05202, table 1; std of 4 runs: .003 to .010.
SHAZEER: dict[str, float] = dict(zip(UNITS, (1.997, 1.983, 1.994, 1.982, 1.960, 1.953, 1.942, 1.944), strict=True))


@dataclasses.dataclass(frozen=True)
class Config:
    """The transformer and its training."""

    directory: str = "glu-transformer"  # for the log, the checkpoints and the report
    overwrite: bool = False  # replace an earlier result
    resume: bool = False  # go on after the last checkpoints
    quick: bool = False  # two units, two seeds, one rate, 20 steps
    full: bool = False  # a width of 48, 3 layers, a context of 64, 500 steps
    processes: Processes = dataclasses.field(default_factory=Processes)


def main(config: Config) -> None:
    """Train every unit with every rate and seed; print the table and the lesson."""
    summary = run(
        Comparison(
            study="text-transformer",
            activations=UNITS[::7] if config.quick else UNITS,
            options={"width": 48, "depth": 3, "context": 64} if config.full else {},
            learning_rate=(3e-3,) if config.quick else (3e-3, 1e-2, 3e-2),
            steps=20 if config.quick else 500 if config.full else 160,
            seeds=2 if config.quick else 5,
            directory=config.directory,
            overwrite=config.overwrite,
            resume=config.directory if config.resume else None,
            processes=config.processes,
        )
    )
    if not first():
        return
    beyond, relu = [], summary.networks[0].values["loss"]
    assert relu is not None
    print(
        f"{'unit':10}{'rate':>6}{'held-out loss':>17}{'minus relu, 95% interval':>28}{'Shazeer':>10}{'minus relu':>12}"
    )
    for network in summary.networks:
        loss, rate = network.values["loss"], network.learning_rate or network.rates[0]
        if loss is None:
            print(f"{network.name:10}{rate:6g}  diverged")
            continue
        low, high = paired(loss, relu) or (0.0, 0.0)
        theirs = SHAZEER[network.name]
        print(
            f"{network.name:10}{rate:6g}{loss.centre:9.3f} ± {loss.spread:.3f}{loss.centre - relu.centre:+12.3f}",
            end="",
        )
        print(f" ({low:+.3f}, {high:+.3f}){theirs:9.3f}{theirs - SHAZEER['relu']:+12.3f}")
        beyond += [f"{network.name} ({loss.centre - relu.centre:+.3f})"] if low > 0 or high < 0 else []
    print(
        f"report: {summary.directory / 'report.html'}\n\nLesson: units whose loss at equal parameters differs from",
        end=" ",
    )
    print(f"relu's by more than chance explains, over {summary.networks[0].seeds} paired seeds:", end=" ")
    print(
        f"{', '.join(beyond) or 'none'}. In Shazeer's table, of a far larger network, all gated units have less loss."
    )


if __name__ == "__main__":
    raise SystemExit(exit_code("glu_transformer", lambda: main(tyro.cli(Config, description=__doc__))))
