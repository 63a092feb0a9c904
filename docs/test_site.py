"""The site as it was built into docs/_build/html: links, what asks the network, charts and search in a browser."""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from statistics import NormalDist
from urllib.parse import unquote, urlsplit

import jax
import numpy as np
import pytest

import jaxact
from tests.test_compare_report import console, open_in_chromium

DOCS = Path(__file__).parent
HTML = DOCS / "_build" / "html"
sys.path.append(str(DOCS / "_ext"))

import formulas  # noqa: E402
import measured  # noqa: E402
from docstrings import plain  # noqa: E402

pytestmark = pytest.mark.quickly_compiled


class Page(HTMLParser):
    """The anchors of a page, what it links to, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors, self.links, self.loaded = {""}, [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("script", "img", "link", "iframe", "source"):
            self.loaded += [given[name] for name in ("src", "href") if given.get(name)]


@pytest.fixture(scope="module")
def pages() -> dict[Path, Page]:
    found = {path: Page(path) for path in HTML.rglob("*.html") if "_static" not in path.parts}
    assert len(found) > 100, "build the site first: python -m sphinx -W -b html docs docs/_build/html"
    return found


def internal(page: Path, links: list[str]) -> Iterator[tuple[Path, str]]:
    for link in links:
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc:
            yield (page.parent / unquote(parts.path)).resolve() if parts.path else page, unquote(parts.fragment)


def test_every_link_and_anchor_inside_resolves(pages: dict[Path, Page]):
    broken = []
    for path, page in pages.items():
        for target, anchor in internal(path, page.links):
            if not target.exists():
                broken.append((path.name, str(target)))
            elif target in pages and anchor not in pages[target].anchors:
                broken.append((path.name, f"{target.name}#{anchor}"))
    assert not broken


def test_a_page_loads_nothing_from_the_network(pages: dict[Path, Page]):
    for path, page in pages.items():
        for source in page.loaded:
            assert not urlsplit(source).netloc, (path.name, source)
        assert all(target.exists() for target, _ in internal(path, page.loaded)), path.name


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("guides/flow.html#dead-units", "dead units: Mlp/relu"),
        ("from/pytorch.html#gelu", "the exact form"),
        ("guides/initialise.html#which-initialisation-for-silu", "1.6765"),
    ],
)
def test_what_a_new_user_asks_is_one_click_from_the_first_page(target: str, text: str, pages: dict[Path, Page]):
    assert target in pages[HTML / "index.html"].links
    assert text in (HTML / target.partition("#")[0]).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["gelu", "hard_shrink", "swiglu", "softmax"])
def test_a_function_s_page_draws_its_chart_and_its_formulas(name: str, tmp_path: Path, pages: dict[Path, Page]):
    dom, log = open_in_chromium(HTML / "functions" / f"{name}.html", tmp_path)
    assert not [line for line in console(log) if "rror" in line]
    lines = re.findall(r'<path [^>]*d="([^"]+)"', dom.partition('class="curves"')[2])
    assert sum(line.count("L") > 10 for line in lines) >= 3, "f, f' and f'' are lines of many points"
    assert dom.count("<math") >= 2


def test_search_finds_by_a_peer_s_name(tmp_path: Path, pages: dict[Path, Page]):
    (tmp_path / "there.html").write_text(
        f"<script>location = '{(HTML / 'functions/index.html').as_uri()}#find=hardSwish'</script>"
    )
    dom, _ = open_in_chromium(tmp_path / "there.html", tmp_path / "profile")
    shown = [card for card in re.findall(r'<a class="card[^>]*>', dom) if "hidden" not in card]
    assert len(shown) == 1
    assert 'href="hard_silu.html"' in shown[0]


def test_a_public_name_that_is_not_documented_fails_the_build(tmp_path: Path):
    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.append({str(DOCS / '_ext')!r})\n"
        "import reference\nreference.MODULES = ('jaxact.verify',)\n"
        "extensions = ['sphinx.ext.autodoc']\ndef setup(app): app.connect('env-check-consistency', reference.check)\n"
    )
    page = "Page\n====\n\n" + "".join(
        f".. autoclass:: jaxact.verify.{name}\n   :members:\n\n" for name in ("Verification", "Result")
    )

    def build(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "index.rst").write_text(text)
        command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", str(tmp_path), str(tmp_path / "html")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    failed = build(page)
    assert failed.returncode != 0
    assert "the public name jaxact.verify.verify is not documented" in failed.stderr
    passed = build(page + "\n.. py:function:: jaxact.verify.verify()\n")
    assert passed.returncode == 0, passed.stderr


def test_a_formula_that_is_not_what_is_computed_is_told():
    x = np.linspace(-3, 3, 31)
    assert not formulas.disagreement(formulas.Formula("tanh(x)", 1), 1 - np.tanh(x) ** 2, x=x)
    assert "in the formula" in formulas.disagreement(formulas.Formula("tanh(x)"), np.sin(x), x=x)


def test_a_device_that_was_measured_has_its_lines(monkeypatch: pytest.MonkeyPatch):
    """As `benchmarks.device` writes them."""
    facts = {"units": 0.5, "ulp": 1.25, "misrounded": 3, "wrong zeros": 0, "NaN": 0}
    found = {f"accuracy/gelu/bfloat16/1/{way}/jaxact": facts for way in ("alone", "fused")}
    monkeypatch.setattr(measured, "results", lambda name: {"NVIDIA H100": found} if name == "device" else {})
    [line] = measured.by_device("gelu")[3:-1]
    assert line == "| NVIDIA H100, `gelu`, bfloat16, f', alone, jaxact | 3 | 1.25 | 0.50 |"
    assert not measured.by_device("relu")


@pytest.mark.parametrize("name", list(formulas.GATED))
def test_the_formula_of_a_gated_unit_is_what_it_computes(name: str):
    rng = np.random.default_rng(0)
    gate, value = rng.normal(size=(2, 64)).astype(np.float32) * 2
    row = jaxact.info(name)
    defaults = {k: v for k, v in row.parameters.items() if isinstance(v, float)}
    unit = row.function if name != "glu" else lambda g, v: jaxact.glu(jax.numpy.stack([v, g]), axis=0)[0]
    at_once = jax.jit(jax.vmap(jax.value_and_grad(unit, argnums=(0, 1))))
    computed = jax.tree.leaves(at_once(gate, value))
    for found, (order, by) in zip(computed, [(0, "gate"), (1, "gate"), (1, "value")], strict=True):
        formula = formulas.Formula(formulas.GATED[name], order, by)
        assert not formulas.disagreement(formula, np.asarray(found), gate=gate, value=value, **defaults)


@pytest.mark.parametrize(
    "name", ["softmax", "softmin", "log_softmax", "sparsemax", "entmax15", "softpick", "gaussian_topk", "poly_norm"]
)
def test_the_derivative_of_a_row_is_the_one_that_is_rendered(name: str):
    """The formulas of docs/_ext/formulas.py that are written by hand, once more in NumPy."""
    x = np.array([0.3, -0.7, 1.2, 0.5, 0.9], np.float32)
    weight = np.array([0.5, -0.25, 0.3])
    parameters = {"gaussian_topk": {"sparsity": 0.5}, "poly_norm": {"weight": weight}}.get(name, {})
    function = partial(getattr(jaxact, name), **parameters)
    y, computed = map(np.asarray, jax.jit(lambda x: (function(x), jax.jacobian(function)(x)))(x))
    y = y.astype(np.float64)
    one, e = np.eye(x.size), np.exp(x)
    s, total = np.sqrt(y * (y > 0)), np.abs(np.exp(x) - 1).sum() + 1e-6
    below = NormalDist().inv_cdf(0.5)
    powers = [x**k / np.sqrt(np.mean(x ** (2 * k)) + 1e-6) for k in (1, 2, 3)]
    formulas = {
        "softmax": lambda: y[:, None] * (one - y),
        "softmin": lambda: -y[:, None] * (one - y),
        "log_softmax": lambda: one - np.exp(y),
        "sparsemax": lambda: np.outer(y > 0, y > 0) * (one - 1 / (y > 0).sum()),
        "entmax15": lambda: s[:, None] * one - np.outer(s, s) / s.sum(),
        "softpick": lambda: e / total * (one * (x > 0) - np.sign(x) * y[:, None]),
        "poly_norm": lambda: sum(
            w * k * (one * p / x - np.outer(p, p * p / x) / x.size)
            for w, k, p in zip(weight, (1, 2, 3), powers, strict=True)
        ),
        "gaussian_topk": lambda: (y > 0)[:, None] * (one - 1 / x.size - below * (x - x.mean()) / (x.size * x.std())),
    }
    np.testing.assert_allclose(computed, formulas[name](), atol=1e-6)


def test_pieces_hold_where_they_say():
    clipped = formulas.Formula([("0", "x <= 0"), ("x", "0 < x < a"), ("a", "")])
    np.testing.assert_array_equal(clipped(x=np.array([-1.0, 1.0, 9.0]), a=2.0), [0, 1, 2])


def test_docstrings_are_read_as_plain_text():
    assert plain(["the |x| of `f`s, x_i and x_", ">>> 2 * a_"]) == [r"the \|x\| of ``f``\ s, x_i and x\_", ">>> 2 * a_"]
