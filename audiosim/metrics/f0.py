"""F0: how far the fundamental frequency of a voice or a single instrument, and its voicing, is from the reference's.
Pitch by probabilistic YIN (Mauch and Dixon 2014).

output picks the measure. ffe, F0 frame error: share of frames with a gross error or another voicing (Chu and Alwan
2009). gpe, gross pitch error: share of the frames voiced in both that are more than 20 % off (Rabiner et al. 1976).
vde, voicing decision error: share of frames whose voicing differs. rmse: root mean square error in cents, of frames
voiced in both. correlation: Pearson's, of their pitch in Hz. rpa and rca, raw pitch and raw chroma accuracy: share of
the reference's voiced frames within 50 cents of it, or of an octave of it (mir_eval.melody).

details: all of these; recall and false_alarm of the voicing and overall accuracy, as mir_eval.melody; rmse_hz of
frames voiced in both; rmse_hz_zeros and correlation_zeros, of all frames with 0 Hz for unvoiced ones, as VERSA's f0rmse
and f0corr without warping; voiced_ref and voiced_test, shares of frames; cents, the median of the test's pitch over
the reference's. What no frame counts for is left out.

Frames follow every 10 ms. per_time holds the measure of a frame, nan where it does not count. Bands are those of the
pitch: of the reference's, and where that is unvoiced of the test's. Map: contributions, of correlation to 1 - value.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Annotated, Any, Literal

import numpy as np

from .. import engine, models, options
from ..answer import Channel, Pair
from ..card import Card
from ..errors import UsageError
from ..hearing import scales
from ..options import Within

CARD = Card(
    title="F0 frame error",
    family="music",
    unit="1",
    better="lower",
    identical=0.0,
    range=(0.0, 1.0),
    formula="share of frames whose voicing differs or whose pitch is more than 20 % off",
    source="Chu and Alwan 2009, ICASSP; Rabiner et al. 1976; pitch: Mauch and Dixon 2014, ICASSP (pYIN)",
    conventions="On given tracks rpa, rca, recall, false_alarm and accuracy are those of mir_eval.melody 0.8.2."
    " Other programs track pitch by other means (WORLD's harvest in VERSA): compare values of one tracker only.",
    silence="Defined: silence is unvoiced, and two silent recordings agree. Other outputs are undefined without a"
    " voiced frame.",
    caveat="For one voice or one instrument at a time: of chords it follows any note. It compares what is sung or"
    " played, not how well it sounds. Recordings must be aligned: see --align auto and warp.",
    rate=16000,
    content=True,
    symmetric=False,
    insensitive_to=(),
    gradient="none",
    profile="local",
    map="sum",
)

UNITS = {"rmse": "cent"}
HIGHER = ("correlation", "rpa", "rca")
STEP = 20.0  # Hz between frequencies that bands are cut from


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    output: Annotated[
        Literal["ffe", "gpe", "vde", "rmse", "correlation", "rpa", "rca"],
        "share of frames wrong, of gross errors, of wrong voicing; cents; correlation; share right, octaves aside",
    ] = "ffe"
    low: Annotated[float, Within(20, 1000), "lowest pitch in Hz; below 60 frames grow longer"] = 60.0
    high: Annotated[float, Within(60, 4000), "highest pitch in Hz"] = 1000.0

    def check(self) -> None:
        if self.high < 1.5 * self.low:
            raise UsageError(f"high={self.high:g} must be at least 1.5 times low={self.low:g}")

    @property
    def value_unit(self) -> str | None:
        return UNITS.get(self.output)

    @property
    def value_better(self) -> Literal["higher"] | None:
        return "higher" if self.output in HIGHER else None


def measure(pair: Pair, o: Options) -> Channel:
    r, t = engine.threads.in_threads(
        lambda k: models.pitch.tracker.tracked(pair.samples[k], pair.rate, o.low, o.high), range(2), pair.threads
    )
    found = models.pitch.agreement.measures(r.hz, t.hz)
    details = {name: value for name, m in found.items() if (value := m.value) is not None}
    both = (r.hz > 0) & (t.hz > 0)
    details |= {"voiced_ref": float((r.hz > 0).mean()), "voiced_test": float((t.hz > 0).mean())}
    if both.any():
        details["cents"] = float(np.median(1200 * np.log2(t.hz[both] / r.hz[both])))
    chosen = found[o.output]
    if o.output not in details:
        return Channel(value=nan, reason=_missing(o.output, r.hz, t.hz), details=details)
    answer = Channel(value=details[o.output], details=details)
    if pair.detail == "value":
        return answer
    return Channel(
        value=answer.value,
        details=details,
        **_where(chosen, answer.value, r.times, np.where(r.hz > 0, r.hz, t.hz), pair, o),
    )


def _missing(output: str, ref: Any, test: Any) -> str:
    silent = [name for name, hz in (("reference", ref), ("test", test)) if not (hz > 0).any()]
    if silent:
        return f"no pitch was found in the {' and the '.join(silent)}"
    return "no frame has a pitch in both" if output != "correlation" else "the pitch does not change"


def _where(chosen: Any, value: float, times: Any, hz: Any, pair: Pair, o: Options) -> dict[str, Any]:
    """Profile and map of a measure, by the pitch [frame] in Hz."""
    frequencies = np.arange(STEP / 2, pair.rate / 2, STEP)
    cuts, edges = scales.bands(frequencies, pair.rate / 2, pair.band_edges)
    local = np.where(np.isnan(chosen.frame), 0.0, 1 - chosen.frame if o.output == "correlation" else chosen.frame)
    counted = ~np.isnan(chosen.frame)
    inside = np.flatnonzero(hz > 0)
    bins = np.minimum((hz[inside] / STEP).astype(int), frequencies.size - 1)
    bands = np.searchsorted(cuts, bins, "right") - 1
    held = (bands >= 0) & (bins < cuts[-1])
    inside, bands = inside[held], bands[held]
    cells = np.zeros((hz.size, cuts.size - 1))
    cells[inside, bands] = local[inside]
    numbers = np.bincount(bands, counted[inside], cuts.size - 1)
    sums = np.bincount(bands, np.nan_to_num(chosen.frame)[inside], cuts.size - 1)
    per_band = np.divide(sums, numbers, out=np.full(numbers.size, nan), where=numbers > 0)
    scale = cells.sum()
    total = 1 - value if o.output == "correlation" else value
    return {
        "per_band": np.sqrt(per_band) if chosen.root else per_band,
        "per_time": np.sqrt(chosen.frame) if chosen.root else chosen.frame.astype(float),
        "bands": scales.centres(frequencies, cuts),
        "edges": edges,
        "times": times,
        "map": cells * (total / scale if scale else 0.0) if pair.detail == "map" else None,
    }
