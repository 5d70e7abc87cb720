"""Patches of a reference found again in a test, as ViSQOL 3 does it: which of them are compared, where each lies best,
and how alike the two are there, band by band.

google/visqol at 38d0b01: visqol.cc, comparison_patches_selector.cc, image_patch_creator.cc, vad_patch_creator.cc,
rms_vad.cc, misc_audio.cc, gammatone_spectrogram_builder.cc, alignment.cc; Chinen et al. 2020, arXiv 2004.09584.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ... import engine, models
from ...engine.kernel import exact_kernel
from ...errors import InputError
from ...hearing import gammatone
from . import nsim
from .downmix import Downmix

Array = NDArray[Any]

FRAME = 0.08  # seconds; a frame begins every quarter of it
LOWEST = 50.0  # Hz, centre of the lowest band
LEAST_RATE = 1000  # Hz
FLOOR_DB, RANGE_DB = -45.0, 45.0  # of 10 lg of amplitudes: absolute, and below the louder of both in a frame
EPS = float(np.finfo(np.float64).eps)  # stands for an amplitude of 0
ACTIVE = 5000.0  # root mean square of 16-bit samples in a hop that holds a voice
PATCHES_AT_ONCE = 64  # whose similarities are held
FRAMES_AT_ONCE = 1024  # whose samples are held


class Mode(NamedTuple):
    """What tells the two modes of the original apart."""

    bands: int
    frames: int  # of a patch
    highest: float | None  # Hz, upper end of the bands; None for half the rate
    voice: bool  # patches without a voice are left out


AUDIO = Mode(32, 30, None, False)
SPEECH = Mode(21, 20, 8000.0, True)


class Ear(NamedTuple):
    """Frames and filters for one rate."""

    mode: Mode
    rate: int
    window: Array
    hop: int
    top: float  # Hz, upper end of the bands
    bank: gammatone.Bank

    @classmethod
    def of(cls, mode: Mode, rate: int) -> Ear:
        size = int(FRAME * rate + 0.5)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))
        top = min(mode.highest or rate / 2, rate / 2)
        return cls(mode, rate, window, size // 4, top, gammatone.erb_bank(mode.bands, LOWEST, top, rate))

    def count(self, samples: int) -> int:
        """Frames of so many samples; 0 for a single window, as in the original."""
        return 0 if samples <= self.window.size else 1 + (samples - self.window.size) // self.hop

    @property
    def shortest(self) -> int:
        """Samples of a reference that hold one patch."""
        frames = self.mode.frames + self.mode.frames // 2 - (1 if self.mode.voice else 0)
        return self.window.size + (frames - 1) * self.hop

    def starts(self, samples: int) -> Array:
        return np.arange(self.count(samples)) * self.hop

    def levels(self, x: Downmix, starts: Array, threads: int = 1, lowest: Array | None = None) -> Array:
        """Amplitudes [frame, band] in frames of x, see gammatone.frame_levels; starts need not rise."""
        out = np.empty((len(starts), self.mode.bands))
        lowest = np.zeros_like(starts) if lowest is None else lowest
        for k in range(0, len(starts), FRAMES_AT_ONCE):
            rows = slice(k, k + FRAMES_AT_ONCE)
            begin, low = starts[rows], np.maximum(lowest[rows], 0)
            first = max(int(begin.min()), 0)
            part = x.read(first, int(begin.max()) + self.window.size)
            out[rows] = gammatone.frame_levels(part, begin - first, self.window, self.bank, threads, low - first)
        return out


class Plan(NamedTuple):
    """What is compared with what. All but late are int64; samples are those of the recordings as they were given.

    late: samples by which the test is moved later as a whole; its frames are counted from there.
    patches: [patch] first frame of each in the reference.
    found: [patch] first frame of where it lies in the test, -1 where it was found nowhere.
    moved: [patch, 4], of those that are more alike moved by some samples: frames, first sample in the reference, first
        sample in the test, sample of the test below which zeros stand for it. No frames: it stays as it was found.
    """

    late: int
    patches: Array
    found: Array
    moved: Array


class Likeness(NamedTuple):
    """by_patch: similarity [patch, band]; times: [patch] of its centre in the reference, seconds."""

    by_patch: Array
    times: Array
    plan: Plan


def likeness(
    ref: Sequence[Array], test: Sequence[Array], ear: Ear, search: int, threads: int = 1, exact: bool = False
) -> Likeness | str:
    """How alike patches of ref are to test, both channels [sample] that are averaged to one; or why there is no value.

    search: how far from its place a patch is looked for, in patches, 1 or more. exact: the lag as the original finds
    it, in memory of many times the recordings; else that of long ones is found from coarse to fine.
    """
    if ear.rate < LEAST_RATE:
        return f"the bands begin at {LOWEST:g} Hz: the rate must be {LEAST_RATE} Hz or more, not {ear.rate} Hz"
    x, y = (Downmix(z, ear.rate) for z in (ref, test))
    if len(x) < ear.shortest:
        return too_short(ear, len(x))
    if len(y) <= ear.window.size:
        return f"too short: a frame takes {ear.window.size + 1} samples, the test has {len(y)}"
    if not any(part.any() for part in x.pieces()):
        return "the reference is silent"
    if exact or max(len(x), len(y)) <= x.long:
        late = models.visqol.rectified_lag.lag(x.read(0, len(x)), y.read(0, len(y)))
    else:
        late = models.visqol.rectified_lag.coarse_to_fine(x, y, ear.rate)
    if ear.count(len(y) + late) == 0:
        return f"nothing of the test is left where it lies best, {-late / ear.rate:.3f} s earlier"
    starts = ear.starts(len(x)), ear.starts(len(y) + late)
    gain = level_ratio(x, y, late)
    a = x.cached(("gammatone levels", ear.mode, ear.rate), lambda: ear.levels(x, starts[0], threads))
    b = gain * ear.levels(y, starts[1] - late, threads)
    patches = reference_patches(x, len(a), ear)
    r, t = decibels(a, b)
    found = find(r, patches, t, ear.mode.frames, search, threads)
    patches = patches[: len(found)]
    by_patch = np.zeros((len(found), ear.mode.bands))
    size = ear.mode.frames
    t = np.concatenate([t, np.zeros((size, t.shape[1]))])
    for k, (i, j) in enumerate(zip(patches, found, strict=True)):
        if j < 0:
            continue
        by_patch[k] = nsim.similarity(np, r[i : i + size], t[j : j + size]).mean(0)
    tried = range(len(found))
    moved = np.array(engine.threads.in_threads(lambda k: _moved(x, y, late, patches[k], found[k], ear), tried, threads))
    counts = moved[:, 0]
    fine_x = _fine(x, a, 0, counts, moved[:, 1], moved[:, 1], ear, threads)
    fine_y = _fine(y, b, late, counts, moved[:, 2], moved[:, 3], ear, threads, gain)
    for m, (u, v) in enumerate(zip(fine_x, fine_y, strict=True)):
        if len(u):
            again = nsim.similarity(np, *decibels(u, v)).mean(0)
            if again.mean() >= by_patch[m].mean():
                by_patch[m] = again
            else:
                moved[m, 0] = 0
    times = (patches * ear.hop + ((size - 1) * ear.hop + ear.window.size) / 2) / ear.rate
    return Likeness(by_patch, times, Plan(late, patches, found, moved))


def bands_torch(ear: Ear, search: int, exact: bool = False) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Similarity by band for tensors: ref, test [item, channel, sample] -> float64 [item, band], and 1 for the items
    that have a value, else 0 [item].

    What is compared with what is found without a gradient. InputError where ref is too short for a patch.
    """
    import torch

    from ...engine.tensors import Constant, root

    find_plan, levels = _plan_torch(), gammatone.frame_levels_torch()
    window, filters = Constant(ear.window), Constant(gammatone.as_rows(ear.bank))
    size, silent = ear.mode.frames, 10 ** (FLOOR_DB / 10)
    most = ear.count(size * ear.hop + 1)  # frames of a patch that was moved

    def decibels(r: Any, t: Any, real_r: Any, real_t: Any) -> Any:
        """As the function of that name, of [..., frame, band]; real: of the frames that are some."""
        r, t = (10 * x.clamp(min=silent).log10() for x in (r, t))
        n = min(r.shape[-2], t.shape[-2])
        both = (real_r[..., :n] & real_t[..., :n])[..., None]
        floor = torch.maximum(r[..., :n, :].amax(-1), t[..., :n, :].amax(-1))[..., None] - RANGE_DB
        r, t = (
            torch.cat([torch.where(both, x[..., :n, :].maximum(floor), x[..., :n, :]), x[..., n:, :]], -2)
            for x in (r, t)
        )
        far = torch.inf
        lowest = torch.minimum(
            *(
                x.masked_fill(~real[..., None], far).amin((-2, -1), keepdim=True)
                for x, real in ((r, real_r), (t, real_t))
            )
        )
        lowest = torch.where(lowest < far, lowest, 0)  # where no frame is real
        return tuple(torch.where(real[..., None], x - lowest, 0) for x, real in ((r, real_r), (t, real_t)))

    def frames(x: Any, first: Any, count: int) -> Any:
        """[item, patch, frame, band] of [item, frame, band] from the frames `first` on [item, patch]."""
        place = (first[..., None] + torch.arange(count, device=x.device)).clamp(0, x.shape[1] - 1).flatten(1)
        return x.gather(1, place[..., None].expand(-1, -1, x.shape[2])).unflatten(1, (first.shape[1], count))

    def value(ref: Any, test: Any) -> tuple[Any, Any]:
        x, y = (z.double().mean(1) for z in (ref, test))
        samples, others = x.shape[1], y.shape[1]
        if samples < ear.shortest:
            raise InputError(too_short(ear, samples))
        late, plan = find_plan(x.detach(), y.detach(), ear.mode.voice, ear.rate, search, exact)
        kind, patch, found, count, first_x, first_y, lowest_y = plan.unbind(-1)
        late = late[:, None]
        n, longest = ear.count(samples), ear.count(others + samples // 2)
        index = torch.arange(longest, device=x.device)
        real = others + late >= index * ear.hop + ear.window.size
        kept = torch.arange(others, device=x.device) >= -late
        power, rest = x.square().mean(1), (y * kept).square().sum(1) / (others + late[:, 0])
        sounds = rest > 0
        gain = torch.where(sounds, root(power / torch.where(sounds, rest, 1)), 1)[:, None, None]

        beyond, step = 4 * max(samples, others), torch.arange(most, device=x.device)
        moved = (step < count[..., None]) & (kind == MOVED)[..., None]

        def starts(whole: Any, first: Any) -> Any:
            fine = torch.where(moved, first[..., None] + step * ear.hop, beyond)
            return torch.cat([whole, fine.flatten(1)], 1)

        starts_x = starts((index[:n] * ear.hop).expand(len(x), n), first_x)
        starts_y = starts(torch.where(real, index * ear.hop - late, beyond), first_y)
        none = torch.full_like(starts_y[:, :longest], -beyond)
        lowest = torch.cat([none, lowest_y.repeat_interleave(most, 1)], 1)
        given = window(x), filters(x)
        a = levels(x, starts_x, torch.full_like(starts_x, -beyond), *given)
        b = gain * levels(y, starts_y, lowest, *given)

        r, t = decibels(a[:, :n], b[:, :longest], torch.ones_like(real[:, :n]), real)
        t = torch.cat([t, torch.zeros_like(t[:, :1])], 1)
        coarse = nsim.similarity(torch, frames(r, patch, size), frames(t, found, size)).mean(2)

        u, v = (z.unflatten(1, (patch.shape[1], most)) for z in (a[:, n:], b[:, longest:]))
        u, v = decibels(u, v, moved, moved)
        last = torch.minimum(step, (count[..., None] - 1).clamp(min=0))[..., None].expand(u.shape)
        fine = nsim.similarity(torch, u.gather(2, last), v.gather(2, last)) * moved[..., None]
        fine = fine.sum(2) / count.clamp(min=1)[..., None]

        kind = kind[..., None]
        by_patch = torch.where(kind == MOVED, fine, torch.where(kind == STAYS, coarse, 0))
        scored = (kind != NO_PATCH).sum(1)
        return by_patch.sum(1) / scored.clamp(min=1), (scored[:, 0] > 0).double()

    return value


NO_PATCH, LOST, STAYS, MOVED = range(4)


@cache
def _plan_torch() -> Callable[..., Any]:
    """(x, y [item, sample], whether voices count, rate, search, exact) -> Plan.late [item], and int64 [item, patch, 7]:
    what becomes of each, its frames, and Plan.moved. A decision without gradient, found on the CPU whatever the device.
    """
    import torch
    from torch.library import custom_op

    def like(x: Any, y: Any, voice: bool, rate: int, search: int, exact: bool) -> tuple[Any, Any]:
        ear = Ear.of(SPEECH if voice else AUDIO, rate)
        most = len(_all_patches(ear.count(x.shape[1]), ear.mode))
        return x.new_zeros(x.shape[0], dtype=torch.int64), x.new_zeros((x.shape[0], most, 7), dtype=torch.int64)

    def plan(x: Any, y: Any, voice: bool, rate: int, search: int, exact: bool) -> tuple[Any, Any]:
        late, table = like(x, y, voice, rate, search, exact)
        ear = Ear.of(SPEECH if voice else AUDIO, rate)
        for item, (r, t) in enumerate(zip(x.cpu().numpy(), y.cpu().numpy(), strict=True)):
            alike = likeness([r], [t], ear, search, torch.get_num_threads(), exact)
            if isinstance(alike, str):
                continue
            p = alike.plan
            kind = np.where(p.found < 0, LOST, np.where(p.moved[:, 0] > 0, MOVED, STAYS))
            rows = np.column_stack([kind, p.patches, p.found, p.moved])
            late[item] = p.late
            table[item, : len(rows)] = torch.from_numpy(rows).to(x.device)
        return late, table

    schema = "(Tensor x, Tensor y, bool voice, int rate, int search, bool exact) -> (Tensor, Tensor)"
    operator: Any = custom_op("audiosim::visqol_plan", plan, mutates_args=(), schema=schema)
    operator.register_fake(like)
    return operator  # type: ignore[no-any-return]


def too_short(ear: Ear, samples: int) -> str:
    """Why a reference of so many samples has no patch."""
    return f"too short: a patch takes {ear.shortest} samples, there are {samples}"


def level_ratio(x: Downmix, y: Downmix, late: int) -> float:
    """Root mean square of x over that of y moved later; 1 where y is silent."""
    energy = y.energy(max(-late, 0))
    return float(np.sqrt(x.energy() / len(x) * ((len(y) + late) / energy))) if energy else 1.0


def decibels(a: Array, b: Array) -> tuple[Array, Array]:
    """10 lg of amplitudes a [frame, band] and b [other frame, band], above the floors that both share: from 0 on."""
    r, t = (np.maximum(10 * np.log10(np.where(z == 0, EPS, z)), FLOOR_DB) for z in (a, b))
    n = min(len(r), len(t))
    floor = np.maximum(r[:n].max(1), t[:n].max(1))[:, None] - RANGE_DB
    r[:n], t[:n] = np.maximum(r[:n], floor), np.maximum(t[:n], floor)
    lowest = min(r.min(), t.min())
    return r - lowest, t - lowest


def reference_patches(x: Downmix, frames: int, ear: Ear) -> Array:
    """First frame of each patch of the reference x, which has so many frames: int64 [patch]."""
    starts, size = _all_patches(frames, ear.mode), ear.mode.frames
    if not ear.mode.voice:
        return starts
    active = _voice(x, size // 2 - 1, len(starts) * size, ear.hop).reshape(-1, size)
    result: Array = starts[active.any(1)]
    return result


def _all_patches(frames: int, mode: Mode) -> Array:
    """First frame of each patch, voice or not: int64 [patch]."""
    size, half = mode.frames, mode.frames // 2
    stop = half + (frames - half + 1) // size * size if mode.voice else max(frames - size, half + 1)
    return np.arange(half, stop, size) - 1


def _voice(x: Downmix, start: int, hops: int, hop: int) -> Array:
    """Whether each hop from the sample `start` on, or one of the two before it, is loud: bool [hop].

    start is a number of frames in the original too, where samples are counted.
    """
    peak = max(part.max() for part in x.pieces())
    loud = np.empty(hops, bool)
    for k in range(0, hops, FRAMES_AT_ONCE):
        count = min(FRAMES_AT_ONCE, hops - k)
        samples = x.read(start + k * hop, start + (k + count) * hop)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            scaled = np.nan_to_num(samples / peak * 32768, nan=32767)
        samples = np.trunc(np.clip(scaled, -32768, 32767)).reshape(count, hop)
        loud[k : k + count] = np.sqrt(np.square(samples).mean(1)) >= ACTIVE
    active: Array = loud.copy()
    active[1:] |= loud[:-1]
    active[2:] |= loud[:-2]
    active[:2] = True
    return active


def find(r: Array, patches: Array, t: Array, size: int, search: int, threads: int = 1) -> Array:
    """First frames of t [frame, band] where the patches of r [frame, band] are most alike in sum, one after the other:
    int64 [patch], -1 for a patch without which the sum is larger. What begins half a patch after the end is left out.

    patches: first frames in r, of so many frames. search: how far from its place one is looked for, in patches.
    """
    n, radius = len(t), search * size
    patches = patches[patches - size // 2 <= n]
    best, back = np.zeros(0), []
    ranges: list[tuple[int, int]] = []
    for block in range(0, len(patches), PATCHES_AT_ONCE):
        here = patches[block : block + PATCHES_AT_ONCE]
        windows = [(max(0, i - radius), min(i + radius + 1, n)) for i in here.tolist()]
        table = nsim.Search(t, size, windows[0][0], windows[-1][1])
        alike = engine.threads.in_threads(
            lambda k: table.along(r[here[k] : here[k] + size], *windows[k]),  # noqa: B023  it is used at once
            range(len(here)),
            threads,
        )
        for (first, stop), row in zip(windows, alike, strict=True):
            best, pointers = _step(row, first, ranges[-1][0] if ranges else -1, best)
            back.append(pointers)
            ranges.append((first, stop))
    found = np.empty(len(patches), np.int64)
    at = ranges[-1][0] + int(np.argmax(best))
    for k in reversed(range(len(patches))):
        first, stop = ranges[k]
        before = int(back[k][at - first]) if first <= at < stop else 0
        found[k] = -1 if before == at else at
        at = before
    return found


@exact_kernel
def _step(alike: Array, first: int, lowest: int, before: Array) -> tuple[Array, Array]:
    """The largest sums up to a patch, by its place, and where the one before it lies then, by place from `first` on;
    the same place where the patch is better left out.

    alike: of the patch, by place from `first` on. before: the sums up to the patch before it, by place from `lowest`
    on, and 0 beyond; lowest -1: there is none before it.
    """
    sums = np.empty(alike.size)
    pointers = np.full(alike.size, -1, np.int32)
    most = -np.inf
    at = -1
    b = lowest
    for k in range(alike.size):
        o = first + k
        sums[k] = alike[k]
        if lowest < 0:
            continue
        while b < o:
            other = before[b - lowest] if b - lowest < before.size else 0.0
            if other >= most:
                most = other
                at = b
            b += 1
        sums[k] += most
        pointers[k] = at
        other = before[o - lowest] if o - lowest < before.size else 0.0
        if other > sums[k]:
            sums[k] = other
            pointers[k] = o
    return sums, pointers


def _moved(x: Downmix, y: Downmix, late: int, patch: int, found: int, ear: Ear) -> tuple[int, int, int, int]:
    """A row of Plan.moved, tried: where the two lie best in the samples of the patch. Times in seconds are rounded as
    the original has them, and what lies beyond the end of the test is put before it."""
    if found < 0:
        return 0, 0, 0, 0
    period = ear.hop / ear.rate
    length, duration = len(y) + late, period * ear.mode.frames
    start, end = patch * period, patch * period + duration
    first = int(start * ear.rate)
    r = x.read(first, min(len(x) - 1, int(end * ear.rate)))
    start, end = found * period, found * period + duration
    lowest = int(start * ear.rate)
    silence = max(int(end * ear.rate - length), 0)
    t = _between(y, lowest - late, min(length - 1, int(end * ear.rate)) - late)
    t = np.concatenate([np.zeros(silence), t])
    lag = models.visqol.rectified_lag.lag(r, t)
    cut, samples = 0, min(len(r), len(t) + lag)
    if len(r) < len(t) + lag:
        cut = int(lag / ear.rate * ear.rate)
        samples = len(r) - cut
    return ear.count(samples), first + cut, lowest - silence + cut - lag - late, lowest - late


def _between(x: Downmix, first: int, stop: int) -> Array:
    """Samples of x, zeros before its first."""
    before = np.zeros(max(0, min(stop, 0) - first))
    return np.concatenate([before, x.read(first, stop)]) if before.size else x.read(first, stop)


def _fine(
    x: Downmix,
    levels: Array,
    late: int,
    counts: Array,
    firsts: Array,
    lowest: Array,
    ear: Ear,
    threads: int,
    gain: float = 1.0,
) -> list[Array]:
    """Levels [frame, band] from the samples `firsts` of x on, in so many frames each. What lies where frames of the
    whole lie is taken from there."""
    places = firsts + late
    known = (places % ear.hop == 0) & (firsts >= lowest) & (places // ear.hop + counts <= len(levels))
    new = np.where(known, 0, counts)
    starts = np.concatenate(
        [np.empty(0, np.int64), *(f + np.arange(n) * ear.hop for f, n in zip(firsts, new, strict=True))]
    )
    made = gain * ear.levels(x, starts, threads, np.repeat(lowest, new))
    parts = np.split(made, np.cumsum(new)[:-1])
    return [
        levels[place // ear.hop : place // ear.hop + count] if whole else part
        for place, count, whole, part in zip(places, counts, known, parts, strict=True)
    ]
