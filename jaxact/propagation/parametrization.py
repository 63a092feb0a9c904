"""muP: initial variances and learning rates with which the best learning rate stays the same as a model gets wider.

Source: Yang et al. 2022, "Tensor Programs V" (arXiv 2203.03466), table 3.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import numpy as np

Role = Literal["input", "hidden", "output", "vector"]
Optimizer = Literal["adam", "sgd"]
PyTree = Any


@dataclasses.dataclass(frozen=True)
class MuP:
    """What `mup` says about each parameter."""

    variances: PyTree
    """The initial variance of each parameter; 0 for vectors, which start as constants: biases at 0 and scales at 1."""
    learning_rates: dict[str, float]
    """The factor of the learning rate for each label. A label consists of a role and this factor."""
    labels: PyTree
    """The label of each parameter, as `optax.multi_transform` takes them."""


def mup(params: PyTree, base: PyTree, role: Callable[[str, Any], Role], *, optimizer: Optimizer = "adam") -> MuP:
    """Initial variances and learning-rate multipliers of muP, relative to a base model of another width.

    | role   | initial variance          | Adam's learning rate | SGD's learning rate |
    |--------|---------------------------|----------------------|---------------------|
    | input  | 1 / fan_in                | 1                    | fan_out / base      |
    | hidden | 1 / fan_in                | base / fan_in        | 1                   |
    | output | base / fan_in^2           | base / fan_in        | base / fan_in       |
    | vector | 0                         | 1                    | size / base         |

    where base is the same number of the base model. At the base model's own width this is the standard parametrisation.
    So tune `lr` on the base model, and use it at every width. If the width of a transformer's heads grows, divide the
    attention logits by that width and not by its root. Optimisers that divide by the gradient's size, such as AdamW and
    Lion, count as "adam", and their weight decay must not be multiplied by the learning rate.

    Args:
      params: the parameters, or their `jax.ShapeDtypeStruct`s. As in Flax, the last axis of a kernel is its output, the
        axis before it is its input, and axes before these are a convolution's window.
      base: the parameters of the base model, which have the same paths and another width.
      role: a function of a parameter's path, such as "Dense_0/kernel", and of the parameter. An "input" maps from a
        size that does not grow to one that does, an "output" does the reverse, a "hidden" kernel maps from a size that
        grows to another, and a "vector" is a bias or a scale. An embedding table is an "input". Its rows are looked up
        and not summed, so choose its variance yourself, the same at every width.
      optimizer: "adam" or "sgd".

    Returns:
      The initial variances, labels and multipliers.

    Raises:
      ValueError: the paths differ, a role is missing or unknown, a kernel has fewer than two axes, or a size grows that
        must not grow for its role.

    Source: Yang et al. 2022, arXiv 2203.03466.

    >>> shapes = lambda n: {"in": jnp.ones((8, n)), "mid": jnp.ones((n, n)), "out": jnp.ones((n, 2)), "b": jnp.ones(n)}
    >>> role = lambda path, leaf: {"in": "input", "mid": "hidden", "out": "output", "b": "vector"}[path]
    >>> scaled = jaxact.propagation.mup(shapes(256), shapes(64), role)
    >>> scaled.learning_rates
    {'vector x 1': 1.0, 'input x 1': 1.0, 'hidden x 0.25': 0.25, 'output x 0.25': 0.25}
    >>> import optax
    >>> optimizer = optax.multi_transform(
    ...     {label: optax.adam(1e-3 * m) for label, m in scaled.learning_rates.items()}, scaled.labels
    ... )
    """
    if optimizer not in get_args(Optimizer):
        raise ValueError(f'jaxact.mup: expected optimizer to be "adam" or "sgd", got {optimizer!r}')
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    base_leaves, base_structure = jax.tree_util.tree_flatten_with_path(base)
    if structure != base_structure:
        ours, theirs = ({_path(path) for path, _ in each} for each in (leaves, base_leaves))
        which = ", ".join(sorted(ours ^ theirs)[:5]) or "the same paths in other containers"
        raise ValueError(f"jaxact.mup: expected the base model to have the same parameters, but they differ in {which}")
    variances, labels, multipliers = [], [], {}
    for (path, leaf), (_, base_leaf) in zip(leaves, base_leaves, strict=True):
        name = _path(path)
        which = role(name, leaf)
        if which not in get_args(Role):
            raise ValueError(
                f"jaxact.mup: expected a role of {name} among {', '.join(get_args(Role))}, got {which!r}; "
                "every parameter needs one"
            )
        variance, multiplier = _of_one(name, which, np.shape(leaf), np.shape(base_leaf), optimizer)
        label = f"{which} x {multiplier:g}"
        variances.append(variance)
        labels.append(label)
        multipliers[label] = multiplier
    return MuP(structure.unflatten(variances), multipliers, structure.unflatten(labels))


def _of_one(
    name: str, role: Role, shape: tuple[int, ...], base: tuple[int, ...], optimizer: Optimizer
) -> tuple[float, float]:
    """The initial variance and the learning-rate multiplier."""
    if len(shape) != len(base):
        raise ValueError(f"jaxact.mup: {name} has the shape {shape}, and {base} in the base model; the rank must agree")
    if role == "vector":
        growth = math.prod(shape) / math.prod(base)
        return 0.0, growth if optimizer == "sgd" else 1.0
    if len(shape) < 2:
        raise ValueError(
            f'jaxact.mup: expected {name}, of role "{role}", to have an input and an output axis, got the shape '
            f'{shape}; biases and scales are "vector"'
        )
    fan_in, base_in = math.prod(shape[:-1]), math.prod(base[:-1])
    fan_out, base_out = shape[-1], base[-1]
    constant = {"input": fan_in == base_in, "output": fan_out == base_out, "hidden": True}[role]
    if not constant:
        raise ValueError(
            f'jaxact.mup: {name} has the role "{role}", but its {role} size changes with the width, from {base} to '
            f'{shape}; where both sizes grow the role is "hidden"'
        )
    grown_in, grown_out = fan_in / base_in, fan_out / base_out
    variance = 1 / fan_in / (grown_in if role == "output" else 1.0)
    if optimizer == "adam":
        return variance, 1.0 if role == "input" else 1 / grown_in
    return variance, {"input": grown_out, "hidden": 1.0, "output": 1 / grown_in}[role]


def _path(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
