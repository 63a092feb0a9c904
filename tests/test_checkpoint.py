"""A model with learned slopes, saved and restored through orbax, gives the same outputs bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import linen, nnx

import jaxact.linen
import jaxact.nnx

pytestmark = pytest.mark.usefixtures("quickly_compiled")

X = jnp.linspace(-3, 3, 24).reshape(6, 4)


def nnx_model(seed):
    rngs = nnx.Rngs(seed)
    return nnx.Sequential(
        nnx.Linear(4, 8, rngs=rngs), jaxact.nnx.PReLU(8), jaxact.nnx.LeakyReLU(0.2), nnx.Linear(8, 3, rngs=rngs),
        jaxact.nnx.PReLU(), jaxact.nnx.Softmax(),
    )  # fmt: skip


LINEN_MODEL = linen.Sequential(
    [linen.Dense(8), jaxact.linen.PReLU(8), jaxact.linen.LeakyReLU(0.2), linen.Dense(3), jaxact.linen.PReLU(),
     jaxact.linen.Softmax()]
)  # fmt: skip


def moved(tree):
    """As if trained: every number differs from what any seed starts with."""
    return jax.tree.map(lambda p: p + 0.1 * jnp.sin(jnp.arange(p.size, dtype=p.dtype) + 1).reshape(p.shape), tree)


def test_nnx(tmp_path):
    model = nnx_model(0)
    nnx.update(model, moved(nnx.state(model)))
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "model", nnx.to_pure_dict(nnx.state(model)))
    abstract = nnx.eval_shape(lambda: nnx_model(1))
    graph, state = nnx.split(abstract)
    with ocp.StandardCheckpointer() as checkpointer:
        nnx.replace_by_pure_dict(state, checkpointer.restore(tmp_path / "model", nnx.to_pure_dict(state)))
    restored = nnx.merge(graph, state)
    np.testing.assert_array_equal(restored(X), model(X))
    assert not np.array_equal(nnx_model(0)(X), model(X))


def test_linen(tmp_path):
    variables = moved(LINEN_MODEL.init(jax.random.key(0), X))
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "model", variables)
    abstract = jax.eval_shape(LINEN_MODEL.init, jax.random.key(1), X)
    with ocp.StandardCheckpointer() as checkpointer:
        restored = checkpointer.restore(tmp_path / "model", abstract)
    np.testing.assert_array_equal(LINEN_MODEL.apply(restored, X), LINEN_MODEL.apply(variables, X))
    untrained = LINEN_MODEL.init(jax.random.key(0), X)
    assert not jnp.array_equal(
        jnp.asarray(LINEN_MODEL.apply(untrained, X)), jnp.asarray(LINEN_MODEL.apply(variables, X))
    )


def test_another_number_of_channels_is_refused(tmp_path):
    variables = jaxact.linen.PReLU(4).init(jax.random.key(0), X)
    with pytest.raises(Exception, match="shape"):
        jaxact.linen.PReLU(2).apply(variables, X[:, :2])
