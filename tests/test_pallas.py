"""Every elementwise and gated function, and its gradient, inside a Pallas kernel: for TPU and for Triton.

Lowering needs no device, and is where a kernel is refused: an operation has no rule, or a rule refuses its arguments.
What runs there is interpreted for each rule of derivatives: one mechanism makes them all.
"""

import contextlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import pallas
from jax.experimental.pallas import tpu, triton

import jaxact.pallas  # noqa: F401  (gradients and parameters for TPUs)
from jaxact.verify.cases import CASES, DEFAULTS
from tests.shapes import RULES

pytestmark = pytest.mark.quickly_compiled

SHAPE = (16, 128)
DEVICES = {
    "tpu": (jax.sharding.AbstractDevice("TPU v5e", 1, "tpu"), tpu.CompilerParams),
    "cuda": (jax.sharding.AbstractDevice("NVIDIA H100", None, "gpu"), triton.CompilerParams),
}
REFUSED = {("derf", "cuda"): "erf", ("rational", "cuda"): "unstack|slice"}
"""Triton has no erf, which jax.nn's exact GELU is made of too, and takes no array apart that is not of size 2."""

_VARIED = {c.row.name: c for c in CASES if c.parameters and c.row in [rule.row for rule in RULES]}.values()


def _in_kernels(cases, *but):
    """glu halves its argument, which no block of a kernel does; as of two arrays it is sigmoid_gate."""
    chosen = [c for c in cases if c.row.kind in ("pointwise", "gated") and c.row.name not in ("glu", *but)]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


def _of_arrays(case):
    """Parameters that can be arrays, and their shapes: one number an entry, or a list of coefficients."""
    lists = {name: (len(v),) for name, v in case.parameters.items() if isinstance(v, tuple)}
    return [*(dict.fromkeys(case.numbers, SHAPE) | lists).items()]


def _value_and_gradients(case, names):
    """Of one array, or of gate and value, and of these parameters."""

    def function(*x):
        given = dict(zip(names, x[case.arrays :], strict=True))
        return case.row.function(*x[: case.arrays], **{**case.parameters, **given})

    gradients = jax.grad(lambda *x: jnp.sum(function(*x).astype(jnp.float32)), tuple(range(case.arrays + len(names))))
    return lambda *x: (function(*x), *gradients(*x))


def _kernel(case, arguments, names=(), **settings):
    def body(*refs):
        results = _value_and_gradients(case, names)(*(ref[...] for ref in refs[: len(arguments)]))
        for out, result in zip(refs[len(arguments) :], results, strict=True):
            out[...] = result

    return pallas.pallas_call(body, [arguments[0], *arguments], **settings)


def _holds_lowering(case, platform, dtype, parameters=()):
    """With these parameters, of these shapes, read from a Ref."""
    shapes = [SHAPE] * case.arrays + [shape for _, shape in parameters]
    arguments = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    device, of_compiler = DEVICES[platform]
    kernel = _kernel(case, arguments, [name for name, _ in parameters], compiler_params=of_compiler())
    refusal = REFUSED.get((case.row.name, platform))
    refused = pytest.raises(NotImplementedError, match=refusal) if refusal else contextlib.nullcontext()
    with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((1,), ("d",), abstract_device=device)), refused:
        jax.jit(kernel).trace(*arguments).lower(lowering_platforms=(platform,))


@pytest.mark.filterwarnings("ignore:The Pallas Triton:DeprecationWarning")
@pytest.mark.parametrize("platform", DEVICES)
@_in_kernels([c for c in CASES if c in DEFAULTS or c in _VARIED], "rational")  # no array is a constant of a kernel
def test_lowers(case, platform):
    """In 16 bits, which has casts as well, at the defaults; and with other parameters in float32 for each rule."""
    _holds_lowering(case, platform, jnp.float32 if case.parameters else jnp.bfloat16)


@pytest.mark.filterwarnings("ignore:The Pallas Triton:DeprecationWarning")
@pytest.mark.parametrize("platform", DEVICES)
@_in_kernels([c for c in DEFAULTS if _of_arrays(c)])
def test_parameters_of_arrays_lower(case, platform):
    """All are read from a Ref, and differentiated too."""
    _holds_lowering(case, platform, jnp.float32, _of_arrays(case))


@_in_kernels(RULES)
def test_interpreted_is_right(case):
    """Value and gradients are those outside of a kernel."""
    x = [np.linspace(a, b, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE) for a, b in ((-9, 9), (5, -4))]
    inside, outside = jax.jit(lambda *x: (_kernel(case, x, interpret=True)(*x), _value_and_gradients(case, ())(*x)))(
        *x[: case.arrays]
    )
    chex.assert_trees_all_close(tuple(inside), outside, rtol=1e-6, atol=1e-7)
