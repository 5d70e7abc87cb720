"""Model output variables of ITU-R BS.1387-1 (PEAQ), advanced version: modulation, noise loudness and linear distortion
as the ear with a filter bank hears them, noise to mask and harmonics of the error as that with an FFT does.

Read as by GstPEAQ 0.6.1 (Holters and Zoelzer, DAFx-15).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...engine.threads import in_threads
from . import fft_ear, filter_bank_ear
from .disturbance import adapt, harmonic_error, loudness, modulate, modulation_differences, noise_loudness
from .fft_ear import RATE, BarkEar, add_up
from .filter_bank_ear import FilterBankEar
from .output_variables import SOUNDING

if TYPE_CHECKING:
    from .audible import Audible

Array = NDArray[Any]
Frames = tuple[int, int]  # the first that counts, and the first behind it that does not

DELAY = 125  # frames of the filter bank, 0.5 s, until modulation has settled
AFTER_LOUD = 13  # frames, 50 ms, from where both signals are above 0.1 sone
NEIGHBOURS = 1, 1  # bands before and after that the correction factors are averaged with (eq. 52)
LOUDNESS = 1.26539  # eq. 58
ADDED, LOST = (2.5, 0.3, 1.0), (1.5, 0.15, 1.0)  # alpha, threshold factor and S0 of the noise loudness (eq. 66 to 68)
AUDIBLE = 0.1  # sones of noise that count


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What one channel's listener heard.

    difference, weight: [frame], modulation difference in percent and what it counts (eq. 63 to 65). added, lost,
    linear: [frame], sones of what the test has more, of what it lacks and of what adaptation took out. loud: [frame],
    whether both signals are above 0.1 sone. These are frames of the filter bank, in which `fine` count.
    noise: [frame], noise to mask in the mean of the bands; harmonic: [frame], of the error, nan where nothing sounds;
    cells: [frame, part], noise to mask, summed in each part of the bands. These are frames of the FFT that count.
    """

    fine: Frames
    difference: Array
    weight: Array
    added: Array
    lost: Array
    linear: Array
    loud: Array
    noise: Array
    harmonic: Array
    cells: Array


def listen(sound: Audible, level: float) -> list[Heard]:
    """What is heard in each ear. level: dB SPL of a full-scale sine."""
    ref, test, frames = sound.ref, sound.test, sound.frames
    fine_ear = FilterBankEar.of(level)
    fine = fft_ear.data_boundary(ref, filter_bank_ear.HOP, filter_bank_ear.HOP)
    sounding = np.max([_half_energies(x, frames) for x in (*ref, *test)], axis=0) >= SOUNDING

    def hear(c: int) -> Heard:
        fines = _listen_finely(ref[c], test[c], fine_ear, fine[1])
        return Heard(fine, *fines, *_listen(ref[c], test[c], sound.ear, frames, sound.cuts, sounding))

    return in_threads(hear, range(len(ref)), sound.threads)


