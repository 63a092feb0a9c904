"""See how activations and gradients flow through any JAX function, unchanged."""

import importlib as _importlib
from typing import Any as _Any

from jaxact.flow.finding import Finding as Finding
from jaxact.flow.lint import lint as lint
from jaxact.flow.marks import site as site
from jaxact.flow.marks import tap as tap
from jaxact.flow.norms import Norms as Norms
from jaxact.flow.norms import norms as norms
from jaxact.flow.observe import observe as observe
from jaxact.flow.record import Flow as Flow
from jaxact.flow.record import stack as stack
from jaxact.flow.sites import Site as Site
from jaxact.flow.sites import Unseen as Unseen
from jaxact.flow.swap import Swaps as Swaps
from jaxact.flow.swap import swap as swap
from jaxact.flow.swap import swaps as swaps
from jaxact.flow.widths import CoordCheck as CoordCheck
from jaxact.flow.widths import coord_check as coord_check


def __getattr__(name: str) -> _Any:
    """Import `jaxact.flow.nnx`, and Flax with it, when it is asked for."""
    if name == "nnx":
        return _importlib.import_module("jaxact.flow.nnx")
    raise AttributeError(f"module 'jaxact.flow' has no attribute {name!r}")
