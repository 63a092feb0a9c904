"""Equal to the peers where they are right: every PyTorch function and module default, and every Keras formula.

PyTorch is in the test extra where Python is older than 3.12; elsewhere its half of this file has no cases. Keras is not
installed: its formulas are written out here in NumPy, in float64, from their definitions in its documentation.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import jaxact

HAVE_TORCH = importlib.util.find_spec("torch") is not None

TORCH_FUNCTIONS = (
    "celu", "elu", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu",
    "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softmax",
    "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
)  # fmt: skip
TORCH_MODULES = (
    "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
    "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softmax", "Softmax2d",
    "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
)  # fmt: skip
KERAS = (
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
    "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus",
    "swish", "tanh", "tanh_shrink", "threshold",
)  # fmt: skip
ACT2FN = (
    "gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_python_tanh",
    "gelu_pytorch_tanh", "hardswish", "laplace", "leaky_relu", "linear", "mish", "prelu", "quick_gelu", "relu", "relu2",
    "relu6", "sigmoid", "silu", "sqrtsoftplus", "swish", "tanh", "xielu",
)  # fmt: skip
NAMES = {"torch": TORCH_FUNCTIONS + TORCH_MODULES, "keras": KERAS, "transformers": ACT2FN}

GRID = np.unique(np.concatenate([np.linspace(-30, 30, 2401), [-1e4, -100.0, 100.0, 1e4]]))
"""In steps of 1/40, so that the kinks at 0, 0.5, 1, 3 and 6 are in it."""

# jaxact within DESIGN's bounds and the peer with some rounding of its own; absolute, where a result is about 0.
CLOSE = {"rtol": 1e-12, "atol": 1e-13}


@pytest.mark.parametrize(("source", "name"), [(s, n) for s, names in NAMES.items() for n in names])
def test_every_name_of_the_peers_resolves(source: Any, name: str):
    assert callable(jaxact.get(name, source))


def sharpen(z: np.ndarray) -> np.ndarray:
    """Sparsemax along the last axis, by bisection of its threshold."""
    low, high = z.max(-1, keepdims=True) - 1, z.max(-1, keepdims=True)
    for _ in range(80):
        middle = (low + high) / 2
        more = np.maximum(z - middle, 0).sum(-1, keepdims=True) > 1
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return np.maximum(z - low, 0)


def _sigmoid_half(x: np.ndarray) -> np.ndarray:
    return x[..., : x.shape[-1] // 2] * special.expit(x[..., x.shape[-1] // 2 :])


KERAS_FORMULAS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], dict[str, Any]]] = {
    "celu": (lambda x: np.maximum(x, 0) + np.minimum(np.expm1(np.minimum(x, 0)), 0), {}),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), {}),
    "exponential": (lambda x: np.exp(x), {}),
    "gelu": (lambda x: x * special.ndtr(x), {}),
    "glu": (_sigmoid_half, {}),
    "hard_shrink": (lambda x: np.where(np.abs(x) > 0.5, x, 0), {}),
    "hard_sigmoid": (lambda x: np.clip(x / 6 + 0.5, 0, 1), {}),
    "hard_silu": (lambda x: x * np.clip(x / 6 + 0.5, 0, 1), {}),
    "hard_swish": (lambda x: x * np.clip(x / 6 + 0.5, 0, 1), {}),
    "hard_tanh": (lambda x: np.clip(x, -1, 1), {}),
    "leaky_relu": (lambda x: np.where(x >= 0, x, 0.2 * x), {}),
    "linear": (lambda x: x, {}),
    "log_sigmoid": (lambda x: -np.logaddexp(0, -x), {}),
    "log_softmax": (lambda x: special.log_softmax(x, axis=-1), {}),
    "mish": (lambda x: x * np.tanh(np.logaddexp(0, x)), {}),
    "relu": (lambda x: np.maximum(x, 0), {}),
    "relu6": (lambda x: np.clip(x, 0, 6), {}),
    "selu": (
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
        {},
    ),
    "sigmoid": (special.expit, {}),
    "silu": (lambda x: x * special.expit(x), {}),
    "soft_shrink": (lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), {}),
    "softmax": (lambda x: special.softmax(x, axis=-1), {}),
    "softplus": (lambda x: np.logaddexp(0, x), {}),
    "softsign": (lambda x: x / (1 + np.abs(x)), {}),
    "sparse_plus": (lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)), {}),
    "sparse_sigmoid": (lambda x: np.clip((x + 1) / 2, 0, 1), {}),
    "sparsemax": (sharpen, {}),
    "squareplus": (lambda x: np.where(x < 0, 2 / (np.sqrt(x**2 + 4) - x), (x + np.sqrt(x**2 + 4)) / 2), {}),
    "swish": (lambda x: x * special.expit(x), {}),
    "tanh": (np.tanh, {}),
    "tanh_shrink": (lambda x: x - np.tanh(x), {}),
    "threshold": (lambda x: np.where(x > 0.5, x, -2.0), {"threshold": 0.5, "value": -2.0}),
}


def test_every_keras_name_has_its_formula():
    assert set(KERAS_FORMULAS) == set(KERAS)


def along_an_axis(name: str) -> bool:
    return name.lower().startswith(("softmax", "softmin", "log_softmax", "logsoftmax", "glu", "sparsemax"))


def argument(name: str) -> np.ndarray:
    """The grid, or what a function along an axis is tried on: rows of eight."""
    if not along_an_axis(name):
        return GRID[GRID < 700] if name == "exponential" else GRID
    x = np.random.default_rng(0).normal(scale=5, size=(2, 8, 4, 8))
    x[0, 0, 0] = 0
    return x


@functools.cache
def like_keras() -> dict[str, np.ndarray]:
    """jaxact's values in float64, of all names in one program."""
    call = lambda name, x: jaxact.get(name, "keras")(x, **KERAS_FORMULAS[name][1])  # noqa: E731
    with jax.enable_x64(True):
        got = jax.jit(lambda every: {name: call(name, x) for name, x in every.items()})({n: argument(n) for n in KERAS})
        return jax.tree.map(np.asarray, got)


