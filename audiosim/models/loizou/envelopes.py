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
from ...options import AT_LEAST_ZERO, Within
from .segments import EPS, Framed, Segments, lowest

if TYPE_CHECKING:
    from ...engine.stream import Stream

Array = NDArray[Any]

N_FFT = 512  # of the envelopes that profiles look at
KEEP = 0.95  # share of frames that Loizou's programs average
TINY = 1e-30  # their lowest response: its logarithm is finite
WORST = 1000.0  # the ratio of prediction errors where rounding leaves less than nothing

Keep = Annotated[float, Within(0, 1, open_low=True), "share of frames that count, the lowest"]
Limit = Annotated[float, AT_LEAST_ZERO, "upper clip of a frame, 0 for none"]


@dataclass(frozen=True, kw_only=True)
class AllPole(Framed):
    """Options of a metric of all-pole envelopes."""

    order: Annotated[int, AT_LEAST_ZERO, "of the linear predictor, 0 for 16, or 10 below 10 kHz"] = 0
    limit: Limit = 0.0
    keep: Keep = KEEP


PLAIN = AllPole()  # as in the composite measures: nothing is clipped


@dataclass(frozen=True, slots=True, eq=False)
class Envelopes:
    """All-pole envelopes of these frames. limit: upper clip of a frame. keep: share of frames that count."""

    segments: Segments
    order: int
    limit: float
    keep: float

    @classmethod
    def of(cls, rate: int, o: AllPole = PLAIN) -> Envelopes:
        """UsageError where frames are too short."""
        segments = o.segments(rate)
        if segments.window.size < 2:
            raise UsageError("a frame of 1 sample has no envelope: give longer ones")
        return cls(segments, o.order or (10 if rate < 10000 else 16), o.limit or inf, o.keep)

    def predictors(self, stream: Stream, offset: float, guarded: bool, threads: int) -> tuple[Array, Array]:
        """Of every frame, as dsp.linear_prediction.predictors."""
        cut = self.segments
        count = cut.count(stream.length)
        found: tuple[Array, Array] = dsp.linear_prediction.predictors(
            stream, cut.window, cut.hop, count, self.order, offset=offset, guarded=guarded, threads=threads
        )
        return found

    def differentiable(self, offset: float = 0.0, guarded: bool = True) -> Callable[[Any], tuple[Any, Any]]:
        """The same on tensors: x [item, sample] -> a, r [item, frame, order + 1], float64."""
        cut = self.segments
        predict: Callable[[Any, int], tuple[Any, Any]] = dsp.linear_prediction.predictors_torch(
            cut.window, cut.hop, self.order, offset=offset, guarded=guarded
        )

        def of(x: Any) -> tuple[Any, Any]:
            count = cut.count(x.shape[-1])
            if count < 1:
                raise InputError(cut.too_short(x.shape[-1]))
            return predict(x.double(), count)

        return of

    def log_likelihood_ratios(
        self, ref: Stream, test: Stream, as_pysepm: bool, threads: int
    ) -> tuple[Array, Array, Array]:
        """ln(b R b / a R a) of every frame [frame], R: autocorrelation of ref; and the predictors a of ref and b of
        test [frame, order + 1]. as_pysepm: silent frames are what rounding makes of them, not flat."""
        offset = EPS if as_pysepm else 0.0
        (a, energy), (b, _) = (self.predictors(s, offset, not as_pysepm, threads) for s in (ref, test))
        left, own = np.empty((2, len(a)))
        dsp.linear_prediction.prediction_errors(b, energy, left)
        dsp.linear_prediction.prediction_errors(a, energy, own)
        ratio = np.divide(left, own, out=np.full(len(a), WORST), where=(left > 0) & (own > 0))
        return np.maximum(np.log(ratio), -inf if as_pysepm else 0.0), a, b

    def mean_torch(self, distances: Any) -> Any:
        """[item, frame] -> [item]: clipped, the lowest of them averaged."""
        ascending = distances.clamp(max=self.limit).sort(-1).values
        return ascending[:, : max(1, round(self.keep * distances.shape[-1]))].mean(-1)

    def channel(self, distances: Array, a: Array, b: Array, view: View) -> Channel:
        """The same with its profile, [frame]; a, b: predictors of reference and test."""
        distances = np.minimum(distances, self.limit)
        counting = lowest(distances, self.keep)
        value = float(distances[counting].mean())
        if view.detail == "value":
            return Channel(value=value)
        shares = np.zeros(distances.size)
        shares[counting] = 1 / counting.size

        def difference(frames: slice) -> Array:
            x, y = (np.abs(engine.fft.rfft(z[frames], N_FFT)) for z in (a, b))
            return np.asarray(np.log(np.maximum(y, TINY) / np.maximum(x, TINY)))

        rate, everyone = self.segments.rate, np.arange(distances.size)
        frequencies, times = np.arange(N_FFT // 2 + 1) * (rate / N_FFT), self.segments.times(distances.size)
        return local_distances(value, distances, shares, everyone, difference, frequencies, rate / 2, times, view)
