"""The trainer: all seeds of an activation at once, the batch split over all devices, every step repeatable."""

import concurrent.futures
import functools
import math
import operator
import os
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
from jaxact import flow
from jaxact.compare import networks, page, processes, report, tasks, theory
from jaxact.compare.comparison import Comparison, Network
from jaxact.compare.errors import invalid
from jaxact.compare.results import Place, ResultDirectory


class State(NamedTuple):
    """What training changes; every array has a leading axis of seeds."""

    parameters: networks.Parameters
    optimizer: Any


def train(comparison: Comparison) -> report.Result:
    """Do what `jaxact.compare.run` says, with a progress display on the terminal."""
    comparison.check()
    comparison.processes.join()
    task = tasks.digits()
    mesh = processes.make_mesh(comparison.batch_size, comparison.platform)
    if comparison.batch_size > len(task.train.y):
        raise invalid(
            f"batch_size of at most {len(task.train.y)}, the number of training examples",
            comparison.batch_size,
            "choose a smaller batch_size",
        )
    to_train = comparison.networks()
    predictions = {network.name: theory.predict(comparison, network, task) for network in to_train}
    directory = ResultDirectory(
        comparison.directory, comparison.identity(), overwrite=comparison.overwrite, resume=comparison.resume
    )
    with processes.together():
        try:
            _train(comparison, to_train, task, mesh, directory)
        finally:
            directory.close()
        processes.gather("written")
        metrics, timing = directory.read_metrics(), directory.read_timing()
        result = report.Result.of(comparison, directory.path, metrics, timing, predictions)
        if processes.first():
            page.write(result)
        processes.gather("shown")
    return result


def _train(
    comparison: Comparison, to_train: list[Network], task: tasks.Task, mesh: Mesh, directory: ResultDirectory
) -> None:
    """Train every network, from the last checkpoint on."""
    place = directory.find_place() or Place(0, 0)
    with _progress() as progress:
        bars = [
            progress.add_task(network.name, start=False, total=comparison.steps, status="waiting")
            for network in to_train
        ]
        for bar in bars[: place.network]:
            progress.update(bar, completed=comparison.steps, status="done before")

        def prepare(index: int) -> _Training:
            progress.update(bars[index], status="compiling")
            training = _Training(comparison, to_train[index], task, mesh)
            progress.update(bars[index], status="compiled")
            return training

        # All before the first is trained: side by side, and so that step times are of training alone.
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            trainings = list(pool.map(prepare, range(place.network, len(to_train))))
        for index, training in enumerate(trainings, start=place.network):
            progress.start_task(bars[index])
            start = place.step if index == place.network else 0
            training.run(directory, Place(index, start), functools.partial(progress.update, bars[index]))


