"""Measure what an activation adds to the memory of a backward pass, and to its kernels, beside jax.nn.

    python -m benchmarks.residuals                    compiled for this machine's CPU
    python -m benchmarks.residuals --platform v5e     compiled for a TPU v5e, with no TPU here; or for an h100;
                                                      needs the extra `aot`; unrolled, a minute or more a function

The programs are gradients over layers, 64 scanned or 8 unrolled:

- feed-forward, `h + f(h W1) W2`, in arrays of the hidden size; `compact` functions too;
- gated, `h + f(h W1, h W2) W3`, in the same: gate and value are one array each;
- attention, `h + f(q k^T) v`, in arrays of the scores;
- a transformer's whole training step, 12 layers of both, in MiB.

Memory is the compiler's own count of temporary bytes, less that of the same program with the identity for f, or a sum
for the gated. Kernels are the fusions and other computing instructions of the optimised program, less those of the same
program, in the forward pass and in what the gradient adds to it. What is there for one layer at a time is in both, and
so by a 64th or an 8th of it in what a layer keeps. Writes benchmarks/results/residuals.json, into which
each function is merged once it is measured, and residuals.md and residuals.svg, which are made from it.
"""

import argparse
import contextlib
import functools
import inspect
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxact
from benchmarks.report import RESULTS, environment, merge, table
from jaxact.core import catalog

LAYERS = {"scanned": 64, "unrolled": 8}
DTYPES = ["float32", "bfloat16"]
ROWS, WIDTH, HIDDEN = 2048, 1024, 4096  # more than a TPU holds beside its cores, which it would not count
FEWER = 4  # times fewer rows, where hidden layers are scanned: 64 of them have to fit beside their weights
KERNEL = r"^\s+(?:ROOT )?%?\S+ = \S+ (?:fusion|custom-call|dot|convolution)\("
ORDER = ["jaxact", "compact", "jax.nn"]
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


Loss = Callable[[Any, Array], Array]


def stacked(block: Callable[[Array, Any], Array], unroll: bool) -> Loss:
    """The loss of a stack of blocks `(h, weights of a layer)`."""

    def loss(weights: Any, h: Array) -> Array:
        h, _ = lax.scan(lambda h, layer: (block(h, layer), None), h, weights, unroll=unroll)
        return jnp.sum(jnp.square(h.astype(jnp.float32)))

    return loss


def feed_forward(f: Callable[..., Array]) -> Callable[[Array, Any], Array]:
    """The block with one activation."""
    return lambda h, w: h + f(h @ w[0]) @ w[1]


def gated(f: Callable[..., Array]) -> Callable[[Array, Any], Array]:
    """The block with a gate and a value."""
    return lambda h, w: h + f(h @ w[0], h @ w[2]) @ w[1]


def attention(f: Callable[..., Array]) -> Callable[[Array, Any], Array]:
    """One head over all of h's rows."""
    return lambda h, w: h + f((h @ w[0]) @ (h @ w[1]).T) @ (h @ w[2])


BLOCKS = {"feed-forward": feed_forward, "gated": gated, "attention": attention}
SHAPES = {
    "feed-forward": [(WIDTH, HIDDEN), (HIDDEN, WIDTH)],
    "gated": [(WIDTH, HIDDEN), (HIDDEN, WIDTH), (WIDTH, HIDDEN)],
    "attention": [(WIDTH, 64), (WIDTH, 64), (WIDTH, WIDTH)],
}
NOTHING = {"feed-forward": lambda x: x, "gated": lambda gate, value: gate + value, "attention": lambda x: x}


def compiled(function: Callable[..., Any], target: Any, *arguments: Any) -> Any:
    """Compile for a device, of which there need not be one here."""
    sharding = NamedSharding(Mesh(np.array([target]), ("d",)), PartitionSpec())
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), arguments)
    return jax.jit(function).lower(*shapes).compile()


def kernels(program: Any) -> int:
    """How many fusions and other computing instructions the optimised program starts."""
    return len(re.findall(KERNEL, program.as_text(), re.MULTILINE))


