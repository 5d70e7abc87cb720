"""The auditory distance: its plain formula, what it must not hear, what it must, and its agreement with listeners."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

from audiosim import compare, load, metrics
from audiosim.engine.cache import caching
from audiosim.errors import UsageError
from audiosim.judge.explain import explain
from audiosim.metrics import auditory
from audiosim.models.auditory import complex_gammatone, levels, partial_loudness, peakiness, recording
from audiosim.signal import Signal
from audiosim.testing.signals import (
    COMPILED,
    Array,
    added_noise,
    affordable,
    chord_music,
    delay,
    gain,
    harmonic,
    high_pass,
    low_pass,
    noise,
    pink,
    polarity,
    quantisation,
    speech_like,
)
from tests.benchmarks import listeners

RATE = 48000
compute = metrics.get("auditory").compute
PARTS = ("spectrum", "modulation", "course", "peakiness")
compiled = pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")


def pairs(seconds: float) -> dict[str, tuple[Array, Array]]:
    """One channel each, of equal and of unequal lengths."""
    steady, speech, music = (f(RATE, seconds, 3) for f in (pink, speech_like, chord_music))
    part = int(0.7 * steady.shape[1])
    return {
        "noise": (steady, added_noise(steady, RATE, 0.3, 1)),
        "low-passed": (music, low_pass(music, RATE, 0.7)),
        "quiet": (speech, gain(added_noise(speech, RATE, 0.02, 1), RATE, 0.3)),
        "unrelated": (music, speech),
        "silence": (music, 0 * music),
        "shorter": (speech, speech[:, :part]),
        "late": (speech[:, 700:], speech),
        "one block": (steady[:, :50], music[:, :50]),
    }


# The formula


def naive(r: Array, t: Array, rate: int, level: float | None = None) -> dict[str, float]:
    """The four parts, weighted."""
    heard = []
    for x in (r, t):
        power = complex_gammatone.powers(x, rate)
        total = power.sum(1)
        there = np.flatnonzero(total > 1e-6 * total.max())
        part = slice(there[0], there[-1] + 1) if there.size else slice(None)
        loud = total[total > 1e-4 * total.max()]
        factor = 10 ** (level / 10) if level is not None else 10**6.5 / loud.mean() if loud.size else 0.0
        f = np.minimum(complex_gammatone.bank(rate).frequencies, 16000) / 1000
        quiet = 3.64 * f**-0.8 - 6.5 * np.exp(-0.6 * (f - 3.3) ** 2) + 1e-3 * f**3.6
        n = 10 * np.log10(1 + factor * power * 10 ** (-quiet / 10) / 10**0.5)
        modulation = []
        for narrow, wide, floor in ((0.8, 2.0, 0.25), (6.4, 16.0, 1.0)):
            smooth = [
                scipy.ndimage.gaussian_filter1d(n[part], s, axis=0, radius=round(4 * wide)) for s in (narrow, wide)
            ]
            modulation.append(10 * np.log10(((smooth[0] - smooth[1]) ** 2).mean(0) + floor))
        heard.append((n, np.array(modulation)))
    (a, m), (b, q) = heard

    def product(lag: int) -> float:
        first, last = max(0, -lag), min(len(b), len(a) - lag)
        return float((a[first + lag : last + lag] * b[first:last]).sum()) if last > first else 0.0

    lag = max(sorted(range(-20, 21), key=abs), key=product)
    whole = 16 * (1 + (20 + max(len(a), len(b))) // 16)
    moved = [np.zeros((whole, 64)), np.zeros((whole, 64))]
    moved[0][max(-lag, 0) :][: len(a)] = a
    moved[1][max(lag, 0) :][: len(b)] = b
    loudness, courses = [], []
    for z in moved:
        padded = np.pad(10 ** (z / 10), ((16, 16), (0, 0)), constant_values=1)
        windows = [padded[i : i + 32].mean(0) for i in range(0, len(padded) - 31, 16)]
        loudness.append(np.power(windows, 0.2) - 1)
        course = np.cumsum(z.mean(1))
        courses.append(course / (course[-1] or 1))
    weight = np.maximum(loudness[0].mean(1), loudness[1].mean(1))
    spectrum = (np.abs(loudness[0] - loudness[1]).mean(1) * weight).sum() / (weight.sum() or 1)
    octaves = np.diff(np.log2(np.arange(whole + 1) / 400 + 0.01))
    k = abs(peakiness.peakiness(r, rate)[0] - peakiness.peakiness(t, rate)[0])
    return {
        "spectrum": 5 * spectrum,
        "modulation": 2 * np.abs(m - q).mean(1).sum(),
        "course": 6 * float(np.abs(courses[0] - courses[1]) @ octaves),
        "peakiness": 0.5 * float(np.nan_to_num(k)),
    }


@pytest.mark.parametrize("level", [None, 80.0])
def test_is_its_formula(level: float | None) -> None:
    for name, (ref, test) in pairs(affordable(0.9)).items():
        found = compute(ref, test, RATE, level=level)
        expected = naive(ref[0], test[0], RATE, level)
        assert {p: found.details[p] for p in PARTS} == pytest.approx(expected, rel=1e-9, abs=1e-12), name
        assert found.value == pytest.approx(sum(expected.values()), rel=1e-9, abs=1e-12)


def test_audibility_is_its_formula() -> None:
    """From excitations and partial loudness on, which tests/models/auditory/test_partial_loudness.py holds."""
    e = partial_loudness.ear(RATE)
    for name, (ref, test) in pairs(affordable(0.6)).items():
        count = e.stft.count(max(ref.shape[1], test.shape[1]))
        size, hop = e.stft.window.size, e.stft.hop
        strips = []
        for x in (ref[0], test[0]):
            side = 4 * hop + e.stft.n_fft
            padded = np.pad(x, (side, side + count * hop))
            starts = side + hop * np.arange(-3, count + 3) - size // 2
            spectra = np.fft.rfft(
                [np.pad(padded[i : i + size] * e.stft.window, (0, e.stft.n_fft - size)) for i in starts]
            )
            power = 1e9 * np.abs(spectra) ** 2 @ e.weights.T
            strips.append(np.array([power[i : i + 7].mean(0) for i in range(count)]))
        x, y = (partial_loudness.excitations(p, e) for p in strips)
        masker, tail, rest = np.minimum(x, y), np.zeros(e.noise.size), []
        for m in masker:
            rest.append((1 + 0.17 * tail) ** 3 - 1)
            tail = tail + (1 - np.exp(-1 / (125 * 0.0166))) * ((1 + m) ** 0.2 - 1 - tail)
        n, alone = (
            0.5 * (partial_loudness.specific(np, np.abs(y - x), m) ** 4).sum(1) for m in (masker + rest, 0 * masker)
        )
        power = np.abs(strips[1] - strips[0]).sum(1)
        sensations = [(z.mean() ** 0.25 / 0.355 + 2**0.2) ** 5 - 2 for z in (n, alone)]
        expected = 10 * np.log10(1 + power.mean() * sensations[0] / (sensations[1] + 1))
        found = compute(ref, test, RATE, form="audibility")
        assert found.value == pytest.approx(expected, rel=1e-6, abs=1e-9), name
        pieces = np.pad(n, (0, -count % 5)).reshape(-1, 5).mean(1)
        loudest = (np.append(pieces, 0) + np.append(0, pieces)).max() / 2
        expected = 10 * np.log10((loudest**0.25 / 0.355 + 2**0.2) ** 5 - 1)
        assert found.details["sensation"] == pytest.approx(expected, rel=1e-6, abs=1e-9), name


@compiled
def test_audibility_has_an_exact_slope() -> None:
    torch = pytest.importorskip("torch")
    from audiosim import Loss

    loss = Loss("auditory:form=audibility", RATE)
    for name, (ref, test) in pairs(0.3).items():
        if ref.shape != test.shape:
            continue
        x = torch.tensor(test, requires_grad=True)
        value = loss(x[None], torch.tensor(ref)[None])
        assert value.item() == pytest.approx(compute(ref, test, RATE, form="audibility").value, rel=1e-9, abs=1e-12)
        value.backward()
        assert torch.isfinite(x.grad).all(), name
        if name == "noise":
            way = noise(RATE, 0.3, 9)[:, : ref.shape[1]]
            up, down = (compute(ref, test + s * way, RATE, form="audibility").value for s in (1e-7, -1e-7))
            assert float((x.grad.numpy() * way).sum()) == pytest.approx((up - down) / 2e-7, rel=1e-3)


@compiled
def test_audibility_hears_levels_and_knows_the_direction() -> None:
    x = speech_like(RATE, 1.0, 1)
    t = np.arange(x.shape[1]) / RATE
    alone = 10 ** ((60 - 90) / 20) * np.sin(2 * np.pi * 1000 * t)[None]
    result = compute(0 * x, alone, RATE, form="audibility", detail="map")
    assert result.value == pytest.approx(60, abs=0.2)  # alone it is as loud as itself
    assert compute(0 * x, alone, RATE, form="audibility", level=80.0).value == pytest.approx(50, abs=0.2)
    assert result.map is not None
    assert result.added is not None
    np.testing.assert_array_equal(result.added, result.map)
    assert not compute(alone, 0 * x, RATE, form="audibility", detail="map").added.any()  # type: ignore[union-attr]
    dither = np.random.default_rng(0).triangular(-1, 0, 1, x.shape) / 32768
    assert compute(x, np.round((x + dither) * 32768) / 32768, RATE, form="audibility").value < 0.1
    assert compute(x, -x, RATE, form="audibility").value == 0


def test_levels_that_nobody_listens_at_are_refused() -> None:
    x = noise(RATE, 0.05)
    for level, says in ((10.0, "20 to 140"), (150.0, "20 to 140"), (float("nan"), "finite")):
        with pytest.raises(UsageError, match=f"auditory: level must be {says}"):
            compute(x, x, RATE, level=level)


def test_a_rate_without_bands_is_refused() -> None:
    x = noise(2000, 0.1)
    assert "4000 Hz" in (compute(x, x, 2000).reason or "")
    if COMPILED:
        torch = pytest.importorskip("torch")
        from audiosim import Loss
        from audiosim.errors import InputError

        with pytest.raises(InputError, match="4000 Hz"):
            Loss("auditory", 2000)(*torch.zeros(2, 1, 100))


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 96000, 192000])
def test_any_rate(rate: int) -> None:
    x = pink(rate, affordable(0.5), 1)
    for form in ("quality", "audibility"):
        result = compute(x, added_noise(x, rate, 0.1, 1), rate, form=form, detail="map")
        assert result.status == "ok"
        assert result.map is not None
        assert result.map.sum() == pytest.approx(result.value)
        assert result.edges is not None
        assert result.edges[-1] == pytest.approx(rate / 2)


# What it must not hear, and what it must


@compiled
@pytest.mark.parametrize("signal", [speech_like, chord_music, harmonic])
def test_hears_no_polarity_no_sample_of_delay_and_no_dither(signal) -> None:  # type: ignore[no-untyped-def]
    """Below 2 % of the distance that white noise at an SNR of 20 dB has; what is noise itself hides it."""
    x = signal(RATE, 2.0, 5)
    scale = compute(x, added_noise(x, RATE, 0.1, 1), RATE).value
    dither = np.random.default_rng(0).triangular(-1, 0, 1, x.shape) / 32768
    late = delay(x, RATE, 1 / 240)
    assert np.array_equal(late[:, 1:], x[:, :-1])
    for change in (polarity(x, RATE, 1.0), late, np.round((x + dither) * 32768) / 32768):
        assert compute(x, change, RATE).value < 0.02 * scale
    assert compute(x, gain(x, RATE, 0.5), RATE).value < 1e-9


@compiled
def test_moves_the_test_by_up_to_50_ms() -> None:
    x = speech_like(RATE, 2.0, 5)
    for seconds in (-0.045, 0.03, 0.2):
        moved = np.roll(np.pad(x, ((0, 0), (12000, 12000))), round(seconds * RATE), axis=1)
        result = compute(np.pad(x, ((0, 0), (12000, 12000))), moved, RATE)
        if abs(seconds) <= 0.05:
            assert result.details["lag"] == pytest.approx(-seconds)
            assert result.value < 0.1
        else:
            assert result.value > 5


@compiled
def test_level_makes_loudness_count() -> None:
    x = pink(RATE, 1.0, 1)
    quieter = [compute(x, gain(x, RATE, s), RATE, level=85.0).value for s in (0.05, 0.1, 0.3)]
    assert quieter == sorted(quieter)
    assert 0.5 < quieter[0] < 3  # 1 dB


@compiled
def test_each_part_hears_what_it_is_named_after() -> None:
    x = pink(RATE, 2.0, 1)
    t = np.arange(x.shape[1]) / RATE

    def details(ref: Array, test: Array) -> dict[str, float]:
        return dict(compute(ref, test, RATE).details)

    rough = details(x, x * (1 + 0.8 * np.sin(2 * np.pi * 40 * t)))
    assert rough["roughness_change"] > 2
    assert max(PARTS, key=lambda p: rough[p]) == "modulation"
    slow = details(x, x * (1 + 0.8 * np.sin(2 * np.pi * 5 * t)))
    assert slow["fluctuation_change"] > 2 > abs(slow["roughness_change"])
    note = np.sin(2 * np.pi * 440 * t)[None] * np.exp(-2 * t)
    dull = details(note * np.minimum(t / 0.005, 1), note * np.minimum(t / 0.15, 1))
    assert dull["attack_change"] > 2
    fading = details(note, note * np.exp(-4 * t))
    assert fading["course_change"] > 0.1
    assert max(PARTS, key=lambda p: fading[p]) == "course"
    dark = details(x, low_pass(x, RATE, 0.5))
    assert max(PARTS, key=lambda p: dark[p]) == "spectrum"


def test_parts_add_up_and_similarity_falls() -> None:
    x = speech_like(RATE, affordable(1.0), 1)
    before = 100.0
    for strength in (0.0, 0.01, 0.1, 1.0):
        result = compute(x, added_noise(x, RATE, strength, 1), RATE)
        assert sum(result.details[p] for p in PARTS) == pytest.approx(result.value, rel=1e-12, abs=1e-12)
        assert result.details["similarity"] <= before
        before = result.details["similarity"]
    assert auditory.similarity(0.0, 0.0, 0.0)[::2] == (100, 100)


def test_similarity_lies_in_its_interval_and_forgives_what_was_added() -> None:
    ends = auditory.similarity(np.array([0.0, 0.1, 2.0, 50.0]), 0.1, 0.1)
    assert (np.diff(ends[0]) < 0).all()
    assert ((ends[0] >= ends[1]) & (ends[0] <= ends[2]) & (ends[1] >= 0) & (ends[2] <= 100)).all()
    assert auditory.similarity(5.0, 0.0, 0.2)[0] > 80 > 50 > auditory.similarity(5.0, 0.2, 0.0)[0]
    assert auditory.similarity(1.0, 0.0, 0.0)[0] < 90  # phase alone


@compiled
def test_explains_itself_in_words() -> None:
    x = pink(RATE, 2.0, 1)
    t = np.arange(x.shape[1]) / RATE

    def said(test: Array, ref: Array = x) -> str:
        return explain(Signal.of(ref, RATE), Signal.of(test, RATE), "auditory").sentence

    assert "rougher" in said(x * (1 + 0.8 * np.sin(2 * np.pi * 40 * t)))
    assert "more fluctuating" in said(x * (1 + 0.8 * np.sin(2 * np.pi * 5 * t)))
    assert said(low_pass(x, RATE, float(np.log(RATE / 6000) / np.log(100)))).startswith("less energy above 6.")
    assert "less energy below" in said(high_pass(x, RATE, 0.4))
    note = np.sin(2 * np.pi * 440 * t)[None] * np.exp(-2 * t)
    assert "duller attack" in said(note * np.minimum(t / 0.15, 1), note * np.minimum(t / 0.005, 1))
    assert said(x) == "this metric finds no difference"
    gap = "missing energy" in said(np.where((t > 1.0) & (t < 1.1), 0.0, x)).split(";")[1]
    burst = "added energy" in said(np.where((t > 1.0) & (t < 1.1), 4.0, 1.0) * x).split(";")[1]
    assert gap
    assert burst, "both fluctuate more"
    form = explain(Signal.of(x, RATE), Signal.of(added_noise(x, RATE, 0.1), RATE), "auditory:form=audibility")
    assert form.sentence.startswith("added energy")


# What was added, what is missing, and what listeners are asked


def asked(ref: Array, test: Array) -> dict[str, float]:
    return dict(compute(ref, test, RATE).details)


def test_an_ask_is_its_formula() -> None:
    for name, (ref, test) in pairs(affordable(0.9)).items():
        found = compute(ref, test, RATE).details
        powers = []
        for x in (ref, test):
            power = complex_gammatone.powers(x[0], RATE)
            total = power.sum(1)
            loud = total[total > 1e-4 * total.max()]
            powers.append((power, 10**6.5 / loud.mean() if loud.size else 0.0))
        gain, late = powers[0][1], round(found["lag"] * 400)
        ends = [len(p) + move for (p, _), move in zip(powers, (max(-late, 0), max(late, 0)), strict=True)]
        levels_of = []
        for (p, _), move in zip(powers, (max(-late, 0), max(late, 0)), strict=True):
            e = np.zeros((4 * (-(-max(ends) // 4) + 2), 64))
            e[4 + move : 4 + move + len(p)] = p * gain * 10 ** (-levels.threshold(RATE) / 10) / 10**0.5
            levels_of.append([10 * np.log10(1 + e[i : i + 8].mean(0)) for i in range(0, len(e) - 7, 4)])
        u, v = np.array(levels_of)
        a, m = (np.maximum(d, 0) ** 2 / (np.maximum(d, 0) + 1) for d in (v - u, u - v))
        weight = 1 / (u.mean(0) + a.mean(0) + 1)
        more = found["asked_interference"] - (a.mean(0) * weight).mean()
        assert more >= -1e-9, name
        assert more >= 0.03 * found["roughness_change"] - 1e-9, name
        rest = found["asked_similarity"] - found["asked_interference"]
        assert rest == pytest.approx(0.1 * (m.mean(0) * weight).mean(), rel=1e-7, abs=1e-12), name
        assert found["asked_quality"] == pytest.approx((m**8).mean() ** (1 / 8), rel=1e-7, abs=1e-9), name
        for ask in ("similarity", "quality", "interference"):
            assert compute(ref, test, RATE, ask=ask).value == found[f"asked_{ask}"]


@compiled
def test_what_is_added_and_what_is_missing() -> None:
    """A sound of its own is added only, a hole is missing only, nothing is neither, and exchanging the two exchanges
    the parts."""
    x = low_pass(pink(RATE, affordable(1.0), 1), RATE, 0.5)
    t = np.arange(x.shape[1]) / RATE
    more = x + 0.1 * np.sin(2 * np.pi * 9000 * t)
    hole = x.copy()
    hole[:, x.shape[1] // 3 : x.shape[1] // 2] = 0
    same, there, back, gap = asked(x, x), asked(x, more), asked(more, x), asked(x, hole)
    for name in ("added", "missing", "asked_similarity", "asked_quality", "asked_interference"):
        assert same[name] == 0
    assert there["added"] > 0.02 > 100 * there["missing"]
    assert gap["missing"] > 0.05 > 20 * gap["added"]
    assert back["missing"] > 0.02 > 100 * back["added"]
    assert there["asked_interference"] > 10 * back["asked_interference"]
    assert back["asked_quality"] > 10 * there["asked_quality"]


def test_the_map_of_an_ask_holds_its_direction() -> None:
    ref, test = pairs(affordable(0.9))["quiet"]
    for ask, part in (("interference", 1.0), ("quality", 0.0), ("similarity", None)):
        r = compute(ref, test, RATE, ask=ask, detail="map")
        assert r.map is not None
        assert r.added is not None
        assert r.map.sum() == pytest.approx(r.value, rel=1e-9)
        assert (r.added <= r.map + 1e-15).all()
        if part is not None:
            np.testing.assert_allclose(r.added, part * r.map, rtol=1e-12)


def test_asks_of_parts_and_of_losses_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    for ask in ("similarity", "quality", "interference"):
        for name, (ref, test) in pairs(affordable(1.0)).items():
            whole = compute(ref, test, RATE, ask=ask, detail="map")
            if COMPILED and ref.shape == test.shape:
                torch = pytest.importorskip("torch")
                from audiosim import Loss

                loss = Loss(f"auditory:ask={ask}", RATE)(torch.tensor(test)[None], torch.tensor(ref)[None])
                assert loss.item() == pytest.approx(whole.value, rel=1e-7, abs=1e-12), (ask, name)
            with monkeypatch.context() as patched:
                patched.setattr(recording, "LONG", 0.1)
                patched.setattr(recording, "STEP", 3)
                parts = compute(ref, test, RATE, ask=ask, detail="map")
            assert parts.value == pytest.approx(whole.value, rel=1e-9, abs=1e-12), (ask, name)
            assert parts.map is not None
            np.testing.assert_allclose(parts.map, whole.map, rtol=1e-7, atol=1e-12 + 1e-9 * whole.value)


@compiled
def test_slopes_of_asks_are_exact() -> None:
    torch = pytest.importorskip("torch")
    from audiosim import Loss

    ref, test = pairs(0.3)["noise"]
    way = noise(RATE, 0.3, 9)[:, : ref.shape[1]]
    for ask in ("similarity", "quality", "interference"):
        loss, x = Loss(f"auditory:ask={ask}", RATE), torch.tensor(test, requires_grad=True)
        loss(x[None], torch.tensor(ref)[None]).backward()
        up, down = (compute(ref, test + s * way, RATE, ask=ask).value for s in (1e-6, -1e-6))
        assert float((x.grad.numpy() * way).sum()) == pytest.approx((up - down) / 2e-6, rel=1e-3), ask


def test_audibility_has_no_ask() -> None:
    x = noise(RATE, 0.05)
    with pytest.raises(UsageError, match="form=audibility has no ask=quality"):
        compute(x, x, RATE, form="audibility", ask="quality")


# Several tests after one reference, and memory


@compiled
def test_a_reference_is_heard_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, powers = [], complex_gammatone.powers
    monkeypatch.setattr(complex_gammatone, "powers", lambda x, rate: calls.append(1) or powers(x, rate))
    ref = noise(RATE, 0.3, 1)
    tests = [added_noise(ref, RATE, s, 2) for s in (0.1, 0.2, 0.3)]
    with caching(ref):
        kept = [compute(ref, test, RATE).value for test in tests]
    assert len(calls) == 4
    assert kept == [compute(ref, test, RATE).value for test in tests]


@compiled
def test_both_forms_hear_a_recording_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ref = noise(RATE, 0.3, 1)
    test = added_noise(ref, RATE, 0.1, 2)
    alone = compute(ref, test, RATE, form="audibility").value
    calls, filtered = [], complex_gammatone._powers
    monkeypatch.setattr(complex_gammatone, "_powers", lambda *given: calls.append(1) or filtered(*given))
    with caching(ref, test):
        compute(ref, test, RATE)
        heard = len(calls)
        assert compute(ref, test, RATE, form="audibility").value == alone
    assert len(calls) == heard > 0


@compiled
def test_memory_is_that_of_its_levels() -> None:
    import tracemalloc

    x = noise(16000, 60.0, 1)
    y = added_noise(x, 16000, 0.1)
    compute(x[:, :16000].copy(), y[:, :16000].copy(), 16000)
    tracemalloc.start()
    compute(x, y, 16000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    levels = 2 * 60 * 400 * 64 * 8
    assert peak < 1.25 * levels + (8 << 20)  # with means over 10 ms, which are let go soon


@compiled
@pytest.mark.parametrize("form", ["quality", "audibility"])
def test_long_recordings_are_heard_part_by_part(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Value, details, profile and map are those of one part, whatever the parts, lags and lengths."""
    for name, (ref, test) in pairs(1.6).items():
        whole = compute(ref, test, RATE, detail="map", form=form)
        with monkeypatch.context() as patched:
            patched.setattr(recording, "LONG", 0.1)
            patched.setattr(auditory, "COURSE_STEP", 100)
            for step in (1, 3, 8):
                patched.setattr(recording, "STEP", step)
                parts = compute(ref, test, RATE, detail="map", form=form)
                assert parts.value == pytest.approx(whole.value, rel=1e-12, abs=1e-12), (name, step)
                assert dict(parts.details) == pytest.approx(dict(whole.details), rel=1e-9, abs=1e-9), (name, step)
                assert parts.value == compute(ref, test, RATE, form=form).value
                for field in ("per_band", "per_time", "map", "added", "times"):
                    a, b = getattr(parts, field), getattr(whole, field)
                    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12 * np.abs(b).max(), err_msg=f"{name} {field}")


