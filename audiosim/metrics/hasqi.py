"""HASQI version 2: the quality of processed speech for a listener with this audiogram, as the product of what noise and
distortion leave of envelopes and fine structure, and of what linear filtering leaves of the spectrum.
Kates & Arehart 2014.

Both sides are heard by the ear of the audiogram, the reference with the gain that NAL-R prescribes for it:
impaired_ear and membrane_coherence of models.haspi. The threshold noise on the membrane is the same in every run.
"""

from __future__ import annotations

from math import log, nan
from typing import Annotated, Any

import numpy as np

from .. import engine, models
from ..answer import Channel, Detail, pool, shares
from ..card import Card
from ..hearing import audiogram as audiograms
from ..hearing import scales
from ..result import Result

CARD = Card(
    title="HASQI version 2",
    family="perceptual",
    unit="1",
    better="higher",
    identical=None,
    range=(0.0, 1.0),
    formula="cepstral^2 fine (0.579 loudness + 0.421 slope)",
    source="Kates & Arehart 2014, J. Audio Eng. Soc. 62, 99-117; as pyclarity 0.9.0 reads it",
    conventions="pyclarity 0.9.0 with an RMS of 1 for the reference, level1=65 and equalisation=1 (equalised=true: 2);"
    " given the same noise, within 1e-4. Its random noise is here always the same 4093 normal deviates per band. Other"
    " rates than 24 kHz go through the original's short filter, not soxr. 44.1 kHz is taken for 44 kHz there, not here."
    " The delay is looked for within 10 s. An identical file scores less than 1 where noise is all there is to hear.",
    silence="Undefined for a silent reference, and for one that this ear does not hear (option level); 0 for a silent"
    " test.",
    caveat="Made for hearing aids and speech; music has HAAQI. It ranks within one reference better than across. Memory"
    " beyond the recordings' grows by 45 MB a minute, to 2.7 GB for an hour.",
    minimum="0.25 s",
    shortest=0.25,
    lengths="any",
    level="the reference has 65 dB SPL, unless option level says what a full-scale sine has",
    symmetric=False,
    triangle=False,
    slack=2e-3,  # the noise is not the same on both sides
    gradient="none",
    profile="share",
    map="share",
)

NAMES = ("nonlinear", "linear", "cepstral", "fine", "loudness", "slope")


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    audiogram: Annotated[str, audiograms.HELP] = "normal",
    level: Annotated[float | None, "dB SPL of a full-scale sine; none: so that the reference has 65 dB SPL"] = None,
    equalised: Annotated[bool, "the reference has the gain already that NAL-R prescribes for the audiogram"] = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] of any rate and lengths, compared as far as the shorter one goes; each channel by
    itself.

    Details: the parts of the formula, nonlinear = cepstral^2 fine and linear its other factor. Profile and map: shares
    of -ln of the value, each factor's lying where envelopes, fine structure and loudness differ. UsageError for an
    audiogram that is none.
    """
    losses = audiograms.losses(audiogram)
    length = min(ref.shape[1], test.shape[1])

    def channel(c: int) -> Channel:
        r, t = ref[c, :length], test[c, :length]
        return _channel(r, t, rate, losses, level, equalised, detail, band_edges, jobs)

    return pool(engine.threads.in_threads(channel, range(len(ref)), jobs))


def _channel(
    ref: Any,
    test: Any,
    rate: int,
    losses: tuple[float, ...],
    level: float | None,
    equalised: bool,
    detail: Detail,
    band_edges: Any,
    jobs: int,
) -> Channel:
    ear, back = models.haspi.impaired_ear, models.haspi.membrane_coherence
    cells = 0 if detail == "value" else -(-ref.size * ear.RATE // (rate * back.CELL))
    cuts, edges = (None, None) if detail == "value" else scales.bands(ear.centres(), ear.RATE / 2, band_edges)

    def answer(parts: tuple[float, ...], where: Any, reason: str | None = None) -> Channel:
        if cuts is not None:
            where = np.add.reduceat(where[:, : cuts[-1]], cuts[:-1], axis=1)
        times = (np.arange(cells) + 0.5) * (back.CELL / ear.RATE)
        return Channel(
            value=parts[0] * parts[1],
            details=dict(zip(NAMES, parts, strict=True)),
            reason=reason,
            **shares(where, times, ear.centres(), cuts, edges, detail),
        )

    nothing = (nan,) * len(NAMES), np.zeros((cells, ear.BANDS))
    if ref.size < CARD.shortest * rate:
        return answer(*nothing, f"too short: {CARD.shortest:g} s are the least, these have {ref.size / rate:.3g} s")
    if not ref.any():
        return answer(*nothing, "the reference is silent")
    taps = None if equalised else ear.gain_prescribed(losses)
    lead = 0 if equalised else ear.NAL_TAPS // (1 if taps is not None else 2)  # the original cuts off too much
    loudness = ear.reference_level(ref, level)
    pair = ear.aligned(ear.presented(ref, rate, jobs), ear.presented(test, rate, jobs), loudness, taps, lead)
    if pair.ref.size < back.SHORTEST:
        return answer(*nothing, "the reference is silent but for a moment")
    ears = (ear.ear(losses),) * 2
    heard = ear.hear(pair, ears, True, jobs)
    found = back.agreement(heard, cells, jobs)
    if found.segments < 2:
        return answer(*nothing, "this ear does not hear the reference")
    spread, slope, difference = back.loudness_differences(heard.powers, heard.control, ears)
    alike = [min(max(1 - x, 0.0), 1.0) for x in (spread / 2.5, slope)]
    nonlinear, linear = found.cepstral**2 * found.fine, 0.579 * alike[0] + 0.421 * alike[1]
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
    return answer((nonlinear, linear, found.cepstral, found.fine, *alike), where)
