"""The spectrum of the test against that of the reference: gain, equaliser, low-pass; offset and dynamics too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from . import clipping, distortion, filters, sums
from .aligned import Aligned
from .levels import Dynamics, dynamics, levels, short, undone, variance
from .pair import Pair
from .spectra import Spectra, spectra
from .sums import BLOCK
from .timing import FRACTION, again, as_given

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

SHIFT = 0.05  # samples, below which a delay is none
ALIGNED = 0.9  # of the difference that is left at most when a fraction of a sample is undone
OWN_DELAY = 1.0  # of a period of the corner, by which an analogue low-pass is late at most: of order 8 it is 0.8
LEAST_DC = 2e-4
SURE = 5.0  # standard errors
TARGETS = (-14.0, -16.0, -23.0, -24.0)  # LUFS
ON_TARGET = 0.06  # LU
ROUND = 0.5, 0.004  # dB: gains that are multiples of this, as nearly, are set by hand
GAIN = 0.08  # dB
WITH_DYNAMICS = 3.0  # dB of an equaliser beside a gain that changes
EXPLAINS = 0.5  # of the gain's variance with an equaliser alone, at most, that a gain that changes leaves


def same_spectrum(pair: Pair) -> None:
    """What was done to all of it: the reference is clipped and filtered as the test was, the rest is undone."""
    x, y, rate = pair.x, pair.y, pair.rate
    at = pair.whole + pair.moved
    offsets = max(-at, 0) / rate, max(at, 0) / rate  # of the whole files
    clipped, last = _clipped(pair) or (None, False)
    curves, last = _distorted(pair, y, pair.seen, clipped) or (None, last)
    clipped = None if curves else clipped
    if (curves or clipped) and not last:
        pair.x = x = _bent(x, curves, clipped)
        again(pair)
    if curves:
        pair.findings.append(distortion.finding(curves, pair.gone(sums.error(x, y))))
    if clipped:
        share = pair.gone(sums.error(x, y))
        pair.findings.append(as_given(pair, clipping.finding(clipped, rate, offsets, share, pair.shown)))
    fraction = pair.fraction
    seen = _turned(pair.seen, fraction)
    r = filters.response(seen)
    offset = constant_offset(pair, x, y, 10 ** (r.gain_db / 20))
    squeezed = None if last else _dynamics(pair, seen, r, fraction)
    if squeezed:
        y, offset = _undone(y, 0.0, 1.0, offset, seen.frequencies), 0 * offset
        pair.offset = False
        y, seen = _even(pair, y, squeezed, fraction)
        if not (curves or clipped):
            curves, last = _distorted(pair, y, _turned(seen, -fraction), None) or (None, False)
            x = x if last or not curves else _bent(x, curves, None)
            if curves:
                pair.findings.append(distortion.finding(curves, pair.gone(sums.error(x, y))))
                seen = _turned(spectra(x, y, rate), fraction)
        r = filters.response(seen)
    low = filters.low_pass(seen, r)
    top = 0.42 if pair.ref.rate != pair.test.rate else 0.5  # of the rate: beyond, the resampler acts
    curve = filters.curve(seen, r, low, top * rate)
    bell = filters.bells(curve, r, WITH_DYNAMICS if squeezed else filters.AUDIBLE_EQ)
    cut_off = low  # by anything; by another clock it is no cause
    if pair.clock is not None and low and low.corner > 0.44 * rate * min(pair.clock.stretch, 1.0):
        low = None
    gain = 10 ** (r.gain_db / 20) if np.isfinite(r.certain) else 1.0
    _tell_gain(pair, r, seen, gain)
    if not (bell or low) and SHIFT < abs(pair.late) < FRACTION and pair.start is None and not pair.moved:
        before, now = pair.now, _spectral_error(pair, seen, 1.0)
        share = pair.gone(now)
        if now < ALIGNED * before:
            detail = {"samples": round(pair.late, 3)}
            pair.tell("delay", 1000 * pair.late / rate, "ms", share=share, detail=detail)
    magnitude = np.ones(seen.frequencies.size)
    if bell:
        magnitude = _over_bins(seen, np.where(np.abs(curve) > 0, curve, 0.0))
        _tell_curve(pair, seen, curve, bell, gain, magnitude)
    if low:
        _tell_low_pass(pair, low, seen, gain, magnitude)
    if bell or low:
        taps = filters.fitted(_turned(seen, -fraction)) / gain
        x = filters.filtered(x, taps, sums.room(x.shape, x.dtype))
        fraction = 0.0
    undone = _undone(y, fraction, gain, offset, seen.frequencies)
    if cut_off and not low:  # filters of other clocks differ where they end
        cut_off = replace(cut_off, corner=0.9 * cut_off.corner, gone=0.95 * cut_off.corner)
        undone = _passed(undone, cut_off, seen)
        x = _passed(x, cut_off, seen)
    if last:
        x = _bent(x, curves, clipped, gain)
    pair.leave(x, undone)
    pair.gated = squeezed is not None and squeezed.kind == "expansion"
    band = low.gone if low else rate / 2
    joins = tuple(j - round(offsets[0] * rate) for j in pair.joins[1:])
    pair.aligned = Aligned(x, undone, rate, *offsets, joins, band)


def _clipped(pair: Pair) -> tuple[list[clipping.Clipped | None], bool] | None:
    """Where the test is clipped, and whether that came after a filter."""
    x, y, seen = pair.x, pair.y, pair.seen
    gain = 10 ** (filters.response(_turned(seen, pair.fraction)).gain_db / 20)

    def through() -> Array:
        return filters.filtered(x, filters.fitted(seen), sums.room(x.shape, x.dtype))

    return clipping.find(x, y, _constant(x, y, gain), through)


def _distorted(
    pair: Pair, y: Array, seen: Spectra, clipped: list[clipping.Clipped | None] | None
) -> tuple[list[distortion.Curve], bool] | None:
    """The curve of each channel, where the test is distorted without being clipped; and whether a filter was first."""
    bits = next((f.size or 0.0 for f in pair.later if f.cause == "bit depth"), np.inf)
    return distortion.find(pair.x, y, seen, pair.fraction, clipped, 4.0**-bits)


def _bent(
    x: Array, curves: list[distortion.Curve] | None, clipped: list[clipping.Clipped | None] | None, gain: float = 0.0
) -> Array:
    """The reference as it was distorted or clipped; after a filter and before a gain, where that is given."""
    out = sums.room(x.shape, x.dtype)
    if curves:
        return distortion.applied(x, [c.scaled(1 / gain) for c in curves] if gain else curves, out)
    return clipping.applied(x, [(c.level / gain if gain else c.at) if c else np.inf for c in clipped or ()], out)


def _dynamics(pair: Pair, seen: Spectra, r: filters.Response, fraction: float) -> Dynamics | None:
    """A gain that changes. Loud sounds have other spectra than quiet ones: what explains more of the gain of short
    frames, a gain that changes or an equaliser, is undone first."""
    told = np.abs(r.bands) > 0
    if not told.any():
        return None
    whole = np.where(told, np.abs(r.bands), 1e-3) / 10 ** (r.gain_db / 20)
    shaped = _over_bins(seen, 20 * np.log10(whole))
    flat = filters.impulse(seen.frequencies, np.ones(shaped.size), -fraction) if abs(fraction) > SHIFT else None
    plain = short(pair.x, pair.y, pair.rate, flat)
    equal = short(pair.x, pair.y, pair.rate, filters.impulse(seen.frequencies, shaped, -fraction))
    found = dynamics(plain)
    least = EXPLAINS * variance(equal, None)
    if found is not None and found.rest < least:
        return found
    found = dynamics(equal)
    return found if found is not None and found.rest < least else None


def _even(pair: Pair, y: Array, found: Dynamics, fraction: float) -> tuple[Array, Spectra]:
    """The test without a gain that changes, which is told; and the spectra then."""
    level = levels(pair.x, pair.rate)
    factors = found.at(level)
    power = 10 ** (level / 10)
    factors /= np.sqrt((factors**2 * power).sum() / power.sum())
    y = undone(y, factors, pair.rate, sums.room(y.shape, y.dtype))
    detail: dict[str, Any] = {"ratio": round(found.ratio, 2), "threshold_db": round(found.threshold, 1)}
    if found.kind == "moving gain":
        detail = {"from_db": round(float(found.gains.min()), 1), "to_db": round(float(found.gains.max()), 1)}
    confidence = round(min(0.5 + found.size / 6, 1.0), 2)
    share = pair.gone(sums.error(pair.x, y))
    pair.tell(found.kind, round(found.size, 2), "dB", confidence=confidence, share=share, detail=detail)
    return y, _turned(spectra(pair.x, y, pair.rate), fraction)


def constant_offset(pair: Pair, x: Array, y: Array, gain: float) -> Array:
    """The constant in the test, [channel], which is told."""
    offset = _constant(x, y, gain)
    if not offset.any():
        return offset
    largest = float(offset[np.argmax(np.abs(offset))])
    power = float(np.mean(offset**2))
    whole = pair.energy * sums.power(x) or power
    share = round(min(power / whole, 1.0), 4)
    where = [int(c) + 1 for c in np.flatnonzero(offset)]
    pair.tell("dc", largest, "", share=share, detail={"offsets": offset.round(6).tolist(), "channels": where})
    pair.offset = True
    pair.now = max(pair.now - power / max(sums.power(x), 1e-300), 0.0)
    return offset


def _constant(x: Array, y: Array, gain: float) -> Array:
    """What is constant in the test beyond what is in the reference, [channel]; 0 where it is not plain."""
    length = x.shape[1]
    step = max(length // 64, 1)
    starts = range(0, length - step + 1, step)
    means = np.array([[z[:, at : at + step].mean(axis=1, dtype=np.float64) for at in starts] for z in (x, y)])
    means = means.transpose(0, 2, 1)
    change = means[1] - gain * means[0]  # [channel, block]
    offset: Array = np.median(change, axis=1)
    error = 1.2533 * change.std(axis=1) / np.sqrt(change.shape[1])
    plain = (np.abs(offset) > LEAST_DC) & (np.abs(offset) > SURE * error)
    plain &= np.abs(offset) > 0.5 * np.abs(gain * means[0].mean(axis=1))  # an equaliser may change what was there
    return np.where(plain, change.mean(axis=1), 0.0)


def _tell_gain(pair: Pair, r: filters.Response, seen: Spectra, gain: float) -> None:
    db = r.gain_db
    least = GAIN + (2.5 * r.certain if db < 0 else 0.3 * r.certain)
    share = pair.gone(_spectral_error(pair, seen, gain))
    if abs(db) < least:
        return
    loudness = _target(pair, db)
    if loudness is None:
        pair.tell("gain", db, "dB", share=share)
    else:
        pair.tell("loudness normalisation", db, "dB", share=share, detail={"lufs": loudness})


def _target(pair: Pair, db: float) -> float | None:
    """The usual loudness that a gain brings the test to."""
    if abs(db / ROUND[0] - round(db / ROUND[0])) * ROUND[0] < ROUND[1]:
        return None
    from ..hearing import programme

    now = programme.of(pair.test)
    target = min(TARGETS, key=lambda t: abs(t - now))
    return target if abs(target - now) <= ON_TARGET else None


def _tell_curve(pair: Pair, seen: Spectra, curve: Array, bell: tuple[int, int, float], gain: float, m: Array) -> None:
    first, last, size = bell
    f, cuts = seen.frequencies, seen.cuts
    pair.tell(
        "equaliser",
        size,
        "dB",
        share=pair.gone(_spectral_error(pair, seen, gain * m)),
        detail={
            "low_hz": round(float(f[cuts[first]])),
            "high_hz": round(float(f[cuts[last + 1] - 1])),
            "to_the_top": bool(last == curve.size - 1),
            "to_the_bottom": bool(first == 0),
            "curve": [[round(float(c)), round(float(d), 1)] for c, d in zip(seen.centres, curve, strict=True)],
        },
    )


def _tell_low_pass(pair: Pair, low: filters.LowPass, seen: Spectra, gain: float, magnitude: Array) -> None:
    shape = gain * magnitude * (seen.frequencies < low.gone)
    share = pair.gone(_spectral_error(pair, seen, 1.0, gone=shape))
    if not low.steep:
        share = round((share or 0.0) + _own_delay(pair, low), 4)
    detail: dict[str, Any] = {
        "gone_hz": round(low.gone),
        "steep": low.steep,
        "coded": bool(low.steep and not low.clean),
    }
    if low.rate and low.rate < 0.98 * pair.rate:
        pair.tell("rate conversion", low.corner, "Hz", share=share, detail={**detail, "rate_hz": low.rate})
    else:
        pair.tell("low-pass", low.corner, "Hz", share=share, detail=detail)


def _own_delay(pair: Pair, low: filters.LowPass) -> float:
    """Takes back a delay that is the filter's own; the share that it had."""
    own = [f for f in pair.findings if f.cause == "delay" and 0 < (f.size or 0.0) < OWN_DELAY * 1000 / low.corner]
    pair.findings[:] = [f for f in pair.findings if f not in own]
    return sum(f.share or 0.0 for f in own)


