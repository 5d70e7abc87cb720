"""The verdict: levels of pairs whose truth is known by how they were made, and what the diagnosis adds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from audiosim import compare
from audiosim.diagnosis import Diagnosis, Finding, NullTest, Place, diagnose
from audiosim.judge.verdict import ELSE, LEVELS, MASKED, Verdict, verdict
from audiosim.signal import Signal
from audiosim.testing import signals

RATE = 16000
SPEECH = signals.speech_like(RATE, signals.affordable(3.0), 1, 2)
UNKNOWN = Diagnosis((), None, None)


def sound(x: Any) -> Signal:
    return Signal(samples=np.asarray(x, dtype=np.float32), rate=RATE)


def judged(test: Any, *findings: Finding, ref: Any = SPEECH, null: NullTest | None = None) -> Verdict:
    """With a diagnosis that was made by hand."""
    return verdict(sound(ref), sound(test), Diagnosis(findings, null, None), jobs=1)


def real(test: Any, ref: Any = SPEECH) -> Verdict:
    """With the diagnosis as it is made."""
    a, b = sound(ref), sound(test)
    return verdict(a, b, diagnose(a, b), jobs=1)


def quieter(db: float) -> Any:
    return SPEECH * 10 ** (-db / 20)


def test_the_same_samples_are_identical() -> None:
    said = real(SPEECH)
    assert (said.level, said.sentence) == ("identical", "bit-identical")
    assert set(said.to_dict()) == {"level", "reasons", "rule_version", "sentence"}


def test_samples_that_are_missing_at_the_end_are_a_difference() -> None:
    assert real(SPEECH[:, :-1]).level not in ("identical", None)


@pytest.mark.parametrize("silent", ["reference", "test"])
@pytest.mark.parametrize("level", [1.0, 3e-5])
def test_silence_against_sound_is_different(silent: str, level: float) -> None:
    sounds = [SPEECH * level, SPEECH * 0]
    said = real(*(sounds if silent == "reference" else sounds[::-1]))
    assert said.level == "different"
    assert f"the {silent} is silent" in said.reasons


def test_rounding_to_16_bits_is_equivalent_and_to_8_is_not() -> None:
    rng = np.random.default_rng(0)

    def rounded(bits: int) -> Any:
        return np.round(SPEECH * 2 ** (bits - 1) + rng.triangular(-1, 0, 1, SPEECH.shape)) / 2 ** (bits - 1)

    assert real(rounded(16)).level == "equivalent"
    assert LEVELS.index(real(rounded(8)).level or "identical") >= LEVELS.index("audible")


def test_rounding_of_a_recording_as_faint_as_it_is_no_rounding() -> None:
    """What lies less than 30 dB below the reference is no matter of storage, however faint both are."""
    faint = SPEECH * 1e-4
    said = real(np.round(faint * 2**15) / 2**15, faint)
    assert said.level != "equivalent" or "bit" in said.reasons[0]


@pytest.mark.skipif(not signals.COMPILED, reason="needs seconds of sound, which take long without compiled kernels")
@pytest.mark.parametrize(
    ("what", "test", "levels"),
    [
        ("0.1 dB", quieter(0.1), "inaudible"),
        ("3 dB", quieter(3), "audible"),
        ("12 dB", quieter(12), "audible different"),
        ("polarity", -SPEECH, "inaudible"),
        ("one channel inverted", SPEECH * [[1], [-1]], "audible"),
        ("exchanged", SPEECH[::-1], "audible different"),
        ("5 ms late", np.pad(SPEECH, ((0, 0), (80, 0)))[:, : SPEECH.shape[1]], "inaudible"),
        ("noise at 10 dB", signals.added_noise(SPEECH, RATE, 0.3), "different"),
        ("noise at -90 dB", signals.added_noise(SPEECH, RATE, 3e-5), "inaudible equivalent"),
        ("click", signals.added_click(SPEECH, RATE, 0.03), "audible"),
        ("DC", SPEECH + 0.001, "inaudible"),
    ],
)
def test_levels_of_what_was_done(what: str, test: Any, levels: str) -> None:
    said = real(test)
    assert said.level in levels.split(), (what, said)
    assert said.reasons


@pytest.mark.skipif(not signals.COMPILED, reason="needs seconds of sound, which take long without compiled kernels")
def test_more_noise_is_never_judged_milder() -> None:
    ranks = [
        LEVELS.index(real(signals.added_noise(SPEECH, RATE, s)).level or "identical") for s in (1e-5, 1e-3, 0.03, 1)
    ]
    assert ranks == sorted(ranks)
    assert ranks[-1] == LEVELS.index("different")


@pytest.mark.skipif(not signals.COMPILED, reason="needs seconds of sound, which take long without compiled kernels")
def test_a_delay_is_told_and_does_not_count_up_to_45_ms() -> None:
    late = np.pad(SPEECH, ((0, 0), (320, 0)))[:, : SPEECH.shape[1]]
    said = judged(late, Finding("delay", 20.0, "ms"))
    assert (said.level, said.sentence) == ("inaudible", "sounds the same, but starts 20 ms late")
    late = np.pad(SPEECH, ((0, 0), (1600, 0)))[:, : SPEECH.shape[1]]
    assert judged(late, Finding("delay", 100.0, "ms")).level == "audible"


def test_what_the_diagnosis_names_counts_by_itself() -> None:
    whole = Place(0.0, SPEECH.shape[1] / RATE, 0.0, SPEECH.shape[1] / RATE)
    assert judged(SPEECH * 0.9, Finding("unrelated")).level == "unrelated"
    assert judged(SPEECH * 0.9, Finding("silence inserted", 0.1, "s")).level == "audible"
    assert judged(SPEECH * 0.9, Finding("edit", places=(whole,), count=1)).level == "different"
    assert judged(SPEECH * 0.9, Finding("speed", 1.0, "%", detail={})).level == "audible"
    assert judged(SPEECH * 0.9, Finding("speed", 8.0, "%", detail={})).level == "different"
    assert judged(SPEECH * 0.9, Finding("pitch", -2.0, "semitones")).level == "different"
    unsure = judged(SPEECH * 0.9999, Finding("unrelated", confidence=0.2))
    assert unsure.level != "unrelated"


def test_what_the_panel_said_is_not_computed_again() -> None:
    a, b = sound(SPEECH), sound(quieter(0.1))
    known = compare(a, b, ["auditory"])
    told = replace(known["auditory"], value=99.0, per_channel=np.array([99.0, 99.0]))
    assert verdict(a, b, UNKNOWN, {"auditory": told}, 1).level == "different"


def test_what_cannot_be_heard_by_the_model_has_no_verdict() -> None:
    a, b = (Signal(samples=x.astype(np.float32), rate=2000) for x in (SPEECH, SPEECH * 0.5))
    said = verdict(a, b, UNKNOWN, jobs=1)
    assert said.level is None
    assert said.sentence.startswith("no verdict: ")


def test_any_number_of_threads_says_the_same() -> None:
    a, b = sound(SPEECH), sound(signals.added_noise(SPEECH, RATE, 0.01))
    assert verdict(a, b, UNKNOWN, jobs=1) == verdict(a, b, UNKNOWN, jobs=2)


def test_reasons_do_not_contradict_the_level() -> None:
    part = judged(SPEECH[:, 8000:], Finding("excerpt", 0.5, "s", detail={"shorter": "test", "duration": 2.0}))
    assert (part.level, part.reasons[0]) == ("audible", ELSE)
    assert MASKED in judged(SPEECH * 1.0001).reasons
    noisy = SPEECH.copy()
    noisy[1] += 0.1 * np.std(SPEECH) * np.random.default_rng(1).standard_normal(SPEECH.shape[1])
    assert judged(noisy).reasons[0].startswith("the auditory distance of channel 2 is ")
