"""The ear with a filter bank against its plain formula, and what it must keep."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.models.peaq import filter_bank_ear
from audiosim.models.peaq.filter_bank_ear import BLOCK, HOP, FilterBankEar
from audiosim.testing.signals import COMPILED, Array, noise, pink
from tests import naive

RATE = 48000


def excitation(x: Array, level: float = 92.0) -> tuple[Array, Array]:
    n = filter_bank_ear.count(x.size)
    listen = filter_bank_ear.listener(x, FilterBankEar.of(level), n)
    parts = [[a.copy() for a in listen(i, min(BLOCK, n - i))] for i in range(0, n, BLOCK)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def bursts(seconds: float) -> Array:
    """Loud and quiet, with an offset, from the first to the last sample."""
    x = pink(RATE, seconds, 1)[0]
    return x * (0.01 + np.sin(2 * np.pi * 23 * np.arange(x.size) / RATE) ** 2) + 0.1


@pytest.mark.parametrize("level", [92.0, 60.0])
@pytest.mark.parametrize("samples", [9000, 1, 191, 192, 193] if COMPILED else [1200])
def test_it_is_its_plain_formula(samples: int, level: float) -> None:
    x = bursts(0.2)[:samples]
    plain = naive.filter_bank_ear(x, level)
    spread, smeared = excitation(x, level)
    np.testing.assert_allclose(spread, plain["spread"], rtol=1e-9)
    np.testing.assert_allclose(smeared, plain["excitation"], rtol=1e-9)


@pytest.mark.skipif(not COMPILED, reason="takes more than a second of sound")
def test_blocks_follow_one_another() -> None:
    """What comes later by whole frames, over the end of a block of frames, is heard alike."""
    x = np.append(np.zeros(HOP), bursts(0.2))
    early, late = excitation(x), excitation(np.append(np.zeros((BLOCK - 11) * HOP), x))
    np.testing.assert_allclose(late[0][BLOCK - 11 :], early[0], rtol=1e-9)
    np.testing.assert_allclose(late[1][-1, 10:], early[1][-1, 10:], rtol=1e-6)  # lower ones are still rising


def test_a_tone_is_in_its_band() -> None:
    """At the level of the playback, after outer and middle ear, and late by half of the longest filter."""
    ear = FilterBankEar.of(80.0)
    for band in (3, 20, 36):
        x = np.sin(2 * np.pi * ear.centres[band] / RATE * np.arange(4800))
        spread, _ = excitation(x, 80.0)
        assert spread[-5].argmax() == band
    assert ear.edges[0] < 50 < ear.edges[1]
    np.testing.assert_allclose(ear.centres[[0, -1]], [50, 18000])


def test_silence_is_internal_noise_and_an_offset_is_not_heard() -> None:
    ear = FilterBankEar.of()
    spread, _ = excitation(np.zeros(2000))
    np.testing.assert_array_equal(spread, np.broadcast_to(ear.noise, spread.shape))
    if COMPILED:  # its onset is
        spread, _ = excitation(np.full(3 * RATE, 0.5))
        np.testing.assert_allclose(spread[-1], ear.noise, rtol=1e-6)


def test_single_precision_and_views_are_read_as_they_are() -> None:
    x = noise(RATE, 0.05, 1)[0].astype(np.float32)
    inside = np.full((x.size, 2), np.nan, np.float32)
    inside[:, 1] = x
    for a, b, c in zip(excitation(x), excitation(inside[:, 1]), excitation(x.astype(np.float64)), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


def test_frames_are_counted_with_the_last_one() -> None:
    assert [filter_bank_ear.count(n) for n in (0, 1, HOP, HOP + 1)] == [0, 1, 1, 2]
