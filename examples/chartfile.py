"""Where a program's chart goes: the part of a command line that the examples share."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxact.core.files import replace, writing

if TYPE_CHECKING:
    import altair


@dataclasses.dataclass(frozen=True)
class ChartFile:
    """Base of a command line's dataclass, for tyro: checks first that the chart can be written, then writes it.

    tyro shows the `ValueError` of a dataclass that it makes as an error of the command line, and exits with code 2.

    Raises:
      ValueError: `out` is no kind of chart, exists and may not be overwritten, or can't be written.

    >>> from pathlib import Path
    >>> ChartFile(Path("chart.txt"))
    Traceback (most recent call last):
    ...
    ValueError: expected out to end in .html, .png or .svg, got chart.txt
    """

    out: Path
    """A new file for the chart: .html, .png or .svg."""
    overwrite: bool = False
    """Replace the file if there is one."""

    def __post_init__(self) -> None:
        if self.out.suffix not in (".html", ".png", ".svg"):
            raise ValueError(f"expected out to end in .html, .png or .svg, got {self.out}")
        with writing(self.overwrite, self.out):
            trial = self.out.with_name(f"{self.out.name}.unfinished")
            trial.touch()
            trial.unlink()

    def save(self, chart: "altair.TopLevelMixin") -> None:
        """Write the chart, as what the file's name says it is, and print where it is."""
        form: Any = self.out.suffix.removeprefix(".")
        replace(self.out, lambda part: chart.save(part, format=form, scale_factor=2))
        print(f"wrote {self.out}")
