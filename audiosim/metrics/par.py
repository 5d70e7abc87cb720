"""Par measure: detectability of the error under the reference. Van de Par, Kohlrausch, Heusdens, Jensen and Jensen
2005, EURASIP Journal on Applied Signal Processing 9, 1292-1304.

The error is the difference of the waveforms, so phase counts. In each frame and auditory filter its energy is divided
by that of the reference and of an internal noise, D = c sum_i E_i / (R_i + 1): a quadratic form of the error, convex,
weighted by what the reference masks. D = 1 is just detectable. The paper lets D grow with the duration of a frame up to
300 ms; here every frame is calibrated as a part of a long sound, and their mean is the D of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from .. import engine, models
from ..answer import Channel, Detail, View, pool, spectral
from ..card import Card
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Par detectability",
    family="perceptual",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean over frames of D = c sum_i E_i / (R_i + 1) over gammatone filters: energies of test - ref and of ref",
    source="van de Par et al. 2005, EURASIP J. Appl. Signal Process. 9, 1292-1304, eq. 4 to 9",
    conventions="Just detectable is 1: calibrated, in frames of Hann, with a 1 kHz tone at its threshold in quiet and "
    "one of 52 dB SPL under a 70 dB SPL masker at 1 kHz. Others calibrate with a line of one bin and frames without "
    "window, and take a full-scale sine for 65 or 70 dB SPL.",
    silence="Defined: 0 when both are silent; for a silent reference, the test over the threshold in quiet.",
    caveat="Grows as the power of the error, without bounds: a delay or a turned phase reads like loud noise. Masking "
    "in time is not modelled: what precedes an onset within a frame counts as masked.",
    minimum="one frame: 32 ms; what is left over after the last whole one is not heard",
    shortest=0.032,
    level="a full-scale sine is 92 dB SPL, unless level says otherwise",
    symmetric=False,
    triangle=False,
    gradient="exact",
    profile="local",
    map="sum",
)

Level = Annotated[float, "dB SPL of a full-scale sine, 40 to 140"]
Frame = Annotated[float, "seconds of a frame, about; the model is meant for 0.02 to 0.04"]
Bands = Annotated[int, "auditory filters from 0 Hz to half the rate, 16 to 256"]


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    level: Level = 92.0,
    frame: Frame = 0.032,
    bands: Bands = 64,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 4000 Hz or more; the channels are averaged.

    Details: detectable_frames, the fraction of frames with D > 1. UsageError for a lower rate.
    """
    view = View(rate, detail, band_edges, jobs)
    detector = models.masking.detectability.Detector.of(rate, level, frame, bands)
    measure = detector.measure(np.result_type(ref, test))

    def channel(r: Stream, t: Stream) -> Channel:
        error = t._replace(samples=t.samples - r.samples)
        return spectral(
            r,
            error,
            detector.stft,
            measure,
            1,
            lambda sums, frames, _: sums[..., 0] / frames,
            lambda sums: sums.map[:, :, 0] / sums.frames,
            view,
            frequencies=detector.centres,
            per_frame=lambda sums, _: np.concatenate([sums, sums > 1], axis=-1),
            details=lambda sums: {"detectable_frames": float(sums.total[1] / sums.frames)},
        )

    return pool([channel(*pair) for pair in streams(ref, test, rate, weighting, coef, mid_side)])


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors; the gradient of the reference goes through its mask too."""
    from ..engine.tensors import Constant, by_kernels, power, spectra

    detector = models.masking.detectability.Detector.of(rate, o.level, o.frame, o.bands)
    transform, weights, objective = spectra(detector.stft), Constant(detector.weights.T), detector.objective()

    def text(ref: Any, test: Any) -> Any:
        masker, error = (power(transform(x), 0.0) for x in (ref, test - ref))
        masker, error = (x @ weights(x) for x in (masker, error))
        return detector.scale * (error / (masker + 1)).sum(2).mean(1)

    def kernels(ref: Any, test: Any, gradient: bool, jobs: int) -> Any:
        return engine.transposes.evaluate(objective, ref, test - ref, gradient, jobs)

    return by_kernels(text, kernels)
