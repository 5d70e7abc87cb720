"""Model output variables of ITU-R BS.1387-1 (PEAQ), basic version: what was heard frame by frame, summed up.

Memories run over all frames; which of them count is section 5.2 of the standard. Where it leaves room, it is read as by
GstPEAQ 0.6.1 (Holters and Zoelzer, DAFx-15).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil, log10
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import fft_ear
from .disturbance import Disturbance, detect, highest_smoothed
from .fft_ear import BLOCK, add_up, listener

if TYPE_CHECKING:
    from .audible import Audible

Array = NDArray[Any]

DELAY = 24  # frames, 0.5 s, until modulation and noise loudness have settled; 22 at 44.1 kHz
AFTER_LOUD = 3  # frames, 50 ms, from where both signals are above 0.1 sone
WINDOW = 4  # frames, 100 ms, of the windowed modulation difference
DISTURBED = 10**0.15  # noise to mask of a disturbed frame, 1.5 dB
SOUNDING = 8000 / 32768**2  # energy of half a frame from which its harmonics count


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A pair in the ears. ears: one for each channel. first, stop: the frames that count, the second one past them.

    probability, steps: [ear, frame] of detection; after all single ears both together, if there are two.
    sounding: [frame], whether harmonics count.
    """

    ears: list[Disturbance]
    probability: Array
    steps: Array
    sounding: Array
    first: int
    stop: int

    @property
    def delay(self) -> int:
        """DELAY at the rate of the ear."""
        return ceil(DELAY * self.ears[0].ear.rate / fft_ear.RATE - 0.5)

    @property
    def cells(self) -> Array:
        """Cells of the frames that count, summed over the channels: [frame, part]."""
        result: Array = np.sum([e.cells[self.first : self.stop] for e in self.ears], axis=0)
        return result

    @property
    def settled(self) -> int:
        """The first frame that counts for modulation; of recordings too short to settle, all do."""
        return max(self.first, self.delay) if self.stop - self.delay >= WINDOW else self.first


def listen(sound: Audible, everything: bool) -> Heard:
    """What each ear and both together hear. everything: False for modulation differences and detection alone."""
    first, stop = sound.frames
    ears = [
        Disturbance(r, t, sound.ear, stop, sound.cuts, everything) for r, t in zip(sound.ref, sound.test, strict=True)
    ]
    together = [slice(c, c + 1) for c in range(len(ears))] + [slice(0, len(ears))] * (len(ears) > 1)
    probability, steps = np.empty((2, len(together), stop))
    sounding = np.zeros(stop, np.bool_)
    with ThreadPoolExecutor(min(sound.threads, len(ears))) as pool:
        every: Callable[..., Any] = pool.map if sound.threads > 1 and len(ears) > 1 else map
        for start in range(0, stop, BLOCK):
            n = min(BLOCK, stop - start)
            here = slice(start, start + n)
            heard = list(every(Disturbance.hear, ears, [start] * len(ears), [n] * len(ears)))
            exceeding, above = (np.stack(a) for a in zip(*((e.exceeding[:n], e.steps[:n]) for e in ears), strict=True))
            for i, these in enumerate(together):
                detect(exceeding[these], above[these], probability[i, here], steps[i, here])
            if everything:
                sounding[here] = np.max([b.half for pair in heard for b in pair], axis=0) >= SOUNDING
                which = sounding[here]
                list(every(Disturbance.hear_harmonics, ears, [start] * len(ears), heard, [which] * len(ears)))
    return Heard(ears, probability, steps, sounding, first, stop)


def noise_to_mask(sound: Audible, channel: int) -> tuple[Array, Array, Array]:
    """Of one of the channels that sound, in the mean and in the worst of the bands [frame], and added up between cuts
    [frame, part], for the frames that count; no other variable is looked at."""
    ear, cuts, (first, stop) = sound.ear, sound.cuts, sound.frames
    mean, highest = np.empty((2, stop))
    cells = np.empty((stop, 0 if cuts is None else len(cuts) - 1))
    ratio = np.empty((BLOCK, ear.bands))
    hear_ref = listener(sound.ref[channel], ear, stop)
    hear_test = listener(sound.test[channel], ear, stop, excite=False)
    for start in range(0, stop, BLOCK):
        n = min(BLOCK, stop - start)
        here = slice(start, start + n)
        fft_ear.noise_to_mask(hear_ref(start, n), hear_test(start, n), ear, mean[here], highest[here], ratio[:n])
        if cuts is not None:
            add_up(ratio[:n], cuts, cells[here])
    return mean[first:], highest[first:], cells[first:]


