"""What every doctest may use without importing it."""

import builtins
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxact
from jaxact.core import catalog


@pytest.fixture(autouse=True)
def _namespace(doctest_namespace: dict[str, Any]) -> Iterator[None]:
    doctest_namespace.update(jax=jax, jnp=jnp, jaxact=jaxact)
    yield
    builtins.__dict__.pop("_", None)  # what an example showed last: tyro hashes all built-in names on import


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is not there for others."""
    monkeypatch.setattr(catalog, "_ROWS", dict(catalog._ROWS))
