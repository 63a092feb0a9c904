"""muP's table: Yang et al. 2022, arXiv 2203.03466, table 3, at four times the base model's width."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxact.propagation import mup

ROLES = {"first": "input", "middle": "hidden", "last": "output", "bias": "vector"}


def shapes(width, depth_of_image=3):
    return {
        "first": jax.ShapeDtypeStruct((3, 3, depth_of_image, width), jnp.float32),
        "middle": jax.ShapeDtypeStruct((width, 2 * width), jnp.float32),
        "last": jax.ShapeDtypeStruct((2 * width, 10), jnp.float32),
        "bias": jax.ShapeDtypeStruct((width,), jnp.float32),
    }


def role(path, leaf):
    return ROLES[path]


@pytest.mark.parametrize(
    ("optimizer", "rates"),
    [
        ("adam", {"first": 1.0, "middle": 0.25, "last": 0.25, "bias": 1.0}),
        ("sgd", {"first": 4.0, "middle": 1.0, "last": 0.25, "bias": 4.0}),
    ],
)
def test_the_table(optimizer, rates):
    scaled = mup(shapes(256), shapes(64), role, optimizer=optimizer)
    assert {name: scaled.learning_rates[label] for name, label in scaled.labels.items()} == rates
    assert scaled.variances == {"first": 1 / 27, "middle": 1 / 256, "last": 128 / 512**2, "bias": 0.0}


def test_at_the_base_models_width_it_is_the_standard_parametrisation():
    for optimizer in ("adam", "sgd"):
        scaled = mup(shapes(64), shapes(64), role, optimizer=optimizer)
        assert set(scaled.learning_rates.values()) == {1.0}
        assert scaled.variances == {"first": 1 / 27, "middle": 1 / 64, "last": 1 / 128, "bias": 0.0}


def test_optax_takes_it():
    params = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes(16))
    scaled = mup(params, shapes(4), role)
    transforms = {label: optax.sgd(1.0 * m) for label, m in scaled.learning_rates.items()}
    optimizer = optax.multi_transform(transforms, scaled.labels)
    ones = jax.tree.map(np.ones_like, params)
    updates, _ = jax.jit(lambda ones, params: optimizer.update(ones, optimizer.init(params), params))(ones, params)
    sizes = {name: float(u.mean()) for name, u in updates.items()}
    assert sizes == {"first": -1.0, "middle": -0.25, "last": -0.25, "bias": -1.0}


BAD = {
    "a missing role": (lambda: mup(shapes(8), shapes(4), lambda p, x: None), "role of bias"),  # pyright: ignore[reportArgumentType]
    "an unknown role": (lambda: mup(shapes(8), shapes(4), lambda p, x: "middle"), "hidden"),  # pyright: ignore[reportArgumentType]
    "other paths": (lambda: mup(shapes(8), {**shapes(4), "more": np.ones(3)}, role), "more"),
    "an input that grows": (lambda: mup(shapes(8, 6), shapes(4, 3), role), "first has the role"),
    "a vector as a matrix": (lambda: mup(shapes(8), shapes(4), lambda p, x: "hidden"), "vector"),
    "another rank": (lambda: mup({"w": np.ones((2, 2))}, {"w": np.ones(2)}, lambda p, x: "hidden"), "rank"),
    "an optimizer": (lambda: mup(shapes(8), shapes(4), role, optimizer="lion"), "adam"),  # pyright: ignore[reportArgumentType]
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_says_what_was_expected(name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert str(caught.value).startswith("jaxact.mup")
