"""The results of a batch: summary, gates, baseline, agreement with people, and the files made of them."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import match as matching
from ..batch.journal import header, read
from ..config import Settings
from ..errors import ExitCode, UsageError
from ..judge import gates
from ..judge.rows import SCHEMA, Row, to_jsonl
from ..judge.summary import Agreements, Ratings, Summary, agreement, summarise
from ..judge.tally import Tally
from . import figures, formats
from .compare import say
from .findings import Finding, findings
from .words import about, causes, faulty_channels

MOST_NAMED = 4  # systems in the title of a page
TOLD = 10  # findings that are printed; the exports hold all


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The outputs that were asked for, as they were typed."""

    worst: int
    ratings: str | None
    baseline: str | None
    update_baseline: bool
    tolerance: Sequence[str]
    export: Sequence[str]
    report: str | None
    plot: str | None = None


@dataclass(slots=True)
class Outcome:
    """rows: all of them, anew at each call. under: the settings that they were made with. begun: when, UTC.

    columns: those of the manifest that are carried through. doubts: by kind (match.doubts), a sentence on each pair,
    which is (id, system). beside: the other sources of a pair's mixture, by reference, test, start and duration.
    """

    rows: Callable[[], Iterator[Row]]
    under: Mapping[str, Any]
    summary: Summary
    people: Agreements | None
    verdicts: list[gates.Verdict]
    changes: list[gates.Change]
    found: list[Finding]
    codes: set[ExitCode]
    begun: datetime
    columns: list[str]
    doubts: Mapping[str, Mapping[tuple[str, str | None], str]]
    beside: Mapping[tuple[Any, ...], Sequence[tuple[str, str]]] = field(default_factory=dict)


def check(wishes: Wishes) -> None:
    """UsageError for outputs that cannot be written, before any work is done."""
    for text in wishes.tolerance:
        gates.parse_tolerance(text)
    if wishes.tolerance and wishes.baseline is None:
        raise UsageError("--tolerance says how much worse than a baseline is accepted; give --baseline FILE too")
    if wishes.update_baseline and wishes.baseline is None:
        raise UsageError("--update-baseline writes the file of --baseline; give --baseline FILE too")
    if wishes.baseline is not None:
        if wishes.update_baseline:
            formats.check_output(wishes.baseline, "--baseline")
        elif not Path(wishes.baseline).exists():
            raise UsageError(f"--baseline {wishes.baseline}: no such file; --update-baseline writes it")
        if Path(wishes.baseline).exists():
            header(wishes.baseline)
    if wishes.ratings is not None:
        Ratings(wishes.ratings)
    for path in wishes.export:
        formats.check_output(path, "--export")
        if formats.form_of(path) is None:
            raise UsageError(f"--export {path}: the suffix is not one of .{', .'.join(formats.BY_SUFFIX)}")
    if wishes.report is not None:
        formats.check_output(wishes.report, "--report")
    if wishes.plot is not None:
        figures.check_plot(wishes.plot)
    if "parquet" in map(formats.form_of, wishes.export):
        formats.check_parquet()


def chosen(settings: Settings, output: str | None = None) -> str:
    """The format that is asked for, else what the suffix of the file says, else what fits standard output."""
    if output is not None and formats.form_of(output) is None:
        return formats.chosen(settings.format or ("table" if sys.stdout.isatty() else "tsv"), output, False)
    return formats.chosen(settings.format, output, sys.stdout.isatty())


def judge(
    rows: Callable[[], Iterator[Row]],
    under: Mapping[str, Any],
    required: Sequence[gates.Gate],
    wishes: Wishes,
    begun: datetime,
) -> Outcome:
    """Summarise and judge the rows. required: gates over all of them. begun: when the work began, UTC."""
    from ..batch.workers import exit_codes

    if wishes.ratings is not None:
        bare, ratings = rows, Ratings(wishes.ratings)
        rows = lambda: ratings.join(bare())  # noqa: E731
    tally, codes, failed = Tally(), set(), []
    doubts: dict[str, dict[tuple[str, str | None], str]] = {}
    for row in rows():
        tally.add(row)
        for kind, sentence in matching.doubts(row.get("match") or {}).items():
            doubts.setdefault(kind, {})[row.get("id") or row["test"], row.get("system")] = sentence
        if wrong := exit_codes(row):
            codes |= set(wrong)
            failed.append(row)
    if wishes.ratings is not None and ratings.unused:
        say(f"{len(ratings.unused)} ratings belong to none of the pairs, such as {ratings.unused[0]}")
    verdicts = gates.judge_batch(required, tally)
    changes: list[gates.Change] = []
    if wishes.baseline is not None and Path(wishes.baseline).exists():
        tolerances = [gates.parse_tolerance(text) for text in wishes.tolerance]
        changes = list(gates.compare_with_baseline(rows(), read(wishes.baseline), tolerances))
    held_back = changes if not wishes.update_baseline else []
    if not (all(verdict.passed for verdict in verdicts) and all(change.passed for change in held_back)):
        codes.add(ExitCode.GATE)
    return Outcome(
        rows,
        under,
        summarise(tally, wishes.worst),
        agreement(tally) if tally.rated else None,
        verdicts,
        changes,
        findings(rows() if held_back else failed, verdicts, held_back),
        codes,
        begun,
        tally.columns,
        doubts,
    )


