"""The coordinate check: an MLP's slopes are theory's in each parametrisation, and a planted fault is named."""

import functools
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxact import flow, propagation
from jaxact.flow import slopes

pytestmark = pytest.mark.quickly_compiled

X = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
Y = 4 * np.sin(X.sum(1, keepdims=True))  # well over what the models start with: errors are of one size at all widths
ROLES = {"first": "input", "middle": "hidden", "last": "output", "bias": "vector"}
WIDTHS = (64, 512, 2048)
NARROW = (32, 128, 512)


def shapes(width):
    each = {"first": (8, width), "middle": (width, width), "last": (width, 1), "bias": (width,)}
    return {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in each.items()}


def normal(key, variances, shapes):
    """Parameters by NumPy, since jax.random compiles for each shape."""
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    return {n: np.float32(variances[n] ** 0.5) * rng.standard_normal(s.shape, np.float32) for n, s in shapes.items()}


def mlp(width, theory, optimizer, fault=None, rate=None):
    """Two hidden layers, their variances, factors and learning rates written out as the theory has them."""
    scaled = propagation.mup(shapes(width), shapes(64), lambda path, leaf: ROLES[path], optimizer=optimizer)
    make = {"adam": optax.adam, "sgd": optax.sgd}[optimizer]
    rate = rate or {"adam": 1e-3, "sgd": 1e-2}[optimizer]
    variances = {
        "standard": {"first": 1 / 8, "middle": 1 / width, "last": 1 / width, "bias": 0.0},
        "mup": scaled.variances,
        "ntk": {"first": 1.0, "middle": 1.0, "last": 1.0, "bias": 0.0},
    }[theory]
    factors = (8**-0.5, width**-0.5, width**-0.5) if theory == "ntk" else (1.0, 1.0, 1.0)
    transformation = make(rate)
    if theory == "mup":
        labels = {**scaled.labels, **({fault: "unscaled"} if fault else {})}
        rates = {**scaled.learning_rates, "unscaled": 1.0}
        transformation = optax.multi_transform({label: make(rate * m) for label, m in rates.items()}, labels)

    def loss(p, batch):
        x, y = batch
        h = jax.nn.relu(factors[0] * x @ p["first"] + p["bias"])
        h = jax.nn.relu(factors[1] * h @ p["middle"])
        return jnp.mean((factors[2] * h @ p["last"] - y) ** 2)

    init = functools.partial(normal, variances=variances, shapes=shapes(width))
    return types.SimpleNamespace(init=init, loss=loss, batches=(X, Y), batch_size=32, optimizer=transformation)


def small(width, rate=1e-2, activation=lambda h: h):
    """Two layers in the standard parametrisation, trained by SGD: it compiles sooner."""
    of_mlp = shapes(width)
    parameters = {"first": of_mlp["first"], "last": of_mlp["last"], "other": of_mlp["last"], "bias": of_mlp["bias"]}

    def loss(p, batch):
        x, y = batch
        return jnp.mean((activation(x @ p["first"] + p["bias"]) @ (p["last"] + p["other"]) - y) ** 2)

    variances = {"first": 1 / 8, "last": 1 / width, "other": 1 / width, "bias": 0.0}
    init = functools.partial(normal, variances=variances, shapes=parameters)
    return types.SimpleNamespace(init=init, loss=loss, batches=(X, Y), batch_size=32, optimizer=optax.sgd(rate))


@functools.cache
def of_theory(theory, optimizer):
    return flow.coord_check(
        lambda width: mlp(width, theory, optimizer), WIDTHS, steps=2, seeds=2, expect=theory, optimizer=optimizer
    )


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("theory", ["standard", "mup", "ntk"])
def test_an_mlps_slopes_are_theorys(theory, optimizer):
    check = of_theory(theory, optimizer)
    assert check.failures() == []
    # Three widths make wide intervals; the slopes themselves are closer.
    assert max(slopes.distance(r["slope"], r["expected"]) for r in check.slopes if r["verdict"] == "holds") < 0.1
    judged = {(r["kind"], r["path"]) for r in check.slopes if r["verdict"] == "holds"}
    assert judged >= {("update", name) for name in ROLES}
    assert len([r for r in check.slopes if r["kind"] == "site" and r["verdict"] == "holds"]) == 4


def test_a_planted_fault_is_named_by_its_path():
    check = flow.coord_check(lambda width: mlp(width, "mup", "adam", "middle", rate=0.1), NARROW, steps=2, seeds=2)
    assert [(r["kind"], r["path"], r["step"]) for r in check.failures()][:1] == [("update", "middle", 0)]
    assert {r["path"] for r in check.failures() if r["step"] == 0} == {"middle"}
    assert any(r["kind"] == "site" for r in check.failures())  # what grows because of it
    assert not check.holds
    assert re.search(r"off +\S+  middle\n", repr(check))


def test_a_line_through_the_largest():
    """Powers of the width, exactly, of which the largest has another exponent; 0 has no slope."""
    rows = [
        {"step": 0, "kind": "site", "path": "a", "width": n, "rms": n**-0.5, "largest": 3.0 * n**0.25}
        for n in (8, 32, 64)
    ] + [{"step": 0, "kind": "update", "path": "b", "width": n, "rms": 0.0, "largest": 0.0} for n in (8, 32, 64)]
    some, none = slopes.fits(rows)
    assert [some["slope"], some["largest_slope"], some["largest_high"]] == pytest.approx([-0.5, 0.25, 0.25])
    assert none["zero"]
    assert np.isnan(none["largest_slope"])


