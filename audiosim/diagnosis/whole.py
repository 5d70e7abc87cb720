"""Finds what happened to the whole recording, undoing one cause after the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil, inf, log10
from statistics import median
from typing import TYPE_CHECKING, Any

from .finding import Cause, Diagnosis, Finding, NullTest, Place
from .null import bit_depth, null_test, residual as residual

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..signal import Signal

    Array = NDArray[Any]

FEWEST = 512  # samples, below which only the null test says anything
SILENT = 1e-12  # mean square, -120 dBFS
BLOCK = 1 << 18  # samples at a time
SEARCH = 1.0  # s, of delays
LOW = 8000  # Hz, about, at which delays are looked for first
LONGEST = 20.0  # s, in which they are
ECHOES = 0.05  # s, within which peaks are one
ALIKE = 0.9  # correlation without a delay, from which on none is looked for but of a few samples
SHIFT = 0.05  # samples, below which a delay is none
ALIGNED = 0.9  # of the difference that is left at most when a fraction of a sample is undone
FRACTION = 0.6  # samples: a smaller delay may be an equaliser's
PART = 1.5  # times as long as the other, from which on a recording is first looked for in the longer one
TRENDS = 0.15  # samples by which the delay changes over the recording, where clocks differ
SCATTERED = 0.5  # samples between the delay of segments and that of the whole, by which something moves
WEAK = 0.3, 0.55  # correlation, and coherence of segments, below both of which a delay is chance
VARISPEED = 3000.0  # ppm, from which on it is no clock but a speed
SPEEDS = 0.002, 0.12  # as parts: of these the lengths may tell
CHANGES = 0.002  # of the length, below which there is no other tempo
MANY = 2  # pieces, from which on they may be those of time stretching
EVIDENT = 0.95  # likeness of levels at another tempo, that outdoes what the waveform says
POOR = 0.9  # coherence, below which the clocks may differ
HEARD_LATE = 0.03  # s, of a delay beside another tempo
GAIN_OF_POWER = 0.75  # dB, of a gain told by power alone
JOINED = -8.0  # dB, that is left at most where pieces were joined rightly
CLIP = 1.0  # s by which lengths differ, from which on one may be a part of the other
LEAST_DC = 2e-4
SURE = 5.0  # standard errors
TARGETS = (-14.0, -16.0, -23.0, -24.0)  # LUFS
ON_TARGET = 0.06  # LU
ROUND = 0.5, 0.004  # dB: gains that are multiples of this, as nearly, are set by hand
GAIN = 0.08  # dB
MONO = 1e-5, 1e-3  # energy of the difference of channels against their sum: none, and some
WITH_DYNAMICS = 3.0  # dB of an equaliser beside a gain that changes
EXPLAINS = 0.5  # of the gain's variance with an equaliser alone, at most, that a gain that changes leaves
UNRELATED = 0.65  # correlation of envelopes, below which two recordings have nothing in common
DITHERED = 0.35  # RMS of the difference in steps, from which on it is more than rounding
ONE_STEP = 0.8  # RMS in steps, up to which the difference is one of bits


def diagnosed(ref: Signal, test: Signal) -> Diagnosis:
    """What was done to the reference to get the test: recordings of any rates, channels and lengths."""
    null = null_test(ref, test)
    if null is not None and null.differing == 0 and ref.length == test.length:
        return Diagnosis((), null, None)
    pair = _Pair(ref, test, null)
    pair.examine()
    findings = sorted(pair.findings, key=lambda f: -1.0 if f.share is None else -f.share)
    return Diagnosis(tuple(findings), null, pair.left)


@dataclass
class _Pair:
    """Two recordings on their way to each other. a, b: of the reference and the test, [channel, sample], of `rate`."""

    ref: Signal
    test: Signal
    null: NullTest | None
    findings: list[Finding] = field(default_factory=list)
    later: list[Finding] = field(default_factory=list)  # that hold only where the two are one recording
    left: float | None = None  # dB
    start: float | None = None  # samples by which the test is late at its start, where the clocks differ
    clock: Any = None  # dsp.drift.Drift, undone
    moved: int = 0  # samples by which the test had been moved before `late` was measured
    energy: float = 0.0  # of the difference as it is, against the reference's
    now: float = 0.0  # and what is left of it
    cut: list[tuple[float, float, float]] = field(default_factory=list)  # s: start of a piece, what its times lack

    def tell(self, cause: Cause, size: float | None = None, unit: str = "", **more: Any) -> None:
        self.findings.append(Finding(cause, size, unit, **more))

    def gone(self, now: float) -> float | None:
        """The share that goes with what was undone last."""
        share = (self.now - now) / self.energy if self.energy > 0 else 0.0
        self.now = min(now, self.now)
        return round(min(max(share, 0.0), 1.0), 4)

    def examine(self) -> None:
        if not self._same_format():
            return
        a, b = self.a, self.b
        if min(a.shape[1], b.shape[1]) < FEWEST:
            self._leave(*_overlap(a, b, 0))
            return
        if not self._sounding():
            return
        self.energy = self.now = _error(*_overlap(a, b, 0))
        if self._same_bits():
            return
        if not self._same_pieces() or not self._same_time():
            return
        self.findings += self.later
        self._same_channels()
        self._same_spectrum()

    # Rates and channels

    def _same_format(self) -> bool:
        from ..dsp import resampling
        from ..errors import InputError

        ref, test = self.ref, self.test
        rate = min(ref.rate, test.rate)
        if ref.rate != test.rate:
            self.tell("rate conversion", float(test.rate), "Hz", detail={"from_hz": ref.rate, "to_hz": test.rate})
            try:
                ref, test = (resampling.to_rate(s, rate) for s in (ref, test))
            except InputError:
                return False
        if ref.channels != test.channels:
            detail = {"reference_channels": ref.channels, "test_channels": test.channels}
            self.tell("mono", detail=detail)
            ref, test = (_averaged(s) for s in (ref, test))
        a, b = ref.samples, test.samples
        if a.dtype != b.dtype:
            a, b = (x.astype("float64", copy=False) for x in (a, b))
        self.a, self.b, self.rate = a, b, rate
        self.late = 0.0  # samples by which the test is late
        return True

    def _sounding(self) -> bool:
        """Whether both are. A silent one is dead."""
        powers = [_varying(x) for x in (self.a, self.b)]
        self.powers = powers
        if min(powers) > SILENT:
            return True
        if max(powers) > SILENT:
            which = "test" if powers[1] <= SILENT else "reference"
            count = len(self.b)
            self.tell(
                "dead", share=1.0, detail={"recording": which, "channels": list(range(1, count + 1)), "of": count}
            )
        else:
            self._offset(*_overlap(self.a, self.b, 0), 1.0)
        return False

    def _same_bits(self) -> bool:
        """Bit depth and dither, where they are all that there is."""
        import numpy as np

        self.bits = bit_depth(self.test.samples)
        if self.bits is None or self.null is None:
            return False
        before = bit_depth(self.ref.samples)
        if before is not None and before < self.bits:
            return False
        step = 2.0 ** (1 - self.bits)
        rms = (10 ** (self.null.rms_dbfs / 20) if self.null.rms_dbfs is not None else 0.0) / step
        peak = (10 ** (self.null.peak_dbfs / 20) if self.null.peak_dbfs is not None else 0.0) / step
        alone = 0 < rms < ONE_STEP and peak <= 2.5
        if before == self.bits:
            if alone and peak <= 2.01 and self.null.differing > 0.05 * self.null.samples:
                self.tell("dither", rms, "LSB", share=1.0, detail={"bits": self.bits})
                self._leave(*_overlap(self.a, self.b, 0))
                return True
            return False
        detail: dict[str, Any] = {"from_bits": before, "to_bits": self.bits}
        if alone:
            shape = "none" if rms < DITHERED else "rectangular" if rms < 0.455 else "triangular"
            detail |= {"dither": shape, "lsb": round(rms, 3)}
        finding = Finding("bit depth", float(self.bits), "bits", share=1.0 if alone else None, detail=detail)
        if not alone:
            self.later.append(finding)
            return False
        self.findings.append(finding)
        a, b = _overlap(self.a, self.b, 0)
        self._leave(np.asarray(a), np.asarray(b))
        return True

    # Time

    def _same_pieces(self) -> bool:
        """Joins the test again where it was cut, so that one delay is left. False: time stretching cut it."""
        from .timeline import findings, pieces, together

        cut = pieces(self.a, self.b, self.rate)
        if len(cut) > MANY and self._stretched(EVIDENT):
            return False
        if cut:
            joined, rest, kept = together(self.a, self.b, cut)
            if self._one_clock(_unlike(*_overlap(joined, rest, cut[0].late))):
                return True
            self.findings += findings(self.a, self.b, self.rate, cut)
            self.a, self.b = joined, rest
            at = 0
            for piece in kept:
                late = piece.late - cut[0].late
                self.cut.append((at / self.rate, (piece.start - at) / self.rate, late / self.rate))
                at += piece.stop - piece.start
        return True

    def _one_clock(self, unlike: float) -> bool:
        """Whether another clock leaves less unexplained than pieces do: of steady tones any delay is near enough to
        some period."""
        from ..dsp.drift import drift, undone

        found = drift(self.a, self.b, self.rate)
        return found.clear and _unlike(*_overlap(self.a, undone(self.b, found), 0)) < unlike

    def _same_time(self) -> bool:
        """Delay, drift, speed and clips. Whether the two are one recording."""
        rate = self.rate
        excess = (self.b.shape[1] - self.a.shape[1]) / rate
        a, b = _overlap(self.a, self.b, 0)
        late, found = 0.0, False
        self.strength = _correlation(a, b)
        if self.strength > ALIKE:
            found = True
        else:
            late, found = self._delay()
        if found and self._refined(late) is not None and not self._weak():
            self._clock()
            if self.clock is None and float(median(self.seen.coherences)) < POOR and self._stretched(EVIDENT):
                return False
            self._tell_delay()
            if abs(excess) > CLIP and not any(f.cause == "speed" for f in self.findings):
                self._tell_clip(-self.late)
            return True
        part = max(self.a.shape[1], self.b.shape[1]) > PART * min(self.a.shape[1], self.b.shape[1])
        if (part and self._clip()) or self._speed():
            self._tell_delay()
            return True
        if self._stretched() or self._pitch():
            return self.clock is not None
        if not part and self._clip():
            return True
        self._unrelated()
        return False

    def _delay(self) -> tuple[float, bool]:
        """In samples; looked for at a low rate."""
        from ..dsp import alignment

        q = max(self.rate // LOW, 1)
        first, size = _loud(self.a, round(LONGEST * self.rate))
        a, b = (_thinned(x[:, first : first + size], q) for x in (self.a, self.b))
        limit, apart = ceil(SEARCH * self.rate / q), ceil(ECHOES * self.rate / q)
        found = alignment.roughly(a, b, limit, apart)
        self.strength = abs(found.correlation)
        return found.samples * q, found.found

    def _weak(self) -> bool:
        """Whether the delay is one by chance."""
        import numpy as np

        seen = self.seen
        audible = seen.ref.sum(axis=(1, 2)) > 1e-4 * seen.ref.sum(axis=(1, 2)).max()
        return self.strength < WEAK[0] and float(np.median(seen.coherences[audible])) < WEAK[1]

    def _refined(self, late: float) -> float | None:
        """The delay to a fraction of a sample, and the spectra at it. None where nothing is in common after all."""
        from .spectra import spectra

        for _ in range(3):
            whole = round(late)
            a, b = _overlap(self.a, self.b, whole)
            if a.shape[1] < FEWEST:
                return None
            seen = spectra(a, b, self.rate)
            lag = self._lag(seen)
            late = whole + lag
            if abs(lag) <= 0.75:
                break
        self.late, self.seen = late, seen
        return late

    def _lag(self, seen: Any) -> float:
        import numpy as np

        good = seen.good
        xx, yy, xy = (z[good].sum(axis=0) for z in (seen.ref, seen.test, seen.cross))
        coherence = np.abs(xy) ** 2 / np.maximum(xx * yy, 1e-300)
        chance = min(4 / max(int(seen.frames[good].sum()), 1), 0.9)
        coherence = np.clip((coherence - chance) / (1 - chance), 0, 1)
        coherence[:, :2] = 0
        coherence[:, -1:] = 0
        coherence *= xx > 1e-9 * xx.max()
        signs = np.where(np.real(xy * coherence).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
        weight = coherence / (1.001 - coherence)
        self.weight = weight
        return float(seen.lag(xy * signs, weight, seen.window / 4))

    def _clock(self) -> None:
        """Clocks that differ: the delay changes evenly from segment to segment."""
        import numpy as np

        seen = self.seen
        coherence = seen.coherences
        good = seen.good
        poor = good.mean() < 0.6 or float(np.median(coherence)) < POOR
        lags = []
        for s in np.flatnonzero(good):
            xy = seen.cross[s]
            turn = np.sign(np.real(seen.cross[good].sum(axis=0) * np.conj(xy)).sum(axis=1, keepdims=True))
            lags.append(seen.lag(xy * np.where(turn < 0, -1, 1) * self._signs(), self.weight, seen.window / 4))
        times = seen.starts[good]
        trend = False
        if len(lags) >= 3:
            slope, rest = _line(times, np.array(lags))
            change = abs(slope) * (times[-1] - times[0])
            trend = change > max(TRENDS, 4 * rest) or rest > SCATTERED
        if trend or poor:
            self._drifting()

    def _signs(self) -> Any:
        import numpy as np

        xy = self.seen.cross.sum(axis=0)
        return np.where(np.real(xy * self.weight).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)

    def _drifting(self) -> bool:
        """Whether the clocks differ; undone then."""
        from ..dsp import drift as clocks

        return self._on_one_clock(clocks.drift(self.a, self.b, self.rate))

    def _on_one_clock(self, found: Any) -> bool:
        from ..dsp import drift as clocks

        if not found.clear:
            return False
        before = self.a, self.b, self.late
        self.b = clocks.undone(self.b, found)
        was = _unlike(*_overlap(*before[:2], round(before[2])))
        if self._refined(0.0) is None:
            self.a, self.b, self.late = before
            return False
        now = _error(*_overlap(self.a, self.b, round(self.late)))
        if _unlike(*_overlap(self.a, self.b, round(self.late))) > 0.98 * was and abs(found.ppm) < VARISPEED:
            self.a, self.b, self.late = before
            self._refined(self.late)
            return False
        self.clock = found
        self.start = float(found.delay_samples_at_start)
        detail = {"ppm": round(float(found.ppm), 3)}
        if abs(found.ppm) >= VARISPEED:
            self.tell("speed", -found.ppm / 1e4 / (1 + found.ppm * 1e-6), "%", share=self.gone(now), detail=detail)
        else:
            self.tell("drift", float(found.ppm), "ppm", share=self.gone(now), detail=detail)
        return True

    def _speed(self) -> bool:
        if min(self.a.shape[1], self.b.shape[1]) < self.rate:
            return False
        stretch = self.b.shape[1] / self.a.shape[1]
        return self._drifting() or (SPEEDS[0] < abs(stretch - 1) < SPEEDS[1] and self._stretched_by(stretch, 0.0))

    def _stretched_by(self, stretch: float, late: float) -> bool:
        """Whether the test lasts about so many times longer, and lower, as its waveform has it; undone then."""
        from ..dsp.drift import Drift, drift, undone

        guess = Drift(1e6 * (stretch - 1), late, 1.0, True, 0.0)
        rest = drift(self.a, undone(self.b, guess), self.rate)
        if not rest.found:
            return False
        ppm = 1e6 * (stretch * rest.stretch - 1)
        start = late + stretch * rest.delay_samples_at_start
        return self._on_one_clock(replace(rest, ppm=ppm, delay_samples_at_start=start))

    def _stretched(self, least: float = 0.0) -> bool:
        """Another tempo, by the course of levels, of at least this likeness; the pitch may go with it."""
        from .tempo import PROVEN, tempo

        if abs(self.b.shape[1] / self.a.shape[1] - 1) < CHANGES:
            return False  # time stretching without another length is rare
        found = tempo(self.a, self.b, self.rate)
        if found is None or found.likeness < least:
            return False
        if found.shifted and self._stretched_by(1 / found.factor, found.late * self.rate):
            return True
        if found.likeness < PROVEN:
            return False
        percent = 100 * (found.factor - 1)
        self.tell("speed" if found.shifted else "tempo", percent, "%", confidence=round(found.likeness, 2))
        if abs(found.late) > HEARD_LATE:
            self.tell("delay", 1000 * found.late, "ms")
        self._tell_power(found.gain_db)
        return True

    def _tell_power(self, db: float) -> None:
        """Of a test whose waveform is another one."""
        if abs(db) > GAIN_OF_POWER:
            self.tell("gain", db, "dB", confidence=0.7)

    def _tell_delay(self) -> None:
        late = self.late if self.start is None else self.start
        if abs(late) < FRACTION or any(f.cause in ("delay", "excerpt") for f in self.findings):
            return
        now = _error(*_overlap(self.a, self.b, round(self.late)))
        self.tell("delay", 1000 * late / self.rate, "ms", share=self.gone(now), detail={"samples": round(late, 3)})

    def _clip(self) -> bool:
        """Whether one is a part of the other, or further away than delays are looked for."""
        from ..dsp import excerpt

        a, b = self.a, self.b
        found = excerpt.find(a, b, self.rate)
        if not found.found:
            return False
        start = found.start_samples
        before = _error(*_overlap(a, b, 0))
        self.moved = -round(start)
        self.a, self.b = _overlap(a, b, self.moved)
        if self._refined(0.0) is not None:
            self.strength = abs(_correlation(*_overlap(self.a, self.b, round(self.late))))
            if not self._weak():
                start -= self.late + round(start) - start
                if max(a.shape[1], b.shape[1]) - self.a.shape[1] > CLIP * self.rate:
                    self._tell_clip(start)
                else:
                    self.energy, self.now = before, before
                    share = self.gone(_error(*_overlap(self.a, self.b, round(self.late))))
                    self.tell(
                        "delay", -1000 * start / self.rate, "ms", share=share, detail={"samples": round(-start, 3)}
                    )
                return True
        self.a, self.b, self.moved = a, b, 0
        return False

    def _tell_clip(self, start: float) -> None:
        """start: of the test in the reference, samples."""
        ref, test = self.ref.duration, self.test.duration
        shorter = "test" if test < ref else "reference"
        at = start if shorter == "test" else -start
        for f in [f for f in self.findings if f.cause == "delay"]:
            self.findings.remove(f)
        self.tell(
            "excerpt",
            at / self.rate,
            "s",
            share=None,
            detail={"shorter": shorter, "duration": round(min(ref, test), 6), "of": round(max(ref, test), 6)},
        )

    def _pitch(self) -> bool:
        from .envelopes import pitch

        found = pitch(self.a, self.b, self.rate)
        if found is None:
            return False
        self.tell("pitch", found[0], "semitones", confidence=found[1])
        self._tell_power(10 * log10(self.powers[1] / self.powers[0]))
        return True

    def _unrelated(self) -> None:
        from .envelopes import likeness

        a, b = _overlap(self.a, self.b, 0)
        self._leave(a, b)
        alike = likeness(a, b, self.rate)
        if alike is not None and alike < UNRELATED:
            self.tell("unrelated", share=None, confidence=round(min(1.0, 0.6 + UNRELATED - alike), 2))

    # Channels

    def _same_channels(self) -> None:
        import numpy as np

        from .. import channels as faults
        from ..signal import Signal

        a, b = _overlap(self.a, self.b, round(self.late))
        self.x, self.y = a, b
        self.sign = 1.0
        count = len(a)
        kept = list(range(count))
        hold = list(range(count))
        if count == 2 and _side(b) < MONO[0] and _side(a) > MONO[1]:
            source = _source(a, b)
            self.x, self.y = _mean(a) if source is None else a[source : source + 1], b[:1]
            share = self.gone(_error(self.x, self.y))
            if source is None:
                self.tell("mono", share=share, detail={"reference_channels": 2})
            else:
                self.tell("copied", share=share, detail={"channels": [2 - source], "of": 2, "hold": [source + 1]})
            self._again()
        elif found := faults.examine(Signal(a, self.rate), Signal(b, self.rate)).get("channel_faults"):
            changed = False
            turned: list[int] = []
            for fault in found:
                of = [c - 1 for c in fault["channels"]]
                kind: Cause = "polarity" if fault["fault"] == "inverted" else fault["fault"]
                if kind in ("exchanged", "copied"):
                    for c, h in zip(of, fault["hold"], strict=True):
                        hold[c] = h - 1
                elif kind == "dead":
                    kept = [c for c in kept if c not in of]
                else:
                    turned = of
                detail = {k: v for k, v in fault.items() if k not in ("fault", "correlation")}
                x = a[hold]
                y = b
                if turned:
                    signs = np.ones((count, 1), b.dtype)
                    signs[turned] = -1
                    y = b * signs
                x, y = (z if len(kept) == count or not kept else z[kept] for z in (x, y))
                self.x, self.y, changed = x, y, True
                self.tell(kind, share=self.gone(_error(x, y)), detail=detail)
            if changed:
                self._again()

    def _again(self) -> None:
        from .spectra import spectra

        self.seen = spectra(self.x, self.y, self.rate)
        self.late = round(self.late) + self._lag(self.seen)

    # Gain, filters, offset, dynamics

    def _same_spectrum(self) -> None:
        import numpy as np

        from . import coding, filters
        from .places import Aligned, find

        x, y, seen = self.x, self.y, self.seen
        fraction = self.late - round(self.late)
        self.seen = seen = _turned(seen, fraction)
        r = filters.response(seen)
        offset = self._offset(x, y, 10 ** (r.gain_db / 20))
        squeezed = self._dynamics(seen, r, fraction)
        if squeezed:
            y, seen = self._even(squeezed, fraction)
            r = filters.response(seen)
        low = filters.low_pass(seen, r)
        top = 0.42 if self.ref.rate != self.test.rate else 0.5  # of the rate: beyond, the resampler acts
        curve = filters.curve(seen, r, low, top * self.rate)
        bell = filters.bells(curve, r, WITH_DYNAMICS if squeezed else filters.AUDIBLE_EQ)
        cut_off = low  # by anything; by another clock it is no cause
        if self.clock is not None and low and low.corner > 0.44 * self.rate * min(self.clock.stretch, 1.0):
            low = None
        gain = 10 ** (r.gain_db / 20) if np.isfinite(r.certain) else 1.0
        self._tell_gain(r, seen, gain)
        if not (bell or low) and SHIFT < abs(self.late) < FRACTION and self.start is None and not self.moved:
            before, now = self.now, _spectral_error(seen, 1.0)
            share = self.gone(now)
            if now < ALIGNED * before:
                detail = {"samples": round(self.late, 3)}
                self.tell("delay", 1000 * self.late / self.rate, "ms", share=share, detail=detail)
        magnitude = np.ones(seen.frequencies.size)
        if bell:
            magnitude = _over_bins(seen, np.where(np.abs(curve) > 0, curve, 0.0))
            self._tell_curve(seen, curve, bell, gain, magnitude)
        if low:
            self._tell_low_pass(low, seen, gain, magnitude)
        undone = self._undone(y, fraction, gain, offset, bell is not None, seen.frequencies, magnitude)
        if cut_off and not low:  # filters of other clocks differ where they end
            cut_off = replace(cut_off, corner=0.9 * cut_off.corner, gone=0.95 * cut_off.corner)
            undone = self._passed(undone, cut_off, seen)
        if cut_off:
            x = self._passed(x, cut_off, seen)
        self._leave(x, undone)
        at = round(self.late) + self.moved
        early, joins = max(-at, 0), (round(piece[0] * self.rate) for piece in self.cut[1:])
        found = find(  # offsets are those of the whole files
            Aligned(x, undone, y, self.rate, early / self.rate, max(at, 0) / self.rate, tuple(j - early for j in joins))
        )
        part = min(self.now / self.energy, 1.0) if self.energy > 0 else 1.0  # of the difference, that find has seen
        gated = squeezed is not None and squeezed.kind == "expansion"
        apart = bool(self.cut) and (self.left or -inf) > JOINED
        if not (gated or apart or {"clipping", "dropout"} & {f.cause for f in found}):  # they leave holes too
            self.findings += coding.find(Aligned(x, undone, y, self.rate))
        if gated:
            found = [f for f in found if f.cause not in ("dropout", "click")]  # what a gate takes, and its edges
        for f in found:
            share = None if f.share is None else round(part * f.share, 4)
            self.findings.append(self._on_its_clock(replace(f, share=share)))

    def _dynamics(self, seen: Any, r: Any, fraction: float) -> Any:
        """A gain that changes. Loud sounds have other spectra than quiet ones: what explains more of the gain of short
        frames, a gain that changes or an equaliser, is undone first."""
        import numpy as np

        from . import filters
        from .levels import dynamics, short, variance

        told = np.abs(r.bands) > 0
        if not told.any():
            return None
        whole = np.where(told, np.abs(r.bands), 1e-3) / 10 ** (r.gain_db / 20)
        shaped = _over_bins(seen, 20 * np.log10(whole))
        flat = filters.impulse(seen.frequencies, np.ones(shaped.size), -fraction) if abs(fraction) > SHIFT else None
        plain = short(self.x, self.y, self.rate, flat)
        equal = short(self.x, self.y, self.rate, filters.impulse(seen.frequencies, shaped, -fraction))
        found = dynamics(plain)
        least = EXPLAINS * variance(equal, None)
        if found is not None and found.rest < least:
            return found
        found = dynamics(equal)
        return found if found is not None and found.rest < least else None

    def _even(self, found: Any, fraction: float) -> tuple[Array, Any]:
        """The test without a gain that changes, which is told; and the spectra then."""
        import numpy as np

        from .. import scratch
        from .levels import levels, undone
        from .spectra import spectra

        level = levels(self.x, self.rate)
        factors = found.at(level)
        power = 10 ** (level / 10)
        factors /= np.sqrt((factors**2 * power).sum() / power.sum())
        y = undone(self.y, factors, self.rate, scratch.empty(self.y.shape, self.y.dtype))
        detail: dict[str, Any] = {"ratio": round(found.ratio, 2), "threshold_db": round(found.threshold, 1)}
        if found.kind == "moving gain":
            detail = {"from_db": round(float(found.gains.min()), 1), "to_db": round(float(found.gains.max()), 1)}
        confidence = round(min(0.5 + found.size / 6, 1.0), 2)
        share = self.gone(_error(self.x, y))
        self.tell(found.kind, round(found.size, 2), "dB", confidence=confidence, share=share, detail=detail)
        return y, _turned(spectra(self.x, y, self.rate), fraction)

    def _on_its_clock(self, finding: Finding) -> Finding:
        """With the times in the test as they are where its clock differs."""
        if self.cut:
            places = tuple(_shifted(p, self.cut) for p in finding.places)
            return replace(finding, places=places)
        if self.clock is None:
            return finding
        late, stretch = self.clock.delay_samples_at_start / self.rate, self.clock.stretch
        places = tuple(
            replace(p, test_start=late + stretch * p.start, test_end=late + stretch * p.end) for p in finding.places
        )
        return replace(finding, places=places)

    def _offset(self, x: Array, y: Array, gain: float) -> Array:
        """What is constant in the test beyond what is in the reference, [channel]; told where it is plain."""
        import numpy as np

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
        offset = np.where(plain, change.mean(axis=1), 0.0)
        if not offset.any():
            return offset
        largest = float(offset[np.argmax(np.abs(offset))])
        power = float(np.mean(offset**2))
        whole = self.energy * _power(x) or power
        share = round(min(power / whole, 1.0), 4)
        where = [int(c) + 1 for c in np.flatnonzero(offset)]
        self.tell("dc", largest, "", share=share, detail={"offsets": offset.round(6).tolist(), "channels": where})
        self.now = max(self.now - power / max(_power(x), 1e-300), 0.0)
        return offset

    def _tell_gain(self, r: Any, seen: Any, gain: float) -> None:
        db = r.gain_db
        least = GAIN + (2.5 * r.certain if db < 0 else 0.3 * r.certain)
        share = self.gone(_spectral_error(seen, gain))
        if abs(db) < least:
            return
        loudness = self._target(db)
        if loudness is None:
            self.tell("gain", db, "dB", share=share)
        else:
            self.tell("loudness normalisation", db, "dB", share=share, detail={"lufs": loudness})

    def _target(self, db: float) -> float | None:
        """The usual loudness that a gain brings the test to."""
        if abs(db / ROUND[0] - round(db / ROUND[0])) * ROUND[0] < ROUND[1]:
            return None
        from ..metrics import lufs

        now = lufs.integrated(self.test)
        target = min(TARGETS, key=lambda t: abs(t - now))
        return target if abs(target - now) <= ON_TARGET else None

    def _tell_curve(self, seen: Any, curve: Array, bell: tuple[int, int, float], gain: float, m: Array) -> None:
        first, last, size = bell
        f, cuts = seen.frequencies, seen.cuts
        self.tell(
            "equaliser",
            size,
            "dB",
            share=self.gone(_spectral_error(seen, gain * m)),
            detail={
                "low_hz": round(float(f[cuts[first]])),
                "high_hz": round(float(f[cuts[last + 1] - 1])),
                "to_the_top": bool(last == curve.size - 1),
                "to_the_bottom": bool(first == 0),
                "curve": [[round(float(c)), round(float(d), 1)] for c, d in zip(seen.centres, curve, strict=True)],
            },
        )

    def _tell_low_pass(self, low: Any, seen: Any, gain: float, magnitude: Array) -> None:
        shape = gain * magnitude * (seen.frequencies < low.gone)
        share = self.gone(_spectral_error(seen, 1.0, gone=shape))
        detail: dict[str, Any] = {"gone_hz": round(low.gone), "coded": bool(low.steep and not low.clean)}
        if low.rate and low.rate < 0.98 * self.rate:
            self.tell("rate conversion", low.corner, "Hz", share=share, detail={**detail, "rate_hz": low.rate})
        else:
            self.tell("low-pass", low.corner, "Hz", share=share, detail=detail)

    def _undone(
        self, y: Array, fraction: float, gain: float, offset: Array, shaped: bool, frequencies: Array, magnitude: Array
    ) -> Array:
        """The test without offset, gain, curve and the fraction of a sample."""
        from .. import scratch
        from . import filters

        if not (offset.any() or shaped or abs(fraction) > SHIFT or abs(gain - 1) > 1e-4):
            return y
        out = scratch.empty(y.shape, y.dtype)
        taps = None
        if shaped or abs(fraction) > SHIFT:
            taps = filters.impulse(frequencies, 1 / magnitude, fraction) / gain
        level = offset.astype(y.dtype)[:, None]
        for at in range(0, y.shape[1], BLOCK):
            out[:, at : at + BLOCK] = (y[:, at : at + BLOCK] - level) * y.dtype.type(
                1 if taps is not None else 1 / gain
            )
        return out if taps is None else filters.filtered(out, taps, scratch.empty(y.shape, y.dtype))

    def _passed(self, x: Array, low: Any, seen: Any) -> Array:
        """A recording, such as the reference, through the low-pass of the test."""
        import numpy as np

        from .. import scratch
        from . import filters

        f = seen.frequencies
        magnitude = np.clip((low.gone - f) / max(low.gone - low.corner, 2 * f[1]), 0, 1)
        taps = filters.impulse(f, np.sin(np.pi / 2 * magnitude) ** 2, 0.0)
        return filters.filtered(x, taps, scratch.empty(x.shape, x.dtype))

    def _leave(self, x: Array, y: Array) -> None:
        e = _error(x, y)
        self.left = round(10 * log10(e), 2) if e > 0 else None


def _turned(seen: Any, fraction: float) -> Any:
    """The spectra as if the test were earlier by a fraction of a sample."""
    import numpy as np

    if abs(fraction) < 1e-4:
        return seen
    omega = 2 * np.pi * np.arange(seen.frequencies.size) / seen.window
    middle = 2 * np.pi * seen.centres / (seen.frequencies[1] * seen.window)
    return replace(
        seen,
        cross=seen.cross * np.exp(1j * fraction * omega),
        cross_bands=seen.cross_bands * np.exp(1j * fraction * middle),
    )


def _spectral_error(seen: Any, g: Any, gone: Any = None) -> float:
    """Energy of the test over g, less the reference, against the reference's; or of the test less the filtered
    reference."""
    good = seen.good
    xx, yy, xy = (z[good].sum(axis=(0, 1)) for z in (seen.ref, seen.test, seen.cross.real))
    e = yy / g**2 + xx - 2 * xy / g if gone is None else yy + gone**2 * xx - 2 * gone * xy
    return max(float(e.sum()), 0.0) / max(float(xx.sum()), 1e-300)


def _over_bins(seen: Any, db: Array) -> Array:
    """A curve of bands, at each bin, as a factor."""
    import numpy as np

    magnitude: Array = 10 ** (np.interp(np.log(np.maximum(seen.frequencies, 1)), np.log(seen.centres), db) / 20)
    return magnitude


def _source(a: Array, b: Array) -> int | None:
    """The one of the reference's two channels that the test's both hold; None where they hold the sum."""
    import numpy as np

    xx, xy, yy = np.zeros((2, 2)), np.zeros(2), 0.0
    for at in range(0, a.shape[1], BLOCK):
        x, y = a[:, at : at + BLOCK], b[0, at : at + BLOCK]
        xx += [[_product(p, q) for q in x] for p in x]
        xy += [_product(p, y) for p in x]
        yy += _product(y, y)
    fits = xy**2 / np.maximum(np.diag(xx), 1e-300)
    best = int(np.argmax(fits))
    return best if fits[best] > xy.sum() ** 2 / max(float(xx.sum()), 1e-300) else None


def _line(t: Array, y: Array) -> tuple[float, float]:
    """Slope of the straight line through most points, and the median distance from it."""
    import numpy as np

    i, k = np.triu_indices(t.size, 1)
    slope = float(np.median((y[k] - y[i]) / (t[k] - t[i])))
    rest = y - slope * t
    return slope, float(np.median(np.abs(rest - np.median(rest))))


def _overlap(a: Array, b: Array, late: int) -> tuple[Array, Array]:
    from ..dsp import alignment

    return alignment.overlap(a, b, late)


def _error(a: Array, b: Array) -> float:
    """Energy of the difference against the reference's."""
    error = own = 0.0
    for at in range(0, a.shape[1], BLOCK):
        x, y = a[:, at : at + BLOCK], b[:, at : at + BLOCK]
        e = y - x
        error += _product(e, e)
        own += _product(x, x)
    return error / own if own > 0 else 0.0


