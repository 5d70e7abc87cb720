"""What counts as a pause, and what is left when pauses are cut."""

from __future__ import annotations

import numpy as np

from audiosim.models.warp_q import voice_activity
from audiosim.testing.signals import noise

RATE = 16000
BLOCK = 480


def test_what_is_60_db_below_the_loudest_block_is_a_pause_but_for_its_first_and_last_block() -> None:
    x = noise(RATE, 1.0, 1)[0]
    x[5 * BLOCK : 10 * BLOCK] *= 10 ** (-65 / 20)
    x[20 * BLOCK : 25 * BLOCK] *= 10 ** (-50 / 20)
    blocks = voice_activity.active(x, RATE)
    assert blocks.size == -(-RATE // BLOCK)
    np.testing.assert_array_equal(np.flatnonzero(~blocks), [6, 7, 8])
    np.testing.assert_array_equal(voice_activity.active(100 * x.astype(np.float32), RATE), blocks)


def test_cut_samples_know_when_they_were() -> None:
    x = noise(RATE, 0.5, 2)[0]
    blocks = np.ones(-(-x.size // BLOCK), bool)
    assert voice_activity.cut(x, blocks, RATE) is x
    blocks[[0, 3, 4]] = False
    y = voice_activity.cut(x, blocks, RATE)
    assert y.size == x.size - 3 * BLOCK
    samples = np.arange(y.size)
    times = voice_activity.times((samples + 0.5) / RATE, blocks)
    np.testing.assert_array_equal(x[(times * RATE).astype(int)], y)


def test_silence_and_nothing_are_pauses() -> None:
    assert not voice_activity.active(np.zeros(1000), RATE).any()
    assert voice_activity.active(np.zeros(0), RATE).size == 0
    assert voice_activity.active(np.ones(100), RATE).tolist() == [True]
