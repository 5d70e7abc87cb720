"""The loudness stage: published thresholds and loudnesses, calibration, the same at every rate and in torch."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from audiosim import engine
from audiosim.errors import UsageError
from audiosim.hearing.loudness import EXPONENT, Ear, erb, filters, internal_noise, transmission
from audiosim.hearing.scales import erb_rate
from audiosim.testing.signals import COMPILED, Array, noise, pink
from tests import naive

RATES = [8000, 16000, 22050, 44100, 48000, 96000]

# ISO 389-7:2005, table 1, free field: Hz, dB SPL
ISO_389_7 = {
    **{31.5: 59.5, 40: 51.1, 50: 44.0, 63: 37.5, 80: 31.5, 100: 26.5, 125: 22.1, 160: 17.9, 200: 14.4, 250: 11.4},
    **{315: 8.6, 400: 6.2, 500: 4.4, 630: 3.0, 800: 2.2, 1000: 2.4, 1250: 3.5, 1600: 1.7, 2000: -1.3, 2500: -4.2},
    **{3150: -6.0, 4000: -5.4, 5000: -1.5, 6300: 6.0, 12500: 12.3, 14000: 18.4},
}


def spectra(x: Array, ear: Ear, frames: int = 4) -> Array:
    """Of frames from the start of x [sample], nothing before it: complex [1, frame, bin]."""
    n, w, hop = ear.stft.n_fft, ear.stft.window.size, ear.stft.hop
    y = np.zeros((1, frames, n), x.dtype)
    side = (n - w) // 2
    for i in range(frames):
        y[0, i, side : side + w] = x[i * hop : i * hop + w] * ear.stft.window
    return engine.fft.rfft(y)


def tone(hz: float, level: float, rate: int = 48000, full_scale: float = 92.0) -> Array:
    return np.asarray(10 ** ((level - full_scale) / 20) * np.sin(2 * np.pi * hz * np.arange(rate // 4) / rate))


@cache
def loudness(hz: float, level: float, rate: int = 48000) -> float:
    """Of a tone, in the stage's own unit times ERB."""
    ear = Ear.of(rate)
    return float(0.5 * ear.loudness(np.float64)(spectra(tone(hz, level, rate), ear)).sum(-1).mean())


def test_threshold_in_quiet_is_the_published_one() -> None:
    """PEAQ's two curves together are Terhardt's threshold, which leaves out the ear canal's dip near 9 kHz."""
    f = np.array(list(ISO_389_7))
    threshold = internal_noise(f) - transmission(f)
    assert np.abs(threshold - np.array(list(ISO_389_7.values()))).max() < 5.0


@pytest.mark.parametrize("hz", [250.0, 1000.0, 4000.0, 10000.0])
def test_a_tone_at_its_threshold_has_the_excitation_of_the_threshold(hz: float) -> None:
    """In the nearest band, which lies up to a quarter of an ERB away, less what the frame's window spreads."""
    ear, f = Ear.of(48000), np.array(hz)
    heard = ear.excitation(np.float64)(spectra(tone(hz, float(internal_noise(f) - transmission(f))), ear))
    assert 10 * np.log10(heard.mean(axis=(0, 1)).max()) == pytest.approx(0.0, abs=1.0)


def test_loudness_of_a_tone_is_the_published_one() -> None:
    """ISO 532-3:2023 (MalcolmSlaney/LoudnessModel, peak long-term loudness of a diotic 1 kHz tone of 1 s)."""
    sone = loudness(1000.0, 40.0)
    assert sone == pytest.approx(13.2, abs=0.05)
    for level, sones in ((40.0, 0.998), (60.0, 4.107), (80.0, 15.24)):
        assert loudness(1000.0, level) / sone == pytest.approx(sones, rel=0.1)


def test_ten_decibels_double_the_loudness() -> None:
    """Stevens 1955: above 40 dB, by a factor of two; faster near the threshold."""
    levels = np.arange(0.0, 91.0, 10.0)
    growth = np.exp(np.diff(np.log([loudness(1000.0, float(level)) for level in levels])))
    assert (np.diff(growth) < 0).all()
    assert growth[0] > 4
    assert (growth[4:] > 1.7).all()
    assert (growth[4:] < 2.1).all()
    assert loudness(1000.0, 90.0) / loudness(1000.0, 40.0) == pytest.approx(2**5, rel=0.25)


