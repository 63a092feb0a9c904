"""The coordinate check: whether activations, parameters and updates keep their size as a model gets wider.

Source: Yang et al. 2022, "Tensor Programs V" (arXiv 2203.03466), appendix D.1.
"""

import dataclasses
import functools
import inspect
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxact.core.extras import needing
from jaxact.flow.observe import observe
from jaxact.flow.record import Flow
from jaxact.flow.slopes import (
    AT_START,
    Interval,
    Parametrisation,
    Record,
    Role,
    distance,
    expected,
    fits,
    roles_of,
    said,
    verdict,
)

if TYPE_CHECKING:
    import altair


class Trainable(Protocol):
    """What is trained at each width: a `jaxact.compare.Study`, or any object with these attributes.

    `batch_size` is needed if `batches` are arrays, and `learning_rate` if `optimizer` takes a rate.
    """

    @property
    def init(self) -> Callable[[Array], Any]:
        """Takes a key, and returns parameters or a pair of `parameters` and `state`, which the model changes too."""
        ...

    @property
    def loss(self) -> Callable[..., Any]:
        """Takes parameters, a batch and possibly a key; returns a scalar, or a scalar, metrics and state."""
        ...

    @property
    def batches(self) -> Any:
        """Arrays that share their first axis, or a function of a seed that returns an iterator over batches."""
        ...

    @property
    def optimizer(self) -> Any:
        """An `optax.GradientTransformation`, or a function of the learning rate that returns one."""
        ...


@dataclasses.dataclass(frozen=True)
class CoordCheck:
    """Sizes by width, and their slopes. `coord_check` makes it."""

    sizes: list[Record]
    """One record for each width, seed, step and array: "kind" ("site", "logits" for the input of a softmax, "parameter"
    or "update"), "path", "rms" and "largest". The array of a site is its input."""
    slopes: list[Record]
    """One record for each step and array: "slope" of log rms by log width, "low" and "high" (95%), "expected" and
    "verdict"; and for the largest entry "largest_slope", "largest_low" and "largest_high", which are not judged, since
    the largest of more random numbers is a little larger."""
    diverged: list[Record]
    """Width, seed and step at which a run was no longer finite; from there on the run does not count."""

    def failures(self) -> list[Record]:
        """List the slopes that are not as expected, by step, and within a step the farthest off first."""
        failed = [r for r in self.slopes if r["verdict"] == "off"]
        return sorted(failed, key=lambda r: (r["step"], -distance(r["slope"], r["expected"])))

    @property
    def holds(self) -> bool:
        """Whether every slope is as expected and no run diverged."""
        return not self.failures() and not self.diverged

    def to_records(self) -> list[Record]:
        """Return the slopes, one record for each step and array."""
        return self.slopes

    def chart(self, kind: Literal["site", "logits", "parameter", "update"] = "site") -> "altair.TopLevelMixin":
        """Draw size by width, both on log scales, with one panel for each path and one line for each step.

        Raises:
          ImportError: Altair is not installed (the extra `compare`).
        """
        with needing("jaxact.flow.CoordCheck.chart"):
            import altair as alt

        rows = [r for r in self.sizes if r["kind"] == kind and r["rms"] > 0]
        return (
            alt.Chart(alt.Data(values=rows))
            .mark_line(point=True)
            .encode(
                x=alt.X("width:Q", scale=alt.Scale(type="log", base=2), title="width"),
                y=alt.Y("mean(rms):Q", scale=alt.Scale(type="log"), title="root mean square"),
                color=alt.Color("step:O", scale=alt.Scale(scheme="viridis")),
                facet=alt.Facet("path:N", columns=3, title=None, sort=list(dict.fromkeys(r["path"] for r in rows))),
            )
            .properties(width=180, height=130)
        )

    def __repr__(self) -> str:
        lines = [
            f"{'step':>4}  {'kind':9}  {'slope':>6}  {'95 %':>15}  {'expected':>12}  verdict  {'largest':>7}  path"
        ]
        for r in self.slopes:
            interval = f"{r['low']:.2f} to {r['high']:.2f}"
            lines.append(
                f"{r['step']:>4}  {r['kind']:9}  {r['slope']:>6.2f}  {interval:>15}  {said(r['expected']):>12}  "
                f"{r['verdict']:7}  {r['largest_slope']:>7.2f}  {r['path']}"
            )
        lines += [f"diverged: width {r['width']}, seed {r['seed']}, step {r['step']}" for r in self.diverged]
        return "\n".join(lines)


