"""PEAQ's ear with an FFT (fft_ear) and what disturbs it (disturbance) on tensors, in float64, for gradients on any
device. Patterns are [item, frame, band]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...engine.tensors import Constant, in_memory, power, root
from ...engine.threads import in_threads
from ...errors import InputError
from . import disturbance, fft_ear, output_variables, transposes
from .fft_ear import BarkEar, decays


class Pattern(NamedTuple):
    """Of signals in the ear: plain power [item, frame, bin], and after outer and middle ear; E2 and the excitation
    [item, frame, band]."""

    power: Tensor
    weighted: Tensor
    spread: Tensor
    excitation: Tensor


class BarkListener:
    """The ear at a level of playback, dB SPL of a full-scale sine."""

    def __init__(self, level: float) -> None:
        self.ear = ear = BarkEar.of(level)
        self.bins, self.window = int(ear.stops[-1]), Constant(ear.window)
        self.overlaps = Constant(ear.overlaps[:, : self.bins].T)
        self.gains, self.noise, self.offset = (
            Constant(ear.gains[: self.bins]),
            Constant(ear.noise),
            Constant(ear.offset),
        )
        self.over_time, self.over_bands = means(ear.decay), _spread(ear)

    def weighted(self, x: Tensor) -> Tensor:
        """x [item, sample] -> power after outer and middle ear [item, frame, bin]; InputError below a frame."""
        energy = power(self._spectrum(x)[..., : self.bins], 0.0)
        return energy * self.gains(energy)

    def pattern(self, x: Tensor) -> Pattern:
        """All of what is heard of x [item, sample]."""
        plain = power(self._spectrum(x), 0.0)
        energy = plain[..., : self.bins]
        weighted = energy * self.gains(energy)
        spread = self.spread(weighted)
        return Pattern(plain, weighted, spread, self.smeared(spread))

    def _spectrum(self, x: Tensor) -> Tensor:
        count, hop = fft_ear.count(x.shape[-1]), fft_ear.HOP
        if not count:
            raise InputError(fft_ear.without_frames(x.shape[-1]))
        halves = functional.pad(x.double(), (0, (count + 1) * hop - x.shape[-1])).unflatten(-1, (-1, hop))
        frames = torch.cat([halves[:, :-1], halves[:, 1:]], -1)
        frames = frames * self.window(frames)
        return cast(Tensor, _RealFFT.apply(frames) if in_memory(frames) else torch.fft.rfft(frames))

    def grouped(self, energy: Tensor) -> Tensor:
        """[item, frame, bin] -> [item, frame, band]."""
        return (energy @ self.overlaps(energy)).clamp(min=fft_ear.FLOOR)

    def spread(self, weighted: Tensor) -> Tensor:
        """E2, the unsmeared excitation, of weighted powers."""
        return self.over_bands(self.grouped(weighted) + self.noise(weighted))

    def smeared(self, spread: Tensor) -> Tensor:
        """The excitation."""
        return torch.maximum(self.over_time(spread), spread)

    def noise_to_mask(self, ref: Tensor, test: Tensor) -> Tensor:
        """As fft_ear.noise_to_mask, of each band, of signals [item, sample]."""
        r, t = self.weighted(ref), self.weighted(test)
        return self._over_mask(r, t, self.smeared(self.spread(r)))

    def over_mask(self, ref: Pattern, test: Pattern) -> Tensor:
        """The same of patterns."""
        return self._over_mask(ref.weighted, test.weighted, ref.excitation)

    def _over_mask(self, ref: Tensor, test: Tensor, excitation: Tensor) -> Tensor:
        noise = self.grouped((root(test) - root(ref)).square())
        return noise * self.offset(noise) / excitation


class _RealFFT(torch.autograd.Function):  # type: ignore[misc]
    """rfft of frames of even length; torch takes a transform of complex numbers, twice as long, for its transpose."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor) -> Tensor:
        ctx.length = frames.shape[-1]
        return torch.fft.rfft(frames)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        ends = functional.pad(torch.ones_like(slope[0, 0, 1:-1].real), (1, 1), value=2.0)
        return torch.fft.irfft(slope * ends, ctx.length, norm="forward") / 2


