"""PESQ when the front of both recordings is cut off: `python -m tests.benchmarks.pesq_cuts` prints how far it moves.

Sentences of ../shared/audio/clean/speech in babble, two talkers, music or their own reverberation; each cut is made in
both recordings, so that an ideal score would hardly move. PESQ moves, as its frames fall elsewhere and its alignment
may find delays that are none. Beside ours stands the original, where the package pesq is installed (pesq 0.0.5 was
built from its repository): own is the largest minus the smallest score over the cuts; beyond is how much more a cut
moves ours than it moves the original; apart is the largest difference of the two. With --lead, both begin with so many
seconds without speech.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal

from audiosim import compare, load, signal

Array = np.ndarray[Any, np.dtype[np.float64]]

RATE = 16000
AUDIO = Path(__file__).parents[3] / "shared" / "audio" / "clean"
CUTS = (0, 5, 16, 50, 100, 200, 300, 410, 500)  # ms
MODES = {"wide": "wb", "narrow": "nb"}
SECONDS = 6.0
DECAY = 0.6  # seconds to -60 dB
FLOOR = 1e-5  # standard deviation of the noise in all recordings, against digital silence
KINDS = ("babble", "two", "music", "reverberation")


def samples(path: Path) -> Array:
    return load(path).samples.mean(axis=0).astype(np.float64)


def talkers() -> list[Path]:
    return sorted((AUDIO / "speech").glob("*.flac"))


def disturbance(kind: str, x: Array, seed: int) -> Array:
    """As long as x, at any level."""
    rng = np.random.default_rng(seed)
    if kind == "reverberation":
        n = round(DECAY * RATE)
        echo = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
        echo[: RATE // 400] = 0
        return np.asarray(scipy.signal.fftconvolve(x, echo)[: x.size])
    if kind == "music":
        files = sorted((AUDIO / "music").glob("ehlers_*.ogg"))
        found = load(files[seed % len(files)])
        mono = signal.Signal(found.samples.mean(axis=0, keepdims=True)[:, : 12 * found.rate], found.rate, "music")
        from audiosim.dsp.resampling import to_rate

        return np.resize(to_rate(mono, RATE).samples[0].astype(np.float64), x.size)
    others = [p for i, p in enumerate(talkers()) if i != seed]
    chosen = rng.choice(len(others), 2 if kind == "two" else 6, replace=False)
    voices = [np.resize(samples(others[i]), x.size) for i in chosen]
    return np.sum([v / v.std() for v in voices], axis=0)


def scores(ref: Array, test: Array, band: str) -> Array:
    spec = f"pesq:band={band}"
    cuts = [round(c * RATE / 1000) for c in CUTS]
    return np.array([compare(ref[None, c:], test[None, c:], spec, RATE, jobs=1)[spec].value for c in cuts])


def original(ref: Array, test: Array, band: str) -> Array | None:
    try:
        from pesq import pesq
    except ModuleNotFoundError:
        return None
    cuts = [round(c * RATE / 1000) for c in CUTS]
    r, t = (x.astype(np.float32) for x in (ref, test))
    return np.array([pesq(RATE, r[c:], t[c:], MODES[band]) for c in cuts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--talkers", type=int, default=2, help="how many sentences")
    parser.add_argument("--snr", type=float, nargs="*", default=[0, 5, 10, 15], help="dB")
    parser.add_argument("--lead", type=float, default=0.0, help="seconds without speech in front")
    arguments = parser.parse_args()
    print("| disturbance | SNR, dB | band | own, ours | own, original | beyond | apart |")
    print("|---|---|---|---|---|---|---|")
    for kind in KINDS:
        for snr in arguments.snr:
            for band in MODES:
                rows = [moved(kind, i, snr, band, arguments.lead) for i in range(arguments.talkers)]
                print(f"| {kind} | {snr:g} | {band} | " + " | ".join(f"{v:.3f}" for v in np.max(rows, axis=0)) + " |")


def moved(kind: str, seed: int, snr: float, band: str, lead: float) -> list[float]:
    """Of one sentence: own of ours and of the original, beyond, apart; nan without the original."""
    x = samples(talkers()[seed])[: round(SECONDS * RATE)]
    x = np.concatenate([np.zeros(round(lead * RATE)), x])
    x += FLOOR * np.random.default_rng(0).standard_normal(x.size)
    y = disturbance(kind, x, seed)
    y = x + y * (x.std() / y.std() * 10 ** (-snr / 20))
    ours, theirs = scores(x, y, band), original(x, y, band)
    if theirs is None:
        return [float(np.ptp(ours)), np.nan, np.nan, np.nan]
    beyond = np.abs(ours - ours[0]) - np.abs(theirs - theirs[0])
    return [float(np.ptp(ours)), float(np.ptp(theirs)), float(beyond.max()), float(np.abs(ours - theirs).max())]


if __name__ == "__main__":
    main()
