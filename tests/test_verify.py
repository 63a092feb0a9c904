"""`jaxact verify`: green for jaxact, red for what is a little wrong; bad input; killed and gone on with."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
import jaxact.verify
from jaxact import cli
from jaxact.verify import exhaustive, programs, results, rows
from jaxact.verify.cases import POINTWISE
from jaxact.verify.elementwise import judge, points
from jaxact.verify.elementwise import verify as verify_case
from jaxact.verify.facts import EDGES, facts, rounded
from jaxact.verify.unit import BOUNDS

CPU = jax.devices("cpu")[0]


def case(name):
    return next(case for case in POINTWISE if case.name == name)


def missed(results):
    return [missed for result in results if (missed := result.missed)]


def mutated(original, function):
    """The case with another function in the catalog's place."""

    @functools.wraps(original.row.function)
    def other(x):
        return function(x)

    return dataclasses.replace(original, row=dataclasses.replace(original.row, function=other))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_rounding_is_to_the_nearest(dtype):
    """Against a search among all numbers of the type; and once, where a cast to bfloat16 goes through float32."""
    rng = np.random.default_rng(0)
    every = np.sort(points(case("relu"), dtype).astype(np.float64))
    every = every[np.isfinite(every)]
    x = np.concatenate([rng.normal(size=200) * np.exp2(rng.uniform(-14, 14, 200)), [1 + 2.0**-8 + 2.0**-40, 1e39]])
    at = np.clip(np.searchsorted(every, x), 1, len(every) - 1)
    low, high = every[at - 1], every[at]
    nearest = np.where(x - low < high - x, low, high)
    nearest[-1] = np.inf
    np.testing.assert_array_equal(rounded(x, dtype), nearest)


def test_facts_are_counted():
    """Of four right results, one zero, one a ulp off, one NaN and one right."""
    reference = np.array([1.0, 1.0, 1.0, 2.0])
    got = np.float32([0.0, 1 + 2.0**-23, np.nan, 2.0])
    found = facts(np.float32([1, 2, 3, 4]), got, reference, 0 * reference)
    assert (found.inputs, found.normal, found.misrounded, found.zeros, found.nans, found.nan_at) == (4, 4, 2, 1, 1, 3.0)
    assert (found.worst, found.at, found.ulp) == (2.0**23, 1.0, 2.0**23)
    assert found.histogram == (1, 1, 0, 0, 0, 0, 0, 1)
    assert len(found.histogram) == len(EDGES) + 1
    twice = found + found
    assert (twice.inputs, twice.nans, twice.histogram[0], twice.at) == (8, 2, 2, 1.0)


@pytest.mark.parametrize(
    ("name", "dtype", "ways"),
    [("silu", "float32", {"alone", "fused"}), ("softmax", "bfloat16", {"rows of 3", "rows of 100"})],
)
def test_green(name, dtype, ways, monkeypatch):
    """The other way round in the tests of what is red; other functions and types in those of the command."""
    monkeypatch.setattr(rows, "LENGTHS", (3, 100))
    found = jaxact.verify.verify([name], [dtype], 1)
    assert not found.missed
    assert {r.way for r in found.results} >= ways
    assert {r.by for r in found.results} == {"jaxact", "jax.nn"}


def test_figures_are_those_of_the_unit():
    """The same worst error as the tests' own check computes, from the same program."""
    from jaxact.verify.unit import expected, inputs, units

    silu = case("silu")
    alone = next(r for r in verify_case(silu, "float32", 0, CPU) if r.way == "alone" and r.by == "jaxact")
    x = inputs("float32", silu.oracle.joints)
    assert alone.facts.worst == units(np.asarray(jax.jit(silu.__call__)(x)), *expected(silu, x, 0)).max()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "silu", "gelu", "gelu(approximate=False)", "softplus", "mish"])
def test_correctly_rounded_but_for_a_few(name, dtype):
    """Values and slopes of all normal results: at most 1 of bfloat16's is not, and 12 of float16's."""
    x = points(case(name), dtype)
    found = judge(case(name), x, programs.run(jax.jit(programs.derivatives(case(name).__call__, 1)), x, CPU))
    assert max(each.misrounded for each in found) <= {"bfloat16": 1, "float16": 12}[dtype]
    assert max(each.ulp for each in found) <= 0.501


def _without_tail(x):
    """SiLU whose derivative is 0 from -60 on, where it is 5e-25 still."""

    @jax.custom_jvp
    def function(x):
        return jaxact.silu(x)

    @function.defjvp
    def _(primals, tangents):
        slope = jax.grad(lambda x: jaxact.silu(x).sum())(primals[0])
        return function(primals[0]), jnp.where(primals[0] < -60, 0, slope) * tangents[0]

    return function(x)


