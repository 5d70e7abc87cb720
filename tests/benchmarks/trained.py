"""Trained metrics beside the packages of their networks: deviation and CPU time. `python -m tests.benchmarks.trained`.

Needs speechmos 0.0.1.1 with librosa and requests, onnxruntime, and recordings in ../shared; musicnn-mtt where it is.
Both run the networks on one thread, and in turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from audiosim import compare, load
from audiosim.trained import embedding, weights

SPEECH = Path(__file__).parents[3] / "shared" / "audio" / "speech"
FILES = ("short__clean", "visqol__quant8bit", "itu__opus_12k", "clarity__lp3400", "sepm__white10dB")
ROUNDS = 3


def main() -> None:
    print("| metric | deviation | CPU s a second of sound | of the package | ratio |\n|---|---|---|---|---|")
    sounds = [load(SPEECH / f"{name}.flac").samples[0] for name in FILES]
    dnsmos, plcmos = speechmos()
    row("dnsmos", sounds, lambda x: rated(x, "dnsmos", "dnsmos:output=p808"), dnsmos)
    row("plcmos", sounds, lambda x: rated(x, "plcmos"), plcmos)
    if weights.located("musicnn-mtt"):
        embedder = embedding.load("musicnn-mtt")
        took = min(cpu(lambda x: embedder.computed(x).numbers.mean(0), sounds)[0] for _ in range(ROUNDS))
        print(f"| embedding:model=musicnn-mtt | | {took / seconds(sounds):.3f} | | |")


def speechmos() -> tuple[Callable[[Any], list[float]], Callable[[Any], list[float]]]:
    """dnsmos (ovr and p808) and plcmos of speechmos, on one thread."""
    import onnxruntime

    class Session(onnxruntime.InferenceSession):
        """On one thread. The output of PLCMOS has one element, of which numpy 2.4 makes no float any more."""

        def __init__(self, path: str) -> None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            options.log_severity_level = 4
            super().__init__(path, options)
            self.single = "plcmos" in path

        def run(self, *given: Any) -> Any:
            found = super().run(*given)
            return [np.squeeze(found[0])] if self.single else found

    from speechmos import dnsmos, plcmos

    dnsmos.ort = plcmos.ort = SimpleNamespace(InferenceSession=Session)

    def packet_loss(x: Any) -> list[float]:
        np.random.seed(0)  # noqa: NPY002  the raters that it draws
        return [float(plcmos.run(x, 16000)["plcmos"])]

    def noise(x: Any) -> list[float]:
        found = dnsmos.run(x, 16000)
        return [float(found["ovrl_mos"]), float(found["p808_mos"])]

    return noise, packet_loss


def rated(x: Any, *specs: str) -> list[float]:
    return [result.value for result in compare(x, x, specs, 16000, jobs=1).values()]


def row(name: str, sounds: list[Any], ours: Callable[[Any], Any], theirs: Callable[[Any], Any]) -> None:
    times: list[tuple[float, float]] = []
    off = 0.0
    for _ in range(ROUNDS):
        (a, x), (b, y) = cpu(ours, sounds), cpu(theirs, sounds)
        times.append((a, b))
        off = float(np.abs(np.array(x) - np.array(y)).max())
    mine, other = (min(t) / seconds(sounds) for t in zip(*times, strict=True))
    ratio = np.median([a / b for a, b in times])
    print(f"| {name} | {off:.1e} | {mine:.3f} | {other:.3f} | {ratio:.2f} |", flush=True)


def cpu(run: Callable[[Any], Any], sounds: list[Any]) -> tuple[float, list[Any]]:
    start = time.process_time()
    found = [run(x) for x in sounds]
    return time.process_time() - start, found


def seconds(sounds: list[Any]) -> float:
    return sum(x.size for x in sounds) / 16000


if __name__ == "__main__":
    main()
