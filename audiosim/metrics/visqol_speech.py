"""ViSQOL 3, speech mode: how alike the spectrograms of a model of the ear are where there is a voice, as a score.
google/visqol at 38d0b01 with its exponential mapping (--use_lattice_model=false); Chinen et al. 2020, arXiv 2004.09584.

details: vnsim, the mean similarity of the bands; alignment_lag_s, by how much the test was moved later; patches, and
lost, how many of them were found nowhere. Profile: similarity by band and by patch. Map: what each cell lacks to 1, as
shares of it all.

Recordings may have any lengths; their channels are averaged first. The code of the original is followed, slips included
(see visqol).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from .. import models
from ..answer import Channel, Pair
from ..card import Card
from ..domain import SPEECH
from ..models.visqol import mos
from ..result import Twin

CARD = Card(
    title="ViSQOL, speech",
    family="perceptual",
    unit="MOS",
    better="higher",
    range=(1.0, 5.0),
    formula="1.245 (e^(0.01543 (vnsim + 361.06)) - 262.85) within 1 and 5, or 1 where vnsim is below 0.15; vnsim: mean"
    " NSIM of 21 bands up to 8 kHz in patches with a voice",
    source="google/visqol at 38d0b01; Chinen et al. 2020, arXiv 2004.09584; NSIM of Hines and Harte 2012",
    conventions="The original's exponential mapping. Its command line maps by a trained lattice unless told otherwise,"
    " and gives 4.5 for identical files then. They score 5 here, and 4.0159 with scale=unscaled.",
    silence="Undefined for a silent reference. A silent test stays silent, and scores about as badly as noise.",
    caveat="The mapping was fitted to speech at 16 kHz. Like the original it takes any rate as it is, but scores of"
    " different rates do not compare (one codec: 3.373 at 16 kHz, 3.375 at 48 kHz, 4.08 at 8 kHz). Deaf to the level of"
    " the test. Patches without a voice, the first 0.2 s and a last incomplete patch of 0.4 s are not compared. Over a"
    " minute the lag is found from coarse to fine, unless exact=true; it is another one only where none sticks out. The"
    " spectra of the whole are held, about as much memory as the recordings.",
    version=2,
    minimum="0.64 s: one patch",
    shortest=0.64,
    pooling="downmix",
    lengths="any",
    level="full scale is 1.0, and what lies below -90 dB re it is silence; the test is brought to the reference's RMS",
    symmetric=False,
    insensitive_to=("gain", "polarity"),
    identity_tolerance=1e-9,
    gradient="exact",
    twice=False,
    cap="1 (vnsim: 0) where the reference is silent. A score held at 1 keeps the gradient that leads away from it",
    zero_gradient_on_silence=True,
    joint_channels=True,
    profile="local",
    profile_unit="NSIM",
    map="share",
    domain=SPEECH,
)

A, B, X0 = -262.847869, 0.0154302525, -361.063949  # of the fit A + e^(B (vnsim - X0))
TO_FIVE = float(np.float32(1.245063))  # so that the best is 5


@dataclass(frozen=True, kw_only=True)
class Options(mos.Searching):
    scale: Annotated[Literal["scaled", "unscaled"], "whether the best score is brought to 5"] = "scaled"


def fit(vnsim: Any, scale: str, exp: Callable[[Any], Any] = math.exp) -> Any:
    """MOS-LQO of a similarity, before it is held within 1 and 5."""
    return (A + exp(B * (vnsim - X0))) * (TO_FIVE if scale == "scaled" else 1.0)


def measure(pairs: list[Pair], o: Options) -> Channel:
    return mos.measure(pairs, models.visqol.patches.SPEECH, o, lambda bands: fit(float(bands.mean()), o.scale))


def twin(rate: int, o: Options) -> Twin:
    import torch

    if o.output == "vnsim":
        return mos.twin(rate, models.visqol.patches.SPEECH, o)
    return mos.twin(rate, models.visqol.patches.SPEECH, o, lambda bands: fit(bands.mean(1), o.scale, torch.exp))