MUTATIONS = {
    "a coefficient changed in its last digits": ("quick_gelu", lambda x: jaxact.silu(x, beta=1.70202), "value"),
    "a derivative without its tail": ("silu", _without_tail, "results are 0"),
    "NaN at infinity": ("silu", lambda x: x * jaxact.sigmoid(x), "NaN"),
    "a cancelling formula": ("tanh_shrink", lambda x: x - jnp.tanh(x), "value"),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_red(mutation):
    name, function, words = MUTATIONS[mutation]
    found = missed(verify_case(mutated(case(name), function), "float32", 1, CPU))
    assert any(words in each for each in found), found
    assert any("at x =" in each for each in found)


def test_softmax_without_its_guard_is_red(monkeypatch):
    """exp(x) / sum(exp(x)), without the maximum: NaN for rows spread over 1e4."""

    def unguarded(x, where):
        e = jnp.where(where, jnp.exp(x), 0)
        return e / jnp.sum(e, -1, keepdims=True)

    monkeypatch.setattr(rows, "LENGTHS", (100,))
    row = dataclasses.replace(jaxact.info("softmax"), function=unguarded)
    monkeypatch.setattr(rows.catalog, "info", lambda name: row)
    assert any("NaN" in each for each in missed(rows.verify("softmax", "float32", CPU)))


def test_all_float32_numbers_in_chunks(tmp_path, monkeypatch):
    """Killed after two chunks and gone on with it gives what one go gives; of other versions it is refused."""
    relu, numbers = case("relu"), 2**12
    monkeypatch.setattr(exhaustive, "CHUNK", 2**10)
    whole = exhaustive.exhaustive(relu, 1, CPU, numbers=numbers)
    assert whole[0].way == "all"
    calls = []

    def killed(name, done, every):
        calls.append(done)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exhaustive.exhaustive(relu, 1, CPU, tmp_path, killed, numbers)
    assert exhaustive.exhaustive(relu, 1, CPU, tmp_path, lambda *a: calls.append(a[1]), numbers) == whole
    assert calls == [1024, 2048, 3072, 3072, 4096]
    (state,) = tmp_path.iterdir()
    state.write_text(state.read_text().replace(jax.__version__, "0.0.1"))
    with pytest.raises(ValueError, match="choose another directory"):
        exhaustive.exhaustive(relu, 1, CPU, tmp_path, numbers=numbers)


def test_interrupted(tmp_path, monkeypatch, capsys):
    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxact.verify.command.exhaustive", killed)
    words = ["verify", "relu", "--types", "bfloat16", "--order", "0", "--exhaustive", "--output", str(tmp_path)]
    assert cli.main(words) == 130
    assert "Interrupted; the same command goes on from here." in capsys.readouterr().err


def test_every_number_is_tried_once():
    x = np.concatenate([exhaustive._numbers(start, 2**20) for start in (0, 0x7F7FF000, 2**32 - 2**20)])
    assert {0.0, np.inf, np.finfo(np.float32).max} <= set(x.tolist())
    assert not np.isnan(x).any()
    assert not ((x != 0) & (np.abs(x) < np.finfo(np.float32).tiny)).any()


def test_smaller_chunks_where_there_is_no_memory():
    sizes = []

    def program(x):
        sizes.append(len(x))
        if len(x) > 1024:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return [x + 1]

    x = np.arange(4096, dtype=np.float32)
    (y,) = programs.run(program, x, CPU, chunk=4096)
    np.testing.assert_array_equal(y, x + 1)
    assert sizes == [4096, 2048, 1024, 1024, 1024, 1024]


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(rows, "LENGTHS", (100,))
    words = ["verify", "relu", "log_softmax", "--types", "bfloat16", "--output", str(tmp_path)]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "All 6 bounds hold." in out
    assert "bfloat16, all 65,028 numbers: 2 of 2 functions are correctly rounded everywhere." in out
    *lines, path = out.splitlines()
    assert path == str(tmp_path / "verify.html")
    assert max(map(len, lines)) <= 80
    assert {each.name for each in tmp_path.iterdir()} == {"verify.json", "verify.html", "verify.png"}
    found = results.load(tmp_path / "verify.json")
    assert found.environment["jax"] == jax.__version__
    assert not found.missed
    assert json.loads((tmp_path / "verify.json").read_text())["results"][0]["bound"] == BOUNDS["bfloat16"][0]
    assert cli.main(words) == 2
    assert "exists; choose another, or add --overwrite" in capsys.readouterr().err


def test_the_command_is_red_where_a_bound_is_missed(monkeypatch, capsys):
    monkeypatch.setitem(BOUNDS, "bfloat16", (0.25, 1, 2))
    assert cli.main(["verify", "silu", "--types", "bfloat16", "--order", "0"]) == 1
    assert "Out of bounds: silu, value in bfloat16, alone: 0.5 units, over 0.25, at x = " in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ["sillu"]}, "did you mean silu"),
        ({"names": ["swiglu"]}, "expected elementwise functions or rows"),
        ({"types": ["float8"]}, "expected types among float32, float64, bfloat16, float16, got 'float8'"),
        ({"order": 3}, "expected an order of 0, 1 or 2"),
        ({"platform": "abacus"}, "expected a platform of this machine"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        jaxact.verify.verify(**arguments)


def test_a_type_that_the_device_lacks(monkeypatch):
    def refused(*arguments):
        raise jax.errors.JaxRuntimeError("UNIMPLEMENTED: no float16 here")

    monkeypatch.setattr(jaxact.verify.verification.elementwise, "verify", refused)
    with pytest.raises(ValueError, match=r"can't compute relu in float16 \(UNIMPLEMENTED.*leave the type out"):
        jaxact.verify.verify(["relu"], ["float16"])
