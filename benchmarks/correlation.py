"""What the panels of `jaxact.propagation.gaussian` are needed for: double integrals of functions with kinks.

    python -m benchmarks.correlation

E g(u) g(v) for standard normal u and v with correlation c, by those panels and by `scipy.integrate.cubature` over the
plane, against closed forms (Cho & Saul 2009; Williams 1997). Writes results/correlation.md.
"""

import math
import time
from collections.abc import Callable

import jax
import numpy as np
from scipy import integrate

import jaxact
from benchmarks import report
from jaxact.propagation.gaussian import Integrand, density

# Function, order of the derivative, closed form.
_CASES: dict[str, tuple[Callable[..., jax.Array], int, Callable[[float], float]]] = {
    "erf": (jax.lax.erf, 0, lambda c: 2 / math.pi * math.asin(2 * c / 3)),
    "relu": (jaxact.relu, 0, lambda c: (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / (2 * math.pi)),
    "relu, slope": (jaxact.relu, 1, lambda c: (math.pi - math.acos(c)) / (2 * math.pi)),
}
_SUBDIVISIONS = 200


def by_cubature(f: Integrand, c: float, order: int) -> tuple[float, str]:
    """Over the plane of independent x and y, u = x and v = c x + sqrt(1 - c^2) y; the kink in x is given."""

    def integrand(z: np.ndarray) -> np.ndarray:
        x, y = z[:, 0], z[:, 1]
        g = f.values(np.stack([x, c * x + math.sqrt(1 - c * c) * y]), order)[order]
        return g[0] * g[1] * density(x) * density(y)

    halves = ([-9.0, -9.0], [0.0, 9.0]), ([0.0, -9.0], [9.0, 9.0])
    found = [integrate.cubature(integrand, *h, rtol=1e-10, atol=1e-11, max_subdivisions=_SUBDIVISIONS) for h in halves]
    return sum(float(r.estimate) for r in found), max(r.status for r in found)


def main() -> None:
    """Measure and write."""
    rows = []
    for name, (function, order, exact) in _CASES.items():
        f = Integrand("correlation", function)
        for c in (0.5, 0.99, 0.9999):
            row = [name, c]
            for method in (lambda f, c, order: (f.covariance(1.0, c, order), "converged"), by_cubature):
                method(f, c, order)  # compiles
                start = time.process_time()
                found, status = method(f, c, order)
                seconds = time.process_time() - start
                row += [f"{abs(found - exact(c)):.1e}", f"{seconds:.2g} s" + ("" if status == "converged" else "*")]
            rows.append(row)
            print(*row, flush=True)
    text = (
        "# Correlation maps: panels of their own, and SciPy's cubature\n\nError of E g(u) g(v) against the closed form "
        f"and processor time; * not converged in {_SUBDIVISIONS} subdivisions of a half-plane. Where g is smooth, "
        "SciPy's rule is as exact. A kink lies at another v for each u, and no halving of boxes follows it.\n\n"
        f"Written by `python -m benchmarks.correlation`; {report.environment('scipy')}.\n\n"
    )
    header = ["g", "c", "panels: error", "time", "cubature: error", "time"]
    (report.RESULTS / "correlation.md").write_text(text + report.table(header, rows))


if __name__ == "__main__":
    main()
