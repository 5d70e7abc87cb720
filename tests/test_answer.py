"""Parseval: the energies of bands, frames and both are those of the samples, whatever the length and the weighting."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest

from audiosim import compare
from audiosim.answer import Channel, Grid, error_frames, pool, result
from audiosim.errors import UsageError
from audiosim.result import Result, Scale
from audiosim.testing.signals import COMPILED, Array, noise
from tests import naive

RATE = 16000
SCALE = Scale("dB", "lower")
LENGTHS = (1, 2, 100, 10007) if COMPILED else (1, 2, 100, 1501)
WEIGHTINGS = ("none", "hp", "fd", "a")
BANDS: tuple[Any, ...] = (None, "bins", [0, 1000, RATE / 2])


def pair(length: int) -> tuple[Array, Array]:
    ref = noise(length, 1, 1)
    return ref, 0.8 * ref + 0.1 * noise(length, 1, 2)


def mapped(spec: str, ref: Array, test: Array, band_edges: Any = None) -> Result:
    return compare(ref, test, spec, RATE, detail="map", band_edges=band_edges)[spec]


def filtered(weighting: str, *signals: Array) -> list[Array]:
    return [naive.weighted(x[0], RATE, weighting) for x in signals]


def energies(r: Array, t: Array, gain: float = 1.0) -> Array:
    """Of reference, test and error in the frames of a report: [frame, bin, 3]."""
    stft = error_frames(RATE)
    padded = [np.pad(x, (stft.lead, stft.trail)) for x in (r, t)]
    starts = range(0, padded[0].size - stft.n_fft + 1, stft.hop)
    z = np.array([[np.fft.rfft(stft.window * x[s : s + stft.n_fft]) for s in starts] for x in padded])
    return naive.energies(z[0], z[1], gain, 1 / stft.n_fft)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000, 192000])
def test_error_frames_cover_every_sample_once(rate: int) -> None:
    stft = error_frames(rate)
    assert 0.028 <= stft.n_fft / rate <= 0.057
    assert stft.hop == stft.n_fft // 2
    np.testing.assert_allclose(stft.window[: stft.hop] ** 2 + stft.window[stft.hop :] ** 2, 1, rtol=1e-15)
    for length in (1, 2, stft.hop - 1, stft.hop, stft.hop + 1, 5 * stft.n_fft + 7):
        count = stft.count(length)
        assert count >= 2
        weight = np.zeros(stft.lead + length + stft.trail)
        for frame in range(count):
            weight[frame * stft.hop : frame * stft.hop + stft.n_fft] += stft.window**2
        np.testing.assert_allclose(weight[stft.lead : stft.lead + length], 1, rtol=1e-15)


@pytest.mark.parametrize("band_edges", BANDS)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("length", LENGTHS)
def test_energies_of_the_error_add_up(length: int, weighting: str, band_edges: Any) -> None:
    """The map of mse is error energy over samples, of rmse too (so it sums to the square), of esr that over the energy
    of the reference, of snr too (so it sums to 10^(-snr/10))."""
    ref, test = pair(length)
    r, t = filtered(weighting, ref, test)
    error, signal = np.sum((t - r) ** 2), np.sum(r**2)
    sums = {
        "mse": error / r.size,
        "rmse": error / r.size,
        "esr:convention=plain": error / signal,
        "esr:convention=auraloss": error / (signal + 1e-8),
        "esr:convention=coreaudioml": error / (signal + 1e-5 * r.size),
        "snr:convention=plain": error / signal,
    }
    for spec, expected in sums.items():
        spec += f"{',' if ':' in spec else ':'}weighting={weighting}"
        local = mapped(spec, ref, test, band_edges).map
        assert local is not None
        assert float(local.sum()) == pytest.approx(float(expected), rel=1e-12, abs=0), spec


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("length", LENGTHS)
def test_profiles_are_the_metric_of_their_energies(length: int, weighting: str) -> None:
    ref, test = pair(length)
    r, t = filtered(weighting, ref, test)
    whole = energies(r, t)
    by_bin, by_frame = whole.sum(axis=0), whole.sum(axis=1)
    hop = error_frames(RATE).hop
    for spec, finish in {
        "mse": lambda e, n: e[:, 2] / n,
        "rmse": lambda e, n: np.sqrt(e[:, 2] / n),
        "esr:convention=plain": lambda e, _: e[:, 2] / e[:, 0],
        "esr:convention=coreaudioml": lambda e, n: e[:, 2] / (e[:, 0] + 1e-5 * n),
        "snr:convention=plain": lambda e, _: 10 * np.log10(e[:, 0] / e[:, 2]),
    }.items():
        result = mapped(f"{spec}{',' if ':' in spec else ':'}weighting={weighting}", ref, test, "bins")
        np.testing.assert_allclose(result.per_band, finish(by_bin, r.size), rtol=1e-8, atol=1e-9, err_msg=spec)
        heard = by_frame[:, 0] > 1e-12 * by_frame[:, 0].max()
        assert result.per_time is not None
        np.testing.assert_allclose(
            result.per_time[heard], finish(by_frame, hop)[heard], rtol=1e-8, atol=1e-9, err_msg=spec
        )


@pytest.mark.parametrize("length", LENGTHS)
def test_bands_add_up_to_the_whole(length: int) -> None:
    ref, test = pair(length)
    for spec in ("mse", "esr:convention=plain", "mae", "log-cosh", "dc", "seg-snr:frame=0.002", "sdr:taps=4"):
        maps = [mapped(spec, ref, test, edges).map for edges in BANDS]
        if maps[0] is None:  # too short for an answer
            continue
        sums = [m.sum(axis=1) for m in maps if m is not None]
        np.testing.assert_allclose(sums[1], sums[0], rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(sums[2], sums[0], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("spec", ["si-sdr", "si-sdr:convention=plain", "sd-sdr", "snr", "esr:convention=plain"])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_band_holds_the_metric_of_the_energies_in_it(spec: str, weighting: str) -> None:
    """What a gate such as si-sdr@4000-8000 looks at."""
    ref, test = pair(1601)
    r, t = filtered(weighting, ref, test)
    band_edges = [4000, 8000]
    result = mapped(f"{spec}{',' if ':' in spec else ':'}weighting={weighting}", ref, test, band_edges)
    gain = float(t @ r / (r @ r))
    bins = np.arange(error_frames(RATE).n_fft // 2 + 1) * RATE / error_frames(RATE).n_fft >= 4000
    signal, _, error = energies(r, t, gain if spec.startswith("si-sdr") else 1.0)[:, bins].sum(axis=(0, 1))
    if spec.startswith("esr"):
        expected = error / signal
    else:
        expected = 10 * np.log10(signal * (gain**2 if "sd" in spec else 1) / error)
    assert result.per_band is not None
    assert result.edges is not None
    assert result.edges.tolist() == band_edges
    assert float(result.per_band[0]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("spec", ["mae", "log-cosh", "dc", "sdr:taps=4"])
def test_shares_are_those_of_error_energy(spec: str) -> None:
    ref, test = pair(1601)
    whole = energies(ref[0], test[0])[:, :, 2]
    result = mapped(spec, ref, test, "bins")
    np.testing.assert_allclose(result.map, whole / whole.sum(), rtol=1e-8, atol=1e-15)
    np.testing.assert_allclose(result.per_band, whole.sum(axis=0) / whole.sum(), rtol=1e-9)
    np.testing.assert_allclose(result.per_time, whole.sum(axis=1) / whole.sum(), rtol=1e-9)


@pytest.mark.parametrize("spec", ["snr", "si-sdr", "sd-sdr", "snr:convention=auraloss", "si-sdr:convention=auraloss"])
def test_map_agrees_with_the_value_without_means(spec: str) -> None:
    ref, test = pair(1601)
    spec += "," if ":" in spec else ":"
    result = mapped(f"{spec}zero_mean", ref + 0.3, test - 0.2)
    assert result.map is not None
    assert -10 * np.log10(result.map.sum()) == pytest.approx(result.value, rel=1e-6)
    alone = mapped(f"{spec}zero_mean", ref - ref.mean(), test - test.mean())
    np.testing.assert_allclose(result.per_band, alone.per_band, rtol=1e-6)


def test_too_short_says_how_long_it_must_be() -> None:
    x = noise(512, 1)
    for spec, least in (("stft", 513), ("stft:n_fft=100", 51), ("lsd:centre=false", 2048), ("mr-stft", 1025)):
        short, enough = (noise(n, 1) for n in (least - 1, least))
        result = compare(short, short, spec, RATE)[spec]
        assert result.status == "undefined"
        assert result.reason == f"too short: a frame takes {least} samples, there are {least - 1}"
        assert compare(enough, enough, spec, RATE)[spec].status == "ok"
    with pytest.raises(UsageError, match="no bin lies between"):
        compare(x, x, "mse", RATE, detail="map", band_edges=[100, 101])


def test_a_grid_adds_up_what_measures_contribute() -> None:
    """Between frames by halves, before the first and after the last into these, and by the band of the frequency."""
    grid = Grid(3, 0.1, np.array([0.0, 100.0, 200.0]))
    grid.add(2.0, np.array([[1.0, 0.0, 3.0]]), np.array([0.05]), np.array([50.0, 100.0, 199.0]))
    np.testing.assert_allclose(grid.map, [[0.25, 0.75], [0.25, 0.75], [0, 0]])
    grid.add(1.0, np.array([[1.0], [1.0]]), np.array([-0.3, 0.7]), np.array([250.0]))
    np.testing.assert_allclose(grid.per_time, [1.5, 1.0, 0.5])
    assert grid.map.sum() == pytest.approx(2), "nothing of what lies in no band"
    grid.add(0.0, np.ones((1, 1)), np.zeros(1), np.zeros(1))
    grid.add(1.0, -np.ones((1, 1)), np.zeros(1), np.zeros(1))
    shares = grid.shares("map")
    np.testing.assert_allclose(shares["per_time"], [0.5, 1 / 3, 1 / 6])
    np.testing.assert_allclose(shares["map"], grid.map / 3)
    assert grid.shares("profile")["map"] is None
    assert not Grid(2, 0.1, np.array([0.0, 1.0])).shares("map")["per_time"].any()


# Pooling of channels


def test_a_reason_that_all_channels_share_is_said_once() -> None:
    assert pool([Channel(value=inf, reason="no noise")] * 7).reason == "no noise"
    mixed = result(pool([Channel(value=1.0), Channel(value=nan, reason="silent")]), 2, SCALE)
    assert (mixed.status, mixed.reason) == ("undefined", "channel 2: silent")
    assert result(Channel(value=nan), 1, SCALE).reason == "no finite number"
    assert result(Channel(value=1.0, reason="not needed"), 1, SCALE).reason is None


def test_channels_are_pooled_by_their_mean() -> None:
    a = Channel(value=1.0, per_time=np.array([1.0, nan]), per_band=np.array([2.0]), details={"x": 1.0, "y": 1.0})
    b = Channel(value=4.0, per_time=np.array([3.0, 5.0]), per_band=np.array([4.0]), details={"x": 2.0})
    both = pool([a, b])
    assert both.value == 2.5
    assert both.per_channel is not None
    assert both.per_channel.tolist() == [1, 4]
    np.testing.assert_array_equal(both.per_time, [2, 5])  # in a frame without a value the others count
    np.testing.assert_array_equal(both.per_band, [3])
    assert both.details == {"x": 1.5}
    assert both.map is None


def test_channels_are_pooled_by_their_root_mean_square_and_may_end_at_different_times() -> None:
    def channel(value: float, frames: int) -> Channel:
        times, ones = np.arange(frames) / 10, np.ones(frames)
        return Channel(value=value, per_time=value * ones, per_band=np.array([value]), times=times, map=ones[:, None])

    both = pool([channel(3.0, 2), channel(4.0, 3)], "rms")
    assert both.value == pytest.approx(12.5**0.5)
    np.testing.assert_allclose(both.per_time, [12.5**0.5, 12.5**0.5, 4])  # type: ignore[arg-type]
    np.testing.assert_allclose(both.per_band, [12.5**0.5])  # type: ignore[arg-type]
    np.testing.assert_array_equal(both.map, [[1], [1], [0.5]])
    assert both.times is not None
    assert len(both.times) == 3


def test_what_one_channel_lacks_all_lack() -> None:
    whole = Channel(value=1.0, per_time=np.ones(3), times=np.arange(3.0), map=np.ones((3, 1)))
    both = pool([Channel(value=nan, reason="silent"), whole])
    assert both.per_time is None
    assert both.map is None
    assert both.times is None
