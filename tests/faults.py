"""Faults that are planted in any model from outside: in its parameters, its loss, and what is made of its output."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxact import flow as jf


class Model(NamedTuple):
    """A loss of parameters, the parameters, and an output that is given to a loss."""

    loss: Callable
    params: Any
    output: Callable


def initial(make, *args):
    """What a library makes, in one program, as NumPy's arrays: to plant faults in them compiles nothing."""
    return jax.tree.map(np.asarray, jax.jit(make)(*args))


def squared(output, params):
    """A model whose loss is the mean square of its output."""
    return Model(lambda p: jnp.mean(output(p) ** 2), params, output)


def bias(by):
    """Add to every bias, of Flax, Haiku and Equinox."""
    names = ("bias']", ".bias", ".bias.value", "offset']", "['b']")
    return lambda path, a: a + np.float32(by) if path.endswith(names) else a


def weights(by):
    """Multiply every parameter."""
    return lambda path, a: a * np.float32(by)


def planted(params, change):
    return jax.tree.map_with_path(lambda path, a: change(jax.tree_util.keystr(path), a), params)


def lines(file, *texts):
    """The lines of a file that have one of some texts, and not where it is quoted."""
    with open(file) as opened:
        found = {i for i, line in enumerate(opened, 1) for t in texts if t in line and f'"{t}' not in line}
    assert found, f"none of {texts} in {file}"
    return {(file, line) for line in found}


def check(model, places, faults, exact):
    """No finding without a fault; with each, that one at its lines. Loss and gradients are jax.value_and_grad's.

    Args:
      model: a `Model`.
      places: the lines of its first activation and of its last.
      faults: by rule, how parameters are changed, and the lines at which that is found.
      exact: whether loss and gradients are so bit for bit.

    Returns:
      The Flow without a fault.
    """
    scaled = lambda params, scale: scale * model.loss(params)  # noqa: E731
    step = jax.jit(jf.observe(scaled))
    got, flow = step(model.params, 1.0)
    want = jax.jit(jax.value_and_grad(scaled))(model.params, 1.0)
    tolerance = 0.0 if exact else 1e-5
    chex.assert_trees_all_close(got, want, rtol=tolerance, atol=1e-3 * tolerance)
    assert flow.findings() == []

    def found(params, scale=1.0):
        return {(f.rule, f.file, f.line) for f in step(params, scale)[1].findings()}

    first, last = places
    assert found(planted(model.params, weights(np.nan))) == {("non-finite values", *place) for place in first}
    assert found(model.params, np.inf) == {("non-finite gradients", *place) for place in last}, "a loss scale overflows"
    for rule, (change, at) in faults.items():
        assert found(planted(model.params, change)) == {(rule, *place) for place in at}
    return flow


def mistakes(z, w):
    """What is made of logits, with the finding beside it."""
    return [
        jax.nn.log_softmax(jax.nn.relu(z)),  # relu on logits
        jax.nn.log_softmax(jnp.tanh(z)),  # tanh on logits
        jax.nn.softplus(-jax.nn.sigmoid(z)),  # sigmoid on logits
        jax.nn.log_softmax(jax.nn.softmax(z)),  # softmax twice
        jax.nn.logsumexp(10.0 * jax.nn.softmax(z), -1),  # softmax twice
        jax.nn.softmax(z[..., :1]),  # softmax over one entry
        jax.nn.softmax(z) @ w,  # softmax in a hidden layer
        functools.reduce(lambda h, _: jax.nn.sigmoid(h @ w), range(4), z),  # sigmoid in a deep stack
        functools.reduce(lambda h, _: jnp.tanh(h @ w), range(12), z),  # tanh in a deep stack
    ]


def check_lint(model, ends_linear):
    """Each mistake in what is made of the output is found at its line, and so is a linear layer after a linear one."""
    z = jax.eval_shape(model.output, model.params)
    w = jax.ShapeDtypeStruct((z.shape[-1],) * 2, z.dtype)

    def made(params, w):
        return sum(jnp.sum(each) for each in mistakes(model.output(params), w))

    source, start = inspect.getsourcelines(mistakes)
    comments = ((line.partition("  # ")[2].strip(), start + i) for i, line in enumerate(source))
    wanted = {(rule, __file__, line) for rule, line in comments if rule}
    linted = jf.lint(made, argnums=(0, 1))(model.params, w)
    assert {(f.rule, f.file, f.line) for f in linted} == wanted

    linted = jf.lint(lambda params, w: jnp.sum(model.output(params) @ w), (0, 1))(model.params, w)  # a second layer
    after = {("two linear layers", *place) for place in lines(__file__, "(model.params, w)  # a second layer")}
    assert {(f.rule, f.file, f.line) for f in linted} == (after if ends_linear else set())
