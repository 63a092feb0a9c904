"""Measure what observing a training step costs, beside the other ways to see activations and their gradients.

    python -m benchmarks.observe                       an MLP and a transformer
    python -m benchmarks.observe --networks MLP        one of them
    python -m benchmarks.observe --quick               with a tenth of the repetitions

Every variant is the value and gradient of the same loss, jitted: plain; `jaxact.flow.observe`, also with magnitudes
and in a step at which it is told not to look. Of the transformer also without its softmaxes, so that the rest is what
their entropies, largest logits and moments cost. Of the MLP also explicit perturbations (a zero before and after each
activation, and the same statistics of the activations and of the gradients by the zeros); and Flax Linen's
`capture_intermediates` with `perturb`, which returns the arrays themselves. Steps are timed in turns, so that a busy
machine slows all alike; CPU time is that of the process alone. Memory is the compiler's own count of temporary bytes.
Writes benchmarks/results/observe.json, into which each run merges what it measured, and observe.md.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.report import RESULTS, environment, merge, table
from jaxact.flow import observe
from jaxact.flow.statistics import moments

LAYERS, BATCH, WIDTH = 4, 1024, 1024
SEQUENCES, LENGTH, EMBEDDED, HEADS = 4, 256, 256, 4
NETWORKS = {
    "MLP": f"{LAYERS} layers, width {WIDTH}, batch {BATCH}, f32, relu",
    "transformer": f"{LAYERS} pre-norm blocks, width {EMBEDDED}, {HEADS} heads, {SEQUENCES} sequences of {LENGTH}, "
    "causal, f32, gelu",
}
Variants = dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]


class Mlp(nn.Module):
    """ReLU layers; with `perturbed`, Flax's own way to gradients by intermediates."""

    perturbed: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Return the loss."""
        for i in range(LAYERS):
            x = nn.Dense(WIDTH)(x)
            if self.perturbed:
                x = self.perturb(f"x{i}", x)
            x = jax.nn.relu(x)
            if self.perturbed:
                x = self.perturb(f"y{i}", x)
        return jnp.mean(nn.Dense(10)(x) ** 2)


class Transformer(nn.Module):
    """Blocks of attention and a GELU, as in a GPT."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Return the loss."""
        mask = nn.make_causal_mask(x[..., 0])
        for _ in range(LAYERS):
            x = x + nn.MultiHeadDotProductAttention(HEADS)(nn.LayerNorm()(x), mask=mask)
            x = x + nn.Dense(EMBEDDED)(jax.nn.gelu(nn.Dense(4 * EMBEDDED)(nn.LayerNorm()(x))))
        return jnp.mean(x**2)


def common(loss: Callable[..., Array], arguments: tuple[Any, ...]) -> Variants:
    """The variants of every network."""
    return {
        "jax.value_and_grad": (jax.value_and_grad(loss), arguments),
        "jaxact.flow.observe": (observe(loss), arguments),
        "observe, magnitudes=True": (observe(loss, magnitudes=True), arguments),
        "observe, when=False": (
            lambda when, *arguments: observe(loss, when=when)(*arguments),
            (jnp.array(False), *arguments),
        ),
    }


def of_transformer() -> Variants:
    """The step of each variant and its arguments."""
    x = jax.random.normal(jax.random.key(0), (SEQUENCES, LENGTH, EMBEDDED))
    model = Transformer()
    arguments = (model.init(jax.random.key(1), x), x)
    without = observe(model.apply, select=lambda site: site.kind != "axis")
    return {**common(model.apply, arguments), "observe, without softmaxes": (without, arguments)}


