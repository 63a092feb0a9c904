"""Every activation, a family a file."""

from jaxact.functions.compact import *
from jaxact.functions.exponential import *
from jaxact.functions.gated import *
from jaxact.functions.gelu import *
from jaxact.functions.leaky import *
from jaxact.functions.logsumexp import *
from jaxact.functions.normalizing import *
from jaxact.functions.periodic import *
from jaxact.functions.piecewise import *
from jaxact.functions.rational import *
from jaxact.functions.rectifiers import *
from jaxact.functions.shrinkage import *
from jaxact.functions.sigmoids import *
from jaxact.functions.simplex import *
from jaxact.functions.smooth import *
from jaxact.functions.softmax import *
from jaxact.functions.softplus import *
from jaxact.functions.sparse import *
from jaxact.functions.ssmax import *
from jaxact.functions.units import *

from jaxact.functions import engines as engines  # isort: skip  (names functions of all the others)
