"""How tests are compiled; and what every doctest may use without importing it."""

import builtins
import os
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxact
from jaxact.core import catalog


def _quickly(item: pytest.Item) -> bool:
    return item.get_closest_marker("quickly_compiled") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that are compiled alike come together, since what one has traced and compiled serves the next."""
    items.sort(key=_quickly)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Compile with LLVM's optimisations, or, here and in processes that are started, without: in half the time.

    The caches are emptied in between, so that neither side sees the other's programs.
    """
    if _quickly(item) != jax.config.read("jax_disable_most_optimizations"):
        jax.clear_caches()
        jax.config.update("jax_disable_most_optimizations", _quickly(item))
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(_quickly(item)).lower()


@pytest.fixture(autouse=True)
def _namespace(doctest_namespace: dict[str, Any]) -> Iterator[None]:
    doctest_namespace.update(jax=jax, jnp=jnp, jaxact=jaxact)
    yield
    builtins.__dict__.pop("_", None)  # what an example showed last: tyro hashes all built-in names on import


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is not there for others."""
    monkeypatch.setattr(catalog, "_ROWS", dict(catalog._ROWS))
