"""What the Equinox modules have in common."""

from typing import Any

import equinox

from jaxact.modules import build


class Module(equinox.Module):
    """An Equinox module; its repr, Equinox's own, shows the settings that are not their defaults, and parameters."""

    @property
    def config(self) -> dict[str, Any]:
        """What `jaxact.config` says of it."""
        return build.config(self)
