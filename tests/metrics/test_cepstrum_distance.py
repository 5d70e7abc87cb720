"""cepstrum-distance: what is known of it, and pysepm's numbers on recorded speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audiosim import compare
from audiosim.testing.signals import COMPILED, noise, silence, speech_like
from tests.metrics.test_llr import RATE, recorded, recursive, silent_frames, value

K = 6.141851463713754  # 10 sqrt(2) / ln 10


@pytest.mark.skipif(not COMPILED, reason="long frames")
def test_is_the_rms_in_db_of_the_envelopes() -> None:
    """1 / (1 - p z^-1) has c_m = p^m / m, and white noise none."""
    white = noise(RATE, 4.5, 1)
    coloured = recursive(white, 0.6)
    spec = "cepstrum-distance:frame=2,overlap=0.5,order=12,keep=1"
    cepstrum = 0.6 ** np.arange(1, 13) / np.arange(1, 13)
    expected = K * np.linalg.norm(cepstrum)
    assert value(spec, white, coloured) == pytest.approx(expected, rel=0.02)
    w = np.pi * (np.arange(4096) + 0.5) / 4096
    level = -20 * np.log10(np.abs(1 - 0.6 * np.exp(-1j * w)))
    assert np.sqrt(np.mean(level**2)) == pytest.approx(expected, rel=1e-3)


def test_silence_is_flat_and_scores_the_limit_under_pysepms_convention() -> None:
    speech, nothing = speech_like(RATE, 0.2, 1), silence(RATE, 0.3)
    half = np.concatenate([speech, nothing], axis=1)
    assert value("cepstrum-distance", half, half) == 0
    silent = silent_frames(half)
    theirs = compare(half, half, "cepstrum-distance:convention=pysepm,keep=1", RATE, detail="profile")
    frames = theirs["cepstrum-distance:convention=pysepm,keep=1"].per_time
    assert frames is not None
    assert sorted(set(frames)) == [0, 10]
    assert abs(int((frames == 10).sum()) - silent) <= 1  # the last frame is left out
    assert value("cepstrum-distance", nothing, nothing) == 0
    assert value("cepstrum-distance", nothing[:, : speech.shape[1]], speech) > 0


def test_pysepms_numbers(shared: Path) -> None:
    """pysepm at 7ef88af, cepstrum_distance(ref, deg, 16000), on recordings of up to 10 s."""
    if not COMPILED:
        pytest.skip("recordings are too long for uncompiled kernels")
    specs = ("cepstrum-distance", "cepstrum-distance:convention=pysepm")
    counted = 0
    for ref, test, metrics in recorded(shared):
        found, theirs = compare(ref, test, specs, RATE), metrics["pysepm.cepstrum_distance"]
        assert found[specs[1]].value == pytest.approx(theirs, abs=1e-6)
        if not silent_frames(ref) + silent_frames(test):
            counted += 1
            assert found[specs[0]].value == pytest.approx(theirs, abs=1e-6)
    assert counted >= 80
