"""Octave's resampler: the sums that it stands for, and SciPy's."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.dsp import polyphase
from audiosim.engine.stream import Stream, plain
from audiosim.errors import UsageError
from audiosim.testing.signals import COMPILED, noise
from tests import naive

RATES = [(48000, 10000), (44100, 10000), (16000, 10000), (8000, 10000), (11025, 10000), (10000, 10000), (16000, 8000)]


@pytest.mark.parametrize(("rate", "wanted"), RATES)
@pytest.mark.parametrize("length", [1, 2, 50, 701])
def test_scipy_with_the_same_taps(rate: int, wanted: int, length: int) -> None:
    x = noise(rate, length / rate, 1)[0]
    if not COMPILED and (length > 50 or rate == 44100):
        pytest.skip("too long for uncompiled kernels")
    expected = naive.octave_resampled(x, rate, wanted)
    np.testing.assert_allclose(polyphase.resampled(plain(x), rate, wanted), expected, rtol=0, atol=1e-14)


@pytest.mark.skipif(not COMPILED, reason="too long for uncompiled kernels")
def test_blocks_threads_and_filters_change_nothing() -> None:
    x = noise(16000, 2.0, 2)[0].astype(np.float32)
    expected = naive.octave_resampled(naive.filtered(x, 0.5, 1), 16000, 10000)
    for threads in (1, 3):
        filtered = polyphase.resampled(Stream(x, np.float32(0.5), 1), 16000, 10000, threads)
        np.testing.assert_allclose(filtered, expected, rtol=0, atol=1e-7)
    whole, two = (polyphase.resampled(plain(x), 16000, 10000, threads) for threads in (1, 2))
    assert (whole == two).all()
    assert whole.size > 2 * polyphase.BLOCK


@pytest.mark.parametrize(("rate", "wanted"), RATES)
def test_torch(rate: int, wanted: int) -> None:
    torch = pytest.importorskip("torch")
    resample = polyphase.resampler_torch(rate, wanted)
    for length in (1, 50, 701) if COMPILED else (20,):
        x = noise(rate, length / rate, 1, 2)
        expected = np.stack([polyphase.resampled(plain(c), rate, wanted) for c in x])
        np.testing.assert_allclose(resample(torch.from_numpy(x)).numpy(), expected, rtol=0, atol=1e-14)


def test_torch_refuses_what_has_no_common_rate() -> None:
    pytest.importorskip("torch")
    with pytest.raises(UsageError, match="44099 Hz cannot be resampled to 10000 Hz"):
        polyphase.resampler_torch(44099, 10000)
