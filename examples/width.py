"""Which learning rate does a wider model need? With muP the one that was tuned on a narrow model.

    python examples/width.py            widths 32 to 512, five rates
    python examples/width.py --quick    widths 32 to 128, three rates in fewer steps

A transformer learns to predict the next character of Python's documentation. First a coordinate check: in the standard
parametrisation a step of Adam changes each hidden and output weight as much in a wide model as in a narrow one, and so
what is summed over more of them grows. Then it is trained with each rate. muP (Yang et al. 2022, arXiv:2203.03466)
divides the rates of these weights, and the size at which the readout starts, by the width.
"""

import dataclasses
import itertools
import math
from collections import namedtuple
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import altair as alt
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from flax import linen as nn
from jax import Array, lax

from chartfile import ChartFile
from jaxact.compare.studies.data import documentation
from jaxact.flow import coord_check
from jaxact.propagation import mup

BASE = 32  # the width at which both parametrisations are the same
CONTEXT, BATCH, HEAD = 32, 8, 16
TEXT = documentation()
Study = namedtuple("Study", "init loss batches optimizer")


@dataclasses.dataclass(frozen=True)
class Config(ChartFile):
    """Coordinate checks and best learning rates of a transformer, in the standard parametrisation and in muP."""

    out: Path = Path("width.png")
    quick: bool = False
    """Widths up to 128, three rates, 16 steps."""


class Transformer(nn.Module):
    """Logits of the next character. A wider model has more heads, all of one width."""

    width: int

    @nn.compact
    def __call__(self, tokens: Array) -> Array:
        """Map (batch, context) to (batch, context, characters)."""
        of_size_1 = nn.initializers.normal(1.0)
        x = nn.Embed(len(TEXT.characters), self.width, embedding_init=of_size_1, name="embed")(tokens)
        x += self.param("positions", of_size_1, (CONTEXT, self.width))
        for i in range(2):
            h = nn.Dense(3 * self.width, use_bias=False, name=f"qkv_{i}")(nn.RMSNorm()(x))
            q, k, v = (a.reshape(*h.shape[:2], -1, HEAD) for a in jnp.split(h, 3, axis=-1))
            h = jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(x.shape)
            x += nn.Dense(self.width, use_bias=False, name=f"out_{i}")(h)
            h = jax.nn.gelu(nn.Dense(2 * self.width, name=f"up_{i}")(nn.RMSNorm()(x)))
            x += nn.Dense(self.width, name=f"down_{i}")(h)
        return nn.Dense(len(TEXT.characters), name="readout")(nn.RMSNorm()(x))


def role(path: str, leaf: Any) -> Literal["input", "hidden", "output", "vector"]:
    """What a parameter is to muP."""
    if "kernel" in path:
        return "output" if "readout" in path else "hidden"
    return "input" if leaf.ndim == 2 else "vector"


def batches(seed: int) -> Iterator[Array]:
    """Passages of the text."""
    rng = np.random.default_rng(seed)
    while True:
        yield TEXT.train[rng.integers(0, len(TEXT.train) - CONTEXT, (BATCH, 1)) + np.arange(CONTEXT + 1)]


def make(width: int, base: int, rate: Any = 2**-8) -> Study:
    """A model that is muP's with a base of another width, and with a base of its own width the standard one."""
    passage = np.zeros((1, CONTEXT), np.int32)
    wide, narrow = (jax.eval_shape(Transformer(n).init, jax.random.key(0), passage)["params"] for n in (width, base))
    scaled = mup(wide, narrow, role)

    @jax.jit
    def init(key: Array) -> Any:
        parameters: Any = Transformer(width).init(key, passage)["params"]
        # Linen's variance is 1 / width; muP's is another one for the readout alone.
        parameters["readout"]["kernel"] *= math.sqrt(width * scaled.variances["readout"]["kernel"])
        return parameters

    def loss(parameters: Any, rows: Array) -> Array:
        logits = jnp.asarray(Transformer(width).apply({"params": parameters}, rows[:, :-1]))
        return optax.softmax_cross_entropy_with_integer_labels(logits, rows[:, 1:]).mean()

    adams: dict[Any, Any] = {label: optax.adam(rate * factor) for label, factor in scaled.learning_rates.items()}
    return Study(init, loss, batches, optax.multi_transform(adams, scaled.labels))


def losses(width: int, base: int, powers: Iterable[int], steps: int) -> list[float]:
    """The mean loss in the last quarter of the steps, for each rate 2^power."""
    passages = jnp.stack([*itertools.islice(batches(0), steps)])

    @jax.jit
    def train(rate: float) -> Array:
        study = make(width, base, rate)

        def step(carry: Any, rows: Array) -> tuple[Any, Array]:
            parameters, state = carry
            value, gradient = jax.value_and_grad(study.loss)(parameters, rows)
            updates, state = study.optimizer.update(gradient, state)
            return (optax.apply_updates(parameters, updates), state), value

        parameters = study.init(jax.random.key(0))
        return lax.scan(step, (parameters, study.optimizer.init(parameters)), passages)[1][-steps // 4 :].mean()

    return [float(train(2.0**power)) for power in powers]


def main(config: Config) -> None:
    """Check, train, print what was found, draw loss by rate."""
    widths: Sequence[int] = (32, 64, 128) if config.quick else (32, 64, 128, 256, 512)
    powers, steps = (range(-9, -4, 2), 16) if config.quick else (range(-12, -3, 2), 64)
    points, said = [], []
    for name in ("standard", "muP"):
        base = {width: BASE if name == "muP" else width for width in widths}
        check = coord_check(lambda width, base=base: make(width, base[width]), widths, steps=3, seeds=2)
        off = [r for r in check.failures() if r["step"] == 0 or r["kind"] in ("site", "logits")]
        print(f"{name}: {len(check.failures())} of {len(check.slopes)} sizes go with the width as muP's do not")
        for r in off:
            print(f"  step {r['step']}, {r['kind']:9} {r['path']:25} width^{r['slope']:.2f}, expected {r['expected']}")
        for width in widths[::2]:
            found = dict(zip(powers, losses(width, base[width], powers, steps), strict=True))
            print(f"{name:9}{width:5}  " + "  ".join(f"2^{p}: {v:.3f}" for p, v in found.items()), flush=True)
            points += [{"by": name, "width": width, "rate": 2.0**p, "loss": v} for p, v in found.items()]
            said.append(f"{name} 2^{min(found, key=lambda p: found[p])} at {width}")
    x, y = alt.X("rate:Q", scale=alt.Scale(type="log", base=2)), alt.Y("loss:Q", scale=alt.Scale(zero=False))
    lines = alt.Chart(alt.Data(values=points)).mark_line(point=True).encode(x, y, alt.Color("width:O"))
    config.save(lines.properties(width=260, height=260).facet(alt.Facet("by:N", title=None, sort=["standard", "muP"])))
    print(f"\nLesson: the best of these learning rates by width: {', '.join(said)}.")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
