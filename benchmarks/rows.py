"""Count the kernels that a row function is compiled to, beside jax.nn's.

    python -m benchmarks.rows --platform h100      compiled for an H100 (or v5e), with neither device here; extra `aot`

Writes results/rows.json and rows.md. A row is one kernel as long as XLA sees its pattern: largest, difference,
exponential, sum. Forward and backward are one program; a loss is a weighted sum.
"""

import argparse
import functools
import os
from typing import Any

import jax
import jax.numpy as jnp

import jaxact
from benchmarks import report
from benchmarks.residuals import compiled, device, kernels

_FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "softmax": (jaxact.softmax, jax.nn.softmax),
    "softmax, masked": (
        lambda x: jaxact.softmax(x, where=x > -1),
        lambda x: jax.nn.softmax(x, where=x > -1),
    ),
    "log_softmax": (jaxact.log_softmax, jax.nn.log_softmax),
    "logsumexp": (functools.partial(jaxact.logsumexp, axis=-1), functools.partial(jax.nn.logsumexp, axis=-1)),
}
_SHAPES = ((4096, 1024), (256, 65536))


def measured(platform: str) -> dict[str, list[int]]:
    """Kernels forward, and forward and backward together."""
    results = {}
    where = device(platform)
    for shape in _SHAPES:
        for dtype in (jnp.bfloat16, jnp.float32):
            for name, functions in _FUNCTIONS.items():
                for provider, f in zip(("jaxact", "jax.nn"), functions, strict=True):
                    x = jax.ShapeDtypeStruct(shape, dtype)
                    y = jax.eval_shape(f, x)

                    def both(x: Any, c: Any, f: Any = f) -> Any:
                        return jax.vjp(f, x)[1](c)[0]

                    programs = compiled(f, where, x), compiled(both, where, x, y)
                    key = f"{platform}/{dtype.__name__}/{shape[1]}/{name}/{provider}"
                    results[key] = [kernels(p) for p in programs]
                    print(key, results[key], flush=True)
    return results


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--platform", choices=["h100", "v5e"], required=True)
    platform = parser.parse_args().platform
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    whole = report.merge("rows", measured(platform))
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for key, (forward, together) in whole.items():
        platform, dtype, n, name, provider = key.split("/")
        cells.setdefault((platform, dtype, n, name), {})[provider] = f"{forward} / {together}"
    rows = [[", ".join(key), row.get("jaxact", ""), row.get("jax.nn", "")] for key, row in sorted(cells.items())]
    text = (
        "# Kernels of row functions\n\nForward / forward and backward together, of 4,096 rows of 1,024 and 256 of "
        f"65,536 entries. Written by `python -m benchmarks.rows`; JAX {jax.__version__}, compiled without a device.\n\n"
    )
    (report.RESULTS / "rows.md").write_text(text + report.table(["", "jaxact", "jax.nn"], rows))


if __name__ == "__main__":
    main()
