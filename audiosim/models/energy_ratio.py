"""Ratios of energies in dB: their options, and the one whose reference is scaled to fit the test."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan
from typing import Any

from .. import engine
from ..answer import Channel, Pair, waveform
from ..engine.decibels import EPS, Convention, ZeroMean, ratio
from ..hearing.weighting import Weighted
from ..result import Twin


@dataclass(frozen=True, kw_only=True)
class Guarded(Weighted):
    """Options of a ratio of energies in dB."""

    convention: Convention = "torchmetrics"
    zero_mean: ZeroMean = False

    @property
    def centred(self) -> bool:
        """Whether the means are removed."""
        return self.zero_mean or self.convention == "auraloss"


@dataclass(frozen=True, slots=True)
class ScaledTarget:
    """Energy in dB of the reference, scaled to fit the test, over that of an error. Le Roux et al. 2019, eq. 5 and 10.

    scaled: the error is test - gain * reference, not test - reference.
    """

    o: Guarded
    scaled: bool

    def measure(self, pair: Pair) -> Channel:
        """The ratio of one channel; profile and map tell it of their energies."""
        o, moments = self.o, engine.moments
        means = moments.mean_pair(pair.ref, pair.test, pair.threads) if o.centred else (0.0, 0.0)
        signal, other, excess = moments.over(moments.product, 3, pair.ref, pair.test, *means, threads=pair.threads)
        if signal == 0:
            return waveform(pair, nan, reason="the reference is silent")
        if other == 0:
            return waveform(pair, nan, reason="the test is silent: nothing of the reference can be found in it")
        eps = EPS[o.convention]
        # <test, ref> / |ref|^2 with eps as the convention has it, written so that equal signals give exactly 1
        gain = 1 + (excess - (eps if o.convention == "auraloss" else 0)) / (signal + eps)
        of_error = gain if self.scaled else 1.0
        noise = moments.over(moments.squares, 2, pair.ref, pair.test, *means, of_error, threads=pair.threads)[1]

        def finish(target: Any, distortion: Any) -> Any:
            return ratio(gain * gain * target, distortion, o.convention)

        value = float(finish(signal, noise))
        return waveform(
            pair,
            value,
            lambda e, _: finish(e[..., 0], e[..., 2]),
            scale=gain * gain * signal or None,
            gain=of_error,
            reason="+inf: no distortion at all"
            if value == inf
            else "-inf: nothing in common"
            if value == -inf
            else None,
            means=means,
        )

    def twin(self) -> Twin:
        """The same on tensors."""
        from ..engine.tensors import Joint, decibels

        convention, centre, eps = self.o.convention, self.o.centred, EPS[self.o.convention]

        def value(ref: Any, test: Any) -> Any:
            sums = Joint(ref, test, centre=centre)
            signal = sums.signal
            common = signal + sums.common + (0 if convention == "auraloss" else eps)
            gain = common / (signal + eps).where(signal + eps > 0, 1)
            noise = (Joint(ref, test, gain, centre) if self.scaled else sums).noise
            return decibels(gain * gain * signal, noise, convention)

        return value
