"""DNSMOS: how people rate speech behind noise suppression, predicted by networks that hear the test alone. P.835:
Reddy, Gopal and Cutler 2022, ICASSP (speech, background and the whole); P.808: the same 2021, ICASSP (the whole).

The networks are Microsoft's. They hear windows of 9.01 s, one a second; the value is the mean of their ratings, which
stand in per_time. A shorter recording is repeated until it fills a window. Raw ratings of P.835 pass through the
polynomials by which the original brings them to the scale of its listeners.

As in the original, a window is left out where (i + 9.01) 16000, in floating point, lies below the whole number that is
meant: those that begin after 7 to 23 s, after 119 s, and so on. Recordings of less than 17 s have none of them.

Result.domain says whether the test is like speech that is clean, behind noise of 0 to 30 dB SNR, or that behind a
simple suppressor: made by audiosim from 45 speakers, as the recordings of the training are not to be had.

The networks have sidecars too: embedding:model=dnsmos-p835 compares their raw ratings, of all windows.

Details: the ratings of the test; with drop=true also test and reference, of the output that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..answer import Channel, Pair
from ..card import Card
from ..domain import SPEECH
from ..engine.threads import in_threads
from ..models import ratings
from ..models.ratings import Rated, Ratings
from ..trained import onnx, weights
from ..trained.embedding import Cut
from ..trained.mel import Mel, decibels

Array = NDArray[Any]

CARD = Card(
    title="DNSMOS, rating of noise-suppressed speech",
    family="trained",
    unit="MOS",
    better="higher",
    identical=None,
    range=(-5.0, 5.0),
    formula="mean over windows of 9.01 s of a network's rating, of P.835 behind a polynomial",
    source="Reddy, Gopal and Cutler 2022 (P.835) and 2021 (P.808), ICASSP; the networks of speechmos 0.0.1.1",
    conventions="As dnsmos.run of speechmos 0.0.1.1, within 1e-4. Samples beyond full scale, which it refuses, are"
    " taken as they are. Its personalised network is not offered.",
    silence=ratings.SILENCE,
    caveat="It judges the test alone. It was trained on noisy speech behind noise suppressors: other sound has a value"
    " too, which means little, and codecs it hardly ranks. output=p808 takes a fortieth of the time of the others.",
    rate=16000,
    lengths="any",
    domain=SPEECH,
    non_intrusive=True,
    needs=("dnsmos",),
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="none",
    profile="local",
    profile_free=True,
    map="none",
)

WINDOW, HOP = 9.01, 16000  # seconds, samples
SAMPLES = int(WINDOW * HOP)
WINDOWS = Cut(size=SAMPLES, hop=HOP, whole=True)
POLYNOMIALS: Mapping[str, tuple[float, float, float]] = {  # in the order of the network's outputs
    "sig": (-0.08397278, 1.22083953, 0.0052439),
    "bak": (-0.13166888, 1.60915514, -0.39604546),
    "ovr": (-0.06766283, 1.11546468, 0.04602535),
}
INPUT = "input_1"  # of both networks
MEL = Mel(rate=16000, n_fft=321, hop=160, bands=120)
LEFT_OUT = 160  # samples at the end of a window that P.808 does not hear
FLOOR, RANGE = 1e-10, 80.0  # of its decibels


@dataclass(frozen=True, kw_only=True)
class Options(Rated):
    output: Annotated[
        Literal["ovr", "sig", "bak", "p808"], "what is rated: the whole, the speech, the background; the whole by P.808"
    ] = "ovr"
    model: Annotated[str, "file of the network; empty: the extra's, or that of audiosim models get"] = ""

    @property
    def network(self) -> str:
        return "dnsmos-p808" if self.output == "p808" else "dnsmos-p835"

    @property
    def files(self) -> tuple[Path, ...]:
        return weights.present(self.network, self.model)


def measure(pair: Pair, o: Options) -> Channel:
    file = weights.find(o.network, o.model)
    network, rate = onnx.network(file), _p808 if o.output == "p808" else _p835
    return ratings.measure(pair, o, o.output, file, lambda x: _rated(x, partial(rate, network), pair.threads))


def _rated(x: Array, rate: Any, threads: int) -> Ratings:
    """The ratings of windows, each window heard alone."""
    heard = [(start, w) for start, w in WINDOWS(x, "double") if int((start / HOP + WINDOW) * HOP) - start == SAMPLES]
    found = in_threads(lambda k: rate(heard[k][1]), range(len(heard)), threads)
    windows = {name: np.array([one[name] for one in found]) for name in found[0]}
    return Ratings(windows, np.array([start for start, _ in heard]) / HOP + min(x.size / HOP, WINDOW) / 2)


def _p835(network: onnx.Network, x: Array) -> dict[str, float]:
    (raw,) = network({INPUT: x[None].astype(np.float32)})
    return {name: float(np.polyval(p, r)) for (name, p), r in zip(POLYNOMIALS.items(), raw[0].tolist(), strict=True)}


def _p808(network: onnx.Network, x: Array) -> dict[str, float]:
    db = decibels(MEL(x[:-LEFT_OUT].astype(np.float64)), FLOOR, RANGE, over_peak=True)
    (rating,) = network({INPUT: ((db + 40) / 40)[None].astype(np.float32)})
    return {"p808": float(rating[0, 0])}
