"""Clips are found in longer recordings to the sample, and others are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim.dsp.alignment import advanced
from audiosim.dsp.excerpt import find, thin
from audiosim.testing.signals import COMPILED, added_noise, clipping, low_pass, noise, pink, sine, speech_like

pytestmark = pytest.mark.skipif(not COMPILED, reason="no kernels here, and it has run compiled")

RATE = 16000
LONG = 30.0  # s


@pytest.fixture(scope="module", params=[speech_like, pink, noise], ids=lambda source: source.__name__)
def long(request: Any) -> Any:
    return request.param(RATE, LONG, 3, 2)


@pytest.mark.parametrize(("start", "length"), [(0, 48000), (123457, 16000), (400001, 79999), (7, 450000)])
def test_exact_to_the_sample_in_either_order(long: Any, start: int, length: int) -> None:
    clip = long[:, start : start + length]
    for found, at in ((find(long, clip, RATE), start), (find(clip, long, RATE), -start)):
        assert found.found
        assert abs(found.start_samples - at) < 1e-2
        assert found.second_samples is None


def test_a_fraction_of_a_sample_counts(long: Any) -> None:
    clip = advanced(long, 0.3)[:, 100000:180000]
    assert abs(find(long, clip, RATE).start_samples - 100000.3) < 1e-2


@pytest.mark.parametrize(("spoilt", "strength"), [(added_noise, 0.3), (low_pass, 0.4), (clipping, 0.6)])
def test_spoilt_clips(long: Any, spoilt: Any, strength: float) -> None:
    clip = -0.05 * spoilt(long[:, 200001:260001], RATE, strength, 1)
    found = find(long, clip.astype(np.float32), RATE)
    assert found.found
    assert abs(found.start_samples - 200001) < 0.5


def test_a_clip_that_sticks_out(long: Any) -> None:
    assert abs(find(long[:, 20000:], long[:, :160000], RATE).start_samples + 20000) < 1e-2
    assert abs(find(long[:, :400000], long[:, 300000:420000], RATE).start_samples - 300000) < 1e-2


@pytest.mark.parametrize("source", [speech_like, pink, noise, sine])
@pytest.mark.parametrize("seconds", [0.5, 2.0, 6.0])
def test_what_is_not_in_it_is_not_found(long: Any, source: Any, seconds: float) -> None:
    assert not find(long, source(RATE, seconds, 7, 2), RATE).found


def test_music_that_repeats_has_two_places() -> None:
    bar = pink(RATE, 4.0, 1, 1)
    rest = pink(RATE, 6.0, 2, 1)
    loop = np.concatenate((bar, rest, bar), axis=1)
    found = find(loop, added_noise(bar, RATE, 0.1, 1), RATE)
    assert found.found
    assert {round(found.start_samples), round(found.second_samples or 0)} == {0, 10 * RATE}


def test_silence_and_scraps_are_not_found(long: Any) -> None:
    clip = long[:, :40000]
    for a, b in ((long, 0 * clip), (0 * long, clip), (long, clip[:, :1000]), (clip[:, :3], clip[:, :2])):
        assert not find(a, b, RATE).found


def test_thinning_in_parts_is_thinning_at_once() -> None:
    x = noise(RATE, 1.0, 1, 2)
    whole = thin(x, 2, 0, 8000)
    assert np.abs(thin(x, 2, 3000, 500) - whole[3000:3500]).max() < 1e-4 * np.abs(whole).max()
    assert not thin(x, 2, 9000, 10).any()
