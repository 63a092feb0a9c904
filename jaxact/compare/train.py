"""The trainer. It trains all seeds of a network at once, splits the batch over all devices, and is repeatable."""

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
from rich.markup import escape
from rich.progress import Progress, TextColumn

from jaxact import flow
from jaxact.compare import processes
from jaxact.compare.adapters import Stateful
from jaxact.compare.comparison import Comparison, Network
from jaxact.compare.directory import open_directory
from jaxact.compare.errors import invalid, running
from jaxact.compare.log import Log
from jaxact.compare.report import write
from jaxact.compare.study import Study
from jaxact.compare.summary import Summary
from jaxact.core.files import replace, writing
from jaxact.flow.statistics import both

CHECKPOINTS = "checkpoints"


class State(NamedTuple):
    """The state of a training; every array has a leading axis of seeds."""

    parameters: Any
    model: Any
    """The model's own state, such as BatchNorm's averages; None if it has none."""
    optimizer: Any

    @property
    def variables(self) -> Any:
        """What the loss takes."""
        return self.parameters if self.model is None else Stateful(self.parameters, self.model)


def train(comparison: Comparison) -> Summary:
    """Do what `jaxact.compare.run` documents, with a progress display on the terminal."""
    comparison.check()
    comparison.processes.join()
    mesh = processes.make_mesh(comparison.platform)
    networks = comparison.networks()
    directory = open_directory(comparison)
    with processes.together():
        trainings = [
            [
                _Training(network, rate, seeds, programs, comparison, directory)
                for seeds in _blocks(network, comparison, directory)
                for rate in network.rates
            ]
            for network, programs in zip(networks, [Programs(n.study, mesh) for n in networks], strict=True)
        ]
        _train(trainings, directory, comparison.setting(networks))
        processes.gather("written")
        summary = Summary.of([directory])
        if processes.first():
            write(summary)
        processes.gather("shown")
    return summary


def _train(trainings: list[list["_Training"]], directory: Path, setting: str) -> None:
    """Run all trainings that are not finished, network by network."""
    study, first = trainings[0][0].study, processes.first()
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[status]}", markup=False))
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(Progress(*columns, console=Console(stderr=True), disable=not first))
        left = [[training for training in of if not training.done] for of in trainings]
        bars = {
            t: progress.add_task(escape(t.label), start=False, total=t.study.steps, status="")
            for of in left
            for t in of
        }

        def prepare(of: list["_Training"]) -> None:
            for training in of:  # these go one after the other, since they share their programs
                progress.update(bars[training], status="compiling")
                training.prepare()
                progress.update(bars[training], status="compiled")

        # All compile side by side before the first one trains, so that step times are of training alone.
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(prepare, left))
        log = None
        if first:
            about = {k: getattr(study, k) for k in ("name", "higher_is_better", "chance", "nouns")}
            log = stack.enter_context(Log(directory, setting=setting, **about))
            for network in (of[0].network for of in trainings):
                facts = {"activation": network.activation, "options": network.options}
                log.describe(network.name, **facts, predicted=dict(network.study.predicted))
        for training, bar in bars.items():
            progress.start_task(bar)
            training.run(log, functools.partial(progress.update, bar))


def make_step(study: Study) -> Callable[[State, Any, Any, Any], State]:
    """Make one training step of one seed: `step(state, key, batch, learning_rate)`."""

    def step(state: State, key: Any, batch: Any, rate: Any) -> State:
        def loss_of(parameters: Any) -> Any:
            return study.evaluate(state._replace(parameters=parameters).variables, batch, key)

        (loss, (_, model)), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.parameters)
        updates, optimizer = make_optimizer(study, rate).update(
            gradient, state.optimizer, state.parameters, value=loss, grad=gradient, value_fn=lambda p: loss_of(p)[0]
        )
        return State(optax.apply_updates(state.parameters, updates), model, optimizer)

    return step


def make_optimizer(study: Study, rate: Any) -> optax.GradientTransformationExtraArgs:
    """Build the optimizer. Its update may take value, grad and value_fn, which line searches need."""
    with running(f"the optimizer of {study.name!r}"):
        return optax.with_extra_args_support(study.optimizer(rate))


def measure(study: Study, state: State, key: Any, batch: Any) -> tuple[dict[str, Any], flow.Flow]:
    """Measure gradient flow on the training batch that the next step takes."""

    def loss_of(parameters: Any) -> Any:
        return study.evaluate(state._replace(parameters=parameters).variables, batch, key)

    ((loss, _), gradient), seen = _observe(loss_of)(state.parameters)
    return {"train_loss": loss, "parameter_gradient_norm": optax.tree.norm(gradient)}, seen


