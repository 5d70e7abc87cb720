"""Perceptual linear prediction (PLP) and RASTA-PLP: Euclidean distance of the cepstra, averaged over frames. Hermansky
1990, J. Acoust. Soc. Am. 87, 1738; Hermansky and Morgan 1994, IEEE Trans. Speech Audio Process. 2, 578.

The cepstra are those of rastamat's rastaplp. Under rasta=true they change little when a steady filter or a gain changes
the recording: what varies slowly from frame to frame is taken away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from .. import models
from ..answer import Channel, Pair
from ..card import Card
from ..hearing.weighting import Weighted
from ..models.cepstra import Compared
from ..options import Within
from ..result import Twin

CARD = Card(
    title="Distance of perceptual linear prediction (PLP)",
    family="cepstral",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean over frames of |C(test) - C(ref)|, C: c_0 = ln E and n^0.6 c_n of the all-pole model, of prediction "
    "error E, of the critical-band spectrum, weighted by equal loudness, to the power 0.33",
    source="Hermansky 1990; Hermansky and Morgan 1994; rastamat's rastaplp (Ellis 2005)",
    conventions="rastamat leaves the first four frames of RASTA at 1; here they do not count. spafe 0.3.3 mirrors the "
    "critical bands (steeper below than above), looks up equal loudness by the power instead of the frequency, and "
    "filters each frame along its bands instead of each band in time.",
    silence="Defined through noise of a 16-bit step under every frame: 0 when both are silent.",
    caveat="Made for recognisers of speech: it hears the envelope, and little of pitch and phase. As the noise of a "
    "16-bit step is part of it, the level counts. The cepstra of the whole are held.",
    minimum="one frame of 25 ms, five under rasta=true, 65 ms",
    shortest=0.025,
    symmetric=True,
    triangle=True,
    insensitive_to=("polarity",),
    gradient="exact",
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)


@dataclass(frozen=True, kw_only=True)
class Options(Weighted, Compared):
    rasta: Annotated[bool, "band-pass of each band in time (RASTA-PLP): deaf to gain and steady filters"] = False
    order: Annotated[
        int, Within(1, 24), "of the linear predictor; less at rates below 8 kHz, which have fewer bands"
    ] = 12


def analysis(rate: int, o: Options) -> models.plp.PerceptualLinearPrediction:
    return models.plp.PerceptualLinearPrediction(rate, o.order, o.rasta)


def measure(pair: Pair, o: Options) -> Channel:
    return models.cepstra.measure(pair, analysis(pair.rate, o), o)


def twin(rate: int, o: Options) -> Twin:
    return models.cepstra.twin(analysis(rate, o), o)
