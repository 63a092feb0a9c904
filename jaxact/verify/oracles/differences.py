"""Derivatives of a formula to any order, by differences with so many digits that none are lost."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

_STEP_BITS = 140


def derivatives(
    formula: Callable[[list[Any]], Sequence[Any]], at: Sequence[float], order: int
) -> list[NDArray[np.float64]]:
    """Every partial derivative of a function of several numbers, up to an order.

    They are forward differences of step 2^-140, which are off by about 2^-140 times the next derivative.

    Args:
      formula: a function of a list of mpmath numbers that returns several.
      at: the point, where the function has these derivatives.
      order: the highest order.

    Returns:
      For each order k from 0 on, an array of shape (outputs, inputs, ..., inputs), with k times inputs.
    """
    mp, n = mpmath.mp, len(at)
    with mp.workprec((order + 1) * _STEP_BITS + 100):
        step = mp.ldexp(1, -_STEP_BITS)
        values: dict[tuple[int, ...], list[Any]] = {}

        def value(steps: tuple[int, ...]) -> list[Any]:
            if steps not in values:
                values[steps] = list(formula([mp.mpf(x) + k * step for x, k in zip(at, steps, strict=True)]))
            return values[steps]

        def partial(orders: tuple[int, ...]) -> list[float]:
            terms = [
                ((-1) ** (sum(orders) - sum(steps)) * math.prod(map(math.comb, orders, steps)), value(steps))
                for steps in itertools.product(*(range(k + 1) for k in orders))
            ]
            return [float(sum(w * v[i] for w, v in terms) / step ** sum(orders)) for i in range(len(terms[0][1]))]

        result = []
        for k in range(order + 1):
            tensor = np.empty((len(value((0,) * n)), *(n,) * k))
            for inputs in itertools.combinations_with_replacement(range(n), k):
                found = partial(tuple(inputs.count(i) for i in range(n)))
                for same in set(itertools.permutations(inputs)):
                    tensor[(slice(None), *same)] = found
            result.append(tensor)
        return result
