"""`audiosim audit`: what is true of metrics, one after another, and whether their cards and the rules hold."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from .. import __version__, audio, metrics
from ..config import Settings
from ..errors import AudiosimError, ExitCode, UsageError, worst
from ..judge.rows import SCHEMA, strict, to_json, to_jsonl
from ..testing import audit as auditing
from . import formats
from .compare import announce_compilation, progress_line, put, say

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = ("spec", "name", "value", "unit", "says", "claim", "agrees", "reason")
Row = dict[str, Any]


def run(
    specs: Sequence[str],
    settings: Settings,
    *,
    sounds: Sequence[str],
    rules: Sequence[str],
    full: bool,
    output: str | None,
) -> ExitCode:
    """Audit, print, and return the exit code. Raises AudiosimError when the only metric could not be audited."""
    form = formats.chosen(settings.format, output, sys.stdout.isatty(), formats.TABLES)
    if output not in (None, "-"):
        formats.check_output(str(output))
    asked = [auditing.rule(text) for text in rules]
    if not full and any(rule.name == "recovery" for rule in asked):
        raise UsageError("a rule on recovery needs --full, which descends on samples")
    specs = list(dict.fromkeys(specs))
    for spec in specs:
        metrics.parse(spec)
    if sounds.count("-") > 1:
        raise UsageError("standard input can be read only once: give one --sound -")
    heard = [audio.load(sound) for sound in sounds]
    announce_compilation(settings.quiet, tuple(specs))
    at_once = output in (None, "-") and form in ("table", "jsonl")
    rows: list[Row] = []
    codes: list[ExitCode] = []
    try:
        for i, spec in enumerate(specs):
            with _Progress(f"{spec} ({i + 1} of {len(specs)})", settings) as progress:
                try:
                    done = auditing.audit(spec, heard, full=full, progress=progress)
                except AudiosimError as problem:
                    if len(specs) == 1:
                        raise
                    say(f"error: {spec}: {problem}")
                    codes.append(problem.exit_code)
                    continue
            gates = [rule.judge(done) for rule in asked]
            codes += [ExitCode.GATE for gate in gates if not gate["passed"]]
            rows.append(strict({"schema": SCHEMA, "audiosim": __version__, **done.to_dict(), "gates": gates}))
            if at_once:
                _write(rows[-1:], form, output, first=len(rows) == 1)
            if form != "table" or not at_once:
                _report(rows[-1], settings.quiet)
    except KeyboardInterrupt:
        say(f"interrupted: {len(rows)} of {len(specs)} metrics were audited")
        return ExitCode.INTERRUPTED
    if not at_once and rows:
        _write(rows, form, output)
    return worst(codes)


class _Progress:
    """A line on a terminal that says what is looked at."""

    def __init__(self, what: str, settings: Settings) -> None:
        self.what, self.shown = what, sys.stderr.isatty() and not settings.quiet

    def __enter__(self) -> _Progress:
        return self

    def __call__(self, name: str) -> None:
        if self.shown:
            progress_line(f"{self.what}: {name.replace('_', ' ')}")

    def __exit__(self, *_: object) -> None:
        if self.shown:
            progress_line("")


def _write(rows: Sequence[Row], form: str, output: str | None, first: bool = True) -> None:
    if form == "json":
        put(to_json(rows[0] if len(rows) == 1 else list(rows)), output)
    elif form == "jsonl":
        put(to_jsonl(rows), output)
    elif form == "table":
        import io

        from .table import console

        out = console() if output in (None, "-") else console(page := io.StringIO())
        for i, row in enumerate(rows):
            if i or not first:
                out.print()
            _print(row, out)
        if output not in (None, "-"):
            put(page.getvalue(), output)
    else:
        lines = [{"spec": row["spec"], **finding} for row in rows for finding in row["findings"]]
        put(formats.to_tsv(lines, COLUMNS) if form == "tsv" else formats.to_csv(lines, COLUMNS), output)


def _print(row: Row, out: Console) -> None:
    """A row a property: its value, what it says, and whether the card says the same; then the rules."""
    from rich.text import Text

    from .layout import plain_table, put

    agreed = {True: Text("agrees"), False: Text("contradicts", style="bold red")}
    title = metrics.get(row["metric"]).card.title
    out.print(Text(f"{row['spec']}  {title}", style="bold"))
    names = " and ".join(audio.display_name(name) for name in row["sounds"])
    out.print(Text(f"{names}, {row['seconds']:.3g} s at {row['rate']} Hz", style="dim"))
    table = plain_table()
    table.add_column("property", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("what it says")
    table.add_column("the card", no_wrap=True)
    for found in row["findings"]:
        value = "" if found["value"] is None else f"{found['value']:.3g}"
        said = Text(found["says"]) if found["says"] else Text(found["reason"] or "", style="dim")
        table.add_row(Text(found["name"]), value, said, agreed.get(found["agrees"], ""))
    put(table, out)
    for found in row["findings"]:
        if found["agrees"] is False:
            told = f"{found['name']}: the card says {found['claim']}: {found['says'] or found['reason']}"
            out.print(Text(told, style="bold red"))
    for gate in row["gates"]:
        out.print(Text(_told(gate), style="green" if gate["passed"] else "red"))


def _report(row: Row, quiet: bool) -> None:
    for gate in row["gates"]:
        if not (gate["passed"] and quiet):
            say(f"{row['spec']}: {_told(gate)}")


def _told(gate: Row) -> str:
    value = gate["value"]
    told = "" if value is None or isnan(value) else f": {value:.6g}"
    reason = f": {gate['reason']}" if gate["reason"] and not gate["passed"] else ""
    return f"rule {'held' if gate['passed'] else 'failed'}: {gate['require']}{told}{reason}"
