"""Sight: how activations and gradients flow through any JAX function, unchanged."""

from jaxact.flow.finding import Finding as Finding
from jaxact.flow.lint import lint as lint
from jaxact.flow.marks import site as site
from jaxact.flow.marks import tap as tap
from jaxact.flow.observe import observe as observe
from jaxact.flow.record import Flow as Flow
from jaxact.flow.sites import Site as Site
from jaxact.flow.sites import Unseen as Unseen
from jaxact.flow.swap import Swaps as Swaps
from jaxact.flow.swap import swap as swap
from jaxact.flow.swap import swaps as swaps
from jaxact.flow.widths import CoordCheck as CoordCheck
from jaxact.flow.widths import coord_check as coord_check
