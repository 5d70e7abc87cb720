"""Multi-resolution STFT loss: the mean of the STFT loss at several resolutions. Yamamoto et al. 2020 (arXiv
1910.11480, eq. 6); as auraloss.freq.MultiResolutionSTFTLoss.

auraloss also has a phase term, unwrapped and not used by default; here there is none.

Profiles and maps have the bands of the shortest frames and the times of the slowest.

All is computed in float64, of float32 samples too; losses stay in the type of their tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from ..answer import Channel, Pair, mean_of_resolutions
from ..card import Card
from ..engine.frames import STFT
from ..errors import UsageError
from ..hearing import scales
from ..hearing.magnitudes import MelFilters, Spectral, Window
from ..models.stft_loss import LossOptions, STFTLoss
from ..options import AT_LEAST_ZERO
from ..result import Twin

CARD = Card(
    title="Multi-resolution STFT loss",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean over resolutions of the stft loss",
    source="Yamamoto et al. 2020, arXiv 1910.11480, eq. 6; auraloss 0.4.0 MultiResolutionSTFTLoss",
    conventions="As auraloss 0.4.0, with its floor of the power and its natural logarithm, but per channel, not "
    "across a batch. Other packages floor the magnitude at 1e-5 or 1e-7 (floor=1e-10, 1e-14), or use only the L1 terms "
    "(w_sc=0,w_lin=1).",
    silence="Defined through the floor: large against a silent reference, 0 when both are silent.",
    caveat="Deaf to phase; a silent estimate gives a loss without gradient; a silent reference dominates any mean.",
    version=2,
    minimum="half the longest frame and one sample: 1025 samples by default, 4097 with random",
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="exact",
    steepest=2000.0,
    ratio=True,
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)


LOG_FRAMES = 6, 13  # base 2, of samples: random n_fft
HOPS = 0.1, 0.5  # of the window: random hop


@dataclass(frozen=True, kw_only=True)
class Options(LossOptions):
    resolutions: Annotated[str, "n_fft/hop/window in samples, joined by +"] = "1024/120/600+2048/240/1200+512/50/240"
    bands: Annotated[int, AT_LEAST_ZERO, "mel bands of the magnitudes, 0 for none"] = 0
    window: Window = "hann"
    random: Annotated[
        bool,
        "as many resolutions, drawn: n_fft of 64 to 8192, a power of two; the window all, half or a quarter of it; the "
        "hop a tenth to half of the window. A loss draws anew at each forward in training",
    ] = False
    seed: Annotated[int, AT_LEAST_ZERO, "of what random draws"] = 0

    def check(self) -> None:
        super().check()
        self.stfts()

    def stfts(self) -> list[STFT]:
        """The resolutions, of random ones the first that are drawn; UsageError for impossible ones."""
        return next(self.draws()) if self.random else self._given()

    def draws(self) -> Iterator[list[STFT]]:
        """Random resolutions, time after time the same. After RandomResolutionSTFTLoss of auraloss 0.4.0 (Steinmetz and
        Reiss 2020), whose frames are 16 to 16384 samples, and whose hop is up to the whole frame, longer than the
        window: here no sample is passed over."""
        count, draw = len(self._given()), np.random.default_rng(self.seed)
        while True:
            sizes = []
            for _ in range(count):
                n = 2 ** int(draw.integers(*LOG_FRAMES, endpoint=True))
                win = n // int(draw.choice((1, 2, 4)))
                sizes.append((n, max(1, round(win * draw.uniform(*HOPS))), win))
            yield [Spectral(n_fft=n, hop=hop, win=win, window=self.window).stft() for n, hop, win in sizes]

    def _given(self) -> list[STFT]:
        try:
            sizes = [(n, hop, win) for n, hop, win in (map(int, s.split("/")) for s in self.resolutions.split("+"))]
        except ValueError:
            raise UsageError(
                f"resolutions are n_fft/hop/window joined by +, such as 512/50/240, not {self.resolutions!r}"
            ) from None
        return [Spectral(n_fft=n, hop=hop, win=win, window=self.window).stft() for n, hop, win in sizes]

    def losses(self, rate: int, stfts: list[STFT] | None = None) -> list[STFTLoss]:
        """Those of the resolutions, or of these."""
        stfts = self.stfts() if stfts is None else stfts
        names = [str(i) if self.random else f"{s.n_fft}/{s.hop}/{s.window.size}" for i, s in enumerate(stfts, 1)]
        return [
            STFTLoss(self, s, MelFilters.of(rate, s.n_fft, self.bands) if self.bands else None, f"{name} ")
            for s, name in zip(stfts, names, strict=True)
        ]


def measure(pair: Pair, o: Options) -> Channel:
    losses = o.losses(pair.rate)
    if pair.detail != "value":  # one set of bands for all: that of the coarsest resolution
        coarsest = min(losses, key=lambda loss: loss.stft.n_fft)
        edges = scales.bands(coarsest.frequencies(pair.rate), pair.rate / 2, pair.band_edges)[1]
        pair = replace(pair, band_edges=edges)
    return mean_of_resolutions([loss.measure(pair) for loss in losses])


def twin(rate: int, o: Options) -> Twin:
    return _Random(rate, o) if o.random else _mean_of(o.losses(rate))


def _mean_of(losses: list[STFTLoss]) -> Twin:
    twins = [loss.twin() for loss in losses]
    return lambda ref, test: sum(one(ref, test) for one in twins) / len(twins)


class _Random:
    """The mean over resolutions that are drawn anew at each `advance` in training, from the second on; out of training
    it is the first draw."""

    def __init__(self, rate: int, o: Options) -> None:
        self.rate, self.o, self.draws = rate, o, o.draws()
        self.first = self.value = _mean_of(o.losses(rate))
        self.used = False

    def advance(self, training: bool) -> None:
        """A forward begins."""
        if not training:
            self.value = self.first
            return
        drawn = next(self.draws)
        self.value = _mean_of(self.o.losses(self.rate, drawn)) if self.used else self.first
        self.used = True

    def __call__(self, ref: Any, test: Any) -> Any:
        return self.value(ref, test)