def cost(block: str, f: Callable[..., Array], dtype: str, form: str, target: Any) -> tuple[float, int, int]:
    """Temporary memory of the gradient in arrays, kernels of the forward pass, and those that the gradient adds."""
    kind, layers = jnp.dtype(dtype), LAYERS[form]
    rows = ROWS // FEWER if form == "scanned" and block != "attention" else ROWS
    weights = [jax.ShapeDtypeStruct((layers, *shape), kind) for shape in SHAPES[block]]
    arguments = weights, jax.ShapeDtypeStruct((rows, WIDTH), kind)
    loss = stacked(BLOCKS[block](f), form == "unrolled")
    gradient, forward = compiled(jax.grad(loss), target, *arguments), compiled(loss, target, *arguments)
    unit = layers * rows * (rows if block == "attention" else HIDDEN) * kind.itemsize
    ahead = kernels(forward)
    return gradient.memory_analysis().temp_size_in_bytes / unit, ahead, kernels(gradient) - ahead


def providers(row: catalog.Row) -> dict[str, Callable[..., Array]]:
    """A function of the catalog, its `compact` form, and jax.nn's."""
    peer = getattr(jax.nn, row.name, None)
    if row.name == "glu":
        packed = lambda f: lambda gate, value: f(jnp.concatenate([value, gate], -1))  # noqa: E731
        return {"jaxact": packed(row.function), "jax.nn": packed(jax.nn.glu)}
    found: dict[str, Callable[..., Array]] = {"jaxact": row.function}
    with contextlib.suppress(ValueError):
        found["compact"] = jaxact.compact(row.function)
    gates = {"swiglu": jax.nn.silu, "geglu": jax.nn.gelu, "reglu": jax.nn.relu, "bilinear": lambda gate: gate}
    if row.name in gates:
        found["jax.nn"] = lambda gate, value: gates[row.name](gate) * value
    elif peer is not None:
        found["jax.nn"] = peer
    return found


def block_of(row: catalog.Row) -> str | None:
    """Where a function is measured, if it is."""
    if inspect.Parameter.empty in row.parameters.values() or row.name == "identity":
        return None
    if row.kind == "pointwise":
        return "feed-forward"
    return {"gated": "gated", "axis": "attention" if row.name == "softmax" else None}.get(row.kind)


def measure(platform: str, names: list[str], dtype: str, form: str) -> Iterator[dict[str, Any]]:
    """Compile function after function: "platform/dtype/form/block/function/provider" -> arrays and kernels added."""
    target = device(platform)
    chosen = [(row, block) for row in catalog.rows() if (block := block_of(row)) and (not names or row.name in names)]
    base = {b: cost(b, NOTHING[b], dtype, form, target) for b in {b for _, b in chosen}}
    for row, block in chosen:
        results = {}
        for provider, function in providers(row).items():
            found = cost(block, function, dtype, form, target)
            kept, forward, backward = (a - b for a, b in zip(found, base[block], strict=True))
            facts = {"arrays": round(kept, 3), "forward": forward, "backward": backward}
            results[f"{platform}/{dtype}/{form}/{block}/{row.name}/{provider}"] = facts
        yield results


