"""The HTML report, and the figure for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import AudiosimError, MissingExtra, UsageError
from ..judge.rows import Row, flat
from . import formats

if TYPE_CHECKING:
    from ..comparison import Comparison
    from ..config import Settings
    from ..judge.explain import Explanation
    from ..judge.summary import Summary

FORMS = ("png", "svg", "pdf")


class Worst:
    """The comparisons that a report shows in detail: of many only the worst are held in memory."""

    def __init__(self) -> None:
        self.comparisons: dict[str, tuple[Any, Comparison]] = {}  # by the name of the test

    def add(self, pair: Row, comparison: Comparison) -> None:
        from .. import report

        self.comparisons[pair["test"]] = report.badness(flat([pair])), comparison
        if len(self.comparisons) > report.DETAILS:
            del self.comparisons[min(self.comparisons, key=lambda name: self.comparisons[name][0])]

    def of(self, rows: Sequence[Row]) -> Comparison:
        """Of the pair that the rows are about."""
        if rows[0]["test"] not in self.comparisons:
            failed = rows[0]["status"] == "error"
            raise AudiosimError(rows[0]["reason"] if failed else "it is not among the worst pairs")
        return self.comparisons[rows[0]["test"]][1]


def page(pairs: Sequence[Row], kept: Worst, settings: Settings) -> tuple[str, list[str]]:
    """The page, and a sentence for each thing that it had to leave out."""
    from .. import report
    from ..audio import display_name

    references = list(dict.fromkeys(pair["reference"] for pair in pairs))
    reference = Path(references[0]).name if len(references) == 1 else f"{len(references)} sources"
    test = Path(pairs[0]["test"]).name if len(pairs) == 1 else f"{len(pairs)} recordings"
    made = report.page(
        flat(pairs),
        kept.of,
        title=f"{display_name(test)} against {display_name(reference)}",
        audio=settings.report_audio,
    )
    return made.text, [f"left out of the report, to keep it small: {what}" for what in made.left_out]


def check_plot(path: str) -> None:
    """UsageError where such a figure cannot be written, MissingExtra where nothing can draw it."""
    formats.check_output(path, "--plot")
    if _form(path) not in FORMS:
        raise UsageError(f"--plot {path}: the file name must end in .png, .svg or .pdf")
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise MissingExtra("--plot needs matplotlib: pip install 'audiosim[plot]'")


def write_plot(path: str, kept: Worst, specs: Sequence[str]) -> None:
    """A figure of the one pair, by the first metric that says where it differs."""
    from ..audio import display_name
    from ..report import figure

    ((test, (_, comparison)),) = kept.comparisons.items()
    drawn = figure.levels(comparison, specs, _form(path), display_name(Path(test).name))
    formats.write_file(path, drawn, "--plot")


def write_explanation(path: str, found: Explanation) -> None:
    """A figure of the metric's map."""
    from ..report import figure

    formats.write_file(path, figure.shares(found, _form(path)), "--plot")


def write_ranking(path: str, summary: Summary) -> None:
    """A figure of the systems of a batch."""
    from ..report import figure

    formats.write_file(path, figure.ranking(summary.table(), _form(path)), "--plot")


def _form(path: str) -> Any:
    return Path(path).suffix.lower().lstrip(".")
