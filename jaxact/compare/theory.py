"""What theory says of the networks before they are trained: how large their weights should be, and what depth does."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

import jaxact
from jaxact import propagation
from jaxact.compare.comparison import Comparison, Init, Network
from jaxact.compare.errors import invalid
from jaxact.compare.tasks import Task

_VARIANCES: dict[Init, Callable[[int, int], float]] = {
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
    "naive": lambda fan_in, fan_out: 0.05**2,
}
"""He et al. 2015, arXiv:1502.01852; Glorot & Bengio 2010; LeCun et al. 1998; naive is Keras's RandomNormal."""


class Prediction(NamedTuple):
    """What mean-field theory predicts of a network at initialisation (see `jaxact.propagation.signal`)."""

    gradient: list[float]
    """Norm of the gradient by each hidden layer's pre-activations, over that by the last layer's: (depth,)."""
    gradient_slope: float | None
    """Change of ln(gradient norm) a layer on the way back; None for a single layer."""
    activation_variance: float
    """Variance of the last hidden layer's outputs."""
    chi_1: float
    """By which a layer multiplies the gradient's mean square, once the variance has settled."""


def sizes(comparison: Comparison, network: Network, task: Task) -> list[int]:
    """List features, units of each hidden layer, and classes."""
    return [task.train.x.shape[1], *[comparison.width] * network.depth, task.classes]


def deviations(network: Network, sizes: Sequence[int]) -> list[float]:
    """Standard deviation of the initial weights of each layer.

    Raises:
      ValueError: the activation has no gain, so that no initialisation matches it.
    """
    fans = list(itertools.pairwise(sizes))
    if network.init != "matched":
        return [math.sqrt(_VARIANCES[network.init](*fan)) for fan in fans]
    try:
        gain = propagation.gain(jaxact.get(network.activation))
    except ValueError as error:
        raise invalid(
            "activations with a gain for the initialisation that matches them",
            f"{network.activation!r} ({error})",
            "leave it out, or choose another init",
        ) from None
    return [(gain if i else 1.0) / math.sqrt(fan_in) for i, (fan_in, _) in enumerate(fans)]


def predict(comparison: Comparison, network: Network, task: Task) -> Prediction | None:
    """Predict a network's signal and gradient; None where the activation's moments are infinite."""
    first, *hidden, _ = deviations(network, sizes(comparison, network, task))
    inputs = first**2 * float(np.square(task.train.x).sum(1).mean())
    sigma_w = math.sqrt(comparison.width) * (hidden[0] if hidden else first)
    try:
        theory = propagation.signal(jaxact.get(network.activation), sigma_w, 0.0, network.depth, q=inputs)
    except ValueError:
        return None
    # chi_l takes the gradient at layer l + 1 to that at layer l.
    logs = 0.5 * np.log(np.maximum(theory.chi[:-1], 1e-300))
    backwards = np.append(np.cumsum(logs[::-1])[::-1], 0.0)
    return Prediction(
        gradient=np.exp(backwards).tolist(),
        gradient_slope=float(logs.mean()) if logs.size else None,
        activation_variance=float(theory.activation_variances[-1]),
        chi_1=float(theory.chi_1),
    )
