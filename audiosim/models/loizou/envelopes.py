"""All-pole envelopes of short frames, and means over the better of them: what llr and cepstrum-distance share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from ... import dsp, engine
from ...answer import Channel, View, local_distances
from ...errors import InputError, UsageError
from . import segments

if TYPE_CHECKING:
    from ...engine.stream import Stream

Array = NDArray[Any]

N_FFT = 512  # of the envelopes that profiles look at
KEEP = 0.95  # share of frames that Loizou's programs average
TINY = 1e-30  # their lowest response: its logarithm is finite
EPS = 2.220446049250313e-16  # what pysepm adds to the samples
WORST = 1000.0  # the ratio of prediction errors where rounding leaves less than nothing

Order = Annotated[int, "of the linear predictor, 0 for 16, or 10 below 10 kHz"]
Frame = Annotated[float, "seconds of a frame"]
Overlap = Annotated[float, "share of a frame that it shares with the next, below 1"]
Limit = Annotated[float, "upper clip of a frame, 0 for none"]
Keep = Annotated[float, "share of frames that count, the lowest, above 0 to 1"]


@dataclass(frozen=True, slots=True, eq=False)
class Envelopes:
    """Frames under a Hann window without its zeros, of which the last is left out, as Loizou's programs cut them."""

    rate: int
    order: int
    window: Array
    hop: int
    limit: float
    keep: float

    @classmethod
    def of(cls, rate: int, order: int, frame: float, overlap: float, limit: float, keep: float) -> Envelopes:
        """order 0: 16, or 10 below 10 kHz. limit 0: none. UsageError for impossible values."""
        size, hop = round(frame * rate), int((1 - overlap) * frame * rate)
        if size < 2 or hop < 1 or hop > size:
            raise UsageError(
                f"a frame of {size} samples with a hop of {hop}: give frame and overlap that fit {rate} Hz"
            )
        if order < 0 or limit < 0 or not 0 < keep <= 1:
            raise UsageError(
                f"order and limit are 0 or more and keep is above 0 to 1, not {order}, {limit:g} and {keep:g}"
            )
        window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(1, size + 1) / (size + 1)))
        return cls(rate, order or (10 if rate < 10000 else 16), window, hop, limit or inf, keep)

    def count(self, length: int) -> int:
        """Frames of so many samples; 0 or less when there are too few."""
        return int(dsp.linear_prediction.frame_count(length, self.window.size, self.hop)) - 1

    def too_short(self, length: int) -> str:
        """Why so many samples have none."""
        return f"too short: two frames take {self.window.size + self.hop} samples, there are {length}"

    def predictors(self, stream: Stream, count: int, jobs: int, offset: float, guarded: bool) -> tuple[Array, Array]:
        """As dsp.linear_prediction.predictors."""
        found: tuple[Array, Array] = dsp.linear_prediction.predictors(
            stream, self.window, self.hop, count, self.order, offset=offset, guarded=guarded, jobs=jobs
        )
        return found

    def differentiable(self, offset: float = 0.0, guarded: bool = True) -> Callable[[Any], tuple[Any, Any]]:
        """The same as torch text: x [item, sample] -> a, r [item, frame, order + 1], float64."""
        predict: Callable[[Any, int], tuple[Any, Any]] = dsp.linear_prediction.predictors_torch(
            self.window, self.hop, self.order, offset=offset, guarded=guarded
        )

        def of(x: Any) -> tuple[Any, Any]:
            count = self.count(x.shape[-1])
            if count < 1:
                raise InputError(self.too_short(x.shape[-1]))
            return predict(x.double(), count)

        return of

    def log_likelihood_ratios(
        self, ref: Stream, test: Stream, as_pysepm: bool, jobs: int
    ) -> tuple[Array, Array, Array]:
        """ln(b R b / a R a) of every frame [frame], R: autocorrelation of ref; and the predictors a of ref and b of
        test [frame, order + 1]. as_pysepm: silent frames are what rounding makes of them, not flat."""
        count, offset = self.count(ref.length), EPS if as_pysepm else 0.0
        (a, energy), (b, _) = (self.predictors(s, count, jobs, offset, not as_pysepm) for s in (ref, test))
        left, own = np.empty((2, count))
        dsp.linear_prediction.prediction_errors(b, energy, left)
        dsp.linear_prediction.prediction_errors(a, energy, own)
        ratio = np.divide(left, own, out=np.full(count, WORST), where=(left > 0) & (own > 0))
        return np.maximum(np.log(ratio), -inf if as_pysepm else 0.0), a, b

    def mean_torch(self, distances: Any) -> Any:
        """[item, frame] -> [item]: clipped, the lowest of them averaged."""
        lowest = distances.clamp(max=self.limit).sort(-1).values
        return lowest[:, : max(1, round(self.keep * distances.shape[-1]))].mean(-1)

    def channel(self, distances: Array, a: Array, b: Array, view: View) -> Channel:
        """The same with its profile, [frame]; a, b: predictors of reference and test."""
        distances = np.minimum(distances, self.limit)
        lowest = segments.lowest(distances, self.keep)
        value = float(distances[lowest].mean())
        if view.detail == "value":
            return Channel(value=value)
        shares = np.zeros(distances.size)
        shares[lowest] = 1 / lowest.size

        def difference(frames: slice) -> Array:
            x, y = (np.abs(engine.fft.rfft(z[frames], N_FFT)) for z in (a, b))
            return np.asarray(np.log(np.maximum(y, TINY) / np.maximum(x, TINY)))

        frequencies = np.arange(N_FFT // 2 + 1) * (self.rate / N_FFT)
        times = (np.arange(distances.size) * self.hop + self.window.size / 2) / self.rate
        everyone = np.arange(distances.size)
        return local_distances(value, distances, shares, everyone, difference, frequencies, self.rate / 2, times, view)
