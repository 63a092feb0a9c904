"""One thing that is wrong with a model."""

import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Finding:
    """What is wrong, where, how one can tell, and what to do."""

    rule: str
    """What is wrong, in two or three words; always the same ones for the same thing."""
    site: str
    """The label of the site, or of the function and the layer."""
    file: str
    """The user's file that calls it; "" if unknown."""
    line: int
    """The line there."""
    evidence: str
    """The numbers."""
    advice: str
    """What to do about it."""

    @property
    def source(self) -> str:
        """File and line, "model.py:41"."""
        return f"{os.path.basename(self.file)}:{self.line}" if self.file else "unknown"

    def __str__(self) -> str:
        return f"{self.rule}: {self.site} ({self.source}): {self.evidence}. {self.advice[:1].upper()}{self.advice[1:]}."
