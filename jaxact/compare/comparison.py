"""What to compare: one frozen dataclass, which is both the command line and the Python API."""

import dataclasses
import functools
import inspect
import itertools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import optax

from jaxact.compare import activations as written
from jaxact.compare import exchange, studies
from jaxact.compare.errors import check_choice, check_integer, invalid, running
from jaxact.compare.metrics import count, listed
from jaxact.compare.processes import Processes
from jaxact.compare.study import Study

SETTINGS = "comparison.json"


class Network(NamedTuple):
    """One of the networks that are compared."""

    name: str
    """The network's name in the report: the activation, and the options that have several values."""
    activation: str
    options: dict[str, Any]
    rates: tuple[float, ...]
    """Learning rates. The report shows the best one."""
    study: Study


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Train the same network with several activations and compare gradient flow and learning.

    By default the network is a plain multilayer perceptron without normalisation or skip connections, so that the
    differences come from the activation. It learns scikit-learn's handwritten digits: 1,797 images of 8x8 pixels in 10
    classes, a quarter of them held out. All networks get the same random numbers for their initial weights, and the
    same batches.
    """

    study: Any = studies.DEFAULT
    """The study: digits-mlp, digits-cnn, text-transformer, or file.py:name, which is a jaxact.compare.Study or a
    function that takes an activation and returns one. "jaxact compare file.py:name" means the same."""
    activations: tuple[Any, ...] = ("relu", "leaky_relu", "sigmoid", "tanh", "elu", "selu", "gelu", "silu")
    """Activations: jaxact's names, "leaky_relu(negative_slope=0.2)", modules that learn ("PReLU"), file.py:name."""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The study's own options. Each has a value, or a tuple of values; a network is trained with each of them."""
    optimizer: str | None = None
    """Any of Optax's named optimizers, with its defaults; by default the study's (digits: adam)."""
    learning_rate: tuple[float, ...] = ()
    """Learning rate, which is constant; by default the study's (digits: 0.001). If there are several, each network
    takes the one that is best on a validation part, which is then not trained on."""
    batch_size: int | None = None
    """Examples in a batch, by default the study's (digits: 128); it is split evenly over all devices and processes."""
    steps: int | None = None
    """Training steps of each network, by default the study's (digits: 300)."""
    seeds: int = 3
    """How many networks to train for each activation; they differ in initial weights and order of the data."""
    seed: int = 0
    """The first seed; the others count up from it."""
    log_every: int = 20
    """Steps from one measurement to the next; the start and the end are always measured."""
    checkpoint_every: int = 150
    """Steps from one checkpoint to the next, rounded up to a measurement; the end is always saved."""
    platform: Literal["cpu", "gpu", "tpu"] | None = None
    """The platform to train on; by default JAX's own choice."""
    directory: str = "jaxact-compare"
    """Where to write the log, report.html, the charts and the checkpoints."""
    overwrite: bool = False
    """Replace an earlier result in the directory."""
    resume: str | None = None
    """The directory of an earlier result. The run continues with all its settings from the last checkpoints; it may
    have more steps, seeds or activations."""
    processes: Processes = dataclasses.field(default_factory=Processes)
    """Which processes train together."""

    def check(self) -> None:
        """Raise a `ValueError` that says what is wrong, if anything is."""
        for name in ("activations", "learning_rate"):
            if not isinstance(getattr(self, name), tuple | list):
                raise invalid(
                    f"a tuple of {name}", getattr(self, name), "put it into parentheses, with a comma after it"
                )
        if not self.activations:
            raise invalid("at least one activation", "none", 'name some, such as "relu" and "gelu"')
        for name in ("seeds", "log_every", "checkpoint_every", "batch_size", "steps", "seed"):
            if getattr(self, name) is not None or getattr(Comparison, name) is not None:
                check_integer(name, getattr(self, name), least=int(name != "seed"))
        if self.seed + self.seeds > 2**31:
            raise invalid("seed + seeds to be at most 2**31", self.seed + self.seeds, "choose a smaller seed")
        for rate in self.learning_rate:
            if isinstance(rate, bool) or not isinstance(rate, int | float) or not (0 < rate < math.inf):
                raise invalid("learning_rate to be a finite number above 0", rate, "try 1e-3")
        if self.optimizer is not None:
            check_choice("optimizer", self.optimizer, optimizers())
        if self.overwrite and self.resume:
            raise invalid("at most one of overwrite and resume", "both", "choose one of them")
        if self.resume and self.directory not in (self.resume, Comparison.directory):
            got = f"directory {self.directory} beside resume {self.resume}"
            raise invalid("no other directory for a run that is resumed", got, "leave one of them out")
        self.processes.check()

    def settings(self) -> dict[str, Any]:
        """Return everything that the result depends on, in JSON's terms."""
        how = ("platform", "directory", "overwrite", "resume", "processes")
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in how}
        fields["study"] = written.place(self.study)
        fields["activations"] = list(map(written.place, self.activations))
        return json.loads(json.dumps(fields, default=str))

    @classmethod
    def load(cls, directory: str) -> "Comparison":
        """Read the settings of an earlier result.

        Raises:
          ValueError: there is none.
        """
        try:
            fields = json.loads((Path(directory).expanduser() / SETTINGS).read_text())
            fields |= {name: tuple(fields[name]) for name in ("activations", "learning_rate")}
            fields["options"] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields["options"].items()}
            return cls(**fields, directory=directory, resume=directory)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            advice = "name the directory that jaxact compare wrote"
            got = f"{directory}, whose {SETTINGS} can't be read ({error})"
            raise invalid("the directory of an earlier result", got, advice) from None

    def networks(self) -> list[Network]:
        """Make the networks to train, in order: every activation with every option."""
        make = studies.find(self.study)
        for name in self.options:
            check_choice("an option of the study", name, options(make))
        if isinstance(make, Study):
            makers = exchange.makers(make, self.activations)
        else:
            resolved = [written.resolve(given) for given in self.activations]
            makers = [(each.name, functools.partial(make, each.function)) for each in resolved]
        several = {k: v if isinstance(v, tuple) else (v,) for k, v in self.options.items()}
        for field, values in {"activations": [name for name, _ in makers], **several}.items():
            if twice := [str(value) for value in values if values.count(value) > 1]:
                raise invalid(
                    f"each of {field} once",
                    f"{twice[0]} more than once",
                    "drop the repeated one, or give it another name",
                )
        made = []
        for (activation, make), *values in itertools.product(makers, *several.values()):
            chosen = dict(zip(several, values, strict=True))
            name = " ".join([activation, *(str(v) for k, v in chosen.items() if len(several[k]) > 1)])
            study = self._study(activation, functools.partial(make, **chosen))
            rates = tuple(self.learning_rate or np.atleast_1d(study.learning_rate).tolist())
            study = study.with_validation() if len(rates) > 1 else study
            made.append(Network(name, activation, chosen, rates, study))
        return made

    def setting(self, networks: list[Network]) -> str:
        """Say what is trained."""
        study, rates = networks[0].study, networks[0].rates
        what = study.setting if study.setting and len({n.study.setting for n in networks}) == 1 else study.name
        several = {k: v for k, v in self.options.items() if isinstance(v, tuple) and len(v) > 1}
        what += "".join(f", {name} {listed(map(str, values))}" for name, values in several.items())
        optimizer = (
            self.optimizer or getattr(study.optimizer, "__name__", "<").partition("<")[0] or "the study's optimizer"
        )
        chosen = " (the best on validation data for each)" if len(rates) > 1 else ""
        batches = "" if callable(study.batches) else f" of {study.batch_size} {study.nouns.get('examples', 'examples')}"
        return (
            f"{what}; {optimizer} at {listed(f'{rate:g}' for rate in rates)}{chosen}, "
            f"{count(study.steps, 'step')}{batches}, {count(self.seeds, 'seed')}"
        )

    def _study(self, activation: str, make: Callable[[], Study]) -> Study:
        """Make a study, with the settings that are given here in place of its own."""
        who = written.place(self.study)
        with running(f"{who}({activation})"):
            study = make()
        if not isinstance(study, Study):
            raise invalid(f"{who} to return a jaxact.compare.Study", type(study).__name__, "return one")
        optimizer = optimizers()[self.optimizer] if self.optimizer else None
        given = {"batch_size": self.batch_size, "steps": self.steps, "optimizer": optimizer}
        return dataclasses.replace(study, **{k: v for k, v in given.items() if v is not None})


def options(make: Any) -> dict[str, inspect.Parameter]:
    """The options of a study: the keyword arguments of the function that makes it. A ready study has none."""
    return {} if isinstance(make, Study) else dict(list(inspect.signature(make).parameters.items())[1:])


def optimizers() -> dict[str, Callable[..., optax.GradientTransformation]]:
    """List Optax's named optimizers: its public functions of a learning rate with defaults for all the rest."""
    found = {}
    for name, value in vars(optax).items():
        if inspect.isfunction(value) and not name.startswith(("_", "scale_by_")):
            parameters = [*inspect.signature(value).parameters.values()]
            takes_a_rate = parameters and parameters[0].name in ("learning_rate", "max_learning_rate")
            if takes_a_rate and all(p.default is not p.empty for p in parameters[1:]):
                found[name] = value
    return found