def _product(x: Array, y: Array) -> float:
    """Sum of x y; not by a library whose order of additions depends on its threads."""
    return float((x * y).sum(dtype="float64"))


def _power(x: Array) -> float:
    blocks = (x[:, at : at + BLOCK] for at in range(0, x.shape[1], BLOCK))
    return sum(_product(z, z) for z in blocks) / x.size


def _varying(x: Array) -> float:
    """Mean square about the mean."""
    import numpy as np

    power = 0.0
    for c in x:
        mean = c.mean(dtype=np.float64)
        power += sum(float(((c[at : at + BLOCK] - mean) ** 2).sum(dtype=np.float64)) for at in range(0, c.size, BLOCK))
    return power / x.size


def _correlation(a: Array, b: Array) -> float:
    """Of the channels in place, at no delay; of an even choice of blocks."""
    ab, aa, bb = _products(a, b)
    return float(sum(ab)) / (sum(aa) * sum(bb)) ** 0.5 if sum(aa) > 0 and sum(bb) > 0 else 0.0


def _unlike(a: Array, b: Array) -> float:
    """The part of the channels that those of the other at any gain and polarity leave unexplained."""
    ab, aa, bb = _products(a, b)
    explained = sum(x * x / y for x, y in zip(ab, aa, strict=True) if y > 0)
    return max(1 - float(explained) / sum(bb), 0.0) if sum(bb) > 0 else 0.0


