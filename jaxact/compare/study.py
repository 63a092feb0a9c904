"""What is compared: how parameters are made, a loss of parameters and a batch, and the data. Users write these too."""

import dataclasses
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxact.compare import adapters, log
from jaxact.compare.adapters import Stateful
from jaxact.compare.errors import check_integer, check_names, invalid, running

TAKEN = frozenset({
    *log.OWN, "flow", "held_out_flow", "learning_rate", "loss", "network", "parameter_gradient_norm", "seed",
    "seconds_per_step", "self", "step", "train_loss", "validation_loss",
})  # fmt: skip
"""The names of what the trainer logs itself, so that no metric of a study may have them."""
VALIDATION = 10
"""One in so many training examples is for validation, if a rate has to be chosen and the study has no such part."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """A model, a loss and data, which `jaxact compare` trains with several activations.

    A file has a function `make(activation) -> Study`. Further keyword arguments of `make` become options of the command
    line. If the model already uses an activation, the file may have a `Study` itself, and the activation is exchanged.

    >>> import jaxact
    >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> def make(activation):
    ...     def init(key):
    ...         return {"w": jax.random.normal(key, (1, 8)), "v": jnp.zeros((8, 1))}
    ...
    ...     def loss(parameters, batch, key=None):
    ...         x, y = batch
    ...         return jnp.mean((activation(x @ parameters["w"]) @ parameters["v"] - y) ** 2)
    ...
    ...     return Study(name="sine", init=init, loss=loss, batches=(x, np.sin(3 * x)), batch_size=16, held_out=(x, x))
    >>> make(jaxact.gelu).name
    'sine'
    """

    name: str
    """The name on the page."""
    init: Callable[[jax.Array], Any]
    """Takes a PRNG key and returns parameters, a pytree of arrays of floats, or a `Stateful` of parameters and state.
    It is called once per seed, outside of jit, with jax.random.key(seed)."""
    loss: Callable[..., Any]
    """loss(parameters, batch, key=None) returns a real scalar, which is a mean over the batch, or a pair of the scalar
    and a dictionary of metrics, which are scalars too. The key is for dropout and similar noise; None says that the
    model is evaluated and not trained. The key may be left out. A loss of a `Stateful` returns (scalar, metrics,
    state)."""
    batches: Any
    """A pytree of arrays that share their first axis, from which batches are drawn, for each seed in its own order; or
    a function that takes a seed and returns an endless iterator over batches of one shape."""
    held_out: Any
    """A pytree of similar arrays that are never trained on, and are taken in batches of `held_out_batch`; or a function
    that returns an iterator over batches, which need not fit into memory."""
    validation: Any = None
    """The data for choosing a learning rate, as for `held_out`. By default a tenth of `batches`, not trained on."""
    batch_size: int = 128
    """Examples in a batch that is drawn from arrays."""
    held_out_batch: int = 4096
    """Examples that are evaluated at once."""
    steps: int = 300
    """Training steps, unless the command line says otherwise."""
    learning_rate: float | tuple[float, ...] = 1e-3
    """The learning rate, or several to choose from, unless the command line says otherwise."""
    optimizer: Callable[[float], optax.GradientTransformation] = optax.adam
    """Takes the learning rate, which jax.jit traces, and returns an optimizer. The command line may name another."""
    higher_is_better: tuple[str, ...] = ()
    """The metrics of which more is better. The first one decides who is best; by default the held-out loss decides."""
    chance: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The values of metrics by guessing."""
    nouns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The page's words for "examples" and "loss": {"examples": "images", "loss": "cross-entropy"}."""
    setting: str = ""
    """What is trained, in a few words, for the page."""
    predicted: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What theory predicts before training: "gradient", norms by layer over the last layer's, and other metrics."""

    def __post_init__(self) -> None:
        who = f"of the study {self.name!r}"
        for name in ("init", "loss", "optimizer"):
            if not callable(getattr(self, name)):
                raise invalid(f"{name} {who} to be a function", getattr(self, name), "give one")
        check_names(f"higher_is_better {who}", self.higher_is_better)
        for name in ("batch_size", "held_out_batch", "steps"):
            check_integer(f"{name} {who}", getattr(self, name), least=1)
        parts = {name: getattr(self, name) for name in ("batches", "held_out", "validation")}
        for name, arrays in parts.items():
            if not callable(arrays) and not (name == "validation" and arrays is None):
                shapes = [np.shape(leaf) for leaf in jax.tree.leaves(arrays)]
                if len({shape[:1] for shape in shapes}) != 1 or shapes[0][:1] in ((), (0,)):
                    like = f"{name} {who} to be arrays that share their first axis, or a function"
                    raise invalid(like, f"shapes {shapes}", "give every array one entry per example")
        if not callable(self.batches) and self.batch_size > (examples := _length(self.batches)):
            most = f"batch_size {who} to be at most {examples}, the number of training examples"
            raise invalid(most, self.batch_size, "choose a smaller batch_size")

    @classmethod
    def nnx(cls, model: Callable[..., Any], loss: Callable[..., Any], **fields: Any) -> "Study":
        """Make a study of a Flax NNX model. Its BatchNorm and Dropout work, in training and in evaluation.

        Args:
          model: takes `nnx.Rngs` and returns the module.
          loss: takes the module and a batch and returns a scalar, or a pair of a scalar and metrics.
          **fields: the other fields.
        """
        init, wrapped = adapters.nnx(model, loss)
        return cls(init=init, loss=wrapped, **fields)

    @classmethod
    def linen(cls, module: Any, loss: Callable[..., Any], **fields: Any) -> "Study":
        """Make a study of a Flax Linen module, with all its collections.

        Args:
          module: a Linen module.
          loss: takes a function that calls the module, a batch, and whether it is for training; returns a scalar, or a
            pair of a scalar and metrics: lambda apply, batch, train: xent(apply(batch[0], train=train), batch[1]).
          **fields: the other fields.
        """
        draw = _drawing(fields["batches"], fields.get("batch_size", cls.batch_size))
        init, wrapped = adapters.linen(module, loss, lambda: next(iter(draw(0))))
        return cls(init=init, loss=wrapped, **fields)

    @classmethod
    def equinox(cls, model: Callable[..., Any], loss: Callable[..., Any], **fields: Any) -> "Study":
        """Make a study of an Equinox module.

        Args:
          model: takes a key and returns the module, or the pair that equinox.nn.make_with_state makes.
          loss: takes module, batch and key (None in evaluation) and returns a scalar, or a pair of a scalar and
            metrics. For a model with state it takes module, state, batch and key, and returns (scalar, metrics, state).
          **fields: the other fields.
        """
        init, wrapped = adapters.equinox(model, loss)
        return cls(init=init, loss=wrapped, **fields)

    def evaluate(self, variables: Any, batch: Any, key: Any) -> tuple[Any, tuple[dict[str, Any], Any]]:
        """Call the loss. Return the scalar, and a pair of metrics and state; the state is None if there is none.

        Raises:
          ValueError: it returns something else.
        """
        given = (variables, batch, key) if _takes(self.loss, 3) else (variables, batch)
        returned: Any = self.loss(*given)
        values: tuple[Any, ...] = returned if isinstance(returned, tuple) else (returned,)
        stateful = isinstance(variables, Stateful)
        if len(values) not in ((3,) if stateful else (1, 2)):
            form = "(scalar, metrics, state)" if stateful else "a scalar or (scalar, metrics)"
            raise invalid(f"the loss of {self.name!r} to return {form}", f"{len(values)} values", "return these")
        rest: tuple[Any, ...] = ({}, None)
        loss, metrics, state = (*values, *rest[len(values) - 1 :])
        if not isinstance(metrics, Mapping):
            raise invalid(f"metrics of {self.name!r} to be a dictionary", type(metrics).__name__, "return one")
        metrics = {name: value for name, value in metrics.items() if name != "loss" or value is not loss}
        for name in metrics:
            if not isinstance(name, str) or name in TAKEN:
                raise invalid(f"metrics of {self.name!r} with names that are not taken", repr(name), "give it another")
        for name, value in {"loss": loss, **metrics}.items():
            is_number = hasattr(value, "dtype") or isinstance(value, bool | int | float | complex)
            got = f"{jnp.result_type(value)} of shape {jnp.shape(value)}" if is_number else type(value).__name__
            kinds = (jnp.floating,) if name == "loss" else (jnp.floating, jnp.integer)
            if not is_number or jnp.shape(value) or not any(jnp.issubdtype(jnp.result_type(value), k) for k in kinds):
                raise invalid(f"{name} of {self.name!r} to be a real scalar", got, "take the mean over the batch")
        return loss, (metrics, state)

    def with_validation(self) -> "Study":
        """Return the study with a validation part: its own part, or examples that are then not trained on."""
        if self.validation is not None:
            return self
        if callable(self.batches):
            advice = "give the study a validation part, or a single learning rate"
            raise invalid("a validation part, to choose a learning rate", "an iterator of batches and none", advice)
        kept = np.arange(_length(self.batches)) % VALIDATION > 0
        train, validation = (jax.tree.map(lambda x, rows=rows: x[rows], self.batches) for rows in (kept, ~kept))
        return dataclasses.replace(self, batches=train, validation=validation)

    def feed(self, seeds: range, start: int) -> Iterator[Any]:
        """Yield the batches from step `start` on, as NumPy arrays with a first axis of seeds.

        A batch depends only on seed and step, so that a resumed run sees the batches that it would have seen.
        """
        shapes = None
        with running(f"batches of {self.name!r}"):
            draw = _drawing(self.batches, self.batch_size)
            iterators = [iter(draw(seed)) for seed in seeds]
            for step in itertools.count():
                drawn = [next(iterator, None) for iterator in iterators]
                if any(batch is None for batch in drawn):
                    raise invalid(f"batches of {self.name!r} without an end", f"{step} of them", "let it begin again")
                found = [jax.tree.map(np.shape, batch) for batch in drawn]
                shapes = shapes or found[0]
                if any(each != shapes for each in found):
                    who = f"batches of {self.name!r} all of one shape"
                    raise invalid(who, f"{shapes} and {found}", "drop the others")
                if step >= start:
                    yield jax.tree.map(lambda *leaves: np.stack(leaves), *drawn)

    def parts(self, name: str) -> Iterator[Any]:
        """Yield `held_out` or `validation` in batches that are evaluated at once."""
        value: Any = getattr(self, name)
        with running(f"{name} of {self.name!r}"):
            parts: Any = value() if callable(value) else _sliced(value, self.held_out_batch)
            part = None
            for part in parts:
                yield part
            if part is None:
                raise invalid(f"{name} of {self.name!r} to hold examples", "none", "give it some")


def _drawing(batches: Any, size: int) -> Callable[[int], Any]:
    """The function that takes a seed and returns an iterator of batches."""
    return batches if callable(batches) else functools.partial(epochs, batches, size)


def epochs(arrays: Any, size: int, seed: int) -> Iterator[Any]:
    """Yield batches of arrays without end. Every epoch goes through a new permutation of the examples."""
    examples = _length(arrays)
    for epoch in itertools.count():
        order = np.random.default_rng((seed, epoch)).permutation(examples)
        for begin in range(0, examples - size + 1, size):
            yield _rows(arrays, order[begin : begin + size])


def _sliced(arrays: Any, size: int) -> Iterator[Any]:
    for begin in range(0, _length(arrays), size):
        yield _rows(arrays, slice(begin, begin + size))


def _rows(arrays: Any, rows: Any) -> Any:
    return jax.tree.map(lambda x: np.asarray(x[rows]), arrays)


def _length(arrays: Any) -> int:
    return len(jax.tree.leaves(arrays)[0])


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function may be called with so many arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    return True
