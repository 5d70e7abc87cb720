"""`audiosim explain REF TEST`: what happened to the sound, whether a listener would notice, and the null test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import audio, match as matching, metrics, remote
from ..engine.cache import caching
from ..errors import AudiosimError, ExitCode, UsageError
from ..judge.assembly import pair_row
from ..judge.rows import to_json, to_jsonl
from ..presets import PRESETS
from ..results import header
from . import formats, next as following
from .compare import decode, put, say

if TYPE_CHECKING:
    from ..comparison import Comparison
    from ..config import Settings
    from ..signal import Signal

COLUMNS = ("cause", "size", "unit", "count", "share", "confidence", "start_s", "end_s", "sentence")


def run(reference: str, test: str, settings: Settings, form: str, output: str | None, residual: str | None) -> ExitCode:
    """Diagnose, print, and write the residual where it is asked for."""
    from ..diagnosis import diagnose
    from ..diagnosis.null import residual as difference
    from ..judge.verdict import verdict

    if reference == test == "-":
        raise UsageError("standard input can be read only once: give - for one recording only")
    bare = reference != "-" and Path(reference).name == reference and not Path(reference).suffix
    if bare and not remote.is_url(reference) and not Path(reference).exists():
        raise _neither(reference)
    if residual is not None:
        formats.check_output(residual, "--residual")
        if Path(residual).suffix.lower() != ".wav":
            raise UsageError(f"--residual {audio.display_name(residual)}: the file name must end in .wav")
    ref, other = decode(reference, test, settings)
    if residual is not None:
        pair = _made_equal(ref, other, settings)
        formats.write_file(residual, audio.encode(difference(*pair), "wav"), "--residual")
    diagnosis = diagnose(ref, other)
    with caching(ref.samples, other.samples):
        done = _compared(ref, other, settings)
        opinion = verdict(ref, other, diagnosis, done.results if done else None, settings.jobs)
    shape: dict[str, Any] = {"match": {}}
    if done:
        shape = {"rate": done.ref.rate, "channels": done.ref.channels, "duration_s": done.ref.duration}
        shape["match"] = done.match
        if not settings.quiet:
            for sentence in matching.describe(done.match):
                say(sentence)
    needed = following.needed(done.match if done else {}, settings)
    if needed and not settings.quiet:
        say(f"without {' '.join(following.typed(needed))} compare refuses these two")
    results = done.results if done else {}
    names = audio.data_name(reference), audio.data_name(test)
    row = pair_row(*names, results, **shape, verdict=opinion, diagnosis=diagnosis)
    if form in ("json", "jsonl"):
        put(to_json(row) if form == "json" else to_jsonl([row]), output)
    elif form == "table":
        import io

        from . import screen, table

        out = table.console() if output in (None, "-") else table.console(page := io.StringIO())
        for line in header(row):
            out.print(line)
        screen.print_verdict(row, out)
        screen.print_diagnosis(row["diagnosis"], out)
        if output not in (None, "-"):
            put(page.getvalue(), output)
    else:
        rows = [_line(f) for f in row["diagnosis"]["findings"]]
        put(formats.to_tsv(rows, COLUMNS) if form == "tsv" else formats.to_csv(rows, COLUMNS), output)
        if not settings.quiet:
            say(opinion.sentence)
    following.say(following.after_diagnosis(*names, row["diagnosis"], needed), settings)
    return ExitCode.OK


def _compared(ref: Signal, test: Signal, settings: Settings) -> Comparison | None:
    """The panel, of recordings that are made comparable where nobody said how; None, and why, where that cannot be."""
    from ..comparison import compare_signals

    mono = ref.channels != test.channels and 1 not in (ref.channels, test.channels)
    loose = {"rates": "resample", "channels": "mono" if mono else "match", "length": "trim"}
    given, default = settings.policy(), type(settings)().policy()
    policy = matching.Policy(**given | {k: v for k, v in loose.items() if given[k] == default[k]})
    try:
        return compare_signals(ref, test, PRESETS["default"], policy, jobs=settings.jobs)
    except AudiosimError as problem:
        if not settings.quiet:
            say(f"no metric can compare these two: {problem}")
        return None


def _made_equal(ref: Signal, test: Signal, settings: Settings) -> tuple[Signal, Signal]:
    """The two as flags ask for them, as far as both go; as they are where no flag was given."""
    given = settings.policy()
    if given == type(settings)().policy():
        return ref, test
    length = "trim" if given["length"] == "auto" else given["length"]
    return matching.match(ref, test, matching.Policy(**given | {"length": length}))[:2]


def _line(finding: dict[str, Any]) -> dict[str, Any]:
    """A row of a table file: the first of its places stands for all."""
    first = finding["places"][0] if finding["places"] else {}
    return {**finding, "start_s": first.get("start"), "end_s": first.get("end")}


def _neither(name: str) -> UsageError:
    """What is wrong with a first argument that names neither a metric nor a file."""
    try:
        metrics.parse(name)
    except UsageError as unknown:
        return UsageError(f"{unknown}; and there is no file of that name")
    return UsageError(f"{audio.display_name(name)}: no such file")