def evaluate(study: Study, state: State, part: Any) -> tuple[dict[str, Any], flow.Flow]:
    """Take the loss and the metrics of held-out examples, and the units that they come through."""

    # Nothing of the model is differentiated: of the hidden layers only the forward pass is asked.
    def loss_of(zero: Any) -> Any:
        loss, (metrics, _) = study.evaluate(state.variables, part, None)
        return loss + zero, metrics

    ((loss, metrics), _), seen = _observe(loss_of)(jnp.zeros(()))
    return {"loss": loss, **metrics}, seen


def _observe(loss_of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    # Not the loss's own log_softmax, nor the softmax of an attention.
    return flow.observe(loss_of, has_aux=True, select=lambda site: site.kind != "axis")


class Programs:
    """The compiled programs of a study for all seeds at once, which serve every learning rate and all seeds."""

    def __init__(self, study: Study, mesh: Mesh):
        self.mesh = mesh
        self.replicated = NamedSharding(mesh, P())

        def keyed(function: Callable[..., Any]) -> Callable[..., Any]:
            return lambda state, seed, step, *rest: function(
                state, jax.random.fold_in(jax.random.key(seed), step), *rest
            )

        def compiled(function: Callable[..., Any], in_axes: Any) -> Any:
            return jax.jit(jax.vmap(function, in_axes), out_shardings=self.replicated)

        self.start = compiled(lambda parameters, rate: make_optimizer(study, rate).init(parameters), (0, None))
        self.step = compiled(keyed(make_step(study)), (0, 0, None, 0, None))
        self.measure = compiled(keyed(functools.partial(measure, study)), (0, 0, None, 0))
        self.evaluate = compiled(functools.partial(evaluate, study), (0, None))


class _Training:
    """The training of some seeds of a network at one learning rate: its state and its place."""

    def __init__(
        self, network: Network, rate: float, seeds: range, programs: Programs, comparison: Comparison, directory: Path
    ):
        self.network, self.study, self.rate, self.seeds = network, network.study, rate, seeds
        self.programs, self.comparison = programs, comparison
        self.label = network.name + (f" at {rate:g}" if len(network.rates) > 1 else "")
        self.file = directory / CHECKPOINTS / f"{_slug(network)}-{rate}-{seeds.start}-{seeds.stop}"
        self.saved: Any = {"step": 0}
        if self.file.exists():
            try:
                self.saved = flax.serialization.msgpack_restore(self.file.read_bytes())
                operator.itemgetter("step", "leaves")(self.saved)
            except Exception as error:  # whatever msgpack raises for it
                advice = "remove it, and these networks are trained from the start"
                raise invalid("a checkpoint", f"{self.file}, which is damaged ({error})", advice) from None
        self.place: int = self.saved["step"]
        self.numbers = self._spread(np.array(seeds, np.int32))

    @property
    def done(self) -> bool:
        """Whether the training has reached its end."""
        return self.place >= self.study.steps

    def _spread(self, tree: Any, spec: P | None = None) -> Any:
        return processes.spread(tree, NamedSharding(self.programs.mesh, spec or P()))

    def prepare(self) -> None:
        """Draw the initial state, or take the saved one, and compile all programs."""
        study, programs = self.study, self.programs
        with running(f"the study {study.name!r} with {self.network.name}"):
            variables = [study.init(jax.random.key(seed)) for seed in self.seeds]
            stateful = isinstance(variables[0], Stateful)
            parameters, model = processes.stack(variables) if stateful else (processes.stack(variables), None)
            kinds = {leaf.dtype for leaf in jax.tree.leaves(parameters)}
            if not kinds or not all(jnp.issubdtype(kind, jnp.floating) for kind in kinds):
                advice = "keep what is not trained out, or in a Stateful"
                got = ", ".join(map(str, kinds)) or "none"
                raise invalid(f"init of {study.name!r} to return arrays of floats", got, advice)
            parameters, model = self._spread((parameters, model))
            self.state = State(parameters, model, programs.start(parameters, self.rate))
            if self.place:
                leaves = [self.saved["leaves"][str(i)] for i in range(len(self.saved["leaves"]))]
                self.state = self._spread(processes.with_keys(self.state, leaves))
            self.feed = study.feed(self.seeds, self.place)
            self.batch = self._next()
            programs.step.lower(*self._arguments(0), self.rate).compile()
            programs.measure.lower(*self._arguments(0)).compile()
            programs.evaluate.lower(self.state, self._spread(next(study.parts("held_out")))).compile()

    def _next(self) -> Any:
        """The next batch for every seed, spread over the devices."""
        batch, devices = next(self.feed), self.programs.mesh.size
        for leaf in jax.tree.leaves(batch):
            if leaf.ndim > 1 and (size := leaf.shape[1]) % devices:
                who = f"batch_size to be a multiple of {devices}, the number of devices that share it"
                raise invalid(who, size, f"try {-(-size // devices) * devices}")
        return self._spread(batch, P(None, "batch"))

    def _arguments(self, step: int) -> tuple[Any, ...]:
        return self.state, self.numbers, np.int32(step), self.batch

    def run(self, log: Log | None, show: Callable[..., None]) -> None:
        """Train to the end, measuring and saving on the way."""
        steps, comparison = self.study.steps, self.comparison
        if not self.place:
            self.log(log, show)
        while not self.done:
            before, end = self.place, min((self.place // comparison.log_every + 1) * comparison.log_every, steps)
            clock = time.perf_counter()
            for step in range(before, end):
                self.state = self.programs.step(*self._arguments(step), self.rate)
                self.batch = self._next()
            jax.block_until_ready(self.state)
            seconds, self.place = time.perf_counter() - clock, end
            self.log(log, show, seconds_per_step=seconds / (end - before))
            if self.done or end // comparison.checkpoint_every > before // comparison.checkpoint_every:
                self.save()

    def log(self, log: Log | None, show: Callable[..., None], **more: Any) -> None:
        """Measure, write one record per seed, and show the progress."""
        measured, seen = jax.device_get(self.programs.measure(*self._arguments(self.place)))
        metrics, held_out = self._over("held_out")
        if self.done and self.study.validation is not None:
            more["validation_loss"] = self._over("validation")[0]["loss"]
        finite = np.isfinite(measured["train_loss"]) & np.isfinite(metrics["loss"])
        if not self.place and not finite.any():
            self._refuse(seen)
        if missing := [name for name in self.study.higher_is_better if name not in metrics]:
            who = f"the loss of {self.study.name!r} to return {missing[0]!r}, which higher_is_better names"
            raise invalid(who, f"only {', '.join(metrics)}", "correct either of them")
        numbers = {k: np.broadcast_to(v, len(self.seeds)) for k, v in (measured | metrics | more).items()}
        for i, seed in enumerate(self.seeds):
            mine, flow, held_out_flow = jax.tree.map(operator.itemgetter(i), (numbers, seen, held_out))
            if log is not None:
                place = {"seed": seed, "step": self.place, "learning_rate": self.rate}
                log.add(self.network.name, **place, flow=flow, held_out_flow=held_out_flow, **mine)
        learned = ", ".join(f"{name} {value.mean():.3g}" for name, value in metrics.items())
        lost = len(finite) - finite.sum()
        show(completed=self.place, status=f"{lost} of {len(finite)} diverged" if lost else f"held out: {learned}")

    def _over(self, name: str) -> tuple[dict[str, Any], flow.Flow]:
        """Means over the examples of a part, and the sum of their Flows."""
        sizes, metrics, flows = [], [], []
        for part in self.study.parts(name):
            numbers, seen = jax.device_get(self.programs.evaluate(self.state, self._spread(part)))
            sizes.append(next((len(leaf) for leaf in jax.tree.leaves(part) if np.ndim(leaf)), 1))
            metrics.append(numbers)
            flows.append(seen)
        means = {k: np.average(np.array([each[k] for each in metrics], np.float64), 0, sizes) for k in metrics[0]}
        added = functools.reduce(both, (seen.statistics for seen in flows))
        return means, dataclasses.replace(flows[0], statistics=added)

    def _refuse(self, seen: flow.Flow) -> None:
        first = [f for f in jax.tree.map(operator.itemgetter(0), seen).findings() if "finite" in f.rule]
        where = f" ({first[0].site} ({first[0].source}): {first[0].evidence})" if first else ""
        advice = "look at the data, the initial weights and the loss"
        raise invalid(f"the loss of {self.network.name} to be finite before training", f"none{where}", advice)

    def save(self) -> None:
        """Write everything that is needed to go on from here."""
        if processes.first():
            leaves = map(np.asarray, jax.tree.leaves(processes.without_keys(self.state)))
            saved = {"step": self.place, "leaves": {str(i): leaf for i, leaf in enumerate(leaves)}}
            data = flax.serialization.msgpack_serialize(saved)
            with writing(True, self.file):
                replace(self.file, lambda part: part.write_bytes(data))


def _blocks(network: Network, comparison: Comparison, directory: Path) -> list[range]:
    """The groups of seeds that train together: those of earlier runs, and all new ones."""
    files = (directory / CHECKPOINTS).glob(f"{_slug(network)}-*") if comparison.resume else ()
    ends = {found.groups() for f in files if (found := re.search(r"-(\d+)-(\d+)$", f.name))}
    blocks = [range(*pair) for pair in sorted(tuple(map(int, pair)) for pair in ends)]
    new = range(blocks[-1].stop if blocks else comparison.seed, comparison.seed + comparison.seeds)
    return [*blocks, new] if new else blocks


def _slug(network: Network) -> str:
    """A unique file name for a network."""
    short = re.sub(r"[^a-z0-9]+", "_", network.name.lower())[:40]
    return f"{short}_{hashlib.sha1(network.name.encode()).hexdigest()[:8]}"
