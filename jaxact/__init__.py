"""Activation functions for JAX whose gradients you can trust, and see.

`import jaxact as nn` replaces `jax.nn`'s activations. `jaxact.nnx` and `jaxact.linen` have them as Flax modules,
`jaxact.flow.observe` shows how gradients flow through a model, and the command `jaxact compare` trains the same network
with several of them.
"""

from jaxact.core.catalog import BUILDERS as _BUILDERS
from jaxact.core.catalog import config as config
from jaxact.core.catalog import get as get
from jaxact.core.catalog import info as info
from jaxact.core.catalog import names as names
from jaxact.functions import *

__version__ = "0.1.0"


def _shaped(config):
    """Build a transformed activation; only then is the theory imported, which needs SciPy."""
    from jaxact.propagation import from_config

    return from_config(config)


_BUILDERS.update(tat=_shaped, dks=_shaped)
