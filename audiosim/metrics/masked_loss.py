"""Masked loss: spectral error weighted by the global masking threshold of the reference. Zhen, Lee, Sung, Beack and Kim
2020, IEEE Signal Processing Letters 27, 2159-2163 (arXiv 2101.00054); threshold of psychoacoustic model 1 of MPEG-1,
ISO/IEC 11172-3 annex D.

Priority weighting: the squared difference of magnitudes counts as w = lg(p / m + 1), p the reference's intensity and m
its masking threshold; the sum over bins is divided by 512, the lines of the standard's frame. Noise modulation: in each
frame what the error exceeds the threshold by, max(n / m - 1, 0), n the intensity of the error, in the bin where that is
the most. The first alone is deaf where the reference is silent, the second alone to what is masked. Intensities are in
units of that at 0 dB SPL, so that in quiet both speak of about the same number; Zhen et al. leave units and weights to
the training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from .. import engine, models
from ..answer import Channel, Detail, View, pool, spectral
from ..card import Card
from ..errors import UsageError
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Masked loss",
    family="perceptual",
    unit="intensity re 0 dB SPL",
    better="lower",
    identical=0.0,
    formula="mean over frames of sum lg(p/m + 1) (|Y| - |X|)^2 / 512 + noise max(|Y - X|^2/m - 1, 0), both over bins",
    source="Zhen et al. 2020, arXiv 2101.00054, losses 3 and 4; masking threshold of ISO/IEC 11172-3:1993, annex D.1",
    conventions="A full-scale sine is 96 dB SPL, as in the standard; its tables for 32, 44.1 and 48 kHz are continued "
    "by their formulas. noise=0 is the priority weighting alone. Replications bring each file to a peak of 96 dB, "
    "leave out noise maskers or what in the slopes depends on level, or take sums for means.",
    silence="Defined: 0 when both are silent; for a silent reference, what exceeds the threshold in quiet.",
    caveat="Grows as the power of the error, without bounds. What the reference does not have is heard through its "
    "worst bin alone. Masking in time is not modelled.",
    level="a full-scale sine is 96 dB SPL, unless level says otherwise",
    symmetric=False,
    triangle=False,
    gradient="exact",
    holds="the masking threshold and the weights",
    profile="local",
    map="sum",
)

Level = Annotated[float, "dB SPL of a full-scale sine, 40 to 140"]
Noise = Annotated[float, "weight of what exceeds the masking threshold, 0 or more"]


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    noise: Noise = 1.0,
    level: Level = 96.0,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 4000 Hz or more; the channels are averaged. UsageError for a lower rate.

    Details: priority, the weighted squared difference; excess, what exceeds the threshold (times noise);
    audible_frames, the fraction of frames in which something does (0 for noise=0).
    """
    view = View(rate, detail, band_edges, jobs)
    model = _prepared(rate, noise, level)
    measure = model.measure(noise)

    def details(sums: Any) -> dict[str, float]:
        priority, excess, audible = (float(x) for x in sums.total / sums.frames)
        return {"priority": priority, "excess": excess, "audible_frames": audible}

    def channel(r: Stream, t: Stream) -> Channel:
        error = t._replace(samples=t.samples - r.samples)
        return spectral(
            r,
            error,
            model.stft,
            measure,
            2,
            lambda sums, frames, _: (sums[..., 0] + sums[..., 1]) / frames,
            lambda sums: (sums.map[:, :, 0] + sums.map[:, :, 1]) / sums.frames,
            view,
            per_frame=lambda sums, _: np.concatenate([sums, sums[..., 1:] > 0], axis=-1),
            details=details,
        )

    return pool([channel(*pair) for pair in streams(ref, test, rate, weighting, coef, mid_side)])


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors. Thresholds and weights are constants of the reference, found on detached samples."""
    import torch

    from ..engine.tensors import by_kernels, modulus, power, spectra

    model = _prepared(rate, o.noise, o.level)
    transform, masks, objective = spectra(model.stft), models.masking.threshold.masks_torch(), model.objective(o.noise)
    scale = model.gain / models.masking.threshold.LINES

    def text(ref: Any, test: Any) -> Any:
        x, e = transform(ref), transform(test - ref)
        weights, inverse = masks(ref, rate, o.level).unbind(1)
        both = modulus(x) + modulus(x + e)
        squares = power(e, 0.0)
        difference = (2 * (x.conj() * e).real + squares) / torch.where(both > 0, both, 1)
        value = scale * (weights * difference.square()).sum(2).mean(1)
        if o.noise:
            value = value + o.noise * (model.gain * inverse * squares - 1).amax(2).relu().mean(1)
        return value

    def kernels(ref: Any, test: Any, gradient: bool, jobs: int) -> Any:
        return engine.transposes.evaluate(objective, ref, test - ref, gradient, jobs)

    return by_kernels(text, kernels)


def _prepared(rate: int, noise: float, level: float) -> Any:
    if not 0 <= noise <= 1e9:
        raise UsageError(f"masked-loss: noise is a weight of 0 to 1e9, not {noise:g}")
    return models.masking.threshold.MaskingModel.of(rate, level)
