"""Zwicker loudness: the stages against plain formulas, Annex B of ISO 532-1, MoSQITo."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import scipy.signal

from audiosim.errors import UsageError
from audiosim.models import zwicker as zwicker
from audiosim.testing.signals import COMPILED, Array, affordable, noise

RATE = 48000
RNG = np.random.default_rng(7)

compiled = pytest.mark.skipif(not COMPILED, reason="seconds of sound")


def n5(loudness: Array) -> float:
    return float(np.percentile(loudness, 95))


# The stages


def test_third_octaves_are_filtered_squared_and_smoothed() -> None:
    x = noise(RATE, affordable(0.1))[0]
    found = zwicker._ThirdOctaves(94.0, smooth=True).hear(x)
    gain, poles = zwicker.filters()
    pascal = x * np.sqrt(2) * 10 ** (94 / 20) * 2e-5
    for k in (0, 7, 16, 27):
        sections = [[*b, 1, *a] for b, a in zip(zwicker.SECTIONS, poles[k], strict=True)]
        y = (gain[k] * scipy.signal.sosfilt(sections, pascal)) ** 2
        leak = np.exp(-1 / (RATE * 2 / (3 * min(zwicker.centres()[k], 1000))))
        for _ in range(3):
            y = scipy.signal.lfilter([1 - leak], [1, -leak], y)
        np.testing.assert_allclose(found[:, k], y[::24] / 4e-10, rtol=1e-6, atol=1e-6 * y.max() / 4e-10)


@compiled
def test_filters_pass_their_band() -> None:
    gain = np.abs(zwicker._responses(zwicker.centres())).diagonal()
    np.testing.assert_allclose(20 * np.log10(gain), 0, atol=0.3)
    edges = np.abs(zwicker._responses(zwicker.centres() * 10**0.05)).diagonal()
    np.testing.assert_allclose(20 * np.log10(edges[:25]), -3, atol=0.5)  # higher ones are bent by half the rate


@pytest.mark.parametrize("field", ["free", "diffuse"])
def test_core_loudness_is_its_formula_in_decibels(field: str) -> None:
    levels = RNG.uniform(-20, 118, (60, 28))
    found = zwicker.Tables.of(field).core(10 ** (levels / 10))
    low, bands = zwicker._table("iso532_1_low.csv"), zwicker._table("iso532_1_bands.csv")
    for level, core in zip(levels, found, strict=True):
        corrected = []
        for i in range(11):
            below = [j for j in range(7) if level[i] <= low[j, 0] - low[j, 1 + i]]
            corrected.append(10 ** ((level[i] + low[below[0] if below else 7, 1 + i]) / 10))
        critical = [10 * np.log10(sum(corrected[a:b])) for a, b in ((0, 6), (6, 9), (9, 11))] + list(level[11:])
        for k, (_, threshold, attenuation, diffuse, bandwidth) in enumerate(bands):
            heard = critical[k] - attenuation + (diffuse if field == "diffuse" else 0)
            expected = 0.0
            if heard > threshold:
                excess = 10 ** ((heard - bandwidth - threshold) / 10)
                expected = max(0.0, 0.0635 * 10 ** (0.025 * threshold) * ((0.75 + 0.25 * excess) ** 0.25 - 1))
            if k == 0:
                expected *= min(1.0, 0.4 + 0.32 * expected**0.2)
            assert core[k] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def network(sounds: Array) -> list[float]:
    """Two capacitors, charged at once, discharged through each other; per 1/48000 s."""
    short, long, variable, step = 0.005, 0.015, 0.075, 1 / 48000
    p, q = (variable + long) / (variable * short), 1 / (short * variable)
    one, two = -p / 2 + np.sqrt(p * p / 4 - q), -p / 2 - np.sqrt(p * p / 4 - q)
    e1, e2 = np.exp(one * step), np.exp(two * step)
    d1, d2, size = variable * one + 1, variable * two + 1, variable * (one - two)
    output = memory = 0.0
    heard = []
    for sound in sounds:
        if sound < output:
            if output > memory:
                drained = (output * (e1 - e2) - memory * (d2 * e1 - d1 * e2)) / size
                output = max(sound, (output * (d1 * e1 - d2 * e2) - memory * d1 * d2 * (e1 - e2)) / size)
                memory = min(drained, output)
            else:
                memory = output = max(sound, output * np.exp(-step / long))
        else:
            same = abs(sound - output) < 1e-5 and sound <= memory
            memory = sound if same else sound + (memory - sound) * np.exp(-step / variable)
            output = sound
        heard.append(output)
    return heard


def test_decay_is_that_of_the_network() -> None:
    core = np.maximum(0, np.repeat(RNG.normal(1, 2, (8, 20)), 9, axis=0) + 0.01 * RNG.normal(0, 1, (72, 20)))
    found = core.copy()
    state = np.zeros(60)
    for start, stop in ((0, 1), (1, 30), (30, 72)):  # in blocks
        zwicker.decayed(found[start:stop], zwicker._decay(), state, start > 0)
    times = np.arange(71 * 24 + 1) / 24
    for k in (0, 5, 19):
        np.testing.assert_allclose(found[:, k], network(np.interp(times, np.arange(72), core[:, k]))[::24], rtol=1e-9)


def test_slopes_fall_as_the_table_says() -> None:
    core = RNG.exponential(1.0, (6, 20)) ** 2 * (RNG.random((6, 20)) < 0.4)
    tables, finer = zwicker.Tables.of("free"), 20
    specific = np.empty((6, 240))
    loudness = tables.spread(core, 1, specific)
    for row, cells, total in zip(core, specific, loudness, strict=True):
        n, course = 0.0, []
        for z in (np.arange(240 * finer) + 0.5) / finer / 10:
            k = int(np.searchsorted(tables.edges, z))
            slope = tables.slopes[np.flatnonzero(n >= tables.ranges)[0], min(max(k - 1, 0), 7)]
            n = max(0.0, n - slope / finer / 10, row[k] if k < 20 else 0.0)
            course.append(n)
        assert total == pytest.approx(np.sum(course) / finer / 10, rel=0.01)
        ends = np.array(course)[finer - 1 :: finer]
        assert np.mean(np.abs(cells - ends)) < 0.01 * max(ends)


def test_loudness_is_weighted_in_time() -> None:
    loudness = RNG.exponential(3.0, 50)
    found = loudness.copy()
    state = np.zeros(3)
    for start, stop in ((0, 1), (1, 20), (20, 50)):
        zwicker.temporally_weighted(found[start:stop], zwicker._temporal(), state, start > 0)
    fine = np.interp(np.arange(49 * 24 + 1) / 24, np.arange(50), loudness)
    expected = 0.0
    for share, seconds in ((0.47, 0.0035), (0.53, 0.07)):
        leak = np.exp(-1 / (48000 * seconds))
        expected = expected + share * scipy.signal.lfilter([1 - leak], [1, -leak], fine)
    np.testing.assert_allclose(found, np.asarray(expected)[::24], rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_blocks_are_heard_as_the_whole(dtype: type) -> None:
    x = noise(RATE, affordable(0.5))[0].astype(dtype)
    whole = zwicker.Listener().hear(x)
    listener = zwicker.Listener()
    parts = [listener.hear(x[start : start + 960]) for start in range(0, x.size, 960)]
    for i in (0, 1):
        np.testing.assert_array_equal(whole[i], np.concatenate([part[i] for part in parts]))
    assert len(whole[0]) == -(-x.size // 96)
    assert zwicker.Listener().hear(x, specific=False)[1].shape == (0, 240)


def test_silence_stays_silent() -> None:
    loudness, specific = zwicker.Listener().hear(np.zeros(960))
    assert not loudness.any()
    assert not specific.any()
    assert zwicker.stationary(np.zeros(960))[0] == 0
    assert zwicker.of_levels(np.full(28, -np.inf))[0] == 0


@compiled
def test_sound_dies_away_to_nothing() -> None:
    x = np.zeros(60 * RATE)
    x[:RATE] = noise(RATE, 1.0)[0]
    listener = zwicker.Listener()
    loudness, _ = listener.hear(x, specific=False)
    assert loudness[-1] == 0
    for state in (listener.filters.state, listener.decay, listener.weighted):
        assert not (np.abs(state[np.nonzero(state)]) < 1e-200).any(), "numbers that slow the processor down"


def test_critical_bands_end_where_third_octaves_do() -> None:
    np.testing.assert_allclose(
        zwicker.hertz([0, 0.9, 1.8, 4.4, 9.2, 23.6, 24]), [0, 89, 178, 447, 1122, 14125, 15500], 2e-3
    )
    assert (np.diff(zwicker.frequencies()) > 0).all()


def test_loudness_level() -> None:
    assert [zwicker.phon(n) for n in (1, 2, 16, 0)] == [40, 50, 80, 3]
    assert zwicker.phon(0.5) == pytest.approx(40 * 0.5005**0.35)


def test_a_missing_band_is_refused() -> None:
    with pytest.raises(UsageError, match="28 third-octave levels"):
        zwicker.of_levels(np.zeros(27))


# ISO 532-1:2017, Annex B; full scale is 100 dB SPL, as in its files


LEVELS = (  # signal 1: what 28 third octaves have
    *(-60, -60, 78, 79, 89, 72, 80, 89, 75, 87, 85, 79, 86, 80),
    *(71, 70, 72, 71, 72, 74, 69, 65, 67, 77, 68, 58, 45, 30),
)


def test_signal_1_of_the_standard() -> None:
    loudness, specific = zwicker.of_levels(LEVELS)
    assert loudness == pytest.approx(83.296, abs=0.002)
    assert specific[0] == pytest.approx(5.3272, abs=1e-4)


def tone(frequency: float, level: float, seconds: float) -> Array:
    """At a level in dB SPL; a function of time in seconds is a level too."""
    t = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(10 ** ((level - 100) / 20) * np.sin(2 * np.pi * frequency * t))


@compiled
@pytest.mark.parametrize(("tone_of", "sone"), [((250, 80), 14.655), ((1000, 60), 4.019), ((4000, 40), 1.549)])
def test_signals_2_to_4_of_the_standard(tone_of: tuple[float, float], sone: float) -> None:
    loudness, specific = zwicker.stationary(tone(*tone_of, 10.0))
    assert loudness == pytest.approx(sone, rel=0.005)
    assert specific.sum() / 10 == pytest.approx(loudness, rel=0.02)  # samples of falling slopes, at their lower ends


@compiled
def test_signal_5_of_the_standard() -> None:
    """Pink noise of 60 dB down to the period of the recording, 10 s: 42.8 dB in each third octave that is heard."""
    n = 10 * RATE
    f = np.fft.rfftfreq(n, 1 / RATE)
    spectrum = np.where(f > 10, 1 / np.sqrt(np.maximum(f, 1)), 0) * np.exp(2j * np.pi * RNG.random(f.size))
    power = 2 * np.sum(np.abs(spectrum[(f >= 10**2.95) & (f < 10**3.05)]) ** 2) / n**2
    x = np.fft.irfft(spectrum, n) * np.sqrt(10 ** ((42.8 - 100) / 10) / 2 / power)
    assert zwicker.stationary(x)[0] == pytest.approx(10.498, rel=0.01)
    assert zwicker.of_levels(np.full(28, 42.8))[0] == pytest.approx(10.498, rel=0.01)


def rounded(seconds: float, length: float, start: float, stop: float) -> Array:
    """An envelope [sample] over so many seconds with flanks of a Gaussian of that length, 1 from start to stop."""
    t = np.arange(round(seconds * RATE)) / RATE
    outside = np.maximum(0, np.maximum(start - t, t - stop))
    return np.asarray(np.exp(-((outside / length) ** 2)))


def pulse(level: float, start: float, duration: float) -> Array:
    """1 kHz; flanks rise from 10 % to 90 % in 2 ms, its duration is that above -3 dB."""
    length = 0.002 / (np.sqrt(np.log(10)) - np.sqrt(np.log(10 / 9)))
    inset = length * np.sqrt(np.log(2) / 2)
    t = np.arange(RATE) / RATE
    envelope = rounded(1.0, length, start + inset, start + duration - inset)
    return np.asarray(10 ** ((level - 100) / 20) * envelope * np.cos(2 * np.pi * 1000 * t))


def growing(frequency: float) -> Array:
    """A tone whose level grows from 30 dB to 80 dB in 10 s."""
    t = np.arange(508800) / RATE
    heard = (t > 0.1) & (t < 10.1)
    envelope = rounded(10.6, 0.007, 0.1132, 10.0868) * heard * 10 ** ((5 * (t - 0.1) - 70) / 20)
    return np.asarray(envelope * np.sin(2 * np.pi * frequency * t))


@compiled
@pytest.mark.parametrize(
    ("signal", "x", "n_max", "n_5"),
    [
        (6, lambda: growing(250), 14.359, 11.802),
        (7, lambda: growing(1000), 15.953, 13.258),
        (8, lambda: growing(4000), 23.95, 20.062),
        (10, lambda: pulse(70, 0.014, 0.01), 4.3, 0.745),
        (11, lambda: pulse(70, 0.014, 0.05), 5.975, 4.16),
        (12, lambda: pulse(70, 0.014, 0.5), 8.077, 8.074),
        (13, lambda: pulse(60, 0.014, 0.1) + pulse(80, 0.122, 0.01), 9.976, 3.41),
    ],
)
def test_time_varying_signals_of_the_standard(signal: int, x: Callable[[], Array], n_max: float, n_5: float) -> None:
    loudness, _ = zwicker.Listener().hear(x(), specific=False)
    assert loudness.max() == pytest.approx(n_max, abs=0.01)
    assert n5(loudness) == pytest.approx(n_5, abs=0.01)


# MoSQITo


@cache
def sounds() -> dict[str, Array]:
    """Self-made, with silence at the end: MoSQITo's first frames hear the last ones."""
    t = np.arange(round(0.5 * RATE)) / RATE
    hiss = np.random.default_rng(1).standard_normal(t.size)
    made = {
        "tone bursts": tone(2000, 75, 0.5) * (t % 0.1 < 0.02),
        "modulated tone": tone(1000, 70, 0.5) * (1 + np.sin(2 * np.pi * 8 * t)),
        "chirp": 0.02 * np.sin(2 * np.pi * 100 * 0.5 / np.log(100) * 100 ** (t / 0.5)),
        "noise": 0.01 * hiss,
        "noise bursts": 0.05 * hiss * (t % 0.12 < 0.05),
        "level steps": tone(500, 40, 0.5) * 10 ** (np.array([0, 2, 1, 0, 1.5])[(t * 10).astype(int)]),
        "hum": tone(50, 85, 0.5) + tone(100, 75, 0.5),
        "loud low noise": scipy.signal.lfilter([0.02], [1, -0.98], hiss),
    }
    return {name: np.append(x, np.zeros(RATE // 20)) for name, x in made.items()}


# mosqito 1.2.1: N, *_ = loudness_zwtv(2 * 2**0.5 * x, 48000, field); N.max(), numpy.percentile(N, 95)
MOSQITO = {
    ("tone bursts", "free"): (10.6415, 9.9369),
    ("modulated tone", "free"): (10.1027, 9.9457),
    ("chirp", "free"): (9.0343, 8.5665),
    ("noise", "free"): (12.6130, 12.3859),
    ("noise bursts", "free"): (24.6031, 23.3253),
    ("level steps", "free"): (15.5001, 13.7580),
    ("hum", "free"): (9.9179, 8.9318),
    ("loud low noise", "free"): (45.7032, 44.5527),
    ("chirp", "diffuse"): (8.4605, 8.2843),
    ("noise bursts", "diffuse"): (26.2672, 24.9131),
}


@compiled
@pytest.mark.parametrize(("name", "field"), MOSQITO)
def test_numbers_of_mosqito(name: str, field: str) -> None:
    loudness, _ = zwicker.Listener(100.0, field).hear(sounds()[name], specific=False)
    n_max, n_5 = MOSQITO[name, field]
    assert loudness.max() == pytest.approx(n_max, abs=0.02)
    assert n5(loudness) == pytest.approx(n_5, abs=0.02)


@compiled
@pytest.mark.parametrize("name", ["modulated tone", "noise bursts"])
def test_mosqito_itself(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pytest.importorskip("mosqito.sq_metrics").loudness_zwtv
        x = sounds()[name]
        n, specific, bark, _ = theirs(2 * 2**0.5 * x, RATE)
    loudness, cells = zwicker.Listener().hear(x)
    assert np.abs(loudness - n).max() < 0.02
    assert np.abs(cells - specific.T).mean() < 0.002
    np.testing.assert_allclose(bark, zwicker.CELL * np.arange(1, 241))