@pytest.mark.parametrize("name", KERAS)
def test_equals_keras(name: str):
    got = like_keras()[name]
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, KERAS_FORMULAS[name][0](argument(name)), **CLOSE)


def test_keras_relu_with_all_its_parameters():
    """Keras's relu takes a slope, a bound and a threshold; what is below the threshold is measured from there."""
    x = GRID
    wanted = np.where(x > 0.5, np.minimum(x, 4), 0.1 * (x - 0.5))
    with jax.enable_x64(True):
        got = jaxact.get("relu", "keras")(jnp.asarray(x), negative_slope=0.1, max_value=4.0, threshold=0.5)
    np.testing.assert_allclose(np.asarray(got), wanted, **CLOSE)


TORCH_ARGUMENTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "threshold": ((0.5, -2.0), {"threshold": 0.5, "value": -2.0}),
    "Threshold": ((0.5, -2.0), {"threshold": 0.5, "value": -2.0}),
    "prelu": ((0.3,), {"negative_slope": 0.3}),
    "rrelu": ((), {"key": None}),
    "RReLU": ((), {"key": None}),
}
"""What has no default here or there: PyTorch's arguments, and jaxact's of the same meaning."""

OTHER_AT_KINKS = {
    "hardtanh": {-1: (0, 1), 1: (0, 1)},
    "leaky_relu": {0: (0.01, 1)},
    "prelu": {0: (0.3, 1)},
    "rrelu": {0: (11 / 48, 1)},
    "Hardtanh": {-1: (0, 1), 1: (0, 1)},
    "LeakyReLU": {0: (0.01, 1)},
    "PReLU": {0: (0.25, 1)},
    "RReLU": {0: (11 / 48, 1)},
}
"""Kink: (PyTorch's slope, jaxact's), where they differ. jaxact's are jax.nn's; either is between the one-sided ones."""


