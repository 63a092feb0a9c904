"""Measure what an activation adds to the memory of a backward pass, and to its kernels, beside jax.nn.

    python -m benchmarks.residuals                    compiled for this machine's CPU
    python -m benchmarks.residuals --platform v5e     compiled for a TPU v5e, with neither device here (h100 likewise);
                                                      needs the extra `aot`

The program is the gradient of `h + act(h W1) W2` over 8 layers. Memory is the compiler's own count of temporary
bytes, less that of the same program without an activation, in arrays of the hidden size. Writes
benchmarks/results/residuals.json, into which each run merges what it measured, and residuals.md, which is made from it.
"""

import argparse
import os
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.report import RESULTS, environment, merge, table
from jaxact.core import catalog

LAYERS, BATCH, WIDTH, HIDDEN = 8, 256, 256, 1024
KERNEL = r"^\s+(?:ROOT )?%?\S+ = \S+ (?:fusion|custom-call|dot|convolution)\("
TOPOLOGIES = {
    "v5e": {"platform": "tpu", "topology_name": "v5e:2x2"},
    "h100": {"platform": "cuda", "topology_name": "h100", "topology": "1x1x1"},
}
H100 = """gpu_device_info { threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
shared_memory_per_core: 233472 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535 memory_bandwidth: 3352320000000
l2_cache_size: 52428800 clock_rate_ghz: 1.98 device_memory_size: 84978434048 shared_memory_per_block_optin: 232448
cuda_compute_capability { major: 9 minor: 0 } registers_per_core_limit: 65536 registers_per_block_limit: 65536 }
platform_name: "CUDA" dnn_version_info { major: 9 minor: 1 patch: 1 } device_description_str: "NVIDIA H100 80GB HBM3"
"""


def device(platform: str) -> Any:
    """This machine's CPU, or one that the compiler only knows by description."""
    if platform == "cpu":
        return jax.devices("cpu")[0]
    from jax.experimental import topologies

    extra = {"target_config": H100} if platform == "h100" else {}
    return topologies.get_topology_desc(**TOPOLOGIES[platform], **extra).devices[0]


def compiled(activation: Callable[[Array], Array], dtype: str, unroll: bool, target: Any) -> Any:
    """Compile the gradient of the feed-forward blocks."""

    def loss(weights: tuple[Array, Array], h: Array) -> Array:
        def block(h: Array, layer: tuple[Array, Array]) -> tuple[Array, None]:
            first, second = layer
            return h + activation(h @ first) @ second, None

        h, _ = lax.scan(block, h, weights, unroll=LAYERS if unroll else 1)
        return jnp.sum(jnp.square(h.astype(jnp.float32)))

    sharding = NamedSharding(Mesh(np.array([target]), ("d",)), PartitionSpec())

    def argument(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.dtype(dtype), sharding=sharding)

    weights = (argument(LAYERS, WIDTH, HIDDEN), argument(LAYERS, HIDDEN, WIDTH))
    return jax.jit(jax.grad(loss)).lower(weights, argument(BATCH, WIDTH)).compile()


def arrays(program: Any, dtype: str) -> float:
    """Temporary memory of a program in arrays of the hidden size over all layers."""
    return program.memory_analysis().temp_size_in_bytes / (LAYERS * BATCH * HIDDEN * jnp.dtype(dtype).itemsize)


def kernels(program: Any) -> int:
    """How many fusions and other computing instructions the optimised program starts."""
    return len(re.findall(KERNEL, program.as_text(), re.MULTILINE))


def measure(platform: str, names: list[str]) -> dict[str, Any]:
    """Compile every function: "platform/dtype/form/function/provider" -> arrays kept and kernels added."""
    target, results = device(platform), {}
    for dtype in ("float32", "bfloat16"):
        for form in ("scanned", "unrolled"):
            base = compiled(lambda x: x, dtype, form == "unrolled", target)
            for row in catalog.rows():
                if row.kind != "pointwise" or (names and row.name not in names) or row.name == "prelu":
                    continue
                for provider, function in (("jaxact", row.function), ("jax.nn", getattr(jax.nn, row.name, None))):
                    if function is not None:
                        program = compiled(function, dtype, form == "unrolled", target)
                        results[f"{platform}/{dtype}/{form}/{row.name}/{provider}"] = {
                            "arrays": round(arrays(program, dtype) - arrays(base, dtype), 3),
                            "kernels": kernels(program) - kernels(base),
                        }
            print(platform, dtype, form, flush=True)
    return results


def write(results: dict[str, Any]) -> None:
    """Write residuals.md from all that residuals.json holds."""
    text = [
        "# What a backward pass keeps\n",
        "Written by `python -m benchmarks.residuals`: what an activation adds to the temporary memory of the gradient "
        f"of `h + act(h W1) W2` over {LAYERS} layers, in arrays of the hidden size, and behind the slash the kernels "
        "(fusions and other computing instructions of the optimised program) that it adds. Unrolled, XLA fuses and "
        "recomputes by itself, and most of the difference goes.\n",
    ]
    measured = {tuple(k.split("/")): v for k, v in results.items() if k.count("/") == 4}
    for platform in dict.fromkeys(k[0] for k in measured):
        columns = list(dict.fromkeys((k[1], k[2], k[4]) for k in measured if k[0] == platform))
        names = dict.fromkeys(k[3] for k in measured if k[0] == platform)
        rows = []
        for name in names:
            cells = [measured.get((platform, dtype, form, name, p)) for dtype, form, p in columns]
            rows.append([name, *(f"{c['arrays']:.2f} / {c['kernels']:+d}" if c else "" for c in cells)])
        where = ", ".join(f"{k} {v}" for k, v in results[f"environment, {platform}"].items())
        text.append(f"## {platform}\n\n{where}\n\n" + table(["function", *(", ".join(c) for c in columns)], rows))
    (RESULTS / "residuals.md").write_text("\n".join(text))


def main() -> None:
    """Compile, merge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*", help="names from the catalog; default all")
    parser.add_argument("--platform", choices=["cpu", "h100", "v5e"], default="cpu")
    arguments = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if arguments.platform == "v5e":
        os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    if arguments.platform == "h100":
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_autotune_level=0"
    results = {f"environment, {arguments.platform}": environment("libtpu", "jax-cuda13-plugin")}
    results |= measure(arguments.platform, arguments.functions)
    write(merge("residuals", results))


if __name__ == "__main__":
    main()
