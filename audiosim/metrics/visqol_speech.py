"""ViSQOL 3, speech mode: how alike the spectrograms of a model of the ear are where there is a voice, as a score.

google/visqol at 38d0b01 with its exponential mapping (--use_lattice_model=false); Chinen et al. 2020, arXiv 2004.09584.
Alignment, patches with a voice and their similarity NSIM: models.visqol.patches and nsim; bands: hearing.gammatone.
"""

from __future__ import annotations

from math import exp
from typing import Annotated, Any, Literal

import numpy as np

from .. import models
from ..answer import Detail
from ..card import Card
from ..result import Result, Twin, undefined

CARD = Card(
    title="ViSQOL, speech",
    family="perceptual",
    unit="MOS",
    better="higher",
    identical=None,
    range=(1.0, 5.0),
    formula="1.245 (e^(0.01543 (vnsim + 361.06)) - 262.85) within 1 and 5, or 1 where vnsim is below 0.15; vnsim: mean"
    " NSIM of 21 bands up to 8 kHz in patches with a voice",
    source="google/visqol at 38d0b01; Chinen et al. 2020, arXiv 2004.09584; NSIM of Hines and Harte 2012",
    conventions="As the original's code, slips included (see visqol), with its exponential mapping; its command line"
    " maps by a trained lattice unless told otherwise, and gives 4.5 for identical files then. They score 5 here, and"
    " 4.0159 with scale=unscaled.",
    silence="Undefined for a silent reference. A silent test stays silent, and scores about as badly as noise.",
    caveat="The mapping was fitted to speech at 16 kHz: like the original it takes any rate as it is, and scores of"
    " different rates do not compare (one codec: 3.373 at 16 kHz, 3.375 at 48 kHz, 4.08 at 8 kHz). Deaf to the level of"
    " the test. Patches without a voice, the first 0.2 s and a last incomplete patch of 0.4 s are not compared.",
    minimum="0.64 s: one patch",
    shortest=0.64,
    pooling="downmix",
    lengths="any",
    level="full scale is 1.0, and what lies below -90 dB re it is silence; the test is brought to the reference's RMS",
    symmetric=False,
    triangle=False,
    blind=("gain", "polarity"),
    slack=1e-9,
    gradient="exact",
    cap="1 (vnsim: 0) where the reference is silent. A score held at 1 keeps the gradient that leads away from it",
    deaf_start=True,
    together=True,
    profile="local",
    profile_unit="NSIM",
    map="share",
)

A, B, X0 = -262.847869, 0.0154302525, -361.063949  # of the fit A + e^(B (vnsim - X0))
TO_FIVE = float(np.float32(1.245063))  # so that the best is 5


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    output: Annotated[Literal["mos", "vnsim"], "MOS-LQO, or the mean similarity that it is made of"] = "mos",
    scale: Annotated[Literal["scaled", "unscaled"], "whether the best score is brought to 5"] = "scaled",
    search: Annotated[int, "how far from its place a patch is looked for, in patches of 0.4 s"] = 60,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz, of any lengths; channels are averaged first.

    Details: vnsim; alignment_lag_s, by how much the test was moved later; patches, and of them lost, those that were
    found nowhere. Profile: NSIM by band and by patch. Map: shares of what they lack to 1.
    """
    patches = models.visqol.patches
    ear = patches.Ear.of(patches.SPEECH, rate)
    found = patches.likeness(ref, test, ear, search, jobs)
    if isinstance(found, str):
        return undefined(found, 1)
    vnsim = float(found.by_patch.mean(0).mean())
    value = vnsim if output == "vnsim" else opinion(vnsim, scale)
    return Result(
        value=value,
        per_channel=np.array([value]),
        details={"vnsim": vnsim, **patches.details(found, rate)},
        unit="NSIM" if output == "vnsim" else None,
        **patches.profile(found, ear, detail, band_edges),
    )


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text, in float64; what is compared with what is found on detached samples, and a score
    of 1 has the gradient that it would have unless it were held there."""
    patches = models.visqol.patches
    similar = patches.bands_torch(patches.Ear.of(patches.SPEECH, rate), o.search)

    def value(ref: Any, test: Any) -> Any:
        bands, answered = similar(ref, test)
        vnsim = bands.mean(1)
        if o.output == "vnsim":
            return (vnsim * answered)[:, None]
        score = (A + (B * (vnsim - X0)).exp()) * (TO_FIVE if o.scale == "scaled" else 1.0)
        return (1 + (patches.held_torch(score, vnsim) - 1) * answered)[:, None]

    return value


def opinion(vnsim: float, scale: str) -> float:
    """MOS-LQO of a similarity."""
    score = (A + exp(B * (vnsim - X0))) * (TO_FIVE if scale == "scaled" else 1.0)
    return float(models.visqol.patches.held(score, vnsim))
