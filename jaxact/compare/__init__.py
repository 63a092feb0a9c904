"""The main job: train the same deep network with several activations and show how gradients flow and what is learned.

>>> from jaxact.compare import Comparison
>>> Comparison(activations=("relu", "gelu"), depth=32).depth
32
"""

from typing import TYPE_CHECKING

from jaxact.compare.comparison import Comparison

if TYPE_CHECKING:
    from jaxact.compare.report import Result

__all__ = ["Comparison", "run"]


def run(comparison: Comparison) -> "Result":
    """Train every activation with every seed and write metrics, charts and report into the result directory.

    Args:
      comparison: what to train; see `Comparison`.

    Returns:
      What was found: `result.rows` is the final table, a row an activation; `result.records` are the lines of
      metrics.jsonl; `result.directory` holds metrics.jsonl, report.html and the charts as PNG.

    Raises:
      ImportError: the extra "compare" is not installed.
      ValueError: something in `comparison` can't be done here; the message says what and what to do.
    """
    # The trainer needs the extra "compare"; Comparison and this function don't, so that the message can be a clear one.
    try:
        from jaxact.compare.training import train
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("jaxact"):
            raise
        raise ImportError(
            f'jaxact.compare needs {missing.name}, which is not installed; run: pip install "jaxact[compare]"'
        ) from missing
    return train(comparison)
