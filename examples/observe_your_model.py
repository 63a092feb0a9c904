"""See the gradient flow of models that know nothing of jaxact: Flax Linen, Flax NNX, and a scanned transformer.

    python examples/observe_your_model.py [--quick]

A layer of dead ReLUs is planted in the first, a softmax before a loss that takes logits in the second, and a stack of
sigmoids in the third. One call shows each, with the line that it is on; the models are not changed for it.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import optax
import tyro
from flax import nnx
from jax import Array

from chartfile import ChartFile
from jaxact import flow as jf


@dataclasses.dataclass(frozen=True)
class Arguments(ChartFile):
    """The command line."""

    out: Path = Path("observe_your_model.html")
    quick: bool = False
    """A shallower transformer."""


class LinenMlp(nn.Module):
    """Three layers, of which the second starts with a bias that kills it."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Return what the loss takes."""
        x = nn.relu(nn.Dense(64)(x))
        x = nn.relu(nn.Dense(64, bias_init=nn.initializers.constant(-20.0))(x))
        return nn.Dense(10)(x)


class NnxMlp(nnx.Module):
    """A classifier that returns probabilities, to a loss that expects logits."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.hidden = nnx.Linear(32, 64, rngs=rngs)
        self.out = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Return what the loss takes."""
        return nnx.softmax(self.out(nnx.relu(self.hidden(x))))


class Block(nn.Module):
    """Attention, and in place of a feed-forward block sigmoids, with no residual connection and no normalisation."""

    @nn.compact
    def __call__(self, x: Array, _: None) -> tuple[Array, None]:
        """Return the next state, as `nn.scan` has it."""
        x = x + nn.MultiHeadDotProductAttention(num_heads=4)(x)
        return nn.sigmoid(nn.Dense(32)(x)), None


class Transformer(nn.Module):
    """Blocks, scanned and rematerialised."""

    depth: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Return what the loss takes."""
        blocks = nn.scan(nn.remat(Block), variable_axes={"params": 0}, split_rngs={"params": True}, length=self.depth)
        x, _ = blocks()(x, None)
        return nn.Dense(10)(x.mean(1))


def main(arguments: Arguments) -> None:
    """Observe the three and print what is found."""
    x = jax.random.normal(jax.random.key(0), (256, 32))
    labels = jax.random.randint(jax.random.key(1), (256,), 0, 10)

    def cross_entropy(logits: Any) -> Array:
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    linen = LinenMlp()
    nnx_model = NnxMlp(nnx.Rngs(0))
    transformer = Transformer(8 if arguments.quick else 12)
    tokens = x.reshape(256, 4, 8).repeat(4, axis=2)
    observed = {
        "Linen": jax.jit(jf.observe(lambda params: cross_entropy(linen.apply(params, x))))(
            linen.init(jax.random.key(2), x)
        ),
        "NNX": jax.jit(jf.observe(lambda model: cross_entropy(model(x))))(nnx_model),
        "transformer": jax.jit(jf.observe(lambda params: cross_entropy(transformer.apply(params, tokens))))(
            transformer.init(jax.random.key(3), tokens)
        ),
    }
    found = {}
    for name, ((loss, _), flow) in observed.items():
        print(f"\n{name}, loss {loss:.3f}\n{flow}")
        found[name] = flow.findings()
        print(*found[name], sep="\n")
    flow = observed["transformer"][1]
    arguments.save(flow.chart())
    rules = "; ".join(f"{name}: {', '.join(f.rule for f in findings) or 'nothing'}" for name, findings in found.items())
    print(
        f"\nLesson: three models, unchanged, {sum(map(len, found.values()))} findings ({rules}). In the transformer "
        f"the gradient's norm changes by a factor of {math.exp(-flow.gradient_slope()):.2f} a layer on its way back."
    )


if __name__ == "__main__":
    main(tyro.cli(Arguments))
