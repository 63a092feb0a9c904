"""What the Linen modules have in common."""

from flax import linen

from jaxact.modules.settings import described


class Module(linen.Module):
    """A Linen module whose repr is its class and the settings that are not their defaults."""

    def __repr__(self) -> str:
        return described(self)
