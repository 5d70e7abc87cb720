"""Signal-to-distortion ratio of BSS-eval, in dB: any FIR filter of 512 taps of the reference counts as the target.
Vincent et al. 2006 with the single-source solution of Scheibler 2022 (arXiv 2110.06440, eq. 9 and 14)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan
from typing import Annotated, Any

import numpy as np

from .. import dsp, engine
from ..answer import Channel, Pair, waveform
from ..card import Card
from ..hearing.weighting import Weighted
from ..options import AT_LEAST_ZERO, Within
from ..result import Twin

CARD = Card(
    title="Signal-to-distortion ratio (BSS-eval)",
    family="conventional",
    unit="dB",
    better="higher",
    identical=inf,
    range=(-inf, inf),
    formula="10 lg(c / (1 - c)), c = b^T R^-1 b of unit-energy signals; R, b: correlations over `taps` lags",
    source="Vincent et al. 2006; Scheibler 2022, arXiv 2110.06440, eq. 9 and 14",
    conventions="As torchmetrics and fast_bss_eval, which compute it in float64 and add nothing to R (load=0). "
    "Beyond about 150 dB float64 has no digits left: the value is infinite here, while the others print inf, nan or "
    "what rounding left.",
    silence="Undefined for a silent reference or test.",
    caveat="Deaf to any short filter, so to equalisation, gain, polarity and small delays: for source separation, "
    "not for quality.",
    minimum="as many samples as taps for a meaningful value; shorter input is solved by least squares",
    symmetric=False,
    insensitive_to=("gain", "polarity"),
    gradient="exact",
    cap="150 dB where a filter explains all, -150 dB where none explains anything or either signal is silent",
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
)

LIMIT = 1e-15  # of the test's energy, below which a share of it is rounding: 150 dB


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    taps: Annotated[int, Within(1, 4096), "length of the allowed filter"] = 512
    load: Annotated[float, AT_LEAST_ZERO, "added to the diagonal, of unit-energy signals"] = 0.0
    zero_mean: Annotated[bool, "remove both means first"] = False


def measure(pair: Pair, o: Options) -> Channel:
    means = (0.0, 0.0)
    if o.zero_mean:
        means = engine.moments.mean_pair(pair.ref, pair.test, pair.threads)
    found = dsp.correlation.fit(pair.ref, pair.test, o.taps, o.load, means, pair.threads)
    if found.signal == 0 or found.other == 0:
        return waveform(pair, nan, reason=f"the {'reference' if found.signal == 0 else 'test'} is silent")
    reason = None
    if found.distortion == 0:
        value, reason = inf, "+inf: no distortion at all"
    elif found.distortion < LIMIT:
        value, reason = inf, "+inf: a filter explains the test to the last digit of float64"
    elif found.target < LIMIT:
        value, reason = -inf, "-inf: no filter explains anything of the test"
    else:
        value = float(10 * np.log10(found.target / found.distortion))
    return waveform(pair, value, reason=reason, means=means)


def twin(rate: int, o: Options) -> Twin:
    """The same on tensors, in float64."""
    from ..engine.tensors import by_kernels, centred, energy, lags, shares

    def formula(ref: Any, test: Any) -> Any:
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

    def evaluate(ref: Any, test: Any, gradient: bool, threads: int) -> tuple[Any, Any]:
        values, slopes = np.empty(len(ref)), np.zeros_like(test) if gradient else np.empty((0, 0))

        def task(i: int) -> None:
            pair = engine.stream.plain(ref[i]), engine.stream.plain(test[i])
            means = engine.moments.mean_pair(*pair) if o.zero_mean else (0.0, 0.0)
            found = dsp.correlation.fit(*pair, o.taps, o.load, means)
            values[i] = 10 * np.log10(max(found.target, LIMIT) / max(found.distortion, LIMIT))
            if gradient and min(found.target, found.distortion) >= LIMIT:
                slope = 10 / np.log(10) * dsp.correlation.slope(*pair, found, means)
                slopes[i] = slope - slope.mean() if o.zero_mean else slope

        engine.threads.in_threads(task, range(len(ref)), threads)
        return values, slopes

    return by_kernels(formula, evaluate)