def in_torch(name: str, x: np.ndarray, power: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """PyTorch's value y, and the derivative of the sum of y^power / power, in float64."""
    import torch

    given = TORCH_ARGUMENTS.get(name, ((), {}))[0]
    t = torch.tensor(x, requires_grad=True)
    if name in TORCH_MODULES:
        module = getattr(torch.nn, name)(
            *given, **({"dim": -1} if name in ("Softmax", "Softmin", "LogSoftmax") else {})
        )
        y = module.double().eval()(t)
    elif name == "prelu":
        y = torch.nn.functional.prelu(t, torch.tensor([0.3], dtype=torch.float64))
    else:
        axis = {"dim": -1} if name in ("softmax", "softmin", "log_softmax") else {}
        y = getattr(torch.nn.functional, name)(t, *given, **axis)
    (y**power / power).sum().backward()
    assert t.grad is not None
    return y.detach().numpy(), t.grad.numpy()


COMPARED = [n for n in TORCH_FUNCTIONS + TORCH_MODULES if n != "gumbel_softmax"] if HAVE_TORCH else []
"""gumbel_softmax is random: the two libraries draw different noise, so that no entry of theirs can be compared."""


def corrected(name: str, x: np.ndarray, y: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """PyTorch's results, with the right ones where it is wrong; that it is wrong, and how, is asserted."""
    if name.lower() == "softplus":  # past its threshold of 20 it leaves out log(1 + exp(-x)), up to 2.1e-9
        far = x > 20
        assert np.array_equal(y[far], x[far])
        right = np.logaddexp(0, x[far])
        y[far], gradient[far] = right, right * special.expit(x[far])
    if name.lower() == "hardsigmoid":  # its slope is 1/6 rounded to float32, in float64 too
        inside = np.abs(x) < 3
        np.testing.assert_allclose(gradient[inside], y[inside] * float(np.float32(1 / 6)), rtol=1e-15)
        gradient[inside] = y[inside] / 6
    return y, gradient


def like_torch(name: str) -> Callable[..., Any]:
    """jaxact's function, with the parameters that TORCH_ARGUMENTS has."""
    given = TORCH_ARGUMENTS.get(name, ((), {}))[1]
    if name.lower().replace("_", "") in ("softmax", "softmin", "logsoftmax"):
        given = {"dim": -1}  # without it PyTorch guesses, and get refuses to
    return functools.partial(jaxact.get(name, "torch"), **given)


def kinks(name: str) -> np.ndarray:
    """The row's kinks, and those at which PyTorch's slope is another."""
    function = jaxact.get(name, "torch")
    row = jaxact.info(getattr(function, "func", function).__name__)
    moved = {TORCH_ARGUMENTS.get(name, ((), {}))[1].get("threshold", kink) for kink in row.kinks}
    return np.array(sorted(moved | set(OTHER_AT_KINKS.get(name, ()))), float)


@functools.cache
def ours() -> dict[str, Any]:
    """jaxact's value y in float64, the gradient of the sum of y^2 / 2, and slopes at kinks, of all names at once."""

    def of(name, x, kinks):
        y, pull = jax.vjp(like_torch(name), x)
        return y, pull(y)[0], None if along_an_axis(name) else jax.grad(lambda x: jnp.sum(like_torch(name)(x)))(kinks)

    every = {name: (argument(name), kinks(name)) for name in COMPARED}
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jax.jit(lambda every: {n: of(n, *at) for n, at in every.items()})(every))


@pytest.mark.parametrize("name", COMPARED)
def test_equals_torch(name: str):
    x = argument(name)
    wanted, wanted_gradient = corrected(name, x, *in_torch(name, x))
    got, gradient, _ = ours()[name]
    np.testing.assert_allclose(got, wanted, **CLOSE)
    same = ~np.isin(x, list(OTHER_AT_KINKS.get(name, ())))
    np.testing.assert_allclose(gradient[same], wanted_gradient[same], **CLOSE)


@pytest.mark.parametrize("name", [n for n in COMPARED if not along_an_axis(n)])
def test_slopes_at_kinks_against_torch(name: str):
    """Equal at every kink but those of OTHER_AT_KINKS, where both are as it says."""
    at = kinks(name)
    for x, slope, theirs in zip(at, ours()[name][2], in_torch(name, at, power=1)[1], strict=True):
        wanted = OTHER_AT_KINKS.get(name, {}).get(x, (slope, slope))
        np.testing.assert_allclose((theirs, slope), wanted, rtol=1e-6, err_msg=f"at {x}")
