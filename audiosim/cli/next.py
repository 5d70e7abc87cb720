"""What a person may want to run next: one command, told once, at the end, on a terminal only."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

from ..config import Settings
from ..match import LENGTH_TOLERANCE

if TYPE_CHECKING:
    from ..judge.summary import Summary

Row = Mapping[str, Any]

PREFIX = "next: "
LONGEST = 120  # characters of a command that is told in full
KEPT = ("rate", "channels", "length", "full_scale", "damaged", "raw")  # without these the files might not be comparable
UNDONE = {  # causes that a flag of compare removes
    "excerpt": ("align", "find"),
    "delay": ("align", "auto"),
    "drift": ("align", "drift"),
    "gain": ("gain", "match"),
    "loudness normalisation": ("gain", "match"),
    "polarity": ("polarity", "match"),
}
PART = 0.05  # of the difference, from which on it is worth undoing
HEARD = "auditory"  # tells where two recordings differ, whatever they are
NAMELESS = ("REF", "TEST")
SHOWN = 3  # sentences of a diagnosis below a table


def say(sentence: str | None, settings: Settings) -> None:
    """Tell it, unless somebody asked for quiet or nobody looks: a command, and behind an end of line what it does."""
    if sentence and not settings.quiet and sys.stderr.isatty() and sys.stdout.isatty():
        fits = len(PREFIX) + len(sentence) <= get_terminal_size().columns
        told = sentence.replace("\n", " " if fits else "\n" + " " * len(PREFIX))
        print(PREFIX + told, file=sys.stderr, flush=True)


def after_compare(pairs: Sequence[Row], settings: Settings, report: str | None = None) -> str | None:
    """Where a gate failed or the sound changed, why; where all is told already, how to look and listen.

    pairs: best first.
    """
    pair = _telling(pairs)
    if pair is None:
        return None
    files = pair["reference"], pair["test"]
    failed = next((g for g in pair["gates"] if not g["passed"] and g["spec"] != "verdict"), None)
    if failed is not None:
        command = _command("explain", files, *_flags(settings), spec=failed["spec"])
        return f"{command}\nshows where and when {failed['spec']} hears it"
    if (pair.get("verdict") or {}).get("level") == "identical":
        command = _command("compare", files, "--require", "verdict<=identical")
        return f"{command}\nfails as soon as they differ"
    told = pair.get("diagnosis")
    if told is None:
        of = " to the worst" if len(pairs) > 1 else ""
        return f"{_command('explain', files)}\nsays what happened{of}"
    if len(told["findings"]) > SHOWN:
        return None  # the command stands below the diagnosis
    if undone := _undoing(told):
        return f"{_command('compare', files, *typed(undone))}\ncompares without that"
    if report is None:
        command = _command("compare", files, *_flags(settings), "--report", "report.html")
        return f"{command}\nmakes a page to look at and listen to"
    return None


def after_mismatch(reference: str, test: str) -> str:
    """What happened to recordings that metrics refuse to compare as they are."""
    return f"{_command('explain', (reference, test))}\nsays what happened"


def after_diagnosis(
    reference: str, test: str, diagnosis: Row | None, needed: Mapping[str, str] | None = None
) -> str | None:
    """How to compare without what was found; else how to hear it, or where it differs, where no cause is known.

    needed: flags without which compare refuses the two.
    """
    if not diagnosis:
        return None
    if not diagnosis["findings"]:
        if diagnosis["null"] is not None and not diagnosis["null"]["differing"]:
            return None
        command = _command("explain", (reference, test), *typed(needed or {}), spec=HEARD)
        return f"{command}\nsays where and when they differ"
    undone = _undoing(diagnosis)
    if flags := {**(needed or {}), **undone}:
        if flags.get("align") == "find":  # the place that is found has the same length
            flags.pop("length", None)
        what = "compares without that" if undone else "compares them"
        return f"{_command('compare', (reference, test), *typed(flags))}\n{what}"
    return f"{_command('explain', (reference, test), '--residual', 'difference.wav')}\nwrites the difference"


def after_catalogue(every: bool, count: int) -> str:
    """More of one, or all of them."""
    return "audiosim explain NAME\nsays what a metric means" + ("" if every else f"; --all lists all {count}")


def after_card(spec: str) -> str:
    """To use it."""
    return f"{_command('compare', NAMELESS, spec=spec)}\ncompares by it"


def after_explanation(spec: str, reference: str, test: str, settings: Settings, *, mapped: bool = True) -> str:
    """To hear the places; mapped: the metric tells bands and times."""
    show, what = ("--report report.html", "plays these places") if mapped else ("--times", "draws its course over time")
    return f"{_command('compare', (reference, test), *_flags(settings), *show.split(), spec=spec)}\n{what}"


def after_batch(summary: Summary, journal: str | None, report: str | None) -> str | None:
    """The worst pairs, to look at and listen to; else what happened to the worst."""
    if journal is not None and report is None:
        command = shlex.join(["audiosim", "batch", "--from", journal, "--report", "report.html"])
        return f"{command}\nplays the worst {summary.things}"
    if not summary.scores:
        return None
    worst = summary.worst(summary.scores[0].spec, 1)
    if not worst:
        return None
    _, place = worst[0]
    if not place.reference:
        return "the same command with --report report.html\nplays the worst recordings"
    return f"{_command('explain', (place.reference, place.test))}\nsays what happened to the worst pair"


def after_merge(journal: str) -> str:
    """To read it."""
    return f"{shlex.join(['audiosim', 'batch', '--from', journal])}\nshows what it holds"


def after_dry_run(count: int, things: str) -> str | None:
    """To compare them."""
    these = f"this {things[:-1]}" if count == 1 else f"these {count} {things}"
    return f"the same command without -n\n{'compares' if things == 'pairs' else 'judges'} {these}" if count else None


def diagnosing(reference: str, test: str) -> str:
    """The command that says all that happened to one pair."""
    return _command("explain", (reference, test))


def typed(flags: Mapping[str, str]) -> list[str]:
    """Flags and their values as words of a command."""
    return [word for flag, value in flags.items() for word in (f"--{flag}", value)]


def needed(match: Row, settings: Settings) -> dict[str, str]:
    """Flags that let compare do what was done to two recordings to make them comparable, as far as it was not asked
    for."""
    usual = Settings()
    flags = {}
    if "rate" in match and settings.rate == usual.rate:
        flags["rate"] = match["rate"]["policy"]
    if "channels" in match and settings.channels == usual.channels:
        flags["channels"] = match["channels"]["policy"]
    cut = match.get("length", {}).get("trimmed_ms", 0.0) / 1000
    if cut > LENGTH_TOLERANCE and settings.length == usual.length:
        flags["length"] = match["length"]["policy"]
    return flags


def _telling(pairs: Sequence[Row]) -> Row | None:
    """The pair to go on with: of those that could be compared, the worst that fails a gate, else the worst."""
    compared = [pair for pair in pairs if pair["rate"] is not None]
    failing = [pair for pair in compared if not all(gate["passed"] for gate in pair["gates"])]
    return next(reversed(failing or compared), None)


def _undoing(diagnosis: Row) -> dict[str, str]:
    """Flags that remove what was found, as far as there are some, and it makes a part of the difference; align has one
    value only, that of the first."""
    flags: dict[str, str] = {}
    for finding in diagnosis["findings"]:
        if finding["cause"] in UNDONE and (finding["share"] is None or finding["share"] >= PART):
            flag, value = UNDONE[finding["cause"]]
            flags.setdefault(flag, value)
    return flags


def _flags(settings: Settings) -> list[str]:
    """What was given to make the recordings comparable."""
    usual = Settings()
    given = {name: getattr(settings, name) for name in (*KEPT, "align", "gain", "polarity", "level", "audiogram")}
    changed = {name: value for name, value in given.items() if value != getattr(usual, name)}
    return [word for name, value in changed.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def _command(verb: str, files: tuple[str, str], *more: str, spec: str | None = None) -> str:
    """To be copied into a shell; with REF and TEST where the names are long or cannot be typed."""
    before = [spec] if spec is not None and verb == "explain" else []
    after = ["-m", spec, *more] if spec is not None and verb == "compare" else more
    full = shlex.join(["audiosim", verb, *before, *files, *after])
    typed = full.isprintable() and not any(name.startswith("-") or name == "stdin" for name in files)
    if files == NAMELESS or (typed and len(full) <= LONGEST):
        return full
    return _command(verb, NAMELESS, *more, spec=spec)
