"""The activations as Equinox modules, under the names that PyTorch users know. Equinox has to be installed.

A module's constructor takes the parameters of its function, with the same names, order and defaults, and checks them.
Give a mask (`where`) at the call. Every module takes `key=` there, as Equinox's own do, and random modules need it.

>>> import equinox
>>> import jaxact.equinox
>>> linear = equinox.nn.Linear(4, 8, key=jax.random.key(0))
>>> model = equinox.nn.Sequential([linear, jaxact.equinox.PReLU(8), jaxact.equinox.Softmax()])
>>> jax.vmap(model)(jnp.ones((2, 4))).shape
(2, 8)
>>> jaxact.equinox.CELU(0.5)
CELU(alpha=0.5)
"""

from jaxact.modules.equinox.exponential import *
from jaxact.modules.equinox.gated import *
from jaxact.modules.equinox.gelu import *
from jaxact.modules.equinox.layers import *
from jaxact.modules.equinox.leaky import *
from jaxact.modules.equinox.learned import *
from jaxact.modules.equinox.periodic import *
from jaxact.modules.equinox.piecewise import *
from jaxact.modules.equinox.random import *
from jaxact.modules.equinox.rectifiers import *
from jaxact.modules.equinox.shrinkage import *
from jaxact.modules.equinox.sigmoids import *
from jaxact.modules.equinox.simplex import *
from jaxact.modules.equinox.smooth import *
from jaxact.modules.equinox.softmax import *
from jaxact.modules.equinox.softplus import *
from jaxact.modules.equinox.sparse import *
from jaxact.modules.equinox.units import *
