"""Pitch of voices: `python -m tests.benchmarks.f0` prints the errors of our tracker, librosa.pyin and Praat (where
praat-parselmouth is installed), on synthesised voices whose pitch is known, clean and in noise; and their CPU times.

gpe: share of frames voiced in both that are more than 20 % off. vde: share of frames whose voicing differs from that of
the synthesis, which also counts what is too soft to be heard. cents: root mean square error without gross errors.
"""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from audiosim.bench import sources
from audiosim.models.pitch import agreement, tracker

Array = NDArray[np.float64]

RATE, LOW, HIGH = 16000, 60.0, 1000.0
SNRS = (None, 20.0, 10.0)  # dB of white noise, None: clean
HOP = round(tracker.HOP * RATE)


def ours(x: Array) -> Array:
    return np.asarray(tracker.track(x, RATE, LOW, HIGH).hz)


def pyin(x: Array) -> Array:
    import librosa

    return np.asarray(
        librosa.pyin(x, fmin=LOW, fmax=HIGH, sr=RATE, frame_length=1024, hop_length=HOP, fill_na=0.0)[0], np.float64
    )


def praat(x: Array) -> Array:
    import parselmouth

    pitch = parselmouth.Sound(x, RATE).to_pitch_ac(tracker.HOP, LOW, pitch_ceiling=HIGH)
    frames = np.arange(x.size // HOP + 1) * tracker.HOP
    nearest = np.abs(pitch.xs() - frames[:, None]).argmin(1)
    inside = (frames >= pitch.xs()[0] - tracker.HOP / 2) & (frames <= pitch.xs()[-1] + tracker.HOP / 2)
    return np.asarray(pitch.selected_array["frequency"][nearest] * inside)


TRACKERS = {"ours": ours, "librosa.pyin": pyin, "Praat": praat}


def errors(truth: Array, hz: Array) -> list[float]:
    found = agreement.measures(truth, hz[: truth.size])
    both = (truth > 0) & (hz[: truth.size] > 0)
    cents = 1200 * np.log2(hz[: truth.size][both] / truth[both])
    near = cents[np.abs(cents) < 300]
    return [float(found["gpe"].value or 0), float(found["vde"].value or 0), float(np.sqrt(np.mean(near**2)))]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--voices", type=int, default=10)
    arguments.add_argument("--seconds", type=float, default=6.0)
    given = arguments.parse_args()
    trackers = {name: track for name, track in TRACKERS.items() if name != "Praat" or find_spec("parselmouth")}
    print("| voices | tracker | gpe | vde | cents | CPU s for 30 s |\n|---|---|---|---|---|---|")
    for snr in SNRS:
        rows: dict[str, list[list[float]]] = {name: [] for name in trackers}
        spent = dict.fromkeys(rows, 0.0)
        for seed in range(given.voices):
            rng = np.random.default_rng(seed)
            voice = sources.voice(rng, RATE, given.seconds)
            x = voice.samples
            if snr is not None:
                x = x + rng.standard_normal(x.size) * np.sqrt(np.mean(x**2)) * 10 ** (-snr / 20)
            truth = voice.pitch[::HOP]
            for name, track in trackers.items():
                if seed == 0:
                    track(x[:RATE])  # compiled
                begin = time.process_time()
                hz = track(x)
                spent[name] += time.process_time() - begin
                rows[name].append(errors(truth, hz))
        for name, found in rows.items():
            gpe, vde, cents = np.mean(found, axis=0)
            cpu = spent[name] * 30 / (given.voices * given.seconds)
            label = "clean" if snr is None else f"{snr:g} dB"
            print(f"| {label} | {name} | {gpe:.2%} | {vde:.1%} | {cents:.1f} | {cpu:.3f} |", flush=True)


if __name__ == "__main__":
    main()
