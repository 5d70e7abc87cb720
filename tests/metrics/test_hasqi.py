"""HASQI: the original's numbers with the same noise and with its own, and the edges."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim import compare, metrics
from audiosim.judge import explain
from audiosim.match import Policy
from audiosim.models.haspi import impaired_ear
from audiosim.signal import Signal
from audiosim.testing.signals import COMPILED, added_tone, speech_like
from tests.metrics.test_haspi import IMPAIRED, formula

hasqi = metrics.get("hasqi")

pytestmark = pytest.mark.skipif(not COMPILED, reason="a quarter of a second takes uncompiled kernels minutes")


# pyclarity 0.9.0: hasqi_v2(x / rms(x), rate, y / rms(x), rate, Audiogram(levels, [250, 500, 1000, 2000, 4000, 6000]))


@pytest.mark.parametrize(
    ("rate", "losses", "value"),
    [
        (16000, "normal", 0.544443971267241),
        (16000, IMPAIRED, 0.2823997874424118),
        (16000, "S1", 0.24595626856432345),
        (24000, IMPAIRED, 0.2823206677386629),
        (48000, "S1", 0.24592522405544473),
    ],
)
def test_numbers_of_the_original_with_the_same_noise(rate: int, losses: str, value: float) -> None:
    """numpy.random.standard_normal replaced by impaired_ear.noise() there, over and over."""
    assert hasqi.compute(*formula(rate), rate, audiogram=losses).value == pytest.approx(value, abs=2e-4)


@pytest.mark.parametrize(
    ("losses", "values"),
    [
        ("normal", (0.5444410411832687, 0.5444423720732402, 0.54444359461697)),
        (IMPAIRED, (0.2824054517624058, 0.282376984447588, 0.28232163328062515)),
    ],
)
def test_numbers_of_the_original_with_its_own_noise(losses: str, values: tuple[float, ...]) -> None:
    """numpy.random.seed(0), 1 and 2 there."""
    assert hasqi.compute(*formula(16000), 16000, audiogram=losses).value == pytest.approx(np.mean(values), abs=2e-4)


def test_details_are_the_parts() -> None:
    """pyclarity with our noise; see above."""
    result = hasqi.compute(*formula(16000), 16000)
    wanted = [0.576847, 0.943828, 0.805988, 0.88798, 0.954951, 0.92853]
    assert list(result.details.values()) == pytest.approx(wanted, abs=2e-4)
    assert list(result.details) == ["nonlinear", "linear", "cepstral", "fine", "loudness", "slope"]
    nonlinear, linear, cepstral, fine, *_ = result.details.values()
    assert result.value == nonlinear * linear
    assert nonlinear == cepstral**2 * fine


def test_a_reference_with_the_prescribed_gain() -> None:
    """The gain lies in the reference: worse without the metric's own, better with it on a test that has none."""
    ref, test = formula(24000)
    taps = impaired_ear.gain_prescribed((35.0, 35.0, 40.0, 50.0, 60.0, 65.0))
    assert taps is not None
    amplified = np.convolve(ref[0], taps)[70 : 70 + ref.shape[1]][None]
    level = 65 - 10 * np.log10(2 * np.mean(ref**2))
    own = hasqi.compute(ref, amplified, 24000, audiogram="N3", level=level).value
    given = hasqi.compute(amplified, amplified, 24000, audiogram="N3", level=level, equalised=True).value
    assert own == pytest.approx(given, abs=0.05)
    assert own > hasqi.compute(ref, test, 24000, audiogram="N3", level=level).value


# Edges


def test_long_recordings_are_heard_twice_and_short_ones_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = formula(16000)
    cached = hasqi.compute(*pair, 16000, detail="map")
    monkeypatch.setattr(impaired_ear, "CACHED", 0)
    again = hasqi.compute(*pair, 16000, detail="map", threads=2)
    assert again.value == pytest.approx(cached.value, abs=1e-6)
    np.testing.assert_allclose(again.map, cached.map, atol=1e-5)


@pytest.mark.parametrize("size", [7999, 8000, 8001, 8063, 8064, 8065, 8127, 8128, 8129, 8191, 8192, 8193])
def test_any_length(size: int) -> None:
    """Around the ends of segments and blocks, cached or not."""
    x = speech_like(24000, 0.5)[:, :size]
    assert hasqi.compute(x, 0.9 * x, 24000).value > 0.9


def test_silence_has_a_reason_and_a_silent_test_no_quality() -> None:
    x = speech_like(16000, 0.5)
    assert hasqi.compute(0 * x, x, 16000).reason == "the reference is silent"
    assert hasqi.compute(x, 0 * x, 16000).value == 0
    assert hasqi.compute(x, x, 16000, level=0.0).reason == "this ear does not hear the reference"
    click = np.zeros((1, 16000))
    click[0, 8000] = 0.5
    assert hasqi.compute(click, click, 16000).reason == "the reference is silent but for a moment"
    result = compare(np.concatenate([x, 0 * x]), np.concatenate([x, x]), "hasqi", rate=16000)["hasqi"]
    assert result.reason == "channel 2: the reference is silent"


def test_explained_where_it_is() -> None:
    x = speech_like(16000, 2.0)
    y = x.copy()
    y[:, 16000:20000] = added_tone(x, 16000, 1.0, frequency=1000)[:, 16000:20000]
    found = explain.explain(Signal.of(x, 16000), Signal.of(y, 16000), "hasqi", Policy())
    worst = found.regions[0]
    assert worst.start == pytest.approx(1.0, abs=0.1)
    assert worst.low < 1000 < worst.high
