"""The trainer: all seeds of a network at once, the batch split over all devices, every step repeatable."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import operator
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from jaxact import flow
from jaxact.compare import processes
from jaxact.compare.adapters import Stateful
from jaxact.compare.comparison import Comparison, Network, make_optimizer
from jaxact.compare.directory import open_directory, setting
from jaxact.compare.errors import invalid, running
from jaxact.compare.log import Log
from jaxact.compare.report import write
from jaxact.compare.study import Study
from jaxact.compare.summary import Summary

CHECKPOINTS = "checkpoints"


class State(NamedTuple):
    """What training changes; every array has a leading axis of seeds."""

    parameters: Any
    model: Any
    """The model's own state, such as BatchNorm's averages; None where it has none."""
    optimizer: Any

    @property
    def variables(self) -> Any:
        """What the loss takes."""
        return self.parameters if self.model is None else Stateful(self.parameters, self.model)


def train(comparison: Comparison) -> Summary:
    """Do what `jaxact.compare.run` says, with a progress display on the terminal."""
    comparison.check()
    comparison.processes.join()
    mesh = processes.make_mesh(comparison.platform)
    networks = comparison.networks()
    directory = open_directory(comparison)
    with processes.together():
        trainings = [
            _Training(network, seeds, comparison, mesh, directory)
            for network in networks
            for seeds in _blocks(network, comparison, directory)
        ]
        _train(trainings, directory, setting(comparison, networks))
        processes.gather("written")
        summary = Summary.of([directory])
        if processes.first():
            write(summary, directory)
        processes.gather("shown")
    return summary


def _train(trainings: list["_Training"], directory: Path, setting: str) -> None:
    """Train all that is left to train."""
    study = trainings[0].study
    with contextlib.ExitStack() as stack:
        log = None
        if processes.first():
            about = {k: getattr(study, k) for k in ("name", "higher_is_better", "chance", "nouns")}
            log = stack.enter_context(Log(directory, setting=setting, **about))
            for training in trainings:
                training.describe(log)
        progress = stack.enter_context(_progress())
        bars = [progress.add_task(t.label, start=False, total=t.study.steps, status="waiting") for t in trainings]

        def prepare(training: "_Training", bar: Any) -> None:
            if training.is_done():
                progress.update(bar, completed=training.study.steps, status="done before")
                return
            progress.update(bar, status="compiling")
            training.prepare()
            progress.update(bar, status="compiled")

        # All before the first is trained: side by side, and so that step times are of training alone.
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(prepare, trainings, bars))
        for training, bar in zip(trainings, bars, strict=True):
            if not training.is_done():
                progress.start_task(bar)
                training.run(log, functools.partial(progress.update, bar))


def make_step(study: Study, optimizer: optax.GradientTransformationExtraArgs) -> Callable[[State, Any, Any], State]:
    """Make one training step of one seed: `step(state, key, batch)`."""

    def step(state: State, key: Any, batch: Any) -> State:
        def loss_of(parameters: Any) -> Any:
            return study.evaluate(state._replace(parameters=parameters).variables, batch, key)

        (loss, seen), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.parameters)
        updates, optimizer_state = optimizer.update(
            gradient, state.optimizer, state.parameters, value=loss, grad=gradient, value_fn=lambda p: loss_of(p)[0]
        )
        return State(optax.apply_updates(state.parameters, updates), seen.state, optimizer_state)

    return step


def measure(study: Study, state: State, key: Any, batch: Any) -> tuple[dict[str, Any], flow.Flow]:
    """Measure gradient flow on the training batch that the next step takes."""

    def loss_of(parameters: Any) -> Any:
        return study.evaluate(state._replace(parameters=parameters).variables, batch, key)

    ((loss, _), gradient), seen = _observe(loss_of)(state.parameters)
    return {"train_loss": loss, "parameter_gradient_norm": optax.tree.norm(gradient)}, seen


def evaluate(study: Study, state: State, part: Any) -> tuple[dict[str, Any], flow.Flow]:
    """Take the loss and the metrics of held-out examples, and which units they come through."""

    def loss_of(
        zero: Any,
    ) -> Any:  # nothing of the model is differentiated: of the hidden layers only the forward pass is asked
        loss, seen = study.evaluate(state.variables, part, None)
        return loss + zero, seen.metrics

    ((loss, metrics), _), seen = _observe(loss_of)(jnp.zeros(()))
    return {"loss": loss, **metrics}, seen


def _observe(loss_of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    # Not the loss's own log_softmax, nor the softmax of an attention.
    return flow.observe(loss_of, has_aux=True, select=lambda site: site.kind != "axis")


class _Program:
    """A function over all seeds, compiled for each shape of its last argument before it is timed."""

    def __init__(self, function: Callable[..., Any], in_axes: Any, sharding: NamedSharding):
        self._function = jax.jit(jax.vmap(function, in_axes), out_shardings=sharding)
        self._compiled: dict[Any, Any] = {}

    def prepare(self, *arguments: Any) -> Any:
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(arguments[-1]))
        if shapes not in self._compiled:
            self._compiled[shapes] = self._function.lower(*arguments).compile()
        return self._compiled[shapes]

    def __call__(self, *arguments: Any) -> Any:
        return self.prepare(*arguments)(*arguments)


def _keyed(function: Callable[[State, Any, Any], Any]) -> Callable[[State, Any, Any, Any], Any]:
    """Make a function of a state, a key and a batch one of a state, a seed, a step and a batch."""
    return lambda state, seed, step, batch: function(state, jax.random.fold_in(jax.random.key(seed), step), batch)


class _Training:
    """The training of some seeds of a network: its state, its programs, its place."""

    def __init__(self, network: Network, seeds: range, comparison: Comparison, mesh: Mesh, directory: Path):
        self.network, self.study, self.seeds, self.comparison, self.mesh = (
            network,
            network.study,
            seeds,
            comparison,
            mesh,
        )
        self.validates = self.study.validation is not None
        self.label = network.name + (f" at {network.learning_rate:g}" if self.validates else "")
        self.file = directory / CHECKPOINTS / f"{_slug(network)}-{seeds.start}-{seeds.stop}"
        self.saved: Any = {"step": 0}
        if self.file.exists():
            self.saved = flax.serialization.msgpack_restore(self.file.read_bytes())
        self.replicated = NamedSharding(mesh, P())
        self.numbers = processes.spread(np.array(seeds, np.int32), self.replicated)

    def is_done(self) -> bool:
        """Whether an earlier run has trained it to the end."""
        return self.saved["step"] >= self.study.steps

    def describe(self, log: Log) -> None:
        """Write what the report says of the network before it is trained."""
        facts = {"activation": self.network.activation, "options": self.network.options}
        log.describe(self.network.name, **facts, predicted=dict(self.study.predicted))

    def prepare(self) -> None:
        """Draw the initial state, or take the saved one, and compile all programs."""
        study, spread, optimizer = self.study, processes.spread, make_optimizer(self.network)
        with running(f"the study {study.name!r} with {self.network.name}"):
            variables = [study.init(jax.random.key(seed)) for seed in self.seeds]
            stateful = isinstance(variables[0], Stateful)
            parameters, model = stack(variables) if stateful else (stack(variables), None)
            parameters = spread(_checked(study, parameters), self.replicated)
            initial = jax.jit(jax.vmap(optimizer.init), out_shardings=self.replicated)(parameters)
            self.state = State(parameters, spread(model, self.replicated), initial)
            if self.saved["step"]:
                self.state = spread(_restored(self.state, self.saved["leaves"]), self.replicated)
            self.feed = study.feed(self.seeds, self.saved["step"])
            self.batch = self._next()
            self.take_step = _Program(_keyed(make_step(study, optimizer)), (0, 0, None, 0), self.replicated)
            self.take_measure = _Program(_keyed(functools.partial(measure, study)), (0, 0, None, 0), self.replicated)
            self.take_evaluate = _Program(functools.partial(evaluate, study), (0, None), self.replicated)
            for program in (self.take_step, self.take_measure):
                program.prepare(*self._arguments(0))
            part = next(study.parts("held_out"), None)
            if part is None:
                raise invalid(f"held_out of {study.name!r} to hold examples", "none", "give it some")
            self.take_evaluate.prepare(self.state, spread(part, self.replicated))

    def _next(self) -> Any:
        """The next batch for every seed, spread over the devices."""
        batch = next(self.feed)
        for leaf in jax.tree.leaves(batch):
            if leaf.ndim > 1 and leaf.shape[1] % self.mesh.size:
                raise invalid(
                    f"batch_size to be a multiple of {self.mesh.size}, the number of devices that share it",
                    leaf.shape[1],
                    f"try {-(-leaf.shape[1] // self.mesh.size) * self.mesh.size}",
                )
        return processes.spread(batch, NamedSharding(self.mesh, P(None, "batch")))

    def _arguments(self, step: int) -> tuple[Any, ...]:
        return self.state, self.numbers, np.int32(step), self.batch

    def run(self, log: Log | None, show: Callable[..., None]) -> None:
        """Train to the end, measuring and saving on the way."""
        place, steps, comparison = self.saved["step"], self.study.steps, self.comparison
        if not place:
            self.log(0, log, show)
        while place < steps:
            end = min((place // comparison.log_every + 1) * comparison.log_every, steps)
            clock = time.perf_counter()
            for step in range(place, end):
                self.state = self.take_step(*self._arguments(step))
                self.batch = self._next()
            jax.block_until_ready(self.state)
            self.log(end, log, show, seconds_per_step=(time.perf_counter() - clock) / (end - place))
            if end == steps or end // comparison.checkpoint_every > place // comparison.checkpoint_every:
                self.save(end)
            place = end

    def log(self, step: int, log: Log | None, show: Callable[..., None], **more: Any) -> None:
        """Measure, write a record a seed, and show how it goes."""
        measured, seen = jax.device_get(self.take_measure(*self._arguments(step)))
        metrics, held_out = self._over("held_out")
        if step == self.study.steps and self.validates:
            more["validation_loss"] = self._over("validation")[0]["loss"]
        finite = np.isfinite(measured["train_loss"]) & np.isfinite(metrics["loss"])
        if not step and not finite.any():
            self._refuse(seen)
        for i, seed in enumerate(self.seeds):
            of_seed = functools.partial(jax.tree.map, operator.itemgetter(i))
            numbers = of_seed(measured | metrics | {k: np.broadcast_to(v, len(self.seeds)) for k, v in more.items()})
            place = {"seed": seed, "step": step, "learning_rate": self.network.learning_rate}
            if log is not None:
                log.add(self.network.name, **place, flow=of_seed(seen), held_out_flow=of_seed(held_out), **numbers)
        learned = ", ".join(f"{name} {value.mean():.3g}" for name, value in metrics.items())
        lost = len(finite) - finite.sum()
        show(completed=step, status=f"{lost} of {len(finite)} diverged" if lost else f"held out: {learned}")

    def _over(self, name: str) -> tuple[dict[str, Any], flow.Flow]:
        """Means over the examples of a part, and the sum of what was seen of them."""
        total, count, flows = None, 0, None
        for part in self.study.parts(name):
            size = len(jax.tree.leaves(part)[0])
            metrics, seen = jax.device_get(self.take_evaluate(self.state, processes.spread(part, self.replicated)))
            weighted = {k: size * np.asarray(v, np.float64) for k, v in metrics.items()}
            total = weighted if total is None else {k: total[k] + v for k, v in weighted.items()}
            count, flows = count + size, seen if flows is None else _both(flows, seen)
        assert total is not None
        assert flows is not None
        return {k: v / count for k, v in total.items()}, flows

    def _refuse(self, seen: flow.Flow) -> None:
        first = [f for f in jax.tree.map(operator.itemgetter(0), seen).findings() if "finite" in f.rule]
        where = f" ({first[0].site} ({first[0].source}): {first[0].evidence})" if first else ""
        advice = "look at the data, the initial weights and the loss"
        raise invalid(f"the loss of {self.network.name} to be finite before training", f"none{where}", advice)

    def save(self, step: int) -> None:
        """Write all that is needed to go on from a step, and never half of it."""
        if processes.first():
            leaves = {str(i): np.asarray(_raw(leaf)) for i, leaf in enumerate(jax.tree.leaves(self.state))}
            data = flax.serialization.msgpack_serialize({"step": step, "leaves": leaves})
            self.file.parent.mkdir(exist_ok=True)
            part = self.file.with_suffix(".unfinished")
            part.write_bytes(data)
            os.replace(part, self.file)


def _both(one: flow.Flow, other: flow.Flow) -> flow.Flow:
    """Add up two parts of one set, of which the last has fewer examples."""
    return dataclasses.replace(one, statistics=jax.tree.map(np.add, one.statistics, other.statistics))


def stack(trees: list[Any]) -> Any:
    """Stack the leaves of equal trees; the structure is the first one's, since others may hold other closures."""
    leaves = [jax.tree.leaves(tree) for tree in trees]
    join = [
        jnp.stack(each) if processes.is_key(each[0]) else np.stack(list(map(np.asarray, each)))
        for each in zip(*leaves, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(trees[0]), join)


def _checked(study: Study, parameters: Any) -> Any:
    wrong = [leaf.dtype for leaf in jax.tree.leaves(parameters) if not jnp.issubdtype(leaf.dtype, jnp.floating)]
    if wrong or not jax.tree.leaves(parameters):
        got = f"one of {wrong[0]}" if wrong else "none"
        raise invalid(f"init of {study.name!r} to return arrays of floats", got, "keep the rest out, or in a Stateful")
    return parameters


def _blocks(network: Network, comparison: Comparison, directory: Path) -> list[range]:
    """Which seeds train together: those of earlier runs, and all that are new."""
    files = (directory / CHECKPOINTS).glob(f"{_slug(network)}-*") if comparison.resume else ()
    ends = sorted([int(end) for end in file.name.split("-")[-2:]] for file in files if file.suffix != ".unfinished")
    blocks = [range(*pair) for pair in ends]
    new = range(blocks[-1].stop if blocks else comparison.seed, comparison.seed + comparison.seeds)
    return [*blocks, new] if new else blocks


def _slug(network: Network) -> str:
    """A file's name for a network, which no other one has."""
    text = f"{network.name} {network.learning_rate}"
    return f"{re.sub(r'[^a-z0-9]+', '_', text.lower())[:40]}_{hashlib.sha1(text.encode()).hexdigest()[:8]}"


def _raw(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if processes.is_key(leaf) else leaf


def _restored(like: State, leaves: dict[str, Any]) -> State:
    found = []
    for i, leaf in enumerate(jax.tree.leaves(like)):
        saved = leaves[str(i)]
        found.append(
            jax.random.wrap_key_data(saved, impl=jax.random.key_impl(leaf)) if processes.is_key(leaf) else saved
        )
    return jax.tree.unflatten(jax.tree.structure(like), found)


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
