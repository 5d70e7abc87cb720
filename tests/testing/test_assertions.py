"""What a failing assertion says, and what counts as a failure."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audiosim import Signal, audio, testing
from audiosim.errors import InputError, UsageError
from audiosim.testing import AudioDiffers, assert_audio_similar
from audiosim.testing.signals import COMPILED, added_noise, affordable, noise

RATE = 16000
SOUND = noise(RATE, affordable(1.0), 1)
NEAR = added_noise(SOUND, RATE, 0.01)
FAR = added_noise(SOUND, RATE, 0.3)


def _said(*args: object, **how: object) -> list[str]:
    with pytest.raises(AudioDiffers) as failed:
        assert_audio_similar(*args, **how)
    assert isinstance(failed.value, AssertionError)
    return str(failed.value).splitlines()


def test_what_holds_says_nothing() -> None:
    assert assert_audio_similar(NEAR, SOUND, "snr>=20", "mse<1", rate=RATE) is None
    assert_audio_similar(SOUND, SOUND, rate=RATE)  # the default rule


def test_a_failure_says_the_rule_the_value_and_by_how_much() -> None:
    lines = _said(FAR, SOUND, "mse<1", "snr>=20", rate=RATE)
    assert lines[0] == "the audio is not as expected: snr>=20 failed"
    assert lines[1].split() == ["expected", f"{SOUND.size / RATE:.3f}", "s", "at", "16000", "Hz,", "mono"]
    assert any(re.fullmatch(r"failed    snr>=20: 10\.\d+ dB, missed by 9\.\d+ dB", line) for line in lines)
    assert any(line.startswith("held      mse<1: 0.000") for line in lines)


def test_a_rule_on_the_verdict() -> None:
    assert_audio_similar(SOUND * 0.9999, SOUND, "verdict<=inaudible", rate=RATE)
    lines = _said(FAR, SOUND, "verdict<=inaudible", "mse<1", rate=RATE)
    assert lines[0] == "the audio is not as expected: verdict<=inaudible failed"
    assert any(re.fullmatch(r"failed    verdict<=inaudible: (audible|different)", line) for line in lines)
    assert any("(hardly anybody hears less than 0.5)" in line for line in lines)
    assert any(line.startswith("held      mse<1: ") for line in lines)


@pytest.mark.skipif(not COMPILED, reason="the sound is too short to tell times apart")
def test_a_failure_says_where() -> None:
    burst = SOUND.copy()
    burst[:, 4000:5600] *= 4
    lines = _said(burst, SOUND, "log-mel<=0.01", rate=RATE)
    assert any("where the actual sound is louder" in line for line in lines)
    assert not any("the test" in line for line in lines)


def test_long_recordings_are_not_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "EXPLAINED", SOUND.size / RATE / 2)
    monkeypatch.setattr("audiosim.judge.explain.explain", lambda *_: pytest.fail("explained"))
    with pytest.raises(AudioDiffers) as failed:
        assert_audio_similar(FAR, SOUND, "snr>=20", rate=RATE)
    assert len(str(failed.value).splitlines()) == 4
    assert failed.value.similarity.page() is None


def test_the_expected_sound_is_the_reference() -> None:
    half = 0.5 * SOUND
    assert_audio_similar(half, SOUND, "snr>=6", rate=RATE)
    assert any("missed by 6" in line for line in _said(SOUND, half, "snr>=6", rate=RATE))


def test_paths_and_signals(tmp_path: Path) -> None:
    audio.save(tmp_path / "a.flac", Signal.of(SOUND, RATE))
    for sound in (tmp_path / "a.flac", str(tmp_path / "a.flac"), Signal.of(SOUND, RATE)):
        assert_audio_similar(sound, Signal.of(SOUND, RATE), "snr>=60")
        assert_audio_similar(SOUND, sound, "snr>=60", rate=RATE)


def test_bands_can_be_asked_for() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 3000 * np.arange(SOUND.shape[1]) / RATE)
    assert_audio_similar(SOUND + tone, SOUND, "mse@100-1000<1e-4", rate=RATE)
    lines = _said(SOUND + tone, SOUND, "mse@2500-3500<1e-4", rate=RATE)
    assert any(line.startswith("failed    mse@2500-3500<1e-4: 0.00") for line in lines)


def test_what_the_actual_sound_lacks_is_a_failure() -> None:
    broken = SOUND.copy()
    broken[0, 7] = np.nan
    assert any("sample 7 of channel 1" in line for line in _said(broken, SOUND, "snr>=20", rate=RATE))
    short = SOUND[:, : SOUND.size // 4]
    lines = _said(np.tile(SOUND, 9), SOUND, "snr>=20", rate=RATE)
    assert lines[0] == "the audio is not as expected: not comparable"
    assert any("length='trim'" in line for line in lines)
    assert_audio_similar(np.tile(SOUND, 9), SOUND, "snr>=20", rate=RATE, length="trim")
    lines = _said(Signal.of(short, 8000, "short"), Signal.of(SOUND, RATE, "long"), "snr>=20")
    assert any("rates='resample'" in line for line in lines)
    silent = _said(SOUND, 0 * SOUND, "snr>=20", rate=RATE)
    assert any(line.startswith("failed    snr>=20: undefined: ") for line in silent)


def test_what_the_test_got_wrong_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        assert_audio_similar(SOUND, tmp_path / "no.wav", "snr>=20", rate=RATE)
    with pytest.raises(UsageError, match="unknown metric"):
        assert_audio_similar(SOUND, SOUND, "srn>=20", rate=RATE)
    with pytest.raises(UsageError, match="sampling rate"):
        assert_audio_similar(SOUND, SOUND, "snr>=20")
    with pytest.raises(UsageError, match="no option 'aling'"):
        assert_audio_similar(SOUND, SOUND, "snr>=20", rate=RATE, aling="auto")


def test_what_was_done_is_said() -> None:
    lines = _said(FAR[:, :-8], SOUND, "snr>=20", rate=RATE)
    assert any(line.startswith("compared  trimmed 8 samples") for line in lines)


def test_importing_it_is_cheap_and_needs_no_pytest() -> None:
    code = "import sys, audiosim.testing; print(*(m for m in ('numpy', 'pytest', 'numba') if m in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""
