"""The part of modules with learned parameters that needs no framework: arguments, checks, start values and formula.

Each framework has its own class, in `learned` in the framework's folder. The class lists the same arguments as its
fields, makes a parameter from each value in `_start()`, and calls `_evaluate` with x and the parameters.
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
