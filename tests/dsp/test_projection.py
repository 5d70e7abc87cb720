"""Filters of several channels solve the normal equations."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.dsp import projection
from audiosim.engine.stream import plain


@pytest.mark.parametrize(("channels", "others", "taps"), [(1, 1, 8), (2, 1, 5), (4, 2, 16)])
def test_filters_solve_the_normal_equations(channels: int, others: int, taps: int) -> None:
    rng = np.random.default_rng(1)
    ref, test = (rng.standard_normal((n, 3000)) for n in (channels, others))
    ref[:, 1:] += 0.7 * ref[:, :-1]
    auto, cross = projection.correlations([plain(x) for x in ref], [plain(x) for x in test], taps)
    delayed = np.zeros((taps, channels, 3000 + taps - 1))
    for k in range(taps):
        delayed[k, :, k : k + 3000] = ref
    rows = delayed.reshape(taps * channels, -1)
    padded = np.pad(test, ((0, 0), (0, taps - 1)))
    assert auto[taps - 1] == pytest.approx(ref[:, : 3001 - taps] @ ref[:, taps - 1 :].T, abs=1e-8)
    assert cross.reshape(taps * channels, -1) == pytest.approx(rows @ padded.T, abs=1e-8)
    expected = np.linalg.lstsq(rows.T, padded.T, rcond=None)[0]
    assert projection.filters(auto, cross).reshape(expected.shape) == pytest.approx(expected, abs=1e-9)


def test_copies_of_channels_get_no_filter() -> None:
    rng = np.random.default_rng(2)
    ref = rng.standard_normal((2, 2000))
    ref = np.stack([ref[0], 0.5 * ref[0], ref[1], ref[0] - ref[1], 0 * ref[0]])
    auto, cross = projection.correlations([plain(x) for x in ref], [plain(ref[2])], 4)
    taps = projection.filters(auto, cross)
    assert np.count_nonzero(np.abs(taps).sum((0, 2))) == 2
    assert np.einsum("ki,in->kn", taps[..., 0], ref)[0] == pytest.approx(ref[2], abs=1e-9)


def test_silence_has_no_filter() -> None:
    silent = plain(np.zeros(500))
    assert not projection.filters(*projection.correlations([silent], [silent], 4)).any()
