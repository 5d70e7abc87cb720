"""Speed against the peers, side by side: `python -m tests.benchmarks.speed` prints the table of the README.

CPU time of one thread, warm, of 10 s of 48 kHz mono float32. Ours is the metric alone, Metric.compute; "compared" is
audiosim.compare of the same arrays, which checks and matches them too. Peer and ours take turns, and the median of the
ratios counts, because machines are shared. Needs the extra "peers" and torch. No test depends on it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import auraloss
import fast_bss_eval
import librosa
import numpy as np
import torch
import torchmetrics.functional.audio as torchmetrics_audio

import audiosim
from audiosim import metrics
from audiosim.testing import signals

RATE = 48000
torch.set_num_threads(1)


def no_angle(loss: Any) -> Any:
    """auraloss with its angle() switched off, which is computed and thrown away."""
    for part in getattr(loss, "stft_losses", [loss]):

        def stft(x: Any, part: Any = part) -> tuple[Any, None]:
            z = torch.stft(x, part.fft_size, part.hop_size, part.win_length, part.window, return_complex=True)
            return torch.sqrt(torch.clamp(z.real**2 + z.imag**2, min=part.eps)), None

        part.stft = stft
        part.w_phs = 0.0
    return loss


def filtered(kind: str) -> Callable[[Any, Any], Any]:
    fir = auraloss.perceptual.FIRFilter(kind, fs=RATE)
    esr = auraloss.time.ESRLoss()
    return lambda test, ref: esr(*fir(test, ref))


def log_mel(test: Any, ref: Any, mfcc: bool = False) -> float:
    def features(x: Any) -> Any:
        level = librosa.power_to_db(librosa.feature.melspectrogram(y=x[0, 0].numpy(), sr=RATE), top_db=None)
        return librosa.feature.mfcc(S=level, n_mfcc=20) if mfcc else level

    difference = features(test) - features(ref)
    return float(np.linalg.norm(difference, axis=0).mean() if mfcc else np.abs(difference).mean())


def lsd(test: Any, ref: Any) -> float:
    def level(x: Any) -> Any:
        return librosa.power_to_db(np.abs(librosa.stft(x[0, 0].numpy())) ** 2, top_db=None)

    return float(np.sqrt(np.mean((level(test) - level(ref)) ** 2, axis=0)).mean())


def complex_stft(test: Any, ref: Any) -> Any:
    window = torch.hann_window(1024)

    def compressed(x: Any) -> tuple[Any, Any]:
        z = torch.stft(x[0], 1024, 256, window=window, return_complex=True)
        power = z.real**2 + z.imag**2 + 1e-12
        return z * power**-0.35, power**0.15

    (a, p), (b, q) = compressed(test), compressed(ref)
    d = a - b
    return 0.3 * (d.real**2 + d.imag**2).mean() + 0.7 * ((p - q) ** 2).mean()


def phase(test: Any, ref: Any) -> Any:
    window = torch.hann_window(1024)
    a, b = (torch.stft(x[0], 1024, 256, window=window, return_complex=True) for x in (test, ref))
    weight = b.abs()
    return (weight * (1 - torch.cos(a.angle() - b.angle()))).sum() / weight.sum()


def divergence(test: Any, ref: Any, symmetric: bool = False) -> Any:
    window = torch.hann_window(2048)
    a, b = (torch.stft(x[0], 2048, 512, window=window, return_complex=True) for x in (test, ref))
    p, q = (torch.clamp(z.real**2 + z.imag**2, min=1e-10) for z in (b, a))
    ratio = p / q
    return ((ratio + 1 / ratio) / 2 - 1).mean() if symmetric else (ratio - ratio.log() - 1).mean()


def segmental_snr(test: Any, ref: Any) -> float:
    n, hop = 1440, 360
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(1, n + 1) / (n + 1)))
    r, t = (np.lib.stride_tricks.sliding_window_view(x[0, 0].numpy(), n)[::hop] * window for x in (ref, test))
    snr = 10 * np.log10((r**2).sum(-1) / (((r - t) ** 2).sum(-1) + 2.2e-16) + 2.2e-16)
    return float(np.clip(snr, -10, 35)[:-1].mean())


def first(call: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """torchmetrics and fast_bss_eval take [..., sample]."""
    return lambda test, ref: call(test[0, 0], ref[0, 0])


T = torch.nn.functional
A = auraloss.time
F = auraloss.freq
# spec: (the peer, its call on (test, ref) tensors [batch, channel, sample], the ratio that is asked for)
CASES: dict[str, list[tuple[str, Callable[[Any, Any], Any], float]]] = {
    "mse": [("torch mse_loss", T.mse_loss, 1.0)],
    "mae": [("torch l1_loss", T.l1_loss, 1.0)],
    "rmse": [("torch mse_loss, sqrt", lambda t, r: T.mse_loss(t, r).sqrt(), 1.0)],
    "log-cosh": [("auraloss", A.LogCoshLoss(), 1.0)],
    "esr": [("auraloss", A.ESRLoss(), 1.0)],
    "esr:weighting=hp": [("auraloss", filtered("hp"), 8.0)],
    "esr:weighting=auraloss-aw": [("auraloss", filtered("aw"), 1.0)],
    "dc": [("auraloss", A.DCLoss(), 1.0)],
    "snr": [
        ("auraloss", A.SNRLoss(zero_mean=False), 1.0),
        ("torchmetrics", first(torchmetrics_audio.signal_noise_ratio), 1.0),
    ],
    "si-sdr": [
        ("auraloss", A.SISDRLoss(zero_mean=False), 1.0),
        ("torchmetrics", first(torchmetrics_audio.scale_invariant_signal_distortion_ratio), 1.0),
    ],
    "sd-sdr": [("auraloss", A.SDSDRLoss(zero_mean=False), 1.0)],
    "sdr": [
        ("fast_bss_eval", lambda t, r: fast_bss_eval.sdr(r[0].numpy(), t[0].numpy()), 1.5),
        ("torchmetrics", first(torchmetrics_audio.signal_distortion_ratio), 1.0),
    ],
    "seg-snr": [("numpy, as pysepm", segmental_snr, 1.0)],
    "stft": [("auraloss", F.STFTLoss(), 1.0)],
    "mr-stft": [
        ("auraloss", F.MultiResolutionSTFTLoss(), 6.0),
        ("auraloss without angle()", no_angle(F.MultiResolutionSTFTLoss()), 2.5),
    ],
    "mel-stft": [("auraloss", F.MelSTFTLoss(RATE), 1.0)],
    "spectral-convergence": [("auraloss", F.STFTLoss(w_log_mag=0), 1.0)],
    "log-mel": [("librosa", log_mel, 3.2)],
    "mfcc": [("librosa", lambda t, r: log_mel(t, r, True), 3.0)],
    "lsd": [("librosa", lsd, 1.0)],
    "itakura-saito": [("plain torch", divergence, 1.0)],
    "cosh": [("plain torch", lambda t, r: divergence(t, r, True), 1.0)],
    "complex-stft": [("plain torch", complex_stft, 1.0)],
    "phase": [("plain torch", phase, 1.0)],
}


def milliseconds(call: Callable[[], Any], clock: Callable[[], float] = time.process_time) -> float:
    """What the call takes by the clock: CPU time, or wall time by perf_counter."""
    start = clock()
    call()
    return 1e3 * (clock() - start)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=10.0)
    arguments.add_argument("--repeats", type=int, default=15)
    arguments.add_argument("specs", nargs="*", help="only these")
    given = arguments.parse_args()
    ref = signals.speech_like(RATE, given.seconds, seed=1).astype(np.float32)
    test = (ref + 0.3 * signals.pink(RATE, given.seconds, seed=2)).astype(np.float32)
    ref_tensor, test_tensor = torch.tensor(ref)[None], torch.tensor(test)[None]
    print("| metric | peer | peer CPU ms | ours CPU ms | times faster | asked | compared CPU ms |")
    print("|---|---|---|---|---|---|---|")
    for text, peers in CASES.items():
        if given.specs and text not in given.specs:
            continue
        spec = metrics.parse(text)
        compute = metrics.get(spec.name).compute
        for name, peer, asked in peers:

            def ours(compute: Any = compute, spec: Any = spec) -> Any:
                return compute(ref, test, RATE, **spec.options)

            def compared(text: str = text) -> Any:
                return audiosim.compare(ref, test, text, RATE, jobs=1)

            def theirs(peer: Any = peer) -> Any:
                with torch.no_grad():
                    return peer(test_tensor, ref_tensor)

            calls = theirs, ours, compared
            for call in calls:
                call()
            turns = [[milliseconds(call) for call in calls] for _ in range(given.repeats)]
            ratio = statistics.median(a / b for a, b, _ in turns)
            a, b, whole = (statistics.median(times) for times in zip(*turns, strict=True))
            print(f"| {text} | {name} | {a:.2f} | {b:.2f} | {ratio:.1f} | {asked:g} | {whole:.2f} |", flush=True)


if __name__ == "__main__":
    main()