def test_the_lag_of_all_counts_not_that_of_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(RATE, affordable(2.0), 1)
    late = int(0.02 * RATE)
    test = np.concatenate([x[:, : x.shape[1] // 8], np.zeros((1, late)), x[:, x.shape[1] // 8 :]], axis=1)
    whole = compute(x, test, RATE)
    assert whole.details["lag"] == pytest.approx(-0.02)
    monkeypatch.setattr(recording, "LONG", 0.1)
    monkeypatch.setattr(recording, "STEP", 4)
    assert dict(compute(x, test, RATE).details) == pytest.approx(dict(whole.details), rel=1e-9, abs=1e-9)


@compiled
@pytest.mark.parametrize("form", ["quality", "audibility"])
def test_memory_does_not_grow_beyond_a_minute(form: str) -> None:
    """Two mean levels a block remain, 6400 bytes a second."""
    import tracemalloc

    peaks = []
    for minutes in (2, 6):
        x = noise(8000, 60.0 * minutes, 1).astype(np.float32)
        y = x + np.float32(0.01) * noise(8000, 60.0 * minutes, 2).astype(np.float32)
        compute(x[:, :16000].copy(), y[:, :16000].copy(), 8000, form=form)
        tracemalloc.start()
        compute(x, y, 8000, form=form)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    levels = 4 * 60 * 2 * 400 * 64 * 8  # of the 4 minutes more, if they were kept
    assert peaks[1] - peaks[0] < levels / 10
    assert peaks[1] < 48 << 20


# Anchors: what is printed on the card and in the README


@compiled
def test_anchors_are_in_order() -> None:
    """Milder degradations of the samples are nearer, and those that nobody hears are below 0.5."""
    for name in ("speech", "music"):
        sample = load(Path(__file__).parents[2] / "samples" / f"{name}.flac")
        x, rate = sample.samples.astype(np.float64), sample.rate
        for ladder in (
            [added_noise(x, rate, 10 ** (-snr / 20)) for snr in (60, 40, 30, 20, 10)],
            [low_pass(x, rate, float(np.log(rate / f) / np.log(100))) for f in (7000, 5000, 3000, 1500)],
            [quantisation(x, rate, s) for s in (0.0, 0.3, 0.5, 0.7)],
        ):
            values = [compute(x, y, rate).value for y in ladder]
            assert values == sorted(values)
        assert (
            compute(x, added_noise(x, rate, 1e-3), rate).value < 0.5 < compute(x, added_noise(x, rate, 0.1), rate).value
        )


# Listeners


@contextmanager
def every_file_once(shared: Path) -> Iterator[None]:
    with caching(
        *(listeners.sound(r[k]).samples for rows in listeners.rated().values() for r in rows for k in ("ref", "test"))
    ):
        yield


@compiled
def test_agrees_with_listeners(shared: Path) -> None:
    """Not cross-validated; python -m tests.benchmarks.listeners is, and prints intervals."""
    rows = listeners.rated()
    with every_file_once(shared):
        found = {
            s: np.array(
                [
                    compute(
                        listeners.sound(r["ref"]).samples,
                        listeners.sound(r["test"]).samples,
                        listeners.sound(r["ref"]).rate,
                    ).value
                    for r in rows[s]
                ]
            )
            for s in rows
        }
    spearman, within = listeners.codec(rows["codecmushra"], found["codecmushra"])
    assert spearman >= 0.8
    assert within >= 0.81
    studies = [listeners.timbre(rows[s], found[s]) for s in rows if s.startswith("timbre/")]
    assert len(studies) == 14
    mean, triplets = np.mean(studies, axis=0)
    assert mean >= 0.74
    assert triplets >= 0.77
    order, ratio = listeners.phase(rows["phaseabx"], found["phaseabx"])
    assert order == 4
    assert ratio >= 3


@compiled
def test_audibility_agrees_with_partial_masking(shared: Path) -> None:
    tool = listeners.agreement()
    rows = next(rows for table, rows in tool.pm_tables(str(shared / "audio")) if "partial" in table)
    d = [
        compare(*tool.pm_pair(row), "auditory:form=audibility", tool.PM_FS)["auditory:form=audibility"].value
        for row in rows
    ]
    levels = [float(row["probe_level"]) for row in rows]
    heard = np.array([float(row["perceived_mean"]) for row in rows])
    within = [tool.rho_omit(np.array(d)[k], heard[k]) for k in tool.groups(levels).values()]
    assert np.mean(within) >= 0.5


@compiled
def test_most_ratings_lie_in_the_interval(shared: Path) -> None:
    for name in listeners.RATING:
        rows = listeners.rated_sets()[name]
        with caching(*(listeners.sound(r["ref"]).samples for r in rows)):
            found = [listeners.compare_one("auditory", (r["ref"], r["test"])).details for r in rows]
        inside = [
            d["similarity_low"] <= float(r["score"]) <= d["similarity_high"] for d, r in zip(found, rows, strict=True)
        ]
        assert np.mean(inside) >= 0.9


@compiled
def test_asks_agree_with_listeners(shared: Path) -> None:
    for name, (ask, reach) in listeners.ASKS.items():
        rows = listeners.voices()[name]
        with caching(*(listeners.sound(r["ref"]).samples for r in rows)):
            found = listeners.distances(f"auditory:ask={ask}", [(r["ref"], r["test"]) for r in rows])
        d = np.array([r.value for r in found.values()])
        assert all(x >= y for x, y in zip(listeners.spearman(d, rows), reach, strict=True)), name