def batch_indices(examples: int, batch_size: int, seeds: range, step: int) -> np.ndarray:
    """Choose the examples of a step: every seed goes through its own new permutation in every epoch.

    A pure function of its arguments, so that a resumed run sees the batches that it would have seen.

    Returns:
      (seeds, batch_size) integers.
    """
    epoch, batch = divmod(step, examples // batch_size)
    here = slice(batch * batch_size, (batch + 1) * batch_size)
    return np.stack([np.random.default_rng((seed, epoch)).permutation(examples)[here] for seed in seeds])


def initial_state(comparison: Comparison, network: Network, task: tasks.Task) -> State:
    """Draw the initial weights: the same random numbers for every network."""
    sizes = theory.sizes(comparison, network, task)
    deviations = theory.deviations(network, sizes)
    networks_of_seeds = [networks.init(seed, sizes, deviations) for seed in _seeds(comparison)]
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


def _activation(name: str) -> networks.Activation:
    """The function; the identity, which is no site of its own, with a tap."""
    row = jaxact.info(name)
    return functools.partial(flow.tap, name=name) if row.name == "identity" else row.function


class _Training:
    """The training of one network: its initial state and its programs, compiled."""

    def __init__(self, comparison: Comparison, network: Network, task: tasks.Task, mesh: Mesh):
        activation = _activation(network.activation)
        replicated, self.split = NamedSharding(mesh, P()), NamedSharding(mesh, P(None, "batch"))
        self.comparison, self.network, self.data = comparison, network, task.train
        self.state = processes.spread(initial_state(comparison, network, task), replicated)
        self.held_out = processes.spread(task.held_out, replicated)
        step_all = jax.vmap(make_step(activation, comparison.make_optimizer()))
        measure_all = jax.vmap(functools.partial(networks.measure, activation), in_axes=(0, 0, None))
        step, measure = (jax.jit(f, out_shardings=replicated) for f in (step_all, measure_all))
        batch = self.batch(0)
        self.take_step = step.lower(self.state, batch).compile()
        self.take_measure = measure.lower(self.state.parameters, batch, self.held_out).compile()

    def batch(self, step: int) -> tasks.Split:
        """The examples of a step for every seed, spread over the devices."""
        indices = batch_indices(len(self.data.y), self.comparison.batch_size, _seeds(self.comparison), step)
        return processes.spread(tasks.Split(self.data.x[indices], self.data.y[indices]), self.split)

    def run(self, directory: ResultDirectory, place: Place, show: Callable[..., None]) -> None:
        """Train from `place` to the end, measuring and saving on the way."""
        comparison = self.comparison
        if place.step:
            self.state = directory.restore(self.state)
        else:
            self.log(0, directory, show)
        for begin in range(place.step, comparison.steps, comparison.log_every):
            end = min(begin + comparison.log_every, comparison.steps)
            clock = time.perf_counter()
            for step in range(begin, end):
                self.state = self.take_step(self.state, self.batch(step))
            jax.block_until_ready(self.state)
            directory.write_timing(self.network.name, end, (time.perf_counter() - clock) / (end - begin))
            self.log(end, directory, show)
            if end == comparison.steps or end // comparison.checkpoint_every > begin // comparison.checkpoint_every:
                directory.save(place._replace(step=end), self.state)

    def log(self, step: int, directory: ResultDirectory, show: Callable[..., None]) -> None:
        """Measure, write the lines, and show how it goes."""
        measured = jax.device_get(self.take_measure(self.state.parameters, self.batch(step), self.held_out))
        lines = [
            _line(self.network, seed, step, jax.tree.map(operator.itemgetter(i), measured))
            for i, seed in enumerate(_seeds(self.comparison))
        ]
        directory.write(lines)
        diverged = sum(line["diverged"] for line in lines)
        learned = f"held-out loss {measured.loss.mean():.3f}, accuracy {measured.accuracy.mean():.1%}"
        show(completed=step, status=f"{diverged} of {len(lines)} diverged" if diverged else learned)


def _line(network: Network, seed: int, step: int, measured: networks.Measurement) -> dict[str, Any]:
    """Make a line of metrics.jsonl: numbers, lists with an entry a hidden layer, and null for what is not finite."""
    diverged = not all(math.isfinite(v) for v in (measured.train_loss, measured.loss))
    sites = measured.flow.to_records()

    def by_layer(key: Callable[[dict[str, Any]], float]) -> list[float | None]:
        return [None if site["x_nonfinite"] or site["dy_nonfinite"] else _finite(key(site)) for site in sites]

    return {
        "network": network.name,
        "activation": network.activation,
        "init": network.init,
        "depth": network.depth,
        "seed": seed,
        "step": step,
        "diverged": diverged,
        "train_loss": _finite(measured.train_loss),
        "loss": _finite(measured.loss),
        "accuracy": None if diverged else _finite(measured.accuracy),
        "gradient_norm": by_layer(lambda r: r["dy_rms"] * math.sqrt(r["dy_count"])),
        "preactivation_gradient_norm": by_layer(lambda r: r["dx_rms"] * math.sqrt(r["dx_count"])),
        "weight_gradient_norm": [_finite(norm) for norm in measured.weight_gradient_norm],
        "preactivation_mean": by_layer(lambda r: r["x_mean"]),
        "preactivation_std": by_layer(lambda r: r["x_std"]),
        "activation_std": by_layer(lambda r: r["y_std"]),
        "zero_share": by_layer(lambda r: r["y_zeros"]),
        "dead_share": [_finite(share) for share in measured.dead_share],
        "findings": [
            {"rule": finding.rule, "layer": finding.site, "evidence": finding.evidence, "advice": finding.advice}
            for finding in measured.flow.findings()
        ],
    }


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[status]}"),
        console=Console(stderr=True),
        disable=not processes.first(),
    )
