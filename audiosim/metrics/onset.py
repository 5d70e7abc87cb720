"""Onsets: which beginnings of notes the test has in common with the reference, by F-measure.

Onsets are found by spectral flux (SuperFlux, Boeck and Widmer 2013; peaks as Boeck, Krebs and Schedl 2012). One of the
test is right if it lies within `window` of one of the reference; each counts once.

details: f, precision, recall; onsets_ref and onsets_test, how many there are. Profile and map: shares of the difference
in onset strength.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from .. import engine, models, options
from ..answer import Channel, Pair
from ..card import Card
from ..options import Within

CARD = Card(
    title="Onset F-measure",
    family="music",
    unit="1",
    better="higher",
    identical=1.0,
    range=(0.0, 1.0),
    formula="2 matched / (onsets(ref) + onsets(test)), matched within 50 ms",
    source="mir_eval.onset, Raffel et al. 2014, ISMIR; onsets: Boeck and Widmer 2013, DAFx",
    conventions="On given onsets as mir_eval.onset.f_measure 0.8.2, which says 0 where neither has any.",
    silence="Defined: 1 where neither has an onset, 0 where one has.",
    caveat="It compares when notes begin, not how they sound. The detector hears drums and plucked or struck notes"
    " best, and soft bows and voices worst. Recordings must be aligned: see --align auto.",
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
    output: Annotated[Literal["f", "precision", "recall"], "F-measure, or what of it"] = "f"
    window: Annotated[float, Within(0.001, 1), "seconds by which an onset may be early or late"] = 0.05


def measure(pair: Pair, o: Options) -> Channel:
    rhythm = models.rhythm
    r, t = engine.threads.in_threads(lambda k: rhythm.onsets_of(pair.samples[k], pair.rate), range(2), pair.threads)
    a, b = rhythm.onsets(r), rhythm.onsets(t)
    details = rhythm.agreement(a, b, o.window)
    details |= {"onsets_ref": float(a.size), "onsets_test": float(b.size)}
    return Channel(value=details[o.output], details=details, **rhythm.where(pair, r, t))
