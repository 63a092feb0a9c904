"""See what compilers leave of error-free transforms, and whether anything asks them to approximate.

    python -m benchmarks.compilers                      this machine's CPU
    python -m benchmarks.compilers --platform h100      compiled ahead of time (or v5e); needs the extra `aot`

An error-free transform (core/pair.py) gives a result and what rounding took off it. A compiler that reorders sums, or
cancels a - (a - b) to b, makes that 0. So additions and products are counted, in the program as it was traced and as
XLA has optimised it: none may be gone. In the optimised programs of functions and their gradients it is looked for what
lets a compiler reorder or approximate: a fast-math flag, a tolerance, a lower precision. What LLVM makes of an H100's
program, as a fused multiply-add, is not in the optimised HLO. Writes benchmarks/results/compilers.json and
compilers.md.
"""

import argparse
import os
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

import jaxact
from benchmarks.report import RESULTS, environment, merge, table
from benchmarks.residuals import compiled, device
from jaxact.core import pair

TRANSFORMS: dict[str, tuple[Callable[..., pair.Pair], int]] = {
    "difference": (pair.difference, 2),
    "normalized": (pair.normalized, 2),
    "product": (pair.product, 2),
    "quotient": (pair.quotient, 3),
}
"""Each with how many arrays it takes."""
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    name: getattr(jaxact, name)
    for name in ("sigmoid", "tanh", "silu", "gelu", "softplus", "mish", "elu", "selu", "log_sigmoid", "celu", "softmax")
} | {"gelu, exact": lambda x: jaxact.gelu(x, approximate=False), "logsumexp": lambda x: jaxact.logsumexp(x, -1)}
_INSTRUCTION = r"= \S+ (add|subtract|multiply|divide)\("
_ASKS = r"fast[_-]?m|reassoc|approx|tolerance|relaxed|_ftz"


def operations(text: str) -> dict[str, int]:
    """How many sums and products of arrays of floats a program in HLO has."""
    found = [
        m.group(1) for line in text.splitlines() if re.search(r"= f\d", line) and (m := re.search(_INSTRUCTION, line))
    ]
    return {
        "sums": sum(name in ("add", "subtract") for name in found),
        "products": sum(name in ("multiply", "divide") for name in found),
    }


def asks(text: str) -> list[str]:
    """What in a program in HLO lets a compiler reorder or approximate; names of functions and files are no part."""
    body = text[text.find("\n%") :] if "\n%" in text else text
    return sorted(set(re.findall(_ASKS, re.sub(r"metadata=\{[^}]*\}", "", body).lower())))


def of_transform(name: str, target: Any) -> dict[str, list[int]]:
    """Sums and products of a transform, as traced and as optimised."""
    transform, arrays = TRANSFORMS[name]
    shapes = [jax.ShapeDtypeStruct((1024,), jnp.float32)] * arrays
    traced = jax.jit(lambda *a: tuple(transform(*a))).lower(*shapes).as_text("hlo")
    optimised = compiled(lambda *a: tuple(transform(*a)), target, *shapes).as_text()
    return {kind: [operations(text)[kind] for text in (traced, optimised)] for kind in ("sums", "products")}


def of_function(name: str, dtype: str, target: Any) -> list[str]:
    """What lets a compiler approximate in a function with its gradient."""
    both = jax.value_and_grad(lambda x: jnp.sum(FUNCTIONS[name](x).astype(jnp.float32) ** 2))
    return asks(compiled(both, target, jax.ShapeDtypeStruct((64, 1024), dtype)).as_text())


def write(whole: dict[str, Any]) -> None:
    """The report of all that was seen."""
    about = (__doc__ or "").partition("An error-free")
    text = f"# What compilers leave\n\n{about[1]}{about[2]}\n"
    for platform in ("cpu", "h100", "v5e"):
        if (key := f"environment, {platform}") in whole:
            text += f"\n## {platform}\n\n" + ", ".join(f"{k} {v}" for k, v in whole[key].items()) + ".\n\n"
            rows = [(name, whole.get(f"{platform}; {name}")) for name in TRANSFORMS]
            text += table(
                ["transform", "sums, traced -> optimised", "products"],
                ((name, *(" -> ".join(map(str, row[k])) for k in ("sums", "products"))) for name, row in rows if row),
            )
            functions = {k: v for k, v in whole.items() if k.startswith(f"{platform}; function, ")}
            asking = [f"{k.partition('function, ')[2]}: {v}" for k, v in functions.items() if v]
            text += f"\n{len(functions)} programs of a function and its gradient ask for an approximation in: "
            text += f"{'; '.join(asking) or 'none'}.\n"
    (RESULTS / "compilers.md").write_text(text)


def main() -> None:
    """Compile, merge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", choices=["cpu", "h100", "v5e"], default="cpu")
    platform = parser.parse_args().platform
    jax.config.update("jax_platforms", "cpu")
    if platform == "v5e":
        os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    if platform == "h100":
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_autotune_level=0"
    target = device(platform)
    setting = environment("libtpu", "jax-cuda13-plugin") | {"device": target.device_kind}
    results: dict[str, Any] = {f"environment, {platform}": setting}
    results |= {f"{platform}; {name}": of_transform(name, target) for name in TRANSFORMS}
    for dtype in ("float32", "bfloat16"):
        results |= {f"{platform}; function, {name}, {dtype}": of_function(name, dtype, target) for name in FUNCTIONS}
    for key, found in results.items():
        print(key, found)
    write(merge("compilers", results))


if __name__ == "__main__":
    main()
