"""HASPI version 2: how intelligible speech is to a listener with this audiogram, by an ear model for both sides and a
modulation filter bank over the cepstra of their envelopes. Kates & Arehart 2021.

The reference is heard by a normal ear, the test by the ear of the audiogram. Ten covariances, one for each modulation
filter, are what the networks see (details). The ear's noise is the same in every run.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from .. import dsp, hearing
from ..card import Card
from ..hearing import audiogram as audiograms
from ..hearing.profile import Detail
from ..result import Channel, Result, pool

CARD = Card(
    title="HASPI version 2",
    family="perceptual",
    unit="1",
    better="higher",
    identical=None,
    range=(0.0, 1.06),
    formula="mean of 10 networks of 10 modulation covariances of envelope cepstra, / 0.9508",
    source="Kates & Arehart 2021, Speech Communication 131, 35-46; read as pyclarity 0.9.0 does",
    conventions="x",
    silence="Undefined for a silent reference; a silent test is heard as the ear's noise and scores about 0.",
    caveat="x",
    shortest=0.25,
    rate=24000,
    level="x",
    symmetric=False,
    triangle=False,
    gradient="none",
    profile="share",
    map="share",
)


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    audiogram: Annotated[str, audiograms.HELP] = "normal",
    level: Annotated[float | None, "dB SPL of a full-scale sine; none: the reference has 65 dB SPL"] = None,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    losses = audiograms.losses(audiogram)
    ears = hearing.impaired_ear.ear((0.0,) * 6), hearing.impaired_ear.ear(losses)
    channels = []
    for r, t in zip(ref, test, strict=True):
        rms = float(np.sqrt(np.mean(np.square(r, dtype=np.float64))))
        loudness = 65.0 - 20 * np.log10(rms) if level is None else level + 20 * np.log10(np.sqrt(2))
        pair = hearing.impaired_ear.aligned(r, t, loudness)
        heard = hearing.impaired_ear.hear(pair, ears, False, jobs)
        cepstra, cells = hearing.modulation_cepstra.cepstra(heard, detail != "value", jobs)
        features = hearing.modulation_cepstra.covariances(cepstra)
        channels.append(Channel(value=intelligibility(features), details={f"{f}_hz": float(c) for f, c in zip(hearing.modulation_cepstra.CENTRES, features)}))
    return pool(channels)


def intelligibility(features: Any) -> float:
    from importlib import resources

    with resources.files("audiosim.tables").joinpath("haspi_networks.csv").open() as lines:
        w = np.loadtxt([l for l in lines if l[0] in "-0123456789"], delimiter=",")
    hidden = 1 / (1 + np.exp(-(w[:, 0] + w[:, 1:11] @ features)))
    out = (hidden * w[:, 11]).reshape(10, 4).sum(1) + w[::4, 12]
    return float(np.mean(1 / (1 + np.exp(-out)))) / 0.9508
