"""Give a model that nobody edits jaxact's activations: Flax Linen, Flax NNX, Equinox and Haiku, written with jax.nn's.

    python examples/swap_your_model.py [--quick]

Prints for each what is exchanged for what and where, how far loss and gradients are from those of the model as it was,
and the temporary memory of its compiled gradient before and after.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import tyro
from flax import nnx
from jax import Array

from jaxact import flow


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The command line."""

    quick: bool = False
    """Narrower models."""


class LinenBlock(nn.Module):
    """A transformer's layer, for `nn.scan`."""

    width: int

    @nn.compact
    def __call__(self, x: Array, _: None) -> tuple[Array, None]:
        """Attend, then a feed-forward block with the tanh form of GELU."""
        x = x + nn.MultiHeadDotProductAttention(4)(nn.LayerNorm()(x))
        return x + nn.Dense(self.width)(nn.gelu(nn.Dense(4 * self.width)(nn.LayerNorm()(x)))), None


class NnxGated(nnx.Module):
    """A feed-forward block with a gate: silu(gate) * value, taken together as swiglu."""

    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.gate, self.value = nnx.Linear(width, 4 * width, rngs=rngs), nnx.Linear(width, 4 * width, rngs=rngs)
        self.down = nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Return x and what the block adds."""
        return x + self.down(nnx.silu(self.gate(x)) * self.value(x))


Model = tuple[str, Callable[[Any, Array], Array], Any]


def models(width: int, x: Array) -> Iterator[Model]:
    """The name, loss and parameters of each."""
    key = jax.random.key(0)
    stack = nn.scan(LinenBlock, variable_axes={"params": 0}, split_rngs={"params": True}, length=6)(width)
    yield "Flax Linen", lambda p, x: jnp.mean(stack.apply(p, x, None)[0] ** 2), stack.init(key, x, None)

    graph, parameters = nnx.split(NnxGated(width, nnx.Rngs(0)))
    yield "Flax NNX", lambda p, x: jnp.mean(nnx.merge(graph, p)(x) ** 2), parameters

    def exact_gelu(x: Array) -> Array:
        return jax.nn.gelu(x, approximate=False)

    mlp, static = eqx.partition(eqx.nn.MLP(width, width, 4 * width, 3, exact_gelu, key=key), eqx.is_array)
    yield "Equinox", lambda p, x: jnp.mean(jax.vmap(jax.vmap(eqx.combine(p, static)))(x) ** 2), mlp

    haiku = hk.without_apply_rng(hk.transform(lambda x: hk.Linear(width)(jax.nn.leaky_relu(hk.Linear(width)(x), 0.2))))
    yield "Haiku", lambda p, x: jnp.mean(haiku.apply(p, x) ** 2), haiku.init(key, x)


def mebibytes(program: Any) -> float:
    """The temporary memory of a compiled program."""
    return program.memory_analysis().temp_size_in_bytes / 2**20


def compare(name: str, loss: Callable[[Any, Array], Array], parameters: Any, x: Array) -> tuple[float, float]:
    """Print what a swap changes. Returns the memory before and after, in MiB."""
    print(f"\n{name}\n{flow.swaps(loss)(parameters, x)}")
    before, after = (jax.jit(jax.value_and_grad(f)).lower(parameters, x).compile() for f in (loss, flow.swap(loss)))
    (old, old_grads), (new, new_grads) = before(parameters, x), after(parameters, x)
    largest = max(float(jnp.max(jnp.abs(a))) for a in jax.tree.leaves(old_grads))
    difference = jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - b)), old_grads, new_grads)
    apart = max(map(float, jax.tree.leaves(difference))) / largest
    memory = [mebibytes(program) for program in (before, after)]
    print(
        f"loss {float(old):.7g} -> {float(new):.7g}; gradients differ by {apart:.1e} of their largest entry; "
        f"{memory[0]:.1f} -> {memory[1]:.1f} MiB"
    )
    return memory[0], memory[1]


def main(arguments: Arguments) -> None:
    """Swap in each model."""
    width = 32 if arguments.quick else 128
    x = jax.random.normal(jax.random.key(1), (4, 64, width))
    memory = {name: compare(name, loss, parameters, x) for name, loss, parameters in models(width, x)}
    before, after = memory["Flax Linen"]
    print(
        f"\nLesson: four models, not a line of them changed. The scanned transformer's gradient takes {after:.1f} MiB "
        f"where it took {before:.1f}, with the same loss."
    )


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