def modulation_difference(heard: Heard, ear: int, second: bool = False) -> float:
    """AvgModDiff1 or 2: percent."""
    e, frames = heard.ears[ear], slice(heard.settled, heard.stop)
    return float(np.average((e.difference_2 if second else e.difference)[frames], weights=e.weight[frames]))


def windowed_modulation_difference(heard: Heard, ear: int) -> float:
    """WinModDiff1: percent."""
    roots = np.sqrt(heard.ears[ear].difference[heard.settled : heard.stop])
    means = np.convolve(roots, np.ones(min(WINDOW, roots.size)) / min(WINDOW, roots.size), "valid")
    return float(np.sqrt(np.mean(means**4)))


def loud_together(heard: Heard) -> bool:
    """Whether reference and test are ever above 0.1 sone at a time."""
    return any(e.loud.any() for e in heard.ears)


def after_loud(heard: Heard) -> int:
    """The first frame that counts for noise loudness: once both are loud; the last one where that comes too late."""
    loud = np.logical_or.reduce([e.loud for e in heard.ears])
    return min(max(heard.settled, int(np.argmax(loud)) + AFTER_LOUD), heard.stop - 1)


def noise_loudness(heard: Heard, ear: int) -> float:
    """RmsNoiseLoud: sones."""
    return float(np.sqrt(np.mean(heard.ears[ear].noise_loudness[after_loud(heard) : heard.stop] ** 2)))


def bandwidths(heard: Heard, ear: int) -> Array:
    """BandwidthRef and BandwidthTest in bins of 23.4 Hz; 0 where the reference has none."""
    widths = heard.ears[ear].bandwidths[heard.first : heard.stop]
    widths = widths[widths[:, 0] > 0]
    result: Array = widths.mean(axis=0) if len(widths) else np.zeros(2)
    return result * (heard.ears[ear].ear.rate / fft_ear.RATE)


def total_noise_to_mask(noise: Array) -> float:
    """TotalNMR: dB, of noise to mask [frame]."""
    return 10 * log10(float(np.mean(noise)))


def disturbed_frames(highest: Array) -> float:
    """RelDistFrames: fraction, of the highest noise to mask [frame]."""
    return float(np.mean(highest > DISTURBED))


def harmonic_structure(heard: Heard, ear: int) -> float:
    """EHS; 0 where no frame sounds."""
    frames = slice(heard.first, heard.stop)
    harmonic = heard.ears[ear].harmonic[frames][heard.sounding[frames]]
    return float(np.mean(harmonic)) if harmonic.size else 0.0


def distorted_block(heard: Heard, ear: int) -> float:
    """ADB: lg of the steps above the threshold in the mean of the frames in which it is crossed, by the ear or, with
    -1, by both; 0 where there are none."""
    frames = slice(heard.first, heard.stop)
    crossed = heard.probability[ear, frames] > 0.5
    if not crossed.any():
        return 0.0
    steps = float(np.mean(heard.steps[ear, frames][crossed]))
    return log10(steps) if steps > 0 else -0.5


def detection_probability(heard: Heard, ear: int) -> float:
    """MFPD, of the ear or, with -1, of both."""
    return float(highest_smoothed(heard.probability[ear, heard.first : heard.stop]))


def basic(heard: Heard, ear: int) -> Array:
    """The 11 variables of one ear alone, in the order in which the network takes them."""
    e, frames = heard.ears[ear], slice(heard.first, heard.stop)
    return np.array(
        [
            *bandwidths(heard, ear),
            total_noise_to_mask(e.noise[frames]),
            windowed_modulation_difference(heard, ear),
            distorted_block(heard, ear),
            harmonic_structure(heard, ear),
            modulation_difference(heard, ear),
            modulation_difference(heard, ear, second=True),
            noise_loudness(heard, ear),
            detection_probability(heard, ear),
            disturbed_frames(e.highest[frames]),
        ]
    )