def _half_energies(x: Array, frames: Frames) -> Array:
    """Sums of squares in the second halves of these frames of the FFT."""
    hop = fft_ear.HOP
    late = x[(frames[0] + 1) * hop : (frames[1] + 1) * hop]
    whole = late[: late.size // hop * hop].reshape(-1, hop)
    rest = late[whole.size :].astype(np.float64)
    energies = np.append(np.einsum("ij,ij->i", whole, whole, dtype=np.float64), rest @ rest)
    return np.append(energies, np.zeros(1))[: frames[1] - frames[0]]


def _listen_finely(
    ref: Array, test: Array, ear: FilterBankEar, frames: int
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Fields difference to loud of Heard, through the filter bank."""
    out = np.empty((5, frames))
    loud = np.zeros(frames, np.bool_)
    listeners = [filter_bank_ear.listener(x, ear, frames) for x in (ref, test)]
    bands, per_second = ear.centres.size, RATE / filter_bank_ear.HOP
    decay = fft_ear.decays(ear.centres, 0.050, hop=filter_bank_ear.HOP)
    quiet = ear.noise**0.3
    levels, factors, corrections = np.zeros((3, 2, bands))
    envelopes = np.zeros((2, 3, bands))
    work = np.empty((6, filter_bank_ear.BLOCK, bands))
    unused = np.empty(filter_bank_ear.BLOCK)
    for start in range(0, frames, filter_bank_ear.BLOCK):
        n = min(filter_bank_ear.BLOCK, frames - start)
        difference, weight, added, lost, linear = out[:, start : start + n]
        (ref_spread, ref_excitation), (test_spread, test_excitation) = (listen(start, n) for listen in listeners)
        mod_ref, mod_test, average, local, r, t = work[:, :n]
        modulate(test_spread, decay, per_second, envelopes[1], mod_test, average)
        modulate(ref_spread, decay, per_second, envelopes[0], mod_ref, average)
        modulation_differences(mod_ref, mod_test, average, quiet, local, difference, unused[:n], weight)
        adapt(ref_excitation, test_excitation, decay, *NEIGHBOURS, levels, factors, corrections, r, t)
        local[:] = r  # the first pattern is overwritten
        noise_loudness(local, t, mod_ref, mod_test, ear.noise, *ADDED, added)
        noise_loudness(t, r, mod_test, mod_ref, ear.noise, *LOST, lost)
        noise_loudness(r, ref_excitation, mod_ref, mod_ref, ear.noise, *LOST, linear)
        if not loud[:start].any():  # nobody asks for more than the first
            sones = (loudness(e, ear.centres, LOUDNESS) for e in (ref_excitation, test_excitation))
            loud[start : start + n] = np.minimum(*sones) > 0.1
    out[2][out[2] < AUDIBLE] = 0
    return out[0], out[1], out[2], out[3], out[4], loud


def _listen(
    ref: Array, test: Array, ear: BarkEar, frames: Frames, cuts: Array | None, sounding: Array
) -> tuple[Array, Array, Array]:
    """Fields noise to cells of Heard, through the FFT. sounding: [frame], whether harmonics count."""
    first, stop = frames
    noise, highest = np.empty((2, stop))
    harmonic = np.full(stop, np.nan)
    cells = np.empty((stop, 0 if cuts is None else len(cuts) - 1))
    ratio = np.empty((fft_ear.BLOCK, ear.centres.size))
    hear_ref = fft_ear.listener(ref, ear, stop)
    hear_test = fft_ear.listener(test, ear, stop, excite=False)
    which = np.append(np.zeros(first, np.bool_), sounding)
    for start in range(0, stop, fft_ear.BLOCK):
        n = min(fft_ear.BLOCK, stop - start)
        here = slice(start, start + n)
        r, t = hear_ref(start, n), hear_test(start, n)
        fft_ear.noise_to_mask(r, t, ear, noise[here], highest[here], ratio[:n])
        if cuts is not None:
            add_up(ratio[:n], cuts, cells[here])
        some = which[here]
        harmonic[here][some] = harmonic_error(r.weighted[some], t.weighted[some])
    return noise[first:], harmonic[first:], cells[first:]


def loud_together(heard: Sequence[Heard]) -> bool:
    """Whether reference and test are ever above 0.1 sone at a time."""
    return any(h.loud.any() for h in heard)


def advanced(heard: Sequence[Heard], floor: float = -inf) -> Array:
    """The variables of each ear in the order in which the network takes them, [ear, 5].

    floor: dB of noise to mask that a frame has at least; not in the standard.
    """
    first, stop = heard[0].fine
    settled = max(first, DELAY) if stop > DELAY else first  # of recordings too short to settle, all counts
    loud = int(np.argmax(np.logical_or.reduce([h.loud for h in heard])))
    begin = min(max(settled, loud + AFTER_LOUD), stop - 1)

    def rms(x: Array, weights: Array | None = None) -> float:
        return float(np.sqrt(np.average(x * x, weights=weights)))

    return np.array(
        [
            [
                np.sqrt(filter_bank_ear.BANDS) * rms(h.difference[settled:], h.weight[settled:] ** 2),
                rms(h.added[begin:]) + 0.5 * rms(h.lost[begin:]),
                np.mean(np.maximum(10 * np.log10(h.noise), floor)),
                0.0 if np.isnan(h.harmonic).all() else np.nanmean(h.harmonic),
                np.mean(h.linear[begin:]),
            ]
            for h in heard
        ]
    )
