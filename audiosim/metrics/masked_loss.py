"""Masked loss: spectral error weighted by the global masking threshold of the reference. Zhen, Lee, Sung, Beack and Kim
2020, IEEE Signal Processing Letters 27, 2159-2163 (arXiv 2101.00054); threshold of psychoacoustic model 1 of MPEG-1,
ISO/IEC 11172-3 annex D.

It adds two terms. Priority weighting: the squared difference of magnitudes counts as w = lg(p / m + 1), where p is the
reference's intensity and m its masking threshold; the sum over bins is divided by 512, the lines of the standard's
frame. Noise modulation: in each frame, what the error exceeds the threshold by, max(n / m - 1, 0), where n is the
intensity of the error, in the bin where that is the most. The first term alone is deaf where the reference is silent,
the second alone to what is masked. Intensities are in units of that at 0 dB SPL, so that in quiet both terms have about
the same size; Zhen et al. leave units and weights to the training. The standard has tables for 32, 44.1 and 48 kHz; its
formulas continue them to every rate from 4000 Hz on.

Details: priority, the weighted squared difference; excess, what exceeds the threshold (times noise); audible_frames,
the fraction of frames in which something does (0 for noise=0).
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
    title="Masked loss",
    family="perceptual",
    unit="intensity re 0 dB SPL",
    better="lower",
    identical=0.0,
    formula="mean over frames of sum lg(p/m + 1) (|Y| - |X|)^2 / 512 + noise max(|Y - X|^2/m - 1, 0), both over bins",
    source="Zhen et al. 2020, arXiv 2101.00054, losses 3 and 4; masking threshold of ISO/IEC 11172-3:1993, annex D.1",
    conventions="noise=0 is the priority weighting alone. Replications bring each file to a peak of 96 dB, leave out "
    "noise maskers or what in the slopes depends on level, or take sums for means.",
    silence="Defined: 0 when both are silent; for a silent reference, what exceeds the threshold in quiet.",
    caveat="It grows as the power of the error, without bounds. What the reference does not have is heard through its "
    "worst bin alone. Masking in time is not modelled.",
    version=2,
    level="a full-scale sine is 96 dB SPL, as in the standard, unless level says otherwise",
    symmetric=False,
    gradient="exact",
    target_gradient_ignores="the masking threshold and the weights",
    profile="local",
    map="sum",
)


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    noise: Annotated[float, Within(0, 1e9), "weight of what exceeds the masking threshold"] = 1.0
    level: Level = 96.0


def measure(pair: Pair, o: Options) -> Channel:
    model = models.masking.threshold.MaskingModel.of(pair.rate, o.level)
    error = pair.test._replace(samples=pair.test.samples - pair.ref.samples)

    def details(sums: Any) -> dict[str, float]:
        priority, excess, audible = (float(x) for x in sums.total / sums.frames)
        return {"priority": priority, "excess": excess, "audible_frames": audible}

    return spectral(
        replace(pair, test=error),
        model.stft,
        model.measure(o.noise),
        2,
        lambda sums, frames, _: (sums[..., 0] + sums[..., 1]) / frames,
        lambda sums: (sums.map[:, :, 0] + sums.map[:, :, 1]) / sums.frames,
        per_frame=lambda sums, _: np.concatenate([sums, sums[..., 1:] > 0], axis=-1),
        details=details,
    )


def twin(rate: int, o: Options) -> Twin:
    """Thresholds and weights are constants of the reference, found on detached samples."""
    import torch

    from ..engine.tensors import modulus, power, spectra, tell
    from ..hearing.tensors import fused

    model = models.masking.threshold.MaskingModel.of(rate, o.level)
    transform, masks = spectra(model.stft), models.masking.threshold.masks_torch()
    scale = model.gain / models.masking.threshold.LINES

    def of_error(ref: Any, error: Any) -> Any:
        x, e = transform(ref), transform(error)
        weights, inverse = masks(ref, rate, o.level).unbind(1)
        both = modulus(x) + modulus(x + e)
        squares = power(e, 0.0)
        difference = (2 * (x.conj() * e).real + squares) / torch.where(both > 0, both, 1)
        parts = {"priority": scale * (weights * difference.square()).sum(2).mean(1)}
        if o.noise:
            parts["excess"] = o.noise * (model.gain * inverse * squares - 1).amax(2).relu().mean(1)
        tell(lambda: {name: part.detach() for name, part in parts.items()})
        return sum(parts.values())

    value = fused(of_error, model.objective(o.noise))
    return lambda ref, test: value(ref, test - ref)
