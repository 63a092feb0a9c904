"""Measure what `jaxact.flow.swap` changes in a whole training step of models written with jax.nn.

    python -m benchmarks.swap                      memory and kernels on the CPU
    python -m benchmarks.swap --platform h100      compiled ahead of time (or v5e); needs the extra `aot`
    python -m benchmarks.swap --time               the processor time of a step on this machine too

A step is value and gradient of the loss and plain gradient descent, jitted. Memory is the compiler's own count of
temporary bytes. Each layer is run as it is and in a `jax.checkpoint` of its own, so that what a swap saves stands
beside what a checkpoint saves. Time is that of the processor, in medians of runs before and after in turns, and after
over before, so that what else runs on the machine changes little. A TPU does not count what it keeps beside
its cores, where a good part of models as small as these has room. Writes
benchmarks/results/swap.json, into which each run merges, and swap.md.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, nn

from benchmarks.report import RESULTS, environment, merge, table
from benchmarks.residuals import compiled, device, kernels
from jaxact import flow

LAYERS = {"scanned": 12, "unrolled": 4}
BATCH, LENGTH, WIDTH, HEADS = 4, 128, 256, 4
Layer = Callable[[Array, Any], Array]


def _attention(h: Array, w: Any) -> Array:
    q, k, v = jnp.split(nn.standardize(h) @ w["qkv"], 3, -1)
    q, k, v = (a.reshape(*a.shape[:-1], HEADS, -1) for a in (q, k, v))
    return h + nn.dot_product_attention(q, k, v, is_causal=True).reshape(h.shape) @ w["out"]


def _gelu(h: Array, w: Any) -> Array:
    h = _attention(h, w)
    return h + nn.gelu(nn.standardize(h) @ w["up"]) @ w["down"]


def _swiglu(h: Array, w: Any) -> Array:
    h = _attention(h, w)
    z = nn.standardize(h)
    return h + (nn.silu(z @ w["gate"]) * (z @ w["up"])) @ w["down"]


def _mixer(h: Array, w: Any) -> Array:
    z = nn.standardize(h).swapaxes(1, 2)
    h = h + (nn.gelu(z @ w["token_up"]) @ w["token_down"]).swapaxes(1, 2)
    return h + nn.gelu(nn.standardize(h) @ w["up"]) @ w["down"]


def _resnet(h: Array, w: Any) -> Array:
    def convolved(h: Array, k: Array) -> Array:
        h = lax.conv_general_dilated(h, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return nn.standardize(h, axis=(0, 1, 2))

    return nn.relu(h + convolved(nn.relu(convolved(h, w["first"])), w["second"]))


_ATTENTION = {"qkv": (WIDTH, 3 * WIDTH), "out": (WIDTH, WIDTH)}
_MLP = {"up": (WIDTH, 4 * WIDTH), "down": (4 * WIDTH, WIDTH)}
MODELS: dict[str, tuple[Layer, dict[str, tuple[int, ...]], tuple[int, ...]]] = {
    "transformer, GELU": (_gelu, _ATTENTION | _MLP, (BATCH, LENGTH, WIDTH)),
    "transformer, SwiGLU": (_swiglu, _ATTENTION | _MLP | {"gate": (WIDTH, 4 * WIDTH)}, (BATCH, LENGTH, WIDTH)),
    "MLP-Mixer": (
        _mixer,
        _MLP | {"token_up": (LENGTH, 2 * LENGTH), "token_down": (2 * LENGTH, LENGTH)},
        (BATCH, LENGTH, WIDTH),
    ),
    "ResNet": (_resnet, {"first": (3, 3, 64, 64), "second": (3, 3, 64, 64)}, (16, 16, 16, 64)),
}


def steps(model: str, dtype: str, form: str, checkpointed: bool) -> tuple[Callable[..., Any], Callable[..., Any], Any]:
    """A training step before and after the swap, and the shapes of its arguments."""
    layer, shapes, batch = MODELS[model]
    one = jax.checkpoint(layer, prevent_cse=False) if checkpointed else layer

    def loss(weights: Any, x: Array) -> Array:
        h, _ = lax.scan(lambda h, w: (one(h, w), None), x, weights, unroll=form == "unrolled")
        return jnp.mean(jnp.square(h.astype(jnp.float32)))

    def step(loss: Callable[..., Array]) -> Callable[..., Any]:
        def run(weights: Any, x: Array) -> tuple[Any, Array]:
            value, gradient = jax.value_and_grad(loss)(weights, x)
            return jax.tree.map(lambda w, g: w - 0.1 * g, weights, gradient), value

        return run

    weights = {name: jax.ShapeDtypeStruct((LAYERS[form], *shape), dtype) for name, shape in shapes.items()}
    return step(loss), step(flow.swap(loss)), (weights, jax.ShapeDtypeStruct(batch, dtype))


def seconds(programs: list[Any], shapes: Any, repetitions: int = 3) -> list[float]:
    """Median processor time of each program, run in turns."""
    rng = np.random.default_rng(0)
    arguments = jax.tree.map(lambda s: jnp.asarray(rng.normal(size=s.shape) / np.sqrt(s.shape[-2]), s.dtype), shapes)
    times: list[list[float]] = [[] for _ in programs]
    for repetition in range(repetitions + 1):
        for program, taken in zip(programs, times, strict=True):
            start = time.process_time()
            jax.block_until_ready(program(*arguments))
            if repetition:
                taken.append(time.process_time() - start)
    return [float(np.median(taken)) for taken in times]


def measure(platform: str, models: list[str], forms: list[str], timed: bool) -> Iterator[dict[str, Any]]:
    """Rows of one platform, by model, type, form and checkpoint, one at a time."""
    target = device(platform)
    for form in forms:
        for model in models:
            for dtype in ("float32", "bfloat16"):
                for checkpointed in (False, True):
                    *both, shapes = steps(model, dtype, form, checkpointed)
                    programs = [compiled(f, target, *shapes) for f in both]
                    row: dict[str, Any] = {
                        "MiB": [round(p.memory_analysis().temp_size_in_bytes / 2**20, 1) for p in programs],
                        "kernels": [kernels(p) for p in programs],
                    }
                    if timed:
                        before, after = seconds(programs, shapes)
                        row |= {"ms": [round(1e3 * before), round(1e3 * after)], "time": round(after / before, 2)}
                    key = f"{platform}; {model}; {dtype}; {form}; {'checkpoint' if checkpointed else 'plain'}"
                    print(key, row, flush=True)
                    yield {key: row}


def write(whole: dict[str, Any]) -> None:
    """The report of all that was measured."""
    text = f"# What a swap changes\n\nA step is{(__doc__ or '').partition('A step is')[2]}\n"
    text += (
        f"{LAYERS['scanned']} layers scanned, {LAYERS['unrolled']} unrolled, of width {WIDTH}, a batch of {BATCH} "
        f"sequences of {LENGTH}. Before -> after.\n"
    )
    for platform in ("cpu", "h100", "v5e"):
        rows = {key: row for key, row in whole.items() if key.startswith(f"{platform};")}
        if rows:
            where = ", ".join(f"{k} {v}" for k, v in whole[f"environment, {platform}"].items())
            text += f"\n## {platform}\n\n{where}.\n\n" + table(
                ["model", "type", "form", "layer", "temporary MiB", "kernels", "ms", "time, ratio"],
                (
                    [
                        *key.split("; ")[1:],
                        *(" -> ".join(map(str, row.get(c, []))) for c in ("MiB", "kernels", "ms")),
                        row.get("time", ""),
                    ]
                    for key, row in sorted(rows.items())
                ),
            )
    (RESULTS / "swap.md").write_text(text)


def main() -> None:
    """Compile, merge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", choices=["cpu", "h100", "v5e"], default="cpu")
    parser.add_argument("--models", choices=MODELS, nargs="+", default=list(MODELS))
    parser.add_argument("--forms", choices=LAYERS, nargs="+", default=list(LAYERS))
    parser.add_argument("--time", action="store_true", help="run the steps too; on the CPU alone")
    arguments = parser.parse_args()
    if arguments.time and arguments.platform != "cpu":
        parser.error("expected --platform cpu with --time: the others are compiled for and not run")
    jax.config.update("jax_platforms", "cpu")
    if arguments.platform == "v5e":
        os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    if arguments.platform == "h100":
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_autotune_level=0"
    setting = environment("libtpu", "jax-cuda13-plugin") | {"device": device(arguments.platform).device_kind}
    write(merge("swap", {f"environment, {arguments.platform}": setting}))
    for row in measure(arguments.platform, arguments.models, arguments.forms, arguments.time):
        write(merge("swap", row))


if __name__ == "__main__":
    main()
