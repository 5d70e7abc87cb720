"""ViSQOL 3, audio mode: how alike the spectrograms of a model of the ear are, patch by patch, as an opinion score.

google/visqol at 38d0b01 (conformance number 333); Chinen et al. 2020, arXiv 2004.09584. Alignment, patches and their
similarity NSIM: models.visqol.patches and nsim; bands: hearing.gammatone. A support vector regression turns the NSIM
of the 32 bands (vnsim is their mean) into MOS-LQO; its model is not part of this package.
"""

from __future__ import annotations

from math import nan
from typing import Annotated, Any, Literal

import numpy as np

from .. import models
from ..answer import Detail
from ..card import Card
from ..errors import MissingExtra
from ..result import Result, Twin, undefined

CARD = Card(
    title="ViSQOL, audio",
    family="perceptual",
    unit="MOS",
    better="higher",
    identical=None,
    range=(1.0, 5.0),
    formula="sum_i a_i exp(-gamma |v_i - NSIM by band|^2) - rho within 1 and 5, or 1 where vnsim is below 0.15",
    source="google/visqol at 38d0b01; Chinen et al. 2020, arXiv 2004.09584; NSIM of Hines and Harte 2012",
    conventions="As the original's code, slips included: the rectified waveform that it aligns by, amplitudes in"
    " 10 lg, zeros put before a patch that reaches beyond the end. visqol-python takes a true envelope: up to 0.03 MOS."
    " Identical files score 4.7321 by the original's model, the one in the package visqol-python (extra visqol); model"
    " names another. Without one the score is undefined, while vnsim (details, output=vnsim) and NSIM by band and"
    " patch are there.",
    silence="Undefined for a silent reference. A silent test stays silent, and scores about as badly as noise.",
    caveat="Deaf to the level of the test, to antiphase and swapped channels, as all are averaged to one. What is"
    " missing costs little: half a file scores 4.3. Noise costs much: at 40 dB SNR 3.5. The model is not"
    " monotone where damage is gross. The first 0.3 s and a last incomplete patch of 0.6 s are not compared.",
    minimum="46080 samples at 48 kHz: one patch",
    shortest=0.96,
    rate=48000,
    pooling="downmix",
    lengths="any",
    level="full scale is 1.0, and what lies below -90 dB re it is silence; the test is brought to the reference's RMS",
    symmetric=False,
    triangle=False,
    blind=("gain", "polarity"),
    slack=1e-9,
    gradient="exact",
    cap="1 (vnsim: 0) where the reference is silent; undefined without a model. A score held at 1 keeps the"
    " gradient that leads away from it",
    deaf_start=True,
    together=True,
    needs=("visqol",),
    profile="local",
    profile_unit="NSIM",
    map="share",
)

HOW_TO_GET = "pip install 'audiosim[visqol]', or name a file with visqol:model=PATH, or ask for visqol:output=vnsim"


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    output: Annotated[Literal["mos", "vnsim"], "MOS-LQO, or the mean similarity that it is made of"] = "mos",
    model: Annotated[str, "file of the support vector model, in libsvm's text format; empty: the extra's"] = "",
    search: Annotated[int, "how far from its place a patch is looked for, in patches of 0.6 s"] = 60,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 48 kHz, of any lengths; channels are averaged first.

    Details: vnsim; alignment_lag_s, by how much the test was moved later; patches, and of them lost, those that were
    found nowhere. Profile: NSIM by band and by patch. Map: shares of what they lack to 1.
    """
    patches = models.visqol.patches
    ear = patches.Ear.of(patches.AUDIO, rate)
    found = patches.likeness(ref, test, ear, search, jobs)
    if isinstance(found, str):
        return undefined(found, 1)
    bands = found.by_patch.mean(0)
    vnsim = float(bands.mean())
    regression = None if output == "vnsim" else models.visqol.support_vectors.chosen(model, len(bands))
    reason = None
    if output == "vnsim":
        value = vnsim
    elif regression:
        value = patches.held(regression(bands), vnsim)
    else:
        value, reason = nan, f"no model for a score (vnsim is {vnsim:.4f}): {HOW_TO_GET}"
    return Result(
        value=value,
        per_channel=np.array([value]),
        details={"vnsim": vnsim, **patches.details(found, rate)},
        status="undefined" if reason else "ok",
        reason=reason,
        unit="NSIM" if output == "vnsim" else None,
        **patches.profile(found, ear, detail, band_edges),
    )


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text, in float64; what is compared with what is found on detached samples, and a score
    of 1 has the gradient that it would have unless it were held there."""
    patches, vectors = models.visqol.patches, models.visqol.support_vectors
    ear = patches.Ear.of(patches.AUDIO, rate)
    similar = patches.bands_torch(ear, o.search)
    regression = None
    if o.output == "mos":
        model = vectors.chosen(o.model, ear.mode.bands)
        if model is None:
            raise MissingExtra(f"visqol has no model for a score: {HOW_TO_GET}")
        regression = vectors.regression_torch(model)

    def value(ref: Any, test: Any) -> Any:
        bands, answered = similar(ref, test)
        vnsim = bands.mean(1)
        if regression is None:
            return (vnsim * answered)[:, None]
        return (1 + (patches.held_torch(regression(bands), vnsim) - 1) * answered)[:, None]

    return value
