"""The model output variables of PEAQ's basic version (output_variables) on tensors, in float64, for gradients on any
device.

Their values are those of the kernels, steps and counts included. On the way back a smooth stand-in takes the place of
what is a step (the straight-through estimator; Bengio et al. 2013, arXiv 1308.3432, section 3.1):

- RelDistFrames, whether a frame is above 1.5 dB of noise to mask: a logistic function of it, 1 dB wide;
- BandwidthRef, BandwidthTest, how many bins there are up to the last one above a threshold: for each bin a logistic
  function of the highest level in or above it, 1 dB wide; the threshold, which is the test's own noise, is held;
- ADB, whole dB of difference: the difference;
- EHS, the logarithm of the power in a bin: that of the power and a billionth of the frame's mean.

Which frames, channels and ears count, and which of the bins holds a maximum, are decisions without a gradient.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ...engine.tensors import Constant, root
from . import disturbance, fft_ear, output_variables
from .disturbance import HIGH_BIN, LAGS, LAST_BIN, LEAST, TOP_BIN
from .tensors import Boundary, Disturbed, Pattern, means

SOFTNESS = 1.0  # dB, width of the logistic functions
QUIET = 1e-20  # power that the level of a bin does not fall below


class Detection(NamedTuple):
    """(|e| / s)^b and |int e| / s of eq. 75 to 77, [batch, channel, frame, band]."""

    exceeding: Tensor
    steps: Tensor


class OutputVariables:
    """At a level of playback, dB SPL of a full-scale sine. Signals are [batch, channel, sample], of equal length; each
    variable is [batch, channel], or of both ears together [batch]."""

    def __init__(self, level: float) -> None:
        self.disturbed = Disturbed(level)
        self.window = Constant(disturbance.WINDOW)
        self.smoothed = means(torch.tensor([0.9], dtype=torch.float64).numpy())

    def basic(self, ref: Tensor, test: Tensor) -> dict[str, Tensor]:
        """The 11 of each element [batch], as the network takes them: the mean of the channels that sound, ADB and MFPD
        of both ears together."""
        shape = ref.shape[:2]
        x, y = self.disturbed.pair(ref.flatten(0, 1), test.flatten(0, 1))
        boundary = Boundary(ref, test)
        frames = boundary.frames(boundary.first)
        settled = boundary.frames(boundary.settled)

        def apart(*values: Tensor) -> tuple[Tensor, ...]:
            return tuple(value.unflatten(0, shape) for value in values)

        def mean(values: Tensor) -> Tensor:
            return (values * frames).sum(2) / frames.sum(2)

        ratio = self.disturbed.listener.over_mask(x, y)
        noise, highest = apart(ratio.mean(2), ratio.amax(2))
        first, second, weight = apart(*self.disturbed.modulation_differences(x, y))
        weight = weight * settled
        sones, loud = apart(*self.disturbed.noise_of(x, y))
        late = boundary.frames(boundary.after_loud(loud))
        widths = apart(*bandwidths(x.power, y.power))
        with_width = frames * (widths[0].detach() > 0)
        count = with_width.sum(2).clamp(min=1)
        (harmonic,) = apart(self._harmonic(x, y))
        sounds = apart(torch.maximum(*(half_energy(z, boundary.count) for z in (ref, test))))[0].amax(1, keepdim=True)
        harmonics = frames * (sounds >= output_variables.SOUNDING)
        decibels = 10 * highest.clamp(min=QUIET).log10()
        over = _through(
            (highest > output_variables.DISTURBED).double(),
            ((decibels - 10 * log(output_variables.DISTURBED, 10)) / SOFTNESS).sigmoid(),
        )
        each = {
            "BandwidthRef": (widths[0] * with_width).sum(2) / count,
            "BandwidthTest": (widths[1] * with_width).sum(2) / count,
            "TotalNMR": 10 * mean(noise).log10(),
            "WinModDiff1": _windowed(first, boundary),
            "EHS": (harmonic * harmonics).sum(2) / harmonics.sum(2).clamp(min=1),
            "AvgModDiff1": (first * weight).sum(2) / weight.sum(2),
            "AvgModDiff2": (second * weight).sum(2) / weight.sum(2),
            "RmsNoiseLoud": root((sones.square() * late).sum(2) / late.sum(2)),
            "RelDistFrames": mean(over),
        }
        sounding = boundary.sounding.double()
        variables = {name: (v * sounding).sum(1) / sounding.sum(1) for name, v in each.items()}
        detection = Detection(*apart(*detected(x.excitation, y.excitation)))
        variables["ADB"], variables["MFPD"] = self.both_ears(detection, boundary)
        return variables

    def both_ears(self, detection: Detection, boundary: Boundary) -> tuple[Tensor, Tensor]:
        """ADB and MFPD [batch] of both ears together: the better one in each band."""
        frames = boundary.frames(boundary.first)[:, 0]
        total, steps = (values.amax(1).sum(2) for values in detection)
        probability = 1 - (-log(2) * total).exp()
        crossed = frames * (probability.detach() > 0.5)
        count = crossed.sum(1)
        average = (steps * crossed).sum(1) / count.clamp(min=1)
        some = average > 0
        block = torch.where(count > 0, torch.where(some, torch.where(some, average, 1).log10(), -0.5), 0)
        smoothed = self.smoothed((probability * frames)[..., None])[..., 0]
        return block, smoothed.amax(1)

    def _harmonic(self, ref: Pattern, test: Pattern) -> Tensor:
        """As disturbance.harmonic_error [item, frame]."""
        r, t = (z.weighted[..., : 2 * LAGS] for z in (ref, test))
        known = (r > LEAST) & (t > LEAST)
        ratio = _log(t, known) - _log(r, known)
        n = 2 * LAGS
        spectrum = torch.fft.rfft(ratio)
        half = torch.fft.rfft(ratio[..., :LAGS], n)
        c = torch.fft.irfft(spectrum * half.conj(), n)[..., :LAGS]
        squares = ratio.square()
        late = functional.pad(squares[..., LAGS:-1].cumsum(-1), (1, 0))
        norms = squares[..., :LAGS].flip(-1).cumsum(-1).flip(-1) + late  # of LAGS ratios from each of the first on
        product = norms[..., :1] * norms
        sounds = product > 0
        c = torch.where(sounds, c / torch.where(sounds, product, 1).sqrt(), 0).clamp(-1, 1)
        c = (c - c.mean(-1, keepdim=True)) * self.window(c)
        z = torch.fft.rfft(c)
        power = z.real.square() + z.imag.square()
        rising = power[..., 1:] * (power[..., 1:] > power[..., :-1])
        return 1000 * rising.amax(-1)


def detected(ref: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Detection of excitations [item, frame, band]."""
    x, y = 10 * ref.log10(), 10 * test.log10()
    level = 0.3 * torch.maximum(x, y) + 0.7 * y
    loud = level > 0
    p = torch.where(loud, level, 1)
    s = -0.198719 + p * (0.0550197 + p * (-0.00102438 + p * (5.05622e-6 + p * 9.01033e-11)))
    s = torch.where(loud, s + 5.95072 * (6.39468 / p.clamp(min=1e-9)) ** 1.71332, 1e30)
    e = x - y
    v = (e / s).square()
    return torch.where(e > 0, v.square(), v.square() * v), _through(e.trunc().abs() / s, e.abs() / s)


