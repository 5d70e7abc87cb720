"""What is wrong with a channel, told from the samples alone: dead, inverted, exchanged with another, or a copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, log10
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .signal import Signal

    Array = NDArray[Any]

CHUNK = 1 << 16  # samples that are converted at a time
STRETCH = 1 << 16  # samples in which a delay is looked for
SILENT = 1e-12  # power relative to the loudest channel of the same recording: nothing
CONSTANT = 1e-12  # the same, relative to all of its own power: nothing but a constant and rounding
OFFSET = 1e-3  # part of a channel's power from which on a constant calls for sums in float64
LEAST = 1e-30  # energy that float32 may have lost
FAINT = 1e-6  # the same: what is quieter is no channel that could be missed
DEAD = 1e-6  # power relative to what it should be, -60 dB: nothing is left
NOISE = 1e-3  # the same, -30 dB, where what is left has nothing to do with what it should be
UNLIKE = 0.1  # correlation below which two channels have nothing in common
ALIKE = 0.5  # correlation from which on two channels hold the same sound
ALL_BUT = 0.99  # correlation from which on it need not be asked whether a delay looks like an inversion
PEAK = 0.8  # of an inversion: what the largest correlation of the other sign may be at any other delay
NEAR = 0.05  # s: the delays that are asked about
BETTER = 0.5  # part of a channel that another may leave unexplained, of what its own channel does
COPY = 0.01, 0.1  # what a copied channel leaves of it at most, and its own channel at least
PLAIN = 1e-4  # part of a channel that the other leaves unexplained: with less, the two are one sound
MIRRORED = 1e-3, 0.05  # of one sound at two levels: unexplained after the exchange at most, and before it at least
FEWEST = 64  # samples; a correlation over fewer says nothing


@dataclass(frozen=True, slots=True)
class Survey:
    """Sums over the samples of a pair, of the channels of the reference, then those of the test.

    products[i, k]: of x_i x_k; not finite where a sample is not. sums: of x_i. beyond: how many are larger than 1.
    """

    products: Array
    sums: Array
    beyond: Array
    length: int

    @property
    def finite(self) -> bool:
        """Whether all samples are; False too where float32 does not hold their squares."""
        return isfinite(float(self.products.trace()))

    @property
    def alike(self) -> bool:
        """Whether the two may be identical: they are not where their sums differ."""
        n = len(self.sums) // 2
        energies = self.products.diagonal()
        return bool((self.sums[:n] == self.sums[n:]).all() and (energies[:n] == energies[n:]).all())


def survey(ref: Signal, test: Signal, exact: bool = False) -> Survey:
    """One pass over two recordings of as many channels, as far as both of them go. exact: in float64."""
    import numpy as np

    from .engine.gram import gram
    from .signal import in_order

    a, b = ref.samples, test.samples
    length, rows = min(ref.length, test.length), 2 * ref.channels
    dtype = np.dtype(np.float64) if exact else np.result_type(a, b)
    in_one = a.flags.c_contiguous and b.flags.c_contiguous  # what is not would be copied
    as_they_are = in_one and a.shape == b.shape and a.dtype == b.dtype == dtype
    products, sums, beyond = np.zeros((rows, rows)), np.zeros(rows), np.zeros(rows)
    step = length if as_they_are else CHUNK
    for at in range(0, length, step):
        stop = min(at + step, length)
        with np.errstate(all="ignore"):
            x, y = (in_order(s[:, at:stop].astype(dtype, copy=False)) for s in (a, b))
            gram(x, y, products, sums, beyond)
    return Survey(products, sums, beyond, length)


def examine(ref: Signal, test: Signal, seen: Survey | None = None) -> dict[str, Any]:
    """What is wrong with channels of two recordings that have been matched, JSON-ready; empty when nothing is.

    channel_faults: a row each, with `fault` "dead", "inverted", "exchanged" or "copied"; `channels`, counted from 1,
        and `of` how many; and what it was told by:
        dead: `recording` it is dead in, and `level_db` against what it should be (None: digital silence);
        inverted: their mean `correlation`;
        exchanged, copied: `hold`, the channels of the reference whose sound they hold instead of their own.
    silent_channels: those without sound in both recordings, where others have some: no fault.
    Channels that only differ, in level, by noise, filters or a delay, are not mentioned.
    seen: what `survey` says of the two.
    """
    import numpy as np

    count, length = ref.channels, min(ref.length, test.length)
    if count != test.channels:
        return {}
    a, b = ref.samples, test.samples
    with np.errstate(all="ignore"):
        seen = seen or survey(ref, test)
        if a.dtype == b.dtype == np.float32 and _is_rough(seen, (*a, *b)):
            seen = survey(ref, test, exact=True)
        own, other, both = _covariances(seen)
    if not np.isfinite(both).all():
        return {}
    r, t = _audible(np.diag(own)), _audible(other)
    correlation = _ratio(both, np.sqrt(np.outer(r, t)))

    found: list[dict[str, Any]] = []

    def tell(fault: str, channels: Sequence[int], **by: Any) -> None:
        found.append({"fault": fault, "channels": [c + 1 for c in channels], "of": count, **by})

    enough = length >= FEWEST
    held, copies = _held(r, t, correlation, own) if enough and count > 1 else ({}, {})
    for cycle in _cycles(held):
        tell("exchanged", cycle, hold=[held[c] + 1 for c in cycle])
    for c, source in copies.items():
        tell("copied", [c], hold=[source + 1])
    for name, quiet, loud in (("test", t, r), ("reference", r, t)):
        for c, level in _dead(quiet, loud, np.diag(correlation)):
            if c not in held:
                tell("dead", [c], recording=name, level_db=round(10 * log10(level), 1) if level > 0 else None)
    whose = {c: held.get(c, copies.get(c, c)) for c in range(count)}
    turned = [c for c, i in whose.items() if enough and _is_inverted(a[i], b[c], ref.rate, float(correlation[i, c]))]
    if turned:
        mean = sum(float(correlation[whose[c], c]) for c in turned) / len(turned)
        tell("inverted", turned, correlation=round(mean, 3))
    silent = [c + 1 for c in range(count) if not (r[c] or t[c])]
    return {
        **({"channel_faults": found} if found else {}),
        **({"silent_channels": silent} if 0 < len(silent) < count else {}),
    }


def describe(faults: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each of the channel_faults."""
    return [_SENTENCES[fault["fault"]](fault) for fault in faults]


