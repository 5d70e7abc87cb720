"""The verdict on a pair in one sentence: identical, equivalent, inaudible, audible, different, or unrelated.

docs/verdict.md states the rule; its thresholds, with their sources, are rows of tables/anchors.csv.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isnan
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from ..diagnosis import Cause, Diagnosis, Finding
    from ..result import Result
    from ..signal import Signal

Level = Literal["identical", "equivalent", "inaudible", "audible", "different", "unrelated"]
LEVELS: tuple[Level, ...] = get_args(Level)  # each worse than the one before
RULE_VERSION = 2  # raised when the rule changes
SAID: Mapping[Level | None, str] = {
    "identical": "bit-identical",
    "equivalent": "the same but for bit depth or dither",
    "inaudible": "no audible difference expected",
    "audible": "an audible difference",
    "different": "plainly different",
    "unrelated": "not the same recording",
    None: "no verdict",
}

QUALITY, AUDIBILITY = "auditory", "auditory:form=audibility"
SURE = 0.5  # confidence, from which on a finding counts
BITS = 16  # stored with as many, recordings are equivalent
BELOW = 30.0  # dB, by which rounding must lie below the reference to be no more than rounding
SHORT = 1.0  # ms, of a delay that is not worth a word
LENGTHS = 0.05  # s, by which lengths may differ
SEMITONE = 5.9  # % of speed
MASKED = "what differs is masked, or too little to hear"
ELSE = "all else that differs is masked, or too little to hear"
PART = 0.1  # of the recording: places that take more make another one of it
# Measures hear each channel by itself, and lose track where time is not the same: this is heard whatever they say.
TIME: frozenset[Cause] = frozenset(
    ("speed", "tempo", "pitch", "silence inserted", "silence removed", "edit", "repeated", "lost"),
)
HEARD: frozenset[Cause] = TIME | {"excerpt", "exchanged", "copied", "mono", "dead"}
TOLD: frozenset[Cause] = frozenset(("polarity", "gain", "loudness normalisation"))  # the measures judge these


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a listener may expect of the pair. level: None where it cannot be told, and the reasons say why."""

    level: Level | None
    reasons: tuple[str, ...]
    sentence: str
    rule_version: int = RULE_VERSION

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "level": self.level,
            "reasons": list(self.reasons),
            "rule_version": self.rule_version,
            "sentence": self.sentence,
        }


def verdict(
    ref: Signal,
    test: Signal,
    diagnosis: Diagnosis,
    results: Mapping[str, Result] | None = None,
    jobs: int | None = None,
) -> Verdict:
    """The verdict on two recordings as they were decoded, of any form.

    results: what metrics of the panel said of them, where that is known; what is missing is computed.
    """
    null = diagnosis.null
    if null is not None and null.differing == 0 and ref.length == test.length:
        return _said("identical", ["all samples are the same"])
    found = {f.cause: f for f in reversed(diagnosis.findings) if f.confidence >= SURE}
    if "unrelated" in found:
        return _said("unrelated", [found["unrelated"].sentence])
    if reason := _rounded(ref, test, diagnosis):
        return _said("equivalent", [reason])
    level, reasons = _of_causes(found, ref)
    if not TIME & found.keys():
        heard, why = _of_measures(ref, test, found, results or {}, jobs)
        if heard is None and level is None:
            return _said(None, why)
        if level is not None and heard == "inaudible":  # what happened is heard all the same
            why = [ELSE if reason == MASKED else reason for reason in why]
        level, reasons = _worse(level, heard), [*why, *reasons]
    said = _said(level or "inaudible", reasons)
    late = found.get("delay")
    if late is not None and said.level == "inaudible" and abs(late.size or 0.0) >= SHORT:
        return replace(said, sentence=f"sounds the same, but {_starts(late)}")
    return said


def _said(level: Level | None, reasons: list[str]) -> Verdict:
    sentence = SAID[level] if level else f"{SAID[level]}: {'; '.join(reasons)}"
    return Verdict(level, tuple(reasons), sentence)


def _worse(*levels: Level | None) -> Level | None:
    return max((x for x in levels if x is not None), key=LEVELS.index, default=None)


def _rounded(ref: Signal, test: Signal, diagnosis: Diagnosis) -> str | None:
    """Why the difference is one of storage alone; None where it is not."""
    from ..signal import dbfs
    from .reading import threshold

    if diagnosis.null is None or ref.length != test.length:
        return None
    for finding in diagnosis.findings:
        bits = finding.detail.get("to_bits", finding.detail.get("bits", 0))
        if set(diagnosis.causes) <= {"bit depth", "dither"} and bits >= BITS:
            return finding.sentence
    rms = diagnosis.null.rms_dbfs
    level = dbfs(_rms(ref))
    if rms is not None and rms <= min(threshold("rounding"), level - BELOW):
        return f"the difference has {rms:.0f} dBFS (RMS), no more than rounding to 16 bits with dither leaves"
    return None


def _rms(sound: Signal) -> float:
    """In blocks, so that it takes no memory."""
    import numpy as np

    samples, block = sound.samples, 1 << 18
    parts = (samples[:, i : i + block].astype(np.float64) for i in range(0, sound.length, block))
    return float(np.sqrt(sum(float(np.square(p).sum()) for p in parts) / samples.size))


