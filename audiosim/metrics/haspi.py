"""HASPI version 2: how intelligible speech is to a listener with this audiogram, by an ear model for both sides and a
modulation filter bank over the cepstra of their envelopes. Kates & Arehart 2021.

The reference is heard by a normal ear, the test by the audiogram's (models.haspi.impaired_ear). What ten modulation
filters find of the one in the other (models.haspi.modulation_cepstra; the details) goes through ten small networks,
whose mean is the value. The jitter of nerve fibres is not drawn at random as in the original: its expected energy is
added.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from math import nan
from typing import Annotated, Any

import numpy as np

from .. import engine, models
from ..answer import Channel, Detail, pool, shares
from ..card import Card
from ..hearing import audiogram as audiograms
from ..hearing import scales
from ..result import Result

CARD = Card(
    title="HASPI version 2",
    family="perceptual",
    unit="1",
    better="higher",
    identical=None,
    range=(0.0, 1.052),
    formula="mean of 10 networks / 0.9508, of the covariances of cepstra behind 10 modulation filters",
    source="Kates & Arehart 2021, Speech Communication 131, 35-46; as pyclarity 0.9.0 reads it",
    conventions="pyclarity 0.9.0 with an RMS of 1 for the reference and level1=65, within the spread of its random"
    " noise, of which this has the expected energy; without noise within 1e-4. Other rates than 24 kHz go through the"
    " original's short filter, not soxr: it lets through more about the band's edge, and the value hangs on that."
    " 44.1 kHz is taken for 44 kHz there, not here. The delay is looked for within 10 s.",
    silence="Undefined for a silent reference, and for one that a normal ear does not hear (option level). A silent"
    " test scores what the networks make of nothing in common, below 0.01.",
    caveat="Speech only, with the clean reference; it saturates at 1 for what is well understood. In less than some 2 s"
    " anything covaries by chance and scores too high. Memory beyond the recordings' grows by 45 MB a minute, to 2.7 GB"
    " for an hour.",
    minimum="0.25 s, about one cycle of the slowest modulation filter",
    shortest=0.25,
    lengths="any",
    level="the reference has 65 dB SPL, unless option level says what a full-scale sine has",
    symmetric=False,
    triangle=False,
    blind=("polarity",),
    slack=2e-3,  # the networks do not always give less for smaller covariances
    gradient="none",
    profile="share",
    map="share",
)

MOST = 0.9508  # what the networks give at best


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    audiogram: Annotated[str, audiograms.HELP] = "normal",
    level: Annotated[float | None, "dB SPL of a full-scale sine; none: so that the reference has 65 dB SPL"] = None,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] of any rate and lengths, compared as far as the shorter one goes; each channel by
    itself.

    Details: the covariances behind the modulation filters, by their centres from 2 to 256 Hz. Profile and map: shares
    of the squared difference, in dB, of the envelopes without their means. UsageError for an audiogram that is none.
    """
    ears = tuple(
        models.haspi.impaired_ear.ear(losses) for losses in (audiograms.losses("normal"), audiograms.losses(audiogram))
    )
    length = min(ref.shape[1], test.shape[1])

    def channel(c: int) -> Channel:
        return _channel(ref[c, :length], test[c, :length], rate, ears, level, detail, band_edges, jobs)

    return pool(engine.threads.in_threads(channel, range(len(ref)), jobs))


def intelligibility(covariances: Any) -> float:
    """The networks' mean of covariances [10]."""
    weights = _networks()
    hidden = _sigmoid(weights[:, 0] + weights[:, 1:11] @ covariances)
    outputs = (hidden * weights[:, 11]).reshape(10, 4).sum(axis=1) + weights[::4, 12]
    return float(_sigmoid(outputs).mean() / MOST)


def _channel(
    ref: Any, test: Any, rate: int, ears: Any, level: float | None, detail: Detail, band_edges: Any, jobs: int
) -> Channel:
    ear, back = models.haspi.impaired_ear, models.haspi.modulation_cepstra
    cells = 0 if detail == "value" else -(-ref.size * ear.RATE // (rate * back.CELL))
    cuts, edges = (None, None) if detail == "value" else scales.bands(ear.centres(), ear.RATE / 2, band_edges)

    def answer(covariances: Any, squares: Any, reason: str | None = None) -> Channel:
        if cuts is not None:
            squares = np.add.reduceat(squares[:, : cuts[-1]], cuts[:-1], axis=1)
        times = (np.arange(cells) + 0.5) * (back.CELL / ear.RATE)
        return Channel(
            value=nan if reason else intelligibility(covariances),
            details={f"{f}_hz": float(c) for f, c in zip(back.CENTRES, covariances, strict=True)},
            reason=reason,
            **shares(squares, times, ear.centres(), cuts, edges, detail),
        )

    nothing = np.full(len(back.CENTRES), nan), np.zeros((cells, ear.BANDS))
    if ref.size < CARD.shortest * rate:
        return answer(*nothing, f"too short: {CARD.shortest:g} s are the least, these have {ref.size / rate:.3g} s")
    if not ref.any():
        return answer(*nothing, "the reference is silent")
    loudness = ear.reference_level(ref, level)
    pair = ear.aligned(ear.presented(ref, rate, jobs), ear.presented(test, rate, jobs), loudness)
    cepstra, squares = back.cepstra(ear.hear(pair, ears, False, jobs), cells, jobs)
    if cepstra.shape[1] < 2:
        return answer(*nothing, "a normal ear does not hear the reference")
    return answer(back.covariances(cepstra), squares)


@cache
def _networks() -> Any:
    """Weights [hidden unit of any network, 13]: bias, inputs, output, bias of the output."""
    with resources.files("audiosim.tables").joinpath("haspi_networks.csv").open() as lines:
        return np.loadtxt([line for line in lines if line[0] in "-0123456789"], delimiter=",")


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(x / 2))
