"""chroma and cover: weights of bins as librosa's, traces as essentia's, made songs in other keys and tempos."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim import compare, metrics
from audiosim.dsp import chroma
from audiosim.models import cover
from audiosim.testing.signals import COMPILED, Array, harmonic, silence

RATE = 16000
compiled = pytest.mark.skipif(not COMPILED, reason="seconds of sound")


def song(
    seed: int, semitones: float = 0.0, tempo: float = 1.0, seconds: float = 24.0, brightness: float = 1.0
) -> Array:
    """Triads of a progression that the seed draws, with a melody above, in a key and tempo: [channel, sample]."""
    rng = np.random.default_rng(seed)
    roots, melody = rng.integers(0, 12, 16), rng.integers(0, 12, 64)
    beat = 0.5 / tempo
    t = np.arange(round(seconds / tempo * RATE)) / RATE
    x = np.zeros(t.size)
    for k in range(round(seconds / 0.5)):
        root = roots[k // 4 % 16]
        part = slice(round(k * beat * RATE), round((k + 1) * beat * RATE))
        since = t[part] - k * beat
        for note, level in ((root, 0.5), (root + 4, 0.4), (root + 7, 0.4), (12 + melody[k % 64], 1.0)):
            f = 196 * 2 ** ((note + semitones) / 12)
            for h in range(1, 6):
                x[part] += level * h**-brightness * np.sin(2 * np.pi * h * f * since) * np.exp(-3 * since)
    return np.asarray(0.1 * x[None])


@pytest.mark.parametrize(("rate", "n_fft"), [(22050, 4096), (48000, 8192), (8000, 334)])
def test_weights_of_bins_as_librosa(rate: int, n_fft: int) -> None:
    """librosa 0.11: filters.chroma(sr=rate, n_fft=n_fft, dtype=float64)."""
    librosa = pytest.importorskip("librosa")
    wanted = librosa.filters.chroma(sr=rate, n_fft=n_fft, dtype=np.float64)
    np.testing.assert_allclose(chroma.filters(rate, n_fft), wanted, atol=1e-9)


@pytest.mark.parametrize(("note", "pitch_class"), [(440.0, 9), (261.63, 0), (880.0 * 2 ** (-1 / 12), 8)])
def test_a_tone_is_in_its_class(note: float, pitch_class: int) -> None:
    power, _ = chroma.chromagram(
        harmonic(RATE, 0.4 if COMPILED else 0.15, 1, frequency=note)[0], RATE, chroma.stft(RATE)
    )
    assert int(np.argmax(power.sum(0))) == pitch_class


def test_traces_as_essentia() -> None:
    """essentia 2.1-beta6-dev: CoverSongSimilarity(disOnset=0.5, disExtension=0.5, alignmentType='serra09',
    distanceType='asymmetric')(crp) has 33 as its largest score, and a distance of 0.23472626507282257. It begins in the
    third row and column."""
    crp = np.random.default_rng(9).uniform(size=(50, 60)) < 0.3
    crp[:2], crp[:, :2] = False, False
    q, path = cover.longest(crp)
    assert q == 33
    assert np.sqrt(crp.shape[1]) / q == pytest.approx(0.23472626507282257, rel=1e-6)
    assert (np.diff(path) >= 1).all()
    assert crp[path[0], path[1]].all()


def test_identical_recordings_recur_all_along() -> None:
    x = np.random.default_rng(1).uniform(size=(30, 12))
    q, path = cover.longest(cover.recurrence(x, x))
    assert q == 22
    assert (path[0] == path[1]).all()
    assert [chroma.transposition(x, np.roll(x, k, 1)) for k in (0, 2, 11)] == [0, 10, 1]


@compiled
@pytest.mark.parametrize(("semitones", "tempo"), [(0, 1.0), (5, 1.2), (-4, 0.8), (6, 1.0)])
def test_a_cover_is_nearer_than_another_song(semitones: int, tempo: float) -> None:
    metric = metrics.get("cover")
    ref, test = song(1), song(1, semitones, tempo, brightness=2.0)
    found = metric.compute(ref, test, RATE)
    others = [metric.compute(ref, song(k), RATE).value for k in (2, 3, 4)]
    assert found.value < 0.5 * min(others)
    assert found.details["semitones"] in (-semitones, 12 - semitones, -12 - semitones)
    assert found.details["tempo_ratio"] == pytest.approx(tempo, rel=0.05)


@compiled
def test_the_passage_that_is_shared_is_shown() -> None:
    ref = np.concatenate([song(1), song(2)], axis=1)
    found = metrics.get("cover").compute(ref, song(2), RATE, detail="map")
    assert found.per_time is not None
    assert found.times is not None
    assert found.per_time[found.times > 26].mean() < 0.1
    assert found.per_time[found.times < 22].mean() > 0.9


@compiled
def test_what_chroma_hears() -> None:
    ref = song(1, seconds=4.0)
    brighter, octave, semitone = (song(1, k, seconds=4.0, brightness=b) for k, b in ((0, 2.0), (12, 1.0), (1, 1.0)))
    values = [compare(ref, y, "chroma", rate=RATE)["chroma"].value for y in (0.1 * ref, octave, brighter, semitone)]
    assert values[0] < 1e-6
    assert max(values[:3]) < 0.3 * values[3]
    metric = metrics.get("chroma")
    quiet = silence(RATE, 0.5)
    assert metric.compute(quiet, quiet, RATE).value == 0
    assert metric.compute(ref, np.zeros_like(ref), RATE).value > 0.1
