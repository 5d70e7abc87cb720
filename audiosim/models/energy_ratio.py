"""Ratios of energies: how channels are pooled, their options, and the one whose reference is scaled to fit the test.

The energies of all channels are added before the ratio is taken. In a mean of ratios in dB an identical channel, which
counts 180 dB or is infinite, would hide another that is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from typing import Annotated, Any, Literal, TypeVar

import numpy as np

from .. import engine
from ..answer import Channel, Pair, each_of, pool, waveforms
from ..engine.decibels import EPS, Convention, ZeroMean, ratio
from ..hearing.weighting import Weighted
from ..result import Twin

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class Pooled(Weighted):
    """Options of a ratio of energies."""

    channels: Annotated[
        Literal["pooled", "mean"],
        "pooled: the energies of all channels are added before the ratio is taken; mean: the mean of the channels' own "
        "values, as other packages give it, in which an identical channel hides a broken one",
    ] = "pooled"

    def answered(
        self,
        pairs: Sequence[Pair],
        measured: Callable[[Pair], S],
        concluded: Callable[[Sequence[Pair], Sequence[S]], Channel],
    ) -> Channel:
        """The answer about all channels, with the value of each.

        measured(pair): the energies of a channel. concluded(pairs, energies): the metric of some channels together.
        """
        if len(pairs) == 1:
            return concluded(pairs, [measured(pairs[0])])
        if self.channels == "mean":
            return pool(each_of(pairs, lambda pair: concluded([pair], [measured(pair)])))
        found = each_of(pairs, measured)
        alone = [concluded([replace(p, detail="value")], [e]).value for p, e in zip(pairs, found, strict=True)]
        return replace(concluded(pairs, found), per_channel=np.array(alone, dtype=np.float64))

    def twin(self, formula: Callable[[Any, Any, int], Any]) -> Twin:
        """(ref, test) [batch, channel, sample] -> [batch, channel]: that of all channels stands in each of them.

        formula(ref, test [item, sample], channels): the metric of every so many items together.
        """

        def value(ref: Any, test: Any) -> Any:
            batch, channels = ref.shape[:2]
            together = channels if self.channels == "pooled" else 1
            found = formula(ref.flatten(0, 1), test.flatten(0, 1), together)
            return found.reshape(batch, -1).expand(batch, channels)

        return value


@dataclass(frozen=True, kw_only=True)
class Guarded(Pooled):
    """Options of a ratio of energies in dB."""

    convention: Convention = "torchmetrics"
    zero_mean: ZeroMean = False

    @property
    def centred(self) -> bool:
        """Whether the means are removed, of each channel its own."""
        return self.zero_mean or self.convention == "auraloss"

    def means(self, pair: Pair) -> tuple[float, float]:
        """What is taken off the reference and the test of a channel."""
        return engine.moments.mean_pair(pair.ref, pair.test, pair.threads) if self.centred else (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Parts:
    """A channel without its means: energies of reference and test, sum of ref (test - ref), the gain of the reference
    that fits the test best, less 1, and the energy of the error."""

    means: tuple[float, float]
    signal: float
    other: float
    excess: float
    gain: float
    noise: float


@dataclass(frozen=True, slots=True)
class ScaledTarget:
    """Energy in dB of the reference, scaled to fit the test, over that of an error. Le Roux et al. 2019, eq. 5 and 10.

    Channels that are pooled have one gain, so that the value is that of the channels laid end to end.
    scaled: the error is test - gain * reference, not test - reference.
    """

    o: Guarded
    scaled: bool

    def measure(self, pairs: Sequence[Pair]) -> Channel:
        """The ratio; profile and map tell it of their energies."""
        return self.o.answered(pairs, self._parts, self._concluded)

    def _gain(self, signal: float, excess: float) -> float:
        """<test, ref> / |ref|^2 with eps as the convention has it, less 1: exactly 0 for equal signals."""
        eps = EPS[self.o.convention]
        return (excess - (eps if self.o.convention == "auraloss" else 0)) / (signal + eps) if signal else 0.0

    def _parts(self, pair: Pair) -> Parts:
        moments, means = engine.moments, self.o.means(pair)
        signal, other, excess = moments.over(moments.product, 3, pair.ref, pair.test, *means, threads=pair.threads)
        gain = self._gain(signal, excess)
        of_error = 1 + gain if self.scaled else 1.0
        noise = moments.over(moments.squares, 2, pair.ref, pair.test, *means, of_error, threads=pair.threads)[1]
        return Parts(means, signal, other, excess, gain, noise)

    def _concluded(self, pairs: Sequence[Pair], channels: Sequence[Parts]) -> Channel:
        signal = sum(c.signal for c in channels)
        if signal == 0:
            return waveforms(pairs, nan, reason="the reference is silent")
        if not any(c.other for c in channels):
            return waveforms(pairs, nan, reason="the test is silent: nothing of the reference can be found in it")
        gain = self._gain(signal, sum(c.excess for c in channels))
        noise = sum(self._noise(c, gain) for c in channels)
        scale = (1 + gain) * (1 + gain)

        def finish(target: Any, distortion: Any) -> Any:
            return ratio(scale * target, distortion, self.o.convention)

        value = float(finish(signal, noise))
        return waveforms(
            pairs,
            value,
            lambda e, _: finish(e[..., 0], e[..., 2]),
            scale=scale * signal or None,
            gain=1 + gain if self.scaled else 1.0,
            reason="+inf: no distortion at all"
            if value == inf
            else "-inf: nothing in common"
            if value == -inf
            else None,
            means=[c.means for c in channels],
        )

    def _noise(self, channel: Parts, gain: float) -> float:
        """Energy of the error for the gain of all channels: that for its own, and what is lost by not having it."""
        if not self.scaled:
            return channel.noise
        apart = channel.gain - gain
        left = channel.excess - channel.gain * channel.signal  # what that error still has in common with the reference
        return max(channel.noise + apart * (apart * channel.signal + 2 * left), 0.0)

    def twin(self) -> Twin:
        """The same on tensors."""
        from ..engine.tensors import Joint, decibels, over_channels, to_channels

        convention, centre, eps = self.o.convention, self.o.centred, EPS[self.o.convention]

        def formula(ref: Any, test: Any, channels: int) -> Any:
            sums = Joint(ref, test, centre=centre)
            signal = over_channels(sums.signal, channels)
            common = signal + over_channels(sums.common, channels) + (0 if convention == "auraloss" else eps)
            gain = common / (signal + eps).where(signal + eps > 0, 1)
            noise = (Joint(ref, test, to_channels(gain, channels), centre) if self.scaled else sums).noise
            return decibels(gain * gain * signal, over_channels(noise, channels), convention)

        return self.o.twin(formula)
