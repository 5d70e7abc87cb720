"""Make two Signals comparable as a policy asks: full scale, rate, channels, delay, length, polarity, gain.

All is reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import ceil, log10, sqrt
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from . import channels as faults
from .errors import InputError, Mismatch, UsageError
from .signal import LOUD, dbfs, warn_once

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .signal import Signal

LENGTH_TOLERANCE = 0.05  # s, by which lengths may differ under `auto`
SEARCH = 1.0  # s either way, in which `align` looks for the delay where it is not told
LONGEST_SEARCH = 60.0  # s
ECHOES = 0.05  # s, within which peaks of the correlation are echoes of one another
AT_END = 2  # samples from the end of the search, where the delay may be longer
NO_SHIFT = 1e-3  # samples; a smaller fraction is not worth filtering the test for
CLEAR = 0.5  # correlation from which the polarity is read off without looking for a delay
SURE = 0.1  # correlation below which the polarity cannot be told
SILENT = 1e-10  # RMS, -200 dB: nothing to scale to or by
UNITS = {"int16": float(1 << 15), "int24": float(1 << 23)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may be done to make two recordings comparable. Every default but `length` changes nothing."""

    rates: Literal["error", "resample"] = "error"
    channels: Literal["error", "mono", "match"] = "error"
    length: Literal["auto", "error", "trim", "pad", "keep"] = "auto"  # auto: trim within 50 ms, else error
    # auto: a delay of up to 1 s; drift: another clock, too; find: one is a part of the other; warp: two performances
    align: str = "none"
    gain: Literal["none", "match"] = "none"
    polarity: Literal["keep", "match"] = "keep"
    level: float | None = None  # dB SPL of a full-scale sine, for metrics with an option level; None: their own
    audiogram: str | None = None  # hearing losses, for metrics with an option audiogram; None: their own
    damaged: Literal["error", "allow"] = "error"  # what to do with a file that is damaged or would be read in part
    raw: str | None = None  # RATE:CHANNELS:FORMAT of files without a header, as audio.load reads them
    full_scale: Literal["error", "int16", "int24", "keep"] = "keep"  # of peaks above +6 dBFS; int16: divided by 2**15
    unfamiliar: Literal["mark", "error"] = "mark"  # of sounds outside a metric's domain; error: they have no value

    @property
    def search(self) -> float | None:
        """Seconds either way in which the delay is looked for; None: it is not, or everywhere (find, warp).

        UsageError for what is no range.
        """
        if self.align in ("none", "find", "warp"):
            return None
        word, colon, text = str(self.align).partition(":")
        try:
            seconds = float(text) if colon else SEARCH
        except ValueError:
            seconds = 0.0
        if word not in ("auto", "drift") or not 0 < seconds <= LONGEST_SEARCH:
            raise UsageError(
                f"align={self.align!r} is not possible; one of: none, auto, auto:SECONDS, drift, drift:SECONDS, find, "
                f"warp, with more than 0 and at most {LONGEST_SEARCH:g} s"
            )
        return seconds

    @property
    def reading(self) -> dict[str, Any]:
        """The options of audio.load."""
        return {"damaged": self.damaged, "raw": self.raw}

    @property
    def listener(self) -> dict[str, Any]:
        """The given options for metrics that depend on the listener and the playback level."""
        return {k: v for k, v in {"level": self.level, "audiogram": self.audiogram}.items() if v is not None}


def match(
    ref: Signal, test: Signal, policy: Policy, seen: faults.Survey | None = None, equal: bool = False
) -> tuple[Signal, Signal, dict[str, Any]]:
    """The two Signals, comparable, and what was done to them (JSON-ready; empty when nothing was).

    In this order: full scale, rate (to the higher of the two), channels, delay, length, polarity, gain. Peaks beyond
    full scale are reported whenever there are any, delay and gain whenever they were looked for. Only the test is ever
    inverted, or scaled to the reference. seen: what channels.survey says of the two. equal: whether lengths that `keep`
    keeps must be equal.
    Raises InputError where the two differ in what the policy does not let change, UsageError for an unknown policy.
    """
    check(policy)
    done: dict[str, Any] = _read(ref, test)
    if seen is None or seen.beyond.any():
        ref, test, report = _at_full_scale(ref, test, policy)
        done |= report
    _refuse(ref, test, policy, equal)
    if ref.rate != test.rate:
        ref, test, done["rate"] = _same_rate(ref, test, policy)
    if ref.channels != test.channels or (policy.channels == "mono" and ref.channels > 1):
        ref, test, done["channels"] = _same_channels(ref, test, policy)
    whole = ref, test
    if policy.align != "none":
        ref, test, done["align"] = _way_to_align(policy)(ref, test, policy)
    if ref.length != test.length and policy.length != "keep":
        ref, test, done["length"] = _same_length(ref, test, policy, whole, done.get("align"))
    if policy.polarity == "match":
        test, report = _same_polarity(ref, test)
        done |= report
    if policy.gain == "match":
        test, done["gain"] = _same_gain(ref, test)
    return ref, test, done


