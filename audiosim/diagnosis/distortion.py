"""Nonlinear distortion without memory: the test is a curve of the reference, sample by sample, as saturation,
overdrive, rectifying or crossover distortion make it. Clipping, which is one of these, is clipping.py's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import coding, filters, sums
from .finding import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .clipping import Clipped
    from .spectra import Spectra

    Array = NDArray[Any]

STEPS = 64  # of the square root of the amplitude, of either sign
STRETCHES, LENGTH = 4, 1 << 14  # of so many samples, in which it is looked for
BLOCK = 1024  # samples, in each of which the gain and the constant are free: these are no distortion
KEPT = 0.9  # of the blocks: a click or a dropout is no distortion either
EXPLAINS = 0.7  # of what any gain leaves, that is left at most by a curve
CODED = 0.5  # and where the rest follows the level: a codec takes from peaks too
LEAST = 1e-6  # of the energy of the test, -60 dB: with less left there is nothing to tell
OWN = 0.8  # of what a gain leaves, that a filter leaves at most, where it matters which came first
SHIFT = 0.02  # samples, below which a delay is none
AT_ONCE = 1 << 17  # samples
BETTER = 0.5  # of what clipping leaves, that another curve leaves at most;
PLAINLY = 0.02  # of what a gain leaves, that clipping leaves at most where it is plain
SOFT = 0.015  # of the largest amplitude: below that nothing is clipped


@dataclass(frozen=True, slots=True)
class Curve:
    """Of one channel: what becomes of the amplitudes `at`; straight lines between them. 0 stays 0, and the slope is 1
    as a whole: gain and constant are told by others.

    power: of what is linear of it, of what is not, and of the part of that which both signs have alike (of even
    order), over the samples of the recording.
    """

    at: Array
    put: Array
    power: tuple[float, float, float]

    def ends(self) -> float:
        """The amplitude from which on it would be flat, were it clipping."""
        small = SOFT * float(np.max(np.abs(self.at)))
        slope = float(np.diff(np.interp([-small, small], self.at, self.put))[0]) / (2 * small)
        return float(np.max(np.abs(self.put))) / max(slope, 1e-30)

    def scaled(self, gain: float) -> Curve:
        """The same for recordings that are so many times louder."""
        return Curve(self.at * gain, self.put * gain, self.power)


def find(
    x: Array, y: Array, seen: Spectra, fraction: float, clipped: list[Clipped | None] | None, floor: float
) -> tuple[list[Curve], bool] | None:
    """The curve of each channel, and whether it came after the filter of the test. None: there is none.

    x, y: [channel, sample] of reference and test, which is later by a fraction of a sample. clipped: where that is
    the other explanation. floor: mean square of what is left that needs none.
    """
    starts = _starts(x.shape[1])
    moved = (
        filters.impulse(seen.frequencies, np.ones(seen.frequencies.size), fraction) if abs(fraction) > SHIFT else None
    )
    views = [_View(None, moved)]
    lefts = [views[0].left(x, y, starts, clipped)]
    if lefts[0].linear <= max(LEAST * lefts[0].power, floor * STRETCHES * LENGTH):
        return None
    if _is_filtered(seen, fraction):
        back, both = filters.unfiltered(seen)
        views += [_View(filters.fitted(seen), None), _View(both, back)]
        lefts += [view.left(x, y, starts, clipped) for view in views[1:]]
    best = min(range(len(views)), key=lambda k: lefts[k].curved / max(lefts[k].linear, 1e-300))
    left = lefts[best]
    most = left.linear * (CODED if left.coded else EXPLAINS)
    if left.curved > min(most, BETTER * left.clipped) or left.clipped < PLAINLY * left.linear:
        return None
    return [_curve(*each) for each in zip(*views[best].of(x, y), strict=True)], best == 1


def _is_filtered(seen: Spectra, fraction: float) -> bool:
    """Whether a filter leaves clearly less of the test than a gain does."""
    good = seen.good
    xx, yy, xy = (z[good].sum(axis=0) for z in (seen.ref, seen.test, seen.cross))
    turned = (xy * np.exp(2j * np.pi * fraction / seen.window * np.arange(xy.shape[1]))).real.sum()
    by_gain = float(yy.sum() - turned**2 / max(float(xx.sum()), 1e-300))
    by_filter = float((yy - np.abs(xy) ** 2 / np.maximum(xx, 1e-300)).sum())
    return by_filter < OWN * by_gain


def applied(x: Array, curves: list[Curve], out: Array) -> Array:
    """x [channel, sample], bent by these curves, into `out`."""
    for c, curve in enumerate(curves):
        for at in range(0, x.shape[1], AT_ONCE):
            out[c, at : at + AT_ONCE] = np.interp(x[c, at : at + AT_ONCE], curve.at, curve.put)
    return out


def finding(curves: list[Curve], share: float | None) -> Finding:
    linear, bent, even = (sum(c.power[k] for c in curves) for k in range(3))
    percent = 100 * (bent / max(linear, 1e-300)) ** 0.5
    detail = {"even": round(even / max(bent, 1e-300), 3)}
    return Finding("nonlinear distortion", round(percent, 2), "%", confidence=0.9, share=share, detail=detail)


def _starts(length: int) -> list[int]:
    if length <= STRETCHES * LENGTH:
        return list(range(0, length, LENGTH))
    return [round(k * (length - LENGTH) / (STRETCHES - 1)) for k in range(STRETCHES)]


@dataclass(frozen=True, slots=True)
class _Left:
    """Energies of the test: what a gain of each block leaves, what it leaves beside the curve, and beside clipping
    (inf where there is none); and of all. coded: whether what is left beside the curve follows the level."""

    linear: float
    curved: float
    clipped: float
    power: float
    coded: bool


@dataclass(frozen=True, slots=True)
class _View:
    """Of both recordings, through filters (coefficients; None: as they are)."""

    ref: Array | None
    test: Array | None

    def of(self, x: Array, y: Array) -> tuple[Array, Array]:
        return _through(x, self.ref), _through(y, self.test)

    def left(self, x: Array, y: Array, starts: list[int], clipped: list[Clipped | None] | None) -> _Left:
        parts = [self.of(x[:, at : at + LENGTH], y[:, at : at + LENGTH]) for at in starts]
        edge = 0 if self.ref is None and self.test is None else filters.TAPS // 2
        of_blocks: list[Array] = []  # [energy, block]
        for c in range(len(x)):
            blocks = [[_blocks(z[c, edge : z.shape[1] - edge]) for z in part] for part in parts]
            a, b = (np.concatenate(z).astype(np.float64) for z in zip(*blocks, strict=True))
            curve = _curve(a.ravel(), b.ravel())
            bent = _beside(np.interp(a, curve.at, curve.put), b)
            kept = np.argsort(bent, kind="stable")[: round(KEPT * bent.size)]
            a, b, as_clipped = a[kept], b[kept], np.full(kept.size, np.inf)
            if clipped and (of := clipped[c]):
                ways = (_beside(np.clip(a, -at, at), b) for at in (of.at, curve.ends()))
                as_clipped = min(ways, key=lambda left: float(left.sum()))
            of_blocks.append(np.stack([_beside(a, b), bent[kept], as_clipped, (b * b).sum(axis=1)]))
        energies = np.concatenate(of_blocks, axis=1)
        linear, curved, by_clipping, power = energies.sum(axis=1).tolist()
        return _Left(linear, curved, by_clipping, power, coding.follows(energies[3], energies[1]))


def _through(x: Array, taps: Array | None) -> Array:
    return x if taps is None else filters.filtered(x, taps, sums.room(x.shape, x.dtype))


def _blocks(x: Array) -> Array:
    count = x.size // BLOCK
    return x[: count * BLOCK].reshape(count, BLOCK)


def _beside(x: Array, y: Array) -> Array:
    """Energy of y [block, sample] that x with any gain and constant leaves in each block."""
    x, y = (z - z.mean(axis=1, keepdims=True) for z in (x, y))
    xx, xy, yy = ((p * q).sum(axis=1) for p, q in ((x, x), (x, y), (y, y)))
    left: Array = np.maximum(yy - xy**2 / np.maximum(xx, 1e-300), 0.0)
    return left


def _curve(x: Array, y: Array) -> Curve:
    """Of one channel [sample]: means of both at amplitudes of the reference that are near each other."""
    top = max(float(np.max(x, initial=0.0)), -float(np.min(x, initial=0.0)), 1e-30)
    sums = np.zeros((3, 2 * STEPS))
    for at in range(0, x.size, AT_ONCE):
        a, b = (np.asarray(z[at : at + AT_ONCE], np.float64) for z in (x, y))
        step = ((1 + np.sign(a) * np.sqrt(np.abs(a) / top)) * STEPS).astype(np.intp)
        step = np.minimum(step, 2 * STEPS - 1)
        for k, weights in enumerate((None, a, b)):
            sums[k] += np.bincount(step, weights, 2 * STEPS)
    count, *totals = sums[:, sums[0] > 0]
    u, v = (z / count for z in totals)
    mean = float(np.average(u, weights=count)) if u.size else 0.0
    linear = float((count * (u - mean) ** 2).sum())
    slope = float((count * (u - mean) * v).sum()) / max(linear, 1e-300)
    if slope <= 0:
        return Curve(np.array([-top, top]), np.array([-top, top]), (linear, 0.0, 0.0))
    v = (v - np.interp(0.0, u, v)) / slope
    bent = v - u
    bent -= np.average(bent, weights=count)
    mirrored = np.interp(-u, u, bent)
    even, odd = (float((count * (bent + sign * mirrored) ** 2).sum()) for sign in (1, -1))
    power = float((count * bent**2).sum())
    return Curve(u, v, (linear, power, power * even / max(even + odd, 1e-300)))
