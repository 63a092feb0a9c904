"""The activations as Flax NNX modules, under the names that PyTorch users know.

A module's constructor takes the parameters of its function, with the same names, order and defaults, and checks them.
Give a mask (`where`) at the call. Random modules draw from `nnx.Rngs`, as `nnx.Dropout` does.

>>> from flax import nnx
>>> rngs = nnx.Rngs(0)
>>> model = nnx.Sequential(nnx.Linear(4, 8, rngs=rngs), jaxact.nnx.PReLU(8), jaxact.nnx.Softmax())
>>> model(jnp.ones((2, 4))).shape
(2, 8)
>>> jaxact.nnx.CELU(0.5)
CELU(alpha=0.5)
"""

from jaxact.modules.nnx.exponential import *
from jaxact.modules.nnx.gated import *
from jaxact.modules.nnx.gelu import *
from jaxact.modules.nnx.layers import *
from jaxact.modules.nnx.leaky import *
from jaxact.modules.nnx.learned import *
from jaxact.modules.nnx.periodic import *
from jaxact.modules.nnx.piecewise import *
from jaxact.modules.nnx.random import *
from jaxact.modules.nnx.rectifiers import *
from jaxact.modules.nnx.shrinkage import *
from jaxact.modules.nnx.sigmoids import *
from jaxact.modules.nnx.simplex import *
from jaxact.modules.nnx.smooth import *
from jaxact.modules.nnx.softmax import *
from jaxact.modules.nnx.softplus import *
from jaxact.modules.nnx.sparse import *
from jaxact.modules.nnx.units import *
