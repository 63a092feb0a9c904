"""Train a character-level transformer with eight feed-forward units at equal parameters, as Shazeer 2020 did with T5.

Run: python examples/glu_transformer.py [--quick | --full]. On several machines as `jaxact compare` (see the README).
All seeds and learning rates of a unit train at once under `vmap`, with the same batches and other weights for every
unit, on Python's own documentation. The rate that is best on validation text counts, and its loss on other text.
"""

import dataclasses
import functools

import altair as alt
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from flax import nnx

import jaxact
from jaxact.compare import results, tasks
from jaxact.compare.processes import Processes, exit_code, first, make_mesh, spread, together

UNITS = ("relu", "gelu", "silu", "glu", "bilinear", "reglu", "geglu", "swiglu")
# Held-out log-perplexity of T5-base after 65,536 steps, arXiv:2002.05202, table 1; std of 4 runs: .003 to .010.
SHAZEER = dict(zip(UNITS, (1.997, 1.983, 1.994, 1.982, 1.960, 1.953, 1.942, 1.944), strict=True))


@dataclasses.dataclass(frozen=True)
class Config:
    """The transformer and its training."""

    size: tuple[int, int, int] = (32, 2, 32)  # width, of which 4 heads get equal parts, layers and context
    batch_size: int = 8  # sequences in a batch, split evenly over all devices of all processes
    steps: int = 160
    rates: tuple[float, ...] = (3e-3, 1e-2, 3e-2)  # of Adam, to choose from; each decays as a cosine
    seeds: int = 5
    directory: str = "glu-transformer"  # for metrics.jsonl, a checkpoint after each unit, and chart.png
    overwrite: bool = False  # replace an earlier result
    resume: bool = False  # go on after the last checkpoint
    quick: bool = False  # two units, two seeds, one rate, 20 steps
    full: bool = False  # a width of 48, 3 layers, a context of 64, 500 steps
    processes: Processes = dataclasses.field(default_factory=Processes)


