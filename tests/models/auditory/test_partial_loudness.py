"""Partial loudness: its plain formula, and what listeners just notice, within a factor of two of what is published.

`tests/benchmarks/psychophysics.py` finds thresholds, and prints them all.
"""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.hearing import loudness, scales
from audiosim.models.auditory import partial_loudness as model
from audiosim.testing.signals import COMPILED, affordable
from tests.benchmarks import psychophysics
from tests.benchmarks.psychophysics import RATE

compiled = pytest.mark.skipif(not COMPILED, reason="searches for thresholds are too long for uncompiled kernels")


def within_a_factor_of_two(found: float, published: float) -> bool:
    return published / 2 <= found <= published * 2


def test_is_its_formula() -> None:
    """Excitation and partial loudness, in numpy, from the strips on."""
    e = model.ear(RATE)
    power = 10 ** np.random.default_rng(0).uniform(-3, 9, (2, 3, e.transmitted.size))
    f = scales.erb_rate_inverse(scales.erb_rate(25.0) + 0.25 * np.arange(e.transmitted.size))
    f16 = np.minimum(f, 16000)
    inside = power * 10 ** (loudness.transmission(f16) / 10)
    expected = np.zeros((2, 3, e.noise.size))
    for k in range(f.size):
        near = inside[..., max(k - 2, 0) : k + 3].sum(-1)
        up = np.maximum(36 - 0.37 * 10 * np.log10(np.maximum(near, 1)), 8) * (f16[k] / 1000) ** 0.6
        for b in range(e.noise.size):
            away = 0.25 * (2 * b - k)
            a = np.log(10) / 10 * (up * away if away > 0 else -36 * away)
            expected[..., b] += inside[..., k] * (1 + a) * np.exp(-a)
    expected /= 10 ** (0.4 * 3.64 * (f16[::2] / 1000) ** -0.8 / 10)
    found = model.excitations(power, e)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    signal, masker = np.abs(found[1] - found[0]), found.min(0)
    threshold = 0.4 * masker + 1
    above = (
        (signal + masker + 2) ** 0.2
        - 2**0.2
        - ((masker * 1.4 + 3) ** 0.2 - 3**0.2) * (threshold / np.maximum(signal, 1e-12)) ** 0.3
    )
    below = (
        (2 * signal / (signal + threshold)) ** 1.5
        * (3**0.2 - 2**0.2)
        / ((masker * 1.4 + 3) ** 0.2 - (masker + 2) ** 0.2)
        * ((signal + masker + 2) ** 0.2 - (masker + 2) ** 0.2)
    )
    expected = np.where(signal >= threshold, above, below)
    np.testing.assert_allclose(model.specific(np, signal, masker), expected, rtol=1e-6, atol=1e-12)


