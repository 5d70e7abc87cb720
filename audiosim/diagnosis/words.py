"""A diagnosis in words: the one place from which compare, explain, batch, reports and JUnit take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import log10
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .finding import Diagnosis, Finding


def sentence(finding: Finding) -> str:
    """The finding with its size, its places, and its share."""
    return _SENTENCES.get(finding.cause, _plain)(finding)


def sentences(diagnosis: Diagnosis) -> list[str]:
    """All that was found, and what is left."""
    said = listed((f.sentence, f.minor) for f in diagnosis.findings)
    if diagnosis.left_db is not None and diagnosis.findings:
        said.append(left(diagnosis.left_db))
    return said


def listed(said: Iterable[tuple[str, bool]]) -> list[str]:
    """A line for each finding, given by its sentence and whether it is minor; one line for all minor ones."""
    said = list(said)
    minor = [sentence for sentence, small in said if small]
    return [sentence for sentence, small in said if not small] + ([f"also: {'; '.join(minor)}"] if minor else [])


def left(db: float) -> str:
    """What is left of the difference when what was found is undone; db: against the reference."""
    return f"what is left lies {-db:.0f} dB below the reference"


def null_test(null: Mapping[str, Any] | None) -> str:
    """How many samples differ, where first, and how large the difference is."""
    if null is None:
        return "not made, as sample rates or channels differ"
    count, differing = null["samples"], null["differing"]
    if not differing:
        return f"all {count} samples are equal"
    share = f"{100 * differing / count:.3g} %"
    said = [f"{differing} of {count} samples differ ({share})"]
    if null["first"] is not None:
        said.append(f"the first at {null['first']:.4f} s (sample {null['first_sample']})")
    if null["peak_dbfs"] is not None:
        said.append(f"residual peak {null['peak_dbfs']:.1f} dBFS, RMS {null['rms_dbfs']:.1f} dBFS")
    if null["bits"] is not None:
        said.append(f"{null['bits']:.1f} bits agree")
    return "; ".join(said)


def _plain(f: Finding) -> str:
    size = "" if f.size is None else f" of {f.size:.3g} {f.unit}".rstrip()
    return f"{f.cause}{size}"


# Of places


def _at(f: Finding, most: int = 3) -> str:
    """As in: at 1.200 s, 4.750 s and 2 more."""
    if not f.places:
        return ""
    times = [_clock(p.start) for p in f.places[:most]]
    more = f.count - len(times)
    if more > 0:
        times.append(f"{more} more")
    listed = times[0] if len(times) == 1 else f"{', '.join(times[:-1])} and {times[-1]}"
    channels = {p.channel for p in f.places}
    only = f" in channel {channels.pop()}" if len(channels) == 1 and None not in channels else ""
    return f"{only} at {listed}"


def _dropout(f: Finding) -> str:
    """detail: shortest_ms, longest_ms."""
    low, high = (round(f.detail.get(k, f.size or 0.0)) for k in ("shortest_ms", "longest_ms"))
    how = f"{low} ms" if low == high else f"{low} to {high} ms"
    return f"{'a dropout' if f.count == 1 else f'{f.count} dropouts'} of {how}{_at(f)}"


def _click(f: Finding) -> str:
    return f"{'a click' if f.count == 1 else f'{f.count} clicks'}, {f.size or 0.0:+.1f} dBFS at most{_at(f)}"


def _clipped(f: Finding) -> str:
    return f"clipped at {f.size or 0.0:.1f} dBFS in {f.count} place{'s' * (f.count != 1)}{_at(f)}"


def _distorted(f: Finding) -> str:
    """detail: even, the share of harmonics of even order, 0 to 1."""
    even = f.detail["even"]
    which = "mostly even" if even > 0.75 else "mostly odd" if even < 0.25 else "even and odd"
    return f"nonlinear distortion: it adds {f.size:.2g} % to the sound, {which} harmonics"


def _cut(f: Finding) -> str:
    """detail: later_s, by which the place may lie later where the sound repeats itself."""
    seconds = (f.size or 0.0) / 1000
    long = f"{seconds:.3f} s" if seconds >= 0.1 else f"{1000 * seconds:.1f} ms"
    were = f"in {f.count} places " if f.count > 1 else ""
    added = bool(f.places) and f.places[0].test_end > f.places[0].test_start
    replaced = added and f.places[0].end > f.places[0].start
    said = {
        "silence inserted": f"{long} of silence were inserted",
        "silence removed": f"{long} of silence were removed",
        "repeated": f"{long} were repeated",
        "lost": f"{long} of the reference are missing",
    }.get(
        f.cause,
        f"{long} of another sound stand for those of the reference"
        if replaced
        else f"{long} are in the test that the reference has not"
        if added
        else f"{long} of the reference are missing",
    )
    later = f.detail.get("later_s")
    repeats = "" if later is None else f", or up to {later:.2f} s later, as the sound repeats itself"
    return f"{said} {were}".rstrip() + _at(f) + repeats


def _noise(f: Finding) -> str:
    """detail: colour, db_per_octave."""
    kind = f"{f.detail['colour']} noise" if "colour" in f.detail else "noise"
    return f"{kind} {-(f.size or 0.0):.0f} dB below the reference"


def _hum(f: Finding) -> str:
    """detail: hz, harmonics."""
    hz = f.detail.get("hz")
    at = "" if hz is None else f" at {hz:.0f} Hz"
    also = " with harmonics" if len(f.detail.get("harmonics", ())) > 1 else ""
    return f"hum{at}{also}, {-(f.size or 0.0):.0f} dB below the reference"


def _reverberation(f: Finding) -> str:
    """detail: level_db of the tail against the direct sound."""
    level = f.detail.get("level_db")
    below = "" if level is None else f", {-level:.0f} dB below the direct sound"
    return f"reverberation was added: it decays by 60 dB in {f.size or 0.0:.2f} s{below}"


def _holes(f: Finding) -> str:
    """detail: low_hz, high_hz."""
    d = f.detail
    where = f"between {_hertz(d['low_hz'])} and {_hertz(d['high_hz'])}"
    return f"holes in the spectrum, as a codec of low rate leaves them: {f.size:.1f} % of what is {where}"


def _pre_echo(f: Finding) -> str:
    """detail: onsets with noise before them, `of` all."""
    d = f.detail
    return (
        f"pre-echo, as of a codec: noise before {d['onsets']} of {d['of']} onsets, {f.size:.0f} dB more than was there"
    )


def _coding_noise(f: Finding) -> str:
    """detail: in ("time", "time and frequency"), in which it follows the sound."""
    how = "the level of the sound, as of companding or ADPCM"
    if f.detail.get("in") != "time":
        how = "the sound in time and frequency, as of a codec"
    return f"noise that follows {how}, {-(f.size or 0.0):.0f} dB below the reference"


# Of the whole recording


def _excerpt(f: Finding) -> str:
    """detail: shorter ("test" or "reference"), duration and `of` in s."""
    d = f.detail
    longer = "reference" if d["shorter"] == "test" else "test"
    return f"the {d['shorter']} is {d['duration']:.3f} s of the {longer}, from {_clock(f.size or 0.0)} on"


def _delay(f: Finding) -> str:
    """detail: samples."""
    ms, samples = f.size or 0.0, f.detail.get("samples")
    exact = "" if samples is None else f" ({_number(abs(samples))} samples)"
    how = (
        f"{abs(ms) / 1000:.3f} s" if abs(ms) >= 1000 else f"{abs(ms):.2f} ms" if abs(ms) >= 0.1 else f"{abs(ms):.4f} ms"
    )
    return f"the test is {how}{exact} {'late' if ms > 0 else 'early'}"


def _drift(f: Finding) -> str:
    ppm = f.size or 0.0
    return f"the clocks differ by {abs(ppm):.3g} ppm: the test lasts {'longer' if ppm > 0 else 'shorter'}"


def _speed(f: Finding) -> str:
    percent = f.size or 0.0
    return f"the test runs {abs(percent):.2f} % {'faster and higher' if percent > 0 else 'slower and lower'}"


def _tempo(f: Finding) -> str:
    percent = f.size or 0.0
    how = "faster" if percent > 0 else "slower"
    return f"the test plays {abs(percent):.1f} % {how} at the same pitch (time stretching)"


def _pitch(f: Finding) -> str:
    size = f.size or 0.0
    return f"the pitch of the test is {abs(size):.1f} semitones {'higher' if size > 0 else 'lower'}, its tempo the same"


def _gain(f: Finding) -> str:
    return f"the test is {_louder(f.size or 0.0)}"


def _normalised(f: Finding) -> str:
    """detail: lufs, the target."""
    return f"the test is {_louder(f.size or 0.0)}, normalised to {f.detail['lufs']:.0f} LUFS"


def _equaliser(f: Finding) -> str:
    """detail: low_hz, high_hz, to_the_bottom, to_the_top; curve: [[Hz, dB], ...]."""
    d = f.detail
    where = f"between {_hertz(d['low_hz'])} and {_hertz(d['high_hz'])}"
    if d["to_the_top"] and not d["to_the_bottom"]:
        where = f"above {_hertz(d['low_hz'])}"
    elif d["to_the_bottom"] and not d["to_the_top"]:
        where = f"below {_hertz(d['high_hz'])}"
    return f"an equaliser: {_louder(f.size or 0.0)} {where}"


def _compression(f: Finding) -> str:
    """detail: ratio; threshold_db, below the loudest."""
    ratio = f.detail["ratio"]
    how = f"about {ratio:.1f}:1" if ratio < 15 else "a limiter"
    since = f"from {-f.detail['threshold_db']:.0f} dB below the loudest on"
    return f"dynamics are compressed, {how}, {since}: {f.size:.1f} dB at most"


def _expansion(f: Finding) -> str:
    """detail: ratio; threshold_db, below the loudest."""
    ratio = f.detail["ratio"]
    how = f"expanded, about 1:{ratio:.1f}" if ratio < 6 else "gated"
    below = f"{-f.detail['threshold_db']:.0f} dB below the loudest"
    return f"dynamics are {how}, from {below} downwards: {f.size:.1f} dB at most"


def _moving(f: Finding) -> str:
    """detail: from_db, to_db."""
    d = f.detail
    return f"the gain changes over time, from {d['from_db']:+.1f} to {d['to_db']:+.1f} dB"


def _polarity(f: Finding) -> str:
    """detail: channels from 1, `of` how many."""
    channels, of = f.detail["channels"], f.detail["of"]
    if len(channels) == of:
        return "the polarity of the test is inverted"
    return f"the polarity of {_channels(channels, of)} is inverted, that of the others is not"


def _exchanged(f: Finding) -> str:
    """detail: channels of the test, and those of the reference that they hold."""
    channels, of, hold = f.detail["channels"], f.detail["of"], f.detail["hold"]
    if of == 2:
        return "left and right are exchanged"
    return f"{_channels(channels, of)} of the test hold {_channels(hold, of)} of the reference"


def _dead(f: Finding) -> str:
    """detail: recording, channels, `of`."""
    d = f.detail
    if len(d["channels"]) == d["of"]:
        return f"the {d['recording']} is silent"
    return (
        f"{_channels(d['channels'], d['of'])} of the {d['recording']} {'is' if len(d['channels']) == 1 else 'are'} dead"
    )


def _copied(f: Finding) -> str:
    d = f.detail
    return f"{_channels(d['channels'], d['of'])} of the test holds a copy of {_channels(d['hold'], d['of'])}"


def _mono(f: Finding) -> str:
    """detail: reference_channels; where they differ: test_channels, and channels, the only one of as many as `of` which
    holds what the other recording has, or mixed, whether their mean does."""
    d = f.detail
    before, after = d["reference_channels"], d.get("test_channels")
    if "channels" in d:
        one = _channels(d["channels"], d["of"])
        return (
            f"the test is {one} of the reference" if after == 1 else f"only {one} of the test holds the mono reference"
        )
    if after is None or (before == 2 and after == 1 and d.get("mixed", True)):
        return "the test is a mono mix of the stereo reference"
    return f"the test has {after} {'channel' if after == 1 else 'channels'}, the reference {before}"


def _dc(f: Finding) -> str:
    size = f.size or 0.0
    return f"the test sits on a constant (DC offset) of {size:+.4f} of full scale ({20 * log10(abs(size)):.0f} dBFS)"


def _rate_conversion(f: Finding) -> str:
    """detail: from_hz and to_hz where the rates differ; otherwise rate_hz, that the band tells of."""
    d = f.detail
    if "to_hz" in d:
        return f"the test is sampled at {d['to_hz']} Hz, the reference at {d['from_hz']} Hz"
    return f"nothing above {_hertz(f.size or 0.0)}, as if it had been sampled at {d['rate_hz']} Hz"


def _low_pass(f: Finding) -> str:
    """detail: gone_hz; steep; coded, whether the rest has a codec's noise."""
    hz = f.size or 0.0
    if not f.detail["coded"]:
        gone = _hertz(f.detail["gone_hz"])
        return f"a low-pass at {_hertz(hz)}{': nothing above' if f.detail.get('steep') else ', 20 dB down at'} {gone}"
    as_by = next(
        (f", as MP3 at {rate} leaves it" for low, high, rate in _MP3 if low <= hz < high), ", as a codec leaves it"
    )
    return f"nothing above {_hertz(hz)}{as_by}"


