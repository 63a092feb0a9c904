"""What is wrong with a model, by what went through it: an executable checklist for debugging a network."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from jaxact.core import catalog
from jaxact.flow.finding import Finding

Record = dict[str, Any]

# If a gradient shrinks or grows a thousandfold from end to end, one optimizer's step size does not suit all layers.
SHRUNK = 1e-3
UNDERFLOW = 1e-24
"""A root mean square under which a gradient is about to become 0 in float32."""
DRIFT = 1.5
"""Factor per layer by which the signal's rms may change, at initialisation, without a finding."""
DEAD = 0.2
"""Share of a layer's units that may be dead."""
OBSERVATIONS = 64
"""How often a unit must have been seen before it is called dead."""
SATURATED = 0.5
"""Share of entries at which the slope may be under 1e-3, in an activation that saturates on both sides."""


def find(records: Sequence[Record]) -> list[Finding]:
    """Find what is wrong in the last step's records, for each member of a stack by itself.

    Args:
      records: as `Flow.to_records` gives them.
    """
    return [finding for current in last_steps(records) for finding in _found(current)]


def _found(current: Sequence[Record]) -> list[Finding]:
    found = _nonfinite(current)
    # An array with entries that are not finite says nothing more, and neither does a gradient that came through one.
    sound = [r for r in current if not r["x_nonfinite"] and not r["y_nonfinite"]]
    if not any(r["dx_nonfinite"] or r["dy_nonfinite"] for r in current) and len(sound) == len(current):
        found += _gradients(current)
    for rule in (_dead, _saturated, _drifting):
        found += rule(sound)
    return found


def last_steps(records: Sequence[Record]) -> list[list[Record]]:
    """The records of the last step alone, for each member of a stack, for example a seed."""
    members: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        members.setdefault(tuple(record["stack"].items()), []).append(record)
    return [[r for r in member if r["step"] == max(r["step"] for r in member)] for member in members.values()]


def gradient_slope(records: Sequence[Record]) -> tuple[float, list[Record]]:
    """Slope of the log of the gradient's norm against depth, by least squares: about 0 in a healthy network.

    Only elementwise activations count, since their cotangents are of one kind; attention weights are of another. The
    norm is that of the whole cotangent, so that pooling, which changes the number of entries, does not show.

    Returns:
      The slope per layer, which is NaN for fewer than two layers, and the records that count.
    """
    layers = [r for r in _layers(records) if r["dx_count"] and r["dx_rms"] > 0]
    if len(layers) < 2:
        return math.nan, layers
    logs = [_log_norm(r) for r in layers]
    return fitted_slope(logs), layers


def fitted_slope(values: Sequence[float]) -> float:
    """Slope of values by depth, by least squares; `gradient_slope` is that of the logarithms of norms."""
    return float(np.polyfit(np.arange(len(values)), values, 1)[0])


def _layers(records: Sequence[Record]) -> list[Record]:
    """Records of elementwise activations that are layers, and not steps of a recurrent network."""
    return [r for r in records if math.isfinite(r["flat"]) and not r["repeated"]]


def _log_norm(record: Record) -> float:
    """Logarithm of the norm of the cotangent of the site's input."""
    return math.log(record["dx_rms"]) + 0.5 * math.log(record["dx_count"])


def _gradients(records: Sequence[Record]) -> list[Finding]:
    slope, layers = gradient_slope(records)
    if math.isnan(slope) or len(layers) < 3:
        return []
    first, last = layers[0], layers[-1]
    fitted, measured = -slope * (len(layers) - 1), _log_norm(first) - _log_norm(last)
    # A zero cotangent alone is no fault: a zero initial state, a zero-initialised scale or a masked step makes it. A
    # gradient has vanished if it is 0 from there back to the input, and was nearly 0 before.
    before = [r for r in _layers(records) if r["dy_count"] and r["depth"] < first["depth"]]
    gone = bool(before) and not any(r["dx_rms"] or r["dy_rms"] for r in before) and first["dx_rms"] < UNDERFLOW
    factor = math.exp(measured)
    numbers = (
        f"from {last['site']} back to {first['site']} the gradient's norm changes by a factor of {factor:.2g} over "
        f"{len(layers)} layers, {math.exp(-slope):.2g} per layer" + (", and is 0 before that" if gone else "")
    )
    if max(fitted, measured, _spread(layers, measured, np.argmax)) < math.log(SHRUNK) or (gone and measured < 0):
        advice = (
            "use an activation whose slope stays near 1, a fitting initialisation (jaxact.propagation), or residuals"
        )
        return [_finding("vanishing gradients", first, numbers, advice)]
    if min(fitted, measured, _spread(layers, measured, np.argmin)) > -math.log(SHRUNK):
        advice = "use a smaller initialisation (jaxact.propagation), normalisation, or clip the gradients"
        return [_finding("exploding gradients", first, numbers, advice)]
    return []