def kinds(match: Mapping[str, Any]) -> list[str]:
    """The kinds of faults in what was reported of a pair, each once."""
    return list(dict.fromkeys(fault["fault"] for fault in match.get("channel_faults") or ()))


def sources(count: int, faults: Sequence[Mapping[str, Any]]) -> list[int]:
    """Of the channels of the test, which one of the reference each holds, counted from 0, by these channel_faults."""
    hold = list(range(count))
    for fault in faults:
        for c, source in zip(fault["channels"], fault.get("hold", ()), strict=False):
            hold[c - 1] = source - 1
    return hold


def _of_dead(fault: Mapping[str, Any]) -> str:
    level, recording = fault["level_db"], fault["recording"]
    how = "silent" if level is None else f"{level:.0f} dB against what it should be"
    other = "reference" if recording == "test" else "test"
    if fault["of"] == 1:
        return f"the {recording} is dead ({how}), the {other} is not"
    return f"{_named(fault)} of the {recording} is dead ({how}), that of the {other} is not"


def _of_inverted(fault: Mapping[str, Any]) -> str:
    several = len(fault["channels"]) > 1
    which = f"{_named(fault)} of the test {'are' if several else 'is'}"
    if len(fault["channels"]) == fault["of"]:
        which = "all channels of the test are" if several else "the test is"
    return f"{which} inverted (correlation {fault['correlation']:.3f})"


def _of_exchanged(fault: Mapping[str, Any]) -> str:
    if len(fault["channels"]) == 2:
        return f"{_named(fault)} of the test are exchanged"
    return f"{_named(fault)} of the test hold {_named(fault, 'hold')} of the reference, in this order"


def _of_copied(fault: Mapping[str, Any]) -> str:
    return f"{_named(fault)} of the test holds {_named(fault, 'hold')} of the reference, not its own sound"


_SENTENCES = {"dead": _of_dead, "inverted": _of_inverted, "exchanged": _of_exchanged, "copied": _of_copied}


def _named(fault: Mapping[str, Any], which: str = "channels") -> str:
    """channel 2 (right); channels 1, 2 and 5"""
    *first, last = (str(n) for n in fault[which])
    if first:
        return f"channels {', '.join(first)} and {last}"
    return f"channel {last} ({'left' if last == '1' else 'right'})" if fault["of"] == 2 else f"channel {last}"


def _is_rough(seen: Survey, rows: Sequence[Array]) -> bool:
    """Whether float32 does not tell enough of the channels: their squares are too large or too small for it, or they
    sit on a constant."""
    energies = seen.products.diagonal()
    faint = (row[: seen.length] for row, energy in zip(rows, energies, strict=True) if energy < LEAST)
    offsets = seen.sums**2 / seen.length
    return not seen.finite or bool((offsets > OFFSET * energies).any()) or any(row.any() for row in faint)


def _covariances(seen: Survey) -> tuple[Array, Array, Array]:
    """Of the reference's channels with each other, of each of the test's with itself, of both."""
    import numpy as np

    n = len(seen.sums) // 2
    covariances = seen.products - np.outer(seen.sums, seen.sums) / seen.length
    still = covariances.diagonal() <= CONSTANT * seen.products.diagonal()
    own, both, other = covariances[:n, :n], covariances[:n, n:], covariances.diagonal()[n:].copy()
    own[still[:n]], own[:, still[:n]], other[still[n:]] = 0.0, 0.0, 0.0
    return own, other, both