def _of_causes(found: Mapping[Cause, Finding], ref: Signal) -> tuple[Level | None, list[str]]:
    """The level that what happened has by itself, and what is said of it. None: it has none."""
    from .reading import threshold

    level: Level | None = None
    reasons = []
    for cause, finding in found.items():
        size = abs(finding.size or 0.0)
        everywhere = len(finding.detail.get("channels", ())) == finding.detail.get("of", 0)
        has: Level | None = None
        if cause == "delay":
            has = "audible" if size > threshold("early or late") else None
        elif cause == "drift":
            has = "audible" if size > threshold("drift") else None
        elif cause == "polarity":
            has = None if everywhere else "audible"
        elif cause in HEARD:
            taken = sum(max(p.end - p.start, p.test_end - p.test_start) for p in finding.places) / ref.duration
            plain = taken > PART or (cause == "dead" and everywhere)
            plain = plain or (cause in ("speed", "tempo") and size >= SEMITONE) or (cause == "pitch" and size >= 1)
            has = "different" if plain else "audible"
        elif cause not in TOLD:
            continue
        level = _worse(level, has)
        reasons.append(finding.sentence)
    return level, reasons


def _starts(finding: Finding) -> str:
    ms = finding.size or 0.0
    return f"starts {abs(ms):.3g} ms {'late' if ms > 0 else 'early'}"


def _of_measures(
    ref: Signal, test: Signal, found: Mapping[Cause, Finding], results: Mapping[str, Result], jobs: int | None
) -> tuple[Level | None, list[str]]:
    """What the auditory distance and the audibility say when both begin at the same time."""
    import numpy as np

    from ..comparison import compare_signals
    from ..errors import InputError
    from ..match import Policy
    from .reading import threshold

    moved = not found.keys().isdisjoint(("delay", "excerpt", "drift"))
    known = results.get(QUALITY)
    wanted = [AUDIBILITY] if known is not None and known.status == "ok" and not moved else [QUALITY, AUDIBILITY]
    drifts = "drift" in found
    policy = Policy(rates="resample", channels="match", length="trim" if moved else "keep")
    policy = replace(policy, align="drift") if drifts else policy
    try:
        pair = (ref, test) if drifts else _together(ref, test, found)
        done = compare_signals(*pair, wanted, policy, detail="profile", jobs=jobs).results
    except InputError as problem:
        return None, [str(problem)]
    quality = done.get(QUALITY, known)
    audibility = done[AUDIBILITY]
    for result in (quality, audibility):
        if result is None or isnan(result.value):
            return None, [(result and result.reason) or "there is too little to hear"]
    assert quality is not None
    assert audibility.per_time is not None
    far = float(np.nanmax([quality.value, *quality.per_channel]))
    excess = float(np.nanmax([audibility.value, *audibility.per_channel]))
    somewhere = float(np.nanmax(audibility.per_time)) if np.isfinite(audibility.per_time).any() else excess
    reasons = []
    heard: Level = "inaudible"
    if far >= threshold("quality"):
        heard = "different" if far >= threshold("quality, plainly") else "audible"
        of = f" of channel {1 + int(np.nanargmax(quality.per_channel))}" if far > quality.value else ""
        reasons.append(
            f"the auditory distance{of} is {far:.3g} (hardly anybody hears less than {threshold('quality'):g})"
        )
    if excess >= threshold("audibility"):
        heard = _worse(heard, "different" if excess >= threshold("audibility, plainly") else "audible") or heard
        reasons.append(f"the difference sounds as loud as {excess:.0f} dB SPL alone")
    elif somewhere >= threshold("audibility somewhere"):
        at = audibility.times[int(np.nanargmax(audibility.per_time))] if audibility.times is not None else 0.0
        heard = _worse(heard, "audible") or heard
        reasons.append(f"at {at:.2f} s the difference sounds as loud as {somewhere:.0f} dB SPL alone")
    if heard == "inaudible":
        reasons.append(MASKED)
    elif far < threshold("quality") and not found.keys().isdisjoint(("gain", "loudness normalisation")):
        reasons.append("at the same loudness it hardly differs")
    longer = test.duration - ref.duration
    if not moved and abs(longer) > LENGTHS:
        reasons.append(f"the test is {abs(longer):.3g} s {'longer' if longer > 0 else 'shorter'}")
    return heard, reasons


def _together(ref: Signal, test: Signal, found: Mapping[Cause, Finding]) -> tuple[Signal, Signal]:
    """The parts that both have, without the delay."""
    seconds = 0.0
    if late := found.get("delay"):
        seconds = (late.size or 0.0) / 1000
    if part := found.get("excerpt"):
        seconds = (part.size or 0.0) * (1 if part.detail.get("shorter") == "reference" else -1)
    if not seconds:
        return ref, test
    return _from(ref, max(-seconds, 0.0)), _from(test, max(seconds, 0.0))


def _from(sound: Signal, seconds: float) -> Signal:
    first = min(round(seconds * sound.rate), sound.length - 1)
    return replace(sound, samples=sound.samples[:, first:])
