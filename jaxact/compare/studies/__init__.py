"""The studies that are built in, each written as a user writes one. A new one is a file and a row here."""

import importlib
from collections.abc import Callable
from typing import Any

from jaxact.compare import activations
from jaxact.compare.errors import invalid
from jaxact.compare.study import Study

STUDIES = {"digits-mlp": "digits_mlp", "digits-cnn": "digits_cnn", "text-transformer": "text_transformer"}
"""What each is called on the command line, and its file here, which has a function `make`."""
DEFAULT = "digits-mlp"


def find(study: Any) -> Callable[..., Any] | Study:
    """Return the function that makes a study, or a study: of a built-in one's name, of "file.py:name", or itself.

    Raises:
      ValueError: there is none.
    """
    if isinstance(study, str):
        if study in STUDIES:
            study = importlib.import_module(f"{__name__}.{STUDIES[study]}").make
        elif ".py:" in study:
            study = activations.load(study)
        else:
            advice = "correct its name"
            raise invalid(f"a study: {', '.join(STUDIES)}, or file.py:name", repr(study), advice)
    if not callable(study) and not isinstance(study, Study):
        raise invalid("a function that takes an activation and returns a study", repr(study), "give one")
    return study
