"""What theory says about a plain network before training: how large its weights should be, and what depth does."""

import functools
import inspect
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
from jax import Array

import jaxact
from jaxact import flow, propagation
from jaxact.compare.activations import resolve
from jaxact.compare.errors import invalid

Activation = Callable[[Array], Array]
Init = Literal["matched", "orthogonal", "he", "glorot", "lecun", "naive"]

VARIANCES: dict[str, Callable[[int, int], float]] = {
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
    "naive": lambda fan_in, fan_out: 0.05**2,
}
"""He et al. 2015, arXiv:1502.01852; Glorot & Bengio 2010; LeCun et al. 1998; naive is Keras's RandomNormal."""


def deviations(activation: Activation, init: str, sizes: Sequence[int]) -> list[float]:
    """Standard deviation of the initial weights of each layer.

    Raises:
      ValueError: the activation has no gain, so no initialisation matches it; or `init` is unknown.
    """
    fans = list(itertools.pairwise(sizes))
    if init in VARIANCES:
        return [math.sqrt(VARIANCES[init](*fan)) for fan in fans]
    if init not in ("matched", "orthogonal"):
        raise invalid(f"init to be one of {', '.join(get_args(Init))}", repr(init), "choose one of them")
    try:
        gain = propagation.gain(activation)
    except ValueError as error:
        raise invalid(
            "activations with a gain for the initialisation that matches them",
            f"{resolve(activation).name!r} ({error})",
            "leave it out, or choose another init",
        ) from None
    return [(gain if i else 1.0) / math.sqrt(fan_in) for i, (fan_in, _) in enumerate(fans)]


def orthogonal(draws: Any) -> Any:
    """Make a matrix of variance 1 from normal draws. Its rows or its columns, whichever are fewer, are orthogonal.

    Reference: Saxe et al. 2013, arXiv:1312.6120.
    """
    tall = draws if len(draws) >= len(draws.T) else draws.T
    q, r = np.linalg.qr(tall)
    made = math.sqrt(len(tall)) * q * np.sign(np.diag(r))  # with these signs every rotation is as likely
    return made if tall is draws else made.T


def predict(activation: Activation, deviations: Sequence[float], width: int, x: Any) -> dict[str, Any]:
    """Predict the signal and the gradient at initialisation; nothing where the activation's moments are infinite.

    Returns:
      "gradient" is the norm of the gradient with respect to each hidden layer's pre-activations, over that of the last
      layer. "activation_variance" is that of the last hidden layer's outputs. "chi_1" is the factor by which a layer
      multiplies the gradient's mean square once the variance has settled (see `jaxact.propagation.signal`).
    """
    first, *hidden, _ = deviations
    inputs = first**2 * float(np.square(x).sum(1).mean())
    sigma_w = math.sqrt(width) * (hidden[0] if hidden else first)
    try:
        theory = propagation.signal(activation, sigma_w, 0.0, len(hidden) + 1, q=inputs)
    except ValueError:
        return {}
    # chi_l turns the gradient at layer l + 1 into that at layer l.
    logs = 0.5 * np.log(np.maximum(theory.chi[:-1], 1e-300))
    return {
        "gradient": np.exp(np.append(np.cumsum(logs[::-1])[::-1], 0.0)).tolist(),
        "activation_variance": float(theory.activation_variances[-1]),
        "chi_1": float(theory.chi_1),
    }


def elementwise(activation: Any) -> Any:
    """Return an activation if it acts unit by unit. The identity, which is not a site by itself, gets a tap."""
    try:
        config = jaxact.config(activation)
        row = jaxact.info(config["name"])
    except (ValueError, TypeError):  # it has no row in the catalog
        return activation
    if row.kind != "pointwise":
        raise invalid("elementwise activations", repr(row.name), "leave it out: it does not act unit by unit")
    missing = [k for k, v in row.parameters.items() if v is inspect.Parameter.empty and k not in config]
    if missing:
        example = f'give {missing[0]}, as in "{row.name}({missing[0]}=0.2)"'
        raise invalid("activations whose parameters have values", repr(row.name), example)
    return functools.partial(flow.tap, name=row.name) if row.name == "identity" else activation
