"""Onset patterns: at which rates sounds begin, in bands of hearing, whatever the phase. After Pohle, Schnitzer, Schedl,
Knees and Widmer 2009, ISMIR, "On rhythm and general music similarity".

An onset is what the loudness in a Bark band has more than its mean over the 0.25 s before. The spectrum of the onsets,
in segments of 3 s, is taken in 21 bands from 1 to 16 Hz, a fifth of an octave apart; the pattern is the mean over
segments. On that axis another tempo is a shift: tempo=any lets the test be up to two fifths of an octave faster or
slower, and takes the least distance. The channels are averaged first. Both may play anything, in any order and of any
length.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import engine, models
from ..answer import Channel, Pair
from ..card import Card
from ..options import Options as Plain
from ..result import Twin

Array = NDArray[Any]

CARD = Card(
    title="Onset patterns",
    family="music",
    unit="1",
    better="lower",
    identical=0.0,
    formula="Euclidean distance of the means over segments of |FFT| of onsets, in fifths of an octave, 1 to 16 Hz",
    source="Pohle, Schnitzer, Schedl, Knees and Widmer 2009, ISMIR, section 2",
    conventions="Pohle et al. take onsets of log spectra in bands of a semitone. Here they are of specific loudness in"
    " 20 Bark bands: values are of another scale.",
    silence="Undefined where the reference or the test is silent.",
    caveat="No measure of quality: it is deaf to order, to pitch and to level. It hears attacks, so that a recording"
    " played backwards is another one. The channels are averaged. The profile and the map tell where the spectra are"
    " unlike, not parts of the value.",
    minimum="one segment: 65792 samples at 22.05 kHz",
    shortest=65792 / 22050,
    rate=22050,
    channels="averaged",
    pooling="downmix",
    joint_channels=True,
    lengths="any",
    level="any: it is evened out",
    symmetric=True,
    triangle=True,
    insensitive_to=("polarity", "gain"),
    gradient="exact",
    cap="the distance to a pattern of 0 where one is silent, 0 where both are",
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
)

BEFORE = 22  # frames, 0.25 s
PER_OCTAVE, SLOWEST, COUNT = 5, 1.0, 21  # periodicities, Hz
MOST = 2  # of them, by which tempo=any shifts


@dataclass(frozen=True, kw_only=True)
class Options(Plain):
    tempo: Annotated[Literal["same", "any"], "any: the test may be up to a third faster or slower"] = "same"


def feature(samples: Array, o: Options) -> Array:
    """The pattern [band, periodicity], flat."""
    del o
    modulations = models.modulations
    loudness = modulations.sensation(models.unaligned.mono(samples))
    sums = np.cumsum(np.concatenate([np.zeros((1, modulations.BANDS)), loudness]), axis=0)
    at = np.arange(len(loudness))
    first = np.maximum(at - BEFORE, 0)
    before = (sums[at] - sums[first]) / np.maximum(at - first, 1)[:, None]
    before[0] = loudness[0]
    onsets = np.maximum(loudness - before, 0)
    cut = np.ascontiguousarray(modulations.segments(onsets, modulations.SEGMENT // 4))
    cut = (cut - cut.mean(-1, keepdims=True)) * engine.windows.periodic("hann", modulations.SEGMENT)
    pattern: Array = (np.abs(engine.fft.rfft(cut)) @ _periodicities().T).mean(0) / (modulations.SEGMENT / 4)
    return pattern.reshape(-1)


@cache
def _periodicities() -> Array:
    """Triangles on the logarithm of the frequency, of unit sum [periodicity, bin]."""
    modulations = models.modulations
    octave = np.log2(np.maximum(modulations.frequencies(), 1e-3) / SLOWEST)
    apart = np.abs(octave - np.arange(COUNT)[:, None] / PER_OCTAVE)
    width = np.maximum(1 / PER_OCTAVE, 1.5 * modulations.frequencies()[1] / (SLOWEST * np.log(2) * 2.0**octave))
    triangles = np.maximum(0, 1 - apart / width)
    return np.asarray(triangles / triangles.sum(1, keepdims=True))


def distances(one: Array, many: Array, o: Options) -> Array:
    x, y = one.reshape(-1, COUNT), many.reshape(len(many), -1, COUNT)
    most = MOST if o.tempo == "any" else 0
    found = []
    for by in range(-most, most + 1):
        here, there = slice(max(0, by), COUNT + min(0, by)), slice(max(0, -by), COUNT + min(0, -by))
        apart = np.square(y[..., there] - x[:, here]).sum((1, 2))
        found.append(np.sqrt(apart * (COUNT / (COUNT - abs(by)))))
    result: Array = np.min(found, axis=0)
    return result


def measure(pairs: list[Pair], o: Options) -> Channel:
    return models.unaligned.measure(pairs, feature, distances, o)


def twin(rate: int, o: Options) -> Twin:
    del rate
    import torch
    from torch.nn import functional

    from ..engine import tensors

    modulations = models.modulations
    sensation, periodicities = modulations.sensation_torch(), tensors.Constant(_periodicities().T)
    window = tensors.Constant(engine.windows.periodic("hann", modulations.SEGMENT))

    def pattern(x: Any) -> Any:
        loudness = sensation(x)
        sums = functional.pad(loudness, (0, 0, 1, 0)).cumsum(1)
        at = torch.arange(loudness.shape[1], device=x.device)
        first = (at - BEFORE).clamp(min=0)
        before = (sums[:, at] - sums[:, first]) / (at - first).clamp(min=1)[:, None]
        before = torch.cat([loudness[:, :1], before[:, 1:]], 1)
        cut = (loudness - before).relu().unfold(1, modulations.SEGMENT, modulations.SEGMENT // 4)
        cut = (cut - cut.mean(-1, keepdim=True)) * window(cut)
        spectra = tensors.modulus(torch.fft.rfft(cut))
        return (spectra @ periodicities(cut)).mean(1) / (modulations.SEGMENT / 4)

    def distance(ref: Any, test: Any) -> Any:
        shifts = {"same": (0,), "any": range(-MOST, MOST + 1)}[o.tempo]
        apart = [
            (test[..., max(0, -by) : COUNT + min(0, -by)] - ref[..., max(0, by) : COUNT + min(0, by)])
            .square()
            .sum((1, 2))
            * (COUNT / (COUNT - abs(by)))
            for by in shifts
        ]
        return tensors.root(torch.stack(apart).amin(0))

    return models.unaligned.twin(pattern, distance)
