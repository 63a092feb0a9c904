"""Norms of parameters, of their gradients and of updates, by module path."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import Array
from jax import numpy as jnp
from jax.core import Tracer

from jaxact.flow.sums import COTANGENT_SCALE, wide

Record = dict[str, Any]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Norms:
    """Sums of squares of each parameter, its gradient and its update. `norms` makes it; it is a pytree."""

    squares: tuple[Array, ...]
    """For each parameter its sum of squares, and those of its gradient and its update, which are scaled by 2^32."""
    paths: tuple[str, ...] = dataclasses.field(metadata={"static": True})
    """Where each parameter is."""
    sizes: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    """How many entries each parameter has."""
    updated: bool = dataclasses.field(metadata={"static": True})
    """Whether updates were given."""

    def to_records(self, level: int | None = None) -> list[Record]:
        """Finish the sums.

        Args:
          level: how many parts of a path name a module: 1 for "blocks", 2 for "blocks[3]". The parameters of a module
            are taken together. By default each parameter is by itself.

        Returns:
          Dicts with "path", "size", "weight_norm", "gradient_norm", "update_norm", "update_ratio" (the norm of the
          update over that of the weight), and "step", the index along leading axes that `scan` or `vmap` has stacked. A
          number is NaN if its array was not given, and the ratio if the weight is 0.
        """
        sums: dict[str, Any] = {}
        for path, squares, size in zip(self.paths, jax.device_get(self.squares), self.sizes, strict=True):
            module = path if level is None else _shortened(path, level)
            before = sums.get(module, (0, 0.0))
            sums[module] = before[0] + size, before[1] + np.asarray(squares, np.float64)
        records = []
        for path, (size, squares) in sums.items():
            for step in np.ndindex(*squares.shape[:-1]):
                weight, gradient, update = np.sqrt(squares[step]) / np.array([1.0, COTANGENT_SCALE, COTANGENT_SCALE])
                update = float(update) if self.updated else math.nan
                records.append({
                    "path": path,
                    "step": step,
                    "size": size,
                    "weight_norm": float(weight),
                    "gradient_norm": float(gradient),
                    "update_norm": update,
                    "update_ratio": update / float(weight) if weight else math.nan,
                })  # fmt: skip
        return sorted(records, key=lambda r: r["step"])

    def __repr__(self) -> str:
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(self.squares)):
            return f"Norms({len(self.sizes)} parameters, traced)"
        keys = ("weight_norm", "gradient_norm", "update_norm", "update_ratio")
        rows: list[tuple[str, ...]] = [("parameter", "size", "weight", "gradient", "update", "ratio")]
        for r in self.to_records():
            path = "".join(f"{i}:" for i in r["step"]) + r["path"]
            rows.append((path, str(r["size"]), *("" if math.isnan(r[k]) else f"{r[k]:.3g}" for k in keys)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
            for row in rows
        )
        return "\n".join(line.rstrip() for line in lines)


def norms(params: Any, grads: Any, updates: Any = None) -> Norms:
    """Take the norms of parameters, of their gradients, and of the updates that an optimizer makes from them.

    Call it inside the jitted step; it adds one pass over the three. A typical update is a thousandth of its weight.
    With a far smaller one the parameter stands still, and a far larger one overwrites the parameter.

    Args:
      params: a pytree of arrays of floats: for Flax NNX an `nnx.State`, for Equinox the result of `eqx.filter`.
      grads: the gradients, a pytree with the same leaves.
      updates: the updates that are added to the parameters, as Optax returns them. It may be left out.

    Raises:
      ValueError: the leaves of the trees differ in number or shape.

    >>> params, grads = {"w": jnp.array([3.0, 4.0])}, {"w": jnp.array([0.0, 2.0])}
    >>> jaxact.flow.norms(params, grads, {"w": jnp.array([0.0, -0.02])})
    parameter  size  weight  gradient  update  ratio
    w             2       5         2    0.02  0.004
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    shapes = [jnp.shape(leaf) for _, leaf in leaves]
    others = [
        _leaves(name, tree, shapes) for name, tree in (("grads", grads), ("updates", updates)) if tree is not None
    ]
    squares = []
    for i, (_, leaf) in enumerate(leaves):
        of_others = [_square(other[i], COTANGENT_SCALE) for other in others]
        squares.append(jnp.stack([_square(leaf), *of_others, *[jnp.zeros(())] * (2 - len(others))]))
    sizes = tuple(math.prod(shape) for shape in shapes)
    return Norms(tuple(squares), tuple(_path(path) for path, _ in leaves), sizes, updates is not None)


def _leaves(name: str, tree: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    leaves = jax.tree.leaves(tree)
    got = [jnp.shape(leaf) for leaf in leaves]
    if got != list(shapes):
        raise ValueError(f"jaxact.flow.norms: expected {name} to have leaves of params' shapes {shapes}, got {got}")
    return leaves


def _square(x: Array, scale: float = 1.0) -> Array:
    return jnp.sum(jnp.square(scale * jnp.asarray(x, wide(jnp.result_type(x))))).astype(jnp.float32)


def _path(path: Sequence[Any]) -> str:
    """The names that lead to a parameter: "blocks[3].up.kernel", and in dicts "params/Dense_0/kernel"."""
    names = [getattr(key, "key", getattr(key, "idx", getattr(key, "name", key))) for key in path]
    variable = len(names) > 1 and path[-1] == jax.tree_util.GetAttrKey("value")  # NNX's, which holds its array there
    separators = ["/" if isinstance(key, jax.tree_util.DictKey) and not variable else "." for key in path]
    said = ""
    for name, separator in list(zip(names, separators, strict=True))[: len(names) - variable]:
        said += f"[{name}]" if isinstance(name, int) else f"{separator if said else ''}{name}"
    return said


def _shortened(path: str, level: int) -> str:
    parts = path.replace("/", "\0/").replace(".", "\0.").replace("[", "\0[").split("\0")
    return "".join(parts[:level])
