"""PEMO's stages: the numbers of AMToolbox, closed forms, and slopes by finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.dsp import polyphase
from audiosim.engine.stream import plain
from audiosim.models import pemo
from audiosim.testing.signals import Array, affordable, noise

BANK = pemo.MODULATIONS["bank"]


def looped(x: Array, rate: int) -> Array:
    """The adaptation loops alone [sample], of x [sample]: filters that pass everything."""
    state = pemo.ear(rate).state[0].copy()
    state[: 2 * pemo.LANES] = 0
    state[2 * pemo.LANES : 3 * pemo.LANES] = 1
    step = np.exp(-1 / (rate * np.array([1e-9, *pemo.ADAPTATION])))
    out, unused = np.empty(x.size * pemo.LANES), np.empty(7 * pemo.LANES)
    pemo._hear(x, state, step, pemo.ear(rate).floors, unused, out)
    first: Array = out[:: pemo.LANES]
    return first


def test_adaptation_loops_are_those_of_amtoolbox() -> None:
    """AMToolbox at 17badbc, Octave 7.3: comp_adaptloop(x, 8000, 0, 1e-5, [0.005 0.050 0.129 0.253 0.500]).

    It lets the divisors fall below what they are in quiet. These signals do not ask for that.
    """
    t = np.arange(1600) / 8000
    x = 0.2 * np.abs(np.sin(2 * np.pi * 431 * t)) * t
    expected = (-3.67417405269253e-14, 244.165446389976, 183.211631312256)
    assert looped(x, 8000)[[0, 999, 1599]] == pytest.approx(expected, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("level", [1.0, 1e-2, 1e-4, 1e-7])
def test_steady_amplitudes_end_at_the_32nd_root(level: float) -> None:
    """Each loop takes the square root in the end; 1e-5 gives 0 model units, 1 gives 100."""
    rate = 200
    y = looped(np.full(rate * 12, level), rate)[-1]
    least = 1e-5 ** (1 / 32)
    assert y == pytest.approx(100 * (max(level, 1e-5) ** (1 / 32) - least) / (1 - least), abs=1e-2)


def test_modulation_filters_are_those_of_amtoolbox() -> None:
    """AMToolbox at 17badbc, Octave 7.3: modfilterbank(x, 800, 1000), which doubles the output of all but its low-pass.

    Its low-pass is a Butterworth filter, PEMO-Q's a one-pole, and is left out here.
    """
    t = np.arange(800) / 800
    x = 50 + 20 * np.sin(2 * np.pi * 3 * t) + 10 * np.sin(2 * np.pi * 16.7 * t)
    x += 5 * np.sin(2 * np.pi * 130 * t) * (t > 0.2)
    y = pemo.modulated(x[:, None], BANK, pemo.at_rest(BANK, 1))[[99, 499, 799], 1:, 0]
    expected = [
        [24.9878007229228, 16.2699923463449, 24.9623330004327],
        [7.13279230844022, 10.4335605963248, 9.59041840800622],
        [24.5860810397158, 27.50182348034, 25.2583477042473],
        [33.2293997544239, 21.5567887314464, 18.5190390772348],
        [33.538207803623, 19.8409710645601, 19.1981745600009],
        [33.8819773665917, 18.7326301391556, 19.454865167905],
        [34.8359569426636, 19.8044461052133, 15.4236236675882],
    ]
    doubled = 2 * y.T
    assert doubled == pytest.approx(np.array(expected), rel=1e-12)


def test_bands() -> None:
    f = pemo.centres(48000)
    assert f.size == 33
    assert np.any(np.isclose(f, 1000))
    assert pemo.LOWEST < f[0] < f[-1] < pemo.HIGHEST
    width = f / pemo.EAR_Q + pemo.LEAST_BANDWIDTH
    assert np.diff(f) == pytest.approx((width[1:] + width[:-1]) / 2, rel=2e-3)  # 1 ERB apart
    assert pemo.centres(16000)[-1] < 8000
    assert pemo.centres(300).size == 0


@pytest.mark.parametrize(("rate", "inner"), [(8000, 12000), (11025, 22050), (44100, 44100), (96000, 96000)])
def test_the_rate_holds_the_filters(rate: int, inner: int) -> None:
    assert pemo.rate_for(rate) == inner


@pytest.mark.parametrize("rate", [12000, 22050])
def test_the_low_rate_is_that_of_the_resampler(rate: int) -> None:
    """Blocks and lanes add up to the polyphase filter of the whole."""
    x = np.random.default_rng(0).standard_normal((int(affordable(0.4) * rate), pemo.LANES))
    low = pemo._Low.of(rate, BANK)
    out = np.zeros((low.frames(len(x)), pemo.LANES))
    for first in range(0, len(x), 700):
        pemo._decimate(x[first : first + 700].reshape(-1), first, *low, out.reshape(-1))
    for lane in (0, pemo.LANES - 1):
        whole = polyphase.resampled(plain(x[:, lane].copy()), rate, 800, design=polyphase.short_taps)
        assert out[:, lane] == pytest.approx(whole, abs=1e-12)
    slope = np.random.default_rng(1).standard_normal(out.shape)
    back = np.zeros_like(x)
    for first in range(0, len(x), 700):
        pemo._spread(slope.reshape(-1), first, *low, back[first : first + 700].reshape(-1))
    assert np.sum(back * x) == pytest.approx(np.sum(slope * out), rel=1e-9)


@pytest.mark.parametrize("rate", [8000, 12000])
def test_slopes_are_those_of_finite_differences(rate: int) -> None:
    g = np.random.default_rng(1)
    x = noise(rate, affordable(0.3), 1)[0]
    slope = g.standard_normal(pemo._adapted(x, rate, BANK, 1).shape)
    found = pemo._adapted_slope(x, rate, BANK, slope, 1)
    assert np.array_equal(found, pemo._adapted_slope(x, rate, BANK, slope, 3))
    direction = g.standard_normal(x.size)
    errors = []
    for step in (1e-6, 1e-7, 1e-8):  # with one of them, no hair cell opens or closes between the two
        up, down = (pemo._adapted(x + s * direction, rate, BANK, 1) for s in (step, -step))
        errors.append(abs(np.sum(slope * (up - down)) / (2 * step) / (found @ direction) - 1))
    assert min(errors) < 1e-5


def test_any_number_of_threads_gives_the_same_bits() -> None:
    x = plain(noise(12000, affordable(0.3), 2)[0])
    one, three = (pemo.adapted(x, 12000, 1.0, BANK, threads) for threads in (1, 3))
    assert np.array_equal(one, three)


def test_chunks_of_modulation_are_the_whole() -> None:
    x = np.random.default_rng(3).standard_normal((90, 4))
    state = pemo.at_rest(BANK, 4)
    parts = [pemo.modulated(part, BANK, state) for part in np.split(x, [11, 50])]
    assert np.array_equal(np.concatenate(parts), pemo.modulated(x, BANK, pemo.at_rest(BANK, 4)))