def describe(done: Mapping[str, Any]) -> list[str]:
    """One sentence for each thing that `match` did, or tried without success, and for each faulty channel."""
    said = []
    for which, step in done.get("read", {}).items():
        said += [f"the {which} {note}" for note in step.get("notes", ())]
        if decoder := step.get("decoder"):
            said.append(f"the {which} was read {'by' if decoder == 'ffmpeg' else 'as'} {decoder}")
    if step := done.get("full_scale"):
        said.append(_full_scale(step))
    if step := done.get("rate"):
        changed, other = ("reference", "test") if step["reference_hz"] < step["test_hz"] else ("test", "reference")
        text = f"resampled the {changed} from {step[f'{changed}_hz']} to {step['to_hz']} Hz, the {other}'s rate"
        if "trimmed" in step:
            text += f", and cut {_samples(step['trimmed_samples'])} of rounding from the {step['trimmed']}"
        said.append(text)
    if step := done.get("channels"):
        how = (
            "averaged all channels to one"
            if step["how"] == "averaged"
            else f"repeated the {step['repeated']}'s one channel"
        )
        said.append(f"{how} (the reference has {step['reference_channels']}, the test {step['test_channels']})")
    if step := done.get("align"):
        said.append(_alignment(step))
    if step := done.get("length"):
        verb, preposition = ("trimmed", "from") if "trimmed" in step else ("added", "of silence to")
        changed = step.get("trimmed") or step["padded"]
        count, ms = next((step[f"{k}_samples"], step[f"{k}_ms"]) for k in ("trimmed", "padded") if k in step)
        said.append(f"{verb} {_samples(count)} ({ms:.4g} ms) {preposition} the end of the {changed}")
    if step := done.get("polarity"):
        said.append(
            f"inverted the test, whose polarity was opposite (correlation {step['correlation']:.3f})"
            if step["flipped"]
            else f"kept the polarity: {step['reason']}"
        )
    if step := done.get("gain"):
        if step["gain_db"] is None:
            said.append(f"did not match the gain: {step['reason']}")
        elif step["gain_db"]:
            said.append(f"scaled the test by {step['gain_db']:+.2f} dB to the reference's RMS")
        else:
            said.append("kept the gain: the test has the reference's RMS")
    if step := done.get("level"):
        said.append(
            f"a full-scale sine is {step['value']:g} dB SPL for {', '.join(step['metrics'])}"
            if step["metrics"]
            else "the playback level changes none of the metrics"
        )
    if step := done.get("audiogram"):
        said.append(
            f"the listener's audiogram is {step['value']} for {', '.join(step['metrics'])}"
            if step["metrics"]
            else "the audiogram changes none of the metrics"
        )
    if rates := done.get("metric_rates"):
        said.append(f"resampled both to {', '.join(map(str, rates))} Hz for the metrics that need it")
    return said + faults.describe(done.get("channel_faults", ()))


def _read(ref: Signal, test: Signal) -> dict[str, Any]:
    """What read the files where it was not libsndfile, and what is wrong with them."""
    steps = {
        which: {k: v for k, v in (("decoder", s.decoder), ("notes", list(s.notes))) if v}
        for which, s in (("reference", ref), ("test", test))
    }
    steps = {which: step for which, step in steps.items() if step}
    return {"read": steps} if steps else {}


def _alignment(step: Mapping[str, Any]) -> str:
    if not step["found"]:
        return f"did not align: {step['reason']}"
    if "likeness" in step:
        return _performance(step)
    late, correlation = step["delay_ms"], f"correlation {step['correlation']:.3f}"
    if "starts_s" in step:
        return _excerpt(step)
    if step.get("drift_ppm"):
        return _drift(step)
    if "drift_ppm" in step:
        correlation += "; the clocks agree"
    if not late:
        return f"the test is neither late nor early ({correlation})"
    changes = _cuts(step)
    if step["delay_samples"] % 1:
        changes.append("shifted the test by the fraction of a sample that is left")
    said = f"the test is {_lateness(late)} ({correlation}): {', '.join(changes)}"
    if step.get("at_end"):
        further = _further(step["policy"], step["search_s"])
        said += f"; this is the end of the search, and the delay may be longer: {further}"
    return said


