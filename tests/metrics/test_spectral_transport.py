"""spectral-transport: its units, its agreement with SciPy, and the sense of pitch that it is there for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from audiosim import compare
from audiosim.errors import UsageError
from audiosim.testing.signals import COMPILED, Array, added_noise, low_pass, pink, sine, speech_like
from tests import naive

RATE = 16000


def value(spec: str, ref: Array, test: Array, rate: int = RATE, **options: Any) -> Any:
    return compare(ref, test, spec, rate, **options)[spec]


def tone(frequency: float, rate: int = RATE, seconds: float = 0.3) -> Array:
    return sine(rate, seconds, 1, 1, frequency)


@pytest.mark.parametrize("cams", [0.5, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("low", [200.0, 1000.0])
def test_a_tone_that_moves_by_so_many_cams_costs_them(low: float, cams: float) -> None:
    high = (10 ** ((21.4 * np.log10(1 + 4.37e-3 * low) + cams) / 21.4) - 1) / 4.37e-3
    for ref, test in ((low, high), (high, low)):
        pair = tone(ref), tone(test)
        assert value("spectral-transport", *pair).value == pytest.approx(cams, abs=0.02)
        assert value("spectral-transport:p=2", *pair).value == pytest.approx(cams**2, abs=0.04 * (1 + cams))
        assert value("spectral-transport:scale=hz", *pair).value == pytest.approx(high - low, abs=2)
        octaves = np.log2(high / low)
        assert value("spectral-transport:scale=log", *pair).value == pytest.approx(octaves, abs=0.02)


def test_is_the_mean_over_frames_of_scipys_distance() -> None:
    """SciPy 1.13 or later, scipy.stats.wasserstein_distance(positions, positions, power of ref, power of test)."""
    ref, test = speech_like(RATE, 0.3, 1), low_pass(speech_like(RATE, 0.3, 2), RATE, 0.3)
    hz = np.fft.rfftfreq(2048, 1 / RATE)
    x, y = (np.abs(naive.spectra(s[0], 2048, 512, centre=False)) ** 2 for s in (ref, test))
    for scale, places in (("erb", 21.4 * np.log10(1 + 4.37e-3 * hz)), ("hz", hz)):
        spec = f"spectral-transport:scale={scale},weight=0,floor=1e-30"
        distances = [wasserstein_distance(places, places, a, b) for a, b in zip(x, y, strict=True)]
        result = value(spec, ref, test, detail="profile")
        np.testing.assert_allclose(result.per_time, distances, rtol=1e-9)
        assert result.value == pytest.approx(np.mean(distances), rel=1e-9)


def test_frames_count_as_loud_as_the_reference_is_in_them() -> None:
    """A tone that moves in the quiet half, 60 dB down, and one that moves in the loud half."""
    low, high = tone(500, seconds=1.5), tone(1000, seconds=1.5)
    ref = np.concatenate([low, 1e-3 * low], axis=1)
    quiet = ref, np.concatenate([low, 1e-3 * high], axis=1)
    loud = ref, np.concatenate([high, 1e-3 * low], axis=1)
    moved = value("spectral-transport", low, high).value
    assert value("spectral-transport", *quiet).value < 0.05 * moved
    assert value("spectral-transport", *loud).value > 0.95 * moved
    for pair in (quiet, loud):
        assert value("spectral-transport:weight=0", *pair).value == pytest.approx(moved / 2, rel=0.1)


@pytest.mark.parametrize("spec", ["spectral-transport", "spectral-transport:p=2", "spectral-transport:scale=log"])
def test_bands_share_the_value_and_hold_both_ends_of_the_way(spec: str) -> None:
    result = value(spec, tone(500), tone(2000), detail="map", band_edges=np.array([0, 400, 600, 1900, 2100, 8000.0]))
    assert result.per_band.sum() == pytest.approx(result.value, rel=1e-9)
    np.testing.assert_allclose(result.per_band / result.value, [0, 0.5, 0, 0.5, 0], atol=0.01)
    np.testing.assert_allclose(result.map.sum(axis=0), result.per_band, rtol=1e-9)


def test_does_not_hear_level_in_any_frame() -> None:
    ref = pink(RATE, 0.5, 1)
    test = added_noise(ref, RATE, 0.3, 1)
    fading = test * np.linspace(1.0, 0.3, test.shape[1])
    before = value("spectral-transport", ref, test).value
    assert value("spectral-transport", ref, 0.01 * test).value == pytest.approx(before, rel=1e-6)
    assert value("spectral-transport", ref, fading).value == pytest.approx(before, rel=0.03)


@pytest.mark.parametrize("weight", ["-0.1", "1.5"])
def test_impossible_weights_are_refused(weight: str) -> None:
    with pytest.raises(UsageError, match="spectral-transport: weight must be 0 to 1"):
        value(f"spectral-transport:weight={weight}", tone(500), tone(600))


def test_too_short_for_a_frame_says_what_it_takes() -> None:
    result = value("spectral-transport", tone(500)[:, :2047], tone(600)[:, :2047])
    assert result.reason == "too short: a frame takes 2048 samples, there are 2047"


@pytest.mark.skipif(not COMPILED, reason="long only because of torch")
@pytest.mark.parametrize(
    ("spec", "triples", "pairs"),
    [
        ("spectral-transport", 200, 60),
        ("spectral-transport:scale=hz", 50, 15),
        ("spectral-transport:scale=log", 50, 15),
        ("spectral-transport:p=2", 50, 15),
    ],
)
def test_sense_of_pitch(spec: str, triples: int, pairs: int) -> None:
    """Which of two sines is nearer, and which way descent would move one, by their distance; benchmarks/pitch.py."""
    pytest.importorskip("torch")
    from tests.benchmarks import pitch

    assert pitch.rank(spec, triples) >= 0.995
    for semitones in pitch.SEMITONES:
        assert pitch.gradient(spec, semitones, pairs) >= 0.97, semitones


@pytest.mark.parametrize("start", [350.0, 700.0])
def test_descent_finds_the_pitch(start: float) -> None:
    """A sine an octave off, at half the level, tuned by gradient descent on log2 f alone."""
    torch = pytest.importorskip("torch")
    from audiosim import Loss

    rate, seconds, wanted = 8000, 0.3, 500.0
    time = torch.arange(round(rate * seconds), dtype=torch.float64) / rate
    target = torch.sin(2 * torch.pi * wanted * time)[None]
    octaves = torch.tensor(np.log2(start), requires_grad=True)
    optimizer = torch.optim.Adam([octaves], lr=0.05)
    loss = Loss("spectral-transport", rate)
    for step in range(60):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * 0.93**step
        optimizer.zero_grad()
        loss(0.5 * torch.cos(2 * torch.pi * 2**octaves * time)[None], target).backward()
        optimizer.step()
    assert 2 ** octaves.item() == pytest.approx(wanted, rel=0.01)
