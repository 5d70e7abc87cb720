"""Long recordings: memory grows by no more than a few times what the recordings themselves take, and a minute is
compared as a whole. Times, and lengths up to an hour: tests/benchmarks/scaling.py."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from audiosim import metrics
from audiosim.engine import cache
from audiosim.metrics import mcd, warp_q
from audiosim.models.visqol import downmix
from audiosim.testing.signals import COMPILED, Array, noise

pytestmark = pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")

SPECS = ("zimtohrli", "warp-q", "mcd", "mcd:band=0", "mcd:align=none", "visqol:output=vnsim", "visqol-speech")
TIMES = 3  # the recordings, by which memory may grow


def pair(rate: int, seconds: float) -> tuple[Array, Array]:
    """Noise in bursts."""
    x, y = (noise(rate, seconds, seed) for seed in (3, 4))
    x *= np.resize(np.repeat([1.0, 0.3, 0.05, 0.6, 0.2], rate // 7), x.shape)
    return x.astype(np.float32), (x + 0.1 * y).astype(np.float32)


@pytest.mark.parametrize("text", SPECS)
def test_memory_of_long_recordings(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (mcd, warp_q, downmix):
        monkeypatch.setattr(module, "LONG", 4.0)
    spec = metrics.parse(text)
    metric = metrics.get(spec.name)
    rate = metric.card.rate or 16000
    metric.compute(*pair(rate, 5.0), rate, **spec.options)  # compiled
    inputs, peaks = [], []
    for seconds in (8, 20):
        ref, test = pair(rate, seconds)
        tracemalloc.start()
        metric.compute(ref, test, rate, **spec.options)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        inputs.append(ref.nbytes + test.nbytes)
    assert not cache._memories
    assert peaks[1] - peaks[0] < TIMES * (inputs[1] - inputs[0])


@pytest.mark.parametrize("text", [t for t in SPECS if t in ("zimtohrli", "warp-q", "mcd:band=0", "visqol-speech")])
def test_short_recordings_are_compared_exactly(text: str) -> None:
    spec = metrics.parse(text)
    metric = metrics.get(spec.name)
    rate = metric.card.rate or 8000
    ref, test = pair(rate, 3.0)
    values = [metric.compute(ref, test, rate, **spec.options, exact=exact).value for exact in (False, True)]
    assert values[0] == values[1]
