"""What to compare: one frozen dataclass that is the command line and the Python API alike."""

import dataclasses
import difflib
import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import optax

import jaxact
from jaxact.compare.errors import invalid
from jaxact.compare.processes import Processes

Init = Literal["matched", "he", "glorot", "lecun", "naive"]


class Network(NamedTuple):
    """One of the networks that are compared."""

    name: str
    """What it is called in the report: the activation, and where there are several, initialisation and depth."""
    activation: str
    init: Init
    depth: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Train the same deep network with several activations and compare gradient flow and learning.

    The task is scikit-learn's handwritten digits: 1,797 images of 8x8 pixels in 10 classes, a quarter of them held out.
    The network is a plain multilayer perceptron without normalisation or skip connections, so that what is seen comes
    from the activation. All get the same random numbers for their initial weights, and the same batches.
    """

    activations: tuple[str, ...] = ("relu", "leaky_relu", "sigmoid", "tanh", "elu", "selu", "gelu", "silu")
    """Elementwise activations, by jaxact's names."""
    depth: int = 16
    """Hidden layers."""
    depths: tuple[int, ...] = ()
    """Several numbers of hidden layers, in place of depth: to see where each activation stops training."""
    width: int = 64
    """Units in each hidden layer."""
    init: Init = "matched"
    """Variance of the initial weights. matched: gain^2/fan_in, the gain being the activation's own
    (jaxact.propagation.gain), and 1/fan_in in the first layer; he: 2/fan_in; glorot: 2/(fan_in + fan_out); lecun:
    1/fan_in; naive: 0.05^2, whatever the layer. Biases start at 0."""
    inits: tuple[Init, ...] = ()
    """Several initialisations, in place of init."""
    optimizer: str = "adam"
    """Any of Optax's named optimizers, with its defaults."""
    learning_rate: float = 1e-3
    """Learning rate, constant."""
    batch_size: int = 128
    """Images in a batch; it is split evenly over all devices of all processes."""
    steps: int = 300
    """Training steps of each network."""
    seeds: int = 3
    """Networks trained for each activation, at the same time; they differ in initial weights and order of the data."""
    seed: int = 0
    """The first of these seeds; the others count up from it."""
    log_every: int = 20
    """Steps from one measurement to the next; the start and the end are always measured."""
    checkpoint_every: int = 150
    """Steps from one checkpoint to the next, up to the next measurement; the end is always saved."""
    platform: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to train; by default where JAX wants to."""
    directory: str = "jaxact-compare"
    """Where to write metrics.jsonl, report.html, the charts and the checkpoints."""
    overwrite: bool = False
    """Replace an earlier result in the directory."""
    resume: bool = False
    """Go on from the last checkpoint in the directory, or start if there is none."""
    processes: Processes = dataclasses.field(default_factory=Processes)
    """Which processes train together."""

    def check(self) -> None:
        """Raise a `ValueError` that says what is wrong, if anything is."""
        _check_activations(self.activations)
        for name in ("depth", "width", "batch_size", "steps", "seeds", "log_every", "checkpoint_every"):
            _check_integer(name, getattr(self, name), least=1)
        for depth in self.depths:
            _check_integer("depths", depth, least=1)
        for init in (self.init, *self.inits):
            _check_choice("init", init, get_args(Init))
        for name in ("depths", "inits"):
            _check_once(name, getattr(self, name))
        _check_integer("seed", self.seed, least=0)
        if self.seed + self.seeds > 2**31:
            raise invalid("seed + seeds to be at most 2**31", self.seed + self.seeds, "choose a smaller seed")
        rate = self.learning_rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not (0 < rate < math.inf):
            raise invalid("learning_rate to be a finite number above 0", rate, "try 1e-3")
        _check_choice("optimizer", self.optimizer, optimizers())
        if self.platform is not None:
            _check_choice("platform", self.platform, ("cpu", "gpu", "tpu"))
        if self.overwrite and self.resume:
            raise invalid("at most one of overwrite and resume", "both", "choose one of them")
        self.processes.check()

    def identity(self) -> dict[str, Any]:
        """Return the fields that the metrics depend on: a run resumes only if they are equal."""
        how = ("platform", "directory", "overwrite", "resume", "processes")
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in how}

    def networks(self) -> list[Network]:
        """List what is trained, in order: every activation, from every initialisation, at every depth."""
        depths, inits = self.depths or (self.depth,), self.inits or (self.init,)
        made = []
        for activation, init, depth in itertools.product(self.activations, inits, depths):
            parts = [activation, *([init] if len(inits) > 1 else []), *([str(depth)] if len(depths) > 1 else [])]
            made.append(Network(" ".join(parts), activation, init, depth))
        return made

    def make_optimizer(self) -> optax.GradientTransformationExtraArgs:
        """Build the optimizer. Its update may be given value, grad and value_fn, which line searches ask for."""
        return optax.with_extra_args_support(optimizers()[self.optimizer](self.learning_rate))


def optimizers() -> dict[str, Callable[..., optax.GradientTransformation]]:
    """List Optax's named optimizers: its public functions of a learning rate with defaults for all the rest."""
    found = {}
    for name, value in vars(optax).items():
        if not inspect.isfunction(value) or name.startswith(("_", "scale_by_")):
            continue
        parameters = list(inspect.signature(value).parameters.values())
        takes_a_rate = parameters and parameters[0].name in ("learning_rate", "max_learning_rate")
        if takes_a_rate and all(p.default is not p.empty for p in parameters[1:]):
            found[name] = value
    return found


def _check_activations(names: tuple[str, ...]) -> None:
    if isinstance(names, str) or not names:
        raise invalid("a tuple of at least one activation", names, 'for example activations=("relu", "gelu")')
    rows = [jaxact.info(name) for name in names]
    for name, row in zip(names, rows, strict=True):
        if row.kind != "pointwise":
            raise invalid("elementwise activations", repr(name), "leave it out: it does not act unit by unit")
        if inspect.Parameter.empty in row.parameters.values():
            raise invalid("activations whose parameters have defaults", repr(name), "leave it out, or try leaky_relu")
    _check_once("activations", [row.name for row in rows])


def _check_once(field: str, values: Sequence[object]) -> None:
    twice = sorted({str(value) for value in values if values.count(value) > 1})
    if twice:
        raise invalid(f"each of {field} once", f"{', '.join(twice)} more than once", "drop the repeated one")


def _check_integer(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise invalid(f"{name} to be an integer of at least {least}", value, f"choose another {name}")


def _check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    choices = sorted(choices)
    if value in choices:
        return
    near = difflib.get_close_matches(str(value), choices, n=3)
    advice = f"did you mean {' or '.join(near)}?" if near else "choose one of them"
    raise invalid(f"{name} to be one of {', '.join(choices)}", repr(value), advice)
