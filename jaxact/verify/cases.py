"""The cases of the tests and of `jaxact verify`: every row of the catalog, with its defaults and its variants."""

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from jax import Array

import jaxact  # noqa: F401  (fills the catalog)
from jaxact.core import catalog
from jaxact.verify.oracles import elementwise
from jaxact.verify.oracles.pointwise import Pointwise


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One activation with one setting of its parameters."""

    row: catalog.Row
    parameters: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The row's name and, in brackets, the parameters that differ from its defaults."""
        settings = ",".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.row.name}({settings})" if settings else self.row.name

    def __call__(self, x: Any, **changed: Any) -> Array:
        """The function of one array, which is both gate and value of a gated unit."""
        return self.row.function(*[x] * self.arrays, **{**self.parameters, **changed})

    @property
    def arrays(self) -> int:
        """How many arrays the function takes before its parameters."""
        return len(inspect.signature(self.row.function).parameters) - len(self.row.parameters)

    @property
    def oracle(self) -> Pointwise:
        """The oracle, which knows what the function should give."""
        if self.row.name not in elementwise.POINTWISE:
            raise AssertionError(
                f"{self.row.name} is in the catalog but has no oracle: add its textbook definition and its float64 "
                "value, slope and curvature to POINTWISE in jaxact/verify/oracles/elementwise.py"
            )
        return elementwise.POINTWISE[self.row.name]

    @functools.cached_property
    def numbers(self) -> dict[str, float]:
        """The parameters that can be differentiated, defaults included."""
        every = {**self.row.parameters, **self.parameters}
        return {k: v for k, v in every.items() if isinstance(v, int | float) and not isinstance(v, bool)}

    def settings(self, dtype: Any) -> dict[str, Any]:
        """The parameters as the function sees them, rounded to the precision that it computes in."""
        kind = np.float64 if np.dtype(dtype) == np.float64 else np.float32
        every = {**self.row.parameters, **self.parameters}
        return {name: float(kind(value)) if name in self.numbers else value for name, value in every.items()}


def _cases(row: catalog.Row) -> list[Case]:
    complete = inspect.Parameter.empty not in row.parameters.values()
    return [Case(row, settings) for settings in (*([{}] if complete else []), *row.variants)]


CASES = [case for row in catalog.rows() for case in _cases(row)]
"""Every row at its defaults (where each parameter has one) and at each of its variants."""

POINTWISE = [case for case in CASES if case.row.kind == "pointwise"]
DEFAULTS = list({case.row.name: case for case in reversed(CASES)}.values())[::-1]
"""One case for each row: the defaults, or the first variant where a parameter has no default."""
