"""The trainer: all seeds of an activation at once, the batch split over all devices, every step repeatable."""

import functools
import math
import operator
import time
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import numpy as np
import optax
from jax import Array
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import jaxact
from jaxact.compare import networks, report, tasks
from jaxact.compare.comparison import Comparison, invalid
from jaxact.compare.results import Place, ResultDirectory


class State(NamedTuple):
    """What training changes; every array has a leading axis of seeds."""

    parameters: networks.Parameters
    optimizer: Any


def train(comparison: Comparison) -> report.Result:
    """Do what `jaxact.compare.run` says, with a progress display on the terminal."""
    comparison.check()
    task = tasks.digits()
    mesh = make_mesh(comparison)
    if comparison.batch_size > len(task.train.y):
        raise invalid(
            f"batch_size of at most {len(task.train.y)}, the number of training examples",
            comparison.batch_size,
            "choose a smaller batch_size",
        )
    directory = ResultDirectory(comparison)
    try:
        place = directory.find_place() or Place(0, 0)
        with _progress() as progress:
            bars = [
                progress.add_task(name, start=False, total=comparison.steps, status="waiting")
                for name in comparison.activations
            ]
            for index, bar in enumerate(bars):
                progress.start_task(bar)
                if index < place.activation:
                    progress.update(bar, completed=comparison.steps, status="done before")
                    continue
                start = place.step if index == place.activation else 0
                show = functools.partial(progress.update, bar)
                _train_one(comparison, task, mesh, directory, index, start, show)
        metrics, timing = directory.read()
    finally:
        directory.close()
    result = report.Result.of(comparison, directory.path, metrics, timing)
    report.write(result)
    return result


def make_mesh(comparison: Comparison) -> Mesh:
    """Lay all devices of the platform in a line, over which the batch is split.

    Raises:
      ValueError: JAX has no such devices, or the batch can't be split evenly over them.
    """
    try:
        devices = jax.devices(comparison.platform)
    except RuntimeError:
        raise invalid(
            f"a platform that JAX has here ({jax.default_backend()})",
            repr(comparison.platform),
            f"install JAX for {comparison.platform}, or leave platform out",
        ) from None
    if comparison.batch_size % len(devices):
        raise invalid(
            f"batch_size to be a multiple of {len(devices)}, the number of devices that share it",
            comparison.batch_size,
            f"try {math.ceil(comparison.batch_size / len(devices)) * len(devices)}",
        )
    return Mesh(np.array(devices), ("batch",))


def batch_indices(examples: int, batch_size: int, seeds: range, step: int) -> np.ndarray:
    """Choose the examples of a step: every seed goes through its own new permutation in every epoch.

    A pure function of its arguments, so that a resumed run sees the batches that it would have seen.

    Returns:
      (seeds, batch_size) integers.
    """
    epoch, batch = divmod(step, examples // batch_size)
    here = slice(batch * batch_size, (batch + 1) * batch_size)
    return np.stack([np.random.default_rng((seed, epoch)).permutation(examples)[here] for seed in seeds])


def initial_state(comparison: Comparison, task: tasks.Task) -> State:
    """Draw the initial weights, the same for every activation."""
    sizes = [task.train.x.shape[1], *[comparison.width] * comparison.depth, task.classes]
    networks_of_seeds = [networks.init(seed, sizes, comparison.init) for seed in _seeds(comparison)]
    parameters = jax.tree.map(lambda *leaves: np.stack(leaves), *networks_of_seeds)
    return State(parameters, jax.jit(jax.vmap(comparison.make_optimizer().init))(parameters))


def _seeds(comparison: Comparison) -> range:
    return range(comparison.seed, comparison.seed + comparison.seeds)


def make_step(
    activation: networks.Activation, optimizer: optax.GradientTransformationExtraArgs
) -> Callable[[State, tasks.Split], State]:
    """Make one training step of one seed: `step(state, batch)`."""

    def step(state: State, batch: tasks.Split) -> State:
        def loss_of(parameters: Any) -> Array:
            return networks.mean_loss(activation, parameters, *batch)[0]

        loss, gradient = jax.value_and_grad(loss_of)(state.parameters)
        updates, optimizer_state = optimizer.update(
            gradient, state.optimizer, state.parameters, value=loss, grad=gradient, value_fn=loss_of
        )
        parameters = optax.apply_updates(state.parameters, updates)
        return State(cast(networks.Parameters, parameters), optimizer_state)

    return step


def _train_one(
    comparison: Comparison,
    task: tasks.Task,
    mesh: Mesh,
    directory: ResultDirectory,
    index: int,
    start: int,
    show: Callable[..., None],
) -> None:
    """Train one activation from step `start` to the end, measuring and saving on the way."""
    name = comparison.activations[index]
    activation = jaxact.get(name)
    replicated, split = NamedSharding(mesh, P()), NamedSharding(mesh, P(None, "batch"))
    seeds = _seeds(comparison)

    def batch(step: int) -> tasks.Split:
        indices = batch_indices(len(task.train.y), comparison.batch_size, seeds, step)
        return jax.device_put(tasks.Split(task.train.x[indices], task.train.y[indices]), split)

    show(status="compiling", completed=start)
    state = jax.device_put(initial_state(comparison, task), replicated)
    held_out = jax.device_put(task.held_out, replicated)
    step_all = jax.vmap(make_step(activation, comparison.make_optimizer()))
    take_step = jax.jit(step_all, out_shardings=replicated).lower(state, batch(0)).compile()
    measure_all = jax.vmap(functools.partial(networks.measure, activation), in_axes=(0, 0, None))
    take_measure = jax.jit(measure_all, out_shardings=replicated)

    def log(step: int) -> None:
        measured = jax.device_get(take_measure(state.parameters, batch(step), held_out))
        lines = [_line(name, s, step, jax.tree.map(operator.itemgetter(i), measured)) for i, s in enumerate(seeds)]
        directory.write(lines)
        diverged = sum(line["diverged"] for line in lines)
        learned = f"held-out loss {measured.loss.mean():.3f}, accuracy {measured.accuracy.mean():.1%}"
        show(completed=step, status=f"{diverged} of {len(lines)} diverged" if diverged else learned)

    if start:
        state = directory.restore(state)
    else:
        log(0)
    for begin in range(start, comparison.steps, comparison.log_every):
        end = min(begin + comparison.log_every, comparison.steps)
        clock = time.perf_counter()
        for step in range(begin, end):
            state = take_step(state, batch(step))
        jax.block_until_ready(state)
        directory.write_timing(name, end, (time.perf_counter() - clock) / (end - begin))
        log(end)
        if end == comparison.steps or end // comparison.checkpoint_every > begin // comparison.checkpoint_every:
            directory.save(Place(index, end), state)


def _line(name: str, seed: int, step: int, measured: networks.Measurement) -> dict[str, Any]:
    """Make a line of metrics.jsonl: numbers, lists with an entry a layer, and null for what is not finite."""
    flow = {key: [_finite(v) for v in value] for key, value in measured.flow._asdict().items()}
    scalars = {key: _finite(getattr(measured, key)) for key in ("train_loss", "loss", "accuracy")}
    diverged = not all(math.isfinite(v) for v in (measured.train_loss, measured.loss))
    if diverged:
        scalars["accuracy"] = None
    return {"activation": name, "seed": seed, "step": step, "diverged": diverged, **scalars, **flow}


def _finite(value: np.ndarray) -> float | None:
    return float(value) if math.isfinite(value) else None


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[status]}"),
        console=Console(stderr=True),
    )
