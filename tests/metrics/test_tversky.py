"""Tversky distance: its axioms, what it hears and forgives, and that added and missing sound are told apart."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
import scipy.signal

from audiosim import compare, metrics
from audiosim.errors import UsageError
from audiosim.metrics import tversky
from audiosim.testing.signals import (
    COMPILED,
    Array,
    added_noise,
    affordable,
    chord_music,
    noise,
    pink,
    silence,
    speech_like,
)
from tests import naive

RATE = 22050
compute = metrics.get("tversky").compute
FORMS = ("ratio", "log")
PRESETS = tuple(tversky.PRESETS)
long = pytest.mark.skipif(not COMPILED, reason="needs seconds of sound, too slow uncompiled")


# Four signals: an utterance, plucked triads, drums, a steady chord


def drums(rate: int, seconds: float, seed: int = 0) -> Array:
    """A falling thump and a burst of noise in turn, four a second."""
    rng, t = np.random.default_rng(seed), np.arange(round(rate * seconds)) / rate
    x = np.zeros((1, t.size))
    for i, begin in enumerate(np.arange(0.0, seconds, 0.25)):
        since = t[t >= begin] - begin
        thump = np.sin(2 * np.pi * (60 * since + 2.7 * (1 - np.exp(-30 * since)))) * np.exp(-12 * since)
        burst = 0.5 * rng.standard_normal(since.size) * np.exp(-25 * since)
        x[0, t >= begin] += burst if i % 2 else thump
    return np.asarray(x * (0.7 / np.abs(x).max()))


def chord(rate: int, seconds: float, seed: int = 0) -> Array:
    """A sustained major triad on A3, eight partials a note."""
    rng, t = np.random.default_rng(seed), np.arange(round(rate * seconds)) / rate
    partials = [(f * k, 1 / k) for f in (220.0, 277.18, 329.63) for k in range(1, 9)]
    x = sum(a * np.sin(2 * np.pi * f * t + rng.uniform(0, 2 * np.pi)) for f, a in partials)
    return np.asarray(x[None] * (0.7 / np.abs(x).max()))  # type: ignore[index]


FOUR = (speech_like, chord_music, drums, chord)


def shaped_noise(x: Array, seed: int) -> Array:
    """White noise that takes the magnitude of the signal's spectrum, in frames of 23 ms, three quarters overlapping."""
    n = 512
    overlap = {"nperseg": n, "noverlap": n * 3 // 4}
    z = np.random.default_rng(seed).standard_normal(x.shape)
    signal, carrier = (scipy.signal.stft(s, RATE, **overlap)[2] for s in (x, z))
    return np.asarray(scipy.signal.istft(np.abs(signal) * carrier, RATE, **overlap)[1][:, : x.shape[1]])


def at_snr(x: Array, noise: Array, db: float) -> Array:
    return np.asarray(x + noise * np.sqrt(np.sum(x**2) / np.sum(noise**2)) * 10 ** (-db / 20))


def distance(ref: Array, test: Array, rate: int = RATE, **options: object) -> float:
    return compute(ref, test, rate, **options).value


# The axioms


@pytest.mark.parametrize(("alpha", "beta"), [(1, 1), (2, 1), (1, 2), (4, 1), (1.5, 3), (1, 100)])
def test_directed_triangle_inequality_of_the_exact_form(alpha: float, beta: float) -> None:
    """On 10^5 triples of random features, few and many, dense, sparse and of all sizes."""
    for features in (1, 2, 5, 20):
        x, y, z = random_features(25_000, features)
        around = tversky.exact(x, y, alpha, beta) + tversky.exact(y, z, alpha, beta)
        assert (tversky.exact(x, z, alpha, beta) <= around + 1e-12).all()


@long
def test_plain_differences_of_sounds_are_a_quasi_metric() -> None:
    """jnd=0, of speech, chords and what becomes of them: zero at identity alone, and the triangle inequality."""
    x = [f(RATE, affordable(1.0), 1) for f in (speech_like, chord_music)]
    x += [added_noise(s, RATE, strength, 2) for s in x for strength in (0.02, 0.3)]
    x += [0.5 * x[0], 0 * x[0]]
    for alpha, beta in ((1, 1), (2, 1), (1, 3)):
        d = np.array([[distance(a, b, alpha=alpha, beta=beta, jnd=0) for b in x] for a in x])
        assert (np.diag(d) == 0).all()
        assert (d + np.eye(len(x)) > 0).all()
        assert (d[:, None, :] <= d[:, :, None] + d[None, :, :] + 1e-12).all()
        assert np.allclose(d, d.T, rtol=1e-12) == (alpha == beta)
        mirrored = distance(x[1], x[0], alpha=beta, beta=alpha, jnd=0)
        assert mirrored == pytest.approx(d[0, 1], rel=1e-12)


def test_with_weights_below_one_it_does_not_hold() -> None:
    x, y, z = random_features(25_000, 5)
    for alpha, beta in ((0.5, 0.5), (1, 0), (2, 0.5)):
        around = tversky.exact(x, y, alpha, beta) + tversky.exact(y, z, alpha, beta)
        assert (tversky.exact(x, z, alpha, beta) > around).any()


def random_features(count: int, features: int) -> tuple[Array, ...]:
    """Three times [count, features]: sets in the first half, amounts of many sizes in the second."""
    rng = np.random.default_rng(features)
    present = rng.random((3, count, features)) < rng.random((3, count, 1))
    amounts = rng.exponential(size=present.shape) ** rng.choice([0.2, 1, 4], (3, count, 1))
    amounts[:, : count // 2] = 1
    return tuple(present * amounts)


def test_exact_form_on_sets_is_tverskys_ratio() -> None:
    a, b = np.array([1, 1, 1, 0, 0]), np.array([0, 1, 1, 1, 1])  # 2 common, 2 added, 1 missing
    assert tversky.exact(a, b, 1, 1) == pytest.approx(1 - 2 / 5)  # Jaccard
    assert tversky.exact(a, b, 0.5, 0.5) == pytest.approx(1 - 4 / 7)  # Dice
    assert tversky.exact(a, b, 2, 1) == pytest.approx(5 / 7)
    assert tversky.exact(b, a, 2, 1) == pytest.approx(4 / 6)
    assert tversky.exact(0 * a, 0 * a, 2, 1) == 0
    assert tversky.exact(0 * a, a, 2, 1) == tversky.exact(a, 0 * a, 2, 1) == 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("preset", PRESETS)
def test_identity_is_exactly_zero_and_has_no_slope(form: str, preset: str) -> None:
    torch = pytest.importorskip("torch")
    from audiosim import Loss

    for dtype in (np.float32, np.float64):
        x = speech_like(RATE, affordable(1.0), 1).astype(dtype)
        assert distance(x, x.copy(), form=form, preset=preset) == 0.0
        test = torch.as_tensor(x[None]).requires_grad_()
        value = Loss(f"tversky:form={form},preset={preset}", RATE)(test, torch.as_tensor(x[None]))
        value.backward()
        assert value.item() == 0.0
        assert not test.grad.any()


# What it hears and forgives


@long
@pytest.mark.parametrize(("form", "least"), [("ratio", 15.0), ("log", 25.0)])
def test_noise_under_the_signal_is_masked(form: str, least: float) -> None:
    """Of two noises at 13 dB, the white one is heard and the one shaped like the signal hardly: the geometric mean of
    their quotient over the four signals, each with three seeds."""
    quotients = []
    for signal in FOUR:
        for seed in (3, 4, 5):
            x = signal(RATE, 2.0, seed)
            white = at_snr(x, noise(RATE, 2.0, seed + 10), 13)
            shaped = at_snr(x, shaped_noise(x, seed + 20), 13)
            quotients.append(distance(x, white, form=form) / distance(x, shaped, form=form))
    assert np.exp(np.mean(np.log(quotients))) >= least
    assert min(quotients) > 0.6 * least


@long
@pytest.mark.parametrize("form", FORMS)
def test_small_changes_are_forgiven(form: str) -> None:
    """In units of what white noise at 20 dB does to the same files."""
    files = [signal(RATE, 2.0, 3) for signal in FOUR]
    rng = np.random.default_rng(4)

    def dithered(x: Array) -> Array:
        triangular = rng.random(x.shape) - rng.random(x.shape)
        return np.asarray(np.round(x * 32768 + triangular) / 32768)

    def total(change: object) -> float:
        return sum(distance(x, change(x), form=form) for x in files)  # type: ignore[operator]

    unit = total(lambda x: at_snr(x, noise(RATE, 2.0, 5), 20))
    assert total(lambda x: 10 ** (-1 / 20) * x) < 0.1 * unit
    assert total(lambda x: np.concatenate([np.zeros((1, 1)), x[:, :-1]], axis=1)) < 0.1 * unit
    assert total(dithered) < 0.1 * unit


@long
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("signal", FOUR)
def test_added_counts_twice_missing(form: str, signal: object) -> None:
    """A tone of 5 kHz, 20 dB below the signal, added and taken away; symmetric weights count both alike."""
    x = signal(RATE, 2.0, 3)  # type: ignore[operator]
    with_tone = at_snr(x, np.sin(2 * np.pi * 5000 * np.arange(x.shape[1]) / RATE)[None], 20)
    assert 1.7 < distance(x, with_tone, form=form) / distance(with_tone, x, form=form) < 2.3
    there, back = (distance(*p, form=form, preset="symmetric") for p in ((x, with_tone), (with_tone, x)))
    assert there == pytest.approx(back, rel=0.1)


@long
def test_presets_weigh_artefacts_and_dropouts() -> None:
    x = speech_like(RATE, 2.0, 1)
    hole = x.copy()
    hole[:, 15000:20000] = 0
    noisy = added_noise(x, RATE, 0.1, 2)
    values = {p: (distance(x, noisy, preset=p), distance(x, hole, preset=p)) for p in PRESETS}
    relative = {p: added / missing for p, (added, missing) in values.items() if missing > 0}
    assert relative["artefact"] > relative["default"] > relative["symmetric"] > relative["dropout"]
    assert relative["dice"] == pytest.approx(relative["symmetric"], rel=0.5)
    assert values["precision"][1] < 0.01 * values["recall"][1]  # only the hole's edges add something


@pytest.mark.parametrize("form", FORMS)
def test_a_sound_is_as_far_at_every_rate(form: str) -> None:
    low = speech_like(8000, affordable(2.0), 1), 0.7 * added_noise(speech_like(8000, affordable(2.0), 1), 8000, 0.1, 2)
    n = low[0].shape[1]
    values = []
    for rate in (8000, 16000, 44100, 48000):
        pair = (scipy.signal.resample(np.pad(x, ((0, 0), (n, n))), 3 * n * rate // 8000, axis=1) for x in low)
        values.append(distance(*pair, rate=rate, form=form))
    assert np.ptp(values) < 0.05 * min(values)


# Where nothing is common


def test_silence() -> None:
    x = pink(RATE, affordable(1.0), 1)
    nothing = silence(RATE, affordable(1.0))
    for form in FORMS:
        assert distance(nothing, nothing, form=form) == 0.0
    assert distance(x, nothing) == distance(nothing, x) == 1.0
    assert 1 < distance(x, nothing, form="log") < distance(nothing, x, form="log") < 15
    assert distance(x, nothing, form="log") == pytest.approx(log(1 + 1 / 0.02), rel=0.02)  # 1 R over 0.02 R


@pytest.mark.skipif(not COMPILED, reason="uncompiled, every overflow warns")
def test_what_overflows_has_no_number() -> None:
    x = noise(RATE, affordable(1.0), 1)
    huge = 1e160 * x
    for pair in ((x, huge), (huge, x), (huge, huge)):
        assert compute(*pair, RATE).status == "undefined"


@long
def test_the_logarithm_keeps_a_slope_where_the_ratio_has_none() -> None:
    torch = pytest.importorskip("torch")
    from audiosim import Loss

    nothing, test = np.zeros((1, 1, RATE)), 0.1 * noise(RATE, 1.0, 2)[None]
    slopes = {}
    for form in FORMS:
        estimate = torch.as_tensor(test).requires_grad_()
        Loss(f"tversky:form={form}", RATE)(estimate, torch.as_tensor(nothing)).backward()
        slopes[form] = float(torch.linalg.norm(estimate.grad))
    assert slopes["ratio"] < 1e-6
    assert slopes["log"] > 0.01


# Where and when


def test_shares_and_contributions() -> None:
    x = np.concatenate([speech_like(RATE, affordable(1.0), 1), silence(RATE, affordable(1.0))])
    y = 0.8 * added_noise(x, RATE, 0.1, 2)
    for form in FORMS:
        r = compute(x[:1], y[:1], RATE, form=form, detail="map")
        assert set(r.details) == {"added", "missing", "common"}
        assert sum(r.details.values()) == pytest.approx(1.0)
        assert r.map is not None
        assert r.added is not None
        assert (r.added >= 0).all()
        assert (r.added <= r.map * (1 + 1e-12)).all()
        assert r.map.sum() == pytest.approx(r.value, rel=1e-9)
        weighted = 2 * r.details["added"], r.details["missing"]
        assert r.added.sum() / r.map.sum() == pytest.approx(weighted[0] / sum(weighted), rel=1e-9)
    both = compute(x, x, RATE)
    assert dict(both.details) == {"added": 0.0, "missing": 0.0, "common": 0.5}  # the second channel is silent
    assert compute(x, y, RATE, detail="profile").added is None


@long
def test_explain_says_which_dominates_where_and_when() -> None:
    from audiosim.judge.explain import explain
    from audiosim.signal import Signal

    x = speech_like(48000, 4.0, 1)
    t, f = np.arange(x.shape[1]) / 48000, np.fft.rfftfreq(x.shape[1], 1 / 48000)

    def band(y: Array, low: float, high: float) -> Array:
        return np.asarray(np.fft.irfft(np.where((f >= low) & (f < high), np.fft.rfft(y), 0)))

    hiss = band(noise(48000, 4.0, 2), 3000, 6000) * ((t > 2.07) & (t < 2.15))
    thin = 0.95 * band(x, 200, 500) * ((t > 0.5) & (t < 1.2))
    for spec in ("tversky", "tversky:form=log"):
        both = explain(Signal.of(x, 48000), Signal.of(x + hiss - thin, 48000), spec)
        first, second = both.sentence.split("; ")
        assert first.startswith("added energy (")
        assert first.endswith("% of the distance) dominates 2.8-5.9 kHz at 2.1 s")
        assert second.startswith("missing energy (")
        assert "dominates 2" in second
        assert "Hz at 0.5-" in second
        assert {r.change for r in both.regions[:2]} == {"louder", "quieter"}
    turned = explain(Signal.of(x + hiss, 48000), Signal.of(x, 48000), "tversky")
    assert turned.sentence == "missing energy (100 % of the distance) dominates 2.8-5.9 kHz at 2.1 s"


# Definition and options


SPECS = [
    *(f"tversky:form={form},preset={preset}" for form in FORMS for preset in PRESETS),
    "tversky:alpha=3",
    "tversky:form=log,beta=0",
    "tversky:alpha=0,beta=0.5,preset=dropout",
    "tversky:level=70,form=log",
    "tversky:level=110,weighting=hp,mid_side",
]


@pytest.mark.parametrize("spec", SPECS)
def test_it_is_its_plain_formula(spec: str) -> None:
    for rate in (8000, 44100) if COMPILED else (8000,):
        ref = np.concatenate([speech_like(rate, affordable(0.5), 1), pink(rate, affordable(0.5), 2)])
        test = 0.8 * ref + 0.02 * noise(rate, affordable(0.5), 3, 2)
        assert compare(ref, test, spec, rate)[spec].value == pytest.approx(naive.value(spec, ref, test, rate), rel=1e-9)


def test_presets_are_their_weights() -> None:
    x = pink(RATE, affordable(0.5), 1)
    y = added_noise(x, RATE, 0.3, 2)
    for preset, (alpha, beta) in tversky.PRESETS.items():
        assert distance(x, y, preset=preset) == distance(x, y, alpha=alpha, beta=beta)
    assert distance(x, y, alpha=4) == distance(x, y, preset="artefact")
    assert distance(x, y, preset="artefact", beta=0.5) == distance(x, y, alpha=4, beta=0.5)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("tversky:alpha=-2", "alpha must be -1 to 1000000"),
        ("tversky:alpha=-0.5", "alpha and beta must be 0 or more"),
        ("tversky:alpha=0,beta=0", "not both 0"),
        ("tversky:alpha=1e7", "alpha must be -1 to 1000000"),
        ("tversky:level=39", "level must be 40 to 140"),
        ("tversky:level=141", "level must be 40 to 140"),
        ("tversky:preset=artifact", "did you mean 'artefact'"),
        ("tversky:form=sum", "one of: ratio, log"),
    ],
)
def test_bad_options_are_refused(spec: str, says: str) -> None:
    x = noise(RATE, 0.1, 1)
    with pytest.raises(UsageError, match=says) as error:
        compute(x, x, RATE, **metrics.parse(spec).options)
    assert "\n" not in str(error.value)
