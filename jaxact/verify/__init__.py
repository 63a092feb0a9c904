"""How accurate the activations are on the device at hand: oracles, the error unit, and a judgement of each function."""

from jaxact.verify.results import Result as Result
from jaxact.verify.results import Verification as Verification
from jaxact.verify.verification import verify as verify
