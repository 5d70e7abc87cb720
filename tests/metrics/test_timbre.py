"""Timbre by one Gaussian: musly's numbers, what it is deaf to, features of recordings alone."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from audiosim import Signal, compare, metrics
from audiosim.errors import InputError, UsageError
from audiosim.testing.signals import COMPILED, Array, chord_music, clipping, noise, pink, speech_like

RATE = 22050
pytestmark = pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")
NAMES = ("timbre-kl", "timbre-js")
MANDELELLIS = [  # of sounds()
    [0.0, 4352.365, 3750.194, 5769.536, 398.3659],
    [4352.365, 0.0, 14.50589, 666.0118, 4050.453],
    [3750.194, 14.50589, 0.0, 707.4879, 3544.988],
    [5769.536, 666.0118, 707.4879, 0.0, 4813.651],
    [398.3659, 4050.453, 3544.988, 4813.651, 0.0],
]
TIMBRE = [
    [0.0, 0.9089215, 0.9120017, 0.9234256, 0.6487101],
    [0.9089215, 0.0, 0.6689406, 0.9464279, 0.9071386],
    [0.9120017, 0.6689406, 0.0, 0.9346856, 0.9094765],
    [0.9234256, 0.9464279, 0.9346856, 0.0, 0.9240863],
    [0.6487101, 0.9071386, 0.9094765, 0.9240863, 0.0],
]


def sounds() -> list[Array]:
    """Five of 4 s without empty bands, float32."""
    hiss = 0.003 * noise(RATE, 4.0, 9)
    made = [
        pink(RATE, 4.0, 1),
        chord_music(RATE, 4.0, 2) + hiss,
        chord_music(RATE, 4.0, 3) + 2 * hiss,
        speech_like(RATE, 4.0, 4) + hiss,
        clipping(pink(RATE, 4.0, 5), RATE, 0.7),
    ]
    return [x.astype(np.float32) for x in made]


def distances(name: str, **options: str) -> Array:
    metric = metrics.get(name)
    features = np.stack([metric.feature(Signal.of(x, RATE), **options) for x in sounds()])
    return np.stack([metric.distances(f, features, **options) for f in features])


def test_numbers_of_mandelellis() -> None:
    """pymusly 2.0.0, MuslyJukebox("mandelellis", "none"): compute_similarity of tracks from track_from_audiodata. It
    computes in float32."""
    np.testing.assert_allclose(distances("timbre-kl", convention="musly"), MANDELELLIS, rtol=1e-4)


def test_numbers_of_timbre() -> None:
    """The same of the method timbre, whose values have passed through Mutual Proximity to all five (set_style)."""
    d = distances("timbre-js", convention="musly")
    mean, deviation = d.mean(1), d.std(1, ddof=1)
    beyond = scipy.stats.norm.sf((d - mean[:, None]) / deviation[:, None]) * scipy.stats.norm.sf((d - mean) / deviation)
    proximity = 1 - beyond
    np.fill_diagonal(proximity, 0)
    np.testing.assert_allclose(proximity, TIMBRE, atol=5e-4)


@pytest.mark.parametrize("name", NAMES)
def test_deaf_to_order_and_gain(name: str) -> None:
    whole = 1024 + 170 * 512  # samples of whole frames, forwards and backwards
    x, y = (s[:, :whole].astype(np.float64) for s in sounds()[1:3])
    apart = compare(x, y, name, RATE)[name].value
    assert compare(x, x[:, ::-1], name, RATE)[name].value < 0.02 * apart
    assert compare(x, y / 3, name, RATE)[name].value == pytest.approx(apart, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_sounds_of_a_kind_are_near(name: str) -> None:
    d = distances(name)
    np.fill_diagonal(d, np.inf)
    assert d[1].argmin() == 2
    assert d[2].argmin() == 1


@pytest.mark.parametrize("name", NAMES)
def test_feature_of_one_is_what_compare_compares(name: str) -> None:
    """At any rate, of any number of channels."""
    metric = metrics.get(name)
    x, y = (np.concatenate([s, t]) for s, t in zip(sounds()[:2], sounds()[2:4], strict=True))
    one, other = (metric.feature(Signal.of(s, RATE)) for s in (x, y))
    assert metric.distances(one, other[None])[0] == compare(x, y, name, RATE)[name].value
    assert metric.feature(Signal.of(x, 48000)).shape == one.shape


def test_recordings_without_a_feature_are_named() -> None:
    metric = metrics.get("timbre-kl")
    with pytest.raises(InputError, match=r"^empty\.wav is silent$"):
        metric.feature(Signal.of(np.zeros(RATE), RATE, "empty.wav"))
    with pytest.raises(InputError, match=r"^odd\.wav is silent when its channels are averaged$"):
        metric.feature(Signal.of(np.stack([x := sounds()[0][0], -x]), RATE, "odd.wav"))
    with pytest.raises(InputError, match=r"^blip\.wav is too short: 0\.511 s are needed, there are 0\.454 s$"):
        metric.feature(Signal.of(sounds()[0][:, :10000], RATE, "blip.wav"))
    with pytest.raises(UsageError, match="snr compares recordings moment by moment"):
        metrics.get("snr").feature(Signal.of(sounds()[0], RATE))