def _cuts(step: Mapping[str, Any]) -> list[str]:
    """What was done to the ends of the two."""
    return [
        f"{verb} {_samples(count)} {preposition} the {end} of the {name}"
        for key, verb, preposition, end in (
            ("trimmed_start_samples", "cut", "from", "start"),
            ("trimmed_end_samples", "cut", "from", "end"),
            ("padded_start_samples", "added", "of silence to", "start"),
        )
        for name, count in step.get(key, {}).items()
        if count
    ]


def _drift(step: Mapping[str, Any]) -> str:
    ppm = step["drift_ppm"]
    changes = ["resampled the test to the clock of the reference", *_cuts(step)]
    return (
        f"the test runs {abs(ppm):.4g} ppm {'slower' if ppm > 0 else 'faster'} than the reference (give or take "
        f"{step['drift_error_ppm']:.2g} ppm) and starts {_lateness(step['delay_ms'])} (correlation "
        f"{step['correlation']:.3f}): {', '.join(changes)}"
    )


def _excerpt(step: Mapping[str, Any]) -> str:
    part, whole = step["part"], "test" if step["part"] == "reference" else "reference"
    starts = step["starts_s"]
    said = f"the {part} begins {f'at {starts:.3f} s of' if starts >= 0 else f'{-starts:.3f} s before'} the {whole}"
    if changes := _cuts(step):
        said += f": {', '.join(changes)}"
    if outside := step.get("outside_ms"):
        said += f"; {outside:.4g} ms of the {part} lie outside of the {whole}"
    if "second_s" in step:
        said += f"; it fits as well at {step['second_s']:.3f} s"
    return said


def _performance(step: Mapping[str, Any]) -> str:
    slow, fast = step["tempo"]
    pieces = f"{step['splices']} splices" if step["splices"] else "no splice"
    key = f", in another key by {step['semitones']:+d} semitones" if step["semitones"] else ""
    return (
        f"laid the test on the time of the reference (likeness {step['likeness']:.2f}{key}): it plays at {slow:.2f} to "
        f"{fast:.2f} of the reference's tempo and is up to {step['furthest_ms'] / 1000:.2f} s away from it; put "
        f"together from pieces of 40 ms with {pieces}, so metrics of waveforms mean little"
    )


def _lateness(ms: float) -> str:
    return f"{abs(ms):.4g} ms {'late' if ms > 0 else 'early'}" if ms else "neither late nor early"


def _further(policy: str, seconds: float, likely: float = 0.0) -> str:
    """policy: that of the alignment. likely: s, a delay that is worth a search."""
    if seconds >= LONGEST_SEARCH:
        return "cut what only one of the recordings holds"
    word, seconds = policy.partition(":")[0], min(max(2 * seconds, ceil(1.1 * likely)), LONGEST_SEARCH)
    return f"--align {word}:{seconds:g} searches further"


def _channels(numbers: list[int]) -> str:
    return f"channel{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _full_scale(step: Mapping[str, Any]) -> str:
    peaks = [f"the {name} peaks at {peak:+.1f} dBFS" for name, peak in step["peak_dbfs"].items()]
    if "scaled" in step:
        return (
            f"divided the {' and the '.join(step['scaled'])} by {UNITS[step['policy']]:.0f}, taking the samples as "
            f"units of {step['policy']} ({', '.join(peaks)})"
        )
    loudest = max(step["peak_dbfs"].values())
    if loudest <= dbfs(LOUD):
        return f"{', '.join(peaks)}: samples beyond full scale are compared as they are"
    return f"{', '.join(peaks)}: samples far beyond full scale are compared as they are; {_unit(loudest)}"


def _unit(peak: float) -> str:
    """What to do about a peak above +6 dBFS, in dBFS."""
    for unit, full in UNITS.items():
        if dbfs(128.0) < peak <= dbfs(LOUD * full):
            return f"if its samples are in units of {unit}, use --full-scale {unit}"
    return "full scale is 1.0; check its level, or export it again"


def doubts(done: Mapping[str, Any]) -> dict[str, str]:
    """What makes one ask whether the values mean anything: a sentence by its kind."""
    found = {}
    if (step := done.get("full_scale")) and "scaled" not in step:
        loud = max(step["peak_dbfs"].values()) > dbfs(LOUD)
        found["peaks above +6 dBFS" if loud else "peaks above full scale"] = _full_scale(step)
    if (step := done.get("align")) and not step["found"]:
        found["not aligned"] = _alignment(step)
    return found


