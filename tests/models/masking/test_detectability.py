"""The detector of par: its two calibration points in sound, its stages against loops, what it does not depend on."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim import metrics
from audiosim.errors import UsageError
from audiosim.models.masking.detectability import Detector, calibrate, detectability
from audiosim.testing.signals import COMPILED, Array

RATES = [8000, 44100, 48000, 96000] if COMPILED else [8000]


def tone(rate: int, spl: float, level: float, hz: float = 1000.0, phase: float = 0.0) -> Array:
    t = np.arange(round((0.5 if COMPILED else 0.07) * rate)) / rate
    return np.asarray(10 ** ((spl - level) / 20) * np.sin(2 * np.pi * hz * t + phase))[None]


def detected(rate: int, ref: Array, error: Array, **options: float) -> float:
    return float(metrics.get("par").compute(ref, ref + error, rate, **options).value)


def quiet(khz: float) -> float:
    """Terhardt's threshold, dB SPL."""
    return float(3.64 * khz**-0.8 - 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("level", [92.0, 70.0])
def test_both_calibration_points_are_just_detectable(rate: int, level: float) -> None:
    for phase in (0.0, 1.0):
        silence = 0 * tone(rate, 0, level)
        threshold = tone(rate, quiet(1.0), level, phase=phase)
        assert detected(rate, silence, threshold, level=level) == pytest.approx(1.0, abs=0.01)
        masker, probe = tone(rate, 70, level, phase=phase), tone(rate, 52, level, phase=phase)
        assert detected(rate, masker, probe, level=level) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("frame", "bands"), [(0.02, 64), (0.04, 32), (0.1, 128)])
def test_calibration_holds_for_every_frame_and_filter_bank(frame: float, bands: int) -> None:
    rate = 16000
    for ref, error in ((tone(rate, -200, 92), tone(rate, quiet(1.0), 92)), (tone(rate, 70, 92), tone(rate, 52, 92))):
        ref, error = (np.tile(x, 1 if COMPILED else 2) for x in (ref, error))
        assert detected(rate, ref, error, frame=frame, bands=bands) == pytest.approx(1.0, abs=0.01)


def test_calibration_solves_both_equations() -> None:
    """Against the closed form of a bank of one filter, and by their terms for many."""
    masker, probe, silence = 1e7, 1.6e5, 2.2
    scale, noise = calibrate(np.array([silence]), np.array([masker]), np.array([probe]))
    assert scale == pytest.approx(masker / (probe - silence), rel=1e-12)
    assert noise == pytest.approx(scale * silence, rel=1e-12)
    shape = np.random.default_rng(1).uniform(0, 1, 50)
    scale, noise = calibrate(silence * shape, masker * shape, probe * shape)
    assert scale * (silence * shape).sum() / noise == pytest.approx(1, rel=1e-12)
    assert scale * (probe * shape / (masker * shape + noise)).sum() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("hz", [200.0, 500.0, 2000.0, 4000.0, 8000.0])
def test_tones_at_their_thresholds_in_quiet_are_about_just_detectable(hz: float) -> None:
    """The paper calibrates at 1 kHz alone; elsewhere the number of filters in reach and their spacing count."""
    rate = 48000
    found = detected(rate, 0 * tone(rate, 0, 92), tone(rate, quiet(hz / 1000), 92, hz))
    assert 10 * abs(np.log10(found)) < 1.5


def test_a_tone_masks_its_neighbours_and_less_far_away() -> None:
    """70 dB SPL at 1 kHz, 40 dB SPL at other places."""
    rate = 48000
    masker = tone(rate, 70, 92)
    found = [detected(rate, masker, tone(rate, 40, 92, hz)) for hz in (1000, 1100, 1300, 2000, 4000)]
    assert found == sorted(found)
    assert found[0] < 0.1
    assert found[-1] > 100


def test_the_kernel_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    masker, distortion = rng.exponential(1.0, (2, 3, 10))
    edges = np.array([0, 4, 10])
    out = np.empty((3, 2, 1))
    detectability(masker, distortion, 0.3, edges, out)
    quotients = 0.3 * distortion / (masker + 1)
    np.testing.assert_allclose(out[..., 0], np.stack([quotients[:, :4].sum(1), quotients[:, 4:].sum(1)], 1), rtol=1e-12)


def test_a_rate_that_holds_no_calibration_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="at least 4000 Hz") as error:
        Detector.of(2000, 92.0, 0.032, 64)
    assert "\n" not in str(error.value)
