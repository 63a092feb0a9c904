"""Theory: the right initialisation for any activation, and what depth does to a signal.

It has gains and moments of any callable, initialisers made from them, mean-field predictions of variances, correlations
and gradients, transformed activations with which plain networks of 100 layers train, unit-scaled activations, and
muP's learning rates. Importing it computes nothing.
"""

from jaxact.propagation.initializers import (
    alpha_dropout as alpha_dropout,
)
from jaxact.propagation.initializers import (
    init_for as init_for,
)
from jaxact.propagation.initializers import (
    siren_init as siren_init,
)
from jaxact.propagation.parametrization import MuP as MuP
from jaxact.propagation.parametrization import mup as mup
from jaxact.propagation.shaping import Shaped as Shaped
from jaxact.propagation.shaping import dks as dks
from jaxact.propagation.shaping import from_config as from_config
from jaxact.propagation.shaping import tat as tat
from jaxact.propagation.signal import (
    Critical as Critical,
)
from jaxact.propagation.signal import (
    FixedPoint as FixedPoint,
)
from jaxact.propagation.signal import (
    Moments as Moments,
)
from jaxact.propagation.signal import (
    Signal as Signal,
)
from jaxact.propagation.signal import (
    critical as critical,
)
from jaxact.propagation.signal import (
    gain as gain,
)
from jaxact.propagation.signal import (
    moments as moments,
)
from jaxact.propagation.signal import (
    signal as signal,
)
from jaxact.propagation.unit import UnitScaled as UnitScaled
from jaxact.propagation.unit import attention_scale as attention_scale
from jaxact.propagation.unit import unit_scaled as unit_scaled