def warn(done: Mapping[str, Any], stacklevel: int = 2) -> None:
    """A FullScaleWarning if `match` reports samples beyond full scale: one a process, and one more above +6 dBFS."""
    step = done.get("full_scale")
    if step and "scaled" not in step:
        loud = max(step["peak_dbfs"].values()) > dbfs(LOUD)
        warn_once(loud, as_keywords(_full_scale(step)), stacklevel + 1)


def as_keywords(text: str) -> str:
    """A message for Python: flags as fields of Policy."""
    text = text.replace("--rate ", "--rates ")
    text = re.sub(r"(--[a-z-]+ \w+)(?= --)", r"\1,", text)
    return re.sub(r"--([a-z-]+) ([\w:.]*\w)", lambda flag: f"{flag[1].replace('-', '_')}='{flag[2]}'", text)


def check(policy: Policy) -> None:
    """UsageError for a policy that is not possible."""
    _ = policy.search
    if policy.level is not None and not 0 <= policy.level <= 200:
        raise UsageError(f"level={policy.level:g} is not possible; 0 to 200 dB SPL of a full-scale sine")
    if policy.audiogram is not None:
        from .hearing.audiogram import losses

        losses(policy.audiogram)
    if policy.raw is not None:
        from .formats.raw import parse

        parse(policy.raw)
    for name, possible in _choices().items():
        if (value := getattr(policy, name)) not in possible:
            raise UsageError(f"{name}={value!r} is not possible; one of: {', '.join(possible)}")


@cache
def _choices() -> dict[str, tuple[str, ...]]:
    """The legal values of each field that is one of several words."""
    hints = get_type_hints(Policy).items()
    return {name: get_args(hint) for name, hint in hints if get_origin(hint) is Literal}


def _at_full_scale(ref: Signal, test: Signal, policy: Policy) -> tuple[Signal, Signal, dict[str, Any]]:
    """Samples beyond full scale are reported; a recording that peaks above +6 dBFS is treated as the policy says."""
    signals = {"reference": ref, "test": test}
    peaks = {name: _peak(s) for name, s in signals.items()}
    beyond = {name: dbfs(peak) for name, peak in peaks.items() if peak > 1}
    loud = [name for name, peak in peaks.items() if peak > LOUD]
    if not beyond:
        return ref, test, {}
    done: dict[str, Any] = {"policy": policy.full_scale, "peak_dbfs": beyond}
    if not loud or policy.full_scale == "keep":
        return ref, test, {"full_scale": done}
    said = ", ".join(f"{signals[name].name} peaks at {beyond[name]:+.1f} dBFS" for name in loud)
    if policy.full_scale == "error":
        raise InputError(
            f"{said}, far beyond full scale: {_unit(max(beyond.values()))}, or --full-scale keep to compare it as it is"
        )
    full = UNITS[policy.full_scale]
    for name in loud:
        if peaks[name] > LOUD * full:
            raise InputError(
                f"{signals[name].name} peaks at {beyond[name]:+.1f} dBFS, which is too much for units of "
                f"{policy.full_scale}: {_unit(beyond[name])}"
            )
        samples = signals[name].samples
        signals[name] = _with(signals[name], samples * samples.dtype.type(1 / full))
    done["scaled"] = loud
    return signals["reference"], signals["test"], {"full_scale": done}


def _peak(signal: Signal) -> float:
    return max(float(signal.samples.max()), -float(signal.samples.min()))


def _refuse(ref: Signal, test: Signal, policy: Policy, equal: bool) -> None:
    """InputError for all that differs although it may not, with flags that mend it, where that is more than one thing.

    One alone is left to the step that meets it, which knows more of it.
    """
    rate, low = max(ref.rate, test.rate), min(ref.rate, test.rate)
    apart = abs(ref.duration - test.duration)
    rounding = ceil(rate / low) / rate if rate > low else 0.0
    allowed = {"error": rounding, "auto": LENGTH_TOLERANCE} | ({"keep": rounding} if equal else {})
    refused: dict[str, tuple[str, str]] = {}
    flags = {}
    if rate > low and policy.rates == "error":
        refused["rates"] = f"{ref.rate} Hz", f"{test.rate} Hz"
        flags["rate"] = "resample"
    if ref.channels != test.channels and policy.channels == "error":
        refused["channels"] = _channel_count(ref), _channel_count(test)
        flags["channels"] = _channels_as(ref, test)
    if policy.length in allowed and apart > allowed[policy.length] and policy.align not in ("find", "warp"):
        refused["lengths"] = f"{ref.duration:.3f} s", f"{test.duration:.3f} s"
        flags["length"] = "trim"
    if len(refused) > 1:
        first, second = (_listed([pair[i] for pair in refused.values()]) for i in (0, 1))
        raise Mismatch(
            f"{_listed(list(refused))} differ: {ref.name} has {first}, {test.name} has {second}; "
            f"use {Mismatch.mended(flags)}{_or_find(ref, test, policy, ', or ') if 'lengths' in refused else ''}",
            flags,
        )


