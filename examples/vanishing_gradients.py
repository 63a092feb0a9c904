"""Why deep sigmoid networks did not train: the classroom's 0.25^n, predicted and measured in a real network.

    python examples/vanishing_gradients.py            20 layers
    python examples/vanishing_gradients.py --quick    10 layers

A sigmoid's slope is at most 0.25, so it is said that each layer divides the gradient by at least 4. That forgets the
weights, which multiply it again. The prediction of mean-field theory has both: per layer, sigma_w times the root mean
square of f'(x). `observe` measures the factor in the network itself.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array

import jaxact
from chartfile import ChartFile
from jaxact import flow as jf

WIDTH = 256


@dataclasses.dataclass(frozen=True)
class Arguments(ChartFile):
    """The command line."""

    out: Path = Path("vanishing_gradients.html")
    quick: bool = False
    """Ten layers."""
    depth: int = 20
    """How many layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth < 3:
            raise ValueError(f"expected a depth of at least 3, got {self.depth}")


def network(activation: Callable[[Array], Array], weights: Array, x: Array) -> Array:
    """A deep plain network, and a loss on its output."""
    h, _ = jax.lax.scan(lambda h, w: (activation(h @ w), None), x, weights)
    return jnp.mean(h[:, 0] ** 2)


def predicted(activation: Callable[[Array], Array], scale: float, rms: float) -> float:
    """The factor a layer: scale times rms f'(x), for x normal with the root mean square that was measured."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)  # an even number has no node on relu's kink
    slopes = np.asarray(jax.vmap(jax.grad(activation))(jnp.asarray(rms * nodes, jnp.float32)))
    return scale * float(np.sqrt(np.sum(weights * slopes**2) / np.sum(weights)))


def main(arguments: Arguments) -> None:
    """Measure three activations with the same unit-variance weights, and relu with He's."""
    depth = 10 if arguments.quick else arguments.depth
    x = jax.random.normal(jax.random.key(0), (512, WIDTH))
    weights = jax.random.normal(jax.random.key(1), (depth, WIDTH, WIDTH)) / np.sqrt(WIDTH)
    cases = {
        "sigmoid": (jaxact.sigmoid, 1.0),
        "tanh": (jaxact.tanh, 1.0),
        "gelu": (jaxact.gelu, 1.0),
        "relu, He": (jaxact.relu, float(np.sqrt(2.0))),
    }
    print(f"{'':10}  classroom  predicted  measured   over {depth} layers  finding")
    measured, flows = {}, {}
    for name, (activation, scale) in cases.items():
        observed = jax.jit(jf.observe(lambda weights, f=activation: network(f, weights, x)))
        _, flow = observed(scale * weights)
        flows[name] = flow
        measured[name] = float(np.exp(-flow.gradient_slope()))
        inputs = float(np.median([record["x_rms"] for record in flow.to_records()]))
        classroom = jaxact.info(activation.__name__).lipschitz
        theory = predicted(activation, scale, inputs)
        rules = ", ".join(dict.fromkeys(finding.rule for finding in flow.findings()))
        total = measured[name] ** (depth - 1)
        print(f"{name:10}  {classroom:9.2f}  {theory:9.3f}  {measured[name]:8.3f}   {total:14.1e}  {rules or 'none'}")
    arguments.save(flows["sigmoid"].chart())
    sigmoid, relu = measured["sigmoid"], measured["relu, He"]
    print(
        f"\nLesson: through {depth} sigmoids the gradient shrank {sigmoid:.3f}-fold a layer (the classroom says 0.25), "
        f"to {sigmoid ** (depth - 1):.1e} of its size; through relu with He's weights {relu:.3f}-fold, to "
        f"{relu ** (depth - 1):.2f}."
    )


if __name__ == "__main__":
    main(tyro.cli(Arguments))