def _spread(layers: Sequence[Record], measured: float, largest: Callable[[np.ndarray], np.integer]) -> float:
    """The change of the gradient's norm without a lone step that the signal does not make too.

    Such a step has nothing to do with depth. It is a branch with a small weight, for example one with a LayerScale, or
    an auxiliary loss.
    """
    steps = np.diff([_log_norm(r) for r in layers])
    signal = np.diff([math.log(max(r["x_rms"], UNDERFLOW)) for r in layers])
    i = largest(steps)
    lone = abs(steps[i]) > 0.6 * np.abs(steps).sum() and -signal[i] / steps[i] < 0.5
    return measured + float(steps[i]) if lone else measured


def _dead(records: Sequence[Record]) -> list[Finding]:
    found = []
    for record in records:
        if math.isnan(record["dead"]) or record["x_count"] < OBSERVATIONS * record["units"]:
            continue
        if not record["x_rms"]:  # every entry is 0, as after a zero-initialised scale
            continue
        if record["dead"] > DEAD * record["units"] and not _saturates(record["name"]):
            examples = record["x_count"] / record["units"]
            numbers = f"{record['dead']} of {record['units']:.0f} units had no slope on any of {examples:.0f} examples"
            other = "use leaky_relu, elu or gelu, whose slope is not 0 on the left"
            trained = any(record["step"])
            advice = f"lower the learning rate, or {other}" if trained else f"initialise otherwise, or {other}"
            found.append(_finding("dead units", record, numbers, advice))
    return found


def _saturated(records: Sequence[Record]) -> list[Finding]:
    found = []
    for record in records:
        if _saturates(record["name"]) and record["flat"] > SATURATED:
            numbers = f"|f'| < 0.001 at {record['flat']:.0%} of the entries, whose rms is {record['x_rms']:.3g}"
            advice = "scale the inputs down: normalise them, or use smaller weights"
            found.append(_finding("saturation", record, numbers, advice))
    return found


def _drifting(records: Sequence[Record]) -> list[Finding]:
    """In a stack of one activation the signal changes size from layer to layer: the initialisation does not fit."""
    layers = [r for r in _layers(records) if r["y_rms"] > 0]
    if any(any(r["step"]) for r in layers):  # after training it is not the initialisation's fault
        return []
    runs: list[list[Record]] = []
    for before, after in pairwise([{"name": None, "units": 0}, *layers]):
        if after["name"] == before["name"] and after["units"] == before["units"]:
            runs[-1].append(after)
        else:
            runs.append([after])
    found = []
    for run in runs:
        if len(run) < 4:
            continue
        factor = (run[-1]["x_rms"] / run[0]["x_rms"]) ** (1 / (len(run) - 1)) if run[0]["x_rms"] else 1.0
        ratios = [b["x_rms"] / a["x_rms"] for a, b in pairwise(run) if a["x_rms"]]
        if not 1 / DRIFT <= factor <= DRIFT and all((ratio > 1) == (factor > 1) for ratio in ratios):
            change = f"from {run[0]['x_rms']:.2g} to {run[-1]['x_rms']:.2g}"
            numbers = f"the rms of the inputs goes {change} over {len(run)} layers"
            advice = f"initialise for {run[0]['name']}: jaxact.propagation has its gain"
            found.append(_finding("initialisation", run[0], numbers, advice))
    return found


def _nonfinite(records: Sequence[Record]) -> list[Finding]:
    """The first site in the order of execution; in the backward pass that is the last one."""
    advice = (
        "look at what is computed just before: a division, a log, an exp, too large a step; jax.debug_nans stops there"
    )
    for record in records:
        for array in ("x", "y"):
            if record[f"{array}_nonfinite"]:
                side = "come in" if array == "x" else "are made here"
                numbers = f"{_share(record, array)} entries that {side} are not finite"
                return [_finding("non-finite values", record, numbers, advice)]
    for record in reversed(records):
        for array in ("dy", "dx"):
            if record[f"{array}_nonfinite"]:
                numbers = f"{_share(record, array)} entries of the cotangent are not finite, though all values are"
                return [_finding("non-finite gradients", record, numbers, advice)]
    return []


def _share(record: Record, array: str) -> str:
    return f"{record[f'{array}_nonfinite']:.0f} of {record[f'{array}_count']:.0f}"


def _saturates(name: str) -> bool:
    row = catalog.find(name)
    return row is not None and row.slope_limits == (0.0, 0.0) and not row.kinks


def _finding(rule: str, record: Record, evidence: str, advice: str) -> Finding:
    return Finding(rule, record["label"], record["file"], record["line"], evidence, advice, record["step"])