def _or_find(ref: Signal, test: Signal, policy: Policy, before: str) -> str:
    """The hint where one may well be a part of the other."""
    durations = sorted((ref.duration, test.duration))
    likely = policy.align == "none" and durations[1] > 2 * durations[0]
    return f"{before}--align find instead of --length trim if one is a part of the other" if likely else ""


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _channel_count(signal: Signal) -> str:
    return f"{signal.channels} channel{'s' if signal.channels != 1 else ''}"


def _channels_as(ref: Signal, test: Signal) -> str:
    """The policy that makes their channels equal and loses least."""
    return "match" if 1 in (ref.channels, test.channels) else "mono"


def _same_rate(ref: Signal, test: Signal, policy: Policy) -> tuple[Signal, Signal, dict[str, Any]]:
    if policy.rates == "error":
        raise Mismatch(
            f"rates differ: {ref.name} has {ref.rate} Hz, {test.name} has {test.rate} Hz; use --rate resample",
            {"rate": "resample"},
        )
    from .dsp import resampling

    rate, low = max(ref.rate, test.rate), min(ref.rate, test.rate)
    done = {"policy": "resample", "reference_hz": ref.rate, "test_hz": test.rate, "to_hz": rate}
    ref, test = resampling.to_rate(ref, rate), resampling.to_rate(test, rate)
    excess = abs(ref.length - test.length)
    if 0 < excess <= ceil(rate / low) and policy.length != "keep":  # less than one sample of the lower rate
        done |= {"trimmed": "reference" if ref.length > test.length else "test", "trimmed_samples": excess}
        ref, test = _trimmed(ref, test)
    return ref, test, done


def _same_channels(ref: Signal, test: Signal, policy: Policy) -> tuple[Signal, Signal, dict[str, Any]]:
    import numpy as np

    counts = ref.channels, test.channels
    if policy.channels == "error":
        repeated = "--channels match (one channel stands for all) or " if min(counts) == 1 else ""
        raise Mismatch(
            f"channels differ: {ref.name} has {counts[0]}, {test.name} has {counts[1]}; "
            f"use {repeated}--channels mono (averages)",
            {"channels": _channels_as(ref, test)},
        )
    done: dict[str, Any] = {"policy": policy.channels, "reference_channels": counts[0], "test_channels": counts[1]}
    if policy.channels == "match" and min(counts) == 1:
        done |= {"to_channels": max(counts), "how": "repeated", "repeated": "reference" if counts[0] == 1 else "test"}
        ref, test = (
            s if s.channels > 1 else replace(s, samples=np.repeat(s.samples, max(counts), axis=0)) for s in (ref, test)
        )
    else:
        done |= {"to_channels": 1, "how": "averaged"}
        ref, test = (
            s if s.channels == 1 else replace(s, samples=s.samples.mean(axis=0, keepdims=True)) for s in (ref, test)
        )
    return ref, test, done


