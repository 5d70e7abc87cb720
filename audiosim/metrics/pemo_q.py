"""PEMO-Q: how well the internal representations of test and reference correlate, in modulations of a model of hearing.
Huber and Kollmeier 2006, IEEE Trans. Audio, Speech and Language Processing 14(6), 1902-1911.

The model: models.pemo. What is softer in the test than in the reference is first moved half of the way to it
(assimilation): what is missing disturbs less than what is added. psm correlates over all time and all bands, in each
modulation channel, weighted by its energy in the test. psmt does so in frames of 10 ms, and takes the value below which
5 % of the test's activity lies. odg is psmt on the scale of ITU-R BS.1116, 0 (imperceptible) to -4.

Details: psm, psmt and odg. per_time holds the psm of each frame. The map holds shares of the squared difference after
assimilation; per_band is 1 less what psm lacks there by these shares: it may fall far below 0, and its mean over the
bands of the ear is psm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import dsp, engine, models
from ..answer import Channel, Pair, shares, too_short
from ..card import Card
from ..errors import InputError, UsageError
from ..hearing import scales
from ..hearing.weighting import Weighted
from ..options import Within
from ..result import Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

Array = NDArray[Any]

CARD = Card(
    title="PEMO-Q",
    family="perceptual",
    unit="1",
    better="higher",
    identical=1.0,
    range=(-4.0, 1.0),
    formula="sum_m w_m corr(X_m, Y_m), X, Y: adapted envelopes of 33 bands behind 8 modulation filters, 0 to 129 Hz,"
    " where |Y| < |X|: (X + Y) / 2 for Y; w_m: share of the energy of Y",
    source="Huber and Kollmeier 2006, IEEE TASLP 14(6); Dau et al. 1996 and 1997; Hohmann 2002; adapt.c of Oldenburg",
    conventions="The authors' program is not public, and no value of it is known that could be compared. PEASS 2.0.1 is"
    " an independent program for the same: modulation=bank, variant=peass, level=120, output=psmt gives what its"
    " pemo_metric makes of its pemo_internal with 'fb', modulation=lowpass of that with 'lp', within 1e-5. As there,"
    " 33 filters lie 1 ERB apart (the paper speaks of 35), overshoots of the loops are not limited, and the activity"
    " of the test is its energy over 1 s. The authors bring both to one level first, as --gain match does. The"
    " mapping to odg is that of three public programs.",
    silence="Undefined where reference or test is silent or below the threshold of hearing.",
    caveat="What is missing hardly counts, by the assimilation: a test without its treble, or much softer, scores well."
    " Linear distortion is judged badly, as its authors say; so are codecs that make speech anew: of 84 conditions"
    " the better ones score lower. odg was fitted to codecs that keep the waveform. psmt and odg are those of a"
    " single frame, so their gradient reaches 10 ms only: train with psm, beside a loss that hears what is missing."
    " Memory grows by 80 MB a minute.",
    minimum="one frame: 10 ms",
    shortest=0.01,
    level="full-scale sine is 100 dB SPL (option level)",
    symmetric=False,
    gradient="exact",
    cap="silence: as if it were at the threshold of hearing",
    twice=False,
    zero_gradient_on_silence=True,
    profile="local",
    map="share",
)

ACTIVITY = 1.0  # s, over which the energy of the test is averaged that weighs a frame
CHUNK = 200  # frames at a time
KINK = 0.864  # of the mapping from psmt to odg
NOTHING = 1e-12  # model units squared, summed over a frame: below it is rounding


@dataclass(frozen=True, slots=True)
class Variant:
    assimilation: float  # part of the way that the softer test goes
    frame: float  # s
    quantile: float  # of the activity, below which psmt lies


VARIANTS = {"paper": Variant(0.5, 0.01, 0.05), "peass": Variant(0.25, 0.1, 0.5)}


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    output: Annotated[
        Literal["psm", "psmt", "odg"], "similarity of the whole, or of the worst moments, or these as a grade 0 to -4"
    ] = "psm"
    modulation: Annotated[
        Literal["bank", "lowpass"], "8 filters of Dau et al. 1997, or a low-pass at 8 Hz of Dau et al. 1996: faster"
    ] = "bank"
    variant: Annotated[
        Literal["paper", "peass"], "peass: frames of 100 ms, their median, and a quarter of the way of assimilation"
    ] = "paper"
    level: Annotated[float, Within(0, 140), "dB SPL of a full-scale sine; 100 dB are an amplitude of 1"] = 100.0

    @property
    def gain(self) -> float:
        """From samples to the amplitudes of the model."""
        return float(10 ** ((self.level - models.pemo.RANGE) / 20))

    @property
    def value_unit(self) -> str | None:
        return "ODG" if self.output == "odg" else None


def measure(pair: Pair, o: Options) -> Channel:
    variant, m = VARIANTS[o.variant], models.pemo.MODULATIONS[o.modulation]
    if not models.pemo.centres(pair.rate).size:
        return Channel(value=nan, reason=f"{pair.rate} Hz leave no band from {models.pemo.LOWEST:g} Hz on")
    if pair.ref.length < CARD.shortest * pair.rate:
        return Channel(value=nan, reason=too_short(CARD.shortest, pair.ref.length, pair.rate))
    x, y = (_adapted(s, pair, o) for s in (pair.ref, pair.test))
    for name, z in (("reference", x), ("test", y)):
        if np.max(z) < NOTHING:
            return Channel(value=nan, reason=f"the {name} is silent, or below the threshold of hearing")
    size = min(len(x), round(variant.frame * m.rate))
    states = [models.pemo.at_rest(m, x.shape[1]) for _ in range(2)]
    frames, cells, energies = [], [], []
    for first in range(0, len(x), CHUNK * size):
        part = slice(first, first + CHUNK * size)
        p, q = (models.pemo.modulated(z[part], m, state) for z, state in zip((x, y), states, strict=True))
        q = assimilated(p, q, variant.assimilation)
        frames += [moments(u, v, (1, 3)) for u, v in zip(in_frames(p, size), in_frames(q, size), strict=True)]
        energies.append(np.square(q).sum((1, 2)))
        if pair.detail != "value":
            cells += [z.sum((1, 2)) for z in in_frames(np.square(q - p), size)]
    by_frame = Moments(*(np.concatenate(z) for z in zip(*frames, strict=True)))
    local = similarity(by_frame)
    heard = activity(np.concatenate(energies), size, round(ACTIVITY * m.rate))
    worst = float(local[least(local[: heard.size], heard, variant.quantile)])
    details = {"psm": float(similarity(merged(by_frame))), "psmt": worst, "odg": float(grade(np.array(worst)))}
    channel = Channel(value=details[o.output], details=details)
    if pair.detail == "value":
        return channel
    centres = models.pemo.centres(pair.rate)
    cuts, edges = scales.bands(centres, pair.rate / 2, pair.band_edges)
    times = (np.arange(len(local)) + 0.5) * (size / m.rate)
    where = shares(scales.by_band(np.concatenate(cells), cuts), times, centres, cuts, edges, pair.detail)
    where["per_band"] = 1 - (1 - details["psm"]) * where["per_band"] * (centres.size / np.diff(cuts))
    return replace(channel, **where | {"per_time": local})


def twin(rate: int, o: Options) -> Twin:
    """In float64. Which moment is that of psmt is found without a gradient."""
    import torch
    from torch.nn import functional

    variant, m = VARIANTS[o.variant], models.pemo.MODULATIONS[o.modulation]
    if not models.pemo.centres(rate).size:
        raise UsageError(f"pemo-q: {rate} Hz leave no band from {models.pemo.LOWEST:g} Hz on")
    resample = dsp.polyphase.resampler_torch(rate, models.pemo.rate_for(rate), dsp.polyphase.short_taps)
    hear, modulate = models.pemo.adapted_torch(), models.pemo.modulated_torch(m)
    frame, window = round(variant.frame * m.rate), round(ACTIVITY * m.rate)

    def similarity(x: Any, y: Any, axes: tuple[int, ...]) -> Any:
        a, b = x - x.mean(axes, keepdim=True), y - y.mean(axes, keepdim=True)
        xx, yy, xy = ((p * q).sum(axes) for p, q in ((a, a), (b, b), (a, b)))
        both = (xx > NOTHING) & (yy > NOTHING)
        r = torch.where(both, xy / torch.where(both, xx * yy, 1).sqrt(), ((xx <= NOTHING) & (yy <= NOTHING)).to(xy))
        weight = y.square().sum(axes) + NOTHING
        return (r.clamp(-1, 1) * weight).sum(-1) / weight.sum(-1)

    def value(ref: Any, test: Any) -> Any:
        if ref.shape[-1] < CARD.shortest * rate:
            raise InputError(too_short(CARD.shortest, ref.shape[-1], rate))
        x, y = (modulate(hear(resample(z.double()) * o.gain, rate, m.rate)) for z in (ref, test))
        y = torch.where(y.abs() < x.abs(), variant.assimilation * x + (1 - variant.assimilation) * y, y)
        if o.output == "psm":
            return similarity(x, y, (1, 3))
        size = min(x.shape[1], frame)
        whole = x.shape[1] // size * size
        x, y = (z[:, :whole].unflatten(1, (-1, size)) for z in (x, y))
        local = similarity(x, y, (2, 4))
        energy = functional.pad(y.detach().flatten(1, 2).square().sum((2, 3)).cumsum(1), (1, 0))
        middle = (2 * torch.arange(whole // size, device=x.device) + 1) * size // 2
        low, high = (middle - window // 2).clamp(min=0), (middle + window // 2).clamp(max=whole)
        heard = (energy[:, high] - energy[:, low]) / (high - low)
        order = local.detach().argsort(dim=1, stable=True)
        total = heard.gather(1, order).cumsum(1)
        place = torch.searchsorted(total, variant.quantile * total[:, -1:]).clamp(max=total.shape[1] - 1)
        worst = local.gather(1, order.gather(1, place))[:, 0]
        if o.output == "odg":
            hyperbola = (-4.13 - 0.22 / (worst.clamp(max=KINK) - 0.98)).clamp(min=-4)
            worst = torch.where(worst < KINK, hyperbola, 16.4 * (worst - 1))
        return worst

    return value


class Moments(NamedTuple):
    """Of reference x and test y, assimilated: [..., modulation]."""

    samples: Array
    x: Array  # means
    y: Array
    xx: Array  # sums of squares and products about the means
    yy: Array
    xy: Array


def assimilated(x: Array, y: Array, part: float) -> Array:
    """y, where it is the smaller one by magnitude moved so far to x."""
    result: Array = np.where(np.abs(y) < np.abs(x), part * x + (1 - part) * y, y)
    return result


def in_frames(x: Array, size: int) -> list[Array]:
    """x [sample, ...] as [frame, sample, ...]: whole frames, and what is left."""
    whole = len(x) // size * size
    parts = x[:whole].reshape(-1, size, *x.shape[1:]), x[None, whole:]
    return [part for part in parts if part.size]


def moments(x: Array, y: Array, axes: Any) -> Moments:
    """Over some axes."""
    means = x.mean(axes, keepdims=True), y.mean(axes, keepdims=True)
    a, b = x - means[0], y - means[1]
    sums = [(p * q).sum(axes) for p, q in ((a, a), (b, b), (a, b))]
    return Moments(np.full_like(sums[0], x.size / sums[0].size), *(np.squeeze(z, axes) for z in means), *sums)


def merged(m: Moments) -> Moments:
    """Over the first axis (Chan, Golub and LeVeque 1983)."""
    count = m.samples.sum(0)
    x, y = ((m.samples * z).sum(0) / count for z in (m.x, m.y))
    a, b = m.x - x, m.y - y
    sums = ((z + m.samples * p * q).sum(0) for z, p, q in ((m.xx, a, a), (m.yy, b, b), (m.xy, a, b)))
    return Moments(count, x, y, *sums)


def similarity(m: Moments) -> Array:
    """Correlation [...], each modulation channel weighted by its energy in the test; 1 where nothing is heard."""
    quiet = [z <= NOTHING for z in (m.xx, m.yy)]
    either = quiet[0] | quiet[1]
    r = np.where(either, quiet[0] & quiet[1], np.clip(m.xy / np.sqrt(np.where(either, 1, m.xx * m.yy)), -1, 1))
    weight = m.yy + m.samples * m.y**2 + NOTHING
    result: Array = (r * weight).sum(-1) / weight.sum(-1)
    return result


def activity(energy: Array, size: int, window: int) -> Array:
    """Mean energy of the test within the window about each whole frame of so many samples: [frame]."""
    count = energy.size // size
    total = np.append(0.0, np.cumsum(energy[: count * size]))
    middle = (2 * np.arange(count) + 1) * size // 2
    low, high = np.maximum(middle - window // 2, 0), np.minimum(middle + window // 2, count * size)
    result: Array = (total[high] - total[low]) / (high - low)
    return result


def least(values: Array, weights: Array, part: float) -> int:
    """Which is the value that has so large a part of the weights below it or at it."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return int(order[np.searchsorted(total, part * total[-1])])


def grade(psmt: Array) -> Array:
    """Objective difference grade, 0 to -4, of psmt: a hyperbola below 0.864, a line above it."""
    hyperbola = np.maximum(-4, -4.13 - 0.22 / (np.minimum(psmt, KINK) - 0.98))
    result: Array = np.where(psmt < KINK, hyperbola, 16.4 * (psmt - 1))
    return result


def _adapted(s: Stream, pair: Pair, o: Options) -> Any:
    what = ("pemo", pair.rate, float(s.coef), s.lag, o.gain, o.modulation)
    m = models.pemo.MODULATIONS[o.modulation]
    return engine.cache.cached(s.samples, what, lambda: models.pemo.adapted(s, pair.rate, o.gain, m, pair.threads))
