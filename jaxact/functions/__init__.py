"""Every activation, a family a file."""

from jaxact.functions.gated import *
from jaxact.functions.rectifiers import *
from jaxact.functions.sigmoids import *
from jaxact.functions.smooth import *
from jaxact.functions.softmax import *