def _aligned(ref: Signal, test: Signal, policy: Policy) -> tuple[Signal, Signal, dict[str, Any]]:
    """Remove the delay of the test: what only one of them holds is cut, or under `pad` matched by silence.

    The fraction of a sample is moved by a band-limited shift of the test. The lengths do not differ more than before.
    """
    import numpy as np

    from .dsp import alignment

    search = policy.search or SEARCH
    limit = max(round(search * ref.rate), 1)
    found = alignment.delay(ref.samples, test.samples, limit, round(ECHOES * ref.rate))
    if not found.found:
        seen = {"search_s": search, "seen_ms": 1000 * found.samples / ref.rate, "seen_correlation": found.correlation}
        reason = (
            f"nothing in common sticks out within {search:g} s either way; the likeliest is a test that is "
            f"{_lateness(seen['seen_ms'])}, with a correlation of {found.correlation:.3f} and a confidence of "
            f"{found.confidence:.2f} where {alignment.CONFIDENCE:g} is needed; "
            f"{_further(policy.align, search, abs(ref.length - test.length) / ref.rate)}"
        )
        if abs(found.samples) > limit:
            reason = (
                f"the test is perhaps {_lateness(seen['seen_ms'])} (correlation {found.correlation:.3f}), which is "
                f"beyond the search of {search:g} s; {_further(policy.align, search, abs(found.samples) / ref.rate)}"
            )
        if found.correlation == 0:
            reason = f"the test has nothing in common with the reference within {search:g} s either way"
        if min(ref.length, test.length) < alignment.SHORTEST:
            reason = f"fewer than {alignment.SHORTEST} samples are too short to find a delay"
        silent = [name for name, s in (("reference", ref), ("test", test)) if not s.samples.any()]
        if silent:
            reason = _silence(silent)
        seen["confidence"] = found.confidence
        return ref, test, {"policy": policy.align, "found": False, "reason": reason, **seen}
    late = round(found.samples)
    fraction = found.samples - late
    if abs(fraction) < NO_SHIFT:
        fraction = 0.0
    done = {
        "policy": policy.align,
        "found": True,
        "search_s": search,
        "delay_ms": 1000 * (late + fraction) / ref.rate,
        "delay_samples": late + fraction,
        "correlation": found.correlation,
        "confidence": found.confidence,
    }
    if found.inverted:
        done["inverted_channels"] = [c + 1 for c in found.inverted]
    if abs(late) >= limit - AT_END and limit < max(ref.length, test.length) - 1:
        done["at_end"] = True
    a, b = ref.samples, test.samples
    if fraction:
        b = alignment.advanced(b, fraction)
    if late and policy.length == "pad":
        a, b = (np.pad(x, ((0, 0), (max(n, 0), 0))) for x, n in ((a, late), (b, -late)))
        done["padded_start_samples"] = {"reference": max(late, 0), "test": max(-late, 0)}
    elif late:
        a, b = a[:, max(-late, 0) :], b[:, max(late, 0) :]
        done["trimmed_start_samples"] = {"reference": max(-late, 0), "test": max(late, 0)}
        if policy.length != "keep":  # the end that the other one lost at its start
            tails = {
                "reference": min(max(late, 0), max(a.shape[1] - b.shape[1], 0)),
                "test": min(max(-late, 0), max(b.shape[1] - a.shape[1], 0)),
            }
            a, b = a[:, : a.shape[1] - tails["reference"]], b[:, : b.shape[1] - tails["test"]]
            done["trimmed_end_samples"] = tails
    return _with(ref, a), _with(test, b), done


def _way_to_align(policy: Policy) -> Callable[[Signal, Signal, Policy], tuple[Signal, Signal, dict[str, Any]]]:
    word = policy.align.partition(":")[0]
    ways = {"drift": _undrifted, "find": _excerpted, "warp": _performed}
    return ways.get(word, _aligned)


def _undrifted(ref: Signal, test: Signal, policy: Policy) -> tuple[Signal, Signal, dict[str, Any]]:
    """The test on the clock of the reference, where the clocks differ; else as _aligned."""
    from .dsp import alignment, drift

    search = policy.search or SEARCH
    found = drift.drift(ref.samples, test.samples, ref.rate, search)
    if not found.found or not found.clear:
        ref, test, done = _aligned(ref, test, policy)
        if done["found"] and found.found:
            done |= {"drift_ppm": 0.0, "drift_error_ppm": found.error_ppm}
        return ref, test, done
    late = found.delay_samples_at_start if abs(found.delay_samples_at_start) > NO_SHIFT else 0.0
    start = max(ceil(-late / found.stretch - 0.5), 0)  # what the reference has before the test begins
    kept, moved = ref.samples[:, start:], drift.undone(test.samples, found, start)
    excess, given = moved.shape[1] - kept.shape[1], test.length - ref.length
    tails = {"reference": 0, "test": 0}
    if policy.length != "keep":  # the lengths do not differ more than before
        tails = {"reference": max(-excess - max(-given, 0), 0), "test": max(excess - max(given, 0), 0)}
    kept, moved = kept[:, : kept.shape[1] - tails["reference"]], moved[:, : moved.shape[1] - tails["test"]]
    done = {
        "policy": policy.align,
        "found": True,
        "search_s": search,
        "delay_ms": 1000 * late / ref.rate,
        "delay_samples": late,
        "drift_ppm": found.ppm,
        "drift_error_ppm": found.error_ppm,
        "correlation": alignment.correlation(*alignment.overlap(kept, moved, 0)),
        "confidence": found.confidence,
        "trimmed_start_samples": {"reference": start, "test": max(round(late), 0)},
        "trimmed_end_samples": tails,
    }
    return _with(ref, kept), _with(test, moved), done