def transformer(platform: str) -> dict[str, Any]:
    """A whole training step of 12 layers of 8 heads: "platform/transformer/dtype/activation/provider" -> MiB."""
    layers, batch, length, width, heads, hidden = 12, 4, 512, 512, 8, 2048
    target, results = device(platform), {}

    def normed(h: Array) -> Array:
        wide = h.astype(jnp.float32)
        return (wide * lax.rsqrt(jnp.mean(jnp.square(wide), -1, keepdims=True) + 1e-6)).astype(h.dtype)

    def step(softmax: Any, f: Any, weights: dict[str, Array], h: Array) -> tuple[dict[str, Array], Array]:
        def layer(h: Array, w: dict[str, Array]) -> tuple[Array, None]:
            q, k, v = jnp.moveaxis((normed(h) @ w["qkv"]).reshape(batch, length, 3, heads, -1), 2, 0)
            shares = softmax(jnp.einsum("blhd,bmhd->bhlm", q, k) * (width // heads) ** -0.5)
            h = h + jnp.einsum("bhlm,bmhd->blhd", shares, v).reshape(h.shape) @ w["out"]
            return h + f(normed(h) @ w["up"]) @ w["down"], None

        def loss(weights: dict[str, Array]) -> Array:
            return jnp.mean(jnp.square(lax.scan(layer, h, weights)[0].astype(jnp.float32)))

        value, gradient = jax.value_and_grad(loss)(weights)
        return jax.tree.map(lambda w, g: (w - 1e-3 * g).astype(w.dtype), weights, gradient), value

    for dtype in DTYPES:
        of = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.dtype(dtype))  # noqa: B023, E731
        weights = {
            "qkv": of(layers, width, 3 * width),
            "out": of(layers, width, width),
            "up": of(layers, width, hidden),
            "down": of(layers, hidden, width),
        }
        for name in ("relu", "gelu", "silu", "mish"):
            row = catalog.info(name)
            for provider, function in providers(row).items():
                softmax = jax.nn.softmax if provider == "jax.nn" else jaxact.softmax
                program = compiled(
                    functools.partial(step, softmax, function), target, weights, of(batch, length, width)
                )
                size = program.memory_analysis().temp_size_in_bytes / 2**20
                results[f"{platform}/transformer/{dtype}/{name}/{provider}"] = round(size, 1)
    return results


def write(results: dict[str, Any]) -> None:
    """Write residuals.md and residuals.svg from all that residuals.json holds."""
    text = [
        "# What a backward pass keeps\n",
        "Written by `python -m benchmarks.residuals`, which says what is measured: arrays that an activation adds to "
        "the temporary memory of a gradient and, behind the slash, the kernels that it adds to the forward pass and to "
        "the backward pass. Unrolled, XLA recomputes by itself what it counts as cheap.\n",
    ]
    measured = {tuple(k.split("/")): v for k, v in results.items() if k.count("/") == 5}
    steps = {tuple(k.split("/")): v for k, v in results.items() if k.count("/") == 4 and "/transformer/" in k}
    for platform in dict.fromkeys(k[0] for k in measured):
        where = ", ".join(f"{k} {v}" for k, v in results[f"environment, {platform}"].items())
        text.append(f"## {platform}\n\n{where}\n")
        for block in BLOCKS:
            here = {k[1:3] + k[4:]: v for k, v in measured.items() if k[0] == platform and k[3] == block}
            columns = sorted({(k[0], k[1], k[3]) for k in here}, key=lambda c: (*c[:2], ORDER.index(c[2])))
            rows = []
            for name in dict.fromkeys(k[2] for k in here):
                cells = [here.get((dtype, form, name, p)) for dtype, form, p in columns]
                rows.append(
                    [name, *(f"{c['arrays']:z.2f} / {c['forward']:+d} {c['backward']:+d}" if c else "" for c in cells)]
                )
            if rows:
                text.append(f"### {block}\n\n" + table(["function", *(", ".join(c) for c in columns)], rows))
        rows = [
            [f"{dtype}, {name}", *(steps.get((platform, "transformer", dtype, name, p), "") for p in ORDER)]
            for dtype, name in dict.fromkeys((k[2], k[3]) for k in steps if k[0] == platform)
        ]
        if rows:
            text.append("### a transformer's training step, MiB\n\n" + table(["type, activation", *ORDER], rows))
    (RESULTS / "residuals.md").write_text("\n".join(text))
    points = [
        {"platform": k[0], "function": k[4], "provider": k[5], "arrays": v["arrays"]}
        for k, v in measured.items()
        if k[1:4] == ("bfloat16", "scanned", "feed-forward")
    ]
    chart = (
        alt.Chart(alt.Data(values=points))
        .mark_point(filled=True, size=50)
        .encode(
            alt.X("arrays:Q", title="arrays kept, bfloat16, scanned"),
            alt.Y("function:N", title=None),
            alt.Color("provider:N", title=None, sort=ORDER),
        )
        .properties(width=240)
        .facet(alt.Facet("platform:N", title=None), columns=3)
    )
    chart.save(RESULTS / "residuals.svg")


def main() -> None:
    """Compile, merge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*", help="names from the catalog; default all, and a transformer")
    parser.add_argument("--platform", choices=["cpu", "h100", "v5e"], default="cpu")
    parser.add_argument("--form", choices=LAYERS, nargs="+", default=list(LAYERS))
    parser.add_argument("--dtype", choices=DTYPES, nargs="+", default=DTYPES)
    arguments = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    if arguments.platform == "v5e":
        os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    if arguments.platform == "h100":
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_autotune_level=0"
    setting = environment("libtpu", "jax-cuda13-plugin") | {"device": device(arguments.platform).device_kind}
    whole = merge("residuals", {f"environment, {arguments.platform}": setting})
    for form in arguments.form:
        for dtype in arguments.dtype:
            for results in measure(arguments.platform, arguments.functions, dtype, form):
                whole = merge("residuals", results)
                print(*results, sep="\n", flush=True)
            write(whole)
    if not arguments.functions:
        write(merge("residuals", transformer(arguments.platform)))


if __name__ == "__main__":
    main()
