"""How networks look, in the charts and on the page: one colour for an activation, dash and marker for the rest."""

import json
from pathlib import Path
from typing import Any

from jaxact.compare.summary import Summary

# Found by a search for the largest distance between any two of them as normal, protan, deutan and tritan eyes see
# them, on white and on the dark page; tests/test_compare_report.py measures it.
LIGHT = ("#370efb", "#fe38ff", "#a40b09", "#c99900", "#581283", "#10b470", "#6a013d", "#999db9")
DARK = ("#950bfc", "#f766ff", "#dc5e00", "#c6f80d", "#8d5b45", "#2dfef4", "#ffca90", "#476b87")
DASHES = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3])
SHAPES = ("circle", "square", "triangle-up", "diamond")
PAPER = {"--text": "#222222", "--soft": "#555555", "--grid": "#dddddd"} | {
    f"--colour-{i}": colour for i, colour in enumerate(LIGHT)
}
"""The values of the page's variables in a picture."""

TEMPLATES = Path(__file__).parent / "templates"
CONFIG: dict[str, Any] = json.loads((TEMPLATES / "config.json").read_text())
"""The configuration of Vega-Lite, with the page's variables."""


def styles(summary: Summary) -> dict[str, tuple[int, int]]:
    """Give each network the number of its colour, and the number of its dash and marker."""
    made: dict[str, tuple[int, int]] = {}
    numbers: dict[str, int] = {}
    again: dict[str, int] = {}
    for network in summary.networks:
        activation = network.about.get("activation", network.name)
        number = numbers.setdefault(activation, len(numbers))
        again[activation] = again.get(activation, -1) + 1
        made[network.name] = (number % len(LIGHT), (number // len(LIGHT) + again[activation]) % len(DASHES))
    return made


def channels(summary: Summary) -> dict[str, Any]:
    """The same as Vega-Lite's channels."""
    given = styles(summary)

    def channel(values: list[Any]) -> dict[str, Any]:
        return {"field": "network", "legend": None, "scale": {"domain": list(given), "range": values}}

    return {
        "color": channel([f"var(--colour-{colour})" for colour, _ in given.values()]),
        "dash": channel([DASHES[dash] for _, dash in given.values()]),
        "shape": channel([SHAPES[dash] for _, dash in given.values()]),
    }
