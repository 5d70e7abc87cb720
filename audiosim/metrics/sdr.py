"""Signal-to-distortion ratio of BSS-eval, in dB: any FIR filter of 512 taps of the reference counts as the target.
Vincent et al. 2006 with the single-source solution of Scheibler 2022 (arXiv 2110.06440, eq. 9 and 14)."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from .. import dsp
from ..card import Card
from ..errors import UsageError
from ..hearing.profile import Detail, View, waveform
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Channel, Result, Twin, pool

if TYPE_CHECKING:
    from ..dsp.stream import Stream

CARD = Card(
    title="Signal-to-distortion ratio (BSS-eval)",
    family="conventional",
    unit="dB",
    better="higher",
    identical=inf,
    range=(-inf, inf),
    formula="10 lg(c / (1 - c)), c = b^T R^-1 b of unit-energy signals; R, b: correlations over `taps` lags",
    source="Vincent et al. 2006; Scheibler 2022, arXiv 2110.06440, eq. 9 and 14",
    conventions="As torchmetrics and fast_bss_eval, both of which compute it in float64 without loading; `load` "
    "adds to the diagonal of R, zero_mean removes the means. Beyond about 150 dB float64 has no digits "
    "left and the answer is infinite, where the others print inf, nan or what rounding left.",
    silence="Undefined for a silent reference or test.",
    caveat="Deaf to any short filter, so to equalisation, gain, polarity and small delays: for source separation, "
    "not for quality.",
    minimum="as many samples as taps for a meaningful number; shorter input is solved by least squares",
    symmetric=False,
    triangle=False,
    blind=("gain", "polarity"),
    gradient="exact",
    cap="150 dB where a filter explains all, -150 dB where none explains anything or either signal is silent",
    profile="share",
    map="share",
)

LIMIT = 1e-15  # of 1 - coherence, below which it is rounding: 150 dB


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    taps: Annotated[int, "length of the allowed filter, 1 to 4096"] = 512,
    load: Annotated[float, "added to the diagonal, of unit-energy signals"] = 0.0,
    zero_mean: Annotated[bool, "remove both means first"] = False,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    return pool(
        [_channel(r, t, taps, load, zero_mean, view) for r, t in streams(ref, test, rate, weighting, coef, mid_side)]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text, in float64."""
    from ..dsp.differentiable import centred, coherence, energy, lags

    _check(o.taps, o.load)

    def value(ref: Any, test: Any) -> Any:
        identical = energy(test - ref) == 0
        ref, test = ref.double(), test.double()
        if o.zero_mean:
            ref, test = centred(ref), centred(test)
        signal, other = energy(ref), energy(test)
        silent = (signal == 0) | (other == 0)
        signal, other = (x.where(~silent, 1)[:, None] for x in (signal, other))
        auto, cross = lags(ref, test, o.taps)
        c = coherence(auto / signal, cross / (signal * other).sqrt(), o.load, silent)
        c = c.masked_fill(identical & ~silent, 1.0).clamp(LIMIT, 1 - LIMIT)
        return 10 * (c / (1 - c)).log10()

    return value


def _check(taps: int, load: float) -> None:
    if not 1 <= taps <= 4096 or load < 0:
        raise UsageError(f"sdr needs 1 to 4096 taps and load >= 0, not taps={taps}, load={load:g}")


def _channel(r: Stream, t: Stream, taps: int, load: float, zero_mean: bool, view: View) -> Channel:
    _check(taps, load)
    means = (0.0, 0.0)
    if zero_mean:
        means = dsp.moments.mean_pair(r, t, view.jobs)
    signal, other, _ = dsp.moments.over(dsp.moments.product, 3, r, t, *means, jobs=view.jobs)
    if signal == 0 or other == 0:
        return waveform(r, t, nan, view, reason=f"the {'reference' if signal == 0 else 'test'} is silent")
    if dsp.moments.over(dsp.moments.error, 1, r, t, jobs=view.jobs)[0] == 0:
        return waveform(r, t, inf, view, reason="+inf: no distortion at all", means=means)
    auto, cross = dsp.correlation.lags(r, t, taps, *means, jobs=view.jobs)
    coherence = dsp.correlation.coherence(auto / signal, cross / np.sqrt(signal * other), load)
    if coherence >= 1 - LIMIT:
        return waveform(
            r, t, inf, view, reason="+inf: a filter explains the test to the last digit of float64", means=means
        )
    if coherence <= 0:
        return waveform(r, t, -inf, view, reason="-inf: no filter explains anything of the test", means=means)
    return waveform(r, t, float(10 * np.log10(coherence / (1 - coherence))), view, means=means)