def coord_check(
    make: Callable[[int], Trainable],
    widths: Sequence[int],
    steps: int = 4,
    seeds: int = 3,
    *,
    expect: Parametrisation | Mapping[str, float | Interval] = "mup",
    optimizer: Literal["adam", "sgd"] = "adam",
    role: Callable[[str, Any], Role] | None = None,
    tolerance: float = 0.1,
) -> CoordCheck:
    """Train a model a few steps at several widths, and measure how the size of everything in it depends on the width.

    At each step it measures the root mean square and the largest entry of the input of each activation (a site of
    `observe`), of each parameter and of its update, by path. From these it computes the slope of log rms by log width,
    with the 95% interval of a straight line through the means over the seeds. If the sizes do not lie on a straight
    line, the interval is wider. One width is in memory at a time.

    Args:
      make: takes a width and returns what is trained, such as a `jaxact.compare.Study`, with `init`, `loss`, `batches`
        and `optimizer`; see `Trainable`.
      widths: three or more widths.
      steps: at how many steps to measure; the first is at initialisation.
      seeds: how many runs per width, each with its own parameters and batches.
      expect: "standard" (variances 1 / fan_in, one learning rate), "mup", or "ntk" (variances 1, and forward passes
        that divide by the root of fan_in). Or slopes by path, as numbers or intervals; then nothing else is judged.
      optimizer: "adam" for optimizers that divide by the gradient's size, or "sgd". It decides what is expected of
        updates.
      role: takes a parameter's path and the parameter and returns its role: "input", "hidden", "output", "vector", or
        "constant" if its shape does not grow. By default the shapes decide, with the last axis as output.
      tolerance: how far a slope may lie outside the expected range beyond its interval, since lines bend at finite
        widths.

    Returns:
      Sizes, slopes and verdicts: "holds", "off", "zero" if an array is 0 at all widths, "" where nothing is expected.

    Raises:
      TypeError: the result of `make` lacks an attribute.
      ValueError: there are fewer than three widths; steps or seeds are below 1; a path is missing at some width; every
        run diverged at all but two widths; or `expect` has an unknown name or path.

    >>> import itertools, optax, types
    >>> def make(width):
    ...     def init(key):
    ...         return {"v": jax.random.normal(key, (4, width)) / 2, "w": jnp.ones((width, 1)) / width}
    ...     def loss(p, batch):
    ...         return jnp.mean((jax.nn.relu(batch @ p["v"]) @ p["w"] - 1) ** 2)
    ...     batches = lambda seed: itertools.repeat(jnp.ones((8, 4)))
    ...     return types.SimpleNamespace(init=init, loss=loss, batches=batches, optimizer=optax.adam(1e-3))
    >>> check = jaxact.flow.coord_check(make, [16, 32, 64], steps=2)
    >>> check.failures()[0]["path"]  # one learning rate for all is not muP
    'w'
    """
    _check(widths, steps, seeds, expect)
    sizes, diverged, shapes = [], [], {}
    for width in widths:
        run = _runner(_checked(make(width), width))
        for seed in range(seeds):
            for step, rows, parameters in run(seed, steps):
                shapes[width] = parameters
                if not all(math.isfinite(r["rms"]) for r in rows):
                    diverged.append({"width": width, "seed": seed, "step": step})
                    break
                sizes += [{"width": width, "seed": seed, "step": step, **r} for r in rows]
    _check_paths(sizes, expect)
    roles = roles_of(shapes, role)
    slopes = []
    for fit in fits(sizes):
        interval = expected(fit, expect, optimizer, roles.get(fit["path"], "constant"))
        slopes.append({**fit, "expected": interval, "verdict": verdict(fit, interval, tolerance)})
    return CoordCheck(sizes, slopes, diverged)


Run = Iterator[tuple[int, list[Record], dict[str, Any]]]