def tell(outcome: Outcome, settings: Settings) -> None:
    """Print what failed: on stderr and, in a GitHub workflow, as annotations."""
    from . import github

    for finding in outcome.found[:TOLD]:
        say(finding.line)
    if len(outcome.found) > TOLD:
        say(f"and {len(outcome.found) - TOLD} more; see --export or --report")
    if not settings.quiet:
        for verdict in outcome.verdicts:
            if verdict.passed:
                of = f" ({verdict.system})" if verdict.system else ""
                say(f"gate held: {verdict.gate.text}{of}: {verdict.value:.6g}")
        for pair in outcome.summary.faulty[:TOLD]:
            say(f"{about(pair.id, pair.system)}: {'; '.join(pair.sentences)}")
        if len(outcome.summary.faulty) > TOLD:
            say(f"and {len(outcome.summary.faulty) - TOLD} more pairs with a faulty channel; see match in the rows")
        for kind, pairs in outcome.doubts.items():
            for (name, system), sentence in list(pairs.items())[: TOLD if "+6" in kind else 1]:
                say(f"{about(name, system)}: {sentence}")
        for sentence in [*_doubts(outcome), *_against(outcome)]:
            say(sentence)
    if github.wanted():
        sys.stderr.write(github.workflow_commands(outcome.found))
        github.write_step_summary(_markdown(outcome))


def write(outcome: Outcome, wishes: Wishes, settings: Settings, form: str, output: str | None) -> None:
    """Write standard output or the one file instead of it, then the other files."""
    if form == "table":
        _print_tables(outcome, output)
    elif form == "jsonl" and output is None:  # as they come, for a pipe
        for row in outcome.rows():
            sys.stdout.write(to_jsonl([row]))
    else:
        _put(text(outcome, form, settings), output)
    if wishes.ratings is not None:
        Ratings(wishes.ratings)
    for path in wishes.export:
        formats.write_file(path, text(outcome, str(formats.form_of(path)), settings), "--export")
    if wishes.report is not None:
        formats.write_file(wishes.report, text(outcome, "html", settings), "--report")
    if wishes.plot is not None:
        figures.write_ranking(wishes.plot, outcome.summary)
    if wishes.update_baseline:
        lines = [{"schema": SCHEMA, "settings": dict(outcome.under)}, *outcome.rows()]
        formats.write_file(str(wishes.baseline), to_jsonl(lines), "--baseline")
        if not settings.quiet:
            say(f"wrote {len(lines) - 1} rows to the new baseline, {wishes.baseline}")


def text(outcome: Outcome, form: str, settings: Settings) -> str | bytes:
    """The batch in one of the formats for programs and pages."""
    rows = outcome.rows()
    if form in ("tsv", "csv", "jsonl", "value"):
        return formats.batch_text(rows, form, outcome.columns)
    if form == "parquet":
        return formats.to_parquet(rows, outcome.columns)
    if form == "junit":
        from .junit import to_junit

        return to_junit(
            rows,
            outcome.verdicts,
            outcome.changes,
            seconds=(datetime.now(UTC) - outcome.begun).total_seconds(),
            timestamp=outcome.begun.replace(tzinfo=None).isoformat(timespec="seconds"),
            hostname=socket.gethostname(),
        )
    if form == "markdown":
        return _markdown(outcome)
    if form == "html":
        return _page(outcome, settings)
    return formats.batch_json(
        rows,
        outcome.under,
        summary=outcome.summary.data(),
        agreement=outcome.people.data() if outcome.people else None,
        verdicts=[gates.row(verdict) for verdict in outcome.verdicts],
        baseline=[change.data() for change in outcome.changes],
    )


def _markdown(outcome: Outcome) -> str:
    from .markdown import to_markdown

    summary = outcome.summary
    notes = [*_against(outcome), *filter(None, [faulty_channels(summary)]), *causes(summary), *_doubts(outcome)]
    return to_markdown(summary, outcome.found, outcome.verdicts, outcome.people, notes)


def _doubts(outcome: Outcome) -> list[str]:
    """How many pairs there are of each kind."""
    return [f"{len(pairs)} of {outcome.summary.pairs} pairs: {kind}" for kind, pairs in outcome.doubts.items()]


def _against(outcome: Outcome) -> list[str]:
    """A sentence on the baseline, where there is one."""
    kinds = [change.kind for change in outcome.changes]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    return [f"against the baseline: {counts}"] if counts else []


def _page(outcome: Outcome, settings: Settings) -> str:
    from .. import report
    from ..batch.workers import compared
    from ..match import Policy

    known = Policy.__dataclass_fields__
    policy = Policy(**{k: v for k, v in outcome.under.items() if k in known})
    made = report.page(
        outcome.rows(),
        lambda rows: compared(rows, policy, outcome.beside.get(_key(rows[0]), ())),
        title=_title([s for s in outcome.summary.systems if s]),
        summary=outcome.summary.table(),
        verdicts=[gates.row(verdict) for verdict in outcome.verdicts],
        notes=causes(outcome.summary),
        audio=settings.report_audio,
    )
    for what in made.left_out:
        say(f"left out of the report, to keep it small: {what}")
    return made.text


def _key(row: Row) -> tuple[Any, ...]:
    return row["reference"], row["test"], row["start"], row["duration"]


def _title(systems: Sequence[str]) -> str:
    if not systems:
        return "Batch"
    return ", ".join(systems) if len(systems) <= MOST_NAMED else f"{len(systems)} systems"


def _print_tables(outcome: Outcome, output: str | None) -> None:
    from . import table

    page = None
    if output is not None:
        import io

        page = io.StringIO()
    out = table.console(page)
    table.print_summary(outcome.summary, out)
    table.print_differences(outcome.summary, out)
    table.print_worst(outcome.summary, out)
    if outcome.people is not None:
        table.print_agreement(outcome.people, out)
    if outcome.changes:
        table.print_changes(outcome.changes, out)
    if page is not None:
        _put(page.getvalue(), output)


def _put(made: str | bytes, output: str | None) -> None:
    if output is not None:
        formats.write_file(output, made)
    elif isinstance(made, bytes):
        sys.stdout.buffer.write(made)
    else:
        sys.stdout.write(made)
