"""Theory against networks that were sampled: the benchmark's check, at a size for a test."""

import functools

import pytest

from benchmarks.wide_networks import NETWORKS, C, Measured, Q, deviations, measure
from jaxact.propagation import signal

pytestmark = pytest.mark.quickly_compiled


PHASES = {"ordered": "gelu", "critical": "relu", "chaotic": "tanh"}


@functools.cache
def measured() -> dict[str, Measured]:
    return measure({name: NETWORKS[name] for name in PHASES.values()}, width=512, depth=4, seeds=16)


@pytest.mark.parametrize("name", PHASES.values(), ids=PHASES)
def test_theory_holds_within_the_sampling_error(name):
    f, sigma_w, sigma_b = NETWORKS[name]
    # Standard errors of a mean of 16 networks, the worst of 12 numbers.
    assert max(deviations(signal(f, sigma_w, sigma_b, 4, q=Q, c=C), measured()[name]).values()) < 4


def test_a_wrong_theory_is_noticed():
    f, sigma_w, sigma_b = NETWORKS["relu"]
    assert max(deviations(signal(f, 1.05 * sigma_w, sigma_b, 4, q=Q, c=C), measured()["relu"]).values()) > 4
