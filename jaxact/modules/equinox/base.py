"""What the Equinox modules have in common."""

import equinox


class Module(equinox.Module):
    """An Equinox module; its repr, Equinox's own, shows the settings that are not their defaults, and parameters."""
