"""Models that nobody edits: another activation takes the place of the one that they use."""

import itertools
from pathlib import Path
from typing import Any

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxact.cli import main
from jaxact.compare import Comparison, Study, log, run

pytestmark = pytest.mark.usefixtures("quickly_compiled", "no_pictures")

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 4)).astype(np.float32), np.arange(40) % 3
ARRAYS: dict[str, Any] = {"batches": (X, Y), "held_out": (X[:11], Y[:11]), "batch_size": 8, "steps": 3}


def cross_entropy(logits: jax.Array, y: Any) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def of_haiku() -> Study:
    model = hk.without_apply_rng(hk.transform(lambda x: hk.nets.MLP([8, 8, 3], activation=jax.nn.gelu)(x)))
    return Study(
        name="haiku",
        init=jax.jit(lambda key: model.init(key, X[:1])),
        loss=lambda parameters, batch: cross_entropy(model.apply(parameters, batch[0]), batch[1]),
        **ARRAYS,
    )


def of_equinox() -> Study:
    def loss(model: Any, batch: Any, key: Any) -> jax.Array:
        return cross_entropy(jax.vmap(model)(batch[0]), batch[1])

    return Study.equinox(lambda key: eqx.nn.MLP(4, 3, 8, 2, jax.nn.gelu, key=key), loss, name="equinox", **ARRAYS)


def edited(activation: Any) -> Study:
    """The Haiku model again, with the activation as an argument."""
    model = hk.without_apply_rng(hk.transform(lambda x: hk.nets.MLP([8, 8, 3], activation=activation)(x)))
    loss = lambda parameters, batch: cross_entropy(model.apply(parameters, batch[0]), batch[1])  # noqa: E731
    return Study(name="haiku", init=jax.jit(lambda key: model.init(key, X[:1])), loss=loss, **ARRAYS)


study = of_haiku()
several = Study(
    name="two",
    init=lambda key: jax.random.normal(key, (4, 3)),
    loss=lambda w, batch: cross_entropy(jnp.tanh(jax.nn.relu(batch[0] @ w)), batch[1]),
    **ARRAYS,
)
none = Study(
    name="linear",
    init=lambda key: jax.random.normal(key, (4, 3)),
    loss=lambda w, batch: cross_entropy(batch[0] @ w, batch[1]),
    **ARRAYS,
)


@pytest.mark.parametrize("unedited", [study, of_equinox()], ids=lambda study: study.name)
def test_a_model_is_compared_with_other_activations(unedited: Study, tmp_path: Path):
    """Swapped is what edited is."""
    result = run(Comparison(study=unedited, activations=("gelu", "relu"), seeds=1, directory=str(tmp_path / "swapped")))
    assert [network.name for network in result.networks] == ["gelu", "relu"]
    for network in result.networks:
        sites = network.records[0]["sites"]
        assert [site["activation"] for site in sites] == [network.name] * 2
    gelu, relu = (network.records for network in result.networks)
    assert gelu[0]["train_loss"] != relu[0]["train_loss"]
    assert [site["place"] for site in gelu[0]["sites"]] == [site["place"] for site in relu[0]["sites"]]
    if unedited is study:
        other = run(
            Comparison(study=edited, activations=("relu",), seeds=1, directory=str(tmp_path / "edited"))
        ).records
        ends = [[(r["train_loss"], r["loss"]) for r in found] for found in (relu, other)]
        np.testing.assert_allclose(*ends, rtol=1e-5)


def test_a_swapped_study_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["compare", f"{__file__}:several", "--seeds", "1", "--steps", "2", "--directory", str(tmp_path / "r")]
    assert main([*words, "--activations", "relu=leaky_relu(negative_slope=0.2)", "tanh=relu"]) == 0
    kinds = [[site["activation"] for site in r["sites"]] for r in log.read(tmp_path / "r")[1] if r["step"] == 0]
    assert kinds == [["leaky_relu", "tanh"], ["relu", "relu"]]
    assert main([*words, "--steps", "3", "--resume", str(tmp_path / "r"), "--activations", "tanh=elu"]) == 2
    capsys.readouterr()


@pytest.mark.parametrize(
    ("name", "activation", "message"),
    [
        ("several", "gelu", "say which is exchanged, such as relu=gelu"),
        ("study", "relu=tanh", "an activation that 'haiku' uses: gelu, got 'relu'"),
        ("none", "relu", "none that is recognised; give a function that takes an activation"),
        ("study", "geluu", "did you mean gelu"),
    ],
)
def test_what_cannot_be_exchanged(
    name: str, activation: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["compare", f"{__file__}:{name}", "--activations", activation, "--directory", str(tmp_path / "r")]
    assert main(words) == 2
    assert message in capsys.readouterr().err
    assert not list(itertools.chain(tmp_path.iterdir()))