def means(decay: Any) -> Callable[[Tensor], Tensor]:
    """y[t] = decay y[t - 1] + (1 - decay) x[t], from 0, of x [item, frame, band] and decay [band]."""
    leak = Constant(decay)

    def mean(x: Tensor) -> Tensor:
        if in_memory(x):
            return cast(Tensor, _OnePole.apply(x, decay, False))
        a, shift = leak(x), 1
        y = (1 - a) * x
        while shift < x.shape[1]:  # each turn doubles how far back y reaches
            y = y + a * functional.pad(y[:, :-shift], (0, 0, shift, 0))
            a, shift = a.square(), 2 * shift
        return y

    return mean


class _OnePole(torch.autograd.Function):  # type: ignore[misc]
    """A one-pole mean by kernels; its transpose is the same one, backwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, decay: Any, backwards: bool) -> Tensor:
        ctx.decay, ctx.backwards = decay, backwards
        values = x.detach().contiguous().numpy()
        out = np.empty_like(values)
        _each_item(lambda i: transposes.one_pole(values[i], decay, backwards, out[i]), len(out))
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        return _OnePole.apply(slope, ctx.decay, not ctx.backwards), None, None


def _spread(ear: BarkEar) -> Callable[[Tensor], Tensor]:
    """BarkEar.spread. Without kernels every band's share in every other one is held, for each frame."""
    steps = np.arange(ear.bands) - np.arange(ear.bands)[:, None]  # from a band to those above it
    upwards, above = Constant(np.maximum(steps, 0)), Constant(steps > 0)
    downwards = Constant(np.where(steps <= 0, np.exp(0.4 * ear.down * np.maximum(-steps, 0)), 0.0))
    up, below, unity, rest = (Constant(a) for a in (ear.up, ear.below, ear.unity, ear.bands - np.arange(ear.bands)))

    def plain(energy: Tensor) -> Tensor:
        log = energy.log()
        slope = up(log) + 0.2 * fft_ear.STEP * log
        area = below(log) + (1 - (rest(log) * slope).exp()) / (1 - slope.exp())
        part = (0.4 * (log - area.log())).exp()
        shares = (0.4 * slope[..., None] * upwards(log)).exp() * above(log) + downwards(log)
        return (part[..., None, :] @ shares)[..., 0, :] ** 2.5 / unity(log)

    return lambda energy: cast(Tensor, _Spread.apply(energy, ear, plain) if in_memory(energy) else plain(energy))