def of_mlp() -> Variants:
    """The step of each variant and its arguments."""
    x = jax.random.normal(jax.random.key(0), (BATCH, WIDTH))
    params = Mlp().init(jax.random.key(1), x)["params"]
    zeros = [{d: jnp.zeros((BATCH, WIDTH)) for d in ("dx", "dy")} for _ in range(LAYERS)]
    captured = Mlp(perturbed=True)
    perturbations = captured.init(jax.random.key(1), x)["perturbations"]

    def loss(params: Any, x: Array) -> Array:
        return Mlp().apply({"params": params}, x)

    def with_zeros(params: Any, zeros: list[dict[str, Array]], x: Array) -> tuple[Array, Any]:
        seen = []
        for i, zero in enumerate(zeros):
            layer = params[f"Dense_{i}"]
            before = x @ layer["kernel"] + layer["bias"] + zero["dx"]
            x = jax.nn.relu(before) + zero["dy"]
            seen.append((moments(before), moments(x), jnp.mean(before < 0), jnp.sum(before > 0, 0)))
        layer = params[f"Dense_{LAYERS}"]
        return jnp.mean((x @ layer["kernel"] + layer["bias"]) ** 2), seen

    def explicit(params: Any, x: Array, zeros: list[dict[str, Array]]) -> Any:
        (value, seen), (grads, cotangents) = jax.value_and_grad(with_zeros, argnums=(0, 1), has_aux=True)(
            params, zeros, x
        )
        return value, grads, seen, jax.tree.map(moments, cotangents)

    def flax_loss(params: Any, perturbations: Any, x: Array) -> Any:
        variables = {"params": params, "perturbations": perturbations}
        return captured.apply(variables, x, capture_intermediates=True, mutable=["intermediates"])

    return {
        **common(loss, (params, x)),
        "explicit perturbations": (explicit, (params, x, zeros)),
        "Flax capture and perturb": (
            jax.value_and_grad(flax_loss, argnums=(0, 1), has_aux=True),
            (params, perturbations, x),
        ),
    }


def measure(variants: Variants, repetitions: int) -> dict[str, dict[str, float]]:
    """Median time of a step, and its compiled memory, for each variant."""
    compiled = {name: (jax.jit(f).lower(*args).compile(), args) for name, (f, args) in variants.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in compiled}
    for repetition in range(repetitions + 1):
        for name, (step, args) in compiled.items():
            start, used = time.perf_counter(), time.process_time()
            jax.block_until_ready(step(*args))
            if repetition:
                times[name].append((time.perf_counter() - start, time.process_time() - used))
    results = {}
    for name, (step, _) in compiled.items():
        memory, text = step.memory_analysis(), step.as_text()
        # A step's slowdown is the median of its ratios to the plain step of the same turn.
        ratios = np.asarray(times[name]) / np.asarray(times["jax.value_and_grad"])
        results[name] = {
            "milliseconds": round(float(np.median(times[name], 0)[0] * 1e3), 1),
            "time, %": round(float(np.median(ratios, 0)[0] - 1) * 100, 1),
            "CPU time, %": round(float(np.median(ratios, 0)[1] - 1) * 100, 1),
            "temporary MiB": round(memory.temp_size_in_bytes / 2**20, 1),
            "output MiB": round(memory.output_size_in_bytes / 2**20, 1),
            "host transfers": sum(text.count(word) for word in ("callback", "outfeed", "infeed")),
        }
    return results


def write(whole: dict[str, Any]) -> None:
    """The report of all that was measured."""
    report = "# What observing costs\n\nValue and gradient.\n"
    for key, result in sorted(whole.items()):
        network, _, version = key.partition("; ")
        rows = result["variants"]
        columns = ("milliseconds", "time, %", "CPU time, %", "temporary MiB", "output MiB", "host transfers")
        where = ", ".join(f"{k} {v}" for k, v in result["environment"].items())
        where += f"; median of {result['repetitions']} steps"
        report += f"\n## {network}, {version}\n\n{NETWORKS[network]}. {where}.\n\n"
        report += table(["", *columns], ([name, *(row[c] for c in columns)] for name, row in rows.items()))
    (RESULTS / "observe.md").write_text(report)


def main() -> None:
    """Measure, merge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--networks", choices=NETWORKS, nargs="+", default=list(NETWORKS))
    arguments = parser.parse_args()
    repetitions = 4 if arguments.quick else 40
    for network in arguments.networks:
        setting = {**environment("jaxlib", "flax"), "load": f"{os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"}
        measured = measure({"MLP": of_mlp, "transformer": of_transformer}[network](), repetitions)
        results = {"environment": setting, "repetitions": repetitions, "variants": measured}
        write(merge("observe", {f"{network}; jax {jax.__version__}": results}))


if __name__ == "__main__":
    main()
