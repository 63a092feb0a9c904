"""The oracle of an elementwise function: the formula of a book, and float64 forms of its derivatives."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxact.verify.oracles.elementwise_forms import FAR, Form, Values


@dataclasses.dataclass(frozen=True)
class Pointwise:
    """One elementwise function. All callables take its parameters as keywords, with jax.nn's names and defaults."""

    definition: Callable[..., Any]
    """`definition(m, x, **parameters)`, where m is mpmath.mp."""
    value: Form
    slope: Form
    curvature: Form
    parameter_slope: Mapping[str, Form] = dataclasses.field(default_factory=dict)
    """d value / d parameter, by the parameter's name."""
    joints: tuple[float, ...] = ()
    """The points where its pieces meet. There the second derivative is a convention that no test checks."""

    def derivative(self, order: int) -> Form:
        """Value, slope, curvature or (by a difference of curvatures, to 7 digits) the derivative of curvature."""
        return (self.value, self.slope, self.curvature, self._jerk)[order]

    def _jerk(self, x: Values, **parameters: Any) -> Values:
        step = np.where(x == 0, 2.0**-30, np.abs(x) * 2.0**-30)
        return (self.curvature(x + step, **parameters) - self.curvature(x - step, **parameters)) / (2 * step)

    def exact(self, x: float, order: int = 0, wrt: str | None = None, **parameters: Any) -> Any:
        """The derivative of `order` (0: the value) at a finite x, in x or in the parameter `wrt`, to 30 digits.

        At a joint only orders 0 and 1 are defined; the slope there is the convention in `slope`.
        """
        import mpmath  # only float64 results need it

        mp = mpmath.mp
        if order and x in self.joints:
            assert order == 1
            form = self.slope if wrt is None else self.parameter_slope[wrt]
            return mp.mpf(float(form(np.float64(x), **parameters)))
        at = mp.mpf(x if wrt is None else parameters[wrt])
        # The digits leave room for the size of f, for the smallest float64, and for a step of 2^-60 in each order.
        step_bits = 60 - min(0, math.frexp(float(at))[1] if at else -1074)
        step_bits += 0 if wrt is None else max(0, math.frexp(x)[1])  # a parameter may be a factor of x
        bits = 1200 + max(0, math.frexp(x)[1]) + (2 if wrt is None else 1) * step_bits
        with mp.workprec(bits):
            h = mp.ldexp(1, -step_bits)

            def f(steps: int) -> Any:
                if wrt is None:
                    return _value(self.definition, bits, at + steps * h, **parameters)
                return _value(self.definition, bits, mp.mpf(x), **{**parameters, wrt: at + steps * h})

            if order < 2:
                return f(0) if order == 0 else (f(1) - f(-1)) / (2 * h)
            return (f(1) - 2 * f(0) + f(-1)) / h**2


@functools.lru_cache(maxsize=2048)
def _value(definition: Callable[..., Any], bits: int, x: Any, **parameters: Any) -> Any:
    """The value of a definition, which derivatives of several orders share."""
    import mpmath

    with mpmath.mp.workprec(bits):
        return +definition(mpmath.mp, x, **parameters)


def _limited(form: Form) -> Form:
    """Take +-inf as +-1e50: every function here is within half a float32 ulp of its limit there."""
    return lambda x, **parameters: form(np.clip(np.asarray(x, np.float64), -FAR, FAR), **parameters)


def pointwise(
    definition: Callable[..., Any],
    value: Form,
    slope: Form,
    curvature: Form,
    /,
    joints: tuple[float, ...] = (),
    **parameter_slope: Form,
) -> Pointwise:
    """Make an oracle from functions that have limits at +-inf."""
    return Pointwise(
        definition,
        _limited(value),
        _limited(slope),
        _limited(curvature),
        {name: _limited(form) for name, form in parameter_slope.items()},
        joints,
    )
