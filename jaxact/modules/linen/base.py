"""What the Linen modules have in common."""

from typing import Any

from flax import linen

from jaxact.modules import build
from jaxact.modules.settings import described


class Module(linen.Module):
    """A Linen module whose repr is its class and the settings that are not their defaults."""

    def __repr__(self) -> str:
        return described(self)

    @property
    def config(self) -> dict[str, Any]:
        """What `jaxact.config` says of it."""
        return build.config(self)
