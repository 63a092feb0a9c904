"""Mean-field theory against wide random networks: variances, correlations and chi, layer by layer.

Run: python -m benchmarks.wide_networks [--width 4096] [--depth 30] [--seeds 4]
Writes benchmarks/results/wide_networks.md and .json.
"""

import argparse
import dataclasses
import functools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

import jaxact
from benchmarks import report
from jaxact import propagation

Q, C = 1.0, 0.3
# f, sigma_w and sigma_b: ordered (softplus, gelu), critical (relu) and chaotic (tanh, selu). None next to an unstable
# variance, like gelu at its gain: there finite networks part from theory as they do from each other.
Network = tuple[Callable[[jax.Array], jax.Array], float, float]
NETWORKS: dict[str, Network] = {
    "relu": (jaxact.relu, propagation.gain(jaxact.relu), 0.0),
    "leaky_relu": (jaxact.leaky_relu, 1.2, 0.3),
    "gelu": (jaxact.gelu, 1.4, 0.3),
    "silu": (jaxact.silu, 1.5, 0.4),
    "selu": (jaxact.selu, 1.0, 0.0),
    "tanh": (jaxact.tanh, 2.0, 0.2),
    "softplus": (jaxact.softplus, propagation.gain(jaxact.softplus), 0.0),
    "hard_swish": (jaxact.hard_swish, 1.6, 0.3),
}


@dataclasses.dataclass(frozen=True)
class Measured:
    """Several random networks: arrays of shape (seeds, depth + 1), and chi of shape (seeds, depth)."""

    variances: np.ndarray
    correlations: np.ndarray
    chi: np.ndarray


def measure(networks: Mapping[str, Network], *, width: int, depth: int, seeds: int) -> dict[str, Measured]:
    """Send two inputs and a perturbation through random networks; chi is the growth of the perturbation's square.

    All activations see the same random numbers, since making them is nearly all of the work.
    """

    @jax.jit
    def layer(key: jax.Array, states: dict[str, jax.Array]) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        key_w, key_b = jax.random.split(key)
        w, b = jax.random.normal(key_w, (width, width)) / math.sqrt(width), jax.random.normal(key_b, (width,))
        after = {}
        for name, (f, sigma_w, sigma_b) in networks.items():
            h, t = states[name][:2], states[name][2:]
            y, dy = f(h), jax.jvp(f, (h[:1],), (t,))[1]
            after[name] = sigma_w * jnp.concatenate([y, dy]) @ w + sigma_b * b * jnp.array([[1.0], [1.0], [0.0]])
        return after, {name: state @ state.T / width for name, state in after.items()}

    @jax.jit
    def inputs(key: jax.Array) -> jax.Array:
        u, v, t = jax.random.normal(key, (3, width))
        # Exactly q_0 and c_0, so that the first layer adds no error of its own.
        u = u / jnp.sqrt(jnp.mean(u * u))
        v = v - u * jnp.mean(u * v)
        v = C * u + math.sqrt(1 - C * C) * v / jnp.sqrt(jnp.mean(v * v))
        return jnp.stack([math.sqrt(Q) * u, math.sqrt(Q) * v, t])

    grams = []
    for seed in range(seeds):
        first, *keys = jax.random.split(jax.random.key(seed), depth + 1)
        start = np.asarray(inputs(first))
        states = dict.fromkeys(networks, start)
        grams.append([dict.fromkeys(networks, start @ start.T / width)])
        for key in keys:
            states, gram = layer(key, states)
            grams[-1].append(gram)
    result = {}
    for name in networks:
        g = np.array([[layer_[name] for layer_ in network] for network in grams], np.float64)
        result[name] = Measured(
            variances=g[..., 0, 0],
            correlations=g[..., 0, 1] / np.sqrt(g[..., 0, 0] * g[..., 1, 1]),
            chi=g[:, 1:, 2, 2] / g[:, :-1, 2, 2],
        )
    return result


def deviations(theory: propagation.Signal, measured: Measured) -> dict[str, float]:
    """The largest |mean over the networks - theory| in a layer, in standard errors of that mean.

    A few networks give a poor standard error a layer, so that it is the larger of the layer's own and the root mean
    square of all.
    """
    result = {}
    for name in ("variances", "correlations", "chi"):
        sample, expected = getattr(measured, name), getattr(theory, name)
        if name != "chi":
            sample, expected = sample[:, 1:], expected[1:]
        error = sample.std(axis=0, ddof=1) / math.sqrt(len(sample))
        error = np.maximum(error, math.sqrt(np.mean(error**2)))
        result[name] = float(np.max(np.abs(sample.mean(axis=0) - expected) / np.maximum(error, 1e-6)))
    return result


def main() -> None:
    """Measure every network and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("width", 4096), ("depth", 30), ("seeds", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    size = vars(parser.parse_args())
    results, rows = {}, []
    for name, measured in measure(NETWORKS, **size).items():
        f, sigma_w, sigma_b = NETWORKS[name]
        theory = propagation.signal(f, sigma_w, sigma_b, size["depth"], q=Q, c=C)
        off = deviations(theory, measured)
        last = functools.partial(np.mean, axis=0)
        rows.append([
            name, f"{sigma_w:.4f}", f"{sigma_b:.1f}",
            f"{theory.variances[-1]:.4f}", f"{last(measured.variances)[-1]:.4f}",
            f"{theory.correlations[-1]:.4f}", f"{last(measured.correlations)[-1]:.4f}",
            f"{theory.chi[-1]:.4f}", f"{last(measured.chi)[-1]:.4f}",
            *(f"{off[k]:.1f}" for k in ("variances", "correlations", "chi")),
        ])  # fmt: skip
        results[name] = {
            "sigma_w": sigma_w, "sigma_b": sigma_b, "deviations": off,
            "predicted": {k: getattr(theory, k).tolist() for k in off},
            "measured": {k: getattr(measured, k).tolist() for k in off},
        }  # fmt: skip
        print(f"{name}: {off}", flush=True)
    environment = report.environment("jaxlib", "numpy", "scipy")
    report.merge("wide_networks", {"environment": environment, "size": size, "networks": results})
    header = [
        "f",
        "sigma_w",
        "sigma_b",
        "q",
        "measured",
        "c",
        "measured",
        "chi",
        "measured",
        "q off",
        "c off",
        "chi off",
    ]
    (report.RESULTS / "wide_networks.md").write_text(
        f"# Mean-field theory against random networks of width {size['width']:,}\n\n"
        f"Predicted, and measured as the mean of {size['seeds']} networks, at layer {size['depth']}; "
        f"q_0 = {Q:g}, c_0 = {C:g}. The last three columns are the worst of the {size['depth']} layers, in standard "
        "errors of the mean.\n\n"
        f"{report.table(header, rows)}\n{', '.join(f'{k} {v}' for k, v in environment.items())}\n"
    )


if __name__ == "__main__":
    main()
