"""Zimtohrli: the original's numbers, its plain formula, its edges."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from audiosim import compare, load, metrics
from audiosim.engine.stream import plain
from audiosim.errors import InputError
from audiosim.metrics.zimtohrli import opinion
from audiosim.models.zimtohrli import greedy_warping, phasor_bank, structure
from audiosim.testing.signals import (
    COMPILED,
    Array,
    added_click,
    added_noise,
    affordable,
    chord_music,
    gain,
    low_pass,
    noise,
    pink,
    speech_like,
)
from tests import naive

RATE = 48000
compute = metrics.get("zimtohrli").compute
compiled = pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")


def pairs(seconds: float) -> dict[str, tuple[Array, Array]]:
    """One channel each, of equal and of unequal lengths."""
    steady, speech, music = (f(RATE, seconds, 3) for f in (pink, speech_like, chord_music))
    part = int(0.7 * steady.shape[1])
    return {
        "noise": (steady, added_noise(steady, RATE, 0.3, 1)),
        "low-passed": (music, low_pass(music, RATE, 0.7)),
        "quiet": (speech, gain(added_noise(speech, RATE, 0.02, 1), RATE, 0.3)),
        "unrelated": (music, speech),
        "click": (music, added_click(music, RATE, 1.0)),
        "silence": (music, 0 * music),
        "shorter": (speech, speech[:, :part]),
        "longer": (steady[:, :part], 0.5 * steady),
        "late": (speech[:, 700:], speech),
    }


# The original


@compiled
@pytest.mark.parametrize("seconds", [0.2, 0.777, 3.0])
def test_original_called_live(seconds: float) -> None:
    """The package zimtohrli 0.2.1.post1 gives the numbers of google/zimtohrli at ff5f049. It crashes below 8 steps."""
    original = pytest.importorskip("zimtohrli").Pyohrli()
    for name, (ref, test) in pairs(seconds).items():
        expected = original.distance(ref[0], test[0])
        for dtype in (np.float32, np.float64):
            assert compute(ref.astype(dtype), test.astype(dtype), RATE).value == pytest.approx(expected, abs=1e-6), name


@compiled
def test_spectrogram_of_the_original() -> None:
    original = pytest.importorskip("zimtohrli").Pyohrli()
    for ref, _ in pairs(1.0).values():
        expected = original.analyze(ref[0])
        np.testing.assert_allclose(phasor_bank.spectrogram(plain(ref[0])), expected, atol=5e-4)
        np.testing.assert_allclose(phasor_bank.spectrogram(plain(ref[0].astype(np.float32))), expected, atol=5e-4)


@pytest.mark.parametrize(
    ("seed", "amount", "expected"),
    [(1, 0.1, 0.006989539), (2, 0.5, 0.013002574), (3, 2.0, 0.017946661)],
)
@compiled
def test_numbers_of_the_original(seed: int, amount: float, expected: float) -> None:
    """zimtohrli 0.2.1.post1, Pyohrli().distance(ref, test)."""
    ref, test = formula(seed, amount)
    assert compute(ref, test, RATE).value == pytest.approx(expected, abs=1e-6)


def formula(seed: int, amount: float) -> tuple[Array, Array]:
    t = np.arange(RATE) / RATE
    x = 0.3 * np.sin(2 * np.pi * 100 * seed * t * (1 + t)) * (1 + np.sin(2 * np.pi * 5 * t)) / 2
    return x[None], (x + 0.1 * amount * np.sin(2 * np.pi * 1700 * t * (1 + 0.3 * t)))[None]


@compiled
def test_recorded_numbers(shared: Path) -> None:
    """Built from google/zimtohrli at ff5f049; oracles/visqol_zimtohrli.json names the call."""
    folder, count = shared / "audio" / "visqol", 0
    for pair in json.loads((shared / "oracles" / "visqol_zimtohrli.json").read_text())["pairs"]:
        files = [folder / Path(pair[end]).with_suffix(".flac").name for end in ("ref", "deg")]
        if not all(file.exists() for file in files):
            continue
        ref, test = (load(file) for file in files)
        assert ref.rate == test.rate == RATE
        expected = pair["zimtohrli"]
        if "distance" in expected:
            result = compute(ref.samples, test.samples, RATE, mos=True, threads=2)
            assert result.value == pytest.approx(expected["distance"], abs=1e-6)
            assert result.details["mos"] == pytest.approx(expected["mos"], abs=2e-4)
            for value, channel in zip(result.per_channel, expected["channels"], strict=True):
                assert value == pytest.approx(channel["distance"], abs=1e-6)
        expected = pair["zimtohrli_mono_downmix"]
        mono = [s.samples.mean(0, keepdims=True) for s in (ref, test)]
        assert compute(*mono, RATE).value == pytest.approx(expected["distance"], abs=1e-6)
        count += 1
    assert count >= 9


# The plain formula


def test_plain_formula() -> None:
    for name, (ref, test) in pairs(affordable(0.4)).items():
        expected = naive.zimtohrli(ref[0], test[0])
        assert compute(ref, test, RATE).value == pytest.approx(expected, rel=1e-6, abs=1e-12), name


@pytest.mark.parametrize("length", [33, 40, 564, 565, 600, 1128, 1500, 3000, 3948, 3949])
def test_plain_formula_of_short_sounds(length: int) -> None:
    """Where the original reads beyond its memory, the formula goes on."""
    ref, test = (np.ascontiguousarray(x[:, :length]) for x in pairs(0.1)["noise"])
    expected = naive.zimtohrli(ref[0], test[0])
    for detail in ("value", "map"):
        assert compute(ref, test, RATE, detail=detail).value == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 5), (5, 1), (2, 2), (2, 9), (9, 2), (30, 30), (40, 25), (25, 40)])
def test_walk_through_the_whole_table(n: int, m: int) -> None:
    rng = np.random.default_rng([n, m])
    x, y = np.cumsum(rng.standard_normal((n, 7)), 0), np.cumsum(rng.standard_normal((m, 7)), 0)
    for a, b in ((x, y), (x, x), (0 * x, 0 * y), (np.round(x), np.round(y)), (np.repeat(x, 2, 0), x)):
        np.testing.assert_array_equal(np.transpose(greedy_warping.walk(a, b)), naive.greedy_walk(a, b))


@pytest.mark.parametrize("lag", [0, 6, -6])
def test_walk_through_a_window_of_a_long_table(lag: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As through the whole, as long as nothing cheap lies outside; and all of it where it is asked for."""
    rng = np.random.default_rng(7)
    x = np.cumsum(rng.standard_normal((150, 7)), 0)
    y = x[max(lag, 0) : 140 + min(lag, 0)] + 0.3 * rng.standard_normal((140 - abs(lag), 7))
    whole = naive.greedy_walk(x, y)
    for window, exact in ((60, False), (len(y), False), (20, True)):
        monkeypatch.setattr(greedy_warping, "WINDOW", window)
        np.testing.assert_array_equal(np.transpose(greedy_warping.walk(x, y, exact)), whole)
    for window in (2, 3, 9):  # too narrow, but it still goes on to the end, step by step
        monkeypatch.setattr(greedy_warping, "WINDOW", window)
        path = np.array(greedy_warping.walk(x, y))
        assert (np.diff(path) >= 0).all()
        assert (np.diff(path).max(0) == 1).all()
        assert path[0, -1] == len(x) - 1 or path[1, -1] == len(y) - 1


