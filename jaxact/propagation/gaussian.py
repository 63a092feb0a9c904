"""Expectations of an activation under a Gaussian, to 1e-10: what every formula of signal propagation is made of.

JAX evaluates the function and its derivatives, in float64 on the CPU whatever `jax_enable_x64` says; NumPy integrates.
Gauss-Hermite is not enough for "any activation": for hard_swish it is off by 1e-5 with 128 nodes. Panels that end where
the function has a kink, with Gauss-Legendre nodes in each, converge geometrically.
"""

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxact.core import catalog

Function = Callable[[jax.Array], jax.Array]

_NODES = 16
_INNER_NODES = 10
# A weight exp(-z^2 / 2) of 1e-87 at the ends: far enough to tell a second moment that is infinite from one that is not.
_PANELS = np.array([-20.0, -12.0, -8.0, -5.5, -3.5, -2.0, -1.0, 0.0, 1.0, 2.0, 3.5, 5.5, 8.0, 12.0, 20.0])
# The same for the double integral, whose tails need no verdict.
_INNER_PANELS = np.array([-12.0, -7.5, -4.5, -2.0, 0.0, 2.0, 4.5, 7.5, 12.0])
# Where the function itself is cut before it is looked at; activations have their kinks and bends at the small integers.
_SUPPORT = np.array([-32.0, -16.0, -8.0, -6.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 6.0, 8.0, 16.0, 32.0])
_NARROWEST = 1e-13
_MOST_PANELS = 4096


class InfiniteMomentError(ValueError):
    """The expectation that was asked for is infinite, or too large for float64."""


