"""Agreement with foreign programs: what they answered on recorded speech (oracles), and what they answer when called.

The oracles lie in ../shared beside the checkout: ../shared/oracles/speech.json names program, version and call of every
value. The peers are auraloss 0.4.0, torchmetrics 1.9, fast_bss_eval 0.1.4 and librosa 0.11 (extra "peers", on torch).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiosim import compare, load
from audiosim.testing import signals

pytestmark = pytest.mark.skipif(not signals.COMPILED, reason="recordings are too long for uncompiled kernels")

SHARED = Path(__file__).parents[2].parent / "shared"
RATE = 16000

# name in the oracle: (spec, relative tolerance, absolute tolerance, factor of theirs)
ORACLES = {
    "np.mse": ("mse", 1e-9, 0, 1),
    "np.mae": ("mae", 1e-9, 0, 1),
    "np.esr": ("esr:convention=plain", 1e-9, 0, 1),
    "np.si_sdr": ("si-sdr:convention=plain", 0, 1e-9, 1),
    "np.si_sdr_zeromean": ("si-sdr:convention=plain,zero_mean", 0, 1e-9, 1),
    "np.lsd512": ("lsd:n_fft=512,hop=256,centre=false", 1e-9, 0, 1),
    "torchmetrics.snr": ("snr", 1e-9, 0, 1),
    "torchmetrics.si_sdr": ("si-sdr", 1e-9, 0, 1),
    "torchmetrics.si_sdr_zeromean": ("si-sdr:zero_mean", 1e-9, 0, 1),
    "torchmetrics.sdr(512)": ("sdr", 0, 1e-6, 1),
    "fast_bss_eval.sdr(512)": ("sdr", 0, 1e-6, 1),
    "fast_bss_eval.si_sdr": ("si-sdr:convention=plain", 0, 1e-6, 1),
    "pysepm.segSNR": ("seg-snr", 0, 1e-6, 1),
    "pysepm.fwSNRseg": ("fwseg-snr:convention=pysepm", 0, 1e-9, 1),
    "pysepm.wss": ("wss", 0, 1e-9, 1),
    # float32 values: 5e-5 relative or 1e-4 dB; log-cosh 2e-3, because its float32 cosh loses the digits
    "auraloss.ESRLoss": ("esr", 5e-5, 0, 1),
    "auraloss.DCLoss": ("dc", 5e-5, 1e-10, 1),
    "auraloss.LogCoshLoss": ("log-cosh", 2e-3, 0, 1),
    "auraloss.SNRLoss": ("snr:convention=auraloss", 0, 1e-4, -1),
    "auraloss.SISDRLoss": ("si-sdr:convention=auraloss", 0, 1e-4, -1),
    "auraloss.SDSDRLoss": ("sd-sdr:convention=auraloss", 0, 1e-4, -1),
    "auraloss.FIRFilter(hp)+ESR": ("esr:weighting=hp", 5e-5, 0, 1),
    "auraloss.FIRFilter(fd)+ESR": ("esr:weighting=fd", 5e-5, 0, 1),
    "auraloss.FIRFilter(aw)+ESR": ("esr:weighting=auraloss-aw", 5e-5, 0, 1),
    "auraloss.STFTLoss": ("stft", 5e-5, 0, 1),
    "auraloss.MelSTFTLoss(sr16k,128mel)": ("mel-stft", 5e-5, 0, 1),
    "auraloss.MultiResolutionSTFTLoss": ("mr-stft", 5e-5, 0, 1),
    "auraloss.MultiResolutionSTFTLoss(mel,aw,sr16k)": ("mr-stft:bands=64,weighting=auraloss-aw", 5e-5, 0, 1),
}

PEERS_BEYOND = 140.0  # dB at which the peers that take 1 - coherence have no digits left


@cache
def pairs() -> dict[str, Any]:
    path = SHARED / "oracles" / "speech.json"
    return json.loads(path.read_text())["pairs"] if path.exists() else {}


@pytest.mark.parametrize("pair", pairs() or [pytest.param("", marks=pytest.mark.skip("needs ../shared"))])
def test_oracles(pair: str) -> None:
    oracle = pairs()[pair]
    ref, test = (load(SHARED / "audio" / "speech" / oracle[end]).samples.astype(np.float64) for end in ("ref", "deg"))
    n = min(ref.shape[1], test.shape[1])  # as the oracles were made
    results = compare(ref[:, :n], test[:, :n], sorted({spec for spec, *_ in ORACLES.values()}), RATE)
    for name, (spec, relative, absolute, factor) in ORACLES.items():
        theirs = oracle["metrics"][name]
        ours = results[spec].value
        if isinstance(theirs, str) or (results[spec].status == "infinite" and theirs > PEERS_BEYOND):
            assert ours > PEERS_BEYOND, f"{name}: {theirs}, ours {ours}"  # the peer gave inf, nan or an error here
        else:
            assert ours == pytest.approx(factor * theirs, rel=relative, abs=absolute), name


def torch_pair() -> tuple[Any, Any, Any, Any]:
    """(reference, test) as float64 [channel, sample] and as tensors [batch, channel, sample]."""
    torch = pytest.importorskip("torch")
    ref = signals.speech_like(RATE, 1.5, seed=3)
    test = 0.8 * ref + 0.02 * signals.noise(RATE, 1.5, seed=4)
    return ref, test, torch.tensor(ref)[None], torch.tensor(test)[None]


def auraloss_time(name: str, ref: Any, test: Any, **options: Any) -> float:
    auraloss = pytest.importorskip("auraloss")
    return float(getattr(auraloss.time, name)(**options)(test, ref))


def auraloss_freq(name: str, ref: Any, test: Any, **options: Any) -> float:
    auraloss = pytest.importorskip("auraloss")
    loss = exact_windows(getattr(auraloss.freq, name)(**options).double(), options.get("window", "hann_window"))
    return float(loss(test, ref))


def exact_windows(loss: Any, window: str = "hann_window") -> Any:
    """The loss with windows made in float64: auraloss makes them in float32, which moves its values by 2e-8."""
    import torch

    for part in getattr(loss, "stft_losses", [loss]):
        part.window = getattr(torch, window)(part.window.numel(), dtype=torch.float64)
        if part.perceptual_weighting:
            part.prefilter.fir.weight.data = part.prefilter.fir.weight.data.double()
    return loss


def auraloss_filtered(kind: str, ref: Any, test: Any) -> float:
    auraloss = pytest.importorskip("auraloss")
    fir = auraloss.perceptual.FIRFilter(kind, fs=RATE).double()
    return float(auraloss.time.ESRLoss()(*fir(test, ref)))


def torchmetrics_audio(name: str, ref: Any, test: Any, **options: Any) -> float:
    audio = pytest.importorskip("torchmetrics.functional.audio")
    return float(getattr(audio, name)(test[0, 0], ref[0, 0], **options))


def fast_bss_eval_sdr(ref: Any, test: Any) -> float:
    peer = pytest.importorskip("fast_bss_eval")
    return float(peer.sdr(ref[0].numpy(), test[0].numpy())[0])


def librosa_log_mel(ref: Any, test: Any, mfcc: bool = False) -> float:
    librosa = pytest.importorskip("librosa")

    def features(x: Any) -> Any:
        power = librosa.feature.melspectrogram(y=x[0, 0].numpy(), sr=RATE)
        level = librosa.power_to_db(power, amin=1e-10, top_db=None)
        return librosa.feature.mfcc(S=level, n_mfcc=20) if mfcc else level

    difference = features(test) - features(ref)
    return float(np.linalg.norm(difference, axis=0).mean() if mfcc else np.abs(difference).mean())


def mid_side_mr_stft(ref: Any, test: Any) -> float:
    auraloss = pytest.importorskip("auraloss")
    loss = auraloss.freq.SumAndDifferenceSTFTLoss([1024, 2048, 512], [120, 240, 50], [600, 1200, 240])
    exact_windows(loss.mrstft)
    stereo = [torch_stereo(x) for x in (test, ref)]
    return float(loss(*stereo))


def torch_stereo(x: Any) -> Any:
    torch = pytest.importorskip("torch")
    return torch.cat([x, 0.5 * x.roll(7, -1)], dim=1)


# spec: (the peer's call, relative tolerance, absolute tolerance, factor of theirs)
PEERS: dict[str, tuple[Callable[..., float], float, float, float]] = {
    "esr": (partial(auraloss_time, "ESRLoss"), 1e-8, 0, 1),
    "dc": (partial(auraloss_time, "DCLoss"), 1e-8, 0, 1),
    "log-cosh:eps=1e-8": (partial(auraloss_time, "LogCoshLoss"), 1e-8, 0, 1),
    "log-cosh:a=20,eps=1e-8": (partial(auraloss_time, "LogCoshLoss", a=20), 1e-8, 0, 1),
    "snr:convention=auraloss": (partial(auraloss_time, "SNRLoss"), 1e-8, 0, -1),
    "si-sdr:convention=auraloss": (partial(auraloss_time, "SISDRLoss"), 1e-8, 0, -1),
    "sd-sdr:convention=auraloss": (partial(auraloss_time, "SDSDRLoss"), 1e-8, 0, -1),
    "esr:weighting=hp": (partial(auraloss_filtered, "hp"), 1e-8, 0, 1),
    "esr:weighting=fd": (partial(auraloss_filtered, "fd"), 1e-8, 0, 1),
    "esr:weighting=auraloss-aw": (partial(auraloss_filtered, "aw"), 1e-8, 0, 1),
    "stft": (partial(auraloss_freq, "STFTLoss"), 1e-8, 0, 1),
    "stft:w_sc=0,w_log=0,w_lin=1": (partial(auraloss_freq, "STFTLoss", w_sc=0, w_log_mag=0, w_lin_mag=1), 1e-8, 0, 1),
    "stft:distance=l2,w_lin=1": (partial(auraloss_freq, "STFTLoss", mag_distance="L2", w_lin_mag=1), 1e-8, 0, 1),
    "stft:n_fft=512,hop=128,win=400": (
        partial(auraloss_freq, "STFTLoss", fft_size=512, hop_size=128, win_length=400),
        1e-8,
        0,
        1,
    ),
    "stft:window=hamming": (partial(auraloss_freq, "STFTLoss", window="hamming_window"), 1e-8, 0, 1),
    "stft:window=blackman": (partial(auraloss_freq, "STFTLoss", window="blackman_window"), 1e-8, 0, 1),
    "spectral-convergence": (partial(auraloss_freq, "STFTLoss", w_log_mag=0), 1e-8, 0, 1),
    "mel-stft": (partial(auraloss_freq, "MelSTFTLoss", sample_rate=RATE), 1e-8, 0, 1),
    "mel-stft:bands=64": (partial(auraloss_freq, "MelSTFTLoss", sample_rate=RATE, n_mels=64), 1e-8, 0, 1),
    "mr-stft": (partial(auraloss_freq, "MultiResolutionSTFTLoss"), 1e-8, 0, 1),
    "mr-stft:bands=64,weighting=auraloss-aw": (
        partial(
            auraloss_freq,
            "MultiResolutionSTFTLoss",
            scale="mel",
            n_bins=64,
            sample_rate=RATE,
            perceptual_weighting=True,
        ),
        1e-8,
        0,
        1,
    ),
    "snr": (partial(torchmetrics_audio, "signal_noise_ratio"), 1e-9, 0, 1),
    "snr:zero_mean": (partial(torchmetrics_audio, "signal_noise_ratio", zero_mean=True), 1e-9, 0, 1),
    "si-sdr": (partial(torchmetrics_audio, "scale_invariant_signal_distortion_ratio"), 1e-9, 0, 1),
    "si-sdr:zero_mean": (partial(torchmetrics_audio, "scale_invariant_signal_noise_ratio"), 1e-9, 0, 1),
    "sdr": (partial(torchmetrics_audio, "signal_distortion_ratio"), 0, 1e-6, 1),
    "sdr:taps=64,zero_mean": (
        partial(torchmetrics_audio, "signal_distortion_ratio", filter_length=64, zero_mean=True),
        0,
        1e-6,
        1,
    ),
    "sdr:load=0.001": (partial(torchmetrics_audio, "signal_distortion_ratio", load_diag=1e-3), 0, 1e-6, 1),
    "sdr:taps=512": (fast_bss_eval_sdr, 0, 1e-6, 1),
    "log-mel": (librosa_log_mel, 1e-5, 0, 1),
    "mfcc": (partial(librosa_log_mel, mfcc=True), 1e-5, 0, 1),
}


CHANNELS = [
    "esr",
    "snr",
    "snr:convention=auraloss",
    "si-sdr",
    "si-sdr:convention=auraloss",
    "sd-sdr:convention=auraloss",
]


@pytest.mark.parametrize("spec", [*CHANNELS, "sdr"])
def test_channels_mean_is_what_the_packages_give(spec: str) -> None:
    """auraloss takes the mean over channels itself, users of torchmetrics that of its values per channel. Where
    channels are pooled by their energies, the value is another."""
    torch = pytest.importorskip("torch")
    ref = np.concatenate([signals.speech_like(RATE, 1.5, seed=s) for s in (3, 5)])
    test = np.array([[0.8], [0.5]]) * ref + np.array([[0.02], [0.0001]]) * signals.noise(RATE, 1.5, seed=4, channels=2)
    peer, relative, absolute, factor = PEERS[spec]
    r, t = (torch.tensor(x)[None] for x in (ref, test))
    if "auraloss" in str(peer):
        theirs = factor * peer(r, t)
    else:
        theirs = factor * float(np.mean([peer(r[:, c : c + 1], t[:, c : c + 1]) for c in (0, 1)]))
    mean = f"{spec}{',' if ':' in spec else ':'}channels=mean"
    ours = compare(ref, test, [spec, mean], RATE)
    assert ours[mean].value == pytest.approx(theirs, rel=relative, abs=absolute)
    assert ours[spec].value != pytest.approx(theirs, rel=1e-2)


@pytest.mark.parametrize("spec", PEERS)
def test_peers(spec: str) -> None:
    ref, test, ref_tensor, test_tensor = torch_pair()
    peer, relative, absolute, factor = PEERS[spec]
    theirs = factor * peer(ref_tensor, test_tensor)
    assert math.isfinite(theirs)
    assert compare(ref, test, spec, RATE)[spec].value == pytest.approx(theirs, rel=relative, abs=absolute)


def test_sum_and_difference() -> None:
    """auraloss' sum-and-difference loss is mid_side=true with the channels averaged."""
    ref, test, ref_tensor, test_tensor = torch_pair()
    ref, test = (torch_stereo(x)[0].numpy() for x in (ref_tensor, test_tensor))
    ours = compare(ref, test, "mr-stft:mid_side", RATE)["mr-stft:mid_side"].value
    assert ours == pytest.approx(mid_side_mr_stft(ref_tensor, test_tensor), rel=1e-8)