def test_equal_power_is_louder_over_a_wider_band() -> None:
    """Zwicker, Flottorp and Stevens 1957: the same within a critical band (220 Hz here), growing beyond."""
    ear, rng = Ear.of(16000), np.random.default_rng(1)
    n = 4 * ear.stft.window.size
    f = np.fft.rfftfreq(n, 1 / 16000)
    phases = np.exp(2j * np.pi * rng.random(f.size))
    heard = []
    for width in (50.0, 100.0, 200.0, 1000.0, 2000.0):
        band = np.fft.irfft(np.where(np.abs(f - 1500) < width / 2, phases, 0))
        x = band * 10 ** ((60 - 92) / 20) / np.sqrt(2 * np.mean(band**2))
        heard.append(ear.loudness(np.float64)(spectra(x, ear)).sum(-1).mean())
    assert heard[1:3] == pytest.approx([heard[0]] * 2, rel=0.05)
    assert heard[3] > 1.5 * heard[0]
    assert heard[4] > 2.0 * heard[0]


def test_filters_are_one_erb_wide_and_half_an_erb_apart() -> None:
    ear = Ear.of(48000)
    np.testing.assert_allclose(np.diff(erb_rate(ear.centres)), 0.5, rtol=1e-9)
    assert ear.centres[0] == pytest.approx(50.0)
    assert 17000 < ear.centres[-1] <= 18000
    f = np.arange(0.0, 24000.0, 0.5)
    areas = filters(f, ear.centres)[:-12].sum(axis=1) * 0.5
    np.testing.assert_allclose(areas[4:], erb(ear.centres)[4:-12], rtol=2e-3)  # the lowest reach below 0 Hz


@pytest.mark.parametrize("rate", RATES)
def test_a_sound_is_as_loud_at_every_rate(rate: int) -> None:
    ear = Ear.of(rate)
    assert ear.stft.window.size / rate == pytest.approx(4096 / 44100, rel=2e-3)
    assert ear.stft.window.size == 4 * ear.stft.hop
    assert ear.centres[-1] <= rate / 2
    assert loudness(1000.0, 60.0, rate) == pytest.approx(loudness(1000.0, 60.0), rel=5e-3)


def test_level_is_that_of_a_full_scale_sine() -> None:
    for level in (70.0, 92.0, 100.0):
        ear = Ear.of(48000, level)
        specific = ear.loudness(np.float64)(spectra(tone(1000.0, 60.0, 48000, level), ear))
        assert 0.5 * specific.sum(-1).mean() == pytest.approx(loudness(1000.0, 60.0), rel=1e-9)


def test_it_is_its_plain_formula() -> None:
    for rate in (8000, 22050, 48000) if COMPILED else (8000,):
        ear, x = Ear.of(rate), pink(rate, 0.2, 1)[0]
        plain = naive.specific_loudness(x, rate)
        n, w = ear.stft.n_fft, ear.stft.window.size
        padded = np.pad(x, (w // 2, n))
        found = ear.loudness(np.float64)(spectra(padded, ear, len(plain)))[0]
        np.testing.assert_allclose(found, plain, rtol=1e-9, atol=1e-12)


def test_specific_loudness_is_compressed_excitation() -> None:
    ear = Ear.of(16000)
    for dtype in (np.float32, np.float64):
        z = spectra(noise(16000, 0.5, 1)[0].astype(dtype), ear)
        excitation = ear.excitation(dtype)(z)
        assert excitation.dtype == dtype
        specific = ear.loudness(dtype)(z)
        assert specific.dtype == np.float64
        np.testing.assert_allclose(specific, (1.0 + excitation.astype(np.float64)) ** EXPONENT - 1.0, rtol=1e-12)
    silent = ear.loudness(np.float64)(np.zeros((2, 3, ear.stft.bins), complex))
    assert not silent.any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_text_is_the_same(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    from audiosim.hearing.tensors import specific_loudness

    rate = 16000
    for scale in (1e-6, 1e-3, 1.0, 5.0):
        x = (scale * pink(rate, 0.3, 2)).astype(dtype)
        found = specific_loudness(Ear.of(rate))(torch.as_tensor(x))[0].numpy()
        assert found.dtype == dtype
        plain = naive.specific_loudness(x[0].astype(np.float64), rate)
        np.testing.assert_allclose(found, plain, rtol=1e-9 if dtype == "float64" else 1e-4, atol=1e-6 * plain.max())


def test_one_object_for_one_rate_and_level() -> None:
    assert Ear.of(48000) is Ear.of(48000, 92)
    assert Ear.of(48000) is not Ear.of(48000, 93.0)


def test_a_rate_without_filters_is_refused() -> None:
    with pytest.raises(UsageError, match="100 Hz") as error:
        Ear.of(99)
    assert "\n" not in str(error.value)
