"""One thing that is wrong with a model."""

import dataclasses

from jaxact.flow.sites import source_of


@dataclasses.dataclass(frozen=True)
class Finding:
    """What is wrong, where, how one can tell, and what to do."""

    rule: str
    """What is wrong, in two or three words, which are always the same for the same fault."""
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
    step: tuple[int, ...] = ()
    """The step at which it was seen, for a Flow that is stacked over steps; otherwise, and from `lint`, empty."""

    @property
    def source(self) -> str:
        """File and line, "model.py:41", or cell and line of a notebook."""
        return source_of(self.file, self.line) or "unknown"

    def __str__(self) -> str:
        at = f", step {':'.join(map(str, self.step))}" if self.step else ""
        advice = f"{self.advice[:1].upper()}{self.advice[1:]}."
        return f"{self.rule}: {self.site} ({self.source}{at}): {self.evidence}. {advice}"