class Block(nnx.Module):
    """Causal attention with four heads, then the feed-forward unit."""

    def __init__(self, name: str, config: Config, rngs: nnx.Rngs):
        self.name, self.gated, width = name, jaxact.info(name).kind == "gated", config.size[0]
        linear = functools.partial(nnx.Linear, use_bias=False, rngs=rngs)
        self.before, self.between = nnx.RMSNorm(width, rngs=rngs), nnx.RMSNorm(width, rngs=rngs)
        self.qkv, self.out = linear(width, 3 * width), linear(width, width)
        up, down = (4, 2) if self.gated else (3, 3)
        self.up, self.down = linear(width, up * width), linear(down * width, width)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (batch, context, width) to the same."""
        q, k, v = jnp.split(self.qkv(self.before(x)).reshape(*x.shape[:2], 12, -1), 3, axis=2)
        x = x + self.out(jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(x.shape))
        h = self.up(self.between(x))
        h = (h,) if not self.gated or self.name == "glu" else jaxact.split(h, "gate_last")
        return x + self.down(jaxact.get(self.name)(*h))


class Transformer(nnx.Module):
    """Logits of the next character."""

    def __init__(self, name: str, config: Config, characters: int, rngs: nnx.Rngs):
        width, layers, context = config.size
        self.embed, self.positions = nnx.Embed(characters, width, rngs=rngs), nnx.Embed(context, width, rngs=rngs)
        self.norm, self.readout = nnx.RMSNorm(width, rngs=rngs), nnx.Linear(width, characters, rngs=rngs)
        self.blocks = nnx.split_rngs(splits=layers)(nnx.vmap(lambda rngs: Block(name, config, rngs)))(rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Map (batch, context) to (batch, context, characters)."""
        through = nnx.scan(nnx.remat(lambda block, x: block(x)), in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
        return self.readout(self.norm(through(self.blocks, self.embed(tokens) + self.positions.embedding[...])))


def train(name: str, config: Config, replicated: jax.NamedSharding, directory: results.ResultDirectory) -> nnx.State:
    """Train a unit with all seeds and rates, and write its losses."""
    text, batch, length = tasks.documentation(), config.batch_size, config.size[2] + 1
    held_out = [t[: len(t) // (batch * length) * batch * length].reshape(-1, batch, length) for t in text[1:3]]
    models = [Transformer(name, config, len(text.characters), nnx.Rngs(seed)) for seed in range(config.seeds)]
    graph, lanes = nnx.graphdef(models[0]), [(seed, rate) for seed in range(config.seeds) for rate in config.rates]
    params = jax.tree.map(lambda *p: np.stack(p), *(nnx.state(models[seed], nnx.Param) for seed, _ in lanes))

    def loss_of(params: nnx.State, rows: jax.Array) -> jax.Array:
        rows = jax.lax.with_sharding_constraint(rows, replicated.update(spec=jax.P("batch")))
        logits = nnx.merge(graph, params, copy=True)(rows[:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, rows[:, 1:]).mean()

    def run(params: nnx.State, seed: jax.Array, rate: jax.Array, text: jax.Array, held_out: list[jax.Array]) -> tuple:
        adam = optax.adam(optax.cosine_decay_schedule(rate, config.steps))

        def step(state: tuple, key: jax.Array) -> tuple:
            begin = jax.random.randint(key, (batch, 1), 0, len(text) - length)
            updates, moments = adam.update(jax.grad(loss_of)(state[0], text[begin + jnp.arange(length)]), state[1])
            return (optax.apply_updates(state[0], updates), moments), None

        keys = jax.random.split(jax.random.key(seed), config.steps)
        params = jax.lax.scan(step, (params, adam.init(params)), keys)[0][0]
        return params, jnp.stack([jax.lax.map(functools.partial(loss_of, params), part).mean() for part in held_out])

    given = spread((params, *map(np.array, zip(*lanes, strict=True)), text.train, held_out), replicated)
    params, losses = jax.jit(jax.vmap(run, (0, 0, 0, None, None)), out_shardings=replicated)(*given)
    for (seed, rate), pair in zip(lanes, jax.device_get(losses).tolist(), strict=True):
        directory.write([{"unit": name, "seed": seed, "rate": rate, "losses": pair}])  # by validation and by test text
    return params


def main(config: Config) -> None:
    """Train every unit from the last checkpoint on; print the table and the lesson, and draw the chart."""
    if min(*config.size, config.batch_size, config.steps, config.seeds - 1, *config.rates) <= 0 or config.size[0] % 4:
        raise ValueError(f"expected numbers above 0, 2 seeds or more and a width that 4 heads can share, got {config}")
    units = UNITS[::7] if config.quick else UNITS
    config = dataclasses.replace(config, seeds=2, rates=config.rates[:1], steps=20) if config.quick else config
    config = dataclasses.replace(config, size=(48, 3, 64), steps=500) if config.full else config
    config.processes.join()
    replicated = jax.NamedSharding(make_mesh(config.batch_size), jax.P())
    settings = {name: vars(config)[name] for name in ("size", "batch_size", "steps", "rates", "seeds", "quick")}
    directory = results.ResultDirectory(config.directory, settings, overwrite=config.overwrite, resume=config.resume)
    with together():
        for index in range((directory.find_place() or results.Place(0, 0)).network, len(units)):
            directory.save(results.Place(index + 1, 0), train(units[index], config, replicated, directory))
    directory.close()
    if not first():
        return
    losses = np.reshape([line["losses"] for line in directory.read_metrics()], (len(units), config.seeds, -1, 2))
    rates = losses[..., 0].mean(1).argmin(1)
    ours = losses[range(len(units)), :, rates, 1]
    minus, beyond, rows, png = ours - ours[0], [], [], directory.path / "chart.png"
    print(f"{'unit':10}{'rate':>6}{'held-out loss':>17}{'minus relu':>19}{'Shazeer':>10}{'minus relu':>12}")
    for i, name in enumerate(units):
        theirs, mean, std = SHAZEER[name] - SHAZEER["relu"], minus[i].mean(), minus[i].std(ddof=1)
        print(f"{name:10}{config.rates[rates[i]]:6g}{ours[i].mean():9.3f} ± {ours[i].std(ddof=1):.3f}", end="")
        print(f"{mean:+11.3f} ± {std:.3f}{SHAZEER[name]:10.3f}{theirs:+12.3f}")
        rows += [{"unit": name, "minus relu": value, "of": "a seed, nats a character"} for value in minus[i]]
        rows += [{"unit": name, "minus relu": theirs, "of": "Shazeer 2020, nats a token"}]
        beyond += [f"{name} ({mean:+.3f})"] if abs(mean) > std else []
    chart = alt.Chart(alt.Data(values=rows), title="Held-out loss minus relu's", width=500).mark_point(filled=True)
    chart.encode(x="minus relu:Q", y=alt.Y("unit:N", sort=None), color="of:N", shape="of:N").save(png, scale_factor=2)
    print(f"chart: {png}\n\nLesson: units whose loss at equal parameters is further from relu's than the std", end=" ")
    print(f"of the difference over {config.seeds} paired seeds: {', '.join(beyond) or 'none'}. In Shazeer's", end=" ")
    print("table, of a far larger network trained for longer, all gated units have less loss than relu.")


if __name__ == "__main__":
    raise SystemExit(exit_code("glu_transformer", lambda: main(tyro.cli(Config, description=__doc__))))
