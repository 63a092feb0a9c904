"""Every elementwise and gated function, and its gradient, inside a Pallas kernel: for TPU and for Triton.

Lowering needs no device, and is where a kernel is refused: an operation has no rule, or a rule refuses its arguments.
What runs there is interpreted for each shape of function: one mechanism makes them all.
"""

import contextlib
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import pallas
from jax.experimental.pallas import tpu, triton

import jaxact.pallas  # noqa: F401  (gradients for TPUs)
from jaxact.verify.cases import CASES, DEFAULTS
from tests.shapes import SHAPES

pytestmark = pytest.mark.usefixtures("quickly_compiled")

SHAPE = (16, 128)
DEVICES = {
    "tpu": (jax.sharding.AbstractDevice("TPU v5e", 1, "tpu"), tpu.CompilerParams),
    "cuda": (jax.sharding.AbstractDevice("NVIDIA H100", None, "gpu"), triton.CompilerParams),
}
VALUE_ALONE = ("swiglu_oai", "situ_glu")
"""For TPU their derivatives do not lower: they are made of functions of a traced parameter, silu and soft_cap, which
ask JAX by symbolic zeros what is differentiated, and Mosaic refuses those. jax.nn has neither function."""

WITHOUT_ERF = {("derf", "cuda")}
"""Triton has no erf, which jax.nn's exact GELU is made of too."""

_VARIED = {c.row.name: c for c in CASES if c.parameters and c.row in [shape.row for shape in SHAPES]}.values()


def _in_kernels(cases):
    """glu halves its argument, which no block of a kernel does; as of two arrays it is sigmoid_gate.

    rational's coefficients are arrays, which a kernel refuses as constants.
    """
    chosen = [c for c in cases if c.row.kind in ("pointwise", "gated") and c.row.name not in ("glu", "rational")]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


def _value_and_gradients(case, differentiated=True):
    """Of one array, or of gate and value."""
    function = functools.partial(case.row.function, **case.parameters)
    arrays = tuple(range(case.arrays))
    gradients = jax.grad(lambda *x: jnp.sum(function(*x).astype(jnp.float32)), arrays)
    return lambda *x: (function(*x), *(gradients(*x) if differentiated else ()))


def _kernel(case, dtype, differentiated=True, **settings):
    def body(*refs):
        ins, outs = refs[: case.arrays], refs[case.arrays :]
        results = _value_and_gradients(case, differentiated)(*(ref[...] for ref in ins))
        for out, result in zip(outs, results, strict=True):
            out[...] = result

    outputs = 1 + case.arrays * differentiated
    return pallas.pallas_call(body, [jax.ShapeDtypeStruct(SHAPE, dtype)] * outputs, **settings)


def _lower(kernel, platform, arguments):
    device, _ = DEVICES[platform]
    with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((1,), ("d",), abstract_device=device)):
        jax.jit(kernel).trace(*arguments).lower(lowering_platforms=(platform,))


@pytest.mark.filterwarnings("ignore:The Pallas Triton:DeprecationWarning")
@pytest.mark.parametrize("platform", DEVICES)
@_in_kernels([c for c in CASES if c in DEFAULTS or c in _VARIED])
def test_lowers(case, platform):
    """In 16 bits, which has casts as well, at the defaults; and with other parameters in float32 for each shape."""
    dtype = jnp.float32 if case.parameters else jnp.bfloat16
    differentiated = platform != "tpu" or case.row.name not in VALUE_ALONE
    kernel = _kernel(case, dtype, differentiated, compiler_params=DEVICES[platform][1]())
    refused = pytest.raises(NotImplementedError, match="erf") if (case.row.name, platform) in WITHOUT_ERF else None
    with refused or contextlib.nullcontext():
        _lower(kernel, platform, [jax.ShapeDtypeStruct(SHAPE, dtype)] * case.arrays)


@_in_kernels(SHAPES)
def test_interpreted_is_right(case):
    """Value and gradients are those outside of a kernel."""
    x = [np.linspace(a, b, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE) for a, b in ((-9, 9), (5, -4))]
    inside, outside = jax.jit(
        lambda *x: (_kernel(case, jnp.float32, interpret=True)(*x), _value_and_gradients(case)(*x))
    )(*x[: case.arrays])
    chex.assert_trees_all_close(tuple(inside), outside, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", VALUE_ALONE)
def test_what_does_not_lower_is_known(name):
    """So that the list is shortened when Mosaic takes symbolic zeros."""
    case = next(case for case in DEFAULTS if case.name == name)
    with pytest.raises(NotImplementedError):
        _lower(_kernel(case, jnp.float32), "tpu", [jax.ShapeDtypeStruct(SHAPE, jnp.float32)] * case.arrays)
