"""Par measure: detectability of the error under the reference. Van de Par, Kohlrausch, Heusdens, Jensen and Jensen
2005, EURASIP Journal on Applied Signal Processing 9, 1292-1304.

The error is the difference of the waveforms, so phase counts. In each frame and auditory filter its energy is divided
by that of the reference and of an internal noise: D = c sum_i E_i / (R_i + 1). This is a quadratic form of the error,
convex, and weighted by what the reference masks. D = 1 is just detectable: c and the internal noise are calibrated, in
frames under a Hann window, with a 1 kHz tone at its threshold in quiet and one of 52 dB SPL under a masker of 70 dB SPL
at 1 kHz. The paper lets D grow with the duration of a frame up to 300 ms; here every frame is calibrated as a part of a
long sound, and their mean is the D of that sound.

Details: detectable_frames, the fraction of frames with D > 1. The rate must be 4000 Hz or more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from .. import models
from ..answer import Channel, Pair, spectral
from ..card import Card
from ..hearing.loudness import Level
from ..hearing.weighting import Weighted
from ..options import Within
from ..result import Twin

CARD = Card(
    title="Par detectability",
    family="perceptual",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean over frames of D = c sum_i E_i / (R_i + 1) over gammatone filters: energies of test - ref and of ref",
    source="van de Par et al. 2005, EURASIP J. Appl. Signal Process. 9, 1292-1304, eq. 4 to 9",
    conventions="Other implementations calibrate with a line of one bin and frames without window. They take a "
    "full-scale sine for 65 or 70 dB SPL: give level.",
    silence="Defined: 0 when both are silent; for a silent reference, the test over the threshold in quiet.",
    caveat="It grows as the power of the error, without bounds: a delay or a turned phase reads like loud noise. "
    "Masking in time is not modelled: what precedes an onset within a frame counts as masked."
    " Memory grows with the recordings, by at most what they take.",
    version=2,
    minimum="one frame: 32 ms; what is left over after the last whole one is not heard",
    shortest=0.032,
    level="a full-scale sine is 92 dB SPL, unless level says otherwise",
    symmetric=False,
    gradient="exact",
    profile="local",
    map="sum",
)


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    level: Level = 92.0
    frame: Annotated[float, Within(0.01, 0.2), "seconds of a frame, about; the model is meant for 0.02 to 0.04"] = 0.032
    bands: Annotated[int, Within(16, 256), "auditory filters from 0 Hz to half the rate"] = 64


def measure(pair: Pair, o: Options) -> Channel:
    detector = models.masking.detectability.Detector.of(pair.rate, o.level, o.frame, o.bands)
    error = pair.test._replace(samples=pair.test.samples - pair.ref.samples)
    return spectral(
        replace(pair, test=error),
        detector.stft,
        detector.measure(error.dtype),
        1,
        lambda sums, frames, _: sums[..., 0] / frames,
        lambda sums: sums.map[:, :, 0] / sums.frames,
        frequencies=detector.centres,
        per_frame=lambda sums, _: np.concatenate([sums, sums > 1], axis=-1),
        details=lambda sums: {"detectable_frames": float(sums.total[1] / sums.frames)},
    )


def twin(rate: int, o: Options) -> Twin:
    """The gradient of the reference goes through its mask too."""
    from ..engine.tensors import Constant, power, product, spectra
    from ..hearing.tensors import fused

    detector = models.masking.detectability.Detector.of(rate, o.level, o.frame, o.bands)
    transform, weights = spectra(detector.stft), Constant(detector.weights.T)

    def of_error(ref: Any, error: Any) -> Any:
        masker, distortion = (power(transform(x), 0.0) for x in (ref, error))
        masker, distortion = (product(x, weights(x)) for x in (masker, distortion))
        return detector.scale * (distortion / (masker + 1)).sum(2).mean(1)

    value = fused(of_error, detector.objective())
    return lambda ref, test: value(ref, test - ref)