def _undone(y: Array, fraction: float, gain: float, offset: Array, frequencies: Array) -> Array:
    """The test without offset, gain and the fraction of a sample."""
    if not (offset.any() or abs(fraction) > SHIFT or abs(gain - 1) > 1e-4):
        return y
    out = sums.room(y.shape, y.dtype)
    taps = None
    if abs(fraction) > SHIFT:
        taps = filters.impulse(frequencies, np.ones(frequencies.size), fraction) / gain
    level = offset.astype(y.dtype)[:, None]
    for at in range(0, y.shape[1], BLOCK):
        out[:, at : at + BLOCK] = (y[:, at : at + BLOCK] - level) * y.dtype.type(1 if taps is not None else 1 / gain)
    return out if taps is None else filters.filtered(out, taps, sums.room(y.shape, y.dtype))


def _passed(x: Array, low: filters.LowPass, seen: Spectra) -> Array:
    """A recording, such as the reference, through the low-pass of the test."""
    f = seen.frequencies
    magnitude = np.clip((low.gone - f) / max(low.gone - low.corner, 2 * f[1]), 0, 1)
    taps = filters.impulse(f, np.sin(np.pi / 2 * magnitude) ** 2, 0.0)
    return filters.filtered(x, taps, sums.room(x.shape, x.dtype))