def _runner(study: Any) -> Callable[[int, int], Run]:
    """Return a function that trains from a seed and yields each step's sizes; all seeds share its program."""
    transformation = study.optimizer
    if not hasattr(transformation, "update"):
        transformation = transformation(study.learning_rate)
    takes_key = _takes_key(study.loss)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(variables: Any, opt_state: Any, batch: Any, key: Array) -> Any:
        stateful = _is_stateful(variables)

        def loss(parameters: Any) -> tuple[Array, Any]:
            given = variables._replace(parameters=parameters) if stateful else parameters
            returned = study.loss(given, batch, key) if takes_key else study.loss(given, batch)
            values: tuple[Any, ...] = returned if isinstance(returned, tuple) else (returned,)
            return values[0], values[2] if stateful else None

        parameters = variables.parameters if stateful else variables
        ((_, state), gradients), flow = observe(loss, has_aux=True)(parameters)
        updates, opt_state = transformation.update(gradients, opt_state, parameters)
        measured = jax.tree.map(_sizes, (parameters, updates))
        parameters = jax.tree.map(lambda p, u: (p + u).astype(p.dtype), parameters, updates)
        after = variables._replace(parameters=parameters, state=state) if stateful else parameters
        return after, opt_state, measured, flow

    def run(seed: int, steps: int) -> Run:
        key = jax.random.key(seed)
        # This is a copy, since the study's own arrays must not be donated.
        variables = jax.tree.map(jnp.array, study.init(key))
        parameters = variables.parameters if _is_stateful(variables) else variables
        shapes = {_path(path): np.shape(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(parameters)}
        opt_state = transformation.init(parameters)
        for number, batch in zip(range(steps), _batches(study, seed), strict=False):
            variables, opt_state, measured, flow = step(variables, opt_state, batch, jax.random.fold_in(key, number))
            rows = _site_rows(flow)
            for kind, tree in zip(("parameter", "update"), measured, strict=True):
                for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
                    rms, largest = np.asarray(leaf, np.float64).tolist()
                    rows.append({"kind": kind, "path": _path(path), "rms": rms, "largest": largest})
            yield number, rows, shapes

    return run


def _sizes(x: Array) -> Array:
    wide = jnp.abs(x.astype(jnp.promote_types(x.dtype, jnp.float32)))
    largest = wide.max(initial=0.0)
    # The division comes first, so that the squares of small updates do not underflow.
    unit = jnp.where(largest > 0, largest, 1.0)
    return jnp.stack([unit * jnp.sqrt(jnp.mean(jnp.square(wide / unit))), largest])


def _site_rows(flow: Flow) -> list[Record]:
    kinds = {site.label: site.kind for site in flow.sites}
    rows = []
    for r in flow.to_records():
        kind = "logits" if kinds[r["site"]] == "axis" else "site"
        rows.append(
            {
                "kind": kind,
                "path": r["label"],
                "rms": r["x_rms"] if not r["x_nonfinite"] or kind == "logits" else math.inf,
                "largest": r["x_largest"],
            }
        )
    return rows


def _batches(study: Any, seed: int) -> Iterator[Any]:
    if callable(study.batches):
        drawn: Any = study.batches(seed)
        yield from drawn
        return
    examples = len(jax.tree.leaves(study.batches)[0])
    rng = np.random.default_rng(seed)
    while True:
        rows = rng.choice(examples, min(study.batch_size, examples), replace=False)
        yield jax.tree.map(lambda x, rows=rows: np.asarray(x)[rows], study.batches)


def _path(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _is_stateful(variables: Any) -> bool:
    return getattr(variables, "_fields", None) == ("parameters", "state")


def _takes_key(loss: Callable[..., Any]) -> bool:
    try:
        inspect.signature(loss).bind(None, None, None)
    except TypeError:
        return False
    return True


def _check(widths: Sequence[int], steps: int, seeds: int, expect: Any) -> None:
    if len(set(widths)) < 3 or len(set(widths)) < len(widths) or min(widths) < 1:
        raise ValueError(
            f"jaxact.flow.coord_check: expected three or more different widths, got {list(widths)!r}; "
            "a slope's interval needs three"
        )
    for name, value in {"steps": steps, "seeds": seeds}.items():
        if value < 1:
            raise ValueError(f"jaxact.flow.coord_check: expected {name} >= 1, got {value!r}; choose more")
    if isinstance(expect, str) and expect not in AT_START:
        raise ValueError(
            f"jaxact.flow.coord_check: expected expect to be one of {', '.join(AT_START)}, or slopes by path, "
            f"got {expect!r}"
        )


def _checked(study: Any, width: int) -> Any:
    needed = ["init", "loss", "batches", "optimizer"]
    if not callable(getattr(study, "batches", None)):
        needed.append("batch_size")
    if not hasattr(getattr(study, "optimizer", None), "update"):
        needed.append("learning_rate")
    missing = [name for name in needed if not hasattr(study, name)]
    if missing:
        raise TypeError(
            f"jaxact.flow.coord_check: expected make({width}) to return a study, but {type(study).__name__} has no "
            f"{', '.join(missing)}; see jaxact.compare.Study"
        )
    if "learning_rate" in needed and not isinstance(study.learning_rate, int | float):
        raise TypeError(
            f"jaxact.flow.coord_check: expected one learning_rate, got {study.learning_rate!r}; choose one of them"
        )
    return study


def _check_paths(sizes: list[Record], expect: Any) -> None:
    by_width: dict[int, set[str]] = defaultdict(set)
    for r in sizes:
        by_width[r["width"]].add(f"{r['kind']} {r['path']}")
    if len(by_width) < 3:
        raise ValueError(
            f"jaxact.flow.coord_check: only the widths {sorted(by_width)} have a finite first step, and a slope needs "
            "three; lower the learning rate or the initial variances"
        )
    everywhere, somewhere = set.intersection(*by_width.values()), set.union(*by_width.values())
    if everywhere != somewhere:
        lost = sorted(somewhere - everywhere)[0]
        without = [width for width, paths in by_width.items() if lost not in paths]
        raise ValueError(
            f"jaxact.flow.coord_check: expected the same paths at every width, but the {lost} is missing at "
            f"{without}; make(width) may change only sizes"
        )
    unknown = [] if isinstance(expect, str) else sorted(set(expect) - {r["path"] for r in sizes})
    if unknown:
        raise ValueError(
            f"jaxact.flow.coord_check: expect names {unknown[0]!r}, which is not a path; there are "
            f"{', '.join(sorted({r['path'] for r in sizes}))}"
        )
