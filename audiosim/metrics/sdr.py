"""Signal-to-distortion ratio of BSS-eval, in dB: any FIR filter of 512 taps of the reference counts as the target.
Vincent et al. 2006 with the single-source solution of Scheibler 2022 (arXiv 2110.06440, eq. 9 and 14)."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from .. import dsp, engine
from ..answer import Channel, Detail, View, pool, waveform
from ..card import Card
from ..errors import UsageError
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

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
    deaf_start=True,
    profile="share",
    map="share",
)

LIMIT = 1e-15  # of the test's energy, below which a share of it is rounding: 150 dB


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
    """The same on tensors, in float64."""
    from ..engine.tensors import by_kernels, centred, energy, lags, shares

    _check(o.taps, o.load)

    def text(ref: Any, test: Any) -> Any:
        ref, test = (centred(x) if o.zero_mean else x.double() for x in (ref, test))
        signal, other = energy(ref), energy(test)
        silent = (signal == 0) | (other == 0)
        signal, other = signal.where(~silent, 1), other.where(~silent, 1)
        gain = (1 + (ref * (test - ref)).sum(-1) / signal).detach()  # how the test is split changes no share
        rest = test - gain[:, None] * ref
        auto, cross = lags(ref, rest, o.taps)
        unit = (signal * other).sqrt()
        target, distortion = shares(
            auto / signal[:, None], cross / unit[:, None], gain * signal / unit, energy(rest) / other, o.load, silent
        )
        target, distortion = target.masked_fill(silent, 0.0), distortion.masked_fill(silent, 1.0)
        return 10 * (target.clamp(min=LIMIT) / distortion.clamp(min=LIMIT)).log10()

    def evaluate(ref: Any, test: Any, gradient: bool, jobs: int) -> tuple[Any, Any]:
        values, slopes = np.empty(len(ref)), np.zeros_like(test) if gradient else np.empty((0, 0))

        def task(i: int) -> None:
            pair = engine.stream.plain(ref[i]), engine.stream.plain(test[i])
            means = engine.moments.mean_pair(*pair) if o.zero_mean else (0.0, 0.0)
            found = dsp.correlation.fit(*pair, o.taps, o.load, means)
            values[i] = 10 * np.log10(max(found.target, LIMIT) / max(found.distortion, LIMIT))
            if gradient and min(found.target, found.distortion) >= LIMIT:
                slope = 10 / np.log(10) * dsp.correlation.slope(*pair, found, means)
                slopes[i] = slope - slope.mean() if o.zero_mean else slope

        engine.threads.in_threads(task, range(len(ref)), jobs)
        return values, slopes

    return by_kernels(text, evaluate)


def _check(taps: int, load: float) -> None:
    if not 1 <= taps <= 4096 or load < 0:
        raise UsageError(f"sdr needs 1 to 4096 taps and load >= 0, not taps={taps}, load={load:g}")


def _channel(r: Stream, t: Stream, taps: int, load: float, zero_mean: bool, view: View) -> Channel:
    _check(taps, load)
    means = (0.0, 0.0)
    if zero_mean:
        means = engine.moments.mean_pair(r, t, view.jobs)
    found = dsp.correlation.fit(r, t, taps, load, means, view.jobs)
    if found.signal == 0 or found.other == 0:
        return waveform(r, t, nan, view, reason=f"the {'reference' if found.signal == 0 else 'test'} is silent")
    if found.distortion == 0:
        return waveform(r, t, inf, view, reason="+inf: no distortion at all", means=means)
    if found.distortion < LIMIT:
        return waveform(
            r, t, inf, view, reason="+inf: a filter explains the test to the last digit of float64", means=means
        )
    if found.target < LIMIT:
        return waveform(r, t, -inf, view, reason="-inf: no filter explains anything of the test", means=means)
    return waveform(r, t, float(10 * np.log10(found.target / found.distortion)), view, means=means)
