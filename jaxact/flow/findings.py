"""What is wrong with a model, told from what went through it: the checklist of debugging a network, made executable."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from jaxact.flow.finding import Finding
from jaxact.flow.sites import catalog_row

Record = dict[str, Any]

# A gradient that shrinks or grows a thousandfold from end to end is past what the step size of one optimizer serves.
SHRUNK = 1e-3
DRIFT = 1.5
"""Factor a layer by which the signal's rms may change, at initialisation, without a finding."""
DEAD = 0.2
"""Share of a layer's units that may be dead."""
OBSERVATIONS = 64
"""How often a unit must have been seen before it is called dead."""
SATURATED = 0.5
"""Share of entries at which the slope may be under 1e-3, in an activation that saturates on both sides."""


def find(records: Sequence[Record]) -> list[Finding]:
    """Look at the last step's records for what is wrong.

    Args:
      records: as `Flow.to_records` gives them.
    """
    if not records:
        return []
    current = last_step(records)
    found = [*_nonfinite(current)]
    if found:  # Every norm after it is about what is left of it.
        return found
    for rule in (_gradients, _dead, _saturated, _drifting):
        found += rule(current)
    return found


def last_step(records: Sequence[Record]) -> list[Record]:
    """The records of the last step alone."""
    last = max((record["step"] for record in records), default=())
    return [record for record in records if record["step"] == last]


def gradient_slope(records: Sequence[Record]) -> tuple[float, list[Record]]:
    """Slope of the log of the gradient's norm against depth, by least squares: about 0 in a healthy network.

    Elementwise activations count, whose cotangents are of one kind; the weights of an attention are of another. The
    norm is that of the whole cotangent, so that pooling, which spreads it over fewer entries, does not show.

    Returns:
      The slope a layer, NaN for fewer than two layers; and the records that count.
    """
    layers = [r for r in records if math.isfinite(r["flat"]) and r["dx_count"] and r["dx_rms"] > 0]
    if len(layers) < 2:
        return math.nan, layers
    logs = [math.log(r["dx_rms"]) + 0.5 * math.log(r["dx_count"]) for r in layers]
    return float(np.polyfit(np.arange(len(logs)), logs, 1)[0]), layers


def _gradients(records: Sequence[Record]) -> list[Finding]:
    vanished = [r for r in records if math.isfinite(r["flat"]) and r["dy_count"] and not r["dx_rms"] and not r["dead"]]
    slope, layers = gradient_slope(records)
    if math.isnan(slope) or len(layers) < 3:
        return []
    factor = math.exp(-slope * (len(layers) - 1))
    first, last = layers[0], layers[-1]
    numbers = (
        f"from {last['site']} back to {first['site']} the gradient's norm changes by a factor of {factor:.2g} over "
        f"{len(layers)} layers, {math.exp(-slope):.2g} a layer"
    )
    if factor < SHRUNK or vanished:
        advice = (
            "use an activation whose slope stays near 1, a fitting initialisation (jaxact.propagation), or residuals"
        )
        return [_finding("vanishing gradients", first, numbers, advice)]
    if factor > 1 / SHRUNK:
        advice = "use a smaller initialisation (jaxact.propagation), normalisation, or clip the gradients"
        return [_finding("exploding gradients", first, numbers, advice)]
    return []


def _dead(records: Sequence[Record]) -> list[Finding]:
    found = []
    for record in records:
        if math.isnan(record["dead"]) or record["x_count"] < OBSERVATIONS * record["units"]:
            continue
        if record["dead"] > DEAD * record["units"] and not _saturates(record["name"]):
            examples = record["x_count"] / record["units"]
            numbers = f"{record['dead']} of {record['units']:.0f} units had no slope on any of {examples:.0f} examples"
            advice = "lower the learning rate, or use leaky_relu, elu or gelu, whose slope is not 0 on the left"
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
    """The signal changes size from layer to layer in a stack of one activation: its initialisation does not fit it."""
    layers = [r for r in records if math.isfinite(r["flat"]) and r["y_rms"] > 0]
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
        if not 1 / DRIFT <= factor <= DRIFT:
            change = f"from {run[0]['x_rms']:.2g} to {run[-1]['x_rms']:.2g}"
            numbers = f"the rms of what comes in goes {change} over {len(run)} layers"
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
                side = "come in" if array == "x" else "are made here of finite ones"
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
    row = catalog_row(name)
    return row is not None and row.slope_limits == (0.0, 0.0) and not row.kinks


def _finding(rule: str, record: Record, evidence: str, advice: str) -> Finding:
    iteration = "".join(f"[{i}]" for i in record["iteration"])
    return Finding(rule, record["site"] + iteration, record["file"], record["line"], evidence, advice)