def _audible(power: Array) -> Array:
    """The powers of the channels of one recording, 0 where nothing is to be heard beside the others."""
    import numpy as np

    kept: Array = np.where(power > SILENT * power.max(), power, 0.0)
    return kept


def _ratio(x: Array, y: Array) -> Array:
    import numpy as np

    ratio: Array = np.divide(x, y, out=np.zeros(np.shape(x)), where=y > 0)
    return ratio


def _dead(quiet: Array, loud: Array, correlation: Array) -> Iterator[tuple[int, float]]:
    """(channel, power against what it should be) of the dead channels in one recording, of which `loud` is the other.

    What a channel should be is the other's, at the gain of the channel that came through best, if that lost power.
    """
    import numpy as np

    if (quiet >= NOISE * loud).all():
        return
    ratio = _ratio(quiet, loud)
    gain = min(float(ratio.max()), 1.0) or 1.0
    aligned = bool(np.abs(correlation).max() >= ALIKE)
    for c in np.flatnonzero(loud > FAINT * loud.max()):
        level = float(ratio[c]) / gain
        if level < DEAD or (level < NOISE and aligned and abs(correlation[c]) < UNLIKE):
            yield int(c), level


def _held(r: Array, t: Array, correlation: Array, own: Array) -> tuple[dict[int, int], dict[int, int]]:
    """{channel of the test: channel of the reference whose sound it holds}, of those exchanged and of those copied.

    r, t: powers; correlation: [reference, test]; own: covariance of the reference's channels.
    """
    import numpy as np

    left = 1.0 - np.minimum(correlation**2, 1.0)  # part of a channel of the test that one of the reference leaves
    alone = 1.0 - np.minimum(_ratio(own, np.sqrt(np.outer(r, r))) ** 2, 1.0)
    found: dict[int, int] = {}
    for c in map(int, np.flatnonzero(t)):
        strength = np.abs(correlation[:, c])
        strength[c] = 0.0
        best = int(strength.argmax())
        distinct = r[c] == 0 or alone[best, c] > PLAIN
        if distinct and strength[best] >= ALIKE and left[best, c] <= BETTER * left[c, c]:
            found[c] = best
    for end in [j for j in found.values() if j not in found and t[j] == 0]:  # a silent channel took part
        starts = [c for c in found if c not in found.values() and r[c] == 0]
        if len(starts) == 1:
            found[end] = starts[0]
    exchanged = {c: found[c] for cycle in _cycles(found) for c in cycle}
    if not exchanged and len(r) == 2 and r.all() and t.all() and alone[0, 1] < PLAIN:
        exchanged = _mirrored(r, t, correlation)
    copied = {
        c: i
        for c, i in found.items()
        if max(left[i, i], left[i, c]) <= COPY[0] and left[c, c] >= COPY[1] and r[c] > FAINT * r.max()
    }
    return exchanged, copied


def _mirrored(r: Array, t: Array, correlation: Array) -> dict[int, int]:
    """The exchange of two channels that hold one sound at two levels, which only the levels tell."""
    import numpy as np

    whole = np.sqrt(r.sum() * t.sum())
    products = correlation * np.sqrt(np.outer(r, t))
    before, after = (1.0 - (float(p[0] + p[1]) / whole) ** 2 for p in (np.diag(products), np.diag(products[::-1])))
    return {0: 1, 1: 0} if after < MIRRORED[0] and before > MIRRORED[1] else {}


def _cycles(held: Mapping[int, int]) -> list[list[int]]:
    """The channels that hold each other's sound, in closed circles."""
    found, seen = [], set()
    for start in held:
        path = [start]
        while path[-1] in held and held[path[-1]] not in path:
            path.append(held[path[-1]])
        if held.get(path[-1]) == start and start not in seen:
            found.append(sorted(path))
        if held.get(path[-1]) == start:
            seen |= set(path)
    return found


def _is_inverted(a: Array, b: Array, rate: int, correlation: float) -> bool:
    """Whether b is a with the sign changed, and not only late by half a period."""
    if correlation > -ALIKE:
        return False
    if correlation <= -ALL_BUT:
        return True
    import numpy as np

    length = min(a.size, b.size)
    energies = [float(np.vdot(b[i : i + STRETCH], b[i : i + STRETCH])) for i in range(0, length, STRETCH)]
    first = STRETCH * int(np.argmax(energies))
    x, y = (np.asarray(s[first : min(first + STRETCH, length)], np.float64) for s in (a, b))
    size = 1 << (2 * x.size - 1).bit_length()
    course = np.fft.irfft(np.fft.rfft(x - x.mean(), size).conj() * np.fft.rfft(y - y.mean(), size), size)
    reach = min(round(NEAR * rate), x.size - 1)
    around = np.concatenate([course[: reach + 1], course[size - reach :]])
    return bool(-course[0] >= -around.min() * PEAK and around.max() <= -PEAK * course[0])
