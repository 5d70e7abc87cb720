"""What PESQ is made of: level, input filters, voice activity, delays, bands, disturbance. Small enough for uncompiled
kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal

from audiosim.models.pesq import alignment as alignment, disturbance as model
from audiosim.models.pesq.alignment import Recording, Utterance
from audiosim.testing.signals import Array, noise, speech_like

RATE = 16000


def recording(x: Array, rate: int = RATE, band: str = "wide") -> Recording:
    made = alignment.brought_to_level(x, rate, x.size, band)
    assert made is not None
    return made


# Level and filters


@pytest.mark.parametrize("hz", [1000.0, 3000.0])
def test_level(hz: float) -> None:
    x = np.sin(2 * np.pi * hz / RATE * np.arange(4000))
    assert alignment.telephone_energy(x, RATE) == pytest.approx(np.sum(x**2), rel=5e-3)
    made = recording(1e-3 * x, band="narrow")
    inside = made.heard[made.margin : made.margin + x.size]
    power = np.sum(np.square(inside, dtype=np.float64)) / (x.size + 0.32 * RATE)
    assert power == pytest.approx(1e7, rel=0.01), "1 kHz and 3 kHz pass the receiver unchanged"
    low = np.sin(2 * np.pi * 100 / RATE * np.arange(16000)) * np.hanning(16000)
    assert alignment.telephone_energy(low, RATE) < 1e-6 * np.sum(low**2)


def test_level_of_a_long_recording_comes_from_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(RATE, 1.0, 1)[0]
    whole = alignment.telephone_energy(x, RATE)
    monkeypatch.setattr(alignment, "WHOLE", 1 << 13)
    assert alignment.telephone_energy(x, RATE) == pytest.approx(whole, rel=0.01)


def test_biquad() -> None:
    x = noise(RATE, 0.02, 1)[0].astype(np.float32)
    section = alignment.HIGH_PASS
    expected = scipy.signal.lfilter(section[:3], [1, *section[3:]], x.astype(np.float64))
    alignment.filtered(x, section)
    np.testing.assert_allclose(x, expected, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("samples", [100, 9000, 70000])
def test_convolution_in_blocks(rate: int, samples: int) -> None:
    x = noise(rate, samples / rate, 2)[0]
    for taps, lead in ((alignment.aligner(rate), 0), (alignment.receiver(rate), alignment.SPAN // 2)):
        expected = scipy.signal.fftconvolve(x, taps)[lead : lead + x.size]
        y = x.astype(np.float32)
        alignment._convolve(y, taps, lead)
        np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_aligner_has_the_measured_response(rate: int) -> None:
    points = alignment.ALIGNERS[rate]
    hz, db = np.array([p for p in points if 280 <= p[0] <= 3500]).T  # where it is not below what its length resolves
    _, response = scipy.signal.freqz(alignment.aligner(rate), worN=hz, fs=rate)
    np.testing.assert_allclose(20 * np.log10(np.abs(response)), db, atol=0.2)


def test_nothing_in_the_telephone_band() -> None:
    assert alignment.brought_to_level(np.zeros(4000), RATE, 4000, "wide") is None


# Voice activity and delays


def bursts(*parts: tuple[int, int], blocks: int = 320, seed: int = 1) -> Recording:
    """Voice in runs of blocks (of the margin on) on faint noise, as a recording whose filters are done."""
    rng = np.random.default_rng(seed)
    x = np.zeros((blocks + 2 * alignment.MARGIN) * 64 + 5120, np.float32)
    x[75 * 64 : (75 + blocks) * 64] = rng.standard_normal(blocks * 64)
    for first, stop in parts:
        n = (stop - first) * 64
        shape = np.repeat(rng.uniform(0.3, 1, n // 64), 64)
        x[(75 + first) * 64 : (75 + stop) * 64] += 1000 * shape * rng.standard_normal(n)
    return Recording(x, x, RATE, blocks * 64)


def runs(x: Recording) -> list[tuple[int, int]]:
    return [(a - 75, b - 75) for a, b in alignment.runs(~np.isnan(alignment.activity(x)))]


def test_activity() -> None:
    """Edges have skirts of two blocks, gaps of at most 50 blocks are filled, runs of at most 4 are noise."""
    assert runs(bursts((20, 120))) == [(18, 122)]
    assert runs(bursts((20, 120), (170, 260))) == [(18, 262)]
    assert runs(bursts((20, 120), (171, 260))) == [(18, 122), (169, 262)]
    assert runs(bursts((20, 120), (200, 204))) == [(18, 122)]
    assert runs(bursts((20, 120), (200, 205))) == [(18, 122), (198, 207)]
    nothing = bursts((20, 23))
    assert len(runs(nothing)) == 1, "where nobody speaks all is speech"
    silent = replace(nothing, traced=np.zeros_like(nothing.traced))
    assert np.isfinite(alignment.activity(silent)).all()


@pytest.mark.parametrize("late", [0, 64, 77, -100])
def test_delay_to_the_sample(late: int) -> None:
    ref = bursts((20, 120), blocks=150)
    moved = np.roll(ref.traced, late)
    (found,) = alignment.align(ref, replace(ref, traced=moved, heard=moved))
    assert found.delay == late
    assert found.confidence == 1
    assert (found.start, found.stop) == (ref.margin, ref.margin + ref.length)


def test_a_delay_of_the_envelopes_needs_the_waveforms() -> None:
    ref = bursts((20, 200), blocks=270)
    for late in (0, 60):
        moved = np.roll(ref.traced, late * 64)
        frames = alignment._Frames(ref, replace(ref, traced=moved, heard=moved))
        for coarse in (-60, 0, 60):
            assert frames.likeliest(93, 277, coarse, (late, 0)) == late
    assert alignment._Frames(ref, ref).likeliest(93, 277, 3, (0,)) == 3  # the waveforms find the rest


@pytest.mark.parametrize("cut", [0, 80])
def test_babble_does_not_delay(cut: int) -> None:
    for seed in range(6):
        x = speech_like(RATE, 4.0, seed)[0]
        others = sum(speech_like(RATE, 4.0, 100 + 10 * seed + k)[0] for k in range(3))
        y = x + others * (x.std() / others.std())
        ref, test = (alignment.brought_to_level(s[cut:], RATE, x.size - cut, "narrow") for s in (x, y))
        assert all(abs(u.delay) < alignment.REACH * ref.block for u in alignment.align(ref, test))


@pytest.mark.parametrize("band", ["wide", "narrow"])
def test_cuts_of_a_front_without_speech_find_no_delay(band: str) -> None:
    """Noise alone for 0.5 s, and then as loud as the speech: whatever is cut off there, nothing is late."""
    rng = np.random.default_rng(7)
    x = np.concatenate([np.zeros(RATE // 2), speech_like(RATE, 3.0, 7)[0]])
    y = x + x.std() * rng.standard_normal(x.size)
    for cut in (0, 48, 1600, 8000):
        ref, test = (alignment.brought_to_level(s[cut:], RATE, x.size - cut, band) for s in (x, y))
        assert {u.delay for u in alignment.align(ref, test)} == {0}


def test_an_utterance_is_split_where_the_delay_changes() -> None:
    ref = bursts((10, 250), blocks=270)
    at = (75 + 130) * 64
    moved = np.concatenate([ref.traced[:at], np.zeros(320, np.float32), ref.traced[at:-320]])
    first, second = alignment.align(ref, replace(ref, traced=moved, heard=moved))
    assert (first.delay, second.delay) == (0, 320)
    assert second.start == pytest.approx(at, abs=10 * 64)
    assert first.stop == second.start
    assert len(alignment.align(ref, ref)) == 1


def test_utterances_meet_in_the_pause() -> None:
    ref = bursts((10, 70), (140, 200), blocks=210)
    first, second = alignment.align(ref, ref)
    assert first.stop == second.start == (75 + (72 + 138) // 2) * 64
    moved = np.delete(np.pad(ref.traced, (0, 128)), slice((75 + 100) * 64, (75 + 102) * 64))
    first, second = alignment.align(ref, replace(ref, traced=moved, heard=moved))
    assert (first.delay, second.delay) == (0, -128)
    assert second.start == (75 + (72 + 138) // 2) * 64 + 64


def test_breaks_lie_in_the_middle_on_whole_hops() -> None:
    assert alignment._breaks(0, 199) == []
    for stop in (200, 400, 805, 3000):
        breaks = alignment._breaks(10, 10 + stop)
        assert 1 <= len(breaks) <= 41
        assert breaks[0] >= 10 + 75
        assert breaks[-1] <= 10 + stop - 75 + 1
        assert set(np.diff(breaks) % 4) <= {0}


def test_no_speech_found() -> None:
    short = bursts((20, 60), blocks=100)
    assert alignment.align(short, short) == []


# Bands and disturbance


def test_bands() -> None:
    for rate, count, bins in ((16000, 49, 256), (8000, 42, 128)):
        bands = model.bands(rate)
        assert bands.width.size == bands.threshold.size == count
        assert bands.cuts[-1] == bins
        assert (np.diff(bands.centres) > 0).all()
    wide, narrow = model.bands(16000), model.bands(8000)
    np.testing.assert_allclose(narrow.scale[:41] / wide.scale[:41], 4, rtol=2e-6)
    assert wide.threshold[0] == pytest.approx(51286152, rel=1e-6)  # of P.862's table of thresholds
    np.testing.assert_allclose(wide.exponent[[0, 4, 11, 12]], [0.255201, 0.251688, 0.231622, 0.23], atol=1e-6)
    np.testing.assert_allclose(
        wide.scale[[8, 14, 48]] / model.POWER_SCALE[16000], [50.000027, 53.047077, 79.546974], rtol=1e-5
    )


def plain_differences(p: Array, q: Array, bands: model.Bands) -> Array:
    """P.862, 10.2.7 to 10.2.10, band by band."""
    threshold, exponent, width = bands.threshold, bands.exponent, bands.width

    def loudness(z: Array) -> Array:
        sones = 0.1866055 * (threshold / 0.5) ** exponent * ((0.5 + 0.5 * z / threshold) ** exponent - 1)
        return np.where(z > threshold, sones, 0)

    x, y = loudness(p), loudness(q)
    d = np.maximum(np.abs(y - x) - 0.25 * np.minimum(x, y), 0)
    h = ((q + 50) / (p + 50)) ** 1.2
    h = np.where(h < 3, 0, np.minimum(h, 12))
    w = width[1:]
    return np.stack([np.sqrt(np.sum((d[:, 1:] * w) ** 2, 1) * w.sum()), np.sum((d * h)[:, 1:] * w, 1)])


def test_plain_formula_of_disturbance(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    bands = model.bands(16000)
    p, q = 10 ** rng.uniform(-2, 7, (2, 6, 49))
    shares, ear = np.zeros((6, 49, 3), np.float32), model.hearing(bands)
    monkeypatch.setattr(model, "FRAMES_AT_ONCE", 4)
    d = model.by_frame(p, q, ear, shares)
    np.testing.assert_allclose(d, plain_differences(p, q, bands), rtol=1e-12)
    np.testing.assert_allclose(shares[:, :, :2].sum(1), 1, rtol=1e-5)
    assert (shares[:, 0, :2] == 0).all(), "0 Hz does not count"
    assert (model.by_frame(p, p.copy(), ear, shares[:0]) == 0).all()


def test_plain_formula_of_gains() -> None:
    rng = np.random.default_rng(4)
    threshold = model.bands(16000).threshold
    p, q = 10 ** rng.uniform(-2, 7, (2, 6, 49))
    a, b = (np.where(z > threshold, z, 0)[:, 1:].sum(1) for z in (p, q))
    at_once = (a + 5e3) / (b + 5e3)
    np.testing.assert_allclose(model.gain(model.audible(p, threshold), q, threshold), at_once, rtol=1e-12)
    slowly = [at_once[0]]
    for each in at_once[1:]:
        slowly.append(0.2 * slowly[-1] + 0.8 * each)
    np.testing.assert_allclose(model.remembered(at_once), slowly, rtol=1e-14)


def test_plain_formula_of_equalisation() -> None:
    rng = np.random.default_rng(2)
    bands = model.bands(16000)
    p, q = 10 ** rng.uniform(0, 7.5, (2, 5, 49))
    p[2:4] *= 1e-3
    loud_p, loud_q = (np.where(z > 100 * bands.threshold, z, 0) for z in (p, q))
    speaks = loud_p[:, 1:].sum(1) >= 1e7
    assert 0 < speaks.sum() < 5
    a, b = (z[speaks].sum(0) / 7 for z in (loud_p, loud_q))
    expected = np.clip((b + 1000) / (a + 1000), 0.01, 100)
    np.testing.assert_allclose(model.filter_between(p, q, bands.threshold, 7)[0], expected, rtol=1e-12)


def test_powers_of_frames() -> None:
    x = recording(noise(RATE, 0.3, 1)[0])
    frames = model._Frames.of(x, x, [Utterance(x.margin, x.margin + x.length, 0, 1.0)])
    found = frames.powers(x, np.arange(3), 0)
    bands = model.bands(RATE)
    for i in range(3):
        part = x.heard[x.margin + 256 * i :][:512] * np.hanning(513)[:-1]
        power = np.abs(np.fft.rfft(part)) ** 2
        power[0] = 0
        expected = np.add.reduceat(power[:256], bands.cuts[:-1]) * bands.scale
        np.testing.assert_allclose(found[i], expected, rtol=1e-4)
    outside = frames.powers(x, np.arange(3), 10**6)
    assert (outside == 0).all()


def test_bad_intervals() -> None:
    d = np.zeros(40)
    assert model.bad_intervals(d) == []
    d[3:7] = 31
    assert model.bad_intervals(d) == [], "four frames are too few"
    d[8] = 31
    assert model.bad_intervals(d) == [(3, 9)], "a gap of one counts"
    d[20:30] = 30
    assert model.bad_intervals(d) == [(3, 9)]


def test_mean_over_time() -> None:
    rng = np.random.default_rng(3)
    for n in (1, 5, 20, 57, 100):
        d = rng.uniform(0, 45, n)
        spurts = [np.sum(d[i : i + 20] ** 6) / 20 for i in range(0, n, 10)]
        assert model.over_time(d) == pytest.approx(np.sqrt(np.mean(np.power(spurts, 1 / 3))), rel=1e-12)
    d = np.zeros(6500)
    d[3250:] = 1
    assert model.over_time(d) > model.over_time(d[::-1].copy())


def test_a_second_alignment_and_silent_ends() -> None:
    sound = noise(RATE, 0.5, 1)[0] * np.repeat(10 ** np.random.default_rng(2).uniform(-2, 0, 16), 500)
    ref = recording(np.concatenate([np.zeros(2000), sound, np.zeros(2000)]))
    wrong = [Utterance(ref.margin, ref.margin + ref.length, 1200, 1.0)]
    assert model._Frames.of(ref, ref, wrong).lag(10, 30) == -1200
    found = model.disturbance(ref, ref, wrong, cells=True)
    assert found is not None
    assert found.realigned > 0
    assert found.cells is not None
    assert found.cells.shape == (found.last + 1, 49, 3)
    assert found.first == 2000 // 256
    assert found.symmetric.min() < 1e-3, "the delay that was wrong by 1200 samples is found"
    silent = replace(ref, heard=np.zeros_like(ref.heard))
    right = [replace(wrong[0], delay=0)]
    for other in (silent, ref):
        nothing = model.disturbance(silent, other, right)
        assert nothing is None or np.isfinite(nothing.symmetric).all()


def test_what_the_test_leaves_out_disturbs_nobody() -> None:
    """Frames about a decrease of the delay by more than half a frame do not count."""
    ref = recording(noise(RATE, 0.6, 1)[0])
    at = ref.margin + 4800
    two = [Utterance(ref.margin, at, 0, 1.0), Utterance(at, ref.margin + ref.length, -400, 1.0)]
    found = model.disturbance(ref, ref, two)
    assert found is not None
    first, stop = (4800 - 400) // 256, (4800 + 400) // 256 + 2
    assert (found.symmetric[first:stop] == 0).all()
    assert found.symmetric[stop] > 0
