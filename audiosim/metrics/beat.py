"""Beats: whether the pulse of the test is that of the reference, by F-measure.

Beats are tracked by dynamic programming at the tempo of each recording (Ellis 2007). One of the test is right if it
lies within 70 ms of one of the reference; each counts once.

details: f, precision, recall; beats_ref and beats_test, how many there are; bpm_ref and bpm_test, beats in a minute.
Profile and map: shares of the difference in onset strength.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from .. import engine, models, options
from ..answer import Channel, Pair
from ..card import Card
from ..options import Within

CARD = Card(
    title="Beat F-measure",
    family="music",
    unit="1",
    better="higher",
    identical=1.0,
    range=(0.0, 1.0),
    formula="2 matched / (beats(ref) + beats(test)), matched within 70 ms",
    source="mir_eval.beat, Dixon 2007, J. New Music Res. 36, 39; beats: Ellis 2007, J. New Music Res. 36, 51",
    conventions="On given beats as mir_eval.beat.f_measure 0.8.2, which says 0 where neither has any; evaluations often"
    " leave out the first 5 s before they call it.",
    silence="Defined: 1 where neither has a beat, 0 where one has.",
    caveat="For music of a steady tempo, from some seconds on; everything else gets beats too, which mean nothing. A"
    " tempo heard twice as fast scores 0.67. Recordings must be aligned: see --align auto; tempo needs no alignment.",
    version=2,
    content=True,
    symmetric=True,
    insensitive_to=(),
    gradient="none",
    profile="share",
    map="share",
)


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    window: Annotated[float, Within(0.001, 1), "seconds by which a beat may be early or late"] = 0.07


def measure(pair: Pair, o: Options) -> Channel:
    rhythm = models.rhythm
    r, t = engine.threads.in_threads(lambda k: rhythm.onsets_of(pair.samples[k], pair.rate), range(2), pair.threads)
    tempi = rhythm.tempo(r), rhythm.tempo(t)
    a, b = rhythm.beats(r, tempi[0]), rhythm.beats(t, tempi[1])
    details = rhythm.agreement(a, b, o.window)
    details |= {"beats_ref": float(a.size), "beats_test": float(b.size)}
    details |= {name: bpm for name, bpm in zip(("bpm_ref", "bpm_test"), tempi, strict=True) if bpm is not None}
    return Channel(value=details["f"], details=details, **rhythm.where(pair, r, t))
