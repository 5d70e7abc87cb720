"""For tests, with any test runner: assertions about sound, and the contract that a metric must keep.

    from audiosim.testing import assert_audio_similar, check_metric

The fixture `audio_golden` of the pytest plugin stands on these.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import AudiosimError, InputError
from ..judge.rows import VERDICT
from ..judge.verdict import QUALITY

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..comparison import Comparison
    from ..judge.gates import Gate, Verdict
    from ..judge.verdict import Verdict as Opinion
    from ..match import Policy
    from ..signal import Signal

# What is asked where no rule is given: about half a decibel of level, a noise floor some 70 dB down.
RULES = ("mr-stft<=0.1",)
EXPLAINED = 30.0  # s; where longer recordings differ is not looked for


class AudioDiffers(AssertionError):
    """The sound is not as expected. actual: what there was; similarity: how it compared, where it could."""

    def __init__(self, message: str, actual: Signal | None = None, similarity: Similarity | None = None) -> None:
        super().__init__(message)
        self.actual = actual
        self.similarity = similarity


def assert_audio_similar(
    actual: Signal | ArrayLike | str | os.PathLike[str],
    expected: Signal | ArrayLike | str | os.PathLike[str],
    *rules: str,
    rate: int | None = None,
    **policy: Any,
) -> None:
    """Fail unless every rule holds of two sounds.

    actual, expected: arrays [sample] or [channel, sample] with full scale 1.0, Signals, paths or URLs.
    rules: as after --require, such as "mr-stft<=0.3", "si-sdr>=20", "si-sdr@4000-8000>=10" or "verdict<=inaudible";
        "mr-stft<=0.1" where none is given. The expected sound is the reference.
    rate: Hz, for arrays.
    policy: fields of match.Policy: what may be done to make the two comparable, such as align="auto".
    Raises AudioDiffers, an AssertionError that says by how much the rules were missed and where the two differ, also
    where the actual sound cannot be compared (NaN, another rate or length); InputError for an expected one that
    cannot be read; UsageError for wrong rules.
    """
    __tracebackhide__ = True
    from ..comparison import policy_of, signal_of
    from ..judge import gates
    from ..match import warn

    try:
        asked = [gates.parse(rule) for rule in rules or RULES]
        policies = policy_of(policy)
        found = similarity(actual, signal_of(expected, rate, "expected", policies), asked, policies, rate=rate)
    except AudiosimError as wrong:  # the test's own mistake: its line is all that matters
        raise type(wrong)(str(wrong)) from None
    if not found.passed:
        raise found.error()
    if found.comparison:
        warn(found.comparison.match)


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """How the rules fared; problem: why the two could not be compared, None where they were; opinion: the verdict on
    them, where a rule is on it."""

    actual: Signal | None
    expected: Signal
    policy: Policy
    verdicts: Sequence[Verdict]
    comparison: Comparison | None = None
    problem: str | None = None
    opinion: Opinion | None = None

    @property
    def passed(self) -> bool:
        return self.problem is None and all(v.passed for v in self.verdicts)

    @property
    def faults(self) -> list[str]:
        """What is wrong with channels or the level of either sound, whether the rules hold or not."""
        from ..channels import describe
        from ..match import as_keywords, doubts

        done = self.comparison.match if self.comparison else {}
        found = [*describe(done.get("channel_faults", ())), *(as_keywords(s) for s in doubts(done).values())]
        return [_in_words(sentence) for sentence in found]

    @property
    def headline(self) -> str:
        if self.problem is not None:
            return "not comparable"
        return f"{', '.join(v.gate.text for v in self.verdicts if not v.passed)} failed"

    def error(self, *hints: tuple[str, str]) -> AudioDiffers:
        """What to raise, with further lines (field, text) below."""
        from ..match import describe

        failed = [v for v in self.verdicts if not v.passed]
        rows = [("expected", _described(self.expected))]
        if self.actual is not None:
            rows.append(("actual", _described(self.actual)))
        if self.problem is None:
            rows += [
                ("compared", _in_words(note)) for note in describe(self.comparison.match if self.comparison else {})
            ]
            rows += [("failed", _fared(v)) for v in failed]
            if self.opinion and any(v.gate.spec == VERDICT for v in failed):
                rows += [("", _in_words(reason)) for reason in self.opinion.reasons]
            where = self._where(failed)
            rows += [("", where)] if where else []
            rows += [("held", _fared(v)) for v in self.verdicts if v.passed]
        else:
            rows.append(("problem", self.problem))
        lines = [f"the audio is not as expected: {self.headline}", *(f"{k:<9} {text}" for k, text in [*rows, *hints])]
        return AudioDiffers("\n".join(lines), self.actual, self)

    def page(self) -> str | None:
        """The report as HTML, to look at and listen to; None where there is nothing to see or it takes long."""
        from ..comparison import compare_signals
        from ..judge.assembly import pair_row
        from ..judge.gates import row
        from ..judge.rows import flat
        from ..report import page

        done = self.comparison
        if self.actual is None or done is None or self.expected.duration > EXPLAINED:
            return None
        pair = pair_row(
            self.expected.name,
            self.actual.name,
            done.results,
            [row(v) for v in self.verdicts],
            rate=done.ref.rate,
            channels=done.ref.channels,
            duration_s=done.ref.duration,
            match=done.match,
        )
        signals = self.expected, self.actual
        return page(
            flat([pair]), lambda rows: compare_signals(*signals, [r["spec"] for r in rows], self.policy, detail="map")
        ).text

    def _where(self, failed: Sequence[Verdict]) -> str:
        """A sentence on where the two differ by the first rule that can tell, empty where none can or it takes long."""
        from ..judge.explain import explain

        if self.actual is None or self.expected.duration > EXPLAINED:
            return ""
        for verdict in failed:
            if verdict.gate.band is None and verdict.value == verdict.value:
                spec = QUALITY if verdict.gate.spec == VERDICT else verdict.gate.spec
                with suppress(AudiosimError):
                    found = explain(self.expected, self.actual, spec, self.policy)
                    if found.regions:
                        return f"{spec}: {_in_words(found.sentence)}"
        return ""


def similarity(
    actual: Any,
    expected: Signal,
    gates: Sequence[Gate],
    policy: Policy,
    *,
    rate: int | None = None,
    jobs: int | None = None,
) -> Similarity:
    """Ask the rules about the two; a problem with the actual one is an answer too."""
    from ..comparison import compare_signals, signal_of
    from ..diagnosis import diagnose
    from ..engine.cache import caching
    from ..judge import gates as judging
    from ..judge.verdict import verdict as judge
    from ..match import as_keywords

    sound = opinion = None
    judged = any(gate.spec == VERDICT for gate in gates)
    try:
        sound = signal_of(actual, rate, "actual", policy)
        specs = judging.specs(gates) or [QUALITY if judged else gates[0].spec]
        with caching(expected.samples, sound.samples) if judged else nullcontext():
            done = compare_signals(expected, sound, specs, policy, jobs=jobs)
            if judged:
                opinion = judge(expected, sound, diagnose(expected, sound), done.results, jobs)
        verdicts = judging.judge(gates, done, policy, jobs, opinion)
    except InputError as problem:
        said = as_keywords(str(problem))
        return Similarity(sound, expected, policy, judging.unanswered(gates, said), problem=said)
    return Similarity(sound, expected, policy, verdicts, done, opinion=opinion)


def _described(sound: Signal) -> str:
    from ..audio import display_name

    channels = {1: "mono", 2: "stereo"}.get(sound.channels, f"{sound.channels} channels")
    name = "" if sound.name in ("actual", "expected") else f"{display_name(sound.name)}: "
    return f"{name}{sound.duration:.3f} s at {sound.rate} Hz, {channels}"


def _fared(verdict: Verdict) -> str:
    """The rule, its value and by how much it was missed."""
    from .. import metrics

    if verdict.gate.spec == VERDICT:
        return f"{verdict.gate.text}: {verdict.reason}"
    unit = metrics.scale(verdict.gate.spec).unit
    unit = "" if unit == "1" else f" {unit}"
    if verdict.value != verdict.value:
        return f"{verdict.gate.text}: {_in_words(verdict.reason or 'no number')}"
    channel = f" {verdict.reason}" if verdict.gate.channel and verdict.reason else ""
    value = f"{verdict.gate.text}: {verdict.value:.6g}{unit}{channel}"
    return value if verdict.passed else f"{value}, missed by {verdict.missed_by:.6g}{unit}"


def _in_words(sentence: str) -> str:
    """In a test's own words: its reference is what it expects."""
    return sentence.replace("the test", "the actual sound").replace("the reference", "the expected sound")


def check_metric(module: Any, *, only: str = "") -> None:
    """Hold a metric from outside audiosim to what every metric must keep; takes some minutes.

    module: an imported module, or the path of a file. only: the checks whose name contains this.
    Raises AssertionError with a line for each check that failed.
    """
    import traceback
    from types import ModuleType

    from ..metric import Metric
    from ..outside import from_file
    from .contract import CHECKS, Skip

    if isinstance(module, ModuleType):
        metric = Metric(module.__name__.rpartition(".")[2].replace("_", "-"), module)
    else:
        metric = from_file(module)
    if metric.fault:
        raise AssertionError(f"{metric.name}: {metric.fault}")
    failed = []
    for check in CHECKS:
        if only in check.name:
            try:
                check.run(metric)
            except Skip:
                pass
            except Exception as wrong:  # noqa: BLE001  whatever a metric does
                line = traceback.extract_tb(wrong.__traceback__)[-1].line or ""
                said = str(wrong).strip().splitlines()
                kind = "" if isinstance(wrong, AssertionError) else f"{type(wrong).__name__}: "
                failed.append(f"{check.name}: {kind}{said[0] if said else line}")
    if failed:
        raise AssertionError("\n".join([f"{metric.name} does not keep the contract:", *failed]))
