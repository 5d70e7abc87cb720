"""Weightings hit the values of their standards, and filter as they say."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import scipy.signal

from audiosim.errors import UsageError
from audiosim.hearing import weighting
from audiosim.hearing.weighting import Weighted
from audiosim.testing.signals import Array, affordable, noise, pink, sine
from tests import naive

RATE = 48000
ALL = get_args(weighting.Weighting.__origin__)  # type: ignore[attr-defined]
CURVES = [w for w in ALL if w not in ("none", "hp", "fd")]
TWO_TAPS = {"none": [1], "hp": [1, -0.85], "fd": [1, 0, -0.85]}


def level(name: str, hz: Any, rate: int = RATE) -> Array:
    """dB."""
    with np.errstate(divide="ignore"):
        return np.asarray(20 * np.log10(weighting.magnitude(name, np.asarray(hz, dtype=np.float64), rate)))


# IEC 61672-1:2013, table 3 (B: IEC 60651:1979), at exact base-ten frequencies 1000 * 10^(n/10)
NOMINAL = {  # n: (A, B, C) in dB
    -20: (-70.4, -38.2, -14.3),
    -17: (-50.5, -24.2, -6.2),
    -15: (-39.4, -17.1, -3.0),
    -13: (-30.2, -11.6, -1.3),
    -10: (-19.1, -5.6, -0.3),
    -7: (-10.9, -2.0, 0.0),
    -3: (-3.2, -0.3, 0.0),
    0: (0.0, 0.0, 0.0),
    3: (1.2, -0.1, -0.2),
    6: (1.0, -0.7, -0.8),
    9: (-1.1, -2.9, -3.0),
    10: (-2.5, -4.3, -4.4),
    13: (-9.3, -11.1, -11.2),
}


@pytest.mark.parametrize("n", NOMINAL)
def test_a_b_c(n: int) -> None:
    for name, decibels in zip("abc", NOMINAL[n], strict=True):
        assert float(level(name, 1000 * 10 ** (n / 10))) == pytest.approx(decibels, abs=0.055), name  # given to 0.1


# ITU-R BS.1770-4, tables 1 and 2: both filters at 48 kHz
SHELF = ([1.53512485958697, -2.69169618940638, 1.19839281085285], [1, -1.69065929318241, 0.73248077421585])
HIGH_PASS = ([1, -2, 1], [1, -1.99004745483398, 0.99007225036621])


def test_k_is_that_of_the_published_coefficients() -> None:
    f = np.linspace(1, RATE / 2, 5000)
    published = np.abs(
        scipy.signal.freqz(*SHELF, worN=f, fs=RATE)[1] * scipy.signal.freqz(*HIGH_PASS, worN=f, fs=RATE)[1]
    )
    np.testing.assert_allclose(weighting.magnitude("k", f, RATE), published, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("rate", [32000, 44100, 48000, 96000, 192000])
def test_k_at_other_rates(rate: int) -> None:
    """Computed from the coefficients above at 48 kHz. The numerator 1, -2, 1 amplifies by up to 0.04 dB, less at higher
    rates; the bilinear transform bends only what lies near the top."""
    for hz, decibels in ((100, -1.13), (500, 0.04), (1000, 0.70), (2000, 3.07), (10000, 4.04)):
        assert float(level("k", hz, rate)) == pytest.approx(decibels, abs=0.04)


@pytest.mark.parametrize(
    ("hz", "decibels"),
    [(31.5, -29.9), (100, -19.8), (400, -7.8), (1000, 0), (2000, 5.6), (6300, 12.2), (10000, 8.1), (20000, -22.2)],
)
def test_itu468(hz: float, decibels: float) -> None:
    """ITU-R BS.468-4, table 1."""
    assert float(level("itu468", hz)) == pytest.approx(decibels, abs=0.06)


CONTOUR = [(20, 99.85), (100, 64.37), (1000, 40.01), (3150, 35.61), (12500, 51.49)]  # 40 phon


@pytest.mark.parametrize(("hz", "spl"), CONTOUR)
def test_iso226(hz: float, spl: float) -> None:
    """ISO 226:2003, the 40 phon contour upside down, re 1 kHz."""
    f, levels = weighting.equal_loudness(40)
    assert f.shape == levels.shape == (29,)
    assert float(levels[f == hz][0]) == pytest.approx(spl, abs=0.01)
    assert float(level("iso226", hz)) == pytest.approx(40.01 - spl, abs=0.02)


def test_iso226_at_its_reference_and_beyond_its_table() -> None:
    for phon in (20, 40, 60, 80):
        f, levels = weighting.equal_loudness(phon)
        assert float(levels[f == 1000][0]) == pytest.approx(phon, abs=0.05)
    assert level("iso226", [0, 1, 19]).tolist() == level("iso226", [20] * 3).tolist()
    assert level("iso226", [13000, 24000]).tolist() == level("iso226", [12500] * 2).tolist()


@pytest.mark.parametrize(("hz", "decibels"), [(0, -np.inf), (1000, -1.9131), (3300, 5.5861), (10000, -4.3272)])
def test_bs1387(hz: float, decibels: float) -> None:
    """By hand from BS.1387-1, annex 2, eq. 8."""
    assert float(level("bs1387", hz)) == pytest.approx(decibels, abs=0.001)


def test_low_passed_a() -> None:
    """Wright and Valimaki 2020: A, then 1 + 0.85 z^-1."""
    f = np.array([0, 100, 1000, 24000])
    low_pass = np.abs(1 + 0.85 * np.exp(-2j * np.pi * f / RATE))
    expected = weighting.magnitude("a", f, RATE) * low_pass
    np.testing.assert_allclose(weighting.magnitude("aw-lp", f, RATE), expected, rtol=1e-12)
    assert float(level("aw-lp", 24000)) == pytest.approx(float(level("a", 24000)) + 20 * np.log10(0.15), abs=1e-9)


@pytest.mark.parametrize("name", [w for w in ALL if w != "auraloss-aw"])
@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_magnitudes(name: str, rate: int) -> None:
    """Finite from 0 Hz to half the rate, and those of the plain formulas."""
    f = np.linspace(0, rate / 2, 2001)
    gain = weighting.magnitude(name, f, rate, 0.7)
    assert gain.shape == f.shape
    assert np.isfinite(gain).all()
    assert (gain >= 0).all()
    if name in TWO_TAPS:
        plain = np.abs(np.polyval([-0.7 if c < 0 else c for c in TWO_TAPS[name]][::-1], np.exp(-2j * np.pi * f / rate)))
    else:
        plain = naive.curve(name, f, rate, 0.7)
    np.testing.assert_allclose(gain, plain, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [1, 2, 101, 4801])
def test_length_and_type_are_kept(name: str, dtype: type, length: int) -> None:
    x = noise(RATE, length / RATE)[0].astype(dtype)
    before = x.copy()
    y = weighting.weigh(x, RATE, name)
    assert y.dtype == dtype
    assert y.shape == x.shape
    assert y.flags.c_contiguous
    assert np.isfinite(y).all()
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("name", CURVES)
def test_linear_and_zero_phase(name: str) -> None:
    x, y = noise(RATE, 0.1, channels=2)
    both = weighting.weigh(2 * x - 3 * y, RATE, name)
    np.testing.assert_allclose(
        both, 2 * weighting.weigh(x, RATE, name) - 3 * weighting.weigh(y, RATE, name), atol=1e-13
    )
    backwards = weighting.weigh(x[::-1].copy(), RATE, name)[::-1]
    np.testing.assert_allclose(backwards, weighting.weigh(x, RATE, name), atol=1e-13)
    impulse = np.zeros(4801)
    impulse[2400] = 1
    response = weighting.weigh(impulse, RATE, name)
    np.testing.assert_allclose(response, response[::-1], atol=1e-13)
    assert response.argmax() == 2400
    assert not weighting.weigh(np.zeros(100), RATE, name).any()


@pytest.mark.parametrize("name", [c for c in CURVES if c != "auraloss-aw"])
@pytest.mark.parametrize("hz", [100.0, 1000.0, 9000.0])
def test_a_tone_takes_the_gain_of_its_frequency(name: str, hz: float) -> None:
    x = sine(RATE, 1.0, frequency=hz)[0]
    y = weighting.weigh(x, RATE, name)
    middle = slice(RATE // 4, -RATE // 4)
    gain = float(weighting.magnitude(name, np.array([hz]), RATE)[0])
    np.testing.assert_allclose(y[middle], gain * x[middle], rtol=0, atol=2e-4 * gain)


@pytest.mark.parametrize("name", [c for c in CURVES if c != "auraloss-aw"])
def test_longer_padding_changes_little(name: str) -> None:
    """What wraps around the FFT is far below what float32 samples resolve of speech."""
    x = pink(RATE, 0.5)[0]
    n = 1 << 20
    gain = weighting.magnitude(name, np.fft.rfftfreq(n, 1 / RATE), RATE)
    exact = np.fft.irfft(np.fft.rfft(x, n) * gain, n)[: x.size]
    error = weighting.weigh(x, RATE, name) - exact
    assert np.sqrt(np.mean(error**2)) < 2e-5 * np.sqrt(np.mean(exact**2))


def testauraloss_taps() -> None:
    """Direct convolution with the taps, zeros beyond both ends, centred."""
    taps = weighting.auraloss_taps(44100).astype(np.float64)
    assert taps.shape == (101,)
    np.testing.assert_array_equal(taps, taps[::-1])
    for length in (1, 30, 101, 5000):
        x = noise(44100, length / 44100)[0]
        direct = np.convolve(x, taps)[50 : 50 + length]
        np.testing.assert_allclose(weighting.weigh(x, 44100, "auraloss-aw"), direct, rtol=0, atol=1e-13)
    response = 20 * np.log10(np.abs(scipy.signal.freqz(taps, worN=[20, 1000, 12000], fs=44100)[1]))
    error = response - level("a", [20, 1000, 12000])
    np.testing.assert_allclose(error, [30.6, 0, -2.9], atol=0.3)  # why it is offered for comparison only


@pytest.mark.parametrize("name", ALL)
def test_streams(name: str) -> None:
    ref, test = noise(RATE, affordable(0.2), 1, 2), noise(RATE, affordable(0.2), 2, 2)
    pairs = weighting.streams(ref, test, RATE, Weighted(weighting=name))
    assert len(pairs) == 2
    for channel, pair in enumerate(pairs):
        for stream, x in zip(pair, (ref[channel], test[channel]), strict=True):
            y = naive.filtered(stream.samples, float(stream.coef), stream.lag)
            np.testing.assert_allclose(y, naive.weighted(x, RATE, name), rtol=0, atol=1e-13)
            assert stream.length == x.size + {"hp": 1, "fd": 2}.get(name, 0)
            if name in TWO_TAPS:
                assert np.shares_memory(stream.samples, x), "nothing is copied"


def test_streams_of_mid_and_side() -> None:
    ref, test = noise(RATE, 0.01, 1, 2), noise(RATE, 0.01, 2, 2)
    mid, side = weighting.streams(ref, test, RATE, Weighted(mid_side=True))
    np.testing.assert_array_equal(mid[0].samples, ref[0] + ref[1])
    np.testing.assert_array_equal(side[0].samples, ref[0] - ref[1])
    np.testing.assert_array_equal(side[1].samples, test[0] - test[1])


def test_streams_are_of_one_type() -> None:
    ref, test = noise(RATE, 0.01, 1, 2).astype(np.float32), noise(RATE, 0.01, 2, 2)
    for pair in weighting.streams(ref, test, RATE, Weighted(weighting="hp")):
        assert {s.samples.dtype for s in pair} == {np.dtype(np.float64)}
    for pair in weighting.streams(ref, ref, RATE, Weighted(weighting="hp")):
        assert {(s.samples.dtype, s.dtype) for s in pair} == {(np.dtype(np.float32), np.dtype(np.float64))}


@pytest.mark.parametrize(
    ("name", "coef", "mid_side", "channels", "said"),
    [
        ("d", 0.85, False, 1, "weighting is none, hp, .*, not 'd'"),
        ("hp", 1.01, False, 1, "coef must be 0 to 1, not"),
        ("hp", -0.1, False, 1, "coef must be 0 to 1, not"),
        ("none", 0.85, True, 1, "mid_side needs stereo, these have 1 channel$"),
        ("none", 0.85, True, 3, "these have 3 channels"),
    ],
)
def test_impossible_streams(name: str, coef: float, mid_side: bool, channels: int, said: str) -> None:
    x = noise(RATE, 0.01, channels=channels)
    with pytest.raises(UsageError, match=said):
        weighting.streams(x, x, RATE, Weighted(weighting=name, coef=coef, mid_side=mid_side))