def _bit_depth(f: Finding) -> str:
    """detail: from_bits (None: more than 24), to_bits; dither where it can be told: none, rectangular or triangular."""
    d = f.detail
    before = f", the reference with {d['from_bits']}" if d["from_bits"] else ""
    how = {"none": ", rounded without dither", None: ""}.get(d.get("dither"), f", with {d.get('dither')} dither")
    return f"the test is stored with {d['to_bits']} bits{before}{how}"


def _dither(f: Finding) -> str:
    """detail: bits; size: RMS in steps."""
    return f"the two differ by dither alone: {f.size:.2f} steps of {f.detail['bits']} bits (RMS)"


def _unrelated(_: Finding) -> str:
    return "these are not the same recording: they have nothing in common"


_MP3 = (
    (15300, 16700, "128 kb/s"),
    (16700, 18200, "160 kb/s"),
    (18200, 19400, "192 kb/s"),
    (19400, 20800, "256 to 320 kb/s or Opus"),
)


def _louder(db: float) -> str:
    return f"{abs(db):.1f} dB {'louder' if db > 0 else 'quieter'}"


def _hertz(hz: float) -> str:
    return f"{hz / 1000:.1f} kHz" if hz >= 1000 else f"{hz:.0f} Hz"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{seconds:.3f} s" if seconds < 60 else f"{minutes:.0f}:{rest:06.3f}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value - round(value)) < 0.005 else f"{value:.2f}"


