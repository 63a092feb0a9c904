"""The functions of modules for images."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

import jaxact


def softmax2d(x: ArrayLike, where: ArrayLike | None) -> Array:
    """Softmax over the third axis from the end of an image, or of a batch of images."""
    if jnp.ndim(x) not in (3, 4):
        raise ValueError(
            "jaxact: Softmax2d expected x of shape (N, C, H, W) or (C, H, W), got "
            f"{jnp.shape(x)}; for other shapes take Softmax, which has an argument `axis`"
        )
    return jaxact.softmax(x, -3, where)
