"""Another rate, the same sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim.dsp.resampling import to_rate
from audiosim.errors import InputError
from audiosim.signal import Signal

RATES = [(44100, 48000), (48000, 44100), (48000, 16000), (16000, 48000), (96000, 48000), (8000, 11025)]


def _tone(rate: int, frequency: float, seconds: float = 1.0) -> Any:
    """Fading in and out, as a start in full sound has no band limit."""
    t = np.arange(round(rate * seconds)) / rate
    return np.sin(2 * np.pi * frequency * t) * np.sin(np.pi * t / seconds) ** 2


@pytest.mark.parametrize(("before", "after"), RATES)
@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 1e-6), (np.float64, 1e-7)])
def test_a_sine_stays_where_it_is(before: int, after: int, dtype: Any, error: float) -> None:
    for frequency in (100, 500, 1500):
        heard = to_rate(Signal.of(_tone(before, frequency).astype(dtype), before, "a.wav"), after)
        assert heard.samples.dtype == dtype
        assert (heard.rate, heard.name, heard.length) == (after, "a.wav", after)
        assert np.abs(heard.samples[0] - _tone(after, frequency)).max() < error


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    heard = to_rate(Signal.of(_tone(48000, 12000), 48000), 16000)
    assert np.abs(heard.samples).max() < 1e-6


def test_channels_stay_apart() -> None:
    x = np.stack([_tone(48000, f) for f in (500, 1000, 2000)])
    heard = to_rate(Signal.of(x, 48000), 16000)
    assert heard.samples.flags.c_contiguous
    for channel, alone in zip(heard.samples, x, strict=True):
        assert np.array_equal(channel, to_rate(Signal.of(alone, 48000), 16000).samples[0])


def test_the_same_rate_is_the_same_object() -> None:
    signal = Signal.of(np.ones(10), 8000)
    assert to_rate(signal, 8000) is signal


def test_one_sample() -> None:
    assert to_rate(Signal.of([1.0], 8000), 48000).length == 6
    with pytest.raises(InputError, match=r"a\.wav: 1 samples? at 48000 Hz"):
        to_rate(Signal.of([1.0], 48000, "a.wav"), 8000)