def test_sizes_are_numpys_and_slopes_ones_own():
    make = functools.partial(small, activation=jax.nn.relu)
    check = flow.coord_check(make, NARROW, steps=1, seeds=2, expect={"other": -0.5, "last": (-0.6, -0.4)})
    verdicts = {r["path"]: r["verdict"] for r in check.slopes if r["kind"] == "parameter"}
    assert verdicts == {"bias": "zero", "first": "", "last": "holds", "other": "holds"}
    assert {r["verdict"] for r in check.slopes if r["kind"] == "site"} == {""}
    rows = {(r["width"], r["kind"], r["path"]): r for r in check.sizes if r["seed"] == 0}
    made = {width: make(width).init(jax.random.key(0)) for width in NARROW}
    for width, parameters in made.items():
        for name, value in parameters.items():
            row = rows[width, "parameter", name]
            np.testing.assert_allclose(row["rms"], np.sqrt(np.mean(np.square(value))), rtol=1e-6)  # float32 sums
            assert row["largest"] == np.abs(value).max()
    x = X[np.random.default_rng(0).choice(64, 32, replace=False)]
    entering = x @ made[32]["first"]
    assert rows[32, "site", "loss/relu"]["rms"] == pytest.approx(np.sqrt(np.mean(np.square(entering))), rel=1e-5)
    assert rows[32, "site", "loss/relu"]["largest"] == pytest.approx(np.abs(entering).max(), rel=1e-6)


def test_ones_own_roles():
    roles = {"first": "hidden", "last": "output", "other": "hidden", "bias": "vector"}
    check = flow.coord_check(small, NARROW, steps=1, seeds=2, role=lambda path, leaf: roles[path])
    assert {r["path"]: r["expected"] for r in check.slopes if r["kind"] == "parameter"} == {
        "first": (-0.5, -0.5), "last": (-1.0, -1.0), "other": (-0.5, -0.5), "bias": None
    }  # fmt: skip
    assert {r["path"] for r in check.failures() if r["kind"] == "parameter"} == {"first", "last"}


def test_a_width_that_diverges_is_reported_and_the_others_go_on():
    make = lambda width: small(width, 1e30 if width == 32 else 1e-2, jax.nn.relu)  # noqa: E731
    check = flow.coord_check(make, [8, 16, 32, 64], steps=3, seeds=1, expect={})
    assert {r["width"] for r in check.diverged} == {32}
    assert not check.holds
    last = [r for r in check.slopes if r["step"] == 2 and r["path"] == "last"]
    assert all(np.isfinite(r["slope"]) for r in last)


def test_a_study_of_compare_goes_in():
    from jaxact.compare import Study
    from jaxact.compare.adapters import Stateful

    def make(width):
        def init(key):
            return Stateful({"w": np.tile(X[:8], width // 8)}, {"seen": np.float32(0)})

        def loss(variables, batch, key=None):
            x, y = batch
            value = jnp.mean((jax.nn.relu(x @ variables.parameters["w"]).mean(1, keepdims=True) - y) ** 2)
            return value, {"twice": 2 * value}, {"seen": variables.state["seen"] + 1}

        return Study(name="small", init=init, loss=loss, batches=(X, Y), held_out=(X, Y), batch_size=16)

    check = flow.coord_check(make, [16, 32, 64], steps=2, seeds=1)
    assert check.failures() == []


def test_the_chart_draws_every_path():
    check = of_theory("mup", "adam")
    for kind, paths in {"update": 4, "site": 2}.items():
        values = check.chart(kind).to_dict()["data"]["values"]
        assert len({row["path"] for row in values}) == paths


def other_paths(width):
    study = small(width)
    init = study.init
    study.init = lambda key: {**init(key), **({"more": np.ones(3, np.float32)} if width > 8 else {})}
    return study


BAD = {
    "other paths": (
        lambda: flow.coord_check(other_paths, [8, 16, 32], 1, 1),
        ValueError,
        "more is missing at",
    ),
    "two widths": (lambda: flow.coord_check(other_paths, [8, 16]), ValueError, "three or more"),
    "no steps": (lambda: flow.coord_check(other_paths, [8, 16, 32], steps=0), ValueError, "steps >= 1"),
    "a theory": (
        lambda: flow.coord_check(other_paths, [8, 16, 32], expect="mu"),  # pyright: ignore[reportArgumentType]
        ValueError,
        "standard, mup, ntk",
    ),
    "no loss": (
        lambda: flow.coord_check(lambda width: types.SimpleNamespace(init=None), [8, 16, 32]),  # pyright: ignore[reportArgumentType]
        TypeError,
        "no loss, batches",
    ),
    "an unknown path": (
        lambda: flow.coord_check(small, [8, 16, 32], 1, 1, expect={"frist": 0.0}),
        ValueError,
        "frist",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_says_what_was_expected(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message) as caught:
        call()
    assert str(caught.value).startswith("jaxact.flow.coord_check")
