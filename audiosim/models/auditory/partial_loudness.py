"""How loud a difference is beside what two recordings have in common: partial loudness, by band and time.

1. Spectra: Blackman frames of 40 ms, every 8 ms, as powers re 0 dB SPL in strips of a quarter ERB.
2. Excitation: each strip spreads over ERB numbers, by STEEPEST dB per ERB downwards, and upwards by so much less
   PER_DB for each dB of its level, at least LEAST: 21 dB per ERB at 40 dB SPL and 8 from 76 dB on, where Terhardt 1979
   has 14 and 7 for the upward spread of masking. With a lower LEAST changes of the level of loud tones are noticed that
   listeners do not notice. Filters of soft sounds are symmetric (Moore and Glasberg 1987, Hearing Research 28,
   209-225), hence one constant for both. The upper slope grows with (f / kHz)^SHARPER. The top is rounded,
   (1 + a) exp(-a), as that of the filters of Patterson et al. 1982. Ear and internal noise are those of ITU-R BS.1387-1
   (hearing.loudness), so that an excitation of 1 is at the threshold in quiet.
3. The signal is |e_test - e_ref|. The masker is what both have, the lesser of the two, and what lingers of it: earlier
   maskers count with the tail of the temporal window of Plack, Oxenham and Drga 2002 (Acta Acustica 88, 348-358), as
   compressed power, and with an exponent of RECOVERY after that, since forward masking grows by less than 1 dB per dB
   (Jesteadt, Bacon and Lehman 1982, JASA 71, 950-962). Backward masking is that of the frames.
4. Partial specific loudness n of Moore, Glasberg and Baer 1997 (J. Audio Eng. Soc. 45, 224-240), with excitations in
   units of the threshold in quiet: a masker of excitation e raises the threshold to 1 + K e. The sum of n^4 over bands
   and time, whose fourth root grows as the loudness of the most audible part does, is taken beside the masker and
   without it.
5. What is as loud as the difference is, alone, lies S = (n / n_1 + 2^0.2)^5 - 2 times above its threshold; n_1 is such
   that a tone of 1 kHz at its threshold has 1. P power re 0 dB SPL of the difference, outside of the ear, S beside the
   masker and S_0 without: 10 lg(1 + P S / (S_0 + 1)) is the level of the difference when it sounds, alone, as loud as
   it does in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...engine.divergence import powers, project
from ...engine.fold import cutter
from ...engine.frames import STFT
from ...engine.kernel import kernel
from ...engine.stream import double, plain
from ...engine.threads import in_threads
from ...hearing import loudness, scales

Array = NDArray[Any]

FRAMES, LENGTH = 125, 5  # per second; hops that a frame is long
PIECE = 5  # frames, 40 ms: windows of 80 ms are two of them
LOWEST, HIGHEST = 25.0, 18000.0  # Hz
STRIP, PER_BAND = 0.25, 2  # ERB; a band is every second strip
STEEPEST, PER_DB, LEAST = 36.0, 0.37, 8.0  # dB per ERB; dB per ERB and dB SPL; dB per ERB
SMOOTH = 3  # frames on either side that an excitation is the mean over: 56 ms, so that what is random cancels
NEAR = 2  # strips on either side, which make a band of about one ERB, whose level counts
SHARPER = 0.6  # exponent of frequency in kHz
K = 0.4  # what a tone in noise has at its threshold, of the noise in its band: -4 dB
EXPONENT = 0.2  # of loudness
LINGERS, TAIL = 0.0166, 0.17  # seconds and weight of the tail of the temporal window
RECOVERY = 3.0  # exponent by which what lingers is power again
NOTICED = 0.355  # n of a tone of 1 kHz at its threshold in quiet, over 3^0.2 - 2^0.2
AT_ONCE, TOGETHER = 240, 16  # frames of a task, whole pieces; tasks
FADES = float(1 - np.exp(-1 / (FRAMES * LINGERS)))  # of the tail, from frame to frame
_DB = float(10 / np.log(10))


class Ear(NamedTuple):
    """Constants at a rate.

    stft: how it is cut into frames. weights: [strip, bin], from |X|^2 to power re a full-scale sine. frequencies: Hz
    [band]. transmitted: [strip], part of the power that comes through the ear. noise: [band], power re 0 dB SPL. steep:
    [strip], (f / kHz)^SHARPER. below: [strip], what reaches a band so many strips below.
    """

    stft: STFT
    weights: Array
    starts: Array  # of the bins that a strip has [strip], and one past the last
    stops: Array
    frequencies: Array
    transmitted: Array
    noise: Array
    steep: Array
    below: Array


@lru_cache(maxsize=16)
def ear(rate: int) -> Ear:
    hop = max(1, round(rate / FRAMES))
    size = LENGTH * hop
    stft = STFT.of(max(128, 1 << (size - 1).bit_length()), hop, "blackman", size, pad="zero")
    low, high = scales.erb_rate([LOWEST, min(HIGHEST, rate / 2)])
    cams = low + STRIP * np.arange(PER_BAND * int((high - low) / (STRIP * PER_BAND)) + 1)
    f = scales.erb_rate_inverse(cams)
    bins = scales.erb_rate(stft.frequencies(rate)).clip(cams[0])  # what is lower counts in the lowest
    away = np.abs(bins - cams[:, None]) / STRIP
    weights = np.maximum(1 - away, 0) * (4 / (stft.n_fft * np.sum(stft.window**2)))
    weights[:, 0] /= 2  # all other bins stand for two
    heard = np.minimum(f, 16000.0)
    a = np.arange(cams.size) * STRIP * STEEPEST / _DB
    return Ear(
        stft,
        weights,
        *scales.support(weights),
        f[::PER_BAND],
        10 ** (loudness.transmission(heard) / 10),
        10 ** (loudness.internal_noise(heard[::PER_BAND]) / 10),
        (heard / 1000) ** SHARPER,
        (1 + a) * np.exp(-a),
    )


def excitations(power: Array, e: Ear) -> Array:
    """In units of the threshold in quiet [..., band], of powers re 0 dB SPL [..., strip] outside of the ear."""
    inside = (power * e.transmitted).reshape(-1, power.shape[-1])
    out = np.zeros((len(inside), e.noise.size))
    _spread(inside, _ratios(np, inside, e.steep), e.below, out)
    return (out / e.noise).reshape(*power.shape[:-1], -1)


@kernel
def _spread(power: Array, ratios: Array, below: Array, out: Array) -> None:
    """To out [frame, band] what comes from each strip [frame, strip]."""
    bands = out.shape[1]
    for f in range(len(power)):
        row = out[f]
        for k in range(power.shape[1]):
            s = power[f, k]
            if s <= 0:
                continue
            first = k // PER_BAND + 1  # that lies above
            for b in range(first):
                row[b] += s * below[k - PER_BAND * b]
            step = ratios[f, k] * PER_BAND
            a = ratios[f, k] * (PER_BAND * first - k)
            part, ratio = s * np.exp(-a), np.exp(-step)
            for b in range(first, bands):
                row[b] += part * (1 + a)
                part *= ratio
                a += step


# What takes xp is written for NumPy and torch alike: xp is one or the other.


def _ratios(xp: Any, inside: Any, steep: Any) -> Any:
    """a of one strip upwards [..., strip], of powers re 0 dB SPL [..., strip] inside of the ear."""
    edge, strips = xp.zeros_like(inside[..., :NEAR]), inside.shape[-1]
    padded = xp.concatenate([edge, inside, edge], -1)
    level = _DB * xp.log(sum(padded[..., k : k + strips] for k in range(2 * NEAR + 1)).clip(1.0))
    return (STEEPEST - PER_DB * level).clip(LEAST) * steep * (STRIP / _DB)


def specific(xp: Any, signal: Any, masker: Any) -> Any:
    """Partial specific loudness of an excitation beside another, both in units of the threshold in quiet."""
    signal = signal.clip(1e-12)
    threshold = K * masker + 1
    at_threshold = (masker + threshold + 2) ** EXPONENT
    three, two = 3**EXPONENT, 2**EXPONENT
    rest = (masker + 2) ** EXPONENT
    rise = rest * xp.expm1(EXPONENT * xp.log1p(signal / (masker + 2)))
    above = rest + rise - two - (at_threshold - three) * (threshold / signal) ** 0.3
    below = (2 * signal / (signal + threshold)) ** 1.5 * rise * ((three - two) / (at_threshold - rest))
    return xp.where(signal >= threshold, above, below)


def lingering(tail: Any) -> Any:
    """What lingers, as an excitation, of the tail of compressed maskers."""
    return (1 + TAIL * tail) ** RECOVERY - 1


def _smoothed(x: Any) -> Any:
    """Means of frames and SMOOTH neighbours on either side [..., frame, strip]; x has those neighbours too."""
    frames = x.shape[-2] - 2 * SMOOTH
    return sum(x[..., k : k + frames, :] for k in range(2 * SMOOTH + 1)) / (2 * SMOOTH + 1)


@kernel
def _tails(masker: Array, state: Array, out: Array) -> None:
    """out [frame, band]: the tail of compressed maskers that came earlier; state [band]: that of the next frame."""
    for t in range(len(masker)):
        for b in range(state.size):
            out[t, b] = state[b]
            state[b] += FADES * (masker[t, b] - state[b])


def fourth(xp: Any, signal: Any, masker: Any) -> Any:
    """n^4 of bands of half an ERB."""
    return specific(xp, signal, masker) ** 4 * (STRIP * PER_BAND)


def sensation(xp: Any, total: Any) -> Any:
    """How many times its threshold a sound is, alone, that is as loud as a sum of n^4 over bands: S."""
    heard = total > 0  # else the gradient of the root is infinite
    n = xp.where(heard, total, 1) ** 0.25 * heard
    return (n / NOTICED + 2**EXPONENT) ** (1 / EXPONENT) - 2


def level(xp: Any, power: Any, partial: Any, alone: Any) -> Any:
    """dB SPL, 0 at least: of power re 0 dB SPL and sums of n^4 over bands, beside the masker and alone."""
    return _DB * xp.log1p(power * sensation(xp, partial) / (sensation(xp, alone) + 1))


class Sums(NamedTuple):
    """Of some pieces: sums over their frames of the difference's power re 0 dB SPL and of n^4 alone [piece], and of n^4
    beside the masker, in all, and where the test has more [piece, band]."""

    power: Array
    alone: Array
    partial: Array
    added: Array


def pieces(ref: Array, test: Array, rate: int, full_scale: float, threads: int) -> Iterator[Sums]:
    """Sums of piece after piece, some at a time, of ref and test [sample]; full_scale: power re 0 dB SPL of a sine of
    amplitude 1. The bits are the same on any number of threads."""
    e = ear(rate)
    streams = double(plain(ref)), double(plain(test))
    count = e.stft.count(max(ref.size, test.size))

    def task(first: int) -> tuple[Array, Array]:
        frames = min(AT_ONCE, count - first)
        spectra = cutter(*streams, e.stft, frames + 2 * SMOOTH)(first - SMOOTH, frames + 2 * SMOOTH)
        bins, strips = np.empty(spectra.shape), np.empty((*spectra.shape[:2], e.transmitted.size))
        powers(spectra.view(np.float64), 0.0, bins)
        project(bins, e.starts, e.stops, e.weights, strips)
        strips *= full_scale
        strips = _smoothed(strips)
        return np.abs(strips[1] - strips[0]).sum(-1), excitations(strips, e)

    state = np.zeros(e.noise.size)
    for start in range(0, count, AT_ONCE * TOGETHER):
        stop = min(start + AT_ONCE * TOGETHER, count)
        for power, (x, y) in in_threads(task, range(start, stop, AT_ONCE), threads):
            signal, masker = np.abs(y - x), np.minimum(x, y)
            tail = np.empty_like(masker)
            _tails((1 + masker) ** EXPONENT - 1, state, tail)
            n = fourth(np, signal, masker + lingering(tail))
            alone = fourth(np, signal, np.zeros_like(masker)).sum(-1)
            at = np.arange(0, len(x), PIECE)
            yield Sums(*(np.add.reduceat(z, at, axis=0) for z in (power, alone, n, n * (y > x))))


def frames(samples: int, rate: int) -> int:
    """How many frames there are."""
    return ear(rate).stft.count(samples)


def level_torch(rate: int, full_scale: float) -> Callable[[Any, Any], Any]:
    """ref and test [item, sample], float64 -> the level of all of it [item]."""
    import torch
    from torch.nn import functional
    from torch.utils.checkpoint import checkpoint

    from ...engine.tensors import Constant, power, spectra

    e = ear(rate)
    transform = spectra(e.stft)
    away = PER_BAND * np.arange(e.noise.size) - np.arange(e.transmitted.size)[:, None]  # [strip, band]
    weights, transmitted, noise, steep, upwards, downwards, above = (
        Constant(x)
        for x in (
            e.weights.T * full_scale,
            e.transmitted,
            e.noise,
            e.steep,
            np.maximum(away, 0),
            np.where(away <= 0, e.below[np.maximum(-away, 0)], 0.0),
            away > 0,
        )
    )

    def spread(inside: Any) -> Any:
        a = _ratios(torch, inside, steep(inside))[..., None] * upwards(inside)
        reached = (1 + a) * torch.exp(-a) * above(inside) + downwards(inside)
        return (inside[..., None, :] @ reached)[..., 0, :]

    def excited(power: Any) -> Any:
        parts = (power * transmitted(power)).split(32, -2)  # what is between is large, and made again for the slope
        return torch.cat([checkpoint(spread, x, use_reentrant=False) for x in parts], -2) / noise(power)

    def value(ref: Any, test: Any) -> Any:
        edge, longest = SMOOTH * e.stft.hop, max(ref.shape[-1], test.shape[-1])
        ref, test = (functional.pad(x, (edge, edge + longest - x.shape[-1])) for x in (ref, test))
        p, q = (power(transform(x), 0.0) @ weights(x) for x in (ref, test))
        p, q = _smoothed(p), _smoothed(q)
        x, y = excited(p), excited(q)
        signal, masker = (y - x).abs(), torch.minimum(x, y)
        compressed, tail, tails = (1 + masker) ** EXPONENT - 1, torch.zeros_like(masker[:, 0]), []
        for now in compressed.unbind(1):
            tails.append(tail)
            tail = tail + FADES * (now - tail)
        partial = fourth(torch, signal, masker + lingering(torch.stack(tails, 1))).sum(-1).mean(1)
        alone = fourth(torch, signal, torch.zeros_like(masker)).sum(-1).mean(1)
        return level(torch, (q - p).abs().sum(-1).mean(1), partial, alone)

    return value