@compiled
def test_power_of_a_sine_is_kept() -> None:
    """Wherever it lies between the bins and strips, also where they begin."""
    for f in (61.3, 997.0, 7001.0):
        t = np.arange(RATE // 4) / RATE
        parts = list(model.pieces(np.zeros(t.size), np.sin(2 * np.pi * f * t), RATE, 1.0, 1))
        middle = sum(p.power[1:-2].sum() for p in parts) / (5 * sum(p.power[1:-2].size for p in parts))
        assert middle == pytest.approx(1.0, rel=0.02), f


def test_a_masker_lingers_and_fades() -> None:
    masker = np.full((40, 1), 1e8)
    masker[10:] = 0.0
    state, tail = np.zeros(1), np.empty_like(masker)
    model._tails((1 + masker) ** 0.2 - 1, state, tail)
    left = 10 * np.log10(1 + model.lingering(tail)[:, 0])
    assert (np.diff(left[10:]) < 0).all()
    assert left[0] == 0
    assert left[10] > 15
    assert left[30] < 0.1


def test_parts_are_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = 0.1 * rng.standard_normal(round(RATE * affordable(0.25)))
    y = x + 0.01 * rng.standard_normal(x.size)
    whole = list(model.pieces(x, y, RATE, 1e9, 1))
    monkeypatch.setattr(model, "AT_ONCE", 10)
    monkeypatch.setattr(model, "TOGETHER", 2)
    parts = list(model.pieces(x, y, RATE, 1e9, 2))
    for a, b in zip(zip(*whole, strict=True), zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate(a), np.concatenate(b))


@compiled
@pytest.mark.parametrize("f", [100, 250, 500, 1000, 2000, 4000, 8000])
def test_threshold_in_quiet(f: float) -> None:
    """A factor of two of power is 3 dB."""
    found, published = psychophysics.quiet(f)
    assert found == pytest.approx(published, abs=3.01)


@compiled
def test_simultaneous_masking() -> None:
    """A tone near a tone of 60 dB: masking lies between 5 and 20 dB below the masker (Egan and Hake 1950, JASA 22,
    622-630). Beside white noise critical ratios are 20 dB at 2 kHz (Hawkins and Stevens 1950, JASA 22, 6-13): those
    here are lower, the same noise being there without the tone, but not by more than 10 dB."""
    assert 40 < psychophysics.beside_tone(1100, 60) < 55
    assert 10 <= psychophysics.beside_noise(2000) <= 20


@compiled
def test_upward_spread_of_masking() -> None:
    """Above the masker masking grows by 2 dB per dB (Bacon et al. 1999, JASA 106, 341-350), and below it spreads far
    less (Wegel and Lane 1924, Physical Review 23, 266-285)."""
    low, high = (psychophysics.beside_tone(2000, level) for level in (75, 85))
    assert within_a_factor_of_two((high - low) / 10, 2.0)
    assert high > psychophysics.beside_tone(500, 85) + 30


@compiled
def test_forward_and_backward_masking() -> None:
    """Jesteadt, Bacon and Lehman 1982, JASA 71, 950-962: after a masker of 80 dB at 1 kHz thresholds are raised by some
    20 dB at 10 ms, and growth is far below 1 dB per dB. Backward masking is over within 20 ms (Elliott 1962, JASA 34,
    1108-1115), before forward masking is."""
    shifts = [psychophysics.after(80, delay) for delay in (0.01, 0.02, 0.04, 0.15)]
    assert within_a_factor_of_two(shifts[0], 20)
    assert shifts == sorted(shifts, reverse=True)
    assert shifts[-1] < 1
    assert (shifts[0] - psychophysics.after(60, 0.01)) / 20 < 0.6
    late = psychophysics.before(80, 0.02)
    assert late < 3 < psychophysics.before(80, 0.005)
    assert late < shifts[1]


@compiled
def test_just_noticeable_changes_of_level() -> None:
    """Of a tone (Jesteadt, Wier and Green 1977, JASA 61, 169-177), and of white noise (Miller 1947, JASA 19,
    609-619)."""
    for level in (20, 40, 60, 80):
        assert within_a_factor_of_two(*psychophysics.level_of_tone(level)), level
    assert within_a_factor_of_two(psychophysics.level_of_noise(), 0.5)


@compiled
def test_just_noticeable_changes_of_frequency() -> None:
    """0.2 % at 1 kHz, about 0.3 % at 4 kHz (Wier, Jesteadt and Green 1977, JASA 61, 178-184; Moore 2012, ch. 6)."""
    for f, published in ((1000, 0.2), (4000, 0.3)):
        assert within_a_factor_of_two(psychophysics.frequency(f), published), f


@compiled
def test_gaps_in_noise() -> None:
    """2 to 3 ms in broadband noise (Plomp 1964, JASA 36, 277-282)."""
    assert within_a_factor_of_two(psychophysics.gap(), 2.5)


@compiled
def test_modulation_transfer() -> None:
    """Of broadband noise (Viemeister 1979, JASA 66, 1364-1380): 20 lg m is some -25 dB at 4 and 16 Hz, -22 at 64."""
    for f, published in ((4, -25), (16, -25), (64, -22)):
        assert within_a_factor_of_two(psychophysics.modulation(f), 10 ** (published / 20)), f