def _turned(seen: Spectra, fraction: float) -> Spectra:
    """The spectra as if the test were earlier by a fraction of a sample."""
    if abs(fraction) < 1e-4:
        return seen
    omega = 2 * np.pi * np.arange(seen.frequencies.size) / seen.window
    middle = 2 * np.pi * seen.centres / (seen.frequencies[1] * seen.window)
    return replace(
        seen,
        cross=seen.cross * np.exp(1j * fraction * omega),
        cross_bands=seen.cross_bands * np.exp(1j * fraction * middle),
    )


def _spectral_error(pair: Pair, seen: Spectra, g: Any, gone: Any = None) -> float:
    """Energy of the test over g, less the reference, against the reference's; or of the test less the filtered
    reference. Without what an offset adds, which has been told."""
    xx, yy, xy = (z.real.sum(axis=0) for z in seen.totals())
    e = yy / g**2 + xx - 2 * xy / g if gone is None else yy + gone**2 * xx - 2 * gone * xy
    first = filters.LOWEST if pair.offset else 0
    return max(float(e[first:].sum()), 0.0) / max(float(xx[first:].sum()), 1e-300)


def _over_bins(seen: Spectra, db: Array) -> Array:
    """A curve of bands, at each bin, as a factor."""
    magnitude: Array = 10 ** (np.interp(np.log(np.maximum(seen.frequencies, 1)), np.log(seen.centres), db) / 20)
    return magnitude
