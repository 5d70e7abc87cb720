"""Auditory loss: what a network should change so that its output sounds like the target. Our own; made to train on.

Spectra of frames of 8, 32 and 128 ms pass outer and middle ear and auditory filters half an ERB apart
(hearing.loudness; a full-scale sine is 90 dB SPL). R, T and E are excitations over the threshold in quiet: of the
reference, of the test, and of their difference, wave from wave. The value is the mean over the frame lengths of:

* error: 1.2 times the mean of sqrt(E / (R + E / 2 + 1)) over frames and bands in which the reference is heard (R > 1).
  It is the error of the wave beside what masks it: it matters as much in a quiet band as in a loud one. The root keeps
  it from being all about the worst places. Below -30 dB the error counts quadratically, so that the slope is 0 at
  identity. E / 2 makes it saturate where the wave cannot be known: E / (R + 1) would lead to silence there.
* loudness: half the mean |difference| of specific loudness N = (1 + x)^0.23 - 1, over the reference's mean N + 0.17.
* level: a tenth of the mean |lg(1 + T) - lg(1 + R)|.

The error alone teaches networks to be too quiet where they cannot know the wave, as a vocoder cannot; loudness and
level alone leave polarity and phase to chance. Together they do better than each: tests/benchmarks/README.md has what
networks learn from it, and from other losses.

Details: the three parts, with their weights. compute works in float64, of float32 samples too; the loss stays in the
type of its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import hearing
from ..answer import Channel, Pair, mean_of_resolutions, spectral
from ..card import Card
from ..hearing.loudness import EXPONENT, Ear, Level
from ..hearing.weighting import Weighted
from ..result import Twin

Array = NDArray[Any]

CARD = Card(
    title="Auditory loss",
    family="perceptual",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean over frames of 8, 32, 128 ms of 1.2 sqrt(E / (R + E / 2 + 1)) + loudness / 2 + level / 10",
    source="ours; audiosim/metrics/auditory_loss.py tells what it is made of, tests/benchmarks/README.md what it does",
    conventions="Made to train on, where auditory was made to judge.",
    silence="Defined: against a silent reference the level of what is heard, 0 when both are silent.",
    caveat="It hears delay and polarity as a waveform measure does: align the target first. It is no measure of the"
    " quality of what may differ in phase, such as the output of a vocoder or a neural codec, where it ranks against"
    " listeners: use auditory to judge.",
    level="a full-scale sine is 90 dB SPL, unless level says otherwise",
    symmetric=False,
    gradient="exact",
    profile="local",
    map="sum",
)

FRAMES = (0.008, 0.032, 0.128)  # seconds
ERROR, LOUDNESS, LEVEL = 1.2, 0.5, 0.1  # weights
KNEE = 1e-3  # of E / (R + E / 2 + 1), below which an error counts quadratically
QUIET = 0.17  # specific loudness at the threshold in quiet
TERMS = 5
PARTS = ("error", "loudness", "level")


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    level: Level = 90.0

    float64: ClassVar[bool] = True


def measure(pair: Pair, o: Options) -> Channel:
    return mean_of_resolutions([_measure(pair, Ear.of(pair.rate, o.level, frame)) for frame in FRAMES])


def twin(rate: int, o: Options) -> Twin:
    import torch

    from ..engine.tensors import Constant, power, product, spectra, tell

    ears = [Ear.of(rate, o.level, frame) for frame in FRAMES]
    stages = [(spectra(ear.stft), Constant(ear.weights.T)) for ear in ears]

    def value(ref: Any, test: Any) -> Any:
        found = []
        for transform, weights in stages:
            x, y = transform(ref), transform(test)
            r, t, e = (product(p, weights(p)) for p in (power(z, 0.0) for z in (x, y, y - x)))
            heard = r > 1
            error = ((e / (r + e / 2 + 1) + KNEE).sqrt() - KNEE**0.5) * heard
            m, n = (torch.expm1(EXPONENT * z.log1p()) for z in (r, t))
            level = (t.log1p() - r.log1p()).abs() / np.log(10)
            terms = torch.stack([z.sum((1, 2)) for z in (error, heard, (n - m).abs(), m, level)], -1)
            found.append(torch.stack(_parts(terms, r[0].numel(), terms[:, 1], terms[:, 3])))
        parts = torch.stack(found).mean(0)
        tell(lambda: dict(zip(PARTS, parts.detach(), strict=True)))
        return parts.sum(0)

    return value


def _measure(pair: Pair, ear: Ear) -> Channel:
    excitation = ear.excitation(pair.ref.dtype)

    def errors(spectra: Any, edges: Any, out: Any) -> None:
        r, t, e = excitation(np.concatenate([spectra, spectra[1:] - spectra[:1]]))
        hearing.sensation.heard_errors(r, t, e, KNEE, EXPONENT, edges, out)

    def parts(sums: Any) -> Any:
        error, loudness, level = _parts(sums.map, sums.frames * sums.bins, *sums.total[[1, 3]])
        return error + loudness + level

    def finish(sums: Any, frames: Any, bins: Any) -> Any:
        return sum(_parts(sums, frames * bins, sums[..., 1], sums[..., 3]))

    def named(sums: Any) -> dict[str, float]:
        of = _parts(sums.total, sums.frames * sums.bins, *sums.total[[1, 3]])
        return dict(zip(PARTS, map(float, of), strict=True))

    return spectral(pair, ear.stft, errors, TERMS, finish, parts, frequencies=ear.centres, details=named)


def _parts(sums: Any, count: Any, heard: Any, whole: Any) -> tuple[Any, Any, Any]:
    """Weighted parts of sums [..., term] over so many frames and bands, in which the reference is heard so often and
    has so much loudness."""
    return (
        ERROR * sums[..., 0] / (heard + (heard == 0)),
        LOUDNESS * sums[..., 2] / (whole + QUIET * count),
        LEVEL * sums[..., 4] / count,
    )
