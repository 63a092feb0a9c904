"""The activations as Flax Linen modules, under the names that PyTorch users know.

A module's constructor takes the parameters of its function, with the same names, order and defaults, and checks them.
Give a mask (`where`) at the call. Random modules take their key from the rng "dropout", as `linen.Dropout` does.

>>> from flax import linen
>>> import jaxact.linen
>>> model = linen.Sequential([linen.Dense(8), jaxact.linen.PReLU(8), jaxact.linen.Softmax()])
>>> variables = model.init(jax.random.key(0), jnp.ones((2, 4)))
>>> model.apply(variables, jnp.ones((2, 4))).shape
(2, 8)
>>> jaxact.linen.CELU(0.5)
CELU(alpha=0.5)
"""

from jaxact.modules.linen.exponential import *
from jaxact.modules.linen.gated import *
from jaxact.modules.linen.gelu import *
from jaxact.modules.linen.layers import *
from jaxact.modules.linen.leaky import *
from jaxact.modules.linen.learned import *
from jaxact.modules.linen.periodic import *
from jaxact.modules.linen.piecewise import *
from jaxact.modules.linen.random import *
from jaxact.modules.linen.rectifiers import *
from jaxact.modules.linen.shrinkage import *
from jaxact.modules.linen.sigmoids import *
from jaxact.modules.linen.simplex import *
from jaxact.modules.linen.smooth import *
from jaxact.modules.linen.softmax import *
from jaxact.modules.linen.softplus import *
from jaxact.modules.linen.sparse import *
from jaxact.modules.linen.units import *
