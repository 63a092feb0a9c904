"""Benchmarks that run on devices that nobody has here run in their quick form on this one."""

import functools
import json
import sys

import jax
import pytest

from benchmarks import accuracy, device, report

pytestmark = pytest.mark.quickly_compiled


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Results go where they do not replace those that README quotes."""
    for module in (accuracy, device, report):
        monkeypatch.setattr(module, "RESULTS", tmp_path)


def test_device(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["device", "--quick", "relu"])
    monkeypatch.setattr(device, "verify", functools.partial(device.verify, types=["bfloat16"]))
    device.main()
    (found,) = json.loads((tmp_path / "device.json").read_text()).values()
    assert found["environment"]["jax"] == jax.__version__
    assert found["accuracy/relu/bfloat16/1/alone/jaxact"]["misrounded"] == 0
    assert found["memory/bfloat16/relu/jaxact"] <= 0.05
    assert found["speed/bfloat16/forward/65536/relu/jax.nn"]["ratio"] > 0
    assert "| relu, bfloat16, value, alone | 0 / 0 | 0 / 0 |" in (tmp_path / "device.md").read_text()


def test_device_stops_in_time(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["device", "--quick", "relu", "--seconds", "-1"])
    device.main()
    assert not list(tmp_path.iterdir())
    assert "left out: memory of relu" in capsys.readouterr().out


def test_accuracy(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["accuracy", "silu", "--dtypes", "bfloat16"])
    accuracy.main()
    whole = json.loads((tmp_path / "accuracy.json").read_text())
    assert whole["bfloat16/silu/value/jaxact"]["not correctly rounded"] == 0
    assert whole["bfloat16/silu/value/jax.nn"]["not correctly rounded"] > 1000
    assert "| silu | 0.50 (0) |" in (tmp_path / "accuracy.md").read_text()


def test_accuracy_of_some_functions_elsewhere_is_printed_and_not_merged(tmp_path, monkeypatch, capsys):
    before = '{"environment": {"jax": "0.1"}}'
    (tmp_path / "accuracy.json").write_text(before)
    monkeypatch.setattr(sys, "argv", ["accuracy", "relu", "--dtypes", "bfloat16"])
    accuracy.main()
    said = capsys.readouterr().out
    assert "| relu | 0.00 (0) |" in said
    assert "Not merged into accuracy.json, whose figures are of {'jax': '0.1'}" in said
    assert (tmp_path / "accuracy.json").read_text() == before
