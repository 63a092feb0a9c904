"""Equinox modules with learned parameters, which are array fields; `jaxact.modules.learned` documents the arguments."""

from jaxact.modules.equinox.learned.attention import SoftmaxSink, SSMax
from jaxact.modules.equinox.learned.channelwise import XIELU, PReLU, Snake, SnakeBeta, StarReLU, Swish
from jaxact.modules.equinox.learned.normalizing import Derf, DyT, PolyNorm
from jaxact.modules.equinox.learned.rational import Rational

__all__ = [
    "XIELU",
    "Derf",
    "DyT",
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
