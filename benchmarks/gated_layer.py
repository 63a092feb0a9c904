"""Measure what a gated feed-forward layer keeps for the backward pass, with and without a checkpoint around its unit.

    python -m benchmarks.gated_layer

The program is the gradient over layers `h + unit(h W1, h W2) W3`, 32 scanned or 8 unrolled, compiled for this machine.
Memory is the compiler's own count of temporary bytes in arrays of the hidden size a layer, less that of layers that are
computed again as a whole, which keep h alone. Work is the compiler's count of operations, over that of jax.nn without a
checkpoint. Writes benchmarks/results/gated_layer.md.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

import jaxact
from benchmarks.report import RESULTS, environment, table

WIDTH, HIDDEN, BATCH = 256, 1024, 512


def plain(unit: Callable[..., Array], gate: Array, value: Array, back: Array) -> Array:
    """The unit and the projection behind it."""
    return unit(gate, value) @ back


def lean(unit: Callable[..., Array], gate: Array, value: Array, back: Array) -> Array:
    """The same in a checkpoint, as `GatedMLP(remat=True)` has it."""
    return jax.checkpoint(functools.partial(plain, unit), prevent_cse=False)(gate, value, back)


FORMS: dict[str, Callable[..., Array]] = {
    "jax.nn.silu(gate) * value": functools.partial(plain, lambda g, u: jax.nn.silu(g) * u),
    "the same in a checkpoint with the projection": functools.partial(lean, lambda g, u: jax.nn.silu(g) * u),
    "jaxact.swiglu": functools.partial(plain, jaxact.swiglu),
    "the same in a checkpoint with the projection, remat=True": functools.partial(lean, jaxact.swiglu),
}


WHOLE = "jaxact.swiglu, the whole layer in a checkpoint"


def measured(name: str, dtype: str, layers: int, unroll: bool) -> tuple[float, float]:
    """Temporary bytes and operations of the gradient."""
    form = FORMS.get(name, FORMS["jaxact.swiglu"])

    def step(h: Array, weights: tuple[Array, Array, Array]) -> tuple[Array, None]:
        into, value, back = weights
        return h + form(h @ into, h @ value, back), None

    if name == WHOLE:
        step = jax.checkpoint(step, prevent_cse=unroll)

    def loss(weights: tuple[Array, Array, Array], h: Array) -> Array:
        return jnp.sum(jnp.square(lax.scan(step, h, weights, unroll=unroll)[0].astype(jnp.float32)))

    shapes = [(layers, WIDTH, HIDDEN), (layers, WIDTH, HIDDEN), (layers, HIDDEN, WIDTH)]
    weights = tuple(jax.ShapeDtypeStruct(shape, jnp.dtype(dtype)) for shape in shapes)
    h = jax.ShapeDtypeStruct((BATCH, WIDTH), jnp.dtype(dtype))
    compiled = jax.jit(jax.grad(loss)).lower(weights, h).compile()
    return compiled.memory_analysis().temp_size_in_bytes, compiled.cost_analysis()["flops"]


def main() -> None:
    """Measure and write the table."""
    lines = []
    columns = [
        (dtype, layers, unroll) for dtype in ("float32", "bfloat16") for layers, unroll in ((32, False), (8, True))
    ]
    results = {column: {name: measured(name, *column) for name in (*FORMS, WHOLE)} for column in columns}
    for name in (*FORMS, WHOLE):
        line = [name]
        for column in columns:
            dtype, layers, _ = column
            size = BATCH * HIDDEN * jnp.dtype(dtype).itemsize * layers
            kept, work = results[column][name]
            line.append(f"{(kept - results[column][WHOLE][0]) / size:.2f}")
            line.append(f"{work / results[column][next(iter(FORMS))][1]:.2f}")
        lines.append(line)
    header = ["form"]
    for dtype, layers, unroll in columns:
        header += [f"{dtype}, {layers} {'unrolled' if unroll else 'scanned'}: kept", "work"]
    where = ", ".join(f"{key} {value}" for key, value in environment().items())
    title = f"# A gated feed-forward layer\n\n{where}; arrays of the hidden size that a layer keeps."
    text = f"{title}\n\n{table(header, lines)}"
    (RESULTS / "gated_layer.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
