"""The built-in studies, each written as a user would write one. A new one needs a file and a row here."""

import importlib
from collections.abc import Callable
from typing import Any

from jaxact.compare import activations
from jaxact.compare.errors import invalid
from jaxact.compare.study import Study

STUDIES = {"digits-mlp": "digits_mlp", "digits-cnn": "digits_cnn", "text-transformer": "text_transformer"}
"""The name of each study on the command line, and its file here, which has a function `make`."""
DEFAULT = "digits-mlp"


def find(study: Any) -> Callable[..., Any] | Study:
    """Return a study, or the function that makes one, for the name of a built-in one, "file.py:name", or itself.

    Raises:
      ValueError: there is no such study.
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
