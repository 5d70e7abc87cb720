"""Cepstra normalised within a sliding window: librosa's cepstra, the plain formula, what they do not hear."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.models.warp_q import normalised_cepstra as cepstra
from audiosim.testing.signals import COMPILED, Array, gain, noise, speech_like

RATE = cepstra.RATE


def naive_normalised(c: Array, width: int) -> Array:
    """Twice with frames mirrored at the ends: less the mean, over the deviation."""

    def windows(x: Array) -> Array:
        padded = np.pad(x, ((width // 2, width // 2), (0, 0)), "symmetric")
        return np.stack([padded[i : i + width] for i in range(len(x))])

    centred = c - windows(c).mean(1)
    return np.asarray(centred / (windows(centred).std(1) + 2.0**-30))


@pytest.mark.parametrize(("frames", "width"), [(1, 3), (4, 9), (9, 5), (30, 7)])
def test_sliding_normalisation_is_the_plain_formula(frames: int, width: int) -> None:
    c = 20 * np.random.default_rng(1).standard_normal((frames, 2)) + 50
    centred, out = np.empty_like(c), np.empty_like(c)
    cepstra._sliding(c, width, False, centred)
    cepstra._sliding(centred, width, True, out)
    np.testing.assert_allclose(out, naive_normalised(c, width), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cepstra_are_those_of_librosa(dtype: type) -> None:
    """Also where the loudest sound comes last, from which the others are measured."""
    librosa = pytest.importorskip("librosa")
    x = speech_like(RATE, 1.5 if COMPILED else 0.1, 1)[0]
    x[: x.size // 2] *= 1e-4
    expected = librosa.feature.mfcc(
        y=x.astype(dtype), sr=RATE, n_mfcc=13, fmax=5000, n_fft=1024, win_length=512, hop_length=64
    )
    np.testing.assert_allclose(
        cepstra._cepstra(x.astype(dtype)), expected.T, atol=0.02 if dtype is np.float32 else 1e-3
    )


def test_features_do_not_hear_level_and_filters() -> None:
    x = noise(RATE, 1.0 if COMPILED else 0.2, 2)
    plain = cepstra.features(x[0])
    assert plain.shape == (cepstra.stft().count(x.size), 13)
    assert plain.dtype == np.float64
    np.testing.assert_allclose(cepstra.features(gain(x, RATE, 0.5)[0]), plain, atol=1e-6)
    assert np.abs(plain.mean(0)).max() < 0.5
    assert plain.std() == pytest.approx(1, abs=0.1)


def test_what_does_not_change_has_no_features() -> None:
    for x in (np.zeros(RATE // 4), np.zeros(RATE // 4, np.float32)):
        assert np.abs(cepstra.features(x)).max() < 0.02, "rounding errors, over EPS"