def test_a_minute_is_walked_through_as_a_whole() -> None:
    assert phasor_bank.steps(60 * RATE) <= greedy_warping.WINDOW


def test_dissimilarity_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(5, 50, (100, 128)), rng.uniform(5, 50, (100, 128))
    expected, steps = naive.zimtohrli_dissimilarity(a, b), np.arange(100)
    for block in (1, 7, 8, 30, 512):
        monkeypatch.setattr(structure, "BLOCK", block)
        whole, local = (
            np.concatenate(x) for x in zip(*structure.dissimilarities(a, b, steps, steps, True), strict=True)
        )
        np.testing.assert_allclose(whole, expected, rtol=1e-9, atol=1e-13)
        assert local.sum() == pytest.approx(whole.sum(), rel=1e-9)
        assert all(not part.size for _, part in structure.dissimilarities(a, b, steps, steps))


@compiled
def test_channels_are_pooled_by_their_root_mean_square() -> None:
    (a, b), (c, d) = list(pairs(1.0).values())[:2]
    both = compute(np.vstack([a, c]), np.vstack([b, d]), RATE).value
    assert both == pytest.approx(np.hypot(compute(a, b, RATE).value, compute(c, d, RATE).value) / np.sqrt(2), rel=1e-12)


def test_opinion_scores_of_mos_h() -> None:
    for distance, score in ((0, 5), (0.001, 4.801), (0.01, 3.401), (0.02, 2.441), (0.03, 1.865), (0.04, 1.519)):
        assert opinion(distance) == pytest.approx(score, abs=5e-4)