def _channels(channels: Sequence[int], of: int) -> str:
    """the left channel; channels 1 and 3"""
    *first, last = (str(c) for c in channels)
    if of == 2 and not first:
        return f"the {'left' if last == '1' else 'right'} channel"
    return f"channels {', '.join(first)} and {last}" if first else f"channel {last}"


_SENTENCES: dict[str, Callable[[Finding], str]] = {
    "dropout": _dropout,
    "click": _click,
    "clipping": _clipped,
    "nonlinear distortion": _distorted,
    **dict.fromkeys(("silence inserted", "silence removed", "repeated", "lost", "edit"), _cut),
    "noise": _noise,
    "hum": _hum,
    "reverberation": _reverberation,
    "band holes": _holes,
    "pre-echo": _pre_echo,
    "coding noise": _coding_noise,
    "excerpt": _excerpt,
    "delay": _delay,
    "drift": _drift,
    "speed": _speed,
    "tempo": _tempo,
    "pitch": _pitch,
    "gain": _gain,
    "loudness normalisation": _normalised,
    "equaliser": _equaliser,
    "compression": _compression,
    "expansion": _expansion,
    "moving gain": _moving,
    "polarity": _polarity,
    "exchanged": _exchanged,
    "dead": _dead,
    "copied": _copied,
    "mono": _mono,
    "dc": _dc,
    "rate conversion": _rate_conversion,
    "low-pass": _low_pass,
    "bit depth": _bit_depth,
    "dither": _dither,
    "unrelated": _unrelated,
}