def _excerpted(ref: Signal, test: Signal, policy: Policy) -> tuple[Signal, Signal, dict[str, Any]]:
    """What both hold, where one of them is a part of the other."""
    from .dsp import alignment, excerpt

    part, whole = ("reference", "test") if ref.length < test.length else ("test", "reference")
    found = excerpt.find(ref.samples, test.samples, ref.rate)
    done: dict[str, Any] = {"policy": policy.align, "found": found.found, "confidence": found.confidence}
    if not found.found:
        silent = [name for name, s in (("reference", ref), ("test", test)) if not s.samples.any()]
        short = min(ref.length, test.length) < excerpt.SHORTEST * ref.rate
        if silent:
            done["reason"] = _silence(silent)
        elif short:
            done["reason"] = f"less than {excerpt.SHORTEST:g} s is too short to be found in the {whole}"
        else:
            done["reason"] = (
                f"the {part} is in no place of the {whole} clearly (the likeliest has a confidence of "
                f"{found.confidence:.2f} where {excerpt.CLEAR:g} is needed); check that they are the same recording"
            )
        return ref, test, done
    first = found.start_samples  # of the test, in the reference
    late, fraction = round(-first), -first - round(-first)
    if abs(fraction) < NO_SHIFT:
        fraction = 0.0
    a, b = alignment.overlap(ref.samples, test.samples, late)
    if fraction:
        b = alignment.advanced(b, fraction)
    starts = {"reference": max(-late, 0), "test": max(late, 0)}
    ends = {
        "reference": ref.length - a.shape[1] - starts["reference"],
        "test": test.length - b.shape[1] - starts["test"],
    }
    done |= {
        "delay_ms": 1000 * (late + fraction) / ref.rate,
        "delay_samples": late + fraction,
        "correlation": alignment.correlation(a, b),
        "part": part,
        "starts_s": (first if part == "test" else -first) / ref.rate,
        "trimmed_start_samples": starts,
        "trimmed_end_samples": ends,
    }
    if outside := starts[part] + ends[part]:
        done["outside_ms"] = 1000 * outside / ref.rate
    if found.second_samples is not None:
        done["second_s"] = abs(found.second_samples) / ref.rate
    return _with(ref, a), _with(test, b), done


def _performed(ref: Signal, test: Signal, policy: Policy) -> tuple[Signal, Signal, dict[str, Any]]:
    """The test on the time of the reference, where they are two performances of one piece, as long as the reference."""
    import numpy as np

    from .dsp import performance

    found = performance.course(ref.samples, test.samples, ref.rate)
    done: dict[str, Any] = {"policy": policy.align, "found": found.found}
    if not found.found:
        silent = [name for name, s in (("reference", ref), ("test", test)) if not s.samples.any()]
        if silent:
            done["reason"] = _silence(silent)
        elif not found.times.size:
            done["reason"] = f"less than {performance.SHORTEST:g} s of sound is too short to be followed"
        else:
            done["reason"] = (
                f"the test does not play what the reference plays (likeness {found.likeness:.2f} where "
                f"{performance.LIKE:g} is needed)"
            )
        return ref, test, done
    moved, splices = performance.followed(ref.samples, test.samples, found, ref.rate)
    tempo = 1 / np.maximum(found.tempo, 1e-2)
    done |= {
        "likeness": found.likeness,
        "semitones": (5 - found.semitones) % 12 - 5,  # of the test, against the reference
        "tempo": [float(q) for q in np.quantile(tempo, [0.05, 0.95])],
        "furthest_ms": 1000 * float(np.abs(found.seconds - found.times).max()),
        "splices": splices,
    }
    return ref, _with(test, moved), done


def hint(ref: Signal, test: Signal) -> str | None:
    """What to say to one who did not align, where a clear delay explains most of the difference.

    Cheap: the first seconds at a low rate tell.
    """
    from .dsp import drift

    if (ref.rate, ref.channels) != (test.rate, test.channels):
        return None
    late = drift.late(ref.samples, test.samples, ref.rate, SEARCH)
    return None if late is None else f"the test is {_lateness(1000 * late / ref.rate)}; --align auto removes it"


