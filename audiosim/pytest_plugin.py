"""The pytest plugin: the fixture `audio_golden`, and the audio of failed tests kept to listen to.

pytest loads it in every project where audiosim is installed, so it imports nothing of audiosim until a test needs it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .judge.gates import Verdict
    from .testing import AudioDiffers

FORMS = ("flac", "wav")
KEPT = (*(f"{which}.{form}" for which in ("actual", "expected") for form in FORMS), "report.txt", "report.html")
REPORT = "audio-failures"
# User properties: what the workers tell the terminal.
WRITTEN, KEPT_IN, FAULTY = "audio written", "audio kept in", "audio faulty in"
LONGEST = 80  # characters of a file name


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("audiosim", "sound and its golden files")
    group.addoption(
        "--audio-update",
        action="store_true",
        help="write golden files that are missing or that the sound no longer matches, and name them",
    )
    group.addoption(
        "--audio-report",
        metavar="DIR",
        help=f"keep audio of failed tests there (default: {REPORT}/ in the root directory)",
    )
    parser.addini("audio_golden_dir", "folder of golden files, beside each test file", default="golden")
    parser.addini("audio_rules", "rules for audio_golden, where a test gives none", "linelist", [])


@pytest.fixture
def audio_golden(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Compare a sound with this test's golden file: `audio_golden(samples, rate, "mr-stft<=0.3")`.

    Called with
    actual: array [sample] or [channel, sample] with full scale 1.0; a Signal or path with rate None.
    rate: Hz.
    rules: as in audiosim.testing.assert_audio_similar; where none is given, those of the ini option audio_rules.
    name: tells several golden files of one test apart.
    policy: as in audiosim.testing.assert_audio_similar.
    The file is FLAC with 24 bits, or WAV with floats where samples exceed full scale:
    `golden/<test file>/<test>[.<name>].flac` beside the test file.
    """
    item = request.node
    used: set[str | None] = set()

    def check(actual: Any, rate: int | None = None, *rules: str, name: str | None = None, **policy: Any) -> None:
        __tracebackhide__ = True
        from .errors import UsageError

        if name in used:
            raise UsageError("audio_golden was called twice; tell the golden files apart, such as by name='left'")
        used.add(name)
        try:
            _check(item, actual, rate, rules or tuple(item.config.getini("audio_rules")), name, policy)
        except UsageError as wrong:  # the test's own mistake: its line is all that matters
            raise type(wrong)(str(wrong)) from None

    return check


def _check(
    item: pytest.Item, actual: Any, rate: int | None, rules: tuple[str, ...], name: str | None, policy: dict[str, Any]
) -> None:
    __tracebackhide__ = True
    from .audio import load, lossless, save
    from .comparison import policy_of, signal_of
    from .errors import InputError, UsageError
    from .judge import gates
    from .testing import RULES, AudioDiffers, Similarity, similarity

    asked = [gates.parse(rule) for rule in rules or RULES]
    policies = policy_of(policy)
    try:
        sound = signal_of(actual, rate, "actual", policies)
    except InputError as problem:
        raise AudioDiffers(f"the audio is broken: {problem}") from None

    def similar_to(golden: Path) -> Similarity:
        expected = replace(load(golden, **policies.reading), name=_shown(golden, item))
        jobs = 1 if "PYTEST_XDIST_WORKER" in os.environ else None  # the workers have the cores already
        answer = similarity(sound, expected, asked, policies, jobs=jobs)
        _note_scores(item, name, answer.verdicts)
        for sentence in answer.faults:
            item.user_properties.append((FAULTY, f"{_node_from_here(item)}: {sentence}"))
        return answer

    accept = ("accept", f"pytest {shlex.quote(_node_from_here(item))} --audio-update")
    files = _golden_files(item, name)
    found = next((path for path in files.values() if path.exists()), None)
    golden = files[lossless(sound)]
    if found is None:
        why = "it was missing"
        missed = AudioDiffers(f"there is no golden file {_shown(golden, item)}\n{accept[0]:<9} {accept[1]}", sound)
    else:
        try:
            answer = similar_to(found)
            if answer.passed:
                return
            why, missed = answer.headline, answer.error(accept)
        except InputError as problem:
            why = "it could not be read"
            said = str(problem).replace(str(found), _shown(found, item))
            missed = AudioDiffers(f"the golden file is broken: {said}\n{accept[0]:<9} {accept[1]}", sound)
    if not item.config.getoption("audio_update"):
        raise missed
    try:
        golden.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UsageError(f"{_shown(golden.parent, item)}: cannot be made ({problem.strerror})") from None
    save(golden, sound)
    for other in files.values():
        if other != golden:
            other.unlink(missing_ok=True)
    item.user_properties.append((WRITTEN, f"{_shown(golden, item)} ({why})"))
    answer = similar_to(golden)
    if not answer.passed:
        raise answer.error(("note", "the golden file was written, but even it does not meet these rules"))


