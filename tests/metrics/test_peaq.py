"""peaq: the numbers of GstPEAQ, the model's stages, and where it has no number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import compare
from audiosim.errors import UsageError
from audiosim.metrics import peaq, peaq_advanced
from audiosim.models.peaq import disturbance, fft_ear, network
from audiosim.testing.signals import (
    COMPILED,
    Array,
    added_noise,
    affordable,
    chord_music,
    low_pass,
    pink,
    silence,
    speech_like,
)
from tests import naive

RATE = 48000
compiled = pytest.mark.skipif(not COMPILED, reason="takes seconds of sound")


def answer(ref: Array, test: Array, spec: str = "peaq", rate: int = RATE, **options: Any) -> Any:
    return compare(ref, test, spec, rate, **options)[spec]


def stereo(seconds: float) -> tuple[Array, Array]:
    ref = np.concatenate([chord_music(RATE, seconds, 1), speech_like(RATE, seconds, 2)])
    test = np.concatenate([added_noise(ref[:1], RATE, 0.01, 3), 0.9 * low_pass(ref[1:], RATE, 0.3)])
    return ref, test


# GstPEAQ 0.6.1


def audiotestsrc(wave: str) -> Array:
    """128 buffers of GStreamer's `audiotestsrc wave=... freq=440`: 1024 samples each, volume 0.8, 48 kHz, float."""
    turn = (2 * np.pi * 440 / RATE * np.arange(1, 128 * 1024 + 1)) % (2 * np.pi)
    saw = np.where(turn < np.pi, turn, turn - 2 * np.pi) / np.pi
    triangle = 2 / np.pi * np.arcsin(np.sin(turn))
    x = 0.8 * {"sine": np.sin(turn), "saw": saw, "triangle": triangle}[wave]
    return np.asarray(x[None].astype(np.float32))


@compiled
@pytest.mark.parametrize(
    ("ref", "test", "odg"),
    [
        # what src/runtest-1.0.sh of GstPEAQ 0.6.1 expects of `gst-launch-1.0 audiotestsrc ... peaq`, printed to 0.001
        ("sine", "sine", 0.171),
        ("saw", "triangle", -2.007),
    ],
)
def test_the_self_test_of_gstpeaq(ref: str, test: str, odg: float) -> None:
    x, y = audiotestsrc(ref), audiotestsrc(test)
    assert answer(x, y).value == pytest.approx(odg, abs=1e-3)
    assert answer(np.repeat(x, 2, 0), np.repeat(y, 2, 0)).value == pytest.approx(odg, abs=1e-3)


# The formulas


@pytest.mark.parametrize("seconds", [1.5, 0.7, 0.5, 0.1] if COMPILED else [0.1])
@pytest.mark.parametrize("level", [92.0, 70.0])
def test_variables_are_their_plain_formulas(seconds: float, level: float) -> None:
    """Also of recordings too short to settle, and of fewer frames than a window has."""
    ref, test = stereo(seconds)
    plain = naive.peaq_variables(ref, test, level)
    details = answer(ref, test, f"peaq:level={level}").details
    assert {name: details[name] for name in plain} == pytest.approx(plain, rel=1e-9, abs=1e-12)


def test_a_sine_between_two_bins_has_the_playback_level() -> None:
    """1019.5 Hz at full scale: 92 dB SPL (BS.1387-1, 2.1.3)."""
    x = np.sin(2 * np.pi * 1019.5 / RATE * np.arange(4096))
    power, _ = naive.bark_power(x)
    assert 10 * np.log10(power[0].max()) == pytest.approx(92, abs=1e-4)


def test_bands_are_those_of_the_standard() -> None:
    """BS.1387-1, table 6: centres of 91.708, 115.216, 138.870, ... 17690.045 Hz."""
    ear = fft_ear.BarkEar.of()
    assert ear.bands == 109
    assert ear.centres[[0, 1, 2, -1]] == pytest.approx([91.708, 115.216, 138.870, 17690.045], abs=3e-3)
    np.testing.assert_allclose(ear.edges[[0, -1]], [80, 18000])
    np.testing.assert_allclose(ear.overlaps.sum(), (18000 - 80) / (RATE / 2048))


