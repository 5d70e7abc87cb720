"""HASQI version 2: the quality of processed speech for a listener with this audiogram, as the product of what noise and
distortion leave of envelopes and fine structure, and of what linear filtering leaves of the spectrum. Kates and Arehart
2014, J. Audio Eng. Soc. 62, 99-117.

The ear of the audiogram hears both sides, the reference with the gain that NAL-R prescribes for it. Noise moves the
membrane at threshold: the original draws it at random, here it is the same 4093 normal deviates per band in every run.
Where such noise is all there is to hear, a file compared with itself scores less than 1.

Recordings are compared as far as the shorter one goes.

Details: the parts of the formula; nonlinear is cepstral^2 fine, linear its other factor. Profile and map are shares of
-ln of the value: each factor's share lies where envelopes, fine structure or loudness differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, nan
from typing import Annotated, Any

import numpy as np

from .. import models
from ..answer import Channel, Pair
from ..card import Card
from ..models.haspi import listener

CARD = Card(
    title="HASQI version 2",
    family="perceptual",
    unit="1",
    better="higher",
    range=(0.0, 1.0),
    formula="cepstral^2 fine (0.579 loudness + 0.421 slope)",
    source="Kates & Arehart 2014, J. Audio Eng. Soc. 62, 99-117; as pyclarity 0.9.0 reads it",
    conventions="pyclarity 0.9.0, with an RMS of 1 for the reference, level1=65 and equalisation=1 (2 for"
    " equalised=true), gives the same within 1e-4, given the same noise. It resamples other rates than 24 kHz by soxr;"
    " this uses the short filter of the original. pyclarity takes 44.1 kHz for 44 kHz. The delay is looked for within"
    " 10 s.",
    silence="Undefined for a silent reference, and for one that this ear does not hear (option level); 0 for a silent"
    " test.",
    caveat="Made for hearing aids and speech; music has HAAQI. It ranks within one reference better than across. Memory"
    " beyond the recordings' grows by 45 MB a minute, to 2.7 GB for an hour.",
    minimum="0.25 s",
    shortest=listener.SHORTEST,
    lengths="any",
    level="the reference has 65 dB SPL, unless option level says what a full-scale sine has",
    symmetric=False,
    identity_tolerance=2e-3,  # the noise is not the same on both sides
    gradient="none",
    profile="share",
    map="share",
)


@dataclass(frozen=True, kw_only=True)
class Options(listener.Listener):
    equalised: Annotated[bool, "the reference has the gain already that NAL-R prescribes for the audiogram"] = False


def measure(pair: Pair, o: Options) -> Channel:
    ear, back = models.haspi.impaired_ear, models.haspi.membrane_coherence
    taps = None if o.equalised else ear.gain_prescribed(o.losses)
    lead = 0 if o.equalised else ear.NAL_TAPS // (1 if taps is not None else 2)  # the original cuts off too much
    aligned = o.aligned(pair, taps, lead)
    if isinstance(aligned, str):
        return Channel(value=nan, reason=aligned)
    if aligned.ref.size < back.SHORTEST:
        return Channel(value=nan, reason="the reference is silent but for a moment")
    ears = (ear.ear(o.losses),) * 2
    heard = ear.hear(aligned, ears, True, pair.threads)
    cells = listener.cells(pair, back.CELL)
    found = back.agreement(heard, cells, pair.threads)
    if found.segments < 2:
        return Channel(value=nan, reason="this ear does not hear the reference")
    spread, slope, difference = back.loudness_differences(heard.powers, heard.control, ears)
    loudness, slope = (min(max(1 - x, 0.0), 1.0) for x in (spread / 2.5, slope))
    nonlinear, linear = found.cepstral**2 * found.fine, 0.579 * loudness + 0.421 * slope
    where: Any = np.zeros((cells, ear.BANDS))
    if cells:
        filtered = (found.motions.sum(axis=1) > 0)[:, None] * (difference - difference.mean()) ** 2
        for factor, local in (
            (found.cepstral**2, found.envelopes),
            (found.fine, found.motions),
            (linear, filtered),
        ):
            if factor < 1 and local.sum() > 0:
                where = where - log(max(factor, back.FLOOR)) * local / local.sum()
    return Channel(
        value=nonlinear * linear,
        details={
            "nonlinear": nonlinear,
            "linear": linear,
            "cepstral": found.cepstral,
            "fine": found.fine,
            "loudness": loudness,
            "slope": slope,
        },
        **listener.located(where, back.CELL, pair),
    )
