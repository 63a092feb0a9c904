"""What every doctest may use without importing it."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxact


@pytest.fixture(autouse=True)
def _namespace(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace.update(jax=jax, jnp=jnp, jaxact=jaxact)