def bandwidths(ref: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Of reference and test in bins, both 0 where the first is none, [item, frame] each, of powers [item, frame,
    bin]."""
    noise = test[..., HIGH_BIN:TOP_BIN].amax(-1, keepdim=True)
    bin = torch.arange(1, HIGH_BIN + 1, device=ref.device)
    r, t = ref[..., :HIGH_BIN], test[..., :HIGH_BIN]
    width = (bin * (r > 10 * noise)).amax(-1)
    below = (bin * ((t >= 10**0.5 * noise) & (bin <= width[..., None]))).amax(-1)
    some = width > LAST_BIN

    def through(hard: Tensor, power: Tensor, over: float) -> Tensor:
        level = 10 * (power.clamp(min=QUIET) / noise.detach().clamp(min=QUIET)).log10() - over
        highest = level.flip(-1).cummax(-1)[0]
        return _through(hard * some, (highest / SOFTNESS).sigmoid().sum(-1) * some)

    return through(width, r, 10.0), through(below, t, 5.0)


def half_energy(x: Tensor, frames: int) -> Tensor:
    """Sums of squares in the second halves of frames, [batch * channel, frame]."""
    hop = fft_ear.HOP
    x = x.detach().double().flatten(0, 1)
    return functional.pad(x, (0, (frames + 1) * hop - x.shape[-1])).unflatten(-1, (-1, hop))[:, 1:].square().sum(2)


def _log(power: Tensor, known: Tensor) -> Tensor:
    """ln of powers [item, frame, bin], 0 where they are not known; 90 dB below the frame, its slope no longer grows."""
    p = torch.where(known, power, 1)
    floor = 1e-9 * power.detach().mean(-1, keepdim=True)
    return _through(p.log(), (p + floor).log() * known)


def _windowed(difference: Tensor, boundary: Boundary) -> Tensor:
    """WinModDiff1 of modulation differences [batch, channel, frame]."""
    settled = boundary.settled
    roots = root(difference) * boundary.frames(settled)
    size = output_variables.WINDOW
    sums = functional.pad(roots, (0, size - 1)).unfold(2, size, 1).sum(3)
    width = (boundary.stop - settled).clamp(max=size)
    at = torch.arange(sums.shape[2], device=sums.device)
    begins = ((at >= settled[:, None]) & (at <= (boundary.stop - width)[:, None])).double()[:, None]
    fourths = (sums / width[:, None, None]).square().square()
    return root((fourths * begins).sum(2) / begins.sum(2))


def _through(value: Tensor, smooth: Tensor) -> Tensor:
    """value, with the gradient of smooth."""
    return value.detach() + (smooth - smooth.detach())