class _Spread(torch.autograd.Function):  # type: ignore[misc]
    """Spreading over bands by kernels."""

    @staticmethod
    def forward(ctx: Any, energy: Tensor, ear: BarkEar, plain: Any) -> Tensor:
        ctx.ear, ctx.plain = ear, plain
        ctx.save_for_backward(energy)
        values = energy.detach().contiguous().numpy()
        out = np.empty_like(values)

        def task(i: int) -> None:
            out[i] = ear.spread(values[i])

        _each_item(task, len(out))
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        (energy,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient is to have one itself
            return torch.autograd.grad(ctx.plain(energy), energy, slope, create_graph=True)[0], None, None
        values, slopes = (x.detach().contiguous().numpy() for x in (energy, slope))
        out = np.empty_like(values)

        def task(i: int) -> None:
            out[i] = transposes.spread_slope(ctx.ear, values[i], slopes[i])

        _each_item(task, len(out))
        return torch.from_numpy(out), None, None


def _each_item(task: Callable[[int], None], items: int) -> None:
    in_threads(task, range(items), torch.get_num_threads())


class Disturbed:
    """What of a pair of signals [item, sample] is heard beside each other, as disturbance.Disturbance."""

    def __init__(self, level: float) -> None:
        self.listener = BarkListener(level)
        ear = self.listener.ear
        self.mean = means(decays(ear.centres, 0.050))
        self.quiet, self.noise = Constant(100 * ear.noise**0.3), Constant(ear.noise)
        step = np.arange(ear.bands)[:, None] - np.arange(ear.bands)
        near = (step >= -disturbance.BEFORE) & (step <= disturbance.AFTER)
        self.near = Constant(near / near.sum(axis=0))
        self.sones = _sones(ear)

    def modulation_difference(self, ref: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
        """Percent in the mean of the bands, and what it counts, [item, frame] each."""
        (m, average), (n, _) = (self._modulation(self._spread(x)) for x in (ref, test))
        return self._difference(m, n), self._weight(average)

    def modulation_differences(self, ref: Pattern, test: Pattern) -> tuple[Tensor, Tensor, Tensor]:
        """AvgModDiff1's and AvgModDiff2's, and what they count, [item, frame] each."""
        (m, average), (n, _) = (self._modulation(x.spread) for x in (ref, test))
        second = 100 * (torch.where(n >= m, 1.0, 0.1) * (n - m).abs() / (0.01 + m)).mean(2)
        return self._difference(m, n), second, self._weight(average)

    def _difference(self, m: Tensor, n: Tensor) -> Tensor:
        return 100 * ((n - m).abs() / (1 + m)).mean(2)

    def _weight(self, average: Tensor) -> Tensor:
        return (average / (average + self.quiet(average))).sum(2)

    def pair(self, ref: Tensor, test: Tensor) -> tuple[Pattern, Pattern]:
        """What is heard of both signals [item, sample]."""
        return self.listener.pattern(ref), self.listener.pattern(test)

    def noise_loudness(self, ref: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
        """Sones of the noise, partially masked, and whether both signals are above 0.1 sone, [item, frame] each."""
        x, y = self._spread(ref), self._spread(test)
        return self._noise(x, y, self.listener.smeared(x), self.listener.smeared(y))

    def noise_of(self, ref: Pattern, test: Pattern) -> tuple[Tensor, Tensor]:
        """The same of patterns."""
        return self._noise(ref.spread, test.spread, ref.excitation, test.excitation)

    def _noise(self, ref: Tensor, test: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Of E2 of both, and their excitations x and y."""
        (m, _), (n, _) = self._modulation(ref), self._modulation(test)
        loud = torch.minimum(self.sones(x.detach()), self.sones(y.detach())) > 0.1
        r, t = self._adapted(x, y)
        s, u = (disturbance.THRESHOLD * z + disturbance.S0 for z in (m, n))
        noise, masker = self.noise(r), s * r
        masked = noise + masker * (-disturbance.ALPHA * (t - r) / r).clamp(min=-700).exp()
        ratio = (u * t - masker).clamp(min=0) / masked
        return 24 * ((noise / u) ** 0.23 * (0.23 * ratio.log1p()).expm1()).mean(2), loud

    def _spread(self, x: Tensor) -> Tensor:
        return self.listener.spread(self.listener.weighted(x))

    def _modulation(self, spread: Tensor) -> tuple[Tensor, Tensor]:
        """Of E2, and the mean of the loudness that it is of."""
        heard = spread**0.3
        change = (heard - functional.pad(heard[:, :-1], (0, 0, 1, 0))).abs()
        average = self.mean(heard)
        return self.mean(fft_ear.RATE / fft_ear.HOP * change) / (1 + average / 0.3), average

    def _adapted(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Excitations without what of their difference in level and timbre is steady."""
        p, q = self.mean(x), self.mean(y)
        level = ((p * q).sqrt().sum(2, keepdim=True) / q.sum(2, keepdim=True)).square()
        r, t = x / level.clamp(min=1), y * level.clamp(max=1)
        n, d = self.mean(t * r), self.mean(r * r)
        down, up = ((z.clamp(max=1) @ self.near(z)) for z in (n / d, d / n))
        return r * self.mean(down), t * self.mean(up)


def _sones(ear: BarkEar) -> Callable[[Tensor], Tensor]:
    """disturbance.loudness."""
    f = ear.centres
    s = 10 ** (0.1 * (-2 - 2.05 * np.arctan(f / 4000) - 0.75 * np.arctan((f / 1600) ** 2)))
    quiet = 10 ** (0.364 * (f / 1000) ** -0.8)
    rest, gain, scale = (
        Constant(a) for a in (1 - s, s / quiet, 24 * disturbance.LOUDNESS * (quiet / (1e4 * s)) ** 0.23)
    )
    return lambda e: (scale(e) * ((rest(e) + gain(e) * e) ** 0.23 - 1)).clamp(min=0).mean(2)


# Which of PEAQ's frames and channels count, for signals [batch, channel, sample]; decided by their samples, no gradient


def together(ref: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Both, as far as the shorter one goes."""
    samples = min(ref.shape[-1], test.shape[-1])
    return ref[..., :samples], test[..., :samples]


class Boundary:
    """The data boundary of pairs. first, stop: [batch], the frames that count, the second one past them; all, where the
    reference is silent. sounding: [batch, channel], whether a channel counts; all, where everything is silent."""

    def __init__(self, ref: Tensor, test: Tensor) -> None:
        r, t = _sounds(ref), _sounds(test)
        self.count = fft_ear.count(ref.shape[-1])
        either = r.any(-1) | t.any(-1)
        self.sounding = either | ~either.any(1, keepdim=True)
        anywhere = r.any(1)
        silent = ~anywhere.any(1)
        at = torch.arange(anywhere.shape[1], device=ref.device)
        begin = torch.where(anywhere, at, anywhere.shape[1]).amin(1)
        end = torch.where(anywhere, at, -1).amax(1)
        hop, lead = fft_ear.HOP, fft_ear.FRAME - fft_ear.RUN
        first = -torch.div(lead - begin, hop, rounding_mode="floor")
        self.first = torch.where(silent, 0, first.clamp(min=0))
        self.stop = torch.where(
            silent, self.count, (torch.div(end, hop, rounding_mode="floor") + 1).clamp(max=self.count)
        )

    @property
    def settled(self) -> Tensor:
        """As output_variables.Heard.settled."""
        late = self.first.clamp(min=output_variables.DELAY)
        return torch.where(self.stop - output_variables.DELAY >= output_variables.WINDOW, late, self.first)

    def after_loud(self, loud: Tensor) -> Tensor:
        """The first frame that counts for the noise loudness, as output_variables.noise_loudness, of loud
        [batch, channel, frame]; that of settled signals where none is."""
        at = torch.arange(self.count, device=loud.device)
        reached = torch.where(loud.any(1), at, self.count).amin(1)
        reached = torch.where(reached == self.count, 0, reached + output_variables.AFTER_LOUD)
        return torch.minimum(torch.maximum(self.settled, reached), self.stop - 1)

    def frames(self, first: Tensor) -> Tensor:
        """1.0 from the first [batch] up to stop, else 0: [batch, 1, frame]."""
        at = torch.arange(self.count, device=first.device)
        return ((at >= first[:, None]) & (at < self.stop[:, None])).double()[:, None]

    def pooled(self, values: Tensor) -> Tensor:
        """[batch, channel] with the mean of those that count in place of those that do not: their mean is that mean."""
        mean = (values * self.sounding).sum(1, keepdim=True) / self.sounding.sum(1, keepdim=True)
        return torch.where(self.sounding, values, mean)


def _sounds(x: Tensor) -> Tensor:
    """Where a run of magnitudes adds up to a sound [.., sample]."""
    x = x.detach().abs().double()
    last = x.shape[-1] - fft_ear.RUN + 1
    total = sum((x[..., i : i + last] for i in range(1, fft_ear.RUN)), x[..., :last])
    return cast(Tensor, total >= fft_ear.LOUD)
