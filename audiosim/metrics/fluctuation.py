"""Fluctuation patterns: how strongly and how fast the loudness of two recordings goes up and down in bands of hearing,
whatever the phase. Pampalk, Rauber and Merkl 2002, ACM Multimedia, 570-579; Pampalk 2006, section 2.2.4.

The specific loudness in 20 Bark bands is cut into segments of 3 s, half overlapping. The spectrum of each band's
loudness, up to 10 Hz, is weighted by how strong a fluctuation it makes, which peaks at 4 Hz, and smoothed; the pattern
is the median over segments. The channels are averaged first. Both may play anything, in any order and of any length.

details, of ref, test and difference (test - ref): gravity, the mean frequency of the fluctuation, Hz; bass, its part
below 200 Hz, 0 to 1; strength, the sum of the pattern.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import engine, models
from ..answer import Channel, Pair
from ..card import Card
from ..options import Options
from ..result import Twin

Array = NDArray[Any]

CARD = Card(
    title="Fluctuation patterns",
    family="music",
    unit="1",
    better="lower",
    identical=0.0,
    formula="Euclidean distance of medians over segments of |FFT| of loudness in bands over (f / 4 + 4 / f), to 10 Hz",
    source="Pampalk, Rauber and Merkl 2002, ACM Multimedia; Pampalk 2006, dissertation, TU Wien, section 2.2.4",
    conventions="The loudness follows Zwicker's power law behind the ear of ITU-R BS.1387, where Pampalk takes sone of"
    " equal-loudness contours: values are not those of the MA toolbox.",
    silence="Undefined where the reference or the test is silent.",
    caveat="No measure of quality: it is deaf to order, to pitch and to level, and a recording played backwards is"
    " about 0 from itself. A tempo that is faster by 5 % is another pattern. The channels are averaged. The profile"
    " and the map tell where the spectra are unlike, not parts of the value.",
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

FASTEST = 30  # bins, to 10 Hz
BASS = 3  # bands, to 200 Hz
SMOOTH = np.array([0.1, 0.4, 1.0, 0.4, 0.1])  # over neighbouring modulations
ACROSS = np.array([0.05, 0.25, 1.0, 0.25, 0.05])  # over neighbouring bands


def feature(samples: Array, o: Options) -> Array:
    """The pattern [band, modulation], flat."""
    del o
    modulations = models.modulations
    loudness = modulations.sensation(models.unaligned.mono(samples))
    cut = np.ascontiguousarray(modulations.segments(loudness, modulations.SEGMENT // 2))
    spectra = np.abs(engine.fft.rfft(cut)[..., 1 : 1 + FASTEST]) / (modulations.SEGMENT / 2) / _weakening()
    along, across = _smoothing(FASTEST, SMOOTH), _smoothing(modulations.BANDS, ACROSS)
    pattern: Array = np.median(across @ spectra @ along.T, axis=0)
    return pattern.reshape(-1)


def _weakening() -> Array:
    """How much weaker than its depth a fluctuation is felt, up to a factor [modulation]."""
    f = models.modulations.frequencies()[1 : 1 + FASTEST]
    return np.asarray(f / 4 + 4 / f)


def _smoothing(size: int, taps: Array) -> Array:
    """Matrix that takes weighted means over neighbours [size, size]."""
    half = taps.size // 2
    band = sum(tap * np.eye(size, k=k) for k, tap in zip(range(-half, half + 1), taps, strict=True))
    return np.asarray(band / np.sum(band, axis=1, keepdims=True))


def distances(one: Array, many: Array, o: Options) -> Array:
    del o
    result: Array = np.sqrt(np.square(many - one).sum(1))
    return result


def details(ref: Array, test: Array) -> dict[str, float]:
    f = models.modulations.frequencies()[1 : 1 + FASTEST]

    def of(pattern: Array) -> dict[str, float]:
        bands, whole = pattern.reshape(-1, FASTEST), float(pattern.sum()) or 1.0
        bass = float(bands[:BASS].sum() / whole)
        return {"gravity": float((bands @ f).sum() / whole), "bass": bass, "strength": float(pattern.sum())}

    return models.unaligned.sides(of(ref), of(test))


def measure(pairs: list[Pair], o: Options) -> Channel:
    return models.unaligned.measure(pairs, feature, distances, o, details)


def twin(rate: int, o: Options) -> Twin:
    del rate, o
    import torch

    from ..engine import tensors

    modulations = models.modulations
    sensation, weakening = modulations.sensation_torch(), tensors.Constant(_weakening() * (modulations.SEGMENT / 2))
    along = tensors.Constant(_smoothing(FASTEST, SMOOTH).T)
    across = tensors.Constant(_smoothing(modulations.BANDS, ACROSS))

    def pattern(x: Any) -> Any:
        cut = sensation(x).unfold(1, modulations.SEGMENT, modulations.SEGMENT // 2)
        spectra = tensors.modulus(torch.fft.rfft(cut)[..., 1 : 1 + FASTEST]) / weakening(cut)
        ordered = (across(cut) @ spectra @ along(cut)).sort(1).values
        middle, odd = divmod(ordered.shape[1], 2)
        return ordered[:, middle] if odd else (ordered[:, middle - 1] + ordered[:, middle]) / 2

    return models.unaligned.twin(pattern, lambda ref, test: tensors.root((test - ref).square().sum((1, 2))))
