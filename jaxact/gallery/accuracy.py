"""What benchmarks/accuracy.py measured, as the gallery shows it."""

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jaxact
from jaxact.core.catalog import Row

Accuracy = Mapping[str, Any]
"""The whole of accuracy.json: "dtype/function/order/provider" -> worst error, wrong zeros, NaN, ..."""

_ORDERS = {"value": "f", "first derivative": "f'", "second derivative": "f''"}
_PROVIDERS = ("jaxact", "jax.nn", "torch")


def read(path: str | None) -> Accuracy:
    """Read accuracy.json: the given one, or that of the checkout if jaxact runs from one, or else nothing.

    Raises:
      ValueError: the given file can't be read or is no accuracy.json.
    """
    if path is None:
        found = Path(jaxact.__file__).parents[1] / "benchmarks" / "results" / "accuracy.json"
        return json.loads(found.read_text()) if found.exists() else {}
    try:
        whole = json.loads(Path(path).expanduser().read_text())
        if any("worst" in facts for facts in whole.values()):
            return whole
        reason = "nothing that was measured is in it"
    except OSError as error:
        reason = error.strerror
    except (ValueError, AttributeError, TypeError):
        reason = "it is something else"
    raise ValueError(f"expected the accuracy.json of benchmarks/accuracy.py, got {path} ({reason}); leave it out")


def about(accuracy: Accuracy) -> str:
    """Say what the numbers are and where they were measured."""
    where = ", ".join(f"{k} {v}" for k, v in accuracy.get("environment", {}).items())
    return (
        "Accuracy is the worst error over the inputs tried, in units of an ulp of max(|f|, |x f'| / 8), where f is the "
        f"value or the derivative in question. Measured with {where}."
    )


def table(row: Row, accuracy: Accuracy) -> str:
    """What was measured of an activation as HTML: a line a setting, type and library; empty if nothing was."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for key, measured in accuracy.items():
        dtype, name, order, provider = key.split("/") if key.count("/") == 3 else ("", "", "", "")
        if name.partition("(")[0] == row.name:
            found.setdefault((name, dtype, provider), {})[order] = measured
    if not found:
        return ""
    lines = sorted(found.items(), key=lambda line: (line[0][:2], _PROVIDERS.index(line[0][2])))
    body = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{dtype}</td><td>{provider}</td>"
        f"{''.join(f'<td>{_error(orders.get(order))}</td>' for order in _ORDERS)}</tr>"
        for (name, dtype, provider), orders in lines
    )
    head = "".join(f"<th>{text}</th>" for text in ("", "", "", *_ORDERS.values()))
    ours = [orders for (_, dtype, provider), orders in lines if provider == "jaxact" and dtype.startswith("float32")]
    worst = "; ".join(
        f"{symbol} {max(orders[order]['worst'] for orders in ours if order in orders):.2g}"
        for order, symbol in _ORDERS.items()
        if any(order in orders for orders in ours)
    )
    return (
        f"<details><summary>Accuracy in float32, worst error in ulp: {worst}</summary>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></details>"
    )


def _error(facts: Mapping[str, Any] | None) -> str:
    if facts is None:
        return ""
    worst = f"{facts['worst']:.2f}" if facts["worst"] < 1000 else f"{facts['worst']:.0e}"
    wrong = [f"{facts[key]:,} {key}" for key in ("NaN", "wrong zeros") if facts[key]]
    return f"{worst} <b>{', '.join(wrong)}</b>" if wrong else worst