class Integrand:
    """A function of one real number, cut into panels on each of which it is smooth.

    Args:
      who: the public function that asks, for error messages.
      f: any elementwise function of one array.
      kinks: where f or f' jumps. By default they come from the catalog, and others are found by bisection to 1e-13;
        give them where f jumps so little, or so often, that it does not find them.

    Raises:
      TypeError: f is not callable, needs a parameter, or does not return real floating-point numbers.
      ValueError: f is not elementwise, not finite, or not piecewise smooth on [-32, 32].
    """

    def __init__(self, who: str, f: Function, kinks: Sequence[float] | None = None):
        self.who = who
        self.name = name_of(f)
        self._function = _traceable(self._checked(f))
        self.eps = self._check_output()
        seeds = _catalogued_kinks(f) if kinks is None else self._checked_kinks(kinks)
        self._typical = np.sqrt(np.mean(np.square(self.values(np.linspace(-3, 3, 61), 1)), axis=1))
        self.edges, found = self._cut(np.union1d(_SUPPORT, seeds))
        if found.size:
            self.edges, _ = self._cut(np.concatenate([_SUPPORT, seeds, found]))

    def values(self, x: np.ndarray, order: int = 0) -> np.ndarray:
        """Evaluate f and its derivatives up to `order`: an array of shape (order + 1, *x.shape)."""
        flat = x.reshape(-1)
        # Padded to a power of 2, so that a new number of panels compiles nothing.
        padded = np.pad(flat, (0, max(4096, 1 << (flat.size - 1).bit_length()) - flat.size), mode="edge")
        with _float64():
            rows = [np.asarray(row, np.float64) for row in _evaluate(self._function, order, padded)]
        return np.stack([row[: flat.size].reshape(x.shape) for row in rows])

    def expect(
        self, terms: Callable[..., Sequence[np.ndarray]], mean: float = 0.0, sigma: float = 1.0, order: int = 0
    ) -> np.ndarray:
        """Integrate each of `terms(z, f(x), f'(x), ...)` over z ~ N(0, 1), where x = mean + sigma z.

        Raises:
          InfiniteMomentError: an integrand does not decay.
          ValueError: f is not finite, or n and 2n nodes a panel disagree.
        """
        with np.errstate(all="ignore"):
            own = (self.edges - mean) / sigma
            edges = np.union1d(_PANELS, own[np.abs(own) < _PANELS[-1]])
            (z_n, w_n), (z_2n, w_2n) = (_rule(edges, n) for n in (_NODES, 2 * _NODES))
            z = np.concatenate([z_n, z_2n])
            x = mean + sigma * z
            values = self.values(x, order)
            self._check_finite(x, z, values)
            # The root of the weight first: f^2 alone may overflow where f^2 exp(-z^2 / 2) does not.
            rows = np.stack(terms(z, *values)) * np.concatenate([w_n, w_2n]) * _density(z)
        coarse, fine = rows[:, : z_n.size], rows[:, z_n.size :]
        size = np.abs(fine).sum(axis=1)
        tail = np.abs(fine[:, np.abs(z_2n) > 15]).sum(axis=1)
        if not np.isfinite(size).all() or (tail > 1e-13 * size).any():
            raise InfiniteMomentError(
                f"jaxact.{self.who}: expected a function with a finite second moment, "
                f"got {self.name}, which grows too fast; bound it, for example with jax.numpy.clip"
            )
        error = np.abs(fine.sum(axis=1) - coarse.sum(axis=1))
        if (error > max(1e-10, 64 * self.eps) * size).any():
            raise ValueError(
                f"jaxact.{self.who}: the quadrature of {self.name} does not converge ({_NODES} and {2 * _NODES} nodes "
                f"a panel differ by {error.max():.1e}); give the points where it or its slope jumps as kinks=[...], "
                "unless the moment is infinite"
            )
        return fine.sum(axis=1)

    def covariance(self, sigma: float, c: float, order: int = 0) -> float:
        """E g(sigma u) g(sigma v) for standard normal u, v with correlation c; g is f's derivative of that order.

        Given p, where u = sqrt(|c|) p + sqrt(1 - |c|) m and v likewise, u and v are independent, so that it is the
        integral of h(p) h(+-p) with h(p) = E[g(sigma u) | p]: a square of a smoothed function, with no cancellation.

        Raises:
          ValueError: 8 and 16 nodes a panel disagree.
        """
        if abs(c) >= 1 - 1e-14:
            sign = math.copysign(1, c)
            return float(
                self.expect(
                    lambda z, *g: [g[order] * (g[order] if sign > 0 else self._mirrored(sigma, z, order))],
                    sigma=sigma,
                    order=order,
                )[0]
            )
        size = self.expect(lambda z, *g: [np.square(g[order])], sigma=sigma, order=order)[0]
        r, s = math.sqrt(abs(c)), math.sqrt(1 - abs(c))
        if r * sigma < 1e-150:
            return float(self.expect(lambda z, *g: [g[order]], sigma=sigma, order=order)[0]) ** 2
        own, kinks = self.edges / (r * sigma), self.kinks / (r * sigma)
        # h is f smoothed over s / r: no panel need be narrower, but within a few s / r of a kink it bends.
        own = own[np.unique(np.round(own * r / s, 0), return_index=True)[1]]
        near = kinks[:, None] + s / r * np.array([-8.0, -4.0, -1.5, 0.0, 1.5, 4.0, 8.0])
        edges = np.unique(np.concatenate([_INNER_PANELS, *(e[np.abs(e) < 12] for e in (own, near.reshape(-1)))]))
        if c < 0:
            edges = np.union1d(edges, -edges)
        (p_n, w_n), (p_2n, w_2n) = (_rule(edges, n) for n in (_NODES // 2, _NODES))
        p = np.concatenate([p_n, p_2n])
        # In pieces, each of which sees only the edges near it: all at once, many edges would fill the memory.
        h = np.concatenate([self._smoothed(part, r, s, sigma, order) for part in np.array_split(p, -(-p.size // 512))])
        # The nodes are symmetric for c < 0, so that h(-p) is h in reverse.
        other = h if c >= 0 else np.concatenate([h[: p_n.size][::-1], h[p_n.size :][::-1]])
        rows = h * other * np.concatenate([w_n, w_2n]) * _density(p)
        coarse, fine = rows[: p_n.size], rows[p_n.size :]
        if not abs(fine.sum() - coarse.sum()) <= max(1e-8, 64 * self.eps) * size:
            raise ValueError(
                f"jaxact.{self.who}: the correlation map of {self.name} does not converge at c = {c:.6g}; give the "
                "points where it or its slope jumps as kinks=[...]"
            )
        return float(fine.sum())

    def _smoothed(self, p: np.ndarray, r: float, s: float, sigma: float, order: int) -> np.ndarray:
        """E g(sigma (r p + s m)) over m ~ N(0, 1), for each p."""
        own = np.clip((self.edges[None, :] / sigma - r * p[:, None]) / s, _INNER_PANELS[0], _INNER_PANELS[-1])
        # An edge that was clipped on every row makes an empty panel on every row.
        own = own[:, (np.abs(own) < _INNER_PANELS[-1]).any(axis=0)]
        edges = np.sort(
            np.concatenate([np.broadcast_to(_INNER_PANELS, (p.size, _INNER_PANELS.size)), own], axis=1), axis=1
        )
        m, w = _rule(edges, _INNER_NODES)
        x = sigma * (r * p[:, None] + s * m)
        g = self.values(x, order)[order]
        return (g * w * _density(m)).sum(axis=1)

    def _mirrored(self, sigma: float, z: np.ndarray, order: int) -> np.ndarray:
        return self.values(-sigma * z, order)[order]

    def _checked(self, f: Function) -> Function:
        if not callable(f):
            raise TypeError(
                f"jaxact.{self.who}: expected f to be a function of one array, got {type(f).__name__} ({f!r:.60}); "
                "resolve a name first with jaxact.get"
            )
        try:
            signature = inspect.signature(f)
        except ValueError:
            return f
        try:
            signature.bind(0.0)
        except TypeError:
            raise TypeError(
                f"jaxact.{self.who}: expected a function of one array, got {self.name}{signature}; bind its parameters "
                f"first, for example functools.partial({self.name}, {list(signature.parameters)[-1]}=...)"
            ) from None
        return f

    def _check_output(self) -> float:
        """Check shape, type and elementwiseness; return the eps of f's results."""
        with _float64():
            out = jax.eval_shape(self._function, jax.ShapeDtypeStruct((6,), jnp.float64))
        if getattr(out, "shape", None) != (6,):
            raise ValueError(
                f"jaxact.{self.who}: expected a function that keeps the shape of its array, but {self.name} made "
                f"{getattr(out, 'shape', type(out).__name__)} of (6,); gated and reducing functions have no gain"
            )
        if not jnp.issubdtype(out.dtype, jnp.floating):
            raise TypeError(
                f"jaxact.{self.who}: expected a function that returns floating-point numbers, but {self.name} returns "
                f"{out.dtype}; cast its result"
            )
        x = np.array([0.3, -2.5, 0.7, -0.1, 1.9, -0.6])
        there, back = self.values(x)[0], self.values(x[::-1])[0][::-1]
        if not np.allclose(there, back, rtol=1e-5, atol=1e-5, equal_nan=True):
            raise ValueError(
                f"jaxact.{self.who}: expected an elementwise function, but a value of {self.name} depends on the other "
                "elements of its array; functions along an axis, like softmax, have no gain"
            )
        return float(jnp.finfo(out.dtype).eps)

    def _checked_kinks(self, kinks: Sequence[float]) -> np.ndarray:
        array = np.asarray(kinks, np.float64).reshape(-1)
        if not np.isfinite(array).all():
            raise ValueError(
                f"jaxact.{self.who}: expected kinks to be finite numbers, got {kinks!r}; leave the others out"
            )
        return array

    def _check_finite(self, x: np.ndarray, z: np.ndarray, values: np.ndarray) -> None:
        bad = ~np.isfinite(values)
        if not bad.any():
            return
        order, i = (int(k) for k in min(np.argwhere(bad), key=lambda k: abs(z[k[1]])))
        what = ("", "the slope of ", "the curvature of ")[order]
        if (abs(z[i]) > 8 or abs(x[i]) > 32) and not np.isnan(values[order, i]):
            raise InfiniteMomentError(
                f"jaxact.{self.who}: expected a function with a finite second moment, but {what}{self.name} overflows "
                f"at x = {x[i]:.4g}; bound it, for example with jax.numpy.clip"
            )
        raise ValueError(
            f"jaxact.{self.who}: expected a function that is finite on the real line, but {what}{self.name} is "
            f"{values[order, i]} at x = {x[i]:.6g}; extend it there, for example with jax.numpy.where"
        )

    def _cut(self, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Split panels until f and f' are polynomials of degree 13 on each, to 1e-12.

        Returns:
          All edges, and the places that no splitting resolves: f or f' jumps there.
        """
        edges = np.unique(edges)
        start, stop = edges[:-1], edges[1:]
        self._check_finite(edges, edges, self.values(edges))
        points, misses = _resolution()
        done, narrow = [edges], []
        # Irregular cuts: a kink at a simple fraction must not hide on an edge, where both sides look smooth.
        cuts = np.array([0.0, 0.1237, 0.2519, 0.3741, 0.4973, 0.6229, 0.7483, 0.8761, 1.0])
        while start.size:
            x = ((start + stop) / 2)[:, None] + ((stop - start) / 2)[:, None] * points
            values = self.values(x, 1)
            self._check_finite(x.reshape(-1), x.reshape(-1), values.reshape(2, -1))
            tail = np.abs(values @ misses).max(axis=-1)
            size = np.maximum(np.abs(values).max(axis=-1), self._typical[:, None])
            rough = (tail > 4096 * self.eps * size).any(axis=0)
            start, stop = start[rough], stop[rough]
            small = stop - start < _NARROWEST * np.maximum(1, np.abs(start))
            narrow.extend((start[small] + stop[small]) / 2)
            done.extend([start[small], stop[small]])
            pieces = start[~small, None] + (stop - start)[~small, None] * cuts
            if pieces.size > _MOST_PANELS:
                raise ValueError(
                    f"jaxact.{self.who}: expected a piecewise smooth function, but {self.name} is not resolved by "
                    f"{_MOST_PANELS} panels on [-32, 32]; if it jumps at many points, give them as kinks=[...]"
                )
            done.append(pieces.reshape(-1))
            start, stop = pieces[:, :-1].reshape(-1), pieces[:, 1:].reshape(-1)
        # Two panels may meet at one kink.
        found = np.sort(narrow)
        return np.unique(np.concatenate(done)), found[np.diff(found, prepend=-np.inf) > 1e-11]

    @functools.cached_property
    def kinks(self) -> np.ndarray:
        """Where f or f' jumps."""
        h = 1e-9 * np.maximum(1, np.abs(self.edges))
        left, right = self.values(self.edges - h, 1), self.values(self.edges + h, 1)
        return self.edges[(np.abs(right - left) > 1e-5 * np.maximum(np.abs(left), self._typical[:, None])).any(axis=0)]


@contextlib.contextmanager
def _float64() -> Iterator[None]:
    """Run JAX now, in float64 and on the CPU, also while the caller is being traced."""
    cpu = jax.local_devices(backend="cpu")[0]
    with jax.ensure_compile_time_eval(), jax.enable_x64(True), jax.default_device(cpu):
        yield


@functools.partial(jax.jit, static_argnums=(0, 1))
def _evaluate(f: Function, order: int, x: jax.Array) -> list[jax.Array]:
    """Evaluate f and its derivatives. Reverse mode, since a user's custom_vjp function has no other."""
    functions = [f]
    for _ in range(order):
        functions.append(jax.grad(lambda x, g=functions[-1]: g(x).sum()))
    return [g(x) for g in functions]


def _traceable(f: Function) -> Function:
    """Trace plain functions once, as jax.jit does; anything else (a module, a bound method) may have changed since."""
    inner = f
    while isinstance(inner, functools.partial):
        inner = inner.func
    return f if inspect.isfunction(inspect.unwrap(inner)) else lambda x: f(x)


def name_of(f: object) -> str:
    """The name of a function, of a partial's function, or of an instance's class."""
    while isinstance(f, functools.partial):
        f = f.func
    return getattr(f, "__name__", type(f).__name__)


def _catalogued_kinks(f: Function) -> np.ndarray:
    while isinstance(f, functools.partial):
        f = f.func
    return np.array([k for row in catalog.rows() if row.function is f for k in row.kinks], np.float64)


@functools.cache
def _legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(n)


@functools.cache
def _resolution() -> tuple[np.ndarray, np.ndarray]:
    """Points in [-1, 1], and the matrix from values there to four numbers that are 0 for a polynomial of degree 13.

    The last two Legendre coefficients, and by how much the interpolant misses the ends: a kink in the half percent
    between the last node and the end shows nowhere else.
    """
    x, w = _legendre(_NODES)
    ends = np.array([-1.0, 1.0]) * (1 - 1e-10)
    to_coefficients = np.polynomial.legendre.legvander(x, _NODES - 1) * w[:, None] * (np.arange(_NODES) + 0.5)
    at_ends = to_coefficients @ np.polynomial.legendre.legvander(ends, _NODES - 1).T
    matrix = np.block([[to_coefficients[:, -2:], at_ends / 8], [np.zeros((2, 2)), -np.eye(2) / 8]])
    return np.concatenate([x, ends]), matrix


def _rule(edges: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights, both (..., (k - 1) n), of the composite rule on the panels between edges (..., k)."""
    x, w = _legendre(n)
    half = np.diff(edges)[..., None] / 2
    nodes = edges[..., :-1, None] + half * (1 + x)
    return nodes.reshape(*edges.shape[:-1], -1), (half * w).reshape(*edges.shape[:-1], -1)


def _density(z: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * np.square(z)) / math.sqrt(2 * math.pi)
