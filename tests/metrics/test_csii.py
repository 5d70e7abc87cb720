"""csii: pysepm's numbers, its plain formula, its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audiosim import compare
from audiosim.models.loizou import coherence_levels, speech_bands
from audiosim.result import Result
from audiosim.testing.signals import COMPILED, Array, added_noise, clipping, gain, low_pass, noise, silence, speech_like
from tests import naive
from tests.recorded import speech

RATE = 16000
LEVELS = ("high", "mid", "low")
compiled = pytest.mark.skipif(not COMPILED, reason="takes 0.4 s")


def csii(ref: Array, test: Array, detail: str = "value") -> Result:
    return compare(ref, test, "csii", RATE, detail=detail)["csii"]  # type: ignore[arg-type]


def formula(r: Array, t: Array) -> dict[str, float]:
    """Frame by frame and band by band; r, t [sample]."""
    x, y = (naive.hann_spectra(z, RATE, 0.03, 0.75) for z in (r, t))
    frames = np.lib.stride_tricks.sliding_window_view(r, 480)[::120][: len(x)]
    level = 20 * np.log10(np.sqrt((frames**2).mean(1) / (r**2).mean()))
    hz = np.arange(512) * RATE / 1024
    values = {}
    for name, inside in zip(LEVELS, (level >= 0, (level >= -10) & (level < 0), level < -10), strict=True):
        u, v = x[inside], y[inside]
        coherence = np.abs((u * v.conj()).sum(0)) ** 2 / ((np.abs(u) ** 2).sum(0) * (np.abs(v) ** 2).sum(0))
        scores = []
        for frame in np.abs(v) ** 2:
            total = 0.0
            for b in range(16):
                centre = speech_bands.CENTRES[b]
                g = 4 * centre / speech_bands.WIDTHS[b] * np.abs(1 - hz / centre)
                gains = (1 + g) * np.exp(-g)
                sdr = 10 * math.log10((gains @ (frame * coherence)) / (gains @ (frame * (1 - coherence))))
                total += speech_bands.IMPORTANCE[b] * min(max((sdr + 15) / 30, 0), 1)
            scores.append(total / speech_bands.IMPORTANCE[:16].sum())
        if scores:
            values[name] = float(np.mean(scores))
    return values


@compiled
def test_plain_formula() -> None:
    x = speech_like(RATE, 1.0, 1)
    for y in (added_noise(x, RATE, 0.1, 1), clipping(x, RATE, 0.9) + 1e-4 * noise(RATE, 1.0, 2)):
        for detail in ("value", "map"):
            result = csii(x, y, detail)
            expected = formula(x[0], y[0])
            assert dict(result.details) == pytest.approx(expected, rel=1e-9)
            assert result.value == result.details["mid"]


@compiled
def test_a_second_reading_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of recordings whose power spectra are too many to be cached."""
    x = speech_like(RATE, 1.0, 1)
    y = added_noise(x, RATE, 0.1, 1)
    once = csii(x, y)
    monkeypatch.setattr(coherence_levels, "CACHED", 0)
    assert dict(csii(x, y).details) == dict(once.details)


@compiled
def test_recorded_numbers() -> None:
    """pysepm at 7ef88af, csii(ref, deg, 16000). It has no number where a frame has no sound, or nothing is lacking."""
    counted = dict.fromkeys(LEVELS, 0)
    for name, ref, test, theirs in speech():
        found = csii(ref, test).details
        for level, value in zip(LEVELS, theirs["pysepm.csii(high,mid,low)"], strict=True):
            assert 0 <= found[level] <= 1
            if value != "nan":
                counted[level] += 1
                assert found[level] == pytest.approx(value, abs=1e-9), (name, level)
            elif "identity" in name or "polarity" in name:
                assert found[level] == 1
    if not any(counted.values()):
        pytest.skip("needs the folder ../shared beside the checkout")
    assert min(counted.values()) >= 75


@compiled
def test_filters_and_gain_are_not_heard() -> None:
    x = speech_like(RATE, 1.0, 1)
    y = added_noise(x, RATE, 0.1, 1)
    assert csii(x, gain(y, RATE, 1.0)).value == pytest.approx(csii(x, y).value, rel=1e-9)
    assert csii(x, low_pass(x, RATE, 0.3)).value > 0.99


@compiled
def test_profile_is_the_metric_there() -> None:
    x = speech_like(RATE, 1.0, 1)
    y = x.copy()
    y[:, 8000:] = added_noise(x, RATE, 0.1, 1)[:, 8000:]
    result = csii(x, y, "map")
    assert result.per_band is not None
    assert result.per_time is not None
    assert result.times is not None
    assert result.map is not None
    weights = coherence_levels.WEIGHTS
    assert result.per_band.shape == (16,)
    assert weights @ result.per_band == pytest.approx(result.value, rel=1e-12)
    assert np.nanmean(result.per_time) == pytest.approx(result.value, rel=1e-9)
    assert result.map[result.times > 0.52].sum() > 0.95
    assert not result.map[np.isnan(result.per_time)].any()


@compiled
def test_edges() -> None:
    x = speech_like(RATE, 0.6, 1)
    silent = silence(RATE, 0.6)
    assert csii(silent, x).reason == csii(silent, silent).reason == "the reference is silent"
    assert csii(x, silent).value == 0
    assert csii(x[:, :6399], x[:, :6399]).reason == "too short: 0.4 s are needed, there are 0.4 s"
    steady = np.tile([[0.5, -0.5]], 4000)
    assert "0 to 10 dB below" in (csii(steady, steady).reason or "")
    pause = silence(RATE, 0.3)
    both = csii(*(np.concatenate([z, pause], axis=1) for z in (x, added_noise(x, RATE, 0.1, 1))), "profile")
    assert both.per_time is not None
    assert np.isnan(both.per_time[-30:]).all(), "silence of both does not count"
    lost = x.copy()
    lost[:, 4000:] = 0
    assert csii(x, lost).value < csii(x, x).value == 1
