"""The main job: train the same network with several activations and show how gradients flow and what is learned.

A `Study` says what is compared, a `Comparison` says how, and a `Log` has the measurements of this trainer or of your
own training loop.

>>> from jaxact.compare import Comparison
>>> Comparison(activations=("relu", "gelu"), options={"depth": 32}).seeds
3
"""

from typing import TYPE_CHECKING

from jaxact.compare.adapters import Stateful
from jaxact.compare.comparison import Comparison
from jaxact.compare.log import Log
from jaxact.compare.study import Study
from jaxact.core.extras import needing

if TYPE_CHECKING:
    from jaxact.compare.summary import Summary

__all__ = ["Comparison", "Log", "Stateful", "Study", "run"]


def run(comparison: Comparison) -> "Summary":
    """Train every activation with every seed, and write log, charts and report into the result directory.

    Args:
      comparison: what to train; see `Comparison`.

    Returns:
      A summary: `summary.table()` is the final table, `summary.verdict` has the results in sentences,
      `summary.networks` has each network's numbers, and `summary.directory` holds the log, report.html and the charts
      as PNG.

    Raises:
      ImportError: the extra "compare" is not installed.
      ValueError: something in `comparison` is not possible here; the message says what it is, and what to do.
    """
    # The trainer needs the extra "compare". Comparison and this function don't, so that the message can be clear.
    with needing("jaxact.compare"):
        from jaxact.compare.train import train

        return train(comparison)