# The edges


@compiled
def test_a_part_scores_like_the_whole_and_the_details_say_so() -> None:
    x = speech_like(RATE, 2.0, 1)
    result = compute(x, x[:, : x.shape[1] // 2], RATE)
    assert result.value < 3e-3
    assert result.details["reference_compared"] == pytest.approx(0.5, abs=0.02)
    assert result.details["test_compared"] == 1
    with pytest.raises(InputError, match="length"):  # the policy of lengths stands before it
        compare(x, x[:, : x.shape[1] // 2], "zimtohrli", RATE)
    kept = compare(x, x[:, : x.shape[1] // 2], "zimtohrli", RATE, length="keep")["zimtohrli"]
    assert kept.value == result.value


@compiled
def test_walks_that_end_at_different_steps_share_one_axis_of_time() -> None:
    x, y = speech_like(RATE, 1.0, 1, 2), speech_like(RATE, 0.8, 2, 2)
    x[1], y[1] = pink(RATE, 1.0, 5)[0], 0
    result = compute(x, y, RATE, detail="map")
    assert len(result.per_time) == len(result.times) == len(result.map)
    assert result.map.sum() == pytest.approx(result.value**2)
    assert np.isfinite(result.per_time).all()


@pytest.mark.parametrize("length", [1, 32])
def test_too_short_is_said(length: int) -> None:
    x = noise(RATE, length / RATE, 1)
    result = compute(x, x, RATE, detail="map")
    assert result.status == "undefined"
    assert result.reason == f"too short: a step takes 33 samples, there are {length}"


@compiled
@pytest.mark.parametrize("rate", [8000, 44100])
def test_other_rates_are_resampled(rate: int) -> None:
    x = speech_like(rate, 1.0, 1)
    same, other = (compare(x, y, "zimtohrli", rate)["zimtohrli"].value for y in (x, added_noise(x, rate, 0.1, 1)))
    assert same == 0
    assert other > 1e-4


@compiled
def test_memory_grows_with_duration_and_not_its_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of 10 minutes would take 21 GB; two rows and two spectrograms are held."""
    import tracemalloc

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 4000, 3)).astype(np.float32)
    greedy_warping.walk(x[:3], y[:3])
    tracemalloc.start()
    greedy_warping.walk(x, y)
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


# The loss


@pytest.mark.parametrize("length", [40, 600, 1500, 3000])
def test_adjoint_of_the_filters_is_the_gradient_of_their_convolutions(length: int) -> None:
    torch = pytest.importorskip("torch")
    x = np.stack([noise(RATE, length / RATE, seed)[0] for seed in (1, 2)])
    there = torch.tensor(x, requires_grad=True)
    energies = phasor_bank._energies_by_fft()(there)
    here = np.stack([phasor_bank.energies(plain(y)) for y in x])
    np.testing.assert_allclose(here, energies.detach().numpy(), rtol=1e-9, atol=1e-12 * here.max())
    slopes = torch.tensor(np.random.default_rng(0).uniform(-1, 1, here.shape))
    (expected,) = torch.autograd.grad(energies, there, slopes)
    found = np.stack([phasor_bank.energies_slope(*pair) for pair in zip(x, slopes.numpy(), strict=True)])
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-9 * np.abs(expected.numpy()).max())


def test_loss_of_channels_is_their_root_mean_square() -> None:
    torch = pytest.importorskip("torch")
    from audiosim.loss import Loss

    (a, b), (c, d) = list(pairs(0.1).values())[:2]
    ref, test = np.vstack([a, c]), np.vstack([b, d])
    loss = Loss("zimtohrli", RATE)(torch.tensor(test[None]), torch.tensor(ref[None]))
    assert loss.item() == pytest.approx(compute(ref, test, RATE).value, rel=1e-9)
    same = torch.tensor(test[None], requires_grad=True)
    Loss("zimtohrli", RATE)(same, torch.tensor(test[None])).backward()
    assert torch.isfinite(same.grad).all()
    assert compare(ref, test, "zimtohrli", RATE, backend="torch")["zimtohrli"].value == pytest.approx(loss.item())
