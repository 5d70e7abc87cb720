"""wss: what is known of it. pysepm's numbers: tests/metrics/test_agreement.py; its formula: test_definitions.py."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim import compare
from audiosim.errors import UsageError
from audiosim.result import Result
from audiosim.testing.signals import Array, added_noise, gain, low_pass, noise, silence, speech_like

RATE = 16000


def wss(ref: Array, test: Array, options: str = "", detail: str = "value") -> Result:
    spec = f"wss{options}"
    return compare(ref, test, spec, RATE, detail=detail)[spec]  # type: ignore[arg-type]


def test_level_and_polarity_are_not_heard_but_shape_is() -> None:
    x = noise(RATE, 0.2, 1)
    assert wss(x, gain(-x, RATE, 1.0)).value == pytest.approx(0, abs=1e-12)
    assert wss(x, low_pass(x, RATE, 0.8)).value > 20


def test_mean_of_the_lowest_frames() -> None:
    x = speech_like(RATE, 0.4, 1)
    y = added_noise(x, RATE, 0.1, 1)
    frames = wss(x, y, detail="profile").per_time
    assert frames is not None
    for keep in (0.95, 0.5, 1.0):
        expected = np.sort(frames)[: round(keep * frames.size)].mean()
        assert wss(x, y, f":keep={keep}").value == pytest.approx(expected, rel=1e-12)


def test_map_says_where_slopes_differ() -> None:
    """Silence is flat: a step of 40 dB between two bands lies in these two."""
    t = np.arange(3200) / RATE
    x = sum(np.sin(2 * np.pi * (hz + 7.8) * t + hz) for hz in np.arange(31.25, 3900, 15.625))[None] / 100
    spectrum = np.fft.rfft(x)
    spectrum[:, np.fft.rfftfreq(x.shape[1], 1 / RATE) > 1500] *= 0.01
    result = wss(x, np.fft.irfft(spectrum), detail="map")
    assert result.per_band is not None
    assert result.bands is not None
    assert result.map is not None
    assert result.bands.size == 25
    assert abs(result.bands[np.argmax(result.per_band)] - 1500) < 250
    assert result.map.sum() == pytest.approx(result.value, rel=1e-9)
    near = np.abs(result.bands - 1500) < 350
    assert result.map[:, near].sum() > 0.8 * result.value


def test_edges() -> None:
    x, silent = speech_like(RATE, 0.2, 1), silence(RATE, 0.2)
    assert wss(silent, x).reason == wss(silent, silent).reason == "the reference is silent"
    assert wss(x, silent).value > 0
    half = x.copy()
    half[:, 1600:] = 0
    frames = wss(half, half.copy(), detail="profile").per_time
    assert frames is not None
    assert not frames.any()
    assert wss(x[:, :599], x[:, :599]).reason == "too short: two frames take 600 samples, there are 599"
    for options, says in (
        (":keep=0", "keep must be above 0 to 1"),
        (":frame=0", "frame must be above 0"),
        (":overlap=1", "overlap must be 0 to below 1"),
        (":frame=1e-5", "frame of 0 samples"),
    ):
        with pytest.raises(UsageError, match=says):
            wss(x, x, options)
