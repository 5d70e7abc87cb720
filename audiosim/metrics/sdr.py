"""Signal-to-distortion ratio of BSS-eval, in dB: any FIR filter of 512 taps of the reference counts as the target.
Vincent et al. 2006 with the single-source solution of Scheibler 2022 (arXiv 2110.06440, eq. 9 and 14)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from .. import dsp, engine
from ..answer import Channel, Pair, waveforms
from ..card import Card
from ..models.energy_ratio import Pooled
from ..options import AT_LEAST_ZERO, Within
from ..result import Twin

if TYPE_CHECKING:
    from ..dsp.correlation import Fit

CARD = Card(
    title="Signal-to-distortion ratio (BSS-eval)",
    family="conventional",
    unit="dB",
    better="higher",
    identical=inf,
    range=(-inf, inf),
    formula="10 lg(c / (1 - c)), c = b^T R^-1 b of unit-energy signals; R, b: correlations over `taps` lags; "
    "of several channels 10 lg(sum |test|^2 c / sum |test|^2 (1 - c))",
    source="Vincent et al. 2006; Scheibler 2022, arXiv 2110.06440, eq. 9 and 14",
    conventions="As torchmetrics and fast_bss_eval, which compute it in float64 and add nothing to R (load=0). "
    "Beyond about 150 dB float64 has no digits left: the value is infinite here, while the others print inf, nan or "
    "what rounding left. Channels have a filter each, and energies of target and distortion are added; the packages "
    "take the mean of the channels' values (channels=mean), in which an identical channel hides a broken one.",
    silence="Undefined for a silent reference or test. Of several channels, one that is silent in both adds nothing, "
    "one that is silent in the reference alone counts as distortion, and one that is silent in the test alone leaves "
    "the value undefined.",
    caveat="Deaf to any short filter, so to equalisation, gain, polarity and small delays: for source separation, "
    "not for quality.",
    version=3,
    pooling="energy",
    joint_channels=True,
    minimum="as many samples as taps for a meaningful value; shorter input is solved by least squares",
    symmetric=False,
    insensitive_to=("gain", "polarity"),
    gradient="exact",
    ratio=True,
    cap="150 dB where a filter explains all, -150 dB where none explains anything, either signal is silent, or "
    "the test of a channel alone",
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
)

LIMIT = 1e-15  # of the test's energy, below which a share of it is rounding: 150 dB


@dataclass(frozen=True, kw_only=True)
class Options(Pooled):
    taps: Annotated[int, Within(1, 4096), "length of the allowed filter"] = 512
    load: Annotated[float, AT_LEAST_ZERO, "added to the diagonal, of unit-energy signals"] = 0.0
    zero_mean: Annotated[bool, "remove both means first"] = False


def measure(pairs: list[Pair], o: Options) -> Channel:
    def fitted(pair: Pair) -> tuple[Fit, tuple[float, float]]:
        means = engine.moments.mean_pair(pair.ref, pair.test, pair.threads) if o.zero_mean else (0.0, 0.0)
        return dsp.correlation.fit(pair.ref, pair.test, o.taps, o.load, means, pair.threads), means

    def concluded(pairs: Any, channels: Any) -> Channel:
        fits = [fit for fit, _ in channels]
        if reason := _undefined(fits):
            return waveforms(pairs, nan, reason=reason)
        target, distortion = dsp.correlation.shares_of_all(fits)
        if not any(fit.other * fit.distortion for fit in fits):
            value, reason = inf, "+inf: no distortion at all"
        elif distortion < LIMIT:
            value, reason = inf, "+inf: a filter explains the test to the last digit of float64"
        elif target < LIMIT:
            value, reason = -inf, "-inf: no filter explains anything of the test"
        else:
            value = float(10 * np.log10(target / distortion))
        return waveforms(pairs, value, reason=reason, means=[means for _, means in channels])

    return o.answered(pairs, fitted, concluded)


def _undefined(fits: list[Fit]) -> str | None:
    """Why channels have no value together: a filter makes nothing of a silent test, and nothing is left of it either,
    so that a dead channel would be missing from both energies."""
    if not any(fit.signal for fit in fits):
        return "the reference is silent"
    if not any(fit.other for fit in fits):
        return "the test is silent"
    dead = [c for c, fit in enumerate(fits, 1) if fit.signal and not fit.other]
    return "; ".join(f"channel {c}: the test is silent" for c in dead) or None


def twin(rate: int, o: Options) -> Twin:
    """The same on tensors, in float64."""
    from ..engine.tensors import by_kernels, centred, energy, lags, over_channels, shares

    def text(ref: Any, test: Any) -> Any:
        channels = ref.shape[1]
        ref, test = (x.flatten(0, 1) for x in (ref, test))
        ref, test = (centred(x) if o.zero_mean else x.double() for x in (ref, test))
        signal, other = energy(ref), energy(test)
        whole = over_channels(other, channels)
        dead = (over_channels(signal, channels) == 0) | (whole == 0)
        dead = dead | (over_channels(((signal > 0) & (other == 0)).double(), channels) > 0)
        weight = other.unflatten(0, (-1, channels)) / whole.where(whole > 0, 1)[:, None]
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
        parts = (x.clamp(min=0).unflatten(0, (-1, channels)) for x in (target, distortion))
        target, distortion = ((weight * x).sum(1) for x in parts)
        target, distortion = target.masked_fill(dead, 0.0), distortion.masked_fill(dead, 1.0)
        return 10 * (target.clamp(min=LIMIT) / distortion.clamp(min=LIMIT)).log10()

    def evaluate(ref: Any, test: Any, gradient: bool, threads: int) -> tuple[Any, Any]:
        groups, channels = ref.shape[:2]
        values, slopes = np.empty(groups), np.zeros_like(test) if gradient else np.empty((0, 0, 0))

        def fitted(i: int) -> tuple[Any, Any, Fit]:
            at = divmod(i, channels)
            pair = engine.stream.plain(ref[at]), engine.stream.plain(test[at])
            means = engine.moments.mean_pair(*pair) if o.zero_mean else (0.0, 0.0)
            return pair, means, dsp.correlation.fit(*pair, o.taps, o.load, means)

        found = engine.threads.in_threads(fitted, range(groups * channels), threads)
        by_group = [[fit for *_, fit in found[g * channels : (g + 1) * channels]] for g in range(groups)]
        pooled = [(0.0, 1.0) if _undefined(fits) else dsp.correlation.shares_of_all(fits) for fits in by_group]
        for g, (target, distortion) in enumerate(pooled):
            values[g] = 10 * np.log10(max(target, LIMIT) / max(distortion, LIMIT))

        def sloped(i: int) -> None:
            g, c = divmod(i, channels)
            if min(pooled[g]) < LIMIT:
                return
            (r, t), means, fit = found[i]
            energy = sum(other.other for other in by_group[g])
            whole = fit.of_whole(energy, *pooled[g])
            slope = 10 / np.log(10) * dsp.correlation.slope(r, t, whole, means)
            slopes[g, c] = slope - slope.mean() if o.zero_mean else slope

        if gradient:
            engine.threads.in_threads(sloped, range(groups * channels), threads)
        return values, slopes

    by_group = by_kernels(text, evaluate)

    def value(ref: Any, test: Any) -> Any:
        batch, channels = ref.shape[:2]
        together = channels if o.channels == "pooled" else 1
        found = by_group(*(x.reshape(-1, together, x.shape[-1]) for x in (ref, test)))
        return found.reshape(batch, -1).expand(batch, channels)

    return value
