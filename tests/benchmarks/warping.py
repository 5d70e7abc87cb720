"""Dynamic time warping against librosa, side by side: `python -m tests.benchmarks.warping`.

One core, warm, 3000 frames against 3200 of 13 features, float64. Peer and ours take turns, and the median of the ratios
counts, because machines are shared. Needs the extra "peers". No test depends on it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import librosa
import numpy as np

from audiosim.dsp import warping

N, M, FEATURES = 3000, 3200, 13
BAND = 0.1  # of the shorter sequence
ROUNDS = 7


def seconds(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.standard_normal((N, FEATURES)), axis=0)
    y = x[np.sort(rng.integers(0, N, M))] + rng.standard_normal((M, FEATURES))

    def peer() -> Any:
        return librosa.sequence.dtw(x.T, y.T)

    def banded_peer() -> Any:
        return librosa.sequence.dtw(x.T, y.T, global_constraints=True, band_rad=BAND)

    rows: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
        ("cost", peer, lambda: warping.dtw_cost(x, y)),
        ("path", peer, lambda: warping.dtw(x, y)),
        ("cost, 10 % band", banded_peer, lambda: warping.dtw_cost(x, y, BAND * N)),
        ("path, 10 % band", banded_peer, lambda: warping.dtw(x, y, BAND * N)),
    ]
    print("| warping | librosa ms | ours ms | times faster | asked |\n|---|---|---|---|---|")
    for name, theirs, ours in rows:
        theirs(), ours()
        times = [(seconds(theirs), seconds(ours)) for _ in range(ROUNDS)]
        peer_ms, our_ms = (1000 * statistics.median(t) for t in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        print(f"| {name} | {peer_ms:.0f} | {our_ms:.0f} | {ratio:.1f} | {10 if 'band' in name else 4} |")


if __name__ == "__main__":
    main()