def _same_length(
    ref: Signal, test: Signal, policy: Policy, whole: tuple[Signal, Signal], aligned: Mapping[str, Any] | None
) -> tuple[Signal, Signal, dict[str, Any]]:
    """Errors speak of the whole recordings, as they were before the alignment, and say what that did."""
    import numpy as np

    excess = abs(ref.length - test.length)
    longer, shorter = ("reference", "test") if ref.length > test.length else ("test", "reference")
    done: dict[str, Any] = {"policy": policy.length}
    if policy.length == "error" or (policy.length == "auto" and excess > LENGTH_TOLERANCE * ref.rate):
        limit = f" (over {1000 * LENGTH_TOLERANCE:g} ms)" if policy.length == "auto" else ""
        hint = "" if aligned else ", --align auto if one starts late"
        part = _or_find(*whole, policy, ", or ")
        after, note = "", ""
        if aligned and aligned["found"]:
            late = aligned["delay_ms"]
            after = f" once the test, which is {_lateness(late)}, is aligned" if late else ""
            note = "" if late else f"; {_alignment(aligned)}"
        elif aligned:
            note = f"; {_alignment(aligned)}"
        raise Mismatch(
            f"lengths differ by {_samples(excess)}{limit}{after}: {ref.name} lasts {whole[0].duration:.3f} s, "
            f"{test.name} {whole[1].duration:.3f} s; use --length trim or --length pad{hint}, "
            f"or --length keep for metrics that warp time{part}{note}",
            {"length": "trim"},
        )
    if policy.length == "pad":
        done |= {"padded": shorter, "padded_samples": excess, "padded_ms": 1000 * excess / ref.rate}
        size = max(ref.length, test.length)
        ref, test = (
            s if s.length == size else _with(s, np.pad(s.samples, ((0, 0), (0, size - s.length)))) for s in (ref, test)
        )
    else:
        done |= {"trimmed": longer, "trimmed_samples": excess, "trimmed_ms": 1000 * excess / ref.rate}
        ref, test = _trimmed(ref, test)
    return ref, test, done


def _same_polarity(ref: Signal, test: Signal) -> tuple[Signal, dict[str, Any]]:
    """The test, inverted if its polarity is opposite to the reference's, whether it is late or not."""
    from .dsp import alignment

    pair = alignment.overlap(ref.samples, test.samples, 0)
    rho, inverted = alignment.correlation(*pair), alignment.opposite(alignment.channel_correlations(*pair))
    if abs(rho) < CLEAR and not inverted:
        limit, apart = round(SEARCH * ref.rate), round(ECHOES * ref.rate)
        found = alignment.delay(ref.samples, test.samples, limit, apart)
        rho, inverted = (found.correlation, found.inverted) if found.found else (rho, ())
    if inverted:
        are = "is" if len(inverted) == 1 else "are"
        reason = f"{_channels([c + 1 for c in inverted])} {are} inverted, others are not"
        return test, {"polarity": {"policy": "match", "flipped": False, "correlation": rho, "reason": reason}}
    if abs(rho) < SURE:
        reason = f"the correlation of {rho:.3f} is too small to tell"
        return test, {"polarity": {"policy": "match", "flipped": False, "correlation": rho, "reason": reason}}
    if rho > 0:
        return test, {}
    return _with(test, -test.samples), {"polarity": {"policy": "match", "flipped": True, "correlation": rho}}


def _same_gain(ref: Signal, test: Signal) -> tuple[Signal, dict[str, Any]]:
    """The test at the reference's RMS over all channels.

    Not by least squares, which would make a noisy test quieter than it is. One gain keeps the balance of channels.
    """
    levels = {"reference": _rms(ref), "test": _rms(test)}
    silent = [name for name, level in levels.items() if level < SILENT]
    if silent:
        return test, {"policy": "match", "gain_db": None, "reason": _silence(silent)}
    gain = levels["reference"] / levels["test"]
    if abs(gain - 1) < 1e-9:
        return test, {"policy": "match", "gain_db": 0.0}
    return _with(test, test.samples * test.samples.dtype.type(gain)), {"policy": "match", "gain_db": 20 * log10(gain)}


def _rms(signal: Signal) -> float:
    import numpy as np

    blocks = (np.asarray(signal.samples[:, i : i + 65536], np.float64) for i in range(0, signal.length, 65536))
    return sqrt(sum(float(np.vdot(b, b)) for b in blocks) / signal.samples.size)


def _trimmed(ref: Signal, test: Signal) -> tuple[Signal, Signal]:
    length = min(ref.length, test.length)
    return _with(ref, ref.samples[:, :length]), _with(test, test.samples[:, :length])


def _with(signal: Signal, samples: NDArray[Any]) -> Signal:
    from . import scratch

    return signal if samples is signal.samples else replace(signal, samples=scratch.contiguous(samples))


def _silence(silent: list[str]) -> str:
    return "both are silent" if len(silent) == 2 else f"the {silent[0]} is silent"


def _samples(count: int) -> str:
    return f"{count} sample{'s' if count != 1 else ''}"
