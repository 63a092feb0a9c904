"""One case for each way in which a function is made and called: what one mechanism does for all is tested on these."""

import inspect
from typing import Any

from jaxact.verify.cases import DEFAULTS, Case


def _shape(case: Case) -> tuple[Any, ...]:
    """Kind, what is kept, how many arrays, and each parameter's type and place in the signature."""
    given = inspect.signature(case.row.function).parameters
    parameters = {name: (type(default), given[name].kind) for name, default in case.row.parameters.items()}
    return case.row.kind, case.row.keeps, case.arrays, *parameters.values()


def _rule(case: Case) -> tuple[Any, ...]:
    """Kind, what is kept, how many arrays, and whether there are parameters; for rows, whose rule it is."""
    family = case.row.family if case.row.kind == "axis" else None
    return case.row.kind, case.row.keeps, case.arrays, bool(case.row.parameters), family


SHAPES = list({_shape(case): case for case in reversed(DEFAULTS)}.values())[::-1]
RULES = list({_rule(case): case for case in reversed(SHAPES)}.values())[::-1]
"""One for each way in which a function is differentiated."""
