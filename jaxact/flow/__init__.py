"""Sight: how activations and gradients flow through any JAX function, unchanged."""

from jaxact.flow.finding import Finding as Finding
from jaxact.flow.lint import lint as lint
from jaxact.flow.observe import observe as observe
from jaxact.flow.observe import tap as tap
from jaxact.flow.record import Flow as Flow
from jaxact.flow.sites import Site as Site