@pytest.mark.parametrize(("level", "sones"), [(40, 0.584), (50, 1.354)])
def test_loudness_of_a_tone(level: float, sones: float) -> None:
    """Not 1 sone at 40 dB: Kabal 2003 found 0.584 for 1 kHz as well."""
    x = 10 ** ((level - 92) / 20) * np.sin(2 * np.pi * 1000 / RATE * np.arange(round(RATE * affordable(1.0))))
    ear = fft_ear.BarkEar.of()
    n = min(fft_ear.BLOCK, fft_ear.count(x.size) - 1)
    blocks = fft_ear.listener(x, ear, n)
    assert disturbance.loudness(blocks(0, n).excitation, ear.centres)[-1] == pytest.approx(sones, abs=0.002)


def test_harmonics_of_an_error() -> None:
    """A comb of every 16th bin in the error has one, a level alone has none."""
    ref = np.ones((2, 1025))
    test = np.ones((2, 1025))
    test[0] *= 3
    test[1, ::16] = 2
    flat, comb = disturbance.harmonic_error(ref, test)
    assert flat < 1e-20
    assert comb > 1
    assert comb == pytest.approx(naive.peaq_harmonics(ref[1], test[1]), rel=1e-9)


def test_data_boundary() -> None:
    """Silent ends are dropped, silence between is not; the last sound is at sample 9999."""
    x = np.zeros((2, 20000))
    x[0, 5000] = 0.5
    x[1, 9999] = -0.5
    first, stop = fft_ear.data_boundary(x)
    assert first == (5000 - 4 + 5 - 2048 + 1023) // 1024
    assert stop == 9999 // 1024 + 1
    assert fft_ear.data_boundary(0 * x) == (0, 0)
    x[:, :] = 0.001
    assert fft_ear.data_boundary(x) == (0, 0), "5 neighbours come to 0.005, below 200 / 32768"
    assert fft_ear.data_boundary(2 * x) == (0, fft_ear.count(20000))


# What a user meets


@compiled
def test_what_is_imperceptible_and_what_is_annoying() -> None:
    ref = chord_music(RATE, 3.0, 1, 2)
    same, noisy = answer(ref, ref), answer(ref, added_noise(ref, RATE, 0.03, 1))
    assert 0.1 < same.value < 0.22
    assert same.details["MFPD"] == same.details["RelDistFrames"] == same.details["AvgModDiff1"] == 0
    assert noisy.value < -3


@pytest.mark.parametrize("rate", [8000, 44100])
def test_other_rates_are_resampled(rate: int) -> None:
    x = speech_like(rate, max(affordable(1.0), 0.1), 1)
    assert answer(x, x, rate=rate).value > 0
    assert answer(x, added_noise(x, rate, 0.3, 1), rate=rate).value < -1


def delayed(x: Array, samples: float) -> Array:
    """Later by so many samples, whole or not; what leaves at the end is kept."""
    padded = np.pad(x, ((0, 0), (2048, 4096)))
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(padded.shape[1]) * samples)
    y = np.fft.irfft(np.fft.rfft(padded) * turn, padded.shape[1])
    return np.asarray(y[:, 2048 : 2048 + x.shape[1] + int(np.ceil(samples))])


@compiled
@pytest.mark.parametrize("samples", [1, 0.5, 123.4, 2000])
def test_alignment_brings_a_delayed_pair_back(samples: float) -> None:
    ref = chord_music(RATE, 3.0, 1)
    test = added_noise(ref, RATE, 0.003, 2)
    apart, aligned = delayed(test, samples), answer(ref, delayed(test, samples), align="auto", length="trim")
    assert aligned.value == pytest.approx(answer(ref, test).value, abs=0.02)
    if samples > 1000:
        assert answer(ref, apart, length="trim").value < -3.5, "it aligns nothing by itself"


def test_lengths_may_differ_under_keep() -> None:
    ref, test = stereo(affordable(1.0))
    shorter = test[:, : test.shape[1] - 700]
    for a, b in ((ref, shorter), (shorter, ref)):
        n = shorter.shape[1]
        assert answer(a, b, length="keep").value == answer(a[:, :n], b[:, :n]).value


def test_a_channel_that_is_silent_in_both_is_left_out() -> None:
    ref, test = (x[:1] for x in stereo(affordable(1.0)))
    alone, with_silence = answer(ref, test), answer(*(np.concatenate([x, 0 * x]) for x in (ref, test)))
    assert with_silence.value == alone.value
    assert with_silence.details == alone.details
    assert with_silence.per_channel[0] == alone.value
    assert np.isnan(with_silence.per_channel[1])


