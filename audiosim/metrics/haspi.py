"""HASPI version 2: how intelligible speech is to a listener with this audiogram, by a model of both ears and a
modulation filter bank. Kates and Arehart 2021, Speech Communication 131, 35-46.

A normal ear hears the reference, the ear of the audiogram hears the test. Ten modulation filters measure how much of
the cepstra of the reference's envelopes is left in those of the test, and the mean of ten small networks turns that
into the value. The original draws the jitter of nerve fibres at random; here its expected energy is added.

Recordings are compared as far as the shorter one goes.

Details: the covariance behind each modulation filter, by its centre from 2 to 256 Hz. Profile and map are shares of the
squared difference, in dB, of the envelopes without their means.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from math import nan
from typing import Any

import numpy as np

from .. import models
from ..answer import Channel, Pair
from ..card import Card
from ..domain import SPEECH
from ..hearing import audiogram as audiograms
from ..models.haspi import listener

CARD = Card(
    title="HASPI version 2",
    family="perceptual",
    unit="1",
    better="higher",
    range=(0.0, 1.052),
    formula="mean of 10 networks / 0.9508, of the covariances of cepstra behind 10 modulation filters",
    source="Kates & Arehart 2021, Speech Communication 131, 35-46; as pyclarity 0.9.0 reads it",
    conventions="pyclarity 0.9.0, with an RMS of 1 for the reference and level1=65, gives the same within the spread of"
    " its random noise, and within 1e-4 without noise. It resamples other rates than 24 kHz by soxr; this uses the"
    " short filter of the original, which lets through more about the band's edge, and the value depends on that."
    " pyclarity takes 44.1 kHz for 44 kHz. The delay is looked for within 10 s.",
    silence="Undefined for a silent reference, and for one that a normal ear does not hear (option level). A silent"
    " test scores what the networks make of nothing in common, below 0.01.",
    caveat="Speech only, with the clean reference; it saturates at 1 for what is well understood. In less than about"
    " 2 s anything covaries by chance and scores too high. Memory beyond the recordings' grows by 45 MB a minute, to"
    " 2.7 GB for an hour.",
    minimum="0.25 s, about one cycle of the slowest modulation filter",
    shortest=listener.SHORTEST,
    lengths="any",
    level="the reference has 65 dB SPL, unless option level says what a full-scale sine has",
    symmetric=False,
    insensitive_to=("polarity",),
    identity_tolerance=2e-3,  # the networks do not always give less for smaller covariances
    gradient="none",
    profile="share",
    map="share",
    domain=SPEECH,
)

MOST = 0.9508  # what the networks give at best

Options = listener.Listener


def measure(pair: Pair, o: Options) -> Channel:
    ear, back = models.haspi.impaired_ear, models.haspi.modulation_cepstra
    aligned = o.aligned(pair)
    if isinstance(aligned, str):
        return Channel(value=nan, reason=aligned)
    heard = ear.hear(aligned, (ear.ear(audiograms.NAMED["normal"]), ear.ear(o.losses)), False, pair.threads)
    cepstra, squares = back.cepstra(heard, listener.cells(pair, back.CELL), pair.threads)
    if cepstra.shape[1] < 2:
        return Channel(value=nan, reason="a normal ear does not hear the reference")
    covariances = back.covariances(cepstra)
    return Channel(
        value=intelligibility(covariances),
        details={f"{f}_hz": float(c) for f, c in zip(back.CENTRES, covariances, strict=True)},
        **listener.located(squares, back.CELL, pair),
    )


def intelligibility(covariances: Any) -> float:
    """The networks' mean of covariances [10]."""
    weights = _networks()
    hidden = _sigmoid(weights[:, 0] + weights[:, 1:11] @ covariances)
    outputs = (hidden * weights[:, 11]).reshape(10, 4).sum(axis=1) + weights[::4, 12]
    return float(_sigmoid(outputs).mean() / MOST)


@cache
def _networks() -> Any:
    """Weights [hidden unit of any network, 13]: bias, inputs, output, bias of the output."""
    with resources.files("audiosim.tables").joinpath("haspi_networks.csv").open() as lines:
        return np.loadtxt([line for line in lines if line[0] in "-0123456789"], delimiter=",")


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(x / 2))
