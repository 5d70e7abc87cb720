"""Finds what happened to a recording, undoing one cause after the other. Its bits and channels are seen to here."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from . import coding, places, spectrum, sums, timing
from .finding import SHOWN, Cause, Diagnosis, Finding
from .null import bit_depth, null_test
from .pair import FEWEST, Pair
from .sums import BLOCK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..signal import Signal

    Array = NDArray[Any]

SILENT = 1e-12  # mean square, -120 dBFS
JOINED = -8.0  # dB, that is left at most where pieces were joined rightly
MONO = 1e-5, 1e-3  # energy of the difference of channels against their sum: none, and some
MIXED, SAME_SOUND = 0.98, 0.5  # correlation of a mean of channels: it is what the other holds; or it is of that sound
CLOSER = 0.3  # of what the mean leaves unexplained, that one channel alone leaves at most where it was the source
DITHERED = 0.35  # RMS of the difference in steps, from which on it is more than rounding
DROPPED = 0.02  # of the recording, from which on dropouts hide what a codec leaves
SHAPED, BLUE = (6.0, 30.0), 2.6  # RMS and peak in steps of noise that was shaped; its steps, which of white noise are 2
SIGN = 0.5  # of what is coherent, that an inverted channel has inverted
ANOTHER: frozenset[Cause] = frozenset(
    (
        "unrelated",
        "excerpt",
        "speed",
        "tempo",
        "pitch",
        "edit",
        "silence inserted",
        "silence removed",
        "lost",
        "repeated",
    )
)  # another recording
MINOR: dict[Cause, float] = {
    "dc": 1e-3,
    "gain": 0.25,
    "drift": 1.0,
    "noise": -50.0,
    "hum": -50.0,
    "bit depth": 16,
    "dither": 16,
}
RESAMPLED = -28.0  # dB: with less left than this it may be what another clock leaves at the highest frequencies
NOTHING = -75.0  # dB: with less left than this no codec has been at work
ONE_STEP = 0.8  # RMS in steps, up to which the difference is one of bits


def diagnosed(ref: Signal, test: Signal, shown: int = SHOWN) -> Diagnosis:
    """What was done to the reference to get the test: recordings of any rates, channels and lengths.

    shown: so many of the largest places of each finding.
    """
    null = null_test(ref, test)
    if null is not None and null.differing == 0 and ref.length == test.length:
        return Diagnosis((), null, None)
    pair = Pair(ref, test, null, shown)
    aligned = _examine(pair)
    return Diagnosis(_ordered(pair), null, pair.left, aligned)


def _ordered(pair: Pair) -> tuple[Finding, ...]:
    """What makes another recording of it first, then by share of the difference, what is minor last."""
    told = sum(f.share or 0.0 for f in pair.findings)

    def place(f: Finding) -> tuple[bool, bool, float]:
        share = max(1.0 - told, 0.0) if f.share is None else f.share  # of codecs, which are known by their traces
        return f.minor, f.cause not in ANOTHER, -share

    minor = [_is_minor(f) for f in pair.findings]
    found = pair.findings if all(minor) else [replace(f, minor=m) for f, m in zip(pair.findings, minor, strict=True)]
    return tuple(sorted(found, key=place))


def _is_minor(f: Finding) -> bool:
    """Whether nobody would miss it beside something else."""
    size = abs(f.size or 0.0)
    if f.cause == "delay":
        return bool(abs(f.detail.get("samples", inf)) < 1)
    if f.cause in ("bit depth", "dither"):
        return bool(f.detail.get("to_bits", f.detail.get("bits", 0)) >= MINOR[f.cause])
    return size < MINOR.get(f.cause, 0.0)


def _examine(pair: Pair) -> bool:
    """Time first, then channels, then the spectrum: each is undone before the next is looked at, and places last.

    Whether the two could be laid over one another.
    """
    if not _same_format(pair):
        return False
    both = sums.overlap(pair.a, pair.b, 0)
    if both[0].shape[1] < FEWEST:
        pair.leave(*both)
        return True
    if not _sounding(pair):
        return True
    pair.energy = pair.now = sums.error(*both)
    if _same_bits(pair):
        return True
    if not timing.same_pieces(pair) or not timing.same_time(pair):
        return False
    pair.findings += pair.later
    _same_channels(pair)
    spectrum.same_spectrum(pair)
    _at_places(pair)
    return True


def _at_places(pair: Pair) -> None:
    """What happened at places, what was added, and traces of codecs where nothing else left holes."""
    aligned = pair.aligned
    found = places.find(aligned, pair.shown)
    part = min(pair.now / pair.energy, 1.0) if pair.energy > 0 else 1.0  # of the difference, that find has seen
    apart = bool(pair.joins) and (pair.left or -inf) > JOINED
    dropped = sum(f.size or 0.0 for f in found if f.cause == "dropout") / 1000 * pair.rate  # samples
    replaced = any(f.cause == "edit" for f in found)
    holes = (
        pair.gated
        or replaced
        or dropped > DROPPED * aligned.ref.shape[1]
        or any(f.cause == "clipping" for f in pair.findings)
    )
    left = pair.left if pair.left is not None else -inf
    distorted = any(f.cause == "nonlinear distortion" for f in pair.findings)
    resampled = pair.clock is not None and left < RESAMPLED
    if not (holes or apart) and left > NOTHING:  # holes of others than codecs
        pair.findings += coding.find(aligned, otherwise=bool(found) or distorted or resampled)
    if pair.gated:
        found = [f for f in found if f.cause not in ("dropout", "click")]  # what a gate takes, and its edges
    for f in found:
        share = None if f.share is None else round(part * f.share, 4)
        pair.findings.append(timing.as_given(pair, replace(f, share=share)))


def _same_format(pair: Pair) -> bool:
    from ..dsp import resampling
    from ..errors import InputError

    ref, test = pair.ref, pair.test
    rate = min(ref.rate, test.rate)
    if ref.rate != test.rate:
        pair.tell("rate conversion", float(test.rate), "Hz", detail={"from_hz": ref.rate, "to_hz": test.rate})
        try:
            ref, test = (resampling.to_rate(s, rate) for s in (ref, test))
        except InputError:
            return False
    if ref.channels != test.channels:
        detail = {"reference_channels": ref.channels, "test_channels": test.channels}
        ref, test, which = _as_one(ref, test)
        pair.tell("mono", detail={**detail, **which})
    a, b = ref.samples, test.samples
    if a.dtype != b.dtype:
        a, b = (x.astype("float64", copy=False) for x in (a, b))
    pair.a, pair.b, pair.rate = a, b, rate
    return True


def _as_one(ref: Signal, test: Signal) -> tuple[Signal, Signal, dict[str, Any]]:
    """Both with one channel: the mean, or the one of several that holds what the other recording has."""
    mixed = _averaged(ref), _averaged(test)
    alike = _alike(*mixed)
    several = ref if test.channels == 1 else test
    if 1 in (ref.channels, test.channels):
        each = [replace(several, samples=several.samples[c : c + 1]) for c in range(several.channels)]
        sounding = [c for c, one in enumerate(each) if sums.varying(one.samples) > SILENT]
        found = [_alike(ref, one) if several is test else _alike(one, test) for one in each] if alike < MIXED else []
        best = sounding[0] if len(sounding) == 1 else int(np.argmax(found)) if found else 0
        if len(sounding) == 1 or (found and 1 - found[best] < CLOSER * (1 - alike)):
            pair = (ref, each[best]) if several is test else (each[best], test)
            return *pair, {"channels": [best + 1], "of": several.channels}
    return *mixed, {"mixed": alike > SAME_SOUND}


def _alike(a: Signal, b: Signal) -> float:
    """Correlation of two recordings of one channel, 0 to 1, whatever delay is between them."""
    return abs(timing.roughly(a.samples, b.samples, a.rate).correlation)


def _sounding(pair: Pair) -> bool:
    """Whether both are. A silent one is dead."""
    pair.powers = powers = [sums.varying(x) for x in (pair.a, pair.b)]
    if min(powers) > SILENT:
        return True
    if max(powers) > SILENT:
        which = "test" if powers[1] <= SILENT else "reference"
        count = len(pair.b)
        pair.tell("dead", share=1.0, detail={"recording": which, "channels": list(range(1, count + 1)), "of": count})
    else:
        spectrum.constant_offset(pair, *sums.overlap(pair.a, pair.b, 0), 1.0)
    return False


def _same_bits(pair: Pair) -> bool:
    """Bit depth and dither, where they are all that there is."""
    bits = bit_depth(pair.test.samples)
    if bits is None or pair.null is None:
        return False
    before = bit_depth(pair.ref.samples)
    if before is not None and before < bits:
        return False
    step = 2.0 ** (1 - bits)
    rms = (10 ** (pair.null.rms_dbfs / 20) if pair.null.rms_dbfs is not None else 0.0) / step
    peak = (10 ** (pair.null.peak_dbfs / 20) if pair.null.peak_dbfs is not None else 0.0) / step
    alone = 0 < rms < ONE_STEP and peak <= 2.5
    shaped = not alone and 0 < rms < SHAPED[0] and peak <= SHAPED[1] and _is_blue(pair)
    if before == bits:
        if alone and peak <= 2.01 and pair.null.differing > 0.05 * pair.null.samples:
            pair.tell("dither", rms, "LSB", share=1.0, detail={"bits": bits})
            pair.leave(*sums.overlap(pair.a, pair.b, 0))
            return True
        return False
    detail: dict[str, Any] = {"from_bits": before, "to_bits": bits}
    if shaped:
        detail |= {"dither": "noise-shaped", "lsb": round(rms, 3)}
    elif alone:
        shape = "none" if rms < DITHERED else "rectangular" if rms < 0.455 else "triangular"
        detail |= {"dither": shape, "lsb": round(rms, 3)}
    finding = Finding("bit depth", float(bits), "bits", share=1.0 if alone or shaped else None, detail=detail)
    if not (alone or shaped):
        pair.later.append(finding)
        return False
    pair.findings.append(finding)
    a, b = sums.overlap(pair.a, pair.b, 0)
    pair.leave(np.asarray(a), np.asarray(b))
    return True


def _is_blue(pair: Pair) -> bool:
    """Whether the difference has little at low frequencies, as dither whose noise was shaped."""
    power = steps = 0.0
    for at in range(0, min(pair.a.shape[1], pair.b.shape[1]), BLOCK):
        x, y = sums.overlap(pair.a[:, at : at + BLOCK], pair.b[:, at : at + BLOCK], 0)
        e = y - x
        power += sums.product(e, e)
        steps += sums.product(np.diff(e), np.diff(e))
    return steps > BLUE * power


def _same_channels(pair: Pair) -> None:
    from .. import channels as faults
    from ..signal import Signal

    a, b = sums.overlap(pair.a, pair.b, pair.whole)
    pair.x, pair.y = a, b
    count = len(a)
    kept = list(range(count))
    if count == 2 and _side(b) < MONO[0] and _side(a) > MONO[1]:
        source = _source(a, b)
        pair.x, pair.y = sums.mean(a) if source is None else a[source : source + 1], b[:1]
        share = pair.gone(sums.error(pair.x, pair.y))
        if source is None:
            pair.tell("mono", share=share, detail={"reference_channels": 2})
        else:
            pair.tell("copied", share=share, detail={"channels": [2 - source], "of": 2, "hold": [source + 1]})
        timing.again(pair)
    elif found := faults.examine(Signal(a, pair.rate), Signal(b, pair.rate)).get("channel_faults"):
        turned: list[int] = []
        for k, fault in enumerate(found):
            of = [c - 1 for c in fault["channels"]]
            kind: Cause = "polarity" if fault["fault"] == "inverted" else fault["fault"]
            if kind == "dead":
                kept = [c for c in kept if c not in of]
            elif kind == "polarity":
                turned = of
            of_reference, of_test = faults.sources(count, found[: k + 1]), kept or range(count)
            pair.x = sums.arranged(a, [of_reference[c] for c in of_test])
            pair.y = sums.arranged(b, of_test, turned)
            detail = {k: v for k, v in fault.items() if k not in ("fault", "correlation")}
            pair.tell(kind, share=pair.gone(sums.error(pair.x, pair.y)), detail=detail)
        timing.again(pair)
    elif inverted := [c for c, sign in enumerate(timing.polarities(pair)) if sign < -SIGN]:
        pair.y = sums.arranged(b, range(count), inverted)
        share = pair.gone(sums.error(a, pair.y))
        pair.tell("polarity", share=share, detail={"channels": [c + 1 for c in inverted], "of": count})
        timing.again(pair)


def _source(a: Array, b: Array) -> int | None:
    """The one of the reference's two channels that the test's both hold; None where they hold the sum."""
    xx, xy, yy = np.zeros((2, 2)), np.zeros(2), 0.0
    for at in range(0, a.shape[1], BLOCK):
        x, y = a[:, at : at + BLOCK], b[0, at : at + BLOCK]
        xx += [[sums.product(p, q) for q in x] for p in x]
        xy += [sums.product(p, y) for p in x]
        yy += sums.product(y, y)
    fits = xy**2 / np.maximum(np.diag(xx), 1e-300)
    best = int(np.argmax(fits))
    return best if fits[best] > xy.sum() ** 2 / max(float(xx.sum()), 1e-300) else None


def _side(x: Array) -> float:
    """Energy of the difference of two channels against their sum's."""
    side = whole = 0.0
    for at in range(0, x.shape[1], BLOCK):
        p, q = x[0, at : at + BLOCK], x[1, at : at + BLOCK]
        d, s = p - q, p + q
        side, whole = side + sums.product(d, d), whole + sums.product(s, s) + sums.product(d, d)
    return side / whole if whole > 0 else 0.0


def _averaged(signal: Signal) -> Signal:
    return signal if signal.channels == 1 else replace(signal, samples=sums.mean(signal.samples))
