"""Dynamics: how far apart the distributions of loudness of two recordings are, whatever their mean loudness.

The K-weighted level of blocks of 50 ms, over the mean power of all; what lies 60 LU below is silence. The distance is
the area between the two cumulated distributions, the mean way in LU that levels of the one must move to become those of
the other. The channels are averaged first. Both recordings may play anything, in any order and of any length.

details, of ref, test and difference (test - ref): range, from the 10th to the 95th percentile, LU; crest, the true peak
over the root mean square, both unweighted, dB.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import dsp, models
from ..answer import Channel, Pair
from ..card import Card
from ..errors import NoFeature
from ..hearing import weighting
from ..options import Options
from ..result import Twin

Array = NDArray[Any]

CARD = Card(
    title="Loudness profile",
    family="music",
    unit="LU",
    better="lower",
    identical=0.0,
    formula="mean over 100 quantiles of |Q(test) - Q(ref)|, Q: K-weighted level of blocks of 50 ms over the mean power",
    source="K-weighting: ITU-R BS.1770-4; percentiles of the range: EBU Tech 3342; W_1: Santambrogio 2015, ch. 2",
    conventions="The range of EBU Tech 3342 is of blocks of 3 s behind gates: lufs:output=range has it.",
    silence="Undefined where the reference or the test is silent.",
    caveat="No measure of quality: it is deaf to order, to level, and to all but levels of short blocks. A recording"
    " played backwards is about 0 from itself. Dense music and sparse music differ as much as a compressor's input and"
    " output. The profile and the map tell where the spectra are unlike, not parts of the value.",
    minimum="ten blocks: 24000 samples at 48 kHz",
    shortest=0.5,
    rate=48000,
    channels="averaged",
    pooling="downmix",
    joint_channels=True,
    lengths="any",
    level="any: it is evened out",
    symmetric=True,
    triangle=True,
    insensitive_to=("polarity", "gain"),
    gradient="exact",
    cap="the distance to a steady sound where one is silent, 0 where both are",
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
)

RATE = 48000
BLOCK, FEWEST = 2400, 10  # samples, and blocks that are needed
FLOOR = 1e-6  # of the mean power
QUANTILES = 100
RESPONSE = 1 << 14  # samples after which the K-weighting has died away, by more than 300 dB
SILENCE = 1e-100  # power that silence is given, in gradients


def feature(samples: Array, o: Options) -> Array:
    """Quantiles of the level in LU [100], and the crest factor in dB."""
    del o
    x = models.unaligned.mono(samples)
    if x.size < FEWEST * BLOCK:
        raise NoFeature(f"is {models.unaligned.too_short(x.size, FEWEST * BLOCK, RATE)}")
    cuts = np.append(np.arange(0, x.size - BLOCK + 1, BLOCK), x.size)  # the last block is the longest
    energies = np.empty(cuts.size - 1)
    dsp.recursive.energies(x, weighting.k_sections(RATE), cuts, energies)
    power = energies / np.diff(cuts)
    mean = energies.sum() / x.size
    levels = 10 * np.log10(power / mean + FLOOR) if mean > 0 else np.zeros(power.size)
    crest = 20 * np.log10(dsp.recursive.true_peak(x, RATE) / np.sqrt(np.mean(x**2)))
    return np.append(np.quantile(levels, (np.arange(QUANTILES) + 0.5) / QUANTILES), crest)


def distances(one: Array, many: Array, o: Options) -> Array:
    del o
    result: Array = np.abs(many[:, :QUANTILES] - one[:QUANTILES]).mean(1)
    return result


def details(ref: Array, test: Array) -> dict[str, float]:
    def of(feature: Array) -> dict[str, float]:
        low, high = np.interp([0.10, 0.95], (np.arange(QUANTILES) + 0.5) / QUANTILES, feature[:QUANTILES])
        return {"range": float(high - low), "crest": float(feature[-1])}

    return models.unaligned.sides(of(ref), of(test))


def measure(pairs: list[Pair], o: Options) -> Channel:
    return models.unaligned.measure(pairs, feature, distances, o, details)


def twin(rate: int, o: Options) -> Twin:
    del rate, o
    import torch

    from ..engine import tensors
    from ..errors import InputError

    response = tensors.Constant(dsp.recursive.response(weighting.k_sections(RATE), RESPONSE))

    def quantiles(x: Any) -> Any:
        x = x.mean(1)
        samples = x.shape[1]
        if samples < FEWEST * BLOCK:
            raise InputError(models.unaligned.too_short(samples, FEWEST * BLOCK, RATE))
        n = tensors.fast_length(samples + RESPONSE)
        weighted = torch.fft.irfft(torch.fft.rfft(x, n) * torch.fft.rfft(response(x), n), n)[:, :samples]
        square, inner = weighted.square(), (samples // BLOCK - 1) * BLOCK
        blocks = square[:, :inner].unflatten(1, (-1, BLOCK)).mean(2), square[:, inner:].mean(1, keepdim=True)
        power, mean = torch.cat(blocks, 1) + SILENCE, square.mean(1, keepdim=True) + SILENCE
        ordered = (10 * (power / mean + FLOOR).log10()).sort(1).values
        place = (torch.arange(QUANTILES, device=x.device, dtype=x.dtype) + 0.5) / QUANTILES * (ordered.shape[1] - 1)
        low = place.long()
        lower, upper = ordered[:, low], ordered[:, low + 1]
        return lower + (place - low) * (upper - lower)

    return models.unaligned.twin(quantiles, lambda ref, test: (test - ref).abs().mean(1))
