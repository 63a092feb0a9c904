"""Models that nobody edits: another activation takes the place of the one that they use."""

import itertools
from pathlib import Path
from typing import Any

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxact.cli import main
from jaxact.compare import Comparison, Study, log, run
from tests.small_study import ARRAYS, X, cross_entropy

pytestmark = [pytest.mark.quickly_compiled, pytest.mark.usefixtures("no_pictures")]


def of_haiku(activation: Any) -> Study:
    model = hk.without_apply_rng(hk.transform(lambda x: hk.nets.MLP([8, 8, 3], activation=activation)(x)))
    loss = lambda parameters, batch: cross_entropy(model.apply(parameters, batch[0]), batch)  # noqa: E731
    return Study(name="haiku", init=jax.jit(lambda key: model.init(key, X[:1])), loss=loss, **ARRAYS)


def of_equinox(activation: Any) -> Study:
    loss = lambda model, batch, key: cross_entropy(jax.vmap(model)(batch[0]), batch)  # noqa: E731
    return Study.equinox(lambda key: eqx.nn.MLP(4, 3, 8, 2, activation, key=key), loss, name="equinox", **ARRAYS)


study = of_haiku(jax.nn.gelu)
several = Study(
    name="two",
    init=lambda key: jax.random.normal(key, (4, 3)),
    loss=lambda w, batch: cross_entropy(jnp.tanh(jax.nn.relu(batch[0] @ w)), batch),
    **ARRAYS,
)
none = Study(
    name="linear",
    init=lambda key: jax.random.normal(key, (4, 3)),
    loss=lambda w, batch: cross_entropy(batch[0] @ w, batch),
    **ARRAYS,
)


@pytest.mark.parametrize("unedited", [study, of_equinox(jax.nn.gelu)], ids=lambda study: study.name)
def test_a_model_is_compared_with_another_activation(unedited: Study, tmp_path: Path):
    [network] = run(Comparison(study=unedited, activations=("relu",), seeds=1, directory=str(tmp_path / "r"))).networks
    assert network.name == "relu"
    assert [site["activation"] for site in network.records[0]["sites"]] == ["relu"] * 2
    if unedited is study:  # which trains as it does with the activation written into it
        edited = Comparison(study=of_haiku, activations=("relu",), seeds=1, directory=str(tmp_path / "edited"))
        ends = [[(r["train_loss"], r["loss"]) for r in found] for found in (network.records, run(edited).records)]
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
