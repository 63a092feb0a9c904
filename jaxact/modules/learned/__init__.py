"""Modules with learned parameters, as far as no framework is needed: arguments, checks, start values and formula.

A framework's class (in its folder's learned.py) lists the same arguments as its fields, makes a parameter of each value
in `_start()`, and calls `_evaluate` with x and the parameters.
"""

from jaxact.modules.learned.attention import SoftmaxSink, SSMax
from jaxact.modules.learned.base import Channelwise, Learned
from jaxact.modules.learned.channelwise import XIELU, PReLU, Snake, SnakeBeta, StarReLU, Swish
from jaxact.modules.learned.normalizing import Derf, DyT, PolyNorm
from jaxact.modules.learned.rational import Rational

__all__ = [
    "XIELU",
    "Channelwise",
    "Derf",
    "DyT",
    "Learned",
    "PReLU",
    "PolyNorm",
    "Rational",
    "SSMax",
    "Snake",
    "SnakeBeta",
    "SoftmaxSink",
    "StarReLU",
    "Swish",
]