def _note_scores(item: pytest.Item, name: str | None, verdicts: Sequence[Verdict]) -> None:
    """The values, for JUnit and other reports."""
    for verdict in verdicts:
        asked = verdict.gate.text.rpartition(verdict.gate.operator)[0].strip()
        told = verdict.reason if asked == "verdict" else verdict.value
        item.user_properties.append((f"{name}: {asked}" if name else asked, told))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the audio of a test that fails because it differs, and drop what an earlier run kept."""
    report = yield
    root = _report_root(item.config)
    if report.when == "setup" and root.is_dir():
        for name in KEPT:
            (_report_folder(item) / name).unlink(missing_ok=True)
        with suppress(OSError):  # it is not there, or holds what is not ours
            _report_folder(item).rmdir()
    testing = sys.modules.get("audiosim.testing")
    if testing is not None and call.excinfo is not None and isinstance(call.excinfo.value, testing.AudioDiffers):
        item.user_properties.append((KEPT_IN, _keep(call.excinfo.value, item)))
    return report


def _keep(differs: AudioDiffers, item: pytest.Item) -> str:
    """Write what there is to listen to and to read about it, and say where."""
    from .audio import lossless, save

    root, folder = _report_root(item.config), _report_folder(item)
    try:
        if not root.exists():
            root.mkdir(parents=True, exist_ok=True)
            (root / ".gitignore").write_text("*\n", encoding="utf-8")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.txt").write_text(f"{item.nodeid}\n{differs}\n", encoding="utf-8")
        answer = differs.similarity
        for which, sound in (("actual", differs.actual), ("expected", answer.expected if answer else None)):
            if sound is not None:
                save(folder / f"{which}.{lossless(sound)}", sound)
        if answer is not None and (page := answer.page()) is not None:
            (folder / "report.html").write_text(page, encoding="utf-8")
    except Exception as problem:  # noqa: BLE001  what is kept does not decide how the tests end
        return f"{_shown(folder, item)}, but not all: {' '.join(str(problem).split())}"
    return _shown(folder, item)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the golden files that were written, the folders that hold audio of failed tests, and faulty channels."""
    reports = (r for group in terminalreporter.stats.values() for r in group if getattr(r, "when", "") == "teardown")
    notes = [(key, text) for r in reports for key, text in r.user_properties if key in (WRITTEN, KEPT_IN, FAULTY)]
    if notes:
        terminalreporter.section("audio")
        for key, text in sorted(notes):
            terminalreporter.write_line(f"{key.removeprefix('audio ')} {text}")


def _golden_files(item: pytest.Item, name: str | None) -> dict[str, Path]:
    """Where the golden file of a test is, in each form that it may have."""
    from .errors import UsageError

    folder = Path(item.config.getini("audio_golden_dir"))
    if folder.is_absolute():
        raise UsageError(f"audio_golden_dir={folder} is absolute; it stands beside each test file, such as golden")
    base = _file_name(_test(item)) + (f".{_file_name(name)}" if name else "")
    return {form: item.path.parent / folder / item.path.stem / f"{base}.{form}" for form in FORMS}


def _report_root(config: pytest.Config) -> Path:
    chosen = config.getoption("audio_report")
    return config.invocation_params.dir / chosen if chosen else config.rootpath / REPORT


def _report_folder(item: pytest.Item) -> Path:
    module = PurePosixPath(item.nodeid.partition("::")[0]).with_suffix("")
    return _report_root(item.config).joinpath(
        *(p for p in module.parts if p not in ("..", "/")), _file_name(_test(item))
    )


def _test(item: pytest.Item) -> str:
    """The test's name within its file: class, function and parameters."""
    return item.nodeid.partition("::")[2] or item.name


def _file_name(test: str) -> str:
    """A name that every file system takes; with a few digits of a hash where two tests could come to share it."""
    plain = re.sub(r"\[(.*)\]$", r"-\1", test.replace("::", "."), flags=re.DOTALL)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", plain)[:LONGEST]
    return safe if safe == plain else f"{safe}-{hashlib.blake2b(test.encode(), digest_size=4).hexdigest()}"


def _node_from_here(item: pytest.Item) -> str:
    """The node id that pytest takes in the directory where it was started."""
    return f"{_shown(item.path, item)}::{item.nodeid.partition('::')[2]}"


def _shown(path: Path, item: pytest.Item) -> str:
    """A path as seen from where pytest was started."""
    try:
        return os.path.relpath(path, item.config.invocation_params.dir)
    except ValueError:  # on another drive
        return str(path)
