"""What the Equinox modules with learned parameters have in common."""

from jax import Array

from jaxact.modules import learned
from jaxact.modules.equinox.base import Module


class Parametric(learned.Learned, Module):
    """A module with learned parameters."""

    _where = "jaxact.equinox"

    def _learn(self, name: str) -> Array:
        """The parameter of that name, as it starts."""
        return self._start()[name]
