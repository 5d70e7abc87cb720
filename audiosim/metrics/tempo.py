"""Tempo: by how many octaves the test is faster or slower than the reference.

The tempo is the likeliest period of the onset strength (Ellis 2007). multiples=true takes double and triple tempo for
the same, as people may hear either.

details: bpm_ref and bpm_test, beats in a minute; ratio, test over reference. Profile and map: shares of the difference
in onset strength.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2, nan
from typing import Annotated

from .. import engine, models, options
from ..answer import Channel, Pair, too_short
from ..card import Card

CARD = Card(
    title="Tempo difference",
    family="music",
    unit="octave",
    better="lower",
    identical=0.0,
    formula="|log2(bpm(test) / bpm(ref))|",
    source="tempo: Ellis 2007, J. New Music Res. 36, 51-60; multiples: Gouyon et al. 2006, IEEE Trans. ASLP 14, 1832",
    conventions="Within 0.0566 octaves lies what accuracy 1 of Gouyon et al. takes for right (4 %), with"
    " multiples=true what accuracy 2 does.",
    silence="Undefined where one of the two has no onset.",
    caveat="For music of a steady tempo, from some 10 s on. What has no pulse gets a tempo too, which means nothing;"
    " a tempo heard twice as fast is an octave off, or none with multiples=true.",
    minimum="3 s",
    shortest=3.0,
    version=2,
    content=True,
    lengths="any",
    symmetric=True,
    insensitive_to=(),
    gradient="none",
    profile="share",
    map="share",
)

SECONDS = 3.0
MULTIPLES = (1 / 3, 1 / 2, 1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    multiples: Annotated[bool, "double and triple tempo, or half and a third of it, are right too"] = False


def measure(pair: Pair, o: Options) -> Channel:
    rhythm = models.rhythm
    for samples in pair.samples:
        if samples.size < SECONDS * pair.rate:
            return Channel(value=nan, reason=too_short(SECONDS, samples.size, pair.rate))
    r, t = engine.threads.in_threads(lambda k: rhythm.onsets_of(pair.samples[k], pair.rate), range(2), pair.threads)
    ref, test = rhythm.tempo(r), rhythm.tempo(t)
    if ref is None or test is None:
        silent = [name for name, bpm in (("reference", ref), ("test", test)) if bpm is None]
        return Channel(value=nan, reason=f"nothing begins in the {' and the '.join(silent)}: there is no tempo")
    ratio = test / ref
    value = min(abs(log2(ratio / m)) for m in (MULTIPLES if o.multiples else (1,)))
    details = {"bpm_ref": ref, "bpm_test": test, "ratio": ratio}
    return Channel(value=value, details=details, **rhythm.where(pair, r, t))
