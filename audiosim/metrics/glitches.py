"""Glitches: how many clicks, dropouts, skips and clipped peaks the test has that the reference has not.

They are found by the diagnosis (`audiosim explain REF TEST`), after it has undone what happened to the whole recording:
delay, drift, gain, filters, channels that were exchanged. A glitch that the reference has too is none.

clicks: single large steps from sample to sample.
dropouts: sound that is missing for 8 ms or more, silence that was put in, and channels that are dead.
skips: buffers that are lost or come twice, and other sound in the place of the reference's.
clipping: peaks that are cut off, each channel by itself.

kind: one of these alone, for a gate such as glitches:kind=clicks<=0.
details: clicks, dropouts, skips and clipping, the number of each; per_minute, all that are counted, by the duration of
the reference; first, seconds from its start; longest, seconds.
Profile: the number of glitches that go on in each 50 ms of the reference.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import nan
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import scratch
from ..answer import Channel, Pair, too_short
from ..card import Card
from ..options import Options as Plain
from ..signal import Signal

Array = NDArray[Any]

CARD = Card(
    title="Number of new glitches",
    version=2,
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="clicks + dropouts + skips + clipped peaks of the test that are not in the reference",
    source="audiosim; the detectors of its diagnosis, measured in tests/benchmarks/diagnosis.py",
    silence="0 where both are silent; undefined where the reference alone is; a silent test is a dropout a channel.",
    caveat="It counts, and does not weigh: a click at -50 dB of the signal counts as much as a loud one, and each peak"
    " that is clipped counts. Sound that is quieter than the mean by 30 dB has no dropouts. Undefined where tempo or"
    " pitch were changed, or where the recordings have nothing in common.",
    shortest=0.2,
    minimum="0.2 s; skips are looked for from 0.5 s on",
    joint_channels=True,
    pooling="downmix",
    lengths="any",
    gradient="none",
    insensitive_to=("noise", "low_pass", "added_tone", "gain", "polarity", "delay", "reverb", "phase", "dc"),
    map="none",
)

KINDS = {  # the causes of the diagnosis
    "clicks": ("click",),
    "dropouts": ("dropout", "silence inserted", "dead"),
    "skips": ("lost", "repeated", "edit", "silence removed"),
    "clipping": ("clipping",),
}
STEP = 0.05  # s, of the profile


@dataclass(frozen=True, kw_only=True)
class Options(Plain):
    kind: Annotated[
        Literal["all", "clicks", "dropouts", "skips", "clipping"],
        "clicks; dropouts: what is missing or silent; skips: what is lost, repeated or another sound; clipping: peaks",
    ] = "all"


def measure(pairs: list[Pair], o: Options) -> Channel:
    from ..diagnosis.whole import diagnosed

    rate = pairs[0].rate
    ref, test = (Signal(_together([p.samples[i] for p in pairs]), rate) for i in (0, 1))
    shorter = min(ref.length, test.length)
    if shorter < round(CARD.shortest * rate):
        return Channel(value=nan, reason=too_short(CARD.shortest, shorter, rate))
    found = diagnosed(ref, test, shown=sys.maxsize)
    if not found.aligned:
        what = " and ".join(found.causes) or "unrelated"
        return Channel(value=nan, reason=f"the recordings cannot be laid over each other: {what}")
    spans: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for f in found.findings:
        if f.cause == "dead":
            if f.detail["recording"] == "reference" and not ref.samples.any():
                return Channel(value=nan, reason="the reference is silent")
            if f.detail["recording"] == "test":
                spans["dropouts"] += [(0.0, ref.duration)] * len(f.detail["channels"])
            continue
        for kind, causes in KINDS.items():
            if f.cause in causes:
                spans[kind] += [(p.start, p.end) for p in f.places]
    details = {kind: float(len(at)) for kind, at in spans.items()}
    counted = [span for kind, at in spans.items() if o.kind in ("all", kind) for span in at]
    details["per_minute"] = 60 * len(counted) / ref.duration
    if counted:
        details["first"] = min(start for start, _ in counted)
        details["longest"] = max(end - start for start, end in counted)
    where: dict[str, Any] = {} if pairs[0].detail == "value" else _over_time(counted, ref.duration)
    return Channel(value=float(len(counted)), details=details, **where)


def _together(channels: list[Array]) -> Array:
    """[channel, sample]."""
    if len(channels) == 1:
        return channels[0][None]
    out = scratch.empty((len(channels), channels[0].size), channels[0].dtype)
    for into, x in zip(out, channels, strict=True):
        into[:] = x
    return out


def _over_time(spans: list[tuple[float, float]], duration: float) -> dict[str, Array]:
    """How many of these go on in each step."""
    count = max(round(duration / STEP), 1)
    starts, ends = np.array(spans).reshape(-1, 2).T / STEP
    first = np.clip(starts.astype(int), 0, count - 1)
    last = np.clip(np.ceil(ends).astype(int), first + 1, count)
    changes = np.bincount(first, minlength=count + 1) - np.bincount(last, minlength=count + 1)
    return {"per_time": np.cumsum(changes)[:count].astype(float), "times": (np.arange(count) + 0.5) * STEP}
