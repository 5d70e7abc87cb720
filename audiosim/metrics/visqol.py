"""ViSQOL 3, audio mode: how alike the spectrograms of a model of the ear are, patch by patch, as an opinion score.
google/visqol at 38d0b01 (conformance number 333); Chinen et al. 2020, arXiv 2004.09584.

A support vector regression turns the similarity (NSIM) of 32 bands into the score MOS-LQO. Its model is not part of
this package.

details: vnsim, the mean similarity of the bands; alignment_lag_s, by how much the test was moved later; patches, and
lost, how many of them were found nowhere. Profile: similarity by band and by patch. Map: what each cell lacks to 1, as
shares of it all.

Recordings may have any lengths; their channels are averaged first. The code of the original is followed, slips
included: it aligns by the rectified waveform, takes 10 lg of amplitudes, and puts zeros before a patch that reaches
beyond the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from .. import models
from ..answer import Channel, Pair
from ..card import Card
from ..errors import MissingExtra
from ..models.visqol import mos
from ..result import Twin

CARD = Card(
    title="ViSQOL, audio",
    family="perceptual",
    unit="MOS",
    better="higher",
    range=(1.0, 5.0),
    formula="sum_i a_i exp(-gamma |v_i - NSIM by band|^2) - rho within 1 and 5, or 1 where vnsim is below 0.15",
    source="google/visqol at 38d0b01; Chinen et al. 2020, arXiv 2004.09584; NSIM of Hines and Harte 2012",
    conventions="The score needs the original's model, which the package visqol-python contains (extra visqol), or"
    " another one that the option model names. Without a model the score is undefined, but vnsim (details,"
    " output=vnsim) and the similarity by band and by patch are there. Identical files score 4.7321 by the original's"
    " model. visqol-python aligns by a true envelope and differs by up to 0.03 MOS.",
    silence="Undefined for a silent reference. A silent test stays silent, and scores about as badly as noise.",
    caveat="Deaf to the level of the test, to antiphase and to swapped channels, since all are averaged to one. What is"
    " missing costs little: half a file scores 4.3. Noise costs much: at 40 dB SNR 3.5. The model is not monotone where"
    " damage is gross. The first 0.3 s and a last incomplete patch of 0.6 s are not compared. Over a minute"
    " the lag is found from coarse to fine, unless exact=true; it is another one only where none sticks out. The"
    " spectra of the whole are held, about as much memory as the recordings.",
    version=2,
    minimum="46080 samples at 48 kHz: one patch",
    shortest=0.96,
    rate=48000,
    pooling="downmix",
    lengths="any",
    level="full scale is 1.0, and what lies below -90 dB re it is silence; the test is brought to the reference's RMS",
    symmetric=False,
    insensitive_to=("gain", "polarity"),
    identity_tolerance=1e-9,
    gradient="exact",
    twice=False,
    cap="1 (vnsim: 0) where the reference is silent; undefined without a model. A score held at 1 keeps the"
    " gradient that leads away from it",
    zero_gradient_on_silence=True,
    joint_channels=True,
    needs=("visqol",),
    profile="local",
    profile_unit="NSIM",
    map="share",
)

HOW_TO_GET = "pip install 'audiosim[visqol]', or name a file with visqol:model=PATH, or ask for visqol:output=vnsim"


@dataclass(frozen=True, kw_only=True)
class Options(mos.Searching):
    model: Annotated[str, "file of the support vector model, in libsvm's text format; empty: the extra's"] = ""

    @property
    def files(self) -> tuple[Path, ...]:
        file = models.visqol.support_vectors.model_file(self.model)
        return (file,) if file and file.is_file() else ()


def measure(pairs: list[Pair], o: Options) -> Channel:
    def score(bands: Any) -> float | str:
        regression = models.visqol.support_vectors.chosen(o.model, len(bands))
        return regression(bands) if regression else f"no model for a score (vnsim is {bands.mean():.4f}): {HOW_TO_GET}"

    return mos.measure(pairs, models.visqol.patches.AUDIO, o, score)


def twin(rate: int, o: Options) -> Twin:
    vectors, mode = models.visqol.support_vectors, models.visqol.patches.AUDIO
    if o.output == "vnsim":
        return mos.twin(rate, mode, o)
    model = vectors.chosen(o.model, mode.bands)
    if model is None:
        raise MissingExtra(f"visqol has no model for a score: {HOW_TO_GET}")
    return mos.twin(rate, mode, o, vectors.regression_torch(model))