def test_where_it_has_no_number_it_says_why() -> None:
    x, quiet = pink(RATE, 0.1, 1), silence(RATE, 0.1)
    for ref, test, reason in [
        (quiet, x, "the reference is silent"),
        (x, quiet, "never loud"),
        (x[:, :2000], x[:, :2000], "a frame takes 2048 samples at 48000 Hz, there are 2000"),
        (x[:, :1], x[:, :1], "there are 1"),
        (np.repeat(x, 6, 0), np.repeat(x, 6, 0), "mono and stereo only, these have 6 channels"),
    ]:
        result = answer(ref, test)
        assert result.status == "undefined"
        assert reason in str(result.reason)


@pytest.mark.parametrize("name", ["peaq", "nmr", "two-f"])
def test_level_is_a_level_of_sound(name: str) -> None:
    x = pink(RATE, 0.1, 1)
    with pytest.raises(UsageError, match="0 to 130, not 200"):
        answer(x, x, f"{name}:level=200")


def test_quieter_playback_hides_noise() -> None:
    x = speech_like(RATE, affordable(1.0), 1)
    y = added_noise(x, RATE, 0.01, 1)
    ratios = [answer(x, y, f"peaq:level={level}").details["TotalNMR"] for level in (92, 60, 30)]
    assert ratios == sorted(ratios, reverse=True)


def test_stereo_takes_the_better_ear_for_detection() -> None:
    ref = chord_music(RATE, affordable(1.0), 1, 2)
    test = np.concatenate([added_noise(ref[:1], RATE, 0.01, 3), low_pass(ref[1:], RATE, 0.3)])
    both = answer(ref, test).details
    alone = [answer(ref[c : c + 1], test[c : c + 1]).details for c in range(2)]
    assert both["MFPD"] >= max(a["MFPD"] for a in alone)
    for name in ("TotalNMR", "AvgModDiff1", "EHS", "RmsNoiseLoud"):
        assert both[name] == pytest.approx(np.mean([a[name] for a in alone]), rel=1e-12)


def test_network_on_the_edges_of_its_range() -> None:
    np.testing.assert_allclose(network.grade(-1e3), -3.98)
    np.testing.assert_allclose(network.grade(1e3), 0.22)
    for of in (peaq.NETWORK, peaq_advanced.GSTPEAQ, peaq_advanced.STANDARD):
        hidden = 1 / (1 + np.exp(-of.hidden_bias))
        lowest = of.index(of.least)
        np.testing.assert_allclose(lowest, of.output_bias + of.output @ hidden)
        assert of.index(of.least - 1, clamp=True) == lowest != of.index(of.least - 1)


# PQevalAudio (Kabal's Matlab code, NikolajAndersson/PEAQ bfa9b80) under Octave 7.3 with every Fs set to 44100, of
# steady_tones(): its variables in the order of the network, bandwidths in bins of 44100 / 2048 Hz. With Fs = 48000, at
# that rate, the two programs differ by as much as here.
AT_44100 = [
    *(442.918604651163, 442.918604651163, -17.3120450785179, 7.61739515175843, -0.118647858543334, 0.177063636151695),
    *(7.61428915226781, 21.4072876850707, 0.116185915000875, 0.552675658577438, 0.0),
]


def steady_tones() -> tuple[Any, Any]:
    """2 s at 44.1 kHz of tones that beat, and the same through a soft clipper and with noise, on a grid of 16 bit."""
    t, rng = np.arange(88200) / 44100, np.random.default_rng(5)
    hertz = (220, 440.7, 663, 1330, 2777, 5500, 9500)
    tones = sum(np.sin(2 * np.pi * f * t + k) / k for k, f in enumerate(hertz, 1))
    ref = 0.15 * tones * (0.6 + 0.4 * np.sin(2 * np.pi * 2.3 * t)) + 0.01 * rng.standard_normal(t.size)
    test = np.tanh(1.4 * ref) / 1.4 + 0.002 * rng.standard_normal(t.size)
    return tuple(np.round(x[None] * 32768) / 32768 for x in (ref, test))


def test_an_ear_for_44100_hz() -> None:
    found = compare(*steady_tones(), "peaq:ear=44.1k", 44100, detail="profile")["peaq:ear=44.1k"]
    variables = np.array([found.details[name] for name in peaq.NETWORK.names])
    variables[:2] *= 48000 / 44100
    assert variables == pytest.approx(AT_44100, rel=0.01)
    exact = [0, 1, 4]  # bandwidths and ADB
    assert variables[exact] == pytest.approx(np.array(AT_44100)[exact], rel=1e-6)
    assert np.diff(found.times) == pytest.approx(1024 / 44100)
    with pytest.raises(UsageError, match="has no gradient to train on"):
        peaq.twin(48000, peaq.Options(ear="44.1k"))
