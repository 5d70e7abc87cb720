"""Loudness as broadcasters measure it: integrated loudness, its range and the true peak. ITU-R BS.1770-4, EBU R 128,
EBU Tech 3341 and 3342.

Each recording is measured as long as it is. Blocks follow one another every 0.1 s, and so do momentary and short-term
loudness, so that a burst may read up to 0.6 LU low. A recording below 0.4 s is one block. per_channel: each channel
alone, nan where it has no weight or no loudness.

output: another of the measures in place of the integrated loudness; of=test: that of the test itself, so that a gate
can ask for what a broadcaster demands, such as lufs:output=true-peak,of=test<=-1.

details, of ref, test and difference (test - ref), where they exist: integrated, short_term_max (3 s) and momentary_max
(0.4 s) in LUFS, range in LU, true_peak in dBTP. Profile and map: shares of the K-weighted difference in energy, as far
as the shorter recording goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, isnan, nan
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import dsp, engine
from ..answer import Channel, Pair, View, error_frames, shares
from ..card import Card
from ..hearing import programme, scales, weighting
from ..hearing.magnitudes import power
from ..options import Options as Plain

Array = NDArray[Any]

CARD = Card(
    title="Loudness difference (BS.1770)",
    family="perceptual",
    unit="LU",
    better="lower",
    identical=0.0,
    formula="|L(test) - L(ref)|, L = -0.691 + 10 lg mean of sum_c G_c z_c over gated blocks, z: K-weighted mean square",
    source="ITU-R BS.1770-4 annex 1, eq. 1 to 7, and annex 2; EBU R 128; EBU Tech 3341 and 3342",
    conventions="All channels make one loudness: G is 1 for left, right and centre, 1.41 for surrounds, 0 for the LFE;"
    " channels are mono, stereo, L R C, quad, 5.0 or 5.1 in the order of WAV. ffmpeg's ebur128 sorts blocks"
    " into bins of 0.01 LU. The range uses the ranks of Tech 3342; those of ffmpeg lie one lower, which shows in short"
    " recordings.",
    silence="Undefined where both lie below the gate of -70 LUFS throughout; infinite where one does.",
    caveat="A difference of levels, no judgement of quality: it does not hear what leaves the loudness alone, hardly"
    " hears a short click or a change of phase, and two opposite changes cancel. Profile and map are the shares of the"
    " K-weighted difference in energy.",
    settles=0.4,
    minimum="one sample; below one block of 0.4 s all of it is that block, an extension",
    joint_channels=True,
    pooling="downmix",
    lengths="any",
    level="full scale is 1.0; a stereo sine of 1 kHz at -23 dBFS is -23 LUFS",
    symmetric=True,
    triangle=True,
    insensitive_to=("polarity",),
    gradient="none",
    profile="share",
    map="share",
)

MEASURES = {  # names of the details
    "integrated": "integrated",
    "true-peak": "true_peak",
    "range": "range",
    "short-term": "short_term_max",
    "momentary": "momentary_max",
}
BELOW_IN_RANGE = 20.0  # LU of the relative gate of the range


@dataclass(frozen=True, kw_only=True)
class Options(Plain):
    output: Annotated[
        Literal["integrated", "true-peak", "range", "short-term", "momentary"],
        "integrated: gated loudness of all; true-peak: the highest, between the samples too; range: of the loudness; "
        "short-term, momentary: the loudest 3 s and 0.4 s",
    ] = "integrated"
    of: Annotated[
        Literal["difference", "test"], "difference: how far the test lies from the reference; test: its own"
    ] = "difference"

    @property
    def value_unit(self) -> str:
        if self.output == "range":
            return "LU"
        if self.output == "true-peak":
            return "dB" if self.of == "difference" else "dBTP"
        return "LU" if self.of == "difference" else "LUFS"


def measure(pairs: list[Pair], o: Options) -> Channel:
    channels, rate = len(pairs), pairs[0].rate
    if channels not in programme.GAINS:
        return Channel(value=nan, reason=f"the places of {channels} channels are unknown: mono to 5.1 have weights")
    if rate < programme.LOWEST_RATE:
        return Channel(value=nan, reason=f"K-weighting needs {programme.LOWEST_RATE} Hz or more, this is {rate} Hz")
    gains = np.array(programme.GAINS[channels])
    both = [[p.samples[i] for p in pairs] for i in (0, 1)]
    cuts = [programme.cuts(x[0].size, rate) for x in both]
    heard = [(x, c) for recording, c in zip(both, cuts, strict=True) for x in recording]
    listened = engine.threads.in_threads(lambda i: _listen(*heard[i], rate), range(len(heard)), pairs[0].threads)
    sides = [_Side(half, c, gains) for half, c in zip((listened[:channels], listened[channels:]), cuts, strict=True)]
    values = {name: [s.details[name] for s in sides] for name in sides[0].details}
    details = {
        f"{name}_{which}": value
        for name, (r, t) in values.items()
        for which, value in (("ref", r), ("test", t), ("difference", t - r if isfinite(r) or isfinite(t) else nan))
        if isfinite(value)
    }
    measured = MEASURES[o.output]

    def told(ref: float, test: float) -> float:
        return _distance(ref, test) if o.of == "difference" else test

    alone = [told(*(s.alone[c][measured] for s in sides)) if gains[c] else nan for c in range(channels)]
    value = told(*values[measured])
    reason = None
    if not isfinite(value):
        both_of = list(zip(("reference", "test"), values[measured], strict=True))[0 if o.of == "difference" else 1 :]
        quiet = [name for name, x in both_of if not isfinite(x)]
        who = "both recordings are" if len(quiet) == 2 else f"the {quiet[0]} is"
        reason = f"{who} {_nothing(o.output, [x for _, x in both_of])}"
    return Channel(
        value=value, per_channel=np.array(alone), details=details, reason=reason, **_where(both, gains, pairs[0])
    )


def _nothing(output: str, values: list[float]) -> str:
    """Why a measure is missing."""
    if output in ("short-term", "range") and any(map(isnan, values)):
        needed = f"too short: {programme.SHORT_TERM * programme.STEP:g} s are needed"
        return needed if output == "short-term" else f"{needed}, above {programme.ABSOLUTE:g} LUFS"
    if output == "momentary" and any(map(isnan, values)):
        return f"too short: {programme.BLOCK * programme.STEP:g} s are needed"
    return "silent" if output != "integrated" else f"below the gate of {programme.ABSOLUTE:g} LUFS throughout"


class _Side:
    """What is measured of one recording: details, and those of each channel alone."""

    def __init__(self, listened: list[tuple[Array, float]], cuts: Array, gains: Array) -> None:
        each = np.array([energies for energies, _ in listened])  # [channel, step]
        peaks, sizes = [peak for _, peak in listened], np.diff(cuts)
        self.details = _measures(gains @ each, sizes, max(peaks))
        self.alone = [_measures(energies, sizes, peak) for energies, peak in zip(each, peaks, strict=True)]


def _measures(energies: Array, sizes: Array, peak: float) -> dict[str, float]:
    """Of weighted energies [step] of so many samples."""
    blocks, long = (
        programme.means(energies, sizes, programme.BLOCK),
        programme.means(energies, sizes, programme.SHORT_TERM),
    )
    return {
        "integrated": programme.integrated(energies, sizes),
        "short_term_max": programme.loudness(long.max(initial=0)) if long.size else nan,
        "momentary_max": programme.loudness(blocks.max(initial=0)) if blocks.size else nan,
        "range": _range(long),
        "true_peak": 20 * float(np.log10(peak)) if peak else -inf,
    }


def _listen(x: Array, cuts: Array, rate: int) -> tuple[Array, float]:
    """Energy of each step, and true peak, of one channel."""
    out = np.zeros(cuts.size - 1)
    dsp.recursive.energies(x, weighting.k_sections(rate), cuts, out)
    return out, dsp.recursive.true_peak(x, rate)


def _range(powers: Array) -> float:
    """Loudness range in LU of short-term loudness: from the 10th to the 95th percentile (Tech 3342, section 3)."""
    gated = np.sort(programme.gated(powers, BELOW_IN_RANGE))
    if not gated.size:
        return nan
    low, high = (gated[((gated.size - 1) * percent + 50) // 100] for percent in (10, 95))
    return 10 * float(np.log10(high / low))


def _distance(ref: float, test: float) -> float:
    return abs(test - ref) if isfinite(ref) or isfinite(test) else nan


def _where(both: list[list[Array]], gains: Array, view: View) -> dict[str, Any]:
    """Profile and map: shares of | |Y|^2 - |X|^2 | behind the weighting."""
    if view.detail == "value":
        return {}
    rate = view.rate
    stft = error_frames(rate)
    frequencies = stft.frequencies(rate)
    cuts, edges = scales.bands(frequencies, rate / 2, view.band_edges)
    dtype = both[0][0].dtype
    heard = weighting.magnitude("k", frequencies, rate).astype(dtype) ** 2

    def measure(spectra: Array, ranges: Array, out: Array) -> None:
        powers = power(spectra, 0.0) * heard
        engine.divergence.differences(powers[0], powers[1], ranges, out)

    cells: Any = 0.0
    length = min(x[0].size for x in both)
    for gain, *pair in zip(gains, *both, strict=True):
        if gain:
            r, t = (engine.stream.plain(x[:length]) for x in pair)
            sums = engine.fold.fold(r, t, stft, measure, 3, bands=cuts, keep_map=True, threads=view.threads)
            assert sums is not None  # zeros around it fill a frame
            assert sums.map is not None
            cells = cells + gain * sums.map[:, :, 2]
    return shares(cells, stft.times(len(cells), rate), frequencies, cuts, edges, view.detail)
