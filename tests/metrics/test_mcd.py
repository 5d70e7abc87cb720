"""mcd: that its dB are dB, how it aligns, and the numbers of SPTK, mel-cepstral-distance and pymcd."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from audiosim import compare, load, metrics
from audiosim.dsp.mel_cepstrum import alpha_of
from audiosim.errors import InputError, MissingExtra, UsageError
from audiosim.testing.signals import COMPILED, Array, added_noise, affordable, noise, pink, speech_like
from tests import naive

RATE = 16000
K = 6.141851463713754  # 10 sqrt(2) / ln 10
SPEECH, OTHER = (speech_like(RATE, 10 * affordable(0.1), seed) for seed in (3, 4))


def answer(spec: str, ref: Array, test: Array, rate: int = RATE, **options: Any) -> Any:
    return compare(ref, test, spec, rate, length="keep", **options)[spec]


def value(spec: str, ref: Array, test: Array, rate: int = RATE) -> float:
    return float(answer(spec, ref, test, rate).value)


# Decibels


def test_value_is_the_rms_in_db_of_smooth_spectra_over_the_warped_axis() -> None:
    """Frame by frame: both log spectra, smoothed to the order, their means removed, on 4096 points of that axis."""
    order, alpha = 20, 0.42
    frames = []
    for x in (SPEECH[0], OTHER[0]):
        power = np.abs(naive.spectra(x, 512, 80, win=400, pad="zero")) ** 2 + 1e-10 * 100**2
        c = naive.warped_cepstrum(np.log(power) / 2, order, alpha)
        axis = np.pi * (np.arange(4096) + 0.5) / 4096
        frames.append(20 / np.log(10) * (c[:, 1:] @ np.cos(np.arange(1, order + 1)[:, None] * axis)))
    rms = np.sqrt(np.mean((frames[0] - frames[1]) ** 2, axis=1))
    result = answer(f"mcd:align=none,order={order},alpha={alpha},gate=300", SPEECH, OTHER, detail="profile")
    np.testing.assert_allclose(result.per_time, rms, rtol=1e-9)
    assert result.value == pytest.approx(rms.mean(), rel=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.42])
def test_a_filter_with_a_known_cepstrum(alpha: float) -> None:
    """A click through H = exp(sum c_m z~^-m): the distance is K |c_1..M|, the gain c_0 aside."""
    cepstrum = np.array([0.4, 0.3, -0.2, 0.1, 0.05, -0.08])
    impulse = np.fft.irfft(np.exp(naive_log_response(cepstrum, alpha, 1 << 14)))
    click = np.zeros((1, 4000))
    click[0, 2000] = 0.5
    filtered = np.convolve(click[0], impulse[:600])[None, :4000]
    spec = f"mcd:align=none,order=30,alpha={alpha},floor=1e-30"
    assert value(spec, click, filtered) == pytest.approx(K * np.linalg.norm(cepstrum[1:]), rel=0.02)
    smooth = np.real(naive_log_response(np.r_[0, cepstrum[1:]], alpha, 1 << 14)) * 20 / np.log(10)
    w = 2 * np.pi * np.arange(smooth.size) / (1 << 14)
    warped = w + 2 * np.arctan2(alpha * np.sin(w), 1 - alpha * np.cos(w))
    rms = np.sqrt(np.trapezoid(smooth**2, warped) / np.pi)
    assert rms == pytest.approx(K * np.linalg.norm(cepstrum[1:]), rel=1e-6)


def naive_log_response(cepstrum: Array, alpha: float, n_fft: int) -> Array:
    """sum c_m z~^-m at the bins."""
    z = np.exp(2j * np.pi * np.arange(n_fft // 2 + 1) / n_fft)
    delay = (1 / z - alpha) / (1 - alpha / z)
    return np.asarray(sum(c * delay**m for m, c in enumerate(cepstrum)))


def test_deaf_to_level_above_the_floor() -> None:
    loud = pink(RATE, affordable(1.0), 1)
    assert value("mcd:align=none", loud, 0.5 * loud) < 0.05
    assert value("mcd:align=none,floor=1e-30", loud, 0.5 * loud) < 1e-9


def test_pauses_of_the_reference_count_little() -> None:
    """Noise 80 dB below the speech, and another in the test, 20 dB louder."""
    seconds = SPEECH.shape[1] / RATE
    ref = np.concatenate([SPEECH, 1e-4 * noise(RATE, seconds, 5)], axis=1)
    test = np.concatenate([SPEECH, 1e-3 * pink(RATE, seconds, 6)], axis=1)
    assert value("mcd:align=none", ref, test) < 0.2 * value("mcd:align=none,gate=200", ref, test)


@pytest.mark.parametrize("spec", ["mcd:align=none", "mcd:gate=20,band=0.03", "mcd:order=12,alpha=0.3,band=0"])
def test_options_are_what_their_definition_says(spec: str) -> None:
    ref, test = (x[:, : int(0.4 * RATE)] for x in (SPEECH, OTHER))
    assert value(spec, ref, test) == pytest.approx(naive.value(spec, ref, test, RATE), rel=1e-9)


# Alignment


def test_a_late_test_is_aligned_and_its_lag_is_told() -> None:
    late = np.concatenate([1e-4 * noise(RATE, 0.04, 8), SPEECH], axis=1)[:, : SPEECH.shape[1]]
    found = answer("mcd", SPEECH, late)
    assert found.value < (0.3 if COMPILED else 0.5) * value("mcd:align=none", SPEECH, late)
    if COMPILED:
        assert 30 < found.details["path_deviation_ms"] <= 41
    assert found.details["penalty"] > 0
    narrow = answer("mcd:band=0.02", SPEECH, late)
    assert narrow.details["path_deviation_max_ms"] <= 20 + 1e-9
    assert narrow.value > found.value
    straight = answer("mcd:align=none", SPEECH, late)
    assert straight.details == {}
    assert answer("mcd", SPEECH, SPEECH).details == {
        "path_deviation_ms": 0.0,
        "path_deviation_max_ms": 0.0,
        "penalty": 0.0,
    }


@pytest.mark.parametrize("spec", ["mcd", "mcd:align=soft-dtw", "mcd:variant=mel-cepstral-distance", "mcd:variant=sptk"])
def test_another_tempo(spec: str) -> None:
    """The same sound at 0.9 of the speed, by repeated and left out frames."""
    hop = int(0.01 * RATE)
    pieces = SPEECH[0][: SPEECH.shape[1] // hop * hop].reshape(-1, hop)
    slow = pieces[np.round(np.arange(int(len(pieces) / 0.9)) * 0.9).astype(int).clip(max=len(pieces) - 1)].reshape(
        1, -1
    )
    for ref, test in ((SPEECH, slow), (slow, SPEECH)):
        found = answer(spec, ref, test, detail="map")
        assert found.status == "ok"
        assert found.map.shape[0] == found.times.size
        assert found.map.sum() == pytest.approx(found.value, rel=1e-9)
        assert found.value < value(spec, SPEECH, OTHER)


def test_lengths_that_differ_need_an_alignment() -> None:
    for variant in ("db-rms", "sptk", "mel-cepstral-distance", "pymcd"):
        with pytest.raises(InputError, match="align=dtw") as error:
            value(f"mcd:align=none,variant={variant}", SPEECH, SPEECH[:, :-160])
        assert "\n" not in str(error.value)


def test_soft_alignment_is_a_divergence_that_nears_the_hard_one() -> None:
    test = added_noise(SPEECH, RATE, 0.1, 1)
    assert value("mcd:align=soft-dtw", SPEECH, SPEECH) == 0
    for gamma in (0.01, 0.1, 1.0):
        assert value(f"mcd:align=soft-dtw,gamma={gamma}", SPEECH, test) > 0
    hard = value("mcd:gate=300", SPEECH, test)
    soft = value("mcd:align=soft-dtw,gamma=0.001,gate=300", SPEECH, test)
    steps = 2 / (2 - answer("mcd:gate=300", SPEECH, test).details["penalty"])  # of the path per frame
    assert soft == pytest.approx(hard * steps, rel=0.05)  # it is divided by frames, not by steps


# The numbers of other programs


@pytest.fixture
def pkg_resources(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """pysptk 1.0.1 and pyworld 0.3.5 import it, newer setuptools lack it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import pkg_resources  # noqa: F401
        except ModuleNotFoundError:
            module: Any = ModuleType("pkg_resources")
            module.get_distribution = importlib.metadata.distribution
            module.resource_filename = lambda *_: ""
            monkeypatch.setitem(sys.modules, "pkg_resources", module)
        yield


