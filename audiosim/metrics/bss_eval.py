"""BSS-eval: SDR, ISR, SIR and SAR of a separated source, in dB. Vincent et al. 2006 (IEEE TASLP 14, 1462) and 2012
(Signal Processing 92, 1928); windows and medians as museval, version 4, has them (Stöter et al. 2018, arXiv
1804.06267)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, isnan, nan
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from .. import engine, models
from ..answer import Channel, Pair, View, each_of, waveforms
from ..card import Card
from ..errors import UsageError
from ..options import AT_LEAST_ZERO, Options as Plain, Within
from ..result import Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Source separation: SDR, ISR, SIR, SAR (BSS-eval)",
    family="conventional",
    unit="dB",
    better="higher",
    identical=inf,
    range=(-inf, inf),
    formula="the estimate is s + e_spat + e_interf + e_artif: the source, what filters of it add, what filters of the "
    "other sources add, the rest. sdr: 10 lg(|s|^2 / |e_spat + e_interf + e_artif|^2), isr: |s|^2 / |e_spat|^2, "
    "sir: |s + e_spat|^2 / |e_interf|^2, sar: |s + e_spat + e_interf|^2 / |e_artif|^2",
    source="Vincent et al. 2006, IEEE TASLP 14, 1462; Vincent et al. 2012, Signal Processing 92, 1928; museval 0.4.1",
    conventions="As museval.evaluate and eval_mus_track: version 4, windows of 1 s, the median of those in which all "
    "sources and estimates sound and the ratio is finite. museval's other function, bss_eval, has window=2,hop=1.5. "
    "filters=window is version 3, whose permutation is permutation=window; window=0 is the whole recording, as "
    "bss_eval_images of mir_eval; with target=sources, too, its bss_eval_sources, and fast_bss_eval. taps=1 with "
    "target=sources gives SI-SDR, SI-SIR and SI-SAR (Le Roux et al. 2019). What is below 1e-15 of the energy is "
    "rounding, and counts as nothing.",
    silence="Undefined where a source or an estimate is silent throughout, or in every window.",
    caveat="Compares estimates of the sources of one mixture; sir needs all of them: --source and --estimate. sdr of "
    "images is the plain signal-to-noise ratio in windows. Not for quality: it hears neither masking nor loudness. A "
    "loss knows one source at a time: all that its filters do not explain is artifacts, and there is no sir.",
    pooling="energy",
    joint_channels=True,
    sources="sir",
    minimum="as many samples as taps for a meaningful isr, sir and sar",
    identity_tolerance=0.0,
    gradient="exact",
    ratio=True,
    cap="150 dB where nothing is wrong in any window, -150 dB where nothing is right, 0 dB where in none both sound",
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
)

LIMIT = 1e-15  # of the energy, below which a share of it is rounding: 150 dB
NAMES = ("sdr", "isr", "sir", "sar")
ALONE = "sir needs the other sources of the mixture: give them all, --source A --source B --estimate a --estimate b"


@dataclass(frozen=True, kw_only=True)
class Options(Plain):
    output: Annotated[
        Literal["sdr", "isr", "sir", "sar"],
        "sdr: all errors; isr: the source's own filtering; sir: the other sources; sar: what no filter explains",
    ] = "sdr"
    target: Annotated[
        Literal["images", "sources"],
        "images: what filters change of the source is an error; sources: any filtered version of it is the target",
    ] = "images"
    taps: Annotated[int, Within(1, 4096), "length of the filters"] = 512
    window: Annotated[float, AT_LEAST_ZERO, "seconds of a window; 0: the whole recording"] = 1.0
    hop: Annotated[float, Within(0, open_low=True), "seconds from one window to the next"] = 1.0
    filters: Annotated[
        Literal["whole", "window"], "fitted to the whole recording (version 4), or to each window (version 3)"
    ] = "whole"
    average: Annotated[Literal["median", "mean"], "of the windows"] = "median"
    permutation: Annotated[
        Literal["none", "window"],
        "window: estimates find their sources anew in each window, by the largest mean sir",
    ] = "none"

    def check(self) -> None:
        if self.output == "isr" and self.target == "sources":
            raise UsageError("output=isr needs target=images: a filtered source is no error with target=sources")


def measure(pairs: Sequence[Pair], o: Options) -> Channel:
    whole = _answered(pairs, o)
    if len(pairs) == 1:
        return whole
    alone = each_of(pairs, lambda pair: _answered([replace(pair, detail="value")], o, alone=True).value)
    return replace(whole, per_channel=np.array(alone))


def twin(rate: int, o: Options) -> Twin:
    """The same on tensors, of a source without others, in float64."""
    import torch

    if o.output == "sir" or o.permutation == "window":
        told = "output=sir" if o.output == "sir" else "permutation=window"
        raise UsageError(f"bss-eval:{told} has no gradient: a loss does not know the other sources; use output=sdr")
    fitted, filtered = models.bss_eval.filtered_torch(o.taps)
    plain = o.output == "sdr" and o.target == "images"

    def energies(s: Any, e: Any, filters: Any) -> tuple[Any, Any]:
        """Of what is right and what is wrong, [item]."""
        if plain:
            right, wrong = s, e - s
        else:
            found = filtered(s, fitted(s, e) if filters is None else filters)
            tail = (0, o.taps - 1)
            s, e = (torch.nn.functional.pad(x, tail) for x in (s, e))
            right, wrong = (s, found - s) if o.output == "isr" else (found, e - found)
        return right.square().sum((1, 2)), wrong.square().sum((1, 2))

    def value(ref: Any, test: Any) -> Any:
        ref, test = ref.double(), test.double()
        filters = fitted(ref, test) if not plain and o.filters == "whole" else None
        ratios, counts, sounds = [], [], []
        for start, stop in _windows(ref.shape[-1], rate, o):
            s, e = (x[..., start:stop] for x in (ref, test))
            right, wrong = energies(s, e, filters)
            sounds.append((s != 0).any(2).any(1) & (e != 0).any(2).any(1))
            counts.append(sounds[-1] & (wrong > LIMIT * right) & (right > LIMIT * wrong))
            low, none = LIMIT * torch.maximum(right, wrong), (right == 0) & (wrong == 0)
            right, wrong = (torch.where(none, 1, torch.maximum(x, low)) for x in (right, wrong))
            ratios.append(10 * (right / wrong).log10())
        found, known, heard = (torch.stack(x, 1) for x in (ratios, counts, sounds))
        known = torch.where(known.any(1, keepdim=True), known, heard)
        number = known.sum(1, keepdim=True)
        if o.average == "mean":
            average = torch.where(known, found, 0).sum(1) / number[:, 0].clamp(min=1)
        else:
            ascending = torch.where(known, found, inf).sort(1).values
            middle = torch.cat([(number - 1).clamp(min=0) // 2, number // 2], 1).clamp(max=found.shape[1] - 1)
            average = ascending.gather(1, middle).mean(1)
        average = torch.where(number[:, 0] > 0, average, 0)
        return average[:, None].expand(ref.shape[:2])

    return value


def _answered(pairs: Sequence[Pair], o: Options, alone: bool = False) -> Channel:
    """Of some channels, each estimated from all of them. alone: a value is enough, for which sdr needs no filters."""
    sources, estimates = [[p.ref for p in pairs]], [[p.test for p in pairs]]  # the one that is asked for comes first
    for beside in zip(*(p.others for p in pairs), strict=True):
        sources.append([ref for ref, _ in beside])
        estimates.append([test for _, test in beside])
    for signals, name in ((sources[0], "reference"), (estimates[0], "test")):
        if not _sounds(signals):
            return waveforms(pairs, nan, reason=f"the {name} is silent")
    if o.output == "sir" and len(sources) == 1:
        return waveforms(pairs, nan, reason=ALONE)
    places = tuple(_place(x) for signals in (*sources, *estimates) for x in signals)
    o_of_all = replace(o, output="sdr", average="median")  # all outputs come out of one pass
    if o.permutation == "window":
        ratios = _reordered(sources, estimates, pairs[0], o_of_all)
    else:
        quick = alone and o.output == "sdr" and o.target == "images"
        what = "bss-eval", o_of_all, places, quick
        ratios = engine.cache.cached(
            estimates[0][0].samples, what, lambda: _ratios(sources, estimates, pairs[0], o, quick)
        )
    found = {name: _average(values, o.average) for name, values in zip(NAMES, ratios.T, strict=True)}
    value = found[o.output]
    reason: str | None = None
    if isnan(value):
        reason = "in no window do all sources and estimates sound"
    elif value == inf:
        reason = "+inf: no distortion at all" if o.output in ("sdr", "sar") else "+inf: nothing of it"
    elif value == -inf:
        reason = "-inf: nothing in common"
    details = {name: x for name, x in found.items() if isfinite(x)}
    return replace(waveforms(pairs, value, reason=reason), details=details)


def _ratios(
    sources: Sequence[list[Stream]], estimates: Sequence[list[Stream]], view: View, o: Options, quick: bool
) -> Any:
    """sdr, isr, sir, sar [window, 4] in dB of the first source; nan in windows where a source or an estimate is
    silent. quick: sdr alone, of images."""
    parts = sources[0], [x for signals in sources[1:] for x in signals], estimates[0]
    fitted = models.bss_eval.fitted
    filters = fitted(*parts, o.taps, view.threads) if o.filters == "whole" and not quick else None
    rows = []
    for start, stop in _windows(parts[0][0].length, view.rate, o):
        if not all(_sounds(_cut(signals, start, stop)) for signals in (*sources, *estimates)):
            rows.append([nan] * 4)
            continue
        source, others, estimate = (_cut(signals, start, stop) for signals in parts)
        if quick:
            rows.append([_decibels(*models.bss_eval.image_error(source, estimate, view.threads))] + [nan] * 3)
            continue
        own = filters or fitted(source, others, estimate, o.taps, view.threads)
        rows.append(_taken_apart(source, others, estimate, own, view, o))
    return np.array(rows)


def _taken_apart(
    source: Sequence[Stream],
    others: Sequence[Stream],
    estimate: Sequence[Stream],
    filters: Any,
    view: View,
    o: Options,
) -> list[float]:
    """sdr, isr, sir, sar in dB."""
    m = models.bss_eval
    found = m.energies(source, others, estimate, filters, view.threads)
    divided = (m.FILTERED, m.ERROR), (m.SOURCE, m.SPATIAL), (m.FILTERED, m.INTERFERENCE), (m.EXPLAINED, m.ARTIFACTS)
    of_sources, isr, *both = (_decibels(found[a], found[b]) for a, b in divided)
    if o.target == "sources":
        return [of_sources, nan, *both]
    return [_decibels(*m.image_error(source, estimate, view.threads)), isr, *both]


def _reordered(sources: Sequence[list[Stream]], estimates: Sequence[list[Stream]], view: View, o: Options) -> Any:
    """As _ratios, of the estimate that the first source is given in each window."""
    from scipy.optimize import linear_sum_assignment

    order = sorted(range(len(sources)), key=lambda i: _place(estimates[i][0]))  # whichever source is asked for
    sources, estimates = ([signals[i] for i in order] for signals in (sources, estimates))
    what = "bss-eval, reordered", o, tuple(_place(x) for signals in (*sources, *estimates) for x in signals)
    table = engine.cache.cached(estimates[0][0].samples, what, lambda: _every(sources, estimates, view, o))
    first = order.index(0)
    sirs = np.nan_to_num(table[..., 2], nan=0.0, posinf=1e3, neginf=-1e3)
    return np.array(
        [x[first, linear_sum_assignment(sir, maximize=True)[1][first]] for x, sir in zip(table, sirs, strict=True)]
    )


def _every(sources: Sequence[list[Stream]], estimates: Sequence[list[Stream]], view: View, o: Options) -> Any:
    """sdr, isr, sir, sar of every estimate of every source [window, source, estimate, 4], dB; nan in windows where one
    is silent."""
    count, channels, m = len(sources), len(estimates[0]), models.bss_eval
    windows = _windows(sources[0][0].length, view.rate, o)
    table = np.full((len(windows), count, count, 4), nan)

    def apart(refs: Sequence[list[Stream]], j: int) -> tuple[list[Stream], list[Stream]]:
        return refs[j], [x for i, signals in enumerate(refs) if i != j for x in signals]

    def fit(refs: Sequence[list[Stream]], tests: Sequence[list[Stream]], j: int) -> Any:
        return m.fitted(*apart(refs, j), [x for signals in tests for x in signals], o.taps, view.threads)

    whole = [fit(sources, estimates, j) for j in range(count)] if o.filters == "whole" else None
    for window, (start, stop) in zip(table, windows, strict=True):
        refs, tests = ([_cut(signals, start, stop) for signals in both] for both in (sources, estimates))
        if not all(map(_sounds, (*refs, *tests))):
            continue
        for j in range(count):
            source, others = apart(refs, j)
            fitted = whole[j] if whole else fit(refs, tests, j)
            for k, estimate in enumerate(tests):
                own = slice(k * channels, (k + 1) * channels)
                filters = m.Filters(fitted.own[..., own], fitted.every[..., own])
                window[j, k] = _taken_apart(source, others, estimate, filters, view, o)
    return table


def _windows(length: int, rate: int, o: Options) -> list[tuple[int, int]]:
    """First sample and end of each; as museval, without the rest that fills none."""
    window, hop = int(o.window * rate), max(o.hop * rate, 1.0)
    if not 0 < window < length:
        return [(0, length)]
    starts = [int(k * hop) for k in range(int((length - window) / hop) + 1)]
    return [(start, start + window) for start in starts]


def _place(stream: Stream) -> int:
    """Where its samples are in memory."""
    return int(stream.samples.__array_interface__["data"][0])


def _cut(channels: Sequence[Stream], start: int, stop: int) -> list[Stream]:
    return [stream._replace(samples=stream.samples[start:stop]) for stream in channels]


def _sounds(channels: Sequence[Stream]) -> bool:
    return any(stream.samples.any() for stream in channels)


def _decibels(target: float, error: float) -> float:
    if error <= LIMIT * target:
        return inf
    return -inf if target <= LIMIT * error else float(10 * np.log10(target / error))


def _average(values: Any, average: str) -> float:
    """Over the windows that have a number; where none has, nan, or the infinity that they agree on."""
    known = values[np.isfinite(values)]
    if known.size:
        return float(np.median(known) if average == "median" else known.mean())
    infinite = values[~np.isnan(values)]
    return float(infinite[0]) if infinite.size and (infinite == infinite[0]).all() else nan
