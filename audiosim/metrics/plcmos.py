"""PLCMOS: how people rate speech whose lost packets were concealed, predicted by a network that hears the test alone.
Diener, Purin, Sootla, Saabas, Aichner and Cutler 2023, Interspeech (arXiv 2305.15127).

The network is Microsoft's, version 2. Beside the log spectrum it takes a vector that stands for a rater; the value is
the mean over 15 of them. The original draws them anew each time from a normal distribution, which moves its value by
about 0.015 from call to call; here they are those that it draws after numpy.random.seed(0).

Result.domain says whether the test is like speech that is clean, or has lost a fiftieth to a fifth of its packets of
20 ms, with silence or a quieter repetition in their place: made by audiosim from 45 speakers, not the recordings of the
training.

The whole recording is heard at once: there is no course in time. Details: with drop=true test and reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import nan
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from .. import engine
from ..answer import Channel, Pair
from ..card import Card
from ..domain import SPEECH
from ..models import ratings
from ..models.ratings import Rated, Ratings
from ..trained import onnx, weights

Array = NDArray[Any]

SHORTEST = 1281  # samples, of whose frames the network's pooling leaves one

CARD = Card(
    title="PLCMOS, rating of concealed packet loss",
    family="trained",
    unit="MOS",
    better="higher",
    identical=None,
    range=(-5.0, 5.0),
    formula="mean over 15 raters of a network's rating",
    source="Diener et al. 2023, Interspeech; the network of speechmos 0.0.1.1, plcmos_v2",
    conventions="As plcmos.run of speechmos 0.0.1.1 after numpy.random.seed(0), within 1e-4; without a seed its values"
    " vary by about 0.015. Samples beyond full scale, which it refuses, are taken as they are.",
    silence=ratings.SILENCE,
    caveat="It judges the test alone. It was trained on speech with concealed losses: other sound has a value too,"
    " which means little. Memory grows with the length, about 0.12 GB a minute: the network hears all of it at once.",
    rate=16000,
    lengths="any",
    minimum="1281 samples at 16 kHz",
    shortest=SHORTEST / 16000,
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

FRAME, HOP = 512, 256  # samples
RATERS, FEATURES = 15, 64
HEARD = "onnx::Gather_333"  # the network's tensor [part, rater, feature] behind which raters begin to differ
QUIET = -120.0  # dB that a bin of no power lies below the quietest that has some
SCALE = 20.0  # by which natural logarithms are divided


@dataclass(frozen=True, kw_only=True)
class Options(Rated):
    model: Annotated[str, "file of the network; empty: the extra's, or that of audiosim models get"] = ""

    @property
    def files(self) -> tuple[Path, ...]:
        return weights.present("plcmos", self.model)


def measure(pair: Pair, o: Options) -> Channel:
    for name, x in zip(("test", "reference") if o.drop else ("test",), pair.samples[::-1], strict=False):
        if len(x) < SHORTEST:
            return Channel(
                value=nan, reason=f"the {name} is too short: {SHORTEST} samples are needed, there are {len(x)}"
            )
    file = weights.find("plcmos", o.model)
    hear, judge = onnx.halves(file, HEARD)  # all raters hear the same

    def rate(x: Array) -> Ratings:
        (heard,) = hear({"degraded_audio": _spectrum(x)[None, None].astype(np.float32)})
        (found,) = judge({HEARD: np.repeat(heard, RATERS, axis=1), "rater_embed": _raters()})
        mean = np.mean(found.astype(np.float64).reshape(RATERS), keepdims=True)
        return Ratings({"mos": mean}, np.array([x.size / 2 / pair.rate]))

    return ratings.measure(pair, o, "mos", file, rate)


@cache
def _raters() -> Array:
    """[rater, feature] as the original draws them from that seed: numpy keeps these numbers as they are."""
    return np.random.RandomState(0).normal(size=(RATERS, FEATURES)).astype(np.float32)


def _spectrum(x: Array) -> Array:
    """Log power in frames that begin half a frame before the sound and end behind it [frame, bin], scaled."""
    count = -(-(x.size + FRAME - HOP) // HOP)
    padded = np.zeros((count - 1) * HOP + FRAME)
    padded[FRAME - HOP :][: x.size] = x
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    z = engine.fft.rfft(frames * engine.windows.periodic("hamming", FRAME), FRAME)
    power = z.real**2 + z.imag**2
    heard = power > 0
    quietest = np.log(power[heard].min()) + QUIET * np.log(10) / 10
    return np.asarray(np.log(power, out=np.full(power.shape, quietest), where=heard)) / SCALE