@pytest.mark.parametrize("rate", [16000, 48000])
def test_sptk(rate: int, pkg_resources: None) -> None:
    """pysptk 1.0.1: mcep(frame, order, alpha) of Blackman-windowed frames, and cdist's formula over c_1 to c_order."""
    pysptk = pytest.importorskip("pysptk")
    pair = [speech_like(rate, affordable(0.3), seed) for seed in (3, 4)]
    size, hop, order = rate // 40, rate // 200, 24 if rate == 16000 else 39
    cepstra = []
    for x in pair:
        frames = np.lib.stride_tricks.sliding_window_view(np.pad(x[0], size // 2), size)[::hop] * np.blackman(size)
        frames = np.pad(frames, ((0, 0), (0, (512 if rate == 16000 else 2048) - size)))
        cepstra.append(np.array([pysptk.mcep(np.ascontiguousarray(f), order, alpha_of(rate)) for f in frames]))
    n = min(map(len, cepstra))
    distances = K * np.linalg.norm((cepstra[0] - cepstra[1])[:n, 1:], axis=1)
    result = answer("mcd:variant=sptk,align=none", *pair, rate, detail="profile")
    np.testing.assert_allclose(result.per_time[:n], distances[: result.per_time.size], rtol=1e-3)
    assert result.value == pytest.approx(distances.mean(), rel=1e-3)


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_mel_cepstral_distance(rate: int, tmp_path: Path) -> None:
    """mel-cepstral-distance 0.0.4: compare_audio_files(a.wav, b.wav), and with aligning="pad"."""
    peer = pytest.importorskip("mel_cepstral_distance")
    wavfile = pytest.importorskip("scipy.io.wavfile")
    ref, test = (speech_like(rate, 7 * affordable(0.1), seed) for seed in (3, 4))
    for name, x in (("a", ref), ("b", test)):
        wavfile.write(tmp_path / f"{name}.wav", rate, x[0])
    files = tmp_path / "a.wav", tmp_path / "b.wav"
    found = answer("mcd:variant=mel-cepstral-distance", ref, test, rate)
    theirs, penalty = peer.compare_audio_files(*files)
    assert found.value == pytest.approx(theirs, rel=1e-9)
    assert found.details["penalty"] == pytest.approx(penalty, abs=1e-12)
    theirs, _ = peer.compare_audio_files(*files, aligning="pad")
    assert value("mcd:variant=mel-cepstral-distance,align=none", ref, test, rate) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("mode", ["plain", "dtw"])
def test_pymcd(mode: str, tmp_path: Path, pkg_resources: None) -> None:
    """pymcd 0.2.1: Calculate_MCD(mode).calculate_mcd(a.wav, b.wav)."""
    peer = pytest.importorskip("pymcd.mcd")
    wavfile = pytest.importorskip("scipy.io.wavfile")
    samples = affordable(1.0) - 7 / RATE  # at 22050 Hz not a whole number: the original appends a sample
    ref, test = (speech_like(RATE, samples, seed).astype(np.float32) for seed in (3, 4))
    for name, x in (("a", ref), ("b", test)):
        wavfile.write(tmp_path / f"{name}.wav", RATE, x[0])
    theirs = peer.Calculate_MCD(mode).calculate_mcd(str(tmp_path / "a.wav"), str(tmp_path / "b.wav"))
    spec = "mcd:variant=pymcd" + (",align=none" if mode == "plain" else "")
    assert value(spec, ref, test) == pytest.approx(theirs, rel=1e-9)


def test_recorded_numbers(shared: Path, pkg_resources: None) -> None:
    """Of mel-cepstral-distance 0.0.4 and pymcd 0.2.1 on recordings; every tenth pair."""
    if not COMPILED:
        pytest.skip("recordings are too long for uncompiled kernels")
    pairs = json.loads((shared / "oracles" / "speech.json").read_text())["pairs"]
    for oracle in list(pairs.values())[5::10]:
        ref, test = (load(shared / "audio" / "speech" / oracle[end]).samples for end in ("ref", "deg"))
        theirs = oracle["metrics"]
        both, _ = theirs["mel_cepstral_distance.default(mcd,pen)"]
        assert value("mcd:variant=mel-cepstral-distance", ref, test) == pytest.approx(both, rel=1e-3)
        if ref.shape == test.shape:
            plain, _ = theirs["mel_cepstral_distance.pad(mcd,pen)"]
            assert value("mcd:variant=mel-cepstral-distance,align=none", ref, test) == pytest.approx(plain, rel=1e-3)
        if "pymcd.dtw" in theirs:
            try:
                found = value("mcd:variant=pymcd", ref, test)
            except MissingExtra:
                continue
            assert found == pytest.approx(theirs["pymcd.dtw"], rel=1e-3, abs=1e-6)


def test_without_pyworld_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(MissingExtra, match=r"pip install 'audiosim\[world\]'") as error:
        value("mcd:variant=pymcd", SPEECH, OTHER)
    assert "\n" not in str(error.value)
    assert value("mcd", SPEECH, OTHER) > 0, "nothing else needs it"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("variant=pymcd,order=20", "order is settled by variant=pymcd"),
        ("variant=sptk,gate=30", "gate is settled by variant=sptk"),
        ("variant=mel-cepstral-distance,align=soft-dtw", "knows align=dtw and none"),
        ("band=-1", "band must be 0 or more"),
        ("gamma=0", "gamma must be above 0"),
        ("gate=0", "gate must be above 0"),
        ("order=-1", "order must be 0 or more"),
        ("alpha=1", "alpha must be -1 to below 1"),
        ("floor=0", "floor must be 1e-37 to below 1"),
    ],
)
def test_impossible_options(options: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as error:
        value(f"mcd:{options}", SPEECH, OTHER)
    assert "\n" not in str(error.value)


# As a loss


GRADIENTS = [
    "mcd:align=none",
    "mcd:align=none,iterations=3,gate=20",
    "mcd:align=soft-dtw",
    "mcd:align=soft-dtw,gamma=2,band=0.01",
    "mcd:variant=sptk",
    "mcd:variant=sptk,align=soft-dtw",
    "mcd:variant=mel-cepstral-distance",
    "mcd:variant=mel-cepstral-distance,align=none",
]


@pytest.mark.parametrize("spec", GRADIENTS)
def test_every_variant_and_alignment_can_be_trained_on(spec: str) -> None:
    torch = pytest.importorskip("torch")
    from audiosim.loss import Loss

    ref = pink(RATE, 0.06, 1)
    test = added_noise(ref, RATE, 0.5, 2)
    loss, x = Loss(spec, RATE), torch.tensor(ref[None], requires_grad=True)
    y = torch.tensor(test[None], requires_grad=True)
    assert loss(y, x).item() == pytest.approx(value(spec, ref, test), rel=1e-9)
    assert torch.autograd.gradcheck(loss, (y, x), fast_mode=True, eps=1e-7, atol=1e-5, rtol=1e-3)
    for other in (x.detach(), torch.zeros_like(x.detach())):
        z = other.clone().requires_grad_()
        loss(z, x.detach()).backward()
        assert torch.isfinite(z.grad).all()


def test_soft_alignment_pulls_nowhere_at_identity() -> None:
    torch = pytest.importorskip("torch")
    from audiosim.loss import Loss

    x = torch.tensor(SPEECH[None, :, :2000], requires_grad=True)
    value = Loss("mcd:align=soft-dtw,gamma=1", RATE)(x, x.detach())
    value.backward()
    assert value.item() == 0
    assert not x.grad.any()


def test_pymcd_has_no_gradient_and_says_so() -> None:
    pytest.importorskip("torch")
    from audiosim.loss import Loss

    assert metrics.get("mcd").card.gradient == "exact"
    with pytest.raises(UsageError, match="no gradient"):
        Loss("mcd:variant=pymcd", RATE)