def _products(a: Array, b: Array) -> tuple[list[float], list[float], list[float]]:
    """Of each channel, of an even choice of blocks: products with the other, and of both with themselves."""
    step = max(a.shape[1] // 8, BLOCK) if a.shape[1] > 8 * BLOCK else BLOCK
    sums = [[0.0] * len(a) for _ in range(3)]
    for at in range(0, a.shape[1], step):
        for c, (p, q) in enumerate(zip(a[:, at : at + BLOCK], b[:, at : at + BLOCK], strict=True)):
            p, q = p - p.mean(), q - q.mean()
            for k, (x, y) in enumerate(((p, q), (p, p), (q, q))):
                sums[k][c] += _product(x, y)
    return sums[0], sums[1], sums[2]


def _thinned(x: Array, q: int) -> Array:
    """At a q-th of the rate: means of q samples."""
    cut = x.shape[1] // q * q
    thin: Array = x[:, :cut].reshape(len(x), -1, q).mean(axis=2)
    return thin


def _loud(x: Array, length: int) -> tuple[int, int]:
    """Where the first sound begins, and how much is looked at from there."""
    import numpy as np

    if x.shape[1] <= length:
        return 0, x.shape[1]
    step = max(length // 20, 1)
    cut = x.shape[1] // step * step
    powers = [float((x[:, at : at + step] ** 2).sum()) for at in range(0, cut, step)]
    first = int(np.argmax(np.array(powers) > 0.05 * max(powers)))
    return min(first * step, x.shape[1] - length), length


def _side(x: Array) -> float:
    """Energy of the difference of two channels against their sum's."""
    side = whole = 0.0
    for at in range(0, x.shape[1], BLOCK):
        p, q = x[0, at : at + BLOCK], x[1, at : at + BLOCK]
        d, s = p - q, p + q
        side, whole = side + _product(d, d), whole + _product(s, s) + _product(d, d)
    return side / whole if whole > 0 else 0.0


def _mean(x: Array) -> Array:
    """One channel, the mean of all."""
    from .. import scratch

    out = scratch.empty((1, x.shape[1]), x.dtype)
    for at in range(0, x.shape[1], BLOCK):
        out[0, at : at + BLOCK] = x[:, at : at + BLOCK].mean(axis=0)
    return out


def _averaged(signal: Signal) -> Signal:
    return signal if signal.channels == 1 else replace(signal, samples=_mean(signal.samples))


def _shifted(place: Place, cut: list[tuple[float, float, float]]) -> Place:
    """The place with its times as they were before pieces were joined."""
    _, own, late = [piece for piece in cut if piece[0] <= place.start + 1e-6][-1]
    return replace(
        place,
        start=place.start + own,
        end=place.end + own,
        test_start=place.test_start + own + late,
        test_end=place.test_end + own + late,
    )
