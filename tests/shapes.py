"""One case for each way in which a function is made and called: what one mechanism does for all is tested on these."""

import inspect
from typing import Any

from jaxact.verify.cases import DEFAULTS, Case


def _shape(case: Case) -> tuple[Any, ...]:
    """Kind, what is kept, how many arrays, and each parameter's type and place in the signature."""
    given = inspect.signature(case.row.function).parameters
    parameters = {name: (type(default), given[name].kind) for name, default in case.row.parameters.items()}
    return case.row.kind, case.row.keeps, case.arrays, *parameters.values()


SHAPES = list({_shape(case): case for case in reversed(DEFAULTS)}.values())[::-1]
